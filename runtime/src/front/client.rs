//! One client: its socket, its conversation, and how far both are.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use mio::{Registry, Token};
use parlor_core::{ClientId, MediaId, Request};
use parlor_rtmp::bridge::Packet;

use super::conversation::{Configs, Conversation, Speaks, Wanted};
use super::counters::FrontCounters;
use super::socket::{Socket, SocketError};
use crate::limits;
use crate::link::IngestPacket;

/// How far a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// TLS is being set up.
    Handshaking { until: Instant },
    /// The conversation is on.
    Open,
    /// All is said, and some of it is still to be written, with progress until then.
    Ending { until: Instant },
    /// All is written. What still comes is read and dropped: closing with unread bytes would
    /// take the last words away from the client.
    Lingering { until: Instant, left: usize },
    /// The socket can be dropped.
    Gone,
}

/// What a client did that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Spoke something else on a TLS port.
    NotTls,
    /// Broke TLS.
    Tls,
}

pub(super) struct Client {
    id: ClientId,
    peer: SocketAddr,
    socket: Socket,
    speaks: Speaks,
    pub(super) conversation: Conversation,
    phase: Phase,
    /// There may be something to read, though the poll will not say so again.
    readable: bool,
    /// The client has closed its sending side.
    ended: bool,
    /// The workers that it has asked something, one bit each.
    asked: u64,
    /// The workers that its ingests live on.
    ingests: BTreeMap<MediaId, usize>,
    /// Bytes of pages that wait for it.
    page_bytes: usize,
    /// When its timer is set to.
    pub(super) timer: Option<Instant>,
}

const _: () = assert!(limits::WORKERS <= u64::BITS as usize);

const NOT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
Content-Type: text/plain; charset=utf-8\r\n\
Content-Length: 70\r\n\
Connection: close\r\n\
\r\n\
This port speaks TLS: use https:// or wss:// in place of http or ws.\r\n";

impl Client {
    pub(super) fn new(
        id: ClientId,
        peer: SocketAddr,
        (socket, speaks): (Socket, Speaks),
        configs: &Configs,
        now: Instant,
    ) -> Self {
        let phase = match socket.is_handshaking() {
            true => Phase::Handshaking {
                until: now + limits::TLS_HANDSHAKE,
            },
            false => Phase::Open,
        };
        Self {
            id,
            peer,
            socket,
            speaks,
            conversation: Conversation::new(speaks, configs, id, peer, now),
            phase,
            readable: true,
            ended: false,
            asked: 0,
            ingests: BTreeMap::new(),
            page_bytes: 0,
            timer: None,
        }
    }

    pub(super) fn id(&self) -> ClientId {
        self.id
    }

    pub(super) fn peer(&self) -> SocketAddr {
        self.peer
    }

    pub(super) fn token(&self) -> Token {
        Token(self.id.0 as usize)
    }

    pub(super) fn register(&mut self, registry: &Registry) -> std::io::Result<()> {
        let token = self.token();
        self.socket.register(registry, token)
    }

    pub(super) fn set_readable(&mut self) {
        self.readable = true;
    }

    pub(super) fn is_readable(&self) -> bool {
        self.readable && !matches!(self.phase, Phase::Ending { .. } | Phase::Gone)
    }

    pub(super) fn is_gone(&self) -> bool {
        self.phase == Phase::Gone
    }

    pub(super) fn set_asked(&mut self, worker: usize) {
        self.asked |= 1 << worker;
    }

    /// Notes where an ingest begins, or that it ends.
    pub(super) fn note(&mut self, worker: usize, request: &Request) {
        if let Request::Ingest { media, .. } = request {
            self.ingests.insert(*media, worker);
        } else if let Request::Stop { media } = request {
            self.ingests.remove(media);
        }
    }

    /// A packet of an ingest, and the worker that the ingest lives on, if it does.
    pub(super) fn ingest(&self, media: MediaId, packet: Packet) -> Option<(usize, IngestPacket)> {
        let worker = self.ingests.get(&media)?;
        let client = self.id;
        let packet = IngestPacket {
            client,
            media,
            packet,
        };
        Some((*worker, packet))
    }

    pub(super) fn ingests(&self) -> impl Iterator<Item = MediaId> {
        self.ingests.keys().copied()
    }

    /// The workers that have to hear that the client is gone, told once.
    pub(super) fn take_asked(&mut self) -> impl Iterator<Item = usize> + use<> {
        let asked = std::mem::take(&mut self.asked);
        (0..limits::WORKERS).filter(move |worker| asked & (1 << worker) != 0)
    }

    /// Accounts for a page that begins to wait.
    pub(super) fn hold_page(&mut self, bytes: usize) {
        self.page_bytes += bytes;
    }

    /// The bytes of pages that no longer wait.
    pub(super) fn release_pages(&mut self) -> usize {
        match self.is_gone() || self.conversation.egress().is_empty() {
            true => std::mem::take(&mut self.page_bytes),
            false => 0,
        }
    }

    /// Adds up what has been counted.
    pub(super) fn take_counters(&mut self, counters: &mut FrontCounters) {
        match &mut self.conversation {
            Conversation::Signalling(connection) => {
                counters.signalling += connection.take_counters();
            }
            Conversation::Rtmp(connection) => counters.rtmp += connection.take_counters(),
        }
    }

    /// Reads what there is, within the budget of a turn.
    pub(super) fn receive(
        &mut self,
        configs: &Configs,
        buffer: &mut [u8],
        now: Instant,
    ) -> Result<(), Fault> {
        let mut budget = limits::READ_PER_TURN;
        while self.readable && budget > 0 {
            let result = self.socket.read(buffer);
            self.open_after_handshake(configs, now);
            match result {
                Ok(0) => {
                    self.readable = false;
                    self.ended = true;
                    self.on_end(now);
                }
                Ok(length) => {
                    budget = budget.saturating_sub(length);
                    self.on_bytes(now, &buffer[..length]);
                }
                Err(SocketError::Blocked) => self.readable = false,
                Err(SocketError::NotTls) => {
                    self.socket.write_plain(NOT_TLS);
                    self.conversation.handle_shutdown(now);
                    self.linger(now);
                    return Err(Fault::NotTls);
                }
                Err(SocketError::Tls) => {
                    self.lose(now);
                    return Err(Fault::Tls);
                }
                Err(SocketError::Lost) => self.lose(now),
            }
            if matches!(self.phase, Phase::Gone | Phase::Ending { .. }) {
                break;
            }
        }
        Ok(())
    }

    fn open_after_handshake(&mut self, configs: &Configs, now: Instant) {
        if matches!(self.phase, Phase::Handshaking { .. }) && !self.socket.is_handshaking() {
            self.phase = Phase::Open;
            // Its time limits begin where the client can be heard.
            self.conversation = Conversation::new(self.speaks, configs, self.id, self.peer, now);
        }
    }

    fn on_bytes(&mut self, now: Instant, bytes: &[u8]) {
        match &mut self.phase {
            Phase::Open => self.conversation.handle_bytes(now, bytes),
            Phase::Lingering { left, .. } => match left.checked_sub(bytes.len()) {
                Some(rest) => *left = rest,
                None => self.phase = Phase::Gone,
            },
            Phase::Handshaking { .. } | Phase::Ending { .. } | Phase::Gone => {}
        }
    }

    fn on_end(&mut self, now: Instant) {
        match self.phase {
            Phase::Open => self.conversation.handle_end(now),
            Phase::Handshaking { .. } | Phase::Lingering { .. } => self.lose(now),
            Phase::Ending { .. } | Phase::Gone => {}
        }
    }

    pub(super) fn poll_action(&mut self) -> Option<Wanted> {
        match self.phase {
            Phase::Open => self.conversation.poll_action(),
            Phase::Handshaking { .. }
            | Phase::Ending { .. }
            | Phase::Lingering { .. }
            | Phase::Gone => None,
        }
    }

    /// Writes what the socket takes, and goes on to the next phase where all is said.
    pub(super) fn write(&mut self, now: Instant) {
        if matches!(self.phase, Phase::Lingering { .. } | Phase::Gone) {
            return;
        }
        let written = self.write_egress(now);
        if self.conversation.is_finished() && self.phase == Phase::Open {
            self.phase = Phase::Ending {
                until: now + limits::LAST_BYTES,
            };
        }
        match (written, self.phase) {
            (Ok(()), Phase::Ending { .. }) => self.linger(now),
            (Err(SocketError::Lost | SocketError::NotTls | SocketError::Tls), _) => self.lose(now),
            (Ok(()) | Err(SocketError::Blocked), _) => {}
        }
    }

    fn write_egress(&mut self, now: Instant) -> Result<(), SocketError> {
        loop {
            let bytes = self.conversation.egress();
            if bytes.is_empty() {
                return self.socket.flush();
            }
            let written = self.socket.write(bytes)?;
            self.conversation.advance(now, written);
            if let Phase::Ending { until } = &mut self.phase {
                *until = now + limits::LAST_BYTES;
            }
        }
    }

    fn linger(&mut self, now: Instant) {
        self.socket.finish();
        self.phase = match self.ended {
            true => Phase::Gone,
            false => {
                self.readable = true;
                Phase::Lingering {
                    until: now + limits::LINGER,
                    left: limits::LINGER_BYTES,
                }
            }
        };
    }

    fn lose(&mut self, now: Instant) {
        self.readable = false;
        self.conversation.handle_end(now);
        self.phase = Phase::Gone;
    }

    pub(super) fn shut_down(&mut self, now: Instant) {
        match self.phase {
            Phase::Handshaking { .. } => self.phase = Phase::Gone,
            Phase::Open => self.conversation.handle_shutdown(now),
            Phase::Ending { .. } | Phase::Lingering { .. } | Phase::Gone => {}
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self.phase {
            Phase::Open => self.conversation.handle_timeout(now),
            Phase::Handshaking { until }
            | Phase::Ending { until }
            | Phase::Lingering { until, .. } => {
                if now >= until {
                    self.lose(now);
                }
            }
            Phase::Gone => {}
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Open => self.conversation.poll_timeout(),
            Phase::Handshaking { until }
            | Phase::Ending { until }
            | Phase::Lingering { until, .. } => Some(until),
            Phase::Gone => None,
        }
    }

    /// Asks the poll for what the client waits for.
    pub(super) fn arm(&mut self, registry: &Registry, now: Instant) {
        let writing = match self.phase {
            Phase::Open | Phase::Ending { .. } | Phase::Handshaking { .. } => {
                !self.conversation.egress().is_empty() || self.socket.is_writing()
            }
            Phase::Lingering { .. } | Phase::Gone => false,
        };
        let token = self.token();
        if let Err(error) = self.socket.arm(registry, token, writing) {
            tracing::debug!(%error, "a socket cannot be polled");
            self.lose(now);
        }
    }
}
