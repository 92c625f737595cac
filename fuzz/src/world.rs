//! A machine, its clients and the network between them.

mod front;
mod pipe;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parlor_core::simulation::Randomness;
use parlor_core::{
    Batch, Certificate, ClientId, Config, Datagram, Event, Identity, MediaId, MediaPacket, News,
    Place, PublicationName, Reply, Request, RequestError, RoomName, Seed, SinkPacket, Team,
    WorkerId,
};
use parlor_journal::{Cut, Fresh, Header, MACHINE, Recorder, Tape};
use sha2::{Digest, Sha256};

use crate::client::Client;
use crate::encoder::Encoder;
use crate::media::Kinds;
use crate::network::{Link, Network};
pub use front::{Brought, Front, Line, Said};

/// Which client of a world.
pub type ClientKey = usize;

#[derive(Clone, Copy)]
enum End {
    Server {
        source: SocketAddr,
        destination: SocketAddr,
    },
    Client {
        source: SocketAddr,
        key: ClientKey,
    },
}

/// Makes datagrams out of one that a client sends.
pub type Intruder = Box<dyn FnMut(&[u8]) -> Vec<Vec<u8>>>;

/// A machine, its clients and the network between them, in virtual time.
pub struct World {
    /// The machine.
    pub sfu: Recorder,
    /// A machine beside it that it hands players on to, if there is one.
    pub second: Option<Recorder>,
    /// What passes between the two is lost, as far as it may be.
    pub relay_is_full: bool,
    /// What passes between the two waits.
    pub relay_is_held: bool,
    /// The present.
    pub now: Instant,
    begun: Instant,
    /// The network, which may change at any time.
    pub network: Network,
    /// The clients' connections.
    pub clients: Vec<Client>,
    /// News that the machine has told, oldest first.
    pub events: Vec<Event>,
    /// Publishers that are not browsers, by the mark of their payloads.
    pub encoders: BTreeMap<u32, Encoder>,
    /// What stands before the machine for clients by RTMP.
    pub front: Front,
    /// Packets that sinks were given, and when, oldest first.
    pub sunk: Vec<(Instant, SinkPacket)>,
    addresses: BTreeMap<SocketAddr, ClientKey>,
    flights: BTreeMap<(Instant, u64), (End, Vec<u8>)>,
    /// Of each client, by whether it leads to the machine.
    links: BTreeMap<(ClientKey, bool), Link>,
    rebound: u16,
    /// What reaches the machine within this time is taken in at once, and let out only then, as a
    /// worker does; at zero, each datagram by itself.
    pub turn: Duration,
    /// How many datagrams the machine has been given: each comes with its number as its cause.
    arrived: u32,
    /// The causes of what was put out, by whoever wants to know them.
    pub causes: Option<Vec<u32>>,
    /// It lets a part out after each datagram that it takes in within such a turn.
    pub parts: bool,
    /// Steps that a run may take: more are a livelock.
    pub step_limit: u64,
    launched: u64,
    batch: Batch,
    randomness: Randomness,
    seed: u64,
    digest: Option<Sha256>,
    /// What else is sent to the machine whenever a client sends a datagram to it: by the client's
    /// address, ahead of the datagram.
    pub intruder: Option<Intruder>,
    /// Datagrams of clients to the machine with the addresses that they came from, if there is to
    /// be a record.
    pub tap: Option<Vec<(SocketAddr, Vec<u8>)>>,
    /// Datagrams of the machine to clients, as they were put out, if there is to be a record.
    pub put_out: Option<Vec<(ClientKey, Vec<u8>)>>,
    /// Players offer to take G.711 beside Opus.
    pub offers_g711: bool,
    /// What becomes of an offer on its way to the machine.
    pub edit_offer: Option<fn(&str) -> String>,
    /// What becomes of an answer on its way to the client.
    pub edit_answer: Option<fn(&str) -> String>,
    /// Real time that the machine has spent on datagrams and on what it puts out for them.
    pub spent: Duration,
}

/// That of the machine beside it.
const SECOND: ([u8; 4], u16) = ([192, 0, 2, 1], 50_001);
/// Steps of a run where nothing else is said.
const STEPS: u64 = 5_000_000;

impl World {
    /// The machine's address.
    pub const SERVER: ([u8; 4], u16) = ([192, 0, 2, 1], 50_000);

    /// A world with an empty machine.
    pub fn new(seed: u64, base: Instant, config: Config) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let server = Seed(bytes);
        bytes[31] = 1;
        let config = Config {
            candidates: vec![Self::SERVER.into()],
            ..config
        };
        let second = (config.team.size > 1).then(|| {
            let config = Config {
                candidates: vec![SECOND.into()],
                team: Team {
                    own: WorkerId(1),
                    ..config.team
                },
                ..config.clone()
            };
            let certificate = Certificate::from_seed(&server);
            let seed = Seed(bytes);
            let fresh = Fresh {
                config,
                certificate,
                seed,
            };
            Recorder::new(fresh, base)
        });
        let fresh = Fresh {
            config,
            certificate: Certificate::from_seed(&server),
            seed: server,
        };
        Self {
            sfu: Recorder::new(fresh, base),
            second,
            relay_is_full: false,
            relay_is_held: false,
            now: base,
            begun: base,
            network: Network::default(),
            clients: Vec::new(),
            events: Vec::new(),
            front: Front::default(),
            sunk: Vec::new(),
            encoders: BTreeMap::new(),
            links: BTreeMap::new(),
            rebound: 0,
            turn: Duration::ZERO,
            arrived: 0,
            causes: None,
            parts: false,
            step_limit: STEPS,
            addresses: BTreeMap::new(),
            flights: BTreeMap::new(),
            launched: 0,
            batch: Batch::new(),
            randomness: Randomness::new(&Seed(bytes)),
            seed,
            digest: Some(Sha256::new()),
            intruder: None,
            offers_g711: false,
            edit_offer: None,
            edit_answer: None,
            tap: None,
            put_out: None,
            spent: Duration::ZERO,
        }
    }

    /// A world with an empty machine that is recorded.
    pub fn recorded(seed: u64, base: Instant, config: Config) -> Self {
        let mut world = Self::new(seed, base, config);
        for (worker, machine) in (0..).zip([Some(&mut world.sfu), world.second.as_mut()]) {
            let Some(machine) = machine else { continue };
            let fresh = machine.fresh().clone();
            let header = Header {
                program: env!("CARGO_PKG_VERSION").into(),
                machine: MACHINE.into(),
                worker,
                date_ms: parlor_core::epoch::BEGINNING_MS,
                begun_ns: 0,
                made_of: fresh.clone(),
            };
            machine.renew(fresh, Tape::new(&header, base), base);
        }
        world
    }

    /// Ends the record, and gives the journal.
    pub fn journal(&mut self) -> Vec<u8> {
        journal(&mut self.sfu)
    }

    /// The machine, and the one beside it if there is one.
    pub fn machines(&self) -> impl Iterator<Item = &Recorder> {
        let machines = [Some(&self.sfu), self.second.as_ref()];
        machines.into_iter().flatten()
    }

    /// Ends the record of the machine beside it, and gives the journal.
    pub fn second_journal(&mut self) -> Option<Vec<u8>> {
        self.second.as_mut().map(journal)
    }

    /// Asks the machine for something.
    pub fn request(&mut self, client: u64, request: Request) -> Result<Reply, RequestError> {
        let reply = self.sfu.handle_request(self.now, ClientId(client), request);
        self.note(format!("{reply:?}").as_bytes());
        self.drain();
        match reply {
            Ok(Reply::Later { media }) if !self.relay_is_held => {
                self.answer(ClientId(client), media)
            }
            reply => reply,
        }
    }

    /// The answer that has come since it was promised.
    fn answer(&mut self, client: ClientId, media: MediaId) -> Result<Reply, RequestError> {
        let result_of = |event: &Event| {
            let News::Answered { media: of, result } = &event.news else {
                return None;
            };
            (event.client == client && *of == media).then(|| result.clone())
        };
        let position = self
            .events
            .iter()
            .rposition(|event| result_of(event).is_some());
        let event = self.events.remove(position.expect("an answer"));
        result_of(&event).expect("it was found by it")
    }

    /// Lets a client enter a room.
    pub fn join(&mut self, client: u64, room: &str, identity: &str) -> Result<Reply, RequestError> {
        let identity = Identity::new(identity).expect("a name");
        self.request(
            client,
            Request::Join {
                room: room_name(room),
                identity,
                resume: None,
            },
        )
    }

    /// Begins a publication by a client; in a room, or outside of rooms for an empty name.
    pub fn publish(
        &mut self,
        client: u64,
        media: u32,
        room: &str,
        name: &str,
        kinds: Kinds,
    ) -> Result<ClientKey, RequestError> {
        let (place, name) = (place(room), publication_name(name));
        self.connect(client, media, kinds, true, |media, offer| {
            Request::Publish {
                media,
                place,
                name,
                offer,
            }
        })
    }

    /// Begins a subscription by a client.
    pub fn play(
        &mut self,
        client: u64,
        media: u32,
        room: &str,
        name: &str,
        kinds: Kinds,
    ) -> Result<ClientKey, RequestError> {
        let (place, name) = (place(room), publication_name(name));
        self.connect(client, media, kinds, false, |media, offer| {
            Request::Subscribe {
                media,
                place,
                name,
                offer,
            }
        })
    }

    /// Begins a subscription by a client that is not in the room; `name` is a stream's, or a
    /// participant's.
    pub fn watch(
        &mut self,
        client: u64,
        media: u32,
        room: &str,
        name: &str,
        kinds: Kinds,
    ) -> Result<ClientKey, RequestError> {
        let (room, name) = (room_name(room), publication_name(name));
        self.connect(client, media, kinds, false, |media, offer| Request::Watch {
            media,
            room,
            name,
            offer,
        })
    }

    fn connect(
        &mut self,
        client: u64,
        media: u32,
        kinds: Kinds,
        sends: bool,
        request: impl FnOnce(MediaId, String) -> Request,
    ) -> Result<ClientKey, RequestError> {
        let key = self.clients.len();
        let port = 10_000 + u16::try_from(key % 50_000).unwrap_or(0);
        let host = [198, 51, 100, u8::try_from(key / 50_000).unwrap_or(0)];
        let owner = (ClientId(client), MediaId(media));
        let seed = self.seed.wrapping_mul(1_000_003).wrapping_add(key as u64);
        let takes = (kinds, sends, self.offers_g711 && !sends);
        let (mut connection, offer) =
            Client::offer_of(self.now, seed, (host, port).into(), owner, takes);
        connection.mark = u32::try_from(key).unwrap_or(u32::MAX);
        let offer = self
            .edit_offer
            .map_or_else(|| offer.clone(), |edit| edit(&offer));
        match self.request(client, request(MediaId(media), offer))? {
            Reply::Answer { sdp, .. } => {
                let sdp = self
                    .edit_answer
                    .map_or_else(|| sdp.clone(), |edit| edit(&sdp));
                connection.accept(&sdp);
            }
            Reply::Done
            | Reply::Joined { .. }
            | Reply::Sink { .. }
            | Reply::Available(_)
            | Reply::Later { .. } => unreachable!("an offer is answered"),
        }
        self.addresses.insert(connection.outside, key);
        self.clients.push(connection);
        Ok(key)
    }

    /// Brings a packet of an ingest.
    pub fn media(&mut self, client: u64, media: u32, packet: MediaPacket<'_>) {
        self.sfu
            .handle_media(self.now, ClientId(client), MediaId(media), packet);
        self.drain();
    }

    /// Lets time pass.
    ///
    /// # Panics
    /// Where it takes more steps than a live world needs.
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        for _ in 0..self.step_limit {
            let Some(next) = self.next().filter(|next| *next <= end) else {
                self.now = end;
                self.sfu.check();
                if let Some(second) = &self.second {
                    second.check();
                }
                return;
            };
            self.now = self.now.max(next);
            self.step();
        }
        unreachable!("livelock");
    }

    fn next(&self) -> Option<Instant> {
        let machine = self.machines().filter_map(Recorder::poll_timeout);
        let machine = machine.map(|deadline| deadline.at).min();
        let flight = self.flights.keys().next().map(|(at, _)| *at);
        let clients = self.clients.iter().filter(|client| !client.unplugged);
        let client = clients.map(Client::deadline).min();
        let encoder = self.encoders.values().map(Encoder::deadline).min();
        let front = self.front.deadline(self.now);
        [machine, flight, client, encoder, front]
            .into_iter()
            .flatten()
            .min()
    }

    fn step(&mut self) {
        let now = self.now;
        let mut taken_in = false;
        while let Some(flight) = self
            .flights
            .first_entry()
            .filter(|flight| flight.key().0 <= now)
        {
            let (end, contents) = flight.remove();
            match end {
                End::Server {
                    source,
                    destination,
                } => {
                    self.arrived += 1;
                    let datagram = Datagram {
                        source,
                        destination,
                        contents: &contents,
                        cause: self.arrived,
                    };
                    if let Some(second) = &mut self.second
                        && destination == SECOND.into()
                    {
                        second.handle_datagram(now, datagram);
                    } else {
                        let begun = Instant::now();
                        self.sfu.handle_datagram(now, datagram);
                        if !self.turn.is_zero() {
                            let parts = self.parts && self.sfu.poll_transmit(&mut self.batch);
                            self.spent += begun.elapsed();
                            if parts {
                                self.deliver();
                            }
                            taken_in = true;
                            continue;
                        }
                        let mut any = self.sfu.poll_transmit(&mut self.batch);
                        self.spent += begun.elapsed();
                        while any {
                            self.deliver();
                            let begun = Instant::now();
                            any = self.sfu.poll_transmit(&mut self.batch);
                            self.spent += begun.elapsed();
                        }
                    }
                    self.drain();
                }
                End::Client { source, key } => {
                    let sent = self.clients[key].handle_datagram(now, source, &contents);
                    self.launch_from(key, sent);
                }
            }
        }
        if taken_in {
            self.drain();
        }
        if self
            .sfu
            .poll_timeout()
            .is_some_and(|deadline| deadline.at <= now)
        {
            self.sfu.handle_timeout(now);
            self.drain();
        }
        if let Some(second) = &mut self.second {
            second.handle_timeout(now);
            self.drain();
        }
        self.encode(now);
        self.run_front();
        for key in 0..self.clients.len() {
            if !self.clients[key].unplugged && self.clients[key].deadline() <= now {
                let sent = self.clients[key].handle_timeout(now);
                self.launch_from(key, sent);
            }
        }
    }

    fn encode(&mut self, now: Instant) {
        for mark in self.encoders.keys().copied().collect::<Vec<_>>() {
            let encoder = self.encoders.get_mut(&mark).expect("is there");
            let (owner, packets) = (encoder.owner, encoder.due(now));
            for packet in packets {
                let packet = MediaPacket {
                    kind: packet.kind,
                    timestamp: packet.timestamp,
                    captured: packet.captured,
                    marker: packet.marker,
                    payload: &packet.payload,
                };
                self.media(owner.0.0, owner.1.0, packet);
            }
        }
    }

    fn drain(&mut self) {
        while self.sfu.poll_transmit(&mut self.batch) {
            self.deliver();
        }
        while let Some(event) = self.sfu.poll_event() {
            self.note(format!("{event:?}").as_bytes());
            self.front.tell(event.client, &event.news);
            self.events.push(event);
        }
        while let Some(packet) = self.sfu.poll_media() {
            self.note(format!("{packet:?}").as_bytes());
            self.front.give(&packet);
            self.sunk.push((self.now, packet));
        }
        if self.exchange() {
            self.drain();
        }
    }

    /// Takes out what the second machine has for the network, and passes on what the two have for
    /// each other. Returns whether anything was passed.
    fn exchange(&mut self) -> bool {
        let mut passed = false;
        while !self.relay_is_held
            && let Some(second) = &mut self.second
        {
            let (own, other) = (WorkerId(0), WorkerId(1));
            if let Some((to, relay)) = self.sfu.poll_relay() {
                assert_eq!(to, other);
                match self.relay_is_full && relay.is_packet() {
                    true => self.sfu.handle_relay_refused(self.now, &relay),
                    false => second.handle_relay(self.now, own, relay),
                }
            } else if let Some((to, relay)) = second.poll_relay() {
                assert_eq!(to, own);
                self.sfu.handle_relay(self.now, other, relay);
            } else {
                break;
            }
            passed = true;
        }
        while let Some(second) = &mut self.second
            && second.poll_transmit(&mut self.batch)
        {
            self.deliver();
        }
        let told = self.second.as_mut().and_then(Recorder::poll_event);
        assert_eq!(told, None, "its players' clients are not with it");
        passed
    }

    fn deliver(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        for transmit in batch.iter() {
            self.note(transmit.destination.to_string().as_bytes());
            self.note(transmit.contents);
            if let Some(causes) = &mut self.causes {
                causes.push(transmit.cause);
            }
            let (source, destination) = (transmit.source, transmit.destination);
            let is_at = |key: &ClientKey| self.clients[*key].outside == destination;
            let known = self.addresses.get(&destination).copied().filter(is_at);
            if let Some(key) = known.or_else(|| (0..self.clients.len()).find(is_at)) {
                if let Some(put_out) = &mut self.put_out {
                    put_out.push((key, transmit.contents.to_vec()));
                }
                self.launch(End::Client { source, key }, transmit.contents.to_vec());
            }
        }
        self.batch = batch;
    }

    fn launch_from(&mut self, key: ClientKey, sent: Vec<(SocketAddr, Vec<u8>)>) {
        let source = self.clients[key].outside;
        for (destination, contents) in sent {
            if let Some(tap) = &mut self.tap {
                tap.push((source, contents.clone()));
            }
            let forged = self.intruder.as_mut().map(|forge| forge(&contents));
            for forged in forged.unwrap_or_default() {
                let end = End::Server {
                    source,
                    destination,
                };
                self.launch(end, forged);
            }
            let end = End::Server {
                source,
                destination,
            };
            self.launch(end, contents);
        }
    }

    fn launch(&mut self, end: End, contents: Vec<u8>) {
        let key = match &end {
            End::Client { key, .. } => Some(*key),
            End::Server { source, .. } => self.addresses.get(source).copied(),
        };
        let client = key.and_then(|key| self.clients.get(key));
        if client.is_some_and(|client| client.unplugged || client.cut) {
            return;
        }
        let to_machine = matches!(end, End::Server { .. });
        let link = self.links.entry((key.unwrap_or(usize::MAX), to_machine));
        let draw = || self.randomness.u64();
        let (network, length) = (&self.network, contents.len());
        let arrivals = link.or_default().carry(self.now, network, length, draw);
        for mut arrival in arrivals.into_iter().flatten() {
            if to_machine {
                arrival = self.end_of_turn(arrival);
            }
            self.launched += 1;
            let flight = (end, contents.clone());
            self.flights.insert((arrival, self.launched), flight);
        }
    }

    fn end_of_turn(&self, at: Instant) -> Instant {
        let since = at.saturating_duration_since(self.begun).as_nanos();
        let turn = self.turn.as_nanos();
        let into = since.checked_rem(turn).filter(|into| *into > 0);
        let rest = into.map_or(0, |into| turn - into);
        at + Duration::from_nanos(rest as u64)
    }

    /// Gives a client another address on the way: what is sent to the earlier one is lost.
    pub fn rebind(&mut self, key: ClientKey) {
        self.rebound += 1;
        let outside = SocketAddr::from(([203, 0, 113, 200], 1_024 + self.rebound));
        let before = std::mem::replace(&mut self.clients[key].outside, outside);
        self.addresses.remove(&before);
        self.addresses.insert(outside, key);
        self.clients[key].moved = Some(self.now);
    }

    /// Forgets all clients but the first ones, with what is on the way to them.
    pub fn forget_clients(&mut self, keep: usize) {
        self.clients.truncate(keep);
        self.clients.shrink_to_fit();
        self.addresses.retain(|_, key| *key < keep);
        self.flights.retain(|_, (end, _)| match end {
            End::Client { key, .. } => *key < keep,
            End::Server { .. } => false,
        });
    }

    /// The news that one client was told.
    pub fn news(&self, client: u64) -> Vec<&News> {
        let of_client = self
            .events
            .iter()
            .filter(|event| event.client == ClientId(client));
        of_client.map(|event| &event.news).collect()
    }

    fn note(&mut self, bytes: &[u8]) {
        if let Some(digest) = &mut self.digest {
            digest.update(bytes);
        }
    }

    /// Stops taking the digest of what is put out: a bench has no use for it.
    pub fn without_digest(mut self) -> Self {
        self.digest = None;
        self
    }

    /// The digest of everything that the machine has put out, in order.
    pub fn digest(&self) -> String {
        let digest = self.digest.clone().expect("a digest is taken").finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn journal(machine: &mut Recorder) -> Vec<u8> {
    let mut tape = machine.take_tape().expect("it is recorded");
    tape.end(Cut::Stopped);
    tape.take(Vec::new())
}

fn room_name(name: &str) -> RoomName {
    RoomName::new(name).expect("a name")
}

fn publication_name(name: &str) -> PublicationName {
    PublicationName::new(name).expect("a name")
}

fn place(room: &str) -> Place {
    if room.is_empty() {
        Place::Open
    } else {
        Place::Room(room_name(room))
    }
}
