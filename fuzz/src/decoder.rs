//! What a browser does with the packets of a picture, as far as it shows whether it has one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Time that a lost packet is waited for before the picture is given up.
const PATIENCE: Duration = Duration::from_millis(300);
/// Time between two requests for a key frame.
const ASKS: Duration = Duration::from_millis(500);
/// Packets that are kept behind a gap.
const KEPT: usize = 2_000;

/// A packet of a picture.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece {
    pub(crate) marker: bool,
    /// A decoder can begin with it.
    pub(crate) entry: bool,
    /// Which picture it is of, where it says so.
    pub(crate) number: Option<u32>,
}

/// Puts packets together to pictures, and asks for a key frame where that fails.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The number of the packet that is decoded next; none before a key frame.
    next: Option<u64>,
    waiting: BTreeMap<u64, Piece>,
    gap_since: Option<Instant>,
    asks_at: Option<Instant>,
    /// Pictures that were shown.
    pub pictures: u64,
    /// The number of the latest picture and when it was shown.
    pub latest: Option<(u32, Instant)>,
}

impl Decoder {
    pub(crate) fn take(&mut self, now: Instant, sequence: u64, piece: Piece) {
        if self.next.is_some_and(|next| sequence < next) {
            return;
        }
        self.waiting.insert(sequence, piece);
        if self.waiting.len() > KEPT {
            self.waiting.pop_first();
        }
        self.go_on(now);
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let gap = self.gap_since.map(|since| since + PATIENCE);
        gap.into_iter().chain(self.asks_at).min()
    }

    /// Does what is due; returns whether a key frame is asked for.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> bool {
        self.go_on(now);
        let asks = self.asks_at.is_some_and(|at| at <= now);
        if asks {
            self.asks_at = Some(now + ASKS);
        }
        asks
    }

    fn go_on(&mut self, now: Instant) {
        loop {
            if self.next.is_none() {
                let entry = self.waiting.iter().find(|(_, piece)| piece.entry);
                let Some((entry, _)) = entry else {
                    // Only who gets something knows that something is missing.
                    if !self.waiting.is_empty() {
                        self.asks_at.get_or_insert(now);
                    }
                    return;
                };
                let entry = *entry;
                self.waiting = self.waiting.split_off(&entry);
                self.next = Some(entry);
                self.asks_at = None;
            }
            self.show(now);
            if self.waiting.is_empty() {
                self.gap_since = None;
                return;
            }
            let since = *self.gap_since.get_or_insert(now);
            if now < since + PATIENCE {
                return;
            }
            self.gap_since = None;
            self.next = None;
        }
    }

    fn show(&mut self, now: Instant) {
        while let Some(next) = &mut self.next
            && let Some(piece) = self.waiting.remove(next)
        {
            *next += 1;
            self.gap_since = None;
            if piece.marker {
                self.pictures += 1;
                let number = piece.number.unwrap_or(0);
                self.latest = Some((number, now));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(entry: bool) -> Piece {
        Piece {
            marker: true,
            entry,
            number: Some(1),
        }
    }

    #[test]
    fn a_gap_freezes_the_picture_until_a_key_frame() {
        let now = Instant::now();
        let mut decoder = Decoder::default();
        decoder.take(now, 9, piece(false));
        assert_eq!(decoder.pictures, 0);
        assert!(decoder.handle_timeout(now), "it asks");
        decoder.take(now, 10, piece(true));
        decoder.take(now, 12, piece(false));
        assert_eq!(decoder.pictures, 1);
        decoder.take(now, 11, piece(false));
        assert_eq!(decoder.pictures, 3, "it waits for what comes late");
        decoder.take(now, 14, piece(false));
        let later = now + PATIENCE;
        assert!(!decoder.handle_timeout(now));
        assert!(decoder.handle_timeout(later), "it asks");
        assert!(!decoder.handle_timeout(later), "once in a while");
        decoder.take(later, 15, piece(true));
        assert_eq!(decoder.pictures, 4);
        assert_eq!(decoder.deadline(), None);
    }
}
