//! What a sequence parameter set says (H.264 §7.3.2.1), as far as anybody here asks.

use crate::flv::Malformed;

/// A sequence parameter set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sps {
    /// profile_idc, profile-iop and level_idc, a byte each (RFC 6184 §8.1).
    pub(crate) profile_level_id: u32,
    pub(crate) chroma_format: u8,
    pub(crate) luma_bits: u8,
    pub(crate) chroma_bits: u8,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) reorder: Reorder,
}

/// Whether pictures are shown in another order than they are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reorder {
    /// The order is the same.
    Never,
    /// Up to so many pictures are shown after one that was decoded before them.
    Declared(u32),
    /// They may be, or may not.
    Unknown,
}

/// Profiles.
const BASELINE: u32 = 66;
/// Those whose sets describe chroma and scaling (H.264 §7.3.2.1.1).
const WITH_CHROMA: [u32; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];
/// Longest set that is read: the longest scaling lists leave room to spare.
const BYTES: usize = 1024;
/// Most reference frames of a cycle (H.264 §7.4.2.1.1).
const CYCLE: u32 = 255;
/// Most reordered frames (H.264 §E.2.1).
const REORDERED: u32 = 16;
/// Most macroblocks along one side: level 6.2 has 1055.
const SIDE: u32 = 1056;
/// Most ways of sending that hypothetical decoders are described for (H.264 §E.2.2).
const DECODERS: u32 = 31;

impl Sps {
    /// Reads a set from its NAL unit.
    pub(crate) fn parse(unit: &[u8]) -> Result<Self, Malformed> {
        if super::kind(unit) != super::SPS {
            return Err(Malformed);
        }
        let set = unit.get(1..).unwrap_or_default();
        let set = unescape(set.get(..BYTES).unwrap_or(set));
        let mut bits = Bits::new(&set);
        let profile_level_id = bits.take(24)?;
        let profile = profile_level_id >> 16;
        bits.exp_golomb()?; // seq_parameter_set_id
        let (mut chroma_format, mut luma_bits, mut chroma_bits) = (1, 8, 8);
        let mut planes_apart = false;
        if WITH_CHROMA.contains(&profile) {
            chroma_format = within(bits.exp_golomb()?, 3)?;
            if chroma_format == 3 {
                planes_apart = bits.flag()?;
            }
            luma_bits = 8 + within(bits.exp_golomb()?, 6)?;
            chroma_bits = 8 + within(bits.exp_golomb()?, 6)?;
            bits.flag()?; // qpprime_y_zero_transform_bypass_flag
            if bits.flag()? {
                skip_scaling_lists(&mut bits, if chroma_format == 3 { 12 } else { 8 })?;
            }
        }
        bits.exp_golomb()?; // log2_max_frame_num_minus4
        let order = bits.exp_golomb()?;
        skip_order(&mut bits, order)?;
        bits.exp_golomb()?; // max_num_ref_frames
        bits.flag()?; // gaps_in_frame_num_value_allowed_flag
        let columns = side(bits.exp_golomb()?)?;
        let rows = side(bits.exp_golomb()?)?;
        let frames_only = bits.flag()?;
        if !frames_only {
            bits.flag()?; // mb_adaptive_frame_field_flag
        }
        bits.flag()?; // direct_8x8_inference_flag
        let fields = if frames_only { 1 } else { 2 };
        let crop_units = match (chroma_format, planes_apart) {
            (0, _) | (_, true) => (1, fields),
            (1, _) => (2, 2 * fields),
            (2, _) => (2, fields),
            _ => (1, fields),
        };
        let (width, height) = (columns * 16, rows * 16 * fields);
        let (width, height) = cropped(&mut bits, (width, height), crop_units)?;
        let declared = declared_reorder(&mut bits);
        let reorder = match (order, declared) {
            // Pictures of order type 2 are shown as they are decoded; baseline has no B-frames.
            (2, _) | (_, Ok(Some(0))) => Reorder::Never,
            _ if profile == BASELINE => Reorder::Never,
            (_, Ok(Some(frames))) => Reorder::Declared(frames.min(REORDERED)),
            (_, Ok(None) | Err(_)) => Reorder::Unknown,
        };
        Ok(Self {
            profile_level_id,
            // Within bounds of a few.
            chroma_format: chroma_format as u8,
            luma_bits: luma_bits as u8,
            chroma_bits: chroma_bits as u8,
            width,
            height,
            reorder,
        })
    }
}

fn within(value: u32, most: u32) -> Result<u32, Malformed> {
    if value <= most {
        Ok(value)
    } else {
        Err(Malformed)
    }
}

fn side(less_one: u32) -> Result<u32, Malformed> {
    Ok(within(less_one, SIDE - 1)? + 1)
}

fn skip_scaling_lists(bits: &mut Bits<'_>, lists: usize) -> Result<(), Malformed> {
    for list in 0..lists {
        if !bits.flag()? {
            continue;
        }
        let (mut last, mut next) = (8_i64, 8_i64);
        for _ in 0..if list < 6 { 16 } else { 64 } {
            if next != 0 {
                next = (last + bits.signed_exp_golomb()?).rem_euclid(256);
            }
            if next != 0 {
                last = next;
            }
        }
    }
    Ok(())
}

/// What the order of pictures is derived from (pic_order_cnt_type).
fn skip_order(bits: &mut Bits<'_>, order: u32) -> Result<(), Malformed> {
    match order {
        0 => {
            bits.exp_golomb()?; // log2_max_pic_order_cnt_lsb_minus4
        }
        1 => {
            bits.flag()?; // delta_pic_order_always_zero_flag
            bits.exp_golomb()?; // offset_for_non_ref_pic
            bits.exp_golomb()?; // offset_for_top_to_bottom_field
            for _ in 0..within(bits.exp_golomb()?, CYCLE)? {
                bits.exp_golomb()?;
            }
        }
        2 => {}
        _ => return Err(Malformed),
    }
    Ok(())
}

fn cropped(
    bits: &mut Bits<'_>,
    (width, height): (u32, u32),
    (unit_x, unit_y): (u32, u32),
) -> Result<(u32, u32), Malformed> {
    if !bits.flag()? {
        return Ok((width, height));
    }
    let mut side = |whole: u32, unit: u32| {
        let [from, to] = [bits.exp_golomb()?, bits.exp_golomb()?];
        let cut = from.checked_add(to).and_then(|sum| sum.checked_mul(unit));
        let left = cut.and_then(|cut| whole.checked_sub(cut));
        left.filter(|left| *left > 0).ok_or(Malformed)
    };
    Ok((side(width, unit_x)?, side(height, unit_y)?))
}

/// max_num_reorder_frames of the VUI parameters (H.264 §E.1.1), if they are there.
fn declared_reorder(bits: &mut Bits<'_>) -> Result<Option<u32>, Malformed> {
    const EXTENDED_RATIO: u32 = 255;
    if !bits.flag()? {
        return Ok(None);
    }
    if bits.flag()? && bits.take(8)? == EXTENDED_RATIO {
        bits.take(32)?; // sar_width, sar_height
    }
    if bits.flag()? {
        bits.flag()?; // overscan_appropriate_flag
    }
    if bits.flag()? {
        bits.take(4)?; // video_format, video_full_range_flag
        if bits.flag()? {
            bits.take(24)?; // colours
        }
    }
    if bits.flag()? {
        bits.exp_golomb()?; // chroma_sample_loc_type_top_field
        bits.exp_golomb()?; // … bottom_field
    }
    if bits.flag()? {
        bits.take(32)?; // num_units_in_tick
        bits.take(32)?; // time_scale
        bits.flag()?; // fixed_frame_rate_flag
    }
    let by_unit = bits.flag()?;
    if by_unit {
        skip_decoders(bits)?;
    }
    let by_sequence = bits.flag()?;
    if by_sequence {
        skip_decoders(bits)?;
    }
    if by_unit || by_sequence {
        bits.flag()?; // low_delay_hrd_flag
    }
    bits.flag()?; // pic_struct_present_flag
    if !bits.flag()? {
        return Ok(None);
    }
    bits.flag()?; // motion_vectors_over_pic_boundaries_flag
    for _ in 0..4 {
        bits.exp_golomb()?; // bytes and bits of pictures, lengths of vectors
    }
    bits.exp_golomb().map(Some)
}

/// Parameters of hypothetical decoders (H.264 §E.1.2).
fn skip_decoders(bits: &mut Bits<'_>) -> Result<(), Malformed> {
    let decoders = within(bits.exp_golomb()?, DECODERS)? + 1;
    bits.take(8)?; // scales
    for _ in 0..decoders {
        bits.exp_golomb()?;
        bits.exp_golomb()?;
        bits.flag()?;
    }
    bits.take(20)?; // lengths
    Ok(())
}

/// A NAL unit's payload without the bytes that keep start codes out of it (H.264 §7.4.1).
pub(crate) fn unescape(payload: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(payload.len());
    let mut zeros = 0;
    for byte in payload {
        if zeros >= 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        plain.push(*byte);
    }
    plain
}

/// Reads bits, the highest of a byte first.
#[derive(Debug)]
pub(crate) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(crate) fn flag(&mut self) -> Result<bool, Malformed> {
        let byte = *self.bytes.get(self.at / 8).ok_or(Malformed)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Ok(bit == 1)
    }

    /// The next `count` bits, at most 32.
    pub(crate) fn take(&mut self, count: u32) -> Result<u32, Malformed> {
        let mut value = 0;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag()?);
        }
        Ok(value)
    }

    /// ue(v) (H.264 §9.1).
    pub(crate) fn exp_golomb(&mut self) -> Result<u32, Malformed> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return Err(Malformed);
            }
        }
        let rest = self.take(zeros)?;
        Ok((1_u32 << zeros) - 1 + rest)
    }

    /// se(v) (H.264 §9.1.1).
    fn signed_exp_golomb(&mut self) -> Result<i64, Malformed> {
        let code = i64::from(self.exp_golomb()?);
        Ok(if code % 2 == 0 {
            -code / 2
        } else {
            (code + 1) / 2
        })
    }
}

#[cfg(test)]
#[allow(
    clippy::unusual_byte_groupings,
    reason = "bits are grouped as the syntax has them"
)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_of_every_length_are_read() {
        // 0, 1, 2, 3, 7 by ue(v): 1, 010, 011, 00100, 0001000.
        let bytes = [0b1_010_011_0, 0b0100_0001, 0b000_00000];
        let mut bits = Bits::new(&bytes);
        let numbers: Vec<u32> = (0..5).map_while(|_| bits.exp_golomb().ok()).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 7]);
        let mut largest = vec![0, 0, 0, 1];
        largest.extend([0xff; 4]);
        assert_eq!(Bits::new(&largest).exp_golomb(), Ok(u32::MAX - 1));
        assert_eq!(Bits::new(&[0; 8]).exp_golomb(), Err(Malformed));
    }

    #[test]
    fn what_keeps_start_codes_out_is_taken_out() {
        assert_eq!(
            unescape(&[0, 0, 3, 1, 0, 0, 3, 0, 0, 3]),
            [0, 0, 1, 0, 0, 0, 0]
        );
    }

    proptest! {
        #[test]
        fn no_set_panics(mut unit in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(first) = unit.first_mut() {
                *first = 0x67;
            }
            if let Ok(sps) = Sps::parse(&unit) {
                prop_assert!(sps.width > 0 && sps.height > 0);
            }
        }
    }
}
