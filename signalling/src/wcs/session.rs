//! A WCS session: a client's messages become requests to the rooms, and what comes back becomes
//! messages.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use parlor_core::{
    ClientId, Identity, MediaId, Muted, Place, PublicationName, Request, RequestError, ResumeToken,
    RoomName,
};
use tracing::debug;

use crate::bucket::Bucket;
use crate::connection::{Action, Config, RequestId};
use crate::limits::{
    CONNECTION_TIMEOUT, FAULT_BURST, FAULT_PER_SECOND, PENDING, REQUEST_BURST, REQUEST_PER_SECOND,
    ROOMS, STREAMS, TALK_BURST, TALK_PER_SECOND,
};
use crate::outbox::Outbox;
use crate::wcs::answer;
use crate::wcs::message::{
    self, Addressee, Command, Direction, Fault, Hello, Id, Message, Refusal, Start, StreamEvent,
};
use crate::wcs::stream::{Stage, Stream, Streams};
use crate::websocket::Close;

mod replies;

const TOO_FAST: &str = "You send too fast, slow down";
const TOO_MANY_PENDING: &str = "Too many requests await their answers";

/// How a session ends from the server's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// With a WebSocket close.
    Close(Close),
    /// Without a word: the client is gone.
    Silent,
}

impl From<Close> for End {
    fn from(close: Close) -> Self {
        Self::Close(close)
    }
}

/// What one client is in the middle of.
pub(crate) struct Session {
    client: ClientId,
    stage: SessionStage,
    pings: Pings,
    /// The port of RTMP, which the client is told.
    rtmp: Option<u16>,
    rooms: BTreeSet<RoomName>,
    streams: Streams,
    pending: BTreeMap<RequestId, Pending>,
    next_request: u64,
    /// Numbers what the client is told of rooms (`operationId`).
    next_operation: u64,
    /// What others get to hear of this client.
    talk: Bucket,
    /// What the rooms have to do for this client.
    requests: Bucket,
    faults: Bucket,
}

enum SessionStage {
    /// The client has not said `connection`.
    Opened {
        until: Instant,
    },
    Established {
        login: Result<Identity, String>,
    },
}

/// Keeps asking whether the client is there.
struct Pings {
    interval: Duration,
    attempts: u32,
    next: Instant,
    /// Pings since the client was last heard.
    unanswered: u32,
}

/// What an answer of the rooms belongs to.
#[derive(Debug)]
enum Pending {
    Join {
        operation: Id,
        room: RoomName,
        /// The client wants what was said before.
        history: bool,
    },
    /// Streams older than `before` end with the leave.
    Leave {
        operation: Id,
        room: RoomName,
        before: MediaId,
    },
    SendMessage {
        operation: Id,
    },
    Start {
        media: MediaId,
    },
    Stop,
    StreamEvent,
    Find {
        id: Id,
    },
}

impl Session {
    pub(crate) fn new(config: &Config, client: ClientId, now: Instant) -> Self {
        Self {
            client,
            stage: SessionStage::Opened {
                until: now + CONNECTION_TIMEOUT,
            },
            pings: Pings {
                interval: config.ping_interval,
                attempts: config.ping_attempts,
                next: now + config.ping_interval,
                unanswered: 0,
            },
            rtmp: config.rtmp,
            rooms: BTreeSet::new(),
            streams: Streams::default(),
            pending: BTreeMap::new(),
            next_request: 0,
            next_operation: 0,
            talk: Bucket::new(TALK_BURST, TALK_PER_SECOND, now),
            requests: Bucket::new(REQUEST_BURST, REQUEST_PER_SECOND, now),
            faults: Bucket::new(FAULT_BURST, FAULT_PER_SECOND, now),
        }
    }

    /// A frame has come, whatever it holds.
    pub(crate) fn handle_life(&mut self) {
        self.pings.unanswered = 0;
    }

    pub(crate) fn handle_message(
        &mut self,
        now: Instant,
        text: &str,
        out: &mut Outbox,
    ) -> Result<(), End> {
        out.counters.messages_in += 1;
        let message = message::parse(text);
        let SessionStage::Established { .. } = self.stage else {
            return self.on_first_message(now, message, out);
        };
        match message {
            Ok(message) => self.on_message(now, message, out),
            Err(refusal) => self.on_refusal(now, &refusal, out),
        }
    }

    fn on_first_message(
        &mut self,
        now: Instant,
        message: Result<Message, Refusal>,
        out: &mut Outbox,
    ) -> Result<(), End> {
        match message {
            Ok(Message::Connection(hello)) => {
                self.on_connection(now, hello, out);
                return Ok(());
            }
            Ok(_) => {
                out.counters.message_faults += 1;
                answer::fail("connection", "A session begins with `connection`", out);
            }
            Err(refusal) => self.on_refusal(now, &refusal, out)?,
        }
        Err(Close::new(1008, "a session begins with a connection message").into())
    }

    fn on_connection(&mut self, now: Instant, hello: Hello, out: &mut Outbox) {
        answer::get_user_data(&hello, self.rtmp, out);
        debug!(
            client = self.client.0,
            participant = hello.login.as_ref().ok().map(Identity::as_str),
            "session established"
        );
        self.stage = SessionStage::Established { login: hello.login };
        self.pings.next = now + self.pings.interval;
    }

    fn on_refusal(&mut self, now: Instant, refusal: &Refusal, out: &mut Outbox) -> Result<(), End> {
        let Refusal {
            to,
            sentence,
            fault,
        } = refusal;
        match fault {
            Fault::Malformed => out.counters.message_faults += 1,
            Fault::Unknown => out.counters.messages_unknown += 1,
        }
        debug!(client = self.client.0, participant = self.participant(), %sentence, "refused");
        match to {
            Addressee::Session { method } => answer::fail(method, sentence, out),
            Addressee::Operation(operation) => {
                answer::data_status(operation, Err(sentence), out);
            }
            Addressee::Stream {
                id,
                name,
                direction,
            } => {
                answer::failed(id, name.as_deref(), *direction, sentence, out);
            }
            Addressee::Query(id) => answer::available(id, Err(sentence), out),
        }
        if self.faults.take(now) {
            return Ok(());
        }
        out.counters.sent_away += 1;
        Err(Close::new(1008, "too many messages without sense").into())
    }

    fn on_message(&mut self, now: Instant, message: Message, out: &mut Outbox) -> Result<(), End> {
        match message {
            Message::Connection(_) => {
                let refusal = Refusal::again("connection", "This session is established already");
                return self.on_refusal(now, &refusal, out);
            }
            Message::Ping => answer::pong(out),
            Message::Pong | Message::Dropped => {}
            Message::SendData { operation, command } => {
                self.on_command(now, operation, command, out);
            }
            Message::Start(start) => self.on_start(now, start, out),
            Message::Stop {
                id,
                name,
                direction,
            } => self.on_stop(&id, name, direction, out),
            Message::StreamEvent { id, event } => self.on_stream_event(now, &id, event, out),
            Message::Snapshot { id } => answer::snapshot_failed(&id, out),
            Message::AvailableStream { id, name, room } => {
                self.on_available_stream(now, id, name, room, out);
            }
        }
        Ok(())
    }

    fn on_command(&mut self, now: Instant, operation: Id, command: Command, out: &mut Outbox) {
        let result = match command {
            Command::Join {
                room,
                resume,
                history,
            } => self.join(now, &operation, (room, resume), history, out),
            Command::Leave { room } => self.leave(&operation, room, out),
            Command::SendMessage { room, to, text } => self.admit_talk(now, out).and_then(|()| {
                let pending = Pending::SendMessage {
                    operation: operation.clone(),
                };
                let key = room.to_string();
                self.ask(pending, key, Request::SendMessage { room, to, text }, out)
            }),
        };
        if let Err(sentence) = result {
            answer::data_status(&operation, Err(&sentence), out);
        }
    }

    fn join(
        &mut self,
        now: Instant,
        operation: &Id,
        (room, resume): (RoomName, Option<ResumeToken>),
        history: bool,
        out: &mut Outbox,
    ) -> Result<(), String> {
        let SessionStage::Established { login } = &self.stage else {
            return Err("A session begins with `connection`".to_owned());
        };
        let identity = login.clone()?;
        self.admit_request(now, out)?;
        if self.rooms.len() >= ROOMS {
            return Err("You are in too many rooms".to_owned());
        }
        let pending = Pending::Join {
            operation: operation.clone(),
            room: room.clone(),
            history,
        };
        let key = room.to_string();
        self.ask(
            pending,
            key,
            Request::Join {
                room,
                identity,
                resume,
            },
            out,
        )
    }

    fn leave(&mut self, operation: &Id, room: RoomName, out: &mut Outbox) -> Result<(), String> {
        let before = self.streams.next();
        let pending = Pending::Leave {
            operation: operation.clone(),
            room: room.clone(),
            before,
        };
        self.ask(pending, room.to_string(), Request::Leave { room }, out)
    }

    fn on_start(&mut self, now: Instant, start: Start, out: &mut Outbox) {
        let Start {
            id,
            direction,
            name,
            room,
            offer,
        } = start;
        if let Err(sentence) = self.admit_stream(now, &id, out) {
            return answer::failed(&id, Some(name.as_str()), direction, &sentence, out);
        }
        let place = self.place(room, &name);
        let (room, participant) = (room_of(&place), self.participant());
        debug!(room, participant, ?direction, "stream asked for");
        let media = self.streams.insert(Stream {
            id,
            direction,
            name: name.clone(),
            place: place.clone(),
            stage: Stage::Asked,
            audio: false,
            video: false,
            muted: Muted::default(),
        });
        let key = key(&place, &name);
        let request = match direction {
            Direction::Publish => Request::Publish {
                media,
                place,
                name,
                offer,
            },
            Direction::Play => Request::Subscribe {
                media,
                place,
                name,
                offer,
            },
        };
        if let Err(sentence) = self.ask(Pending::Start { media }, key, request, out)
            && let Some(stream) = self.streams.remove(media)
        {
            answer::failed(
                &stream.id,
                Some(stream.name.as_str()),
                direction,
                &sentence,
                out,
            );
        }
    }

    fn admit_stream(&mut self, now: Instant, id: &Id, out: &mut Outbox) -> Result<(), String> {
        self.admit_request(now, out)?;
        if self.streams.media(id).is_some() {
            return Err(answer::refusal(&RequestError::MediaInUse));
        }
        if self.streams.len() >= STREAMS {
            return Err("Too many streams in this session".to_owned());
        }
        Ok(())
    }

    /// A stop is always answered, also for a stream that is over or never was: the SDK waits.
    fn on_stop(&mut self, id: &Id, name: Option<String>, direction: Direction, out: &mut Outbox) {
        let Some(stream) = self.streams.media(id).and_then(|media| {
            let stream = self.streams.remove(media)?;
            let key = key(&stream.place, &stream.name);
            self.ask_without_limit(Pending::Stop, key, Request::Stop { media }, out);
            Some(stream)
        }) else {
            return answer::stopped(id, name.as_deref(), direction, out);
        };
        answer::stopped(id, Some(stream.name.as_str()), stream.direction, out);
    }

    fn on_stream_event(&mut self, now: Instant, id: &Id, event: StreamEvent, out: &mut Outbox) {
        if let Err(sentence) = self.stream_event(now, id, event, out) {
            answer::fail("sendStreamEvent", &sentence, out);
        }
    }

    fn stream_event(
        &mut self,
        now: Instant,
        id: &Id,
        event: StreamEvent,
        out: &mut Outbox,
    ) -> Result<(), String> {
        self.admit_talk(now, out)?;
        let not_found = || answer::refusal(&RequestError::NoSuchPublication);
        let media = self.streams.media(id).ok_or_else(not_found)?;
        let stream = self.streams.get_mut(media).ok_or_else(not_found)?;
        if stream.direction == Direction::Play {
            return Err("Only who publishes a stream can say something of it".to_owned());
        }
        let key = key(&stream.place, &stream.name);
        let request = match event {
            StreamEvent::Muted { kind, muted } => Request::SetMuted { media, kind, muted },
            StreamEvent::Data(payload) => Request::SendData { media, payload },
        };
        self.ask(Pending::StreamEvent, key, request, out)
    }

    fn on_available_stream(
        &mut self,
        now: Instant,
        id: Id,
        name: PublicationName,
        room: Option<RoomName>,
        out: &mut Outbox,
    ) {
        let place = self.place(room, &name);
        let result = self.admit_request(now, out).and_then(|()| {
            let pending = Pending::Find { id: id.clone() };
            self.ask(
                pending,
                key(&place, &name),
                Request::Find { place, name },
                out,
            )
        });
        if let Err(sentence) = result {
            answer::available(&id, Err(&sentence), out);
        }
    }

    /// Where a stream is: in the room it names. Else, since the SDK builds the names of streams
    /// from those of rooms, in the room of this session whose name it begins with. Else it is
    /// open to everyone.
    pub(crate) fn place(&self, room: Option<RoomName>, name: &PublicationName) -> Place {
        let within = |room: &&RoomName| {
            let rest = name.as_str().strip_prefix(room.as_str());
            rest.is_some_and(|rest| rest.starts_with('-'))
        };
        let joining = self.pending.values().filter_map(|pending| match pending {
            Pending::Join { room, .. } => Some(room),
            Pending::Leave { .. }
            | Pending::SendMessage { .. }
            | Pending::Start { .. }
            | Pending::Stop
            | Pending::StreamEvent
            | Pending::Find { .. } => None,
        });
        let longest = || {
            let rooms = self.rooms.iter().chain(joining).filter(within);
            rooms.max_by_key(|room| room.as_str().len()).cloned()
        };
        room.or_else(longest).map_or(Place::Open, Place::Room)
    }

    fn admit_talk(&mut self, now: Instant, out: &mut Outbox) -> Result<(), String> {
        Self::admit(&mut self.talk, now, out)
    }

    fn admit_request(&mut self, now: Instant, out: &mut Outbox) -> Result<(), String> {
        Self::admit(&mut self.requests, now, out)
    }

    fn admit(bucket: &mut Bucket, now: Instant, out: &mut Outbox) -> Result<(), String> {
        if bucket.take(now) {
            return Ok(());
        }
        out.counters.rate_limited += 1;
        Err(TOO_FAST.to_owned())
    }

    fn ask(
        &mut self,
        pending: Pending,
        key: String,
        request: Request,
        out: &mut Outbox,
    ) -> Result<(), String> {
        if self.pending.len() >= PENDING {
            return Err(TOO_MANY_PENDING.to_owned());
        }
        self.ask_without_limit(pending, key, request, out);
        Ok(())
    }

    /// Asks what is bounded by something else, such as the number of streams.
    fn ask_without_limit(
        &mut self,
        pending: Pending,
        key: String,
        request: Request,
        out: &mut Outbox,
    ) {
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.pending.insert(id, pending);
        out.actions.push_back(Action::Ask { id, key, request });
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) -> Result<(), End> {
        match self.stage {
            SessionStage::Opened { until } => {
                if now < until {
                    return Ok(());
                }
                out.counters.timeouts += 1;
                Err(Close::new(1008, "no connection message came").into())
            }
            SessionStage::Established { .. } => {
                if now < self.pings.next {
                    return Ok(());
                }
                if self.pings.unanswered >= self.pings.attempts {
                    out.counters.timeouts += 1;
                    debug!(
                        participant = self.participant(),
                        "the client does not answer"
                    );
                    return Err(End::Silent);
                }
                self.pings.unanswered += 1;
                self.pings.next = now + self.pings.interval;
                answer::ping(out);
                Ok(())
            }
        }
    }

    pub(crate) fn poll_timeout(&self) -> Instant {
        match self.stage {
            SessionStage::Opened { until } => until,
            SessionStage::Established { .. } => self.pings.next,
        }
    }

    fn participant(&self) -> Option<&str> {
        match &self.stage {
            SessionStage::Opened { .. } => None,
            SessionStage::Established { login } => login.as_ref().ok().map(Identity::as_str),
        }
    }
}

/// What decides which worker a stream falls to.
fn key(place: &Place, name: &PublicationName) -> String {
    match place {
        Place::Room(room) => room.to_string(),
        Place::Open => name.to_string(),
    }
}

/// The room of a place, for the log.
pub(super) fn room_of(place: &Place) -> Option<&str> {
    match place {
        Place::Room(room) => Some(room.as_str()),
        Place::Open => None,
    }
}
