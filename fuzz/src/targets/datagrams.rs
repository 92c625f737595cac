//! Datagrams that reach the machine: of strangers, of somebody who can forge the address of a
//! client, and of clients that have the keys and send what no honest one would.
//!
//! A call takes thousands of times as long to set up as a datagram takes to be handled, so many
//! inputs are given to one call. Where one of them fails, all that the call was given before is
//! written to a file, as one input that fails alone.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::sync::Once;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use parlor_core::simulation::Forger;
use parlor_core::{Batch, Config, Datagram, epoch};

use super::pieces::{Pieces, joined};
use crate::{Client, ClientKey, Kinds, World};

const STRANGER: ([u8; 4], u16) = ([203, 0, 113, 66], 6_666);
/// Where somebody shakes hands.
const NEWCOMER: ([u8; 4], u16) = ([203, 0, 113, 77], 7_777);
/// Inputs that are given to one call.
const INPUTS: usize = 500;
/// Pieces of an input that are looked at.
const PIECES: usize = 64;
/// Datagrams that one may make: as many as are asked for at once by NACK, and some.
const MADE: usize = 200;

/// A call, and what has been done to it.
struct Stage {
    world: World,
    publisher: ClientKey,
    player: ClientKey,
    /// Somebody who has an answer and has not shaken hands.
    newcomer: Option<Client>,
    newcomers: u32,
    used: usize,
    /// The numbers of packets, per kind.
    sequences: [u64; 2],
}

thread_local! {
    static STAGE: RefCell<Option<Stage>> = const { RefCell::new(None) };
    /// What the stage was given, as one input.
    static GIVEN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    /// Whether inputs are given to a call that others were given to.
    static SHARED: Cell<bool> = const { Cell::new(false) };
}

/// Lets the inputs that follow in this thread be given to one call, and has what it was given
/// written to a file where one of them fails.
pub fn share_calls() {
    static HOOK: Once = Once::new();
    SHARED.set(true);
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let path = std::env::temp_dir().join(format!("fuzz-call-{}", std::process::id()));
            let written = GIVEN.with_borrow(|given| std::fs::write(&path, given));
            #[expect(clippy::print_stderr, reason = "for who fuzzes")]
            if written.is_ok() {
                eprintln!("what the call was given is in {}", path.display());
            }
            before(panic);
        }));
    });
}

/// What a stranger sends, or somebody who has an address of the call, or the ICE password of a
/// stream: nothing ends the call.
pub(super) fn datagrams(bytes: &[u8]) {
    on_stage(bytes, |stage, number, bytes| {
        let publisher = stage.world.clients[stage.publisher].address;
        let player = stage.world.clients[stage.player].address;
        match number % 9 {
            0 => stage.inject(publisher, bytes),
            1 => stage.inject(player, bytes),
            2 => stage.inject(STRANGER.into(), bytes),
            3 => stage.check(stage.publisher, publisher, bytes),
            4 => stage.check(stage.player, player, bytes),
            5 => stage.check(stage.player, STRANGER.into(), bytes),
            6 => stage.pass(bytes),
            7 => stage.shake_hands(bytes),
            _ => stage.check_newcomer(bytes),
        }
        let counters = stage.world.sfu.counters();
        assert_eq!(counters.subscriptions, 1, "the call goes on");
    });
}

/// What clients of a call send that have its keys.
pub(super) fn media(bytes: &[u8]) {
    on_stage(bytes, |stage, number, bytes| match number % 7 {
        0 => stage.packet(Some(false), bytes),
        1 => stage.packet(Some(true), bytes),
        2 => stage.packet(None, bytes),
        3 | 4 => stage.control(stage.publisher, bytes),
        5 => stage.control(stage.player, bytes),
        _ => stage.pass(bytes),
    });
}

fn on_stage(bytes: &[u8], mut act: impl FnMut(&mut Stage, u8, &[u8])) {
    let shared = SHARED.get();
    let mut stage = STAGE.take().unwrap_or_else(|| {
        GIVEN.with_borrow_mut(Vec::clear);
        Stage::new()
    });
    let pieces: Vec<(u8, &[u8])> = Pieces::new(bytes).take(PIECES).collect();
    if shared {
        let given = joined(pieces.iter().copied());
        GIVEN.with_borrow_mut(|all| all.extend(given));
    }
    for (number, bytes) in pieces {
        act(&mut stage, number, bytes);
    }
    stage.world.sfu.check();
    stage.used += 1;
    let lives = stage.world.sfu.counters().subscriptions == 1;
    if shared && lives && stage.used < INPUTS {
        STAGE.set(Some(stage));
    }
}

impl Stage {
    fn new() -> Self {
        let config = Config {
            ice_timeout: Duration::from_secs(3_600),
            ..Config::default()
        };
        let mut world = World::new(7, epoch::base(Instant::now()), config).without_digest();
        let publisher = world.publish(1, 1, "", "a", Kinds::BOTH).expect("it may");
        let player = world.play(2, 1, "", "a", Kinds::BOTH).expect("it may");
        world.run_for(Duration::from_secs(1));
        assert!(world.clients[player].received(true).len() > 10);
        Self {
            world,
            publisher,
            player,
            newcomer: None,
            newcomers: 0,
            used: 0,
            sequences: [60_000; 2],
        }
    }

    fn inject(&mut self, source: SocketAddr, contents: &[u8]) {
        let datagram = Datagram {
            source,
            destination: World::SERVER.into(),
            contents,
            cause: 0,
        };
        self.world.sfu.handle_datagram(self.world.now, datagram);
        self.drain();
    }

    fn drain(&mut self) {
        let mut batch = Batch::new();
        self.world.sfu.poll_transmit(&mut batch);
        assert!(batch.len() <= MADE, "{} datagrams for one", batch.len());
        while self.world.sfu.poll_event().is_some() {}
    }

    fn pass(&mut self, bytes: &[u8]) {
        let time = bytes.first().copied().unwrap_or(0);
        self.world.now += Duration::from_millis(u64::from(time) * 4);
        self.world.sfu.handle_timeout(self.world.now);
        self.drain();
    }

    /// A connectivity check with these attributes, authenticated as the client's.
    fn check(&mut self, client: ClientKey, source: SocketAddr, attributes: &[u8]) {
        let check = check(&self.world.clients[client], attributes);
        self.inject(source, &check);
    }

    fn newcomer(&mut self) -> &Client {
        if self.world.sfu.counters().publications < 2 {
            self.newcomer = None;
        }
        if self.newcomer.is_none() {
            self.newcomers += 1;
            let media = self.newcomers;
            let name = format!("new{media}");
            let begun = self.world.publish(3, media, "", &name, Kinds::AUDIO);
            begun.expect("it may");
            self.newcomer = self.world.clients.pop();
        }
        self.newcomer.as_ref().expect("is there")
    }

    fn check_newcomer(&mut self, attributes: &[u8]) {
        let check = check(self.newcomer(), attributes);
        self.inject(NEWCOMER.into(), &check);
    }

    fn shake_hands(&mut self, bytes: &[u8]) {
        let nominating = [0, 0x25, 0, 0];
        let check = check(self.newcomer(), &nominating);
        self.inject(NEWCOMER.into(), &check);
        self.inject(NEWCOMER.into(), bytes);
    }

    /// A packet of the publisher, sealed. Where a kind is given, its source, payload type and
    /// number are those of the stream.
    fn packet(&mut self, video: Option<bool>, bytes: &[u8]) {
        let mut packet = bytes.to_vec();
        packet.resize(packet.len().max(12), 0);
        packet[0] = 0x80 | packet[0] & 0x3f;
        if let Some(video) = video {
            let next = &mut self.sequences[usize::from(video)];
            *next += 1;
            packet[2..4].copy_from_slice(&(*next as u16).to_be_bytes());
            let client = &mut self.world.clients[self.publisher];
            let source = client.source(video).expect("it sends");
            packet[8..12].copy_from_slice(&source.to_be_bytes());
            let (_, pt) = client.line(video).expect("a line");
            packet[1] = packet[1] & 0x80 | pt;
        }
        let number = u64::from(u16::from_be_bytes([packet[2], packet[3]]));
        // The first rollover of the streams whose numbers are given here has come.
        let sequence = match video {
            Some(video) => self.sequences[usize::from(video)],
            None => number,
        };
        let header = header_length(&packet);
        let forger = self.forger(self.publisher);
        let sealed = forger.and_then(|forger| forger.rtp(packet, header, sequence));
        let source = self.world.clients[self.publisher].address;
        self.inject(source, &sealed.unwrap_or_default());
    }

    /// RTCP of a client, sealed.
    fn control(&mut self, client: ClientKey, bytes: &[u8]) {
        let mut packet = bytes.to_vec();
        packet.resize(packet.len().max(8), 0);
        packet[0] = 0x80 | packet[0] & 0x3f;
        packet[1] = 192 | packet[1] & 0x1f;
        let forger = self.forger(client);
        let sealed = forger.and_then(|forger| forger.rtcp(packet));
        let source = self.world.clients[client].address;
        self.inject(source, &sealed.unwrap_or_default());
    }

    fn forger(&mut self, client: ClientKey) -> Option<&mut Forger> {
        self.world.clients[client].forger.as_mut()
    }
}

/// A binding request to a client's peer with these attributes and the right integrity.
fn check(client: &Client, attributes: &[u8]) -> Vec<u8> {
    let value = |name: &str| {
        let lines = client.answer.lines();
        lines.filter_map(|line| line.strip_prefix(name)).next()
    };
    let (ufrag, password) = (value("a=ice-ufrag:"), value("a=ice-pwd:"));
    let username = format!("{}:x", ufrag.unwrap_or_default());
    let mut body = vec![0, 6];
    body.extend((username.len() as u16).to_be_bytes());
    body.extend(username.bytes());
    body.resize(body.len().next_multiple_of(4), 0);
    body.extend(&attributes[..attributes.len().min(1_000)]);
    body.resize(body.len().next_multiple_of(4), 0);
    let mut datagram = vec![0, 1];
    datagram.extend((body.len() as u16 + 24).to_be_bytes());
    datagram.extend([0x21, 0x12, 0xa4, 0x42]);
    datagram.extend([9; 12]);
    datagram.extend(body);
    let key = password.unwrap_or_default().as_bytes();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let tag = hmac::sign(&key, &datagram);
    datagram.extend([0, 8, 0, 20]);
    datagram.extend(tag.as_ref());
    datagram
}

/// The length of an RTP header as its fields say it (RFC 3550 §5.1), at least of its fixed part.
fn header_length(packet: &[u8]) -> usize {
    let csrcs = 12 + 4 * usize::from(packet[0] & 0x0f);
    let extension = packet.get(csrcs + 2..csrcs + 4);
    let extension = extension.filter(|_| packet[0] & 0x10 != 0);
    let words = extension.map(|bytes| usize::from(u16::from_be_bytes([bytes[0], bytes[1]])) + 1);
    let length = csrcs + 4 * words.unwrap_or(0);
    if length <= packet.len() { length } else { 12 }
}
