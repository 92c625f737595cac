//! Which sequence numbers of a source have come.

use crate::rtp;

/// Numbers behind the latest one of which it is known whether they have come. Older ones are taken
/// for known: a packet that is late by so many is of no use to anybody.
const REACH: u64 = 2_048;
const WORDS: usize = (REACH / 64) as usize;

/// The sequence numbers of one source, beyond their 16 bits, and which of the latest have come.
///
/// It guards against packets that are sent again by somebody else (RFC 3711 §3.3.2), and keeps
/// those away that were sent again by the source without need.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    latest: Option<u64>,
    /// Bit n of all words: the number that leaves n when divided by [`REACH`].
    seen: [u64; WORDS],
}

impl Window {
    pub(crate) fn new() -> Self {
        Self {
            latest: None,
            seen: [0; WORDS],
        }
    }

    /// The latest number.
    pub(crate) fn latest(&self) -> Option<u64> {
        self.latest
    }

    /// What a number of 16 bits is beyond them. None where that would be before zero.
    pub(crate) fn extend(&self, sequence: u16) -> Option<u64> {
        match self.latest {
            Some(latest) => rtp::extend(latest, sequence),
            None => Some(sequence.into()),
        }
    }

    /// Whether the packet of this number has not come yet.
    pub(crate) fn is_new(&self, sequence: u64) -> bool {
        match self.latest {
            Some(latest) if sequence <= latest => {
                let (word, bit) = place(sequence);
                latest - sequence < REACH && self.seen[word] & bit == 0
            }
            Some(_) | None => true,
        }
    }

    /// Notes that the packet of this number has come.
    pub(crate) fn note(&mut self, sequence: u64) {
        let latest = *self.latest.get_or_insert(sequence);
        if sequence > latest {
            if sequence - latest >= REACH {
                self.seen = [0; WORDS];
            } else {
                for passed in latest + 1..sequence {
                    let (word, bit) = place(passed);
                    self.seen[word] &= !bit;
                }
            }
            self.latest = Some(sequence);
        } else if latest - sequence >= REACH {
            return;
        }
        let (word, bit) = place(sequence);
        self.seen[word] |= bit;
    }
}

fn place(sequence: u64) -> (usize, u64) {
    let place = sequence % REACH;
    ((place / 64) as usize, 1 << (place % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_beyond_sixteen_bits() {
        let mut window = Window::new();
        assert_eq!(window.extend(65_530), Some(65_530));
        window.note(65_530);
        assert_eq!(window.extend(3), Some(65_536 + 3));
        window.note(65_536 + 3);
        assert_eq!(window.extend(65_531), Some(65_531), "of before");
        assert_eq!(window.latest(), Some(65_539));
        let mut early = Window::new();
        early.note(3);
        assert_eq!(early.extend(65_531), None, "there is nothing before zero");
        assert_eq!(early.extend(32_770), Some(32_770));
        assert_eq!(early.extend(32_772), None);
    }

    #[test]
    fn each_number_is_new_once() {
        let mut window = Window::new();
        // A naive account of the same.
        let mut known = std::collections::BTreeSet::new();
        let mut latest = 0;
        let mut state = 7_u64;
        for round in 0..20_000_u64 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let jump = if round % 1_000 == 999 { 5_000 } else { 9 };
            let sequence = (round * 3 + (state >> 33) % jump).saturating_sub(4);
            let too_old = latest > sequence && latest - sequence >= REACH;
            let fresh = !too_old && !known.contains(&sequence);
            assert_eq!(window.is_new(sequence), fresh, "{sequence} after {latest}");
            if fresh {
                window.note(sequence);
                known.insert(sequence);
                latest = latest.max(sequence);
            }
        }
        assert_eq!(window.latest(), Some(latest));
    }

    #[test]
    fn what_is_too_old_is_not_noted_as_something_newer() {
        let mut window = Window::new();
        window.note(10_000);
        window.note(10_001 - REACH);
        assert!(!window.is_new(10_001 - REACH));
        assert!(!window.is_new(10_000 - REACH), "too old to tell");
        window.note(10_001 - 2 * REACH + 500);
        assert!(window.is_new(10_001 - REACH + 500), "in the same place");
    }
}
