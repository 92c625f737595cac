//! One accepted TCP connection: bytes in, bytes out, and requests to the rooms.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parlor_core::{ClientId, News, Reply, Request, RequestError};

use crate::counters::Counters;
use crate::http::{Http, Next};
use crate::limits::{CLOSE_TIMEOUT, LINGER_TIMEOUT, STALL_TIMEOUT};
use crate::outbox::Outbox;
use crate::wcs::{End, Session};
use crate::websocket::{Close, Incoming, Opcode, Reader};
use crate::whip;

/// Numbers a request to the rooms, so that its answer finds back. Unique per connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// What the operator decides for all connections.
#[derive(Debug, Clone)]
pub struct Config {
    /// Time between two pings of the server on an established session.
    pub ping_interval: Duration,
    /// Pings in a row that may stay unanswered before the session is closed.
    pub ping_attempts: u32,
    /// The port of RTMP, which clients are told.
    pub rtmp: Option<u16>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ping_interval: Duration::from_secs(5),
            ping_attempts: 10,
            rtmp: None,
        }
    }
}

/// What a connection wants done.
#[derive(Debug)]
pub enum Action {
    /// Pass a request to the worker that its `key` falls to
    /// and its answer to [`Connection::handle_reply`].
    Ask {
        /// To be given back with the answer.
        id: RequestId,
        /// The text that decides which worker gets it: equal keys, equal worker. It is the name
        /// of the room, or of the stream where there is no room.
        key: String,
        /// What is asked.
        request: Request,
    },
    /// Serve a page by [`Connection::handle_page`].
    Page(PageRequest),
    /// Begin or end a stream by WHIP or WHEP (see [`whip`](crate::whip)), and answer by
    /// [`Connection::handle_page`].
    Exchange(whip::Request),
}

/// A plain HTTP request (`GET` or `HEAD`) that is not a WebSocket's.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// The path, percent-decoded and normalised, beginning with a slash, without the query:
    /// no empty, `.` or `..` segments, no backslash, no control character.
    pub path: String,
    /// `If-None-Match`, where given.
    pub if_none_match: Option<String>,
}

/// The answer to a [`PageRequest`].
#[derive(Debug, Clone)]
pub struct PageResponse {
    /// HTTP status.
    pub status: u16,
    /// Header fields beside `Content-Length`, `Connection` and `Date`.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The content; not sent in answer to `HEAD`.
    pub body: Cow<'static, [u8]>,
}

/// One accepted connection (after TLS, where there is TLS).
pub struct Connection {
    config: Config,
    client: ClientId,
    protocol: Protocol,
    out: Outbox,
    /// Since when bytes have been waiting without any of them going out.
    stalled_since: Option<Instant>,
}

enum Protocol {
    Http(Http),
    WebSocket(Box<WebSocket>),
    /// The server has closed the WebSocket, and waits for the client to do so.
    Closing {
        reader: Reader,
        until: Instant,
    },
    /// A request was refused: what still comes is dropped, until the client has closed.
    Lingering {
        until: Instant,
    },
    Finished,
}

struct WebSocket {
    reader: Reader,
    session: Session,
}

impl Connection {
    /// A connection from `peer` that has just been accepted.
    pub fn new(config: &Config, client: ClientId, peer: SocketAddr, now: Instant) -> Self {
        tracing::trace!(client = client.0, %peer, "connection accepted");
        Self {
            config: config.clone(),
            client,
            protocol: Protocol::Http(Http::new(now)),
            out: Outbox::default(),
            stalled_since: None,
        }
    }

    /// Takes bytes in as they were read. Whatever they are, the answer is in what is polled.
    pub fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        match &mut self.protocol {
            Protocol::Http(http) => {
                let next = http.handle_bytes(now, bytes, &mut self.out);
                self.on_next(now, next);
            }
            Protocol::WebSocket(_) => self.on_frames(now, bytes),
            Protocol::Closing { .. } => self.on_farewell(bytes),
            Protocol::Lingering { .. } | Protocol::Finished => {}
        }
        self.settle(now);
    }

    /// The peer has closed its sending side, or the socket has failed.
    pub fn handle_end(&mut self, now: Instant) {
        match &mut self.protocol {
            Protocol::Http(http) => {
                let next = http.handle_end();
                self.on_next(now, next);
            }
            Protocol::WebSocket(_) | Protocol::Closing { .. } | Protocol::Lingering { .. } => {
                self.protocol = Protocol::Finished;
            }
            Protocol::Finished => {}
        }
        self.settle(now);
    }

    /// The answer to an [`Action::Ask`]. Answers and news must come in the order in which the
    /// rooms gave them.
    pub fn handle_reply(
        &mut self,
        now: Instant,
        id: RequestId,
        reply: Result<Reply, RequestError>,
    ) {
        if let Protocol::WebSocket(socket) = &mut self.protocol {
            let result = socket.session.handle_reply(id, reply, &mut self.out);
            self.on_session(now, result);
        }
        self.settle(now);
    }

    /// News from the rooms for this client.
    pub fn handle_news(&mut self, now: Instant, news: News) {
        if let Protocol::WebSocket(socket) = &mut self.protocol {
            socket.session.handle_news(news, &mut self.out);
        }
        self.settle(now);
    }

    /// The answer to an [`Action::Page`].
    pub fn handle_page(&mut self, now: Instant, response: PageResponse) {
        if let Protocol::Http(http) = &mut self.protocol {
            let next = http.handle_page(response, &mut self.out);
            self.on_next(now, next);
        }
        self.settle(now);
    }

    /// The server stops: says goodbye (WebSocket close 1001) and finishes.
    pub fn handle_shutdown(&mut self, now: Instant) {
        if let Protocol::WebSocket(_) = self.protocol {
            self.out
                .push_frame(Opcode::Close, &Close::GOING_AWAY.payload());
        }
        self.protocol = Protocol::Finished;
        self.settle(now);
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self
            .stalled_since
            .is_some_and(|since| now >= since + STALL_TIMEOUT)
        {
            self.drop_egress();
            return;
        }
        match &mut self.protocol {
            Protocol::Http(http) => {
                let next = http.handle_timeout(now, &mut self.out);
                self.on_next(now, next);
            }
            Protocol::WebSocket(socket) => {
                let result = socket.session.handle_timeout(now, &mut self.out);
                self.on_session(now, result);
            }
            Protocol::Closing { until, .. } | Protocol::Lingering { until } => {
                if now >= *until {
                    self.protocol = Protocol::Finished;
                }
            }
            Protocol::Finished => {}
        }
        self.settle(now);
    }

    /// The next thing that the connection wants done.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.out.actions.pop_front()
    }

    /// The bytes that wait to be written; empty when there are none. More may follow once these
    /// are [advanced](Self::advance) over.
    pub fn egress(&self) -> &[u8] {
        self.out.egress()
    }

    /// The first `written` bytes of [`Connection::egress`] are on their way.
    pub fn advance(&mut self, now: Instant, written: usize) {
        if written == 0 {
            return;
        }
        self.out.advance(written);
        self.stalled_since = None;
        if self.out.egress().is_empty()
            && let Protocol::Http(http) = &mut self.protocol
        {
            let next = http.handle_written(now);
            self.on_next(now, next);
        }
        self.settle(now);
    }

    /// When [`Connection::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let due = match &self.protocol {
            Protocol::Http(http) => http.poll_timeout(),
            Protocol::WebSocket(socket) => Some(socket.session.poll_timeout()),
            Protocol::Closing { until, .. } | Protocol::Lingering { until } => Some(*until),
            Protocol::Finished => None,
        };
        let stall = self.stalled_since.map(|since| since + STALL_TIMEOUT);
        due.into_iter().chain(stall).min()
    }

    /// Whether the connection has nothing more to say: the socket is to be closed once
    /// [`Connection::egress`] is empty. The caller then sends
    /// [`Request::Disconnect`](parlor_core::Request::Disconnect) to every worker that an
    /// [`Action::Ask`] of this connection went to.
    pub fn is_finished(&self) -> bool {
        matches!(self.protocol, Protocol::Finished)
    }

    /// What happened since this was last called.
    pub fn take_counters(&mut self) -> Counters {
        std::mem::take(&mut self.out.counters)
    }

    fn on_next(&mut self, now: Instant, next: Next) {
        match next {
            Next::Http => {}
            Next::WebSocket { rest } => {
                let session = Session::new(&self.config, self.client, now);
                let socket = WebSocket {
                    reader: Reader::default(),
                    session,
                };
                self.protocol = Protocol::WebSocket(Box::new(socket));
                self.on_frames(now, &rest);
            }
            Next::Refused => {
                self.protocol = Protocol::Lingering {
                    until: now + LINGER_TIMEOUT,
                };
            }
            Next::Finished => self.protocol = Protocol::Finished,
        }
    }

    fn on_frames(&mut self, now: Instant, mut bytes: &[u8]) {
        while let Protocol::WebSocket(socket) = &mut self.protocol {
            let incoming = match socket.reader.read(&mut bytes) {
                Ok(Some(incoming)) => incoming,
                Ok(None) => return,
                Err(close) => {
                    self.out.counters.websocket_faults += 1;
                    self.push_close(close);
                    // After a broken frame no further one can be told from the bytes that follow.
                    self.protocol = Protocol::Lingering {
                        until: now + CLOSE_TIMEOUT,
                    };
                    return;
                }
            };
            socket.session.handle_life();
            match incoming {
                Incoming::Text(text) => {
                    let result = socket.session.handle_message(now, &text, &mut self.out);
                    self.on_session(now, result);
                }
                Incoming::Ping(payload) => self.out.push_frame(Opcode::Pong, &payload),
                Incoming::Pong => {}
                Incoming::Close(echo) => {
                    self.out.push_frame(Opcode::Close, &echo);
                    self.protocol = Protocol::Finished;
                }
            }
            if self.out.has_overflowed() {
                return;
            }
        }
        // The session may have been closed in the middle of the bytes.
        self.on_farewell(bytes);
    }

    /// Reads on for the close of a client that the server has sent away. The client may break
    /// the rules meanwhile, which brings nothing but the end.
    fn on_farewell(&mut self, mut bytes: &[u8]) {
        while let Protocol::Closing { reader, .. } = &mut self.protocol {
            match reader.read(&mut bytes) {
                Ok(None) => return,
                Ok(Some(Incoming::Close(_))) => self.protocol = Protocol::Finished,
                Ok(Some(Incoming::Text(_) | Incoming::Ping(_) | Incoming::Pong)) => {}
                Err(_) => {
                    if let Protocol::Closing { until, .. } = self.protocol {
                        self.protocol = Protocol::Lingering { until };
                    }
                }
            }
        }
    }

    fn on_session(&mut self, now: Instant, result: Result<(), End>) {
        match result {
            Ok(()) => {}
            Err(End::Close(close)) => self.close(now, close),
            // Nobody is there to hear a goodbye.
            Err(End::Silent) => {
                self.out.discard();
                self.protocol = Protocol::Finished;
            }
        }
    }

    fn close(&mut self, now: Instant, close: Close) {
        self.push_close(close);
        let until = now + CLOSE_TIMEOUT;
        if let Protocol::WebSocket(socket) = &mut self.protocol {
            let reader = std::mem::take(&mut socket.reader);
            self.protocol = Protocol::Closing { reader, until };
        }
    }

    fn push_close(&mut self, close: Close) {
        let Close { code, reason } = close;
        tracing::debug!(client = self.client.0, code, reason, "closed");
        self.out.push_frame(Opcode::Close, &close.payload());
    }

    /// Keeps the clock of the egress, and ends a connection that does not read.
    fn settle(&mut self, now: Instant) {
        if self.out.has_overflowed() && !self.is_finished() {
            self.drop_egress();
        }
        if self.out.egress().is_empty() {
            self.stalled_since = None;
        } else if self.stalled_since.is_none() {
            self.stalled_since = Some(now);
        }
    }

    fn drop_egress(&mut self) {
        tracing::debug!(client = self.client.0, "the client does not read");
        self.out.counters.not_reading += 1;
        self.out.discard();
        self.stalled_since = None;
        self.protocol = Protocol::Finished;
    }
}
