//! What there is: rooms, participants, publications, subscriptions and who owns them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use slotmap::{SlotMap, new_key_type};

use crate::capture::CaptureClock;
use crate::egress::ring::Ring;
use crate::forwarder::Forwarder;
use crate::history::History;
use crate::ingest::{Gop, Ingest, Replay};
use crate::names::{Identity, PublicationName, RoomName};
use crate::peer::Path;
use crate::relay::{PlayerId, StreamId, WorkerId};
use crate::request::{ClientId, MediaId, MediaKind, Muted, ResumeToken};
use crate::sdp::narrow::Codecs;
use crate::speaker::Speaker;

new_key_type! {
    /// A room.
    pub(crate) struct RoomKey;
    /// A WebRTC connection.
    pub(crate) struct PeerKey;
    /// A stream that someone offers.
    pub(crate) struct PublicationKey;
    /// A stream that someone plays.
    pub(crate) struct SubscriptionKey;
}

/// A room.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) name: RoomName,
    /// In the order of their coming.
    pub(crate) participants: Vec<Participant>,
    pub(crate) history: History,
}

/// A member of a room.
#[derive(Debug)]
pub(crate) struct Participant {
    pub(crate) client: ClientId,
    pub(crate) identity: Identity,
    pub(crate) resume: ResumeToken,
    /// Oldest first.
    pub(crate) publications: Vec<PublicationKey>,
}

impl Room {
    pub(crate) fn participant(&self, client: ClientId) -> Option<&Participant> {
        self.participants
            .iter()
            .find(|participant| participant.client == client)
    }

    pub(crate) fn participant_mut(&mut self, client: ClientId) -> Option<&mut Participant> {
        self.participants
            .iter_mut()
            .find(|participant| participant.client == client)
    }

    /// Everyone but `client`.
    pub(crate) fn others(&self, client: ClientId) -> impl Iterator<Item = ClientId> + '_ {
        let clients = self
            .participants
            .iter()
            .map(|participant| participant.client);
        clients.filter(move |other| *other != client)
    }
}

/// A signalling connection that is in a room or has media.
#[derive(Debug, Default)]
pub(crate) struct Client {
    pub(crate) rooms: BTreeSet<RoomKey>,
    pub(crate) media: BTreeMap<MediaId, Media>,
}

/// What a [`MediaId`] stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Publication(PublicationKey),
    Subscription(SubscriptionKey),
}

/// A stream that someone offers.
#[derive(Debug)]
pub(crate) struct Publication {
    pub(crate) name: PublicationName,
    /// The room it is in; `None` outside of rooms.
    pub(crate) room: Option<RoomKey>,
    pub(crate) client: ClientId,
    pub(crate) media: MediaId,
    pub(crate) origin: Origin,
    pub(crate) codecs: Codecs,
    /// The others of the room have been told of it.
    pub(crate) announced: bool,
    pub(crate) muted: Muted,
    pub(crate) subscriptions: Vec<SubscriptionKey>,
    /// The other workers that play it.
    pub(crate) relays: Vec<RelayTo>,
    pub(crate) keyframes: Keyframes,
    /// The latest packets of the picture, to be sent again.
    pub(crate) ring: Ring,
    pub(crate) speaker: Speaker,
    /// When it is to be seen whether the speaker has fallen silent.
    pub(crate) silence_due: Option<Instant>,
    /// The source that each kind comes from, and when it was last heard.
    pub(crate) audio_source: Option<(u32, Instant)>,
    pub(crate) video_source: Option<(u32, Instant)>,
    /// Of a WebRTC connection: when what comes was captured.
    pub(crate) clock: CaptureClock,
}

impl Publication {
    pub(crate) fn source_mut(&mut self, kind: MediaKind) -> &mut Option<(u32, Instant)> {
        match kind {
            MediaKind::Audio => &mut self.audio_source,
            MediaKind::Video => &mut self.video_source,
        }
    }
}

/// Where the packets of a publication come from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// A WebRTC connection.
    Peer(PeerKey),
    /// The caller brings them.
    Ingest(Box<Ingest>),
    /// Another worker, whose publication this is.
    Relay(Box<RelayFrom>),
}

/// Another worker that plays a publication.
#[derive(Debug)]
pub(crate) struct RelayTo {
    pub(crate) worker: WorkerId,
    /// What it plays, as it was granted to the first of its players.
    pub(crate) stream: StreamId,
    pub(crate) subscriptions: Vec<SubscriptionKey>,
}

/// Another worker whose publication is played here.
#[derive(Debug)]
pub(crate) struct RelayFrom {
    pub(crate) home: WorkerId,
    pub(crate) stream: StreamId,
    /// What the publisher has sent since its latest key frame, where it cannot be asked for one.
    pub(crate) past: Option<Gop>,
}

impl Origin {
    pub(crate) fn peer(&self) -> Option<PeerKey> {
        match self {
            Self::Peer(key) => Some(*key),
            Self::Ingest(_) | Self::Relay(_) => None,
        }
    }

    /// What is kept since the latest key frame, where the publisher cannot be asked for one.
    pub(crate) fn past(&self) -> Option<&Gop> {
        match self {
            Self::Peer(_) => None,
            Self::Ingest(ingest) => Some(ingest.past()),
            Self::Relay(relay) => relay.past.as_ref(),
        }
    }

    /// What it is on its home, where that is another worker.
    pub(crate) fn stream(&self) -> Option<StreamId> {
        match self {
            Self::Peer(_) | Self::Ingest(_) => None,
            Self::Relay(relay) => Some(relay.stream),
        }
    }
}

/// Where the packets of a subscription go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A WebRTC connection.
    Peer(PeerKey),
    /// The caller takes them.
    Sink,
    /// Another worker, which has the connection.
    Relay {
        worker: WorkerId,
        /// The client has its answer.
        answered: bool,
    },
}

impl Destination {
    pub(crate) fn peer(self) -> Option<PeerKey> {
        match self {
            Self::Peer(key) => Some(key),
            Self::Sink | Self::Relay { .. } => None,
        }
    }
}

/// The key frame requests to one publisher.
#[derive(Debug, Default)]
pub(crate) struct Keyframes {
    pub(crate) sent: Option<Instant>,
    /// Someone has asked since the last key frame came.
    pub(crate) wanted: bool,
    /// When the next request may be sent, if one is to be.
    pub(crate) due: Option<Instant>,
}

/// A stream that someone plays.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) publication: PublicationKey,
    /// The room of the publication, noted where the subscription was granted.
    pub(crate) room: Option<RoomKey>,
    pub(crate) client: ClientId,
    pub(crate) media: MediaId,
    /// Where the client is, if that is another worker.
    pub(crate) home: Option<Home>,
    pub(crate) destination: Destination,
    pub(crate) live: bool,
    /// The way through what an ingest has sent since its latest key frame, while behind.
    pub(crate) replay: Option<Replay>,
    pub(crate) audio: Option<Forwarder>,
    pub(crate) video: Option<Forwarder>,
}

/// The worker that a player's client is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Home {
    pub(crate) worker: WorkerId,
    /// The subscription there.
    pub(crate) player: PlayerId,
    /// What it was granted there.
    pub(crate) stream: StreamId,
}

impl Subscription {
    pub(crate) fn forwarder(&self, kind: MediaKind) -> Option<&Forwarder> {
        match kind {
            MediaKind::Audio => self.audio.as_ref(),
            MediaKind::Video => self.video.as_ref(),
        }
    }

    pub(crate) fn forwarder_mut(&mut self, kind: MediaKind) -> Option<&mut Forwarder> {
        match kind {
            MediaKind::Audio => self.audio.as_mut(),
            MediaKind::Video => self.video.as_mut(),
        }
    }

    /// Whether its client has the answer to its offer.
    pub(crate) fn is_answered(&self) -> bool {
        match self.destination {
            Destination::Peer(_) | Destination::Sink => true,
            Destination::Relay { answered, .. } => answered,
        }
    }

    /// Whether a key frame is what it waits for.
    pub(crate) fn waits_for_keyframe(&self) -> bool {
        self.live && self.video.as_ref().is_some_and(Forwarder::is_waiting)
    }
}

/// All tables but that of the peers.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) rooms: SlotMap<RoomKey, Room>,
    pub(crate) room_names: BTreeMap<RoomName, RoomKey>,
    pub(crate) clients: BTreeMap<ClientId, Client>,
    pub(crate) publications: SlotMap<PublicationKey, Publication>,
    pub(crate) publication_names: BTreeMap<(Option<RoomKey>, PublicationName), PublicationKey>,
    pub(crate) subscriptions: SlotMap<SubscriptionKey, Subscription>,
    /// Whose datagrams come by which way.
    pub(crate) paths: BTreeMap<Path, PeerKey>,
    /// The publications of other workers.
    pub(crate) relayed: BTreeMap<(WorkerId, StreamId), PublicationKey>,
    /// The subscriptions for clients of other workers.
    pub(crate) guests: BTreeMap<(WorkerId, PlayerId), SubscriptionKey>,
    /// How many subscriptions have their connections on other workers.
    pub(crate) handed_on: usize,
}

impl Tables {
    /// The streams that have a connection here, or are brought or taken by the caller.
    pub(crate) fn streams(&self) -> usize {
        self.publications.len() - self.relayed.len() + self.subscriptions.len() - self.handed_on
    }
}
