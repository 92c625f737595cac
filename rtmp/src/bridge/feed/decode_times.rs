//! When pictures are decoded, where only is known when they are shown.

use std::collections::BTreeSet;
use std::time::Duration;

/// Derives the one from the other.
///
/// Where up to so many pictures are shown after one that was decoded before them, the picture that
/// is decoded now is as late as the earliest shown of so many.
#[derive(Debug, Default)]
pub(super) struct DecodeTimes {
    reordered: usize,
    shown: BTreeSet<(Duration, u64)>,
    count: u64,
    latest: Duration,
}

impl DecodeTimes {
    /// Takes how many pictures may be shown after one that was decoded before them.
    pub(super) fn set_reordered(&mut self, reordered: u32) {
        self.reordered = reordered as usize;
        self.shown.clear();
    }

    /// When the next picture is decoded, which is shown at `shown`: never later, and never before
    /// the one before it.
    pub(super) fn place(&mut self, shown: Duration) -> Duration {
        if self.reordered == 0 {
            return shown;
        }
        self.count += 1;
        self.shown.insert((shown, self.count));
        let decoded = if self.shown.len() > self.reordered {
            let first = self.shown.pop_first();
            first.map_or(shown, |(first, _)| first)
        } else {
            // Before the first pictures are shown, they are decoded close to each other.
            let missing = self.reordered + 1 - self.shown.len();
            let first = self.shown.first().map_or(shown, |(first, _)| *first);
            first.saturating_sub(Duration::from_millis(missing as u64))
        };
        self.latest = decoded.max(self.latest.min(shown)).min(shown);
        self.latest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_decoded_in_order_and_before_they_are_shown() {
        let mut times = DecodeTimes::default();
        times.set_reordered(2);
        let mut last = Duration::ZERO;
        // I0 P4 B2 b1 b3 P8 B6 b5 b7 …
        let groups = (0..5).flat_map(|group| [4, 2, 1, 3].map(|picture| 4 * group + picture));
        for number in [0].into_iter().chain(groups) {
            let shown = Duration::from_millis(1_000 + 40 * number);
            let decoded = times.place(shown);
            assert!(decoded <= shown && decoded > last, "{decoded:?} {shown:?}");
            last = decoded;
        }
    }
}
