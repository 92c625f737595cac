//! H.264 as both sides put it: NAL units with their lengths in front (ISO/IEC 14496-15 §5.3), and
//! in RTP payloads (RFC 6184).

pub(super) mod parameters;
pub(super) mod payloads;
pub(super) mod pictures;
pub(super) mod sps;

use bytes::Bytes;

use crate::bridge::limits;
use crate::flv::Malformed;

/// NAL unit types (H.264 table 7-1).
pub(super) const SLICE: u8 = 1;
pub(super) const IDR: u8 = 5;
pub(super) const SEI: u8 = 6;
pub(super) const SPS: u8 = 7;
pub(super) const PPS: u8 = 8;
pub(super) const DELIMITER: u8 = 9;
pub(super) const FILLER: u8 = 12;
/// NAL unit types of RTP payloads (RFC 6184 table 1).
pub(super) const STAP_A: u8 = 24;
pub(super) const FU_A: u8 = 28;

/// The type of a NAL unit; 0, which none has, of an empty one.
pub(super) fn kind(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |first| first & 0x1f)
}

/// How much other units depend on one: the two bits that aggregates and fragments take over.
pub(super) fn importance(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |first| first & 0x60)
}

/// Splits NAL units from the lengths in front of them, of `length_size` bytes each.
pub(super) fn split(data: &Bytes, length_size: usize) -> Result<Vec<Bytes>, Malformed> {
    let mut units = Vec::new();
    let mut at = 0;
    while at < data.len() {
        let length = data.get(at..at + length_size).ok_or(Malformed)?;
        let length = length
            .iter()
            .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        at += length_size;
        let end = at.checked_add(length).filter(|end| *end <= data.len());
        let end = end.ok_or(Malformed)?;
        if length > 0 {
            units.push(data.slice(at..end));
        }
        if units.len() > limits::PICTURE_UNITS {
            return Err(Malformed);
        }
        at = end;
    }
    Ok(units)
}

/// Whether a slice is one of a B-frame, which depends on a later picture.
pub(super) fn is_b_slice(unit: &[u8]) -> bool {
    /// Enough for two numbers of 32 bits with as many zeros in front.
    const HEAD: usize = 24;
    if !matches!(kind(unit), SLICE | 2) {
        return false;
    }
    let head = unit.get(1..).unwrap_or_default();
    let head = sps::unescape(head.get(..HEAD).unwrap_or(head));
    let mut bits = sps::Bits::new(&head);
    // first_mb_in_slice, slice_type (H.264 §7.3.3, table 7-6).
    let slice_type = bits.exp_golomb().and_then(|_| bits.exp_golomb());
    matches!(slice_type, Ok(1 | 6))
}

#[cfg(test)]
#[allow(
    clippy::unusual_byte_groupings,
    reason = "bits are grouped as the syntax has them"
)]
mod tests {
    use super::*;

    #[test]
    fn units_are_split_at_lengths_of_every_size() {
        for (size, data) in [
            (1, &[2, 0x65, 1, 0, 1, 0x41][..]),
            (2, &[0, 2, 0x65, 1, 0, 0, 0, 1, 0x41]),
            (4, &[0, 0, 0, 2, 0x65, 1, 0, 0, 0, 1, 0x41]),
        ] {
            let units = split(&Bytes::copy_from_slice(data), size).expect("well formed");
            assert_eq!(units, [&[0x65, 1][..], &[0x41][..]]);
        }
    }

    #[test]
    fn lengths_that_lie_are_malformed() {
        for data in [
            &[0, 0, 0, 3, 0x65, 1][..],
            &[0xff, 0xff, 0xff, 0xff, 0x65],
            &[0, 0, 0, 1, 0x65, 0, 0],
            &[0],
        ] {
            assert_eq!(split(&Bytes::copy_from_slice(data), 4), Err(Malformed));
        }
        let many = Bytes::from([1, 0x41].repeat(limits::PICTURE_UNITS + 1));
        assert_eq!(split(&many, 1), Err(Malformed));
    }

    #[test]
    fn slices_say_whether_they_are_of_b_frames() {
        // first_mb_in_slice 0 is `1`, slice_type 5, 6, 7 are `00110`, `00111`, `0001000`, 0 and 1
        // are `1`, `010`.
        assert!(is_b_slice(&[0x01, 0b1_00111_00]));
        assert!(is_b_slice(&[0x41, 0b1_010_0000]));
        assert!(!is_b_slice(&[0x41, 0b1_00110_00]));
        assert!(!is_b_slice(&[0x41, 0b1_1_000000]));
        assert!(
            !is_b_slice(&[0x65, 0b1_010_0000]),
            "an IDR picture has none"
        );
        assert!(!is_b_slice(&[0x41]) && !is_b_slice(&[]) && !is_b_slice(&[0x41, 0, 0]));
    }
}
