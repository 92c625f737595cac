//! Media that does not come or go by WebRTC.

use std::time::Duration;

use crate::payload::Payload;
use crate::request::{ClientId, MediaId, MediaKind};

/// A packet of an ingest.
#[derive(Debug, Clone, Copy)]
pub struct MediaPacket<'a> {
    /// Sound or picture.
    pub kind: MediaKind,
    /// The RTP timestamp, in the ticks of the codec's clock.
    pub timestamp: u32,
    /// The last packet of a picture (RFC 6184 §5.1), the first one after silence (RFC 3551 §4.1).
    pub marker: bool,
    /// When it was captured, counted from an instant of the caller's choice: sound and picture of
    /// the same time belong together. It passes as the machine's time does.
    pub captured: Duration,
    /// The RTP payload, at most [`MEDIA_PAYLOAD`](crate::limits::MEDIA_PAYLOAD) bytes.
    pub payload: &'a [u8],
}

/// A packet for a sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkPacket {
    /// Whose sink.
    pub client: ClientId,
    /// Which of the client's subscriptions.
    pub media: MediaId,
    /// Sound or picture.
    pub kind: MediaKind,
    /// The extended sequence number: a gap is a loss, or a packet that comes late.
    pub sequence: u64,
    /// The RTP timestamp, in the ticks of the codec's clock.
    pub timestamp: u32,
    /// That of the publisher's packet.
    pub marker: bool,
    /// When it was captured by the publisher's clock, which is one for sound and picture. `None`
    /// until a browser has said how its clock and its timestamps go together.
    pub captured: Option<Duration>,
    /// The RTP payload.
    pub payload: Payload,
}
