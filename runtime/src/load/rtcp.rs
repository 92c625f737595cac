//! The feedback of a player (RFC 3550, RFC 4585), and the sender reports that it answers to.

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;
const NACK: u8 = 1;
const PLI: u8 = 1;

/// What a receiver report says of a source (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) ssrc: u32,
    /// Of the packets since the latest report, in 256ths.
    pub(super) fraction_lost: u8,
    pub(super) lost: u32,
    /// The highest sequence number, extended.
    pub(super) highest: u32,
    /// In units of the RTP timestamp.
    pub(super) jitter: u32,
    /// The middle 32 bits of the date of the latest sender report.
    pub(super) report: u32,
    /// Time since it came, in 65536ths of a second.
    pub(super) since_report: u32,
}

/// A receiver report; any feedback stands behind one.
pub(super) fn receiver_report(ssrc: u32, blocks: &[Block]) -> Vec<u8> {
    let mut compound = Vec::with_capacity(128);
    let count = blocks.len().min(31);
    header(&mut compound, count as u8, RECEIVER_REPORT, 1 + 6 * count);
    compound.extend_from_slice(&ssrc.to_be_bytes());
    for block in blocks.iter().take(count) {
        let lost = block.lost & 0x00ff_ffff | u32::from(block.fraction_lost) << 24;
        let words = [
            block.ssrc,
            lost,
            block.highest,
            block.jitter,
            block.report,
            block.since_report,
        ];
        for word in words {
            compound.extend_from_slice(&word.to_be_bytes());
        }
    }
    compound
}

/// Asks for lost packets again. `lost` is in the order of the numbers.
pub(super) fn nack(compound: &mut Vec<u8>, ssrc: u32, source: u32, lost: &[u16]) {
    let mut entries: Vec<(u16, u16)> = Vec::new();
    for sequence in lost {
        if let Some((first, following)) = entries.last_mut()
            && let ahead @ 1..=16 = sequence.wrapping_sub(*first)
        {
            *following |= 1 << (ahead - 1);
        } else {
            entries.push((*sequence, 0));
        }
    }
    header(compound, NACK, TRANSPORT_FEEDBACK, 2 + entries.len());
    compound.extend_from_slice(&ssrc.to_be_bytes());
    compound.extend_from_slice(&source.to_be_bytes());
    for (first, following) in entries {
        compound.extend_from_slice(&first.to_be_bytes());
        compound.extend_from_slice(&following.to_be_bytes());
    }
}

/// Asks for a key frame.
pub(super) fn pli(compound: &mut Vec<u8>, ssrc: u32, source: u32) {
    header(compound, PLI, PAYLOAD_FEEDBACK, 2);
    compound.extend_from_slice(&ssrc.to_be_bytes());
    compound.extend_from_slice(&source.to_be_bytes());
}

fn header(compound: &mut Vec<u8>, count: u8, kind: u8, words: usize) {
    compound.extend_from_slice(&[0x80 | count, kind]);
    compound.extend_from_slice(&(words as u16).to_be_bytes());
}

/// The sender reports of a compound packet: each source, and the middle of its date.
pub(super) fn sender_reports(mut compound: &[u8]) -> Vec<(u32, u32)> {
    let mut reports = Vec::new();
    while let [_, kind, l0, l1, ..] = *compound {
        let end = 4 * (usize::from(u16::from_be_bytes([l0, l1])) + 1);
        let Some((packet, rest)) = compound.split_at_checked(end) else {
            break;
        };
        compound = rest;
        let word = |at: usize| {
            let bytes = packet.get(at..at + 4)?;
            Some(u32::from_be_bytes(bytes.try_into().ok()?))
        };
        if kind == SENDER_REPORT
            && let (Some(ssrc), Some(seconds), Some(fraction)) = (word(4), word(8), word(12))
        {
            reports.push((ssrc, seconds << 16 | fraction >> 16));
        }
    }
    reports
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_an_entry() {
        let mut compound = receiver_report(1, &[]);
        nack(&mut compound, 1, 2, &[0xffff, 0, 15, 16, 40]);
        let entries = [0xff, 0xff, 0x80, 1, 0, 16, 0, 0, 0, 40, 0, 0];
        assert_eq!(compound[..8], [0x80, 201, 0, 1, 0, 0, 0, 1]);
        assert_eq!(compound[8..20], [0x81, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2]);
        assert_eq!(compound[20..], entries);
    }

    #[test]
    fn a_sender_report_is_found_and_nonsense_is_not() {
        let mut compound = vec![0x80, SENDER_REPORT, 0, 6, 0, 0, 0, 9];
        compound.extend([0, 0, 0x12, 0x34, 0x56, 0x78, 0, 0]);
        compound.extend([0; 12]);
        assert_eq!(sender_reports(&compound), [(9, 0x1234_5678)]);
        assert!(sender_reports(&compound[..27]).is_empty());
        assert!(sender_reports(&[0x80, SENDER_REPORT, 0, 0]).is_empty());
    }
}
