//! What is spoken on a connection: HTTP and WebSocket, or RTMP.

use std::net::SocketAddr;
use std::time::Instant;

use parlor_core::{ClientId, News, Reply, RequestError};
use parlor_signalling::{PageResponse, RequestId};

/// What the operator decides for all conversations.
pub(crate) struct Configs {
    pub(crate) signalling: parlor_signalling::Config,
    pub(crate) rtmp: parlor_rtmp::Config,
    /// What sound of encoders is put into.
    pub(crate) opus: parlor_rtmp::audio::Target,
}

/// What a listener's clients speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// HTTP and WebSocket.
    Http,
    /// HTTP and WebSocket, in TLS.
    Https,
    /// RTMP, in TLS where the first byte says so.
    Rtmp,
}

/// One conversation.
pub(super) enum Conversation {
    Signalling(Box<parlor_signalling::Connection>),
    Rtmp(Box<parlor_rtmp::Connection>),
}

/// What a conversation wants done.
pub(super) enum Wanted {
    Signalling(parlor_signalling::Action),
    Rtmp(parlor_rtmp::Action),
}

impl Conversation {
    pub(super) fn new(
        speaks: Speaks,
        configs: &Configs,
        client: ClientId,
        peer: SocketAddr,
        now: Instant,
    ) -> Self {
        match speaks {
            Speaks::Http | Speaks::Https => {
                let config = &configs.signalling;
                let connection = parlor_signalling::Connection::new(config, client, peer, now);
                Self::Signalling(Box::new(connection))
            }
            Speaks::Rtmp => {
                let connection = parlor_rtmp::Connection::new(&configs.rtmp, client, now);
                Self::Rtmp(Box::new(connection))
            }
        }
    }

    pub(super) fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        match self {
            Self::Signalling(connection) => connection.handle_bytes(now, bytes),
            Self::Rtmp(connection) => connection.handle_bytes(now, bytes),
        }
    }

    pub(super) fn handle_end(&mut self, now: Instant) {
        match self {
            Self::Signalling(connection) => connection.handle_end(now),
            Self::Rtmp(connection) => connection.handle_end(now),
        }
    }

    pub(super) fn handle_reply(
        &mut self,
        now: Instant,
        id: RequestId,
        reply: Result<Reply, RequestError>,
    ) {
        match self {
            Self::Signalling(connection) => connection.handle_reply(now, id, reply),
            Self::Rtmp(connection) => connection.handle_reply(now, id, reply),
        }
    }

    pub(super) fn handle_news(&mut self, now: Instant, news: News) {
        match self {
            Self::Signalling(connection) => connection.handle_news(now, news),
            Self::Rtmp(connection) => connection.handle_news(now, news),
        }
    }

    /// The answer to a page that was asked for, which RTMP does not do.
    pub(super) fn handle_page(&mut self, now: Instant, response: PageResponse) {
        if let Self::Signalling(connection) = self {
            connection.handle_page(now, response);
        }
    }

    pub(super) fn handle_shutdown(&mut self, now: Instant) {
        match self {
            Self::Signalling(connection) => connection.handle_shutdown(now),
            Self::Rtmp(connection) => connection.handle_shutdown(now),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Signalling(connection) => connection.handle_timeout(now),
            Self::Rtmp(connection) => connection.handle_timeout(now),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Signalling(connection) => connection.poll_timeout(),
            Self::Rtmp(connection) => connection.poll_timeout(),
        }
    }

    pub(super) fn poll_action(&mut self) -> Option<Wanted> {
        match self {
            Self::Signalling(connection) => connection.poll_action().map(Wanted::Signalling),
            Self::Rtmp(connection) => connection.poll_action().map(Wanted::Rtmp),
        }
    }

    pub(super) fn egress(&self) -> &[u8] {
        match self {
            Self::Signalling(connection) => connection.egress(),
            Self::Rtmp(connection) => connection.egress(),
        }
    }

    pub(super) fn advance(&mut self, now: Instant, written: usize) {
        match self {
            Self::Signalling(connection) => connection.advance(now, written),
            Self::Rtmp(connection) => connection.advance(now, written),
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        match self {
            Self::Signalling(connection) => connection.is_finished(),
            Self::Rtmp(connection) => connection.is_finished(),
        }
    }

    pub(super) fn rtmp(&mut self) -> Option<&mut parlor_rtmp::Connection> {
        match self {
            Self::Rtmp(connection) => Some(connection),
            Self::Signalling(_) => None,
        }
    }
}
