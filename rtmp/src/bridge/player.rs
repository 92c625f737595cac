//! From pictures and sound to the tags of one player.

mod metadata;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parlor_core::{AudioCodec, VideoCodec};

use super::{Picture, Sound, limits, opus};
use crate::flv::{AudioBody, SoundCodec, Tag, TagKind};

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
            SoundCodec::Speex => false,
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
///
/// It begins with a picture that a decoder can begin with, and the sound of its time; without a
/// picture, with the sound. Its times begin at zero.
#[derive(Debug)]
pub struct Player {
    parts: Parts,
    /// The time in the stream at which the tags' times are zero, once it has begun.
    zero: Option<Duration>,
    /// Sound that waits for the first picture, and since when.
    held: VecDeque<Sound>,
    held_since: Option<Instant>,
    /// The headers that were sent.
    video_header: Bytes,
    audio_header: Option<(SoundCodec, Bytes)>,
    /// What the metadata that was sent says.
    described: Option<metadata::Described>,
    /// The latest timestamps.
    latest_audio: Option<u64>,
    latest_video: Option<u64>,
    outputs: VecDeque<Tag>,
}

impl Player {
    /// A player that has not got anything.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            zero: None,
            held: VecDeque::new(),
            held_since: None,
            video_header: Bytes::new(),
            audio_header: None,
            described: None,
            latest_audio: None,
            latest_video: None,
            outputs: VecDeque::new(),
        }
    }

    /// Takes a picture. Up to the first one that a decoder can begin with they are left out.
    pub fn handle_picture(&mut self, now: Instant, picture: &Picture) {
        if self.video_header.is_empty() && !picture.key {
            return;
        }
        if self.zero.is_none() {
            self.begin(now, picture.time, Some(picture));
        }
        if self.video_header != picture.header {
            self.describe(Some(picture), None);
            self.video_header = picture.header.clone();
            let timestamp = self.next_video(picture.time, 0);
            let header = picture.header.clone();
            self.put_out(TagKind::Video, timestamp, header);
        }
        let timestamp = self.next_video(picture.time, 1);
        self.latest_video = Some(timestamp);
        self.put_out(TagKind::Video, timestamp, picture.body.clone());
    }

    /// Takes sound in a codec that the player takes: AAC, or what it has declared.
    pub fn handle_sound(&mut self, now: Instant, sound: &Sound) {
        match self.zero {
            Some(zero) => self.put_out_sound(zero, sound),
            None => {
                self.held_since.get_or_insert(now);
                self.held.push_back(sound.clone());
                if self.held.len() > limits::HOLD_SOUNDS {
                    self.held.pop_front();
                }
                self.handle_timeout(now);
            }
        }
    }

    /// Does what is due: sound goes out alone where no picture has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        let is_due = self.poll_timeout().is_some_and(|due| due <= now);
        if is_due && let Some(first) = self.held.front() {
            let time = first.time;
            self.begin(now, time, None);
        }
    }

    /// The tags for the player, in their order.
    pub fn poll_output(&mut self) -> Option<Tag> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.zero.is_some() {
            return None;
        }
        let wait = if self.parts.video {
            limits::HOLD_TIME
        } else {
            Duration::ZERO
        };
        Some(self.held_since? + wait)
    }

    /// Begins with a picture, or with sound where there is none.
    fn begin(&mut self, _now: Instant, zero: Duration, picture: Option<&Picture>) {
        self.zero = Some(zero);
        let held = std::mem::take(&mut self.held);
        // A picture that is replayed is of a time before the sound.
        self.describe(picture, held.back());
        for sound in &held {
            self.put_out_sound(zero, sound);
        }
    }

    fn put_out_sound(&mut self, zero: Duration, sound: &Sound) {
        // Of what was heard before the first picture, nothing is left but a part of a unit.
        if sound.time + limits::SOUND_EARLY < zero {
            return;
        }
        let header = (sound.codec, sound.config.clone());
        if self.audio_header.as_ref() != Some(&header) {
            self.describe(None, Some(sound));
            let described = match sound.codec {
                SoundCodec::Aac => Some(sound.config.clone()),
                SoundCodec::Opus if sound.config.is_empty() => Some(opus::header()),
                SoundCodec::Opus => Some(sound.config.clone()),
                SoundCodec::Pcmu | SoundCodec::Pcma | SoundCodec::Speex => None,
            };
            self.audio_header = Some(header);
            let body = described.and_then(|config| AudioBody::Header(sound.codec, config).write());
            if let Some(body) = body {
                let timestamp = self.latest_audio.unwrap_or_else(|| since(zero, sound.time));
                self.put_out(TagKind::Audio, timestamp, body);
            }
        }
        let Some(body) = AudioBody::Unit(sound.codec, sound.unit.clone()).write() else {
            return;
        };
        let timestamp = since(zero, sound.time).max(self.latest_audio.unwrap_or_default());
        self.latest_audio = Some(timestamp);
        self.put_out(TagKind::Audio, timestamp, body);
    }

    /// The timestamp of a picture's tag, at least `step` after the one before.
    fn next_video(&self, time: Duration, step: u64) -> u64 {
        let timestamp = since(self.zero.unwrap_or(time), time);
        self.latest_video
            .map_or(timestamp, |latest| timestamp.max(latest + step))
    }

    /// Says what there is, where that was not said: nothing that has not come, for players wait
    /// for what they were promised.
    fn describe(&mut self, picture: Option<&Picture>, sound: Option<&Sound>) {
        let mut described = self.described.clone().unwrap_or_default();
        if let Some(picture) = picture {
            described.add_picture(picture);
        }
        if let Some(sound) = sound {
            described.add_sound(sound);
        }
        if self.described.as_ref() != Some(&described) {
            // It holds for all of the stream, which begins at zero: what has another time,
            // players take for subtitles.
            self.put_out(TagKind::Data, 0, described.write());
            self.described = Some(described);
        }
    }

    fn put_out(&mut self, kind: TagKind, timestamp: u64, body: Bytes) {
        self.outputs.push_back(Tag {
            kind,
            // Truncation is the wrap.
            timestamp: timestamp as u32,
            body,
        });
    }
}

/// Whole milliseconds from one time to another, to the nearest.
fn since(zero: Duration, time: Duration) -> u64 {
    let since = time.saturating_sub(zero) + Duration::from_micros(500);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
