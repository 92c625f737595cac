//! What a packet of Opus says of itself (RFC 6716 §3.1), and its identification header
//! (RFC 7845 §5.1).

use bytes::Bytes;

/// Samples of a packet at 48 kHz: of 2.5 ms to 120 ms.
pub(super) fn samples(packet: &[u8]) -> Option<u32> {
    const LONGEST: u32 = 5_760;
    let first = *packet.first()?;
    let frame: u32 = match first >> 3 {
        config @ 0..=11 => [480, 960, 1_920, 2_880][usize::from(config % 4)],
        config @ 12..=15 => [480, 960][usize::from(config % 2)],
        config => [120, 240, 480, 960][usize::from(config % 4)],
    };
    let frames = match first & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    let samples = frame * frames;
    (1..=LONGEST).contains(&samples).then_some(samples)
}

/// Channels by an identification header.
pub(super) fn channels(header: &[u8]) -> Option<u8> {
    let rest = header.strip_prefix(b"OpusHead")?;
    rest.get(1).copied()
}

/// The header for what comes from a room: two channels, whatever a packet has (RFC 7587 §7),
/// nothing to be skipped.
pub(super) fn header() -> Bytes {
    Bytes::from_static(b"OpusHead\x01\x02\0\0\x80\xbb\0\0\0\0\0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_say_how_long_they_are() {
        assert_eq!(samples(&[0xfc]), Some(960), "CELT, 20 ms");
        assert_eq!(samples(&[0xe0]), Some(120), "CELT, 2.5 ms");
        assert_eq!(samples(&[0x18]), Some(2_880), "SILK, 60 ms");
        assert_eq!(samples(&[0x68]), Some(960), "hybrid, 20 ms");
        assert_eq!(samples(&[0xfd]), Some(1_920), "two of them");
        assert_eq!(samples(&[0xff, 0x83]), Some(2_880), "three of them");
        assert_eq!(samples(&[0x1b, 0x3f]), None, "too long");
        assert_eq!(samples(&[0xff]), None);
        assert_eq!(samples(&[]), None);
    }

    #[test]
    fn the_header_says_two_channels() {
        assert_eq!(channels(&header()), Some(2));
        assert_eq!(header().len(), 19);
        assert_eq!(channels(b"OpusHead"), None);
        assert_eq!(channels(b"Opus"), None);
    }
}
