//! From pictures and sound to the tags of one player.

use std::collections::VecDeque;
use std::time::Instant;

use parlor_core::{AudioCodec, VideoCodec};

use super::{Picture, Sound};
use crate::flv::{SoundCodec, Tag};

/// What a player says that it takes, beyond H.264 and AAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Declared {
    /// `Opus` in `fourCcList`.
    pub opus: bool,
    /// `vp08` in `fourCcList`.
    pub vp8: bool,
    /// G.711 in the bits of `audioCodecs`.
    pub g711: bool,
}

impl Declared {
    /// The codecs of pictures to ask a sink for.
    pub fn video(self) -> Vec<VideoCodec> {
        let vp8 = self.vp8.then_some(VideoCodec::Vp8);
        [VideoCodec::H264].into_iter().chain(vp8).collect()
    }

    /// The codecs of sound to ask a sink for: what the player does not take is put into AAC.
    pub fn audio(self) -> Vec<AudioCodec> {
        vec![AudioCodec::Opus, AudioCodec::Pcmu, AudioCodec::Pcma]
    }

    /// Whether the player takes sound in this codec as it is.
    pub fn takes(self, codec: SoundCodec) -> bool {
        match codec {
            SoundCodec::Aac => true,
            SoundCodec::Opus => self.opus,
            SoundCodec::Pcmu | SoundCodec::Pcma => self.g711,
            SoundCodec::Mp3 | SoundCodec::Speex => false,
        }
    }
}

/// What there is to be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// Sound.
    pub audio: bool,
    /// A picture.
    pub video: bool,
}

/// Makes tags of pictures and sound.
#[derive(Debug)]
pub struct Player {
    outputs: VecDeque<Tag>,
}

impl Player {
    /// A player that has not got anything.
    pub fn new(parts: Parts) -> Self {
        let _ = parts;
        Self {
            outputs: VecDeque::new(),
        }
    }

    /// Takes a picture. Up to the first one that a decoder can begin with they are left out.
    pub fn handle_picture(&mut self, now: Instant, picture: &Picture) {
        let _ = (now, picture);
    }

    /// Takes sound in a codec that the player takes: AAC, or what it has declared.
    pub fn handle_sound(&mut self, now: Instant, sound: &Sound) {
        let _ = (now, sound);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    /// The tags for the player, in their order.
    pub fn poll_output(&mut self) -> Option<Tag> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
