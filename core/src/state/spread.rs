//! Passing packets on, one subscriber after the other: each gets all that has come since the last
//! time, so that its keys and numbers are at hand once for all of them, and that they leave as one.

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
}

/// Packets that are to be passed on.
#[derive(Default)]
pub(super) struct Spread {
    /// Those that nobody has got yet, oldest first.
    waiting: Vec<Waiting>,
    /// Those of one publication that some of its subscribers have got.
    current: Vec<Waiting>,
    /// The place of the subscriber that gets them next.
    next: usize,
}

impl Spread {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.current.is_empty()
    }

    /// Goes on to the publication of the oldest packet; false where there is none.
    fn begin(&mut self) -> bool {
        let Some(first) = self.waiting.first() else {
            return false;
        };
        let key = first.publication;
        let of_it = |waiting: &mut Waiting| waiting.publication == key;
        self.current.extend(self.waiting.extract_if(.., of_it));
        self.next = 0;
        true
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
        while self.outbox.batch.bytes() < bytes {
            if self.spread.current.is_empty() && !self.spread.begin() {
                return;
            }
            let publication = self.spread.current.first().map(|one| one.publication);
            let subscriber = publication.and_then(|key| {
                let publication = self.tables.publications.get(key)?;
                let subscriber = publication.subscriptions.get(self.spread.next)?;
                Some((key, *subscriber))
            });
            match subscriber {
                Some((publication, subscriber)) => {
                    self.spread.next += 1;
                    self.pass_all_to(publication, subscriber);
                }
                None => self.spread.current.clear(),
            }
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
        for waiting in &self.spread.current {
            // It comes to this packet by way of those before it.
            if waiting.kind == MediaKind::Video && subscription.replay.is_some() {
                continue;
            }
            let Waiting {
                kind,
                packet,
                incoming,
                ..
            } = waiting;
            let way = (&mut self.peers, &mut self.outbox, &mut self.media);
            if pass_on(way, subscription, *kind, packet, *incoming) {
                self.counters.forwarded += 1;
            }
        }
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
        while spread.begin() {
            passed.extend(spread.current.drain(..).map(|one| one.packet.sequence));
        }
        assert_eq!(passed, [1, 3, 2, 4]);
        assert!(spread.is_empty());
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
        }
    }
}
