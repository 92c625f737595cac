//! Parameter sets: what a decoder must know before the first picture.

use std::collections::BTreeMap;

use bytes::{BufMut, Bytes, BytesMut};

use super::sps::{Bits, Sps, unescape};
use crate::bridge::limits;
use crate::flv::Malformed;

/// The parameter sets of a stream, by the numbers that they have themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Parameters {
    sps: BTreeMap<u32, Bytes>,
    pps: BTreeMap<u32, Bytes>,
}

/// Highest numbers (H.264 §7.4.2.1.1 and §7.4.2.2).
const SPS_ID: u32 = 31;
const PPS_ID: u32 = 255;
/// Bytes of a set in which its number is for sure.
const HEAD: usize = 16;
/// Profiles whose record says nothing of chroma (ISO/IEC 14496-15 §5.3.3.1.2).
const WITHOUT_CHROMA: [u8; 3] = [66, 77, 88];

impl Parameters {
    /// Reads an AVCDecoderConfigurationRecord, and how many bytes the lengths in front of NAL
    /// units have.
    pub(crate) fn parse_record(record: &Bytes) -> Result<(Self, usize), Malformed> {
        let [1, _, _, _, sizes, sps_count, ..] = **record else {
            return Err(Malformed);
        };
        let length_size = usize::from(sizes & 3) + 1;
        if length_size == 3 {
            return Err(Malformed);
        }
        let mut parameters = Self::default();
        let mut at = parameters.read_sets(record, 6, sps_count & 0x1f)?;
        let pps_count = *record.get(at).ok_or(Malformed)?;
        at += 1;
        parameters.read_sets(record, at, pps_count)?;
        // What may follow repeats what the sets say.
        if parameters.is_complete() {
            Ok((parameters, length_size))
        } else {
            Err(Malformed)
        }
    }

    /// Reads `count` sets, and returns where they end.
    fn read_sets(&mut self, record: &Bytes, mut at: usize, count: u8) -> Result<usize, Malformed> {
        for _ in 0..count {
            let length = record.get(at..at + 2).and_then(|bytes| bytes.first_chunk());
            let length = usize::from(u16::from_be_bytes(*length.ok_or(Malformed)?));
            let end = at + 2 + length;
            if end > record.len() {
                return Err(Malformed);
            }
            self.keep(&record.slice(at + 2..end))?;
            at = end;
        }
        Ok(at)
    }

    /// Keeps a set in place of the one with its number. Returns whether it is another one.
    pub(crate) fn keep(&mut self, unit: &Bytes) -> Result<bool, Malformed> {
        let head = unit.get(1..).unwrap_or_default();
        let head = unescape(head.get(..HEAD).unwrap_or(head));
        let mut bits = Bits::new(&head);
        let (sets, id) = match super::kind(unit) {
            super::SPS => {
                bits.take(24)?;
                (&mut self.sps, limited(bits.exp_golomb()?, SPS_ID)?)
            }
            super::PPS => (&mut self.pps, limited(bits.exp_golomb()?, PPS_ID)?),
            _ => return Err(Malformed),
        };
        if sets.get(&id) == Some(unit) {
            return Ok(false);
        }
        // A copy: what it is a part of may be a large picture.
        let before = sets.insert(id, Bytes::copy_from_slice(unit));
        let bytes: usize = self.units().map(Bytes::len).sum();
        if bytes > limits::PARAMETER_BYTES {
            let sets = match super::kind(unit) {
                super::SPS => &mut self.sps,
                _ => &mut self.pps,
            };
            match before {
                Some(before) => sets.insert(id, before),
                None => sets.remove(&id),
            };
            return Err(Malformed);
        }
        Ok(true)
    }

    /// Whether there is a set of either kind.
    pub(crate) fn is_complete(&self) -> bool {
        !self.sps.is_empty() && !self.pps.is_empty()
    }

    /// All sets, those of sequences first.
    pub(crate) fn units(&self) -> impl Iterator<Item = &Bytes> {
        self.sps.values().chain(self.pps.values())
    }

    /// What the first set of a sequence says.
    pub(crate) fn describe(&self) -> Result<Sps, Malformed> {
        Sps::parse(self.sps.values().next().ok_or(Malformed)?)
    }

    /// Writes an AVCDecoderConfigurationRecord for lengths of four bytes.
    pub(crate) fn write_record(&self) -> Option<Bytes> {
        let described = self.describe().ok()?;
        let [_, profile, compatible, level] = described.profile_level_id.to_be_bytes();
        let mut record = BytesMut::new();
        record.put_slice(&[1, profile, compatible, level, 0xff]);
        write_sets(&mut record, 0xe0, &self.sps);
        write_sets(&mut record, 0, &self.pps);
        if !WITHOUT_CHROMA.contains(&profile) {
            record.put_u8(0xfc | described.chroma_format);
            record.put_u8(0xf8 | (described.luma_bits - 8));
            record.put_u8(0xf8 | (described.chroma_bits - 8));
            record.put_u8(0); // numOfSequenceParameterSetExt
        }
        Some(record.freeze())
    }
}

fn limited(id: u32, most: u32) -> Result<u32, Malformed> {
    if id <= most { Ok(id) } else { Err(Malformed) }
}

fn write_sets(record: &mut BytesMut, above: u8, sets: &BTreeMap<u32, Bytes>) {
    /// Most sets that a record can count: of sequences it has five bits for the number.
    const SETS: usize = 31;
    let sets = sets.values().filter(|set| u16::try_from(set.len()).is_ok());
    let sets: Vec<&Bytes> = sets.take(SETS).collect();
    // Both are small: checked above.
    record.put_u8(above | sets.len() as u8);
    for set in sets {
        record.put_u16(set.len() as u16);
        record.put_slice(set);
    }
}
