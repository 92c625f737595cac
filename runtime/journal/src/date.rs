//! Dates as people write them, in UTC.

use std::fmt;

/// A date, in milliseconds since 1970. Shown as `2026-11-25 10:14:57.123`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(pub u64);

const DAY_MS: u64 = 86_400_000;

impl Date {
    /// Year, month and day.
    fn day(self) -> (u64, u64, u64) {
        // Days are counted from 0000-03-01 on, so that leap days end years of four, of a hundred
        // and of four hundred years.
        let days = self.0 / DAY_MS + 719_468;
        let era = days / 146_097;
        let of_era = days % 146_097;
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let (month, next) = if month < 10 {
            (month + 3, 0)
        } else {
            (month - 9, 1)
        };
        (era * 400 + year + next, month, day)
    }

    /// The time of the day, as `10:14:57.123`.
    pub fn time(self) -> String {
        let ms = self.0 % DAY_MS;
        let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1_000 % 60);
        format!("{hours:02}:{minutes:02}:{seconds:02}.{:03}", ms % 1_000)
    }

    /// For the name of a file: its order as text is that of time.
    pub fn compact(self) -> String {
        let (year, month, day) = self.day();
        let time = self.time().replace([':', '.'], "");
        format!("{year:04}{month:02}{day:02}-{time}")
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.day();
        write!(f, "{year:04}-{month:02}-{day:02} {}", self.time())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00.000"),
            (951_782_400, "2000-02-29 00:00:00.000"),
            (1_988_150_400, "2033-01-01 00:00:00.000"),
            (4_107_542_399, "2100-02-28 23:59:59.000"),
            (4_107_542_400, "2100-03-01 00:00:00.000"),
        ] {
            assert_eq!(Date(seconds * 1_000).to_string(), text);
        }
        assert_eq!(Date(951_782_400_123).compact(), "20000229-000000123");
    }
}
