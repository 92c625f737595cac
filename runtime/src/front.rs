//! The front: listeners, TLS, and the clients' conversations. It sees no media.

mod client;
mod conversation;
mod counters;
mod crowd;
mod links;
mod listeners;
mod refusals;
mod resources;
mod rtmp;
mod socket;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};
use parlor_core::{ClientId, RequestError};
use parlor_rtmp::{Broadcasts, Names};
use parlor_signalling::{Action, PageRequest, PageResponse, whip};

use crate::clock::Clock;
use crate::codec::Codecs;
use crate::histogram::Histogram;
use crate::limits;
use crate::link::{FrontEnd, Scores, ToFront};
use crate::pages::{self, Pages};
use crate::tls::Tls;
use client::{Client, Fault};
use conversation::Wanted;
pub(crate) use conversation::{Configs, Speaks};
use counters::{FrontCounters, Sizes};
use crowd::Crowd;
pub(crate) use crowd::Origins;
use links::Links;
pub use links::WorkerDied;
use listeners::Accepted;
pub(crate) use listeners::{Listener, Listeners};
use refusals::Refusals;
use resources::Resources;
use socket::Socket;

/// Why the front has ended other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    /// The poll failed.
    #[error("the poll failed: {0}")]
    Poll(#[from] io::Error),
    /// A worker is gone.
    #[error(transparent)]
    Worker(#[from] WorkerDied),
}

/// The front, before its thread runs.
pub(crate) struct Front {
    pub(crate) poll: Poll,
    pub(crate) clock: Clock,
    pub(crate) listeners: Listeners,
    pub(crate) tls: Option<Tls>,
    pub(crate) pages: Pages,
    pub(crate) codecs: Codecs,
    pub(crate) configs: Configs,
    pub(crate) max_connections: usize,
    pub(crate) max_connections_per_address: usize,
    pub(crate) max_refusals_per_address: usize,
    pub(crate) origins: Origins,
    /// Set by whoever wants the server to stop.
    pub(crate) stop: Arc<AtomicBool>,
}

/// Tokens below are listeners', those from here on are clients' numbers.
const FIRST_CLIENT: u64 = 1024;
const _: () = assert!(3 * limits::LISTENERS < FIRST_CLIENT as usize);

/// What is done for one client in one turn, of what it has asked for at once.
const ACTIONS_PER_TURN: usize = 64;
/// When to try again what a worker had no room for.
const WORKER_FULL_PAUSE: Duration = Duration::from_millis(5);

/// The front at work.
struct Running {
    front: Front,
    links: Links,
    clients: BTreeMap<u64, Client>,
    crowd: Crowd,
    refusals: Refusals,
    resources: Resources,
    broadcasts: Broadcasts,
    names: Names,
    next_client: u64,
    timers: BTreeSet<(Instant, u64)>,
    /// The clients to be served in this turn.
    touched: BTreeSet<u64>,
    /// The poll must not wait: something is left from the turn before.
    busy: bool,
    pages_in_flight: usize,
    counters: FrontCounters,
    buffer: Vec<u8>,
    stopping: Option<Instant>,
}

impl Front {
    /// Serves until it is told to stop, and then stops the workers.
    pub(crate) fn run(self, ends: Vec<FrontEnd>) -> Result<(), FrontError> {
        let crowd = Crowd::new(self.max_connections_per_address, self.origins);
        let refusals = Refusals::new(self.max_refusals_per_address, self.origins);
        let mut running = Running {
            front: self,
            links: Links::new(ends),
            clients: BTreeMap::new(),
            crowd,
            refusals,
            resources: Resources::default(),
            broadcasts: Broadcasts::default(),
            names: Names::default(),
            next_client: FIRST_CLIENT,
            timers: BTreeSet::new(),
            touched: BTreeSet::new(),
            busy: false,
            pages_in_flight: 0,
            counters: FrontCounters::default(),
            buffer: vec![0; limits::READ_PER_TURN],
            stopping: None,
        };
        running
            .front
            .listeners
            .register(running.front.poll.registry())?;
        let result = running.serve();
        running.stop_workers();
        result
    }
}

impl Running {
    fn serve(&mut self) -> Result<(), FrontError> {
        let mut events = Events::with_capacity(1024);
        let mut now = self.front.clock.now();
        loop {
            match self.front.poll.poll(&mut events, self.timeout(now)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(error.into());
                }
                Ok(()) | Err(_) => {}
            }
            now = self.front.clock.now();
            self.busy = false;
            self.on_events(&events);
            self.accept(now);
            self.on_news(now)?;
            self.on_media(now);
            self.on_sounds(now);
            self.on_timeouts(now);
            self.serve_touched(now);
            self.links.flush();
            if self.is_over(now) {
                return Ok(());
            }
        }
    }

    fn timeout(&self, now: Instant) -> Option<Duration> {
        if self.busy || !self.touched.is_empty() {
            return Some(Duration::ZERO);
        }
        let due = [
            self.timers.first().map(|(at, _)| *at),
            self.front.tls.as_ref().map(Tls::poll_timeout),
            self.front.listeners.poll_timeout(),
            self.broadcasts.poll_timeout(),
            self.links.has_waiting().then(|| now + WORKER_FULL_PAUSE),
            self.stopping,
        ];
        let due = due.into_iter().flatten().min()?;
        Some(due.saturating_duration_since(now))
    }

    fn on_events(&mut self, events: &Events) {
        for event in events {
            let Token(token) = event.token();
            let number = token as u64;
            if let Some(client) = self.clients.get_mut(&number) {
                if event.is_readable() || event.is_read_closed() || event.is_error() {
                    client.set_readable();
                }
                self.touched.insert(number);
            } else if number < FIRST_CLIENT {
                self.front.listeners.set_readable(token);
            }
        }
    }

    fn accept(&mut self, now: Instant) {
        if self.stopping.is_some() {
            return;
        }
        let mut room = self
            .front
            .max_connections
            .saturating_sub(self.clients.len());
        let mut accepted = Vec::new();
        let Self {
            front,
            crowd,
            counters,
            ..
        } = self;
        let mut has_room = |peer: SocketAddr| {
            let enters = room > 0 && crowd.enter(peer.ip());
            room -= usize::from(enters);
            enters
        };
        self.busy |= front
            .listeners
            .accept(now, counters, &mut has_room, &mut accepted);
        for new in accepted {
            let peer = new.peer;
            if let Err(error) = self.admit(now, new) {
                tracing::debug!(%error, "an accepted connection cannot be served");
                self.counters.accept_failed += 1;
                self.crowd.leave(peer.ip());
            }
        }
    }

    fn admit(&mut self, now: Instant, new: Accepted) -> io::Result<()> {
        let socket = match (new.speaks, &self.front.tls) {
            (Speaks::Https, Some(tls)) => {
                Socket::tls(new.stream, tls.config()).map_err(io::Error::other)?
            }
            (Speaks::Rtmp, Some(tls)) => Socket::either(new.stream, tls.config()),
            (Speaks::Http, _) | (Speaks::Https | Speaks::Rtmp, None) => Socket::plain(new.stream),
        };
        let id = ClientId(self.next_client);
        self.next_client += 1;
        let socket = (socket, new.speaks);
        let mut client = Client::new(id, new.peer, socket, &self.front.configs, now);
        client.register(self.front.poll.registry())?;
        self.clients.insert(id.0, client);
        self.touched.insert(id.0);
        Ok(())
    }

    fn on_news(&mut self, now: Instant) -> Result<(), WorkerDied> {
        let Self {
            links,
            clients,
            touched,
            refusals,
            resources,
            broadcasts,
            ..
        } = self;
        let (mut for_resources, mut for_broadcasts) = (Vec::new(), Vec::new());
        self.busy |= links.receive(|message| {
            let client = match &message {
                ToFront::Reply { client, .. } | ToFront::News { client, .. } => client.0,
            };
            if resources.contains(client) {
                for_resources.push(message);
                return;
            }
            if broadcasts.contains(ClientId(client)) {
                for_broadcasts.push(message);
                return;
            }
            // A client that is gone has no use for answers.
            let Some(known) = clients.get_mut(&client) else {
                return;
            };
            touched.insert(client);
            match message {
                ToFront::Reply { id, reply, .. } => {
                    if refusals::is_in_vain(&reply) {
                        refusals.charge(now, known.peer().ip());
                    }
                    known.conversation.handle_reply(now, id, reply);
                }
                ToFront::News { news, .. } => known.conversation.handle_news(now, news),
            }
        })?;
        for message in for_broadcasts {
            self.on_broadcast_news(now, message);
        }
        for message in for_resources {
            self.on_resource_news(now, message);
        }
        Ok(())
    }

    fn on_resource_news(&mut self, now: Instant, message: ToFront) {
        let Self {
            links,
            clients,
            touched,
            refusals,
            resources,
            ..
        } = self;
        let mut in_vain = false;
        let answer = match message {
            ToFront::Reply { client, reply, .. } => {
                in_vain = refusals::is_in_vain(&reply);
                let is_there = |number| clients.contains_key(&number);
                resources.handle_reply(links, client.0, reply, is_there)
            }
            ToFront::News { client, news } => {
                resources.handle_news(links, client.0, &news);
                None
            }
        };
        if let Some((number, response)) = answer
            && let Some(client) = clients.get_mut(&number)
        {
            if in_vain {
                refusals.charge(now, client.peer().ip());
            }
            client.conversation.handle_page(now, response);
            touched.insert(number);
        }
    }

    fn on_timeouts(&mut self, now: Instant) {
        if let Some(tls) = &mut self.front.tls {
            tls.handle_timeout(now);
        }
        self.run_broadcasts(now);
        while let Some((at, number)) = self.timers.first().copied()
            && at <= now
        {
            self.timers.remove(&(at, number));
            if let Some(client) = self.clients.get_mut(&number) {
                client.timer = None;
                client.handle_timeout(now);
                self.touched.insert(number);
            }
        }
    }

    fn serve_touched(&mut self, now: Instant) {
        for number in std::mem::take(&mut self.touched) {
            let Some(mut client) = self.clients.remove(&number) else {
                continue;
            };
            self.serve_client(now, &mut client);
            match client.is_gone() {
                true => self.crowd.leave(client.peer().ip()),
                false => drop(self.clients.insert(number, client)),
            }
        }
    }

    fn serve_client(&mut self, now: Instant, client: &mut Client) {
        match client.receive(&self.front.configs, &mut self.buffer, now) {
            Ok(()) => {}
            Err(Fault::NotTls) => self.counters.not_tls += 1,
            Err(Fault::Tls) => self.counters.tls_failed += 1,
        }
        client.write(now);
        let mut left = ACTIONS_PER_TURN;
        while left > 0
            && let Some(action) = client.poll_action()
        {
            match action {
                Wanted::Signalling(action) => self.on_action(now, client, action),
                Wanted::Rtmp(action) => self.on_rtmp_action(now, client, action),
            }
            client.write(now);
            left -= 1;
        }
        client.arm(self.front.poll.registry(), now);
        if client.conversation.is_finished() || client.is_gone() {
            for worker in client.take_asked() {
                self.links.disconnect(worker, client.id());
            }
            self.forget_rtmp(now, client);
        }
        client.take_counters(&mut self.counters);
        self.pages_in_flight -= client.release_pages();
        self.set_timer(client);
        if client.is_readable() || left == 0 {
            self.touched.insert(client.id().0);
        }
    }

    fn set_timer(&mut self, client: &mut Client) {
        let due = client.poll_timeout();
        if due == client.timer {
            return;
        }
        if let Some(at) = client.timer {
            self.timers.remove(&(at, client.id().0));
        }
        if let Some(at) = due {
            self.timers.insert((at, client.id().0));
        }
        client.timer = due;
    }

    fn on_action(&mut self, now: Instant, client: &mut Client, action: Action) {
        match action {
            Action::Ask { id, key, request } => {
                if refusals::asks_for_a_name(&request) && !self.admits(now, client) {
                    client
                        .conversation
                        .handle_reply(now, id, Err(RequestError::InVain));
                    return;
                }
                let worker = self.links.worker_of(&key);
                match self.links.ask(worker, client.id(), id, request) {
                    Ok(()) => client.set_asked(worker),
                    Err(error) => self.refuse(now, client, id, error),
                }
            }
            Action::Exchange(whip::Request::Create(_)) if !self.admits(now, client) => {
                let response = whip::refusal(&RequestError::InVain);
                client.conversation.handle_page(now, response);
            }
            Action::Exchange(whip::Request::Create(offer)) => {
                let number = self.next_client;
                self.next_client += 1;
                let Self {
                    links, resources, ..
                } = self;
                if let Some((_, response)) = resources.create(links, number, client.id().0, offer) {
                    client.conversation.handle_page(now, response);
                }
            }
            Action::Exchange(whip::Request::Delete { token }) => {
                let response = self.resources.delete(&mut self.links, &token);
                client.conversation.handle_page(now, response);
            }
            Action::Page(request) => {
                let response = self.page(&request);
                let response = self.within_budget(client, response);
                client.conversation.handle_page(now, response);
            }
        }
    }

    /// Whether a client may ask for a name: too many in vain have not been asked for from where it
    /// comes.
    fn admits(&mut self, now: Instant, client: &Client) -> bool {
        let admits = self.refusals.admits(now, client.peer().ip());
        self.counters.names_refused += u64::from(!admits);
        admits
    }

    fn refuse(
        &mut self,
        now: Instant,
        client: &mut Client,
        id: parlor_signalling::RequestId,
        error: RequestError,
    ) {
        self.counters.worker_busy += 1;
        client.conversation.handle_reply(now, id, Err(error));
    }

    fn page(&self, request: &PageRequest) -> PageResponse {
        if request.path != "/metrics" {
            return self.front.pages.respond(request);
        }
        let own = self.counters.metrics(Sizes {
            connections: self.clients.len() + 1,
            resources: self.resources.len(),
            broadcasts: self.broadcasts.len(),
            refused_origins: self.refusals.len(),
            malformed: self.broadcasts.malformed(),
        });
        let scores: Vec<Scores> = self.links.scores().collect();
        let mut delays = Histogram::default();
        for (_, of_worker) in &scores {
            delays.add(of_worker);
        }
        let metrics = scores.into_iter().flat_map(|(metrics, _)| metrics);
        let metrics = metrics.chain(own).chain(self.front.codecs.metrics());
        let text = pages::exposition(metrics, &delays);
        pages::text(200, pages::METRICS, text)
    }

    /// Turns a page away that would take more memory than all pages together may.
    fn within_budget(&mut self, client: &mut Client, response: PageResponse) -> PageResponse {
        let bytes = match &response.body {
            std::borrow::Cow::Borrowed(_) => 0,
            std::borrow::Cow::Owned(body) => body.len(),
        };
        if self.pages_in_flight + bytes > limits::PAGES_IN_FLIGHT {
            self.counters.pages_refused += 1;
            let mut busy = pages::text(503, pages::TEXT, "The server is busy, try again.\n");
            busy.headers.push(("Retry-After", "5".into()));
            return busy;
        }
        self.pages_in_flight += bytes;
        client.hold_page(bytes);
        response
    }

    /// Says goodbye once the server is to stop; true when all have gone, or had their time.
    fn is_over(&mut self, now: Instant) -> bool {
        if let Some(until) = self.stopping {
            return self.clients.is_empty() || now >= until;
        }
        if !self.front.stop.load(Ordering::Acquire) {
            return false;
        }
        tracing::info!(connections = self.clients.len(), "stopping");
        self.stopping = Some(now + limits::GOODBYE);
        self.front.listeners.close(self.front.poll.registry());
        for (number, client) in &mut self.clients {
            client.shut_down(now);
            self.touched.insert(*number);
        }
        self.clients.is_empty()
    }

    fn stop_workers(&mut self) {
        self.resources.clear(&mut self.links);
        self.broadcasts.clear();
        self.drain_broadcasts(self.front.clock.now(), None);
        for client in self.clients.values_mut() {
            for worker in client.take_asked() {
                self.links.disconnect(worker, client.id());
            }
        }
        let until = Instant::now() + limits::WORKERS_STOP;
        while !self.links.stop() {
            if Instant::now() >= until {
                tracing::warn!("a worker takes too long to stop");
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}
