//! Passing packets on, one subscriber after the other: each gets all that has come since the last
//! time, so that its keys and numbers are at hand once for all of them, and that they leave as one.

use std::collections::VecDeque;
use std::time::Instant;

use super::State;
use super::forward::pass_on;
use crate::egress::ring::Packet;
use crate::forwarder::Incoming;
use crate::limits;
use crate::request::MediaKind;
use crate::tables::{PublicationKey, SubscriptionKey};

/// A packet that has come.
pub(super) struct Waiting {
    pub(super) publication: PublicationKey,
    pub(super) kind: MediaKind,
    pub(super) packet: Packet,
    pub(super) incoming: Incoming,
    /// The number of what it came in: see [`Transmit::cause`](crate::Transmit::cause).
    pub(super) cause: u32,
}

/// Packets that are to be passed on.
///
/// The subscribers of a publication get them in turn, each all there are. What comes meanwhile is
/// given along from the next subscriber on, and to those before it in a second round: a picture
/// whose first packet came a little ahead of the others still leaves whole for most.
#[derive(Default)]
pub(super) struct Spread {
    /// Those that nobody has got yet, oldest first.
    waiting: Vec<Waiting>,
    /// The publication of those that some of its subscribers have got.
    publication: Option<PublicationKey>,
    /// Those, oldest first, each with the step after which everybody has got it.
    current: VecDeque<(usize, Waiting)>,
    /// How many subscribers have had their turn since the first of them came.
    steps: usize,
}

impl Spread {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.current.is_empty()
    }

    /// Goes on to the publication of the oldest packet.
    fn begin(&mut self) {
        self.publication = self.waiting.first().map(|first| first.publication);
        self.steps = 0;
    }

    /// Adds what has come of the publication, which has so many subscribers. Only in the first
    /// round: other publications wait.
    fn join(&mut self, subscribers: usize) {
        let room = limits::WAITING_PACKETS.saturating_sub(self.current.len());
        if self.steps >= subscribers.max(1) || room == 0 {
            return;
        }
        let until = self.steps + subscribers;
        let of_it = |waiting: &mut Waiting| Some(waiting.publication) == self.publication;
        let joining = self.waiting.extract_if(.., of_it).take(room);
        self.current.extend(joining.map(|waiting| (until, waiting)));
    }

    /// A subscriber has got all there are: those that it was the last one for are done.
    fn step(&mut self) {
        self.steps += 1;
        while self
            .current
            .front()
            .is_some_and(|(until, _)| *until <= self.steps)
        {
            self.current.pop_front();
        }
    }
}

impl State {
    /// Passes a packet on: to other workers at once, to who is here when datagrams are taken out
    /// next.
    pub(super) fn spread_later(&mut self, now: Instant, waiting: Waiting) {
        self.relay(now, &waiting);
        self.spread.waiting.push(waiting);
        if self.spread.waiting.len() >= limits::WAITING_PACKETS {
            self.spread_all();
        }
    }

    /// Passes everything on that has come. Whatever may change who gets it does this first.
    pub(super) fn spread_all(&mut self) {
        self.spread_up_to(usize::MAX);
    }

    /// Passes on what has come until there are as many bytes to send.
    pub(super) fn spread_up_to(&mut self, bytes: usize) {
        while !self.spread.is_empty() {
            if self.spread.current.is_empty() {
                self.spread.begin();
            }
            let publication = self.spread.publication;
            let publication = publication.and_then(|key| self.tables.publications.get(key));
            let subscribers = publication.map_or(0, |publication| publication.subscriptions.len());
            self.spread.join(subscribers);
            if subscribers == 0 {
                // Nobody plays it, or it has ended.
                self.spread.current.clear();
            }
            self.go_round(bytes);
            if !self.spread.current.is_empty() {
                return;
            }
        }
    }

    /// Gives subscribers in turn what there is of a publication, until there are as many bytes to
    /// send.
    fn go_round(&mut self, bytes: usize) {
        while !self.spread.current.is_empty() && self.outbox.batch.bytes() < bytes {
            let turn = self.spread.publication.and_then(|key| {
                let subscribers = &self.tables.publications.get(key)?.subscriptions;
                let place = self.spread.steps.checked_rem(subscribers.len())?;
                Some((key, *subscribers.get(place)?))
            });
            let Some((key, subscriber)) = turn else {
                return;
            };
            self.pass_all_to(key, subscriber);
            self.spread.step();
        }
    }

    fn pass_all_to(&mut self, key: PublicationKey, subscriber: SubscriptionKey) {
        let Some(publication) = self.tables.publications.get(key) else {
            return;
        };
        let Some(subscription) = self.tables.subscriptions.get_mut(subscriber) else {
            return;
        };
        let granted = subscription.home.map(|home| home.stream);
        assert!(
            subscription.publication == key
                && subscription.room == publication.room
                && granted == publication.origin.stream(),
            "media must not cross rooms"
        );
        if !subscription.live {
            return;
        }
        for (_, waiting) in &self.spread.current {
            // It comes to this packet by way of those before it.
            if waiting.kind == MediaKind::Video && subscription.replay.is_some() {
                continue;
            }
            let Waiting {
                kind,
                packet,
                incoming,
                cause,
                ..
            } = waiting;
            self.outbox.batch.cause = *cause;
            let way = (&mut self.peers, &mut self.outbox, &mut self.media);
            if pass_on(way, subscription, *kind, packet, *incoming) {
                self.counters.forwarded += 1;
            }
        }
        self.outbox.batch.cause = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_one_publication_are_passed_on_together_in_their_order() {
        let mut keys = slotmap::SlotMap::<PublicationKey, ()>::with_key();
        let (one, other) = (keys.insert(()), keys.insert(()));
        let mut spread = Spread::default();
        let epoch = std::time::Instant::now();
        for (number, publication) in (1..).zip([one, other, one, other]) {
            spread.waiting.push(waiting(epoch, publication, number));
        }
        let mut passed = Vec::new();
        while !spread.is_empty() {
            spread.begin();
            spread.join(1);
            passed.extend(numbers(&spread));
            spread.step();
            assert_eq!(numbers(&spread), []);
        }
        assert_eq!(passed, [1, 3, 2, 4]);
    }

    #[test]
    fn what_comes_in_the_midst_of_a_round_is_had_by_everybody_once() {
        let mut keys = slotmap::SlotMap::<PublicationKey, ()>::with_key();
        let key = keys.insert(());
        let epoch = std::time::Instant::now();
        let mut spread = Spread::default();
        let mut had = [const { Vec::new() }; 3];
        spread.waiting.push(waiting(epoch, key, 1));
        spread.begin();
        for (step, subscriber) in [0, 1, 2, 0, 1, 2].into_iter().enumerate() {
            if step == 1 {
                spread.waiting.push(waiting(epoch, key, 2));
            }
            if step == 4 {
                // The first round is over: others have their turn before this one.
                spread.waiting.push(waiting(epoch, key, 3));
            }
            spread.join(3);
            had[subscriber].extend(numbers(&spread));
            spread.step();
        }
        assert_eq!(had, [[1, 2], [1, 2], [1, 2]]);
        assert!(spread.current.is_empty() && spread.waiting.len() == 1);
    }

    fn numbers(spread: &Spread) -> Vec<u64> {
        let current = spread.current.iter();
        current.map(|(_, one)| one.packet.sequence).collect()
    }

    fn waiting(arrived: std::time::Instant, publication: PublicationKey, sequence: u64) -> Waiting {
        let packet = Packet {
            ssrc: 1,
            sequence,
            timestamp: 0,
            marker: false,
            extensions: Default::default(),
            payload: std::sync::Arc::from([]),
        };
        let incoming = Incoming {
            ssrc: 1,
            sequence,
            timestamp: 0,
            arrived,
            captured: None,
            entry: false,
        };
        Waiting {
            publication,
            kind: MediaKind::Video,
            packet,
            incoming,
            cause: 0,
        }
    }
}
