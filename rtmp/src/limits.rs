//! Every bound of an RTMP connection, in one place (rtmp.md §1.8).
//!
//! Reaching one is answered to the one who reached it, where it can be answered; nobody else
//! notices.

use std::time::Duration;

/// Most bytes of a message before something is published or played.
pub const EARLY_MESSAGE_BYTES: usize = 64 * 1024;
/// Most bytes of a message of an encoder: a key frame of a large picture.
pub const MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// Most bytes of a command.
pub const COMMAND_BYTES: usize = 64 * 1024;
/// Most bytes that all messages that have begun may announce together.
pub const BUFFERED_BYTES: usize = 8 * 1024 * 1024;
/// Bytes that are set aside for a message when it begins; more as they come.
pub const RESERVED_BYTES: usize = 64 * 1024;
/// Most chunk streams of a connection.
pub const CHUNK_STREAMS: usize = 16;
/// Least size of chunks that a client may choose (RTMP 1.0 §5.4.1).
pub const CHUNK_BYTES_MIN: usize = 128;
/// Size of the chunks that are sent.
pub const CHUNK_BYTES_OUT: usize = 60_000;
/// Bytes after which each side says how many it has.
pub const ACK_WINDOW: u32 = 2_500_000;
/// Least and most of the window that a client may ask for: acknowledgements must neither flood it
/// nor never come.
pub const ACK_WINDOW_MIN: u32 = 10_000;
/// See [`ACK_WINDOW_MIN`].
pub const ACK_WINDOW_MAX: u32 = 64 * 1024 * 1024;

/// How deep AMF0 values may be nested.
pub const AMF_DEPTH: usize = 16;
/// Most AMF0 values of a message.
pub const AMF_VALUES: usize = 4096;

/// Most message streams of a connection at the same time.
pub const STREAMS: usize = 8;
/// Most requests to the rooms that may await their answers.
pub const PENDING: usize = 64;
/// Commands that a client may send in a burst.
pub const COMMAND_BURST: u32 = 100;
/// Commands that a client may send in a second, again and again.
pub const COMMANDS_PER_SECOND: u32 = 50;
/// Refusals that a client may get in a burst: who tries names gets no further.
pub const REFUSAL_BURST: u32 = 20;
/// Refusals that a client may get in a second, again and again.
pub const REFUSALS_PER_SECOND: u32 = 1;
/// Packets of an encoder that wait for the room to take the stream.
pub const WAITING_PACKETS: usize = 4096;
/// Bytes of them.
pub const WAITING_BYTES: usize = 4 * 1024 * 1024;

/// How long the handshake may take.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client may take from the handshake to its `connect`.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client without a room of its own may be connected without publishing or playing.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an encoder may send no media.
pub const MEDIA_TIMEOUT: Duration = Duration::from_secs(15);
/// How long it is not said in a room again why the encoder of one name was refused: it comes again
/// every few seconds.
pub const TELL_AGAIN: Duration = Duration::from_secs(60);
/// Names of which it is remembered that it was said.
pub const TOLD_NAMES: usize = 256;
/// How long a client that was refused is kept, so that it reads why.
pub const REFUSED_LINGER: Duration = Duration::from_secs(1);
/// An encoder that was silent for this long loses its name to another one that asks for it.
pub const TAKEOVER_SILENCE: Duration = Duration::from_secs(2);
/// How often it is looked whether it still is.
pub const TAKEOVER_LOOK: Duration = Duration::from_millis(500);

/// Most bytes that may wait for a player before it loses what comes up to the next key frame.
pub const BEHIND_BYTES: usize = 4 * 1024 * 1024;
/// How long something may wait for a player before that happens.
pub const BEHIND_TIME: Duration = Duration::from_secs(2);
/// Most bytes that may wait for a client at all.
pub const EGRESS_BYTES: usize = 8 * 1024 * 1024;
/// How long bytes may wait to be written without any of them going out.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(15);

/// Units of sound of one stream that are kept for who begins to play it: more than come while its
/// pictures are kept, in two codecs.
pub const RECENT_SOUNDS: usize = 512;

const _: () = assert!(COMMAND_BYTES <= EARLY_MESSAGE_BYTES);
const _: () = assert!(EARLY_MESSAGE_BYTES <= MESSAGE_BYTES);
const _: () = assert!(MESSAGE_BYTES <= BUFFERED_BYTES);
const _: () = assert!(
    BEHIND_BYTES + MESSAGE_BYTES <= EGRESS_BYTES,
    "a player that falls behind loses media before its connection"
);
