//! How durations are spread.

use std::fmt::Write as _;
use std::time::Duration;

/// Upper bounds of the buckets, in microseconds.
const BOUNDS: [u64; 12] = [
    50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 1_000_000,
];

/// Counts of durations, by how long they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Histogram {
    /// Of each bucket; the last one has what is above all bounds.
    counts: [u64; BOUNDS.len() + 1],
    nanoseconds: u128,
}

impl Histogram {
    /// Counts so many of one duration.
    pub(crate) fn record(&mut self, duration: Duration, count: u64) {
        let microseconds = duration.as_nanos().div_ceil(1_000);
        let bucket = BOUNDS.partition_point(|bound| u128::from(*bound) < microseconds);
        if let Some(counted) = self.counts.get_mut(bucket) {
            *counted += count;
        }
        self.nanoseconds += duration.as_nanos() * u128::from(count);
    }

    /// Adds what another one has counted.
    pub(crate) fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.nanoseconds += other.nanoseconds;
    }

    /// Writes it out in Prometheus' text format.
    pub(crate) fn write(&self, text: &mut String, name: &str, help: &str) {
        // Writing to a String does not fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} histogram");
        let mut total = 0;
        let bounds = BOUNDS.map(|bound| (bound as f64 / 1e6).to_string());
        let bounds = bounds.iter().map(String::as_str).chain(["+Inf"]);
        for (bound, count) in bounds.zip(self.counts) {
            total += count;
            let _ = writeln!(text, "{name}_bucket{{le=\"{bound}\"}} {total}");
        }
        let sum = self.nanoseconds as f64 / 1e9;
        let _ = writeln!(text, "{name}_sum {sum}\n{name}_count {total}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_counted_in_the_bucket_that_they_are_within() {
        let mut histogram = Histogram::default();
        for microseconds in [1, 50, 51, 3_000_000] {
            histogram.record(Duration::from_micros(microseconds), 1);
        }
        histogram.record(Duration::from_nanos(50_001), 1);
        let mut sum = Histogram::default();
        sum.add(&histogram);
        sum.add(&histogram);
        let mut text = String::new();
        sum.write(&mut text, "delay_seconds", "Help.");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..2],
            [
                "# HELP delay_seconds Help.",
                "# TYPE delay_seconds histogram"
            ]
        );
        assert_eq!(lines[2], "delay_seconds_bucket{le=\"0.00005\"} 4");
        assert_eq!(lines[3], "delay_seconds_bucket{le=\"0.0001\"} 8");
        assert_eq!(lines[13], "delay_seconds_bucket{le=\"1\"} 8");
        assert_eq!(lines[14], "delay_seconds_bucket{le=\"+Inf\"} 10");
        assert_eq!(lines[15], "delay_seconds_sum 6.000304002");
        assert_eq!(lines[16], "delay_seconds_count 10");
    }
}
