//! One thread of the load: its streams, their sockets, and the exchanges that begin and end them.

use std::collections::{BTreeSet, VecDeque};
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use parlor_core::Seed;

use super::connection::Maker;
use super::endpoint::{Commons, Endpoint, Role, State};
use super::http::{self, Answer, Ask, Exchange};
use super::options::Options;
use super::player::Measures;
use super::process;
use super::report::{Outcome, Tally};
use crate::clock::Clock;
use crate::worker::udp::Receiver;

/// What all threads do at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Phase {
    /// Publishers begin.
    Publish,
    /// Players begin.
    Play,
    Measure,
    /// Publishers have stopped; what is on its way arrives.
    Drain,
    /// All streams are ended.
    Leave,
    /// Whatever is left is left.
    Quit,
}

const PHASES: [Phase; 6] = [
    Phase::Publish,
    Phase::Play,
    Phase::Measure,
    Phase::Drain,
    Phase::Leave,
    Phase::Quit,
];

/// What the threads share.
#[derive(Debug)]
pub(super) struct Shared {
    phase: AtomicU8,
    /// Packets that each publisher has sent, of sound and picture.
    sent: Vec<[AtomicU64; 2]>,
    tallies: Vec<Mutex<Tally>>,
}

impl Shared {
    pub(super) fn new(publishers: usize, threads: usize) -> Self {
        Self {
            phase: AtomicU8::new(Phase::Publish as u8),
            sent: (0..publishers).map(|_| Default::default()).collect(),
            tallies: (0..threads).map(|_| Mutex::default()).collect(),
        }
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    fn phase(&self) -> Phase {
        let number = self.phase.load(Ordering::Acquire);
        let phase = PHASES.into_iter().find(|phase| *phase as u8 == number);
        phase.unwrap_or(Phase::Quit)
    }

    fn sent(&self, publisher: usize) -> [u64; 2] {
        let counts = self.sent.get(publisher);
        counts.map_or([0; 2], |counts| {
            [0, 1].map(|kind: usize| counts[kind].load(Ordering::Relaxed))
        })
    }

    pub(super) fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        for tally in &self.tallies {
            sum.add(&tally.lock().unwrap_or_else(PoisonError::into_inner));
        }
        sum
    }
}

/// What a thread is told.
pub(super) struct Task {
    pub(super) number: usize,
    pub(super) options: Arc<Options>,
    pub(super) shared: Arc<Shared>,
    pub(super) server: SocketAddr,
    /// The address of this machine that the server is reached from.
    pub(super) local: IpAddr,
    pub(super) clock: Clock,
    pub(super) seed: Seed,
}

/// Tokens of exchanges begin here; below it are those of streams.
const EXCHANGES: usize = 1 << 32;
/// Longest time that a thread does not look at what the others do.
const LOOK: Duration = Duration::from_millis(20);
/// How long an exchange may take.
const EXCHANGE: Duration = Duration::from_secs(10);

struct Running {
    tcp: TcpStream,
    exchange: Exchange,
    endpoint: usize,
    path: String,
    creates: bool,
    expires: Instant,
}

pub(super) struct Reactor {
    task: Task,
    poll: Poll,
    receiver: Receiver,
    commons: Commons,
    endpoints: Vec<Endpoint>,
    exchanges: Vec<Option<Running>>,
    /// Streams that are to be begun or ended.
    waiting: VecDeque<usize>,
    deadlines: BTreeSet<(Instant, usize)>,
    phase: Phase,
    /// What publishers had sent when the measurement began.
    before: Vec<[u64; 2]>,
    outcome: Outcome,
}

impl Reactor {
    pub(super) fn new(task: Task) -> io::Result<Self> {
        let options = &task.options;
        let joins = options.joins.div_ceil(options.threads);
        Ok(Self {
            poll: Poll::new()?,
            receiver: Receiver::new(),
            commons: Commons {
                maker: Maker::new(&task.seed),
                measures: Measures::default(),
                pace: options.pace,
                publishing: true,
            },
            endpoints: Vec::new(),
            exchanges: (0..joins).map(|_| None).collect(),
            waiting: VecDeque::new(),
            deadlines: BTreeSet::new(),
            phase: Phase::Publish,
            before: Vec::new(),
            outcome: Outcome::default(),
            task,
        })
    }

    /// Runs until the streams have ended.
    pub(super) fn run(mut self) -> io::Result<Outcome> {
        let mut events = Events::with_capacity(1_024);
        let mut shown = self.task.clock.now();
        self.add(Role::Publisher, 1);
        loop {
            let timeout = self.timeout();
            match self.poll.poll(&mut events, Some(timeout)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                Ok(()) | Err(_) => {}
            }
            let now = self.task.clock.now();
            for event in &events {
                self.handle(now, event);
            }
            self.do_what_is_due(now);
            self.follow_phase();
            self.begin_exchanges(now);
            if now >= shown + LOOK {
                shown = now;
                self.show();
            }
            let idle = self.waiting.is_empty() && self.exchanges.iter().all(Option::is_none);
            if self.phase == Phase::Quit || (self.phase == Phase::Leave && idle) {
                return Ok(self.outcome);
            }
        }
    }

    /// Makes this thread's streams of a role, `each` for each publisher.
    fn add(&mut self, role: Role, each: usize) {
        let options = &self.task.options;
        let mine = (0..options.publishers * each)
            .filter(|number| number % options.threads == self.task.number);
        for number in mine {
            self.waiting.push_back(self.endpoints.len());
            // One player of each publisher after the other.
            self.endpoints
                .push(Endpoint::new(role, number % options.publishers));
        }
    }

    fn timeout(&self) -> Duration {
        let due = self.deadlines.first().map(|(at, _)| *at);
        let due = due.map_or(LOOK, |due| {
            due.saturating_duration_since(self.task.clock.now())
        });
        due.min(LOOK)
    }

    fn handle(&mut self, now: Instant, event: &Event) {
        let Token(token) = event.token();
        if let Some(slot) = token.checked_sub(EXCHANGES) {
            self.go_on(now, slot);
            return;
        }
        if let Some(endpoint) = self.endpoints.get_mut(token) {
            endpoint.read(now, &mut self.receiver, &mut self.commons);
            self.after(now, token);
        }
    }

    fn do_what_is_due(&mut self, now: Instant) {
        let mut budget = self.deadlines.len();
        while budget > 0
            && let Some((at, number)) = self.deadlines.first().copied()
            && at <= now
        {
            budget -= 1;
            self.deadlines.pop_first();
            if let Some(endpoint) = self.endpoints.get_mut(number) {
                endpoint.wake = None;
                endpoint.handle_timeout(now, &mut self.commons);
            }
            self.after(now, number);
        }
        for slot in 0..self.exchanges.len() {
            let running = self.exchanges.get(slot).and_then(Option::as_ref);
            if running.is_some_and(|running| running.expires <= now) {
                self.finish(now, slot, Err("no answer within 10 s".into()));
            }
        }
    }

    /// Notes what has become of a stream that was called.
    fn after(&mut self, now: Instant, number: usize) {
        let Some(endpoint) = self.endpoints.get_mut(number) else {
            return;
        };
        if endpoint.state != State::Ended
            && let Some(why) = endpoint.failure(now)
        {
            self.fail(number, &why);
            return;
        }
        if endpoint.role == Role::Publisher
            && let Some(counts) = self.task.shared.sent.get(endpoint.publisher)
        {
            let (sent, _) = endpoint.sent();
            for (count, sent) in counts.iter().zip(sent) {
                count.store(sent, Ordering::Relaxed);
            }
        }
        let due = endpoint.deadline(self.commons.publishing);
        if due != endpoint.wake {
            if let Some(wake) = endpoint.wake {
                self.deadlines.remove(&(wake, number));
            }
            self.deadlines.extend(due.map(|due| (due, number)));
            endpoint.wake = due;
        }
    }

    fn fail(&mut self, number: usize, why: &str) {
        let Some(endpoint) = self.endpoints.get_mut(number) else {
            return;
        };
        let who = match endpoint.role {
            Role::Publisher => "publishing",
            Role::Player => "playing",
        };
        self.outcome.tally.count_error(&format!("{who}: {why}"), 1);
        self.outcome.tally.failed += 1;
        if let Some(wake) = endpoint.wake.take() {
            self.deadlines.remove(&(wake, number));
        }
        endpoint.end();
    }

    fn follow_phase(&mut self) {
        let wanted = self.task.shared.phase();
        while self.phase < wanted {
            let next = PHASES.iter().find(|phase| **phase > self.phase);
            self.phase = next.copied().unwrap_or(Phase::Quit);
            match self.phase {
                Phase::Publish | Phase::Quit => {}
                Phase::Play => self.add(Role::Player, self.task.options.players),
                Phase::Measure => {
                    let publishers = 0..self.task.options.publishers;
                    let sent = publishers.map(|number| self.task.shared.sent(number));
                    self.before = sent.collect();
                    self.commons.measures.delays = Default::default();
                    self.endpoints
                        .iter_mut()
                        .for_each(Endpoint::begin_measuring);
                }
                Phase::Drain => self.commons.publishing = false,
                Phase::Leave => self.leave(),
            }
        }
    }

    /// Takes what was measured, and has all streams ended.
    fn leave(&mut self) {
        self.show();
        let players = self.endpoints.iter().filter(|one| one.role == Role::Player);
        for endpoint in players.filter(|one| one.times.connected.is_some()) {
            let before = self.before.get(endpoint.publisher).copied();
            let total = self.task.shared.sent(endpoint.publisher);
            let (expected, delivered) = endpoint.measured(before.unwrap_or(total), total);
            self.outcome.expected += expected;
            self.outcome.delivered += delivered;
            let since = |to: Option<Instant>| {
                let from = endpoint.times.began?;
                Some(to?.saturating_duration_since(from))
            };
            if let Some(answer) = since(endpoint.times.answered) {
                self.outcome.answers.record(answer);
            }
            let ready = endpoint.times.media.or(endpoint.times.connected);
            if let Some(join) = since(ready) {
                self.outcome.joins.record(join);
            }
        }
        self.outcome.delays = std::mem::take(&mut self.commons.measures.delays);
        let ports = self.endpoints.iter().map(|endpoint| endpoint.port);
        self.outcome.dropped_here = process::dropped_at(&ports.filter(|port| *port > 0).collect());
        self.deadlines.clear();
        let numbered = self.endpoints.iter_mut().enumerate();
        let there = numbered.filter(|(_, endpoint)| endpoint.location.is_some());
        // Players first: what they play ends with its publisher.
        self.waiting = there.map(|(number, _)| number).rev().collect();
        self.endpoints.iter_mut().for_each(Endpoint::end);
    }

    fn begin_exchanges(&mut self, now: Instant) {
        while let Some(slot) = self.exchanges.iter().position(Option::is_none)
            && let Some(number) = self.waiting.pop_front()
        {
            if let Err(why) = self.begin_exchange(now, slot, number) {
                self.fail(number, &why);
            }
        }
    }

    fn begin_exchange(&mut self, now: Instant, slot: usize, number: usize) -> Result<(), String> {
        let Some(endpoint) = self.endpoints.get_mut(number) else {
            return Ok(());
        };
        let Task {
            options,
            server,
            local,
            ..
        } = &self.task;
        let creates = self.phase < Phase::Leave;
        let (path, offer) = if creates {
            let offer = endpoint.offer(now, *local, options.offload, &mut self.commons)?;
            if let Some(socket) = &mut endpoint.socket {
                let registry = self.poll.registry();
                let registered = registry.register(socket, Token(number), Interest::READABLE);
                registered.map_err(|error| error.to_string())?;
            }
            (options.path(endpoint.role, endpoint.publisher), Some(offer))
        } else {
            (endpoint.location.take().unwrap_or_default(), None)
        };
        let exchange = Exchange::new(Ask {
            method: if creates { "POST" } else { "DELETE" },
            host: &options.host,
            path: &path,
            bearer: options.bearer.as_deref(),
            body: offer.as_deref(),
        });
        let mut tcp = TcpStream::connect(*server).map_err(|error| error.to_string())?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        registry
            .register(&mut tcp, Token(EXCHANGES + slot), interest)
            .map_err(|error| error.to_string())?;
        if let Some(place) = self.exchanges.get_mut(slot) {
            *place = Some(Running {
                tcp,
                exchange,
                endpoint: number,
                path,
                creates,
                expires: now + EXCHANGE,
            });
        }
        Ok(())
    }

    fn go_on(&mut self, now: Instant, slot: usize) {
        let Some(running) = self.exchanges.get_mut(slot).and_then(Option::as_mut) else {
            return;
        };
        match running.go_on() {
            Ok(None) => {}
            Ok(Some(answer)) => self.finish(now, slot, Ok(answer)),
            Err(why) => self.finish(now, slot, Err(why)),
        }
    }

    fn finish(&mut self, now: Instant, slot: usize, answer: Result<Answer, String>) {
        let Some(running) = self.exchanges.get_mut(slot).and_then(Option::take) else {
            return;
        };
        let number = running.endpoint;
        if !running.creates {
            return;
        }
        let accepted = answer.and_then(|answer| self.accept(now, &running, answer));
        match accepted {
            Ok(()) => self.after(now, number),
            Err(why) => self.fail(number, &why),
        }
    }

    fn accept(&mut self, now: Instant, running: &Running, answer: Answer) -> Result<(), String> {
        let Some(endpoint) = self.endpoints.get_mut(running.endpoint) else {
            return Ok(());
        };
        if answer.status != 201 && answer.status != 200 {
            return Err(refusal(&answer));
        }
        let location = answer.location.as_deref();
        endpoint.location = location.map(|location| http::resolve(&running.path, location));
        endpoint.accept(now, &answer.body, &mut self.commons)
    }

    /// Shows what has been counted.
    fn show(&mut self) {
        if self.phase > Phase::Leave {
            return;
        }
        let tally = &mut self.outcome.tally;
        let players = || self.endpoints.iter().filter(|one| one.role == Role::Player);
        let publishers = self
            .endpoints
            .iter()
            .filter(|one| one.role == Role::Publisher);
        let live = publishers
            .clone()
            .filter(|one| one.state == State::Connected);
        let sent = publishers.map(Endpoint::sent);
        // Streams that have ended in good order count as they were.
        if self.phase < Phase::Leave || !self.endpoints.iter().all(|one| one.state == State::Ended)
        {
            tally.publishers_live = live.count();
            tally.players_joined = players().filter(|one| one.times.answered.is_some()).count();
            let connected = players().filter(|one| one.times.connected.is_some());
            tally.players_connected = connected.count();
            tally.players_with_media = players().filter(|one| one.times.media.is_some()).count();
        }
        (tally.sent, tally.left_out) = sent.fold((0, 0), |(all, late), (sent, left_out)| {
            (all + sent[0] + sent[1], late + left_out)
        });
        tally.received = self.commons.measures.received;
        if let Some(shown) = self.task.shared.tallies.get(self.task.number) {
            *shown.lock().unwrap_or_else(PoisonError::into_inner) = tally.clone();
        }
    }
}

impl Running {
    /// Writes and reads what goes.
    fn go_on(&mut self) -> Result<Option<Answer>, String> {
        let said = |error: &io::Error| format!("no connection to the server: {error}");
        if let Some(error) = self.tcp.take_error().ok().flatten() {
            return Err(said(&error));
        }
        while !self.exchange.to_write().is_empty() {
            match self.tcp.write(self.exchange.to_write()) {
                Ok(count) => self.exchange.wrote(count),
                Err(error) if is_later(&error) => break,
                Err(error) => return Err(said(&error)),
            }
        }
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.tcp.read(&mut buffer) {
                Ok(0) => return self.exchange.end().map(Some),
                Ok(count) => {
                    let answer = self.exchange.read(&buffer[..count])?;
                    if answer.is_some() {
                        return Ok(answer);
                    }
                }
                Err(error) if is_later(&error) => return Ok(None),
                Err(error) => return Err(said(&error)),
            }
        }
    }
}

fn is_later(error: &io::Error) -> bool {
    let kinds = [
        io::ErrorKind::WouldBlock,
        io::ErrorKind::NotConnected,
        io::ErrorKind::Interrupted,
    ];
    kinds.contains(&error.kind())
}

/// What a server's refusal means.
fn refusal(answer: &Answer) -> String {
    let hint = match answer.status {
        401 | 403 => "the server wants another --bearer token",
        404 => "there is nothing at this path; --whip and --whep say where a server has them",
        405 => "the server knows no WHIP or WHEP at this path",
        406 | 415 | 422 => "the server takes neither H.264 nor Opus as they are offered",
        409 => "the name is taken: another load runs, or --prefix is needed",
        429 | 503 => "the server has reached a limit",
        300..=399 => "the server sends elsewhere, which is not followed",
        _ => "the server refuses",
    };
    let said: String = answer.body.trim().chars().take(200).collect();
    match said.is_empty() {
        true => format!("{}, {hint}", answer.status),
        false => format!("{}, {hint} ({said:?})", answer.status),
    }
}
