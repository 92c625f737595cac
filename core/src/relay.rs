//! What passes between workers, where a publication has players on more than one of them.
//!
//! A room lives on one worker, its *home*, which alone knows who is in it, who may play what, and
//! tells clients what happens to their streams. Where a publication has many players, the home
//! asks another worker to play it for further ones: that worker owns their connections, and is
//! sent each packet of the publication once. Messages of one worker to another one arrive in the
//! order in which they were sent; packets may be lost on the way, the other messages never are.

use std::time::{Duration, Instant};

use chacha20::rand_core::Rng;
use serde::{Deserialize, Serialize};
use slotmap::{Key, KeyData};

use crate::egress::ring::Packet;
use crate::entropy::{Purpose, Seed};
use crate::event::EndReason;
use crate::forwarder::Incoming;
use crate::names::{Identity, PublicationName, RoomName};
use crate::request::{ClientId, MediaId, MediaKind, RequestError, TooMany};
use crate::sdp::narrow::Codecs;
use crate::tables::{PublicationKey, RoomKey, SubscriptionKey};

/// A worker, numbered from zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WorkerId(pub u16);

/// The workers that a machine can hand players on to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Team {
    /// Which of them this machine is.
    pub own: WorkerId,
    /// How many there are.
    pub size: u16,
    /// Players of one publication on its home, before further ones are handed on. With zero, all
    /// of them are.
    pub relay_after: usize,
}

impl Default for Team {
    /// A machine that is alone.
    fn default() -> Self {
        Self {
            own: WorkerId(0),
            size: 1,
            relay_after: 150,
        }
    }
}

/// One worker's message to another one: see [`Sfu::poll_relay`](crate::Sfu::poll_relay).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Relay {
    pub(crate) message: Message,
    /// No part of what is said, nor of journals.
    #[serde(skip)]
    pub(crate) cause: u32,
}

impl Relay {
    pub(crate) fn new(message: Message) -> Self {
        Self { message, cause: 0 }
    }

    /// The message, told to a worker with a number of the caller's: see
    /// [`Transmit::cause`](crate::Transmit::cause).
    pub fn caused_by(self, cause: u32) -> Self {
        Self { cause, ..self }
    }

    /// The number of what the packet came in: see [`Transmit::cause`](crate::Transmit::cause).
    pub fn cause(&self) -> u32 {
        self.cause
    }

    /// Whether it is a packet, which may be lost: see
    /// [`Sfu::handle_relay_refused`](crate::Sfu::handle_relay_refused).
    pub fn is_packet(&self) -> bool {
        matches!(self.message, Message::Packet { .. })
    }

    /// Whether handling it takes randomness.
    pub(crate) fn draws(&self) -> bool {
        matches!(self.message, Message::Play(_))
    }
}

/// What a worker says to another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Message {
    /// The home: play this for a client of mine. Answered by [`Message::Answered`].
    Play(Box<Play>),
    /// The home: this player has stopped.
    Stop { player: PlayerId },
    /// The home: this stream is over, for all of its players.
    End { stream: StreamId },
    /// The home: a packet of a stream.
    Packet {
        stream: StreamId,
        packet: RelayedPacket,
    },
    /// To the home: the client's answer.
    Answered {
        player: PlayerId,
        answer: Result<Answer, Refused>,
    },
    /// To the home: the player is connected.
    Live { player: PlayerId },
    /// To the home: the player has ended by itself.
    Ended { player: PlayerId, reason: EndReason },
    /// To the home: somebody needs a key frame.
    KeyframeWanted { stream: StreamId },
}

/// One machine of those that a worker has one after the other, as where each journal begins with an
/// empty one: their numbers begin anew, and messages to an earlier one may still be on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct MachineId(u64);

impl MachineId {
    pub(crate) fn new(seed: &Seed) -> Self {
        Self(seed.generator(Purpose::MachineId).next_u64())
    }
}

/// A publication of another worker, with the room that it is in: by that worker's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct StreamId {
    machine: MachineId,
    room: Option<u64>,
    publication: u64,
}

impl StreamId {
    pub(crate) fn new(
        machine: MachineId,
        room: Option<RoomKey>,
        publication: PublicationKey,
    ) -> Self {
        Self {
            machine,
            room: room.map(|room| room.data().as_ffi()),
            publication: publication.data().as_ffi(),
        }
    }

    /// The publication, if it is of this machine.
    pub(crate) fn publication(self, own: MachineId) -> Option<PublicationKey> {
        (self.machine == own).then(|| KeyData::from_ffi(self.publication).into())
    }
}

/// A subscription of another worker, by that worker's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct PlayerId {
    machine: MachineId,
    subscription: u64,
}

impl PlayerId {
    pub(crate) fn new(machine: MachineId, subscription: SubscriptionKey) -> Self {
        Self {
            machine,
            subscription: subscription.data().as_ffi(),
        }
    }

    /// The subscription, if it is of this machine.
    pub(crate) fn subscription(self, own: MachineId) -> Option<SubscriptionKey> {
        (self.machine == own).then(|| KeyData::from_ffi(self.subscription).into())
    }
}

/// What is to be played for whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Play {
    pub(crate) player: PlayerId,
    /// What the home has granted to the player.
    pub(crate) stream: StreamId,
    /// The client of the home, and its number for the stream.
    pub(crate) of: (ClientId, MediaId),
    /// The client's name in the room: for those who explain a call.
    #[serde(default)]
    pub(crate) identity: Option<Identity>,
    pub(crate) offer: String,
    pub(crate) publication: Published,
}

/// A publication, as far as another worker has to know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Published {
    /// Where it is; `None` outside of rooms.
    pub(crate) room: Option<RoomName>,
    pub(crate) name: PublicationName,
    pub(crate) publisher: (ClientId, MediaId),
    /// The publisher's name in the room: for those who explain a call.
    #[serde(default)]
    pub(crate) identity: Option<Identity>,
    pub(crate) codecs: Codecs,
    /// Of a publisher that cannot be asked for key frames: what it has sent since the latest one.
    /// It is told to the first player of a worker.
    pub(crate) past: Option<Vec<RelayedPacket>>,
}

/// A packet of a publication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RelayedPacket {
    pub(crate) kind: MediaKind,
    /// A receiver can begin with it.
    entry: bool,
    /// The time since it arrived, or was captured, as [`Incoming::arrived`] says it.
    age: Age,
    pub(crate) packet: Packet,
}

/// A time that may still be to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Age {
    Past(Duration),
    Ahead(Duration),
}

impl RelayedPacket {
    pub(crate) fn new(now: Instant, kind: MediaKind, packet: &Packet, incoming: Incoming) -> Self {
        let age = match incoming.arrived.checked_duration_since(now) {
            Some(ahead) => Age::Ahead(ahead),
            None => Age::Past(now.saturating_duration_since(incoming.arrived)),
        };
        Self {
            kind,
            entry: incoming.entry,
            age,
            packet: packet.clone(),
        }
    }

    /// The packet as it is renumbered, where it is told at `now`.
    pub(crate) fn incoming(&self, now: Instant) -> Incoming {
        let arrived = match self.age {
            Age::Past(age) => now.checked_sub(age),
            Age::Ahead(ahead) => now.checked_add(ahead),
        };
        Incoming {
            ssrc: self.packet.ssrc,
            sequence: self.packet.sequence,
            timestamp: self.packet.timestamp,
            arrived: arrived.unwrap_or(now),
            // Sinks alone ask for it, and they are with their home.
            captured: None,
            entry: self.entry,
        }
    }
}

/// The answer to a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) sdp: String,
    pub(crate) audio: bool,
    pub(crate) video: bool,
}

/// Why another worker does not play something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Refused {
    Offer(String),
    NoCommonCodecs,
    TooManyPeers,
}

impl From<RequestError> for Refused {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::NoCommonCodecs => Self::NoCommonCodecs,
            RequestError::TooMany(_) => Self::TooManyPeers,
            RequestError::BadOffer(reason) => Self::Offer(reason),
            // A worker that plays for another one asks nothing else of a player.
            RequestError::IdentityInUse(_)
            | RequestError::AlreadyJoined
            | RequestError::NotInRoom
            | RequestError::NoSuchParticipant(_)
            | RequestError::NoSuchPublication
            | RequestError::PublicationNameInUse
            | RequestError::NoSuchMedia
            | RequestError::MediaInUse
            | RequestError::TooLong { .. }
            | RequestError::Busy
            | RequestError::InVain => Self::Offer(error.to_string()),
        }
    }
}

impl From<Refused> for RequestError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Offer(reason) => Self::BadOffer(reason),
            Refused::NoCommonCodecs => Self::NoCommonCodecs,
            Refused::TooManyPeers => Self::TooMany(TooMany::Peers),
        }
    }
}
