//! Publications that are played on more than one worker: see [`crate::relay`].

use std::time::Instant;

use super::media::{Owner, codec_of};
use super::spread::Waiting;
use super::{Draws, Due, State};
use crate::capture::{CaptureClock, PEER_ASTRAY};
use crate::egress::ring::Ring;
use crate::event::{EndReason, Event, News};
use crate::ingest::Gop;
use crate::observe::Observation;
use crate::peer::Role;
use crate::relay::{
    Answer, Message, Play, PlayerId, Published, Refused, Relay, RelayedPacket, StreamId, Team,
    WorkerId,
};
use crate::request::{MediaKind, Muted, Reply, RequestError, TooMany};
use crate::sdp::narrow;
use crate::sdp::offer::Offer;
use crate::speaker::Speaker;
use crate::tables::{
    Destination, Home, Keyframes, Origin, Publication, PublicationKey, RelayFrom, RelayTo, RoomKey,
    Subscription, SubscriptionKey,
};

impl State {
    pub(crate) fn poll_relay(&mut self) -> Option<(WorkerId, Relay)> {
        self.relays.pop_front()
    }

    pub(super) fn send_relay(&mut self, worker: WorkerId, message: Message) {
        self.relays.push_back((worker, Relay::new(message)));
    }

    pub(crate) fn handle_relay(
        &mut self,
        now: Instant,
        from: WorkerId,
        relay: Relay,
        draws: Option<Draws>,
    ) {
        let now = self.advance(now);
        // A packet waits for its turn as those before it do; all else may change who gets them.
        if !relay.is_packet() {
            self.spread_all();
        }
        match relay.message {
            Message::Play(play) => {
                let Some(draws) = draws else { return };
                let (player, answer) = (play.player, self.play_for(now, from, *play, draws));
                let answer = answer.map_err(Refused::from);
                self.send_relay(from, Message::Answered { player, answer });
            }
            Message::Stop { player } => self.stop_for(now, from, player),
            Message::End { stream } => self.end_of(now, from, stream),
            Message::Packet { stream, packet } => {
                self.cause = relay.cause;
                self.on_relayed(now, from, stream, packet);
                self.cause = 0;
            }
            Message::Answered { player, answer } => self.on_answered(now, from, player, answer),
            Message::Live { player } => self.on_live_elsewhere(from, player),
            Message::Ended { player, reason } => {
                self.on_ended_elsewhere(now, from, player, reason);
            }
            Message::KeyframeWanted { stream } => self.want_keyframe_of(now, stream),
        }
        self.hear_all(now);
    }

    /// A packet is lost to the players of a worker: their picture goes on with a key frame.
    pub(crate) fn handle_relay_refused(&mut self, now: Instant, relay: &Relay) {
        let now = self.advance(now);
        let Message::Packet { stream, packet } = &relay.message else {
            return;
        };
        self.counters.relay_refused += 1;
        if packet.kind == MediaKind::Video {
            self.want_keyframe_of(now, *stream);
        }
        self.hear_all(now);
    }

    fn want_keyframe_of(&mut self, now: Instant, stream: StreamId) {
        if let Some(publication) = stream.publication(self.id) {
            self.want_keyframe(now, publication);
        }
    }
}

impl State {
    /// Asserts what must hold of the tables of relays.
    pub(super) fn check_relays(&self) {
        let tables = &self.tables;
        let handed_on = tables
            .subscriptions
            .values()
            .filter(|subscription| matches!(subscription.destination, Destination::Relay { .. }));
        assert_eq!(handed_on.count(), tables.handed_on);
        for publication in tables.publications.values() {
            for relay in &publication.relays {
                assert!(!relay.subscriptions.is_empty());
            }
        }
        for (named, key) in &tables.relayed {
            let publication = tables.publications.get(*key);
            let origin = publication.map(|publication| &publication.origin);
            assert!(matches!(
                origin,
                Some(Origin::Relay(relay)) if (relay.home, relay.stream) == *named
            ));
        }
        for (named, key) in &tables.guests {
            let home = tables.subscriptions.get(*key).and_then(|guest| guest.home);
            assert!(home.is_some_and(|home| (home.worker, home.player) == *named));
        }
        let guests = tables.subscriptions.values();
        let guests = guests.filter(|subscription| subscription.home.is_some());
        assert_eq!(guests.count(), tables.guests.len());
    }
}

/// At home.
impl State {
    /// The worker that the next player of a publication is handed on to, if it is.
    pub(super) fn elsewhere(&self, key: PublicationKey) -> Option<WorkerId> {
        let Team {
            own,
            size,
            relay_after,
        } = self.config.team;
        let publication = self.tables.publications.get(key)?;
        let here = publication.subscriptions.len();
        if here < relay_after || size < 2 {
            return None;
        }
        let players = |worker| {
            let relay = publication
                .relays
                .iter()
                .find(|relay| relay.worker == worker);
            relay.map_or(0, |relay| relay.subscriptions.len())
        };
        // Neighbours first, so that two homes begin with different ones.
        let others = (1..size).map(|step| WorkerId((own.0 + step) % size));
        let (fewest, worker) = others
            .map(|worker| (players(worker), worker))
            .min_by_key(|(players, _)| *players)?;
        let stays = relay_after > 0 && here < fewest;
        (!stays).then_some(worker)
    }

    /// Hands a player on to another worker. The answer comes later.
    pub(super) fn subscribe_elsewhere(
        &mut self,
        now: Instant,
        owner: Owner,
        (room, key): (Option<RoomKey>, PublicationKey),
        worker: WorkerId,
        offer: &str,
    ) -> Result<Reply, RequestError> {
        let (client, media) = owner;
        let publication = self.tables.publications.get_mut(key);
        let publication = publication.ok_or(RequestError::NoSuchPublication)?;
        let subscription = self.tables.subscriptions.insert(Subscription {
            publication: key,
            room,
            client,
            media,
            home: None,
            destination: Destination::Relay {
                worker,
                answered: false,
            },
            live: false,
            replay: None,
            audio: None,
            video: None,
        });
        self.tables.handed_on += 1;
        let stream = StreamId::new(self.id, room, key);
        let mut past = None;
        match publication
            .relays
            .iter_mut()
            .find(|relay| relay.worker == worker)
        {
            Some(relay) => relay.subscriptions.push(subscription),
            None => {
                past = publication.origin.past().map(|past| past.told(now));
                publication.relays.push(RelayTo {
                    worker,
                    stream,
                    subscriptions: vec![subscription],
                });
            }
        }
        let place = room.and_then(|room| self.tables.rooms.get(room));
        let identity = |client| Some(place?.participant(client)?.identity.clone());
        let play = Play {
            player: PlayerId::new(self.id, subscription),
            stream,
            of: owner,
            identity: identity(client),
            offer: offer.to_owned(),
            publication: Published {
                room: place.map(|room| room.name.clone()),
                name: publication.name.clone(),
                publisher: (publication.client, publication.media),
                identity: identity(publication.client),
                codecs: publication.codecs,
                past,
            },
        };
        self.send_relay(worker, Message::Play(Box::new(play)));
        self.own(owner, crate::tables::Media::Subscription(subscription));
        Ok(Reply::Later { media })
    }

    /// Passes a packet on to the other workers that play its publication.
    pub(super) fn relay(&mut self, now: Instant, waiting: &Waiting) {
        let Waiting {
            publication: key,
            kind,
            packet,
            incoming,
            cause,
            ..
        } = waiting;
        let Some(publication) = self.tables.publications.get(*key) else {
            return;
        };
        let stream = StreamId::new(self.id, publication.room, *key);
        for relay in &publication.relays {
            assert!(relay.stream == stream, "media must not cross rooms");
            let packet = RelayedPacket::new(now, *kind, packet, *incoming);
            let message = Message::Packet { stream, packet };
            let relayed = Relay::new(message).caused_by(*cause);
            self.relays.push_back((relay.worker, relayed));
            self.counters.relayed += 1;
        }
    }

    /// Forgets a player whose connection is on another worker, and tells that worker.
    pub(super) fn end_elsewhere(
        &mut self,
        key: SubscriptionKey,
        subscription: &Subscription,
        worker: WorkerId,
        answered: bool,
    ) {
        self.tables.handed_on -= 1;
        if !answered {
            let error = RequestError::NoSuchPublication;
            self.answer_later(subscription, Err(error));
        }
        // Without the publication, the worker has been told of its end.
        let Some(publication) = self.tables.publications.get_mut(subscription.publication) else {
            return;
        };
        let relays = &mut publication.relays;
        let Some(position) = relays.iter().position(|relay| relay.worker == worker) else {
            return;
        };
        let Some(relay) = relays.get_mut(position) else {
            return;
        };
        relay.subscriptions.retain(|other| *other != key);
        let message = match relay.subscriptions.is_empty() {
            true => Message::End {
                stream: relays.remove(position).stream,
            },
            false => Message::Stop {
                player: PlayerId::new(self.id, key),
            },
        };
        self.send_relay(worker, message);
    }

    fn answer_later(&mut self, subscription: &Subscription, result: Result<Reply, RequestError>) {
        if result.is_err() {
            self.counters.refused += 1;
        }
        let media = subscription.media;
        self.events.push_back(Event {
            client: subscription.client,
            news: News::Answered { media, result },
        });
    }

    /// The subscription that a worker speaks of, if that worker has its connection.
    fn handed_on(
        &mut self,
        to: WorkerId,
        player: PlayerId,
    ) -> Option<(SubscriptionKey, &mut Subscription)> {
        let key = player.subscription(self.id)?;
        let subscription = self.tables.subscriptions.get_mut(key)?;
        match subscription.destination {
            Destination::Relay { worker, .. } if worker == to => Some((key, subscription)),
            Destination::Relay { .. } | Destination::Peer(_) | Destination::Sink => None,
        }
    }

    fn on_answered(
        &mut self,
        now: Instant,
        from: WorkerId,
        player: PlayerId,
        answer: Result<Answer, Refused>,
    ) {
        let Some((key, subscription)) = self.handed_on(from, player) else {
            return;
        };
        subscription.destination = Destination::Relay {
            worker: from,
            answered: true,
        };
        let (client, media) = (subscription.client, subscription.media);
        let publication = subscription.publication;
        let publication = self.tables.publications.get(publication);
        let muted = publication.map_or_else(Muted::default, |publication| publication.muted);
        let result = match answer {
            Ok(Answer { sdp, audio, video }) => Ok(Reply::Answer {
                sdp,
                audio,
                video,
                muted,
            }),
            Err(refused) => Err(refused.into()),
        };
        let is_over = result.is_err();
        if is_over {
            self.counters.refused += 1;
        }
        self.tell(client, News::Answered { media, result });
        if is_over {
            self.end_subscription(now, key);
            self.forget_idle(client);
        }
    }

    fn on_live_elsewhere(&mut self, from: WorkerId, player: PlayerId) {
        if let Some((_, subscription)) = self.handed_on(from, player) {
            subscription.live = true;
            let (client, media) = (subscription.client, subscription.media);
            self.tell(client, News::Live { media });
        }
    }

    fn on_ended_elsewhere(
        &mut self,
        now: Instant,
        from: WorkerId,
        player: PlayerId,
        reason: EndReason,
    ) {
        if let Some((key, subscription)) = self.handed_on(from, player) {
            let (client, media) = (subscription.client, subscription.media);
            self.tell(client, News::Ended { media, reason });
            self.end_subscription(now, key);
            self.forget_idle(client);
        }
    }
}

/// Where the connections are.
impl State {
    /// Begins to play something for a client of another worker.
    fn play_for(
        &mut self,
        now: Instant,
        home: WorkerId,
        play: Play,
        draws: Draws,
    ) -> Result<Answer, RequestError> {
        let Play {
            player,
            stream,
            of,
            identity,
            offer,
            publication,
        } = play;
        let codecs = publication.codecs;
        let (room, name) = (publication.room.clone(), publication.name.clone());
        let publisher = publication.publisher;
        let publisher = (publisher.0, publisher.1, publication.identity.clone());
        let key = self.relayed(now, home, stream, publication);
        if self.tables.streams() >= self.config.limits.peers {
            return Err(RequestError::TooMany(TooMany::Peers));
        }
        let offer = Offer::parse(&offer)?;
        let tracks = narrow::tracks_to_play(&offer, codecs)?;
        let home = Home {
            worker: home,
            player,
            stream,
        };
        let place = (None, key);
        let (_, sdp) = self.connect_player(now, of, Some(home), place, &offer, &tracks, draws)?;
        let (client, media) = of;
        self.outbox.observe(|| Observation::Guest {
            client,
            media,
            room,
            name,
            identity,
            publisher,
            answer: sdp.clone(),
        });
        let has = |kind| codec_of(&tracks, kind).is_some();
        Ok(Answer {
            sdp,
            audio: has(MediaKind::Audio),
            video: has(MediaKind::Video),
        })
    }

    /// The publication that stands for one of another worker: it lives until that worker says so.
    fn relayed(
        &mut self,
        now: Instant,
        home: WorkerId,
        stream: StreamId,
        published: Published,
    ) -> PublicationKey {
        if let Some(key) = self.tables.relayed.get(&(home, stream)) {
            return *key;
        }
        let mut ring = Ring::default();
        let past = published.past.map(|past| {
            let mut gop = Gop::default();
            for packet in past {
                gop.keep(&packet.packet, packet.incoming(now));
                ring.keep(packet.packet);
            }
            gop
        });
        let (client, media) = published.publisher;
        let key = self.tables.publications.insert(Publication {
            name: published.name,
            room: None,
            client,
            media,
            origin: Origin::Relay(Box::new(RelayFrom { home, stream, past })),
            codecs: published.codecs,
            announced: false,
            muted: Muted::default(),
            subscriptions: Vec::new(),
            relays: Vec::new(),
            keyframes: Keyframes::default(),
            ring,
            speaker: Speaker::default(),
            silence_due: None,
            audio_source: None,
            video_source: None,
            clock: CaptureClock::new(PEER_ASTRAY),
        });
        self.tables.relayed.insert((home, stream), key);
        key
    }

    fn on_relayed(
        &mut self,
        now: Instant,
        home: WorkerId,
        stream: StreamId,
        relayed: RelayedPacket,
    ) {
        let key = self.tables.relayed.get(&(home, stream)).copied();
        let publication = key.and_then(|key| self.tables.publications.get_mut(key));
        let (Some(key), Some(publication)) = (key, publication) else {
            self.counters.unexpected_packets += 1;
            return;
        };
        let incoming = relayed.incoming(now);
        let RelayedPacket { kind, packet, .. } = relayed;
        self.outbox.observe(|| Observation::Relayed {
            client: publication.client,
            media: publication.media,
            kind,
        });
        if kind == MediaKind::Video {
            if incoming.entry {
                publication.keyframes.wanted = false;
            }
            let old = publication.ring.keep(packet.clone());
            self.spread.give_back(old);
            if let Origin::Relay(relay) = &mut publication.origin
                && let Some(past) = &mut relay.past
            {
                past.keep(&packet, incoming);
            }
        }
        let has_past = publication.origin.past().is_some();
        let waiting = Waiting::new(key, kind, packet, incoming, self.cause);
        self.spread_later(now, waiting);
        if has_past {
            // Who is shown the past goes on to what is kept of it from here.
            self.spread_all();
        }
    }

    fn stop_for(&mut self, now: Instant, home: WorkerId, player: PlayerId) {
        if let Some(key) = self.tables.guests.get(&(home, player)).copied() {
            self.end_subscription(now, key);
        }
    }

    fn end_of(&mut self, now: Instant, home: WorkerId, stream: StreamId) {
        let Some(key) = self.tables.relayed.remove(&(home, stream)) else {
            return;
        };
        let Some(publication) = self.tables.publications.remove(key) else {
            return;
        };
        if let Some(due) = publication.keyframes.due {
            self.deadlines.remove(&(due, Due::Keyframe(key)));
        }
        for subscription in publication.subscriptions {
            self.end_subscription(now, subscription);
        }
    }

    /// Tells whose stream has become live: the client, or the worker that it is on.
    pub(super) fn tell_live(&mut self, (client, media): Owner, role: Role) {
        match self.home_of(role) {
            None => self.tell(client, News::Live { media }),
            Some(Home { worker, player, .. }) => {
                self.outbox
                    .observe(|| Observation::GuestLive { client, media });
                self.send_relay(worker, Message::Live { player });
            }
        }
    }

    /// Tells whose stream has ended by itself.
    pub(super) fn tell_ended(&mut self, (client, media): Owner, role: Role, reason: EndReason) {
        match self.home_of(role) {
            None => self.tell(client, News::Ended { media, reason }),
            Some(Home { worker, player, .. }) => {
                self.outbox.observe(|| Observation::GuestEnded {
                    client,
                    media,
                    reason: Some(reason),
                });
                self.send_relay(worker, Message::Ended { player, reason });
            }
        }
    }

    pub(super) fn home_of(&self, role: Role) -> Option<Home> {
        match role {
            Role::Publisher(_) => None,
            Role::Subscriber(key) => self.tables.subscriptions.get(key)?.home,
        }
    }
}
