//! The whole server on real sockets of this machine.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test at what they do not expect"
)]

mod client;
mod exchanges;
mod guessing;
mod hostile;
mod journal;
mod loading;
mod process;
mod relay;
mod replay;
mod rtmp;
mod server;
mod serving;
