//! The Parlor server: a reactor of one front thread and some workers around the sans-IO machines.
//!
//! The front ([`Server::start`] spawns it) holds the listeners, TLS and one
//! [`parlor_signalling::Connection`] per client. Each worker holds one [`parlor_core::Sfu`] with
//! the rooms whose names fall to it, and their UDP sockets. They talk through bounded queues.

#![deny(unsafe_code)]

mod banner;
pub mod cli;
mod clock;
mod codec;
pub mod config;
#[doc(hidden)]
pub mod floor;
mod front;
mod histogram;
mod journal;
pub mod limits;
mod link;
pub mod load;
pub mod logs;
mod net;
mod pages;
pub mod replay;
mod server;
mod tls;
mod worker;

pub use banner::banner;
pub use config::Settings;
pub use front::{FrontError, WorkerDied};
pub use server::{Addresses, Failed, Server, StartError, Stop};
pub use tls::TlsError;
pub use worker::MediaError;
