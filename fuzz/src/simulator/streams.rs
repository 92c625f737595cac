//! How streams begin and end, and what happens to them meanwhile.

use parlor_core::config::{AudioCodec, VideoCodec};
use parlor_core::{MediaId, Muted, PublicationName, Reply, Request, RequestError, VideoFormat};

use super::draw::Draw;
use super::life::Life;
use super::model::{ENCODERS, Playing, Published, Spot, Stream, Target, Way, common, taken};
use crate::decoder::Decoder;
use crate::encoder::Encoder;
use crate::media::{Codec, Kinds};

/// Publications of one client, as the machine's limits have it.
const PUBLICATIONS: usize = 8;
/// The codecs of sound that rooms have.
const ALL_SOUNDS: [AudioCodec; 3] = [AudioCodec::Opus, AudioCodec::Pcmu, AudioCodec::Pcma];
/// Names of publications in one place.
const NAMES: usize = 6;

impl Life {
    /// The publication of a name in a place, or of a participant with that name: its mark.
    fn find(&self, spot: Spot, name: &str, by_participant: bool) -> Option<(u32, &Stream)> {
        let publications = |id: &u64| {
            let streams = self.people[id].streams.values();
            streams.filter(move |it| it.plays.is_none() && it.spot == spot)
        };
        let mut all = self.people.keys().flat_map(publications);
        let named = all.find(|stream| stream.name == name);
        let owner = self
            .people
            .iter()
            .find(|(_, it)| by_participant && it.identity == name && it.rooms.contains_key(&spot));
        let of_owner = owner.and_then(|(id, _)| publications(id).find(|stream| stream.live));
        let found = named.or(of_owner)?;
        Some((found.mark()?, found))
    }

    fn kinds(&self, draw: &mut Draw) -> Kinds {
        let video = Some(draw.of(&self.options.codecs));
        match draw.below(4) {
            0 => Kinds::AUDIO,
            1 => Kinds {
                audio: false,
                video,
            },
            _ => Kinds { audio: true, video },
        }
    }

    pub(super) fn publish(&mut self, id: u64, draw: &mut Draw) {
        let spot = self.own_spot(id, draw);
        let name = format!("s{}", draw.below(NAMES));
        let kinds = self.kinds(draw);
        self.publish_as(id, spot, &name, kinds);
    }

    fn publish_as(&mut self, id: u64, spot: Spot, name: &str, kinds: Kinds) {
        let owner = self.owner(id);
        self.note(format_args!(
            "{owner:?} publishes {name} in {spot:?}: {kinds:?}"
        ));
        let reply = self.world.publish(id, owner.1.0, spot.name(), name, kinds);
        let allowed = self.check_publish(id, spot, name, &reply.clone().map(drop));
        if let (true, Ok(key)) = (allowed, reply) {
            self.world.clients[key].pace = self.options.pace;
            let way = Way::Connection(key);
            self.begin(owner, stream(spot, name, way, kinds, None));
        }
    }

    /// Asserts that publishing was allowed or refused as it must be.
    pub(super) fn check_publish(
        &self,
        id: u64,
        spot: Spot,
        name: &str,
        reply: &Result<(), RequestError>,
    ) -> bool {
        if !self.people[&id].may_act(spot) {
            assert_eq!(*reply, Err(RequestError::NotInRoom));
        } else if self.people[&id].count(false) >= PUBLICATIONS {
            assert!(matches!(reply, Err(RequestError::TooMany(_))), "{reply:?}");
        } else if self.find(spot, name, false).is_some() {
            assert_eq!(*reply, Err(RequestError::PublicationNameInUse));
        } else {
            assert_eq!(*reply, Ok(()));
            return true;
        }
        false
    }

    pub(super) fn ingest(&mut self, id: u64, draw: &mut Draw) {
        let spot = self.own_spot(id, draw);
        let name = format!("s{}", draw.below(NAMES));
        let kinds = self.kinds(draw);
        let owner = self.owner(id);
        self.note(format_args!(
            "{owner:?} ingests {name} in {spot:?}: {kinds:?}"
        ));
        let video = kinds.video.map(|codec| match codec {
            Codec::H264 => VideoFormat::H264 {
                profile_level_id: 0x42_e01f,
            },
            Codec::Vp8 => VideoFormat::Vp8,
        });
        let request = Request::Ingest {
            media: owner.1,
            place: spot.place(),
            name: PublicationName::new(&name).expect("a name"),
            audio: kinds.audio.then_some(AudioCodec::Opus),
            video,
        };
        let reply = self.world.request(id, request).map(drop);
        if self.check_publish(id, spot, &name, &reply) {
            let mark = ENCODERS + self.published.len() as u32;
            let (now, pace) = (self.world.now, self.options.pace);
            let encoder = Encoder::new(now, owner, kinds, pace, mark);
            self.world.encoders.insert(mark, encoder);
            let way = Way::Encoder(mark);
            self.begin(owner, stream(spot, &name, way, kinds, None));
        }
    }

    /// Mostly a publication that is there.
    pub(super) fn target(&self, id: u64, draw: &mut Draw, anywhere: bool) -> (Spot, String) {
        let streams = self.people.values().flat_map(|it| it.streams.values());
        let there = streams.filter(|stream| {
            stream.plays.is_none() && (anywhere || self.people[&id].may_act(stream.spot))
        });
        let there: Vec<&Stream> = there.collect();
        if there.is_empty() || draw.once_in(8) {
            return (self.spot(draw), format!("s{}", draw.below(NAMES)));
        }
        let stream = there[draw.below(there.len())];
        (stream.spot, stream.name.clone())
    }

    /// What a player offers: mostly what fits.
    fn offered(&self, sent: Option<Kinds>, draw: &mut Draw) -> Kinds {
        match sent {
            Some(sent) if !draw.once_in(8) => Kinds {
                audio: true,
                video: sent.video.or(Some(Codec::H264)),
            },
            _ => self.kinds(draw),
        }
    }

    pub(super) fn play(&mut self, id: u64, draw: &mut Draw) {
        let (spot, name) = self.target(id, draw, false);
        let sent = self.find(spot, &name, false).map(|(_, sent)| sent.kinds);
        let kinds = self.offered(sent, draw);
        self.play_as(id, spot, &name, kinds);
    }

    pub(super) fn play_as(&mut self, id: u64, spot: Spot, name: &str, kinds: Kinds) {
        let owner = self.owner(id);
        self.note(format_args!(
            "{owner:?} plays {name} in {spot:?}: {kinds:?}"
        ));
        let found = self.target_of(spot, name, false);
        let reply = self.world.play(id, owner.1.0, spot.name(), name, kinds);
        if self.people[&id].may_act(spot) {
            self.played(owner, (spot, name, kinds), found, reply);
        } else {
            assert_eq!(reply, Err(RequestError::NotInRoom));
        }
    }

    fn target_of(&self, spot: Spot, name: &str, by_participant: bool) -> Option<Target> {
        let (mark, stream) = self.find(spot, name, by_participant)?;
        Some(Target {
            mark,
            kinds: stream.kinds,
            sound: stream.sound,
            muted: stream.muted,
        })
    }

    pub(super) fn watch(&mut self, id: u64, draw: &mut Draw) {
        let (spot, mut name) = self.target(id, draw, true);
        if spot == Spot::Open {
            return;
        }
        if draw.once_in(2) {
            let owner = self.people.values().find(|it| it.rooms.contains_key(&spot));
            name = owner.map_or(name, |owner| owner.identity.clone());
        }
        let found = self.target_of(spot, &name, true);
        let kinds = self.offered(found.map(|found| found.kinds), draw);
        let owner = self.owner(id);
        self.note(format_args!(
            "{owner:?} watches {name} in {spot:?}: {kinds:?}"
        ));
        let reply = self.world.watch(id, owner.1.0, spot.name(), &name, kinds);
        self.played(owner, (spot, &name, kinds), found, reply);
    }

    /// Asserts that playing was allowed or refused as it must be, and notes what is played.
    fn played(
        &mut self,
        owner: super::hearing::Owner,
        (spot, name, kinds): (Spot, &str, Kinds),
        found: Option<Target>,
        reply: Result<crate::world::ClientKey, RequestError>,
    ) {
        let Some(target) = found else {
            assert_eq!(reply, Err(RequestError::NoSuchPublication));
            return;
        };
        let sounds: &[AudioCodec] = match self.options.g711 {
            true => &ALL_SOUNDS,
            false => &[AudioCodec::Opus],
        };
        let Some(kinds) = common(target, kinds, sounds) else {
            assert_eq!(reply, Err(RequestError::NoCommonCodecs));
            return;
        };
        let key = reply.expect("it may play");
        self.world.clients[key].decoder = kinds.video.map(|_| Decoder::default());
        let way = Way::Connection(key);
        let mut stream = stream(spot, name, way, kinds, Some(target.mark));
        stream.muted = target.muted;
        self.begin(owner, stream);
    }

    pub(super) fn sink(&mut self, id: u64, draw: &mut Draw) {
        let (spot, name) = self.target(id, draw, true);
        let found = self.target_of(spot, &name, spot != Spot::Open);
        let audio = Vec::from_iter((!draw.once_in(4)).then_some(AudioCodec::Opus));
        let codec = draw.of(&[Codec::H264, Codec::Vp8]);
        let video = found.and_then(|found| found.kinds.video).unwrap_or(codec);
        let video = if draw.once_in(6) { codec } else { video };
        let owner = self.owner(id);
        self.note(format_args!(
            "{owner:?} sinks {name} in {spot:?}: {audio:?} {video:?}"
        ));
        let request = Request::Sink {
            media: owner.1,
            place: spot.place(),
            name: PublicationName::new(&name).expect("a name"),
            audio: audio.clone(),
            video: vec![match video {
                Codec::H264 => VideoCodec::H264,
                Codec::Vp8 => VideoCodec::Vp8,
            }],
        };
        let reply = self.world.request(id, request);
        self.sunk(owner, (spot, &name), found, (&audio, &[video]), reply);
    }

    /// What a broadcast has asked for.
    pub(super) fn sunk_by(
        &mut self,
        owner: super::hearing::Owner,
        (spot, name): (Spot, &str),
        (audio, video): (&[AudioCodec], &[VideoCodec]),
        reply: Result<Reply, RequestError>,
    ) {
        let found = self.target_of(spot, name, spot != Spot::Open);
        let video = video.iter().map(|codec| match codec {
            VideoCodec::H264 => Codec::H264,
            VideoCodec::Vp8 => Codec::Vp8,
        });
        let video: Vec<Codec> = video.collect();
        self.sunk(owner, (spot, name), found, (audio, &video), reply);
    }

    /// Asserts that a sink was allowed or refused as it must be, and notes what is played.
    fn sunk(
        &mut self,
        owner: super::hearing::Owner,
        (spot, name): (Spot, &str),
        found: Option<Target>,
        (audio, video): (&[AudioCodec], &[Codec]),
        reply: Result<Reply, RequestError>,
    ) {
        let Some(target) = found else {
            assert_eq!(reply, Err(RequestError::NoSuchPublication));
            return;
        };
        let Some(kinds) = taken(target, audio, video) else {
            assert_eq!(reply, Err(RequestError::NoCommonCodecs));
            return;
        };
        let Ok(Reply::Sink { muted: told, .. }) = reply else {
            unreachable!("{reply:?}")
        };
        assert_eq!(told, target.muted);
        let mut stream = stream(spot, name, Way::Sink, kinds, Some(target.mark));
        stream.muted = target.muted;
        self.begin(owner, stream);
    }

    pub(super) fn begin(&mut self, owner: super::hearing::Owner, mut stream: Stream) {
        let (id, media) = owner;
        stream.troubled = self.rough;
        match (stream.plays, stream.mark()) {
            (Some(publisher), _) => self.playing.push(Playing {
                owner,
                way: stream.way,
                publisher,
            }),
            (None, Some(mark)) => {
                let (spot, kinds, sound) = (stream.spot, stream.kinds, stream.sound);
                let published = self.published.entry(mark);
                let published = published.or_insert(Published { spot, kinds, sound });
                // An encoder may begin again with what it has more.
                published.kinds.audio |= kinds.audio;
                published.kinds.video = published.kinds.video.or(kinds.video);
            }
            (None, None) => {}
        }
        self.person(id.0).streams.insert(media.0, stream);
    }

    pub(super) fn stop(&mut self, id: u64, draw: &mut Draw) {
        if let Some((media, _)) = self.some_stream(id, draw, |_| true) {
            self.end_stream(id, media);
        }
    }

    /// Those whose handshake was held up for so long that they have given it up say so: the machine
    /// may be done with it, and waits for their checks.
    pub(super) fn end_failed(&mut self) {
        let mut failed = Vec::new();
        for (id, person) in &self.people {
            for (media, stream) in &person.streams {
                let client = stream.connection().map(|key| &self.world.clients[key]);
                if stream.troubled && client.is_some_and(|it| it.closed && !it.connected) {
                    failed.push((*id, *media));
                }
            }
        }
        for (id, media) in failed {
            self.end_stream(id, media);
            self.hear();
        }
    }

    fn end_stream(&mut self, id: u64, media: u32) {
        self.note(format_args!("{id} ends {media}"));
        let media = MediaId(media);
        let reply = self.world.request(id, Request::Stop { media });
        assert_eq!(reply, Ok(Reply::Done));
        self.forget(id, |other, _| other == media.0);
    }

    pub(super) fn republish(&mut self, id: u64, draw: &mut Draw) {
        let mine = |stream: &Stream| stream.plays.is_none() && stream.connection().is_some();
        let Some((media, old)) = self.some_stream(id, draw, mine) else {
            return;
        };
        self.end_stream(id, media);
        self.hear();
        let kinds = if draw.once_in(2) {
            old.kinds
        } else {
            self.kinds(draw)
        };
        self.publish_as(id, old.spot, &old.name, kinds);
        // Those who see it end and begin play it again.
        for other in self.people.keys().copied().collect::<Vec<_>>() {
            let person = &self.people[&other];
            if other != id
                && !Self::is_rtmp(other)
                && person.may_act(old.spot)
                && person.noticed.is_none()
                && draw.once_in(2)
            {
                self.play_as(
                    other,
                    old.spot,
                    &old.name,
                    Kinds {
                        audio: true,
                        ..kinds
                    },
                );
            }
        }
    }

    pub(super) fn cut(&mut self, id: u64, draw: &mut Draw) {
        let Some((media, stream)) = self.some_stream(id, draw, |it| it.connection().is_some())
        else {
            return;
        };
        self.note(format_args!("{id} loses the network of {media}"));
        if let Some(key) = stream.connection() {
            self.world.clients[key].cut = true;
        }
        self.trouble(id, media);
    }

    pub(super) fn mend(&mut self, id: u64) {
        for stream in self.people[&id].streams.values() {
            if let Some(key) = stream.connection() {
                self.world.clients[key].cut = false;
            }
        }
    }

    fn trouble(&mut self, id: u64, media: u32) -> &mut Stream {
        let stream = self.person(id).streams.get_mut(&media).expect("is there");
        stream.troubled = true;
        stream
    }

    pub(super) fn goodbye(&mut self, id: u64, draw: &mut Draw) {
        let Some((media, stream)) = self.some_stream(id, draw, |it| it.connection().is_some())
        else {
            return;
        };
        self.note(format_args!("{id} closes {media}"));
        if let Some(key) = stream.connection() {
            self.world.clients[key].close();
        }
        self.trouble(id, media).over = true;
    }

    pub(super) fn rebind(&mut self, id: u64, draw: &mut Draw) {
        let Some((media, stream)) = self.some_stream(id, draw, |it| it.connection().is_some())
        else {
            return;
        };
        self.note(format_args!("{id} goes on from elsewhere with {media}"));
        if let Some(key) = stream.connection() {
            self.world.rebind(key);
        }
        self.trouble(id, media);
    }

    pub(super) fn switch(&mut self, id: u64, draw: &mut Draw) {
        let mine = |it: &Stream| it.plays.is_none() && it.live && it.connection().is_some();
        let Some((media, stream)) = self.some_stream(id, draw, mine) else {
            return;
        };
        self.note(format_args!("{id} switches the source of {media}"));
        if let Some(key) = stream.connection() {
            self.world.clients[key].switch_source();
        }
    }

    pub(super) fn lose_keyframe(&mut self, id: u64, draw: &mut Draw) {
        let Some((media, stream)) = self.some_stream(id, draw, |it| it.plays.is_some()) else {
            return;
        };
        match stream.connection() {
            Some(key) => self.world.clients[key].request_keyframe(),
            None => {
                let media = MediaId(media);
                let reply = self.world.request(id, Request::WantKeyframe { media });
                assert_eq!(reply, Ok(Reply::Done));
            }
        }
    }

    pub(super) fn speak(&mut self, id: u64, draw: &mut Draw) {
        if let Some((_, stream)) = self.some_stream(id, draw, |it| it.plays.is_none())
            && let Some(key) = stream.connection()
        {
            self.world.clients[key].level = draw.of(&[-127, -20]);
        }
    }

    pub(super) fn stall(&mut self, draw: &mut Draw) {
        let at = draw.below(self.world.encoders.len());
        if let Some(encoder) = self.world.encoders.values_mut().nth(at) {
            encoder.stalled = !encoder.stalled;
        }
    }
}

pub(super) fn stream(spot: Spot, name: &str, way: Way, kinds: Kinds, plays: Option<u32>) -> Stream {
    Stream {
        spot,
        name: name.to_owned(),
        way,
        kinds,
        sound: AudioCodec::Opus,
        plays,
        live: false,
        over: false,
        troubled: false,
        muted: Muted::default(),
    }
}
