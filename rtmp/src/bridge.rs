//! The bridge between what encoders and players speak, FLV, and what the rooms pass on, RTP.
//!
//! ```text
//! encoder ─Tag─► Publisher ─Packet─────────────────────────► Sfu
//!                    └─Sound (AAC)─► transcoder ─Sound─► Packet ┘
//!
//! Sfu ─SinkPacket─► Feed ─Picture──────────────────► Player ─Tag─► player
//!                    └─Sound (Opus)─► transcoder ─Sound─┘
//! ```
//!
//! A [`Publisher`] serves one encoder. A [`Feed`] serves one publication, however many play it, and
//! a [`Player`] one of those who do: sound is put into another codec once.
//!
//! All three are driven alike. What comes in is handled, with the time first; then what
//! `poll_output` has is taken until there is nothing; then `poll_timeout` says when
//! `handle_timeout` is to be called if nothing comes before. Early calls are harmless.
//!
//! Times are of two sorts. An `Instant` is when something happens here. A `Duration` named `time`
//! is where something stands in its stream: sound and picture of the same time belong together.

mod feed;
mod h264;
pub mod limits;
mod opus;
mod pacer;
mod player;
mod publisher;
#[cfg(test)]
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "tests look for one kind of output"
)]
mod testing;
mod timeline;
mod vp8;

use std::time::Duration;

use bytes::Bytes;
use parlor_core::{AudioCodec, MediaKind, MediaPacket, VideoFormat};

use crate::flv::SoundCodec;
pub use feed::{Fed, Feed, Picture};
pub use player::{Declared, Parts, Player};
pub use publisher::{BFrames, LeftOut, Published, Publisher, Refusal, Warning};

/// What an encoder publishes, in the words of [`Request::Ingest`](parlor_core::Request::Ingest).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The codec in which the room gets the sound. That of the encoder may be another one: then
    /// there are [`Published::Sound`]s to be put into it.
    pub audio: Option<AudioCodec>,
    /// The format of the picture.
    pub video: Option<VideoFormat>,
}

/// A packet for the rooms, with a payload of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Sound or picture.
    pub kind: MediaKind,
    /// The RTP timestamp, in the ticks of the codec's clock.
    pub timestamp: u32,
    /// As in [`MediaPacket`].
    pub marker: bool,
    /// Where the packet stands in the stream.
    pub time: Duration,
    /// The RTP payload.
    pub payload: Bytes,
}

/// An access unit, packet or frame of sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sound {
    /// How it is coded.
    pub codec: SoundCodec,
    /// What a decoder must know: an AudioSpecificConfig, an Opus identification header. Empty
    /// where there is nothing to know; of Opus from the rooms, for one. The same until it changes.
    pub config: Bytes,
    /// Where its first sample stands in the stream. Whoever counts samples comes to the same
    /// times; if not, some are missing.
    pub time: Duration,
    /// What is to be decoded.
    pub unit: Bytes,
}

impl Packet {
    /// The packet as the rooms take it.
    pub fn as_media(&self) -> MediaPacket<'_> {
        MediaPacket {
            kind: self.kind,
            timestamp: self.timestamp,
            marker: self.marker,
            captured: self.time,
            payload: &self.payload,
        }
    }

    /// A packet of Opus, as it comes out of the transcoder.
    pub fn opus(time: Duration, payload: Bytes) -> Self {
        Self {
            kind: MediaKind::Audio,
            timestamp: ticks(time, OPUS_CLOCK),
            marker: false,
            time,
            payload,
        }
    }
}

/// Ticks of Opus in a second (RFC 7587 §4.1).
const OPUS_CLOCK: u32 = 48_000;
/// Ticks of G.711 in a second (RFC 3551 §4.5.14).
const G711_CLOCK: u32 = 8_000;

/// The RTP timestamp of a time: the ticks to it, which wrap.
fn ticks(time: Duration, clock: u32) -> u32 {
    // To the nearest: times are cut to whole nanoseconds, and come back to the tick they were.
    let ticks = (time.as_nanos() * u128::from(clock) + 500_000_000) / 1_000_000_000;
    // Truncation is the wrap.
    ticks as u32
}
