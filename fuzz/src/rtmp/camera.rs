//! What an encoder sends.

use std::time::{Duration, Instant};

use bytes::Bytes;
use parlor_core::limits::MEDIA_PAYLOAD;
use parlor_rtmp::amf0::{self, Value};
use parlor_rtmp::flv::{AudioBody, CodedPicture, PictureCodec, SoundCodec, VideoBody};

use super::kind;
use crate::media::{PARAMETERS, RTMP, stamp};

/// How its sound is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// Opus in frames of 20 ms.
    Opus20,
    /// Opus in frames of 60 ms.
    Opus60,
    /// AAC of 8 kHz: frames of 128 ms.
    Aac,
    /// G.711 µ-law: 100 ms at once.
    Pcmu,
    /// G.711 A-law: 20 ms at once.
    Pcma,
    /// Speex in frames of 20 ms.
    Speex,
}

impl Speech {
    /// The time of a frame.
    fn pace(self) -> Duration {
        Duration::from_millis(match self {
            Self::Opus20 | Self::Pcma | Self::Speex => 20,
            Self::Opus60 => 60,
            Self::Pcmu => 100,
            Self::Aac => 128,
        })
    }

    fn codec(self) -> SoundCodec {
        match self {
            Self::Opus20 | Self::Opus60 => SoundCodec::Opus,
            Self::Aac => SoundCodec::Aac,
            Self::Pcmu => SoundCodec::Pcmu,
            Self::Pcma => SoundCodec::Pcma,
            Self::Speex => SoundCodec::Speex,
        }
    }

    /// What a decoder must know, where there is something: an identification header, or AAC-LC of
    /// 8 kHz and one channel.
    fn config(self) -> Option<Bytes> {
        match self {
            Self::Opus20 | Self::Opus60 => {
                let header = b"OpusHead\x01\x01\0\0\x80\xbb\0\0\0\0\0";
                Some(Bytes::from_static(header))
            }
            Self::Aac => Some(Bytes::from_static(&[0x15, 0x88])),
            Self::Pcmu | Self::Pcma | Self::Speex => None,
        }
    }

    /// The packets of the room that come of a unit: their number, and the bytes of each.
    fn packets(self) -> (u32, usize) {
        match self {
            Self::Opus20 | Self::Opus60 | Self::Aac | Self::Speex => (1, 80),
            Self::Pcmu => (5, 160),
            Self::Pcma => (1, 160),
        }
    }

    /// Ticks in a millisecond of the room's clock for it.
    fn rate(self) -> u32 {
        match self {
            Self::Opus20 | Self::Opus60 | Self::Aac | Self::Speex => 48,
            Self::Pcmu | Self::Pcma => 8,
        }
    }

    /// The first byte of a unit: of Opus, how long it is (RFC 6716 §3.1).
    fn first(self) -> u8 {
        match self {
            Self::Opus60 => 0x58,
            Self::Opus20 | Self::Aac | Self::Pcmu | Self::Pcma | Self::Speex => 0x78,
        }
    }
}

/// A message that is due.
pub(crate) struct Due {
    pub(crate) kind: u8,
    pub(crate) timestamp: u32,
    pub(crate) body: Bytes,
}

/// Pictures from one key frame to the next, where nothing else is said.
const GROUP: u64 = 12;
/// Bytes of a fragment, as the bridge cuts a picture.
pub(super) const PIECE: usize = MEDIA_PAYLOAD - 2;
/// Bytes of the last fragment of a picture.
pub(super) const LAST: usize = 998;
/// The same of VP8.
pub(super) const PIECE_VP8: usize = MEDIA_PAYLOAD - 4;
/// SoundFormat 11 of 16 bits (FLV table E.4.2.1): Speex, which the server never writes.
const SPEEX: u8 = 0xb2;

/// The camera and the microphone of an encoder. Payloads are marked as those of other publishers.
#[derive(Debug)]
pub struct Camera {
    /// The mark of its payloads.
    pub mark: u32,
    /// It has pictures.
    pub video: bool,
    /// How they are coded.
    pub codec: PictureCodec,
    /// Pictures from one key frame to the next.
    pub group: u64,
    /// Its sound, if it has some.
    pub sound: Option<Speech>,
    /// It says beforehand which tracks it has.
    pub promises: bool,
    /// Bytes that wait to be written, before it leaves pictures out.
    pub patience: usize,
    /// Its chunks are of the largest size.
    pub large_chunks: bool,
    /// Each of its messages has a full header, with the whole timestamp.
    pub full_headers: bool,
    /// The timestamp that it begins with.
    pub first: u32,
    pace: Duration,
    begun: Instant,
    described: bool,
    next_picture: Instant,
    next_sound: Instant,
    /// It has left something out: a gap may be one of the clock, for all that the server knows.
    has_skipped: bool,
    /// Which of its clocks it follows.
    source: u8,
    /// Pictures so far.
    pub pictures: u64,
    sounds: u64,
    packets: u64,
}

impl Camera {
    /// A camera that waits for its encoder.
    pub fn new(now: Instant, mark: u32, pace: Duration) -> Self {
        assert!(mark >= RTMP, "a mark of an encoder by RTMP");
        Self {
            mark,
            video: true,
            codec: PictureCodec::H264,
            group: GROUP,
            sound: None,
            promises: true,
            patience: 64 * 1024,
            large_chunks: false,
            full_headers: false,
            first: 0,
            pace,
            begun: now,
            described: false,
            next_picture: now,
            next_sound: now,
            has_skipped: false,
            source: 0,
            pictures: 0,
            sounds: 0,
            packets: 0,
        }
    }

    pub(super) fn begin(&mut self, now: Instant) {
        self.begun = now;
        self.next_picture = now;
        self.next_sound = now;
    }

    pub(super) fn deadline(&self) -> Instant {
        match (self.video, self.sound) {
            (true, Some(_)) => self.next_picture.min(self.next_sound),
            (true, None) => self.next_picture,
            (false, _) => self.next_sound,
        }
    }

    /// Whether the server waits for more tracks than it has.
    pub fn is_gathered(&self) -> bool {
        !(self.promises || self.video && self.sound.is_some())
    }

    /// Its clock goes on from elsewhere.
    pub fn jump(&mut self, by: u32) {
        self.first = self.first.wrapping_add(by);
        self.source = self.source.wrapping_add(1);
    }

    /// What is to be sent; nothing of it where that would only wait.
    pub(super) fn due(&mut self, now: Instant, is_full: bool) -> Vec<Due> {
        let mut due = Vec::new();
        if is_full {
            self.has_skipped = true;
            while self.video && self.next_picture <= now {
                self.next_picture += self.pace;
                // What comes next can be shown without what is left out.
                self.pictures = self.pictures.next_multiple_of(self.group);
            }
            while let Some(sound) = self.sound
                && self.next_sound <= now
            {
                self.next_sound += sound.pace();
            }
            return due;
        }
        if std::mem::take(&mut self.has_skipped) {
            self.source = self.source.wrapping_add(1);
        }
        if !std::mem::replace(&mut self.described, true) {
            self.describe(&mut due);
        }
        while self.deadline() <= now {
            if self.video && self.next_picture == self.deadline() {
                due.push(self.picture());
            } else if let Some(sound) = self.sound {
                due.push(self.unit(sound));
            }
        }
        due
    }

    fn describe(&self, due: &mut Vec<Due>) {
        if self.promises {
            let field = |name: &str, there: bool| there.then(|| (name.to_owned(), 1.0.into()));
            let fields = [
                field("videocodecid", self.video),
                field("audiocodecid", self.sound.is_some()),
            ];
            let fields = Value::Object(fields.into_iter().flatten().collect());
            let mut body = Vec::new();
            for value in ["@setDataFrame".into(), "onMetaData".into(), fields] {
                amf0::write(&value, &mut body);
            }
            due.push(self.message(kind::DATA, 0, Some(body.into())));
        }
        if self.video {
            let header = VideoBody::Header(self.codec, record(self.codec));
            due.push(self.message(kind::VIDEO, 0, header.write()));
        }
        if let Some(sound) = self.sound
            && let Some(config) = sound.config()
        {
            let header = AudioBody::Header(sound.codec(), config);
            due.push(self.message(kind::AUDIO, 0, header.write()));
        }
    }

    fn picture(&mut self) -> Due {
        let time = self.next_picture.duration_since(self.begun).as_millis() as u64;
        self.next_picture += self.pace;
        let key = self.pictures.is_multiple_of(self.group);
        self.pictures += 1;
        let data = match self.codec {
            PictureCodec::H264 => self.slice(time, key),
            PictureCodec::Vp8 => self.frame(time, key),
        };
        let body = VideoBody::Picture(CodedPicture {
            codec: self.codec,
            key,
            composition_ms: 0,
            data: data.into(),
        });
        self.message(kind::VIDEO, time, body.write())
    }

    /// A picture of H.264: one NAL unit behind its length.
    fn slice(&mut self, time: u64, key: bool) -> Vec<u8> {
        let pieces = if key { 3 } else { 2 };
        // The parameter sets go in a packet of their own.
        self.packets += u64::from(key);
        let mut unit = vec![if key { 0x65 } else { 0x61 }];
        for index in 0..pieces {
            let length = if index + 1 == pieces { LAST } else { PIECE };
            self.packets += 1;
            // As it is in a packet of the room.
            let mut payload = vec![0x7c, 0];
            payload.extend(self.marked(self.pictures));
            payload.resize(2 + length, 0x22);
            stamp(&mut payload, self.packets, (time * 90) as u32, self.source);
            unit.extend_from_slice(&payload[2..]);
        }
        [&(unit.len() as u32).to_be_bytes(), &unit[..]].concat()
    }

    /// A picture of VP8.
    fn frame(&mut self, time: u64, key: bool) -> Vec<u8> {
        let pieces = if key { 3 } else { 2 };
        let mut frame = Vec::new();
        for index in 0..pieces {
            let length = if index + 1 == pieces { LAST } else { PIECE_VP8 };
            self.packets += 1;
            // As it is in a packet of the room; the first one begins with the header of the frame,
            // whose lowest bit is clear on a key frame.
            let mut payload = vec![0x90, 0x80, 0, 0, u8::from(!key), 0, 0];
            payload.extend(self.marked(self.pictures));
            payload.resize(4 + length, 0x22);
            stamp(&mut payload, self.packets, (time * 90) as u32, self.source);
            frame.extend_from_slice(&payload[4..]);
        }
        frame
    }

    fn unit(&mut self, sound: Speech) -> Due {
        let time = self.next_sound.duration_since(self.begun).as_millis() as u64;
        self.next_sound += sound.pace();
        let (packets, length) = sound.packets();
        let mut unit = Vec::new();
        for index in 0..packets {
            self.sounds += 1;
            let mut payload = vec![sound.first()];
            payload.extend(self.marked(self.sounds));
            payload.resize(length, 0x11);
            let ticks = (time as u32).wrapping_mul(sound.rate()) + index * length as u32;
            stamp(&mut payload, self.sounds, ticks, self.source);
            unit.extend_from_slice(&payload);
        }
        let body = match sound == Speech::Speex {
            true => Some([&[SPEEX], &unit[..]].concat().into()),
            false => AudioBody::Unit(sound.codec(), unit.into()).write(),
        };
        self.message(kind::AUDIO, time, body)
    }

    fn message(&self, kind: u8, time: u64, body: Option<Bytes>) -> Due {
        Due {
            kind,
            timestamp: self.first.wrapping_add(time as u32),
            body: body.expect("it can be written"),
        }
    }

    fn marked(&self, number: u64) -> [u8; 8] {
        (u64::from(self.mark) << 32 | number).to_be_bytes()
    }
}

/// What a decoder must know of the pictures: an AVCDecoderConfigurationRecord (ISO/IEC 14496-15
/// §5.3.3.1), or a VPCodecConfigurationRecord, which says nothing of VP8 that a key frame does not.
fn record(codec: PictureCodec) -> Bytes {
    if codec == PictureCodec::Vp8 {
        return Bytes::from_static(&[1, 0, 0, 0, 0, 0x80, 2, 2, 2, 0, 0, 0]);
    }
    let (sps, pps) = PARAMETERS;
    let head = [1, sps[1], sps[2], sps[3], 0xff, 0xe1, 0, sps.len() as u8];
    [&head, sps, &[1, 0, pps.len() as u8], pps].concat().into()
}
