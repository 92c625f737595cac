//! The Parlor SFU: rooms, peers and forwarding as a pure state machine.

#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        reason = "tests take their first instant from the clock"
    )
)]

mod capture;
mod codec;
pub mod config;
mod counters;
mod crypto;
mod egress;
mod entropy;
pub mod epoch;
mod event;
mod forwarder;
mod history;
mod ingest;
mod ingress;
pub mod limits;
mod media_packet;
mod names;
pub mod observe;
mod payload;
mod peer;
mod relay;
mod request;
mod rtcp;
mod rtp;
mod sdp;
mod sfu;
pub mod simulation;
mod speaker;
mod srtp;
mod state;
mod stun;
mod tables;
mod transmit;

pub use config::{AudioCodec, Config, VideoCodec};
pub use counters::{Counters, Metric};
pub use crypto::Certificate;
pub use entropy::Seed;
pub use event::{EndReason, Event, News};
pub use limits::Limits;
pub use media_packet::{MediaPacket, SinkPacket};
pub use names::{Identity, NameError, Place, PublicationName, RoomName};
pub use payload::Payload;
pub use relay::{Relay, Team, WorkerId};
pub use request::{
    ClientId, MediaId, MediaKind, Member, Muted, Reply, Request, RequestError, ResumeToken, Said,
    TooMany, VideoFormat,
};
pub use sfu::Sfu;
pub use transmit::{Batch, Datagram, Deadline, Transmit, Wake};
