//! What clients are told, and whether it is what is so.

use std::collections::{BTreeSet, VecDeque};

use parlor_core::{ClientId, Counters, EndReason, Event, MediaId, News};

use super::faults::Fault;
use super::life::Life;
use super::model::{Person, Seen, Spot, Stream, mute};
use crate::client::Received;

pub(super) type Owner = (ClientId, MediaId);

impl Life {
    /// Follows what the machine tells, and asserts that it tells only what can be.
    pub(super) fn hear(&mut self) {
        let mut events: Vec<_> = std::mem::take(&mut self.world.events)
            .into_iter()
            .enumerate()
            .collect();
        let joined = |(_, event): &(usize, Event)| matches!(event.news, News::Joined { .. });
        match self.fault {
            Some(Fault::Silence) => events.retain(|event| !joined(event)),
            Some(Fault::Echo) => {
                let times = |event| if joined(event) { 2 } else { 1 };
                let echoed = events.iter();
                let echoed = echoed.flat_map(|it| std::iter::repeat_n(it.clone(), times(it)));
                events = echoed.collect();
            }
            _ => {}
        }
        let mut log = VecDeque::from(std::mem::take(&mut self.world.front.log));
        for (at, Event { client, news }) in events {
            while let Some((_, when, said)) = log.pop_front_if(|(before, ..)| *before <= at) {
                self.follow(when, said);
            }
            let ClientId(id) = client;
            assert!(
                self.people.contains_key(&id),
                "news for one who is gone: {news:?}"
            );
            if let Some(at) = self
                .expected
                .iter()
                .position(|it| *it == (id, news.clone()))
            {
                self.expected.remove(at);
                self.note_muted(id, &news);
                if let News::Message { text, .. } = news
                    && Self::is_rtmp(id)
                {
                    self.person(id).heard.push(text);
                }
                continue;
            }
            self.hear_one(id, news);
        }
        for (_, when, said) in log {
            self.follow(when, said);
        }
        self.look();
        assert_eq!(self.expected, [], "what was to be told");
        for (at, packet) in std::mem::take(&mut self.world.sunk) {
            let owner = (packet.client, packet.media);
            self.sunk.entry(owner).or_default().push(Received {
                video: packet.kind == parlor_core::MediaKind::Video,
                sequence: packet.sequence,
                timestamp: packet.timestamp,
                marker: packet.marker,
                level: None,
                turned: false,
                payload: packet.payload,
                at,
                captured: packet.captured,
            });
        }
    }

    fn note_muted(&mut self, id: u64, news: &News) {
        if let News::Muted { media, kind, muted } = news {
            let stream = self.person(id).streams.get_mut(&media.0);
            mute(&mut stream.expect("is there").muted, *kind, *muted);
        }
    }

    fn hear_one(&mut self, id: u64, news: News) {
        let person = self.people.get_mut(&id).expect("is there");
        match news {
            News::Joined { room, identity } => {
                let seen = seen(person, Spot::of(&room));
                let before = seen.insert(identity.to_string(), BTreeSet::new());
                assert_eq!(before, None, "nobody comes twice");
            }
            News::Left { room, identity } => {
                let streams = seen(person, Spot::of(&room)).remove(identity.as_str());
                assert_eq!(
                    streams,
                    Some(BTreeSet::new()),
                    "streams end before their participant, who was there, as p{id} sees it"
                );
            }
            News::Published {
                room,
                identity,
                name,
            } => {
                let streams = seen(person, Spot::of(&room)).get_mut(identity.as_str());
                let Some(streams) = streams else {
                    unreachable!("{identity} publishes, who is not there as p{id} sees it")
                };
                assert!(streams.insert(name.to_string()), "{name} comes twice");
            }
            News::Unpublished {
                room,
                identity,
                name,
            } => {
                let streams = seen(person, Spot::of(&room)).get_mut(identity.as_str());
                assert!(streams.expect("is there").remove(name.as_str()));
            }
            News::Live { media } => {
                let stream = person.streams.get_mut(&media.0).expect("is there");
                assert!(!stream.live, "live once");
                stream.live = true;
                self.note(format_args!("{id} is live with {}", media.0));
            }
            News::Ended { media, reason } => {
                let stream = person.streams.remove(&media.0).expect("is there");
                self.note(format_args!("{id} has lost {}: {reason:?}", media.0));
                check_end(&stream, reason);
                if let Some(key) = stream.connection() {
                    self.world.clients[key].unplugged = true;
                }
            }
            News::Speaking { room, identity, .. } => {
                let known = person.identity == identity.as_str()
                    || seen(person, Spot::of(&room)).contains_key(identity.as_str());
                assert!(known, "{identity} speaks, who is not there");
            }
            News::CodecMismatch { media, .. } => {
                let stream = person.streams.get(&media.0).expect("is there");
                assert!(stream.plays.is_none());
            }
            News::Message { .. }
            | News::Answered { .. }
            | News::Replaced { .. }
            | News::Muted { .. }
            | News::Data { .. } => {
                unreachable!("nothing of the kind was to come: {news:?}")
            }
        }
    }

    /// Asserts that what everyone has been told is what is so.
    pub(super) fn compare(&self) {
        for (id, person) in &self.people {
            for (spot, stay) in &person.rooms {
                let others = self
                    .people
                    .iter()
                    .filter(|(other, it)| *other != id && it.rooms.contains_key(spot));
                let real = others.map(|(_, other)| {
                    let streams = other.streams.values();
                    let streams =
                        streams.filter(|it| it.spot == *spot && it.plays.is_none() && it.live);
                    let names = streams.map(|stream| stream.name.clone());
                    (other.identity.clone(), names.collect())
                });
                let real = real.collect::<Seen>();
                assert_eq!(stay.seen, real, "{} as p{id} sees it", spot.name());
            }
        }
        self.compare_streams();
    }

    fn compare_streams(&self) {
        let streams = || self.people.values().flat_map(|it| it.streams.values());
        for stream in streams() {
            let Some(publisher) = stream.plays else {
                continue;
            };
            let of = streams().find(|other| other.mark() == Some(publisher));
            let of = of.expect("whoever plays plays something");
            assert_eq!(of.spot, stream.spot, "it plays what is elsewhere");
            assert_eq!(of.muted, stream.muted, "what a player knows to be muted");
        }
        let counters = self.world.sfu.counters();
        let players = streams().filter(|stream| stream.plays.is_some()).count();
        let connections = streams().filter_map(Stream::connection).count();
        let stays: usize = self.people.values().map(|it| it.rooms.len()).sum();
        let of_all = |count: fn(&Counters) -> u64| -> u64 {
            self.world.machines().map(|it| count(&it.counters())).sum()
        };
        assert_eq!(of_all(|it| it.subscriptions), players as u64);
        assert_eq!(counters.publications, (streams().count() - players) as u64);
        assert_eq!(of_all(|it| it.peers), connections as u64);
        assert_eq!(counters.participants, stays as u64);
        let contained = of_all(|it| it.panics_contained);
        assert_eq!(contained, 0, "a library has failed");
    }
}

fn seen(person: &mut Person, spot: Spot) -> &mut Seen {
    let stay = person.rooms.get_mut(&spot);
    &mut stay.expect("news of a room that it is in").seen
}

/// Asserts that a stream may have ended for this reason.
fn check_end(stream: &Stream, reason: EndReason) {
    match reason {
        EndReason::PublisherStopped => assert!(stream.plays.is_some()),
        EndReason::Closed => assert!(stream.over, "it has not said goodbye: {stream:?}"),
        EndReason::ConnectTimeout | EndReason::ConsentExpired => {
            assert!(stream.troubled, "{reason:?} without a cause: {stream:?}");
        }
        EndReason::DtlsFailed | EndReason::Failed => unreachable!("{reason:?}: {stream:?}"),
    }
}
