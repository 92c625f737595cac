//! What one track of a subscription sends: where it begins, and how it is renumbered.

use std::time::{Duration, Instant};

use str0m::format::{detect_h264_keyframe, detect_h264_nalu, detect_vp8_keyframe};

use crate::codec::Codec;

/// The NAL unit type of a sequence parameter set (H.264 table 7-1).
const SEQUENCE_PARAMETER_SET: u8 = 7;

/// A packet of a publication, as far as renumbering looks at it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Incoming {
    pub(crate) ssrc: u32,
    /// The sequence number, extended beyond 16 bits.
    pub(crate) sequence: u64,
    pub(crate) timestamp: u32,
    /// When it was captured, on the machine's time, or when it arrived, where that is not known (see
    /// [`CaptureClock`](crate::capture::CaptureClock)).
    pub(crate) arrived: Instant,
    /// When it was captured, by the publisher's clock.
    pub(crate) captured: Option<Duration>,
    /// A receiver can begin with this packet.
    pub(crate) entry: bool,
}

/// Where a packet stands in the stream that the subscriber gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outgoing {
    /// Extended sequence number. It begins below 65536, or the receiver's rollover counter of
    /// SRTP (RFC 3711 §3.3.1) would be wrong from the start.
    pub(crate) sequence: u64,
    pub(crate) timestamp: u32,
}

/// Renumbers one track for one subscriber.
#[derive(Debug)]
pub(crate) struct Forwarder {
    clock_rate: u32,
    /// The sequence number of the first packet.
    start: u64,
    run: Option<Run>,
    /// Another source has begun, not yet with a packet that a receiver can begin with.
    switching: bool,
}

/// An unbroken stretch of one source.
#[derive(Debug)]
struct Run {
    ssrc: u32,
    /// The packet that it began with.
    first: Incoming,
    /// What is added to a sequence number; taken from zero, so it wraps.
    sequence_offset: u64,
    timestamp_offset: u32,
    /// The latest packet passed on.
    last: Outgoing,
    last_arrived: Instant,
}

/// How far below the first sequence number packets may be passed on that were overtaken by the
/// first one: parameter sets that are sent again, for one.
const OVERTAKEN: u64 = 256;
/// How far ahead of the latest sequence number packets are passed on. Sixteen bits on the wire say
/// no more; but a number from before zero is, in 64 bits, close to their end.
const LEAP: u64 = 1 << 16;

impl Forwarder {
    /// A forwarder that waits for its first packet. `start` decides the first sequence number.
    pub(crate) fn new(codec: Codec, start: u16) -> Self {
        // The upper half of the numbers is left for a long way to the first rollover.
        let start = u64::from(start & 0x7fff) | OVERTAKEN;
        Self {
            clock_rate: codec.clock_rate(),
            start,
            run: None,
            switching: false,
        }
    }

    /// Whether nothing can be passed on before a packet that a receiver can begin with.
    pub(crate) fn is_waiting(&self) -> bool {
        self.run.is_none() || self.switching
    }

    /// Which packet the subscriber has, or misses, under a sequence number.
    pub(crate) fn origin(&self, sequence: u16) -> Option<Origin> {
        self.run.as_ref()?.origin(sequence)
    }

    /// Where `packet` goes, if it is passed on.
    pub(crate) fn forward(&mut self, packet: Incoming) -> Option<Outgoing> {
        let known = self.run.as_ref().map(|run| run.ssrc == packet.ssrc);
        self.switching = known == Some(false) && !packet.entry;
        match &mut self.run {
            Some(run) if run.ssrc == packet.ssrc => run.next(packet),
            Some(_) | None if !packet.entry => None,
            None => {
                let run = Run::begin(
                    packet,
                    Outgoing {
                        sequence: self.start,
                        timestamp: packet.timestamp,
                    },
                );
                let outgoing = run.last;
                self.run = Some(run);
                Some(outgoing)
            }
            Some(run) => {
                let outgoing = run.after(packet, self.clock_rate);
                *run = Run::begin(packet, outgoing);
                Some(outgoing)
            }
        }
    }
}

/// Where a packet that was passed on came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) ssrc: u32,
    /// The publisher's extended sequence number.
    pub(crate) sequence: u64,
    /// What was passed on as its sequence number.
    outgoing: u64,
    /// What is added to the publisher's timestamp.
    timestamp_offset: u32,
    /// Of a packet ahead of the first one, the timestamp that it must have.
    overtaken_of: Option<u32>,
}

impl Origin {
    /// Where the packet goes again, whose timestamp is the publisher's; `None` where it is of an
    /// earlier picture than the first one.
    pub(crate) fn again(&self, timestamp: u32) -> Option<Outgoing> {
        let fits = self.overtaken_of.is_none_or(|first| first == timestamp);
        fits.then_some(Outgoing {
            sequence: self.outgoing,
            timestamp: timestamp.wrapping_add(self.timestamp_offset),
        })
    }
}

impl Run {
    fn origin(&self, sequence: u16) -> Option<Origin> {
        // Truncation is what the wire does.
        let behind = (self.last.sequence as u16).wrapping_sub(sequence);
        let outgoing = self.last.sequence.checked_sub(u64::from(behind))?;
        let first = self.first.sequence.wrapping_add(self.sequence_offset);
        // Of an earlier run nothing is known any more.
        (outgoing + OVERTAKEN > first).then_some(Origin {
            ssrc: self.ssrc,
            sequence: outgoing.wrapping_sub(self.sequence_offset),
            outgoing,
            timestamp_offset: self.timestamp_offset,
            // A player asks for all of the gap between two runs.
            overtaken_of: (outgoing < first).then_some(self.first.timestamp),
        })
    }

    fn begin(first: Incoming, outgoing: Outgoing) -> Self {
        Self {
            ssrc: first.ssrc,
            first,
            sequence_offset: outgoing.sequence.wrapping_sub(first.sequence),
            timestamp_offset: outgoing.timestamp.wrapping_sub(first.timestamp),
            last: outgoing,
            last_arrived: first.arrived,
        }
    }

    fn next(&mut self, packet: Incoming) -> Option<Outgoing> {
        if packet.sequence < self.first.sequence {
            // Overtaken by the first packet: of use only where it belongs to the same picture.
            let distance = self.first.sequence - packet.sequence;
            if distance >= OVERTAKEN || packet.timestamp != self.first.timestamp {
                return None;
            }
        }
        let outgoing = Outgoing {
            sequence: packet.sequence.wrapping_add(self.sequence_offset),
            timestamp: packet.timestamp.wrapping_add(self.timestamp_offset),
        };
        if outgoing.sequence > self.last.sequence + LEAP {
            return None;
        }
        if outgoing.sequence > self.last.sequence {
            self.last = outgoing;
            self.last_arrived = packet.arrived;
        }
        Some(outgoing)
    }

    /// The place of the first packet of another source: right behind the last, as much later as
    /// it arrived later.
    fn after(&self, packet: Incoming, clock_rate: u32) -> Outgoing {
        let elapsed = packet.arrived.saturating_duration_since(self.last_arrived);
        let ticks = elapsed.as_micros().wrapping_mul(u128::from(clock_rate)) / 1_000_000;
        // Truncation is the wrap of the RTP timestamp.
        let ticks = (ticks & u128::from(u32::MAX)) as u32;
        Outgoing {
            sequence: self.last.sequence + OVERTAKEN,
            timestamp: self.last.timestamp.wrapping_add(ticks.max(1)),
        }
    }
}

/// Whether a decoder can begin with this packet: any of sound, and of a picture one that begins
/// a key frame or carries the parameter sets in front of it.
pub(crate) fn is_entry(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        Codec::Opus | Codec::Pcmu | Codec::Pcma => true,
        Codec::Vp8 => detect_vp8_keyframe(payload),
        Codec::H264(_) => {
            detect_h264_nalu(payload, SEQUENCE_PARAMETER_SET) || detect_h264_keyframe(payload)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet of source 1, 3,000 ticks a sequence number.
    fn packet(epoch: Instant, sequence: u64) -> Incoming {
        Incoming {
            ssrc: 1,
            sequence,
            timestamp: (sequence as u32).wrapping_mul(3_000),
            arrived: epoch + Duration::from_millis(sequence % 100_000),
            captured: None,
            entry: false,
        }
    }

    fn entry(packet: Incoming) -> Incoming {
        Incoming {
            entry: true,
            ..packet
        }
    }

    #[test]
    fn a_late_subscriber_begins_at_an_entry_below_the_rollover() {
        let epoch = Instant::now();
        let mut forwarder = Forwarder::new(Codec::Vp8, u16::MAX);
        let late = 1_000_000;
        assert_eq!(forwarder.forward(packet(epoch, late)), None);
        assert!(forwarder.is_waiting());
        let first = forwarder
            .forward(entry(packet(epoch, late + 1)))
            .expect("an entry");
        assert!(first.sequence < 65_536);
        let next = forwarder
            .forward(packet(epoch, late + 3))
            .expect("passed on");
        assert_eq!(next.sequence, first.sequence + 2, "a loss stays visible");
        let lost = forwarder
            .forward(packet(epoch, late + 2))
            .expect("passed on");
        assert_eq!(lost.sequence, first.sequence + 1);
    }

    #[test]
    fn what_the_first_packet_overtook_is_passed_on_if_it_is_of_the_same_picture() {
        let epoch = Instant::now();
        let mut forwarder = Forwarder::new(Codec::Vp8, 0);
        let first = forwarder
            .forward(entry(packet(epoch, 500)))
            .expect("an entry");
        let same = Incoming {
            timestamp: 500 * 3_000,
            ..packet(epoch, 499)
        };
        let overtaken = forwarder.forward(same).expect("of the same picture");
        assert_eq!(overtaken.sequence + 1, first.sequence);
        assert_eq!(
            forwarder.forward(packet(epoch, 498)),
            None,
            "of an earlier picture"
        );
    }

    #[test]
    fn numbers_neither_leap_nor_are_given_again() {
        let epoch = Instant::now();
        let mut forwarder = Forwarder::new(Codec::Vp8, 0);
        let first = forwarder
            .forward(entry(packet(epoch, 1_000)))
            .expect("an entry");
        let of_it = |sequence| Incoming {
            timestamp: 1_000 * 3_000,
            ..packet(epoch, sequence)
        };
        assert!(forwarder.forward(of_it(1_001 - OVERTAKEN)).is_some());
        assert_eq!(
            forwarder.forward(of_it(1_000 - OVERTAKEN)),
            None,
            "another source may have had that number"
        );
        assert_eq!(
            forwarder.forward(packet(epoch, 1_001 + LEAP)),
            None,
            "16 bits do not tell how far it is"
        );
        let latest = forwarder.forward(packet(epoch, 1_000 + LEAP));
        assert_eq!(latest.expect("passed on").sequence, first.sequence + LEAP);
        // One that was overtaken does not take the numbers back.
        forwarder.forward(packet(epoch, 1_500)).expect("passed on");
        let other = Incoming {
            ssrc: 2,
            ..entry(packet(epoch, 5))
        };
        let next = forwarder.forward(other).expect("an entry");
        assert_eq!(next.sequence, first.sequence + LEAP + OVERTAKEN);
    }

    #[test]
    fn numbers_that_wrap_at_the_publisher_do_not_wrap_early_at_the_subscriber() {
        let epoch = Instant::now();
        let mut forwarder = Forwarder::new(Codec::Vp8, 0);
        let last = Incoming {
            timestamp: u32::MAX - 1_000,
            ..entry(packet(epoch, 65_535))
        };
        let first = forwarder.forward(last).expect("an entry");
        let wrapped = Incoming {
            timestamp: last.timestamp.wrapping_add(3_000),
            ..packet(epoch, 65_536)
        };
        let next = forwarder.forward(wrapped).expect("passed on");
        assert_eq!(next.sequence, first.sequence + 1);
        assert_eq!(next.timestamp.wrapping_sub(first.timestamp), 3_000);
    }

    #[test]
    fn no_payload_panics_where_an_entry_is_looked_for() {
        let h264 = Codec::H264(crate::codec::H264 {
            profile_level_id: 0x42_e01f,
            fragments: true,
        });
        let mut bits = 1_u32;
        for length in 0..4_000 {
            let mut payload: Vec<u8> = (0..length % 40)
                .map(|_| {
                    bits ^= bits << 13;
                    bits ^= bits >> 17;
                    bits ^= bits << 5;
                    bits as u8
                })
                .collect();
            if let Some(first) = payload.first_mut() {
                *first = [0x78, 0x7c, 0x79, 0x1d, 0x10, 0x90, *first][length % 7];
            }
            for codec in [h264, Codec::Vp8] {
                let _ = is_entry(codec, &payload);
            }
        }
    }

    #[test]
    fn what_was_passed_on_is_found_again_by_its_number() {
        let epoch = Instant::now();
        let mut forwarder = Forwarder::new(Codec::Vp8, 0x7fff);
        let late = 70_000;
        forwarder.forward(entry(packet(epoch, late)));
        // Far enough that the numbers on the wire have wrapped around.
        let last = (late + 1..late + 40_000).filter_map(|n| forwarder.forward(packet(epoch, n)));
        let last = last.last().expect("passed on");
        let origin = forwarder
            .origin((last.sequence - 100) as u16)
            .expect("known");
        assert_eq!(origin.sequence, late + 39_999 - 100);
        let again = origin.again(77).expect("not ahead of the first");
        assert_eq!(again.sequence, last.sequence - 100);
        let other = Incoming {
            ssrc: 2,
            ..entry(packet(epoch, 5))
        };
        let first = forwarder.forward(other).expect("an entry");
        let before = (first.sequence - OVERTAKEN) as u16;
        assert_eq!(forwarder.origin(before), None, "of an earlier source");
        assert_eq!(
            forwarder
                .origin(first.sequence as u16)
                .map(|origin| origin.ssrc),
            Some(2)
        );
    }

    #[test]
    fn of_what_came_ahead_of_the_first_packet_only_its_own_picture_goes_again() {
        let epoch = Instant::now();
        let mut forwarder = Forwarder::new(Codec::Vp8, 0);
        let begin = entry(packet(epoch, 500));
        let first = forwarder.forward(begin).expect("an entry");
        let ahead = forwarder
            .origin((first.sequence - 1) as u16)
            .expect("the run's");
        assert_eq!((ahead.ssrc, ahead.sequence), (1, 499));
        let same = ahead.again(begin.timestamp).expect("of the same picture");
        assert_eq!(same.sequence + 1, first.sequence);
        assert_eq!(same.timestamp, first.timestamp);
        let earlier = begin.timestamp - 3_000;
        assert_eq!(ahead.again(earlier), None, "of an earlier picture");
        let own = forwarder.origin(first.sequence as u16).expect("passed on");
        assert_eq!(own.again(begin.timestamp), Some(first));
    }

    #[test]
    fn another_source_continues_the_numbers_at_its_entry() {
        let epoch = Instant::now();
        let mut forwarder = Forwarder::new(Codec::Vp8, 0);
        let first = forwarder
            .forward(entry(packet(epoch, 10)))
            .expect("an entry");
        let other = Incoming {
            ssrc: 2,
            sequence: 40_000,
            timestamp: 77,
            arrived: epoch + Duration::from_millis(1_010),
            captured: None,
            entry: false,
        };
        assert_eq!(forwarder.forward(other), None);
        assert!(forwarder.is_waiting(), "for what it can begin with");
        let other = forwarder.forward(entry(other)).expect("an entry");
        assert!(!forwarder.is_waiting());
        assert_eq!(other.sequence, first.sequence + OVERTAKEN);
        assert_eq!(
            other.timestamp.wrapping_sub(first.timestamp),
            90_000,
            "one second later"
        );
        let next = Incoming {
            ssrc: 2,
            sequence: 40_001,
            timestamp: 3_077,
            entry: false,
            ..packet(epoch, 0)
        };
        let next = forwarder.forward(next).expect("passed on");
        assert_eq!(next.sequence, other.sequence + 1);
        assert_eq!(next.timestamp.wrapping_sub(other.timestamp), 3_000);
    }
}
