//! The packets of a publisher's picture that are missing, and when it is asked to send them again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a packet may be overtaken by others before it is asked for.
const REORDERED: Duration = Duration::from_millis(10);
/// Time to the second request for a packet; it doubles from one to the next. The first ones are
/// close together for those who are near, the later ones apart for those who are far.
const AGAIN: Duration = Duration::from_millis(40);
/// How often a packet is asked for.
const REQUESTS: u32 = 5;
/// Packets that are asked for at the same time. A gap that is longer is not closed: what is beyond
/// it begins with a key frame.
pub(crate) const MISSING: usize = 512;
/// Packets that one request asks for.
pub(crate) const PER_REQUEST: usize = 128;

#[derive(Debug, Clone, Copy)]
struct Missing {
    sequence: u64,
    due: Instant,
    requests: u32,
}

/// The missing packets of one source, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    missing: VecDeque<Missing>,
    /// Not after the time at which one is to be asked for.
    due: Option<Instant>,
}

impl Losses {
    /// When a packet is to be asked for, or earlier.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Notes that a packet has come; `latest` is the latest one before it. Those between them are
    /// missing, and one behind is missing no more.
    pub(crate) fn arrived(&mut self, now: Instant, latest: Option<u64>, sequence: u64) {
        match latest {
            Some(latest) if sequence > latest => self.gap(now, latest, sequence),
            Some(_) => self.found(sequence),
            None => {}
        }
    }

    fn gap(&mut self, now: Instant, latest: u64, sequence: u64) {
        let length = sequence - latest - 1;
        if length == 0 {
            return;
        }
        if length > MISSING as u64 {
            self.missing.clear();
            self.due = None;
            return;
        }
        let due = now + REORDERED;
        for sequence in latest + 1..sequence {
            if self.missing.len() == MISSING {
                self.missing.pop_front();
            }
            self.missing.push_back(Missing {
                sequence,
                due,
                requests: 0,
            });
        }
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }

    /// Whether a packet is missing that may still come.
    pub(crate) fn is_missing(&self, sequence: u64) -> bool {
        self.place(sequence).is_ok()
    }

    fn place(&self, sequence: u64) -> Result<usize, usize> {
        self.missing
            .binary_search_by_key(&sequence, |missing| missing.sequence)
    }

    fn found(&mut self, sequence: u64) {
        if let Ok(place) = self.place(sequence) {
            self.missing.remove(place);
            if self.missing.is_empty() {
                self.due = None;
            }
        }
    }

    /// Appends the numbers of the packets that are to be asked for at `now`, in their order. They
    /// are counted as asked for.
    pub(crate) fn take_due(&mut self, now: Instant, sequences: &mut Vec<u16>) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        for missing in &mut self.missing {
            if missing.due <= now && sequences.len() < PER_REQUEST {
                // Truncation is what the wire does.
                sequences.push(missing.sequence as u16);
                missing.due = now + AGAIN * (1 << missing.requests);
                missing.requests += 1;
            }
        }
        self.missing.retain(|missing| missing.requests < REQUESTS);
        self.due = self.missing.iter().map(|missing| missing.due).min();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// When which packets are asked for, in milliseconds.
    fn requests(losses: &mut Losses, begin: Instant) -> Vec<(u128, Vec<u16>)> {
        let mut requests = Vec::new();
        while let Some(due) = losses.due() {
            let mut sequences = Vec::new();
            losses.take_due(due, &mut sequences);
            requests.push(((due - begin).as_millis(), sequences));
        }
        requests
    }

    #[test]
    fn what_is_missing_is_asked_for_a_few_times() {
        let now = Instant::now();
        let mut losses = Losses::default();
        losses.arrived(now, Some(65_534), 65_535);
        assert_eq!(losses.due(), None, "nothing is between them");
        losses.arrived(now, Some(65_534), 65_537);
        let asked = vec![65_535, 0];
        let times = [10, 50, 130, 290, 610].map(|at| (at, asked.clone()));
        assert_eq!(requests(&mut losses, now), times);
    }

    #[test]
    fn what_has_come_is_not_asked_for() {
        let now = Instant::now();
        let mut losses = Losses::default();
        losses.arrived(now, Some(1), 4);
        losses.arrived(now, Some(4), 2);
        losses.arrived(now, Some(9), 7);
        let mut sequences = Vec::new();
        losses.take_due(now + ms(9), &mut sequences);
        assert_eq!(sequences, [], "it may still be on the way");
        losses.take_due(now + ms(10), &mut sequences);
        assert_eq!(sequences, [3]);
        losses.arrived(now, Some(9), 3);
        assert_eq!(losses.due(), None);
    }

    #[test]
    fn an_earlier_gap_is_not_kept_waiting_by_a_later_one() {
        let now = Instant::now();
        let mut losses = Losses::default();
        losses.arrived(now, Some(1), 3);
        losses.arrived(now + ms(5), Some(3), 5);
        assert_eq!(losses.due(), Some(now + ms(10)));
        let requests: Vec<_> = requests(&mut losses, now).into_iter().take(2).collect();
        assert_eq!(requests, [(10, vec![2]), (15, vec![4])]);
    }

    #[test]
    fn only_so_many_are_missed() {
        let now = Instant::now();
        let mut losses = Losses::default();
        losses.arrived(now, Some(0), 100);
        losses.arrived(now, Some(100), 100 + MISSING as u64);
        assert_eq!(losses.missing.len(), MISSING);
        assert_eq!(losses.missing.front().map(|first| first.sequence), Some(99));
        let mut first = Vec::new();
        losses.take_due(now + ms(10), &mut first);
        assert_eq!(first.len(), PER_REQUEST);
        assert_eq!(losses.due(), Some(now + ms(10)), "the others at once");
        losses.arrived(now, Some(1_000), 2_000 + MISSING as u64);
        assert!(losses.missing.is_empty() && losses.due().is_none());
    }
}
