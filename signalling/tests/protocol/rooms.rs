//! Rooms as a model: who is where, and what there is to be played. They answer at once.

use std::collections::{BTreeMap, VecDeque};

use parlor_core::{
    ClientId, EndReason, Identity, MediaId, Member, Muted, News, Place, PublicationName, Reply,
    Request, RequestError, ResumeToken, RoomName, Said, TooMany,
};

#[derive(Debug, Default)]
pub(crate) struct Rooms {
    /// What a join is told was said before.
    pub(crate) history: Vec<Said>,
    /// Who a join is told is speaking.
    pub(crate) speakers: Vec<Identity>,
    /// The token that the latest join came with.
    pub(crate) resumed: Option<ResumeToken>,
    rooms: BTreeMap<RoomName, Vec<(ClientId, Identity)>>,
    publications: BTreeMap<(ClientId, MediaId), Publication>,
    subscriptions: BTreeMap<(ClientId, MediaId), (ClientId, MediaId)>,
    /// News in the order in which they happened.
    pub(crate) news: VecDeque<(ClientId, News)>,
    /// Media never becomes live.
    pub(crate) keep_connecting: bool,
    /// Every request is refused for now.
    pub(crate) busy: bool,
    /// Offers that hold this text share no codec.
    pub(crate) no_codecs: Option<&'static str>,
}

#[derive(Debug)]
struct Publication {
    place: Place,
    name: PublicationName,
    muted: Muted,
    live: bool,
}

impl Rooms {
    pub(crate) fn handle(
        &mut self,
        client: ClientId,
        request: Request,
    ) -> Result<Reply, RequestError> {
        if self.busy {
            return Err(RequestError::Busy);
        }
        match request {
            Request::Join {
                room,
                identity,
                resume,
            } => {
                self.resumed = resume;
                self.join(client, room, identity)
            }
            Request::Leave { room } => self.leave(client, &room),
            Request::SendMessage { room, to, text } => self.send(client, room, to, text),
            Request::Publish {
                media,
                place,
                name,
                offer,
            } => self.publish(client, media, place, name, &offer),
            Request::Subscribe {
                media,
                place,
                name,
                offer,
            } => self.subscribe(client, media, &place, &name, &offer),
            Request::Watch { .. }
            | Request::Ingest { .. }
            | Request::Sink { .. }
            | Request::WantKeyframe { .. } => {
                unreachable!("a WebSocket asks for none of them")
            }
            Request::Stop { media } => {
                let known = self.end((client, media), false);
                known
                    .then_some(Reply::Done)
                    .ok_or(RequestError::NoSuchMedia)
            }
            Request::SetMuted { media, kind, muted } => {
                let key = (client, media);
                let stream = self
                    .publications
                    .get_mut(&key)
                    .ok_or(RequestError::NoSuchMedia)?;
                match kind {
                    parlor_core::MediaKind::Audio => stream.muted.audio = muted,
                    parlor_core::MediaKind::Video => stream.muted.video = muted,
                }
                self.tell_players(key, |media| News::Muted { media, kind, muted });
                Ok(Reply::Done)
            }
            Request::SendData { media, payload } => {
                let key = (client, media);
                self.publications
                    .get(&key)
                    .ok_or(RequestError::NoSuchMedia)?;
                self.tell_players(key, |media| News::Data {
                    media,
                    payload: payload.clone(),
                });
                Ok(Reply::Done)
            }
            Request::Find { place, name } => {
                Ok(Reply::Available(self.find(&place, &name).is_some()))
            }
            Request::Disconnect => {
                self.disconnect(client);
                Ok(Reply::Done)
            }
        }
    }

    fn join(
        &mut self,
        client: ClientId,
        room: RoomName,
        identity: Identity,
    ) -> Result<Reply, RequestError> {
        if identity.as_str() == "nobody" {
            return Err(RequestError::TooMany(TooMany::Participants));
        }
        let members = self.rooms.entry(room.clone()).or_default();
        if members.iter().any(|(other, _)| *other == client) {
            return Err(RequestError::AlreadyJoined);
        }
        if members.iter().any(|(_, other)| *other == identity) {
            return Err(RequestError::IdentityInUse(identity));
        }
        let before = members.clone();
        members.push((client, identity.clone()));
        let place = Place::Room(room.clone());
        let members = before
            .iter()
            .map(|(member, name)| Member {
                identity: name.clone(),
                publications: self
                    .publications
                    .iter()
                    .filter(|((owner, _), stream)| {
                        owner == member && stream.place == place && stream.live
                    })
                    .map(|(_, stream)| stream.name.clone())
                    .collect(),
            })
            .collect();
        for (member, _) in before {
            let (room, identity) = (room.clone(), identity.clone());
            self.news
                .push_back((member, News::Joined { room, identity }));
        }
        Ok(Reply::Joined {
            members,
            history: self.history.clone(),
            speakers: self.speakers.clone(),
            resume: ResumeToken("token".to_owned()),
        })
    }

    fn leave(&mut self, client: ClientId, room: &RoomName) -> Result<Reply, RequestError> {
        let identity = self.identity(client, room).ok_or(RequestError::NotInRoom)?;
        let place = Place::Room(room.clone());
        let plays: Vec<_> = self
            .subscriptions
            .iter()
            .filter(|((player, _), played)| {
                *player == client && self.publications[played].place == place
            })
            .map(|(key, _)| *key)
            .collect();
        let publishes = self.publications.iter();
        let publishes: Vec<_> = publishes
            .filter(|((owner, _), stream)| *owner == client && stream.place == place)
            .map(|(key, _)| *key)
            .collect();
        for key in plays.into_iter().chain(publishes) {
            self.end(key, false);
        }
        self.rooms
            .get_mut(room)
            .unwrap()
            .retain(|(member, _)| *member != client);
        for (member, _) in self.rooms[room].clone() {
            let (room, identity) = (room.clone(), identity.clone());
            self.news.push_back((member, News::Left { room, identity }));
        }
        Ok(Reply::Done)
    }

    fn send(
        &mut self,
        client: ClientId,
        room: RoomName,
        to: Option<Identity>,
        text: String,
    ) -> Result<Reply, RequestError> {
        let from = self
            .identity(client, &room)
            .ok_or(RequestError::NotInRoom)?;
        if text.len() > parlor_core::limits::MESSAGE_BYTES {
            let limit = parlor_core::limits::MESSAGE_BYTES;
            return Err(RequestError::TooLong {
                what: "message",
                limit,
            });
        }
        let members = self.rooms[&room].iter();
        let to_all = to.is_none();
        let addressees: Vec<_> = members
            .filter(|(member, identity)| to.as_ref().map_or(*member != client, |to| to == identity))
            .map(|(member, _)| *member)
            .collect();
        if let Some(to) = to
            && addressees.is_empty()
        {
            return Err(RequestError::NoSuchParticipant(to));
        }
        for member in addressees {
            let (room, from, text) = (room.clone(), from.clone(), text.clone());
            let news = News::Message {
                room,
                from,
                text,
                to_all,
            };
            self.news.push_back((member, news));
        }
        Ok(Reply::Done)
    }

    fn publish(
        &mut self,
        client: ClientId,
        media: MediaId,
        place: Place,
        name: PublicationName,
        offer: &str,
    ) -> Result<Reply, RequestError> {
        self.check(client, &place, offer)?;
        let taken = |stream: &Publication| stream.place == place && stream.name == name;
        if self.publications.values().any(taken) {
            return Err(RequestError::PublicationNameInUse);
        }
        let muted = Muted::default();
        let stream = Publication {
            place,
            name,
            muted,
            live: false,
        };
        let known = self.publications.insert((client, media), stream);
        assert!(known.is_none(), "numbers are not used again");
        if !self.keep_connecting {
            self.go_live(client, media);
        }
        Ok(Reply::Answer {
            sdp: "v=0 answer".to_owned(),
            audio: true,
            video: true,
            muted,
        })
    }

    fn subscribe(
        &mut self,
        client: ClientId,
        media: MediaId,
        place: &Place,
        name: &PublicationName,
        offer: &str,
    ) -> Result<Reply, RequestError> {
        self.check(client, place, offer)?;
        let found = self
            .find(place, name)
            .ok_or(RequestError::NoSuchPublication)?;
        self.subscriptions.insert((client, media), found);
        if !self.keep_connecting {
            self.news.push_back((client, News::Live { media }));
        }
        let muted = self.publications[&found].muted;
        Ok(Reply::Answer {
            sdp: "v=0 answer".to_owned(),
            audio: true,
            video: false,
            muted,
        })
    }

    fn check(&self, client: ClientId, place: &Place, offer: &str) -> Result<(), RequestError> {
        if let Place::Room(room) = place {
            self.identity(client, room).ok_or(RequestError::NotInRoom)?;
        }
        if !offer.starts_with("v=0") {
            return Err(RequestError::BadOffer(
                "it does not begin with v=0".to_owned(),
            ));
        }
        match self.no_codecs {
            Some(codec) if offer.contains(codec) => Err(RequestError::NoCommonCodecs),
            Some(_) | None => Ok(()),
        }
    }

    /// A publication is connected.
    pub(crate) fn go_live(&mut self, client: ClientId, media: MediaId) {
        let stream = self.publications.get_mut(&(client, media)).unwrap();
        stream.live = true;
        let (place, name) = (stream.place.clone(), stream.name.clone());
        self.news.push_back((client, News::Live { media }));
        self.tell_others(client, &place, |room, identity| News::Published {
            room,
            identity,
            name: name.clone(),
        });
    }

    /// A publication or subscription ends by itself.
    pub(crate) fn fail(&mut self, client: ClientId, media: MediaId, reason: EndReason) {
        assert!(self.end((client, media), false));
        self.news.push_back((client, News::Ended { media, reason }));
    }

    /// Ends a publication or subscription; says whether it was there.
    fn end(&mut self, key: (ClientId, MediaId), gone: bool) -> bool {
        if self.subscriptions.remove(&key).is_some() {
            return true;
        }
        let Some(stream) = self.publications.remove(&key) else {
            return gone;
        };
        let reason = EndReason::PublisherStopped;
        self.tell_players(key, |media| News::Ended { media, reason });
        self.subscriptions.retain(|_, played| *played != key);
        if stream.live {
            self.tell_others(key.0, &stream.place, |room, identity| News::Unpublished {
                room,
                identity,
                name: stream.name.clone(),
            });
        }
        true
    }

    pub(crate) fn disconnect(&mut self, client: ClientId) {
        let rooms: Vec<_> = self.rooms.keys().cloned().collect();
        for room in rooms {
            let _ = self.leave(client, &room);
        }
        let keys = self.publications.keys().chain(self.subscriptions.keys());
        let keys: Vec<_> = keys.filter(|key| key.0 == client).copied().collect();
        for key in keys {
            self.end(key, true);
        }
        self.news.retain(|(to, _)| *to != client);
    }

    /// How many streams there are.
    pub(crate) fn streams(&self) -> usize {
        self.publications.len() + self.subscriptions.len()
    }

    fn identity(&self, client: ClientId, room: &RoomName) -> Option<Identity> {
        let members = self.rooms.get(room)?;
        let member = members.iter().find(|(member, _)| *member == client)?;
        Some(member.1.clone())
    }

    fn find(&self, place: &Place, name: &PublicationName) -> Option<(ClientId, MediaId)> {
        let found = self
            .publications
            .iter()
            .find(|(_, stream)| stream.place == *place && stream.name == *name && stream.live)?;
        Some(*found.0)
    }

    fn tell_players(&mut self, key: (ClientId, MediaId), news: impl Fn(MediaId) -> News) {
        for ((player, media), played) in &self.subscriptions {
            if *played == key {
                self.news.push_back((*player, news(*media)));
            }
        }
    }

    fn tell_others(
        &mut self,
        client: ClientId,
        place: &Place,
        news: impl Fn(RoomName, Identity) -> News,
    ) {
        let Place::Room(room) = place else {
            return;
        };
        let identity = self.identity(client, room).unwrap();
        for (member, _) in &self.rooms[room] {
            if *member != client {
                self.news
                    .push_back((*member, news(room.clone(), identity.clone())));
            }
        }
    }
}
