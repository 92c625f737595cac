//! The one clock of the server.

use std::time::{Duration, Instant};

/// Gives the time that the machines are told. Copies agree.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    base: Instant,
    start: Instant,
}

impl Clock {
    /// A clock that starts here, on the date that every machine starts on.
    pub(crate) fn start() -> Self {
        let start = Instant::now();
        Self {
            base: parlor_core::epoch::base(start),
            start,
        }
    }

    /// The time from the date that every machine starts on to `now`.
    pub(crate) fn since_base(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.base)
    }

    /// The time.
    pub(crate) fn now(&self) -> Instant {
        self.base + self.start.elapsed()
    }
}
