//! What a machine can be asked to tell beside its outputs, so that somebody can explain them.
//!
//! Nothing here changes what a machine does.

use crate::codec::{Codec, H264};
use crate::config::VideoCodec;
use crate::event::EndReason;
use crate::forwarder::is_entry;
use crate::names::{Identity, PublicationName, RoomName};
use crate::request::{ClientId, MediaId, MediaKind};
use crate::srtp::watch::Watch;
use crate::srtp::{Keys, Side};

pub use crate::state::snapshot::{ParticipantState, PlayerState, PublicationState, RoomState};

/// What a machine tells that is asked to: see [`Sfu::observe`](crate::Sfu::observe).
#[derive(Debug)]
pub enum Observation {
    /// The DTLS handshake of a stream's connection is done; its media can be read.
    Secured {
        /// Whose stream.
        client: ClientId,
        /// Which.
        media: MediaId,
        /// Reads the media that it carries.
        reader: Box<Reader>,
    },
    /// A client of another worker plays something here: see [`crate::Relay`].
    Guest {
        /// Whose stream, by the other worker's numbers.
        client: ClientId,
        /// Which.
        media: MediaId,
        /// Where the publication is; `None` outside of rooms.
        room: Option<RoomName>,
        /// The publication.
        name: PublicationName,
        /// The participant who plays it; `None` for who is not in a room.
        identity: Option<Identity>,
        /// The stream that is played, by the other worker's numbers, and the participant whose it
        /// is.
        publisher: (ClientId, MediaId, Option<Identity>),
        /// The SDP answer.
        answer: String,
    },
    /// A guest's stream is connected.
    GuestLive {
        /// Whose stream.
        client: ClientId,
        /// Which.
        media: MediaId,
    },
    /// A guest's stream is over.
    GuestEnded {
        /// Whose stream.
        client: ClientId,
        /// Which.
        media: MediaId,
        /// Why it has ended here; `None` where the other worker has said so.
        reason: Option<EndReason>,
    },
    /// A packet of a publication of another worker has come, for those who play it here.
    Relayed {
        /// Whose publication, by the other worker's numbers.
        client: ClientId,
        /// Which.
        media: MediaId,
        /// Sound or picture.
        kind: MediaKind,
    },
}

/// Who has sent a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// The client.
    Client,
    /// This server.
    Server,
}

/// Reads sealed packets of one connection (SRTP, RFC 3711) beside those whom they are for. One
/// reader reads any packet once or again, in about the order in which they went.
pub struct Reader {
    client: Watch,
    server: Watch,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader(..)")
    }
}

impl Reader {
    pub(crate) fn new(keys: &Keys) -> Option<Self> {
        Some(Self {
            client: Watch::new(keys, Side::Client).ok()?,
            server: Watch::new(keys, Side::Server).ok()?,
        })
    }

    /// The RTP packet in a sealed one; `None` where it is not one of `sender`.
    pub fn read_rtp(&mut self, sender: Sender, sealed: &[u8]) -> Option<Vec<u8>> {
        self.side(sender).open_rtp(sealed).ok()
    }

    /// The compound RTCP packet in a sealed one; `None` where it is not one of `sender`.
    pub fn read_rtcp(&mut self, sender: Sender, sealed: &[u8]) -> Option<Vec<u8>> {
        self.side(sender).open_rtcp(sealed).ok()
    }

    fn side(&mut self, sender: Sender) -> &mut Watch {
        match sender {
            Sender::Client => &mut self.client,
            Sender::Server => &mut self.server,
        }
    }
}

/// Whether a receiver can begin to show pictures with the packet of this RTP payload.
pub fn begins_picture(codec: VideoCodec, payload: &[u8]) -> bool {
    let codec = match codec {
        VideoCodec::Vp8 => Codec::Vp8,
        // The parameters make no difference to where a picture begins.
        VideoCodec::H264 => Codec::H264(H264 {
            profile_level_id: 0,
            fragments: true,
        }),
    };
    is_entry(codec, payload)
}
