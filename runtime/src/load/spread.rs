//! How durations are spread, to about two percent of each.

use std::time::Duration;

/// Buckets that each doubling is divided into.
const FINE: u32 = 6;
const BUCKETS: usize = (64 - FINE as usize + 1) << FINE;

/// Counts of durations.
#[derive(Debug, Clone)]
pub(super) struct Spread {
    counts: Vec<u64>,
    total: u64,
    longest: Duration,
}

impl Default for Spread {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
            longest: Duration::ZERO,
        }
    }
}

impl Spread {
    pub(super) fn record(&mut self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(bucket(nanoseconds)) {
            *count += 1;
        }
        self.total += 1;
        self.longest = self.longest.max(duration);
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.longest = self.longest.max(other.longest);
    }

    pub(super) fn longest(&self) -> Duration {
        self.longest
    }

    /// The duration that `share` of all do not exceed; `None` where there are none.
    pub(super) fn within(&self, share: f64) -> Option<Duration> {
        let rank = (self.total as f64 * share).ceil().max(1.0);
        let mut below = 0;
        let at = self.counts.iter().position(|count| {
            below += count;
            below as f64 >= rank
        })?;
        Some(Duration::from_nanos(end(at)).min(self.longest))
    }
}

/// Below `1 << FINE` each value has a bucket, above each doubling has `1 << FINE` of them.
fn bucket(value: u64) -> usize {
    let Some(doubling) = value.checked_ilog2().and_then(|log| log.checked_sub(FINE)) else {
        return value as usize;
    };
    ((doubling as usize) << FINE) + (value >> doubling) as usize
}

/// The largest value of a bucket.
fn end(bucket: usize) -> u64 {
    let doubling = (bucket >> FINE).saturating_sub(1) as u32;
    let place = (bucket - ((doubling as usize) << FINE)) as u64;
    u64::try_from(((u128::from(place) + 1) << doubling) - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_in_a_bucket_that_ends_close_above_it() {
        for value in (0..64).flat_map(|bits| [1 << bits, (1 << bits) + 1, u64::MAX >> bits]) {
            let end = end(bucket(value));
            assert!(bucket(value) < BUCKETS, "{value}");
            assert!(
                end >= value && end - value <= value >> FINE,
                "{value}: {end}"
            );
        }
    }

    #[test]
    fn shares_are_found() {
        let mut spread = Spread::default();
        assert_eq!(spread.within(0.5), None);
        for milliseconds in 1..=100 {
            spread.record(Duration::from_millis(milliseconds));
        }
        let near = |share, milliseconds: u64| {
            let found = spread.within(share).unwrap().as_millis() as u64;
            assert!(found.abs_diff(milliseconds) <= milliseconds / 50, "{found}");
        };
        near(0.5, 50);
        near(0.99, 99);
        assert_eq!(spread.within(1.0), Some(Duration::from_millis(100)));
    }
}
