//! When a publisher's packets arrived, by their transport-wide numbers, and the report of it
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1), by which browsers find their rate.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::rtcp::{self, TRANSPORT_CC, TRANSPORT_FEEDBACK};

/// Time between two reports.
const INTERVAL: Duration = Duration::from_millis(50);
/// Numbers ahead of the latest one that may be missing. Beyond, numbering has begun anew.
const GAP: u64 = 1_024;
/// Numbers that are remembered when they have been reported: what comes late is reported with its
/// surroundings.
const REMEMBERED: u64 = 256;
/// Numbers that wait for a report at most: older ones are forgotten.
const UNREPORTED: u64 = 4_096;
/// Numbers that one report is about. At five bytes for two of them at most it fits in a datagram.
const PER_REPORT: usize = 400;
/// A tick of the differences between arrivals, in microseconds.
const TICK: i128 = 250;
/// Ticks in a unit of the reference time.
const REFERENCE: i128 = 64_000 / TICK;

/// The arrivals of one publisher's packets.
#[derive(Debug)]
pub(crate) struct Arrivals {
    /// The beginning of the reference time.
    begun: Instant,
    /// The number of the first of `times`, beyond 16 bits.
    first: u64,
    times: VecDeque<Option<Instant>>,
    /// The first number that has come since the latest report.
    unreported: Option<u64>,
    due: Option<Instant>,
    reports: u8,
}

impl Arrivals {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            begun: now,
            first: 0,
            times: VecDeque::new(),
            unreported: None,
            due: None,
            reports: 0,
        }
    }

    /// When the next report is due.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Notes the number of an authentic packet.
    pub(crate) fn note(&mut self, now: Instant, number: u16) {
        let Some(number) = self.place(number) else {
            return;
        };
        let index = (number - self.first) as usize;
        if let Some(time) = self.times.get_mut(index) {
            // Of two packets with one number the first one counts.
            time.get_or_insert(now);
        }
        let unreported = self.unreported.get_or_insert(number);
        *unreported = number.min(*unreported);
        self.due.get_or_insert(now + INTERVAL);
    }

    /// Makes a place for a number, and says what it is beyond 16 bits. None for one that is too
    /// old.
    fn place(&mut self, number: u16) -> Option<u64> {
        if self.times.is_empty() {
            // Far enough from zero for what was overtaken.
            self.first = u64::from(number) + (1 << 16);
            self.times.push_back(None);
            return Some(self.first);
        }
        let latest = self.first + self.times.len() as u64 - 1;
        let distance = number.wrapping_sub(latest as u16) as i16;
        let extended = latest.checked_add_signed(distance.into())?;
        if extended > latest {
            if extended - latest > GAP {
                self.times.clear();
                self.unreported = None;
                return self.place(number);
            }
            let length = (extended - self.first + 1) as usize;
            self.times.resize(length, None);
            self.forget();
        }
        if extended < self.first {
            // It was overtaken by the very first ones.
            let before = self.first - extended;
            if before + self.times.len() as u64 > REMEMBERED {
                return None;
            }
            for _ in 0..before {
                self.times.push_front(None);
            }
            self.first = extended;
        }
        Some(extended)
    }

    /// Forgets what was reported long ago.
    fn forget(&mut self) {
        let end = self.first + self.times.len() as u64;
        let needed = self.unreported.unwrap_or(end);
        let keep = needed.min(end.saturating_sub(REMEMBERED));
        let keep = keep.max(end.saturating_sub(UNREPORTED));
        let superfluous = keep.saturating_sub(self.first) as usize;
        self.times.drain(..superfluous.min(self.times.len()));
        self.first += superfluous as u64;
        self.unreported = self.unreported.map(|number| number.max(self.first));
    }

    /// Appends the report that is due at `now`, if one is, to `compound`: from `sender`, about the
    /// stream of `source`.
    pub(crate) fn report(
        &mut self,
        now: Instant,
        (sender, source): (u32, u32),
        compound: &mut Vec<u8>,
    ) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        self.due = None;
        let Some(begin) = self.unreported.take() else {
            return;
        };
        let end = self.first + self.times.len() as u64;
        let skip = begin.saturating_sub(self.first) as usize;
        let times = || self.times.iter().skip(skip);
        // The latest one has arrived.
        let Some(earliest) = times().flatten().next() else {
            return;
        };
        let report = Report::of(self.begun, *earliest, times().take(PER_REPORT));
        let next = begin + report.symbols.len() as u64;
        if next < end {
            // The rest at once, in a datagram of its own.
            self.unreported = Some(next);
            self.due = Some(now);
        }
        report.write((sender, source), begin as u16, self.reports, compound);
        self.reports = self.reports.wrapping_add(1);
        self.forget();
    }
}

/// What a report says of the numbers that it is about, one after the other.
#[derive(Debug, Default)]
struct Report {
    /// In units of 64 ms.
    reference: u32,
    symbols: Vec<Symbol>,
    /// In ticks, each of the packets that have arrived.
    differences: Vec<i16>,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Symbol {
    Missing = 0,
    /// Arrived, with a difference of one byte.
    Close = 1,
    /// Arrived, with a difference of two bytes.
    Far = 2,
}

impl Report {
    /// The report of as many of these times as can be in one; `earliest` is the first of them, or
    /// behind them.
    fn of<'a>(
        begun: Instant,
        earliest: Instant,
        times: impl Iterator<Item = &'a Option<Instant>>,
    ) -> Self {
        let ticks = |time: Instant| {
            let micros = time.saturating_duration_since(begun).as_micros();
            i128::try_from(micros).unwrap_or(i128::MAX) / TICK
        };
        let reference = ticks(earliest).div_euclid(REFERENCE);
        let mut report = Self {
            // Of the reference time 24 bits are on the wire.
            reference: (reference & 0xff_ffff) as u32,
            ..Self::default()
        };
        let mut before = reference * REFERENCE;
        for time in times {
            let Some(time) = time else {
                report.symbols.push(Symbol::Missing);
                continue;
            };
            let at = ticks(*time);
            let Ok(difference) = i16::try_from(at - before) else {
                // Too far from the one before: of another report.
                break;
            };
            before = at;
            report.differences.push(difference);
            let close = u8::try_from(difference).is_ok();
            report
                .symbols
                .push(if close { Symbol::Close } else { Symbol::Far });
        }
        report
    }

    fn write(&self, ssrcs: (u32, u32), base: u16, number: u8, compound: &mut Vec<u8>) {
        let mut body = Vec::with_capacity(64 + 3 * self.symbols.len());
        rtcp::words(&mut body, &[ssrcs.0, ssrcs.1]);
        body.extend_from_slice(&base.to_be_bytes());
        body.extend_from_slice(&(self.symbols.len() as u16).to_be_bytes());
        rtcp::words(&mut body, &[self.reference << 8 | u32::from(number)]);
        self.write_symbols(&mut body);
        for difference in &self.differences {
            match u8::try_from(*difference) {
                Ok(close) => body.push(close),
                Err(_) => body.extend_from_slice(&difference.to_be_bytes()),
            }
        }
        body.resize(body.len().next_multiple_of(4), 0);
        rtcp::header(compound, TRANSPORT_CC, TRANSPORT_FEEDBACK, body.len() / 4);
        compound.extend_from_slice(&body);
    }

    /// Chunks of 16 bits: how often one symbol comes, or seven symbols.
    fn write_symbols(&self, body: &mut Vec<u8>) {
        let mut symbols = self.symbols.as_slice();
        while let [first, ..] = symbols {
            let run = symbols.iter().take_while(|symbol| *symbol == first).count();
            let (chunk, length) = if run >= 7 {
                // At most PER_REPORT, which 13 bits hold.
                ((*first as u16) << 13 | run as u16, run)
            } else {
                let seven = symbols.iter().take(7);
                let chunk = seven.fold((0_u16, 7_u16), |(chunk, left), symbol| {
                    (chunk | (*symbol as u16) << (2 * (left - 1)), left - 1)
                });
                (0xc000 | chunk.0, 7.min(symbols.len()))
            };
            body.extend_from_slice(&chunk.to_be_bytes());
            symbols = symbols.get(length..).unwrap_or_default();
        }
    }
}

const _: () = assert!(PER_REPORT < 1 << 13);

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// What a report says: its first number, and what became of each, in ticks from the beginning
    /// of the reference time.
    fn read(report: &[u8]) -> (u16, Vec<Option<i64>>) {
        let packet = rtcp::packets(report).next().expect("a packet");
        assert_eq!((packet.kind, packet.count), (205, 15));
        assert_eq!(report.len(), packet.body.len() + 4, "and no other");
        let half = |at: usize| u16::from_be_bytes([packet.body[at], packet.body[at + 1]]);
        let (base, count) = (half(8), usize::from(half(10)));
        let reference = rtcp::word(packet.body, 12).expect("a word") >> 8;
        let mut symbols = Vec::new();
        let mut at = 16;
        while symbols.len() < count {
            let chunk = half(at);
            at += 2;
            if chunk >> 15 == 0 {
                symbols.extend(vec![chunk >> 13; usize::from(chunk & 0x1fff)]);
            } else {
                symbols.extend((0..7).map(|place| chunk >> (12 - 2 * place) & 3));
            }
        }
        symbols.truncate(count);
        let mut ticks = i64::from(reference) * 256;
        let times = symbols.into_iter().map(|symbol| match symbol {
            0 => None,
            1 => {
                ticks += i64::from(packet.body[at]);
                at += 1;
                Some(ticks)
            }
            _ => {
                ticks += i64::from(half(at) as i16);
                at += 2;
                Some(ticks)
            }
        });
        let times = times.collect();
        assert!(packet.body.len() - at < 4, "only padding is left");
        (base, times)
    }

    fn reports(arrivals: &mut Arrivals) -> Vec<(u16, Vec<Option<i64>>)> {
        let mut reports = Vec::new();
        while let Some(due) = arrivals.due() {
            let mut report = Vec::new();
            arrivals.report(due, (1, 2), &mut report);
            assert!(report.len() < 1_100, "it fits in a datagram");
            reports.push(read(&report));
        }
        reports
    }

    #[test]
    fn a_report_says_what_has_arrived_and_when() {
        let now = Instant::now();
        let mut arrivals = Arrivals::new(now);
        for (number, at) in [(65_534, 1_000), (65_535, 1_001), (2, 1_101), (1, 1_102)] {
            arrivals.note(now + ms(at), number);
        }
        assert_eq!(arrivals.due(), Some(now + ms(1_050)));
        let times = [1_000, 1_001, 0, 1_102, 1_101].map(|at| (at > 0).then_some(at * 4));
        assert_eq!(reports(&mut arrivals), [(65_534, times.to_vec())]);
        // What comes late is told with what is known around it.
        arrivals.note(now + ms(1_200), 0);
        let times = [1_200, 1_102, 1_101].map(|at| Some(at * 4));
        assert_eq!(reports(&mut arrivals), [(0, times.to_vec())]);
        arrivals.note(now + ms(9_000_000), 3);
        let late = vec![Some(9_000_000 * 4)];
        assert_eq!(reports(&mut arrivals), [(3, late)]);
    }

    #[test]
    fn the_first_of_two_arrivals_counts_and_reports_are_numbered() {
        let now = Instant::now();
        let mut arrivals = Arrivals::new(now);
        for round in 0..3_u8 {
            arrivals.note(now + ms(64), 5);
            arrivals.note(now + ms(70), 5);
            let mut report = Vec::new();
            arrivals.report(now + ms(1_000), (1, 2), &mut report);
            assert_eq!(read(&report), (5, vec![Some(256)]));
            assert_eq!(report[19], round, "none was lost on the way");
        }
    }

    #[test]
    fn numbers_that_leap_begin_anew() {
        let now = Instant::now();
        let mut arrivals = Arrivals::new(now);
        arrivals.note(now + ms(4), 5);
        arrivals.note(now + ms(8), 6 + GAP as u16);
        let reports = reports(&mut arrivals);
        assert_eq!(reports, [(6 + GAP as u16, vec![Some(32)])]);
    }

    #[test]
    fn many_numbers_take_several_reports() {
        let now = Instant::now();
        let mut arrivals = Arrivals::new(now);
        for number in 0..1_000_u16 {
            if number % 3 != 1 {
                arrivals.note(now + ms(70 * u64::from(number)), number);
            }
        }
        let mut all = Vec::new();
        for (base, times) in reports(&mut arrivals) {
            assert_eq!(usize::from(base), all.len());
            all.extend(times);
        }
        let expected = (0..1_000_i64).map(|n| (n % 3 != 1).then_some(280 * n));
        assert_eq!(all, expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_pause_longer_than_a_difference_begins_another_report() {
        let now = Instant::now();
        let mut arrivals = Arrivals::new(now);
        arrivals.note(now, 1);
        arrivals.note(now + ms(60_000), 2);
        let reports = reports(&mut arrivals);
        assert_eq!(reports, [(1, vec![Some(0)]), (2, vec![Some(240_000)])]);
    }

    #[test]
    fn numbers_that_leap_take_no_memory() {
        let now = Instant::now();
        let mut arrivals = Arrivals::new(now);
        let mut number = 0_u16;
        for step in 0..10_000_u64 {
            number = number.wrapping_add([1, 1_000, 32_000, 40_000, 7][step as usize % 5]);
            arrivals.note(now + ms(step), number);
            assert!(arrivals.times.len() as u64 <= UNREPORTED);
            let mut report = Vec::new();
            arrivals.report(now + ms(step), (1, 2), &mut report);
            assert!(report.len() < 1_100);
        }
    }

    #[test]
    fn what_is_not_reported_is_kept_within_bounds() {
        let now = Instant::now();
        let mut arrivals = Arrivals::new(now);
        for number in 0..60_000_u16 {
            arrivals.note(now, number);
        }
        assert!(arrivals.times.len() as u64 <= UNREPORTED);
        let told: usize = reports(&mut arrivals)
            .iter()
            .map(|(_, times)| times.len())
            .sum();
        assert_eq!(told as u64, UNREPORTED);
        assert!(arrivals.times.len() as u64 <= REMEMBERED);
    }
}
