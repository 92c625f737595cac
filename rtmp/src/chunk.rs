//! The chunk stream: messages cut into pieces, so that long ones do not hold up short ones
//! (RTMP 1.0 §5.3).

mod reader;
#[cfg(test)]
mod tests;
mod writer;

use bytes::Bytes;

pub use reader::Reader;
pub use writer::Writer;

/// A message (RTMP 1.0 §6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The message type id.
    pub kind: u8,
    /// Milliseconds, which wrap.
    pub timestamp: u32,
    /// The message stream id.
    pub stream: u32,
    /// The content.
    pub body: Bytes,
}

/// Why a chunk stream cannot be read on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// A header that leaves something out, on a chunk stream that has nothing to take it from.
    #[error("a chunk stream begins without a full header")]
    NoHeader,
    /// A message is longer than it may be here.
    #[error("a message is too long")]
    TooLong,
    /// Too many messages have begun.
    #[error("too many messages have begun")]
    TooMuch,
    /// More chunk streams than there may be.
    #[error("too many chunk streams")]
    TooManyStreams,
    /// A size of chunks that makes no sense.
    #[error("chunks of this size are not taken")]
    ChunkSize,
    /// A new message begins where another one was to go on.
    #[error("a message begins in the middle of another one")]
    Interrupted,
}

/// What stands in place of a timestamp that does not fit into three bytes (§5.3.1.3).
const EXTENDED: u32 = 0x00ff_ffff;
