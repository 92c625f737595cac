//! What signalling asks of the rooms, and what it gets.

use std::fmt;
use std::time::Duration;

use crate::config::{AudioCodec, VideoCodec};
#[cfg(doc)]
use crate::limits::Limits;
use crate::names::{Identity, Place, PublicationName, RoomName};

/// One signalling connection, numbered by the caller. Never used again after
/// [`Request::Disconnect`].
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct ClientId(pub u64);

/// One publication or subscription of a client, numbered by the caller. Unique per client for
/// the life of the client.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct MediaId(pub u32);

/// Sound or picture.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Picture.
    Video,
}

/// What a client can ask. Requests of one client are handled in the order in which they come.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Request {
    /// Enter a room, which is made if it is not there. Answered by [`Reply::Joined`]; the others
    /// get [`News::Joined`](crate::News::Joined).
    Join {
        /// The room.
        room: RoomName,
        /// Who the client wants to be there.
        identity: Identity,
        /// What an earlier [`Reply::Joined`] gave for this identity: with it the client takes the
        /// place of the participant that has the identity, who is removed.
        resume: Option<ResumeToken>,
    },
    /// Leave a room, ending all that the client publishes and plays there, without news of these
    /// ends to the client itself.
    Leave {
        /// The room.
        room: RoomName,
    },
    /// Say something to one participant of a room, or to all of them.
    SendMessage {
        /// The room, of which the client is a participant.
        room: RoomName,
        /// The one who is to get it. `None`: everyone else, and those who come later, from the
        /// room's history.
        to: Option<Identity>,
        /// The text, passed on as it is.
        text: String,
    },
    /// Offer a stream. Answered by [`Reply::Answer`]; [`News::Live`](crate::News::Live) follows
    /// once media can flow, and only then the others get
    /// [`News::Published`](crate::News::Published).
    Publish {
        /// The caller's number for the new publication.
        media: MediaId,
        /// Where it is published; the client must be a participant of that room.
        place: Place,
        /// What it is called, unique in its place.
        name: PublicationName,
        /// The SDP offer: `sendonly` (or `sendrecv`), up to one audio and one video section.
        offer: String,
    },
    /// Play a stream. Answered by [`Reply::Answer`]; [`News::Live`](crate::News::Live) follows
    /// once media can flow.
    Subscribe {
        /// The caller's number for the new subscription.
        media: MediaId,
        /// Where the publication is; the client must be a participant of that room.
        place: Place,
        /// Which publication.
        name: PublicationName,
        /// The SDP offer: `recvonly` (or `sendrecv`), up to one audio and one video section.
        offer: String,
    },
    /// Play a stream of a room without being a participant of it. Answered as
    /// [`Request::Subscribe`] is.
    Watch {
        /// The caller's number for the new subscription.
        media: MediaId,
        /// The room.
        room: RoomName,
        /// A publication's name; or a participant's, of whom the oldest live publication is played.
        name: PublicationName,
        /// The SDP offer, as with [`Request::Subscribe`].
        offer: String,
    },
    /// Offer a stream whose packets the caller brings by [`Sfu::handle_media`]: an ingest. It is
    /// live at once. Answered by [`Reply::Done`], then [`News::Live`](crate::News::Live).
    ///
    /// [`Sfu::handle_media`]: crate::Sfu::handle_media
    Ingest {
        /// The caller's number for the new publication.
        media: MediaId,
        /// Where it is published; the client must be a participant of that room.
        place: Place,
        /// What it is called, unique in its place.
        name: PublicationName,
        /// The codec of its sound, if it has any.
        audio: Option<AudioCodec>,
        /// The format of its picture, if it has one.
        video: Option<VideoFormat>,
    },
    /// Play a stream whose packets the caller takes by [`Sfu::poll_media`]: a sink. Answered by
    /// [`Reply::Sink`]; packets come from the next key frame on, which is asked for.
    ///
    /// [`Sfu::poll_media`]: crate::Sfu::poll_media
    Sink {
        /// The caller's number for the new subscription.
        media: MediaId,
        /// Where the publication is. The client need not be a participant of that room.
        place: Place,
        /// A publication's name; in a room also a participant's, of whom the oldest live
        /// publication is played.
        name: PublicationName,
        /// The codecs of sound that the caller takes.
        audio: Vec<AudioCodec>,
        /// The codecs of pictures that the caller takes.
        video: Vec<VideoCodec>,
    },
    /// A sink of this client has lost its picture.
    WantKeyframe {
        /// Which subscription of this client.
        media: MediaId,
    },
    /// End a publication or subscription of this client. Its own end is not told as news.
    Stop {
        /// Which.
        media: MediaId,
    },
    /// Tell the players of a publication that its sound or picture is muted, or no longer is.
    SetMuted {
        /// Which publication of this client.
        media: MediaId,
        /// Sound or picture.
        kind: MediaKind,
        /// Whether it is muted from here on.
        muted: bool,
    },
    /// Pass data to the players of a publication.
    SendData {
        /// Which publication of this client.
        media: MediaId,
        /// The data, passed on as it is (JSON text in WCS).
        payload: String,
    },
    /// Ask whether a publication is there to be played. Answered by [`Reply::Available`].
    Find {
        /// Where it is looked for.
        place: Place,
        /// Which publication.
        name: PublicationName,
    },
    /// The client is gone: it leaves all rooms and all its media ends, without news to itself.
    Disconnect,
}

/// The picture of an ingest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum VideoFormat {
    /// VP8 (RFC 7741).
    Vp8,
    /// H.264 (RFC 6184) in packetization mode 1.
    H264 {
        /// profile_idc, profile-iop and level_idc, a byte each (RFC 6184 §8.1).
        profile_level_id: u32,
    },
}

/// What a publication says of its muted parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Muted {
    /// The sound is muted.
    pub audio: bool,
    /// The picture is muted.
    pub video: bool,
}

/// A participant as others see it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Member {
    /// Who it is.
    pub identity: Identity,
    /// Its live publications, oldest first.
    pub publications: Vec<PublicationName>,
}

/// Something that was said to everyone in a room.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Said {
    /// Who said it.
    pub from: Identity,
    /// The text.
    pub text: String,
    /// How long ago.
    pub age: Duration,
}

/// A secret that proves that one was a participant.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ResumeToken(pub String);

impl fmt::Debug for ResumeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResumeToken(..)")
    }
}

impl ResumeToken {
    /// Compares in a time that tells nothing of where the tokens differ.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.0.as_bytes(), other.0.as_bytes());
        let differing = mine
            .iter()
            .zip(theirs)
            .fold(0, |bits, (a, b)| bits | (a ^ b));
        mine.len() == theirs.len() && differing == 0
    }
}

/// The answer to a request that succeeded.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub enum Reply {
    /// It is done.
    Done,
    /// The client is in the room.
    Joined {
        /// The participants who were there before, in the order of their coming.
        members: Vec<Member>,
        /// What was said to all, oldest first.
        history: Vec<Said>,
        /// Those of the members who are speaking.
        speakers: Vec<Identity>,
        /// Lets the client come back in its own place when its connection is lost.
        resume: ResumeToken,
    },
    /// The client's stream is being set up.
    Answer {
        /// The SDP answer, with all candidates.
        sdp: String,
        /// Sound is part of the stream.
        audio: bool,
        /// A picture is part of the stream.
        video: bool,
        /// What the publication says of its muted parts.
        muted: Muted,
    },
    /// The client's sink is set up: what it gets. `None` where the publication has nothing of the
    /// kind, or has it in a codec that the caller does not take; not both.
    Sink {
        /// The codec of the sound.
        audio: Option<AudioCodec>,
        /// The codec of the picture.
        video: Option<VideoCodec>,
        /// The codec of a picture that the caller does not take.
        refused_video: Option<VideoCodec>,
        /// What the publication says of its muted parts.
        muted: Muted,
    },
    /// Whether the publication is there.
    Available(bool),
    /// The answer is made elsewhere: it comes as [`News::Answered`](crate::News::Answered), once,
    /// whatever becomes of the stream meanwhile. Given to [`Request::Subscribe`] and
    /// [`Request::Watch`] only.
    Later {
        /// Which subscription of the client.
        media: MediaId,
    },
}

/// Why a request was refused. The text is a sentence for the one who asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize)]
pub enum RequestError {
    /// Another participant of the room has this identity.
    #[error("The login \"{0}\" is already in use in this room")]
    IdentityInUse(Identity),
    /// The client is in this room already.
    #[error("You are already in this room")]
    AlreadyJoined,
    /// The client is not a participant of this room.
    #[error("You are not in this room")]
    NotInRoom,
    /// The room has no such participant.
    #[error("There is no participant \"{0}\" in this room")]
    NoSuchParticipant(Identity),
    /// There is no such publication in this place.
    #[error("Stream not found")]
    NoSuchPublication,
    /// Another publication of this place has the name.
    #[error("Stream name is already in use")]
    PublicationNameInUse,
    /// The client has no publication or subscription of this number.
    #[error("There is no such stream in this session")]
    NoSuchMedia,
    /// The client has used this number before.
    #[error("MediaSessionId is already in use")]
    MediaInUse,
    /// The offer cannot be answered.
    #[error("The SDP offer was not understood: {0}")]
    BadOffer(String),
    /// The offer and the publication (or the server's configuration) share no codec.
    #[error("No common codecs")]
    NoCommonCodecs,
    /// A limit of this server is reached.
    #[error("{0}")]
    TooMany(TooMany),
    /// The text is longer than the limit.
    #[error("A {what} has at most {limit} bytes")]
    TooLong {
        /// What was too long.
        what: &'static str,
        /// The most bytes allowed.
        limit: usize,
    },
    /// The server has no capacity for the request right now.
    #[error("The server is busy, try again")]
    Busy,
    /// From where the client comes, too many names were asked for in vain. Said before the rooms
    /// are asked, never by them.
    #[error("Too many names were asked for in vain from your address; wait a minute")]
    InVain,
}

/// Which of the [`Limits`] is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, serde::Serialize)]
pub enum TooMany {
    /// [`Limits::rooms`].
    #[error("This server has no more rooms")]
    Rooms,
    /// [`Limits::participants`].
    #[error("This room is full")]
    Participants,
    /// [`Limits::rooms_per_client`].
    #[error("You are in too many rooms")]
    RoomsPerClient,
    /// [`Limits::publications_per_client`].
    #[error("You publish too many streams")]
    PublicationsPerClient,
    /// [`Limits::subscriptions_per_client`].
    #[error("You play too many streams")]
    SubscriptionsPerClient,
    /// [`Limits::peers`].
    #[error("This server has no more streams")]
    Peers,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_token_is_no_token() {
        let token = ResumeToken("abcdef".to_owned());
        assert!(token.matches(&token));
        for other in ["", "abc", "abcdeg", "abcdefg"] {
            let other = ResumeToken(other.to_owned());
            assert!(!token.matches(&other) && !other.matches(&token));
        }
    }
}
