//! What the machine makes of datagrams and offers that nobody honest sends.

#![allow(clippy::expect_used, reason = "a broken expectation fails the test")]

use std::time::{Duration, Instant};

use parlor_core::{
    Batch, ClientId, Config, Datagram, MediaId, Place, PublicationName, Reply, Request, epoch,
};
use parlor_fuzz::{Client, Kinds, World};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
const STRANGER: ([u8; 4], u16) = ([203, 0, 113, 66], 6_666);
const SERVER: ([u8; 4], u16) = ([192, 0, 2, 1], 50_000);

fn call() -> (World, usize) {
    let mut world = World::new(3, epoch::base(Instant::now()), Config::default());
    world
        .publish(1, 1, "", "a", Kinds::BOTH)
        .expect("publishes");
    let player = world.play(2, 1, "", "a", Kinds::BOTH).expect("plays");
    world.run_for(SECOND);
    (world, player)
}

fn inject(world: &mut World, source: ([u8; 4], u16), contents: &[u8]) -> Vec<Vec<u8>> {
    let (source, destination) = (source.into(), SERVER.into());
    world.sfu.handle_datagram(
        world.now,
        Datagram {
            source,
            destination,
            contents,
            cause: 0,
        },
    );
    let mut batch = Batch::new();
    world.sfu.poll_transmit(&mut batch);
    let contents = batch.iter().map(|transmit| transmit.contents.to_vec());
    contents.collect()
}

fn publish(offer: String) -> Request {
    let name = PublicationName::new("n").expect("a name");
    Request::Publish {
        media: MediaId(1),
        place: Place::Open,
        name,
        offer,
    }
}

/// A binding request with this USERNAME and a MESSAGE-INTEGRITY of zeros.
fn check(username: &str) -> Vec<u8> {
    let mut attributes = vec![0, 6];
    attributes.extend((username.len() as u16).to_be_bytes());
    attributes.extend(username.bytes());
    attributes.resize(attributes.len().next_multiple_of(4), 0);
    attributes.extend([0, 8, 0, 20]);
    attributes.extend([0; 20]);
    let mut datagram = vec![0, 1];
    datagram.extend((attributes.len() as u16).to_be_bytes());
    datagram.extend([0x21, 0x12, 0xa4, 0x42]);
    datagram.extend([9; 12]);
    datagram.extend(attributes);
    datagram
}

#[test]
fn a_stranger_makes_no_state_and_gets_no_answer() {
    let (mut world, player) = call();
    let before = world.sfu.counters();
    // A ClientHello, SRTP and SRTCP from an address that no check has validated
    // (attack cases 1, 2, 12, 15).
    let hello = [
        22, 254, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 40, 1, 0, 0, 28, 0, 0, 0, 0, 0, 0, 0, 28,
    ];
    for contents in [
        &hello[..],
        &[0x80; 60],
        &[0x80, 200, 0, 6, 1, 2, 3, 4, 5, 6, 7, 8],
    ] {
        assert!(inject(&mut world, STRANGER, contents).is_empty());
    }
    for username in ["nobody:there", "", "AAAAAAAAAAA:x", "AAAAAAAAAAABBBBBB:x"] {
        assert!(inject(&mut world, STRANGER, &check(username)).is_empty());
    }
    let long = vec![0x80; parlor_core::limits::DATAGRAM_BYTES + 1];
    assert!(inject(&mut world, STRANGER, &long).is_empty());
    let after = world.sfu.counters();
    assert_eq!(after.malformed - before.malformed, 1);
    assert_eq!(after.unvalidated - before.unvalidated, 3);
    assert_eq!(after.unknown_checks - before.unknown_checks, 4);
    world.clients[player].received.clear();
    world.run_for(SECOND);
    assert!(
        world.clients[player].received(true).len() > 40,
        "the call is unharmed"
    );
}

#[test]
fn a_check_with_the_right_name_and_the_wrong_key_validates_nothing() {
    let (mut world, _) = call();
    let name = PublicationName::new("b").expect("a name");
    let owner = (ClientId(9), MediaId(1));
    let (_, offer) = Client::offer(world.now, 5, STRANGER.into(), owner, Kinds::AUDIO, true);
    let request = Request::Publish {
        media: MediaId(1),
        place: Place::Open,
        name,
        offer,
    };
    let Ok(Reply::Answer { sdp, .. }) = world.request(9, request) else {
        unreachable!()
    };
    let ufrag = sdp
        .lines()
        .find_map(|line| line.strip_prefix("a=ice-ufrag:"))
        .expect("a ufrag");
    let answered = inject(&mut world, STRANGER, &check(&format!("{ufrag}:x")));
    // Success would begin with 0x0101.
    assert!(
        answered.iter().all(|answer| !answer.starts_with(&[1, 1])),
        "{answered:?}"
    );
    let before = world.sfu.counters().unknown_checks;
    let (key, _) = ufrag.split_at(11);
    for other in [key.to_owned(), format!("{key}zzzzzz"), format!("{ufrag}z")] {
        assert!(inject(&mut world, STRANGER, &check(&format!("{other}:x"))).is_empty());
    }
    assert_eq!(world.sfu.counters().unknown_checks, before + 3);
    let before = world.sfu.counters().unvalidated;
    inject(&mut world, STRANGER, &[22, 254, 253, 0, 0]);
    assert_eq!(world.sfu.counters().unvalidated, before + 1);
}

#[test]
fn rubbish_on_a_live_way_does_not_end_the_call() {
    let (mut world, player) = call();
    let publisher = world.clients[0].address;
    let std::net::SocketAddr::V4(address) = publisher else {
        unreachable!()
    };
    let source = (address.ip().octets(), address.port());
    for ssrc in 0..5_000_u32 {
        let mut packet = vec![0x80, 96, 0, 1, 0, 0, 0, 1];
        packet.extend(ssrc.to_be_bytes());
        packet.extend([7; 40]);
        inject(&mut world, source, &packet);
        inject(
            &mut world,
            source,
            &[0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 3, 3],
        );
        inject(
            &mut world,
            source,
            &[23, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 3, 1, 2, 3],
        );
    }
    assert!(
        world.sfu.counters().unexpected_packets > 4_900,
        "sources are few"
    );
    world.clients[player].received.clear();
    world.run_for(SECOND);
    assert!(
        world.clients[player].received(true).len() > 40,
        "the call is unharmed"
    );
}

#[test]
fn churn_leaves_nothing_behind() {
    let mut world = World::new(4, epoch::base(Instant::now()), Config::default());
    for round in 0..50 {
        world.join(round, "r", "a").expect("joins");
        world
            .publish(round, 1, "r", "s", Kinds::AUDIO)
            .expect("publishes");
        world.play(round, 2, "r", "s", Kinds::AUDIO).expect("plays");
        world.run_for(Duration::from_millis(200));
        world.request(round, Request::Disconnect).expect("goes");
    }
    world.run_for(20 * SECOND);
    let counters = world.sfu.counters();
    assert_eq!(
        (
            counters.rooms,
            counters.publications,
            counters.subscriptions
        ),
        (0, 0, 0)
    );
    assert_eq!(world.sfu.poll_timeout(), None);
}

#[test]
fn the_answer_keeps_the_ids_of_the_offers_header_extensions() {
    let mut world = World::new(5, epoch::base(Instant::now()), Config::default());
    let Ok(Reply::Answer { sdp, .. }) = world.request(1, publish(OFFER.to_owned())) else {
        unreachable!("a browser's offer")
    };
    let of = |text: &str| {
        let lines = text.lines().filter(|line| line.starts_with("a=extmap:"));
        let mut lines: Vec<String> = lines.map(|line| line.trim().to_owned()).collect();
        lines.sort_unstable();
        lines.dedup();
        lines
    };
    let (offered, answered) = (of(OFFER), of(&sdp));
    assert!(
        answered.iter().all(|line| offered.contains(line)),
        "{answered:?}"
    );
    for extension in ["transport-wide-cc", "ssrc-audio-level", "video-orientation"] {
        let agreed = answered.iter().any(|line| line.contains(extension));
        assert!(agreed, "{extension} in {answered:?}");
    }
}

const OFFER: &str = include_str!("../../core/src/sdp/fixtures/chromium-publish.sdp");

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_datagram_panics(
        datagrams in prop::collection::vec(
            (any::<bool>(), prop::collection::vec(any::<u8>(), 0..200)), 1..20
        ),
        first in prop::sample::select(vec![0_u8, 1, 20, 22, 23, 63, 128, 129, 143, 191, 255]),
    ) {
        let (mut world, _) = call();
        let live = world.clients[0].address;
        for (known, mut contents) in datagrams {
            if let Some(byte) = contents.first_mut() {
                *byte = first;
            }
            let source = if known { live } else { STRANGER.into() };
            let datagram = Datagram { source, destination: SERVER.into(), contents: &contents , cause: 0};
            world.sfu.handle_datagram(world.now, datagram);
        }
        world.sfu.check();
    }

    #[test]
    fn no_offer_panics(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..5, ".{0,12}"), 1..12)
    ) {
        let mut lines: Vec<String> = OFFER.lines().map(str::to_owned).collect();
        for (index, edit, text) in edits {
            if lines.is_empty() {
                break;
            }
            let at = index.index(lines.len());
            match edit {
                0 => { lines.remove(at); }
                1 => { let line = lines[at].clone(); lines.insert(at, line); }
                2 => lines[at].push_str(&text),
                3 => lines.insert(at, text),
                _ => { let other = lines.len() - 1 - at; lines.swap(at, other); }
            }
        }
        let mut world = World::new(5, epoch::base(Instant::now()), Config::default());
        let _ = world.request(1, publish(lines.join("\r\n")));
        world.run_for(SECOND);
    }

    #[test]
    fn no_text_as_an_offer_panics(text in "(v=0\r\n)?(.|\r\n){0,300}") {
        let mut world = World::new(6, epoch::base(Instant::now()), Config::default());
        let _ = world.request(1, publish(text));
    }
}

/// Before a handshake a worker lets out all that waits: whoever can send bytes must not make it.
#[test]
fn only_who_has_been_validated_sends_handshakes() {
    let (world, player) = call();
    let is_handshake = |source, contents: &[u8]| {
        let datagram = Datagram {
            source,
            destination: SERVER.into(),
            contents,
            cause: 0,
        };
        world.sfu.is_handshake(&datagram)
    };
    let (known, handshake) = (world.clients[player].outside, [22, 254, 253, 0]);
    assert!(is_handshake(known, &handshake));
    assert!(!is_handshake(STRANGER.into(), &handshake));
    for other in [&[0, 1][..], &[128, 96], &[]] {
        assert!(!is_handshake(known, other));
    }
}
