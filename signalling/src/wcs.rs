//! The WCS protocol: JSON messages on a WebSocket, as the Flashphoner SDKs speak it.
//!
//! `message` reads what clients send, `session` decides, `stream` keeps what a session knows of
//! its streams, and `answer` writes what clients get.

mod answer;
mod message;
mod session;
mod stream;
mod surrogates;

pub(crate) use session::{End, Session};
