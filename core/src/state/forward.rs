//! The way of a packet from a publisher to its subscribers, and of a key frame request back.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use slotmap::SlotMap;

use super::spread::Waiting;
use super::{Due, State};
use crate::egress::ring::Packet;
use crate::epoch;
use crate::forwarder::{Incoming, is_entry};
use crate::ingress::Arrival;
use crate::limits;
use crate::media_packet::SinkPacket;
use crate::peer::{Outbox, Peer};
use crate::relay::Message;
use crate::request::MediaKind;
use crate::tables::{Destination, Origin, PeerKey, PublicationKey, Subscription, SubscriptionKey};

/// A publisher that changes its source is followed when the old one has been silent this long:
/// two sources at once would tear the stream.
const SOURCE_SILENCE: Duration = Duration::from_millis(500);
/// A key frame that somebody still waits for is asked for again after this time: requests and
/// answers get lost.
const KEYFRAME_RETRY: Duration = Duration::from_secs(1);

/// Time between two reports of what a subscriber has been sent (RFC 3550 §6.2 scales it by the
/// bandwidth; browsers send one a second for a picture).
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// From 1900, where NTP begins, to 1970.
const NTP_BEFORE_UNIX: Duration = Duration::from_secs(2_208_988_800);

const _: () = assert!(KEYFRAME_RETRY.as_millis() >= limits::KEYFRAME_INTERVAL.as_millis());

impl State {
    /// Passes a packet on to everyone who plays the publication.
    pub(super) fn forward(&mut self, now: Instant, key: PublicationKey, arrival: Arrival) {
        let Arrival {
            kind,
            codec,
            captured,
            packet,
        } = arrival;
        self.counters.packets += 1;
        let Some(publication) = self.tables.publications.get_mut(key) else {
            return;
        };
        let source = publication.source_mut(kind);
        let switches = source.is_some_and(|(current, _)| current != packet.ssrc);
        match source {
            Some((current, heard))
                if *current != packet.ssrc
                    && now.saturating_duration_since(*heard) < SOURCE_SILENCE =>
            {
                self.counters.unexpected_packets += 1;
                return;
            }
            Some(_) | None => *source = Some((packet.ssrc, now)),
        }
        let incoming = Incoming {
            ssrc: packet.ssrc,
            sequence: packet.sequence,
            timestamp: packet.timestamp,
            arrived: publication.clock.place_one(now, kind, captured),
            captured,
            entry: is_entry(codec, &packet.payload),
        };
        match kind {
            MediaKind::Audio => {
                if let Some(level) = packet.extensions.audio_level {
                    // In dBov below the loudest (RFC 6464 §3), the voice's bit beside.
                    self.hear_level(now, key, -((level & 0x7f) as i8));
                }
            }
            MediaKind::Video => {
                if incoming.entry {
                    publication.keyframes.wanted = false;
                }
                let old = publication.ring.keep(packet.clone());
                self.spread.give_back(old);
            }
        }
        let waiting = Waiting::new(key, kind, packet, incoming, self.cause);
        self.spread_later(now, waiting);
        if switches && kind == MediaKind::Video && !incoming.entry {
            self.want_keyframe(now, key);
            // Who waits for it is known when they have got the packet.
            self.plan_keyframe(key, now + KEYFRAME_RETRY);
        }
    }

    /// A subscriber has lost packets: what is still there goes out again.
    pub(super) fn on_packets_lost(
        &mut self,
        peer: PeerKey,
        key: SubscriptionKey,
        kind: MediaKind,
        sequences: &[u16],
    ) {
        let Some(subscription) = self.tables.subscriptions.get(key) else {
            return;
        };
        let Some(publication) = self.tables.publications.get(subscription.publication) else {
            return;
        };
        let Some(forwarder) = subscription.forwarder(kind) else {
            return;
        };
        let Some(peer) = self.peers.get_mut(peer) else {
            return;
        };
        for sequence in sequences {
            let Some(origin) = forwarder.origin(*sequence) else {
                continue;
            };
            let Some(packet) = publication.ring.find(origin.ssrc, origin.sequence) else {
                continue;
            };
            let Some(outgoing) = origin.again(packet.timestamp) else {
                continue;
            };
            if peer.resend(&mut self.outbox, kind, packet, outgoing) {
                self.counters.resent += 1;
            }
        }
    }

    /// Tells a subscriber what it has been sent, and plans the next time.
    pub(super) fn report(&mut self, now: Instant, key: PeerKey) {
        let ntp = self.ntp(now);
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        peer.send_report(now, &mut self.outbox, ntp);
        self.plan_report(key, now + REPORT_INTERVAL);
    }

    pub(super) fn plan_report(&mut self, key: PeerKey, at: Instant) {
        if let Some(peer) = self.peers.get_mut(key) {
            peer.report_due = Some(at);
            self.deadlines.insert((at, Due::Report(key)));
        }
    }

    /// The date of an instant as NTP has it: the machine's time begins at a fixed date, and
    /// players use differences only.
    pub(super) fn ntp(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.begun) + epoch::BEGINNING + NTP_BEFORE_UNIX;
        let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
        // NTP's 32 bits of seconds begin anew in 2036.
        (since.as_secs() & u64::from(u32::MAX)) << 32 | fraction
    }

    /// A subscriber has lost its picture (PLI or FIR).
    pub(super) fn on_keyframe_wanted(&mut self, now: Instant, key: SubscriptionKey) {
        if let Some(subscription) = self.tables.subscriptions.get(key) {
            self.want_keyframe(now, subscription.publication);
        }
    }

    /// Asks the publisher for a key frame, at once or when the throttle allows it.
    pub(super) fn want_keyframe(&mut self, now: Instant, key: PublicationKey) {
        let Some(publication) = self.tables.publications.get_mut(key) else {
            return;
        };
        if publication.codecs.video.is_none() {
            return;
        }
        publication.keyframes.wanted = true;
        let sent = publication.keyframes.sent;
        let at = sent.map_or(now, |sent| now.max(sent + limits::KEYFRAME_INTERVAL));
        if at <= now {
            self.request_keyframe(now, key);
        } else {
            self.plan_keyframe(key, at);
        }
    }

    fn plan_keyframe(&mut self, key: PublicationKey, at: Instant) {
        let Some(publication) = self.tables.publications.get_mut(key) else {
            return;
        };
        let keyframes = &mut publication.keyframes;
        if keyframes.due.is_none_or(|due| at < due) {
            if let Some(due) = keyframes.due.replace(at) {
                self.deadlines.remove(&(due, Due::Keyframe(key)));
            }
            self.deadlines.insert((at, Due::Keyframe(key)));
        }
    }

    /// Sends the request if somebody still needs it, and plans to ask again while anybody waits.
    pub(super) fn request_keyframe(&mut self, now: Instant, key: PublicationKey) {
        let Some(publication) = self.tables.publications.get_mut(key) else {
            return;
        };
        if let Some(due) = publication.keyframes.due.take() {
            self.deadlines.remove(&(due, Due::Keyframe(key)));
        }
        let waiting = publication.subscriptions.iter();
        let waiting = waiting.filter_map(|key| self.tables.subscriptions.get(*key));
        let waiting = waiting
            .into_iter()
            .any(|subscription| subscription.waits_for_keyframe());
        if !publication.keyframes.wanted && !waiting {
            return;
        }
        // An encoder cannot be asked; what its subscribers begin with is kept (see `Gop`).
        if publication.origin.past().is_some() {
            return;
        }
        match &publication.origin {
            Origin::Ingest(_) => {}
            Origin::Peer(peer_key) => {
                let peer_key = *peer_key;
                let Some(peer) = self.peers.get_mut(peer_key) else {
                    return;
                };
                if peer.live {
                    publication.keyframes.wanted = false;
                    publication.keyframes.sent = Some(now);
                    self.counters.keyframe_requests += 1;
                    let source = publication.video_source.map(|(ssrc, _)| ssrc);
                    peer.request_keyframe(&mut self.outbox, source);
                    self.arm(peer_key);
                }
            }
            Origin::Relay(relay) => {
                let (home, stream) = (relay.home, relay.stream);
                publication.keyframes.wanted = false;
                publication.keyframes.sent = Some(now);
                self.send_relay(home, Message::KeyframeWanted { stream });
            }
        }
        if waiting {
            self.plan_keyframe(key, now + KEYFRAME_RETRY);
        }
    }
}

/// Sends one packet to one subscriber. Returns false where it does not get it.
pub(super) fn pass_on(
    (peers, outbox, media): (
        &mut SlotMap<PeerKey, Peer>,
        &mut Outbox,
        &mut VecDeque<SinkPacket>,
    ),
    subscription: &mut Subscription,
    kind: MediaKind,
    packet: &Packet,
    incoming: Incoming,
) -> bool {
    let forwarder = subscription.forwarder_mut(kind);
    let Some(outgoing) = forwarder.and_then(|forwarder| forwarder.forward(incoming)) else {
        return false;
    };
    match subscription.destination {
        Destination::Peer(peer) => peers
            .get_mut(peer)
            // Reports relate what is sent to the time at which it came.
            .is_some_and(|peer| peer.send(incoming.arrived, outbox, kind, packet, outgoing)),
        Destination::Sink => {
            media.push_back(SinkPacket {
                client: subscription.client,
                media: subscription.media,
                kind,
                sequence: outgoing.sequence,
                timestamp: outgoing.timestamp,
                marker: packet.marker,
                captured: incoming.captured,
                payload: packet.payload.clone(),
            });
            true
        }
        // Its worker is passed the packet once, for all players there.
        Destination::Relay { .. } => false,
    }
}
