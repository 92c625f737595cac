//! Passing packets on, one subscriber after the other: each gets all that has come since the last
//! time, so that its keys and numbers are at hand once for all of them, and that they leave as one.

use std::collections::VecDeque;
use std::time::Instant;

use super::State;
use super::forward::pass_on;
use crate::egress::ring::Packet;
use crate::forwarder::Incoming;
use crate::limits;
use crate::payload::Payloads;
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

impl Waiting {
    /// A packet that has just come, in what has the number `cause`.
    pub(super) fn new(
        publication: PublicationKey,
        kind: MediaKind,
        packet: Packet,
        incoming: Incoming,
        cause: u32,
    ) -> Self {
        Self {
            publication,
            kind,
            packet,
            incoming,
            cause,
        }
    }
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
    /// Those, oldest first, each with how many subscribers are still to get it: so many from the
    /// next one on.
    current: VecDeque<(usize, Waiting)>,
    /// The place of the subscriber whose turn is next.
    place: usize,
    /// How many have had their turn since the first of them came.
    steps: usize,
    /// The memory of those that everybody has got.
    pub(super) payloads: Payloads,
}

impl Spread {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.current.is_empty()
    }

    /// How many packets are here.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.current.len()
    }

    /// Takes back what is not needed any more.
    pub(super) fn give_back(&mut self, packet: Option<Packet>) {
        if let Some(packet) = packet {
            self.payloads.give_back(packet.payload);
        }
    }

    /// Gives up what nobody plays.
    fn drop_current(&mut self) {
        while let Some((_, waiting)) = self.current.pop_front() {
            self.give_back(Some(waiting.packet));
        }
    }

    /// Goes on to the publication of the oldest packet.
    fn begin(&mut self) {
        self.publication = self.waiting.first().map(|first| first.publication);
        (self.place, self.steps) = (0, 0);
    }

    /// Adds what has come of the publication, which has so many subscribers: in the first round, and
    /// later where no other publication waits.
    fn join(&mut self, subscribers: usize) {
        let room = limits::WAITING_PACKETS.saturating_sub(self.current.len());
        let is_other = |waiting: &Waiting| Some(waiting.publication) != self.publication;
        if room == 0 || (self.steps >= subscribers.max(1) && self.waiting.iter().any(is_other)) {
            return;
        }
        let of_it = |waiting: &mut Waiting| Some(waiting.publication) == self.publication;
        let joining = self.waiting.extract_if(.., of_it).take(room);
        self.current
            .extend(joining.map(|waiting| (subscribers, waiting)));
    }

    /// The subscriber whose turn it is, of so many, has got all there are.
    fn step(&mut self, subscribers: usize) {
        self.steps += 1;
        self.place = (self.place + 1).checked_rem(subscribers).unwrap_or(0);
        self.take_off(|_| true);
    }

    /// One subscriber less is to get the packets of which this holds by how many are; who it was the
    /// last one for are done.
    fn take_off(&mut self, is_for_it: impl Fn(usize) -> bool) {
        for (left, _) in &mut self.current {
            *left -= usize::from(is_for_it(*left));
        }
        while let Some((_, done)) = self.current.pop_front_if(|(left, _)| *left == 0) {
            self.give_back(Some(done.packet));
        }
    }

    /// A subscriber has come behind the others, of which there are so many: between the last one's
    /// turn and the first one's. What came before it is not for it, if it is not live by then.
    pub(super) fn enter(&mut self, publication: PublicationKey, others: usize) {
        if self.publication == Some(publication) {
            for (left, _) in &mut self.current {
                *left += usize::from(self.place + *left > others);
            }
        }
    }

    /// The subscriber at this place, of so many, goes.
    pub(super) fn leave(&mut self, publication: PublicationKey, place: usize, subscribers: usize) {
        if self.publication != Some(publication) || place >= subscribers {
            return;
        }
        let turn = (place + subscribers - self.place) % subscribers;
        self.take_off(|left| turn < left);
        self.place -= usize::from(place < self.place);
        self.place = self.place.checked_rem(subscribers - 1).unwrap_or(0);
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
                self.spread.drop_current();
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
                let subscriber = *subscribers.get(self.spread.place)?;
                Some((key, subscriber, subscribers.len()))
            });
            let Some((key, subscriber, subscribers)) = turn else {
                return;
            };
            self.pass_all_to(key, subscriber);
            self.spread.step(subscribers);
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
            spread.step(1);
            assert_eq!(numbers(&spread), []);
        }
        assert_eq!(passed, [1, 3, 2, 4]);
    }

    #[test]
    fn what_comes_in_the_midst_of_a_round_is_had_by_everybody_once() {
        let mut keys = slotmap::SlotMap::<PublicationKey, ()>::with_key();
        let (key, other) = (keys.insert(()), keys.insert(()));
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
                spread.waiting.push(waiting(epoch, other, 9));
                spread.waiting.push(waiting(epoch, key, 3));
            }
            spread.join(3);
            had[subscriber].extend(numbers(&spread));
            spread.step(3);
        }
        assert_eq!(had, [[1, 2], [1, 2], [1, 2]]);
        assert!(spread.current.is_empty() && spread.waiting.len() == 2);
    }

    /// Subscribers come and go between any two turns: each gets, once and in order, all that has
    /// come while it was there, but for what it goes without.
    #[test]
    fn who_comes_and_goes_moves_nobody_elses_turn() {
        let mut keys = slotmap::SlotMap::<PublicationKey, ()>::with_key();
        let key = keys.insert(());
        let epoch = std::time::Instant::now();
        for seed in 0..500_u64 {
            let mut draw = seed;
            let mut below = |bound: u64| {
                draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (draw >> 33) % bound
            };
            let mut spread = Spread::default();
            let mut count = 0;
            // What each had first, and what it has got.
            let mut subscribers: Vec<(u64, Vec<u64>)> = vec![(0, Vec::new()), (0, Vec::new())];
            for _ in 0..60 {
                match below(8) {
                    0 => {
                        spread.enter(key, subscribers.len());
                        subscribers.push((count, Vec::new()));
                    }
                    1 if subscribers.len() > 1 => {
                        let place = below(subscribers.len() as u64) as usize;
                        spread.leave(key, place, subscribers.len());
                        let (since, got) = subscribers.remove(place);
                        let all: Vec<u64> = (since + 1..).take(got.len()).collect();
                        assert_eq!(got, all, "seed {seed}");
                    }
                    2 | 3 => {
                        count += 1;
                        spread.waiting.push(waiting(epoch, key, count));
                    }
                    _ => turn(&mut spread, &mut subscribers),
                }
            }
            while !spread.is_empty() {
                turn(&mut spread, &mut subscribers);
            }
            for (since, got) in subscribers {
                let all: Vec<u64> = (since + 1..=count).collect();
                assert_eq!(got, all, "seed {seed}");
            }
        }
    }

    fn turn(spread: &mut Spread, subscribers: &mut [(u64, Vec<u64>)]) {
        if spread.current.is_empty() {
            spread.begin();
        }
        spread.join(subscribers.len());
        let count = subscribers.len();
        if let Some((since, got)) = subscribers.get_mut(spread.place) {
            got.extend(numbers(spread).into_iter().filter(|number| number > since));
            spread.step(count);
        }
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
            payload: Default::default(),
        };
        let incoming = Incoming {
            ssrc: 1,
            sequence,
            timestamp: 0,
            arrived,
            captured: None,
            entry: false,
        };
        Waiting::new(publication, MediaKind::Video, packet, incoming, 0)
    }
}
