//! Every bound of the core, in one place.
//!
//! Reaching one is a typed error for the one who asked; nobody else notices.

use std::time::Duration;

/// Most bytes of a room's name.
pub const ROOM_NAME_BYTES: usize = 128;
/// Most bytes of a participant's identity.
pub const IDENTITY_BYTES: usize = 128;
/// Most bytes of a publication's name: `<room>-<login>-<4 hex>-<suffix>` must fit.
pub const PUBLICATION_NAME_BYTES: usize = 384;
/// Most bytes of an SDP offer (Chromium's largest is 7 kB).
pub const OFFER_BYTES: usize = 64 * 1024;
/// Most media sections of an offer: a publication has one audio and one video.
pub const OFFER_MEDIA: usize = 4;
/// Most bytes of a chat message.
pub const MESSAGE_BYTES: usize = 32 * 1024;
/// Most bytes of the payload of a stream's data event.
pub const DATA_BYTES: usize = 32 * 1024;
/// Messages to everyone that a room keeps for those who come later.
pub const HISTORY_MESSAGES: usize = 200;
/// Most bytes of text that a room keeps for those who come later.
pub const HISTORY_BYTES: usize = 96 * 1024;
/// Largest datagram that is looked at.
pub const DATAGRAM_BYTES: usize = 2048;
/// Ways, each from an address of the client to a candidate, by which one peer may be reached at
/// the same time. A client with three addresses tries fifteen ways to a server with five.
pub const PATHS_PER_PEER: usize = 32;
/// Ways that one peer may take over its life, as networks change.
pub const PATHS_OVER_LIFE: usize = 256;
/// How long a way stays with a connected peer that was heard: nobody else takes it meanwhile.
/// Browsers send a check at least every 6 s (RFC 7675 §5.1).
pub const PATH_HELD: Duration = Duration::from_secs(7);
/// Shortest time between two key frame requests to one publisher.
pub const KEYFRAME_INTERVAL: Duration = Duration::from_millis(500);
/// How long a peer may take from its offer to a finished DTLS handshake.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes of datagrams after which no more are made until these are taken out: enough for one call
/// of the system, few enough to stay in the caches, and for the first ones not to wait for long.
pub const TRANSMIT_BYTES: usize = 128 * 1024;
/// Bytes of datagrams to send after which no more should be taken in until some are taken out:
/// answers to checks, and packets that are sent again, gather until then.
pub const BATCH_BYTES: usize = 512 * 1024;
/// Payloads of packets that nobody needs any more, whose memory is kept for others.
pub const SPARE_PAYLOADS: usize = 64;
/// Packets of publishers that wait to be passed on: with half as many, some should be taken out.
pub const WAITING_PACKETS: usize = 1024;
/// Packets kept for retransmission per video subscription.
pub const RETRANSMISSION_PACKETS: usize = 512;
/// Largest payload of an ingest's packet: with everything that is put around it, it goes
/// through networks without being fragmented.
pub const MEDIA_PAYLOAD: usize = 1200;
/// Packets of an ingest's picture that are kept since its latest key frame; more of them are
/// none.
pub const GOP_PACKETS: usize = 8192;
/// Bytes of them.
pub const GOP_BYTES: usize = 4 * 1024 * 1024;
/// How old the key frame may be that somebody begins to play with.
pub const GOP_AGE: Duration = Duration::from_secs(4);

const _: () = assert!(
    HISTORY_BYTES >= MESSAGE_BYTES,
    "the latest message is always kept"
);

/// The bounds an operator can set.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Limits {
    /// Rooms at the same time.
    pub rooms: usize,
    /// Participants of one room.
    pub participants: usize,
    /// Rooms that one client may be in.
    pub rooms_per_client: usize,
    /// Publications of one client, over all rooms.
    pub publications_per_client: usize,
    /// Subscriptions of one client, over all rooms.
    pub subscriptions_per_client: usize,
    /// Peers (publications and subscriptions) at the same time.
    pub peers: usize,
    /// Bytes of datagrams after which no more are made until these are taken out.
    #[serde(default = "transmit_bytes")]
    pub transmit_bytes: usize,
}

fn transmit_bytes() -> usize {
    TRANSMIT_BYTES
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rooms: 10_000,
            participants: 100,
            rooms_per_client: 16,
            publications_per_client: 8,
            subscriptions_per_client: 256,
            peers: 20_000,
            transmit_bytes: TRANSMIT_BYTES,
        }
    }
}
