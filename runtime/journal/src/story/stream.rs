//! What is told of one stream, by its packets.

use std::collections::BTreeMap;
use std::time::Duration;

use parlor_core::observe::{Sender, begins_picture};
use parlor_core::{Identity, RoomName, VideoCodec};

use crate::digest::Class;
use crate::pcap::Clear;
use crate::ways::Stream;

/// What a payload type is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Payload {
    Sound,
    Picture(VideoCodec),
    Again,
}

/// What a packet says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    FirstPicture,
    KeyframeAsked,
    /// A picture that stood still for this long moves.
    Moves(Duration),
    Goodbye,
}

/// A stream.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) room: Option<RoomName>,
    pub(super) name: String,
    pub(super) title: String,
    pub(super) publishes: bool,
    /// The publication that it plays.
    pub(super) of: Option<Stream>,
    /// Of a guest: who it is, and whose publication it plays, where they are in a room.
    pub(super) named: Vec<Identity>,
    guest: bool,
    payloads: BTreeMap<u8, Payload>,
    pub(super) latest_picture: Option<Duration>,
    still_since: Option<Duration>,
    begun: bool,
    /// Packets that were reported lost, and packets sent again, since it was last told.
    lost: u64,
    again: u64,
    tells: Duration,
}

/// A picture that does not move for this long is told of.
const STILL: Duration = Duration::from_millis(500);
/// How often losses are told.
const LOSSES: Duration = Duration::from_secs(1);

impl Told {
    pub(super) fn new(
        room: Option<RoomName>,
        name: &str,
        title: String,
        publishes: bool,
        of: Option<Stream>,
        answer: Option<&str>,
    ) -> Self {
        let payloads = answer.map(payloads).unwrap_or_default();
        Self {
            room,
            name: name.to_owned(),
            title,
            publishes,
            of,
            named: Vec::new(),
            guest: false,
            payloads,
            latest_picture: None,
            still_since: None,
            begun: false,
            lost: 0,
            again: 0,
            tells: Duration::ZERO,
        }
    }

    /// That of a client of another worker, to whom these names belong.
    pub(super) fn guest(self, named: Vec<Identity>) -> Self {
        Self {
            named,
            guest: true,
            ..self
        }
    }

    pub(super) fn is_guest(&self) -> bool {
        self.guest
    }

    pub(super) fn packet(&mut self, at: Duration, clear: &Clear<'_>) -> Vec<Heard> {
        match clear.class {
            Class::Rtp => self.rtp(at, clear.contents),
            Class::Rtcp => self.rtcp(clear),
            Class::Stun | Class::Dtls => Vec::new(),
        }
    }

    fn rtp(&mut self, at: Duration, packet: &[u8]) -> Vec<Heard> {
        let mut heard = Vec::new();
        let Some((payload_type, payload)) = split(packet) else {
            return heard;
        };
        match self.payloads.get(&payload_type) {
            Some(Payload::Picture(codec)) => {
                self.latest_picture = Some(at);
                if let Some(since) = self.still_since.take() {
                    heard.push(Heard::Moves(at.saturating_sub(since)));
                }
                if !self.begun && begins_picture(*codec, payload) {
                    self.begun = true;
                    heard.push(Heard::FirstPicture);
                }
            }
            Some(Payload::Again) => self.again += 1,
            Some(Payload::Sound) | None => {}
        }
        heard
    }

    fn rtcp(&mut self, clear: &Clear<'_>) -> Vec<Heard> {
        let mut heard = Vec::new();
        let mut rest = clear.contents;
        // RFC 3550 §6.1: each packet says how long it is.
        while let Some((&[first, kind, high, low], _)) = rest.split_first_chunk() {
            let length = 4 * (usize::from(u16::from_be_bytes([high, low])) + 1);
            let Some((packet, next)) = rest.split_at_checked(length) else {
                break;
            };
            match (kind, first & 0x1f) {
                // RFC 4585 §6.3.1, RFC 5104 §4.3.1.
                (206, 1 | 4) => heard.push(Heard::KeyframeAsked),
                // RFC 4585 §6.2.1: a number and a mask of those after it.
                (205, 1) => {
                    let nacks = packet.get(12..).unwrap_or_default().chunks_exact(4);
                    let counts = nacks.map(|nack| {
                        1 + u64::from(u16::from_be_bytes([nack[2], nack[3]]).count_ones())
                    });
                    self.lost += counts.sum::<u64>();
                }
                (203, _) if clear.sender == Sender::Client => heard.push(Heard::Goodbye),
                _ => {}
            }
            rest = next;
        }
        heard
    }

    /// What there is to tell of losses.
    pub(super) fn losses(&mut self, at: Duration) -> Option<String> {
        if self.lost + self.again == 0 || at < self.tells {
            return None;
        }
        self.tells = at + LOSSES;
        let (lost, again) = (
            std::mem::take(&mut self.lost),
            std::mem::take(&mut self.again),
        );
        Some(match self.publishes {
            true => format!("{lost} packets asked for again (NACK), {again} come again"),
            false => format!("{lost} packets reported lost (NACK), {again} sent again"),
        })
    }

    /// Tells once that the picture stands still. `source` is when the publication that it plays had
    /// its latest packet of a picture.
    pub(super) fn stands_still(
        &mut self,
        at: Duration,
        source: Option<Duration>,
    ) -> Option<String> {
        let latest = self.latest_picture?;
        if self.still_since.is_some() || at.saturating_sub(latest) < STILL {
            return None;
        }
        self.still_since = Some(latest);
        let why = match (self.publishes, source) {
            (true, _) => "nothing of it comes",
            (false, Some(source)) if at.saturating_sub(source) < STILL => {
                "the publisher sends, and the server waits for a key frame"
            }
            (false, _) if self.guest => "nothing of it comes from the publisher's worker",
            (false, _) => "nothing comes from the publisher",
        };
        Some(format!("the picture stands still: {why}"))
    }
}

/// The payload types of an answer.
fn payloads(sdp: &str) -> BTreeMap<u8, Payload> {
    let maps = sdp.lines().filter_map(|line| {
        let (number, codec) = line.strip_prefix("a=rtpmap:")?.split_once(' ')?;
        let name = codec.split('/').next()?.to_ascii_uppercase();
        let payload = match name.as_str() {
            "VP8" => Payload::Picture(VideoCodec::Vp8),
            "H264" => Payload::Picture(VideoCodec::H264),
            "RTX" => Payload::Again,
            _ => Payload::Sound,
        };
        Some((number.parse().ok()?, payload))
    });
    maps.collect()
}

/// The payload type and the payload of an RTP packet.
fn split(packet: &[u8]) -> Option<(u8, &[u8])> {
    let &[first, second, ..] = packet else {
        return None;
    };
    let mut length = 12 + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let words: [u8; 2] = packet.get(length + 2..length + 4)?.try_into().ok()?;
        length += 4 + 4 * usize::from(u16::from_be_bytes(words));
    }
    Some((second & 0x7f, packet.get(length..)?))
}
