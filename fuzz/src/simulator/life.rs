//! The life of a world: steps with faults, healing, the end.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use parlor_core::{ClientId, Config, Limits, News, Team, limits};
use parlor_journal::{Cut, Ending, Reader, Record, Replay};

use super::draw::Draw;
use super::faults::Fault;
use super::model::{Person, Playing, Published, Spot, Sunk};
use super::options::{Kind, Options, Plan, Step};
use super::rtmp::{Cast, Cause};
use super::screens::Screen;
use super::{Outcome, checks};
use crate::network::{Bursts, Network};
use crate::world::World;

/// What happened lately, for the report of a failure.
const TRAIL: usize = 100;
/// When everybody has pictures again, once the network is as it should be.
const HEALED: Duration = Duration::from_secs(5);
/// When whoever has not connected by then has been given up.
const SETTLED: Duration = Duration::from_secs(17);
/// How long it is then looked at that nothing is lost.
const LOSSLESS: Duration = Duration::from_secs(2);
/// Time after which nothing is left of those who have gone.
const AFTERMATH: Duration = Duration::from_secs(20);

pub(super) struct Life {
    pub(super) world: World,
    pub(super) options: Options,
    pub(super) fault: Option<Fault>,
    pub(super) people: BTreeMap<u64, Person>,
    /// The number of the next client.
    pub(super) next: u64,
    /// All subscriptions that there ever were.
    pub(super) playing: Vec<Playing>,
    /// All publications that there ever were, by their marks.
    pub(super) published: BTreeMap<u32, Published>,
    pub(super) sunk: Sunk,
    /// News that must come, with their clients.
    pub(super) expected: Vec<(u64, News)>,
    /// Encoders by RTMP so far.
    pub(super) cameras: u32,
    /// Room clients by RTMP that have just connected, with the room that they enter then.
    pub(super) enters: BTreeMap<ClientId, Spot>,
    /// What may be said of each connection by RTMP.
    pub(super) causes: BTreeMap<ClientId, Cause>,
    /// Which broadcast has which stream, and the mark of what it plays: whoever comes to one that
    /// has just ended gets what is left of it.
    pub(super) casts: BTreeMap<Cast, (ClientId, u32)>,
    /// What each player by RTMP has got.
    pub(super) screens: BTreeMap<ClientId, Screen>,
    /// Pictures that players by RTMP have got.
    pub(super) screened: u64,
    /// The network is not as it should be, or was not when what is on its way was sent.
    pub(super) rough: bool,
    pub(super) begun: Instant,
    pub(super) trail: VecDeque<String>,
}

impl Life {
    pub(super) fn new(seed: u64, base: Instant, options: &Options, fault: Option<Fault>) -> Self {
        let config = Config {
            ice_timeout: options.ice_timeout,
            team: options
                .relay_after
                .map_or_else(Team::default, |relay_after| Team {
                    size: 2,
                    relay_after,
                    ..Team::default()
                }),
            limits: Limits {
                transmit_bytes: options.part.unwrap_or(limits::TRANSMIT_BYTES),
                ..Limits::default()
            },
            ..Config::default()
        };
        let people = (1..=options.people as u64).map(|id| (id, Person::new(format!("p{id}"))));
        let mut world = World::recorded(seed, base, config);
        world.turn = options.turn;
        world.parts = options.part.is_some();
        world.front.config.takeover = options.takeover;
        world.offers_g711 = options.g711;
        if options.unnamed {
            world.edit_offer = Some(crate::without_sources);
        }
        Self {
            world,
            options: options.clone(),
            fault,
            people: people.collect(),
            next: options.people as u64 + 1,
            playing: Vec::new(),
            published: BTreeMap::new(),
            sunk: BTreeMap::new(),
            expected: Vec::new(),
            cameras: 0,
            enters: BTreeMap::new(),
            causes: BTreeMap::new(),
            casts: BTreeMap::new(),
            screens: BTreeMap::new(),
            screened: 0,
            rough: false,
            begun: base,
            trail: VecDeque::new(),
        }
    }

    pub(super) fn live(&mut self, plan: &Plan, steps: &[usize]) -> Outcome {
        for index in steps {
            let step = plan.0[*index];
            self.note(format_args!("step {index}: {:?}", step.kind));
            self.step(step);
            self.pass(step.pause);
        }
        self.heal();
        self.end();
        Outcome {
            digest: self.world.digest(),
            forwarded: self
                .world
                .machines()
                .map(|it| it.counters().forwarded)
                .sum(),
            relayed: self.world.sfu.counters().relayed,
            pictures: checks::pictures(&self.world),
            screened: self.screened,
            brought: self
                .world
                .front
                .brought
                .values()
                .flatten()
                .map(BTreeMap::len)
                .sum::<usize>() as u64,
        }
    }

    pub(super) fn note(&mut self, what: std::fmt::Arguments<'_>) {
        let at = self.world.now.duration_since(self.begun).as_secs_f64();
        if self.trail.len() == TRAIL {
            self.trail.pop_front();
        }
        self.trail.push_back(format!("{at:9.3} {what}"));
    }

    fn step(&mut self, Step { kind, seed, .. }: Step) {
        let mut draw = Draw::new(seed);
        let draw = &mut draw;
        let id = self.someone(draw);
        match kind {
            Kind::Join => self.join(id, draw),
            Kind::Publish => self.publish(id, draw),
            Kind::Play => self.play(id, draw),
            Kind::Watch => self.watch(id, draw),
            Kind::Ingest => self.ingest(id, draw),
            Kind::Sink => self.sink(id, draw),
            Kind::Republish => self.republish(id, draw),
            Kind::Stop => self.stop(id, draw),
            Kind::Leave => self.leave(id, draw),
            Kind::Disconnect => self.disconnect(id),
            Kind::Crash => self.crash(id, draw),
            Kind::Resume => self.resume(draw),
            Kind::Cut => self.cut(id, draw),
            Kind::Mend => self.mend(id),
            Kind::Goodbye => self.goodbye(id, draw),
            Kind::Rebind => self.rebind(id, draw),
            Kind::Switch if self.options.unnamed => self.switch(id, draw),
            Kind::Switch => {}
            Kind::LoseKeyframe => self.lose_keyframe(id, draw),
            Kind::Mute => self.mute(id, draw),
            Kind::Speak => self.speak(id, draw),
            Kind::Say => self.say(id, draw),
            Kind::Data => self.data(id, draw),
            Kind::Stall => self.stall(draw),
            Kind::Weather => self.weather(draw),
            Kind::DialEncoder => self.dial_encoder(draw),
            Kind::DialPlayer => self.dial_player(draw),
            Kind::HangUp => self.hang_up(draw),
            Kind::CutLine => self.cut_line(draw),
            Kind::Vanish => self.vanish(draw),
            Kind::StallLine => self.stall_line(draw),
            Kind::Jump => self.jump(draw),
            Kind::Breach => self.breach(draw),
            Kind::DialRoomClient => self.dial_room_client(draw),
            Kind::RoomClientActs => self.room_client_acts(draw),
        }
        self.hear();
        self.compare();
    }

    /// Somebody who is not gone.
    fn someone(&self, draw: &mut Draw) -> u64 {
        let here = self
            .people
            .iter()
            .filter(|(id, it)| it.noticed.is_none() && !Self::is_rtmp(**id));
        let here: Vec<u64> = here.map(|(id, _)| *id).collect();
        draw.of(&here)
    }

    /// Lets time pass, and those be noticed meanwhile who are gone.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.world.now + time;
        loop {
            let noticed = self
                .people
                .iter()
                .filter_map(|(id, it)| Some((it.noticed?, *id)));
            let noticed = noticed.min().filter(|(at, _)| *at <= end);
            let until = noticed.map_or(end, |(at, _)| at);
            if self.fault == Some(Fault::Spin) {
                self.world.step_limit = 10;
            }
            self.world
                .run_for(until.saturating_duration_since(self.world.now));
            self.hear();
            self.compare();
            self.enter_rooms();
            match noticed {
                Some((_, id)) => self.disconnect(id),
                None => return,
            }
            self.hear();
        }
    }

    fn weather(&mut self, draw: &mut Draw) {
        let allowed = self.options.weather;
        let mut network = Network {
            latency: Duration::from_millis(1 + draw.below(80) as u64),
            ..Network::default()
        };
        if allowed.jitter {
            network.jitter = Duration::from_millis(draw.of(&[0, 5, 30]));
        }
        if allowed.loss {
            network.loss = draw.of(&[0, 10, 50, 150]);
        }
        if allowed.duplication {
            network.duplication = draw.of(&[0, 20, 200]);
        }
        if allowed.bursts && draw.once_in(2) {
            network.bursts = Some(Bursts {
                begin: draw.of(&[2, 10, 30]),
                end: draw.of(&[20, 100, 300]),
            });
        }
        if allowed.rate && draw.once_in(2) {
            network.rate = Some(draw.of(&[20_000, 60_000, 200_000]));
        }
        self.world.relay_is_full = draw.once_in(4);
        let full = self.world.relay_is_full;
        self.note(format_args!(
            "{network:?}, the queue between machines is full: {full}"
        ));
        self.world.network = network;
        self.trouble_all();
    }

    /// Nobody can be blamed for what is lost from here on.
    fn trouble_all(&mut self) {
        self.rough = true;
        for person in self.people.values_mut() {
            for stream in person.streams.values_mut() {
                stream.troubled = true;
            }
        }
        for cause in self.causes.values_mut() {
            cause.troubled = true;
        }
    }

    /// The faults end: everybody has pictures again in time, and then nothing is lost.
    fn heal(&mut self) {
        self.note(format_args!("the faults end"));
        self.world.network = Network::default();
        self.world.relay_is_full = false;
        self.world.heal_front();
        self.hear();
        for client in &mut self.world.clients {
            client.cut = false;
        }
        for encoder in self.world.encoders.values_mut() {
            encoder.stalled = false;
        }
        let gone = self.people.iter().filter(|(_, it)| it.noticed.is_some());
        for id in gone.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.disconnect(id);
            self.hear();
        }
        let connected = self.shown_streams();
        let screens = self.screens_on();
        let numbers = self.numbers();
        self.late_players();
        let late = self.late_screens();
        self.pass(HEALED);
        self.check_pictures(&connected, &numbers);
        self.check_screens(&screens, &numbers);
        self.check_late(&late);
        // The key frame that these have begun with is too old for others, and nobody else asks.
        let late = self.late_screens();
        self.pass(HEALED);
        self.check_late(&late);
        self.pass(SETTLED - HEALED);
        self.end_failed();
        self.check_settled();
        self.check_lines();
        self.forget_received();
        let from = self.world.now + Duration::from_millis(500);
        let screens = self.screen_counts();
        self.pass(LOSSLESS);
        self.check_screens_lossless(&screens, LOSSLESS);
        self.check_room_clients();
        self.plant();
        self.check_lossless(from);
        self.check_received();
    }

    /// All leave, and nothing is left of them.
    fn end(&mut self) {
        self.note(format_args!("all leave"));
        self.cut_lines();
        let mut ids: Vec<u64> = self.people.keys().copied().collect();
        if self.fault == Some(Fault::Keep) {
            let here = |id: &u64| {
                let person = &self.people[id];
                !person.rooms.is_empty() || !person.streams.is_empty()
            };
            let kept = ids.iter().position(here);
            ids.remove(kept.unwrap_or(0));
        }
        for id in ids {
            self.disconnect(id);
            self.hear();
        }
        self.world.run_for(Duration::ZERO);
        self.hear();
        self.check_empty();
        for client in &mut self.world.clients {
            client.unplugged = true;
        }
        self.world.run_for(AFTERMATH);
        self.check_empty();
        for machine in self.world.machines() {
            let contained = machine.counters().panics_contained;
            assert_eq!(contained, 0, "a library has failed");
        }
        self.check_journals();
    }

    fn check_empty(&self) {
        for machine in self.world.machines() {
            machine.check_empty();
        }
        assert!(self.world.front.is_empty(), "something of RTMP is left");
    }

    fn check_journals(&mut self) {
        let mut journal = self.world.journal();
        if self.fault == Some(Fault::Forget) {
            forget_a_request(&mut journal);
        }
        self.check_journal(&journal);
        if let Some(journal) = self.world.second_journal() {
            self.check_journal(&journal);
        }
    }

    /// Asserts that a replay of all that went in puts out the same.
    fn check_journal(&self, journal: &[u8]) {
        let replay = Replay::new(journal, self.begun);
        let mut replay = replay.expect("a journal");
        let mut happened = Vec::new();
        while replay.step(&mut happened).expect("it is in memory") {
            happened.clear();
        }
        let first = replay.differences().first();
        assert_eq!(first, None, "the journal does not verify");
        assert_eq!(replay.ending(), Some(Ending::Cut(Cut::Stopped)));
    }
}

/// Takes the second request out of a journal.
fn forget_a_request(journal: &mut Vec<u8>) {
    let (mut reader, _) = Reader::new(journal.as_slice()).expect("a journal");
    let mut requests = 0;
    let mut range = None;
    while let Some(entry) = reader.next().expect("it is in memory") {
        let at = entry.offset as usize;
        match range {
            None => {
                requests += usize::from(matches!(entry.record, Record::Request { .. }));
                if requests == 2 {
                    range = Some((at, at));
                }
            }
            Some((begin, end)) if begin == end => range = Some((begin, at)),
            Some(_) => break,
        }
    }
    let (begin, end) = range.expect("two have asked");
    journal.drain(begin..end);
}
