//! Just enough of STUN (RFC 8489) to tell whose connectivity check a datagram is.
//!
//! Nothing here authenticates: that is done by the peer that the check names.

/// Which protocol a datagram on the media port is of, by its first byte (RFC 7983 §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Stun,
    Dtls,
    Rtp,
    Rtcp,
    Unknown,
}

impl Protocol {
    pub(crate) fn of(datagram: &[u8]) -> Self {
        match datagram {
            [0..=3, ..] if datagram.len() >= HEADER => Self::Stun,
            [20..=63, ..] => Self::Dtls,
            // RFC 5761 §4: RTCP packet types are 192 to 223 with the marker bit.
            [128..=191, 192..=223, ..] if datagram.len() >= 8 => Self::Rtcp,
            [128..=191, ..] if datagram.len() >= 12 => Self::Rtp,
            _ => Self::Unknown,
        }
    }
}

const HEADER: usize = 20;
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const BINDING_SUCCESS: [u8; 2] = [0x01, 0x01];
const USERNAME: u16 = 0x0006;
const USE_CANDIDATE: u16 = 0x0025;
/// Attributes that are looked at before a datagram is given up: browsers send about ten.
const ATTRIBUTES: usize = 32;

/// The attributes of a binding request, as far as they are well formed.
fn attributes(datagram: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let is_request =
        datagram.starts_with(&BINDING_REQUEST) && datagram.get(4..8) == Some(&MAGIC_COOKIE);
    let length = datagram
        .get(2..4)
        .map_or(0, |bytes| bytes.iter().fold(0, |l, b| l << 8 | *b as usize));
    let mut rest = datagram
        .get(HEADER..HEADER + length)
        .filter(|_| is_request)
        .unwrap_or_default();
    std::iter::from_fn(move || {
        let [t0, t1, l0, l1, ..] = *rest else {
            return None;
        };
        let end = 4 + usize::from(u16::from_be_bytes([l0, l1]));
        let value = rest.get(4..end)?;
        // The padding of the last attribute may be missing.
        rest = rest.get(end.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_be_bytes([t0, t1]), value))
    })
    .take(ATTRIBUTES)
}

/// The ICE username fragment that a binding request is addressed to: the left part of its
/// USERNAME (RFC 8445 §7.2.2).
pub(crate) fn addressee(datagram: &[u8]) -> Option<&str> {
    let (_, username) = attributes(datagram).find(|(kind, _)| *kind == USERNAME)?;
    std::str::from_utf8(username).ok()?.split(':').next()
}

/// Whether a binding request nominates the way that it comes by (RFC 8445 §7.1.2).
pub(crate) fn nominates(datagram: &[u8]) -> bool {
    attributes(datagram).any(|(kind, _)| kind == USE_CANDIDATE)
}

/// Whether a datagram to be sent is the answer to a check that was authenticated.
pub(crate) fn is_binding_success(datagram: &[u8]) -> bool {
    datagram.starts_with(&BINDING_SUCCESS) && datagram.get(4..8) == Some(&MAGIC_COOKIE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(attributes: &[u8]) -> Vec<u8> {
        let mut datagram = vec![0, 1];
        datagram.extend((attributes.len() as u16).to_be_bytes());
        datagram.extend(MAGIC_COOKIE);
        datagram.extend([7; 12]);
        datagram.extend(attributes);
        datagram
    }

    #[test]
    fn the_addressee_is_found_behind_other_attributes() {
        let datagram = request(b"\x80\x22\x00\x03abc\0\x00\x06\x00\x07me:them\0");
        assert_eq!(addressee(&datagram), Some("me"));
    }

    #[test]
    fn a_nomination_is_seen() {
        let datagram = request(b"\x00\x06\x00\x04me:t\x00\x25\x00\x00");
        assert!(nominates(&datagram));
        assert_eq!(addressee(&datagram), Some("me"));
        assert!(!nominates(&request(b"\x00\x06\x00\x04me:t")));
    }

    #[test]
    fn lengths_that_lie_find_nobody() {
        assert_eq!(addressee(&request(b"\x00\x06\x00\xffme:them\0")), None);
        let mut datagram = request(b"\x00\x06\x00\x07me:them\0");
        datagram[3] = 200;
        assert_eq!(addressee(&datagram), None);
        assert_eq!(addressee(&[0, 1, 0, 0]), None);
    }

    #[test]
    fn protocols_are_told_by_their_first_bytes() {
        assert_eq!(Protocol::of(&request(b"")), Protocol::Stun);
        assert_eq!(Protocol::of(&[22, 254, 253]), Protocol::Dtls);
        assert_eq!(Protocol::of(&[0x80, 200, 0, 0, 0, 0, 0, 0]), Protocol::Rtcp);
        assert_eq!(Protocol::of(&[0x80; 12]), Protocol::Rtp);
        assert_eq!(Protocol::of(&[0x80; 5]), Protocol::Unknown);
        assert_eq!(Protocol::of(&[]), Protocol::Unknown);
    }
}
