//! A publisher that is not a WebRTC connection: the caller brings its packets.
//!
//! Encoders cannot be asked for a key frame, so what has come since the latest one is kept: who
//! begins to play gets it at once, packet by packet, and goes on with what is live.

use std::time::{Duration, Instant};

use crate::capture::CaptureClock;
use crate::egress::ring::{Extensions, Packet};
use crate::forwarder::Incoming;
use crate::limits;
use crate::media_packet::MediaPacket;
use crate::relay::RelayedPacket;
use crate::request::MediaKind;

/// The numbering of an ingest's packets, and what is kept of its picture.
#[derive(Debug)]
pub(crate) struct Ingest {
    next_audio: u64,
    next_video: u64,
    clock: CaptureClock,
    gop: Gop,
}

/// What has come since the latest key frame: a group of pictures.
#[derive(Debug, Default)]
pub(crate) struct Gop {
    /// Counts key frames, so that a way through an earlier group is known as such.
    generation: u64,
    packets: Vec<(Packet, Incoming)>,
    bytes: usize,
}

/// How far a subscription is on its way through the group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Replay {
    generation: u64,
    next: usize,
    /// When it goes on.
    pub(crate) due: Instant,
}

/// The piece of a replay that is due.
pub(crate) struct Piece {
    pub(crate) packets: Vec<(Packet, Incoming)>,
    /// What is left, if anything is.
    pub(crate) rest: Option<Replay>,
}

/// Packets of a replay that go out at once, and the time to the next ones: fast, without
/// overflowing the buffers on the way.
const PIECE: usize = 48;
const PAUSE: Duration = Duration::from_millis(5);
/// How far an encoder's time may go astray from the machine's before they are put together anew.
const ASTRAY: Duration = Duration::from_secs(10);
/// The first sequence number: packets that would have been before it do not exist, and
/// subtraction must not pass zero.
const FIRST: u64 = 1 << 16;
/// The sources of an ingest, by which its two tracks are told apart.
const AUDIO: u32 = 1;
const VIDEO: u32 = 2;

impl Ingest {
    pub(crate) fn new() -> Self {
        Self {
            next_audio: FIRST,
            next_video: FIRST,
            clock: CaptureClock::new(ASTRAY),
            gop: Gop::default(),
        }
    }

    /// Numbers a packet. `entry`: a decoder can begin with it.
    pub(crate) fn number(
        &mut self,
        now: Instant,
        packet: &MediaPacket<'_>,
        entry: bool,
    ) -> (Packet, Incoming) {
        let arrived = self.clock.place(now, packet.captured);
        let (ssrc, next) = match packet.kind {
            MediaKind::Audio => (AUDIO, &mut self.next_audio),
            MediaKind::Video => (VIDEO, &mut self.next_video),
        };
        let sequence = *next;
        *next += 1;
        let incoming = Incoming {
            ssrc,
            sequence,
            timestamp: packet.timestamp,
            arrived,
            captured: Some(packet.captured),
            entry,
        };
        let numbered = Packet {
            ssrc,
            sequence,
            timestamp: packet.timestamp,
            marker: packet.marker,
            extensions: Extensions::default(),
            payload: packet.payload.into(),
        };
        if packet.kind == MediaKind::Video {
            self.gop.keep(&numbered, incoming);
        }
        (numbered, incoming)
    }

    /// What is kept of its picture.
    pub(crate) fn past(&self) -> &Gop {
        &self.gop
    }
}

impl Gop {
    /// A replay from the latest key frame, if there is something to replay.
    pub(crate) fn replay(&self, now: Instant) -> Option<Replay> {
        let (_, first) = self.packets.first()?;
        let recent = now.saturating_duration_since(first.arrived) <= limits::GOP_AGE;
        recent.then_some(Replay {
            generation: self.generation,
            next: 0,
            due: now,
        })
    }

    /// The next piece of a replay.
    pub(crate) fn piece(&self, now: Instant, replay: Replay) -> Piece {
        // A later key frame is gone on with: what lies before it shows as a loss.
        let same = replay.generation == self.generation;
        let from = if same { replay.next } else { 0 };
        let left = self.packets.get(from..).unwrap_or_default();
        let packets: Vec<_> = left.iter().take(PIECE).cloned().collect();
        let rest = (left.len() > packets.len()).then(|| Replay {
            generation: self.generation,
            next: from + packets.len(),
            due: now + PAUSE,
        });
        Piece { packets, rest }
    }

    /// The packets, oldest first, for another worker.
    pub(crate) fn told(&self, now: Instant) -> Vec<RelayedPacket> {
        let past = |(packet, incoming): &(Packet, Incoming)| {
            RelayedPacket::new(now, MediaKind::Video, packet, *incoming)
        };
        self.packets.iter().map(past).collect()
    }

    pub(crate) fn keep(&mut self, packet: &Packet, incoming: Incoming) {
        let begins = incoming.entry
            && self.packets.last().is_none_or(|(last, _)| {
                // Parameter sets and the slices behind them are one picture.
                last.timestamp != packet.timestamp
            });
        if begins {
            self.generation += 1;
            self.packets.clear();
            self.bytes = 0;
        } else if self.packets.is_empty() {
            // Before the first key frame, or after a group that grew too large.
            return;
        }
        self.bytes += packet.payload.len();
        if self.bytes > limits::GOP_BYTES || self.packets.len() >= limits::GOP_PACKETS {
            *self = Self {
                generation: self.generation + 1,
                ..Self::default()
            };
            return;
        }
        self.packets.push((packet.clone(), incoming));
    }
}
