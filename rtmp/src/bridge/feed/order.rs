//! Packets in the order of their numbers.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::bridge::limits;

/// Keeps packets that have overtaken others, for a while.
#[derive(Debug)]
pub(super) struct Order<T> {
    /// The number that comes next.
    next: Option<u64>,
    waiting: BTreeMap<u64, (Instant, T)>,
}

/// A packet in its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ordered<T> {
    /// When it came.
    pub(super) arrived: Instant,
    /// Packets before it are missing.
    pub(super) after_loss: bool,
    pub(super) packet: T,
}

impl<T> Order<T> {
    pub(super) fn new() -> Self {
        Self {
            next: None,
            waiting: BTreeMap::new(),
        }
    }

    pub(super) fn push(&mut self, now: Instant, number: u64, packet: T) {
        let next = *self.next.get_or_insert(number);
        // Too late, or twice.
        if number >= next {
            self.waiting.entry(number).or_insert((now, packet));
        }
    }

    /// The next packet: the one that is expected, or a later one where it is waited no longer.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Ordered<T>> {
        let due = self.poll_timeout()?;
        let next = self.next?;
        let first = self.waiting.first_entry()?;
        let number = *first.key();
        let after_loss = number != next;
        if after_loss && due > now {
            return None;
        }
        let (arrived, packet) = first.remove();
        self.next = Some(number + 1);
        Some(Ordered {
            arrived,
            after_loss,
            packet,
        })
    }

    /// When the missing one is waited for no longer.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let (number, (arrived, _)) = self.waiting.first_key_value()?;
        // The first of them need not have come first; the difference is a part of the time.
        let is_next = self.next == Some(*number);
        let is_full = self.waiting.len() > limits::REORDER_PACKETS;
        Some(if is_next || is_full {
            *arrived
        } else {
            *arrived + limits::REORDER_TIME
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn popped(order: &mut Order<u64>, now: Instant) -> Vec<(u64, bool)> {
        let next = || order.pop(now).map(|next| (next.packet, next.after_loss));
        std::iter::from_fn(next).collect()
    }

    #[test]
    fn packets_come_out_in_order_and_once() {
        let now = Instant::now();
        let mut order = Order::new();
        for number in [10, 12, 11, 11, 13, 9] {
            order.push(now, number, number);
        }
        let all = [(10, false), (11, false), (12, false), (13, false)];
        assert_eq!(popped(&mut order, now), all);
    }

    #[test]
    fn a_missing_packet_is_waited_for_and_then_a_loss() {
        let now = Instant::now();
        let mut order = Order::new();
        order.push(now, 1, 1);
        order.push(now, 3, 3);
        assert_eq!(popped(&mut order, now), [(1, false)]);
        assert_eq!(order.poll_timeout(), Some(now + limits::REORDER_TIME));
        let later = now + limits::REORDER_TIME;
        assert_eq!(popped(&mut order, later), [(3, true)]);
        order.push(later, 2, 2);
        assert_eq!(popped(&mut order, later), [], "too late");
        assert_eq!(order.poll_timeout(), None);
    }

    #[test]
    fn no_more_than_a_few_wait() {
        let now = Instant::now();
        let mut order = Order::new();
        order.push(now, 0, 0);
        for number in 2..10_000 {
            order.push(now, number, number);
            while order.pop(now).is_some() {}
            assert!(order.waiting.len() <= limits::REORDER_PACKETS);
        }
    }
}
