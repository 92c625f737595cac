//! From the tags of an encoder to the packets of an ingest.

mod pictures;
mod sounds;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parlor_core::{MediaKind, VideoFormat};

use self::pictures::{Pictures, Unpassed};
use self::sounds::Sounds;
use super::pacer::{Pacer, Taken};
use super::timeline::{self, Timeline};
use super::{Announcement, Packet, Sound, limits};
use crate::amf0;
use crate::audio::BadConfig;
use crate::flv::{AudioBody, CodedPicture, Tag, TagKind, VideoBody};

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
}

/// Why an encoder is not served. Of a part that nobody gets it is told so too: encoders show their
/// users what ends the stream, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// See [`BFrames::Reject`].
    #[error(
        "B-frames are not supported in this room; set max B-frames to 0 \
         (OBS: Settings > Output, mode Advanced: tune zerolatency, or max B-frames 0)"
    )]
    BFrames,
    /// Nobody here would see the picture.
    #[error("The picture is {0}, which browsers do not play here; use H.264")]
    PictureCodec(&'static str),
    /// Nobody here would hear the sound.
    #[error("The sound is {0}, which is not decoded here; use AAC")]
    SoundCodec(&'static str),
    /// The sound cannot be decoded, because of what it says of itself.
    #[error("{0}")]
    Sound(BadConfig),
}

/// What was left out of an encoder's stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeftOut {
    /// Tags that are not what they say.
    pub malformed: u64,
    /// Pictures that came in a burst, or before the key frame after one.
    pub pictures: u64,
    /// B-frames.
    pub b_frames: u64,
}

/// Makes packets of tags.
#[derive(Debug)]
pub struct Publisher {
    timeline: Timeline,
    pictures: Pictures,
    sounds: Sounds,
    pacer: Pacer<Item>,
    announced: Option<Announcement>,
    gathering: Gathering,
    is_refused: bool,
    /// Nothing can be shown before the next key frame.
    wants_key: bool,
    /// When the latest key frame is decoded, in milliseconds.
    latest_key: Option<i64>,
    warned: Vec<Warning>,
    left_out: LeftOut,
    outputs: VecDeque<Published>,
}

/// What waits for its time.
#[derive(Debug)]
enum Item {
    Packets(Vec<Packet>),
    Sound(Sound),
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Self::Packets(packets) => packets.iter().map(|packet| packet.payload.len()).sum(),
            Self::Sound(sound) => sound.unit.len(),
        }
    }
}

/// What is known of the tracks before they are announced.
#[derive(Debug, Default)]
struct Gathering {
    /// When the first tag came.
    since: Option<Instant>,
    /// The metadata of the encoder says which tracks there are.
    promised: Option<Promised>,
}

#[derive(Debug, Clone, Copy)]
struct Promised {
    audio: bool,
    video: bool,
}

/// How long a key frame may not come until the encoder is warned, in milliseconds.
const KEYFRAME_MISSING: i64 = 10_000;

impl Publisher {
    /// A publisher of an encoder that has not sent anything.
    pub fn new(b_frames: BFrames) -> Self {
        Self {
            timeline: Timeline::default(),
            pictures: Pictures::new(b_frames),
            sounds: Sounds::default(),
            pacer: Pacer::new(),
            announced: None,
            gathering: Gathering::default(),
            is_refused: false,
            wants_key: true,
            latest_key: None,
            warned: Vec::new(),
            left_out: LeftOut::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes what the encoder sends. A tag that is not what it says is left out and counted.
    pub fn handle_tag(&mut self, now: Instant, tag: &Tag) {
        if self.is_refused {
            return;
        }
        match tag.kind {
            TagKind::Data => self.on_data(&tag.body),
            TagKind::Audio => self.on_audio(now, tag),
            TagKind::Video => self.on_video(now, tag),
        }
        self.handle_timeout(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.is_refused {
            return;
        }
        self.announce_what_is_known(now);
        if self.announced.is_some() {
            while let Some(item) = self.pacer.pop(now) {
                self.put_out(item);
            }
        }
    }

    /// What has come of the tags, in its order.
    pub fn poll_output(&mut self) -> Option<Published> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.is_refused {
            None
        } else if self.announced.is_some() {
            self.pacer.poll_timeout()
        } else if self.is_anything_known() {
            Some(self.gathering.since? + limits::GATHER_TIME)
        } else {
            None
        }
    }

    /// What was left out so far.
    pub fn left_out(&self) -> LeftOut {
        self.left_out
    }

    fn on_data(&mut self, body: &[u8]) {
        let Ok(values) = amf0::read_all(body) else {
            self.left_out.malformed += 1;
            return;
        };
        if let [name, metadata, ..] = values.as_slice()
            && name.as_str() == Some("onMetaData")
        {
            let has = |codec| metadata.get(codec).is_some();
            let promised = Promised {
                audio: has("audiocodecid"),
                video: has("videocodecid"),
            };
            // Of an encoder that says nothing, nothing is known.
            if promised.audio || promised.video {
                self.gathering.promised = Some(promised);
            }
        }
    }

    fn on_audio(&mut self, now: Instant, tag: &Tag) {
        let Ok(body) = AudioBody::parse(&tag.body) else {
            self.left_out.malformed += 1;
            return;
        };
        match body {
            AudioBody::Nothing => {}
            AudioBody::Unknown(name) => self.on_unusable(Refusal::SoundCodec(name)),
            AudioBody::Header(codec, config) => {
                self.begin_gathering(now);
                if let Err(refusal) = self.sounds.describe(codec, config) {
                    self.refuse(refusal);
                }
            }
            AudioBody::Unit(codec, unit) => {
                self.begin_gathering(now);
                let time = self.timeline.place(now, MediaKind::Audio, tag.timestamp);
                let stamp = timeline::duration(time);
                let mut items = Vec::new();
                if self.sounds.push(codec, stamp, unit, &mut items).is_err() {
                    self.left_out.malformed += 1;
                }
                for item in items {
                    self.keep(now, stamp, item, false);
                }
            }
        }
    }

    fn on_video(&mut self, now: Instant, tag: &Tag) {
        let Ok(body) = VideoBody::parse(&tag.body) else {
            self.left_out.malformed += 1;
            return;
        };
        match body {
            VideoBody::Nothing => {}
            VideoBody::Unknown(name) => self.on_unusable(Refusal::PictureCodec(name)),
            VideoBody::Header(codec, data) => {
                self.begin_gathering(now);
                if let Err(unpassed) = self.pictures.describe(codec, &data) {
                    self.on_unpassed(unpassed);
                }
            }
            VideoBody::Picture(picture) => {
                self.begin_gathering(now);
                let time = self.timeline.place(now, MediaKind::Video, tag.timestamp);
                self.on_picture(now, time, &picture);
            }
        }
    }

    fn on_picture(&mut self, now: Instant, time: i64, picture: &CodedPicture) {
        let packed = match self.pictures.pack(time, picture) {
            Ok(packed) => packed,
            Err(unpassed) => {
                self.on_unpassed(unpassed);
                return;
            }
        };
        self.watch_keyframes(time, packed.is_key);
        if self.wants_key && !packed.is_key {
            self.left_out.pictures += 1;
            return;
        }
        self.wants_key = false;
        if !packed.packets.is_empty() {
            let item = Item::Packets(packed.packets);
            self.keep(now, timeline::duration(time), item, packed.is_key);
        }
    }

    /// A codec that nothing here passes on. In the middle of a stream it is an oddity.
    fn on_unusable(&mut self, refusal: Refusal) {
        match &self.announced {
            Some(_) => self.left_out.malformed += 1,
            None => self.refuse(refusal),
        }
    }

    fn on_unpassed(&mut self, unpassed: Unpassed) {
        match unpassed {
            Unpassed::Refused => self.refuse(Refusal::BFrames),
            Unpassed::LeftOut => {
                self.left_out.b_frames += 1;
                self.warn(Warning::BFramesDropped);
            }
            Unpassed::Malformed => {
                self.left_out.malformed += 1;
                // What comes after a hole cannot be shown.
                self.wants_key = true;
            }
            Unpassed::Undescribed => self.left_out.pictures += 1,
        }
    }

    fn watch_keyframes(&mut self, time: i64, is_key: bool) {
        let since = time - *self.latest_key.get_or_insert(time);
        let longest = limits::KEYFRAME_INTERVAL.as_millis() as i64;
        if (is_key && since > longest) || since > KEYFRAME_MISSING {
            let seconds = u64::try_from(since / 1_000).unwrap_or_default();
            let warned = |warning: &Warning| matches!(warning, Warning::RareKeyframes(_));
            if !self.warned.iter().any(warned) {
                self.warn(Warning::RareKeyframes(seconds));
            }
        }
        if is_key {
            self.latest_key = Some(time);
        }
    }

    fn keep(&mut self, now: Instant, time: Duration, item: Item, is_key: bool) {
        let bytes = item.bytes();
        match self.pacer.push(now, time, (item, bytes, is_key)) {
            Taken::Kept => {}
            Taken::Skipped(number) => {
                self.left_out.pictures += number;
                self.warn(Warning::Bursts);
            }
            Taken::Dropped(number) => {
                self.left_out.pictures += number;
                self.wants_key = true;
                self.warn(Warning::Bursts);
            }
        }
    }

    fn begin_gathering(&mut self, now: Instant) {
        self.gathering.since.get_or_insert(now);
    }

    fn is_anything_known(&self) -> bool {
        let Announcement { audio, video } = self.known();
        audio.is_some() || video.is_some()
    }

    fn known(&self) -> Announcement {
        Announcement {
            audio: self.sounds.codec(),
            video: self.pictures.format(),
        }
    }

    /// Announces the tracks once all are there that are to be expected, and again when they are
    /// others.
    fn announce_what_is_known(&mut self, now: Instant) {
        let known = self.known();
        match &self.announced {
            Some(announced) if is_played_alike(announced, &known) => return,
            Some(_) => {
                for item in self.pacer.flush() {
                    self.put_out(item);
                }
            }
            None if !self.is_gathered(now, &known) => return,
            None => self.pacer.open(now),
        }
        self.announced = Some(known.clone());
        self.outputs.push_back(Published::Announcement(known));
    }

    fn is_gathered(&self, now: Instant, known: &Announcement) -> bool {
        let Some(since) = self.gathering.since else {
            return false;
        };
        if !self.is_anything_known() {
            return false;
        }
        let promised = self.gathering.promised.unwrap_or(Promised {
            audio: true,
            video: true,
        });
        let audio = known.audio.is_some() || !promised.audio;
        let video = known.video.is_some() || !promised.video;
        (audio && video) || now.saturating_duration_since(since) >= limits::GATHER_TIME
    }

    fn put_out(&mut self, item: Item) {
        match item {
            Item::Packets(packets) => {
                self.outputs
                    .extend(packets.into_iter().map(Published::Packet));
            }
            Item::Sound(sound) => self.outputs.push_back(Published::Sound(sound)),
        }
    }

    /// Says something once.
    fn warn(&mut self, warning: Warning) {
        if !self.warned.contains(&warning) {
            self.warned.push(warning);
            self.outputs.push_back(Published::Warning(warning));
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.is_refused = true;
        self.pacer.flush();
        self.outputs.push_back(Published::Refused(refusal));
    }
}

/// Whether those who play one play the other as well.
fn is_played_alike(announced: &Announcement, known: &Announcement) -> bool {
    /// The level is left out: it says how large and fast a picture is, and decoders take more
    /// than they declare.
    fn profile(format: VideoFormat) -> VideoFormat {
        match format {
            VideoFormat::Vp8 => VideoFormat::Vp8,
            VideoFormat::H264 { profile_level_id } => VideoFormat::H264 {
                profile_level_id: profile_level_id & 0x00ff_ff00,
            },
        }
    }
    announced.audio == known.audio && announced.video.map(profile) == known.video.map(profile)
}

#[cfg(test)]
#[allow(
    clippy::unusual_byte_groupings,
    clippy::wildcard_enum_match_arm,
    reason = "bits are grouped as the syntax has them; tests look for one kind of output"
)]
mod tests;
