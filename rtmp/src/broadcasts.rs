//! The streams that are played by RTMP: each is taken from its room once, however many play it.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use parlor_core::{
    AudioCodec, ClientId, MediaId, News, Place, PublicationName, Reply, Request, RequestError,
    SinkPacket,
};
use parlor_signalling::RequestId;

use crate::bridge::{Declared, Fed, Feed, Parts, Picture, Sound};
use crate::connection::Playable;
use crate::flv::SoundCodec;
use crate::limits::RECENT_SOUNDS;

/// What a broadcast plays: where, what, and whether its players take VP8.
type Stream = (Place, PublicationName, bool);

/// All broadcasts, by the ids that they have as clients of the rooms.
///
/// After each call of a `handle_*` method, of [`Broadcasts::play`], [`Broadcasts::want_keyframe`],
/// [`Broadcasts::stop`], [`Broadcasts::forget`] or [`Broadcasts::clear`] the caller drains
/// [`Broadcasts::poll_output`], and then looks at [`Broadcasts::poll_timeout`].
#[derive(Default)]
pub struct Broadcasts {
    held: BTreeMap<ClientId, Broadcast>,
    by_stream: BTreeMap<Stream, ClientId>,
    /// Which broadcast a viewer has.
    by_viewer: BTreeMap<Viewer, ClientId>,
    /// Packets that were not what they said, of broadcasts that are over.
    malformed: u64,
    outputs: VecDeque<Output>,
}

/// Who plays something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Viewer {
    /// The connection, as a client.
    pub client: ClientId,
    /// That client's number for what it plays.
    pub media: MediaId,
}

/// What broadcasts want done, in this order.
#[derive(Debug)]
pub enum Output {
    /// Pass a request of a broadcast to the worker that its `key` falls to, and the answer to
    /// [`Broadcasts::handle_reply`]; [`RequestError::Busy`] where it cannot be passed on.
    Ask {
        /// The broadcast, as a client.
        broadcast: ClientId,
        /// To be given back with the answer.
        id: RequestId,
        /// The text that decides which worker gets it: equal keys, equal worker.
        key: String,
        /// What is asked.
        request: Request,
    },
    /// A broadcast is over: disconnect it from the worker that its `key` falls to, and forget what
    /// of its sound is on its way through a transcoder.
    Over {
        /// The broadcast, as a client.
        broadcast: ClientId,
        /// See [`Output::Ask`].
        key: String,
    },
    /// Put sound of a broadcast into AAC; what comes of it goes to [`Broadcasts::handle_sound`].
    Sound {
        /// The broadcast, as a client.
        broadcast: ClientId,
        /// The sound.
        sound: Sound,
    },
    /// Nobody needs the sound of a broadcast in AAC any more.
    Hush {
        /// The broadcast, as a client.
        broadcast: ClientId,
    },
    /// Pass this to [`Connection::handle_delivery`](crate::Connection::handle_delivery).
    Deliver {
        /// For whom it is.
        viewer: Viewer,
        /// What it is.
        delivery: Delivery,
    },
}

/// What is for one who plays.
#[derive(Debug, Clone)]
pub enum Delivery {
    /// What is played, or a sentence on why nothing is.
    Playing(Result<Playable, String>),
    /// A picture.
    Picture(Picture),
    /// Sound, in a codec that the player takes.
    Sound(Sound),
    /// What is played is over.
    Ended,
}

struct Broadcast {
    stream: Stream,
    stage: Stage,
    viewers: BTreeMap<Viewer, Declared>,
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

/// How long before a picture sound is kept.
const SOUND_BEFORE: Duration = Duration::from_millis(60);
/// The one subscription of a broadcast.
const MEDIA: MediaId = MediaId(0);
/// Its requests, whose answers are told apart by what they are.
const SINK: RequestId = RequestId(0);
const KEYFRAME: RequestId = RequestId(1);

impl Broadcasts {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Packets of rooms that were not what they said.
    pub fn malformed(&self) -> u64 {
        let held = self.held.values().map(|broadcast| match &broadcast.stage {
            Stage::On { feed, .. } => feed.malformed(),
            Stage::Asked => 0,
        });
        self.malformed + held.sum::<u64>()
    }

    /// Whether a client is a broadcast.
    pub fn contains(&self, client: ClientId) -> bool {
        self.held.contains_key(&client)
    }

    /// Who plays a broadcast, or waits for it.
    pub fn viewers(&self, broadcast: ClientId) -> impl Iterator<Item = Viewer> {
        let viewers = self.held.get(&broadcast).map(|held| held.viewers.keys());
        viewers.into_iter().flatten().copied()
    }

    /// Lets somebody play a stream; `fresh` is the id of the broadcast if it is a new one.
    pub fn play(
        &mut self,
        now: Instant,
        fresh: ClientId,
        viewer: Viewer,
        (place, name, declared): (Place, PublicationName, Declared),
    ) {
        let stream = (place, name, declared.vp8);
        let id = match self.by_stream.get(&stream) {
            Some(id) => *id,
            None => {
                self.begin(fresh, stream, declared);
                fresh
            }
        };
        let Some(broadcast) = self.held.get_mut(&id) else {
            return;
        };
        broadcast.viewers.insert(viewer, declared);
        self.by_viewer.insert(viewer, id);
        broadcast.welcome(now, id, (viewer, declared), &mut self.outputs);
    }

    fn begin(&mut self, id: ClientId, stream: Stream, declared: Declared) {
        let (place, name, _) = &stream;
        let request = Request::Sink {
            media: MEDIA,
            place: place.clone(),
            name: name.clone(),
            audio: declared.audio(),
            video: declared.video(),
        };
        self.outputs.push_back(Output::Ask {
            broadcast: id,
            id: SINK,
            key: key(&stream),
            request,
        });
        self.by_stream.insert(stream.clone(), id);
        self.held.insert(
            id,
            Broadcast {
                stream,
                stage: Stage::Asked,
                viewers: BTreeMap::new(),
                sounds: VecDeque::new(),
                due: None,
            },
        );
    }

    /// Somebody has lost the picture.
    pub fn want_keyframe(&mut self, now: Instant, viewer: Viewer) {
        if let Some(id) = self.by_viewer.get(&viewer)
            && let Some(broadcast) = self.held.get_mut(id)
            && let Stage::On { feed, .. } = &mut broadcast.stage
        {
            feed.want_keyframe(now);
            broadcast.drain(*id, &mut self.outputs);
        }
    }

    /// Somebody no longer plays.
    pub fn stop(&mut self, viewer: Viewer) {
        let Some(id) = self.by_viewer.remove(&viewer) else {
            return;
        };
        let Some(broadcast) = self.held.get_mut(&id) else {
            return;
        };
        broadcast.viewers.remove(&viewer);
        if broadcast.viewers.is_empty() {
            self.give_up(id);
        } else if let Stage::On {
            sound: Some(source),
            ..
        } = broadcast.stage
            && broadcast
                .viewers
                .values()
                .all(|declared| declared.takes(source))
        {
            self.outputs.push_back(Output::Hush { broadcast: id });
        }
    }

    /// A client is gone with all that it played.
    pub fn forget(&mut self, client: ClientId) {
        let viewer = |media| Viewer { client, media };
        let from = viewer(MediaId(0))..=viewer(MediaId(u32::MAX));
        let viewers: Vec<Viewer> = self.by_viewer.range(from).map(|(key, _)| *key).collect();
        for viewer in viewers {
            self.stop(viewer);
        }
    }

    /// The answer to an [`Output::Ask`].
    pub fn handle_reply(
        &mut self,
        broadcast: ClientId,
        id: RequestId,
        reply: Result<Reply, RequestError>,
    ) {
        let client = broadcast;
        // A request for a key frame that gets lost is repeated by who still waits.
        let Some(broadcast) = self.held.get_mut(&client).filter(|_| id == SINK) else {
            return;
        };
        let answer = match reply {
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
                Ok(playable)
            }
            // No worker answers so.
            Ok(_) => return self.give_up(client),
            Err(error) => Err(refusal(&broadcast.stream, &error)),
        };
        let is_refused = answer.is_err();
        broadcast.tell(&Delivery::Playing(answer), &mut self.outputs);
        if is_refused {
            // The room has nothing of what it has refused.
            self.remove(client);
        }
    }

    /// News for a broadcast.
    pub fn handle_news(&mut self, broadcast: ClientId, news: &News) {
        if let News::Ended { .. } = news
            && let Some(ended) = self.held.get(&broadcast)
        {
            ended.tell(&Delivery::Ended, &mut self.outputs);
            self.give_up(broadcast);
        }
    }

    /// A packet of a room.
    pub fn handle_packet(&mut self, now: Instant, packet: &SinkPacket) {
        if let Some(broadcast) = self.held.get_mut(&packet.client)
            && let Stage::On { feed, .. } = &mut broadcast.stage
        {
            feed.handle_packet(now, packet);
            broadcast.drain(packet.client, &mut self.outputs);
        }
    }

    /// Sound of a broadcast that has been put into AAC.
    pub fn handle_sound(&mut self, broadcast: ClientId, sound: &Sound) {
        let Some(broadcast) = self.held.get_mut(&broadcast) else {
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
        let viewers = broadcast.viewers.iter();
        let viewers = viewers.filter(|(_, declared)| !declared.takes(source));
        for (viewer, _) in viewers {
            deliver(*viewer, Delivery::Sound(sound.clone()), &mut self.outputs);
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        for (id, broadcast) in &mut self.held {
            if broadcast.due.is_some_and(|due| now >= due)
                && let Stage::On { feed, .. } = &mut broadcast.stage
            {
                feed.handle_timeout(now);
                broadcast.drain(*id, &mut self.outputs);
            }
        }
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Broadcasts::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let broadcasts = self.held.values();
        broadcasts.filter_map(|broadcast| broadcast.due).min()
    }

    /// Gives all of them up.
    pub fn clear(&mut self) {
        while let Some((id, _)) = self.held.first_key_value() {
            self.give_up(*id);
        }
    }

    fn give_up(&mut self, id: ClientId) {
        if let Some(broadcast) = self.remove(id) {
            self.outputs.push_back(Output::Over {
                broadcast: id,
                key: key(&broadcast.stream),
            });
        }
    }

    fn remove(&mut self, id: ClientId) -> Option<Broadcast> {
        let broadcast = self.held.remove(&id)?;
        self.by_stream.remove(&broadcast.stream);
        if let Stage::On { feed, .. } = &broadcast.stage {
            self.malformed += feed.malformed();
        }
        for viewer in broadcast.viewers.keys() {
            self.by_viewer.remove(viewer);
        }
        Some(broadcast)
    }
}

impl Broadcast {
    /// Gives one who has come what there is since the latest key frame; without one, asks for it.
    fn welcome(
        &mut self,
        now: Instant,
        id: ClientId,
        (viewer, declared): (Viewer, Declared),
        outputs: &mut VecDeque<Output>,
    ) {
        let Stage::On {
            feed,
            playable,
            sound,
        } = &mut self.stage
        else {
            return;
        };
        // Whoever takes the room's sound gets nothing of it in AAC too.
        let codec = sound.filter(|codec| declared.takes(*codec));
        let codec = codec.unwrap_or(SoundCodec::Aac);
        deliver(viewer, Delivery::Playing(Ok(*playable)), outputs);
        let mut sounds = self
            .sounds
            .iter()
            .filter(|sound| sound.codec == codec)
            .peekable();
        let mut is_shown = false;
        for picture in feed.recent() {
            while let Some(sound) = sounds.next_if(|sound| sound.time < picture.time) {
                deliver(viewer, Delivery::Sound(sound.clone()), outputs);
            }
            deliver(viewer, Delivery::Picture(picture.clone()), outputs);
            is_shown = true;
        }
        if is_shown {
            for sound in sounds {
                deliver(viewer, Delivery::Sound(sound.clone()), outputs);
            }
        } else if playable.parts.video {
            feed.want_keyframe(now);
            self.drain(id, outputs);
        }
    }

    /// Tells all who play it.
    fn tell(&self, delivery: &Delivery, outputs: &mut VecDeque<Output>) {
        for viewer in self.viewers.keys() {
            deliver(*viewer, delivery.clone(), outputs);
        }
    }

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
        while self.sounds.len() > RECENT_SOUNDS
            || self.sounds.front().is_some_and(|sound| sound.time < since)
        {
            self.sounds.pop_front();
        }
    }

    /// Passes on what the feed has.
    fn drain(&mut self, id: ClientId, outputs: &mut VecDeque<Output>) {
        let Stage::On { feed, .. } = &mut self.stage else {
            return;
        };
        let mut wants_keyframe = false;
        let mut heard = Vec::new();
        while let Some(fed) = feed.poll_output() {
            match fed {
                Fed::Picture(picture) => {
                    for viewer in self.viewers.keys() {
                        deliver(*viewer, Delivery::Picture(picture.clone()), outputs);
                    }
                }
                Fed::Sound(sound) => {
                    heard.push(sound.clone());
                    let mut needs_aac = false;
                    for (viewer, declared) in &self.viewers {
                        match declared.takes(sound.codec) {
                            true => deliver(*viewer, Delivery::Sound(sound.clone()), outputs),
                            false => needs_aac = true,
                        }
                    }
                    if needs_aac {
                        let broadcast = id;
                        outputs.push_back(Output::Sound { broadcast, sound });
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
            outputs.push_back(Output::Ask {
                broadcast: id,
                id: KEYFRAME,
                key: key(&self.stream),
                request: Request::WantKeyframe { media: MEDIA },
            });
        }
    }
}

fn deliver(viewer: Viewer, delivery: Delivery, outputs: &mut VecDeque<Output>) {
    outputs.push_back(Output::Deliver { viewer, delivery });
}

/// What decides which worker a stream falls to.
fn key((place, name, _): &Stream) -> String {
    match place {
        Place::Room(room) => room.to_string(),
        Place::Open => name.to_string(),
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

#[cfg(test)]
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "tests look for one kind of output"
)]
mod tests {
    use super::*;

    fn viewer(client: u64) -> Viewer {
        Viewer {
            client: ClientId(client),
            media: MediaId(0),
        }
    }

    /// Two who play one stream, and what the broadcasts want done for them.
    fn two_viewers() -> (Broadcasts, Vec<Output>) {
        let mut broadcasts = Broadcasts::default();
        for client in [1, 2] {
            let name = PublicationName::new("anna").unwrap();
            let what = (Place::Open, name, Declared::default());
            let fresh = ClientId(100 + client);
            broadcasts.play(Instant::now(), fresh, viewer(client), what);
        }
        let outputs = drain(&mut broadcasts);
        (broadcasts, outputs)
    }

    fn drain(broadcasts: &mut Broadcasts) -> Vec<Output> {
        std::iter::from_fn(|| broadcasts.poll_output()).collect()
    }

    #[test]
    fn a_stream_is_asked_for_once_and_given_back_with_the_last_one_who_plays_it() {
        let (mut broadcasts, outputs) = two_viewers();
        assert!(matches!(outputs[..], [Output::Ask { .. }]), "{outputs:?}");
        broadcasts.stop(viewer(1));
        assert!(drain(&mut broadcasts).is_empty());
        broadcasts.forget(ClientId(2));
        let outputs = drain(&mut broadcasts);
        assert!(matches!(outputs[..], [Output::Over { .. }]), "{outputs:?}");
        assert!(broadcasts.is_empty() && broadcasts.by_viewer.is_empty());
    }

    #[test]
    fn who_takes_the_sound_of_the_room_gets_it_once_though_others_need_it_in_aac() {
        let now = Instant::now();
        let mut broadcasts = Broadcasts::default();
        let play = |broadcasts: &mut Broadcasts, client, opus| {
            let name = PublicationName::new("anna").unwrap();
            let declared = Declared {
                opus,
                vp8: true,
                ..Declared::default()
            };
            let what = (Place::Open, name, declared);
            broadcasts.play(now, ClientId(101), viewer(client), what);
        };
        play(&mut broadcasts, 1, false);
        let reply = Reply::Sink {
            audio: Some(AudioCodec::Opus),
            video: Some(parlor_core::VideoCodec::Vp8),
            refused_video: None,
            muted: parlor_core::Muted::default(),
        };
        broadcasts.handle_reply(ClientId(101), SINK, Ok(reply));
        for (kind, payload) in [
            (parlor_core::MediaKind::Video, &[0x10, 0, 0, 0][..]),
            (parlor_core::MediaKind::Audio, &[0x78, 1]),
        ] {
            let packet = SinkPacket {
                client: ClientId(101),
                media: MEDIA,
                kind,
                sequence: 1,
                timestamp: 0,
                marker: true,
                captured: Some(Duration::ZERO),
                payload: payload.into(),
            };
            broadcasts.handle_packet(now, &packet);
        }
        for output in drain(&mut broadcasts) {
            if let Output::Sound { broadcast, sound } = output {
                let codec = SoundCodec::Aac;
                broadcasts.handle_sound(broadcast, &Sound { codec, ..sound });
            }
        }
        drain(&mut broadcasts);
        for (client, opus, expected) in [(2, true, SoundCodec::Opus), (3, false, SoundCodec::Aac)] {
            play(&mut broadcasts, client, opus);
            let sounds = drain(&mut broadcasts).into_iter();
            let sounds = sounds.filter_map(|output| match output {
                Output::Deliver {
                    delivery: Delivery::Sound(sound),
                    ..
                } => Some(sound.codec),
                _ => None,
            });
            assert_eq!(sounds.collect::<Vec<_>>(), [expected]);
        }
    }

    #[test]
    fn of_a_room_that_is_busy_everybody_is_told_and_nothing_is_kept() {
        let (mut broadcasts, _) = two_viewers();
        broadcasts.handle_reply(ClientId(101), SINK, Err(RequestError::Busy));
        let outputs = drain(&mut broadcasts);
        let refused = |output: &Output| match output {
            Output::Deliver { delivery, .. } => matches!(delivery, Delivery::Playing(Err(_))),
            _ => false,
        };
        assert_eq!(outputs.len(), 2);
        assert!(outputs.iter().all(refused), "{outputs:?}");
        assert!(broadcasts.is_empty() && broadcasts.by_stream.is_empty());
    }
}
