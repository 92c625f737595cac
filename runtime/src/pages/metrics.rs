//! Prometheus' text format.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use parlor_core::Metric;

use crate::histogram::Histogram;

/// Writes metrics out; those of one name are one metric of several workers, and are summed.
pub(crate) fn exposition(metrics: impl IntoIterator<Item = Metric>, delays: &Histogram) -> String {
    let mut sums: BTreeMap<&'static str, Metric> = BTreeMap::new();
    for metric in metrics {
        sums.entry(metric.name)
            .and_modify(|sum| sum.value = sum.value.wrapping_add(metric.value))
            .or_insert(metric);
    }
    let mut text = String::new();
    for Metric {
        name,
        help,
        grows,
        value,
    } in sums.values()
    {
        let kind = if *grows { "counter" } else { "gauge" };
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}"
        );
    }
    delays.write(
        &mut text,
        "parlor_forward_delay_seconds",
        "Time that a packet was in this program, from when the system received it until a copy of it was sent: one count a copy.",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_summed() {
        let rooms = |value| Metric {
            name: "parlor_rooms",
            help: "Rooms.",
            grows: false,
            value,
        };
        let text = exposition([rooms(2), rooms(3)], &Histogram::default());
        assert!(text.starts_with(
            "# HELP parlor_rooms Rooms.\n# TYPE parlor_rooms gauge\nparlor_rooms 5\n"
        ));
        assert!(text.ends_with("\nparlor_forward_delay_seconds_count 0\n"));
    }
}
