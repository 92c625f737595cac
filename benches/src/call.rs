//! A publisher and its players, connected, in virtual time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parlor_core::{Batch, Config, Datagram, Limits, epoch};
use parlor_fuzz::{Codec, Kinds, World};

/// Bytes of a packet: header and payload, as they are before they are sealed.
pub const PACKET: usize = 1_200;
/// Bytes of a header without extensions, which stays in the clear.
pub const HEADER: usize = 12;
/// Packets that the publisher sends in one stretch.
pub const STRETCH: usize = 250;
/// Time between two packets.
const SPACING: Duration = Duration::from_millis(4);

/// A picture alone: VP8, so that a packet may be of any content.
pub const PICTURE: Kinds = Kinds {
    audio: false,
    video: Some(Codec::Vp8),
};

/// The time that a processor has worked for this thread: others that want it do not count.
pub fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// A publisher and its players, connected.
pub struct Call {
    /// Where they are.
    pub world: World,
    batch: Batch,
}

impl Call {
    /// Connects a publisher and players.
    ///
    /// # Panics
    /// Where that fails.
    pub fn new(players: usize) -> Self {
        Self::of(players, World::new)
    }

    /// The same, recorded.
    ///
    /// # Panics
    /// Where that fails.
    pub fn recorded(players: usize) -> Self {
        Self::of(players, World::recorded)
    }

    fn of(players: usize, world: fn(u64, Instant, Config) -> World) -> Self {
        let limits = Limits {
            peers: 10_000,
            ..Limits::default()
        };
        let config = Config {
            limits,
            ..Config::default()
        };
        let mut world = world(1, epoch::base(Instant::now()), config).without_digest();
        let published = world.publish(0, 0, "", "stream", PICTURE);
        assert!(published.is_ok());
        let batch = Batch::new();
        let mut call = Self { world, batch };
        call.join(players);
        call.world.clients[0].silent = true;
        call.settle();
        call
    }

    /// Lets further players come.
    ///
    /// # Panics
    /// Where they cannot.
    pub fn join(&mut self, players: usize) {
        for _ in 0..players {
            let player = self.world.clients.len() as u64;
            let played = self.world.play(player, 0, "", "stream", PICTURE);
            assert!(played.is_ok());
        }
        self.world.run_for(Duration::from_secs(3));
        assert!(self.world.clients.iter().all(|client| client.connected));
    }

    /// Lets everyone say what there is to say: checks, reports.
    pub fn settle(&mut self) {
        self.world.run_for(Duration::from_millis(500));
        for client in &mut self.world.clients {
            client.received.clear();
        }
        self.world.events.clear();
    }

    /// What the publisher sends in one stretch, and when.
    pub fn tape(&mut self) -> Vec<(Instant, SocketAddr, Vec<u8>)> {
        let mut payload = vec![0x22; PACKET - HEADER];
        // An inner packet of a VP8 picture that is no key frame (RFC 7741 §4.2).
        payload[..2].copy_from_slice(&[0, 1]);
        let mut tape = Vec::new();
        for _ in 0..STRETCH {
            self.world.now += SPACING;
            let now = self.world.now;
            let publisher = &mut self.world.clients[0];
            let sent = publisher.send_video(now, payload.clone());
            let source = publisher.address;
            for (_, contents) in sent {
                match contents.first() {
                    Some(128..) => tape.push((now, source, contents)),
                    _ => self.answer(now, &contents),
                }
            }
        }
        tape
    }

    /// Lets the machine answer a check of the publisher, that the connection lives on.
    fn answer(&mut self, now: Instant, contents: &[u8]) {
        let source = self.world.clients[0].address;
        self.take(now, source, contents);
        let publisher = &mut self.world.clients[0];
        for transmit in self.batch.iter() {
            if transmit.destination == source {
                publisher.handle_datagram(now, transmit.source, transmit.contents);
            }
        }
    }

    /// Lets the machine do what is due at `now`.
    pub fn due(&mut self, now: Instant) {
        let sfu = &mut self.world.sfu;
        if sfu.poll_timeout().is_some_and(|due| due.at <= now) {
            sfu.handle_timeout(now);
        }
    }

    /// Lets the machine take a datagram in; what it puts out is dropped.
    pub fn take(&mut self, now: Instant, source: SocketAddr, contents: &[u8]) {
        let datagram = Datagram {
            source,
            destination: World::SERVER.into(),
            contents,
            cause: 0,
        };
        let sfu = &mut self.world.sfu;
        sfu.handle_datagram(now, datagram);
        sfu.poll_transmit(&mut self.batch);
        std::hint::black_box(&self.batch);
    }

    /// What was recorded since the last time.
    pub fn written(&mut self) -> Vec<u8> {
        let tape = self.world.sfu.tape();
        tape.map(|tape| tape.take(Vec::new())).unwrap_or_default()
    }

    /// One stretch: how long the machine took for it, and how many packets it passed on.
    pub fn stretch(&mut self) -> (Duration, u64) {
        let tape = self.tape();
        let before = self.world.sfu.counters().forwarded;
        let begun = processor_time();
        for (now, source, contents) in &tape {
            self.due(*now);
            self.take(*now, *source, contents);
        }
        let spent = processor_time().saturating_sub(begun);
        (spent, self.world.sfu.counters().forwarded - before)
    }
}
