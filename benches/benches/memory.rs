//! What the core asks of the allocator: nothing for a packet that is passed on, and little for a
//! stream, which is given back when the stream ends. Prints the figures, and fails where they are
//! beyond their bounds.

#![allow(clippy::print_stdout, reason = "a bench prints")]
#![allow(clippy::expect_used, reason = "a bench that cannot be set up ends")]

use std::time::{Duration, Instant};

use parlor_benches::call::{Call, PICTURE};
use parlor_benches::counting::{self, Counting};
use parlor_core::{ClientId, Config, MediaId, Place, PublicationName, Request, epoch};
use parlor_fuzz::{Client, World};

use rtmp::Stage;

#[path = "memory/rtmp.rs"]
mod rtmp;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Most bytes that an RTMP session may hold, one that plays and one that publishes.
const RTMP_SESSION: i64 = 64_000;

/// Most bytes that a stream that is played may hold, and one that is published beside its ring.
const SUBSCRIPTION: i64 = 100_000;
const PUBLICATION: i64 = 300_000;

fn main() {
    let alone = allocations(0);
    println!("allocations for a packet in that nobody plays: {alone:.3}");
    // Reports are lists that grow, some times a second.
    assert!(alone < 0.05, "none for each packet in the steady state");
    for players in [10, 100] {
        let all = allocations(players);
        let each = (all - alone) / players as f64;
        println!("allocations for a packet passed on, {players} players: {each:.4}");
        assert!(each.abs() < 0.001, "none in the steady state");
    }
    let (publication, subscription) = (publication(), subscription());
    println!("bytes for a publication without its ring: {publication}");
    println!("bytes for a subscription: {subscription}");
    assert!(publication <= PUBLICATION && subscription <= SUBSCRIPTION);
    rtmp_sessions();
    joins();
    join_time();
}

/// Allocations for a packet in, with all that it makes out.
fn allocations(players: usize) -> f64 {
    let mut call = Call::new(players);
    // So that all buffers have their sizes.
    for _ in 0..4 {
        call.stretch();
        call.settle();
    }
    let tape = call.tape();
    let mut allocations = 0;
    for (now, source, contents) in &tape {
        call.due(*now);
        let before = counting::calls();
        call.take(*now, *source, contents);
        allocations += counting::calls() - before;
    }
    allocations as f64 / tape.len() as f64
}

/// What is held when the clients are gone, which are not the machine's.
fn held(world: &mut World) -> i64 {
    world.forget_clients(0);
    world.events = Vec::new();
    world.run_for(Duration::from_millis(1));
    counting::bytes()
}

fn publication() -> i64 {
    const STREAMS: u32 = 50;
    let before = counting::bytes();
    let mut world = World::new(1, epoch::base(Instant::now()), Config::default()).without_digest();
    let empty = held(&mut world) - before;
    for stream in 0..STREAMS {
        let name = format!("stream-{stream}");
        let published = world.publish(stream.into(), 0, "", &name, PICTURE);
        assert!(published.is_ok());
    }
    world.run_for(Duration::from_secs(1));
    // Long enough for the picture to begin, short enough for rings that are not full.
    (held(&mut world) - before - empty) / i64::from(STREAMS)
}

fn subscription() -> i64 {
    const PLAYERS: usize = 200;
    let bytes = |players| {
        let before = counting::bytes();
        let mut call = Call::new(players);
        held(&mut call.world) - before
    };
    (bytes(PLAYERS) - bytes(0)) / PLAYERS as i64
}

/// What sessions by RTMP hold, each of them alone: in the machine, without the socket, and without
/// what the allocator and the system add.
fn rtmp_sessions() {
    for (stage, what) in [
        (Stage::Silent, "that has said nothing"),
        (Stage::Connected, "that is connected"),
        (Stage::Plays, "that plays, after 10 s of 2 Mbit/s"),
        (Stage::Publishes, "that publishes, after 10 s of 2 Mbit/s"),
    ] {
        let held = rtmp::held(stage);
        println!("bytes for an RTMP session {what}: {held}");
        assert!(held <= RTMP_SESSION);
    }
}

/// A thousand players come and go, a hundred at a time.
fn joins() {
    let mut call = Call::new(0);
    let mut after = Vec::new();
    for _ in 0..10 {
        call.join(100);
        let players = call.world.clients.iter().skip(1);
        let players: Vec<_> = players.map(|player| player.owner).collect();
        for (ClientId(client), media) in players {
            let stopped = call.world.request(client, Request::Stop { media });
            assert!(stopped.is_ok());
        }
        call.world.forget_clients(1);
        call.settle();
        let held = call.world.sfu.counters();
        assert_eq!((held.peers, held.subscriptions), (1, 0));
        after.push(counting::bytes());
    }
    let (first, last) = (after[0], after[after.len() - 1]);
    println!("bytes held after 100 joins and leaves: {first}; after 1,000: {last}");
    assert!(last <= first + first / 100, "it grows: {after:?}");
}

/// What a player waits for in the machine between its request and the answer.
fn join_time() {
    let mut call = Call::new(1);
    let name = PublicationName::new("stream").expect("a name");
    let mut times: Vec<Duration> = (0..200_u32)
        .map(|number| {
            let (now, owner) = (call.world.now, (ClientId(9_000), MediaId(number)));
            let address = ([203, 0, 113, 1], 1_000).into();
            let (_, offer) = Client::offer(now, number.into(), address, owner, PICTURE, false);
            let request = Request::Subscribe {
                media: MediaId(number),
                place: Place::Open,
                name: name.clone(),
                offer,
            };
            let begun = Instant::now();
            let reply = call.world.sfu.handle_request(now, owner.0, request);
            let time = begun.elapsed();
            assert!(reply.is_ok());
            time
        })
        .collect();
    times.sort();
    println!(
        "from a request to play to its answer: median {:?}, the longest of 200 {:?}",
        times[100], times[199]
    );
}
