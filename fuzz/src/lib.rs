//! The simulator: a machine, clients and the network between them, all in virtual time.
//!
//! A [`World`] has one `Sfu` and any number of [`Client`]s, and of [`RtmpClient`]s behind a [`Front`].
//! It jumps from one moment at which
//! something happens to the next; nothing sleeps, and a seed decides everything.

#![deny(unsafe_code)]
#![allow(
    clippy::expect_used,
    reason = "a simulation is a test: a broken expectation ends it"
)]

mod client;
mod decoder;
mod encoder;
mod journals;
mod media;
mod network;
mod rtmp;
mod scripts;
pub mod simulator;
pub mod targets;
mod world;

pub use client::{Client, Received};
pub use decoder::Decoder;
pub use encoder::Encoder;
pub use journals::{with_format, with_header};
pub use media::{
    Codec, Kinds, Pace, Stamp, audio_payload, mark_of, stamp_of, video_payloads, without_sources,
};
pub use network::{Bursts, Network};
pub use rtmp::{Breach, Camera, Part, Present, RoomClient, RtmpClient, Shown, Speech};
pub use scripts::{scripted_call, scripted_room};
pub use world::{Brought, ClientKey, Front, Intruder, Line, Said, World};

/// Replaces the C library's `getrandom` in an executable: the standard library takes the keys of its
/// hash maps from it, and str0m walks such maps where it puts reports into one datagram.
///
/// Nothing secret depends on it there: the randomness of the machine and of its clients comes from
/// seeds.
#[macro_export]
macro_rules! fixed_hash_keys {
    () => {
        #[expect(
            unsafe_code,
            reason = "replaces a function of the C library, in a test program only"
        )]
        #[unsafe(no_mangle)]
        unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
            // SAFETY: the callers of getrandom(2) pass a buffer of `length` bytes to be written.
            unsafe { std::ptr::write_bytes(buffer, 0x5a, length) };
            length as isize
        }
    };
}
