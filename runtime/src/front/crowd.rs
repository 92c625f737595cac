//! How many connections come from where, so that nobody takes all of them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

/// The connections per origin: an IPv4 address, or the IPv6 network that one household or host
/// gets.
pub(super) struct Crowd {
    most: usize,
    origins: Origins,
    counts: BTreeMap<IpAddr, usize>,
}

/// Who is counted at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origins {
    /// Everyone but this machine itself: a proxy here speaks for everyone.
    Others,
    /// Everyone.
    All,
}

impl Crowd {
    /// A crowd of at most `most` from one origin.
    pub(super) fn new(most: usize, origins: Origins) -> Self {
        Self {
            most,
            origins,
            counts: BTreeMap::new(),
        }
    }

    /// Counts a connection in, unless its origin has as many as it may have.
    pub(super) fn enter(&mut self, peer: IpAddr) -> bool {
        let Some(origin) = self.origins.of(peer) else {
            return true;
        };
        let count = self.counts.entry(origin).or_default();
        if *count >= self.most {
            return false;
        }
        *count += 1;
        true
    }

    /// Counts a connection out that had been counted in.
    pub(super) fn leave(&mut self, peer: IpAddr) {
        let Some(origin) = self.origins.of(peer) else {
            return;
        };
        let count = self.counts.get_mut(&origin);
        debug_assert!(count.is_some(), "who leaves has entered");
        if let Some(count) = count {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&origin);
            }
        }
    }
}

impl Origins {
    /// The origin of a connection, if it counts.
    pub(super) fn of(self, peer: IpAddr) -> Option<IpAddr> {
        let peer = peer.to_canonical();
        if peer.is_loopback() && self == Self::Others {
            return None;
        }
        Some(match peer {
            IpAddr::V4(_) => peer,
            IpAddr::V6(address) => {
                let network = address.to_bits() & (u128::MAX << 64);
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_origin_does_not_take_the_places_of_others() {
        let mut crowd = Crowd::new(2, Origins::Others);
        assert!(crowd.enter(ip("192.0.2.1")));
        // As a socket for both families names it.
        assert!(crowd.enter(ip("::ffff:192.0.2.1")));
        assert!(!crowd.enter(ip("192.0.2.1")));
        assert!(crowd.enter(ip("192.0.2.2")));
        crowd.leave(ip("192.0.2.1"));
        assert!(crowd.enter(ip("192.0.2.1")));
    }

    #[test]
    fn a_network_of_ipv6_is_one_origin() {
        let mut crowd = Crowd::new(1, Origins::Others);
        assert!(crowd.enter(ip("2001:db8:1:2::1")));
        assert!(!crowd.enter(ip("2001:db8:1:2:3::1")));
        assert!(crowd.enter(ip("2001:db8:1:3::1")));
    }

    #[test]
    fn this_machine_is_not_counted_and_nothing_is_left_over() {
        let mut crowd = Crowd::new(1, Origins::Others);
        for _ in 0..3 {
            assert!(crowd.enter(ip("127.0.0.1")));
        }
        assert!(crowd.enter(ip("192.0.2.1")));
        crowd.leave(ip("192.0.2.1"));
        crowd.leave(ip("::1"));
        assert!(crowd.counts.is_empty());
    }
}
