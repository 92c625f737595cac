//! One accepted TCP connection: bytes in, bytes out, and requests to the rooms.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parlor_core::{ClientId, News, Reply, Request, RequestError};

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
}

/// What a connection wants done.
#[derive(Debug)]
pub enum Action {
    /// Pass a request to the worker that its `key` falls to
    /// and its answer to [`Connection::handle_reply`].
    Ask {
        /// To be given back with the answer.
        id: RequestId,
        /// The text that decides which worker gets it: equal keys, equal worker.
        key: String,
        /// What is asked.
        request: Request,
    },
    /// Serve a page by [`Connection::handle_page`].
    Page(PageRequest),
}

/// A plain HTTP request (`GET` or `HEAD`) that is not a WebSocket's.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// The path, percent-decoded, beginning with a slash, without the query.
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
pub struct Connection {}

impl Connection {
    /// A connection from `peer` that has just been accepted.
    pub fn new(config: &Config, client: ClientId, peer: SocketAddr, now: Instant) -> Self {
        let _ = (config, client, peer, now);
        Self {}
    }

    /// Takes bytes in as they were read. Whatever they are, the answer is in what is polled.
    pub fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        let _ = (now, bytes);
    }

    /// The peer has closed its sending side, or the socket has failed.
    pub fn handle_end(&mut self, now: Instant) {
        let _ = now;
    }

    /// The answer to an [`Action::Ask`].
    pub fn handle_reply(
        &mut self,
        now: Instant,
        id: RequestId,
        reply: Result<Reply, RequestError>,
    ) {
        let _ = (now, id, reply);
    }

    /// News from the rooms for this client.
    pub fn handle_news(&mut self, now: Instant, news: News) {
        let _ = (now, news);
    }

    /// The answer to an [`Action::Page`].
    pub fn handle_page(&mut self, now: Instant, response: PageResponse) {
        let _ = (now, response);
    }

    /// The server stops: says goodbye (WebSocket close 1001) and finishes.
    pub fn handle_shutdown(&mut self, now: Instant) {
        let _ = now;
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    /// The next thing that the connection wants done.
    pub fn poll_action(&mut self) -> Option<Action> {
        None
    }

    /// The bytes that wait to be written; empty when there are none.
    pub fn egress(&self) -> &[u8] {
        &[]
    }

    /// The first `written` bytes of [`Connection::egress`] are on their way.
    pub fn advance(&mut self, now: Instant, written: usize) {
        let _ = (now, written);
    }

    /// When [`Connection::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Whether the connection has nothing more to say: the socket is to be closed once
    /// [`Connection::egress`] is empty. The caller then sends
    /// [`Request::Disconnect`](parlor_core::Request::Disconnect) to every worker that an
    /// [`Action::Ask`] of this connection went to.
    pub fn is_finished(&self) -> bool {
        false
    }
}
