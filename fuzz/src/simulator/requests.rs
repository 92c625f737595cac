//! Who comes and goes, and what they say.

use std::time::Duration;

use parlor_core::{
    ClientId, Identity, MediaId, MediaKind, News, Reply, Request, RequestError, RoomName,
};

use super::draw::Draw;
use super::life::Life;
use super::model::{Person, Seen, Spot, Stay, Stream, mute};

impl Life {
    pub(super) fn spot(&self, draw: &mut Draw) -> Spot {
        match draw.below(self.options.rooms + 1) {
            room if room < self.options.rooms => Spot::Room(room),
            _ => Spot::Open,
        }
    }

    /// Mostly a place where the client may act.
    pub(super) fn own_spot(&self, id: u64, draw: &mut Draw) -> Spot {
        let rooms: Vec<Spot> = self.people[&id].rooms.keys().copied().collect();
        if rooms.is_empty() || draw.once_in(5) {
            self.spot(draw)
        } else {
            draw.of(&rooms)
        }
    }

    pub(super) fn person(&mut self, id: u64) -> &mut Person {
        self.people.get_mut(&id).expect("is there")
    }

    pub(super) fn join(&mut self, id: u64, draw: &mut Draw) {
        let spot = Spot::Room(draw.below(self.options.rooms));
        self.join_as(id, spot, None);
    }

    fn join_as(&mut self, id: u64, spot: Spot, replaces: Option<u64>) {
        let identity = self.people[&id].identity.clone();
        let room = spot.room().expect("a room");
        let resume = replaces.map(|old| self.people[&old].rooms[&spot].token.clone());
        let request = Request::Join {
            room,
            identity: Identity::new(&identity).expect("a name"),
            resume,
        };
        self.note(format_args!(
            "{id} joins {spot:?} as {identity}, for {replaces:?}"
        ));
        let reply = self.world.request(id, request);
        self.joined(id, spot, replaces, reply);
    }

    /// Asserts that entering a room was allowed or refused as it must be, and follows it.
    pub(super) fn joined(
        &mut self,
        id: u64,
        spot: Spot,
        replaces: Option<u64>,
        reply: Result<Reply, RequestError>,
    ) {
        let room = spot.room().expect("a room");
        let identity = self.people[&id].identity.clone();
        let taken = self.people.iter().any(|(other, it)| {
            *other != id
                && Some(*other) != replaces
                && it.identity == identity
                && it.rooms.contains_key(&spot)
        });
        if self.people[&id].rooms.contains_key(&spot) {
            assert_eq!(reply, Err(RequestError::AlreadyJoined));
            return;
        }
        if taken {
            assert!(
                matches!(reply, Err(RequestError::IdentityInUse(_))),
                "{reply:?}"
            );
            return;
        }
        let Ok(Reply::Joined {
            members, resume, ..
        }) = reply
        else {
            unreachable!("{reply:?}")
        };
        if let Some(old) = replaces {
            self.expected.push((old, News::Replaced { room }));
            self.forget(old, |_, stream| stream.spot == spot);
            self.person(old).rooms.remove(&spot);
        }
        let seen = members.into_iter().map(|member| {
            let streams = member.publications.iter().map(ToString::to_string);
            (member.identity.to_string(), streams.collect())
        });
        let stay = Stay {
            seen: seen.collect::<Seen>(),
            token: resume,
        };
        self.person(id).rooms.insert(spot, stay);
    }

    /// Somebody comes back as another client, in all rooms.
    pub(super) fn resume(&mut self, draw: &mut Draw) {
        let placed = self
            .people
            .iter()
            .filter(|(id, it)| !it.rooms.is_empty() && !Self::is_rtmp(**id));
        let placed: Vec<u64> = placed.map(|(id, _)| *id).collect();
        if placed.is_empty() {
            return;
        }
        let old = draw.of(&placed);
        let new = self.newcomer(self.people[&old].identity.clone());
        let rooms: Vec<Spot> = self.people[&old].rooms.keys().copied().collect();
        for spot in rooms {
            self.join_as(new, spot, Some(old));
        }
        // What is left of the old one is noticed some day.
        if self.people[&old].noticed.is_none() {
            self.crash_in(old, Duration::from_secs(3));
        }
    }

    fn newcomer(&mut self, identity: String) -> u64 {
        let id = self.next;
        self.next += 1;
        self.people.insert(id, Person::new(identity));
        id
    }

    pub(super) fn leave(&mut self, id: u64, draw: &mut Draw) {
        let Some(room) = self.own_spot(id, draw).room() else {
            return;
        };
        self.note(format_args!("{id} leaves {room:?}"));
        let request = Request::Leave { room: room.clone() };
        let reply = self.world.request(id, request);
        self.left(id, &room, &reply);
    }

    /// Asserts that leaving a room was allowed or refused as it must be, and follows it.
    pub(super) fn left(&mut self, id: u64, room: &RoomName, reply: &Result<Reply, RequestError>) {
        let spot = Spot::of(room);
        let was_there = self.person(id).rooms.remove(&spot).is_some();
        assert_eq!(reply.is_ok(), was_there, "{reply:?}");
        if was_there {
            self.forget(id, |_, stream| stream.spot == spot);
        }
    }

    pub(super) fn disconnect(&mut self, id: u64) {
        self.note(format_args!("{id} is gone"));
        let reply = self.world.request(id, Request::Disconnect);
        reply.expect("whoever disconnects may");
        self.forget(id, |_, _| true);
        self.people.remove(&id);
        if self
            .people
            .iter()
            .filter(|(id, it)| it.noticed.is_none() && !Self::is_rtmp(**id))
            .count()
            < self.options.people
        {
            let identity = format!("p{}", self.next);
            self.newcomer(identity);
        }
    }

    pub(super) fn crash(&mut self, id: u64, draw: &mut Draw) {
        let time = Duration::from_millis(draw.below(9_000) as u64);
        self.crash_in(id, time);
        let identity = format!("p{}", self.next);
        self.newcomer(identity);
    }

    /// A client is silent from here on, which is noticed after `time`.
    fn crash_in(&mut self, id: u64, time: Duration) {
        self.note(format_args!("{id} falls silent"));
        let at = self.world.now + time;
        let person = self.people.get_mut(&id).expect("is there");
        person.noticed = Some(at);
        for stream in person.streams.values_mut() {
            stream.troubled = true;
            stream.over = true;
            if let Some(key) = stream.connection() {
                self.world.clients[key].unplugged = true;
            }
            if let super::model::Way::Encoder(mark) = stream.way {
                self.world.encoders.remove(&mark);
            }
        }
    }

    /// Forgets streams of a client, which end with it for their players, too.
    pub(super) fn forget(&mut self, id: u64, which: impl Fn(u32, &Stream) -> bool) {
        let person = self.people.get_mut(&id).expect("is there");
        let ended = person
            .streams
            .extract_if(.., |media, stream| which(*media, stream));
        for (_, stream) in ended {
            match stream.way {
                // Some go on sending for a while to whom nobody listens.
                super::model::Way::Connection(key) => {
                    self.world.clients[key].unplugged |= key % 3 != 0;
                }
                super::model::Way::Encoder(mark) => {
                    self.world.encoders.remove(&mark);
                }
                super::model::Way::Camera(_) | super::model::Way::Sink => {}
            }
        }
    }

    pub(super) fn mute(&mut self, id: u64, draw: &mut Draw) {
        let Some((media, _)) = self.some_stream(id, draw, |stream| stream.plays.is_none()) else {
            return;
        };
        let kind = draw.of(&[MediaKind::Audio, MediaKind::Video]);
        let muted = draw.once_in(2);
        let request = Request::SetMuted {
            media: MediaId(media),
            kind,
            muted,
        };
        let reply = self.world.request(id, request);
        assert_eq!(reply, Ok(Reply::Done));
        let stream = self.person(id).streams.get_mut(&media).expect("is there");
        mute(&mut stream.muted, kind, muted);
        let mark = stream.mark();
        self.expect_players(mark, |media| News::Muted { media, kind, muted });
    }

    pub(super) fn data(&mut self, id: u64, draw: &mut Draw) {
        let Some((media, stream)) = self.some_stream(id, draw, |stream| stream.plays.is_none())
        else {
            return;
        };
        let payload = format!("{}", draw.u64());
        let request = Request::SendData {
            media: MediaId(media),
            payload: payload.clone(),
        };
        let reply = self.world.request(id, request);
        assert_eq!(reply, Ok(Reply::Done));
        self.expect_players(stream.mark(), |media| News::Data {
            media,
            payload: payload.clone(),
        });
    }

    fn expect_players(&mut self, mark: Option<u32>, news: impl Fn(MediaId) -> News) {
        for (id, person) in &self.people {
            for (media, stream) in &person.streams {
                if stream.plays.is_some() && stream.plays == mark {
                    self.expected.push((*id, news(MediaId(*media))));
                }
            }
        }
    }

    pub(super) fn say(&mut self, id: u64, draw: &mut Draw) {
        let spot = self.own_spot(id, draw);
        let Some(room) = spot.room() else { return };
        let text = format!("{}", draw.u64());
        let to = draw.once_in(2).then(|| {
            let named = self.people.iter().filter(|(_, it)| !it.identity.is_empty());
            let all: Vec<u64> = named.map(|(id, _)| *id).collect();
            draw.of(&all)
        });
        let identity = |id: u64| self.people[&id].identity.clone();
        let request = Request::SendMessage {
            room: room.clone(),
            to: to.map(|to| Identity::new(&identity(to)).expect("a name")),
            text: text.clone(),
        };
        let reply = self.world.request(id, request.clone());
        self.said(id, request, &reply);
    }

    /// One of the client's streams.
    pub(super) fn some_stream(
        &self,
        id: u64,
        draw: &mut Draw,
        which: impl Fn(&Stream) -> bool,
    ) -> Option<(u32, Stream)> {
        let streams = self.people[&id].streams.iter();
        let streams: Vec<_> = streams.filter(|(_, stream)| which(stream)).collect();
        let (media, stream) = streams.get(draw.below(streams.len()))?;
        Some((**media, (*stream).clone()))
    }

    pub(super) fn owner(&mut self, id: u64) -> (ClientId, MediaId) {
        let person = self.person(id);
        person.media += 1;
        (ClientId(id), MediaId(person.media))
    }
}
