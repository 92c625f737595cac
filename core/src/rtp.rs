//! The header of an RTP packet (RFC 3550 §5.1) as it arrives, with its extensions (RFC 8285).

/// A packet's header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header<'a> {
    pub(crate) payload_type: u8,
    pub(crate) marker: bool,
    /// The payload ends in padding.
    pub(crate) padded: bool,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    /// Bytes of the header with all that belongs to it.
    pub(crate) length: usize,
    elements: Elements<'a>,
}

impl<'a> Header<'a> {
    /// Reads the header of a packet; `None` where it is none.
    pub(crate) fn parse(packet: &'a [u8]) -> Option<Self> {
        let (fixed, _) = packet.split_first_chunk::<12>()?;
        let [first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = *fixed;
        if first >> 6 != 2 {
            return None;
        }
        let sources = 12 + 4 * usize::from(first & 15);
        let (length, elements) = if first & 0x10 == 0 {
            (sources, Elements::default())
        } else {
            Elements::read(packet, sources)?
        };
        (length <= packet.len()).then_some(Self {
            payload_type: second & 0x7f,
            marker: second & 0x80 != 0,
            padded: first & 0x20 != 0,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
            length,
            elements,
        })
    }

    /// The extensions: ids and values.
    pub(crate) fn extensions(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        self.elements
    }
}

/// What a sequence number is beyond its 16 bits: the closest to the latest one (RFC 3711 §3.3.1).
/// `None` where that would be before zero.
pub(crate) fn extend(latest: u64, sequence: u16) -> Option<u64> {
    // Truncation is what the wire does, and the distance has a sign.
    let distance = sequence.wrapping_sub(latest as u16) as i16;
    latest.checked_add_signed(distance.into())
}

/// A payload without its padding, which says at its end how long it is.
pub(crate) fn without_padding(payload: &[u8]) -> Option<&[u8]> {
    let padding = usize::from(*payload.last()?);
    (padding > 0)
        .then(|| payload.len().checked_sub(padding))
        .flatten()
        .and_then(|end| payload.get(..end))
}

/// The elements of a header extension (RFC 8285 §4.2 and §4.3), as far as they parse.
#[derive(Debug, Clone, Copy, Default)]
struct Elements<'a> {
    rest: &'a [u8],
    long: bool,
}

impl<'a> Elements<'a> {
    /// The elements of the extension at `begin`, and where the header ends.
    fn read(packet: &'a [u8], begin: usize) -> Option<(usize, Self)> {
        let (head, rest) = packet.get(begin..)?.split_first_chunk()?;
        let [p0, p1, l0, l1] = *head;
        let length = 4 * usize::from(u16::from_be_bytes([l0, l1]));
        let content = rest.get(..length)?;
        let (rest, long) = match u16::from_be_bytes([p0, p1]) {
            0xbede => (content, false),
            0x1000..=0x100f => (content, true),
            // Of another profile, which nobody has agreed to.
            _ => (&content[..0], false),
        };
        Some((begin + 4 + length, Self { rest, long }))
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

    /// Two contributing sources, an extension of one-byte elements, a payload of three bytes.
    const SHORT: [u8; 39] = [
        0xb2, 0xe0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0, 0, 1, 0, 0, 0, 2, 0xbe, 0xde, 0, 3, 0x10,
        0x7f, 0, 0x31, 8, 9, 0xf0, 1, 2, 3, 4, 0, 5, 6, 7,
    ];

    #[test]
    fn a_header_is_read_with_its_extensions() {
        let header = Header::parse(&SHORT).expect("a header");
        assert!(header.padded && header.marker);
        assert_eq!((header.payload_type, header.sequence), (0x60, 0x0102));
        assert_eq!((header.timestamp, header.ssrc), (0x0304_0506, 0x0708_090a));
        assert_eq!(header.length, 36);
        let extensions: Vec<_> = header.extensions().collect();
        assert_eq!(
            extensions,
            [(1, &[0x7f][..]), (3, &[8, 9][..])],
            "15 ends them (RFC 8285 §4.2)"
        );
        let mut long = vec![0x90, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2];
        long.extend([0x10, 0, 0, 2, 3, 2, 8, 9, 0, 17, 0, 0]);
        let header = Header::parse(&long).expect("a header");
        assert_eq!(header.length, long.len());
        let extensions: Vec<_> = header.extensions().collect();
        assert_eq!(extensions, [(3, &[8, 9][..]), (17, &[][..])]);
        long[12..14].copy_from_slice(&[1, 2]);
        let header = Header::parse(&long).expect("a header");
        assert_eq!((header.length, header.extensions().count()), (24, 0));
    }

    #[test]
    fn lengths_that_lie_are_no_header() {
        for length in 0..36 {
            assert!(Header::parse(&SHORT[..length]).is_none(), "{length}");
        }
        let mut other = SHORT;
        other[0] = 0x72;
        assert!(Header::parse(&other).is_none(), "of another version");
    }

    #[test]
    fn padding_says_how_long_it_is() {
        assert_eq!(without_padding(&[1, 2, 3, 0, 2]), Some(&[1, 2, 3][..]));
        assert_eq!(without_padding(&[0, 0, 3]), Some(&[][..]));
        assert_eq!(without_padding(&[0, 0, 4]), None);
        assert_eq!(without_padding(&[1, 0]), None, "one byte at least");
        assert_eq!(without_padding(&[]), None);
    }
}
