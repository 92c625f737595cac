//! What a room client of the Flash era knows and does beside its connection.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use parlor_rtmp::amf0::Value;

use super::{RtmpClient, Stage};

/// Who is in a room, and what they publish there.
pub type Present = BTreeMap<String, BTreeSet<String>>;

/// What one message stream was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Wanted {
    Publish(String),
    Play(String),
}

/// The rooms of a client that says by invokes what browsers say by WebSocket.
#[derive(Debug)]
pub struct RoomClient {
    /// Who it is.
    pub login: String,
    /// The rooms that it is in, as it has been told.
    pub rooms: BTreeMap<String, Present>,
    /// The texts that it has got, oldest first.
    pub heard: Vec<String>,
    /// What its operations are, by their numbers, until they are answered.
    operations: BTreeMap<u64, Option<String>>,
    /// The streams that it has asked for, by the numbers of the calls.
    wanted: BTreeMap<u64, Wanted>,
    calls: u64,
    /// The message stream that it publishes on, and whether it has been told that it does.
    pub(super) publishes: Option<(u32, bool)>,
    /// It has asked to publish, which it does once.
    pub has_published: bool,
    /// The message stream that it plays on.
    pub(super) plays: Option<u32>,
    /// It has asked to play, and has neither stopped nor been refused.
    pub is_playing: bool,
}

impl RoomClient {
    /// One who has not been told anything.
    pub fn new(login: &str) -> Self {
        Self {
            login: login.to_owned(),
            rooms: BTreeMap::new(),
            heard: Vec::new(),
            operations: BTreeMap::new(),
            wanted: BTreeMap::new(),
            calls: FIRST_CALL,
            publishes: None,
            has_published: false,
            plays: None,
            is_playing: false,
        }
    }

    /// Whether it has been told that it publishes, and has not ended that.
    pub fn is_publishing(&self) -> bool {
        self.publishes.is_some_and(|(_, told)| told)
    }

    /// The number of the next call.
    fn call(&mut self) -> u64 {
        self.calls += 1;
        self.calls
    }

    /// The argument of a `sendData`, and notes which room it leaves.
    fn operation(&mut self, command: &str, options: Value, leaves: Option<&str>) -> Value {
        let operation = self.call();
        let leaves = leaves.map(str::to_owned);
        self.operations.insert(operation, leaves);
        let payload = object([("command", command.into()), ("options", options)]);
        object([
            ("operationId", operation.to_string().as_str().into()),
            ("payload", payload),
        ])
    }

    /// Takes what a room client is told.
    ///
    /// # Panics
    /// Where it cannot be so.
    fn hear(&mut self, method: &str, data: &Value) {
        match method {
            "DataStatusEvent" => {
                let operation = data.get("operationId").and_then(Value::as_str);
                let operation = operation.and_then(|text| text.parse().ok());
                let operation = operation.and_then(|number: u64| self.operations.remove(&number));
                let leaves = operation.expect("an answer to an operation");
                let is_done = data.get("status") == Some(&"ACCEPTED".into());
                if let Some(room) = leaves.filter(|_| is_done) {
                    self.rooms.remove(&room);
                }
            }
            "OnDataEvent" => {
                let payload = data.get("payload").expect("a payload");
                let text = |field| payload.get(field).and_then(Value::as_str).expect("a text");
                let info = payload.get("info").expect("what it is about");
                self.on_data(text("roomName"), text("name"), info);
            }
            _ => {}
        }
    }

    fn on_data(&mut self, room: &str, event: &str, info: &Value) {
        if event == "STATE" {
            let Value::Array(members) = info else {
                unreachable!("{info:?}")
            };
            let mut present = Present::new();
            for member in members {
                match member.as_str() {
                    Some(login) => present.entry(login.to_owned()).or_default(),
                    None => add(&mut present, member),
                };
            }
            let before = self.rooms.insert(room.to_owned(), present);
            assert_eq!(before, None, "it enters a room twice");
            return;
        }
        let present = self.rooms.get_mut(room);
        let present = present.expect("news of a room that it is in");
        let login = || info.as_str().expect("a login").to_owned();
        match event {
            "JOINED" => {
                let before = present.insert(login(), BTreeSet::new());
                assert_eq!(before, None, "nobody comes twice for a room client");
            }
            "LEFT" => {
                let streams = present.remove(&login());
                assert_eq!(streams, Some(BTreeSet::new()), "streams end before");
            }
            "PUBLISHED" => {
                add(present, info);
            }
            "UNPUBLISHED" => {
                let (login, name) = publication(info);
                let streams = present.get_mut(login).expect("is there");
                assert!(streams.remove(name), "{name} was not there");
            }
            "MESSAGE" => {
                let text = info.get("text").and_then(Value::as_str);
                self.heard.push(text.expect("a text").to_owned());
            }
            _ => {}
        }
    }
}

impl RtmpClient {
    pub(super) fn on_room_command(
        &mut self,
        now: Instant,
        stream: u32,
        name: &str,
        values: &[Value],
    ) {
        let Some(room) = &mut self.room else { return };
        let says = |field| values.get(3)?.get(field)?.as_str();
        match name {
            "_result" if self.stage == Stage::Connecting => {
                self.stage = Stage::On;
                self.started = true;
            }
            "_result" => {
                let number = values.get(1).and_then(Value::as_number);
                let wanted = number.and_then(|number| room.wanted.remove(&(number as u64)));
                let stream = values.get(3).and_then(Value::as_number);
                if let (Some(wanted), Some(stream)) = (wanted, stream) {
                    self.on_stream(stream as u32, wanted);
                }
            }
            "onStatus" => {
                let is_error = says("level") == Some("error");
                let code = says("code").unwrap_or_default();
                if room.publishes.is_some_and(|(it, _)| it == stream) {
                    if is_error {
                        room.publishes = None;
                    } else if code == "NetStream.Publish.Start" {
                        room.publishes = Some((stream, true));
                        self.begin(now);
                    }
                } else if room.plays == Some(stream)
                    && (is_error || code == "NetStream.Play.UnpublishNotify")
                {
                    room.plays = None;
                    room.is_playing = false;
                }
            }
            "ping" => self.call(0, "pong", 0.0, [Value::Null]),
            _ => room.hear(name, values.get(3).unwrap_or(&Value::Null)),
        }
    }

    /// A message stream is there, for what it was wanted.
    fn on_stream(&mut self, stream: u32, wanted: Wanted) {
        let Some(room) = &mut self.room else { return };
        let (command, name) = match wanted {
            Wanted::Publish(name) => {
                room.publishes = Some((stream, false));
                ("publish", name)
            }
            Wanted::Play(name) => {
                room.plays = Some(stream);
                ("play", name)
            }
        };
        let name = Value::from(name.as_str());
        self.call(stream, command, 0.0, [Value::Null, name]);
    }

    /// A room client enters a room.
    pub fn enter(&mut self, name: &str) {
        self.send_data("join", object([("name", name.into())]), None);
    }

    /// A room client leaves a room.
    pub fn leave(&mut self, name: &str) {
        self.send_data("leave", object([("name", name.into())]), Some(name));
    }

    /// A room client says something to all of a room, or to one.
    pub fn say(&mut self, name: &str, to: Option<&str>, text: &str) {
        let room = object([("name", name.into())]);
        let options = match to {
            Some(to) => object([
                ("roomConfig", room),
                ("text", text.into()),
                ("to", to.into()),
            ]),
            None => object([("roomConfig", room), ("text", text.into())]),
        };
        self.send_data("sendMessage", options, None);
    }

    fn send_data(&mut self, command: &str, options: Value, leaves: Option<&str>) {
        if let Some(room) = &mut self.room {
            let data = room.operation(command, options, leaves);
            self.call(0, "sendData", 0.0, [Value::Null, data]);
        }
    }

    /// A room client begins to publish, which it can do once.
    pub fn publish(&mut self, name: &str) {
        if let Some(room) = &mut self.room {
            room.has_published = true;
        }
        self.want(Wanted::Publish(name.to_owned()));
    }

    /// A room client begins to play.
    pub fn play(&mut self, name: &str) {
        if let Some(room) = &mut self.room {
            room.is_playing = true;
        }
        self.want(Wanted::Play(name.to_owned()));
    }

    fn want(&mut self, wanted: Wanted) {
        if let Some(room) = &mut self.room {
            let number = room.call();
            room.wanted.insert(number, wanted);
            self.call(0, "createStream", number as f64, [Value::Null]);
        }
    }

    /// A room client no longer publishes.
    pub fn unpublish(&mut self) {
        let stream = self.room.as_mut().and_then(|room| room.publishes.take());
        self.delete(stream.map(|(stream, _)| stream));
    }

    /// A room client no longer plays, if it has begun to.
    pub fn stop_playing(&mut self) {
        if let Some(room) = &mut self.room
            && let Some(stream) = room.plays.take()
        {
            room.is_playing = false;
            self.delete(Some(stream));
        }
    }

    fn delete(&mut self, stream: Option<u32>) {
        if let Some(stream) = stream {
            let stream = Value::Number(stream.into());
            self.call(0, "deleteStream", 5.0, [Value::Null, stream]);
        }
    }
}

/// Calls are numbered from here on; those that all clients make have lower numbers.
const FIRST_CALL: u64 = 100;

pub(super) fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let fields = fields.into_iter();
    Value::Object(
        fields
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}

fn publication(info: &Value) -> (&str, &str) {
    let text = |field| info.get(field).and_then(Value::as_str).expect("a text");
    (text("login"), text("name"))
}

fn add<'a>(present: &'a mut Present, info: &Value) -> &'a mut BTreeSet<String> {
    let (login, name) = publication(info);
    let streams = present.entry(login.to_owned()).or_default();
    assert!(streams.insert(name.to_owned()), "{name} comes twice");
    streams
}
