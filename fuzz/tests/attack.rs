//! What those can do who know, or can forge, the address of somebody in a call, and those who are
//! in a call themselves.

#![allow(clippy::expect_used, reason = "a broken expectation fails the test")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parlor_core::{
    ClientId, Config, Datagram, MediaId, Place, PublicationName, Reply, Request, epoch,
};
use parlor_fuzz::{Client, Kinds, World};

const SECOND: Duration = Duration::from_secs(1);
const SERVER: ([u8; 4], u16) = ([192, 0, 2, 1], 50_000);

fn world() -> World {
    World::new(21, epoch::base(Instant::now()), Config::default())
}

/// Somebody publishes, somebody plays. Returns both connections.
fn call(world: &mut World) -> (usize, usize) {
    let publisher = world
        .publish(1, 1, "", "a", Kinds::BOTH)
        .expect("publishes");
    let player = world.play(2, 1, "", "a", Kinds::BOTH).expect("plays");
    world.run_for(3 * SECOND);
    (publisher, player)
}

fn inject(world: &mut World, source: SocketAddr, contents: &[u8]) {
    let destination = SERVER.into();
    let datagram = Datagram {
        source,
        destination,
        contents,
        cause: 0,
    };
    world.sfu.handle_datagram(world.now, datagram);
    world.run_for(Duration::ZERO);
}

/// Asserts that sound and picture arrive as they should for a second.
fn assert_unharmed(world: &mut World, player: usize) {
    world.clients[player].received.clear();
    world.run_for(SECOND);
    let client = &world.clients[player];
    let (sounds, pictures) = (client.received(false).len(), client.received(true).len());
    assert!(sounds > 45, "{sounds} packets of sound in a second");
    assert!(pictures > 45, "{pictures} packets of pictures in a second");
}

#[test]
fn a_forged_source_takes_no_stream_over() {
    let mut world = world();
    let (publisher, player) = call(&mut world);
    // From some time on the client does not say any more which line a source is of.
    world.run_for(12 * SECOND);
    let address = world.clients[publisher].address;
    for video in [false, true] {
        let (mid, pt) = world.clients[publisher].line(video).expect("a line");
        for ssrc in 1..100_u32 {
            // An extension of one-byte headers with the mid, by the id that the client gives it.
            let mut packet = vec![0x90, pt, 0, 7, 0, 0, 0, 1];
            packet.extend(ssrc.to_be_bytes());
            let mut extension = vec![0x40 | (mid.len() as u8 - 1)];
            extension.extend(mid.bytes());
            extension.resize(extension.len().next_multiple_of(4), 0);
            packet.extend([0xbe, 0xde, 0, (extension.len() / 4) as u8]);
            packet.extend(extension);
            packet.extend([9; 60]);
            inject(&mut world, address, &packet);
        }
    }
    assert_unharmed(&mut world, player);
}

#[test]
fn forged_handshake_messages_do_not_end_a_call() {
    let mut world = world();
    let (publisher, player) = call(&mut world);
    let address = world.clients[publisher].address;
    let hello = [
        22, 254, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40, 1, 0, 0, 28, 0, 0, 0, 0, 0, 0, 0, 28,
    ];
    let late = [
        22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 12, 1, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0,
    ];
    let alert = [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40];
    let goodbye = [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 1, 0];
    let sealed_alert = [21, 254, 253, 0, 1, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40];
    let switch = [20, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 1];
    let data = [23, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 3, 1, 2, 3];
    let short = [23, 254, 253, 0];
    for round in 0..100 {
        for forged in [
            &hello[..],
            &late[..],
            &alert[..],
            &goodbye[..],
            &sealed_alert[..],
            &switch[..],
            &data[..],
            &short[..],
        ] {
            let mut forged = forged.to_vec();
            if let Some(number) = forged.get_mut(10) {
                *number = round;
            }
            inject(&mut world, address, &forged);
        }
    }
    assert_unharmed(&mut world, player);
    assert_eq!(world.sfu.counters().dtls_failed, 0);
}

/// A client's connection of its own, outside of the world, and its first connectivity check.
fn own_check(world: &mut World, client: u64, name: &str) -> Vec<u8> {
    let owner = (ClientId(client), MediaId(1));
    let address = ([203, 0, 113, 9], 9).into();
    let (mut own, offer) = Client::offer(world.now, 77, address, owner, Kinds::AUDIO, true);
    let name = PublicationName::new(name).expect("a name");
    let request = Request::Publish {
        media: MediaId(1),
        place: Place::Open,
        name,
        offer,
    };
    let Ok(Reply::Answer { sdp, .. }) = world.request(client, request) else {
        unreachable!("an offer is answered")
    };
    own.accept(&sdp);
    let sent = (0..10).flat_map(|step| own.handle_timeout(world.now + SECOND / 10 * step));
    let mut checks = sent.map(|(_, datagram)| datagram);
    checks
        .find(|datagram| datagram.starts_with(&[0, 1]))
        .expect("a check")
}

#[test]
fn nobody_takes_the_way_of_a_live_connection() {
    let mut world = world();
    let (publisher, player) = call(&mut world);
    let check = own_check(&mut world, 9, "own");
    let address = world.clients[publisher].address;
    world.clients[player].received.clear();
    for _ in 0..20 {
        inject(&mut world, address, &check);
        world.run_for(SECOND / 20);
    }
    let sounds = world.clients[player].received(false).len();
    assert!(sounds > 45, "{sounds} packets of sound in a second");
    assert_unharmed(&mut world, player);
}

#[test]
fn a_client_with_many_addresses_keeps_the_one_that_it_uses() {
    let mut world = world();
    let publisher = world
        .publish(1, 1, "", "a", Kinds::BOTH)
        .expect("publishes");
    world.tap = Some(Vec::new());
    let player = world.play(2, 1, "", "a", Kinds::BOTH).expect("plays");
    world.run_for(3 * SECOND);
    let used = world.clients[publisher].address;
    let tap = world.tap.take().expect("a record");
    let mut checks = tap
        .iter()
        .filter(|(source, datagram)| *source == used && datagram.starts_with(&[0, 1]));
    let check = checks.next_back().expect("a check").1.clone();
    for port in 1..=40 {
        inject(&mut world, ([203, 0, 113, 7], port).into(), &check);
        if port == 20 {
            inject(&mut world, used, &check);
        }
    }
    assert_unharmed(&mut world, player);
    // Addresses come and go, more of them than anyone has; the one in use is checked time and
    // again.
    let before = world.sfu.counters().unvalidated;
    for port in 100..900 {
        inject(&mut world, ([203, 0, 113, 7], port).into(), &check);
        if port % 8 == 0 {
            inject(&mut world, used, &check);
        }
    }
    assert!(
        world.sfu.counters().unvalidated - before > 500,
        "they are not kept"
    );
    assert_unharmed(&mut world, player);
}

#[test]
fn sequence_numbers_from_before_zero_harm_nobody() {
    let mut world = world();
    world.publish(1, 1, "", "a", Kinds::BOTH).expect("is there");
    world.clients[0].sequence = 1;
    let player = world.play(2, 1, "", "a", Kinds::BOTH).expect("plays");
    world.publish(3, 1, "", "b", Kinds::BOTH).expect("is there");
    let other = world.play(4, 1, "", "b", Kinds::BOTH).expect("plays");
    world.run_for(SECOND);
    // After small numbers, 40,000 is by RFC 3711 §3.3.1 a number that comes before them: below
    // zero, which 64 bits show as close to their end.
    for jump in [u64::MAX - 25_535, u64::MAX - 20, 1] {
        world.clients[0].sequence = jump;
        world.run_for(SECOND);
    }
    let pictures = world.clients[player].received(true);
    assert!(pictures.iter().all(|packet| packet.sequence < 1 << 32));
    assert_unharmed(&mut world, other);
}

/// Exchanges the ids of two header extensions.
fn exchange(sdp: &str) -> String {
    let (one, other) = (
        "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
        "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
    );
    sdp.replace(one, "?")
        .replace(other, one)
        .replace('?', other)
}

#[test]
fn transport_wide_numbers_from_before_zero_take_no_memory() {
    let mut world = world();
    // The client says what it likes where it seems to say a transport-wide number.
    world.edit_offer = Some(exchange);
    world.edit_answer = Some(exchange);
    world.publish(1, 1, "", "a", Kinds::BOTH).expect("is there");
    (world.edit_offer, world.edit_answer) = (None, None);
    world.clients[0].extra = Some(10 << 8);
    let player = world.play(2, 1, "", "a", Kinds::BOTH).expect("plays");
    world.run_for(SECOND);
    assert!(world.clients[player].received(true).len() > 20);
    let before = world.sfu.counters();
    for number in [11, 40_000, 12, 60_000, 20_000, 50_000, 13] {
        world.clients[0].extra = Some(number << 8);
        world.run_for(SECOND / 50);
    }
    let after = world.sfu.counters();
    let (sent, forwarded) = (
        after.transmits - before.transmits,
        after.forwarded - before.forwarded,
    );
    assert!(forwarded > 10, "what is said of a packet does not end it");
    assert!(
        sent < forwarded + 50,
        "{sent} datagrams, reports among them"
    );
    world.clients[0].extra = Some(14 << 8);
    assert_unharmed(&mut world, player);
}

#[test]
fn a_way_passes_on_from_a_connection_that_is_silent() {
    let mut world = world();
    let (publisher, _) = call(&mut world);
    let address = world.clients[publisher].address;
    let hello = [22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0];
    world.clients[publisher].unplugged = true;
    world.run_for(8 * SECOND);
    let check = own_check(&mut world, 9, "own");
    inject(&mut world, address, &check);
    world.run_for(10 * SECOND);
    // The publisher is lost by now; the way is the other's.
    assert_eq!(world.sfu.counters().consent_expired, 1);
    let before = world.sfu.counters().unvalidated;
    inject(&mut world, address, &hello);
    assert_eq!(world.sfu.counters().unvalidated, before);
    world.run_for(20 * SECOND);
    assert_eq!(world.sfu.poll_timeout(), None, "nothing is left to do");
}

#[test]
fn two_connections_from_one_address_share_it_by_turns() {
    let mut world = world();
    let first = own_check(&mut world, 8, "first");
    let second = own_check(&mut world, 9, "second");
    let shared: SocketAddr = ([203, 0, 113, 7], 7).into();
    for check in [&first, &second, &second, &first] {
        inject(&mut world, shared, check);
    }
    world.run_for(20 * SECOND);
    assert_eq!(world.sfu.counters().connect_timeouts, 2);
    assert_eq!(world.sfu.poll_timeout(), None, "nothing is left to do");
}

#[test]
fn a_second_source_at_the_same_time_does_not_tear_the_stream() {
    let mut world = world();
    world.edit_offer = Some(parlor_fuzz::without_sources);
    let (publisher, player) = call(&mut world);
    world.clients[player].received.clear();
    let before = world.sfu.counters().unexpected_packets;
    for number in 0..100_u16 {
        let client = &mut world.clients[publisher];
        let (_, pt) = client.line(true).expect("a line");
        let address = client.address;
        let mut packet = vec![0x80, pt];
        packet.extend(number.to_be_bytes());
        packet.extend([0, 0, 0, 9, 0, 0, 0, 77]);
        // Parameter sets of H.264: a receiver could begin here.
        packet.extend([0x67, 0x42, 0xe0, 0x1f]);
        let forger = client.forger.as_ref().expect("it is connected");
        let sealed = forger.rtp(packet, 12, number.into()).expect("a packet");
        inject(&mut world, address, &sealed);
        world.run_for(SECOND / 50);
    }
    assert_eq!(world.sfu.counters().unexpected_packets - before, 100);
    let pictures = world.clients[player].received(true);
    assert!(pictures.len() > 90, "{} packets", pictures.len());
    for pair in pictures.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence + 1);
    }
}
