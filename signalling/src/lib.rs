//! HTTP/1.1, WebSocket (RFC 6455) and the WCS protocol, sans-IO.

#![forbid(unsafe_code)]

mod connection;

pub use connection::{Action, Config, Connection, PageRequest, PageResponse, RequestId};
