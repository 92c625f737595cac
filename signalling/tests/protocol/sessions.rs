//! Sessions: how they begin, who may join, and what is accepted and dropped.

use serde_json::{Value, json};

use crate::world::{World, names, room_events};

#[test]
fn a_session_begins_with_a_connection() {
    for message in [
        "ping",
        "sendData",
        "publishStream",
        "pushLogs",
        "unheard-of",
    ] {
        let mut world = World::new();
        let client = world.open();
        world.say(client, message, json!({}));
        assert_eq!(names(&world.hear(client)), ["fail"]);
        assert_eq!(world.client(client).close_code(), Some(1008), "{message}");
        assert!(world.asked.is_empty());
    }
}

#[test]
fn a_second_connection_changes_nothing() {
    let mut world = World::new();
    let alice = world.login("alice");
    world.say(
        alice,
        "connection",
        json!({ "custom": { "login": "mallory" } }),
    );
    let data =
        json!([{ "apiMethod": "connection", "info": "This session is established already" }]);
    assert_eq!(
        world.hear_one(alice),
        json!({ "message": "fail", "data": data })
    );
    let bob = world.participant("bob");
    world.command(alice, "op", "join", json!({ "name": "r" }));
    assert_eq!(
        room_events(&world.hear(bob)),
        [("JOINED".to_owned(), json!("alice"))]
    );
}

#[test]
fn a_bad_login_is_told_at_the_join() {
    for (custom, info) in [
        (Value::Null, "A login is needed to join a room"),
        (json!({ "token": "t" }), "A login is needed to join a room"),
        (json!("alice"), "A login is needed to join a room"),
        (json!({ "login": 7 }), "`custom.login` must be text"),
        (json!({ "login": " " }), "A login must not be empty"),
        (
            json!({ "login": "a\u{0}" }),
            "A login must not contain control characters",
        ),
        (
            json!({ "login": "a".repeat(129) }),
            "A login has at most 128 bytes",
        ),
        (json!({ "login": "nobody" }), "This room is full"),
    ] {
        let mut world = World::new();
        let client = world.establish(custom);
        world.command(client, "op", "join", json!({ "name": "r" }));
        let heard = world.hear_one(client);
        assert_eq!(heard["data"][0]["status"], "FAILED");
        assert_eq!(heard["data"][0]["info"], info);
    }
}

#[test]
fn a_login_is_taken_once_in_a_room() {
    let mut world = World::new();
    let first = world.participant("alice");
    let second = world.login("alice");
    world.command(second, "op", "join", json!({ "name": "r" }));
    let heard = world.hear_one(second);
    assert_eq!(heard["data"][0]["status"], "FAILED");
    let info = "The login \"alice\" is already in use in this room";
    assert_eq!(heard["data"][0]["info"], info);
    assert_eq!(world.hear(first), [] as [Value; 0]);
    assert_eq!(world.counters(second).requests_refused, 1);
    world.command(second, "op", "join", json!({ "name": "r2" }));
    assert_eq!(
        names(&world.hear(second)),
        ["DataStatusEvent", "OnDataEvent"]
    );
}

#[test]
fn names_may_hold_what_people_write() {
    let mut world = World::new();
    let name = "Zimmer <1> \"é\" 🎥 ../x \\";
    let alice = world.login("älice");
    let bob = world.login("böb");
    for client in [alice, bob] {
        world.command(client, "op", "join", json!({ "name": name }));
    }
    let heard = world.hear(alice);
    assert_eq!(heard[2]["data"][0]["payload"]["roomName"], name);
    assert_eq!(heard[2]["data"][0]["payload"]["info"], "böb");
}

#[test]
fn what_this_server_has_no_use_for_is_dropped() {
    let mut world = World::new();
    let alice = world.login("alice");
    for message in [
        "pushLogs",
        "sessionDebug",
        "submitBugReport",
        "webRTCMetricsClientDescription",
        "webRTCMetricsBatch",
    ] {
        world.say(alice, message, json!({ "anything": [1, 2] }));
        world.say(alice, message, Value::Null);
    }
    assert_eq!(world.hear(alice), [] as [Value; 0]);
}

#[test]
fn calls_and_unknown_messages_are_answered_by_name() {
    let mut world = World::new();
    let alice = world.login("alice");
    for message in [
        "call", "answer", "hangup", "hold", "unhold", "transfer", "sendDtmf", "x",
    ] {
        world.say(alice, message, json!({}));
        let info = format!("This server does not understand \"{message}\"");
        let data = json!([{ "apiMethod": message, "info": info }]);
        assert_eq!(
            world.hear_one(alice),
            json!({ "message": "fail", "data": data })
        );
    }
    assert_eq!(world.counters(alice).messages_unknown, 8);
    world.say(alice, &"x".repeat(100_000), json!({}));
    assert_eq!(
        world.hear_one(alice)["data"][0]["apiMethod"],
        "x".repeat(64)
    );
}

#[test]
fn a_session_may_be_in_several_rooms() {
    let mut world = World::new();
    let alice = world.participant("alice");
    world.command(alice, "op", "join", json!({ "name": "r2" }));
    assert_eq!(
        names(&world.hear(alice)),
        ["DataStatusEvent", "OnDataEvent"]
    );
    let keys: Vec<_> = world.asked.iter().map(|(_, key, _)| key.as_str()).collect();
    assert_eq!(keys, ["r", "r2"]);
}
