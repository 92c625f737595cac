//! Which encoder has which name in which room, for others that claim it.

use std::collections::BTreeMap;

use parlor_core::{Identity, RoomName};

/// The encoders that hold names, by number.
#[derive(Default)]
pub(super) struct Names {
    holders: BTreeMap<(RoomName, Identity), u64>,
    /// The same the other way round. A client holds one name at a time.
    held: BTreeMap<u64, (RoomName, Identity)>,
}

impl Names {
    pub(super) fn hold(&mut self, client: u64, room: RoomName, identity: Identity) {
        self.release(client);
        let name = (room, identity);
        if let Some(before) = self.holders.insert(name.clone(), client) {
            self.held.remove(&before);
        }
        self.held.insert(client, name);
    }

    /// The client no longer has the name that it had, if it had one.
    pub(super) fn release(&mut self, client: u64) {
        if let Some(name) = self.held.remove(&client) {
            self.holders.remove(&name);
        }
    }

    pub(super) fn holder(&self, room: &RoomName, identity: &Identity) -> Option<u64> {
        let name = (room.clone(), identity.clone());
        self.holders.get(&name).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_has_been_taken_over_is_not_released_by_who_had_it() {
        let (room, anna) = (RoomName::new("r").unwrap(), Identity::new("anna").unwrap());
        let mut names = Names::default();
        names.hold(1, room.clone(), anna.clone());
        names.hold(2, room.clone(), anna.clone());
        names.release(1);
        assert_eq!(names.holder(&room, &anna), Some(2));
        names.release(2);
        assert_eq!(names.holder(&room, &anna), None);
        assert!(names.held.is_empty() && names.holders.is_empty());
    }
}
