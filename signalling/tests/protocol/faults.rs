//! Messages without sense: a clear answer to their sender, and nothing else.

use std::time::Duration;

use serde_json::{Value, json};

use crate::world::World;

#[test]
fn a_malformed_message_is_answered_with_a_sentence() {
    let mut world = World::new();
    let alice = world.participant("alice");
    let deep = "[".repeat(1000) + &"]".repeat(1000);
    for (text, method, info) in [
        ("", "", "A message is JSON text"),
        ("{", "", "A message is JSON text"),
        ("{\"message\":\"ping\"} {}", "", "A message is JSON text"),
        (&deep, "", "A message is JSON text"),
        ("null", "", "A message is an object with a text `message`"),
        ("[]", "", "A message is an object with a text `message`"),
        ("{}", "", "A message is an object with a text `message`"),
        (
            "{\"message\":7}",
            "",
            "A message is an object with a text `message`",
        ),
        (
            "{\"message\":\"sendData\"}",
            "sendData",
            "`data` must be an array",
        ),
        (
            "{\"message\":\"sendData\",\"data\":{}}",
            "sendData",
            "`data` must be an array",
        ),
        (
            "{\"message\":\"sendData\",\"data\":[]}",
            "sendData",
            "`data[0]` must be an object",
        ),
        (
            "{\"message\":\"sendData\",\"data\":[1]}",
            "sendData",
            "`data[0]` must be an object",
        ),
        (
            "{\"message\":\"sendData\",\"data\":[{}]}",
            "sendData",
            "`operationId` must be there",
        ),
        (
            "{\"message\":\"sendData\",\"data\":[{\"operationId\":1}]}",
            "sendData",
            "`operationId` must be text",
        ),
        (
            "{\"message\":\"sendData\",\"data\":[{\"operationId\":\"\"}]}",
            "sendData",
            "`operationId` has 1 to 128 bytes",
        ),
        (
            "{\"message\":\"playStream\",\"data\":[{}]}",
            "playStream",
            "MediaSessionId is null",
        ),
        (
            "{\"message\":\"stopStream\",\"data\":[{\"mediaSessionId\":null}]}",
            "stopStream",
            "MediaSessionId is null",
        ),
        (
            "{\"message\":\"stopStream\",\"data\":[{\"mediaSessionId\":5}]}",
            "stopStream",
            "`mediaSessionId` must be text",
        ),
        (
            "{\"message\":\"sendStreamEvent\",\"data\":[{\"mediaSessionId\":\"m\"}]}",
            "sendStreamEvent",
            "`type` must be there",
        ),
        (
            "{\"message\":\"sendStreamEvent\",\"data\":[{\"mediaSessionId\":\"m\",\
             \"type\":\"data\"}]}",
            "sendStreamEvent",
            "`payload` must be there",
        ),
        (
            "{\"message\":\"sendStreamEvent\",\"data\":[{\"mediaSessionId\":\"m\",\
             \"type\":\"dance\"}]}",
            "sendStreamEvent",
            "There is no stream event \"dance\"",
        ),
    ] {
        world.send_text(alice, text);
        let data = json!([{ "apiMethod": method, "info": info }]);
        assert_eq!(
            world.hear_one(alice),
            json!({ "message": "fail", "data": data }),
            "{text}"
        );
    }
    assert_eq!(world.counters(alice).message_faults, 20);
    assert_eq!(world.counters(alice).messages_unknown, 1);
    world.command(alice, "op", "leave", json!({ "name": "r" }));
    assert_eq!(world.hear_one(alice)["data"][0]["status"], "ACCEPTED");
}

#[test]
fn who_sends_only_nonsense_is_sent_away_and_nobody_else_notices() {
    let mut world = World::new();
    let alice = world.participant("alice");
    let mallory = world.participant("mallory");
    world.hear_all();
    for _ in 0..100 {
        world.send_text(mallory, "nonsense");
    }
    assert_eq!(world.client(mallory).close_code(), None);
    world.send_text(mallory, "nonsense");
    assert_eq!(world.client(mallory).close_code(), Some(1008));
    assert_eq!(world.counters(mallory).sent_away, 1);
    assert_eq!(world.hear(alice), [] as [Value; 0]);
}

#[test]
fn an_odd_message_now_and_then_is_forgiven() {
    let mut world = World::new();
    let alice = world.login("alice");
    for _ in 0..500 {
        world.say(alice, "someNewMetrics", json!({}));
        world.pass(Duration::from_secs(2));
    }
    assert_eq!(world.client(alice).close_code(), None);
}
