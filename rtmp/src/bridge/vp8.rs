//! VP8: a frame as it is (RFC 6386), and in RTP payloads (RFC 7741).

use bytes::{BufMut, Bytes, BytesMut};
use parlor_core::limits::MEDIA_PAYLOAD;

use super::limits;
use crate::flv::Malformed;

/// Bits of the payload descriptor (RFC 7741 §4.2).
const EXTENDED: u8 = 0x80;
const STARTS: u8 = 0x10;
const PICTURE_ID: u8 = 0x80;
const PICTURE_ID_LONG: u8 = 0x80;
const LAYER_INDEX: u8 = 0x40;
const TEMPORAL: u8 = 0x20;
const KEY_INDEX: u8 = 0x10;
/// The descriptor that is written: with a picture's number of 15 bits.
const DESCRIPTOR: usize = 4;

/// Whether a frame is a key frame (RFC 6386 §9.1).
pub(super) fn is_key(frame: &[u8]) -> bool {
    frame.first().is_some_and(|first| first & 1 == 0)
}

/// Width and height of a key frame (RFC 6386 §9.1).
pub(super) fn size(frame: &[u8]) -> Option<(u32, u32)> {
    let [_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..] = *frame else {
        return None;
    };
    let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    Some((side(w0, w1), side(h0, h1)))
}

/// Appends the payloads of one frame.
pub(super) fn push_frame(frame: &Bytes, number: u16, payloads: &mut Vec<Bytes>) {
    let mut flags = EXTENDED | STARTS;
    for piece in frame.chunks(MEDIA_PAYLOAD - DESCRIPTOR) {
        let mut payload = BytesMut::with_capacity(DESCRIPTOR + piece.len());
        payload.put_slice(&[flags, PICTURE_ID]);
        payload.put_u16(number | 1 << 15);
        payload.put_slice(piece);
        payloads.push(payload.freeze());
        flags = EXTENDED;
    }
}

/// The frame whose packets are coming.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    data: BytesMut,
}

impl Assembly {
    /// Takes the next payload. After an error the frame has to be left out.
    pub(super) fn push(&mut self, payload: &[u8]) -> Result<(), Malformed> {
        if payload.is_empty() {
            return Ok(());
        }
        let (begins, piece) = undescribed(payload)?;
        if begins != self.data.is_empty() || piece.is_empty() {
            return Err(Malformed);
        }
        if self.data.len() + piece.len() > limits::PICTURE_BYTES {
            return Err(Malformed);
        }
        self.data.put_slice(piece);
        Ok(())
    }

    /// Ends the frame; `None` if there is none.
    pub(super) fn finish(&mut self) -> Option<Bytes> {
        let frame = self.data.split().freeze();
        (!frame.is_empty()).then_some(frame)
    }

    /// Leaves the frame out.
    pub(super) fn clear(&mut self) {
        self.data.clear();
    }
}

/// Whether a frame begins with a payload, and the payload without its descriptor.
fn undescribed(payload: &[u8]) -> Result<(bool, &[u8]), Malformed> {
    let first = *payload.first().ok_or(Malformed)?;
    // The first partition's first packet.
    let begins = first & STARTS != 0 && first & 0x07 == 0;
    let mut at = 1;
    if first & EXTENDED != 0 {
        let parts = *payload.get(1).ok_or(Malformed)?;
        at += 1;
        if parts & PICTURE_ID != 0 {
            let number = *payload.get(at).ok_or(Malformed)?;
            at += if number & PICTURE_ID_LONG != 0 { 2 } else { 1 };
        }
        at += usize::from(parts & LAYER_INDEX != 0);
        at += usize::from(parts & (TEMPORAL | KEY_INDEX) != 0);
    }
    Ok((begins, payload.get(at..).ok_or(Malformed)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn descriptors_of_every_form_are_taken_off() {
        for (payload, begins) in [
            (&[0x10, 9, 9][..], true),
            (&[0x90, 0x80, 0x05, 9, 9], true),
            (&[0x90, 0x80, 0x85, 0x01, 9, 9], true),
            (&[0x90, 0xf0, 0x85, 0x01, 7, 7, 9, 9], true),
            (&[0x80, 0x20, 7, 9, 9], false),
            (&[0x11, 9, 9], false),
        ] {
            assert_eq!(undescribed(payload), Ok((begins, &[9, 9][..])));
        }
        assert_eq!(undescribed(&[0x90]), Err(Malformed));
        assert_eq!(undescribed(&[0x90, 0x80, 0x85]), Err(Malformed));
    }

    proptest! {
        #[test]
        fn frames_come_out_of_packets_as_they_went_in(
            length in 1_usize..5_000,
            number in any::<u16>(),
        ) {
            let frame: Bytes = (0..length).map(|at| (at % 251) as u8).collect();
            let mut payloads = Vec::new();
            push_frame(&frame, number, &mut payloads);
            let mut assembly = Assembly::default();
            for payload in &payloads {
                prop_assert!(payload.len() <= MEDIA_PAYLOAD);
                prop_assert_eq!(assembly.push(payload), Ok(()));
            }
            prop_assert_eq!(assembly.finish(), Some(frame));
        }

        #[test]
        fn no_payload_panics(payload in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut assembly = Assembly::default();
            let _ = assembly.push(&payload);
            let _ = assembly.push(&payload);
            let _ = (assembly.finish(), is_key(&payload), size(&payload));
        }
    }
}
