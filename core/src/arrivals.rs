//! The transport-wide sequence numbers of a publisher's packets, looked at ahead of str0m.
//!
//! str0m tells a publisher which packets have arrived (transport-wide congestion control), and for
//! that makes an entry for every number that has not. It takes numbers as they come: after 10,
//! 40,000 counts as one that came before zero, which 64 bits show as close to their end, and two
//! such packets make it write entries until there is no memory left. So a number is passed on only
//! where it is close to the ones before.

use std::time::{Duration, Instant};

/// How far from the latest number one may be.
const REACH: i16 = 8_192;
/// How far numbers may go on in [`SPAN`]: a few reports cover it, and one can say at most 65,535.
const ADVANCE: u64 = 16_384;
const SPAN: Duration = Duration::from_secs(1);

/// Watches the numbers of one publisher.
#[derive(Debug)]
pub(crate) struct Arrivals {
    /// The id of the header extension that has the number.
    extension: u8,
    /// The largest number of a packet that was authenticated, extended beyond 16 bits.
    latest: Option<u64>,
    /// When the present span began, and the latest number then.
    span: (Instant, u64),
}

impl Arrivals {
    pub(crate) fn new(now: Instant, extension: u8) -> Self {
        Self {
            extension,
            latest: None,
            span: (now, 0),
        }
    }

    /// Whether the packet's number, if it has one, can be counted.
    ///
    /// `noted` says that [`Arrivals::note`] will be called with it if it is authentic. That is not
    /// so for retransmissions and padding, so that such packets cannot be the first.
    pub(crate) fn admits(&mut self, now: Instant, packet: &[u8], noted: bool) -> bool {
        let Some(latest) = self.latest else {
            return noted || self.numbers(packet).next().is_none();
        };
        if now.saturating_duration_since(self.span.0) >= SPAN {
            self.span = (now, latest);
        }
        let most = self.span.1 + ADVANCE;
        self.numbers(packet).all(|number| {
            let distance = number.wrapping_sub(latest as u16) as i16;
            let number = latest.checked_add_signed(distance.into());
            (-REACH..=REACH).contains(&distance) && number.is_some_and(|number| number <= most)
        })
    }

    /// Takes note of the number of an authentic packet.
    pub(crate) fn note(&mut self, now: Instant, number: u16) {
        let Some(latest) = self.latest else {
            self.latest = Some(number.into());
            self.span = (now, number.into());
            return;
        };
        let distance = number.wrapping_sub(latest as u16) as i16;
        if let Ok(ahead) = u64::try_from(distance) {
            self.latest = Some(latest + ahead);
        }
    }

    /// All elements of the extension that a packet has: honest ones have one.
    fn numbers<'a>(&self, packet: &'a [u8]) -> impl Iterator<Item = u16> + use<'a> {
        let extension = self.extension;
        let elements = Elements::of(packet).into_iter().flatten();
        elements.filter_map(move |(id, value)| {
            let number = value.first_chunk().copied().map(u16::from_be_bytes);
            number.filter(|_| id == extension)
        })
    }
}

/// The elements of an RTP header's extension (RFC 8285 §4.2 and §4.3), as far as they parse.
struct Elements<'a> {
    rest: &'a [u8],
    long: bool,
}

impl<'a> Elements<'a> {
    fn of(packet: &'a [u8]) -> Option<Self> {
        let first = *packet.first()?;
        if first & 0x10 == 0 {
            return None;
        }
        let rest = packet.get(12 + 4 * usize::from(first & 15)..)?;
        let (head, rest) = rest.split_first_chunk()?;
        let [p0, p1, l0, l1] = *head;
        let long = match u16::from_be_bytes([p0, p1]) {
            0xbede => false,
            0x1000..=0x100f => true,
            _ => return None,
        };
        let length = 4 * usize::from(u16::from_be_bytes([l0, l1]));
        let rest = rest.get(..length)?;
        Some(Self { rest, long })
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        while let [0, rest @ ..] = self.rest {
            self.rest = rest;
        }
        let (id, length, rest) = match *self.rest {
            [id, length, ref rest @ ..] if self.long => (id, usize::from(length), rest),
            [first, ref rest @ ..] if !self.long && first >> 4 != 15 => {
                (first >> 4, usize::from(first & 15) + 1, rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some((id, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(number: u16) -> Vec<u8> {
        let [n0, n1] = number.to_be_bytes();
        let mut packet = vec![0x91, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 9, 9, 9, 9];
        packet.extend([0xbe, 0xde, 0, 2, 0x10, 0x7f, 0, 0x31, n0, n1, 0, 0]);
        packet
    }

    fn long(number: u16) -> Vec<u8> {
        let [n0, n1] = number.to_be_bytes();
        let mut packet = vec![0x90, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2];
        packet.extend([0x10, 0, 0, 1, 3, 2, n0, n1]);
        packet
    }

    /// Passes a number on, and notes it, if it is admitted.
    fn take(arrivals: &mut Arrivals, now: Instant, number: u16) -> bool {
        let admitted = arrivals.admits(now, &packet(number), true);
        assert_eq!(admitted, arrivals.admits(now, &long(number), true));
        if admitted {
            arrivals.note(now, number);
        }
        admitted
    }

    #[test]
    fn numbers_go_on_and_wrap_and_may_be_out_of_order() {
        let now = Instant::now();
        let mut arrivals = Arrivals::new(now, 3);
        for number in [65_000, 65_001, 64_999, 65_535, 3, 65_534, 700] {
            assert!(take(&mut arrivals, now, number), "{number}");
        }
        assert_eq!(arrivals.latest, Some(65_536 + 700));
    }

    #[test]
    fn no_number_is_from_before_zero_or_far_away() {
        let now = Instant::now();
        let mut arrivals = Arrivals::new(now, 3);
        assert!(take(&mut arrivals, now, 10));
        for number in [65_535, 65_000, 40_000, 32_778, 9_000] {
            assert!(!take(&mut arrivals, now, number), "{number}");
        }
        assert!(take(&mut arrivals, now, 0));
        let (mut at, mut number) = (now, 10_u16);
        let mut taken = 0;
        for _ in 0..100 {
            at += Duration::from_millis(5);
            let next = number.wrapping_add(8_000);
            if take(&mut arrivals, at, next) {
                (number, taken) = (next, taken + 1);
            }
        }
        assert_eq!(taken, 2, "in half a second");
        assert!(take(&mut arrivals, at + SPAN, number.wrapping_add(8_000)));
    }

    #[test]
    fn what_is_not_noted_cannot_be_first() {
        let now = Instant::now();
        let mut arrivals = Arrivals::new(now, 3);
        assert!(!arrivals.admits(now, &packet(10), false));
        assert!(arrivals.admits(now, &[0x80; 20], false), "it has no number");
        assert!(take(&mut arrivals, now, 10));
        assert!(arrivals.admits(now, &packet(11), false));
    }

    #[test]
    fn lengths_that_lie_end_the_elements() {
        let now = Instant::now();
        let mut arrivals = Arrivals::new(now, 3);
        arrivals.note(now, 10);
        let whole = packet(40_000);
        for length in 0..whole.len() {
            let cut = whole.get(..length).unwrap_or_default();
            assert!(arrivals.admits(now, cut, true), "str0m drops it: {length}");
        }
        assert!(!arrivals.admits(now, &whole, true));
    }
}
