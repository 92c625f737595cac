//! The head that tags of Enhanced RTMP (v2) share: a packet type, modifiers, a four-character code.

use bytes::Bytes;

use super::Malformed;

pub(super) const SEQUENCE_START: u8 = 0;
pub(super) const CODED_FRAMES: u8 = 1;
/// Coded frames without a composition time.
pub(super) const CODED_FRAMES_X: u8 = 3;
pub(super) const MULTITRACK_AUDIO: u8 = 5;
pub(super) const MULTITRACK_VIDEO: u8 = 6;
/// Something that modifies the packet, in front of it.
const MODIFIER: u8 = 7;

/// Modifiers that one packet may have: there is one kind of them, nanoseconds.
const MODIFIERS: usize = 4;

pub(super) struct Head {
    pub(super) packet_type: u8,
    pub(super) four_cc: [u8; 4],
    /// What lies behind the code.
    pub(super) data: Bytes,
}

/// Reads what follows the first byte of a body, whose low half is the packet type. `None` for a
/// packet of several tracks: all that is here is about one.
pub(super) fn parse(body: &Bytes, begin: usize, multitrack: u8) -> Result<Option<Head>, Malformed> {
    let first = *body.first().ok_or(Malformed)?;
    let mut packet_type = first & 0x0f;
    let mut at = begin;
    let mut modifiers = 0;
    while packet_type == MODIFIER {
        modifiers += 1;
        if modifiers > MODIFIERS {
            return Err(Malformed);
        }
        let (next, behind) = skip_modifier(body, at)?;
        packet_type = next;
        at = behind;
    }
    if packet_type == multitrack {
        return Ok(None);
    }
    let rest = body.get(at..).unwrap_or_default();
    let four_cc = *rest.first_chunk().ok_or(Malformed)?;
    Ok(Some(Head {
        packet_type,
        four_cc,
        data: body.slice(at + four_cc.len()..),
    }))
}

/// The packet type behind a modifier, and where it goes on.
fn skip_modifier(body: &Bytes, at: usize) -> Result<(u8, usize), Malformed> {
    let rest = body.get(at..).unwrap_or_default();
    // A size less one in a byte, or if that is full in two more.
    let (size, behind) = match *rest {
        [255, high, low, ..] => (usize::from(u16::from_be_bytes([high, low])) + 1, at + 3),
        [size, ..] => (usize::from(size) + 1, at + 1),
        [] => return Err(Malformed),
    };
    let kinds = *body.get(behind + size).ok_or(Malformed)?;
    Ok((kinds & 0x0f, behind + size + 1))
}
