//! What a receiver report says of a source (RFC 3550 §6.4.1).

use std::time::{Duration, Instant};

/// The packets of one source, counted.
#[derive(Debug)]
pub(crate) struct Reception {
    clock_rate: u32,
    first: u64,
    latest: u64,
    received: u64,
    /// At the latest report.
    expected_before: u64,
    received_before: u64,
    /// Sixteenths of a tick (RFC 3550 §A.8).
    jitter: u64,
    /// The timestamp of the latest packet, and when it came.
    transit: (u32, Instant),
    /// The latest sender report, and when it came.
    sender_report: Option<(SenderReport, Instant)>,
    /// Something has come since the latest report.
    news: bool,
}

/// What a source says of its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SenderReport {
    /// Its date (NTP): seconds since 1900 in the upper half.
    pub(crate) ntp: u64,
    /// The RTP timestamp of the same moment.
    pub(crate) timestamp: u32,
}

/// Seconds from 1900, where NTP begins, to 1970.
const NTP_BEFORE_UNIX: u64 = 2_208_988_800;

impl SenderReport {
    /// When a packet was captured by the source's clock, since 1970.
    fn captured(self, timestamp: u32, clock_rate: u32) -> Option<Duration> {
        let seconds = self.ntp >> 32;
        // The 32 bits of seconds begin anew in 2036.
        let era = if seconds < NTP_BEFORE_UNIX {
            1 << 32
        } else {
            0
        };
        let nanoseconds = ((self.ntp & 0xffff_ffff) * 1_000_000_000) >> 32;
        let date = Duration::new(seconds + era - NTP_BEFORE_UNIX, nanoseconds as u32);
        // In 32 bits, as on the wire: the two are less than half of their range apart.
        let ticks = timestamp.wrapping_sub(self.timestamp) as i32;
        let apart = u64::from(ticks.unsigned_abs()) * 1_000_000_000 / u64::from(clock_rate);
        let apart = Duration::from_nanos(apart);
        if ticks >= 0 {
            date.checked_add(apart)
        } else {
            date.checked_sub(apart)
        }
    }
}

/// A block of a receiver report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) ssrc: u32,
    /// Of 256 packets since the report before.
    pub(crate) fraction_lost: u8,
    /// Of all, as a number of 24 bits with a sign.
    pub(crate) lost: i32,
    /// The latest extended sequence number.
    pub(crate) latest: u32,
    /// In ticks.
    pub(crate) jitter: u32,
    /// The middle of the date of the latest sender report; zero for none.
    pub(crate) sender_report: u32,
    /// How long ago it came, in 65536ths of a second.
    pub(crate) delay: u32,
}

/// The largest and the smallest number of 24 bits with a sign.
const LOST_MOST: i64 = (1 << 23) - 1;
const LOST_LEAST: i64 = -(1 << 23);

impl Reception {
    /// Begins with the first packet.
    pub(crate) fn new(now: Instant, clock_rate: u32, sequence: u64, timestamp: u32) -> Self {
        Self {
            clock_rate,
            first: sequence,
            latest: sequence,
            received: 0,
            expected_before: 0,
            received_before: 0,
            jitter: 0,
            transit: (timestamp, now),
            sender_report: None,
            news: false,
        }
    }

    /// Counts a packet, the first one too.
    pub(crate) fn count(&mut self, now: Instant, sequence: u64, timestamp: u32) {
        self.received += 1;
        self.news = true;
        self.first = self.first.min(sequence);
        self.latest = self.latest.max(sequence);
        let (before, at) = self.transit;
        self.transit = (timestamp, now);
        let micros = now.saturating_duration_since(at).as_micros();
        let arrived = micros * u128::from(self.clock_rate) / 1_000_000;
        // Ticks wrap, so the difference of the two distances is what is meaningful.
        let sent = timestamp.wrapping_sub(before);
        let difference = (arrived as u32).wrapping_sub(sent) as i32;
        let difference = u64::from(difference.unsigned_abs());
        self.jitter = self.jitter + difference - (self.jitter + 8) / 16;
    }

    /// Notes a report of the source.
    pub(crate) fn note_report(&mut self, now: Instant, report: SenderReport) {
        self.sender_report = Some((report, now));
    }

    /// When a packet was captured by the source's clock, as far as the source has reported.
    pub(crate) fn captured(&self, timestamp: u32) -> Option<Duration> {
        let (report, _) = self.sender_report?;
        report.captured(timestamp, self.clock_rate)
    }

    /// The block for the next report, if anything has come since the one before.
    pub(crate) fn report(&mut self, now: Instant, ssrc: u32) -> Option<Block> {
        if !std::mem::take(&mut self.news) {
            return None;
        }
        let expected = self.latest - self.first + 1;
        let lost = (expected as i64).saturating_sub(self.received as i64);
        let expected_since = expected - self.expected_before;
        let received_since = self.received - self.received_before;
        (self.expected_before, self.received_before) = (expected, self.received);
        let lost_since = expected_since.saturating_sub(received_since);
        let fraction = (lost_since * 256).checked_div(expected_since).unwrap_or(0);
        let (sender_report, delay) = self.sender_report.map_or((0, 0), |(report, at)| {
            let delay = now.saturating_duration_since(at).as_micros() * 65_536 / 1_000_000;
            // The middle of its date.
            let date = (report.ntp >> 16) as u32;
            (date, u32::try_from(delay).unwrap_or(u32::MAX))
        });
        Some(Block {
            ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            lost: lost.clamp(LOST_LEAST, LOST_MOST) as i32,
            // Of the extended number 32 bits are on the wire.
            latest: self.latest as u32,
            jitter: (self.jitter / 16) as u32,
            sender_report,
            delay,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_report_says_what_was_lost_since_the_one_before_and_in_all() {
        let now = Instant::now();
        let mut reception = Reception::new(now, 90_000, 65_530, 0);
        assert_eq!(reception.report(now, 1), None, "nothing has come");
        for sequence in [65_530, 65_531, 65_533, 65_537] {
            reception.count(now, sequence, 0);
        }
        let block = reception.report(now, 1).expect("a report");
        assert_eq!((block.fraction_lost, block.lost), (128, 4));
        assert_eq!(block.latest, 0x1_0001);
        assert_eq!(reception.report(now, 1), None, "nothing else has come");
        for sequence in 65_538..65_542 {
            reception.count(now, sequence, 0);
        }
        let block = reception.report(now, 1).expect("a report");
        assert_eq!((block.fraction_lost, block.lost), (0, 4));
        // Late ones of before: nothing was lost since, and less in all.
        for sequence in [65_534, 65_535, 65_536, 65_532, 65_532] {
            reception.count(now, sequence, 0);
        }
        let block = reception.report(now, 1).expect("a report");
        assert_eq!((block.fraction_lost, block.lost), (0, -1));
    }

    #[test]
    fn what_came_before_the_first_packet_counts_and_losses_are_told_in_24_bits() {
        let now = Instant::now();
        let mut reception = Reception::new(now, 90_000, 100, 0);
        for sequence in [100, 98, 101] {
            reception.count(now, sequence, 0);
        }
        let block = reception.report(now, 1).expect("a report");
        assert_eq!((block.fraction_lost, block.lost), (64, 1));
        reception.count(now, 10_000_000, 0);
        let block = reception.report(now, 1).expect("a report");
        assert_eq!((block.fraction_lost, block.lost), (255, 0x7f_ffff));
    }

    #[test]
    fn jitter_is_not_disturbed_by_the_wrap_of_timestamps() {
        let now = Instant::now();
        let begin = u32::MAX - 5_000;
        let mut reception = Reception::new(now, 90_000, 0, begin);
        for n in 0..10_u64 {
            let timestamp = begin.wrapping_add((n * 1_800) as u32);
            reception.count(now + ms(20 * n), n, timestamp);
        }
        assert_eq!(reception.report(now, 1).expect("a report").jitter, 0);
    }

    #[test]
    fn jitter_is_how_unevenly_packets_come() {
        let now = Instant::now();
        let even = |late: u64| {
            let mut reception = Reception::new(now, 90_000, 0, 0);
            for n in 0..1_000_u64 {
                let timestamp = (n * 1_800) as u32;
                reception.count(now + ms(20 * n + late * (n % 2)), n, timestamp);
            }
            reception.report(now, 1).expect("a report").jitter
        };
        assert_eq!(even(0), 0);
        // Of two packets one is 4 ms late: 360 ticks, always.
        assert!((350..=360).contains(&even(4)), "{}", even(4));
    }

    #[test]
    fn a_report_says_how_long_ago_the_sender_reported() {
        let now = Instant::now();
        let mut reception = Reception::new(now, 48_000, 1, 0);
        reception.count(now, 1, 0);
        let report = SenderReport {
            ntp: 0x0011_2233_4455_6677,
            timestamp: 0,
        };
        reception.note_report(now, report);
        let block = reception.report(now + ms(500), 9).expect("a report");
        assert_eq!((block.ssrc, block.sender_report), (9, 0x2233_4455));
        assert_eq!(block.delay, 32_768);
    }

    #[test]
    fn a_report_dates_the_packets_around_it() {
        let report = |seconds: u64| SenderReport {
            ntp: seconds << 32 | 1 << 31,
            timestamp: 10,
        };
        let before = report(NTP_BEFORE_UNIX + 1_000);
        assert_eq!(before.captured(10, 48_000), Some(ms(1_000_500)));
        assert_eq!(before.captured(48_010, 48_000), Some(ms(1_001_500)));
        let earlier = 10_u32.wrapping_sub(24_000);
        assert_eq!(before.captured(earlier, 48_000), Some(ms(1_000_000)));
        let in_2036 = (1_u64 << 32) - NTP_BEFORE_UNIX;
        let wrapped = report(7).captured(10, 48_000);
        assert_eq!(wrapped, Some(Duration::from_secs(in_2036 + 7) + ms(500)));
        let first = report(NTP_BEFORE_UNIX);
        assert_eq!(first.captured(earlier, 8_000), None, "before 1970");
    }
}
