//! Every bound of signalling, in one place. Lengths of names, offers, texts and data are the
//! core's (`parlor_core::limits`), and so are the numbers an operator sets.
//!
//! Reaching one is answered to the one who reached it; nobody else notices.

use std::time::Duration;

use parlor_core::limits as core;

/// Most bytes of an HTTP request head.
pub const HEAD_BYTES: usize = 16 * 1024;
/// Most header fields of an HTTP request.
pub const HEAD_FIELDS: usize = 64;
/// How long the head of a request may take, from accepting the connection or, on a kept one,
/// from its first byte.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the content of a request may take, from the end of its head.
pub const CONTENT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a kept connection may wait for its next request.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the rest of a refused request is read and dropped, so that the answer arrives before
/// the connection is closed.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2);

/// Most bytes of a WebSocket message, over all of its fragments.
pub const MESSAGE_BYTES: usize = 256 * 1024;
/// Most bytes of the payload of a WebSocket control frame (RFC 6455 §5.5).
pub const CONTROL_BYTES: usize = 125;
/// How long the peer may take to answer a WebSocket close.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client may take from the WebSocket upgrade to its `connection` message.
pub const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);

/// Most bytes that may wait to be written to a WebSocket: a client that lets more pile up does
/// not read.
pub const EGRESS_BYTES: usize = 1024 * 1024;
/// How long bytes may wait to be written without any of them going out.
pub const STALL_TIMEOUT: Duration = Duration::from_secs(15);

/// Most bytes of an id that the client makes (`mediaSessionId`, `operationId`).
pub const ID_BYTES: usize = 128;
/// Most streams that a session knows at the same time. Above the core's default of publications
/// and subscriptions of one client, so that the core's answer is the one that is heard.
pub const STREAMS: usize = 512;
/// Most rooms that a session knows at the same time. Above the core's default of rooms of one
/// client.
pub const ROOMS: usize = 64;
/// Most requests to the rooms that may await their answers: who enters a full room plays all of
/// it at once.
pub const PENDING: usize = 512;

/// Chat messages, stream data and mutes that a client may send in a burst.
pub const TALK_BURST: u32 = 200;
/// Chat messages, stream data and mutes that a client may send in a second, again and again.
pub const TALK_PER_SECOND: u32 = 50;
/// Joins, streams and look-ups that a client may ask for in a burst.
pub const REQUEST_BURST: u32 = 600;
/// Joins, streams and look-ups that a client may ask for in a second, again and again.
pub const REQUEST_PER_SECOND: u32 = 50;
/// Messages without sense that a client may send in a burst before it is sent away.
pub const FAULT_BURST: u32 = 100;
/// Messages without sense that a client may send in a second, again and again.
pub const FAULT_PER_SECOND: u32 = 1;

/// Most bytes of a token to resume by that are looked at: ours are shorter.
pub const RESUME_TOKEN_BYTES: usize = 64;

const _: () = assert!(
    core::OFFER_BYTES < MESSAGE_BYTES,
    "an offer fits into a message"
);
const _: () = assert!(
    core::MESSAGE_BYTES < MESSAGE_BYTES,
    "a chat message fits into a message"
);
const _: () = assert!(
    core::DATA_BYTES < MESSAGE_BYTES,
    "stream data fits into a message"
);
const _: () = assert!(
    6 * core::MESSAGE_BYTES < EGRESS_BYTES,
    "a chat message whose every character is escaped fits into the egress"
);
const _: () = assert!(
    6 * (core::HISTORY_BYTES + core::HISTORY_MESSAGES * core::IDENTITY_BYTES) < EGRESS_BYTES,
    "what was said in a room fits into the egress"
);
