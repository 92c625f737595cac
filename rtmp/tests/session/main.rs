//! Connections in memory, against rooms that are real: what encoders, players and room clients
//! say, what they get, and what hostile ones cannot do.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail the test at what they do not expect"
)]

mod hostile;
mod interop;
mod publishing;
mod world;
