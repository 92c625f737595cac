//! What leaves for a subscriber: packets renumbered, sealed and counted, some of them again, and
//! the reports about them.
//!
//! str0m does ICE and DTLS of a subscriber's connection and knows of no media there. The keys
//! come from its DTLS, and everything under them is sealed here: one sealer a connection.

pub(crate) mod ring;
pub(crate) mod rtcp;

use std::time::{Duration, Instant};

use crate::codec::Codec;
use crate::forwarder::Outgoing;
use crate::request::MediaKind;
use crate::srtp::{Failed, Keys, RtcpOpener, RtcpSealer, RtpSealer, Side};
use ring::{Extensions, Packet};
use rtcp::{Feedback, Received, Sent};

/// Packets sent again may be a third of all: a subscriber that reports losses without end gets
/// no more of them. A packet sent earns one credit, one sent again costs [`RESEND_COST`].
const RESEND_COST: u16 = 2;
/// What a subscriber has to begin with, and at most: a burst of losses is repaired whole.
const CREDIT: u16 = 512;

/// The longest time to a subscriber and back that is believed.
const ROUND_TRIP: Duration = Duration::from_secs(60);

/// One track as a subscriber's answer describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Track {
    pub(crate) kind: MediaKind,
    pub(crate) codec: Codec,
    pub(crate) payload_type: u8,
    pub(crate) ssrc: u32,
    /// How packets are sent again (RFC 4588), where the subscriber offers it.
    pub(crate) rtx: Option<Rtx>,
    /// The subscriber's ids of the header extensions that are passed on.
    pub(crate) audio_level: Option<u8>,
    pub(crate) video_orientation: Option<u8>,
}

/// The stream of packets that are sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rtx {
    pub(crate) payload_type: u8,
    pub(crate) ssrc: u32,
}

/// What one track has sent.
struct Sender {
    track: Track,
    packets: u32,
    octets: u32,
    /// The timestamp of the latest packet, and when it came.
    latest: Option<(u32, Instant)>,
    /// The extended sequence number of the next packet that is sent again.
    next_rtx: u64,
    /// Packets that the subscriber has reported as lost.
    lost: u32,
}

/// What a datagram of a subscriber's feedback says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// What it asks for.
    pub(crate) wishes: Vec<Wish>,
    /// Packets lost on the way to it since its reports before.
    pub(crate) lost: u32,
    /// The time to it and back, where it says so.
    pub(crate) round_trip: Option<Duration>,
}

/// What a subscriber asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// These packets of a track again.
    Again(MediaKind, Vec<u16>),
    /// A key frame.
    Keyframe,
}

/// How well a subscriber is reached, by its latest reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Quality {
    /// Packets lost on the way to it.
    pub(crate) lost: u32,
    /// Of 256 packets of the picture, else of the sound.
    pub(crate) fraction_lost: u8,
    /// The time to it and back.
    pub(crate) round_trip: Option<Duration>,
    /// The rate that gets through to it, as it estimates, in bits a second.
    pub(crate) estimate: Option<u64>,
}

/// The media side of a subscriber's connection.
pub(crate) struct Egress {
    /// In their own place, since every packet comes by.
    senders: [Option<Sender>; KINDS],
    cname: String,
    keys: Option<(RtpSealer, RtcpSealer, RtcpOpener)>,
    credit: u16,
    quality: Quality,
}

/// How many tracks there can be: one of each kind.
const KINDS: usize = 2;

fn place(kind: MediaKind) -> usize {
    match kind {
        MediaKind::Audio => 0,
        MediaKind::Video => 1,
    }
}

impl Egress {
    /// An egress that waits for its keys.
    pub(crate) fn new(tracks: Vec<Track>, cname: String) -> Self {
        let sender = |track| Sender {
            track,
            packets: 0,
            octets: 0,
            latest: None,
            next_rtx: 1,
            lost: 0,
        };
        let mut senders = [None, None];
        for track in tracks {
            let place = place(track.kind);
            senders[place] = Some(sender(track));
        }
        Self {
            senders,
            cname,
            keys: None,
            credit: CREDIT,
            quality: Quality::default(),
        }
    }

    /// Takes the keys of the finished handshake. Those of a connection never change: a second
    /// sealer would begin its indices anew.
    pub(crate) fn begin(&mut self, keys: &Keys) -> Result<(), Failed> {
        if self.keys.is_none() {
            self.keys = Some((
                keys.rtp_sealer(Side::Server)?,
                keys.rtcp_sealer(Side::Server)?,
                keys.rtcp_opener(Side::Client)?,
            ));
        }
        Ok(())
    }

    /// Appends the datagram of a packet with its new numbers to `bytes`; `None` without keys or
    /// track. What is appended then is no datagram; so it is with the others.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        kind: MediaKind,
        packet: &Packet,
        outgoing: Outgoing,
        bytes: &mut Vec<u8>,
    ) -> Option<()> {
        let (sealer, ..) = self.keys.as_ref()?;
        let sender = self.senders[place(kind)].as_mut()?;
        let Track {
            payload_type, ssrc, ..
        } = sender.track;
        let begin = bytes.len();
        let header = Header {
            payload_type,
            marker: packet.marker,
            ssrc,
            outgoing,
        };
        header.write(bytes, packet.extensions.under(&sender.track));
        let clear = bytes.len();
        bytes.extend_from_slice(&packet.payload);
        sealer.seal(bytes, begin..clear, outgoing.sequence).ok()?;
        sender.packets = sender.packets.wrapping_add(1);
        // A payload is shorter than a datagram.
        sender.octets = sender.octets.wrapping_add(packet.payload.len() as u32);
        if sender
            .latest
            .is_none_or(|(latest, _)| is_newer(outgoing.timestamp, latest))
        {
            sender.latest = Some((outgoing.timestamp, now));
        }
        self.credit = (self.credit + 1).min(CREDIT);
        Some(())
    }

    /// Appends the datagram that sends a packet again (RFC 4588 §4); `None` where the subscriber has not
    /// offered it, or asks for too much.
    pub(crate) fn resend(
        &mut self,
        kind: MediaKind,
        packet: &Packet,
        outgoing: Outgoing,
        bytes: &mut Vec<u8>,
    ) -> Option<()> {
        let (sealer, ..) = self.keys.as_ref()?;
        let sender = self.senders[place(kind)].as_mut()?;
        let Rtx { payload_type, ssrc } = sender.track.rtx?;
        self.credit = self.credit.checked_sub(RESEND_COST)?;
        let sequence = sender.next_rtx;
        sender.next_rtx += 1;
        let begin = bytes.len();
        let outgoing_rtx = Outgoing {
            sequence,
            timestamp: outgoing.timestamp,
        };
        let header = Header {
            payload_type,
            marker: packet.marker,
            ssrc,
            outgoing: outgoing_rtx,
        };
        header.write(bytes, packet.extensions.under(&sender.track));
        let clear = bytes.len();
        // The original sequence number, of which 16 bits are on the wire.
        bytes.extend_from_slice(&(outgoing.sequence as u16).to_be_bytes());
        bytes.extend_from_slice(&packet.payload);
        sealer.seal(bytes, begin..clear, sequence).ok()
    }

    /// Appends the datagram of the sender reports for all that has been sent; `ntp` is the date of
    /// `now`.
    pub(crate) fn report(&mut self, now: Instant, ntp: u64, bytes: &mut Vec<u8>) -> Option<()> {
        let sent: Vec<Sent> = self
            .senders
            .iter()
            .flatten()
            .filter_map(|sender| sender.report(now, ntp))
            .collect();
        if sent.is_empty() {
            return None;
        }
        self.seal(rtcp::reports(&sent, &self.cname), bytes)
    }

    /// Appends the datagram that says goodbye for all that has been sent.
    pub(crate) fn goodbye(&mut self, bytes: &mut Vec<u8>) -> Option<()> {
        let sent = self
            .senders
            .iter()
            .flatten()
            .filter(|sender| sender.packets > 0);
        let ssrcs: Vec<u32> = sent.map(|sender| sender.track.ssrc).collect();
        if ssrcs.is_empty() {
            return None;
        }
        self.seal(rtcp::goodbye(&ssrcs), bytes)
    }

    fn seal(&mut self, mut compound: Vec<u8>, bytes: &mut Vec<u8>) -> Option<()> {
        let (_, sealer, _) = self.keys.as_mut()?;
        sealer.seal(&mut compound).ok()?;
        bytes.extend_from_slice(&compound);
        Some(())
    }

    /// What a datagram of the subscriber's feedback says; `ntp` is the date of the present. Refused
    /// where it is not the subscriber's, or comes again.
    pub(crate) fn open(&mut self, ntp: u64, datagram: &[u8]) -> Result<Heard, Failed> {
        let (_, _, opener) = self.keys.as_mut().ok_or(Failed)?;
        let compound = opener.open(datagram)?;
        let mut heard = Heard::default();
        for feedback in rtcp::read(&compound) {
            match feedback {
                Feedback::Lost { ssrc, sequences } => {
                    let sender = self.sender(ssrc);
                    let kind = sender.map(|sender| sender.track.kind);
                    let wish = kind.map(|kind| Wish::Again(kind, sequences));
                    heard.wishes.extend(wish);
                }
                Feedback::KeyframeWanted { ssrc } => {
                    let sender = self.sender(ssrc);
                    heard.wishes.extend(sender.map(|_| Wish::Keyframe));
                }
                Feedback::Received(received) => self.note(ntp, received, &mut heard),
                Feedback::Estimate(rate) => self.quality.estimate = Some(rate),
            }
        }
        Ok(heard)
    }

    fn sender(&mut self, ssrc: u32) -> Option<&mut Sender> {
        let mut senders = self.senders.iter_mut().flatten();
        senders.find(|sender| sender.track.ssrc == ssrc)
    }

    fn note(&mut self, ntp: u64, received: Received, heard: &mut Heard) {
        let Some(sender) = self.sender(received.ssrc) else {
            return;
        };
        // No more can be lost than were sent.
        let lost = u32::try_from(received.lost)
            .unwrap_or(0)
            .min(sender.packets);
        let since = lost.saturating_sub(sender.lost);
        sender.lost += since;
        heard.lost += since;
        self.quality.lost = self.quality.lost.saturating_add(since);
        self.quality.fraction_lost = received.fraction_lost;
        if received.sender_report != 0 {
            // RFC 3550 §6.4.1, in 65536ths of a second, which wrap.
            let since_report = ((ntp >> 16) as u32).wrapping_sub(received.sender_report);
            let round_trip = since_report.checked_sub(received.delay);
            let micros = |units: u32| u64::from(units) * 1_000_000 / 65_536;
            let round_trip = round_trip.map(|units| Duration::from_micros(micros(units)));
            heard.round_trip = round_trip.filter(|time| *time <= ROUND_TRIP);
            self.quality.round_trip = heard.round_trip.or(self.quality.round_trip);
        }
    }

    /// How well the subscriber is reached.
    pub(crate) fn quality(&self) -> Quality {
        self.quality
    }
}

impl Sender {
    fn report(&self, now: Instant, ntp: u64) -> Option<Sent> {
        let (latest, at) = self.latest?;
        let ticks_in = |elapsed: Duration| {
            let ticks = elapsed.as_micros() * u128::from(self.track.codec.clock_rate()) / 1_000_000;
            // Truncation is the wrap of the timestamp.
            ticks as u32
        };
        // What an encoder sends may be of a time that is to come: one of the two is zero.
        let since = ticks_in(now.saturating_duration_since(at));
        let until = ticks_in(at.saturating_duration_since(now));
        Some(Sent {
            ssrc: self.track.ssrc,
            ntp,
            timestamp: latest.wrapping_add(since).wrapping_sub(until),
            packets: self.packets,
            octets: self.octets,
        })
    }
}

fn is_newer(timestamp: u32, than: u32) -> bool {
    timestamp.wrapping_sub(than) < 1 << 31
}

/// The profile of one-byte header extensions (RFC 8285 §4.2).
const ONE_BYTE: [u8; 2] = [0xbe, 0xde];

struct Header {
    payload_type: u8,
    marker: bool,
    ssrc: u32,
    outgoing: Outgoing,
}

impl Header {
    /// Writes the header (RFC 3550 §5.1) with extensions of one byte each: id and value.
    fn write(&self, datagram: &mut Vec<u8>, extensions: [Option<(u8, u8)>; 2]) {
        // Of the extended number 16 bits are on the wire.
        let [s0, s1] = (self.outgoing.sequence as u16).to_be_bytes();
        let [t0, t1, t2, t3] = self.outgoing.timestamp.to_be_bytes();
        let [c0, c1, c2, c3] = self.ssrc.to_be_bytes();
        let second = self.payload_type | if self.marker { 0x80 } else { 0 };
        let fixed = |first| [first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3];
        if extensions == [None, None] {
            datagram.extend_from_slice(&fixed(0x80));
            return;
        }
        datagram.extend_from_slice(&fixed(0x90));
        // At most two elements of two bytes: one word.
        let mut extension = [ONE_BYTE[0], ONE_BYTE[1], 0, 1, 0, 0, 0, 0];
        let places = extension[4..].chunks_exact_mut(2);
        for (place, (id, value)) in places.zip(extensions.into_iter().flatten()) {
            place.copy_from_slice(&[id << 4, value]);
        }
        datagram.extend_from_slice(&extension);
    }
}

impl Extensions {
    /// The values that a track's subscriber has ids for.
    fn under(self, track: &Track) -> [Option<(u8, u8)>; 2] {
        [
            track.audio_level.zip(self.audio_level),
            track.video_orientation.zip(self.video_orientation),
        ]
    }
}

#[cfg(test)]
mod tests;
