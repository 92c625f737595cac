//! From the tags of an encoder to the packets of an ingest.

use std::collections::VecDeque;
use std::time::Instant;

use super::{Announcement, Packet, Sound};
use crate::flv::Tag;

/// What is done about pictures that depend on later ones.
///
/// Browsers show pictures in the order in which they come: B-frames make the picture jump back and
/// forth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BFrames {
    /// The encoder is refused, in a sentence for its user.
    #[default]
    Reject,
    /// Those on which no other picture depends are left out. Where B-frames depend on each other,
    /// that does not suffice.
    Drop,
    /// They are passed on: for rooms without browsers.
    Pass,
}

/// What comes of an encoder's tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// What is published. Comes before everything else; and again when it becomes something that
    /// players of what it was do not understand: what was announced before has ended then.
    Announcement(Announcement),
    /// A packet for the rooms.
    Packet(Packet),
    /// Sound that is to be put into the announced codec.
    Sound(Sound),
    /// Something that the encoder's user should know. The text is a sentence.
    Warning(Warning),
    /// The encoder cannot be served. The text is a sentence for its user. Nothing follows.
    Refused(Refusal),
}

/// What an encoder's user should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// Whoever comes in between, or loses packets, waits that long for a picture.
    #[error("Key frames are {0} s apart; set the key frame interval to 2 s")]
    RareKeyframes(u64),
    /// Pictures were left out.
    #[error("B-frames are left out; set max B-frames to 0 for the full frame rate")]
    BFramesDropped,
    /// What came could not be passed on as fast as it came.
    #[error("The stream comes in bursts; some of it was left out")]
    Bursts,
    /// The picture is not passed on.
    #[error("The picture is {0}, which browsers do not play here; use H.264")]
    PictureCodec(&'static str),
    /// The sound is not passed on.
    #[error("The sound is in a codec that is not known here; use AAC")]
    SoundCodec,
}

/// Why an encoder is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// See [`BFrames::Reject`].
    #[error(
        "B-frames are not supported in this room; set max B-frames to 0 \
         (OBS: Output > Advanced; x264 tune=zerolatency)"
    )]
    BFrames,
    /// There is nothing that could be passed on.
    #[error("Neither the picture nor the sound can be played here; use H.264 and AAC")]
    NoCodec,
}

/// Makes packets of tags.
#[derive(Debug)]
pub struct Publisher {
    b_frames: BFrames,
    outputs: VecDeque<Published>,
}

impl Publisher {
    /// A publisher of an encoder that has not sent anything.
    pub fn new(b_frames: BFrames) -> Self {
        Self {
            b_frames,
            outputs: VecDeque::new(),
        }
    }

    /// Takes what the encoder sends.
    pub fn handle_tag(&mut self, now: Instant, tag: &Tag) {
        let _ = (now, tag, self.b_frames);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    /// What has come of the tags, in its order.
    pub fn poll_output(&mut self) -> Option<Published> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
