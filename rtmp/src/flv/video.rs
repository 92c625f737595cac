//! What the body of a video tag says, in the words of FLV (Adobe FLV 10.1 §E.4.3) and of Enhanced
//! RTMP (v2, `ExVideoTagHeader`).

use bytes::{BufMut, Bytes, BytesMut};

use super::{Malformed, enhanced};

/// How a picture is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PictureCodec {
    /// H.264, described by its AVCDecoderConfigurationRecord (ISO/IEC 14496-15 §5.3.3.1).
    H264,
    /// VP8 (RFC 6386).
    Vp8,
}

/// The body of a video tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VideoBody {
    /// What a decoder must know beforehand: an AVCDecoderConfigurationRecord, a
    /// VPCodecConfigurationRecord.
    Header(PictureCodec, Bytes),
    /// A coded picture.
    Picture(CodedPicture),
    /// Nothing to be seen: the end of a sequence, a command, metadata, one of several tracks.
    Nothing,
    /// A codec that nothing here knows, by the name under which its users know it.
    Unknown(&'static str),
}

/// A coded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodedPicture {
    /// How it is coded.
    pub codec: PictureCodec,
    /// Whether the tag says that a decoder can begin with it.
    pub key: bool,
    /// By how many milliseconds it is shown later than it is decoded.
    pub composition_ms: i32,
    /// NAL units with their lengths in front, a VP8 frame.
    pub data: Bytes,
}

/// The bit of the first byte that says how the rest is to be read.
const ENHANCED: u8 = 0x80;

/// FrameType values.
const KEY: u8 = 1;
const INTER: u8 = 2;
const COMMAND: u8 = 5;

/// CodecID values.
const SORENSON: u8 = 2;
const SCREEN: u8 = 3;
const VP6: u8 = 4;
const VP6_ALPHA: u8 = 5;
const SCREEN_2: u8 = 6;
const AVC: u8 = 7;
/// What Chinese encoders used for H.265 before there was a four-character code.
const HEVC: u8 = 12;

/// AVCPacketType values.
const AVC_HEADER: u8 = 0;
const AVC_PICTURE: u8 = 1;
const AVC_END: u8 = 2;

impl VideoBody {
    /// Reads the body of a video tag. An empty one has nothing.
    pub fn parse(body: &Bytes) -> Result<Self, Malformed> {
        let Some(first) = body.first() else {
            return Ok(Self::Nothing);
        };
        if first & ENHANCED != 0 {
            return Self::parse_enhanced(body, first >> 4 & 0x07);
        }
        let frame_type = first >> 4;
        if frame_type == COMMAND {
            return Ok(Self::Nothing);
        }
        match first & 0x0f {
            AVC => Self::parse_avc(body, frame_type),
            SORENSON => Ok(Self::Unknown("Sorenson H.263")),
            SCREEN | SCREEN_2 => Ok(Self::Unknown("Screen video")),
            VP6 | VP6_ALPHA => Ok(Self::Unknown("VP6")),
            HEVC => Ok(Self::Unknown("H.265")),
            _ => Ok(Self::Unknown("in an unknown codec")),
        }
    }

    fn parse_avc(body: &Bytes, frame_type: u8) -> Result<Self, Malformed> {
        let [_, packet_type, c0, c1, c2, ..] = **body else {
            // Encoders end a sequence in a tag that is too short for a composition time.
            let ends = body.get(1).is_none_or(|kind| *kind == AVC_END);
            return if ends {
                Ok(Self::Nothing)
            } else {
                Err(Malformed)
            };
        };
        match packet_type {
            AVC_HEADER => Ok(Self::Header(PictureCodec::H264, body.slice(5..))),
            AVC_PICTURE => Ok(Self::Picture(CodedPicture {
                codec: PictureCodec::H264,
                key: frame_type == KEY,
                composition_ms: signed_24([c0, c1, c2]),
                data: body.slice(5..),
            })),
            AVC_END => Ok(Self::Nothing),
            _ => Err(Malformed),
        }
    }

    fn parse_enhanced(body: &Bytes, frame_type: u8) -> Result<Self, Malformed> {
        if frame_type == COMMAND {
            return Ok(Self::Nothing);
        }
        let Some(head) = enhanced::parse(body, 1, enhanced::MULTITRACK_VIDEO)? else {
            return Ok(Self::Nothing);
        };
        let codec = match &head.four_cc {
            b"avc1" => PictureCodec::H264,
            b"vp08" => PictureCodec::Vp8,
            b"vp09" => return Ok(Self::Unknown("VP9")),
            b"hvc1" => return Ok(Self::Unknown("H.265")),
            b"vvc1" => return Ok(Self::Unknown("H.266")),
            b"av01" => return Ok(Self::Unknown("AV1")),
            _ => return Ok(Self::Unknown("in an unknown codec")),
        };
        let (composition_ms, data) = match (head.packet_type, codec) {
            (enhanced::SEQUENCE_START, _) => return Ok(Self::Header(codec, head.data)),
            (enhanced::CODED_FRAMES, PictureCodec::H264) => {
                let time = *head.data.first_chunk::<3>().ok_or(Malformed)?;
                (signed_24(time), head.data.slice(3..))
            }
            (enhanced::CODED_FRAMES, PictureCodec::Vp8) | (enhanced::CODED_FRAMES_X, _) => {
                (0, head.data)
            }
            _ => return Ok(Self::Nothing),
        };
        Ok(Self::Picture(CodedPicture {
            codec,
            key: frame_type == KEY,
            composition_ms,
            data,
        }))
    }

    /// Writes a body. `None` for what is only ever read.
    pub fn write(&self) -> Option<Bytes> {
        let (codec, key, data) = match self {
            Self::Header(codec, data) => (*codec, true, data),
            Self::Picture(picture) => (picture.codec, picture.key, &picture.data),
            Self::Nothing | Self::Unknown(_) => return None,
        };
        let frame_type = if key { KEY } else { INTER };
        let mut body = BytesMut::with_capacity(data.len() + 5);
        match (codec, self) {
            (PictureCodec::H264, Self::Picture(picture)) => {
                body.put_u8(frame_type << 4 | AVC);
                body.put_u8(AVC_PICTURE);
                // The three lower bytes: what does not fit was not read from a tag.
                let [_, low @ ..] = picture.composition_ms.to_be_bytes();
                body.put_slice(&low);
            }
            (PictureCodec::H264, _) => body.put_slice(&[frame_type << 4 | AVC, 0, 0, 0, 0]),
            (PictureCodec::Vp8, Self::Picture(_)) => {
                body.put_u8(ENHANCED | frame_type << 4 | enhanced::CODED_FRAMES);
                body.put_slice(b"vp08");
            }
            (PictureCodec::Vp8, _) => {
                body.put_u8(ENHANCED | frame_type << 4 | enhanced::SEQUENCE_START);
                body.put_slice(b"vp08");
            }
        }
        body.put_slice(data);
        Some(body.freeze())
    }
}

fn signed_24([high, middle, low]: [u8; 3]) -> i32 {
    i32::from_be_bytes([high, middle, low, 0]) >> 8
}
