//! When what is passed on has come, and how long it was in this program.

use std::time::{Duration, SystemTime};

use crate::histogram::Histogram;
use crate::limits;

/// What has come in one turn of a worker, numbered from one: the number goes through the rooms with
/// it, and is found at each datagram that passes it on.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    /// When the system has received each, since 1970, and how many datagrams of the batch that has
    /// just been sent pass it on.
    noted: Vec<(Duration, u64)>,
}

impl Arrivals {
    /// Notes one, and returns its number: zero where the time is not known. More than can be told
    /// apart are not looked at.
    pub(super) fn note(&mut self, at: Option<Duration>) -> u32 {
        let Some(at) = at.filter(|_| self.noted.len() < limits::ARRIVALS) else {
            return 0;
        };
        self.noted.push((at, 0));
        // Far fewer.
        self.noted.len() as u32
    }

    /// When this one was received.
    pub(crate) fn at(&self, number: u32) -> Option<Duration> {
        let place = (number as usize).checked_sub(1)?;
        Some(self.noted.get(place)?.0)
    }

    /// Counts what datagrams of these causes, which have just been sent, have taken since.
    pub(super) fn note_departure(
        &mut self,
        causes: impl Iterator<Item = u32>,
        delays: &mut Histogram,
    ) {
        if self.noted.is_empty() {
            return;
        }
        let Ok(now) = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH) else {
            return;
        };
        for cause in causes {
            let place = (cause as usize).checked_sub(1);
            if let Some((_, count)) = place.and_then(|place| self.noted.get_mut(place)) {
                *count += 1;
            }
        }
        for (at, count) in &mut self.noted {
            match std::mem::take(count) {
                0 => {}
                count => delays.record(now.saturating_sub(*at), count),
            }
        }
    }

    /// Forgets all: they are on their way.
    pub(super) fn forget(&mut self) {
        self.noted.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(delays: &Histogram) -> String {
        let mut text = String::new();
        delays.write(&mut text, "d", "");
        text.lines().last().unwrap().to_owned()
    }

    #[test]
    fn each_datagram_counts_for_what_it_passes_on_and_once() {
        let mut arrivals = Arrivals::default();
        let mut delays = Histogram::default();
        assert_eq!(arrivals.note(None), 0);
        let (one, two) = (Duration::from_secs(1), Duration::from_secs(2));
        assert_eq!([arrivals.note(Some(one)), arrivals.note(Some(two))], [1, 2]);
        assert_eq!((arrivals.at(1), arrivals.at(2)), (Some(one), Some(two)));
        assert_eq!((arrivals.at(0), arrivals.at(3)), (None, None));
        arrivals.note_departure([1, 1, 0, 2, 9].into_iter(), &mut delays);
        assert_eq!(count(&delays), "d_count 3");
        arrivals.note_departure([0, 2].into_iter(), &mut delays);
        assert_eq!(count(&delays), "d_count 4");
        arrivals.forget();
        arrivals.note_departure([1, 2].into_iter(), &mut delays);
        assert_eq!(count(&delays), "d_count 4");
    }

    #[test]
    fn more_than_can_be_told_apart_are_not_counted() {
        let mut arrivals = Arrivals::default();
        for _ in 0..limits::ARRIVALS {
            assert_ne!(arrivals.note(Some(Duration::ZERO)), 0);
        }
        assert_eq!(arrivals.note(Some(Duration::ZERO)), 0);
    }
}
