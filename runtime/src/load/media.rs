//! What is published: a picture in the shape of H.264, and sound in that of Opus. Each packet says
//! which one it is and when it left.

use std::time::Duration;

use parlor_core::MediaKind;

/// What a packet says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Its number among the packets of its track, from 1.
    pub(super) number: u64,
    /// When it was written, since 1970.
    pub(super) sent: Duration,
}

/// Marks a packet as one that was made here. Sixteen bytes, as the identifier of user data in H.264
/// (table D.1, `user_data_unregistered`) has.
const MARK: &[u8; 16] = b"parlor load test";
/// Bytes of a number: seven bits each, the eighth is set. So no start code, nor what looks like
/// one, comes about inside of a NAL unit.
const NUMBER: usize = 10;
/// Bytes of a mark and a stamp.
const STAMP: usize = MARK.len() + 2 * NUMBER;
/// Smallest payload of a packet of a picture.
pub(super) const LEAST: usize = 2 + STAMP;
/// Bytes of 20 ms of sound: 32 kbit/s.
const SOUND: usize = 80;

/// NAL unit types (H.264 table 7-1; RFC 6184 table 1).
const SLICE: u8 = 1;
const KEY_SLICE: u8 = 5;
const STAP_A: u8 = 0x78;
const FU_A: u8 = 0x7c;
/// A sequence and a picture parameter set behind their lengths, and a length and the head of a
/// message with user data (H.264 §7.3.2.3.1): its NAL unit type, payload type and size.
const PARAMETER_SETS: [u8; 16] = [
    0,
    4,
    0x67,
    0x42,
    0xe0,
    0x1f,
    0,
    3,
    0x68,
    0xce,
    0x3c,
    0,
    (3 + STAMP + 1) as u8,
    6,
    5,
    STAMP as u8,
];

/// Which packet of its picture one is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) index: usize,
    pub(super) count: usize,
    pub(super) key: bool,
}

/// The packet in front of a key frame: an aggregate of what its decoder needs (RFC 6184 §5.7.1).
pub(super) fn parameter_sets(stamp: Stamp) -> Vec<u8> {
    let mut payload = vec![STAP_A];
    payload.extend_from_slice(&PARAMETER_SETS);
    put_stamp(&mut payload, stamp);
    // The end of the message's NAL unit (H.264 §7.3.2.11).
    payload.push(0x80);
    payload
}

/// One fragment of a picture (RFC 6184 §5.8).
pub(super) fn fragment(place: Place, stamp: Stamp, bytes: usize) -> Vec<u8> {
    let start = if place.index == 0 { 0x80 } else { 0 };
    let end = if place.index + 1 == place.count {
        0x40
    } else {
        0
    };
    let kind = if place.key { KEY_SLICE } else { SLICE };
    let mut payload = Vec::with_capacity(bytes);
    payload.extend_from_slice(&[FU_A, start | end | kind]);
    put_stamp(&mut payload, stamp);
    payload.resize(bytes, 0x55);
    payload
}

/// Twenty milliseconds of sound.
pub(super) fn sound(stamp: Stamp) -> Vec<u8> {
    // CELT, full band, 20 ms, mono, one frame (RFC 6716 §3.1).
    let mut payload = vec![0xf8];
    put_stamp(&mut payload, stamp);
    payload.resize(SOUND, 0x11);
    payload
}

/// What a payload says; `None` for one that was not made here.
pub(super) fn stamp_of(kind: MediaKind, payload: &[u8]) -> Option<Stamp> {
    let at = match (kind, payload.first()?) {
        (MediaKind::Audio, _) => 1,
        (MediaKind::Video, &STAP_A) => 1 + PARAMETER_SETS.len(),
        (MediaKind::Video, _) => 2,
    };
    let (mark, rest) = payload.get(at..)?.split_at_checked(MARK.len())?;
    let (number, rest) = rest.split_first_chunk::<NUMBER>()?;
    let sent = rest.first_chunk::<NUMBER>()?;
    (mark == MARK).then(|| Stamp {
        number: value(number),
        sent: Duration::from_nanos(value(sent)),
    })
}

/// Whether a decoder can begin with this payload.
pub(super) fn is_entry(payload: &[u8]) -> bool {
    payload.first() == Some(&STAP_A)
}

fn put_stamp(payload: &mut Vec<u8>, stamp: Stamp) {
    payload.extend_from_slice(MARK);
    payload.extend_from_slice(&digits(stamp.number));
    // 64 bits of nanoseconds last until the year 2554.
    payload.extend_from_slice(&digits(stamp.sent.as_nanos() as u64));
}

fn digits(value: u64) -> [u8; NUMBER] {
    std::array::from_fn(|index| 0x80 | (value >> (7 * index)) as u8)
}

fn value(digits: &[u8; NUMBER]) -> u64 {
    let digits = digits.iter().rev();
    digits.fold(0, |value, digit| value << 7 | u64::from(digit & 0x7f))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_packet_says_which_one_it_is() {
        for number in [1, 127, 128, u64::MAX] {
            let stamp = Stamp {
                number,
                sent: Duration::from_nanos(1_764_000_000_123_456_789),
            };
            let place = Place {
                index: 0,
                count: 2,
                key: true,
            };
            let key = fragment(place, stamp, 1_100);
            assert_eq!((key.len(), &key[..2]), (1_100, &[0x7c, 0x85][..]));
            let sets = parameter_sets(stamp);
            assert!(is_entry(&sets) && !is_entry(&key));
            for payload in [&key, &sets] {
                assert_eq!(stamp_of(MediaKind::Video, payload), Some(stamp));
            }
            assert_eq!(stamp_of(MediaKind::Audio, &sound(stamp)), Some(stamp));
        }
        assert_eq!(stamp_of(MediaKind::Video, &[0x7c; 1_100]), None);
        assert_eq!(stamp_of(MediaKind::Video, &[STAP_A, 0]), None);
    }

    #[test]
    fn the_lengths_in_an_aggregate_are_those_of_its_units() {
        let stamp = Stamp {
            number: 1,
            sent: Duration::ZERO,
        };
        let sets = parameter_sets(stamp);
        let mut rest = &sets[1..];
        let mut units = Vec::new();
        while let [high, low, more @ ..] = rest {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            units.push(more[0] & 0x1f);
            rest = &more[length..];
        }
        assert_eq!(units, [7, 8, 6]);
        assert!(!sets.windows(3).any(|bytes| bytes == [0, 0, 1]));
    }
}
