//! Sound from one codec into another: AAC, Opus and G.711.
//!
//! A [`Transcoder`] serves one stream of sound, however many hear it. It is driven like the parts of
//! the [`bridge`](crate::bridge): sound is handled, with the time first; then what
//! [`Transcoder::poll_output`] has is taken until there is nothing; then
//! [`Transcoder::poll_timeout`] says when [`Transcoder::handle_timeout`] is to be called if nothing
//! comes before.
//!
//! What comes out stands at the times of what went in: filters and encoders are late by some
//! samples, which are left out in front. Between themselves the times are counts of samples, and
//! follow those of the sender: small differences, as of clocks, by a slightly other speed, larger
//! ones by sound that is filled in or left out.

mod asc;
mod decoder;
mod encoder;
mod g711;
pub mod limits;
mod resampler;
mod transcoder;

pub use asc::{AudioSpecificConfig, BadConfig, Sbr};
pub use transcoder::Transcoder;

/// What sound is put into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Opus, of as many channels as what comes, up to two, in packets of 20 ms: for the rooms.
    Opus {
        /// Bits a second, on average.
        bitrate: u32,
    },
    /// AAC-LC of 48 kHz: for players. Opus becomes stereo, as any packet of it may be stereo. While
    /// nothing comes there is silence: players wait for sound that is missing.
    Aac {
        /// Bits a second in stereo; half of them in mono.
        bitrate: u32,
    },
    /// G.711 µ-law: for rooms that have no Opus.
    Pcmu,
    /// G.711 A-law: for rooms that have no Opus.
    Pcma,
}

impl Target {
    /// Opus as the rooms get it.
    pub const OPUS: Self = Self::Opus { bitrate: 96_000 };
    /// AAC as players get it.
    pub const AAC: Self = Self::Aac { bitrate: 128_000 };

    /// Samples a second.
    fn rate(self) -> u32 {
        match self {
            Self::Opus { .. } | Self::Aac { .. } => 48_000,
            Self::Pcmu | Self::Pcma => 8_000,
        }
    }

    /// The channels for sound of so many.
    fn channels(self, source: usize) -> usize {
        match self {
            Self::Opus { .. } | Self::Aac { .. } => source,
            Self::Pcmu | Self::Pcma => 1,
        }
    }

    /// Whether there is silence while nothing comes.
    fn never_pauses(self) -> bool {
        matches!(self, Self::Aac { .. })
    }
}

/// Why sound is not put into another codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SoundError {
    /// Its description says something that is not decoded.
    #[error("The sound cannot be decoded: {0}")]
    BadConfig(#[from] BadConfig),
    /// Its description says something that the decoder does not take.
    #[error("The sound cannot be decoded; set the encoder to AAC-LC, stereo")]
    Config,
    /// One unit is broken. Those behind it may be decoded.
    #[error("a part of the sound cannot be decoded")]
    Undecodable,
    /// A codec refuses what it must take.
    #[error("the sound cannot be put into another codec")]
    Codec,
}

impl SoundError {
    /// Whether the sound behind it has a chance.
    pub fn is_passing(self) -> bool {
        self == Self::Undecodable
    }
}
