//! What a player gets.

use std::time::Instant;

use bytes::Bytes;
use parlor_rtmp::flv::{AudioBody, PictureCodec, SoundCodec, VideoBody};

use super::camera::{LAST, PIECE, PIECE_VP8};
use super::kind;
use crate::media::{RTMP, Stamp, stamp_of};

/// What a player says that takes G.711: it has no four-character code.
pub(crate) const G711: &str = "G.711";

/// What a message of media holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What a decoder needs before the rest.
    Header,
    /// A picture to begin with, or one that is made of the one before.
    Picture {
        /// The former.
        key: bool,
    },
    /// Sound, which needs a header too.
    Unit,
}

/// A message of media.
#[derive(Debug, Clone)]
pub struct Shown {
    /// A picture's, as opposed to sound's.
    pub video: bool,
    /// What it holds.
    pub part: Part,
    /// The stamp of its first fragment; a header has none.
    pub stamp: Option<Stamp>,
    /// Its timestamp.
    pub timestamp: u32,
    /// When it came.
    pub at: Instant,
    /// What a player must have declared to get it, beyond H.264 and AAC.
    pub needs: Option<&'static str>,
}

/// Reads a message.
///
/// # Panics
/// Where it is none that a decoder takes, or a picture is not whole.
pub(super) fn read(at: Instant, timestamp: u32, message: u8, body: &Bytes) -> Shown {
    let video = message == kind::VIDEO;
    let (part, stamp, needs) = match video {
        true => picture(body),
        false => sound(body),
    };
    Shown {
        video,
        part,
        stamp,
        timestamp,
        at,
        needs,
    }
}

type Read = (Part, Option<Stamp>, Option<&'static str>);

fn picture(body: &Bytes) -> Read {
    let needs = |codec| (codec == PictureCodec::Vp8).then_some("vp08");
    match VideoBody::parse(body).expect("a picture") {
        VideoBody::Header(codec, data) => {
            assert!(data.len() >= 12, "a header that says nothing");
            (Part::Header, None, needs(codec))
        }
        VideoBody::Picture(picture) => {
            let stamp = match picture.codec {
                PictureCodec::H264 => h264(&picture.data, picture.key),
                PictureCodec::Vp8 => {
                    let is_key = picture.data[0] & 1 == 0;
                    assert_eq!(is_key, picture.key, "what the tag says of its picture");
                    whole(
                        &picture.data,
                        3,
                        |mark| if mark >= RTMP { PIECE_VP8 } else { 999 },
                    )
                }
            };
            let part = Part::Picture { key: picture.key };
            (part, Some(stamp), needs(picture.codec))
        }
        VideoBody::Nothing | VideoBody::Unknown(_) => unreachable!("{body:?}"),
    }
}

/// The stamp of the one slice of a picture.
fn h264(data: &[u8], key: bool) -> Stamp {
    let mut slices = Vec::new();
    let mut rest = data;
    while let Some((length, after)) = rest.split_first_chunk() {
        let (unit, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        rest = after;
        if let 1 | 5 = unit[0] & 0x1f {
            slices.push(unit);
        }
    }
    let [slice] = slices[..] else {
        unreachable!("{} slices in one picture", slices.len())
    };
    assert_eq!(
        slice[0] & 0x1f == 5,
        key,
        "what the tag says of its picture"
    );
    whole(slice, 1, |mark| if mark >= RTMP { PIECE } else { LAST })
}

/// The stamp of the first fragment of a picture, all of which are there, in their order.
fn whole(picture: &[u8], at: usize, length: impl Fn(u32) -> usize) -> Stamp {
    let stamp = |piece: &[u8]| {
        // As it is in a packet of the room.
        stamp_of(&[&[0x7c, 0], piece].concat()).expect("it is stamped")
    };
    let first = stamp(&picture[at..]);
    let length = length(first.mark);
    let pieces = picture[at..].chunks(length);
    for (index, piece) in (0..).zip(pieces) {
        let expected = Stamp {
            sequence: first.sequence + index,
            ..first
        };
        assert_eq!(stamp(piece), expected, "a picture is made of another one's");
    }
    first
}

fn sound(body: &Bytes) -> Read {
    let needs = |codec| match codec {
        SoundCodec::Aac => None,
        SoundCodec::Opus => Some("Opus"),
        SoundCodec::Pcmu | SoundCodec::Pcma => Some(G711),
        SoundCodec::Speex => unreachable!("it is only ever received"),
    };
    match AudioBody::parse(body).expect("sound") {
        AudioBody::Header(codec, _) => (Part::Header, None, needs(codec)),
        AudioBody::Unit(codec, unit) => (Part::Unit, stamp_of(&unit), needs(codec)),
        AudioBody::Nothing | AudioBody::Unknown(_) => unreachable!("{body:?}"),
    }
}
