//! Streams: their rooms, their statuses, what is said of them.

use parlor_core::{MediaId, Place, Request, RoomName};
use serde_json::{Value, json};

use crate::world::{World, names};

/// The place that the last request was for.
fn place(world: &World) -> Place {
    match &world.asked.last().unwrap().2 {
        Request::Publish { place, .. }
        | Request::Subscribe { place, .. }
        | Request::Find { place, .. } => place.clone(),
        other => panic!("{other:?}"),
    }
}

fn room(name: &str) -> Place {
    Place::Room(RoomName::new(name).unwrap())
}

#[test]
fn a_status_tells_what_is_in_the_stream() {
    let mut world = World::new();
    let alice = world.participant("alice");
    world.publish(alice, "m1", "r-alice-1");
    let status = json!({
        "mediaSessionId": "m1", "name": "r-alice-1", "published": true, "status": "PUBLISHING",
        "hasAudio": true, "hasVideo": true, "mediaProvider": "WebRTC", "record": false,
        "audioState": { "muted": false }, "videoState": { "muted": false },
    });
    assert_eq!(world.hear(alice)[1]["data"][0], status);
    world.play(alice, "p1", "r-alice-1");
    let playing = &world.hear(alice)[1]["data"][0];
    assert_eq!(playing["status"], "PLAYING");
    assert_eq!(playing["published"], false);
    assert_eq!(
        (&playing["hasAudio"], &playing["hasVideo"]),
        (&json!(true), &json!(false))
    );
}

#[test]
fn a_stream_without_a_named_room_is_in_the_room_that_its_name_begins_with() {
    let mut world = World::new();
    let alice = world.participant("alice");
    world.command(alice, "op", "join", json!({ "name": "r-x" }));
    for (name, expected) in [
        ("r-alice", room("r")),
        ("r-x-alice", room("r-x")),
        ("r-", room("r")),
        ("r", Place::Open),
        ("rr-alice", Place::Open),
        ("live", Place::Open),
    ] {
        world.start(alice, "publishStream", name, name, Value::Null);
        assert_eq!(place(&world), expected, "{name}");
        world.say(
            alice,
            "availableStream",
            json!({ "mediaSessionId": "a", "name": name }),
        );
        assert_eq!(place(&world), expected, "{name}");
        world.start(
            alice,
            "playStream",
            "p",
            name,
            json!({ "name": null, "other": 1 }),
        );
        assert_eq!(place(&world), expected, "{name}");
        world.say(alice, "stopStream", json!({ "mediaSessionId": "p" }));
    }
    world.command(alice, "op", "leave", json!({ "name": "r" }));
    world.start(alice, "publishStream", "m", "r-alice", Value::Null);
    assert_eq!(place(&world), Place::Open);
}

#[test]
fn streams_outside_of_rooms_need_no_login() {
    let mut world = World::new();
    let publisher = world.establish(Value::Null);
    let player = world.establish(json!({ "anything": 1 }));
    world.start(publisher, "publishStream", "m1", "live", Value::Null);
    world.start(player, "playStream", "p1", "live", Value::Null);
    let heard = world.hear(player);
    assert_eq!(heard[1]["data"][0]["status"], "PLAYING");
    let keys: Vec<_> = world.asked.iter().map(|(_, key, _)| key.as_str()).collect();
    assert_eq!(keys, ["live", "live"]);
    world.hang_up(publisher);
    assert_eq!(world.hear_one(player)["data"][0]["status"], "STOPPED");
}

#[test]
fn a_stream_of_a_room_is_not_for_those_outside() {
    let mut world = World::new();
    let alice = world.participant("alice");
    world.publish(alice, "m1", "r-alice-1");
    let mallory = world.login("mallory");
    world.play(mallory, "p1", "r-alice-1");
    assert_eq!(
        world.hear_one(mallory)["data"][0]["info"],
        "You are not in this room"
    );
    world.start(mallory, "playStream", "p1", "r-alice-1", Value::Null);
    assert_eq!(
        world.hear_one(mallory)["data"][0]["info"],
        "Stream not found"
    );
    world.say(
        mallory,
        "unPublishStream",
        json!({ "mediaSessionId": "m1" }),
    );
    assert_eq!(world.hear_one(mallory)["data"][0]["status"], "UNPUBLISHED");
    let event = json!({ "mediaSessionId": "m1", "type": "audioMuted" });
    world.say(mallory, "sendStreamEvent", event);
    assert_eq!(
        world.hear_one(mallory)["data"][0]["info"],
        "Stream not found"
    );
    assert_eq!(world.rooms.streams(), 1);
}

#[test]
fn ids_and_names_are_in_use_until_their_stream_is_over() {
    let mut world = World::new();
    let alice = world.participant("alice");
    world.publish(alice, "m1", "r-alice-1");
    world.hear_all();
    world.play(alice, "m1", "r-alice-1");
    assert_eq!(
        world.hear_one(alice)["data"][0]["info"],
        "MediaSessionId is already in use"
    );
    world.publish(alice, "m2", "r-alice-1");
    assert_eq!(
        world.hear_one(alice)["data"][0]["info"],
        "Stream name is already in use"
    );
    world.say(alice, "unPublishStream", json!({ "mediaSessionId": "m1" }));
    world.hear_all();
    world.publish(alice, "m1", "r-alice-1");
    assert_eq!(
        names(&world.hear(alice)),
        ["setRemoteSDP", "notifyStreamStatusEvent"]
    );
}

#[test]
fn a_stream_stopped_while_it_connects_is_over() {
    let mut world = World::new();
    world.rooms.keep_connecting = true;
    let alice = world.participant("alice");
    world.publish(alice, "m1", "r-alice-1");
    world.hear_all();
    world.say(alice, "unPublishStream", json!({ "mediaSessionId": "m1" }));
    assert_eq!(world.hear_one(alice)["data"][0]["status"], "UNPUBLISHED");
    assert_eq!(world.rooms.streams(), 0);
    assert_eq!(
        world.asked.last().unwrap().2,
        Request::Stop { media: MediaId(0) }
    );
}

#[test]
fn a_busy_server_says_so_and_leaves_nothing_behind() {
    let mut world = World::new();
    let alice = world.participant("alice");
    world.publish(alice, "m1", "r-alice-1");
    world.hear_all();
    world.rooms.busy = true;
    world.play(alice, "p1", "r-alice-1");
    assert_eq!(
        world.hear_one(alice)["data"][0]["info"],
        "The server is busy, try again"
    );
    world.say(alice, "unPublishStream", json!({ "mediaSessionId": "m1" }));
    assert_eq!(world.client(alice).close_code(), Some(1013));
    world.rooms.busy = false;
    world.pass(std::time::Duration::from_secs(5));
    assert_eq!(world.rooms.streams(), 0);
}

#[test]
fn data_reaches_the_players_as_it_is() {
    let mut world = World::new();
    let alice = world.participant("alice");
    let bob = world.participant("bob");
    world.publish(alice, "m1", "r-alice-1");
    world.play(bob, "p1", "r-alice-1");
    world.hear_all();
    let payload = "{\"z\": 12345678901234567890123, \"a\":1.0 }";
    world.send_text(
        alice,
        &format!(
            "{{\"message\":\"sendStreamEvent\",\"data\":[{{\"mediaSessionId\":\"m1\",\
             \"type\":\"data\",\"payload\":{payload}}}]}}"
        ),
    );
    let sent = match &world.asked.last().unwrap().2 {
        Request::SendData { payload, .. } => payload.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(sent, payload);
    let heard = world.hear_one(bob);
    assert_eq!(heard["data"][0]["mediaSessionId"], "p1");
    assert_eq!(heard["data"][0]["type"], "data");
    assert_eq!(heard["data"][0]["payload"]["a"], 1.0);
}

#[test]
fn a_player_says_nothing_of_the_stream() {
    let mut world = World::new();
    let alice = world.participant("alice");
    world.publish(alice, "m1", "r-alice-1");
    world.play(alice, "p1", "r-alice-1");
    world.hear_all();
    let event = json!({ "mediaSessionId": "p1", "type": "audioMuted" });
    world.say(alice, "sendStreamEvent", event);
    let heard = world.hear_one(alice);
    assert_eq!(heard["message"], "fail");
    assert_eq!(heard["data"][0]["apiMethod"], "sendStreamEvent");
}

#[test]
fn available_streams_are_told_as_text() {
    let mut world = World::new();
    let alice = world.participant("alice");
    world.publish(alice, "m1", "r-alice-1");
    world.hear_all();
    let mut available = |name: Value| {
        world.say(
            alice,
            "availableStream",
            json!({ "mediaSessionId": "a", "name": name }),
        );
        let heard = world.hear_one(alice);
        assert_eq!(heard["message"], "availableStream");
        assert_eq!(heard["data"][0]["id"], "a");
        let text = |field: &str| heard["data"][0][field].as_str().unwrap().to_owned();
        (text("status"), text("info"))
    };
    let expect = |status: &str, info: &str| (status.to_owned(), info.to_owned());
    assert_eq!(available(json!("r-alice-1")), expect("true", ""));
    assert_eq!(
        available(json!("r-alice-2")),
        expect("false", "Stream not found")
    );
    assert_eq!(
        available(json!(["r"])),
        expect("false", "`name` must be text")
    );
}

#[test]
fn snapshots_fail_with_a_sentence() {
    let mut world = World::new();
    let alice = world.participant("alice");
    world.say(
        alice,
        "snapshot",
        json!({ "name": "r-alice-1", "mediaSessionId": "m1" }),
    );
    let heard = world.hear_one(alice);
    assert_eq!(heard["message"], "notifyStreamEvent");
    let payload = json!({ "info": "This server takes no snapshots" });
    let event = json!({ "mediaSessionId": "m1", "type": "snapshotFailed", "payload": payload });
    assert_eq!(heard["data"][0], event);
}

#[test]
fn leaving_joining_and_publishing_in_one_breath_keeps_the_new_stream_only() {
    let mut world = World::new();
    let alice = world.participant("alice");
    world.publish(alice, "m1", "r-alice-1");
    world.hear_all();
    let payload = json!({ "command": "leave", "options": { "name": "r" } });
    let leave = json!({ "operationId": "o1", "payload": payload });
    let payload = json!({ "command": "join", "options": { "name": "r" } });
    let join = json!({ "operationId": "o2", "payload": payload });
    let publish = json!({ "mediaSessionId": "m2", "name": "r-alice-2", "sdp": "v=0" });
    let breath: Vec<_> = [
        ("sendData", leave),
        ("sendData", join),
        ("publishStream", publish),
    ]
    .iter()
    .map(|(message, data)| json!({ "message": message, "data": [data] }).to_string())
    .flat_map(|text| crate::bytes::text(&text))
    .collect();
    world.send(alice, &breath);
    assert_eq!(place(&world), room("r"));
    let heard = world.hear(alice);
    let expected = [
        "DataStatusEvent",
        "DataStatusEvent",
        "OnDataEvent",
        "setRemoteSDP",
        "notifyStreamStatusEvent",
    ];
    assert_eq!(names(&heard), expected);
    // The id of the old stream is free without its stop, and the new one is the session's.
    world.publish(alice, "m1", "r-alice-3");
    assert_eq!(
        names(&world.hear(alice)),
        ["setRemoteSDP", "notifyStreamStatusEvent"]
    );
    for id in ["m1", "m2"] {
        world.say(alice, "unPublishStream", json!({ "mediaSessionId": id }));
    }
    assert_eq!(world.rooms.streams(), 0);
}

#[test]
fn a_leave_that_a_busy_server_cannot_carry_out_ends_the_session() {
    let mut world = World::new();
    let alice = world.participant("alice");
    world.rooms.busy = true;
    world.command(alice, "op", "leave", json!({ "name": "r" }));
    assert_eq!(world.client(alice).close_code(), Some(1013));
}
