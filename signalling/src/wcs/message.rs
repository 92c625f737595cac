//! What clients say, read into types.
//!
//! Every reading either gives a [`Message`] or a [`Refusal`]: a sentence that names the field,
//! addressed so that the SDK brings it to where the app waits for it.

use parlor_core::{Identity, MediaKind, PublicationName, ResumeToken, RoomName};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::limits::{ID_BYTES, RESUME_TOKEN_BYTES};
use crate::wcs::surrogates;

/// A message that is understood.
#[derive(Debug)]
pub(crate) enum Message {
    Connection(Hello),
    /// The client wants to know whether the server lives.
    Ping,
    /// The client lives.
    Pong,
    /// Something that an SDK sends and this server has no use for.
    Dropped,
    SendData {
        operation: Id,
        command: Command,
    },
    Start(Start),
    Stop {
        id: Id,
        name: Option<String>,
        direction: Direction,
    },
    StreamEvent {
        id: Id,
        event: StreamEvent,
    },
    Snapshot {
        id: Id,
    },
    AvailableStream {
        id: Id,
        name: PublicationName,
        room: Option<RoomName>,
    },
}

/// What a client says of itself.
#[derive(Debug)]
pub(crate) struct Hello {
    pub(crate) app_key: Option<String>,
    /// Who the client wants to be in rooms, or why it cannot be in any.
    pub(crate) login: Result<Identity, String>,
}

#[derive(Debug)]
pub(crate) enum Command {
    Join {
        room: RoomName,
        /// What an earlier join gave, to take the same place again.
        resume: Option<ResumeToken>,
        /// The client wants what was said before.
        history: bool,
    },
    Leave {
        room: RoomName,
    },
    SendMessage {
        room: RoomName,
        /// `None`: everyone.
        to: Option<Identity>,
        text: String,
    },
}

/// A stream to begin.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) id: Id,
    pub(crate) direction: Direction,
    pub(crate) name: PublicationName,
    pub(crate) room: Option<RoomName>,
    pub(crate) offer: String,
}

/// Who sends the media of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The client does.
    Publish,
    /// The server does.
    Play,
}

#[derive(Debug)]
pub(crate) enum StreamEvent {
    Muted {
        kind: MediaKind,
        muted: bool,
    },
    /// JSON text.
    Data(String),
}

/// A `mediaSessionId` or `operationId`: made by the client, given back as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Id(Box<str>);

impl Id {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A message that is not understood.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) to: Addressee,
    pub(crate) sentence: String,
    pub(crate) fault: Fault,
}

impl Refusal {
    /// Refuses a message that has no place in the session, though its form is right.
    pub(crate) fn again(method: &str, sentence: &str) -> Self {
        malformed(method, sentence)
    }
}

/// What is wrong with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Its form.
    Malformed,
    /// Nothing, but this server does not do what it asks for.
    Unknown,
}

/// Where in the SDK the sentence is to arrive.
#[derive(Debug)]
pub(crate) enum Addressee {
    /// The session: `fail`, with the name of the message.
    Session { method: String },
    /// The one who waits for a room command.
    Operation(Id),
    /// The stream: a status `FAILED`.
    Stream {
        id: Id,
        name: Option<String>,
        direction: Direction,
    },
    /// The one who waits to hear whether a stream is there.
    Query(Id),
}

/// Reads a text message.
pub(crate) fn parse(text: &str) -> Result<Message, Refusal> {
    let text = &*surrogates::mend(text);
    let Ok(frame) = serde_json::from_str::<Value>(text) else {
        return Err(malformed("", "A message is JSON text"));
    };
    let Some(name) = frame.get("message").and_then(Value::as_str) else {
        return Err(malformed(
            "",
            "A message is an object with a text `message`",
        ));
    };
    let method = Method::from_name(name).ok_or_else(|| Refusal {
        to: session(name),
        sentence: format!("This server does not understand \"{}\"", short(name)),
        fault: Fault::Unknown,
    })?;
    match method {
        Method::Ping => return Ok(Message::Ping),
        Method::Pong => return Ok(Message::Pong),
        Method::Dropped => return Ok(Message::Dropped),
        Method::Connection
        | Method::SendData
        | Method::Start(_)
        | Method::Stop(_)
        | Method::SendStreamEvent
        | Method::Snapshot
        | Method::AvailableStream => {}
    }
    let fields = match frame.get("data") {
        Some(Value::Array(data)) => data.first().and_then(Value::as_object),
        Some(_) | None => return Err(malformed(name, "`data` must be an array")),
    };
    let fields = Fields(fields.ok_or_else(|| malformed(name, "`data[0]` must be an object"))?);
    read(method, &fields, text).map_err(|wrong| wrong.address(name, method, &fields))
}

/// The messages by name.
#[derive(Debug, Clone, Copy)]
enum Method {
    Connection,
    Ping,
    Pong,
    Dropped,
    SendData,
    Start(Direction),
    Stop(Direction),
    SendStreamEvent,
    Snapshot,
    AvailableStream,
}

impl Method {
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "connection" => Self::Connection,
            "ping" => Self::Ping,
            "pong" => Self::Pong,
            "pushLogs"
            | "sessionDebug"
            | "submitBugReport"
            | "webRTCMetricsClientDescription"
            | "webRTCMetricsBatch" => Self::Dropped,
            "sendData" => Self::SendData,
            "publishStream" => Self::Start(Direction::Publish),
            "playStream" => Self::Start(Direction::Play),
            "unPublishStream" => Self::Stop(Direction::Publish),
            "stopStream" => Self::Stop(Direction::Play),
            "sendStreamEvent" => Self::SendStreamEvent,
            "snapshot" => Self::Snapshot,
            "availableStream" => Self::AvailableStream,
            _ => return None,
        })
    }
}

fn read(method: Method, fields: &Fields<'_>, text: &str) -> Result<Message, Wrong> {
    Ok(match method {
        Method::Connection => Message::Connection(Hello {
            app_key: fields.optional_text("appKey")?.map(short),
            login: read_login(fields),
        }),
        Method::Ping => Message::Ping,
        Method::Pong => Message::Pong,
        Method::Dropped => Message::Dropped,
        Method::SendData => {
            let operation = fields.id("operationId")?;
            Message::SendData {
                operation,
                command: read_command(&fields.object("payload")?)?,
            }
        }
        Method::Start(direction) => Message::Start(Start {
            id: fields.media_session_id()?,
            direction,
            name: read_name(fields.text("name")?, PublicationName::new)?,
            room: read_room(fields)?,
            offer: fields.text("sdp")?.to_owned(),
        }),
        // Whatever else a stop says, it is answered: only the id counts.
        Method::Stop(direction) => Message::Stop {
            id: fields.media_session_id()?,
            name: fields
                .optional_text("name")
                .ok()
                .flatten()
                .map(str::to_owned),
            direction,
        },
        Method::SendStreamEvent => Message::StreamEvent {
            id: fields.media_session_id()?,
            event: read_stream_event(fields.text("type")?, text)?,
        },
        Method::Snapshot => Message::Snapshot {
            id: fields.media_session_id()?,
        },
        Method::AvailableStream => Message::AvailableStream {
            id: fields.media_session_id()?,
            name: read_name(fields.text("name")?, PublicationName::new)?,
            room: read_room(fields)?,
        },
    })
}

/// A client without a login can do all that needs no room, so that a bad one is told at the join.
fn read_login(fields: &Fields<'_>) -> Result<Identity, String> {
    let login = match fields.get("custom").and_then(|custom| custom.get("login")) {
        None | Some(Value::Null) => return Err("A login is needed to join a room".to_owned()),
        Some(Value::String(login)) => login,
        Some(_) => return Err("`custom.login` must be text".to_owned()),
    };
    Identity::new(login).map_err(|error| sentence(&error.to_string()))
}

fn read_command(payload: &Fields<'_>) -> Result<Command, Wrong> {
    let command = payload.text("command")?;
    if !matches!(command, "join" | "leave" | "sendMessage") {
        return Err(Wrong::Unknown(format!(
            "There is no command \"{}\"",
            short(command)
        )));
    }
    let options = payload.object("options")?;
    let room = |fields: &Fields<'_>| read_name(fields.text("name")?, RoomName::new);
    Ok(match command {
        "join" => Command::Join {
            room: room(&options)?,
            resume: read_resume(&options)?,
            history: options.get("history") == Some(&Value::Bool(true)),
        },
        "leave" => Command::Leave {
            room: room(&options)?,
        },
        _ => Command::SendMessage {
            room: room(&options.object("roomConfig")?)?,
            to: match options.optional_text("to")? {
                Some(to) => Some(read_name(to, Identity::new)?),
                None => None,
            },
            text: options.text("text")?.to_owned(),
        },
    })
}

/// The token is one of ours or nothing: its length is the only form it has.
fn read_resume(options: &Fields<'_>) -> Result<Option<ResumeToken>, Wrong> {
    match options.optional_text("resume")? {
        Some(token) if token.len() > RESUME_TOKEN_BYTES => {
            Err(Wrong::Form("`resume` is too long".to_owned()))
        }
        token => Ok(token.map(|token| ResumeToken(token.to_owned()))),
    }
}

/// The room of a stream, which the SDK's rooms put into `custom`. Apps without rooms put there
/// what they like, or nothing.
fn read_room(fields: &Fields<'_>) -> Result<Option<RoomName>, Wrong> {
    match fields.get("custom").and_then(|custom| custom.get("name")) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(name)) => read_name(name, RoomName::new).map(Some),
        Some(_) => Err(Wrong::Form("`custom.name` must be text".to_owned())),
    }
}

fn read_stream_event(event: &str, text: &str) -> Result<StreamEvent, Wrong> {
    let muted = |kind, muted| Ok(StreamEvent::Muted { kind, muted });
    match event {
        "audioMuted" => muted(MediaKind::Audio, true),
        "audioUnmuted" => muted(MediaKind::Audio, false),
        "videoMuted" => muted(MediaKind::Video, true),
        "videoUnmuted" => muted(MediaKind::Video, false),
        "data" => read_payload(text).map(StreamEvent::Data),
        _ => Err(Wrong::Unknown(format!(
            "There is no stream event \"{}\"",
            short(event)
        ))),
    }
}

/// The payload of a stream event as it is written: numbers and the order of keys stay.
fn read_payload(text: &str) -> Result<String, Wrong> {
    #[derive(Deserialize)]
    struct Frame<'a> {
        #[serde(borrow)]
        data: Vec<Event<'a>>,
    }
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(borrow)]
        payload: Option<&'a RawValue>,
    }
    let Ok(Frame { data }) = serde_json::from_str(text) else {
        return Err(Wrong::Form("`data` must hold one event".to_owned()));
    };
    match data.first() {
        Some(Event {
            payload: Some(payload),
        }) => Ok(payload.get().to_owned()),
        Some(Event { payload: None }) | None => {
            Err(Wrong::Form("`payload` must be there".to_owned()))
        }
    }
}

fn read_name<T, E: std::fmt::Display>(
    text: &str,
    new: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, Wrong> {
    new(text).map_err(|error| Wrong::Form(sentence(&error.to_string())))
}

/// What is wrong with the fields of a message.
enum Wrong {
    Form(String),
    Unknown(String),
}

impl Wrong {
    fn address(self, name: &str, method: Method, fields: &Fields<'_>) -> Refusal {
        let to = match method {
            Method::SendData => fields.id("operationId").ok().map(Addressee::Operation),
            Method::Start(direction) => fields.media_session_id().ok().map(|id| {
                let name = fields
                    .optional_text("name")
                    .ok()
                    .flatten()
                    .map(str::to_owned);
                Addressee::Stream {
                    id,
                    name,
                    direction,
                }
            }),
            Method::AvailableStream => fields.media_session_id().ok().map(Addressee::Query),
            Method::Connection
            | Method::Ping
            | Method::Pong
            | Method::Dropped
            | Method::Stop(_)
            | Method::SendStreamEvent
            | Method::Snapshot => None,
        };
        let (sentence, fault) = match self {
            Self::Form(sentence) => (sentence, Fault::Malformed),
            Self::Unknown(sentence) => (sentence, Fault::Unknown),
        };
        Refusal {
            to: to.unwrap_or_else(|| session(name)),
            sentence,
            fault,
        }
    }
}

/// The fields of an object.
struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name)
    }

    fn text(&self, name: &str) -> Result<&'a str, Wrong> {
        self.optional_text(name)?
            .ok_or_else(|| Wrong::Form(format!("`{name}` must be there")))
    }

    fn optional_text(&self, name: &str) -> Result<Option<&'a str>, Wrong> {
        match self.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Wrong::Form(format!("`{name}` must be text"))),
        }
    }

    fn object(&self, name: &str) -> Result<Self, Wrong> {
        let object = self.get(name).and_then(Value::as_object);
        object
            .map(Self)
            .ok_or_else(|| Wrong::Form(format!("`{name}` must be an object")))
    }

    fn id(&self, name: &str) -> Result<Id, Wrong> {
        let text = self.text(name)?;
        if text.is_empty() || text.len() > ID_BYTES {
            return Err(Wrong::Form(format!("`{name}` has 1 to {ID_BYTES} bytes")));
        }
        Ok(Id(text.into()))
    }

    fn media_session_id(&self) -> Result<Id, Wrong> {
        match self.get("mediaSessionId") {
            None | Some(Value::Null) => Err(Wrong::Form("MediaSessionId is null".to_owned())),
            Some(_) => self.id("mediaSessionId"),
        }
    }
}

fn malformed(method: &str, sentence: &str) -> Refusal {
    Refusal {
        to: session(method),
        sentence: sentence.to_owned(),
        fault: Fault::Malformed,
    }
}

fn session(method: &str) -> Addressee {
    Addressee::Session {
        method: short(method),
    }
}

/// The first characters of a text that is repeated to its sender.
fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

/// Begins with a capital letter what is shown on its own.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}
