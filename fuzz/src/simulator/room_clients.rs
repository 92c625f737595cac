//! Room clients of the Flash era: they enter rooms, talk, publish and play by RTMP.

use parlor_core::{ClientId, Identity, Reply, Request, RequestError};

use super::draw::Draw;
use super::faults::Fault;
use super::life::Life;
use super::model::{Person, Seen, Spot};
use crate::rtmp::{Present, RtmpClient};

/// Logins of room clients that are nobody else's.
const LOGINS: usize = 3;

impl Life {
    /// A room client connects, and enters a room.
    pub(super) fn dial_room_client(&mut self, draw: &mut Draw) {
        let login = match draw.below(8) {
            0 => format!("p{}", 1 + draw.below(self.options.people)),
            1 => "e0".to_owned(),
            _ => format!("f{}", draw.below(LOGINS)),
        };
        let camera = self.camera(draw);
        let codecs = self.codecs(draw);
        let spot = Spot::Room(draw.below(self.options.rooms));
        self.note(format_args!(
            "{login} dials as a room client, for {spot:?}: {codecs:?} {camera:?}"
        ));
        let client = RtmpClient::in_rooms(&login, camera, codecs);
        if let Some(id) = self.dial(client) {
            self.people.insert(id.0, Person::new(login));
            self.enters.insert(id, spot);
        }
    }

    /// Those enter a room who have just connected.
    pub(super) fn enter_rooms(&mut self) {
        for (id, spot) in std::mem::take(&mut self.enters) {
            match self.world.front.lines.get(&id) {
                Some(line) if line.client.started => {
                    self.world.instruct(id, |it| it.enter(spot.name()));
                }
                Some(line) if line.client.is_active() || !line.is_vanished() => {
                    self.enters.insert(id, spot);
                }
                _ => {}
            }
        }
    }

    /// A room client does something.
    pub(super) fn room_client_acts(&mut self, draw: &mut Draw) {
        let lines = self.world.front.lines.iter();
        // The server may be done with one that does not know it yet.
        let active = lines.filter(|(id, line)| {
            self.people.contains_key(&id.0) && {
                let is_there =
                    line.client.started && line.client.is_active() && !line.is_vanished();
                is_there && line.client.room.is_some()
            }
        });
        let active: Vec<ClientId> = active.map(|(id, _)| *id).collect();
        if active.is_empty() {
            return;
        }
        let id = draw.of(&active);
        let spot = Spot::Room(draw.below(self.options.rooms));
        match draw.below(13) {
            0 | 1 => self.instruct(id, "enters", spot.name(), |it| it.enter(spot.name())),
            2 => self.instruct(id, "leaves", spot.name(), |it| it.leave(spot.name())),
            3..=5 => self.room_client_says(id, spot, draw),
            6..=8 => self.room_client_publishes(id, draw),
            9 | 10 => self.room_client_plays(id, draw),
            _ => self.room_client_stops(id, draw),
        }
    }

    fn instruct(
        &mut self,
        id: ClientId,
        does: &str,
        what: &str,
        act: impl FnOnce(&mut RtmpClient),
    ) {
        self.note(format_args!("{id:?} {does} {what}"));
        self.world.instruct(id, act);
    }

    fn room_client_says(&mut self, id: ClientId, spot: Spot, draw: &mut Draw) {
        let text = format!("{}", draw.u64());
        let named = self.people.values().filter(|it| !it.identity.is_empty());
        let all: Vec<String> = named.map(|it| it.identity.clone()).collect();
        let to = (!all.is_empty() && draw.once_in(2)).then(|| all[draw.below(all.len())].clone());
        self.instruct(id, "says something in", spot.name(), |it| {
            it.say(spot.name(), to.as_deref(), &text);
        });
    }

    /// In one of its rooms, whose name begins that of the stream, or outside of rooms.
    fn room_client_publishes(&mut self, id: ClientId, draw: &mut Draw) {
        let login = &self.people[&id.0].identity;
        let spots: Vec<Spot> = self.people[&id.0].rooms.keys().copied().collect();
        let name = match spots.is_empty() || draw.once_in(5) {
            true => format!("s{}", draw.below(6)),
            false => format!("{}-{login}", draw.of(&spots).name()),
        };
        let room = self.world.front.lines[&id].client.room.as_ref();
        if room.is_some_and(|room| !room.has_published) {
            self.instruct(id, "publishes", &name, |it| it.publish(&name));
        }
    }

    fn room_client_plays(&mut self, id: ClientId, draw: &mut Draw) {
        let (_, name) = self.target(id.0, draw, false);
        let room = self.world.front.lines[&id].client.room.as_ref();
        if room.is_some_and(|room| !room.is_playing) {
            self.instruct(id, "plays", &name, |it| it.play(&name));
        }
    }

    fn room_client_stops(&mut self, id: ClientId, draw: &mut Draw) {
        let room = self.world.front.lines[&id].client.room.as_ref();
        let publishes = room.is_some_and(|room| room.is_publishing());
        if publishes && draw.once_in(2) {
            self.doom(id);
            self.instruct(id, "ends", "what it publishes", RtmpClient::unpublish);
        } else {
            self.instruct(id, "ends", "what it plays", RtmpClient::stop_playing);
        }
    }

    /// Asserts that a message was taken or refused as it must be, and notes whom it reaches.
    pub(super) fn said(&mut self, id: u64, request: Request, reply: &Result<Reply, RequestError>) {
        let Request::SendMessage { room, to, text } = request else {
            unreachable!("a message")
        };
        let spot = Spot::of(&room);
        let from = Identity::new(&self.people[&id].identity).expect("a name");
        let there = self.people.iter().filter(|(other, it)| {
            let addressed = match &to {
                Some(to) => it.identity == to.as_str(),
                None => **other != id,
            };
            addressed && it.rooms.contains_key(&spot)
        });
        let there: Vec<u64> = there.map(|(other, _)| *other).collect();
        if !self.people[&id].rooms.contains_key(&spot) {
            assert_eq!(*reply, Err(RequestError::NotInRoom));
        } else if to.is_some() && there.is_empty() {
            assert!(
                matches!(reply, Err(RequestError::NoSuchParticipant(_))),
                "{reply:?}"
            );
        } else {
            assert_eq!(*reply, Ok(Reply::Done));
            for other in there {
                let news = parlor_core::News::Message {
                    room: room.clone(),
                    from: from.clone(),
                    text: text.clone(),
                    to_all: to.is_none(),
                };
                self.expected.push((other, news));
            }
        }
    }

    /// Asserts that room clients know of their rooms what is so, by what has come to them.
    pub(super) fn check_room_clients(&self) {
        for (id, line) in &self.world.front.lines {
            let Some(room) = line
                .client
                .room
                .as_ref()
                .filter(|_| line.client.is_active())
            else {
                continue;
            };
            let Some(person) = self.people.get(&id.0) else {
                continue;
            };
            let stays = person.rooms.iter();
            let real = stays.map(|(spot, stay)| (spot.name().to_owned(), stay.seen.clone()));
            let real: std::collections::BTreeMap<String, Seen> = real.collect();
            let mut rooms = room.rooms.clone();
            if self.fault == Some(Fault::Mishear) {
                rooms.values_mut().for_each(Present::clear);
            }
            assert_eq!(rooms, real, "the rooms of {id:?} as it knows them");
            let mut heard = room.heard.clone();
            if self.fault == Some(Fault::Deaf) {
                heard.pop();
            }
            assert_eq!(heard, person.heard, "the messages that {id:?} has got");
        }
    }
}
