//! A room as it is at an instant, for people who look for a fault.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::State;
use crate::config::{AudioCodec, VideoCodec};
use crate::names::{Identity, PublicationName, RoomName};
use crate::request::{ClientId, MediaId, Muted};
use crate::tables::{Publication, Subscription};

/// A room.
#[derive(Debug, Clone, Serialize)]
pub struct RoomState {
    /// Its name.
    pub room: RoomName,
    /// Who is in it, in the order of their coming.
    pub participants: Vec<ParticipantState>,
    /// What is published in it.
    pub publications: Vec<PublicationState>,
}

/// A participant.
#[derive(Debug, Clone, Serialize)]
pub struct ParticipantState {
    /// Who.
    pub identity: Identity,
    /// By which connection.
    pub client: ClientId,
}

/// A stream that is published.
#[derive(Debug, Clone, Serialize)]
pub struct PublicationState {
    /// Its name.
    pub name: PublicationName,
    /// Whose it is.
    pub client: ClientId,
    /// The client's number for it.
    pub media: MediaId,
    /// The others have been told of it.
    pub announced: bool,
    /// The codec of the sound.
    pub audio: Option<AudioCodec>,
    /// The codec of the picture.
    pub video: Option<VideoCodec>,
    /// What is muted.
    pub muted: Muted,
    /// The time since the latest packet of sound.
    pub audio_age: Option<Duration>,
    /// The time since the latest packet of a picture.
    pub video_age: Option<Duration>,
    /// Somebody has asked for a key frame since the latest one.
    pub keyframe_wanted: bool,
    /// The time since the publisher was last asked for a key frame.
    pub keyframe_asked_age: Option<Duration>,
    /// Where its packets come from, latest last; nowhere for what is not a browser's.
    pub addresses: Vec<String>,
    /// Who plays it.
    pub players: Vec<PlayerState>,
}

/// Somebody who plays a stream.
#[derive(Debug, Clone, Serialize)]
pub struct PlayerState {
    /// Who, where it is a participant.
    pub identity: Option<Identity>,
    /// By which connection.
    pub client: ClientId,
    /// The client's number for it.
    pub media: MediaId,
    /// It is connected.
    pub live: bool,
    /// It gets no picture before the next key frame.
    pub waits_for_keyframe: bool,
    /// It is being shown what was sent since the latest key frame.
    pub catching_up: bool,
    /// Where its packets go, latest last.
    pub addresses: Vec<String>,
    /// The time since it was last heard of.
    pub consent_age: Option<Duration>,
    /// Packets that it has reported as lost on the way.
    pub lost: u32,
    /// How many of a hundred, by its latest report.
    pub loss_percent: f32,
    /// The time to it and back, by its latest report.
    pub round_trip: Option<Duration>,
    /// The rate that gets through to it, as it estimates, in bits a second.
    pub estimate: Option<u64>,
}

impl State {
    pub(crate) fn room_state(&self, now: Instant, name: &RoomName) -> Option<RoomState> {
        let key = *self.tables.room_names.get(name)?;
        let room = self.tables.rooms.get(key)?;
        let participants = room.participants.iter();
        let participants = participants.map(|participant| ParticipantState {
            identity: participant.identity.clone(),
            client: participant.client,
        });
        let publications = self.tables.publications.values();
        let publications = publications.filter(|publication| publication.room == Some(key));
        Some(RoomState {
            room: name.clone(),
            participants: participants.collect(),
            publications: publications
                .map(|publication| self.publication_state(now, publication))
                .collect(),
        })
    }

    fn publication_state(&self, now: Instant, publication: &Publication) -> PublicationState {
        let age = |at: Option<Instant>| at.map(|at| now.saturating_duration_since(at));
        let heard = |source: Option<(u32, Instant)>| age(source.map(|(_, heard)| heard));
        let peer = publication.origin.peer();
        let peer = peer.and_then(|peer| self.peers.get(peer));
        let elsewhere = publication.relays.iter();
        let elsewhere = elsewhere.flat_map(|relay| &relay.subscriptions);
        let players = publication.subscriptions.iter().chain(elsewhere);
        let players = players.filter_map(|key| self.tables.subscriptions.get(*key));
        PublicationState {
            name: publication.name.clone(),
            client: publication.client,
            media: publication.media,
            announced: publication.announced,
            audio: publication.codecs.audio.and_then(|codec| codec.audio()),
            video: publication.codecs.video.and_then(|codec| codec.video()),
            muted: publication.muted,
            audio_age: heard(publication.audio_source),
            video_age: heard(publication.video_source),
            keyframe_wanted: publication.keyframes.wanted,
            keyframe_asked_age: age(publication.keyframes.sent),
            addresses: peer.map(addresses).unwrap_or_default(),
            players: players
                .map(|player| self.player_state(now, player))
                .collect(),
        }
    }

    fn player_state(&self, now: Instant, player: &Subscription) -> PlayerState {
        let room = player.room.and_then(|room| self.tables.rooms.get(room));
        let participant = room.and_then(|room| room.participant(player.client));
        let peer = player.destination.peer();
        let peer = peer.and_then(|peer| self.peers.get(peer));
        let quality = peer.map(crate::peer::Peer::quality).unwrap_or_default();
        PlayerState {
            identity: participant.map(|participant| participant.identity.clone()),
            client: player.client,
            media: player.media,
            live: player.live,
            waits_for_keyframe: player.waits_for_keyframe(),
            catching_up: player.replay.is_some(),
            addresses: peer.map(addresses).unwrap_or_default(),
            consent_age: peer.map(|peer| now.saturating_duration_since(peer.consented)),
            lost: quality.lost,
            loss_percent: f32::from(quality.fraction_lost) * 100.0 / 256.0,
            round_trip: quality.round_trip,
            estimate: quality.estimate,
        }
    }
}

fn addresses(peer: &crate::peer::Peer) -> Vec<String> {
    peer.paths
        .iter()
        .map(|path| path.remote.to_string())
        .collect()
}
