//! From NAL units to RTP payloads (RFC 6184 §5.6 to §5.8, packetization mode 1).

use bytes::{BufMut, Bytes, BytesMut};
use parlor_core::limits::MEDIA_PAYLOAD;

use super::parameters::Parameters;
use super::{FU_A, STAP_A};

/// Bits of a fragment's header (RFC 6184 §5.8).
const START: u8 = 0x80;
const END: u8 = 0x40;
/// Bytes of a fragment in front of what it holds.
const FRAGMENT_HEAD: usize = 2;

/// Appends the payloads of one NAL unit.
pub(crate) fn push_unit(unit: &Bytes, payloads: &mut Vec<Bytes>) {
    let Some((head, body)) = unit.split_first() else {
        return;
    };
    if unit.len() <= MEDIA_PAYLOAD {
        payloads.push(unit.clone());
        return;
    }
    let mut pieces = body.chunks(MEDIA_PAYLOAD - FRAGMENT_HEAD).peekable();
    let mut flags = START;
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            flags |= END;
        }
        let mut payload = BytesMut::with_capacity(FRAGMENT_HEAD + piece.len());
        payload.put_u8(head & 0xe0 | FU_A);
        payload.put_u8(head & 0x1f | flags);
        payload.put_slice(piece);
        payloads.push(payload.freeze());
        flags = 0;
    }
}

/// Appends the payloads of all parameter sets: one, if they fit.
pub(crate) fn push_parameters(parameters: &Parameters, payloads: &mut Vec<Bytes>) {
    let bytes: usize = parameters.units().map(|unit| 2 + unit.len()).sum();
    if 1 + bytes > MEDIA_PAYLOAD {
        for unit in parameters.units() {
            push_unit(unit, payloads);
        }
        return;
    }
    let importance = parameters.units().map(|unit| super::importance(unit)).max();
    let mut payload = BytesMut::with_capacity(1 + bytes);
    payload.put_u8(importance.unwrap_or_default() | STAP_A);
    for unit in parameters.units() {
        // Shorter than a payload.
        payload.put_u16(unit.len() as u16);
        payload.put_slice(unit);
    }
    payloads.push(payload.freeze());
}
