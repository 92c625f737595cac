//! Media that looks like media to a forwarder.

/// A video codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// H.264, constrained baseline, packetization mode 1.
    H264,
    /// VP8.
    Vp8,
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
                payloads.push(vec![
                    0x78, 0, 4, 0x67, 0x42, 0xe0, 0x1f, 0, 3, 0x68, 0xce, 0x3c,
                ]);
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

/// The mark and the number of a payload that was made here; parameter sets have none.
pub fn mark_of(payload: &[u8]) -> Option<(u32, u32)> {
    let at = match payload {
        [0x78, ..] if payload.len() < 80 => return None,
        [0x78, ..] => 1,
        [0x7c, ..] => 2,
        _ => 4,
    };
    let number: [u8; 8] = payload.get(at..)?.first_chunk().copied()?;
    let number = u64::from_be_bytes(number);
    Some(((number >> 32) as u32, number as u32))
}

fn filled(head: &[u8], number: u64) -> Vec<u8> {
    let mut payload = head.to_vec();
    payload.extend(number.to_be_bytes());
    payload.resize(1_000, 0x22);
    payload
}
