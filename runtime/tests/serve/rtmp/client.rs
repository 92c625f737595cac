//! Clients by RTMP: an encoder or player of `rml_rtmp`, and a room client written by hand.

use std::io::{Read, Write};

use parlor_rtmp::amf0::{self, Value};
use parlor_rtmp::chunk::{Reader, Writer};
use rml_rtmp::handshake::{Handshake, HandshakeProcessResult, PeerType};
use rml_rtmp::sessions::{
    ClientSession, ClientSessionConfig, ClientSessionEvent as Event, ClientSessionResult,
    PublishRequestType,
};
use rml_rtmp::time::RtmpTimestamp;

pub(crate) trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// Shakes hands, and gives what has come after it.
fn shake(stream: &mut impl Stream) -> Vec<u8> {
    let mut handshake = Handshake::new(PeerType::Client);
    let hello = handshake.generate_outbound_p0_and_p1().unwrap();
    stream.write_all(&hello).unwrap();
    let mut buffer = [0; 4096];
    loop {
        let length = stream.read(&mut buffer).unwrap();
        assert!(length > 0, "the handshake is broken off");
        match handshake.process_bytes(&buffer[..length]).unwrap() {
            HandshakeProcessResult::InProgress { response_bytes } => {
                stream.write_all(&response_bytes).unwrap();
            }
            HandshakeProcessResult::Completed {
                response_bytes,
                remaining_bytes,
            } => {
                stream.write_all(&response_bytes).unwrap();
                return remaining_bytes;
            }
        }
    }
}

/// An encoder or a player.
pub(crate) struct Encoder {
    stream: Box<dyn Stream>,
    session: ClientSession,
    events: Vec<Event>,
    sounds: u32,
}

impl Encoder {
    pub(crate) fn connect(mut stream: impl Stream + 'static, app: &str) -> Self {
        let rest = shake(&mut stream);
        let (session, results) = ClientSession::new(ClientSessionConfig::new()).unwrap();
        let mut encoder = Self {
            stream: Box::new(stream),
            session,
            events: Vec::new(),
            sounds: 0,
        };
        encoder.take(results);
        let results = encoder.session.handle_input(&rest).unwrap();
        encoder.take(results);
        let result = encoder.session.request_connection(app.to_owned()).unwrap();
        encoder.take(vec![result]);
        encoder
            .hear(|event| (*event == Event::ConnectionRequestAccepted).then_some(()))
            .unwrap();
        encoder
    }

    fn take(&mut self, results: Vec<ClientSessionResult>) {
        for result in results {
            match result {
                ClientSessionResult::OutboundResponse(packet) => {
                    self.stream.write_all(&packet.bytes).unwrap();
                    self.stream.flush().unwrap();
                }
                ClientSessionResult::RaisedEvent(event) => self.events.push(event),
                ClientSessionResult::UnhandleableMessageReceived(_) => {}
            }
        }
    }

    /// Reads up to an event. `None`: the connection has ended.
    pub(crate) fn hear<T>(&mut self, wanted: impl Fn(&Event) -> Option<T>) -> Option<T> {
        let mut buffer = [0; 4096];
        loop {
            while !self.events.is_empty() {
                if let Some(found) = wanted(&self.events.remove(0)) {
                    return Some(found);
                }
            }
            let length = self.stream.read(&mut buffer).unwrap_or(0);
            if length == 0 {
                return None;
            }
            let results = self.session.handle_input(&buffer[..length]).unwrap();
            self.take(results);
        }
    }

    pub(crate) fn ask_to_publish(&mut self, name: &str) {
        let kind = PublishRequestType::Live;
        let result = self.session.request_publishing(name.to_owned(), kind);
        self.take(vec![result.unwrap()]);
    }

    pub(crate) fn ask_to_play(&mut self, name: &str) {
        let result = self.session.request_playback(name.to_owned());
        self.take(vec![result.unwrap()]);
    }

    /// Publishes, or says with which code that is refused.
    pub(crate) fn publish(&mut self, name: &str) -> Result<(), String> {
        self.ask_to_publish(name);
        self.hear(|event| match code_of(event) {
            Some(code) => Some(Err(code)),
            None => (*event == Event::PublishRequestAccepted).then_some(Ok(())),
        })
        .unwrap()
    }

    /// Sends a frame of silence in AAC.
    pub(crate) fn send_sound(&mut self) {
        self.sounds += 1;
        let time = RtmpTimestamp::new(self.sounds * 100);
        let frame = [0xaf, 1, 0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c];
        let result = self
            .session
            .publish_audio_data(frame.to_vec().into(), time, false);
        self.take(vec![result.unwrap()]);
    }
}

/// The code of a status that says no.
pub(crate) fn code_of(event: &Event) -> Option<String> {
    let Event::UnhandleableOnStatusCode { code } = event else {
        return None;
    };
    Some(code.clone())
}

/// A room client of the Flash era.
pub(crate) struct RoomClient {
    stream: Box<dyn Stream>,
    reader: Reader,
    writer: Writer,
    /// What has been read and not looked at.
    bytes: Vec<u8>,
}

fn object(fields: &[(&str, Value)]) -> Value {
    let fields = fields.iter();
    Value::Object(
        fields
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
    )
}

impl RoomClient {
    pub(crate) fn connect(mut stream: impl Stream + 'static, login: &str) -> Self {
        let bytes = shake(&mut stream);
        let mut client = Self {
            stream: Box::new(stream),
            reader: Reader::default(),
            writer: Writer::default(),
            bytes,
        };
        let about = object(&[("app", "".into()), ("flashVer", "WIN 11,8,800,94".into())]);
        let argument = object(&[("appKey", "flashRoomApp".into()), ("login", login.into())]);
        client.call(0, "connect", 1.0, &[about, argument]);
        client.hear("NetConnection.Connect.Success");
        client
    }

    fn call(&mut self, stream: u32, name: &str, transaction: f64, arguments: &[Value]) {
        let mut body = Vec::new();
        amf0::write(&name.into(), &mut body);
        amf0::write(&transaction.into(), &mut body);
        for argument in arguments {
            amf0::write(argument, &mut body);
        }
        let mut out = Vec::new();
        self.writer.write(20, 0, stream, &body, &mut out);
        self.stream.write_all(&out).unwrap();
    }

    pub(crate) fn send_data(&mut self, operation: &str, command: &str, options: &str) {
        let options = amf0::from_json(options.parse().unwrap());
        let payload = object(&[("command", command.into()), ("options", options)]);
        let data = object(&[("operationId", operation.into()), ("payload", payload)]);
        self.call(0, "sendData", 0.0, &[Value::Null, data]);
    }

    pub(crate) fn publish(&mut self, name: &str) {
        self.call(0, "createStream", 2.0, &[Value::Null]);
        self.hear("_result");
        self.call(1, "publish", 0.0, &[Value::Null, name.into()]);
    }

    /// Reads up to a call or status that contains `part`, and gives all of it as JSON.
    pub(crate) fn hear(&mut self, part: &str) -> String {
        let mut buffer = [0; 4096];
        loop {
            let bytes = std::mem::take(&mut self.bytes);
            let mut rest = &bytes[..];
            while let Some(message) = self.reader.read(&mut rest).unwrap() {
                match message.kind {
                    1 => {
                        let size = *message.body.first_chunk().unwrap();
                        self.reader
                            .set_chunk_bytes(u32::from_be_bytes(size))
                            .unwrap();
                    }
                    20 => {
                        let values = amf0::read_all(&message.body).unwrap();
                        let values: Vec<_> = values.iter().map(amf0::to_json).collect();
                        let text = serde_json::to_string(&values).unwrap();
                        if text.contains(part) {
                            self.bytes = rest.to_vec();
                            return text;
                        }
                    }
                    _ => {}
                }
            }
            let length = self.stream.read(&mut buffer).unwrap();
            assert!(length > 0, "the connection ends before {part}");
            self.bytes = buffer[..length].to_vec();
        }
    }
}
