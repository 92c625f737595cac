//! The streams that are played by RTMP: each is taken from its room once, however many play it.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use parlor_core::{
    AudioCodec, ClientId, MediaId, News, Place, PublicationName, Reply, Request, RequestError,
    SinkPacket,
};
use parlor_rtmp::Playable;
use parlor_rtmp::bridge::{Declared, Fed, Feed, Parts, Picture, Sound};
use parlor_rtmp::flv::SoundCodec;
use parlor_signalling::RequestId;

use super::links::Links;
use crate::limits;

/// What a broadcast plays: where, what, and whether its players take VP8.
type Stream = (Place, PublicationName, bool);

/// All broadcasts, by the numbers that they have as clients of the rooms.
#[derive(Default)]
pub(super) struct Broadcasts {
    held: BTreeMap<u64, Broadcast>,
    by_stream: BTreeMap<Stream, u64>,
    /// Which broadcast a player has.
    by_player: BTreeMap<Player, u64>,
    /// Packets that were not what they said, of broadcasts that are over.
    malformed: u64,
}

/// A player: the number of its client, and that client's number for what it plays.
type Player = (u64, MediaId);

struct Broadcast {
    stream: Stream,
    worker: usize,
    stage: Stage,
    players: BTreeMap<Player, Declared>,
    /// The sound since the latest key frame, in each codec that somebody takes, for who comes late.
    sounds: VecDeque<Sound>,
    /// When its feed wants to be looked at.
    due: Option<Instant>,
}

enum Stage {
    /// The room has been asked.
    Asked,
    On {
        feed: Box<Feed>,
        playable: Playable,
        /// The codec of the room's sound.
        sound: Option<SoundCodec>,
    },
}

/// What is for one player.
pub(super) enum Delivery {
    Playing(Result<Playable, String>),
    Picture(Picture),
    Sound(Sound),
    Ended,
}

/// What comes of something that was handled.
#[derive(Default)]
pub(super) struct Deliveries {
    /// For players, in their order.
    pub(super) players: Vec<(Player, Delivery)>,
    /// Sound of a broadcast that is to be put into AAC.
    pub(super) sounds: Vec<(u64, Sound)>,
    /// Broadcasts of which nobody needs AAC any more.
    pub(super) hushed: Vec<u64>,
}

/// How long before a picture sound is kept.
const SOUND_BEFORE: Duration = Duration::from_millis(60);
/// The one subscription of a broadcast.
const MEDIA: MediaId = MediaId(0);
/// Its requests, whose answers are told apart by what they are.
const SINK: RequestId = RequestId(0);
const KEYFRAME: RequestId = RequestId(1);

impl Broadcasts {
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// Packets of rooms that were not what they said.
    pub(super) fn malformed(&self) -> u64 {
        let held = self.held.values().map(|broadcast| match &broadcast.stage {
            Stage::On { feed, .. } => feed.malformed(),
            Stage::Asked => 0,
        });
        self.malformed + held.sum::<u64>()
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        self.held.contains_key(&number)
    }

    /// Lets a player play a stream; `number` is that of the broadcast if it is a new one.
    pub(super) fn play(
        &mut self,
        now: Instant,
        links: &mut Links,
        number: u64,
        player: Player,
        (place, name, declared): (Place, PublicationName, Declared),
        deliveries: &mut Deliveries,
    ) {
        let stream = (place, name, declared.vp8);
        let number = match self.by_stream.get(&stream) {
            Some(number) => *number,
            None => match self.begin(links, number, &stream, declared) {
                Ok(()) => number,
                Err(error) => {
                    let refused = Delivery::Playing(Err(refusal(&stream, &error)));
                    deliveries.players.push((player, refused));
                    return;
                }
            },
        };
        let Some(broadcast) = self.held.get_mut(&number) else {
            return;
        };
        broadcast.players.insert(player, declared);
        self.by_player.insert(player, number);
        if let Stage::On { feed, playable, .. } = &mut broadcast.stage {
            let deliver = &mut deliveries.players;
            deliver.push((player, Delivery::Playing(Ok(*playable))));
            let mut sounds = broadcast
                .sounds
                .iter()
                .filter(|sound| declared.takes(sound.codec))
                .peekable();
            let mut is_shown = false;
            for picture in feed.recent() {
                while let Some(sound) = sounds.next_if(|sound| sound.time < picture.time) {
                    deliver.push((player, Delivery::Sound(sound.clone())));
                }
                deliver.push((player, Delivery::Picture(picture.clone())));
                is_shown = true;
            }
            if is_shown {
                deliver.extend(sounds.map(|sound| (player, Delivery::Sound(sound.clone()))));
            } else if playable.parts.video {
                feed.want_keyframe(now);
                broadcast.drain(links, number, deliveries);
            }
        }
    }

    fn begin(
        &mut self,
        links: &mut Links,
        number: u64,
        stream: &Stream,
        declared: Declared,
    ) -> Result<(), RequestError> {
        let (place, name, _) = stream;
        let key = match place {
            Place::Room(room) => room.as_str(),
            Place::Open => name.as_str(),
        };
        let worker = links.worker_of(key);
        let request = Request::Sink {
            media: MEDIA,
            place: place.clone(),
            name: name.clone(),
            audio: declared.audio(),
            video: declared.video(),
        };
        links.ask(worker, ClientId(number), SINK, request)?;
        self.by_stream.insert(stream.clone(), number);
        self.held.insert(
            number,
            Broadcast {
                stream: stream.clone(),
                worker,
                stage: Stage::Asked,
                players: BTreeMap::new(),
                sounds: VecDeque::new(),
                due: None,
            },
        );
        Ok(())
    }

    /// A player has lost its picture.
    pub(super) fn want_keyframe(
        &mut self,
        now: Instant,
        links: &mut Links,
        player: Player,
        deliveries: &mut Deliveries,
    ) {
        if let Some(number) = self.by_player.get(&player)
            && let Some(broadcast) = self.held.get_mut(number)
            && let Stage::On { feed, .. } = &mut broadcast.stage
        {
            feed.want_keyframe(now);
            broadcast.drain(links, *number, deliveries);
        }
    }

    /// A player no longer plays.
    pub(super) fn stop(&mut self, links: &mut Links, player: Player, deliveries: &mut Deliveries) {
        let Some(number) = self.by_player.remove(&player) else {
            return;
        };
        let Some(broadcast) = self.held.get_mut(&number) else {
            return;
        };
        broadcast.players.remove(&player);
        if broadcast.players.is_empty() {
            self.give_up(links, number, deliveries);
        } else if let Stage::On {
            sound: Some(source),
            ..
        } = broadcast.stage
            && broadcast
                .players
                .values()
                .all(|declared| declared.takes(source))
        {
            deliveries.hushed.push(number);
        }
    }

    /// A client is gone with all that it played.
    pub(super) fn forget(&mut self, links: &mut Links, client: u64, deliveries: &mut Deliveries) {
        let from = (client, MediaId(0))..=(client, MediaId(u32::MAX));
        let players: Vec<Player> = self.by_player.range(from).map(|(key, _)| *key).collect();
        for player in players {
            self.stop(links, player, deliveries);
        }
    }

    /// The answer of a worker to a broadcast.
    pub(super) fn handle_reply(
        &mut self,
        links: &mut Links,
        number: u64,
        id: RequestId,
        reply: Result<Reply, RequestError>,
        deliveries: &mut Deliveries,
    ) {
        let Some(broadcast) = self.held.get_mut(&number).filter(|_| id == SINK) else {
            return;
        };
        let players = broadcast.players.keys().copied();
        match reply {
            Ok(Reply::Sink {
                audio,
                video,
                refused_video,
                ..
            }) => {
                let playable = Playable {
                    parts: Parts {
                        audio: audio.is_some(),
                        video: video.is_some(),
                    },
                    refused_video,
                };
                broadcast.stage = Stage::On {
                    feed: Box::new(Feed::new(audio, video)),
                    playable,
                    sound: audio.map(|codec| match codec {
                        AudioCodec::Opus => SoundCodec::Opus,
                        AudioCodec::Pcmu => SoundCodec::Pcmu,
                        AudioCodec::Pcma => SoundCodec::Pcma,
                    }),
                };
                let playing = players.map(|player| (player, Delivery::Playing(Ok(playable))));
                deliveries.players.extend(playing);
            }
            Ok(_) => self.give_up(links, number, deliveries),
            Err(error) => {
                let sentence = refusal(&broadcast.stream, &error);
                let refused =
                    players.map(|player| (player, Delivery::Playing(Err(sentence.clone()))));
                deliveries.players.extend(refused);
                self.give_up(links, number, deliveries);
            }
        }
    }

    /// News for a broadcast.
    pub(super) fn handle_news(
        &mut self,
        links: &mut Links,
        number: u64,
        news: &News,
        deliveries: &mut Deliveries,
    ) {
        let Some(broadcast) = self.held.get(&number) else {
            return;
        };
        if let News::Ended { .. } = news {
            let players = broadcast.players.keys();
            let ended = players.map(|player| (*player, Delivery::Ended));
            deliveries.players.extend(ended);
            self.give_up(links, number, deliveries);
        }
    }

    /// A packet of a room.
    pub(super) fn handle_packet(
        &mut self,
        now: Instant,
        links: &mut Links,
        packet: &SinkPacket,
        deliveries: &mut Deliveries,
    ) {
        let number = packet.client.0;
        if let Some(broadcast) = self.held.get_mut(&number)
            && let Stage::On { feed, .. } = &mut broadcast.stage
        {
            feed.handle_packet(now, packet);
            broadcast.drain(links, number, deliveries);
        }
    }

    /// Sound of a broadcast that has been put into AAC.
    pub(super) fn handle_sound(&mut self, number: u64, sound: &Sound, deliveries: &mut Deliveries) {
        let Some(broadcast) = self.held.get_mut(&number) else {
            return;
        };
        broadcast.keep(sound);
        let Stage::On {
            sound: Some(source),
            ..
        } = broadcast.stage
        else {
            return;
        };
        let players = broadcast.players.iter();
        let players = players.filter(|(_, declared)| !declared.takes(source));
        let sounds = players.map(|(player, _)| (*player, Delivery::Sound(sound.clone())));
        deliveries.players.extend(sounds);
    }

    /// Does what is due.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        links: &mut Links,
        deliveries: &mut Deliveries,
    ) {
        for (number, broadcast) in &mut self.held {
            if broadcast.due.is_some_and(|due| now >= due)
                && let Stage::On { feed, .. } = &mut broadcast.stage
            {
                feed.handle_timeout(now);
                broadcast.drain(links, *number, deliveries);
            }
        }
    }

    /// When [`Broadcasts::handle_timeout`] has something to do.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let broadcasts = self.held.values();
        broadcasts.filter_map(|broadcast| broadcast.due).min()
    }

    fn give_up(&mut self, links: &mut Links, number: u64, deliveries: &mut Deliveries) {
        let Some(broadcast) = self.held.remove(&number) else {
            return;
        };
        self.by_stream.remove(&broadcast.stream);
        if let Stage::On { feed, .. } = &broadcast.stage {
            self.malformed += feed.malformed();
        }
        for player in broadcast.players.keys() {
            self.by_player.remove(player);
        }
        links.disconnect(broadcast.worker, ClientId(number));
        deliveries.hushed.push(number);
    }

    /// Gives all of them up.
    pub(super) fn clear(&mut self, links: &mut Links) {
        let mut deliveries = Deliveries::default();
        while let Some((number, _)) = self.held.first_key_value() {
            self.give_up(links, *number, &mut deliveries);
        }
    }
}

impl Broadcast {
    /// Keeps sound for who comes late, as long as there are pictures to show with it.
    fn keep(&mut self, sound: &Sound) {
        let Stage::On { feed, .. } = &self.stage else {
            return;
        };
        let Some(first) = feed.recent().next() else {
            return self.sounds.clear();
        };
        // One unit may begin before a picture and reach into it.
        let since = first.time.saturating_sub(SOUND_BEFORE);
        self.sounds.push_back(sound.clone());
        while self.sounds.len() > limits::RECENT_SOUNDS
            || self.sounds.front().is_some_and(|sound| sound.time < since)
        {
            self.sounds.pop_front();
        }
    }

    fn drain(&mut self, links: &mut Links, number: u64, deliveries: &mut Deliveries) {
        let Stage::On { feed, .. } = &mut self.stage else {
            return;
        };
        let mut wants_keyframe = false;
        let mut heard = Vec::new();
        while let Some(fed) = feed.poll_output() {
            match fed {
                Fed::Picture(picture) => {
                    for player in self.players.keys() {
                        let picture = Delivery::Picture(picture.clone());
                        deliveries.players.push((*player, picture));
                    }
                }
                Fed::Sound(sound) => {
                    heard.push(sound.clone());
                    let mut needs_aac = false;
                    for (player, declared) in &self.players {
                        match declared.takes(sound.codec) {
                            true => {
                                let sound = Delivery::Sound(sound.clone());
                                deliveries.players.push((*player, sound));
                            }
                            false => needs_aac = true,
                        }
                    }
                    if needs_aac {
                        deliveries.sounds.push((number, sound));
                    }
                }
                Fed::WantKeyframe => wants_keyframe = true,
            }
        }
        self.due = feed.poll_timeout();
        for sound in &heard {
            self.keep(sound);
        }
        if wants_keyframe {
            self.ask_for_keyframe(links, number);
        }
    }

    /// A request that gets lost is repeated by who still waits.
    fn ask_for_keyframe(&self, links: &mut Links, number: u64) {
        let request = Request::WantKeyframe { media: MEDIA };
        let _ = links.ask(self.worker, ClientId(number), KEYFRAME, request);
    }
}

/// A sentence for who cannot play.
fn refusal((place, name, _): &Stream, error: &RequestError) -> String {
    match (error, place) {
        (RequestError::NoSuchPublication, Place::Room(room)) => format!(
            "Nobody publishes \"{name}\" in the room \"{room}\"; it can be played once somebody does"
        ),
        (RequestError::NoSuchPublication, Place::Open) => {
            format!("Nobody publishes \"{name}\"; it can be played once somebody does")
        }
        (RequestError::NoCommonCodecs, _) => {
            format!("\"{name}\" has no sound, and its picture is VP8: your player needs H.264")
        }
        _ => error.to_string(),
    }
}
