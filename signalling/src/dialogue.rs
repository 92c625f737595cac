//! The WCS protocol without a WebSocket: for Flash room clients, who say the same by RTMP.

use std::time::Instant;

use parlor_core::{ClientId, News, Place, PublicationName, Reply, RequestError};
use serde_json::Value;

use crate::connection::{Action, Config, RequestId};
use crate::counters::Counters;
use crate::outbox::Outbox;
use crate::wcs::{End, Session};

/// The dialogue is over; the text says why, for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended(pub &'static str);

impl From<End> for Ended {
    fn from(end: End) -> Self {
        match end {
            End::Close(close) => Self(close.reason),
            End::Silent => Self("the client does not answer"),
        }
    }
}

/// One client's WCS session, message by message.
///
/// After each call of a `handle_*` method the caller drains [`Dialogue::poll_said`] and
/// [`Dialogue::poll_action`], and asks [`Dialogue::poll_timeout`].
pub struct Dialogue {
    session: Session,
    out: Outbox,
}

impl Dialogue {
    /// A session in which nothing has been said.
    pub fn new(config: &Config, client: ClientId, now: Instant) -> Self {
        Self {
            session: Session::new(config, client, now),
            out: Outbox::without_frames(),
        }
    }

    /// Takes a message of the client: JSON text as a WebSocket would bring it.
    ///
    /// # Errors
    /// The client is to be sent away.
    pub fn handle_message(&mut self, now: Instant, text: &str) -> Result<(), Ended> {
        self.session.handle_life();
        let result = self.session.handle_message(now, text, &mut self.out);
        result.map_err(Ended::from)
    }

    /// The client has been heard.
    pub fn handle_life(&mut self) {
        self.session.handle_life();
    }

    /// The answer to an [`Action::Ask`] of this dialogue.
    ///
    /// # Errors
    /// The client is to be sent away.
    pub fn handle_reply(
        &mut self,
        id: RequestId,
        reply: Result<Reply, RequestError>,
    ) -> Result<(), Ended> {
        let result = self.session.handle_reply(id, reply, &mut self.out);
        result.map_err(Ended::from)
    }

    /// News from the rooms for this client.
    pub fn handle_news(&mut self, news: News) {
        self.session.handle_news(news, &mut self.out);
    }

    /// Does what is due.
    ///
    /// # Errors
    /// The client is to be sent away.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Ended> {
        let result = self.session.handle_timeout(now, &mut self.out);
        result.map_err(Ended::from)
    }

    /// When [`Dialogue::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Instant {
        self.session.poll_timeout()
    }

    /// The next message for the client, and its data: an array.
    pub fn poll_said(&mut self) -> Option<(&'static str, Value)> {
        self.out.poll_said()
    }

    /// The next thing that the client wants of the rooms: always an [`Action::Ask`].
    pub fn poll_action(&mut self) -> Option<Action> {
        self.out.actions.pop_front()
    }

    /// Where a stream of this name is: in the room of this client whose name it begins with, or
    /// open to everyone.
    pub fn place(&self, name: &PublicationName) -> Place {
        self.session.place(None, name)
    }

    /// What happened since this was last called.
    pub fn take_counters(&mut self) -> Counters {
        std::mem::take(&mut self.out.counters)
    }
}
