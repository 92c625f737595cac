//! Which encoder has which name in which room, for others that claim it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use parlor_core::{ClientId, Identity, RoomName};

use crate::limits::{TELL_AGAIN, TOLD_NAMES};

/// The encoders that hold names.
#[derive(Default)]
pub struct Names {
    holders: BTreeMap<(RoomName, Identity), ClientId>,
    /// The same the other way round. A client holds one name at a time.
    held: BTreeMap<ClientId, (RoomName, Identity)>,
    /// Of whom it was said in the room why they were refused, the oldest first.
    told: VecDeque<(Instant, (RoomName, Identity))>,
}

impl Names {
    /// A client has a name ([`Action::Hold`](crate::Action::Hold)).
    pub fn hold(&mut self, client: ClientId, room: RoomName, identity: Identity) {
        self.release(client);
        let name = (room, identity);
        if let Some(before) = self.holders.insert(name.clone(), client) {
            self.held.remove(&before);
        }
        self.held.insert(client, name);
    }

    /// Whether nobody has a name.
    pub fn is_empty(&self) -> bool {
        self.holders.is_empty() && self.held.is_empty()
    }

    /// The client no longer has the name that it had, if it had one.
    pub fn release(&mut self, client: ClientId) {
        if let Some(name) = self.held.remove(&client) {
            self.holders.remove(&name);
        }
    }

    /// Who is to be asked for a name that is claimed
    /// ([`Action::Claim`](crate::Action::Claim)).
    pub fn holder(&self, room: &RoomName, identity: &Identity) -> Option<ClientId> {
        let name = (room.clone(), identity.clone());
        self.holders.get(&name).copied()
    }

    /// Whether a room is to be told why an encoder was refused
    /// ([`Action::Tell`](crate::Action::Tell)). Then it counts as told.
    pub fn may_tell(&mut self, now: Instant, room: &RoomName, identity: &Identity) -> bool {
        while self
            .told
            .front()
            .is_some_and(|(at, _)| now >= *at + TELL_AGAIN)
        {
            self.told.pop_front();
        }
        let name = (room.clone(), identity.clone());
        if self.told.iter().any(|(_, told)| *told == name) {
            return false;
        }
        if self.told.len() == TOLD_NAMES {
            self.told.pop_front();
        }
        self.told.push_back((now, name));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_has_been_taken_over_is_not_released_by_who_had_it() {
        let (room, anna) = (RoomName::new("r").unwrap(), Identity::new("anna").unwrap());
        let mut names = Names::default();
        names.hold(ClientId(1), room.clone(), anna.clone());
        names.hold(ClientId(2), room.clone(), anna.clone());
        names.release(ClientId(1));
        assert_eq!(names.holder(&room, &anna), Some(ClientId(2)));
        names.release(ClientId(2));
        assert_eq!(names.holder(&room, &anna), None);
        assert!(names.is_empty());
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the epoch of the test")]
    fn a_room_is_told_of_a_name_once_a_minute_however_many_there_are() {
        let now = Instant::now();
        let (room, anna) = (RoomName::new("r").unwrap(), Identity::new("anna").unwrap());
        let mut names = Names::default();
        assert!(names.may_tell(now, &room, &anna));
        assert!(!names.may_tell(now + TELL_AGAIN / 2, &room, &anna));
        let other = RoomName::new("other").unwrap();
        assert!(names.may_tell(now + TELL_AGAIN / 2, &other, &anna));
        assert!(names.may_tell(now + TELL_AGAIN, &room, &anna));
        for number in 0..2 * TOLD_NAMES {
            let name = Identity::new(&number.to_string()).unwrap();
            assert!(names.may_tell(now + TELL_AGAIN, &room, &name));
            assert!(names.told.len() <= TOLD_NAMES);
        }
    }
}
