//! From the packets of a sink to whole pictures and units of sound, for all who play them.

mod clock;
mod decode_times;
mod order;
mod pictures;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parlor_core::{AudioCodec, MediaKind, Payload, SinkPacket, VideoCodec};

use self::clock::Clock;
use self::order::{Order, Ordered};
use self::pictures::{Pictures, Piece};
use super::{Sound, limits};
use crate::flv::{PictureCodec, SoundCodec};

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
    /// Where it stands in the stream: when it is decoded.
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
    clock: Clock,
    audio: Option<(SoundCodec, Order<Waiting>)>,
    video: Option<(Pictures, Order<Waiting>)>,
    /// When a key frame is to be asked for, while one is wanted.
    ask_at: Option<Instant>,
    /// Somebody waits for a key frame, who is not served by what has come.
    is_wanted: bool,
    recent: Recent,
    /// Packets that are not what they say.
    malformed: u64,
    outputs: VecDeque<Fed>,
}

/// What is of use of a packet.
#[derive(Debug)]
struct Waiting {
    timestamp: u32,
    marker: bool,
    captured: Option<Duration>,
    payload: Payload,
}

/// The latest key frame and what has come since.
#[derive(Debug, Default)]
struct Recent {
    pictures: VecDeque<Picture>,
    bytes: usize,
    since: Option<Instant>,
}

/// Ticks of a picture's timestamps in a second.
const VIDEO_CLOCK: u32 = 90_000;

impl Feed {
    /// A feed of a sink with these codecs, as [`Reply::Sink`](parlor_core::Reply::Sink) says them.
    pub fn new(audio: Option<AudioCodec>, video: Option<VideoCodec>) -> Self {
        let audio = audio.map(|codec| match codec {
            AudioCodec::Opus => (SoundCodec::Opus, super::OPUS_CLOCK),
            AudioCodec::Pcmu => (SoundCodec::Pcmu, super::G711_CLOCK),
            AudioCodec::Pcma => (SoundCodec::Pcma, super::G711_CLOCK),
        });
        let audio_clock = audio.map_or(super::OPUS_CLOCK, |(_, clock)| clock);
        Self {
            clock: Clock::new(audio_clock, VIDEO_CLOCK),
            audio: audio.map(|(codec, _)| (codec, Order::new())),
            video: video.map(|codec| (Pictures::new(codec), Order::new())),
            ask_at: None,
            is_wanted: false,
            recent: Recent::default(),
            malformed: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Takes a packet of the sink.
    pub fn handle_packet(&mut self, now: Instant, packet: &SinkPacket) {
        let waiting = Waiting {
            timestamp: packet.timestamp,
            marker: packet.marker,
            captured: packet.captured,
            payload: packet.payload.clone(),
        };
        let order = match packet.kind {
            MediaKind::Audio => self.audio.as_mut().map(|(_, order)| order),
            MediaKind::Video => self.video.as_mut().map(|(_, order)| order),
        };
        match order {
            Some(order) => order.push(now, packet.sequence, waiting),
            None => self.malformed += 1,
        }
        self.handle_timeout(now);
    }

    /// A player waits for a key frame: it is asked for until it comes.
    pub fn want_keyframe(&mut self, now: Instant) {
        self.is_wanted = true;
        self.ask_at.get_or_insert(now);
        self.handle_timeout(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((codec, order)) = &mut self.audio
            && let Some(next) = order.pop(now)
        {
            let codec = *codec;
            self.on_sound(codec, &next);
        }
        while let Some((_, order)) = &mut self.video
            && let Some(next) = order.pop(now)
        {
            self.on_piece(now, &next);
        }
        self.recent.forget(now);
        if self.ask_at.is_some_and(|at| at <= now) {
            self.ask_at = Some(now + limits::KEYFRAME_RETRY);
            self.outputs.push_back(Fed::WantKeyframe);
        }
    }

    /// What has come of the packets, in its order.
    pub fn poll_output(&mut self) -> Option<Fed> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let audio = self.audio.as_ref();
        let audio = audio.and_then(|(_, order)| order.poll_timeout());
        let video = self.video.as_ref();
        let video = video.and_then(|(_, order)| order.poll_timeout());
        [audio, video, self.ask_at].into_iter().flatten().min()
    }

    /// The latest key frame and what has come since: what one who comes late begins with
    /// ([`Player::handle_picture`](super::Player::handle_picture)). Nothing where the key frame is
    /// too old to begin with: players stay as late as they begin.
    pub fn recent(&self) -> impl Iterator<Item = &Picture> {
        self.recent.pictures.iter()
    }

    /// Packets that were not what they said, so far.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }

    fn on_sound(&mut self, codec: SoundCodec, next: &Ordered<Waiting>) {
        let packet = &next.packet;
        let kind = MediaKind::Audio;
        let (timestamp, captured) = (packet.timestamp, packet.captured);
        let time = (self.clock).place(next.arrived, kind, timestamp, captured);
        // Browsers probe the bandwidth with empty ones.
        if !packet.payload.is_empty() {
            self.outputs.push_back(Fed::Sound(Sound {
                codec,
                config: Bytes::new(),
                time,
                unit: Bytes::copy_from_slice(&packet.payload),
            }));
        }
    }

    fn on_piece(&mut self, now: Instant, next: &Ordered<Waiting>) {
        let Some((pictures, _)) = &mut self.video else {
            return;
        };
        let packet = &next.packet;
        let (timestamp, captured) = (packet.timestamp, packet.captured);
        let piece = Piece {
            timestamp,
            marker: packet.marker,
            after_loss: next.after_loss,
            payload: &packet.payload,
        };
        let finished = pictures.push(piece).unwrap_or_else(|_| {
            self.malformed += 1;
            [None, None]
        });
        for finished in finished.into_iter().flatten() {
            let kind = MediaKind::Video;
            // What is known of a later picture's capture says nothing of this one.
            let captured = captured.filter(|_| finished.timestamp == timestamp);
            let clock = &mut self.clock;
            let shown = clock.place(next.arrived, kind, finished.timestamp, captured);
            if let Some(picture) = pictures.show(finished, shown) {
                self.is_wanted &= !picture.key;
                self.recent.keep(now, &picture);
                self.outputs.push_back(Fed::Picture(picture));
            }
        }
        if pictures.misses() {
            self.ask_at.get_or_insert(now);
        } else if !pictures.waits() && !self.is_wanted {
            self.ask_at = None;
        }
    }
}

impl Recent {
    fn keep(&mut self, now: Instant, picture: &Picture) {
        if picture.key {
            *self = Self {
                since: Some(now),
                ..Self::default()
            };
        } else if self.pictures.is_empty() {
            return;
        }
        self.bytes += picture.body.len();
        if self.bytes > limits::RECENT_BYTES || self.pictures.len() >= limits::RECENT_PICTURES {
            *self = Self::default();
            return;
        }
        self.pictures.push_back(picture.clone());
    }

    fn forget(&mut self, now: Instant) {
        let is_old = |since| now.saturating_duration_since(since) > limits::RECENT_TIME;
        if self.since.is_some_and(is_old) {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests;
