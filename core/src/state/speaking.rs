//! Who is speaking, as the others of a room are told.

use std::time::Instant;

use super::{Due, State};
use crate::event::News;
use crate::request::ClientId;
use crate::speaker::Speaker;
use crate::tables::PublicationKey;

impl State {
    /// Takes the audio level of a packet.
    pub(super) fn hear_level(&mut self, now: Instant, key: PublicationKey, level: i8) {
        let Some(publication) = self.tables.publications.get_mut(key) else {
            return;
        };
        if !publication.announced || publication.room.is_none() {
            return;
        }
        if publication.speaker.hear(now, level) {
            self.tell_speaking(key, true);
            self.watch_silence(now, key);
        }
    }

    /// Looks whether a speaker has fallen silent.
    pub(super) fn check_silence(&mut self, now: Instant, key: PublicationKey) {
        if let Some(publication) = self.tables.publications.get_mut(key) {
            publication.silence_due = None;
            self.watch_silence(now, key);
        }
    }

    fn watch_silence(&mut self, now: Instant, key: PublicationKey) {
        let Some(publication) = self.tables.publications.get_mut(key) else {
            return;
        };
        match publication.speaker.check(now) {
            Some(at) => {
                publication.silence_due = Some(at);
                self.deadlines.insert((at, Due::Silence(key)));
            }
            None => self.tell_speaking(key, false),
        }
    }

    /// Ends the speech of somebody who leaves: the others are told, since who leaves hears no more
    /// of the room.
    pub(super) fn hush(&mut self, key: PublicationKey) {
        let publication = self.tables.publications.get_mut(key);
        let Some(publication) = publication.filter(|stream| stream.speaker.is_speaking()) else {
            return;
        };
        let client = publication.client;
        publication.speaker = Speaker::default();
        self.tell_speaking_but(key, false, Some(client));
    }

    /// Tells everyone in the room, the speaker too, unless another publication of the same
    /// participant makes it no news.
    pub(super) fn tell_speaking(&mut self, key: PublicationKey, speaking: bool) {
        self.tell_speaking_but(key, speaking, None);
    }

    fn tell_speaking_but(
        &mut self,
        key: PublicationKey,
        speaking: bool,
        excepted: Option<ClientId>,
    ) {
        let Some(publication) = self.tables.publications.get(key) else {
            return;
        };
        let client = publication.client;
        let Some(room) = publication
            .room
            .and_then(|room| self.tables.rooms.get(room))
        else {
            return;
        };
        let Some(participant) = room.participant(client) else {
            return;
        };
        let others = participant.publications.iter();
        let mut others = others.filter(|other| **other != key);
        let by_another = others.any(|other| {
            let other = self.tables.publications.get(*other);
            other.is_some_and(|other| other.speaker.is_speaking())
        });
        if by_another {
            return;
        }
        let (name, identity) = (room.name.clone(), participant.identity.clone());
        let members: Vec<_> = room
            .participants
            .iter()
            .map(|member| member.client)
            .filter(|member| Some(*member) != excepted)
            .collect();
        for member in members {
            let (room, identity) = (name.clone(), identity.clone());
            self.tell(
                member,
                News::Speaking {
                    room,
                    identity,
                    speaking,
                },
            );
        }
    }
}
