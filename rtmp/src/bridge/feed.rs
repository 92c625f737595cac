//! From the packets of a sink to whole pictures and units of sound, for all who play them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parlor_core::{AudioCodec, SinkPacket, VideoCodec};

use super::Sound;
use crate::flv::PictureCodec;

/// What comes of a sink's packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fed {
    /// Sound, in its order, as it came: for players that take it so, and for the transcoder.
    Sound(Sound),
    /// A picture, in its order.
    Picture(Picture),
    /// Nothing can be shown before the next key frame: it is to be asked for
    /// ([`Request::WantKeyframe`](parlor_core::Request::WantKeyframe)). Repeated until it comes.
    WantKeyframe,
}

/// A picture as players get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// How it is coded.
    pub codec: PictureCodec,
    /// Whether a decoder can begin with it.
    pub key: bool,
    /// Where it stands in the stream.
    pub time: Duration,
    /// The body of the tag that a decoder needs before this picture, and the pictures after it:
    /// the same until it changes.
    pub header: Bytes,
    /// The body of its tag.
    pub body: Bytes,
}

/// Puts packets in order and makes pictures of them.
#[derive(Debug)]
pub struct Feed {
    outputs: VecDeque<Fed>,
}

impl Feed {
    /// A feed of a sink with these codecs, as [`Reply::Sink`](parlor_core::Reply::Sink) says them.
    pub fn new(audio: Option<AudioCodec>, video: Option<VideoCodec>) -> Self {
        let _ = (audio, video);
        Self {
            outputs: VecDeque::new(),
        }
    }

    /// Takes a packet of the sink.
    pub fn handle_packet(&mut self, now: Instant, packet: &SinkPacket) {
        let _ = (now, packet);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    /// What has come of the packets, in its order.
    pub fn poll_output(&mut self) -> Option<Fed> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// The latest key frame and what has come since: what one who comes late begins with
    /// ([`Player::handle_picture`](super::Player::handle_picture)).
    pub fn recent(&self) -> impl Iterator<Item = &Picture> {
        [].iter()
    }
}
