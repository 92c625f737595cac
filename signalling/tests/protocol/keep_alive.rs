//! Who is still there.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bytes::{PONG, frame};
use crate::world::{World, names, room_events};

#[test]
fn the_server_pings_every_five_seconds() {
    let mut world = World::new();
    let alice = world.login("alice");
    world.pass(Duration::from_secs(26));
    assert_eq!(names(&world.hear(alice)), ["ping"; 5]);
}

#[test]
fn ten_unanswered_pings_end_the_session_for_all() {
    let mut world = World::new();
    let alice = world.participant("alice");
    let bob = world.participant("bob");
    world.publish(bob, "m1", "r-bob-1");
    world.hear_all();
    for _ in 0..10 {
        world.pass(Duration::from_secs(5));
        world.say(alice, "pong", Value::Null);
    }
    assert!(!world.is_finished(bob));
    world.pass(Duration::from_secs(5));
    assert!(world.is_finished(bob));
    assert_eq!(world.counters(bob).timeouts, 1);
    assert!(!world.is_finished(alice));
    let stream = json!({ "login": "bob", "name": "r-bob-1" });
    let expected = [
        ("UNPUBLISHED".to_owned(), stream),
        ("LEFT".to_owned(), json!("bob")),
    ];
    assert_eq!(room_events(&world.hear(alice)), expected);
    assert_eq!(world.rooms.streams(), 0);
}

#[test]
fn any_frame_is_a_sign_of_life() {
    let mut world = World::new();
    let alice = world.login("alice");
    for _ in 0..5 {
        world.pass(Duration::from_secs(49));
        world.send(alice, &frame(PONG, b""));
        world.pass(Duration::from_secs(49));
        world.send_text(alice, "nonsense");
    }
    assert!(!world.is_finished(alice));
}

#[test]
fn pings_of_the_client_are_answered() {
    let mut world = World::new();
    let alice = world.login("alice");
    world.say(alice, "ping", Value::Null);
    assert_eq!(
        world.hear_one(alice),
        json!({ "message": "pong", "data": [null] })
    );
    world.say(alice, "pong", Value::Null);
    assert_eq!(world.hear(alice), [] as [Value; 0]);
}

#[test]
fn a_websocket_without_a_connection_message_is_closed() {
    let mut world = World::new();
    let client = world.open();
    world.pass(Duration::from_secs(9));
    assert_eq!(world.client(client).close_code(), None);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.client(client).close_code(), Some(1008));
    assert_eq!(world.counters(client).timeouts, 1);
}

#[test]
fn a_client_whose_socket_ends_is_gone_at_once() {
    let mut world = World::new();
    let alice = world.participant("alice");
    let bob = world.participant("bob");
    world.hear_all();
    world.hang_up(bob);
    assert!(world.is_finished(bob));
    assert_eq!(
        room_events(&world.hear(alice)),
        [("LEFT".to_owned(), json!("bob"))]
    );
}
