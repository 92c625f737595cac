//! What a player knows of a track that it receives: what has come, what is missing, what to report.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::rtcp::Block;

/// Most numbers that are missed at the same time: a larger gap is another beginning.
const MISSING: usize = 256;
/// Time between two requests for the same packet.
const RETRY: Duration = Duration::from_millis(100);
/// Requests for the same packet.
const TRIES: u32 = 10;
/// Sequence numbers that are requested at once.
const REQUESTED: usize = 64;

/// Extends sequence numbers by a rollover counter (RFC 3711 §3.3.1).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Extender(Option<u64>);

impl Extender {
    /// The extended number; it counts once [`Extender::admit`] is told.
    pub(super) fn extend(self, sequence: u16) -> u64 {
        let Some(highest) = self.0 else {
            return u64::from(sequence);
        };
        // Truncation is what the wire does.
        let ahead = sequence.wrapping_sub(highest as u16);
        if ahead < 1 << 15 {
            highest + u64::from(ahead)
        } else {
            let behind = (highest as u16).wrapping_sub(sequence);
            highest.saturating_sub(u64::from(behind))
        }
    }

    pub(super) fn admit(&mut self, extended: u64) {
        self.0 = self.0.max(Some(extended));
    }
}

/// A packet that has not come yet.
#[derive(Debug, Clone, Copy)]
struct Missing {
    sequence: u64,
    next_try: Instant,
    tries: u32,
}

/// The state of one source.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) ssrc: u32,
    clock_rate: u32,
    pub(super) extender: Extender,
    first: u64,
    highest: u64,
    came: u64,
    missing: VecDeque<Missing>,
    /// Whether lost packets are asked for.
    repairs: bool,
    /// What the latest report said: packets expected and come.
    reported: (u64, u64),
    /// The latest sender report: the middle of its date, and when it came.
    report: Option<(u32, Instant)>,
    /// Of the latest packet: how long it took, by two clocks.
    transit: Option<i64>,
    jitter: f64,
}

impl Source {
    pub(super) fn new(ssrc: u32, clock_rate: u32, repairs: bool) -> Self {
        Self {
            ssrc,
            clock_rate,
            extender: Extender::default(),
            first: 0,
            highest: 0,
            came: 0,
            missing: VecDeque::new(),
            repairs,
            reported: (0, 0),
            report: None,
            transit: None,
            jitter: 0.0,
        }
    }

    /// Notes a packet with its extended sequence number. `arrived` is since any fixed moment.
    pub(super) fn note(&mut self, now: Instant, sequence: u64, timestamp: u32, arrived: Duration) {
        self.extender.admit(sequence);
        self.came += 1;
        if self.came == 1 {
            (self.first, self.highest) = (sequence, sequence);
        }
        if sequence > self.highest {
            let gap = self.highest + 1..sequence;
            self.highest = sequence;
            if self.repairs && gap.end - gap.start <= MISSING as u64 {
                self.missing.extend(gap.map(|sequence| Missing {
                    sequence,
                    next_try: now,
                    tries: 0,
                }));
                let superfluous = self.missing.len().saturating_sub(MISSING);
                self.missing.drain(..superfluous);
            }
            self.measure_jitter(timestamp, arrived);
        } else {
            self.repaired(sequence);
        }
    }

    /// A packet has come that was sent again.
    pub(super) fn note_again(&mut self, sequence: u16) {
        let sequence = self.extender.extend(sequence);
        if self.repaired(sequence) {
            self.came += 1;
        }
    }

    fn repaired(&mut self, sequence: u64) -> bool {
        let before = self.missing.len();
        self.missing.retain(|missing| missing.sequence != sequence);
        self.missing.len() < before
    }

    /// RFC 3550 §A.8.
    fn measure_jitter(&mut self, timestamp: u32, arrived: Duration) {
        let ticks = arrived.as_micros() * u128::from(self.clock_rate) / 1_000_000;
        // Both wrap, so their difference has 32 bits.
        let transit = i64::from((ticks as u32).wrapping_sub(timestamp) as i32);
        if let Some(before) = self.transit.replace(transit) {
            let change = (transit - before).abs() as f64;
            self.jitter += (change - self.jitter) / 16.0;
        }
    }

    pub(super) fn note_report(&mut self, now: Instant, middle: u32) {
        self.report = Some((middle, now));
    }

    /// When packets are to be asked for.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.missing.iter().map(|missing| missing.next_try).min()
    }

    /// The sequence numbers to ask for.
    pub(super) fn requests(&mut self, now: Instant) -> Vec<u16> {
        let due = self.missing.iter_mut().filter(|one| one.next_try <= now);
        let mut sequences = Vec::new();
        for missing in due.take(REQUESTED) {
            missing.tries += 1;
            missing.next_try = now + RETRY;
            sequences.push(missing.sequence as u16);
        }
        self.missing.retain(|missing| missing.tries < TRIES);
        sequences
    }

    /// What is to be reported.
    pub(super) fn report(&mut self, now: Instant) -> Block {
        let expected = self.highest + 1 - self.first;
        let (expected_before, came_before) = self.reported;
        self.reported = (expected, self.came);
        let interval = expected - expected_before;
        let lost = interval.saturating_sub(self.came - came_before);
        let fraction = (lost * 256).checked_div(interval).unwrap_or(0).min(255);
        let (report, since_report) = match self.report {
            Some((middle, at)) => {
                let since = now.saturating_duration_since(at).as_micros() * 65_536 / 1_000_000;
                (middle, since as u32)
            }
            None => (0, 0),
        };
        Block {
            ssrc: self.ssrc,
            fraction_lost: fraction as u8,
            lost: expected.saturating_sub(self.came) as u32,
            highest: self.highest as u32,
            jitter: self.jitter as u32,
            report,
            since_report,
        }
    }
}

/// Which of the latest numbers have come.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    highest: u64,
    /// One bit for each of the latest numbers, by its remainder.
    bits: [u64; SEEN / 64],
}

/// How far back numbers are told apart.
const SEEN: usize = 2_048;

impl Default for Seen {
    fn default() -> Self {
        Self {
            highest: 0,
            bits: [0; SEEN / 64],
        }
    }
}

impl Seen {
    /// Notes a number; false for one that has come before, or is too old to tell.
    pub(super) fn admit(&mut self, number: u64) -> bool {
        if number + SEEN as u64 <= self.highest {
            return false;
        }
        if number > self.highest {
            let from = self.highest.max(number.saturating_sub(SEEN as u64)) + 1;
            for passed in from..number {
                *self.word(passed) &= !bit(passed);
            }
            *self.word(number) &= !bit(number);
            self.highest = number;
        }
        let word = self.word(number);
        let fresh = *word & bit(number) == 0;
        *word |= bit(number);
        fresh
    }

    fn word(&mut self, number: u64) -> &mut u64 {
        &mut self.bits[(number % SEEN as u64) as usize / 64]
    }
}

fn bit(number: u64) -> u64 {
    1 << (number % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> Source {
        Source::new(1, 90_000, true)
    }

    fn note(source: &mut Source, now: Instant, sequences: impl IntoIterator<Item = u16>) {
        for sequence in sequences {
            let extended = source.extender.extend(sequence);
            source.note(now, extended, 0, Duration::ZERO);
        }
    }

    #[test]
    fn numbers_go_on_beyond_sixteen_bits() {
        let mut extender = Extender::default();
        for (sequence, extended) in [(65_530, 65_530), (3, 65_539), (65_531, 65_531), (4, 65_540)] {
            assert_eq!(extender.extend(sequence), extended);
            extender.admit(extended);
        }
    }

    #[test]
    fn a_gap_is_asked_for_until_it_is_filled() {
        let now = Instant::now();
        let mut source = source();
        note(&mut source, now, [65_533, 65_534, 2]);
        assert_eq!(source.deadline(), Some(now));
        assert_eq!(source.requests(now), [65_535, 0, 1]);
        assert!(source.requests(now).is_empty(), "not twice at once");
        note(&mut source, now, [0]);
        source.note_again(65_535);
        let later = now + RETRY;
        assert_eq!(source.requests(later), [1]);
        let block = source.report(later);
        assert_eq!((block.lost, block.highest), (1, 65_538));
        assert_eq!(block.fraction_lost, 42, "one of six");
        for tries in 3..=TRIES {
            assert!(source.deadline().is_some(), "{tries}");
            source.requests(now + RETRY * tries);
        }
        assert_eq!(source.deadline(), None, "it is given up");
    }

    #[test]
    fn a_large_gap_is_another_beginning() {
        let now = Instant::now();
        let mut source = source();
        note(&mut source, now, [1, 1_000]);
        assert_eq!(source.deadline(), None);
    }

    #[test]
    fn each_number_counts_once() {
        let mut seen = Seen::default();
        let admitted = |seen: &mut Seen, number| u32::from(seen.admit(number));
        let numbers = [
            5, 5, 7, 6, 7, 2_054, 6, 7, 5, 100_000, 97_952, 97_953, 99_999,
        ];
        let fresh: Vec<u32> = numbers.map(|number| admitted(&mut seen, number)).into();
        assert_eq!(fresh, [1, 0, 1, 1, 0, 1, 0, 0, 0, 1, 0, 1, 1]);
    }
}
