//! Rooms, and connections to them, in time that passes when a test says so.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parlor_core::{Certificate, ClientId, Config as Rooms, Request, Seed, Sfu};
use parlor_rtmp::amf0::{self, Value};
use parlor_rtmp::chunk::{Message, Reader, Writer};
use parlor_rtmp::{Action, Claimed, Config, Connection};

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) sfu: Sfu,
    config: Config,
    ends: BTreeMap<u64, End>,
    /// Who has which name.
    holders: BTreeMap<(String, String), u64>,
}

struct End {
    connection: Connection,
    reader: Reader,
    writer: Writer,
    /// What the server has written and nobody has looked at.
    bytes: Vec<u8>,
    /// The client reads what is written to it.
    reads: bool,
    played: Vec<Action>,
    gone: bool,
}

/// The client's C0, C1 and C2, unsigned.
pub(crate) fn handshake() -> Vec<u8> {
    [&[3][..], &[0; 1536], &[0; 1536]].concat()
}

pub(crate) fn object(fields: &[(&str, Value)]) -> Value {
    let fields = fields.iter();
    Value::Object(
        fields
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
    )
}

pub(crate) fn command(name: &str, transaction: f64, arguments: &[Value]) -> Vec<u8> {
    let mut body = Vec::new();
    amf0::write(&name.into(), &mut body);
    amf0::write(&transaction.into(), &mut body);
    for argument in arguments {
        amf0::write(argument, &mut body);
    }
    body
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "the epoch of the test")]
    pub(crate) fn new(config: Config) -> Self {
        let now = parlor_core::epoch::base(Instant::now());
        let certificate = Certificate::from_seed(&Seed([1; 32]));
        Self {
            now,
            sfu: Sfu::new(Rooms::default(), certificate, Seed([2; 32]), now),
            config,
            ends: BTreeMap::new(),
            holders: BTreeMap::new(),
        }
    }

    /// A connection that has not said anything.
    pub(crate) fn accept(&mut self) -> u64 {
        let client = self.ends.len() as u64 + 1;
        let connection = Connection::new(&self.config, ClientId(client), self.now);
        self.ends.insert(
            client,
            End {
                connection,
                reader: Reader::default(),
                writer: Writer::default(),
                bytes: Vec::new(),
                reads: true,
                played: Vec::new(),
                gone: false,
            },
        );
        client
    }

    /// A connection that has shaken hands.
    pub(crate) fn shake(&mut self) -> u64 {
        let client = self.accept();
        self.send(client, &handshake());
        self.skip_handshake(client);
        client
    }

    /// Passes over S0, S1 and S2.
    pub(crate) fn skip_handshake(&mut self, client: u64) {
        self.end(client).bytes.drain(..1 + 2 * 1536);
    }

    /// A connection that has said `connect`.
    pub(crate) fn connect(&mut self, app: &str) -> u64 {
        let client = self.shake();
        let about = object(&[("app", app.into())]);
        self.call(client, 0, "connect", 1.0, &[about]);
        assert!(self.told(client).contains("Connect.Success"));
        client
    }

    /// A room client that has said `connect`.
    pub(crate) fn connect_with_login(&mut self, login: &str) -> u64 {
        let client = self.shake();
        let about = object(&[("app", "".into())]);
        let argument = object(&[("appKey", "flashRoomApp".into()), ("login", login.into())]);
        self.call(client, 0, "connect", 1.0, &[about, argument]);
        assert!(self.told(client).contains("Connect.Success"));
        client
    }

    /// An encoder that asks to publish.
    pub(crate) fn publish(&mut self, app: &str, name: &str) -> u64 {
        let client = self.connect(app);
        self.call(client, 0, "createStream", 2.0, &[Value::Null]);
        self.call(
            client,
            1,
            "publish",
            3.0,
            &[Value::Null, name.into(), "live".into()],
        );
        client
    }

    pub(crate) fn call(
        &mut self,
        client: u64,
        stream: u32,
        name: &str,
        transaction: f64,
        arguments: &[Value],
    ) {
        let body = command(name, transaction, arguments);
        self.say(client, 20, 0, stream, &body);
    }

    /// Sends a message.
    pub(crate) fn say(&mut self, client: u64, kind: u8, timestamp: u32, stream: u32, body: &[u8]) {
        let mut out = Vec::new();
        let end = self.end(client);
        end.writer.write(kind, timestamp, stream, body, &mut out);
        self.send(client, &out);
    }

    /// Sends bytes.
    pub(crate) fn send(&mut self, client: u64, bytes: &[u8]) {
        let now = self.now;
        self.end(client).connection.handle_bytes(now, bytes);
        self.settle();
    }

    /// The client stops reading.
    pub(crate) fn stop_reading(&mut self, client: u64) {
        self.end(client).reads = false;
    }

    pub(crate) fn read_again(&mut self, client: u64) {
        self.end(client).reads = true;
        self.settle();
    }

    pub(crate) fn connection(&mut self, client: u64) -> &mut Connection {
        &mut self.end(client).connection
    }

    pub(crate) fn is_gone(&self, client: u64) -> bool {
        self.ends[&client].gone
    }

    /// What a client wants to play, or no longer.
    pub(crate) fn played(&mut self, client: u64) -> Vec<Action> {
        std::mem::take(&mut self.end(client).played)
    }

    /// The messages that the client has got since this was last asked.
    pub(crate) fn heard(&mut self, client: u64) -> Vec<Message> {
        let end = self.end(client);
        let bytes = std::mem::take(&mut end.bytes);
        let mut rest = &bytes[..];
        let mut messages = Vec::new();
        while let Some(message) = end.reader.read(&mut rest).unwrap() {
            if message.kind == 1 {
                let size = u32::from_be_bytes(*message.body.first_chunk().unwrap());
                end.reader.set_chunk_bytes(size).unwrap();
                end.reader.set_message_bytes(16 << 20);
            }
            messages.push(message);
        }
        messages
    }

    /// The calls and statuses that the client has got since it was last asked, as text.
    pub(crate) fn told(&mut self, client: u64) -> String {
        let messages = self.heard(client);
        let calls = messages.iter().filter(|message| message.kind == 20);
        let texts = calls.map(|message| text_of(&message.body));
        texts.collect::<Vec<_>>().join("\n")
    }

    /// Lets time pass.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            let ends = self.ends.values().filter(|end| !end.gone);
            let due = ends.filter_map(|end| end.connection.poll_timeout()).min();
            let Some(due) = due.filter(|due| *due <= until) else {
                break;
            };
            self.now = self.now.max(due);
            let now = self.now;
            for end in self.ends.values_mut().filter(|end| !end.gone) {
                if end.connection.poll_timeout().is_some_and(|due| due <= now) {
                    end.connection.handle_timeout(now);
                }
            }
            self.settle();
        }
        self.now = until;
        self.settle();
    }

    /// The participants of the rooms, by the rooms' own count.
    pub(crate) fn participants(&self) -> u64 {
        self.sfu.counters().participants
    }

    fn end(&mut self, client: u64) -> &mut End {
        self.ends.get_mut(&client).unwrap()
    }

    /// Does what everybody wants done, until there is nothing.
    fn settle(&mut self) {
        let mut again = true;
        while again {
            again = false;
            for client in self.ends.keys().copied().collect::<Vec<_>>() {
                again |= self.settle_one(client);
            }
            while let Some(event) = self.sfu.poll_event() {
                let now = self.now;
                if let Some(end) = self.ends.get_mut(&event.client.0) {
                    end.connection.handle_news(now, event.news);
                    again = true;
                }
            }
        }
    }

    fn settle_one(&mut self, client: u64) -> bool {
        let now = self.now;
        let mut busy = false;
        while let Some(action) = self.end(client).connection.poll_action() {
            busy = true;
            self.act(client, action);
        }
        let end = self.end(client);
        while end.reads && !end.connection.egress().is_empty() {
            let egress = end.connection.egress().to_vec();
            end.connection.advance(now, egress.len());
            end.bytes.extend_from_slice(&egress);
        }
        if end.connection.is_finished() && !end.gone {
            end.gone = true;
            let _ = self
                .sfu
                .handle_request(now, ClientId(client), Request::Disconnect);
            self.holders.retain(|_, holder| *holder != client);
            busy = true;
        }
        busy
    }

    fn act(&mut self, client: u64, action: Action) {
        let now = self.now;
        match action {
            Action::Ask { id, request, .. } => {
                let reply = self.sfu.handle_request(now, ClientId(client), request);
                self.end(client).connection.handle_reply(now, id, reply);
            }
            Action::Packet { media, packet } => {
                let packet = packet.as_media();
                self.sfu.handle_media(now, ClientId(client), media, packet);
            }
            Action::Hold { room, identity } => {
                let name = (room.to_string(), identity.to_string());
                self.holders.insert(name, client);
            }
            Action::Release { room, identity } => {
                let name = (room.to_string(), identity.to_string());
                if self.holders.get(&name) == Some(&client) {
                    self.holders.remove(&name);
                }
            }
            Action::Claim { room, identity } => {
                let name = (room.to_string(), identity.to_string());
                let claimed = match self.holders.get(&name).copied() {
                    Some(holder) => self
                        .end(holder)
                        .connection
                        .handle_claim(now, &room, &identity),
                    None => Claimed::Unknown,
                };
                self.end(client).connection.handle_claimed(now, claimed);
            }
            Action::Tell { id, room, text, .. } => {
                let to = None;
                let request = Request::SendMessage { room, to, text };
                let reply = self.sfu.handle_request(now, ClientId(client), request);
                self.end(client).connection.handle_reply(now, id, reply);
            }
            Action::Sound { .. } => {}
            Action::Play { .. } | Action::WantKeyframe { .. } | Action::StopPlaying { .. } => {
                self.end(client).played.push(action);
            }
        }
    }
}

/// A call as text.
fn text_of(body: &Bytes) -> String {
    let values = amf0::read_all(body).unwrap();
    let values: Vec<_> = values.iter().map(amf0::to_json).collect();
    serde_json::to_string(&values).unwrap()
}
