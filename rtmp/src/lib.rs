//! RTMP, sans-IO: sessions of encoders, players and Flash-era room clients, and the bridge between
//! FLV and RTP.
//!
//! A [`Connection`] is one accepted TCP connection. It opens no socket, reads no clock and draws
//! no entropy: what it does is a function of what goes in.
//!
//! # The drain loop
//!
//! After each call of a `handle_*` method or of [`Connection::advance`] the caller drains, in
//! this order:
//!
//! 1. [`Connection::poll_action`] until `None`: requests to the rooms, packets and sound of an
//!    encoder, streams to play, names to take over;
//! 2. [`Connection::egress`] to the socket, telling [`Connection::advance`] how much of it went;
//! 3. [`Connection::is_finished`]: the socket is to be closed once the egress is empty;
//! 4. [`Connection::poll_timeout`]: when to call [`Connection::handle_timeout`].
//!
//! [`Connection::take_counters`] may be called at any time.
//!
//! [`Broadcasts`] take streams out of their rooms for the connections that play them, and [`Names`]
//! know which connection has a name that another one claims.
//!
//! # The clock contract
//!
//! `now` never runs backwards between two calls on one connection. Early or repeated calls of
//! [`Connection::handle_timeout`] are harmless.
//!
//! The protocol as it is spoken is in `PROTOCOL.md` beside this crate's sources.

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "tests take their first instant from the clock"
    )
)]

pub mod amf0;
pub mod audio;
pub mod bridge;
mod broadcasts;
pub mod chunk;
mod connection;
mod counters;
pub mod flv;
pub mod handshake;
pub mod limits;
mod message;
mod names;
mod outbox;
mod session;
mod target;

pub use broadcasts::{Broadcasts, Delivery, Output, Viewer};
pub use connection::{Action, Claimed, Config, Connection, Playable, Takeover};
pub use counters::Counters;
pub use names::Names;
