//! HTTP/1.1, WebSocket (RFC 6455) and the WCS protocol, sans-IO.
//!
//! A [`Connection`] is one accepted TCP connection. It opens no socket, reads no clock and draws
//! no entropy: what it does is a function of what goes in.
//!
//! # The drain loop
//!
//! After each call of a `handle_*` method or of [`Connection::advance`] the caller drains, in
//! this order:
//!
//! 1. [`Connection::poll_action`] until `None`: requests to the rooms, pages to serve, and streams
//!    to begin or end by WHIP and WHEP;
//! 2. [`Connection::egress`] to the socket, telling [`Connection::advance`] how much of it went;
//! 3. [`Connection::is_finished`]: the socket is to be closed once the egress is empty;
//! 4. [`Connection::poll_timeout`]: when to call [`Connection::handle_timeout`].
//!
//! [`Connection::take_counters`] may be called at any time.
//!
//! # The clock contract
//!
//! `now` never runs backwards between two calls on one connection. Early or repeated calls of
//! [`Connection::handle_timeout`] are harmless.
//!
//! The protocol as it is spoken is in `PROTOCOL.md` beside this crate's sources.

#![forbid(unsafe_code)]

mod bucket;
mod connection;
mod counters;
mod dialogue;
mod http;
pub mod limits;
mod outbox;
mod wcs;
mod websocket;
pub mod whip;

pub use bucket::Bucket;
pub use connection::{Action, Config, Connection, PageRequest, PageResponse, RequestId};
pub use counters::Counters;
pub use dialogue::{Dialogue, Ended};
