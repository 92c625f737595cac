//! The protocol, spoken by scripted clients in memory, against rooms that are a small model.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "helpers of tests fail the test at what they do not expect"
)]

mod additions;
mod bytes;
mod client;
mod exchanges;
mod faults;
mod fixtures;
mod hostile;
mod http;
mod keep_alive;
mod limits;
mod rooms;
mod sessions;
mod streams;
mod traps;
mod websocket;
mod world;
