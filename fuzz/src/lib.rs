//! The simulator: a machine, clients and the network between them, all in virtual time.
//!
//! A [`World`] has one `Sfu` and any number of [`Client`]s. It jumps from one moment at which
//! something happens to the next; nothing sleeps, and a seed decides everything.

#![deny(unsafe_code)]
#![allow(
    clippy::expect_used,
    reason = "a simulation is a test: a broken expectation ends it"
)]

mod client;
mod media;
mod world;

pub use client::{Client, Received};
pub use media::{Codec, Kinds, audio_payload, mark_of, video_payloads};
pub use world::{ClientKey, Intruder, Network, World, scripted_call};
