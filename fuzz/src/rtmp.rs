//! Clients by RTMP, by their bytes: an encoder that publishes, a player, or a room client of the
//! Flash era, which does both and is in rooms.
//!
//! Written with this project's own chunks and values: a client of somebody else's reads a clock.
//! That others understand the server is for the tests on real sockets.

mod camera;
mod room;
mod screen;

use std::time::Instant;

use parlor_rtmp::amf0::{self, Value};
use parlor_rtmp::chunk::{Message, Reader, Writer};

pub use camera::{Camera, Speech};
pub use room::{Present, RoomClient};
pub(crate) use screen::G711;
pub use screen::{Part, Shown};

/// The message types that a client knows.
mod kind {
    pub(super) const SET_CHUNK_SIZE: u8 = 1;
    pub(super) const AUDIO: u8 = 8;
    pub(super) const VIDEO: u8 = 9;
    pub(super) const DATA: u8 = 18;
    pub(super) const COMMAND: u8 = 20;
}

/// Bytes of S0, S1 and S2, and of C0 and C1.
const HANDSHAKE: usize = 1 + 2 * PART;
const PART: usize = 1536;
/// The message stream of what is published or played.
const STREAM: u32 = 1;

/// What a client is about to do or is told to have done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Greeting,
    Connecting,
    Creating,
    Asking,
    On,
    /// It does nothing any more.
    Over,
}

/// How a client breaks the protocol: each ends its connection as soon as it has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breach {
    /// A chunk that leaves its header out, on a chunk stream that has none.
    NoHeader,
    /// A message that is longer than any may be.
    TooLong,
    /// Chunks of no bytes.
    ChunkSize,
    /// A command of no values.
    Command,
}

impl Breach {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::NoHeader,
        Self::TooLong,
        Self::ChunkSize,
        Self::Command,
    ];
}

/// A simulated client by RTMP.
#[derive(Debug)]
pub struct RtmpClient {
    /// What an encoder publishes, or a room client; a player has none.
    pub camera: Option<Camera>,
    /// The rooms of a room client.
    pub room: Option<Box<RoomClient>>,
    app: String,
    name: String,
    /// What a player takes, beyond H.264 and AAC: [`G711`], or codecs of Enhanced RTMP.
    codecs: Vec<&'static str>,
    stage: Stage,
    /// Bytes of the handshake that are still to come.
    greeting: usize,
    reader: Reader,
    writer: Writer,
    /// What waits to be written.
    pub(crate) out: Vec<u8>,
    /// It was told that it publishes or plays.
    pub started: bool,
    /// The code with which it was told that it does not.
    pub refusal: Option<String>,
    /// It was told that what it plays is over.
    pub ended: bool,
    /// What a player has got, oldest first.
    pub shown: Vec<Shown>,
}

impl RtmpClient {
    /// A client that begins at once: an encoder where there is a camera, or else a player.
    pub fn new(app: &str, name: &str, camera: Option<Camera>, codecs: Vec<&'static str>) -> Self {
        let mut out = vec![0; 1 + PART];
        out[0] = 3;
        let mut reader = Reader::default();
        reader.set_message_bytes(1 << 22);
        Self {
            camera,
            room: None,
            app: app.to_owned(),
            name: name.to_owned(),
            codecs,
            stage: Stage::Greeting,
            greeting: HANDSHAKE,
            reader,
            writer: Writer::default(),
            out,
            started: false,
            refusal: None,
            ended: false,
            shown: Vec::new(),
        }
    }

    /// A room client, which has something to publish.
    pub fn in_rooms(login: &str, camera: Camera, codecs: Vec<&'static str>) -> Self {
        Self {
            room: Some(Box::new(RoomClient::new(login))),
            ..Self::new("", "", Some(camera), codecs)
        }
    }

    /// What it sends now, if it sends something, and on which message stream.
    fn sending(&mut self) -> Option<(u32, &mut Camera)> {
        let stream = match &self.room {
            Some(room) => room.publishes.filter(|(_, told)| *told)?.0,
            None => STREAM,
        };
        let camera = self.camera.as_mut().filter(|_| self.stage == Stage::On)?;
        Some((stream, camera))
    }

    /// Whether it has said that it takes what a message is coded with.
    pub(crate) fn takes(&self, shown: &Shown) -> bool {
        shown.needs.is_none_or(|needs| self.codecs.contains(&needs))
    }

    /// When it has something to send.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let sends = match &self.room {
            Some(room) => room.publishes.is_some_and(|(_, told)| told),
            None => true,
        };
        let camera = self.camera.as_ref();
        let camera = camera.filter(|_| sends && self.stage == Stage::On);
        camera.map(Camera::deadline)
    }

    /// Does what is due.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let waiting = self.out.len();
        let Some((stream, camera)) = self.sending() else {
            return;
        };
        let due = camera.due(now, waiting > camera.patience);
        let (full_headers, large_chunks) = (camera.full_headers, camera.large_chunks);
        for tag in due {
            let (kind, body) = (tag.kind, &tag.body);
            if full_headers {
                self.writer = Writer::default();
                if large_chunks {
                    self.writer.enlarge_chunks();
                }
            }
            (self.writer).write(kind, tag.timestamp, stream, body, &mut self.out);
        }
    }

    /// Takes bytes in that have arrived.
    ///
    /// # Panics
    /// Where they are not what a server says.
    pub(crate) fn handle_bytes(&mut self, now: Instant, mut bytes: &[u8]) {
        if self.stage == Stage::Greeting {
            let taken = bytes.len().min(self.greeting);
            bytes = &bytes[taken..];
            self.greeting -= taken;
            if self.greeting > 0 {
                return;
            }
            self.greet();
        }
        while let Some(message) = self.reader.read(&mut bytes).expect("chunks") {
            self.on_message(now, &message);
        }
    }

    /// Sends C2 and `connect`.
    fn greet(&mut self) {
        self.stage = Stage::Connecting;
        self.out.extend_from_slice(&[0; PART]);
        let mut about = vec![
            ("app".to_owned(), Value::from(self.app.as_str())),
            ("flashVer".to_owned(), "FMLE/3.0".into()),
        ];
        if !self.codecs.is_empty() {
            let codecs = self.codecs.iter().filter(|codec| **codec != G711);
            let codecs = codecs.map(|codec| Value::from(*codec));
            about.push(("fourCcList".to_owned(), Value::Array(codecs.collect())));
        }
        if self.codecs.contains(&G711) {
            // SUPPORT_SND_G711A and SUPPORT_SND_G711U (RTMP 1.0 §7.2.1.1).
            about.push(("audioCodecs".to_owned(), f64::from(0x0080 | 0x0100).into()));
        }
        let about = Value::Object(about);
        match &self.room {
            Some(room) => {
                let login = room.login.as_str().into();
                let hello = room::object([("appKey", "flashRoomApp".into()), ("login", login)]);
                self.call(0, "connect", 1.0, [about, hello]);
            }
            None => self.call(0, "connect", 1.0, [about]),
        }
    }

    fn on_message(&mut self, now: Instant, message: &Message) {
        match message.kind {
            kind::SET_CHUNK_SIZE => {
                let size = message.body.first_chunk().copied().expect("a number");
                let size = u32::from_be_bytes(size);
                self.reader.set_chunk_bytes(size).expect("a size");
            }
            kind::COMMAND => {
                let values = amf0::read_all(&message.body).expect("values");
                let name = values.first().and_then(Value::as_str).expect("a name");
                match self.room {
                    Some(_) => self.on_room_command(now, message.stream, name, &values),
                    None => self.on_command(now, name, &values),
                }
            }
            kind::AUDIO | kind::VIDEO if self.stage == Stage::Over => {}
            // What was under way when a room client stopped.
            kind::AUDIO | kind::VIDEO
                if let Some(room) = &self.room
                    && room.plays != Some(message.stream) => {}
            kind::AUDIO | kind::VIDEO => {
                let plays = self.camera.is_none() || self.room.is_some();
                assert!(plays && self.started, "media uncalled for");
                let shown = screen::read(now, message.timestamp, message.kind, &message.body);
                self.shown.push(shown);
            }
            kind::DATA => assert_eq!(message.timestamp, 0, "metadata is of the whole stream"),
            _ => {}
        }
    }

    fn on_command(&mut self, now: Instant, name: &str, values: &[Value]) {
        match (name, self.stage) {
            ("_result", Stage::Connecting) => {
                self.stage = Stage::Creating;
                if self.camera.is_some() {
                    let name = Value::from(self.name.as_str());
                    self.call(0, "FCPublish", 2.0, [Value::Null, name]);
                }
                self.call(0, "createStream", 3.0, [Value::Null]);
            }
            ("_result", Stage::Creating) if values.get(1) == Some(&3.0.into()) => {
                self.stage = Stage::Asking;
                let command = match self.camera {
                    Some(_) => "publish",
                    None => "play",
                };
                let name = Value::from(self.name.as_str());
                self.call(STREAM, command, 0.0, [Value::Null, name]);
            }
            ("onStatus", _) => {
                let says = |field| values.get(3)?.get(field)?.as_str();
                let (level, code) = (says("level"), says("code").unwrap_or_default());
                self.on_status(now, level == Some("error"), code);
            }
            _ => {}
        }
    }

    fn on_status(&mut self, now: Instant, is_error: bool, code: &str) {
        if is_error {
            self.refusal.get_or_insert_with(|| code.to_owned());
            self.stage = Stage::Over;
        } else if code.ends_with(".Start") && self.stage == Stage::Asking {
            self.stage = Stage::On;
            self.started = true;
            self.begin(now);
        } else if code == "NetStream.Play.UnpublishNotify" {
            self.ended = true;
            self.stage = Stage::Over;
        }
    }

    /// The camera begins.
    fn begin(&mut self, now: Instant) {
        if let Some(camera) = &mut self.camera {
            camera.begin(now);
            if camera.large_chunks {
                let size = (parlor_rtmp::limits::CHUNK_BYTES_OUT as u32).to_be_bytes();
                (self.writer).write(kind::SET_CHUNK_SIZE, 0, 0, &size, &mut self.out);
                self.writer.enlarge_chunks();
            }
        }
    }

    fn call<const N: usize>(&mut self, stream: u32, name: &str, number: f64, rest: [Value; N]) {
        let mut body = Vec::new();
        for value in [name.into(), number.into()].iter().chain(&rest) {
            amf0::write(value, &mut body);
        }
        (self.writer).write(kind::COMMAND, 0, stream, &body, &mut self.out);
    }

    /// Ends what it publishes or plays, and keeps quiet from then on.
    pub(crate) fn stop(&mut self) {
        if self.room.is_some() {
            self.unpublish();
            self.stop_playing();
        } else if matches!(self.stage, Stage::Asking | Stage::On) {
            if self.camera.is_some() {
                let name = Value::from(self.name.as_str());
                self.call(0, "FCUnpublish", 4.0, [Value::Null, name]);
            }
            let stream = Value::Number(STREAM.into());
            self.call(0, "deleteStream", 5.0, [Value::Null, stream]);
        }
        self.stage = Stage::Over;
    }

    /// Breaks the protocol, and keeps quiet from then on.
    pub(crate) fn breach(&mut self, breach: Breach) {
        match breach {
            Breach::NoHeader => self.out.push(0xc0 | 60),
            Breach::TooLong => {
                let head = [0x05, 0, 0, 0, 0xff, 0xff, 0xff, kind::VIDEO, 1, 0, 0, 0];
                self.out.extend_from_slice(&head);
            }
            Breach::ChunkSize => {
                (self.writer).write(kind::SET_CHUNK_SIZE, 0, 0, &[0; 4], &mut self.out);
            }
            Breach::Command => {
                (self.writer).write(kind::COMMAND, 0, 0, &[0xff; 5], &mut self.out);
            }
        }
        self.stage = Stage::Over;
    }

    /// Whether it has been greeted, and not yet been told anything that ends it.
    pub(crate) fn is_active(&self) -> bool {
        !matches!(self.stage, Stage::Greeting | Stage::Over)
    }
}
