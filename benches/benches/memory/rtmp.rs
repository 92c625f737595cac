//! An RTMP connection by itself, as far as a client has come with it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use parlor_benches::counting;
use parlor_core::{ClientId, MediaId, Reply, Request, ResumeToken, VideoCodec};
use parlor_rtmp::amf0::{self, Value};
use parlor_rtmp::bridge::{Parts, Picture};
use parlor_rtmp::chunk::Writer;
use parlor_rtmp::flv::PictureCodec;
use parlor_rtmp::{Action, Config, Connection, Delivery, Playable};

/// How far the client has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is accepted.
    Silent,
    /// It has said `connect`.
    Connected,
    /// It has been playing for a while.
    Plays,
    /// It has been publishing for a while.
    Publishes,
}

/// Connections that are measured together.
const CONNECTIONS: u64 = 100;
/// How long it plays or publishes.
const WHILE: Duration = Duration::from_secs(10);
const PICTURE_TIME: Duration = Duration::from_millis(40);
/// 2 Mbit/s at 25 pictures a second.
const PICTURE_BYTES: usize = 10_000;
const SET_CHUNK_SIZE: u8 = 1;
const VIDEO: u8 = 9;
const COMMAND: u8 = 20;

/// Bytes that one connection holds.
pub(crate) fn held(stage: Stage) -> i64 {
    let before = counting::bytes();
    let ends: Vec<Connection> = (0..CONNECTIONS)
        .map(|number| End::new(number).reach(stage))
        .collect();
    let held = counting::bytes() - before;
    drop(ends);
    held / CONNECTIONS as i64
}

struct End {
    now: Instant,
    connection: Connection,
    writer: Writer,
    /// Packets that went to the rooms.
    packets: usize,
}

impl End {
    fn new(number: u64) -> Self {
        let now = Instant::now();
        Self {
            now,
            connection: Connection::new(&Config::default(), ClientId(number), now),
            writer: Writer::default(),
            packets: 0,
        }
    }

    fn reach(mut self, stage: Stage) -> Connection {
        if stage == Stage::Silent {
            return self.connection;
        }
        let hello = [&[3][..], &[0; 2 * 1536]].concat();
        self.connection.handle_bytes(self.now, &hello);
        let app = Value::Object(vec![("app".to_owned(), "stage".into())]);
        self.call(0, "connect", &[app]);
        match stage {
            Stage::Silent | Stage::Connected => {}
            Stage::Plays => self.play(),
            Stage::Publishes => self.publish(),
        }
        self.connection
    }

    fn play(&mut self) {
        self.call(0, "createStream", &[Value::Null]);
        self.call(1, "play", &[Value::Null, "anna".into()]);
        let playable = Playable {
            parts: Parts {
                audio: false,
                video: true,
            },
            refused_video: None::<VideoCodec>,
        };
        let media = MediaId(0);
        self.connection
            .handle_delivery(self.now, media, &Delivery::Playing(Ok(playable)));
        let begun = self.now;
        while self.now < begun + WHILE {
            let time = self.now - begun;
            let body = [&[0x17, 1, 0, 0, 0][..], &[0; PICTURE_BYTES]].concat();
            let picture = Picture {
                codec: PictureCodec::H264,
                key: time.is_zero(),
                time,
                header: Bytes::from_static(&[0x17, 0, 0, 0, 0]),
                body: body.into(),
            };
            self.connection
                .handle_delivery(self.now, media, &Delivery::Picture(picture));
            self.drain();
            self.now += PICTURE_TIME;
        }
    }

    fn publish(&mut self) {
        self.call(0, "createStream", &[Value::Null]);
        self.call(1, "publish", &[Value::Null, "anna".into()]);
        self.say(SET_CHUNK_SIZE, 0, 0, &128_u32.to_be_bytes());
        // Main profile, 16 by 16: the pictures need not be true to it.
        let sps = b"\x67\x4d\0\x0b\xec\xa1\x42\x32";
        let head = b"\x17\0\0\0\0\x01\x4d\0\x0b\xff\xe1\0\x08";
        let header = [&head[..], sps, b"\x01\0\x04\x68\xce\x3c\x80"].concat();
        self.say(VIDEO, 0, 1, &header);
        let begun = self.now;
        while self.now < begun + WHILE {
            let time = (self.now - begun).as_millis() as u32;
            let is_key = time.is_multiple_of(2_000);
            let (first, unit) = if is_key { (0x17, 0x65) } else { (0x27, 0x41) };
            let length = (PICTURE_BYTES as u32).to_be_bytes();
            let head = [&[first, 1, 0, 0, 0][..], &length, &[unit, 0x88]].concat();
            let body = [&head[..], &[0x80; PICTURE_BYTES - 2]].concat();
            self.say(VIDEO, time, 1, &body);
            self.pass(PICTURE_TIME);
        }
        let counters = self.connection.take_counters();
        assert!(
            self.packets > 1_000,
            "the rooms get it: {} {counters:?}",
            self.packets
        );
    }

    /// Lets time pass, and what is due happen.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.connection.poll_timeout().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            self.connection.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    fn call(&mut self, stream: u32, name: &str, arguments: &[Value]) {
        let mut body = Vec::new();
        amf0::write(&name.into(), &mut body);
        amf0::write(&Value::Number(1.0), &mut body);
        for argument in arguments {
            amf0::write(argument, &mut body);
        }
        self.say(COMMAND, 0, stream, &body);
    }

    fn say(&mut self, kind: u8, timestamp: u32, stream: u32, body: &[u8]) {
        let mut out = Vec::new();
        self.writer.write(kind, timestamp, stream, body, &mut out);
        self.connection.handle_bytes(self.now, &out);
        self.drain();
    }

    /// Gives the rooms' answers, and lets all out that is to be written.
    fn drain(&mut self) {
        while let Some(action) = self.connection.poll_action() {
            self.packets += usize::from(matches!(action, Action::Packet { .. }));
            if let Action::Ask { id, request, .. } = action {
                let reply = if let Request::Join { .. } = request {
                    Reply::Joined {
                        members: Vec::new(),
                        history: Vec::new(),
                        speakers: Vec::new(),
                        resume: ResumeToken("0".repeat(32)),
                    }
                } else {
                    Reply::Done
                };
                self.connection.handle_reply(self.now, id, Ok(reply));
            }
        }
        let written = self.connection.egress().len();
        self.connection.advance(self.now, written);
        assert!(!self.connection.is_finished(), "it is served");
    }
}
