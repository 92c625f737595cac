//! Subscribers that ask for more than anybody needs: it costs the machine little, their publisher
//! no more than one key frame now and then, and nobody else a packet.

#![allow(clippy::expect_used, reason = "a broken expectation fails the test")]

use std::time::{Duration, Instant};

use parlor_core::{Config, Datagram, epoch, limits};
use parlor_fuzz::{ClientKey, Kinds, World};

const SECOND: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(10);
/// Datagrams of a storm that come in one step: 20,000 a second.
const DATAGRAMS: usize = 200;

/// A call of a publisher, somebody who storms, and somebody who does not.
struct Call {
    world: World,
    publisher: ClientKey,
    stormy: ClientKey,
    calm: ClientKey,
}

impl Call {
    fn new() -> Self {
        let base = epoch::base(Instant::now());
        let mut world = World::new(31, base, Config::default()).without_digest();
        let publisher = world.publish(1, 1, "", "a", Kinds::BOTH).expect("it may");
        let stormy = world.play(2, 1, "", "a", Kinds::BOTH).expect("it may");
        let calm = world.play(3, 1, "", "a", Kinds::BOTH).expect("it may");
        world.run_for(3 * SECOND);
        world.put_out = Some(Vec::new());
        world.clients[calm].received.clear();
        world.clients[publisher].keyframe_requests.clear();
        Self {
            world,
            publisher,
            stormy,
            calm,
        }
    }

    /// The source of what the stormy one gets of one kind, by its answer.
    fn source(&self, video: bool) -> u32 {
        let section = if video { "m=video" } else { "m=audio" };
        let answer = &self.world.clients[self.stormy].answer;
        let lines = answer.lines().skip_while(|line| !line.starts_with(section));
        let source = lines.filter_map(|line| line.strip_prefix("a=ssrc:")).next();
        let source = source.and_then(|line| line.split(' ').next()?.parse().ok());
        source.expect("a source")
    }

    /// The stormy one's feedback, sealed, reaches the machine. What it puts out leaves with the next
    /// step of the world.
    fn inject(&mut self, compound: Vec<u8>) {
        let client = &mut self.world.clients[self.stormy];
        let forger = client.forger.as_mut().expect("it is connected");
        let contents = forger.rtcp(compound).expect("a compound");
        let datagram = Datagram {
            source: client.outside,
            destination: World::SERVER.into(),
            contents: &contents,
            cause: 0,
        };
        self.world.sfu.handle_datagram(self.world.now, datagram);
    }

    /// Lets a storm of this feedback go on for a time.
    fn storm(&mut self, time: Duration, mut compound: impl FnMut(u64) -> Vec<u8>) {
        let end = self.world.now + time;
        let mut number = 0;
        while self.world.now < end {
            for _ in 0..DATAGRAMS {
                number += 1;
                self.inject(compound(number));
            }
            self.world.run_for(STEP);
        }
    }

    /// Datagrams that were put out to a client, and their bytes.
    fn put_out_to(&self, key: ClientKey) -> (usize, usize) {
        let put_out = self.world.put_out.iter().flatten();
        let to_it = put_out.filter(|(to, _)| *to == key);
        to_it.fold((0, 0), |(count, bytes), (_, datagram)| {
            (count + 1, bytes + datagram.len())
        })
    }

    /// Asserts that the calm one has got everything so far, once and in its order.
    fn assert_calm(&self) {
        let client = &self.world.clients[self.calm];
        for video in [false, true] {
            let packets = client.received(video);
            assert!(packets.len() > 100, "{} packets", packets.len());
            for pair in packets.windows(2) {
                assert_eq!(pair[1].sequence, pair[0].sequence + 1, "nothing is lost");
            }
        }
    }
}

/// A generic NACK of as many packets as a datagram may report (RFC 4585 §6.2.1).
fn nack(ssrc: u32, first: u16) -> Vec<u8> {
    const ENTRIES: u16 = 200;
    let mut compound = vec![0x81, 205];
    compound.extend((2 + ENTRIES).to_be_bytes());
    compound.extend([0, 0, 0, 9]);
    compound.extend(ssrc.to_be_bytes());
    for entry in 0..ENTRIES {
        compound.extend(first.wrapping_add(17 * entry).to_be_bytes());
        compound.extend([0xff, 0xff]);
    }
    compound
}

#[test]
fn a_storm_of_nacks_gets_a_part_of_what_was_sent_again_and_harms_nobody() {
    let mut call = Call::new();
    let ssrc = call.source(true);
    let latest = |call: &Call| {
        let received = call.world.clients[call.stormy].received(true);
        received.last().expect("a picture").sequence as u16
    };
    let before = call.world.sfu.counters();
    for _ in 0..30 {
        let behind = latest(&call).wrapping_sub(128);
        call.storm(SECOND / 10, |number| {
            nack(ssrc, behind.wrapping_sub(number as u16 % 300))
        });
    }
    let after = call.world.sfu.counters();
    let (sent, resent) = (
        after.forwarded - before.forwarded,
        after.resent - before.resent,
    );
    assert!(
        resent > 100,
        "who has lost much gets much: {resent} for {sent}"
    );
    // A third of all in the long run, and what one has to begin with.
    assert!(resent <= 256 + sent / 2 / 2, "{resent} for {sent}");
    let (stormy, calm) = (call.put_out_to(call.stormy), call.put_out_to(call.calm));
    assert!(
        stormy.0 as u64 <= calm.0 as u64 + resent,
        "{stormy:?} beside {calm:?}"
    );
    // The publisher is asked for nothing that it has sent.
    let (datagrams, bytes) = call.put_out_to(call.publisher);
    assert!(
        datagrams < 150 && bytes < 30_000,
        "{datagrams}, {bytes} bytes"
    );
    let requests = &call.world.clients[call.publisher].keyframe_requests;
    assert!(requests.is_empty(), "{requests:?}");
    call.assert_calm();
}

#[test]
fn packets_that_were_never_sent_are_not_sent_again() {
    let mut call = Call::new();
    let (picture, sound) = (call.source(true), call.source(false));
    let before = call.world.sfu.counters().resent;
    // Of sound, whose packets are not kept; of a source of nobody; and far from what was sent.
    call.storm(SECOND, |number| nack(sound, number as u16));
    call.storm(SECOND, |number| nack(picture ^ 1, number as u16));
    let received = call.world.clients[call.stormy].received(true);
    let far = received.last().expect("a picture").sequence as u16 ^ 0x8000;
    call.storm(SECOND, |_| nack(picture, far));
    assert_eq!(call.world.sfu.counters().resent, before);
    call.assert_calm();
}

/// A request for a key frame: PLI, or FIR with a number (RFC 5104 §4.3.1).
fn want_keyframe(ssrc: u32, number: u64) -> Vec<u8> {
    let ssrc = ssrc.to_be_bytes();
    if number.is_multiple_of(2) {
        return [&[0x81, 206, 0, 2, 0, 0, 0, 9][..], &ssrc].concat();
    }
    let head = [0x84, 206, 0, 4, 0, 0, 0, 9, 0, 0, 0, 0];
    [&head[..], &ssrc, &[number as u8, 0, 0, 0]].concat()
}

#[test]
fn a_storm_of_key_frame_requests_reaches_the_publisher_as_one_now_and_then() {
    let mut call = Call::new();
    let ssrc = call.source(true);
    let before = call.world.sfu.counters().keyframe_requests;
    // As many as a datagram may carry.
    call.storm(3 * SECOND, |number| {
        let requests = (0..40).map(|nth| want_keyframe(ssrc, number + nth));
        requests.collect::<Vec<_>>().concat()
    });
    let asked = call.world.sfu.counters().keyframe_requests - before;
    assert!((5..=7).contains(&asked), "{asked} in three seconds");
    let requests = call.world.clients[call.publisher].keyframe_requests.clone();
    for pair in requests.windows(2) {
        assert!(pair[1] - pair[0] >= limits::KEYFRAME_INTERVAL - STEP);
    }
    call.assert_calm();
    // It is over when the storm is, and one that is needed comes through.
    call.world.run_for(2 * SECOND);
    let over = call.world.clients[call.publisher].keyframe_requests.len();
    assert!(over <= requests.len() + 1);
    call.world.run_for(2 * SECOND);
    call.world.clients[call.calm].request_keyframe();
    call.world.run_for(SECOND / 2);
    let requests = &call.world.clients[call.publisher].keyframe_requests;
    assert_eq!(requests.len(), over + 1);
}

#[test]
fn each_of_these_requests_alone_asks_the_publisher_for_a_key_frame() {
    let mut call = Call::new();
    let ssrc = call.source(true);
    for number in [0, 1] {
        call.inject(want_keyframe(ssrc, number));
        call.world.run_for(SECOND);
        let asked = call.world.clients[call.publisher].keyframe_requests.len();
        assert_eq!(asked as u64, number + 1);
    }
    for ssrc in [ssrc ^ 1, 0] {
        call.inject(want_keyframe(ssrc, 0));
        call.inject(want_keyframe(ssrc, 1));
        call.world.run_for(SECOND);
    }
    let asked = call.world.clients[call.publisher].keyframe_requests.len();
    assert_eq!(asked, 2, "of another source, which is none of its own");
}

#[test]
fn a_request_that_comes_too_soon_is_made_later() {
    let mut call = Call::new();
    let ssrc = call.source(true);
    call.inject(want_keyframe(ssrc, 0));
    call.world.run_for(SECOND / 5);
    call.inject(want_keyframe(ssrc, 0));
    call.world.run_for(SECOND);
    let requests = &call.world.clients[call.publisher].keyframe_requests;
    let [first, second] = requests[..] else {
        unreachable!("one for each: {requests:?}")
    };
    assert!(second - first >= limits::KEYFRAME_INTERVAL - 2 * STEP);
}
