//! How publications and subscriptions begin and end.

use std::time::{Duration, Instant};

use super::{Draws, Due, State, encode_key};
use crate::capture::{CaptureClock, PEER_ASTRAY};
use crate::codec::Codec;
use crate::config::{AudioCodec, VideoCodec};
use crate::egress::ring::Ring;
use crate::event::{EndReason, News};
use crate::forwarder::Forwarder;
use crate::ingest::Replay;
use crate::limits;
use crate::names::{Place, PublicationName, RoomName};
use crate::observe::Observation;
use crate::peer::{Blueprint, Peer, Role};
use crate::relay::Message;
use crate::request::{ClientId, MediaId, MediaKind, Muted, Reply, RequestError, TooMany};
use crate::sdp::narrow::{self, Codecs, Track};
use crate::sdp::offer::Offer;
use crate::speaker::Speaker;
use crate::tables::{
    Destination, Home, Keyframes, Media, Origin, PeerKey, Publication, PublicationKey, RelayTo,
    RoomKey, Subscription, SubscriptionKey,
};

/// When a subscriber gets its first report: early, since players align sound and picture by it.
const FIRST_REPORT: Duration = Duration::from_millis(150);

/// The client's number for a stream.
pub(super) type Owner = (ClientId, MediaId);

impl State {
    pub(super) fn publish(
        &mut self,
        now: Instant,
        owner: Owner,
        place: &Place,
        name: PublicationName,
        offer: &str,
        draws: Draws,
    ) -> Result<Reply, RequestError> {
        let (client, media) = owner;
        let room = self.free_place(owner, place, &name)?;
        let offer = Offer::parse(offer)?;
        let tracks = narrow::tracks_to_publish(&offer, &self.config)?;
        let codec = |kind| codec_of(&tracks, kind);
        let codecs = Codecs {
            audio: codec(MediaKind::Audio),
            video: codec(MediaKind::Video),
        };
        let key = self.tables.publications.insert(Publication {
            name: name.clone(),
            room,
            client,
            media,
            origin: Origin::Peer(PeerKey::default()),
            codecs,
            announced: false,
            muted: Muted::default(),
            subscriptions: Vec::new(),
            relays: Vec::new(),
            keyframes: Keyframes::default(),
            ring: Ring::default(),
            speaker: Speaker::default(),
            silence_due: None,
            audio_source: None,
            video_source: None,
            clock: CaptureClock::new(PEER_ASTRAY),
        });
        let role = Role::Publisher(key);
        let (peer, sdp) = match self.connect(now, owner, role, &offer, &tracks, draws) {
            Ok(connected) => connected,
            Err(error) => {
                self.tables.publications.remove(key);
                return Err(error);
            }
        };
        if let Some(publication) = self.tables.publications.get_mut(key) {
            publication.origin = Origin::Peer(peer);
        }
        self.enter_publication(owner, room, name, key);
        Ok(answer(sdp, &tracks, Muted::default()))
    }

    /// The room that is published in, if the client may publish there under this name.
    pub(super) fn free_place(
        &self,
        owner: Owner,
        place: &Place,
        name: &PublicationName,
    ) -> Result<Option<RoomKey>, RequestError> {
        let (client, _) = owner;
        let room = self.place(client, place)?;
        self.check_new_media(owner, |media| matches!(media, Media::Publication(_)))?;
        if self
            .tables
            .publication_names
            .contains_key(&(room, name.clone()))
        {
            return Err(RequestError::PublicationNameInUse);
        }
        Ok(room)
    }

    /// Enters a new publication into the tables that lead to it.
    pub(super) fn enter_publication(
        &mut self,
        owner: Owner,
        room: Option<RoomKey>,
        name: PublicationName,
        key: PublicationKey,
    ) {
        self.tables.publication_names.insert((room, name), key);
        if let Some(room) = room.and_then(|room| self.tables.rooms.get_mut(room))
            && let Some(participant) = room.participant_mut(owner.0)
        {
            participant.publications.push(key);
        }
        self.own(owner, Media::Publication(key));
    }

    pub(super) fn subscribe(
        &mut self,
        now: Instant,
        owner: Owner,
        place: &Place,
        name: PublicationName,
        offer: &str,
        draws: Draws,
    ) -> Result<Reply, RequestError> {
        let (room, publication) = self.playable(owner, place, name)?;
        self.subscribe_to(now, owner, (room, publication), offer, draws)
    }

    /// Lets somebody play a stream of a room who is not in it.
    pub(super) fn watch(
        &mut self,
        now: Instant,
        owner: Owner,
        room: &RoomName,
        name: PublicationName,
        offer: &str,
        draws: Draws,
    ) -> Result<Reply, RequestError> {
        let found = self.watchable(owner, &Place::Room(room.clone()), name)?;
        self.subscribe_to(now, owner, found, offer, draws)
    }

    /// The publication that somebody can play without being a participant, by its name or, in a
    /// room, by that of who publishes it.
    pub(super) fn watchable(
        &self,
        owner: Owner,
        place: &Place,
        name: PublicationName,
    ) -> Result<(Option<RoomKey>, PublicationKey), RequestError> {
        self.check_new_media(owner, |media| matches!(media, Media::Subscription(_)))?;
        let room = match place {
            Place::Room(room) => {
                let key = self.tables.room_names.get(room).copied();
                Some(key.ok_or(RequestError::NoSuchPublication)?)
            }
            Place::Open => None,
        };
        let named = (room, name);
        let publication = self.tables.publication_names.get(&named).copied();
        let publication = publication.or_else(|| self.publication_by(room?, &named.1));
        Ok((room, publication.ok_or(RequestError::NoSuchPublication)?))
    }

    /// The oldest live publication of the participant with this name.
    fn publication_by(&self, room: RoomKey, name: &PublicationName) -> Option<PublicationKey> {
        let mut participants = self.tables.rooms.get(room)?.participants.iter();
        let participant =
            participants.find(|participant| participant.identity.as_str() == name.as_str())?;
        let mut publications = participant.publications.iter().copied();
        publications.find(|key| {
            let publication = self.tables.publications.get(*key);
            publication.is_some_and(|publication| publication.announced)
        })
    }

    fn subscribe_to(
        &mut self,
        now: Instant,
        owner: Owner,
        (room, publication_key): (Option<RoomKey>, PublicationKey),
        offer: &str,
        draws: Draws,
    ) -> Result<Reply, RequestError> {
        let publication = self.tables.publications.get(publication_key);
        let publication = publication.ok_or(RequestError::NoSuchPublication)?;
        let muted = publication.muted;
        let parsed = Offer::parse(offer)?;
        let tracks = match narrow::tracks_to_play(&parsed, publication.codecs) {
            Ok(tracks) => tracks,
            Err(error) => {
                self.tell_mismatch(publication_key, narrow::offered_to_play(&parsed));
                return Err(error);
            }
        };
        if let Some(worker) = self.elsewhere(publication_key) {
            return self.subscribe_elsewhere(now, owner, (room, publication_key), worker, offer);
        }
        let place = (room, publication_key);
        let (key, sdp) = self.connect_player(now, owner, None, place, &parsed, &tracks, draws)?;
        self.own(owner, Media::Subscription(key));
        Ok(answer(sdp, &tracks, muted))
    }

    /// Makes a player with a connection here, and the answer for it. `home` is where its client
    /// is, if that is another worker.
    #[expect(clippy::too_many_arguments, reason = "what a player is made of")]
    pub(super) fn connect_player(
        &mut self,
        now: Instant,
        owner: Owner,
        home: Option<Home>,
        (room, publication_key): (Option<RoomKey>, PublicationKey),
        offer: &Offer,
        tracks: &[Track],
        draws: Draws,
    ) -> Result<(SubscriptionKey, String), RequestError> {
        let (client, media) = owner;
        let [audio, video] = draws.starts;
        let forwarder =
            |kind, start| codec_of(tracks, kind).map(|codec| Forwarder::new(codec, start));
        let key = self.tables.subscriptions.insert(Subscription {
            publication: publication_key,
            room,
            client,
            media,
            home,
            destination: Destination::Peer(PeerKey::default()),
            live: false,
            replay: None,
            audio: forwarder(MediaKind::Audio, audio),
            video: forwarder(MediaKind::Video, video),
        });
        let role = Role::Subscriber(key);
        let (peer, sdp) = match self.connect(now, owner, role, offer, tracks, draws) {
            Ok(connected) => connected,
            Err(error) => {
                self.tables.subscriptions.remove(key);
                return Err(error);
            }
        };
        if let Some(subscription) = self.tables.subscriptions.get_mut(key) {
            subscription.destination = Destination::Peer(peer);
        }
        if let Some(publication) = self.tables.publications.get_mut(publication_key) {
            self.spread
                .enter(publication_key, publication.subscriptions.len());
            publication.subscriptions.push(key);
        }
        if let Some(Home { worker, player, .. }) = home {
            self.tables.guests.insert((worker, player), key);
        }
        Ok((key, sdp))
    }

    /// The publication of this name, if the client may play it, with its room.
    pub(super) fn playable(
        &self,
        owner: Owner,
        place: &Place,
        name: PublicationName,
    ) -> Result<(Option<RoomKey>, PublicationKey), RequestError> {
        let room = self.place(owner.0, place)?;
        self.check_new_media(owner, |media| matches!(media, Media::Subscription(_)))?;
        let key = self.tables.publication_names.get(&(room, name)).copied();
        Ok((room, key.ok_or(RequestError::NoSuchPublication)?))
    }

    /// Tells a publisher that a player takes none of its codecs, so that it can publish in one
    /// that both have.
    pub(super) fn tell_mismatch(
        &mut self,
        key: PublicationKey,
        (audio, video): (Vec<AudioCodec>, Vec<VideoCodec>),
    ) {
        let Some(publication) = self.tables.publications.get(key) else {
            return;
        };
        let (client, media) = (publication.client, publication.media);
        self.tell(
            client,
            News::CodecMismatch {
                media,
                audio,
                video,
            },
        );
    }

    /// The room that a place is, if the client may do something there.
    fn place(&self, client: ClientId, place: &Place) -> Result<Option<RoomKey>, RequestError> {
        match place {
            Place::Room(name) => self.joined(client, name).map(Some),
            Place::Open => Ok(None),
        }
    }

    fn check_new_media(
        &self,
        (client, media): Owner,
        same: impl Fn(&Media) -> bool,
    ) -> Result<(), RequestError> {
        let limits = &self.config.limits;
        if self.tables.streams() >= limits.peers {
            return Err(RequestError::TooMany(TooMany::Peers));
        }
        let Some(client) = self.tables.clients.get(&client) else {
            return Ok(());
        };
        if client.media.contains_key(&media) {
            return Err(RequestError::MediaInUse);
        }
        let count = client.media.values().filter(|media| same(media)).count();
        let (limit, too_many) = if same(&Media::Publication(PublicationKey::default())) {
            (
                limits.publications_per_client,
                TooMany::PublicationsPerClient,
            )
        } else {
            (
                limits.subscriptions_per_client,
                TooMany::SubscriptionsPerClient,
            )
        };
        if count >= limit {
            Err(RequestError::TooMany(too_many))
        } else {
            Ok(())
        }
    }

    fn disown(&mut self, client: ClientId, id: MediaId) {
        if let Some(client) = self.tables.clients.get_mut(&client) {
            client.media.remove(&id);
        }
    }

    pub(super) fn own(&mut self, (client, id): Owner, media: Media) {
        self.tables
            .clients
            .entry(client)
            .or_default()
            .media
            .insert(id, media);
    }

    /// Makes the peer of a new stream, and the answer for it.
    fn connect(
        &mut self,
        now: Instant,
        (client, media): Owner,
        role: Role,
        offer: &Offer,
        tracks: &[Track],
        draws: Draws,
    ) -> Result<(PeerKey, String), RequestError> {
        let Self {
            peers,
            config,
            certificate,
            provider,
            fingerprint,
            outbox,
            deadlines,
            ..
        } = self;
        let mut sdp = String::new();
        let key = peers.try_insert_with_key(|key| {
            let blueprint = Blueprint {
                key,
                provider: std::sync::Arc::clone(provider),
                certificate,
                fingerprint,
                candidates: &config.candidates,
                ufrag: encode_key(key) + &draws.ufrag,
                password: draws.password,
                stream: draws.stream,
                ssrcs: draws.ssrcs,
                offer,
                tracks,
                client,
                media,
                role,
            };
            let (peer, answer) = Peer::new(now, outbox, blueprint)?;
            deadlines.insert((peer.connects_by, Due::Connect(key)));
            sdp = answer;
            Ok::<_, RequestError>(peer)
        })?;
        self.arm(key);
        Ok((key, sdp))
    }

    /// A peer has finished ICE and DTLS.
    pub(super) fn on_live(&mut self, now: Instant, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        let (client, media, role) = (peer.client, peer.media, peer.role);
        self.counters.connected += 1;
        let expires = peer.consented + self.config.ice_timeout;
        self.deadlines
            .remove(&(peer.connects_by, Due::Connect(key)));
        if let Some(before) = peer.consent_due.replace(expires) {
            self.deadlines.remove(&(before, Due::Consent(key)));
        }
        self.deadlines.insert((expires, Due::Consent(key)));
        self.tell_live((client, media), role);
        match role {
            Role::Publisher(publication) => {
                if let Some(publication) = self.tables.publications.get_mut(publication) {
                    publication.announced = true;
                }
                self.tell_of_publication(publication, true);
            }
            Role::Subscriber(subscription) => {
                self.plan_report(key, now + FIRST_REPORT);
                self.begin_playing(now, subscription);
            }
        }
    }

    /// A subscriber can be sent media.
    pub(super) fn begin_playing(&mut self, now: Instant, key: SubscriptionKey) {
        let Some(subscription) = self.tables.subscriptions.get_mut(key) else {
            return;
        };
        subscription.live = true;
        let (publication, waits) = (subscription.publication, subscription.waits_for_keyframe());
        if waits && !self.begin_replay(now, key) {
            self.want_keyframe(now, publication);
        }
    }

    /// Ends a stream as its client asks.
    pub(super) fn stop(
        &mut self,
        now: Instant,
        client: ClientId,
        media: MediaId,
    ) -> Result<Reply, RequestError> {
        let known = self
            .tables
            .clients
            .get(&client)
            .and_then(|client| client.media.get(&media));
        let known = *known.ok_or(RequestError::NoSuchMedia)?;
        self.end(now, known);
        self.forget_idle(client);
        Ok(Reply::Done)
    }

    /// Ends all streams of a client, or those in one room.
    pub(super) fn stop_all(&mut self, now: Instant, client: ClientId, room: Option<RoomKey>) {
        let Some(entry) = self.tables.clients.get(&client) else {
            return;
        };
        let place_of = |media: &Media| match *media {
            Media::Publication(key) => self.tables.publications.get(key)?.room,
            Media::Subscription(key) => self.tables.subscriptions.get(key)?.room,
        };
        let ending = entry.media.values();
        let ending = ending.filter(|media| room.is_none() || place_of(media) == room);
        let mut ending: Vec<Media> = ending.copied().collect();
        // A client that plays itself gets no news of that end either.
        ending.sort_by_key(|media| matches!(media, Media::Publication(_)));
        for media in ending {
            if let Media::Publication(key) = media {
                self.hush(key);
            }
            self.end(now, media);
        }
    }

    /// Ends the stream of a peer for a reason that its client is told.
    pub(super) fn end_peer(&mut self, now: Instant, key: PeerKey, reason: EndReason) {
        let Some(peer) = self.peers.get(key) else {
            return;
        };
        let (client, media, role) = (peer.client, peer.media, peer.role);
        tracing::debug!(client = client.0, media = media.0, ?reason, "peer ended");
        self.tell_ended((client, media), role, reason);
        match role {
            Role::Publisher(key) => self.end(now, Media::Publication(key)),
            Role::Subscriber(key) => self.end(now, Media::Subscription(key)),
        }
        self.forget_idle(client);
    }

    fn end(&mut self, now: Instant, media: Media) {
        match media {
            Media::Publication(key) => self.end_publication(now, key),
            Media::Subscription(key) => self.end_subscription(now, key),
        }
    }

    fn end_publication(&mut self, now: Instant, key: PublicationKey) {
        let announced = self
            .tables
            .publications
            .get(key)
            .is_some_and(|stream| stream.announced);
        if announced {
            self.tell_of_publication(key, false);
        }
        if self
            .tables
            .publications
            .get(key)
            .is_some_and(|stream| stream.speaker.is_speaking())
        {
            self.tell_speaking(key, false);
        }
        let Some(publication) = self.tables.publications.remove(key) else {
            return;
        };
        self.tables
            .publication_names
            .remove(&(publication.room, publication.name));
        if let Some(room) = publication
            .room
            .and_then(|room| self.tables.rooms.get_mut(room))
            && let Some(participant) = room.participant_mut(publication.client)
        {
            participant.publications.retain(|other| *other != key);
        }
        if let Some(due) = publication.silence_due {
            self.deadlines.remove(&(due, Due::Silence(key)));
        }
        if let Some(due) = publication.keyframes.due {
            self.deadlines.remove(&(due, Due::Keyframe(key)));
        }
        if let Some(peer) = publication.origin.peer() {
            self.close_peer(now, peer);
        }
        self.disown(publication.client, publication.media);
        for subscription in publication.subscriptions {
            self.end_with_publication(now, subscription);
        }
        for RelayTo {
            worker,
            stream,
            subscriptions,
        } in publication.relays
        {
            self.send_relay(worker, Message::End { stream });
            for subscription in subscriptions {
                self.end_with_publication(now, subscription);
            }
        }
    }

    fn end_with_publication(&mut self, now: Instant, key: SubscriptionKey) {
        let Some(subscription) = self.tables.subscriptions.get(key) else {
            return;
        };
        let (client, media) = (subscription.client, subscription.media);
        if subscription.is_answered() {
            let reason = EndReason::PublisherStopped;
            self.tell(client, News::Ended { media, reason });
        }
        self.end_subscription(now, key);
        self.forget_idle(client);
    }

    pub(super) fn end_subscription(&mut self, now: Instant, key: SubscriptionKey) {
        let Some(subscription) = self.tables.subscriptions.remove(key) else {
            return;
        };
        if let Some(publication) = self.tables.publications.get_mut(subscription.publication) {
            let subscribers = &mut publication.subscriptions;
            if let Some(place) = subscribers.iter().position(|other| *other == key) {
                self.spread
                    .leave(subscription.publication, place, subscribers.len());
                subscribers.remove(place);
            }
        }
        if let Some(Replay { due, .. }) = subscription.replay {
            self.deadlines.remove(&(due, Due::Replay(key)));
        }
        match subscription.destination {
            Destination::Peer(peer) => self.close_peer(now, peer),
            Destination::Sink => {}
            Destination::Relay { worker, answered } => {
                self.end_elsewhere(key, &subscription, worker, answered);
            }
        }
        match subscription.home {
            None => self.disown(subscription.client, subscription.media),
            Some(Home { worker, player, .. }) => {
                self.tables.guests.remove(&(worker, player));
                self.outbox.observe(|| Observation::GuestEnded {
                    client: subscription.client,
                    media: subscription.media,
                    reason: None,
                });
            }
        }
    }

    /// Removes a peer and everything that leads to it.
    fn close_peer(&mut self, now: Instant, key: PeerKey) {
        let Some(mut peer) = self.peers.remove(key) else {
            return;
        };
        // What it says last is for the wire; the news of it find nobody.
        peer.close(now, &mut self.outbox);
        for path in &peer.paths {
            self.tables.paths.remove(path);
        }
        if let Some(wake) = peer.wake {
            self.deadlines.remove(&(wake, Due::Peer(key)));
        }
        if let Some(due) = peer.report_due {
            self.deadlines.remove(&(due, Due::Report(key)));
        }
        if let Some(due) = peer.consent_due {
            self.deadlines.remove(&(due, Due::Consent(key)));
        }
        self.deadlines
            .remove(&(peer.connects_by, Due::Connect(key)));
    }

    pub(super) fn set_muted(
        &mut self,
        client: ClientId,
        media: MediaId,
        kind: MediaKind,
        muted: bool,
    ) -> Result<Reply, RequestError> {
        let key = self.publication_of(client, media)?;
        if let Some(publication) = self.tables.publications.get_mut(key) {
            match kind {
                MediaKind::Audio => publication.muted.audio = muted,
                MediaKind::Video => publication.muted.video = muted,
            }
        }
        self.tell_players(key, |media| News::Muted { media, kind, muted });
        Ok(Reply::Done)
    }

    pub(super) fn send_data(
        &mut self,
        client: ClientId,
        media: MediaId,
        payload: &str,
    ) -> Result<Reply, RequestError> {
        if payload.len() > limits::DATA_BYTES {
            return Err(RequestError::TooLong {
                what: "payload",
                limit: limits::DATA_BYTES,
            });
        }
        let key = self.publication_of(client, media)?;
        self.tell_players(key, |media| News::Data {
            media,
            payload: payload.to_owned(),
        });
        Ok(Reply::Done)
    }

    pub(super) fn publication_of(
        &self,
        client: ClientId,
        media: MediaId,
    ) -> Result<PublicationKey, RequestError> {
        let entry = self
            .tables
            .clients
            .get(&client)
            .and_then(|client| client.media.get(&media));
        match entry {
            Some(Media::Publication(key)) => Ok(*key),
            Some(Media::Subscription(_)) | None => Err(RequestError::NoSuchMedia),
        }
    }

    fn tell_players(&mut self, key: PublicationKey, news: impl Fn(MediaId) -> News) {
        let Some(publication) = self.tables.publications.get(key) else {
            return;
        };
        let elsewhere = publication.relays.iter();
        let elsewhere = elsewhere.flat_map(|relay| &relay.subscriptions);
        let players = publication.subscriptions.iter().chain(elsewhere);
        let players = players.filter_map(|key| self.tables.subscriptions.get(*key));
        let players: Vec<Owner> = players
            .filter(|player| player.is_answered())
            .map(|player| (player.client, player.media))
            .collect();
        for (client, media) in players {
            self.tell(client, news(media));
        }
    }

    pub(super) fn find(
        &self,
        client: ClientId,
        place: &Place,
        name: PublicationName,
    ) -> Result<Reply, RequestError> {
        let room = self.place(client, place)?;
        let key = self.tables.publication_names.get(&(room, name));
        let publication = key.and_then(|key| self.tables.publications.get(*key));
        Ok(Reply::Available(
            publication.is_some_and(|publication| publication.announced),
        ))
    }
}

pub(super) fn codec_of(tracks: &[Track], kind: MediaKind) -> Option<Codec> {
    tracks
        .iter()
        .find(|track| track.kind == kind)
        .map(|track| track.payload.codec)
}

fn answer(sdp: String, tracks: &[Track], muted: Muted) -> Reply {
    let has = |kind| codec_of(tracks, kind).is_some();
    Reply::Answer {
        sdp,
        audio: has(MediaKind::Audio),
        video: has(MediaKind::Video),
        muted,
    }
}
