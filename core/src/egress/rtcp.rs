//! RTCP (RFC 3550, RFC 4585): what a subscriber's feedback asks for, and the server's reports.

use crate::rtcp::{
    APPLICATION, FIR, GOODBYE, NACK, PAYLOAD_FEEDBACK, PLI, RECEIVER_REPORT, SENDER_REPORT,
    SOURCE_DESCRIPTION, TRANSPORT_FEEDBACK, header, packets, word,
};

/// What a subscriber asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Feedback {
    /// These packets of a source were lost (generic NACK, RFC 4585 §6.2.1).
    Lost {
        /// The source.
        ssrc: u32,
        /// Sequence numbers.
        sequences: Vec<u16>,
    },
    /// The picture of a source cannot go on (PLI, RFC 4585 §6.3.1; FIR, RFC 5104 §4.3.1).
    KeyframeWanted {
        /// The source.
        ssrc: u32,
    },
    /// What has arrived of a source (RFC 3550 §6.4.1).
    Received(Received),
    /// The rate that gets through to the subscriber, as it estimates (REMB), in bits a second.
    Estimate(u64),
}

/// What has arrived of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) ssrc: u32,
    /// Of 256 packets since the report before.
    pub(crate) fraction_lost: u8,
    /// Packets lost in all; less than none where some came twice.
    pub(crate) lost: i32,
    /// The middle of the date of the latest sender report; zero for none.
    pub(crate) sender_report: u32,
    /// How long before this report it came, in 65536ths of a second.
    pub(crate) delay: u32,
}

/// Packets that one datagram may report as lost: more are a storm, or a lie.
pub(crate) const LOST: usize = 128;
/// Pieces of feedback that are taken from one datagram.
const PIECES: usize = 16;

/// Reads a compound packet as far as it is well formed.
pub(crate) fn read(compound: &[u8]) -> Vec<Feedback> {
    let mut feedback = Vec::new();
    let mut lost = 0;
    for packet in packets(compound) {
        if feedback.len() >= PIECES {
            break;
        }
        match (packet.kind, packet.count) {
            (TRANSPORT_FEEDBACK, NACK) => {
                if let Some(ssrc) = word(packet.body, 4) {
                    let entries = packet.body.get(8..).unwrap_or_default();
                    let sequences = lost_sequences(entries, LOST.saturating_sub(lost));
                    lost += sequences.len();
                    feedback.push(Feedback::Lost { ssrc, sequences });
                }
            }
            (PAYLOAD_FEEDBACK, PLI) => {
                let ssrc = word(packet.body, 4);
                feedback.extend(ssrc.map(|ssrc| Feedback::KeyframeWanted { ssrc }));
            }
            // The source is in the entry, not in the header.
            (PAYLOAD_FEEDBACK, FIR) => {
                let ssrc = word(packet.body, 8);
                feedback.extend(ssrc.map(|ssrc| Feedback::KeyframeWanted { ssrc }));
            }
            (PAYLOAD_FEEDBACK, APPLICATION) => {
                feedback.extend(estimate(packet.body).map(Feedback::Estimate));
            }
            (RECEIVER_REPORT, count) => feedback.extend(blocks(packet.body, 4, count)),
            // Its sender's own part is ahead of the blocks.
            (SENDER_REPORT, count) => feedback.extend(blocks(packet.body, 24, count)),
            _ => {}
        }
    }
    feedback.truncate(PIECES);
    feedback
}

/// The blocks of a report, which begin at a byte.
fn blocks(body: &[u8], begin: usize, count: u8) -> impl Iterator<Item = Feedback> {
    let blocks = body.get(begin..).unwrap_or_default().chunks_exact(24);
    blocks.take(count.into()).filter_map(|block| {
        let counts = word(block, 4)?;
        Some(Feedback::Received(Received {
            ssrc: word(block, 0)?,
            fraction_lost: (counts >> 24) as u8,
            // The lower 24 bits, with the sign that the highest of them is.
            lost: (counts << 8) as i32 >> 8,
            sender_report: word(block, 16)?,
            delay: word(block, 20)?,
        }))
    })
}

/// The rate of a receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb-03 §2.2).
fn estimate(body: &[u8]) -> Option<u64> {
    if body.get(8..12)? != b"REMB" {
        return None;
    }
    let fields = word(body, 12)?;
    let (exponent, mantissa) = (fields >> 18 & 0x3f, u64::from(fields & 0x3_ffff));
    // What has no place in 64 bits is no rate.
    let rate = mantissa.checked_shl(exponent)?;
    (rate >> exponent == mantissa).then_some(rate)
}

fn lost_sequences(entries: &[u8], most: usize) -> Vec<u16> {
    let mut sequences = Vec::new();
    for entry in entries.chunks_exact(4) {
        let first = u16::from_be_bytes([entry[0], entry[1]]);
        let following = u16::from_be_bytes([entry[2], entry[3]]);
        sequences.push(first);
        let bits = (0..16).filter(|bit| following >> bit & 1 == 1);
        sequences.extend(bits.map(|bit| first.wrapping_add(bit + 1)));
    }
    sequences.truncate(most);
    sequences
}

/// What a sender report says of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) ssrc: u32,
    /// The date as NTP has it: seconds since 1900 in the upper half.
    pub(crate) ntp: u64,
    /// The RTP timestamp of the same moment.
    pub(crate) timestamp: u32,
    pub(crate) packets: u32,
    pub(crate) octets: u32,
}

/// Writes the sender reports of a connection's sources with their descriptions.
pub(crate) fn reports(sent: &[Sent], cname: &str) -> Vec<u8> {
    let mut compound = Vec::with_capacity(sent.len() * 64);
    for source in sent {
        header(&mut compound, 0, SENDER_REPORT, 6);
        compound.extend_from_slice(&source.ssrc.to_be_bytes());
        compound.extend_from_slice(&source.ntp.to_be_bytes());
        compound.extend_from_slice(&source.timestamp.to_be_bytes());
        compound.extend_from_slice(&source.packets.to_be_bytes());
        compound.extend_from_slice(&source.octets.to_be_bytes());
    }
    let mut chunks = Vec::new();
    for source in sent {
        chunks.extend_from_slice(&source.ssrc.to_be_bytes());
        // The name has less than 256 bytes: it is made here.
        chunks.extend_from_slice(&[1, cname.len() as u8]);
        chunks.extend_from_slice(cname.as_bytes());
        // An item list ends with at least one zero, at a word's boundary.
        chunks.push(0);
        chunks.resize(chunks.len().next_multiple_of(4), 0);
    }
    header(
        &mut compound,
        sent.len() as u8,
        SOURCE_DESCRIPTION,
        chunks.len() / 4,
    );
    compound.extend_from_slice(&chunks);
    compound
}

/// Writes the goodbye of a connection's sources.
pub(crate) fn goodbye(ssrcs: &[u32]) -> Vec<u8> {
    let mut compound = Vec::new();
    let Some(first) = ssrcs.first() else {
        return compound;
    };
    header(&mut compound, 0, RECEIVER_REPORT, 1);
    compound.extend_from_slice(&first.to_be_bytes());
    header(&mut compound, ssrcs.len() as u8, GOODBYE, ssrcs.len());
    for ssrc in ssrcs {
        compound.extend_from_slice(&ssrc.to_be_bytes());
    }
    compound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feedback_is_found_behind_a_report() {
        let mut compound = vec![0x80, RECEIVER_REPORT, 0, 1, 0, 0, 0, 9];
        compound.extend([0x81, TRANSPORT_FEEDBACK, 0, 3, 0, 0, 0, 9, 0, 0, 0, 5]);
        compound.extend([0xff, 0xfe, 0, 0b11]);
        compound.extend([0x81, PAYLOAD_FEEDBACK, 0, 2, 0, 0, 0, 9, 0, 0, 0, 6]);
        compound.extend([0x84, PAYLOAD_FEEDBACK, 0, 4, 0, 0, 0, 9, 0, 0, 0, 0]);
        compound.extend([0, 0, 0, 7, 1, 0, 0, 0]);
        assert_eq!(
            read(&compound),
            [
                Feedback::Lost {
                    ssrc: 5,
                    sequences: vec![0xfffe, 0xffff, 0]
                },
                Feedback::KeyframeWanted { ssrc: 6 },
                Feedback::KeyframeWanted { ssrc: 7 },
            ]
        );
    }

    #[test]
    fn reports_and_estimates_are_read() {
        let block = |ssrc| {
            let mut block = vec![0, 0, 0, ssrc, 9, 0xff, 0xff, 0xfe, 0, 0, 0, 1, 0, 0, 0, 2];
            block.extend([0, 0, 0, 3, 0, 0, 0, 4]);
            block
        };
        let received = |ssrc, lost| {
            Feedback::Received(Received {
                ssrc,
                fraction_lost: 9,
                lost,
                sender_report: 3,
                delay: 4,
            })
        };
        let mut compound = vec![0x82, RECEIVER_REPORT, 0, 13, 0, 0, 0, 9];
        compound.extend([block(5), block(6)].concat());
        compound.extend([0x81, SENDER_REPORT, 0, 12, 0, 0, 0, 9]);
        compound.extend([7; 20]);
        compound.extend(block(7));
        compound.extend([0x8f, PAYLOAD_FEEDBACK, 0, 5, 0, 0, 0, 9, 0, 0, 0, 0]);
        compound.extend(*b"REMB");
        compound.extend([1, 3 << 2 | 1, 0, 5, 0, 0, 0, 7]);
        assert_eq!(
            read(&compound),
            [
                received(5, -2),
                received(6, -2),
                received(7, -2),
                Feedback::Estimate((0x1_0005) << 3)
            ]
        );
        // More blocks than it says, fewer than it says, and a rate of 81 bits.
        let mut lies = vec![0x80, RECEIVER_REPORT, 0, 7, 0, 0, 0, 9];
        lies.extend(block(5));
        lies.extend([0x9f, RECEIVER_REPORT, 0, 1, 0, 0, 0, 9]);
        lies.extend([0x8f, PAYLOAD_FEEDBACK, 0, 5, 0, 0, 0, 9, 0, 0, 0, 0]);
        lies.extend(*b"REMB");
        lies.extend([1, 0xff, 0xff, 0xff, 0, 0, 0, 7]);
        assert_eq!(read(&lies), []);
    }

    #[test]
    fn lengths_that_lie_and_storms_are_cut() {
        assert!(read(&[0x81, TRANSPORT_FEEDBACK, 0xff, 0xff, 1, 2, 3, 4]).is_empty());
        assert!(read(&[0x81, TRANSPORT_FEEDBACK, 0, 0]).is_empty());
        assert!(read(&[0x81, TRANSPORT_FEEDBACK, 0, 1, 0, 0, 0, 9]).is_empty());
        let mut storm = vec![0x81, TRANSPORT_FEEDBACK, 1, 2, 0, 0, 0, 9, 0, 0, 0, 5];
        storm.extend([0xff; 256 * 4]);
        let storm: Vec<u8> = storm.into_iter().cycle().take(50 * 1_036).collect();
        let feedback = read(&storm);
        assert!(feedback.len() <= PIECES);
        let lost = feedback.iter().map(|piece| match piece {
            Feedback::Lost { sequences, .. } => sequences.len(),
            Feedback::KeyframeWanted { .. } | Feedback::Received(_) | Feedback::Estimate(_) => 0,
        });
        assert!(lost.sum::<usize>() <= LOST);
        let mut reports = vec![0x9f, RECEIVER_REPORT, 0, 187, 0, 0, 0, 9];
        reports.resize(8 + 31 * 24, 0);
        assert_eq!(read(&reports).len(), PIECES);
    }

    #[test]
    fn descriptions_end_with_a_zero_wherever_they_end() {
        let source = |ssrc| Sent {
            ssrc,
            ntp: 0,
            timestamp: 0,
            packets: 0,
            octets: 0,
        };
        // At a word's boundary a whole word of zeros follows.
        for (cname, zeros) in [("a", 1), ("ab", 4), ("abc", 3), ("abcd", 2)] {
            let compound = reports(&[source(7)], cname);
            let mut chunk = vec![0, 0, 0, 7, 1, cname.len() as u8];
            chunk.extend(cname.bytes());
            chunk.resize(chunk.len() + zeros, 0);
            assert_eq!(compound[28..30], [0x81, SOURCE_DESCRIPTION]);
            assert_eq!(compound[32..], chunk);
        }
    }

    #[test]
    fn what_is_written_has_the_lengths_that_it_says() {
        let source = Sent {
            ssrc: 1,
            ntp: 2,
            timestamp: 3,
            packets: 4,
            octets: 5,
        };
        for compound in [reports(&[source, source], "cname"), goodbye(&[1, 2])] {
            let mut rest = compound.as_slice();
            while let [_, _, l0, l1, ..] = *rest {
                let end = 4 * (usize::from(u16::from_be_bytes([l0, l1])) + 1);
                rest = &rest[end..];
            }
            assert!(rest.is_empty());
        }
    }
}
