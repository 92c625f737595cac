//! A token bucket in whole numbers.

use std::time::{Duration, Instant};

/// Allows a burst, and a steady rate after it (the generic cell rate algorithm).
#[derive(Debug)]
pub struct Bucket {
    /// When the bucket is full again.
    full_at: Instant,
    /// What one token takes to come back.
    interval: Duration,
    burst: u32,
}

impl Bucket {
    /// A bucket that is full: `burst` tokens at once, then `per_second`, which is not zero.
    pub fn new(burst: u32, per_second: u32, now: Instant) -> Self {
        Self {
            full_at: now,
            interval: Duration::from_secs(1) / per_second,
            burst,
        }
    }

    /// Takes a token, or says that there is none.
    pub fn take(&mut self, now: Instant) -> bool {
        let full_at = self.full_at.max(now) + self.interval;
        if full_at.duration_since(now) > self.interval * self.burst {
            return false;
        }
        self.full_at = full_at;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the epoch of the test")]
    fn a_bucket_allows_its_burst_and_then_its_rate() {
        let epoch = Instant::now();
        let mut bucket = Bucket::new(3, 2, epoch);
        assert_eq!(
            [0, 1, 2, 3].map(|_| bucket.take(epoch)),
            [true, true, true, false]
        );
        assert!(!bucket.take(epoch + Duration::from_millis(499)));
        assert!(bucket.take(epoch + Duration::from_millis(500)));
        assert!(!bucket.take(epoch + Duration::from_millis(500)));
        let later = epoch + Duration::from_secs(60);
        assert_eq!(
            [0, 1, 2, 3].map(|_| bucket.take(later)),
            [true, true, true, false]
        );
    }
}
