//! When what an encoder sends is passed on: as evenly as it was captured, however it comes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::limits;

/// Keeps what comes too early until its time.
///
/// The first item goes out at once, and the others as much later as their times are. What comes
/// late shifts the plan; what always comes early shifts it back, slowly, so that a clock which is
/// faster than this machine's is followed as well. Of a burst, only
/// [`BACKLOG`](limits::BACKLOG) waits: what is older goes out faster, or is left out where a key
/// frame follows it.
#[derive(Debug)]
pub(super) struct Pacer<T> {
    queue: BTreeMap<(Duration, u64), Entry<T>>,
    bytes: usize,
    number: u64,
    /// Whether anything may go out.
    is_open: bool,
    /// An instant, and the time of what goes out then, once something may.
    plan: Option<(Instant, Duration)>,
    /// The latest time that was taken.
    lead: Duration,
    /// What went out last, and when.
    last: Option<(Instant, Duration)>,
    /// The shortest wait since a moment.
    least: Option<(Instant, Duration)>,
}

#[derive(Debug)]
struct Entry<T> {
    item: T,
    bytes: usize,
    /// What is before it need not be shown.
    is_key: bool,
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// It goes out at its time.
    Kept,
    /// So many earlier items were left out: what follows can be shown, beginning with a key frame.
    Skipped(u64),
    /// All was left out, so many items and this one too: nothing can be shown before the next key
    /// frame.
    Dropped(u64),
}

/// How much faster than it was captured something goes out at most.
const RUSH: u32 = 8;
/// How often the plan is shifted back, and by how much at most.
const SHIFT_EVERY: Duration = Duration::from_secs(1);
const SHIFT: Duration = Duration::from_millis(20);

impl<T> Pacer<T> {
    /// A pacer that lets nothing out before it is opened.
    pub(super) fn new() -> Self {
        Self {
            queue: BTreeMap::new(),
            bytes: 0,
            number: 0,
            is_open: false,
            plan: None,
            lead: Duration::ZERO,
            last: None,
            least: None,
        }
    }

    /// Lets out what it has, and what comes, from here on.
    pub(super) fn open(&mut self, now: Instant) {
        self.is_open = true;
        if self.plan.is_none() && !self.queue.is_empty() {
            self.plan = Some((now, self.lead));
        }
    }

    /// Takes an item of so many bytes.
    pub(super) fn push(
        &mut self,
        now: Instant,
        time: Duration,
        (item, bytes, is_key): (T, usize, bool),
    ) -> Taken {
        let entry = Entry {
            item,
            bytes,
            is_key,
        };
        self.number += 1;
        self.bytes += entry.bytes;
        self.queue.insert((time, self.number), entry);
        if time >= self.lead {
            self.lead = time;
            self.follow(now);
        }
        let wait = self
            .due(time)
            .map_or(Duration::ZERO, |due| due - now.min(due));
        let span = match self.plan {
            Some(_) => wait,
            // Before it is opened.
            None => self
                .queue
                .first_key_value()
                .map_or(Duration::ZERO, |((first, _), _)| {
                    self.lead.saturating_sub(*first)
                }),
        };
        let full = self.bytes > limits::BURST_BYTES || self.queue.len() > limits::BURST_TAGS;
        let limit = if self.plan.is_some() {
            limits::BURST
        } else {
            limits::BURST + limits::GATHER_TIME
        };
        if span > limits::BACKLOG
            && let Some(number) = self.skip_to_key(now)
        {
            return Taken::Skipped(number);
        }
        if full || span > limit {
            let number = self.queue.len() as u64;
            self.clear(now);
            return Taken::Dropped(number);
        }
        if span > limits::BACKLOG && self.plan.is_some() {
            let behind = self.lead.saturating_sub(limits::BACKLOG);
            self.plan = Some((now, behind));
        }
        Taken::Kept
    }

    /// The next item whose time has come.
    pub(super) fn pop(&mut self, now: Instant) -> Option<T> {
        let (time, number) = *self.queue.first_key_value()?.0;
        if self.due(time)? > now {
            return None;
        }
        let entry = self.queue.remove(&(time, number))?;
        self.bytes -= entry.bytes;
        if self.last.is_none_or(|(_, last)| time > last) {
            self.last = Some((now, time));
        }
        Some(entry.item)
    }

    /// All that waits, whether its time has come or not.
    pub(super) fn flush(&mut self) -> Vec<T> {
        self.bytes = 0;
        let queue = std::mem::take(&mut self.queue);
        queue.into_values().map(|entry| entry.item).collect()
    }

    /// When the next item is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let (time, _) = *self.queue.first_key_value()?.0;
        self.due(time)
    }

    fn due(&self, time: Duration) -> Option<Instant> {
        let (instant, planned) = self.plan?;
        let due = if time >= planned {
            instant.checked_add(time - planned)
        } else {
            instant.checked_sub(planned - time)
        };
        let due = due.unwrap_or(instant);
        Some(match self.last {
            Some((at, last)) => due.max(at + time.saturating_sub(last) / RUSH),
            None => due,
        })
    }

    /// Adapts the plan to the item that leads.
    fn follow(&mut self, now: Instant) {
        let Some((instant, planned)) = self.plan else {
            self.plan = self.is_open.then_some((now, self.lead));
            return;
        };
        let due = instant.checked_add(self.lead.saturating_sub(planned));
        let due = due.unwrap_or(now);
        if due <= now {
            self.plan = Some((now, self.lead));
            self.least = None;
            return;
        }
        let wait = due - now;
        let (since, least) = self.least.get_or_insert((now, wait));
        *least = wait.min(*least);
        if now.saturating_duration_since(*since) >= SHIFT_EVERY {
            let shift = (*least).min(SHIFT);
            self.least = None;
            self.plan = Some((instant, planned + shift));
        }
    }

    /// Leaves out what is before the latest key frame.
    fn skip_to_key(&mut self, now: Instant) -> Option<u64> {
        let key = self.queue.iter().rfind(|(_, entry)| entry.is_key);
        let (&(time, number), _) = key?;
        let kept = self.queue.split_off(&(time, number));
        let skipped = std::mem::replace(&mut self.queue, kept).len() as u64;
        if skipped == 0 {
            return None;
        }
        self.bytes = self.queue.values().map(|entry| entry.bytes).sum();
        if self.plan.is_some() {
            self.plan = Some((now, time.max(self.lead.saturating_sub(limits::BACKLOG))));
        }
        Some(skipped)
    }

    fn clear(&mut self, now: Instant) {
        self.queue.clear();
        self.bytes = 0;
        self.least = None;
        if self.plan.is_some() {
            self.plan = Some((now, self.lead));
        }
    }
}
