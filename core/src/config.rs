//! What the operator decides.

use std::net::SocketAddr;
use std::time::Duration;

use crate::limits::Limits;
use crate::relay::Team;

/// A video codec that can be forwarded.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub enum VideoCodec {
    /// H.264 (RFC 6184).
    H264,
    /// VP8 (RFC 7741).
    Vp8,
}

/// An audio codec that can be forwarded.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub enum AudioCodec {
    /// Opus (RFC 7587).
    Opus,
    /// G.711 µ-law (RFC 3551).
    Pcmu,
    /// G.711 A-law (RFC 3551).
    Pcma,
}

/// The configuration of one [`Sfu`](crate::Sfu).
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct Config {
    /// The addresses at which datagrams reach this worker, as clients see them. All are put into
    /// each answer, in this order of preference.
    pub candidates: Vec<SocketAddr>,
    /// Video codecs, the preferred one first. A publisher sends the first one that it offers.
    pub video_codecs: Vec<VideoCodec>,
    /// Audio codecs, the preferred one first. A publisher sends the first one that it offers.
    pub audio_codecs: Vec<AudioCodec>,
    /// How long a connected peer may be silent before it counts as lost.
    pub ice_timeout: Duration,
    /// The bounds.
    pub limits: Limits,
    /// The workers beside this one.
    #[serde(default)]
    pub team: Team,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            candidates: Vec::new(),
            video_codecs: vec![VideoCodec::H264, VideoCodec::Vp8],
            audio_codecs: vec![AudioCodec::Opus, AudioCodec::Pcmu, AudioCodec::Pcma],
            ice_timeout: Duration::from_secs(15),
            limits: Limits::default(),
            team: Team::default(),
        }
    }
}
