//! What there is, as the model knows it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use parlor_core::config::AudioCodec;
use parlor_core::{ClientId, MediaId, MediaKind, Muted, Place, ResumeToken, RoomName};

use crate::client::Received;
use crate::media::{Codec, Kinds};
use crate::world::ClientKey;

/// The names of rooms; the place outside of rooms has none.
const ROOMS: [&str; 3] = ["red", "blue", "green"];
/// The mark of the first encoder's payloads; those of connections have their keys.
pub(super) const ENCODERS: u32 = 1 << 30;

/// Where a stream is: in one of the rooms, or outside of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Spot {
    Room(usize),
    Open,
}

impl Spot {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Room(room) => ROOMS[room],
            Self::Open => "",
        }
    }

    pub(super) fn room(self) -> Option<RoomName> {
        RoomName::new(self.name()).ok()
    }

    pub(super) fn place(self) -> Place {
        self.room().map_or(Place::Open, Place::Room)
    }

    pub(super) fn of(room: &RoomName) -> Self {
        let at = ROOMS.iter().position(|name| *name == room.as_str());
        Self::Room(at.expect("one of the rooms"))
    }
}

/// How a stream comes or goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Connection(ClientKey),
    Encoder(u32),
    /// By RTMP.
    Camera(u32),
    Sink,
}

/// A stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) spot: Spot,
    pub(super) name: String,
    pub(super) way: Way,
    pub(super) kinds: Kinds,
    /// How sound is coded, if it has some.
    pub(super) sound: AudioCodec,
    /// The mark of what it plays; `None` for a publication.
    pub(super) plays: Option<u32>,
    pub(super) live: bool,
    /// It said goodbye, or its client is gone.
    pub(super) over: bool,
    /// Something has happened by which it may have been lost.
    pub(super) troubled: bool,
    /// What the publication says, or what the player was told of it.
    pub(super) muted: Muted,
}

impl Stream {
    /// The mark of a publication's payloads.
    pub(super) fn mark(&self) -> Option<u32> {
        match (self.plays, self.way) {
            (None, Way::Connection(key)) => Some(key as u32),
            (None, Way::Encoder(mark) | Way::Camera(mark)) => Some(mark),
            (None, Way::Sink) | (Some(_), _) => None,
        }
    }

    pub(super) fn connection(&self) -> Option<ClientKey> {
        match self.way {
            Way::Connection(key) => Some(key),
            Way::Encoder(_) | Way::Camera(_) | Way::Sink => None,
        }
    }
}

/// What one client has been told of a room: the others and their streams.
pub(super) type Seen = BTreeMap<String, BTreeSet<String>>;

/// Somebody's place in a room.
#[derive(Debug)]
pub(super) struct Stay {
    pub(super) seen: Seen,
    pub(super) token: ResumeToken,
}

/// A client.
#[derive(Debug, Default)]
pub(super) struct Person {
    pub(super) identity: String,
    pub(super) streams: BTreeMap<u32, Stream>,
    pub(super) rooms: BTreeMap<Spot, Stay>,
    /// The texts that it has been told, if it is a room client by RTMP.
    pub(super) heard: Vec<String>,
    /// The number of its latest stream.
    pub(super) media: u32,
    /// It is gone without a word; when that is noticed.
    pub(super) noticed: Option<Instant>,
}

impl Person {
    pub(super) fn new(identity: String) -> Self {
        Self {
            identity,
            ..Self::default()
        }
    }

    pub(super) fn may_act(&self, spot: Spot) -> bool {
        spot == Spot::Open || self.rooms.contains_key(&spot)
    }

    pub(super) fn count(&self, plays: bool) -> usize {
        let streams = self.streams.values();
        streams
            .filter(|stream| stream.plays.is_some() == plays)
            .count()
    }
}

/// A subscription that was begun at some time: what has come of it is looked at in the end.
#[derive(Debug, Clone)]
pub(super) struct Playing {
    pub(super) owner: (ClientId, MediaId),
    pub(super) way: Way,
    pub(super) publisher: u32,
}

/// A publication that was begun at some time.
#[derive(Debug, Clone)]
pub(super) struct Published {
    pub(super) spot: Spot,
    pub(super) kinds: Kinds,
    pub(super) sound: AudioCodec,
}

/// A publication that somebody wants to play.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub(super) mark: u32,
    pub(super) kinds: Kinds,
    pub(super) sound: AudioCodec,
    pub(super) muted: Muted,
}

/// What sinks have been given.
pub(super) type Sunk = BTreeMap<(ClientId, MediaId), Vec<Received>>;

/// What a player that offers `offered`, and sound in one of `sounds`, gets of a publication;
/// nothing where that is refused.
pub(super) fn common(target: Target, offered: Kinds, sounds: &[AudioCodec]) -> Option<Kinds> {
    let sent = target.kinds;
    if sent.audio && offered.audio && !sounds.contains(&target.sound) {
        return None;
    }
    let video = match (sent.video, offered.video) {
        (Some(sent), Some(offered)) if sent != offered => return None,
        (Some(sent), Some(_)) => Some(sent),
        _ => None,
    };
    let audio = sent.audio && offered.audio;
    (audio || video.is_some()).then_some(Kinds { audio, video })
}

/// The same for a sink, which refuses a part and takes the rest.
pub(super) fn taken(target: Target, audio: &[AudioCodec], video: &[Codec]) -> Option<Kinds> {
    let sent = target.kinds;
    let video = sent.video.filter(|sent| video.contains(sent));
    let audio = sent.audio && audio.contains(&target.sound);
    (audio || video.is_some()).then_some(Kinds { audio, video })
}

/// Sets a part of what is said to be muted.
pub(super) fn mute(state: &mut Muted, kind: MediaKind, muted: bool) {
    match kind {
        MediaKind::Audio => state.audio = muted,
        MediaKind::Video => state.video = muted,
    }
}
