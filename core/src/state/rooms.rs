//! Who is in which room, and what they say.

use std::time::Instant;

use super::{Draws, State};
use crate::event::News;
use crate::history::History;
use crate::limits;
use crate::names::{Identity, RoomName};
use crate::request::{ClientId, Member, Reply, RequestError, ResumeToken, TooMany};
use crate::tables::{Participant, PublicationKey, Room, RoomKey};

/// What becomes of a room that the last participant leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Empty {
    Remove,
    /// Somebody is about to come in.
    Keep,
}

impl State {
    pub(super) fn join(
        &mut self,
        now: Instant,
        client: ClientId,
        name: RoomName,
        identity: Identity,
        resume: Option<&ResumeToken>,
        draws: Draws,
    ) -> Result<Reply, RequestError> {
        let holder = self.holder(client, &name, &identity, resume);
        let key = self.admit(client, &name, &identity, holder)?;
        if let (Some(holder), Some(key)) = (holder, key) {
            // The room outlives the moment between the two, with what was said in it.
            self.leave_room(now, holder, key, Empty::Keep);
            self.tell(holder, News::Replaced { room: name.clone() });
        }
        tracing::debug!(room = %name, participant = %identity, "joined");
        let key = key.unwrap_or_else(|| {
            let (participants, history) = (Vec::new(), History::default());
            let room = Room {
                name: name.clone(),
                participants,
                history,
            };
            let key = self.tables.rooms.insert(room);
            self.tables.room_names.insert(name, key);
            key
        });
        let members = self.members(key);
        let speakers = self.speakers(key);
        let resume = ResumeToken(draws.resume);
        let mut history = Vec::new();
        if let Some(room) = self.tables.rooms.get_mut(key) {
            history = room.history.told(now);
            room.participants.push(Participant {
                client,
                identity: identity.clone(),
                resume: resume.clone(),
                publications: Vec::new(),
            });
        }
        self.tables
            .clients
            .entry(client)
            .or_default()
            .rooms
            .insert(key);
        self.tell_others(key, client, |room| News::Joined {
            room,
            identity: identity.clone(),
        });
        Ok(Reply::Joined {
            members,
            history,
            speakers,
            resume,
        })
    }

    /// The participant whose place the client has the token for.
    fn holder(
        &self,
        client: ClientId,
        name: &RoomName,
        identity: &Identity,
        resume: Option<&ResumeToken>,
    ) -> Option<ClientId> {
        let resume = resume?;
        let room = self.tables.rooms.get(*self.tables.room_names.get(name)?)?;
        let holder = room.participants.iter().find(|member| {
            member.identity == *identity && member.client != client && member.resume.matches(resume)
        });
        holder.map(|member| member.client)
    }

    /// The room, if there is one already, where the client may come in once `leaving` has left.
    fn admit(
        &self,
        client: ClientId,
        name: &RoomName,
        identity: &Identity,
        leaving: Option<ClientId>,
    ) -> Result<Option<RoomKey>, RequestError> {
        let limits = &self.config.limits;
        let existing = self.tables.room_names.get(name).copied();
        if let Some(room) = existing.and_then(|key| self.tables.rooms.get(key)) {
            if room.participant(client).is_some() {
                return Err(RequestError::AlreadyJoined);
            }
            let staying = room
                .participants
                .iter()
                .filter(|participant| Some(participant.client) != leaving);
            if staying
                .clone()
                .any(|participant| participant.identity == *identity)
            {
                return Err(RequestError::IdentityInUse(identity.clone()));
            }
            if staying.count() >= limits.participants {
                return Err(RequestError::TooMany(TooMany::Participants));
            }
        } else if self.tables.rooms.len() >= limits.rooms {
            return Err(RequestError::TooMany(TooMany::Rooms));
        }
        let rooms = self
            .tables
            .clients
            .get(&client)
            .map_or(0, |client| client.rooms.len());
        if rooms >= limits.rooms_per_client {
            return Err(RequestError::TooMany(TooMany::RoomsPerClient));
        }
        Ok(existing)
    }

    fn speakers(&self, room: RoomKey) -> Vec<Identity> {
        let participants = self
            .tables
            .rooms
            .get(room)
            .map(|room| room.participants.as_slice());
        let speaks = |participant: &&Participant| {
            let publications = participant.publications.iter();
            let mut publications =
                publications.filter_map(|key| self.tables.publications.get(*key));
            publications.any(|publication| publication.speaker.is_speaking())
        };
        let speakers = participants.unwrap_or_default().iter().filter(speaks);
        speakers
            .map(|participant| participant.identity.clone())
            .collect()
    }

    fn members(&self, room: RoomKey) -> Vec<Member> {
        let participants = self
            .tables
            .rooms
            .get(room)
            .map(|room| room.participants.as_slice());
        let member = |participant: &Participant| {
            let publications = participant.publications.iter();
            let publications = publications.filter_map(|key| self.tables.publications.get(*key));
            let announced = publications.filter(|publication| publication.announced);
            Member {
                identity: participant.identity.clone(),
                publications: announced
                    .map(|publication| publication.name.clone())
                    .collect(),
            }
        };
        participants
            .unwrap_or_default()
            .iter()
            .map(member)
            .collect()
    }

    pub(super) fn leave(
        &mut self,
        now: Instant,
        client: ClientId,
        name: &RoomName,
    ) -> Result<Reply, RequestError> {
        let room = self.joined(client, name)?;
        self.leave_room(now, client, room, Empty::Remove);
        Ok(Reply::Done)
    }

    /// The room of this name, if the client is in it.
    pub(super) fn joined(
        &self,
        client: ClientId,
        name: &RoomName,
    ) -> Result<RoomKey, RequestError> {
        let key = self
            .tables
            .room_names
            .get(name)
            .copied()
            .ok_or(RequestError::NotInRoom)?;
        let room = self.tables.rooms.get(key).ok_or(RequestError::NotInRoom)?;
        room.participant(client)
            .map(|_| key)
            .ok_or(RequestError::NotInRoom)
    }

    fn leave_room(&mut self, now: Instant, client: ClientId, key: RoomKey, empty: Empty) {
        self.stop_all(now, client, Some(key));
        let Some(room) = self.tables.rooms.get_mut(key) else {
            return;
        };
        let position = room
            .participants
            .iter()
            .position(|member| member.client == client);
        let Some(position) = position else { return };
        let Participant {
            identity,
            publications,
            ..
        } = room.participants.remove(position);
        debug_assert!(
            publications.is_empty(),
            "what a leaver published has ended before"
        );
        let name = room.name.clone();
        tracing::debug!(room = %name, participant = %identity, "left");
        self.tell_others(key, client, |room| News::Left {
            room,
            identity: identity.clone(),
        });
        if empty == Empty::Remove {
            self.forget_empty(&name);
        }
        if let Some(entry) = self.tables.clients.get_mut(&client) {
            entry.rooms.remove(&key);
        }
        self.forget_idle(client);
    }

    /// A room without participants is not kept.
    fn forget_empty(&mut self, name: &RoomName) {
        let Some(key) = self.tables.room_names.get(name).copied() else {
            return;
        };
        if self
            .tables
            .rooms
            .get(key)
            .is_some_and(|room| room.participants.is_empty())
        {
            self.tables.room_names.remove(name);
            self.tables.rooms.remove(key);
        }
    }

    /// Ends all that the client does, without news to itself.
    pub(super) fn disconnect(&mut self, now: Instant, client: ClientId) {
        let rooms = self
            .tables
            .clients
            .get(&client)
            .map(|client| client.rooms.clone());
        for room in rooms.unwrap_or_default() {
            self.leave_room(now, client, room, Empty::Remove);
        }
        self.stop_all(now, client, None);
        self.forget_idle(client);
    }

    /// A client that is in no room and has no media is not kept.
    pub(super) fn forget_idle(&mut self, client: ClientId) {
        if let Some(entry) = self.tables.clients.get(&client)
            && entry.rooms.is_empty()
            && entry.media.is_empty()
        {
            self.tables.clients.remove(&client);
        }
    }

    pub(super) fn send_message(
        &mut self,
        now: Instant,
        client: ClientId,
        name: RoomName,
        to: Option<Identity>,
        text: String,
    ) -> Result<Reply, RequestError> {
        if text.len() > limits::MESSAGE_BYTES {
            let (what, limit) = ("message", limits::MESSAGE_BYTES);
            return Err(RequestError::TooLong { what, limit });
        }
        let key = self.joined(client, &name)?;
        let room = self
            .tables
            .rooms
            .get_mut(key)
            .ok_or(RequestError::NotInRoom)?;
        let from = room
            .participant(client)
            .ok_or(RequestError::NotInRoom)?
            .identity
            .clone();
        match to {
            Some(to) => {
                let addressee = room
                    .participants
                    .iter()
                    .find(|member| member.identity == to);
                let addressee = addressee.map(|member| member.client);
                let addressee = addressee.ok_or(RequestError::NoSuchParticipant(to))?;
                self.tell(
                    addressee,
                    News::Message {
                        room: name,
                        from,
                        text,
                        to_all: false,
                    },
                );
            }
            None => {
                room.history.keep(now, from.clone(), text.clone());
                self.tell_others(key, client, |room| {
                    let (from, text) = (from.clone(), text.clone());
                    News::Message {
                        room,
                        from,
                        text,
                        to_all: true,
                    }
                });
            }
        }
        Ok(Reply::Done)
    }

    /// Tells everyone in a room but one.
    pub(super) fn tell_others(
        &mut self,
        key: RoomKey,
        client: ClientId,
        news: impl Fn(RoomName) -> News,
    ) {
        let Some(room) = self.tables.rooms.get(key) else {
            return;
        };
        let others: Vec<ClientId> = room.others(client).collect();
        let name = room.name.clone();
        for other in others {
            self.tell(other, news(name.clone()));
        }
    }

    /// Tells the others of a publication's room that it has begun or ended.
    pub(super) fn tell_of_publication(&mut self, key: PublicationKey, published: bool) {
        let Some(publication) = self.tables.publications.get(key) else {
            return;
        };
        let (client, name) = (publication.client, publication.name.clone());
        let Some(room_key) = publication.room else {
            return;
        };
        let Some(room) = self.tables.rooms.get(room_key) else {
            return;
        };
        let Some(participant) = room.participant(client) else {
            return;
        };
        let identity = participant.identity.clone();
        tracing::debug!(
            room = %room.name, participant = %identity, publication = %name, published,
            "publication"
        );
        self.tell_others(room_key, client, |room| {
            let (identity, name) = (identity.clone(), name.clone());
            if published {
                News::Published {
                    room,
                    identity,
                    name,
                }
            } else {
                News::Unpublished {
                    room,
                    identity,
                    name,
                }
            }
        });
    }
}
