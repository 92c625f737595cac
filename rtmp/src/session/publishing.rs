//! A stream that an encoder publishes.

use std::collections::VecDeque;
use std::time::Instant;

use parlor_core::{
    Identity, MediaId, Place, PublicationName, Reply, Request, RequestError, ResumeToken, RoomName,
};
use parlor_signalling::RequestId;
use tracing::{debug, info};

use super::commands::Call;
use super::{End, Member, Pending, Role, Session, answer, key};
use crate::bridge::{Announcement, LeftOut, Packet, Published, Publisher};
use crate::connection::{Action, Claimed, Takeover};
use crate::flv::Tag;
use crate::limits::{
    MEDIA_TIMEOUT, TAKEOVER_LOOK, TAKEOVER_SILENCE, WAITING_BYTES, WAITING_PACKETS,
};
use crate::outbox::{Level, Outbox};
use crate::target;

const BAD_NAME: &str = "NetStream.Publish.BadName";
const WARNING: &str = "NetStream.Publish.Warning";
const REJECTED: &str = "NetStream.Publish.Rejected";

/// What is published on one message stream.
pub(super) struct Publishing {
    place: Place,
    name: PublicationName,
    /// The place in the room that the encoder takes by publishing. A room client has its own.
    member: Option<Member>,
    stage: Stage,
    publisher: Publisher,
    /// What of its losses has been counted.
    counted: LeftOut,
    /// What the rooms have of it.
    ingest: Option<Ingest>,
    /// When media came last.
    fed: Instant,
}

enum Stage {
    /// The room has been asked.
    Entering,
    /// Somebody has the name, who is asked for it again then.
    Claiming {
        /// When that one was last heard, as it was said first.
        heard: Option<Instant>,
        look: Option<Instant>,
    },
    /// The client may send. The token lets another one take its place.
    On { resume: Option<ResumeToken> },
}

/// A publication.
struct Ingest {
    media: MediaId,
    /// What has come before the rooms have answered; `None` once they have.
    waiting: Option<VecDeque<Packet>>,
    waiting_bytes: usize,
}

impl Publishing {
    pub(super) fn media(&self) -> Option<MediaId> {
        self.ingest.as_ref().map(|ingest| ingest.media)
    }

    pub(super) fn poll_timeout(&self) -> Instant {
        let look = match &self.stage {
            Stage::Claiming { look, .. } => *look,
            Stage::Entering | Stage::On { .. } => None,
        };
        let due = look.into_iter().chain(self.publisher.poll_timeout());
        due.fold(self.fed + MEDIA_TIMEOUT, Instant::min)
    }

    /// Counts what was left out since this was last called.
    fn count(&mut self, out: &mut Outbox) {
        let LeftOut {
            malformed,
            pictures,
            b_frames,
        } = self.publisher.left_out();
        let counted = std::mem::replace(&mut self.counted, self.publisher.left_out());
        out.counters.malformed += malformed - counted.malformed;
        out.counters.left_out += pictures - counted.pictures + b_frames - counted.b_frames;
    }
}

impl Ingest {
    /// Passes a packet on, or keeps it until the rooms take it.
    fn pass(&mut self, packet: Packet, out: &mut Outbox) {
        let media = self.media;
        let Some(waiting) = &mut self.waiting else {
            out.actions.push_back(Action::Packet { media, packet });
            return;
        };
        self.waiting_bytes += packet.payload.len();
        if waiting.len() < WAITING_PACKETS && self.waiting_bytes <= WAITING_BYTES {
            waiting.push_back(packet);
        }
    }
}

impl Session {
    pub(super) fn on_publish(
        &mut self,
        now: Instant,
        call: &Call,
        out: &mut Outbox,
    ) -> Result<(), End> {
        let Some(stream) = self.free_stream(call, BAD_NAME, out) else {
            return self.refused();
        };
        match self.begin_publishing(now, call.text(0).unwrap_or_default()) {
            Ok(publishing) => self.enter(stream, publishing, out),
            Err(sentence) => {
                out.push_status(stream, Level::Error, BAD_NAME, &sentence);
                self.refused()
            }
        }
    }

    /// Who publishes what, and where.
    fn begin_publishing(&self, now: Instant, text: &str) -> Result<Publishing, String> {
        let (app, dialogue) = match &self.app {
            Some(app) => (app.name.as_str(), app.dialogue.as_deref()),
            None => ("", None),
        };
        let (place, name, member) = match dialogue {
            Some(dialogue) => {
                let name = named(PublicationName::new(&target::parse("-", text).name))?;
                (dialogue.place(&name), name, None)
            }
            None => {
                let target = target::parse(app, text);
                let room = target
                    .room
                    .ok_or("This address names no room: publish to rtmp://HOST/ROOM/NAME")?;
                let member = Member {
                    room: named(RoomName::new(&room))?,
                    identity: named(Identity::new(&target.name))?,
                };
                let is_taken = self.streams.values().any(|role| match role {
                    Role::Publish(other) => other.member.is_some(),
                    Role::Idle | Role::Play(_) => false,
                });
                if is_taken {
                    return Err("You publish on this connection already".to_owned());
                }
                // As browsers build it, without what makes several streams of one person differ.
                let name = format!("{}-{}", member.room, member.identity);
                let name = named(PublicationName::new(&name))?;
                (Place::Room(member.room.clone()), name, Some(member))
            }
        };
        Ok(Publishing {
            place,
            name,
            member,
            stage: Stage::Entering,
            publisher: Publisher::new(self.config.b_frames),
            counted: LeftOut::default(),
            ingest: None,
            fed: now,
        })
    }

    fn enter(
        &mut self,
        stream: u32,
        mut publishing: Publishing,
        out: &mut Outbox,
    ) -> Result<(), End> {
        match &publishing.member {
            Some(member) => {
                let member = member.clone();
                self.streams
                    .insert(stream, Role::Publish(Box::new(publishing)));
                self.join(stream, &member, None, out)
            }
            None => {
                publishing.stage = Stage::On { resume: None };
                self.streams
                    .insert(stream, Role::Publish(Box::new(publishing)));
                out.counters.published += 1;
                answer::published(stream, out);
                Ok(())
            }
        }
    }

    fn join(
        &mut self,
        stream: u32,
        Member { room, identity }: &Member,
        resume: Option<ResumeToken>,
        out: &mut Outbox,
    ) -> Result<(), End> {
        let request = Request::Join {
            room: room.clone(),
            identity: identity.clone(),
            resume,
        };
        self.ask(Pending::Join(stream), room.to_string(), request, out)
    }

    fn publishing(&mut self, stream: u32) -> Option<&mut Publishing> {
        match self.streams.get_mut(&stream)? {
            Role::Publish(publishing) => Some(publishing),
            Role::Idle | Role::Play(_) => None,
        }
    }

    pub(super) fn on_joined(
        &mut self,
        now: Instant,
        stream: u32,
        reply: Result<Reply, RequestError>,
        out: &mut Outbox,
    ) -> Result<(), End> {
        let Some(publishing) = self.publishing(stream) else {
            return Ok(());
        };
        let Some(Member { room, identity }) = publishing.member.clone() else {
            return Ok(());
        };
        match reply {
            Ok(reply) => {
                let resume = match reply {
                    Reply::Joined { resume, .. } => Some(resume),
                    Reply::Done
                    | Reply::Answer { .. }
                    | Reply::Sink { .. }
                    | Reply::Available(_)
                    | Reply::Later { .. } => None,
                };
                publishing.stage = Stage::On { resume };
                publishing.fed = now;
                info!(
                    room = room.as_str(),
                    participant = identity.as_str(),
                    "encoder publishes"
                );
                out.actions.push_back(Action::Hold { room, identity });
                out.counters.published += 1;
                answer::published(stream, out);
                Ok(())
            }
            Err(RequestError::IdentityInUse(_)) => {
                if !matches!(publishing.stage, Stage::Claiming { .. }) {
                    publishing.stage = Stage::Claiming {
                        heard: None,
                        look: None,
                    };
                }
                out.actions.push_back(Action::Claim { room, identity });
                Ok(())
            }
            Err(error) => self.reject(stream, BAD_NAME, &error.to_string(), out),
        }
    }

    pub(crate) fn handle_claimed(
        &mut self,
        now: Instant,
        claimed: Claimed,
        out: &mut Outbox,
    ) -> Result<(), End> {
        let policy = self.config.takeover;
        let claiming = self
            .streams
            .iter_mut()
            .find_map(|(stream, role)| match role {
                Role::Publish(publishing) => match &mut publishing.stage {
                    Stage::Claiming { heard, look } => {
                        Some((*stream, publishing.member.clone()?, heard, look))
                    }
                    Stage::Entering | Stage::On { .. } => None,
                },
                Role::Idle | Role::Play(_) => None,
            });
        let Some((stream, member, heard, look)) = claiming else {
            return Ok(());
        };
        let name = member.identity.as_str();
        let sentence = match claimed {
            Claimed::Given(resume) => return self.join(stream, &member, Some(resume), out),
            Claimed::Kept(last)
                if policy == Takeover::Silent && heard.is_none_or(|first| first == last) =>
            {
                *heard = Some(last);
                // Once the time is over, nobody is asked again and again at one instant.
                let over = Some(last + TAKEOVER_SILENCE).filter(|over| *over > now);
                let next = now + TAKEOVER_LOOK;
                *look = Some(over.map_or(next, |over| over.min(next)));
                return Ok(());
            }
            Claimed::Kept(_) => format!(
                "Another encoder publishes as \"{name}\" in this room; stop it, or choose another name"
            ),
            Claimed::Unknown => {
                format!("Somebody is \"{name}\" in this room already; choose another name")
            }
        };
        self.reject(stream, BAD_NAME, &sentence, out)
    }

    /// Somebody wants the name that this client has.
    pub(crate) fn handle_claim(
        &mut self,
        now: Instant,
        heard: Instant,
        (room, identity): (&RoomName, &Identity),
        out: &mut Outbox,
    ) -> Claimed {
        let gives_up = match self.config.takeover {
            Takeover::Always => true,
            Takeover::Never => false,
            Takeover::Silent => now.saturating_duration_since(heard) >= TAKEOVER_SILENCE,
        };
        let found = self
            .streams
            .iter_mut()
            .find_map(|(stream, role)| match role {
                Role::Publish(publishing) => {
                    let member = publishing.member.as_ref()?;
                    let fits = member.room == *room && member.identity == *identity;
                    fits.then_some((*stream, publishing))
                }
                Role::Idle | Role::Play(_) => None,
            });
        let Some((stream, publishing)) = found else {
            return Claimed::Unknown;
        };
        let Stage::On { resume } = &mut publishing.stage else {
            return Claimed::Kept(heard);
        };
        let Some(resume) = resume.take_if(|_| gives_up) else {
            return Claimed::Kept(heard);
        };
        out.counters.taken_over += 1;
        info!(
            room = room.as_str(),
            participant = identity.as_str(),
            "encoder replaced"
        );
        let sentence = "Another encoder publishes under this name";
        out.push_status(stream, Level::Error, BAD_NAME, sentence);
        // Its place in the room is the other one's: it leaves nothing, and ends nothing.
        self.streams.insert(stream, Role::Idle);
        Claimed::Given(resume)
    }

    /// Takes a tag of an encoder.
    pub(super) fn on_tag(
        &mut self,
        now: Instant,
        stream: u32,
        tag: &Tag,
        out: &mut Outbox,
    ) -> Result<(), End> {
        let Some(publishing) = self.publishing(stream) else {
            return Ok(());
        };
        if !matches!(publishing.stage, Stage::On { .. }) {
            return Ok(());
        }
        publishing.fed = now;
        publishing.publisher.handle_tag(now, tag);
        publishing.count(out);
        self.drain_publisher(stream, out)
    }

    fn drain_publisher(&mut self, stream: u32, out: &mut Outbox) -> Result<(), End> {
        while let Some(publishing) = self.publishing(stream)
            && let Some(output) = publishing.publisher.poll_output()
        {
            match output {
                Published::Announcement(announcement) => {
                    self.announce(stream, &announcement, out)?;
                }
                Published::Packet(packet) => {
                    if let Some(ingest) = &mut publishing.ingest {
                        ingest.pass(packet, out);
                    }
                }
                Published::Sound(sound) => {
                    if let Some(media) = publishing.media() {
                        out.actions.push_back(Action::Sound { media, sound });
                    }
                }
                Published::Warning(warning) => {
                    debug!(%warning, "an encoder is warned");
                    out.push_status(stream, Level::Warning, WARNING, &warning.to_string());
                }
                Published::Refused(refusal) => {
                    return self.reject(stream, REJECTED, &refusal.to_string(), out);
                }
            }
        }
        Ok(())
    }

    /// Offers the rooms what is published, in place of what was before.
    fn announce(
        &mut self,
        stream: u32,
        Announcement { audio, video }: &Announcement,
        out: &mut Outbox,
    ) -> Result<(), End> {
        let media = self.new_media();
        let Some(publishing) = self.publishing(stream) else {
            return Ok(());
        };
        let ingest = Ingest {
            media,
            waiting: Some(VecDeque::new()),
            waiting_bytes: 0,
        };
        let before = publishing.ingest.replace(ingest);
        let request = Request::Ingest {
            media,
            place: publishing.place.clone(),
            name: publishing.name.clone(),
            audio: *audio,
            video: *video,
        };
        let key = key(&publishing.place, &publishing.name);
        if let Some(Ingest { media, .. }) = before {
            self.ask(Pending::End, key.clone(), Request::Stop { media }, out)?;
        }
        self.ask(Pending::Ingest(stream, media), key, request, out)
    }

    pub(super) fn on_ingest(
        &mut self,
        stream: u32,
        media: MediaId,
        reply: Result<Reply, RequestError>,
        out: &mut Outbox,
    ) -> Result<(), End> {
        let Some(publishing) = self.publishing(stream) else {
            return Ok(());
        };
        let Some(ingest) = publishing
            .ingest
            .as_mut()
            .filter(|ingest| ingest.media == media)
        else {
            return Ok(());
        };
        match reply {
            Ok(_) => {
                for packet in ingest.waiting.take().unwrap_or_default() {
                    out.actions.push_back(Action::Packet { media, packet });
                }
                Ok(())
            }
            Err(error) => {
                publishing.ingest = None;
                self.reject(stream, BAD_NAME, &error.to_string(), out)
            }
        }
    }

    /// The sound of a stream cannot be decoded.
    pub(crate) fn handle_unheard(
        &mut self,
        media: MediaId,
        sentence: &str,
        out: &mut Outbox,
    ) -> Result<(), End> {
        match self.stream_of(media) {
            Some(stream) => self.reject(stream, REJECTED, sentence, out),
            None => Ok(()),
        }
    }

    /// Does what is due for what is published.
    pub(super) fn run_publishers(&mut self, now: Instant, out: &mut Outbox) -> Result<(), End> {
        let streams: Vec<u32> = self.streams.keys().copied().collect();
        for stream in streams {
            let Some(publishing) = self.publishing(stream) else {
                continue;
            };
            if now >= publishing.fed + MEDIA_TIMEOUT {
                out.counters.silent += 1;
                let seconds = MEDIA_TIMEOUT.as_secs();
                let sentence = format!("Nothing was sent for {seconds} s");
                self.reject(stream, "NetStream.Publish.Idle", &sentence, out)?;
                continue;
            }
            if let Stage::Claiming { look, .. } = &mut publishing.stage
                && look.take_if(|look| now >= *look).is_some()
                && let Some(Member { room, identity }) = publishing.member.clone()
            {
                out.actions.push_back(Action::Claim { room, identity });
            }
            if publishing
                .publisher
                .poll_timeout()
                .is_some_and(|due| now >= due)
            {
                publishing.publisher.handle_timeout(now);
                self.drain_publisher(stream, out)?;
            }
        }
        Ok(())
    }

    /// Ends a stream that is not to be published, and says why.
    fn reject(
        &mut self,
        stream: u32,
        code: &str,
        sentence: &str,
        out: &mut Outbox,
    ) -> Result<(), End> {
        debug!(client = self.client.0, code, sentence, "encoder refused");
        out.push_status(stream, Level::Error, code, sentence);
        if code == REJECTED {
            self.tell_room(stream, sentence, out);
        }
        if let Some(Role::Publish(publishing)) = self.streams.insert(stream, Role::Idle) {
            self.end_publishing(*publishing, out)?;
        }
        self.refused()
    }

    /// Lets those who are in the room know why a stream was refused: its own user may be among
    /// them, and see it nowhere else.
    fn tell_room(&mut self, stream: u32, sentence: &str, out: &mut Outbox) {
        let publishing = self.publishing(stream);
        let Some(Member { room, identity }) =
            publishing.and_then(|publishing| publishing.member.clone())
        else {
            return;
        };
        info!(
            room = room.as_str(),
            participant = identity.as_str(),
            sentence,
            "encoder refused"
        );
        let id = RequestId(self.next_request);
        self.next_request += 1;
        let text = sentence.to_owned();
        out.actions.push_back(Action::Tell {
            id,
            room,
            identity,
            text,
        });
    }

    /// Ends what the rooms have of a stream.
    pub(super) fn end_publishing(
        &mut self,
        publishing: Publishing,
        out: &mut Outbox,
    ) -> Result<(), End> {
        let Publishing {
            place,
            name,
            member,
            stage,
            ingest,
            ..
        } = publishing;
        if let Some(Ingest { media, .. }) = ingest {
            self.ask(
                Pending::End,
                key(&place, &name),
                Request::Stop { media },
                out,
            )?;
        }
        // Who claims a name is not in the room yet.
        let Some(Member { room, identity }) =
            member.filter(|_| !matches!(stage, Stage::Claiming { .. }))
        else {
            return Ok(());
        };
        let key = room.to_string();
        let request = Request::Leave { room: room.clone() };
        out.actions.push_back(Action::Release { room, identity });
        self.ask(Pending::End, key, request, out)
    }

    /// `FCUnpublish` names what is to end; who publishes one stream alone need not.
    pub(super) fn on_unpublish(
        &mut self,
        now: Instant,
        call: &Call,
        out: &mut Outbox,
    ) -> Result<(), End> {
        let named = call.text(0).map(|text| target::parse("-", text).name);
        let stream = self.streams.iter().find_map(|(stream, role)| match role {
            Role::Publish(publishing) => {
                let is_it = match &publishing.member {
                    Some(_) => true,
                    None => named.as_deref() == Some(publishing.name.as_str()),
                };
                is_it.then_some(*stream)
            }
            Role::Idle | Role::Play(_) => None,
        });
        match stream {
            Some(stream) => self.end_stream(now, stream, out),
            None => Ok(()),
        }
    }

    /// What was published has ended by itself.
    pub(super) fn on_ended(
        &mut self,
        _now: Instant,
        media: MediaId,
        out: &mut Outbox,
    ) -> Result<(), End> {
        let Some(stream) = self.stream_of(media) else {
            return Ok(());
        };
        if let Some(publishing) = self.publishing(stream) {
            publishing.ingest = None;
        }
        self.reject(
            stream,
            "NetStream.Publish.Failed",
            "The stream has ended",
            out,
        )
    }

    /// The place in a room has been taken.
    pub(super) fn on_replaced(
        &mut self,
        _now: Instant,
        room: &RoomName,
        out: &mut Outbox,
    ) -> Result<(), End> {
        let stream = self.streams.iter().find_map(|(stream, role)| match role {
            Role::Publish(publishing) => {
                let is_there = publishing.place == Place::Room(room.clone());
                is_there.then_some(*stream)
            }
            Role::Idle | Role::Play(_) => None,
        });
        let Some(stream) = stream else {
            return Ok(());
        };
        if let Some(Role::Publish(publishing)) = self.streams.insert(stream, Role::Idle)
            && let Some(Member { room, identity }) = publishing.member
        {
            out.actions.push_back(Action::Release { room, identity });
        }
        let sentence = "Another encoder publishes under this name";
        out.push_status(stream, Level::Error, BAD_NAME, sentence);
        self.refused()
    }
}

/// A name as the rooms take it, or a sentence on why it is none.
fn named<T, E: std::fmt::Display>(name: Result<T, E>) -> Result<T, String> {
    name.map_err(|error| {
        let text = error.to_string();
        let mut chars = text.chars();
        chars.next().map_or_else(String::new, |first| {
            first.to_uppercase().chain(chars).collect()
        })
    })
}
