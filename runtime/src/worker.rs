//! A worker: the rooms that live on one thread, and the sockets of their media.

mod relays;
#[cfg(test)]
mod tests;
pub(crate) mod udp;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{TryRecvError, TrySendError};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};
use parlor_core::{Batch, ClientId, Config, Event, MediaId, Metric, News, Reply, Request};
use parlor_journal::{Fresh, Recorder};
use parlor_signalling::RequestId;

use crate::clock::Clock;
use crate::journal::Journal;
use crate::limits;
use crate::link::{IngestPacket, ToFront, ToWorker, WorkerEnd};
pub(crate) use relays::{Relays, relays};
pub use udp::MediaError;
pub(crate) use udp::Udp;

const WAKER: Token = Token(usize::MAX);

/// One worker, before its thread runs.
pub(crate) struct Worker {
    poll: Poll,
    udp: Udp,
    machine: Recorder,
    journal: Option<Journal>,
    clock: Clock,
    link: WorkerEnd,
    relays: Relays,
    /// Requests whose answers come later.
    awaited: BTreeMap<(ClientId, MediaId), RequestId>,
    /// Datagrams to send, in a buffer that is used again.
    batch: Batch,
    /// What the front had no room for. While there is something, nothing else is taken from the
    /// rooms, nor asked of them.
    held: Option<ToFront>,
    /// There may be more requests, though nobody wakes this worker again for them.
    requests_left: bool,
    /// So it is with messages of other workers.
    relays_left: bool,
    front_has_news: bool,
    /// There may be more packets of encoders.
    ingest_left: bool,
    /// When something was last done for somebody, beside keeping connections up.
    lively: Instant,
    /// Packets for players by RTMP that the front had no room for.
    sinks_dropped: u64,
    /// What has been counted is shown again from here on.
    metrics_due: Instant,
    metrics_waiting: bool,
}

/// What makes a worker's rooms.
pub(crate) struct Rooms {
    /// With a configuration that lacks the candidates.
    pub(crate) fresh: Fresh,
    /// Where what happens is recorded, if it is.
    pub(crate) journal: Option<Journal>,
}

/// A poll and the waker that interrupts it.
pub(crate) fn wakeable_poll() -> io::Result<(Poll, Arc<Waker>)> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
    Ok((poll, waker))
}

impl Worker {
    pub(crate) fn new(
        poll: Poll,
        mut udp: Udp,
        rooms: Rooms,
        clock: Clock,
        link: WorkerEnd,
        relays: Relays,
    ) -> io::Result<Self> {
        udp.register(poll.registry())?;
        let config = Config {
            candidates: udp.candidates().to_vec(),
            ..rooms.fresh.config
        };
        let fresh = Fresh {
            config,
            ..rooms.fresh
        };
        Ok(Self {
            poll,
            udp,
            machine: Recorder::new(fresh, clock.now()),
            journal: rooms.journal,
            clock,
            link,
            relays,
            awaited: BTreeMap::new(),
            batch: Batch::new(),
            held: None,
            requests_left: true,
            relays_left: true,
            front_has_news: false,
            ingest_left: true,
            lively: clock.now(),
            sinks_dropped: 0,
            metrics_due: clock.now(),
            metrics_waiting: true,
        })
    }

    pub(crate) fn candidates(&self) -> &[SocketAddr] {
        self.udp.candidates()
    }

    /// Serves until the front says stop, or is gone.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(256);
        let mut now = self.clock.now();
        loop {
            self.gather_upkeep(now);
            match self.poll.poll(&mut events, self.timeout(now)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                Ok(()) | Err(_) => {}
            }
            now = self.clock.now();
            for event in &events {
                match event.token() {
                    WAKER => {
                        self.lively = now;
                        (self.requests_left, self.ingest_left) = (true, true);
                        self.relays_left = true;
                    }
                    socket => self.udp.set_readable(socket),
                }
            }
            if let Some(journal) = &mut self.journal {
                journal.keep(&mut self.machine, now);
            }
            self.receive(now);
            self.take_relays(now);
            self.machine.handle_timeout(now);
            let going = self.take_requests(now);
            self.take_ingest(now);
            let _ = self.hand_on_news();
            self.hand_on_media();
            self.relays
                .hand_on(now, &mut self.machine, self.udp.arrivals());
            self.relays.flush();
            self.flush();
            self.show_metrics(now);
            if going.is_break() {
                return Ok(());
            }
        }
    }

    /// Lets checks and reports gather where nothing else has come for a while: each wakes this
    /// thread by itself, which costs more than answering it.
    fn gather_upkeep(&self, now: Instant) {
        if now.saturating_duration_since(self.lively) > limits::QUIET {
            std::thread::sleep(limits::QUIET_PAUSE);
        }
    }

    /// Takes in what has arrived, and lets out what comes of it.
    fn receive(&mut self, now: Instant) {
        self.take_datagrams(now);
        // Before anything else is done: media does not wait for who joins.
        self.let_out();
    }

    /// Takes in what has arrived, and lets out what comes of it before it grows too large.
    fn take_datagrams(&mut self, now: Instant) {
        let Self {
            udp,
            machine,
            batch,
            lively,
            ..
        } = self;
        udp.receive(|datagram, mut departing| {
            if !is_upkeep(datagram.contents) {
                *lively = now;
            }
            // Whoever comes or goes by it makes one batch of all that waits to be passed on.
            if machine.is_handshake(&datagram) {
                while machine.poll_transmit(batch) {
                    departing.send(batch);
                }
            }
            machine.handle_datagram(now, datagram);
            while machine.has_much_to_send() {
                machine.poll_transmit(batch);
                departing.send(batch);
            }
        });
        // Other workers pass it on while this one does.
        self.relays
            .hand_on(now, &mut self.machine, self.udp.arrivals());
        self.relays.flush();
    }

    /// Lets out what is to be sent. Between its parts it takes in what has arrived meanwhile: the
    /// rest of a picture leaves together with its beginning, for all who have not had that yet.
    fn let_out(&mut self) {
        let mut looks = 0;
        while self.machine.poll_transmit(&mut self.batch) {
            self.udp.send(&self.batch);
            if looks < limits::LOOKS_PER_TURN && self.machine.has_to_pass_on() {
                looks += 1;
                self.udp.look_again();
                self.take_datagrams(self.clock.now());
            }
        }
        self.udp.forget_arrivals();
    }

    /// Takes in what other workers say, and lets out what comes of it.
    fn take_relays(&mut self, now: Instant) {
        if !self.relays_left {
            return;
        }
        for _ in 0..limits::RELAYS_PER_TURN {
            let Some((from, relay, at)) = self.relays.receive() else {
                self.relays_left = false;
                break;
            };
            if !relay.is_packet() {
                while self.machine.poll_transmit(&mut self.batch) {
                    self.udp.send(&self.batch);
                }
            }
            let relay = relay.caused_by(self.udp.note_arrival(at));
            self.machine.handle_relay(now, from, relay);
            while self.machine.has_much_to_send() {
                self.machine.poll_transmit(&mut self.batch);
                self.udp.send(&self.batch);
            }
        }
        self.let_out();
    }

    fn timeout(&self, now: Instant) -> Option<Duration> {
        if self.relays_left {
            return Some(Duration::ZERO);
        }
        if self.held.is_some() || self.relays.has_held() {
            return Some(limits::FRONT_FULL_PAUSE);
        }
        if self.requests_left || self.ingest_left || self.udp.is_readable() {
            return Some(Duration::ZERO);
        }
        // A little late, so that what is due for many peers is done at once.
        let rooms = self.machine.poll_timeout();
        let rooms = rooms.map(|deadline| deadline.at + limits::TIMER_SLACK);
        let metrics = self.metrics_waiting.then_some(self.metrics_due);
        let journal = self.journal.as_ref();
        let journal = journal.and_then(|journal| journal.due(&self.machine));
        let due = rooms.into_iter().chain(metrics).chain(journal).min()?;
        Some(due.saturating_duration_since(now))
    }

    /// Takes requests while the front has room for what comes of them.
    fn take_requests(&mut self, now: Instant) -> ControlFlow<()> {
        if !self.requests_left {
            return ControlFlow::Continue(());
        }
        for _ in 0..limits::REQUESTS_PER_TURN {
            // What the rooms said before must be heard before what they answer here.
            if self.hand_on_news().is_break() {
                return ControlFlow::Continue(());
            }
            // Nor is more handed on to a worker that has no room: what waits for it is bounded so.
            if self.relays.has_held() {
                return ControlFlow::Continue(());
            }
            match self.link.requests.try_recv() {
                Ok(ToWorker::Ask {
                    client,
                    id,
                    request,
                }) => match self.machine.handle_request(now, client, request) {
                    Ok(Reply::Later { media }) => {
                        self.awaited.insert((client, media), id);
                    }
                    reply => self.hand_on(ToFront::Reply { client, id, reply }),
                },
                Ok(ToWorker::Disconnect { client }) => {
                    // It cannot fail, and there is nobody to tell.
                    let _ = self
                        .machine
                        .handle_request(now, client, Request::Disconnect);
                }
                Err(TryRecvError::Empty) => {
                    self.requests_left = false;
                    return ControlFlow::Continue(());
                }
                Ok(ToWorker::Stop) | Err(TryRecvError::Disconnected) => {
                    return ControlFlow::Break(());
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Takes packets of encoders, and lets out what comes of them before it grows too large.
    fn take_ingest(&mut self, now: Instant) {
        if !self.ingest_left {
            return;
        }
        for _ in 0..limits::MEDIA_PER_TURN {
            let Ok(packet) = self.link.ingest.try_recv() else {
                self.ingest_left = false;
                return;
            };
            let IngestPacket {
                client,
                media,
                packet,
            } = packet;
            self.machine
                .handle_media(now, client, media, packet.as_media());
            while self.machine.has_much_to_send() {
                self.machine.poll_transmit(&mut self.batch);
                self.udp.send(&self.batch);
            }
        }
    }

    /// Hands the packets of sinks on that the front has room for. The others are lost, and seen to
    /// be lost.
    fn hand_on_media(&mut self) {
        while let Some(packet) = self.machine.poll_media() {
            match self.link.sinks.try_send(packet) {
                Ok(()) => self.front_has_news = true,
                Err(TrySendError::Full(_)) => self.sinks_dropped += 1,
                Err(TrySendError::Disconnected(_)) => {}
            }
        }
    }

    /// Hands all news on that the front has room for; breaks where it has not for all.
    fn hand_on_news(&mut self) -> ControlFlow<()> {
        if let Some(held) = self.held.take() {
            self.hand_on(held);
        }
        while self.held.is_none() {
            let Some(event) = self.machine.poll_event() else {
                return ControlFlow::Continue(());
            };
            let Event { client, news } = event;
            let News::Answered { media, result } = news else {
                self.hand_on(ToFront::News { client, news });
                continue;
            };
            let id = self.awaited.remove(&(client, media));
            debug_assert!(id.is_some(), "an answer to nothing");
            if let Some(id) = id {
                let reply = result;
                self.hand_on(ToFront::Reply { client, id, reply });
            }
        }
        ControlFlow::Break(())
    }

    fn hand_on(&mut self, message: ToFront) {
        debug_assert!(self.held.is_none(), "one message is held at most");
        match self.link.news.try_send(message) {
            Ok(()) => {}
            Err(TrySendError::Full(message)) => self.held = Some(message),
            // The front is gone, and its clients with it.
            Err(TrySendError::Disconnected(_)) => {}
        }
        self.front_has_news = true;
    }

    fn flush(&mut self) {
        self.let_out();
        if std::mem::take(&mut self.front_has_news)
            && let Err(error) = self.link.front.wake()
        {
            tracing::warn!(%error, "the front cannot be woken");
        }
    }

    /// Shows what has been counted, soon after it has, but not all the time.
    fn show_metrics(&mut self, now: Instant) {
        if now < self.metrics_due {
            self.metrics_waiting = true;
            return;
        }
        let mut metrics = self.machine.counters().metrics();
        metrics.extend(self.udp.metrics());
        metrics.extend(self.journal.iter().flat_map(Journal::metrics));
        metrics.push(Metric {
            name: "parlor_sink_packets_dropped_total",
            help: "Packets for players by RTMP that the front had no room for.",
            grows: true,
            value: self.sinks_dropped,
        });
        self.link.scoreboard.show(metrics, self.udp.delays());
        self.metrics_waiting = false;
        self.metrics_due = now + limits::METRICS_INTERVAL;
    }
}

/// Whether a datagram keeps a connection up, or reports of it: a connectivity check, or SRTCP, by
/// its first bytes (RFC 7983 §7, RFC 5761 §4).
fn is_upkeep(datagram: &[u8]) -> bool {
    matches!(datagram, [0..=3, ..] | [128..=191, 192..=223, ..])
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(journal) = &mut self.journal {
            journal.finish(&mut self.machine);
        }
    }
}
