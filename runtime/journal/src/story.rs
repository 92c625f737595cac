//! A call as a person would tell it.

mod stream;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use parlor_core::observe::{Observation, Sender};
use parlor_core::{
    ClientId, EndReason, Event, Identity, MediaKind, News, Place, Reply, Request, RoomName,
};

use crate::pcap::Clear;
use crate::replay::Happened;
use crate::ways::{Stream, Way, media_of};
use stream::{Heard, Told};

/// A sentence of a story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When, after the machine's first instant.
    pub at: Duration,
    /// In which room.
    pub room: Option<RoomName>,
    /// Whom it is about.
    pub who: Vec<Identity>,
    /// What happened.
    pub text: String,
}

/// Makes a story of what happened.
#[derive(Debug, Default)]
pub struct Story {
    at: Duration,
    members: BTreeMap<(ClientId, RoomName), Identity>,
    streams: BTreeMap<Stream, Told>,
    /// When the latest packet of a picture of another worker's stream has come.
    relayed: BTreeMap<Stream, Duration>,
    lines: Vec<Line>,
    /// When it is looked next whether something stands still.
    looks: Duration,
}

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(100);

impl Story {
    /// Takes out what there is to tell.
    pub fn take(&mut self) -> Vec<Line> {
        std::mem::take(&mut self.lines)
    }

    /// Hears what happened `at` this time.
    pub fn hear(&mut self, at: Duration, happened: &Happened) {
        self.at = at;
        match happened {
            Happened::Request {
                client,
                request,
                reply,
            } => match reply.as_ref() {
                Ok(reply) => self.asked(*client, request, reply),
                Err(error) => self.tell_of_client(*client, format!("is refused: {error}")),
            },
            Happened::Told(Event { client, news }) => self.told(*client, news),
            Happened::Observed(observation) => self.observed(observation),
            Happened::Received { .. }
            | Happened::Ingested { .. }
            | Happened::Sent(_)
            | Happened::Sunk(_) => {}
        }
        if at >= self.looks {
            self.looks = at + LOOK;
            self.look();
        }
    }

    /// Of what another worker has this one play.
    fn observed(&mut self, observation: &Observation) {
        match observation {
            Observation::Guest {
                client,
                media,
                room,
                name,
                identity,
                publisher: (publisher, published, by),
                answer,
            } => {
                let guest = format!("client {} of another worker", client.0);
                let guest = match identity {
                    Some(identity) => format!("{identity} ({guest})"),
                    None => guest,
                };
                let title = format!("{guest}, playing {:?}", name.as_str());
                let of = Some((*publisher, *published));
                let told = Told::new(room.clone(), name.as_str(), title, false, of, Some(answer));
                let named = [identity, by].into_iter().flatten().cloned().collect();
                self.streams.insert((*client, *media), told.guest(named));
                self.tell_of((*client, *media), |told| format!("{}: begins", told.title));
            }
            Observation::GuestLive { client, media } => {
                self.tell_of((*client, *media), |told| {
                    format!("{}: is connected", told.title)
                });
            }
            Observation::GuestEnded {
                client,
                media,
                reason,
            } => {
                self.tell_of((*client, *media), |told| match reason {
                    Some(reason) => format!("{}: ends, because {}", told.title, because(*reason)),
                    None => format!("{}: is stopped by the other worker", told.title),
                });
                self.streams.remove(&(*client, *media));
            }
            Observation::Relayed {
                client,
                media,
                kind: MediaKind::Video,
            } => {
                self.relayed.insert((*client, *media), self.at);
            }
            Observation::Relayed {
                kind: MediaKind::Audio,
                ..
            }
            | Observation::Secured { .. } => {}
        }
    }

    /// Hears that an address has been validated for a stream.
    pub fn validated(&mut self, (remote, local): Way, stream: Stream) {
        self.tell_of(stream, |told| {
            format!(
                "{}: the way from {remote} to {local} is validated",
                told.title
            )
        });
    }

    /// Hears that the DTLS of a stream is done.
    pub fn secured(&mut self, stream: Stream) {
        self.tell_of(stream, |told| format!("{}: DTLS is done", told.title));
    }

    /// Whether a packet is one of this room, and of a stream that is about this participant.
    pub fn is_of(&self, clear: &Clear<'_>, room: Option<&RoomName>, login: Option<&str>) -> bool {
        if room.is_none() && login.is_none() {
            return true;
        }
        let stream = (clear.client, clear.media);
        self.streams.get(&stream).is_some_and(|told| {
            let named = |login| self.about(stream, told).any(|who| who.as_str() == login);
            room.is_none_or(|room| told.room.as_ref() == Some(room)) && login.is_none_or(named)
        })
    }

    /// Hears a packet of media.
    pub fn packet(&mut self, clear: &Clear<'_>) {
        let stream = (clear.client, clear.media);
        let at = self.at;
        let Some(told) = self.streams.get_mut(&stream) else {
            return;
        };
        for heard in told.packet(at, clear) {
            let text = match heard {
                Heard::FirstPicture => "the first key frame".to_owned(),
                Heard::KeyframeAsked if clear.sender == Sender::Server => {
                    "the server asks for a key frame (PLI)".to_owned()
                }
                Heard::KeyframeAsked => "asks for a key frame (PLI)".to_owned(),
                Heard::Moves(stood) => {
                    format!(
                        "the picture moves again, after {:.1} s",
                        stood.as_secs_f64()
                    )
                }
                Heard::Goodbye => "says goodbye (RTCP BYE)".to_owned(),
            };
            self.tell_of(stream, |told| format!("{}: {text}", told.title));
        }
    }

    /// Looks whether pictures stand still, and how much was lost lately.
    fn look(&mut self) {
        let at = self.at;
        let fed: BTreeMap<Stream, Option<Duration>> = self
            .streams
            .iter()
            .map(|(key, told)| {
                let source = told.of.and_then(|of| match told.is_guest() {
                    true => self.relayed.get(&of).copied(),
                    false => self.streams.get(&of)?.latest_picture,
                });
                (*key, source)
            })
            .collect();
        let keys: Vec<Stream> = self.streams.keys().copied().collect();
        for key in keys {
            let source = fed.get(&key).copied().flatten();
            let Some(told) = self.streams.get_mut(&key) else {
                continue;
            };
            let mut texts = Vec::new();
            texts.extend(told.losses(at));
            texts.extend(told.stands_still(at, source));
            for text in texts {
                self.tell_of(key, |told| format!("{}: {text}", told.title));
            }
        }
    }

    fn asked(&mut self, client: ClientId, request: &Request, reply: &Reply) {
        match request {
            Request::Join { room, identity, .. } => {
                self.members
                    .insert((client, room.clone()), identity.clone());
                self.tell_in(client, room, "enters the room".into());
            }
            Request::Leave { room } => {
                self.tell_in(client, room, "leaves the room".into());
                self.members.remove(&(client, room.clone()));
            }
            Request::SendMessage { room, to, text } => {
                let to = to.as_ref().map_or("everyone", Identity::as_str);
                let text: String = text.chars().take(60).collect();
                self.tell_in(client, room, format!("says to {to}: {text:?}"));
            }
            Request::Publish { name, place, .. } | Request::Ingest { name, place, .. } => {
                self.begins(client, request, reply, place, name.as_str(), "publishes");
            }
            Request::Subscribe { name, place, .. } | Request::Sink { name, place, .. } => {
                self.begins(client, request, reply, place, name.as_str(), "plays");
            }
            Request::Watch { name, room, .. } => {
                let place = Place::Room(room.clone());
                self.begins(client, request, reply, &place, name.as_str(), "watches");
            }
            Request::WantKeyframe { media } => {
                self.tell_of((client, *media), |told| {
                    format!("{}: asks for a key frame", told.title)
                });
            }
            Request::Stop { media } => {
                self.tell_of((client, *media), |told| {
                    format!("{}: is stopped", told.title)
                });
                self.streams.remove(&(client, *media));
            }
            Request::SetMuted { media, kind, muted } => {
                let muted = if *muted { "muted" } else { "not muted" };
                self.tell_of((client, *media), |told| {
                    format!("{}: {kind:?} is {muted}", told.title)
                });
            }
            Request::SendData { .. } | Request::Find { .. } => {}
            Request::Disconnect => {
                self.tell_of_client(client, "is gone".into());
                self.members.retain(|(member, _), _| *member != client);
                self.streams.retain(|(owner, _), _| *owner != client);
            }
        }
    }

    fn begins(
        &mut self,
        client: ClientId,
        request: &Request,
        reply: &Reply,
        place: &Place,
        name: &str,
        does: &str,
    ) {
        let Some(media) = media_of(request) else {
            return;
        };
        let room = match place {
            Place::Room(room) => Some(room.clone()),
            Place::Open => None,
        };
        let who = self.name(client, room.as_ref());
        let publishes = does == "publishes";
        let of = (!publishes).then(|| {
            let published = |told: &&Told| told.publishes && told.room == room && told.name == name;
            let mut streams = self.streams.iter();
            streams
                .find(|(_, told)| published(told))
                .map(|(key, _)| *key)
        });
        let title = match publishes {
            true => format!("{who}'s stream {name:?}"),
            false => format!("{who}, playing {name:?}"),
        };
        let answer = match reply {
            Reply::Answer { sdp, .. } => Some(sdp.as_str()),
            Reply::Done
            | Reply::Joined { .. }
            | Reply::Sink { .. }
            | Reply::Available(_)
            | Reply::Later { .. } => None,
        };
        let told = Told::new(room, name, title, publishes, of.flatten(), answer);
        self.streams.insert((client, media), told);
        self.tell_of((client, media), |_| format!("{who} {does} {name:?}"));
    }

    fn told(&mut self, client: ClientId, news: &News) {
        match news {
            News::Live { media } => {
                self.tell_of((client, *media), |told| {
                    format!("{}: is connected", told.title)
                });
            }
            News::Ended { media, reason } => {
                let why = because(*reason);
                self.tell_of((client, *media), |told| {
                    format!("{}: ends, because {why}", told.title)
                });
                self.streams.remove(&(client, *media));
            }
            News::CodecMismatch { media, .. } => {
                self.tell_of((client, *media), |told| {
                    format!("{}: somebody has no codec in common with it", told.title)
                });
            }
            News::Answered { media, result } => {
                let text = match result {
                    Ok(_) => "is played by another worker".to_owned(),
                    Err(error) => format!("is refused: {error}"),
                };
                self.tell_of((client, *media), |told| format!("{}: {text}", told.title));
                if result.is_err() {
                    self.streams.remove(&(client, *media));
                }
            }
            News::Replaced { room } => {
                self.tell_in(client, room, "is replaced by a later connection".into());
                self.members.remove(&(client, room.clone()));
            }
            News::Joined { .. }
            | News::Left { .. }
            | News::Published { .. }
            | News::Unpublished { .. }
            | News::Message { .. }
            | News::Speaking { .. }
            | News::Muted { .. }
            | News::Data { .. } => {}
        }
    }

    fn name(&self, client: ClientId, room: Option<&RoomName>) -> String {
        self.identity(client, room)
            .map_or_else(|| format!("client {}", client.0), |name| name.to_string())
    }

    fn identity(&self, client: ClientId, room: Option<&RoomName>) -> Option<&Identity> {
        self.members.get(&(client, room?.clone()))
    }

    fn tell_of(&mut self, stream: Stream, text: impl FnOnce(&Told) -> String) {
        let Some(told) = self.streams.get(&stream) else {
            return;
        };
        self.lines.push(Line {
            at: self.at,
            room: told.room.clone(),
            who: self.about(stream, told).cloned().collect(),
            text: text(told),
        });
    }

    /// Whom a stream is about: whose it is, and whose publication it plays.
    fn about<'a>(&'a self, stream: Stream, told: &'a Told) -> impl Iterator<Item = &'a Identity> {
        let clients = [Some(stream.0), told.of.map(|(client, _)| client)];
        let room = told.room.as_ref();
        let members = clients.into_iter().flatten();
        let members = members.filter_map(move |client| self.identity(client, room));
        members.chain(&told.named)
    }

    fn tell_in(&mut self, client: ClientId, room: &RoomName, does: String) {
        let who = self.name(client, Some(room));
        self.lines.push(Line {
            at: self.at,
            room: Some(room.clone()),
            who: self
                .identity(client, Some(room))
                .cloned()
                .into_iter()
                .collect(),
            text: format!("{who} {does}"),
        });
    }

    /// Tells something of a client in each of the rooms in which it is or has streams.
    fn tell_of_client(&mut self, client: ClientId, does: String) {
        let member = self.members.keys().filter(|(member, _)| *member == client);
        let member = member.map(|(_, room)| room);
        // Who only watches is no member.
        let streams = self
            .streams
            .iter()
            .filter(|((owner, _), _)| *owner == client);
        let streams = streams.filter_map(|(_, told)| told.room.as_ref());
        let rooms: BTreeSet<RoomName> = member.chain(streams).cloned().collect();
        if rooms.is_empty() {
            self.lines.push(Line {
                at: self.at,
                room: None,
                who: Vec::new(),
                text: format!("client {} {does}", client.0),
            });
        }
        for room in rooms {
            self.tell_in(client, &room, does.clone());
        }
    }
}

fn because(reason: EndReason) -> &'static str {
    match reason {
        EndReason::PublisherStopped => "the publisher has stopped",
        EndReason::ConnectTimeout => "it has not connected in time",
        EndReason::ConsentExpired => "its client has fallen silent",
        EndReason::DtlsFailed => "DTLS has failed",
        EndReason::Closed => "its client has closed it",
        EndReason::Failed => "it has broken the protocol",
    }
}
