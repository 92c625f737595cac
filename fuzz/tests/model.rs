//! People come and go at random over a bad network, and a small model says who must hear whom.

#![allow(clippy::expect_used, reason = "a broken expectation fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use parlor_core::simulation::Randomness;
use parlor_core::{
    ClientId, Config, EndReason, Event, MediaId, News, Reply, Request, RequestError, RoomName,
    Seed, epoch,
};
use parlor_fuzz::{ClientKey, Kinds, Network, Received, World, mark_of};

const SECOND: Duration = Duration::from_secs(1);
/// The rooms; the last place is outside of rooms.
const PLACES: [&str; 3] = ["red", "blue", ""];
/// Clients at the same time.
const CLIENTS: usize = 5;
/// Operations of a run.
const OPERATIONS: u32 = 150;

/// A stream as the model knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stream {
    place: &'static str,
    name: String,
    connection: ClientKey,
    /// What it plays; `None` for a publication.
    plays: Option<ClientKey>,
    live: bool,
    /// Its network is gone, perhaps for ever.
    cut: bool,
}

/// What one client has been told of a room: the others and their streams.
type Seen = BTreeMap<String, BTreeSet<String>>;

#[derive(Debug, Default)]
struct Person {
    streams: BTreeMap<u32, Stream>,
    rooms: BTreeMap<&'static str, Seen>,
    next: u32,
}

impl Person {
    fn seen(&mut self, room: &RoomName) -> &mut Seen {
        let seen = self.rooms.get_mut(room.as_str());
        seen.expect("news of a room that it is in")
    }
}

struct Model {
    world: World,
    randomness: Randomness,
    people: BTreeMap<u64, Person>,
    next_person: u64,
    /// The connections of players, each with the publisher's that it plays.
    players: Vec<(ClientKey, ClientKey)>,
}

impl Model {
    fn new(seed: u64) -> Self {
        let mut bytes = [0x33; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let base = epoch::base(Instant::now());
        let config = Config {
            ice_timeout: 6 * SECOND,
            ..Config::default()
        };
        Self {
            world: World::new(seed, base, config).without_digest(),
            randomness: Randomness::new(&Seed(bytes)),
            people: (1..=CLIENTS as u64)
                .map(|id| (id, Person::default()))
                .collect(),
            next_person: CLIENTS as u64 + 1,
            players: Vec::new(),
        }
    }

    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        (self.randomness.u64() % end as u64) as usize
    }

    fn someone(&mut self) -> u64 {
        let at = self.below(self.people.len());
        *self.people.keys().nth(at).expect("people are there")
    }

    fn person(&mut self, id: u64) -> &mut Person {
        self.people.get_mut(&id).expect("is there")
    }

    fn publisher(&self, place: &str, name: &str) -> Option<(u64, ClientKey)> {
        self.people.iter().find_map(|(id, person)| {
            let mut streams = person.streams.values();
            let stream = streams.find(|stream| {
                stream.plays.is_none() && stream.place == place && stream.name == name
            })?;
            Some((*id, stream.connection))
        })
    }

    fn operate(&mut self) {
        let id = self.someone();
        let mut place = PLACES[self.below(PLACES.len())];
        if !self.may_act(id, place) && self.below(4) > 0 {
            // Mostly they know better than to act where they are not.
            self.join(id, place);
            place = PLACES[self.below(PLACES.len())];
        }
        match self.below(20) {
            0..=3 => self.join(id, place),
            4..=7 => self.publish(id, place),
            8..=12 => self.play(id, place),
            13 => self.stop(id),
            14 => self.leave(id, place),
            15 => self.disconnect(id),
            16 => self.cut(id, true),
            17 => self.cut(id, false),
            18 => self.goodbye(id),
            _ => self.weather(),
        }
        self.hear();
    }

    fn join(&mut self, id: u64, place: &'static str) {
        if place.is_empty() {
            return;
        }
        let reply = self.world.join(id, place, &format!("p{id}"));
        if self.person(id).rooms.contains_key(place) {
            assert_eq!(reply, Err(RequestError::AlreadyJoined));
            return;
        }
        let Ok(Reply::Joined { members, .. }) = reply else {
            unreachable!("{reply:?}")
        };
        let seen = members.into_iter().map(|member| {
            let streams = member.publications.iter().map(ToString::to_string);
            (member.identity.to_string(), streams.collect())
        });
        let seen = seen.collect();
        self.person(id).rooms.insert(place, seen);
    }

    fn leave(&mut self, id: u64, place: &'static str) {
        let Ok(room) = RoomName::new(place) else {
            return;
        };
        let reply = self.world.request(id, Request::Leave { room });
        let was_there = self.person(id).rooms.remove(place).is_some();
        assert_eq!(reply.is_ok(), was_there, "{reply:?}");
        self.forget(id, |stream| stream.place == place);
    }

    fn disconnect(&mut self, id: u64) {
        self.world.request(id, Request::Disconnect).expect("goes");
        self.forget(id, |_| true);
        self.people.remove(&id);
        self.people.insert(self.next_person, Person::default());
        self.next_person += 1;
    }

    /// Forgets streams of a client, which end with it for their players, too.
    fn forget(&mut self, id: u64, which: impl Fn(&Stream) -> bool) {
        let person = self.person(id);
        let ended = person.streams.extract_if(.., |_, stream| which(stream));
        let ended: Vec<Stream> = ended.map(|(_, stream)| stream).collect();
        for stream in ended {
            // Some go on sending for a while to whom nobody listens.
            self.world.clients[stream.connection].unplugged = stream.connection % 3 != 0;
        }
    }

    fn publish(&mut self, id: u64, place: &'static str) {
        let name = format!("s{}", self.below(6));
        let kinds = [Kinds::BOTH, Kinds::AUDIO, Kinds::VIDEO][self.below(3)];
        let media = self.media(id);
        let reply = self.world.publish(id, media, place, &name, kinds);
        let wanted = if !self.may_act(id, place) {
            Err(RequestError::NotInRoom)
        } else if self.count(id, false) >= 8 {
            return assert!(reply.is_err());
        } else if self.publisher(place, &name).is_some() {
            Err(RequestError::PublicationNameInUse)
        } else {
            Ok(())
        };
        assert_eq!(reply.clone().map(drop), wanted);
        if let Ok(connection) = reply {
            self.begin(id, media, place, name, connection, None);
        }
    }

    fn play(&mut self, id: u64, place: &'static str) {
        let (mut place, mut name) = (place, format!("s{}", self.below(6)));
        let streams = self
            .people
            .values()
            .flat_map(|person| person.streams.values());
        let there: Vec<_> = streams
            .filter(|stream| stream.plays.is_none() && self.may_act(id, stream.place))
            .map(|stream| (stream.place, stream.name.clone()))
            .collect();
        if !there.is_empty() && self.below(5) > 0 {
            (place, name) = there[self.below(there.len())].clone();
        }
        let media = self.media(id);
        let target = self.publisher(place, &name);
        let reply = self.world.play(id, media, place, &name, Kinds::BOTH);
        let wanted = match target {
            _ if !self.may_act(id, place) => Err(RequestError::NotInRoom),
            None => Err(RequestError::NoSuchPublication),
            Some(_) => Ok(()),
        };
        assert_eq!(reply.clone().map(drop), wanted);
        if let (Ok(connection), Some((_, publisher))) = (reply, target) {
            self.players.push((connection, publisher));
            self.begin(id, media, place, name, connection, Some(publisher));
        }
    }

    fn begin(
        &mut self,
        id: u64,
        media: u32,
        place: &'static str,
        name: String,
        connection: ClientKey,
        plays: Option<ClientKey>,
    ) {
        let stream = Stream {
            place,
            name,
            connection,
            plays,
            live: false,
            cut: false,
        };
        self.person(id).streams.insert(media, stream);
    }

    fn media(&mut self, id: u64) -> u32 {
        let person = self.person(id);
        person.next += 1;
        person.next
    }

    fn may_act(&self, id: u64, place: &str) -> bool {
        place.is_empty() || self.people[&id].rooms.contains_key(place)
    }

    fn count(&self, id: u64, plays: bool) -> usize {
        let streams = self.people[&id].streams.values();
        streams
            .filter(|stream| stream.plays.is_some() == plays)
            .count()
    }

    /// One of the client's streams.
    fn some_stream(&mut self, id: u64) -> Option<(u32, Stream)> {
        let count = self.person(id).streams.len();
        let at = self.below(count.max(1));
        let stream = self.person(id).streams.iter().nth(at)?;
        Some((*stream.0, stream.1.clone()))
    }

    fn stop(&mut self, id: u64) {
        let Some((media, stream)) = self.some_stream(id) else {
            return;
        };
        let stop = Request::Stop {
            media: MediaId(media),
        };
        self.world.request(id, stop).expect("is there");
        self.forget(id, |other| *other == stream);
    }

    fn cut(&mut self, id: u64, cut: bool) {
        let Some((media, stream)) = self.some_stream(id) else {
            return;
        };
        self.world.clients[stream.connection].unplugged = cut;
        if let Some(stream) = self.person(id).streams.get_mut(&media) {
            stream.cut = cut;
        }
    }

    fn goodbye(&mut self, id: u64) {
        if let Some((media, stream)) = self.some_stream(id) {
            self.world.clients[stream.connection].close();
            if let Some(stream) = self.person(id).streams.get_mut(&media) {
                stream.cut = true;
            }
        }
    }

    fn weather(&mut self) {
        self.world.network = Network {
            latency: Duration::from_millis(1 + self.below(60) as u64),
            jitter: Duration::from_millis(self.below(15) as u64),
            loss: [0, 0, 10, 50, 150][self.below(5)],
        };
    }

    /// Follows what the machine tells, and asserts that it tells only what can be.
    fn hear(&mut self) {
        for Event { client, news } in std::mem::take(&mut self.world.events) {
            let ClientId(id) = client;
            assert!(
                self.people.contains_key(&id),
                "news for one who is gone: {news:?}"
            );
            self.hear_one(id, news);
        }
    }

    fn hear_one(&mut self, id: u64, news: News) {
        let person = self.people.get_mut(&id).expect("is there");
        match news {
            News::Joined { room, identity } => {
                let before = person
                    .seen(&room)
                    .insert(identity.to_string(), BTreeSet::new());
                assert_eq!(before, None, "nobody comes twice");
            }
            News::Left { room, identity } => {
                let streams = person.seen(&room).remove(identity.as_str());
                assert_eq!(
                    streams,
                    Some(BTreeSet::new()),
                    "streams end before their participant"
                );
            }
            News::Published {
                room,
                identity,
                name,
            } => {
                let streams = person
                    .seen(&room)
                    .get_mut(identity.as_str())
                    .expect("is there");
                assert!(streams.insert(name.to_string()));
            }
            News::Unpublished {
                room,
                identity,
                name,
            } => {
                let streams = person
                    .seen(&room)
                    .get_mut(identity.as_str())
                    .expect("is there");
                assert!(streams.remove(name.as_str()));
            }
            News::Live {
                media: MediaId(media),
            } => {
                let stream = person.streams.get_mut(&media).expect("is there");
                assert!(!stream.live, "live once");
                stream.live = true;
            }
            News::Ended {
                media: MediaId(media),
                reason,
            } => {
                let stream = person.streams.remove(&media).expect("is there");
                assert!(stream.plays.is_some() || reason != EndReason::PublisherStopped);
                self.world.clients[stream.connection].unplugged = true;
            }
            News::Speaking { .. } | News::Muted { .. } | News::Data { .. } => {}
            News::Message { .. } | News::Replaced { .. } | News::CodecMismatch { .. } => {
                unreachable!("nothing of the kind was asked for: {news:?}")
            }
        }
    }

    /// Asserts that what everyone has been told of the rooms is what is so.
    fn compare(&self) {
        for (id, person) in &self.people {
            for (place, seen) in &person.rooms {
                let others = self
                    .people
                    .iter()
                    .filter(|(other, person)| *other != id && person.rooms.contains_key(place));
                let real = others.map(|(other, person)| {
                    let streams = person.streams.values();
                    let streams = streams.filter(|stream| {
                        stream.place == *place && stream.plays.is_none() && stream.live
                    });
                    let names = streams.map(|stream| stream.name.clone());
                    (format!("p{other}"), names.collect())
                });
                assert_eq!(*seen, real.collect::<Seen>(), "{place} as p{id} sees it");
            }
        }
        let streams = || {
            self.people
                .values()
                .flat_map(|person| person.streams.values())
        };
        let counters = self.world.sfu.counters();
        let players = streams().filter(|stream| stream.plays.is_some()).count();
        assert_eq!(counters.subscriptions, players as u64);
        assert_eq!(counters.publications, (streams().count() - players) as u64);
    }

    /// Asserts of every player's connection that what it got is one stream, of the one publisher.
    fn check_received(&self) {
        for (player, publisher) in &self.players {
            for video in [false, true] {
                check_stream(&self.world.clients[*player].received(video), *publisher);
            }
        }
    }

    /// Heals the network, lets those who can come back, and asserts that all who play hear.
    fn heal(&mut self) {
        self.world.network = Network::default();
        self.world.run_for(25 * SECOND);
        self.hear();
        self.compare();
        for client in &mut self.world.clients {
            client.received.clear();
        }
        self.world.run_for(2 * SECOND);
        let streams = self
            .people
            .values()
            .flat_map(|person| person.streams.values());
        for stream in streams {
            assert!(stream.live && !stream.cut, "would have ended: {stream:?}");
            if stream.plays.is_some() {
                let received = self.world.clients[stream.connection].received.len();
                assert!(
                    received > 90,
                    "{received} packets in two seconds: {stream:?}"
                );
            }
        }
    }
}

fn check_stream(packets: &[&Received], publisher: ClientKey) {
    let mut marked: Vec<(u64, u32, u32)> = Vec::new();
    for packet in packets {
        if let Some((mark, number)) = mark_of(&packet.payload) {
            assert_eq!(
                mark as ClientKey, publisher,
                "a packet of another publication"
            );
            marked.push((packet.sequence, packet.timestamp, number));
        }
    }
    marked.sort_unstable();
    if let Some((first, ..)) = marked.first() {
        assert!(*first < 65_536, "the first packet is in the first rollover");
    }
    for pair in marked.windows(2) {
        let ((s0, t0, n0), (s1, t1, n1)) = (pair[0], pair[1]);
        assert!(s0 < s1, "no number twice");
        assert!(n0 <= n1, "numbers grow with what they number");
        assert!(u64::from(n1 - n0) <= s1 - s0, "no number is skipped");
        assert_eq!(n0 == n1, t0 == t1, "a picture has one time");
    }
}

fn run(seed: u64) {
    let mut model = Model::new(seed);
    for _ in 0..OPERATIONS {
        model.operate();
        let pause = [5, 60, 300, 1_000, 2_500][model.below(5)];
        model.world.run_for(Duration::from_millis(pause));
        model.hear();
        model.compare();
    }
    model.check_received();
    model.heal();
    model.check_received();
    let ids: Vec<u64> = model.people.keys().copied().collect();
    for id in ids {
        model.disconnect(id);
        model.hear();
    }
    model.world.sfu.check();
    let counters = model.world.sfu.counters();
    assert_eq!((counters.rooms, counters.participants), (0, 0));
    assert_eq!((counters.publications, counters.subscriptions), (0, 0));
    assert_eq!(
        model.world.sfu.poll_timeout(),
        None,
        "nothing is left to do"
    );
    assert!(counters.forwarded > 1_000, "it was a lively time");
}

/// Seeds from here on, if set, in place of the few committed ones: to search.
const SEARCH: &str = "PARLOR_MODEL_SEEDS";

#[test]
fn everyone_hears_whom_they_play_and_nobody_else() {
    let seeds = std::env::var(SEARCH).ok().and_then(|text| {
        let (first, last) = text.split_once("..")?;
        Some(first.parse().ok()?..last.parse().ok()?)
    });
    for seed in seeds.unwrap_or(1..7) {
        eprintln!("seed {seed}");
        run(seed);
    }
}
