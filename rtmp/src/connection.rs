//! One accepted TCP connection: bytes in, bytes out, and what it wants of the rooms.

use std::time::Instant;

use parlor_core::{
    ClientId, Identity, MediaId, News, Place, PublicationName, Reply, Request, RequestError,
    ResumeToken, RoomName, VideoCodec,
};
use parlor_signalling::RequestId;

use crate::bridge::{BFrames, Declared, Packet, Parts, Sound};
use crate::broadcasts::Delivery;
use crate::chunk::{Message, Reader};
use crate::counters::Counters;
use crate::handshake::Handshake;
use crate::limits::{
    ACK_WINDOW, ACK_WINDOW_MAX, ACK_WINDOW_MIN, HANDSHAKE_TIMEOUT, REFUSED_LINGER, STALL_TIMEOUT,
};
use crate::message::{self, event, kind};
use crate::outbox::Outbox;
use crate::session::{End, Session};

/// What the operator decides for all connections.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// When an encoder loses its name to another one.
    pub takeover: Takeover,
    /// What is done about pictures that depend on later ones.
    pub b_frames: BFrames,
    /// How sessions of room clients are kept.
    pub signalling: parlor_signalling::Config,
}

/// When an encoder loses its name to another one that asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Takeover {
    /// When it is silent ([`TAKEOVER_SILENCE`](crate::limits::TAKEOVER_SILENCE)): it has lost its
    /// network, and is back.
    #[default]
    Silent,
    /// At once.
    Always,
    /// Only when its connection is over.
    Never,
}

/// What a connection wants done.
#[derive(Debug)]
pub enum Action {
    /// Pass a request to the worker that its `key` falls to, and its answer to
    /// [`Connection::handle_reply`].
    Ask {
        /// To be given back with the answer.
        id: RequestId,
        /// The text that decides which worker gets it: equal keys, equal worker.
        key: String,
        /// What is asked.
        request: Request,
    },
    /// Pass a packet of an ingest to the worker that its [`Request::Ingest`] went to.
    Packet {
        /// Which publication of this client.
        media: MediaId,
        /// The packet.
        packet: Packet,
    },
    /// Put sound into Opus, and pass it to the worker that the [`Request::Ingest`] went to.
    Sound {
        /// Which publication of this client. A new number is a new stream of sound: the one before
        /// has ended.
        media: MediaId,
        /// The sound, in the codec of the encoder.
        sound: Sound,
    },
    /// Play a stream ([`Broadcasts::play`](crate::Broadcasts::play)). Answered by
    /// [`Connection::handle_delivery`].
    Play {
        /// This client's number for what it plays.
        media: MediaId,
        /// Where the stream is.
        place: Place,
        /// The name of the stream, or of who publishes it.
        name: PublicationName,
        /// What the player takes.
        declared: Declared,
    },
    /// The player has lost its picture: ask for a key frame.
    WantKeyframe {
        /// Which.
        media: MediaId,
    },
    /// What was begun by [`Action::Play`] is over.
    StopPlaying {
        /// Which.
        media: MediaId,
    },
    /// This client has a name in a room, which another one may claim.
    Hold {
        /// The room.
        room: RoomName,
        /// The name.
        identity: Identity,
    },
    /// It no longer has it.
    Release {
        /// The room.
        room: RoomName,
        /// The name.
        identity: Identity,
    },
    /// This client wants a name that somebody has. If one that [holds](Action::Hold) it does so,
    /// ask that one by [`Connection::handle_claim`]; the answer goes to
    /// [`Connection::handle_claimed`].
    Claim {
        /// The room.
        room: RoomName,
        /// The name.
        identity: Identity,
    },
    /// Say in the room, as this client, why its stream was refused, unless that was said of the
    /// name lately ([`Names::may_tell`](crate::Names::may_tell)). Encoders like OBS show their
    /// users nothing of what they are told while they send.
    Tell {
        /// Goes with the request; its answer is of no interest.
        id: RequestId,
        /// The room.
        room: RoomName,
        /// The name of this client in it.
        identity: Identity,
        /// The sentence.
        text: String,
    },
}

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// Nobody by RTMP has the name.
    Unknown,
    /// Whoever has it keeps it, and was last heard then.
    Kept(Instant),
    /// Its holder has given it up: this lets one take its place.
    Given(ResumeToken),
}

/// What there is to be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Playable {
    /// What the player gets.
    pub parts: Parts,
    /// The codec of a picture that it cannot get.
    pub refused_video: Option<VideoCodec>,
}

/// One accepted connection (after TLS, where there is TLS).
pub struct Connection {
    client: ClientId,
    config: Config,
    stage: Stage,
    reader: Reader,
    out: Outbox,
    acks: Acks,
    /// When the client was last heard.
    heard: Instant,
    /// Since when bytes have been waiting without any of them going out.
    stalled_since: Option<Instant>,
}

enum Stage {
    Handshake {
        handshake: Handshake,
        until: Instant,
    },
    Open(Box<Session>),
    /// The client was told that it is not served: what still comes is dropped.
    Refused {
        until: Instant,
    },
    Finished,
}

/// How much was received, as the client is told (RTMP 1.0 §5.4.3).
#[derive(Debug)]
struct Acks {
    window: u32,
    /// The total, which wraps in what is told.
    received: u64,
    told: u64,
}

impl Connection {
    /// A connection that has just been accepted.
    pub fn new(config: &Config, client: ClientId, now: Instant) -> Self {
        Self {
            client,
            config: config.clone(),
            stage: Stage::Handshake {
                handshake: Handshake::new(client.0),
                until: now + HANDSHAKE_TIMEOUT,
            },
            reader: Reader::default(),
            out: Outbox::default(),
            acks: Acks {
                window: ACK_WINDOW,
                received: 0,
                told: 0,
            },
            heard: now,
            stalled_since: None,
        }
    }

    /// Takes bytes in as they were read. Whatever they are, the answer is in what is polled.
    pub fn handle_bytes(&mut self, now: Instant, mut bytes: &[u8]) {
        self.heard = now;
        self.out.counters.bytes_in += bytes.len() as u64;
        self.acks.received += bytes.len() as u64;
        if let Stage::Handshake { handshake, .. } = &mut self.stage {
            // S0, S1 and S2 are written before anything else, and are no chunks.
            let mut answer = Vec::new();
            let result = handshake.read(&mut bytes, &mut answer);
            self.out.push_plain(&answer);
            match result {
                Ok(true) => {
                    let session = Session::new(&self.config, self.client, now);
                    self.stage = Stage::Open(Box::new(session));
                }
                Ok(false) => {}
                Err(_) => self.break_off("this is not RTMP"),
            }
        }
        while let Stage::Open(_) = self.stage {
            match self.reader.read(&mut bytes) {
                Ok(Some(message)) => self.on_message(now, &message),
                Ok(None) => break,
                Err(error) => self.break_off(&error.to_string()),
            }
        }
        self.acknowledge();
        self.settle(now);
    }

    /// The client has closed its sending side, or the socket has failed.
    pub fn handle_end(&mut self, now: Instant) {
        self.stage = Stage::Finished;
        self.settle(now);
    }

    /// The answer to an [`Action::Ask`]. Answers and news must come in the order in which the
    /// rooms gave them.
    pub fn handle_reply(
        &mut self,
        now: Instant,
        id: RequestId,
        reply: Result<Reply, RequestError>,
    ) {
        self.with_session(now, |session, out| {
            session.handle_reply(now, id, reply, out)
        });
    }

    /// News from the rooms for this client.
    pub fn handle_news(&mut self, now: Instant, news: News) {
        self.with_session(now, |session, out| session.handle_news(now, news, out));
    }

    /// The answer to an [`Action::Claim`].
    pub fn handle_claimed(&mut self, now: Instant, claimed: Claimed) {
        self.with_session(now, |session, out| {
            session.handle_claimed(now, claimed, out)
        });
    }

    /// Somebody wants the name that this client has in a room.
    pub fn handle_claim(&mut self, now: Instant, room: &RoomName, identity: &Identity) -> Claimed {
        let heard = self.heard;
        let mut claimed = Claimed::Unknown;
        self.with_session(now, |session, out| {
            claimed = session.handle_claim(now, heard, (room, identity), out);
            match claimed {
                Claimed::Given(_) => Err(End::Refused),
                Claimed::Kept(_) | Claimed::Unknown => Ok(()),
            }
        });
        claimed
    }

    /// Sound of an [`Action::Sound`] cannot be put into Opus: nobody would hear it, and its encoder
    /// is told why.
    pub fn handle_unheard(&mut self, now: Instant, media: MediaId, sentence: &str) {
        self.with_session(now, |session, out| {
            session.handle_unheard(media, sentence, out)
        });
    }

    /// Something for a stream that is played: the answer to an [`Action::Play`], and what follows.
    pub fn handle_delivery(&mut self, now: Instant, media: MediaId, delivery: &Delivery) {
        self.with_session(now, |session, out| {
            session.handle_delivery(now, media, delivery, out)
        });
    }

    /// The server stops.
    pub fn handle_shutdown(&mut self, now: Instant) {
        self.with_session(now, |session, out| {
            session.handle_shutdown(out);
            Ok(())
        });
        self.stage = Stage::Finished;
        self.settle(now);
    }

    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self
            .stalled_since
            .is_some_and(|since| now >= since + STALL_TIMEOUT)
        {
            self.drop_egress();
            return;
        }
        match &self.stage {
            Stage::Handshake { until, .. } if now >= *until => {
                self.out.counters.timeouts += 1;
                self.stage = Stage::Finished;
            }
            Stage::Refused { until } if now >= *until => self.stage = Stage::Finished,
            Stage::Open(_) => {
                self.with_session(now, |session, out| session.handle_timeout(now, out));
            }
            Stage::Handshake { .. } | Stage::Refused { .. } | Stage::Finished => {}
        }
        self.settle(now);
    }

    /// The next thing that the connection wants done.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.out.actions.pop_front()
    }

    /// The bytes that wait to be written; empty when there are none. More may follow once these
    /// are [advanced](Self::advance) over.
    pub fn egress(&self) -> &[u8] {
        self.out.egress()
    }

    /// The first `written` bytes of [`Connection::egress`] are on their way.
    pub fn advance(&mut self, now: Instant, written: usize) {
        if written == 0 {
            return;
        }
        self.out.advance(written);
        self.stalled_since = None;
        self.settle(now);
    }

    /// When [`Connection::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let due = match &self.stage {
            Stage::Handshake { until, .. } | Stage::Refused { until } => Some(*until),
            Stage::Open(session) => session.poll_timeout(),
            Stage::Finished => None,
        };
        let stall = self.stalled_since.map(|since| since + STALL_TIMEOUT);
        due.into_iter().chain(stall).min()
    }

    /// Whether the connection has nothing more to say: the socket is to be closed once
    /// [`Connection::egress`] is empty. The caller then sends
    /// [`Request::Disconnect`](parlor_core::Request::Disconnect) to every worker that an
    /// [`Action::Ask`] of this connection went to, and ends what it plays.
    pub fn is_finished(&self) -> bool {
        matches!(self.stage, Stage::Finished)
    }

    /// What happened since this was last called.
    pub fn take_counters(&mut self) -> Counters {
        std::mem::take(&mut self.out.counters)
    }

    fn with_session(
        &mut self,
        now: Instant,
        handle: impl FnOnce(&mut Session, &mut Outbox) -> Result<(), End>,
    ) {
        if let Stage::Open(session) = &mut self.stage {
            let refused = self.out.counters.refused;
            let result = handle(session, &mut self.out);
            let refused = self.out.counters.refused - refused;
            let result = result.and_then(|()| session.charge(now, refused));
            self.reader.set_message_bytes(session.message_bytes());
            self.on_result(now, result);
        }
        self.settle(now);
    }

    fn on_message(&mut self, now: Instant, message: &Message) {
        match message.kind {
            kind::SET_CHUNK_SIZE | kind::ABORT | kind::WINDOW => {
                let Some(number) = message::number(&message.body) else {
                    return self.break_off("a control message is too short");
                };
                match message.kind {
                    kind::SET_CHUNK_SIZE => {
                        if let Err(error) = self.reader.set_chunk_bytes(number) {
                            self.break_off(&error.to_string());
                        }
                    }
                    kind::ABORT => self.reader.abort(number),
                    _ => self.acks.window = number.clamp(ACK_WINDOW_MIN, ACK_WINDOW_MAX),
                }
            }
            kind::USER_CONTROL => {
                if let Some((event::PING_REQUEST, data)) = message::user_control(&message.body) {
                    let data = &data[..data.len().min(4)];
                    self.out.push_event(event::PING_RESPONSE, data);
                }
            }
            kind::ACKNOWLEDGEMENT | kind::PEER_BANDWIDTH => {}
            kind::AGGREGATE => {
                for part in message::parts(message) {
                    // One that holds another would be a way to make much of little.
                    if part.kind != kind::AGGREGATE {
                        self.pass(now, &part);
                    }
                }
            }
            _ => self.pass(now, message),
        }
    }

    fn pass(&mut self, now: Instant, message: &Message) {
        self.with_session(now, |session, out| {
            session.handle_message(now, message, out)
        });
    }

    fn on_result(&mut self, now: Instant, result: Result<(), End>) {
        match result {
            Ok(()) => {}
            Err(End::Refused) => {
                self.stage = Stage::Refused {
                    until: now + REFUSED_LINGER,
                };
            }
            Err(End::Broken(why)) => self.break_off(why),
            Err(End::Late(why)) => {
                tracing::debug!(client = self.client.0, why, "closed");
                self.out.counters.timeouts += 1;
                self.stage = Stage::Finished;
            }
        }
    }

    /// Ends a connection that broke the protocol.
    fn break_off(&mut self, why: &str) {
        tracing::debug!(client = self.client.0, why, "RTMP is broken off");
        self.out.counters.faults += 1;
        self.stage = Stage::Finished;
    }

    fn acknowledge(&mut self) {
        let Acks {
            window,
            received,
            told,
        } = &mut self.acks;
        if *received - *told >= u64::from(*window) && matches!(self.stage, Stage::Open(_)) {
            *told = *received;
            // Truncation is the wrap.
            self.out
                .push_number(kind::ACKNOWLEDGEMENT, *received as u32);
        }
    }

    /// Keeps the clock of the egress, and ends a connection that does not read.
    fn settle(&mut self, now: Instant) {
        if self.out.has_overflowed() && !self.is_finished() {
            self.drop_egress();
        }
        if self.out.egress().is_empty() {
            self.stalled_since = None;
        } else if self.stalled_since.is_none() {
            self.stalled_since = Some(now);
        }
    }

    fn drop_egress(&mut self) {
        tracing::debug!(client = self.client.0, "the client does not read");
        self.out.counters.not_reading += 1;
        self.out.discard();
        self.stalled_since = None;
        self.stage = Stage::Finished;
    }
}
