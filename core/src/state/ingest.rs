//! Streams that do not come or go by WebRTC: the caller brings what an ingest sends, and takes
//! what a sink is to get.

use std::time::Instant;

use super::forward::pass_on;
use super::media::Owner;
use super::spread::Waiting;
use super::{Draws, Due, State};
use crate::capture::{CaptureClock, PEER_ASTRAY};
use crate::codec::{Codec, H264};
use crate::config::{AudioCodec, VideoCodec};
use crate::egress::ring::Ring;
use crate::event::News;
use crate::forwarder::{Forwarder, is_entry};
use crate::ingest::{Ingest, Piece, Replay};
use crate::limits;
use crate::media_packet::MediaPacket;
use crate::names::{Place, PublicationName};
use crate::request::{ClientId, MediaId, MediaKind, Muted, Reply, RequestError, VideoFormat};
use crate::sdp::narrow::Codecs;
use crate::speaker::Speaker;
use crate::tables::{
    Destination, Keyframes, Media, Origin, Publication, Subscription, SubscriptionKey,
};

impl State {
    pub(super) fn ingest(
        &mut self,
        owner: Owner,
        place: &Place,
        name: PublicationName,
        (audio, video): (Option<AudioCodec>, Option<VideoFormat>),
    ) -> Result<Reply, RequestError> {
        let (client, media) = owner;
        let room = self.free_place(owner, place, &name)?;
        let codecs = Codecs {
            audio: audio.map(Codec::from),
            video: video.map(Codec::from),
        };
        if codecs.audio.is_none() && codecs.video.is_none() {
            return Err(RequestError::NoCommonCodecs);
        }
        let key = self.tables.publications.insert(Publication {
            name: name.clone(),
            room,
            client,
            media,
            origin: Origin::Ingest(Box::new(Ingest::new())),
            codecs,
            announced: true,
            muted: Muted::default(),
            subscriptions: Vec::new(),
            relays: Vec::new(),
            keyframes: Keyframes::default(),
            ring: Ring::default(),
            speaker: Speaker::default(),
            silence_due: None,
            audio_source: None,
            video_source: None,
            clock: CaptureClock::new(PEER_ASTRAY),
        });
        self.enter_publication(owner, room, name, key);
        self.tell(client, News::Live { media });
        self.tell_of_publication(key, true);
        Ok(Reply::Done)
    }

    pub(super) fn sink(
        &mut self,
        now: Instant,
        owner: Owner,
        place: &Place,
        name: PublicationName,
        (audio, video): (&[AudioCodec], &[VideoCodec]),
        draws: &Draws,
    ) -> Result<Reply, RequestError> {
        let (client, media) = owner;
        let (room, publication_key) = self.watchable(owner, place, name)?;
        let publication = self.tables.publications.get_mut(publication_key);
        let publication = publication.ok_or(RequestError::NoSuchPublication)?;
        let muted = publication.muted;
        let Codecs {
            audio: sent_audio,
            video: sent_video,
        } = publication.codecs;
        let takes_audio = |codec: &Codec| {
            audio
                .iter()
                .any(|wanted| codec.audio_rank(*wanted).is_some())
        };
        let takes_video = |codec: &Codec| {
            video
                .iter()
                .any(|wanted| codec.video_rank(*wanted).is_some())
        };
        let taken_audio = sent_audio.filter(takes_audio);
        let taken_video = sent_video.filter(takes_video);
        let refused_video = if taken_video.is_some() {
            None
        } else {
            sent_video
        };
        if refused_video.is_some() || (sent_audio.is_some() && taken_audio.is_none()) {
            self.tell_mismatch(publication_key, (audio.to_vec(), video.to_vec()));
        }
        if taken_audio.is_none() && taken_video.is_none() {
            return Err(RequestError::NoCommonCodecs);
        }
        let [audio_start, video_start] = draws.starts;
        let key = self.tables.subscriptions.insert(Subscription {
            publication: publication_key,
            room,
            client,
            media,
            home: None,
            destination: Destination::Sink,
            live: false,
            replay: None,
            audio: taken_audio.map(|codec| Forwarder::new(codec, audio_start)),
            video: taken_video.map(|codec| Forwarder::new(codec, video_start)),
        });
        if let Some(publication) = self.tables.publications.get_mut(publication_key) {
            self.spread
                .enter(publication_key, publication.subscriptions.len());
            publication.subscriptions.push(key);
        }
        self.own(owner, Media::Subscription(key));
        self.tell(client, News::Live { media });
        self.begin_playing(now, key);
        Ok(Reply::Sink {
            audio: taken_audio.and_then(Codec::audio),
            video: taken_video.and_then(Codec::video),
            refused_video: refused_video.and_then(Codec::video),
            muted,
        })
    }

    /// A sink has lost its picture.
    pub(super) fn want_keyframe_for(
        &mut self,
        now: Instant,
        client: ClientId,
        media: MediaId,
    ) -> Result<Reply, RequestError> {
        let entry = self.tables.clients.get(&client);
        match entry.and_then(|client| client.media.get(&media)) {
            Some(Media::Subscription(key)) => {
                self.on_keyframe_wanted(now, *key);
                Ok(Reply::Done)
            }
            Some(Media::Publication(_)) | None => Err(RequestError::NoSuchMedia),
        }
    }

    pub(crate) fn handle_media(
        &mut self,
        now: Instant,
        client: ClientId,
        media: MediaId,
        packet: MediaPacket<'_>,
    ) {
        let now = self.advance(now);
        let Ok(key) = self.publication_of(client, media) else {
            self.counters.unexpected_packets += 1;
            return;
        };
        let Some(publication) = self.tables.publications.get_mut(key) else {
            return;
        };
        let codec = match packet.kind {
            MediaKind::Audio => publication.codecs.audio,
            MediaKind::Video => publication.codecs.video,
        };
        let Origin::Ingest(ingest) = &mut publication.origin else {
            self.counters.unexpected_packets += 1;
            return;
        };
        let Some(codec) = codec.filter(|_| packet.payload.len() <= limits::MEDIA_PAYLOAD) else {
            self.counters.unexpected_packets += 1;
            return;
        };
        self.counters.packets += 1;
        self.counters.ingested += 1;
        let entry = is_entry(codec, packet.payload);
        let (numbered, incoming) = ingest.number(now, &packet, entry);
        if packet.kind == MediaKind::Video {
            let old = publication.ring.keep(numbered.clone());
            self.spread.give_back(old);
        }
        let waiting = Waiting::new(key, packet.kind, numbered, incoming, 0);
        self.spread_later(now, waiting);
        // Who is shown the past goes on to what is kept of it from here.
        self.spread_all();
        self.hear_all(now);
    }

    /// Begins to show a subscriber what an ingest has sent since its latest key frame, if there
    /// is such.
    pub(super) fn begin_replay(&mut self, now: Instant, key: SubscriptionKey) -> bool {
        let Some(subscription) = self.tables.subscriptions.get_mut(key) else {
            return false;
        };
        let publication = self.tables.publications.get(subscription.publication);
        let past = publication.and_then(|publication| publication.origin.past());
        let Some(replay) = past.and_then(|past| past.replay(now)) else {
            return false;
        };
        self.deadlines.insert((replay.due, Due::Replay(key)));
        subscription.replay = Some(replay);
        true
    }

    pub(super) fn go_on_replaying(&mut self, now: Instant, key: SubscriptionKey) {
        let Some(subscription) = self.tables.subscriptions.get_mut(key) else {
            return;
        };
        let Some(replay) = subscription.replay.take() else {
            return;
        };
        let publication = self.tables.publications.get(subscription.publication);
        let Some(past) = publication.and_then(|publication| publication.origin.past()) else {
            return;
        };
        let Piece { packets, rest } = past.piece(now, replay);
        for (packet, incoming) in &packets {
            let way = (&mut self.peers, &mut self.outbox, &mut self.media);
            let kind = MediaKind::Video;
            if pass_on(way, subscription, kind, packet, *incoming) {
                self.counters.forwarded += 1;
            }
        }
        subscription.replay = rest;
        if let Some(Replay { due, .. }) = rest {
            self.deadlines.insert((due, Due::Replay(key)));
        }
    }
}

impl From<AudioCodec> for Codec {
    fn from(codec: AudioCodec) -> Self {
        match codec {
            AudioCodec::Opus => Self::Opus,
            AudioCodec::Pcmu => Self::Pcmu,
            AudioCodec::Pcma => Self::Pcma,
        }
    }
}

impl From<VideoFormat> for Codec {
    fn from(format: VideoFormat) -> Self {
        match format {
            VideoFormat::Vp8 => Self::Vp8,
            VideoFormat::H264 { profile_level_id } => Self::H264(H264 {
                profile_level_id: profile_level_id & 0x00ff_ffff,
                fragments: true,
            }),
        }
    }
}
