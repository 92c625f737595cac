//! The frame of RTCP packets (RFC 3550 §6.4): what is in them, `egress` and `ingress` know.

pub(crate) const SENDER_REPORT: u8 = 200;
pub(crate) const RECEIVER_REPORT: u8 = 201;
pub(crate) const SOURCE_DESCRIPTION: u8 = 202;
pub(crate) const GOODBYE: u8 = 203;
pub(crate) const TRANSPORT_FEEDBACK: u8 = 205;
pub(crate) const PAYLOAD_FEEDBACK: u8 = 206;
/// Formats of feedback (RFC 4585 §6.2, §6.3).
pub(crate) const NACK: u8 = 1;
pub(crate) const PLI: u8 = 1;
pub(crate) const FIR: u8 = 4;
/// Feedback of an application, such as REMB.
pub(crate) const APPLICATION: u8 = 15;
/// The format of transport-wide congestion control feedback.
pub(crate) const TRANSPORT_CC: u8 = 15;

/// One packet of a compound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packet<'a> {
    pub(crate) kind: u8,
    /// How many reports or sources there are; the format, of feedback.
    pub(crate) count: u8,
    /// What follows the first word: the sender's SSRC first.
    pub(crate) body: &'a [u8],
}

/// The packets of a compound, as far as it is well formed.
pub(crate) fn packets(mut compound: &[u8]) -> impl Iterator<Item = Packet<'_>> {
    std::iter::from_fn(move || {
        let [first, kind, l0, l1, ..] = *compound else {
            return None;
        };
        let end = 4 * (usize::from(u16::from_be_bytes([l0, l1])) + 1);
        let (packet, rest) = compound.split_at_checked(end)?;
        compound = rest;
        (first >> 6 == 2).then_some(Packet {
            kind,
            count: first & 0x1f,
            body: &packet[4..],
        })
    })
}

/// The word that begins at a byte.
pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*bytes))
}

/// Appends the first word of a packet, of which `words` follow.
pub(crate) fn header(compound: &mut Vec<u8>, count: u8, kind: u8, words: usize) {
    compound.extend_from_slice(&[0x80 | (count & 0x1f), kind]);
    // A datagram has fewer words.
    compound.extend_from_slice(&(words as u16).to_be_bytes());
}

/// Appends words.
pub(crate) fn words(compound: &mut Vec<u8>, words: &[u32]) {
    for word in words {
        compound.extend_from_slice(&word.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compound_ends_where_it_is_none() {
        let mut compound = vec![0x81, 205, 0, 1, 1, 2, 3, 4];
        let packet = Packet {
            kind: 205,
            count: 1,
            body: &[1, 2, 3, 4],
        };
        assert_eq!(packets(&compound).collect::<Vec<_>>(), [packet]);
        compound.extend([0x41, 205, 0, 0, 0x81, 205, 0, 0]);
        assert_eq!(packets(&compound).count(), 1, "of another version");
    }
}
