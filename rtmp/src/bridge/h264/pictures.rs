//! From RTP payloads to pictures (RFC 6184 §5.6 to §5.8).

use bytes::{BufMut, Bytes, BytesMut};

use super::parameters::Parameters;
use super::{DELIMITER, FILLER, FU_A, IDR, PPS, SPS, STAP_A, kind};
use crate::bridge::limits;
use crate::flv::Malformed;

/// The picture whose packets are coming.
#[derive(Debug, Default)]
pub(crate) struct Assembly {
    /// NAL units with four bytes of length in front of each.
    data: BytesMut,
    units: usize,
    key: bool,
    /// The unit whose fragments are coming.
    fragments: Option<BytesMut>,
    parameters: Parameters,
}

/// A whole picture.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Assembled {
    pub(crate) key: bool,
    pub(crate) data: Bytes,
}

impl Assembly {
    /// Takes the next payload. After an error the picture has to be left out.
    pub(crate) fn push(&mut self, payload: &[u8]) -> Result<(), Malformed> {
        match kind(payload) {
            // Browsers send empty ones to probe the bandwidth.
            0 if payload.is_empty() => Ok(()),
            1..=23 => {
                self.end_of_fragments()?;
                self.push_unit(payload)
            }
            STAP_A => {
                self.end_of_fragments()?;
                self.push_aggregate(payload.get(1..).unwrap_or_default())
            }
            FU_A => self.push_fragment(payload),
            _ => Err(Malformed),
        }
    }

    /// Ends the picture; `None` if it has nothing to be shown.
    pub(crate) fn finish(&mut self) -> Result<Option<Assembled>, Malformed> {
        let ended = self.end_of_fragments();
        let picture = Assembled {
            key: self.key,
            data: self.data.split().freeze(),
        };
        self.clear();
        ended?;
        Ok((!picture.data.is_empty()).then_some(picture))
    }

    /// Leaves the picture out.
    pub(crate) fn clear(&mut self) {
        self.data.clear();
        self.units = 0;
        self.key = false;
        self.fragments = None;
    }

    /// What has come of parameter sets, in this picture and before.
    pub(crate) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn end_of_fragments(&mut self) -> Result<(), Malformed> {
        match self.fragments.take() {
            None => Ok(()),
            Some(_) => Err(Malformed),
        }
    }

    fn push_unit(&mut self, unit: &[u8]) -> Result<(), Malformed> {
        match kind(unit) {
            SPS | PPS => {
                self.parameters.keep(&Bytes::copy_from_slice(unit))?;
                return Ok(());
            }
            DELIMITER..=FILLER => return Ok(()),
            IDR => self.key = true,
            _ => {}
        }
        self.units += 1;
        let bytes = self.data.len() + 4 + unit.len();
        if bytes > limits::PICTURE_BYTES || self.units > limits::PICTURE_UNITS {
            return Err(Malformed);
        }
        // Below the limit of a picture.
        self.data.put_u32(unit.len() as u32);
        self.data.put_slice(unit);
        Ok(())
    }

    fn push_aggregate(&mut self, mut rest: &[u8]) -> Result<(), Malformed> {
        while let Some((length, behind)) = rest.split_first_chunk() {
            let length = usize::from(u16::from_be_bytes(*length));
            let (unit, next) = behind.split_at_checked(length).ok_or(Malformed)?;
            // Aggregates and fragments are not nested.
            if !matches!(kind(unit), 1..=23) {
                return Err(Malformed);
            }
            self.push_unit(unit)?;
            rest = next;
        }
        if rest.is_empty() {
            Ok(())
        } else {
            Err(Malformed)
        }
    }

    fn push_fragment(&mut self, payload: &[u8]) -> Result<(), Malformed> {
        let [indicator, header, piece @ ..] = payload else {
            return Err(Malformed);
        };
        let (starts, ends) = (header & 0x80 != 0, header & 0x40 != 0);
        if starts {
            self.end_of_fragments()?;
            if !matches!(header & 0x1f, 1..=23) {
                return Err(Malformed);
            }
            let mut unit = BytesMut::with_capacity(1 + piece.len());
            unit.put_u8(indicator & 0xe0 | header & 0x1f);
            self.fragments = Some(unit);
        }
        let unit = self.fragments.as_mut().ok_or(Malformed)?;
        if unit.len() + piece.len() > limits::PICTURE_BYTES {
            self.fragments = None;
            return Err(Malformed);
        }
        unit.put_slice(piece);
        if ends {
            let unit = self.fragments.take().unwrap_or_default();
            return self.push_unit(&unit);
        }
        Ok(())
    }
}
