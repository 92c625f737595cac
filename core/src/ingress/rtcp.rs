//! RTCP to a publisher (RFC 3550, RFC 4585), and the reports that come from it.

use super::reception::{Block, SenderReport};
use crate::rtcp::{
    NACK, PAYLOAD_FEEDBACK, PLI, RECEIVER_REPORT, SENDER_REPORT, TRANSPORT_FEEDBACK, header,
    packets, word, words,
};

/// The sources that report, and what they say. One that has sent nothing yet has no timestamps: what
/// it says of them counts as not said.
pub(crate) fn sender_reports(compound: &[u8]) -> impl Iterator<Item = (u32, SenderReport)> {
    packets(compound).filter_map(|packet| {
        let body = packet.body;
        let date = (word(body, 4)?, word(body, 8)?);
        let report = SenderReport {
            ntp: u64::from(date.0) << 32 | u64::from(date.1),
            timestamp: word(body, 12)?,
        };
        let has_sent = word(body, 16)? > 0;
        (packet.kind == SENDER_REPORT && has_sent).then_some((word(body, 0)?, report))
    })
}

/// Appends a receiver report.
pub(crate) fn receiver_report(compound: &mut Vec<u8>, sender: u32, blocks: &[Block]) {
    header(
        compound,
        blocks.len() as u8,
        RECEIVER_REPORT,
        1 + 6 * blocks.len(),
    );
    words(compound, &[sender]);
    for block in blocks {
        // Of a negative number the lower 24 bits are what it is in 24.
        let lost = block.lost as u32 & 0xff_ffff;
        words(
            compound,
            &[
                block.ssrc,
                u32::from(block.fraction_lost) << 24 | lost,
                block.latest,
                block.jitter,
                block.sender_report,
                block.delay,
            ],
        );
    }
}

/// Appends the request to send packets of a source again (generic NACK, RFC 4585 §6.2.1). The
/// sequence numbers go up.
pub(crate) fn nack(compound: &mut Vec<u8>, sender: u32, source: u32, sequences: &[u16]) {
    let mut entries: Vec<(u16, u16)> = Vec::new();
    for sequence in sequences {
        // The sixteen numbers behind the first one are bits.
        let bit = entries.last().and_then(|(first, _)| {
            let distance = sequence.wrapping_sub(*first).checked_sub(1)?;
            1_u16.checked_shl(distance.into())
        });
        match (bit, entries.last_mut()) {
            (Some(bit), Some((_, following))) => *following |= bit,
            _ => entries.push((*sequence, 0)),
        }
    }
    header(compound, NACK, TRANSPORT_FEEDBACK, 2 + entries.len());
    words(compound, &[sender, source]);
    for (first, following) in entries {
        words(compound, &[u32::from(first) << 16 | u32::from(following)]);
    }
}

/// Appends the request for a key frame (RFC 4585 §6.3.1).
pub(crate) fn pli(compound: &mut Vec<u8>, sender: u32, source: u32) {
    header(compound, PLI, PAYLOAD_FEEDBACK, 2);
    words(compound, &[sender, source]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::rtcp::{Feedback, read};

    #[test]
    fn what_is_asked_for_is_what_is_read() {
        let sequences = vec![0xfffe, 0xffff, 0, 13, 14, 15, 40, 57];
        let mut compound = Vec::new();
        nack(&mut compound, 1, 2, &sequences);
        assert_eq!(compound.len(), 12 + 4 * 4);
        pli(&mut compound, 1, 3);
        assert_eq!(
            read(&compound),
            [
                Feedback::Lost { ssrc: 2, sequences },
                Feedback::KeyframeWanted { ssrc: 3 }
            ]
        );
    }

    #[test]
    fn a_report_has_its_fields_in_their_places() {
        let block = Block {
            ssrc: 0x0102_0304,
            fraction_lost: 5,
            lost: -2,
            latest: 0x0607_0809,
            jitter: 10,
            sender_report: 11,
            delay: 12,
        };
        let mut compound = Vec::new();
        receiver_report(&mut compound, 7, &[block]);
        let expected = [
            0x81, 201, 0, 7, 0, 0, 0, 7, 1, 2, 3, 4, 5, 0xff, 0xff, 0xfe, 6, 7, 8, 9, 0, 0, 0, 10,
            0, 0, 0, 11, 0, 0, 0, 12,
        ];
        assert_eq!(compound, expected);
    }

    #[test]
    fn the_dates_of_reports_are_found() {
        let mut compound = vec![0x80, SENDER_REPORT, 0, 6, 0, 0, 0, 9];
        compound.extend(1..=20);
        assert_eq!(compound.len(), 28);
        let reports: Vec<_> = sender_reports(&compound).collect();
        let report = SenderReport {
            ntp: 0x0102_0304_0506_0708,
            timestamp: 0x090a_0b0c,
        };
        assert_eq!(reports, [(9, report)]);
        let mut early = compound.clone();
        early[20..24].fill(0);
        assert_eq!(sender_reports(&early).count(), 0, "it has sent nothing");
        compound[1] = RECEIVER_REPORT;
        assert_eq!(sender_reports(&compound).count(), 0, "of a receiver");
        compound[1] = SENDER_REPORT;
        compound.truncate(20);
        assert_eq!(sender_reports(&compound).count(), 0, "its length lies");
    }
}
