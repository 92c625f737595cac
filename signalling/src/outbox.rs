//! What a connection has to say: bytes for the peer, actions for the caller, counts.

use std::borrow::Cow;
use std::collections::VecDeque;

use serde::Serialize;
use serde_json::Value;

use crate::connection::Action;
use crate::counters::Counters;
use crate::limits::EGRESS_BYTES;
use crate::websocket::{self, Opcode};

/// Collects the output of a connection.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) actions: VecDeque<Action>,
    pub(crate) counters: Counters,
    bytes: Vec<u8>,
    bytes_sent: usize,
    /// The content of a page, which follows `bytes`. It is not copied: embedded pages stay where
    /// they are, however many clients are slow to read them.
    body: Cow<'static, [u8]>,
    body_sent: usize,
    overflowed: bool,
    /// Messages of the WCS protocol that are not carried by a WebSocket. `None`: they are.
    said: Option<VecDeque<(&'static str, Value)>>,
}

impl Outbox {
    /// An outbox whose messages are taken by [`Outbox::poll_said`].
    pub(crate) fn without_frames() -> Self {
        Self {
            said: Some(VecDeque::new()),
            ..Self::default()
        }
    }

    /// The next message with its data, which is an array.
    pub(crate) fn poll_said(&mut self) -> Option<(&'static str, Value)> {
        self.said.as_mut()?.pop_front()
    }

    /// The bytes that go out next.
    pub(crate) fn egress(&self) -> &[u8] {
        match &self.bytes[self.bytes_sent..] {
            [] => &self.body[self.body_sent..],
            bytes => bytes,
        }
    }

    /// The first `written` bytes of the egress are gone.
    pub(crate) fn advance(&mut self, written: usize) {
        if self.bytes_sent == self.bytes.len() {
            self.body_sent = self.body.len().min(self.body_sent + written);
            if self.body_sent == self.body.len() {
                self.body = Cow::Borrowed(&[]);
                self.body_sent = 0;
            }
            return;
        }
        self.bytes_sent = self.bytes.len().min(self.bytes_sent + written);
        if self.bytes_sent == self.bytes.len() {
            self.bytes = Vec::new();
            self.bytes_sent = 0;
        } else if self.bytes_sent > self.bytes.len() / 2 {
            self.bytes.drain(..self.bytes_sent);
            self.bytes_sent = 0;
        }
    }

    /// Forgets what was to be written.
    pub(crate) fn discard(&mut self) {
        self.bytes = Vec::new();
        self.bytes_sent = 0;
        self.body = Cow::Borrowed(&[]);
        self.body_sent = 0;
    }

    /// Whether a WebSocket frame found no place any more.
    pub(crate) fn has_overflowed(&self) -> bool {
        self.overflowed
    }

    /// Adds the head of an HTTP response.
    pub(crate) fn push_head(&mut self, head: &str) {
        self.bytes.extend_from_slice(head.as_bytes());
    }

    /// Adds the content of an HTTP response, of which only one may wait.
    pub(crate) fn push_body(&mut self, body: Cow<'static, [u8]>) {
        debug_assert!(
            self.body.is_empty(),
            "a response waits until the one before it is gone"
        );
        self.body = body;
        self.body_sent = 0;
    }

    /// Adds a WebSocket frame.
    pub(crate) fn push_frame(&mut self, opcode: Opcode, payload: &[u8]) {
        let waiting = self.bytes.len() - self.bytes_sent;
        if self.overflowed || waiting + payload.len() > EGRESS_BYTES {
            self.overflowed = true;
            return;
        }
        websocket::write_frame(&mut self.bytes, opcode, payload);
    }

    /// Adds a message of the WCS protocol: `data` must be serialised as an array.
    pub(crate) fn push_message(&mut self, message: &'static str, data: impl Serialize) {
        #[derive(Serialize)]
        struct Frame<T> {
            message: &'static str,
            data: T,
        }
        let result = match &mut self.said {
            Some(said) => serde_json::to_value(data).map(|data| said.push_back((message, data))),
            None => serde_json::to_vec(&Frame { message, data })
                .map(|text| self.push_frame(Opcode::Text, &text)),
        };
        match result {
            Ok(()) => self.counters.messages_out += 1,
            // Strings, flags and maps with text for keys: serialising them cannot fail.
            Err(error) => debug_assert!(false, "{message}: {error}"),
        }
    }
}
