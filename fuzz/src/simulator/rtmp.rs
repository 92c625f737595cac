//! Clients by RTMP: what they do, and what the front does for them.
//!
//! When a connection joins a room, publishes or leaves is up to its bytes and their way; so the
//! model follows what the front asks the machine for, and holds it to the same as what people ask
//! for themselves.

use std::time::{Duration, Instant};

use parlor_core::config::{AudioCodec, VideoCodec};
use parlor_core::{
    ClientId, Place, PublicationName, Reply, Request, RequestError, ResumeToken, VideoFormat,
};
use parlor_rtmp::Counters;
use parlor_rtmp::flv::PictureCodec;

use super::draw::Draw;
use super::faults::Fault;
use super::life::Life;
use super::model::{Person, Spot, Way};
use super::screens::Screen;
use super::streams::stream;
use crate::media::{Codec, Kinds, RTMP};
use crate::rtmp::{Breach, Camera, G711, RtmpClient, Speech};
use crate::world::{ClientKey, Front, Said};

/// Names of encoders in one place.
const ENCODERS: usize = 3;
/// Publications that somebody begins to play after the faults.
const LATE: usize = 3;
/// How long it takes a publisher at another address to be reached there again.
const MOVED: Duration = Duration::from_secs(4);
/// The longest time between two key frames of an encoder: nobody can ask for one.
const KEYFRAMES: Duration = Duration::from_secs(3);
/// Connections at the same time.
const LINES: usize = 10;

/// What may be said of a connection by what has happened to it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cause {
    /// It broke the protocol.
    pub(super) broke: bool,
    /// What it sent or got may have been late, or lost.
    pub(super) troubled: bool,
    /// It has sent what was left out before anything could be announced.
    pub(super) gathered: bool,
    /// It has ended what it did, but not its connection.
    pub(super) quits: bool,
    /// It has done what ends it.
    pub(super) doomed: bool,
    /// The mark of what it publishes.
    pub(super) mark: Option<u32>,
}

impl Life {
    pub(super) fn is_rtmp(id: u64) -> bool {
        Front::is_client(ClientId(id))
    }

    /// An encoder connects.
    pub(super) fn dial_encoder(&mut self, draw: &mut Draw) {
        let spot = Spot::Room(draw.below(self.options.rooms));
        let name = match draw.below(8) {
            0 => format!("p{}", 1 + draw.below(self.options.people)),
            _ => format!("e{}", draw.below(ENCODERS)),
        };
        let mut camera = self.camera(draw);
        let query = draw.of(&["", "?key=1"]);
        if self.options.mixed {
            mix(&mut camera, self.options.pace.picture, draw);
        }
        self.note(format_args!("an encoder dials {spot:?}: {name} {camera:?}"));
        let name = format!("{name}{query}");
        let client = RtmpClient::new(spot.name(), &name, Some(camera), Vec::new());
        self.dial(client);
    }

    /// What an encoder has.
    pub(super) fn camera(&mut self, draw: &mut Draw) -> Camera {
        let mark = RTMP + self.cameras;
        self.cameras += 1;
        let mut camera = Camera::new(self.world.now, mark, self.options.pace.picture);
        camera.sound = draw.of(&[
            None,
            Some(Speech::Opus20),
            Some(Speech::Opus60),
            Some(Speech::Aac),
        ]);
        camera.video = camera.sound.is_none() || !draw.once_in(5);
        camera.large_chunks = draw.once_in(2);
        camera.promises = !draw.once_in(3);
        camera.patience = draw.of(&[64 * 1024, 512 * 1024]);
        // Timestamps wrap at 24 and at 32 bits, as far as somebody takes them to.
        camera.first = draw.of(&[0, 12_345, 0x00ff_ffff - 1_500, u32::MAX - 1_500]);
        camera
    }

    /// A player connects.
    pub(super) fn dial_player(&mut self, draw: &mut Draw) {
        let (spot, mut name) = self.target(0, draw, true);
        if spot != Spot::Open && draw.once_in(2) {
            let owner = self.people.values().find(|it| it.rooms.contains_key(&spot));
            name = owner.map_or(name, |owner| owner.identity.clone());
        }
        let codecs = self.codecs(draw);
        self.note(format_args!("a player dials {spot:?}: {name} {codecs:?}"));
        let client = RtmpClient::new(spot.name(), &name, None, codecs);
        self.dial(client);
    }

    /// What a player takes.
    pub(super) fn codecs(&self, draw: &mut Draw) -> Vec<&'static str> {
        let codecs = draw.of::<&[&str]>(&[&[], &["Opus"], &["Opus", "vp08"], &["vp08"]]);
        let g711 = (self.options.mixed && draw.once_in(2)).then_some(G711);
        codecs.iter().copied().chain(g711).collect()
    }

    pub(super) fn dial(&mut self, client: RtmpClient) -> Option<ClientId> {
        if self.world.front.lines.len() >= LINES {
            return None;
        }
        let camera = client.camera.as_ref();
        let cause = Cause {
            broke: false,
            doomed: false,
            quits: false,
            troubled: self.rough,
            gathered: camera.is_some_and(Camera::is_gathered),
            mark: camera.map(|camera| camera.mark),
        };
        let id = self.world.dial(client);
        self.note(format_args!("it is {id:?}"));
        self.causes.insert(id, cause);
        Some(id)
    }

    /// One who is connected by RTMP, and has done nothing that ends it.
    fn some_line(&mut self, draw: &mut Draw) -> Option<ClientId> {
        let lines = self.world.front.lines.iter();
        let lines = lines.filter(|(_, line)| line.client.is_active() && !line.is_vanished());
        let lines: Vec<ClientId> = lines.map(|(id, _)| *id).collect();
        (!lines.is_empty()).then(|| draw.of(&lines))
    }

    fn cause(&mut self, id: ClientId) -> &mut Cause {
        self.causes.entry(id).or_default()
    }

    /// What a connection publishes may end at any time.
    pub(super) fn doom(&mut self, id: ClientId) {
        self.cause(id).doomed = true;
        if let Some(person) = self.people.get_mut(&id.0) {
            for stream in person.streams.values_mut() {
                stream.over = true;
            }
        }
    }

    pub(super) fn hang_up(&mut self, draw: &mut Draw) {
        if let Some(id) = self.some_line(draw) {
            let is_room_client = self.world.front.lines[&id].client.room.is_some();
            let stays = draw.once_in(2) && !is_room_client;
            self.note(format_args!("{id:?} stops, and stays connected: {stays}"));
            self.doom(id);
            match stays {
                true => {
                    self.cause(id).quits = true;
                    self.world.quit(id);
                }
                false => self.world.hang_up(id),
            }
        }
    }

    pub(super) fn cut_line(&mut self, draw: &mut Draw) {
        if let Some(id) = self.some_line(draw) {
            self.note(format_args!("{id:?} is cut"));
            self.doom(id);
            self.world.cut(id);
        }
    }

    pub(super) fn vanish(&mut self, draw: &mut Draw) {
        if let Some(id) = self.some_line(draw) {
            self.note(format_args!("{id:?} vanishes"));
            self.doom(id);
            self.cause(id).troubled = true;
            self.world.vanish(id);
        }
    }

    pub(super) fn stall_line(&mut self, draw: &mut Draw) {
        if let Some(id) = self.some_line(draw) {
            let at_server = draw.once_in(2);
            self.note(format_args!(
                "{id:?} stalls, or goes on (at the server: {at_server})"
            ));
            self.cause(id).troubled = true;
            self.world.stall(id, at_server);
        }
    }

    pub(super) fn jump(&mut self, draw: &mut Draw) {
        if let Some(id) = self.some_line(draw)
            && let Some(line) = self.world.front.lines.get_mut(&id)
            && let Some(camera) = &mut line.client.camera
        {
            camera.jump(draw.of(&[5_000, 1 << 24, 1 << 31, u32::MAX - 7_000]));
            let first = camera.first;
            self.note(format_args!("the clock of {id:?} begins at {first}"));
            self.cause(id).troubled = true;
        }
    }

    pub(super) fn breach(&mut self, draw: &mut Draw) {
        if let Some(id) = self.some_line(draw) {
            let breach = draw.of(&Breach::ALL);
            self.note(format_args!("{id:?} breaks the protocol: {breach:?}"));
            self.doom(id);
            self.cause(id).broke = true;
            self.world.breach(id, breach);
        }
    }

    /// Follows what the front did.
    pub(super) fn follow(&mut self, at: Instant, said: Said) {
        let at = at.duration_since(self.begun).as_secs_f64();
        self.note(format_args!("at {at:.3}: {}", brief(&said)));
        match said {
            Said::Asked {
                client,
                request,
                reply,
            } => self.asked(client, request, reply),
            Said::Plays {
                client,
                place,
                name,
                vp8,
            } => {
                let cast = self.casts.get(&(place, name, vp8)).copied();
                let (cast, plays) = cast.unzip();
                let published = plays.and_then(|mark| self.published.get(&mark));
                let sound = published.map_or(AudioCodec::Opus, |it| it.sound);
                let screen = Screen::new(cast, plays, sound);
                self.screens.insert(client, screen);
            }
            Said::Stops { client } => {
                self.screens.remove(&client);
            }
            Said::Over { client, counters } => self.check_cause(client, &counters),
        }
    }

    fn asked(&mut self, client: ClientId, request: Request, reply: Result<Reply, RequestError>) {
        let id = client.0;
        match request {
            Request::Join {
                room,
                identity,
                resume,
            } => {
                let person = || Person::new(identity.to_string());
                self.people.entry(id).or_insert_with(person);
                let spot = Spot::of(&room);
                let replaces = resume.and_then(|token| self.holder(spot, &token));
                self.joined(id, spot, replaces, reply);
            }
            Request::Ingest {
                media,
                name,
                audio,
                video,
                place,
            } => {
                let sent = (audio, video);
                self.ingested((client, media), &place, name.as_str(), sent, reply);
            }
            Request::Sink {
                media,
                place,
                name,
                audio,
                video,
            } => {
                let person = || Person::new(String::new());
                self.people.entry(id).or_insert_with(person);
                let vp8 = video.contains(&VideoCodec::Vp8);
                let target = (spot_of(&place), name.as_str());
                self.sunk_by((client, media), target, (&audio, &video), reply);
                let mut streams = self.people[&id].streams.values();
                match streams.find_map(|stream| stream.plays) {
                    Some(mark) => {
                        self.casts.insert((place, name, vp8), (client, mark));
                    }
                    None => {
                        self.people.remove(&id);
                    }
                }
            }
            Request::Stop { media } => {
                // What a room client has published ends with its leave.
                let is_known = self.people[&id].streams.contains_key(&media.0);
                let expected = match is_known {
                    true => Ok(Reply::Done),
                    false => Err(RequestError::NoSuchMedia),
                };
                assert_eq!(reply, expected);
                self.forget(id, |other, _| other == media.0);
            }
            Request::Leave { room } => self.left(id, &room, &reply),
            Request::Disconnect => {
                self.casts.retain(|_, (cast, _)| *cast != client);
                let quits = self.causes.get(&client).is_some_and(|cause| cause.quits);
                if let Some(person) = self.people.get(&id) {
                    let left = person.rooms.is_empty() && person.streams.is_empty();
                    assert!(
                        left || !quits,
                        "{client:?} has stopped, and is there still: {person:?}"
                    );
                    self.forget(id, |_, _| true);
                    self.people.remove(&id);
                }
            }
            Request::WantKeyframe { media } => {
                let stream = self.people.get(&id).and_then(|it| it.streams.get(&media.0));
                // It may cross the news that what it is about is over.
                let expected = match stream.is_some_and(|stream| !stream.over) {
                    true => Ok(Reply::Done),
                    false => Err(RequestError::NoSuchMedia),
                };
                assert_eq!(reply, expected);
            }
            request @ Request::SendMessage { .. } => self.said(id, request, &reply),
            Request::Publish { .. }
            | Request::Subscribe { .. }
            | Request::Watch { .. }
            | Request::Find { .. }
            | Request::SetMuted { .. }
            | Request::SendData { .. } => unreachable!("nobody asks so by RTMP"),
        }
    }

    fn holder(&self, spot: Spot, token: &ResumeToken) -> Option<u64> {
        let mut people = self.people.iter();
        let holds = |it: &Person| it.rooms.get(&spot).is_some_and(|it| it.token == *token);
        people.find(|(_, it)| holds(it)).map(|(id, _)| *id)
    }

    fn ingested(
        &mut self,
        owner: super::hearing::Owner,
        place: &Place,
        name: &str,
        (audio, video): (Option<AudioCodec>, Option<VideoFormat>),
        reply: Result<Reply, RequestError>,
    ) {
        let (client, spot) = (owner.0, spot_of(place));
        if !self.check_publish(client.0, spot, name, &reply.map(drop)) {
            return;
        }
        let cause = self.causes[&client];
        let mark = cause.mark.expect("an encoder");
        let kinds = Kinds {
            audio: audio.is_some(),
            video: video.map(|format| match format {
                VideoFormat::H264 { .. } => Codec::H264,
                VideoFormat::Vp8 => Codec::Vp8,
            }),
        };
        let mut stream = stream(spot, name, Way::Camera(mark), kinds, None);
        stream.over = cause.doomed;
        stream.sound = audio.unwrap_or(AudioCodec::Opus);
        self.begin(owner, stream);
    }

    /// Asserts that a connection has counted only what has a cause.
    fn check_cause(&mut self, client: ClientId, counters: &Counters) {
        self.screens.remove(&client);
        let cause = self.causes.remove(&client).unwrap_or_default();
        let Counters {
            faults,
            malformed,
            timeouts,
            silent,
            not_reading,
            cut,
            left_out,
            ..
        } = *counters;
        let own = faults + malformed;
        assert!(
            own == 0 || cause.broke,
            "{client:?} is to blame: {counters:?}"
        );
        let left_out = if cause.gathered { 0 } else { left_out };
        // One who is connected for nothing is closed.
        let timeouts = if cause.quits { 0 } else { timeouts };
        let late = timeouts + silent + not_reading + cut + left_out;
        assert!(
            late == 0 || cause.troubled || cause.broke,
            "{client:?} was late without a cause: {counters:?}"
        );
    }

    /// Asserts that whoever is connected by RTMP does what it came for.
    pub(super) fn check_lines(&self) {
        for (id, line) in &self.world.front.lines {
            assert!(!line.is_vanished(), "{id:?} is gone, and is kept");
            assert!(
                line.client.started,
                "{id:?} waits: {:?}",
                line.client.refusal
            );
            if line.client.room.is_some() {
                continue;
            }
            let mark = line.client.camera.as_ref().map(|camera| camera.mark);
            let mut streams = self.people.get(&id.0).into_iter();
            let published = streams.any(|it| it.streams.values().any(|it| it.mark() == mark));
            let cast = self.screens.get(id).and_then(|it| it.cast);
            let plays = cast.is_some_and(|cast| self.casts.values().any(|(it, _)| *it == cast));
            assert!(published || plays, "{id:?} does nothing");
        }
        for (cast, _) in self.casts.values() {
            let mut screens = self.screens.values();
            let is_played = screens.any(|screen| screen.cast == Some(*cast));
            assert!(is_played, "nobody plays what {cast:?} takes");
        }
    }

    /// Somebody plays what each connection publishes, from here on; and the publisher does not
    /// answer the first two requests for a key frame.
    pub(super) fn late_players(&mut self) {
        for (key, spot, name, kinds) in self.seen_streams() {
            self.be_deaf(key);
            let idle = |id: &&u64| {
                let person = &self.people[*id];
                !Self::is_rtmp(**id) && person.noticed.is_none() && person.may_act(spot)
            };
            if let Some(id) = self.people.keys().find(idle).copied() {
                self.play_as(id, spot, &name, kinds);
            }
        }
    }

    /// The same by RTMP. Returns whose pictures are to come.
    pub(super) fn late_screens(&mut self) -> Vec<ClientId> {
        let mut players = Vec::new();
        for (key, spot, name, _) in self.seen_streams() {
            self.be_deaf(key);
            let client = RtmpClient::new(spot.name(), &name, None, vec!["vp08"]);
            players.extend(self.dial(client));
        }
        players
    }

    /// The publisher does not answer the next two requests for a key frame; but one that has just
    /// moved, since it is not reached before it sends a check, which takes seconds.
    fn be_deaf(&mut self, key: ClientKey) {
        let now = self.world.now;
        let client = &mut self.world.clients[key];
        let has_moved = |at| now.saturating_duration_since(at) < MOVED;
        if !client.moved.is_some_and(has_moved) {
            client.ignored_requests = 2;
        }
    }

    /// What some connections publish, with pictures.
    fn seen_streams(&self) -> Vec<(ClientKey, Spot, String, Kinds)> {
        let streams = self.people.values().flat_map(|it| it.streams.values());
        let there = streams.filter(|it| it.plays.is_none() && self.is_up(it));
        let there = there.filter_map(|it| {
            it.kinds.video?;
            Some((it.connection()?, it.spot, it.name.clone(), it.kinds))
        });
        there.take(LATE).collect()
    }

    /// Asserts that those have pictures who are still there.
    pub(super) fn check_late(&self, players: &[ClientId]) {
        let on = self.screens_on();
        for (id, mark) in on.iter().filter(|(id, _)| players.contains(id)) {
            let screen = &self.screens[id];
            assert!(
                screen.pictures > 0,
                "{id:?} came late and sees nothing of {mark}: {screen:?}"
            );
        }
        for stream in self.people.values().flat_map(|it| it.streams.values()) {
            if let Some(key) = stream.connection()
                && self.is_up(stream)
                && let Some(decoder) = &self.world.clients[key].decoder
                && let Some(mark) = stream.plays
                && self.publication(mark).is_some_and(|it| self.is_up(it))
            {
                let shown = decoder.pictures;
                assert!(
                    shown > 0,
                    "connection {key} sees nothing of {mark}: {stream:?}"
                );
            }
        }
    }

    /// All who are connected by RTMP are gone.
    pub(super) fn cut_lines(&mut self) {
        let mut ids: Vec<ClientId> = self.world.front.lines.keys().copied().collect();
        if self.fault == Some(Fault::Linger) {
            ids.pop();
        }
        for id in ids {
            self.world.cut(id);
        }
        self.pass(Duration::ZERO);
    }
}

/// Draws what encoders have in worlds where they have all sorts of things.
fn mix(camera: &mut Camera, pace: Duration, draw: &mut Draw) {
    if camera.sound.is_some() && !draw.once_in(3) {
        camera.sound = Some(draw.of(&[Speech::Pcmu, Speech::Pcma, Speech::Speex]));
    }
    camera.codec = draw.of(&[PictureCodec::H264, PictureCodec::Vp8]);
    camera.full_headers = draw.once_in(2);
    // All of what such a clock says is too much for three bytes, and soon for four.
    if draw.once_in(2) {
        camera.first = draw.of(&[
            1 << 24,
            u32::MAX - 2_500,
            u32::MAX - 6_000,
            u32::MAX - 12_000,
        ]);
    }
    if draw.once_in(2) {
        camera.group = (KEYFRAMES.as_millis() / pace.as_millis().max(1)) as u64;
    }
}

fn spot_of(place: &Place) -> Spot {
    match place {
        Place::Room(room) => Spot::of(room),
        Place::Open => Spot::Open,
    }
}

/// The beginning of what was done.
fn brief(said: &Said) -> String {
    let text = format!("{said:?}");
    text.chars().take(160).collect()
}

/// What names a broadcast.
pub(super) type Cast = (Place, PublicationName, bool);
