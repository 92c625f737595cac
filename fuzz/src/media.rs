//! Media that looks like media to a forwarder.

use std::time::Duration;

/// A video codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// H.264, constrained baseline, packetization mode 1.
    H264,
    /// VP8.
    Vp8,
}

/// How often something is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Time between two pictures.
    pub picture: Duration,
    /// Time between two packets of sound.
    pub sound: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            picture: Duration::from_millis(40),
            sound: Duration::from_millis(20),
        }
    }
}

/// Which kinds of media a client offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds {
    /// Sound (Opus).
    pub audio: bool,
    /// A picture.
    pub video: Option<Codec>,
}

impl Kinds {
    /// Sound and H.264.
    pub const BOTH: Self = Self {
        audio: true,
        video: Some(Codec::H264),
    };
    /// Sound alone.
    pub const AUDIO: Self = Self {
        audio: true,
        video: None,
    };
    /// H.264 alone.
    pub const VIDEO: Self = Self {
        audio: false,
        video: Some(Codec::H264),
    };
}

/// The parameter sets of H.264 pictures: constrained baseline, 16 by 16, shown as they are decoded.
pub(crate) const PARAMETERS: (&[u8], &[u8]) =
    (&[0x67, 0x42, 0xe0, 0x1f, 0xdd, 0xe4], &[0x68, 0xce, 0x3c]);

/// The first mark of encoders by RTMP.
pub(crate) const RTMP: u32 = 1 << 31;

/// Twenty milliseconds of sound, marked with its number.
pub fn audio_payload(number: u64) -> Vec<u8> {
    let mut payload = vec![0x78];
    payload.extend(number.to_be_bytes());
    payload.resize(80, 0x11);
    payload
}

/// The packets of one picture, marked with its number: a key frame is larger and has what its
/// codec's decoder begins with.
pub fn video_payloads(codec: Codec, number: u64, key: bool) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    let packets = if key { 4 } else { 2 };
    match codec {
        Codec::H264 => {
            if key {
                // STAP-A of a sequence and a picture parameter set (RFC 6184 §5.7.1).
                let (sps, pps) = PARAMETERS;
                let length = |set: &[u8]| [0, set.len() as u8];
                let sets = [&length(sps), sps, &length(pps), pps];
                payloads.push([&[0x78][..], &sets.concat()].concat());
            }
            let kind = if key { 5 } else { 1 };
            for index in 0..packets {
                let start = if index == 0 { 0x80 } else { 0 };
                let end = if index + 1 == packets { 0x40 } else { 0 };
                payloads.push(filled(&[0x7c, start | end | kind], number));
            }
        }
        Codec::Vp8 => {
            for index in 0..packets {
                // RFC 7741 §4.2: S is set on the first packet of the picture; then the frame
                // header, whose lowest bit is clear on a key frame.
                let descriptor = if index == 0 { 0x10 } else { 0 };
                let header = if index == 0 && key { 0 } else { 1 };
                payloads.push(filled(&[descriptor, header, 0, 0], number));
            }
        }
    }
    payloads
}

/// What a payload says of itself that was made here; parameter sets say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Whose it is.
    pub mark: u32,
    /// Which picture, or which packet of sound.
    pub number: u32,
    /// The extended sequence number that it was sent with.
    pub sequence: u64,
    /// The RTP timestamp that it was sent with.
    pub timestamp: u32,
    /// Which of the sources that the sender has used.
    pub source: u8,
}

/// Where a payload has its stamp.
fn stamp_at(payload: &[u8]) -> Option<usize> {
    match payload {
        [0x78, ..] if payload.len() < 80 => None,
        [0x78 | 0x58, ..] => Some(1),
        [0x7c, ..] => Some(2),
        // VP8 with the number of its picture, as the bridge describes it; the rest is a frame.
        [0x80 | 0x90, 0x80, ..] => Some(7),
        _ => Some(4),
    }
}

/// Completes the stamp of a payload that was made here, as far as it is not of the payload's making.
pub(crate) fn stamp(payload: &mut [u8], sequence: u64, timestamp: u32, source: u8) {
    let Some(at) = stamp_at(payload) else { return };
    if let Some(rest) = payload.get_mut(at + 8..at + 21) {
        rest[..8].copy_from_slice(&sequence.to_be_bytes());
        rest[8..12].copy_from_slice(&timestamp.to_be_bytes());
        rest[12] = source;
    }
}

/// The stamp of a payload.
pub fn stamp_of(payload: &[u8]) -> Option<Stamp> {
    let stamp = payload.get(stamp_at(payload)?..)?;
    let word = |at: usize| Some(u32::from_be_bytes(*stamp.get(at..)?.first_chunk()?));
    Some(Stamp {
        mark: word(0)?,
        number: word(4)?,
        sequence: u64::from(word(8)?) << 32 | u64::from(word(12)?),
        timestamp: word(16)?,
        source: *stamp.get(20)?,
    })
}

/// The mark and the number of a payload that was made here; parameter sets have none.
pub fn mark_of(payload: &[u8]) -> Option<(u32, u32)> {
    stamp_of(payload).map(|stamp| (stamp.mark, stamp.number))
}

/// Whether a decoder can begin with a packet of a picture that was made here.
pub(crate) fn is_entry(payload: &[u8]) -> bool {
    match payload {
        [0x78, ..] => true,
        [0x10, header, ..] | [0x90, 0x80, _, _, header, ..] => header & 1 == 0,
        _ => false,
    }
}

fn filled(head: &[u8], number: u64) -> Vec<u8> {
    let mut payload = head.to_vec();
    payload.extend(number.to_be_bytes());
    payload.resize(1_000, 0x22);
    payload
}

/// An offer that does not name the sources of what is sent, as those of some encoders.
pub fn without_sources(offer: &str) -> String {
    let lines = offer.lines().filter(|line| !line.starts_with("a=ssrc"));
    lines.map(|line| format!("{line}\r\n")).collect()
}
