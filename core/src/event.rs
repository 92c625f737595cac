//! News for the clients.

use crate::config::{AudioCodec, VideoCodec};
use crate::names::{Identity, PublicationName, RoomName};
use crate::request::{ClientId, MediaId, MediaKind, Reply, RequestError};

/// News for one client.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Event {
    /// Who is to hear it.
    pub client: ClientId,
    /// What happened.
    pub news: News,
}

/// What happened, as one client sees it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub enum News {
    /// Someone entered a room of the client.
    Joined {
        /// The room.
        room: RoomName,
        /// Who.
        identity: Identity,
    },
    /// Someone left a room of the client. Follows [`News::Unpublished`] for each of their
    /// publications.
    Left {
        /// The room.
        room: RoomName,
        /// Who.
        identity: Identity,
    },
    /// Someone else's publication in a room of the client can be played.
    Published {
        /// The room.
        room: RoomName,
        /// Who publishes.
        identity: Identity,
        /// What.
        name: PublicationName,
    },
    /// Someone else's publication in a room of the client has ended.
    Unpublished {
        /// The room.
        room: RoomName,
        /// Who published.
        identity: Identity,
        /// What.
        name: PublicationName,
    },
    /// Someone says something to the client.
    Message {
        /// The room.
        room: RoomName,
        /// Who says it.
        from: Identity,
        /// What.
        text: String,
        /// It was said to everyone, as opposed to this client alone.
        to_all: bool,
    },
    /// Someone in a room of the client, perhaps the client itself, begins or ceases to speak.
    Speaking {
        /// The room.
        room: RoomName,
        /// Who.
        identity: Identity,
        /// Whether they speak from here on.
        speaking: bool,
    },
    /// The client has lost its place in a room to another one that knew its
    /// [`ResumeToken`](crate::ResumeToken). All that it had there has ended.
    Replaced {
        /// The room.
        room: RoomName,
    },
    /// Someone could not play a publication of the client for want of a common codec.
    CodecMismatch {
        /// Which publication of the client.
        media: MediaId,
        /// The audio codecs that the player offered.
        audio: Vec<AudioCodec>,
        /// The video codecs that the player offered.
        video: Vec<VideoCodec>,
    },
    /// The answer to the request that [`Reply::Later`] was given to.
    Answered {
        /// Which subscription of the client.
        media: MediaId,
        /// The answer, as [`Sfu::handle_request`](crate::Sfu::handle_request) gives it.
        result: Result<Reply, RequestError>,
    },
    /// A publication or subscription of the client is connected: media can flow.
    Live {
        /// Which.
        media: MediaId,
    },
    /// A publication or subscription of the client has ended, not by its own request.
    Ended {
        /// Which; the number is free of any meaning from here on.
        media: MediaId,
        /// Why.
        reason: EndReason,
    },
    /// The publication that the client plays has muted its sound or picture, or has unmuted it.
    Muted {
        /// Which subscription of the client.
        media: MediaId,
        /// Sound or picture.
        kind: MediaKind,
        /// Whether it is muted from here on.
        muted: bool,
    },
    /// The publication that the client plays sends data.
    Data {
        /// Which subscription of the client.
        media: MediaId,
        /// The data as it was given.
        payload: String,
    },
}

/// Why a publication or subscription has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum EndReason {
    /// The publication that was played is over.
    PublisherStopped,
    /// No connection came about in [`CONNECT_TIMEOUT`](crate::limits::CONNECT_TIMEOUT).
    ConnectTimeout,
    /// The peer was connected and is silent (no consent checks, RFC 7675).
    ConsentExpired,
    /// The DTLS handshake failed, or the certificate is not the one of the offer.
    DtlsFailed,
    /// The peer closed the connection (DTLS `close_notify`).
    Closed,
    /// The peer broke the protocol in another way.
    Failed,
}
