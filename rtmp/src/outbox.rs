//! What a connection has to say: bytes for the client, actions for the caller, counts.

use std::collections::VecDeque;
use std::time::Instant;

use crate::amf0::{self, Value};
use crate::chunk::Writer;
use crate::connection::Action;
use crate::counters::Counters;
use crate::flv::{Tag, TagKind};
use crate::limits::{BEHIND_BYTES, BEHIND_TIME, EGRESS_BYTES};
use crate::message::{event, kind};

/// Collects the output of a connection.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) actions: VecDeque<Action>,
    pub(crate) counters: Counters,
    pub(crate) writer: Writer,
    bytes: Vec<u8>,
    sent: usize,
    /// All bytes that ever were written here.
    written: u64,
    /// When a piece of media was written, and up to where it goes.
    marks: VecDeque<(Instant, u64)>,
    overflowed: bool,
}

/// How a status is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Status,
    Warning,
    Error,
}

impl Outbox {
    /// The bytes that go out next.
    pub(crate) fn egress(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// The first `written` bytes of the egress are gone.
    pub(crate) fn advance(&mut self, written: usize) {
        self.sent = self.bytes.len().min(self.sent + written);
        self.counters.bytes_out += written as u64;
        let gone = self.written - self.egress().len() as u64;
        while self.marks.front().is_some_and(|(_, end)| *end <= gone) {
            self.marks.pop_front();
        }
        if self.sent == self.bytes.len() {
            self.bytes.clear();
            self.sent = 0;
            // What one large picture took is not kept for ever.
            if self.bytes.capacity() > KEPT_BYTES {
                self.bytes = Vec::new();
            }
        } else if self.sent > self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }

    /// Forgets what was to be written.
    pub(crate) fn discard(&mut self) {
        self.bytes = Vec::new();
        self.sent = 0;
        self.marks.clear();
    }

    /// Whether a message found no place any more.
    pub(crate) fn has_overflowed(&self) -> bool {
        self.overflowed
    }

    /// Whether more waits than a player can catch up with.
    pub(crate) fn is_behind(&self, now: Instant) -> bool {
        let oldest = self.marks.front();
        self.egress().len() > BEHIND_BYTES
            || oldest.is_some_and(|(since, _)| now.saturating_duration_since(*since) > BEHIND_TIME)
    }

    /// Adds bytes that are no chunks.
    pub(crate) fn push_plain(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.written += bytes.len() as u64;
    }

    /// Adds a message.
    pub(crate) fn push(&mut self, kind: u8, timestamp: u32, stream: u32, body: &[u8]) {
        if self.overflowed || self.egress().len() + body.len() > EGRESS_BYTES {
            self.overflowed = true;
            return;
        }
        let before = self.bytes.len();
        self.writer
            .write(kind, timestamp, stream, body, &mut self.bytes);
        self.written += (self.bytes.len() - before) as u64;
    }

    /// Adds a tag.
    pub(crate) fn push_tag(&mut self, now: Instant, stream: u32, tag: &Tag) {
        let kind = match tag.kind {
            TagKind::Audio => kind::AUDIO,
            TagKind::Video => kind::VIDEO,
            TagKind::Data => kind::DATA,
        };
        self.push(kind, tag.timestamp, stream, &tag.body);
        self.marks.push_back((now, self.written));
    }

    /// Adds a control message that holds a number.
    pub(crate) fn push_number(&mut self, kind: u8, number: u32) {
        self.push(kind, 0, 0, &number.to_be_bytes());
    }

    /// Says that a stream begins.
    pub(crate) fn push_begin(&mut self, stream: u32) {
        self.push_event(event::STREAM_BEGIN, &stream.to_be_bytes());
    }

    /// Says that a stream is over.
    pub(crate) fn push_eof(&mut self, stream: u32) {
        self.push_event(event::STREAM_EOF, &stream.to_be_bytes());
    }

    pub(crate) fn push_event(&mut self, event: u16, data: &[u8]) {
        let body = [&event.to_be_bytes(), data].concat();
        self.push(kind::USER_CONTROL, 0, 0, &body);
    }

    /// Calls a method of the client.
    pub(crate) fn push_command(
        &mut self,
        stream: u32,
        name: &str,
        transaction: f64,
        arguments: impl IntoIterator<Item = Value>,
    ) {
        let mut body = Vec::with_capacity(128);
        amf0::write(&name.into(), &mut body);
        amf0::write(&transaction.into(), &mut body);
        for argument in arguments {
            amf0::write(&argument, &mut body);
        }
        self.push(kind::COMMAND, 0, stream, &body);
    }

    /// Says how a stream is.
    pub(crate) fn push_status(&mut self, stream: u32, level: Level, code: &str, description: &str) {
        if level == Level::Error {
            self.counters.refused += 1;
        }
        let status = status(level, code, description);
        self.push_command(stream, "onStatus", 0.0, [Value::Null, status]);
    }
}

/// Bytes of the buffer that are kept while nothing waits.
const KEPT_BYTES: usize = 64 * 1024;

/// The object that says how a connection or stream is.
pub(crate) fn status(level: Level, code: &str, description: &str) -> Value {
    let level = match level {
        Level::Status => "status",
        Level::Warning => "warning",
        Level::Error => "error",
    };
    object([
        ("level", level.into()),
        ("code", code.into()),
        ("description", description.into()),
    ])
}

/// An object with these fields.
pub(crate) fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let fields = fields.into_iter();
    Value::Object(
        fields
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}
