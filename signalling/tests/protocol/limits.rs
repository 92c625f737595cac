//! Limits: reached by one, told to that one, noticed by nobody else.

use std::time::Duration;

use parlor_signalling::limits;
use serde_json::json;

use crate::world::{World, names};

#[test]
fn who_talks_too_fast_is_told_so() {
    let mut world = World::new();
    let alice = world.participant("alice");
    let bob = world.participant("bob");
    world.hear_all();
    let message = json!({ "roomConfig": { "name": "r" }, "to": "bob", "text": "hi" });
    for _ in 0..300 {
        world.command(alice, "op", "sendMessage", message.clone());
    }
    let heard = world.hear(alice);
    let failed = heard
        .iter()
        .filter(|message| message["data"][0]["status"] == "FAILED");
    let failed: Vec<_> = failed.collect();
    assert_eq!(failed.len(), 100);
    assert_eq!(failed[0]["data"][0]["info"], "You send too fast, slow down");
    assert_eq!(world.hear(bob).len(), 200);
    assert_eq!(world.counters(alice).rate_limited, 100);
    world.pass(Duration::from_secs(1));
    for _ in 0..60 {
        world.command(alice, "op", "sendMessage", message.clone());
    }
    let heard = world.hear(bob);
    assert_eq!(
        heard
            .iter()
            .filter(|message| message["message"] == "OnDataEvent")
            .count(),
        50
    );
}

#[test]
fn mutes_and_data_count_as_talk() {
    let mut world = World::new();
    let alice = world.participant("alice");
    let bob = world.participant("bob");
    world.publish(alice, "m1", "r-alice-1");
    world.play(bob, "p1", "r-alice-1");
    world.hear_all();
    for event in ["data", "audioMuted"].iter().cycle().take(201) {
        let event = json!({ "mediaSessionId": "m1", "type": event, "payload": {} });
        world.say(alice, "sendStreamEvent", event);
    }
    assert_eq!(world.hear(bob).len(), 200);
    let heard = world.hear_one(alice);
    assert_eq!(heard["message"], "fail");
    assert_eq!(heard["data"][0]["info"], "You send too fast, slow down");
}

#[test]
fn who_joins_and_leaves_all_the_time_is_slowed_down() {
    let mut world = World::new();
    let alice = world.login("alice");
    for _ in 0..limits::REQUEST_BURST {
        world.command(alice, "op", "join", json!({ "name": "r" }));
        world.command(alice, "op", "leave", json!({ "name": "r" }));
    }
    world.hear_all();
    world.command(alice, "op", "join", json!({ "name": "r" }));
    assert_eq!(
        world.hear_one(alice)["data"][0]["info"],
        "You send too fast, slow down"
    );
}

#[test]
fn the_streams_of_a_session_are_bounded() {
    let mut world = World::new();
    let alice = world.participant("alice");
    world.publish(alice, "m", "r-alice-1");
    for number in 1..limits::STREAMS {
        world.play(alice, &format!("p{number}"), "r-alice-1");
    }
    assert_eq!(world.rooms.streams(), limits::STREAMS);
    world.hear_all();
    world.play(alice, "one more", "r-alice-1");
    assert_eq!(
        world.hear_one(alice)["data"][0]["info"],
        "Too many streams in this session"
    );
    world.say(alice, "stopStream", json!({ "mediaSessionId": "p1" }));
    world.hear_all();
    world.play(alice, "one more", "r-alice-1");
    assert_eq!(
        names(&world.hear(alice)),
        ["setRemoteSDP", "notifyStreamStatusEvent"]
    );
}

#[test]
fn the_rooms_of_a_session_are_bounded() {
    let mut world = World::new();
    let alice = world.login("alice");
    for number in 0..limits::ROOMS {
        world.command(alice, "op", "join", json!({ "name": number.to_string() }));
    }
    world.hear_all();
    world.command(alice, "op", "join", json!({ "name": "one more" }));
    assert_eq!(
        world.hear_one(alice)["data"][0]["info"],
        "You are in too many rooms"
    );
}

#[test]
fn a_client_that_does_not_read_is_closed_before_much_piles_up() {
    let mut world = World::new();
    let alice = world.participant("alice");
    let bob = world.participant("bob");
    world.stop_reading(bob);
    let text = "x".repeat(30_000);
    let message = json!({ "roomConfig": { "name": "r" }, "to": "bob", "text": text });
    for _ in 0..34 {
        world.command(alice, "op", "sendMessage", message.clone());
    }
    assert!(!world.is_finished(bob));
    assert!(world.egress(bob) <= limits::EGRESS_BYTES);
    world.command(alice, "op", "sendMessage", message);
    assert!(world.is_finished(bob));
    assert_eq!(world.egress(bob), 0);
    assert_eq!(world.counters(bob).not_reading, 1);
    assert!(!world.is_finished(alice));
}

#[test]
fn a_client_that_stops_reading_is_closed_after_a_while() {
    let mut world = World::new();
    let bob = world.participant("bob");
    world.stop_reading(bob);
    // The first ping finds nobody, and waits for 15 seconds.
    world.pass(Duration::from_secs(19));
    assert!(!world.is_finished(bob));
    world.read_some(bob, 1);
    world.pass(Duration::from_secs(14));
    assert!(!world.is_finished(bob));
    world.pass(Duration::from_secs(1));
    assert!(world.is_finished(bob));
    assert_eq!(world.counters(bob).not_reading, 1);
}

#[test]
fn a_message_at_the_limit_of_the_rooms_is_told_by_them() {
    let mut world = World::new();
    let alice = world.participant("alice");
    let text = "x".repeat(parlor_core::limits::MESSAGE_BYTES + 1);
    let message = json!({ "roomConfig": { "name": "r" }, "to": "alice", "text": text });
    world.command(alice, "op", "sendMessage", message);
    assert_eq!(
        world.hear_one(alice)["data"][0]["info"],
        "A message has at most 32768 bytes"
    );
    let custom = json!({ "name": "r" });
    let id = "i".repeat(limits::ID_BYTES + 1);
    world.start(alice, "publishStream", &id, "r-alice-1", custom);
    assert_eq!(
        world.hear_one(alice)["data"][0]["info"],
        "`mediaSessionId` has 1 to 128 bytes"
    );
}
