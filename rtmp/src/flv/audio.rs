//! What the body of an audio tag says, in the words of FLV (Adobe FLV 10.1 §E.4.2) and of Enhanced
//! RTMP (v2, `ExAudioTagHeader`).

use bytes::{BufMut, Bytes, BytesMut};

use super::{Malformed, enhanced};

/// How sound is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SoundCodec {
    /// AAC (ISO/IEC 14496-3), described by its AudioSpecificConfig.
    Aac,
    /// Opus (RFC 6716).
    Opus,
    /// G.711 µ-law, 8 kHz.
    Pcmu,
    /// G.711 A-law, 8 kHz.
    Pcma,
    /// Speex (RFC 5574), wideband. It is only ever received.
    Speex,
}

/// The body of an audio tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AudioBody {
    /// What a decoder must know beforehand: an AudioSpecificConfig, an Opus identification header
    /// (RFC 7845 §5.1).
    Header(SoundCodec, Bytes),
    /// One access unit, packet or frame; of G.711, any number of samples.
    Unit(SoundCodec, Bytes),
    /// Nothing to be heard: the end of a sequence, a layout of channels, one of several tracks.
    Nothing,
    /// A codec that nothing here decodes, by its name.
    Unknown(&'static str),
}

/// SoundFormat values (FLV table E.4.2.1).
const PCM: [u8; 2] = [0, 3];
const ADPCM: u8 = 1;
const MP3: u8 = 2;
const NELLYMOSER: std::ops::RangeInclusive<u8> = 4..=6;
const PCMA: u8 = 7;
const PCMU: u8 = 8;
const ENHANCED: u8 = 9;
const AAC: u8 = 10;
const SPEEX: u8 = 11;
const MP3_8_KHZ: u8 = 14;

const UNKNOWN: &str = "in an unknown codec";

/// AACPacketType values.
const AAC_HEADER: u8 = 0;
const AAC_UNIT: u8 = 1;

/// SoundRate, SoundSize and SoundType of AAC, which they do not describe: always 44 kHz, 16 bits,
/// stereo.
const AAC_FLAGS: u8 = 0x0f;
/// 16 bits, mono; the rate is 8 kHz, whatever the flag says.
const G711_FLAGS: u8 = 0x02;

impl AudioBody {
    /// Reads the body of an audio tag. An empty one, with which some encoders announce silence,
    /// has nothing.
    pub fn parse(body: &Bytes) -> Result<Self, Malformed> {
        let Some(first) = body.first() else {
            return Ok(Self::Nothing);
        };
        match first >> 4 {
            AAC => Self::parse_aac(body),
            ENHANCED => Self::parse_enhanced(body),
            PCMU => Self::parse_g711(SoundCodec::Pcmu, body),
            PCMA => Self::parse_g711(SoundCodec::Pcma, body),
            SPEEX => Ok(Self::Unit(SoundCodec::Speex, body.slice(1..))),
            MP3 | MP3_8_KHZ => Ok(Self::Unknown("MP3")),
            ADPCM => Ok(Self::Unknown("ADPCM")),
            codec if NELLYMOSER.contains(&codec) => Ok(Self::Unknown("Nellymoser")),
            codec if PCM.contains(&codec) => Ok(Self::Unknown("PCM")),
            _ => Ok(Self::Unknown(UNKNOWN)),
        }
    }

    fn parse_aac(body: &Bytes) -> Result<Self, Malformed> {
        match body.get(1) {
            Some(&AAC_HEADER) => Ok(Self::Header(SoundCodec::Aac, body.slice(2..))),
            Some(&AAC_UNIT) => Ok(Self::Unit(SoundCodec::Aac, body.slice(2..))),
            Some(_) => Err(Malformed),
            None => Ok(Self::Nothing),
        }
    }

    /// Two channels would need to be told apart in what follows; no encoder is known to send them.
    fn parse_g711(codec: SoundCodec, body: &Bytes) -> Result<Self, Malformed> {
        let stereo = body.first().is_some_and(|first| first & 1 != 0);
        if stereo {
            return Ok(Self::Unknown("G.711 in stereo"));
        }
        Ok(Self::Unit(codec, body.slice(1..)))
    }

    fn parse_enhanced(body: &Bytes) -> Result<Self, Malformed> {
        let Some(head) = enhanced::parse(body, 1, enhanced::MULTITRACK_AUDIO)? else {
            return Ok(Self::Nothing);
        };
        let codec = match &head.four_cc {
            b"mp4a" => SoundCodec::Aac,
            b"Opus" => SoundCodec::Opus,
            b".mp3" => return Ok(Self::Unknown("MP3")),
            b"fLaC" => return Ok(Self::Unknown("FLAC")),
            b"ac-3" | b"ec-3" => return Ok(Self::Unknown("Dolby Digital")),
            _ => return Ok(Self::Unknown(UNKNOWN)),
        };
        match head.packet_type {
            enhanced::SEQUENCE_START => Ok(Self::Header(codec, head.data)),
            enhanced::CODED_FRAMES => Ok(Self::Unit(codec, head.data)),
            _ => Ok(Self::Nothing),
        }
    }

    /// Writes a body. `None` for what is only ever read.
    pub fn write(&self) -> Option<Bytes> {
        let (codec, data, is_header) = match self {
            Self::Header(codec, data) => (*codec, data, true),
            Self::Unit(codec, data) => (*codec, data, false),
            Self::Nothing | Self::Unknown(_) => return None,
        };
        let mut body = BytesMut::with_capacity(data.len() + 5);
        match codec {
            SoundCodec::Aac => {
                body.put_u8(AAC << 4 | AAC_FLAGS);
                body.put_u8(if is_header { AAC_HEADER } else { AAC_UNIT });
            }
            SoundCodec::Opus => {
                let kind = if is_header {
                    enhanced::SEQUENCE_START
                } else {
                    enhanced::CODED_FRAMES
                };
                body.put_u8(ENHANCED << 4 | kind);
                body.put_slice(b"Opus");
            }
            SoundCodec::Pcmu => body.put_u8(PCMU << 4 | G711_FLAGS),
            SoundCodec::Pcma => body.put_u8(PCMA << 4 | G711_FLAGS),
            SoundCodec::Speex => return None,
        }
        body.put_slice(data);
        Some(body.freeze())
    }
}
