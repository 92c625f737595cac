//! How often each origin has asked for names in vain, so that nobody finds names out by trying
//! them, however many connections are made for it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use parlor_core::{Place, Reply, Request, RequestError};

use super::crowd::Origins;
use crate::limits::{REFUSAL_DEBT, REFUSAL_ORIGINS, REFUSAL_WINDOW};

/// What is still to be worked off by each origin.
///
/// Each refusal takes its part of the minute that an origin may be ahead of the clock. It is charged
/// when the answer comes, and many may be asked for until then: what is beyond the minute is a debt,
/// so that in the long run nobody gets more than was meant.
pub(super) struct Refusals {
    origins: Origins,
    /// What one refusal takes.
    share: Duration,
    /// When the last refusal of each will be worked off.
    ahead: BTreeMap<IpAddr, Instant>,
    /// The same in the order of time: the first ones are the first to be forgotten.
    order: BTreeSet<(Instant, IpAddr)>,
}

impl Refusals {
    /// At most `per_minute` to one origin.
    pub(super) fn new(per_minute: usize, origins: Origins) -> Self {
        let per_minute = u32::try_from(per_minute).unwrap_or(u32::MAX);
        Self {
            origins,
            share: REFUSAL_WINDOW / per_minute.max(1),
            ahead: BTreeMap::new(),
            order: BTreeSet::new(),
        }
    }

    /// The origins that have something to work off.
    pub(super) fn len(&self) -> usize {
        self.ahead.len()
    }

    /// Whether an address may ask for a name.
    pub(super) fn admits(&self, now: Instant, peer: IpAddr) -> bool {
        let ahead = self.origins.of(peer).and_then(|it| self.ahead.get(&it));
        ahead.is_none_or(|until| *until + self.share <= now + REFUSAL_WINDOW)
    }

    /// Counts a refusal.
    pub(super) fn charge(&mut self, now: Instant, peer: IpAddr) {
        let Some(origin) = self.origins.of(peer) else {
            return;
        };
        self.forget(now);
        let before = self.ahead.get(&origin).copied();
        let until = before.map_or(now, |until| until.max(now)) + self.share;
        let until = until.min(now + REFUSAL_WINDOW + REFUSAL_DEBT);
        if let Some(before) = before {
            self.order.remove(&(before, origin));
        } else if self.ahead.len() >= REFUSAL_ORIGINS
            && let Some((_, first)) = self.order.pop_first()
        {
            self.ahead.remove(&first);
        }
        self.ahead.insert(origin, until);
        self.order.insert((until, origin));
        debug_assert_eq!(self.ahead.len(), self.order.len());
    }

    /// Forgets who has worked everything off.
    fn forget(&mut self, now: Instant) {
        while let Some((until, origin)) = self.order.first().copied()
            && until <= now
        {
            self.order.pop_first();
            self.ahead.remove(&origin);
        }
    }
}

/// Whether the answer to a request tells whether there is something of a name. Who is in a room is
/// told of all there is in it: within a room nobody guesses, and calls go on.
pub(super) fn asks_for_a_name(request: &Request) -> bool {
    match request {
        Request::Join { .. }
        | Request::Watch { .. }
        | Request::Sink { .. }
        | Request::Find { .. } => true,
        Request::Publish { place, .. }
        | Request::Ingest { place, .. }
        | Request::Subscribe { place, .. } => *place == Place::Open,
        Request::Leave { .. }
        | Request::SendMessage { .. }
        | Request::WantKeyframe { .. }
        | Request::Stop { .. }
        | Request::SetMuted { .. }
        | Request::SendData { .. }
        | Request::Disconnect => false,
    }
}

/// Whether an answer says that there is nothing of a name, or that it is taken.
pub(super) fn is_in_vain(reply: &Result<Reply, RequestError>) -> bool {
    matches!(
        reply,
        Ok(Reply::Available(false))
            | Err(RequestError::IdentityInUse(_)
                | RequestError::NoSuchPublication
                | RequestError::PublicationNameInUse)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    const MOST: usize = 60;

    fn refusals() -> Refusals {
        Refusals::new(MOST, Origins::Others)
    }

    #[test]
    fn an_address_that_asks_in_vain_waits_and_no_other_one_does() {
        let now = Instant::now();
        let (mallory, anna) = (ip("192.0.2.1"), ip("192.0.2.2"));
        let mut refusals = refusals();
        for _ in 0..MOST {
            assert!(refusals.admits(now, mallory));
            refusals.charge(now, mallory);
        }
        assert!(!refusals.admits(now, mallory));
        assert!(!refusals.admits(now, ip("::ffff:192.0.2.1")));
        assert!(refusals.admits(now, anna));
        // One a second, of sixty in a minute.
        let second = Duration::from_secs(1);
        assert!(!refusals.admits(now + second / 2, mallory));
        let later = now + second;
        assert!(refusals.admits(later, mallory));
        refusals.charge(later, mallory);
        assert!(!refusals.admits(later, mallory));
    }

    #[test]
    fn a_network_of_ipv6_is_one_origin_and_this_machine_is_none() {
        let now = Instant::now();
        let mut refusals = refusals();
        for number in 0..MOST {
            refusals.charge(now, ip(&format!("2001:db8:1:2::{number:x}")));
            refusals.charge(now, ip("127.0.0.1"));
        }
        assert!(!refusals.admits(now, ip("2001:db8:1:2:3::1")));
        assert!(refusals.admits(now, ip("2001:db8:1:3::1")));
        assert!(refusals.admits(now, ip("127.0.0.1")));
        assert_eq!(refusals.len(), 1);
    }

    #[test]
    fn what_was_asked_for_at_once_is_worked_off_within_bounds() {
        let now = Instant::now();
        let mallory = ip("192.0.2.1");
        let mut refusals = refusals();
        for _ in 0..2 * MOST {
            refusals.charge(now, mallory);
        }
        let minute = REFUSAL_WINDOW + Duration::from_secs(1);
        assert!(!refusals.admits(now + minute / 2, mallory));
        assert!(refusals.admits(now + minute, mallory));
        for _ in 0..100 * MOST {
            refusals.charge(now, mallory);
        }
        assert!(!refusals.admits(now + minute, mallory));
        assert!(refusals.admits(now + REFUSAL_DEBT + minute, mallory));
    }

    #[test]
    fn the_table_forgets_who_has_waited_and_is_never_larger_than_its_bound() {
        let now = Instant::now();
        let mut refusals = refusals();
        let mallory = ip("192.0.2.1");
        for _ in 0..2 * MOST {
            refusals.charge(now, mallory);
        }
        for number in 0..2 * REFUSAL_ORIGINS as u32 {
            refusals.charge(now, IpAddr::from((0x0a00_0000 + number).to_be_bytes()));
            assert!(refusals.len() <= REFUSAL_ORIGINS);
        }
        assert!(!refusals.admits(now, mallory), "the furthest ahead stays");
        refusals.charge(now + 2 * REFUSAL_DEBT, mallory);
        assert_eq!(refusals.len(), 1);
    }
}
