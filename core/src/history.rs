//! What was said to everyone in a room, for those who come later.

use std::collections::VecDeque;
use std::time::Instant;

use crate::limits;
use crate::names::Identity;
use crate::request::Said;

/// The latest messages of a room, bounded in number and in bytes.
#[derive(Debug, Default)]
pub(crate) struct History {
    entries: VecDeque<Entry>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    at: Instant,
    from: Identity,
    text: String,
}

impl History {
    /// Keeps a message, in place of the oldest ones where there are too many.
    pub(crate) fn keep(&mut self, at: Instant, from: Identity, text: String) {
        self.bytes += text.len();
        self.entries.push_back(Entry { at, from, text });
        while self.entries.len() > limits::HISTORY_MESSAGES || self.bytes > limits::HISTORY_BYTES {
            let Some(oldest) = self.entries.pop_front() else {
                break;
            };
            self.bytes -= oldest.text.len();
        }
    }

    /// All that is kept, oldest first.
    pub(crate) fn told(&self, now: Instant) -> Vec<Said> {
        let said = |entry: &Entry| Said {
            from: entry.from.clone(),
            text: entry.text.clone(),
            age: now.saturating_duration_since(entry.at),
        };
        self.entries.iter().map(said).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_messages_are_kept_within_both_bounds() {
        let now = Instant::now();
        let from = Identity::new("a").expect("a name");
        let mut history = History::default();
        for number in 0..limits::HISTORY_MESSAGES + 5 {
            history.keep(now, from.clone(), number.to_string());
        }
        let told = history.told(now);
        assert_eq!(told.len(), limits::HISTORY_MESSAGES);
        assert_eq!(told[0].text, "5");
        let long = "x".repeat(limits::MESSAGE_BYTES);
        for _ in 0..100 {
            history.keep(now, from.clone(), long.clone());
        }
        let bytes: usize = history.told(now).iter().map(|said| said.text.len()).sum();
        assert!(bytes <= limits::HISTORY_BYTES);
        assert!(bytes > limits::HISTORY_BYTES - 2 * limits::MESSAGE_BYTES);
    }
}
