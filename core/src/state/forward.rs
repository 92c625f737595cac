//! The way of a packet from a publisher to its subscribers, and of a key frame request back.

use std::time::{Duration, Instant};

use str0m::rtp::RtpPacket;

use super::{Due, State, arm};
use crate::forwarder::{Incoming, is_entry};
use crate::limits;
use crate::request::MediaKind;
use crate::tables::{PublicationKey, SubscriptionKey};

/// A publisher that changes its source is followed when the old one has been silent this long:
/// two sources at once would tear the stream.
const SOURCE_SILENCE: Duration = Duration::from_millis(500);
/// A key frame that somebody still waits for is asked for again after this time: requests and
/// answers get lost.
const KEYFRAME_RETRY: Duration = Duration::from_secs(1);

const _: () = assert!(KEYFRAME_RETRY.as_millis() >= limits::KEYFRAME_INTERVAL.as_millis());

impl State {
    /// Passes a packet on to everyone who plays the publication.
    pub(super) fn forward(&mut self, now: Instant, key: PublicationKey, packet: &RtpPacket) {
        self.counters.packets += 1;
        let Some(publication) = self.tables.publications.get_mut(key) else {
            return;
        };
        let kind = self.peers.get(publication.peer);
        let kind = kind.and_then(|peer| peer.kind_of(packet.header.payload_type));
        let codec = kind.and_then(|kind| match kind {
            MediaKind::Audio => publication.codecs.audio,
            MediaKind::Video => publication.codecs.video,
        });
        let (Some(kind), Some(codec)) = (kind, codec) else {
            self.counters.unexpected_packets += 1;
            return;
        };
        let ssrc = *packet.header.ssrc;
        let source = publication.source_mut(kind);
        let switches = source.is_some_and(|(current, _)| current != ssrc);
        match source {
            Some((current, heard))
                if *current != ssrc && now.saturating_duration_since(*heard) < SOURCE_SILENCE =>
            {
                self.counters.unexpected_packets += 1;
                return;
            }
            Some(_) | None => *source = Some((ssrc, now)),
        }
        let incoming = Incoming {
            ssrc,
            sequence: *packet.seq_no,
            timestamp: packet.header.timestamp,
            arrived: packet.timestamp,
            entry: is_entry(codec, &packet.payload),
        };
        if kind == MediaKind::Video && incoming.entry {
            publication.keyframes.wanted = false;
        }
        if let Some(level) = packet.header.ext_vals.audio_level
            && kind == MediaKind::Audio
        {
            self.hear_level(now, key, level);
        }
        self.fan_out(now, key, kind, packet, incoming);
        if switches && kind == MediaKind::Video && !incoming.entry {
            self.want_keyframe(now, key);
        }
    }

    fn fan_out(
        &mut self,
        now: Instant,
        key: PublicationKey,
        kind: MediaKind,
        packet: &RtpPacket,
        incoming: Incoming,
    ) {
        let Some(publication) = self.tables.publications.get(key) else {
            return;
        };
        let room = publication.room;
        for subscription in &publication.subscriptions {
            let Some(subscription) = self.tables.subscriptions.get_mut(*subscription) else {
                continue;
            };
            assert!(
                subscription.publication == key && subscription.room == room,
                "media must not cross rooms"
            );
            if !subscription.live {
                continue;
            }
            let peer_key = subscription.peer;
            let Some(forwarder) = subscription.forwarder_mut(kind) else {
                continue;
            };
            let Some(outgoing) = forwarder.forward(incoming) else {
                continue;
            };
            let Some(peer) = self.peers.get_mut(peer_key) else {
                continue;
            };
            peer.send(now, &mut self.outbox, kind, packet, outgoing);
            self.counters.forwarded += 1;
            arm(&mut self.deadlines, peer_key, peer);
        }
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
        let peer_key = publication.peer;
        let Some(peer) = self.peers.get_mut(peer_key) else {
            return;
        };
        if peer.live {
            publication.keyframes.wanted = false;
            publication.keyframes.sent = Some(now);
            self.counters.keyframe_requests += 1;
            let source = publication.video_source.map(|(ssrc, _)| ssrc);
            peer.request_keyframe(now, &mut self.outbox, source);
            self.arm(peer_key);
        }
        if waiting {
            self.plan_keyframe(key, now + KEYFRAME_RETRY);
        }
    }
}
