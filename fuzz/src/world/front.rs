//! What stands before the machine for clients by RTMP, as the server's front does: their sessions,
//! the broadcasts, and who has which name; and the TCP connections to the clients.
//!
//! Sound that is to be put into another codec is given another label instead, as late as a
//! codec's thread would be: its payloads stay marked, and it costs nothing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parlor_core::{
    ClientId, MediaId, MediaKind, News, Place, PublicationName, Reply, Request, RequestError,
    SinkPacket,
};
use parlor_rtmp::bridge::{Declared, Packet, Sound};
use parlor_rtmp::flv::SoundCodec;
use parlor_rtmp::{
    Action, Broadcasts, Claimed, Config, Connection, Counters, Names, Output, Viewer,
};
use parlor_signalling::RequestId;

use super::World;
use super::pipe::Pipe;
use crate::media::stamp_of;
use crate::rtmp::{Breach, RtmpClient};

/// How long sound takes to be put into another codec.
const CODING: Duration = Duration::from_millis(15);
/// AAC-LC of 48 kHz and two channels: what sound of rooms is said to be put into.
const AAC: &[u8] = &[0x11, 0x90];

/// Something that the front did, for who follows the machine.
#[derive(Debug)]
pub enum Said {
    /// It has asked the machine for something.
    Asked {
        /// For whom: a connection, or a broadcast.
        client: ClientId,
        /// What.
        request: Request,
        /// What the machine has answered.
        reply: Result<Reply, RequestError>,
    },
    /// A player has asked for a stream; what there is to ask the machine for has been asked before.
    Plays {
        /// The player.
        client: ClientId,
        /// Where the stream is.
        place: Place,
        /// What it, or its publisher, is called.
        name: PublicationName,
        /// Whether the player takes VP8.
        vp8: bool,
    },
    /// A player has ended what it played.
    Stops {
        /// The player.
        client: ClientId,
    },
    /// A connection has ended.
    Over {
        /// Whose.
        client: ClientId,
        /// What it has counted.
        counters: Box<Counters>,
    },
}

/// The packets of an encoder that were brought to the machine: those of sound, and those of
/// pictures. Each is numbered in the order in which they were brought.
pub type Brought = [BTreeMap<u64, u64>; 2];

/// The front.
#[derive(Default)]
pub struct Front {
    /// How its sessions are kept.
    pub config: Config,
    /// The connections, by their numbers as clients.
    pub lines: BTreeMap<ClientId, Line>,
    /// What it did, and when, with the number of events that the machine had told before.
    pub log: Vec<(usize, Instant, Said)>,
    /// Of each encoder, by its mark.
    pub brought: BTreeMap<u32, Brought>,
    broadcasts: Broadcasts,
    names: Names,
    next: u64,
    /// What of the machine's waits to be handled.
    news: VecDeque<(ClientId, News)>,
    packets: VecDeque<SinkPacket>,
    /// Sound that is being put into another codec: of an ingest, or of a broadcast.
    coding: VecDeque<(Instant, Coded)>,
}

enum Coded {
    Ingest(ClientId, MediaId, Packet),
    Broadcast(ClientId, Sound),
}

/// A connection, with the client at its other end.
pub struct Line {
    /// The client.
    pub client: RtmpClient,
    connection: Connection,
    to_server: Pipe,
    to_client: Pipe,
    ingests: BTreeSet<MediaId>,
    counters: Counters,
    /// The client is gone; for the server it may be there still.
    vanished: bool,
    /// When the network tells the server that the client is gone.
    noticed: Option<Instant>,
    /// The server is done with it, but for what is still to be written.
    over: bool,
}

/// When a network gives up to bring anything to one who is gone; the server may notice before.
const NOTICED: Duration = Duration::from_secs(20);
/// Rounds that one moment may take in the front.
const ROUNDS: usize = 10_000;
/// Numbers of clients by RTMP, and of broadcasts, begin here.
const FIRST: u64 = 1 << 32;

impl Front {
    /// Whether nothing is left of anybody.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
            && self.broadcasts.is_empty()
            && self.names.is_empty()
            && self.news.is_empty()
    }

    /// Whether this is the number of a client by RTMP, or of a broadcast.
    pub fn is_client(ClientId(number): ClientId) -> bool {
        number >= FIRST
    }

    fn fresh(&mut self) -> ClientId {
        self.next += 1;
        ClientId(FIRST + self.next)
    }

    /// When something is to be done.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        let lines = self.lines.values().filter_map(Line::deadline);
        let coding = self.coding.front().map(|(at, _)| *at);
        let waits = !self.news.is_empty() || !self.packets.is_empty();
        let news = waits.then_some(now);
        let own = [coding, news, self.broadcasts.poll_timeout()];
        lines.chain(own.into_iter().flatten()).min()
    }

    /// Takes news of the machine for a client of the front's.
    pub(super) fn tell(&mut self, client: ClientId, news: &News) {
        if Self::is_client(client) {
            self.news.push_back((client, news.clone()));
        }
    }

    /// Takes a packet of a sink, if it is one of a broadcast's.
    pub(super) fn give(&mut self, packet: &SinkPacket) {
        if Self::is_client(packet.client) {
            self.packets.push_back(packet.clone());
        }
    }
}

impl Line {
    fn deadline(&self) -> Option<Instant> {
        let due = [
            self.connection.poll_timeout().filter(|_| !self.over),
            self.to_server.deadline().filter(|_| !self.over),
            self.to_client.deadline(),
            self.client.deadline().filter(|_| !self.vanished),
            self.noticed.filter(|_| !self.over),
        ];
        due.into_iter().flatten().min()
    }

    /// Whether it is of no more use to either side.
    fn is_spent(&self) -> bool {
        self.over && (self.vanished || self.to_client.is_over())
    }

    /// Whether the client is gone.
    pub fn is_vanished(&self) -> bool {
        self.vanished
    }
}

impl World {
    /// Lets a client connect by RTMP.
    pub fn dial(&mut self, client: RtmpClient) -> ClientId {
        let id = self.front.fresh();
        let line = Line {
            client,
            connection: Connection::new(&self.front.config, id, self.now),
            to_server: Pipe::default(),
            to_client: Pipe::default(),
            ingests: BTreeSet::new(),
            counters: Counters::default(),
            vanished: false,
            noticed: None,
            over: false,
        };
        self.front.lines.insert(id, line);
        self.flush(id);
        id
    }

    /// A client by RTMP ends what it does, and stays connected.
    pub fn quit(&mut self, id: ClientId) {
        if let Some(line) = self.front.lines.get_mut(&id) {
            line.client.stop();
            self.serve_line(id);
        }
    }

    /// A client by RTMP ends what it does, and its connection.
    pub fn hang_up(&mut self, id: ClientId) {
        if let Some(line) = self.front.lines.get_mut(&id) {
            line.client.stop();
            line.to_server.close();
            self.serve_line(id);
        }
    }

    /// A client by RTMP does something.
    pub fn instruct(&mut self, id: ClientId, act: impl FnOnce(&mut RtmpClient)) {
        if let Some(line) = self.front.lines.get_mut(&id) {
            act(&mut line.client);
            self.flush(id);
        }
    }

    /// A client by RTMP breaks the protocol.
    pub fn breach(&mut self, id: ClientId, breach: Breach) {
        if let Some(line) = self.front.lines.get_mut(&id) {
            line.client.breach(breach);
            self.flush(id);
        }
    }

    /// A client by RTMP is gone, and the server is told.
    pub fn cut(&mut self, id: ClientId) {
        if let Some(line) = self.front.lines.get_mut(&id) {
            line.vanished = true;
            line.connection.handle_end(self.now);
            self.serve(id);
        }
    }

    /// A client by RTMP is gone, and nobody tells the server for a while.
    pub fn vanish(&mut self, id: ClientId) {
        if let Some(line) = self.front.lines.get_mut(&id) {
            line.vanished = true;
            line.noticed = Some(self.now + NOTICED);
            line.to_server = Pipe::default();
            line.to_client.stalled = true;
            self.serve(id);
        }
    }

    /// What is under way by TCP arrives, as over a network that has healed.
    pub fn heal_front(&mut self) {
        for id in self.front.lines.keys().copied().collect::<Vec<_>>() {
            if let Some(line) = self.front.lines.get_mut(&id)
                && !line.vanished
            {
                line.to_server.hurry(self.now, &self.network);
                line.to_client.hurry(self.now, &self.network);
                self.serve_line(id);
            }
        }
    }

    /// Nothing arrives at the server, or at the client, or goes on doing so.
    pub fn stall(&mut self, id: ClientId, at_server: bool) {
        if let Some(line) = self.front.lines.get_mut(&id) {
            let pipe = match at_server {
                true => &mut line.to_server,
                false => &mut line.to_client,
            };
            pipe.stalled = !pipe.stalled;
            self.serve_line(id);
        }
    }

    /// Does what is due in the front.
    pub(super) fn run_front(&mut self) {
        let now = self.now;
        for round in 0.. {
            if self.front.deadline(now).is_none_or(|at| at > now) {
                return;
            }
            assert!(round < ROUNDS, "livelock in the front");
            while let Some(packet) = self.front.packets.pop_front() {
                self.front.broadcasts.handle_packet(now, &packet);
                self.drain_broadcasts();
            }
            while let Some((client, news)) = self.front.news.pop_front() {
                self.on_front_news(client, news);
            }
            if self
                .front
                .broadcasts
                .poll_timeout()
                .is_some_and(|at| at <= now)
            {
                self.front.broadcasts.handle_timeout(now);
                self.drain_broadcasts();
            }
            while let Some((_, coded)) = self.front.coding.pop_front_if(|(at, _)| *at <= now) {
                match coded {
                    Coded::Ingest(client, media, packet) => self.bring(client, media, &packet),
                    Coded::Broadcast(broadcast, sound) => {
                        self.front.broadcasts.handle_sound(broadcast, &sound);
                        self.drain_broadcasts();
                    }
                }
            }
            let due = self.front.lines.iter().filter(|(_, line)| {
                let at = line.deadline();
                at.is_some_and(|at| at <= now)
            });
            for id in due.map(|(id, _)| *id).collect::<Vec<_>>() {
                self.serve_line(id);
            }
        }
    }

    fn on_front_news(&mut self, client: ClientId, news: News) {
        if self.front.broadcasts.contains(client) {
            self.front.broadcasts.handle_news(client, &news);
            self.drain_broadcasts();
        } else if let Some(line) = self.front.lines.get_mut(&client) {
            line.connection.handle_news(self.now, news);
            self.serve(client);
        }
    }

    /// Does what is due at a line: at the client, on the way, and at the server.
    fn serve_line(&mut self, id: ClientId) {
        let now = self.now;
        let Some(line) = self.front.lines.get_mut(&id) else {
            return;
        };
        while let Some(piece) = line.to_client.read(now) {
            line.client.handle_bytes(now, &piece);
        }
        if !line.vanished {
            line.client.handle_timeout(now);
        }
        while !line.over
            && let Some(piece) = line.to_server.read(now)
        {
            line.connection.handle_bytes(now, &piece);
        }
        if !line.over {
            let is_lost = line.noticed.is_some_and(|at| at <= now);
            if is_lost || (line.to_server.is_over() && line.client.out.is_empty()) {
                line.connection.handle_end(now);
            }
            line.connection.handle_timeout(now);
        }
        self.flush(id);
        self.serve(id);
    }

    /// Writes what the client has, as far as it can.
    fn flush(&mut self, id: ClientId) {
        let Self {
            front,
            network,
            randomness,
            now,
            ..
        } = self;
        let Some(line) = front.lines.get_mut(&id).filter(|line| !line.vanished) else {
            return;
        };
        let out = &mut line.client.out;
        let taken = (line.to_server).write(*now, network, out, || randomness.u64());
        out.drain(..taken);
    }

    /// Does what a connection wants done, and writes what it has to say, as far as it can.
    fn serve(&mut self, id: ClientId) {
        self.write_egress(id);
        while let Some(line) = self.front.lines.get_mut(&id)
            && !line.connection.is_finished()
            && let Some(action) = line.connection.poll_action()
        {
            self.on_rtmp_action(id, action);
            self.write_egress(id);
        }
        let Some(line) = self.front.lines.get_mut(&id) else {
            return;
        };
        line.counters += line.connection.take_counters();
        if line.connection.is_finished() && !std::mem::replace(&mut line.over, true) {
            let (client, counters) = (id, Box::new(line.counters));
            self.front.names.release(id);
            self.front.broadcasts.forget(id);
            self.drain_broadcasts();
            self.ask(id, Request::Disconnect)
                .expect("whoever disconnects may");
            self.say(Said::Over { client, counters });
        }
        let Some(line) = self.front.lines.get_mut(&id) else {
            return;
        };
        if line.over && line.connection.egress().is_empty() {
            line.to_client.close();
        }
        if line.is_spent() {
            self.front.lines.remove(&id);
        }
    }

    fn write_egress(&mut self, id: ClientId) {
        let now = self.now;
        let Some(line) = self.front.lines.get_mut(&id) else {
            return;
        };
        let draw = || self.randomness.u64();
        let egress = line.connection.egress();
        let taken = line.to_client.write(now, &self.network, egress, draw);
        if let Some(digest) = &mut self.digest {
            sha2::Digest::update(digest, &egress[..taken]);
        }
        line.connection.advance(now, taken);
    }

    fn on_rtmp_action(&mut self, id: ClientId, action: Action) {
        let now = self.now;
        let viewer = |media| Viewer { client: id, media };
        match action {
            Action::Ask {
                id: number,
                request,
                ..
            } => self.ask_for(id, number, request),
            Action::Packet { media, packet } => self.bring(id, media, &packet),
            Action::Sound { media, sound } => {
                let packet = Packet::opus(sound.time, sound.unit);
                let coded = Coded::Ingest(id, media, packet);
                self.front.coding.push_back((now + CODING, coded));
            }
            Action::Play {
                media,
                place,
                name,
                declared,
            } => self.play_by_rtmp(viewer(media), (place, name, declared)),
            Action::WantKeyframe { media } => {
                self.front.broadcasts.want_keyframe(now, viewer(media));
                self.drain_broadcasts();
            }
            Action::StopPlaying { media } => {
                self.say(Said::Stops { client: id });
                self.front.broadcasts.stop(viewer(media));
                self.drain_broadcasts();
            }
            Action::Hold { room, identity } => self.front.names.hold(id, room, identity),
            Action::Release { .. } => self.front.names.release(id),
            Action::Claim { room, identity } => {
                let holder = self.front.names.holder(&room, &identity);
                let line = holder.and_then(|holder| self.front.lines.get_mut(&holder));
                let claimed = line.map_or(Claimed::Unknown, |line| {
                    line.connection.handle_claim(now, &room, &identity)
                });
                if let Some(line) = self.front.lines.get_mut(&id) {
                    line.connection.handle_claimed(now, claimed);
                }
                if let Some(holder) = holder {
                    self.serve(holder);
                }
            }
            Action::Tell {
                id: number,
                room,
                identity,
                text,
            } => {
                if self.front.names.may_tell(now, &room, &identity) {
                    let to = None;
                    self.ask_for(id, number, Request::SendMessage { room, to, text });
                }
            }
        }
    }

    /// Asks for a connection, and takes the answer to it.
    fn ask_for(&mut self, id: ClientId, number: RequestId, request: Request) {
        let Some(line) = self.front.lines.get_mut(&id) else {
            return;
        };
        if let Request::Ingest { media, .. } = request {
            line.ingests.insert(media);
        } else if let Request::Stop { media } = request {
            line.ingests.remove(&media);
        }
        // What the machine has told before it answers comes before its answer.
        let news = std::mem::take(&mut self.front.news);
        let (told, rest) = news.into_iter().partition(|(client, _)| *client == id);
        self.front.news = rest;
        let told: VecDeque<(ClientId, News)> = told;
        for (_, news) in told {
            line.connection.handle_news(self.now, news);
        }
        let reply = self.ask(id, request);
        if let Some(line) = self.front.lines.get_mut(&id) {
            line.connection.handle_reply(self.now, number, reply);
        }
    }

    /// Asks the machine.
    fn ask(&mut self, client: ClientId, request: Request) -> Result<Reply, RequestError> {
        let reply = (self.sfu).handle_request(self.now, client, request.clone());
        self.note(format!("{reply:?}").as_bytes());
        self.say(Said::Asked {
            client,
            request,
            reply: reply.clone(),
        });
        self.drain();
        reply
    }

    fn say(&mut self, said: Said) {
        self.front.log.push((self.events.len(), self.now, said));
    }

    /// Brings a packet of an encoder to the machine, if the machine still takes it.
    fn bring(&mut self, client: ClientId, media: MediaId, packet: &Packet) {
        let lines = &self.front.lines;
        if !lines
            .get(&client)
            .is_some_and(|line| line.ingests.contains(&media) && !line.over)
        {
            return;
        }
        if let Some(mark) = lines[&client]
            .client
            .camera
            .as_ref()
            .map(|camera| camera.mark)
        {
            let brought = self.front.brought.entry(mark).or_default();
            let of_kind = &mut brought[usize::from(packet.kind == MediaKind::Video)];
            let unstamped = of_kind.last_key_value().map_or(0, |(last, _)| last + 1);
            let stamp = stamp_of(&packet.payload).map_or(unstamped, |stamp| stamp.sequence);
            of_kind.insert(stamp, of_kind.len() as u64);
        }
        self.media(client.0, media.0, packet.as_media());
    }

    fn play_by_rtmp(
        &mut self,
        viewer: Viewer,
        (place, name, declared): (Place, PublicationName, Declared),
    ) {
        let fresh = self.front.fresh();
        let what = (place.clone(), name.clone(), declared);
        self.front.broadcasts.play(self.now, fresh, viewer, what);
        self.drain_broadcasts();
        self.say(Said::Plays {
            client: viewer.client,
            place,
            name,
            vp8: declared.vp8,
        });
    }

    fn drain_broadcasts(&mut self) {
        let mut touched = BTreeSet::new();
        while let Some(output) = self.front.broadcasts.poll_output() {
            match output {
                Output::Ask {
                    broadcast,
                    id,
                    request,
                    ..
                } => {
                    let reply = self.ask(broadcast, request);
                    self.front.broadcasts.handle_reply(broadcast, id, reply);
                }
                Output::Over { broadcast, .. } => {
                    let reply = self.ask(broadcast, Request::Disconnect);
                    reply.expect("whoever disconnects may");
                }
                Output::Sound { broadcast, sound } => {
                    let sound = Sound {
                        codec: SoundCodec::Aac,
                        config: Bytes::from_static(AAC),
                        ..sound
                    };
                    let coded = Coded::Broadcast(broadcast, sound);
                    self.front.coding.push_back((self.now + CODING, coded));
                }
                Output::Hush { broadcast } => self.front.coding.retain(|(_, coded)| match coded {
                    Coded::Broadcast(of, _) => *of != broadcast,
                    Coded::Ingest(..) => true,
                }),
                Output::Deliver { viewer, delivery } => {
                    if let Some(line) = self.front.lines.get_mut(&viewer.client) {
                        (line.connection).handle_delivery(self.now, viewer.media, &delivery);
                        touched.insert(viewer.client);
                    }
                }
            }
        }
        for client in touched {
            self.serve(client);
        }
    }
}
