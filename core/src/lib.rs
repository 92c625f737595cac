//! The Parlor SFU: rooms, peers and forwarding as a pure state machine.

#![forbid(unsafe_code)]

pub mod config;
mod crypto;
mod entropy;
mod event;
pub mod limits;
mod names;
mod request;
mod sfu;
mod transmit;

pub use config::{AudioCodec, Config, VideoCodec};
pub use crypto::Certificate;
pub use entropy::Seed;
pub use event::{EndReason, Event, News};
pub use limits::Limits;
pub use names::{Identity, NameError, Place, PublicationName, RoomName};
pub use request::{
    ClientId, MediaId, MediaKind, Member, Muted, Reply, Request, RequestError, TooMany,
};
pub use sfu::{Counters, Metric, Sfu};
pub use transmit::{Datagram, Deadline, Transmit, Wake};
