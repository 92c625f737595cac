//! What bites the author of a server for this SDK, as claims. They have the numbers of
//! the list that they come from; those about media (18 to 20), and those that only a client or
//! a page can do wrong, have no test here.

use parlor_core::EndReason;
use serde_json::{Value, json};

use crate::world::{World, names, room_events};

#[test]
fn trap_01_every_frame_has_a_data_array() {
    // Every client of these tests checks each frame it reads; here are the odd ones.
    let mut world = World::new();
    let alice = world.participant("alice");
    world.send_text(alice, "{}");
    world.send_text(alice, "not json");
    world.say(alice, "ping", Value::Null);
    world.pass(std::time::Duration::from_secs(5));
    let heard = world.hear(alice);
    assert_eq!(names(&heard), ["fail", "fail", "pong", "ping"]);
    assert_eq!(heard[3], json!({ "message": "ping", "data": [null] }));
}

#[test]
fn trap_02_get_user_data_holds_an_object() {
    let mut world = World::new();
    let client = world.open();
    world.say(client, "connection", json!({}));
    let version = env!("CARGO_PKG_VERSION");
    let parlor = json!({ "version": version, "room": { "history": 200 } });
    assert_eq!(
        world.hear_one(client),
        json!({ "message": "getUserData", "data": [{ "parlor": parlor }] })
    );
    let client = world.open();
    let custom = json!({ "login": "alice", "token": "secret" });
    world.say(
        client,
        "connection",
        json!({ "appKey": "roomApp", "custom": custom }),
    );
    let custom = json!({ "login": "alice" });
    let data = json!([{ "appKey": "roomApp", "custom": custom, "parlor": parlor }]);
    assert_eq!(
        world.hear_one(client),
        json!({ "message": "getUserData", "data": data })
    );
}

#[test]
fn trap_03_one_offer_gets_one_answer() {
    let mut world = World::new();
    let alice = world.participant("alice");
    world.publish(alice, "m1", "r-alice-1");
    let heard = world.hear(alice);
    let sdps = heard
        .iter()
        .filter(|message| message["message"] == "setRemoteSDP")
        .count();
    assert_eq!(sdps, 1);
}

#[test]
fn trap_04_streams_are_told_apart_by_the_id_of_the_client() {
    let mut world = World::new();
    let alice = world.participant("alice");
    let bob = world.participant("bob");
    world.publish(alice, "a", "r-alice-1");
    world.hear_all();
    world.play(bob, "p1", "r-alice-1");
    world.play(bob, "p2", "r-alice-1");
    let heard = world.hear(bob);
    let ids: Vec<_> = heard
        .iter()
        .map(|message| match message["message"].as_str() {
            Some("setRemoteSDP") => message["data"][0].clone(),
            _ => message["data"][0]["mediaSessionId"].clone(),
        })
        .collect();
    assert_eq!(ids, ["p1", "p1", "p2", "p2"]);
    world.say(bob, "stopStream", json!({ "mediaSessionId": "p1" }));
    assert_eq!(world.hear_one(bob)["data"][0]["mediaSessionId"], "p1");
    assert_eq!(world.rooms.streams(), 2);
}

#[test]
fn trap_05_the_server_tells_that_a_connection_is_lost() {
    let mut world = World::new();
    let alice = world.participant("alice");
    for (reason, status, info) in [
        (EndReason::ConnectTimeout, "FAILED", "Failed by ICE timeout"),
        (
            EndReason::ConsentExpired,
            "FAILED",
            "Failed by ICE keep alive",
        ),
        (EndReason::DtlsFailed, "FAILED", "Failed by DTLS error"),
        (EndReason::Failed, "FAILED", "Failed by error"),
        (EndReason::Closed, "UNPUBLISHED", "Stopped by user"),
    ] {
        world.publish(alice, "m", "r-alice-1");
        world.hear_all();
        let (_, _, request) = world.asked.last().unwrap();
        let parlor_core::Request::Publish { media, .. } = request else {
            panic!("{request:?}")
        };
        world.fail(alice, media.0, reason);
        let heard = world.hear_one(alice);
        assert_eq!(heard["message"], "notifyStreamStatusEvent");
        assert_eq!(heard["data"][0]["mediaSessionId"], "m");
        assert_eq!(heard["data"][0]["status"], status);
        assert_eq!(heard["data"][0]["info"], info);
    }
}

#[test]
fn trap_06_the_answer_comes_before_the_status() {
    let mut world = World::new();
    world.rooms.keep_connecting = true;
    let alice = world.participant("alice");
    world.publish(alice, "m1", "r-alice-1");
    assert_eq!(names(&world.hear(alice)), ["setRemoteSDP"]);
    world.go_live(alice, 0);
    let status = world.hear_one(alice);
    assert_eq!(status["message"], "notifyStreamStatusEvent");
    assert_eq!(status["data"][0]["status"], "PUBLISHING");
}

#[test]
fn trap_07_state_does_not_hold_who_joins() {
    let mut world = World::new();
    world.participant("alice");
    let bob = world.login("bob");
    world.command(bob, "op", "join", json!({ "name": "r" }));
    assert_eq!(
        room_events(&world.hear(bob)),
        [("STATE".to_owned(), json!(["alice"]))]
    );
}

#[test]
fn trap_08_state_is_sent_for_an_empty_room() {
    let mut world = World::new();
    let alice = world.login("alice");
    world.command(alice, "op", "join", json!({ "name": "r", "record": true }));
    let heard = world.hear(alice);
    assert_eq!(names(&heard), ["DataStatusEvent", "OnDataEvent"]);
    assert_eq!(heard[1]["data"][0]["payload"]["roomName"], "r");
    assert_eq!(room_events(&heard), [("STATE".to_owned(), json!([]))]);
}

#[test]
fn trap_09_published_is_told_to_others_who_know_the_login() {
    let mut world = World::new();
    let alice = world.participant("alice");
    let bob = world.login("bob");
    world.command(bob, "op", "join", json!({ "name": "r" }));
    world.publish(bob, "m1", "r-bob-1");
    let stream = json!({ "login": "bob", "name": "r-bob-1" });
    let expected = [
        ("JOINED".to_owned(), json!("bob")),
        ("PUBLISHED".to_owned(), stream),
    ];
    assert_eq!(room_events(&world.hear(alice)), expected);
    assert_eq!(
        room_events(&world.hear(bob)),
        [("STATE".to_owned(), json!(["alice"]))]
    );
}

#[test]
fn trap_10_and_11_state_has_a_login_or_its_named_streams() {
    let mut world = World::new();
    let alice = world.participant("alice");
    world.participant("bob");
    world.publish(alice, "m1", "r-alice-1");
    world.publish(alice, "m2", "r-alice-1-screenShare");
    let carol = world.login("carol");
    world.command(carol, "op", "join", json!({ "name": "r" }));
    let state = json!([
        { "login": "alice", "name": "r-alice-1" },
        { "login": "alice", "name": "r-alice-1-screenShare" },
        "bob",
    ]);
    assert_eq!(
        room_events(&world.hear(carol)),
        [("STATE".to_owned(), state)]
    );
}

#[test]
fn trap_12_players_hear_on_their_own_id_that_the_publisher_stopped() {
    let mut world = World::new();
    let alice = world.participant("alice");
    let bob = world.participant("bob");
    world.publish(alice, "m1", "r-alice-1");
    world.play(bob, "p1", "r-alice-1");
    world.hear_all();
    world.say(alice, "unPublishStream", json!({ "mediaSessionId": "m1" }));
    let heard = world.hear(bob);
    let stopped = heard
        .iter()
        .find(|message| message["message"] == "notifyStreamStatusEvent");
    let stopped = &stopped.expect("the player is told")["data"][0];
    assert_eq!(stopped["mediaSessionId"], "p1");
    assert_eq!(stopped["status"], "STOPPED");
    assert_eq!(stopped["info"], "Stopped by publisher stop");
    let stream = json!({ "login": "alice", "name": "r-alice-1" });
    assert_eq!(room_events(&heard), [("UNPUBLISHED".to_owned(), stream)]);
}

#[test]
fn trap_13_publish_and_play_are_always_answered_with_a_status() {
    let mut world = World::new();
    world.rooms.no_codecs = Some("speex");
    let alice = world.participant("alice");
    let mut expect = |message: &str, data: Value, info: &str| {
        world.say(alice, message, data);
        let heard = world.hear_one(alice);
        assert_eq!(heard["message"], "notifyStreamStatusEvent", "{info}");
        assert_eq!(heard["data"][0]["mediaSessionId"], "m");
        assert_eq!(heard["data"][0]["status"], "FAILED");
        assert_eq!(heard["data"][0]["info"], info);
        assert_eq!(heard["data"][0]["published"], message == "publishStream");
    };
    let room = json!({ "name": "r" });
    for message in ["publishStream", "playStream"] {
        let id = "m";
        let data = json!({ "mediaSessionId": id });
        expect(message, data, "`name` must be there");
        let data = json!({ "mediaSessionId": id, "name": 7 });
        expect(message, data, "`name` must be text");
        let data = json!({ "mediaSessionId": id, "name": "" });
        expect(message, data, "A stream name must not be empty");
        let data = json!({ "mediaSessionId": id, "name": "n" });
        expect(message, data, "`sdp` must be there");
        let data =
            json!({ "mediaSessionId": id, "name": "n", "sdp": "v=0", "custom": { "name": [] } });
        expect(message, data, "`custom.name` must be text");
        let data = json!({ "mediaSessionId": id, "name": "n", "sdp": "?", "custom": room });
        expect(
            message,
            data,
            "The SDP offer was not understood: it does not begin with v=0",
        );
        let data = json!({ "mediaSessionId": id, "name": "n", "sdp": "v=0 speex", "custom": room });
        expect(message, data, "No common codecs");
        let elsewhere = json!({ "name": "elsewhere" });
        let data = json!({ "mediaSessionId": id, "name": "n", "sdp": "v=0", "custom": elsewhere });
        expect(message, data, "You are not in this room");
    }
    let data = json!({ "mediaSessionId": "m", "name": "n", "sdp": "v=0", "custom": room });
    expect("playStream", data, "Stream not found");
}

#[test]
fn trap_14_stops_are_answered() {
    let mut world = World::new();
    let alice = world.participant("alice");
    world.publish(alice, "m1", "r-alice-1");
    world.play(alice, "p1", "r-alice-1");
    world.hear_all();
    // Once for the streams, and once more for ids that are over by then or never were.
    for id in [("p1", "m1"), ("p1", "m1"), ("p2", "m2")] {
        for (message, id, status) in [
            ("stopStream", id.0, "STOPPED"),
            ("unPublishStream", id.1, "UNPUBLISHED"),
        ] {
            world.say(
                alice,
                message,
                json!({ "mediaSessionId": id, "name": "r-alice-1" }),
            );
            let heard = world.hear_one(alice);
            assert_eq!(heard["message"], "notifyStreamStatusEvent");
            assert_eq!(heard["data"][0]["mediaSessionId"], id);
            assert_eq!(heard["data"][0]["status"], status);
            assert_eq!(heard["data"][0]["name"], "r-alice-1");
        }
    }
    assert_eq!(world.rooms.streams(), 0);
}

#[test]
fn trap_15_after_a_leave_the_stops_of_its_streams_are_answered() {
    let mut world = World::new();
    let alice = world.participant("alice");
    let bob = world.participant("bob");
    world.publish(alice, "m1", "r-alice-1");
    world.publish(bob, "m1", "r-bob-1");
    world.play(alice, "p1", "r-bob-1");
    world.play(bob, "p1", "r-alice-1");
    world.hear_all();
    world.command(alice, "op-leave", "leave", json!({ "name": "r" }));
    let data = json!([{ "operationId": "op-leave", "status": "ACCEPTED" }]);
    assert_eq!(
        world.hear_one(alice),
        json!({ "message": "DataStatusEvent", "data": data })
    );
    let heard = world.hear(bob);
    let events: Vec<_> = room_events(&heard)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(events, ["UNPUBLISHED", "LEFT"]);
    world.say(
        alice,
        "unPublishStream",
        json!({ "mediaSessionId": "m1", "name": "r-alice-1" }),
    );
    assert_eq!(world.hear_one(alice)["data"][0]["status"], "UNPUBLISHED");
    world.say(
        alice,
        "stopStream",
        json!({ "mediaSessionId": "p1", "name": "r-bob-1" }),
    );
    assert_eq!(world.hear_one(alice)["data"][0]["status"], "STOPPED");
    // The socket is good for another join, and the ids for other streams.
    world.command(alice, "op-join", "join", json!({ "name": "r" }));
    world.publish(alice, "m1", "r-alice-1");
    let expected = [
        "DataStatusEvent",
        "OnDataEvent",
        "setRemoteSDP",
        "notifyStreamStatusEvent",
    ];
    assert_eq!(names(&world.hear(alice)), expected);
}

#[test]
fn trap_16_data_status_is_accepted_or_failed_with_info() {
    let mut world = World::new();
    let alice = world.participant("alice");
    let mut status = |command: &str, options: Value| {
        world.command(alice, "op", command, options);
        let heard = world.hear_one(alice);
        assert_eq!(heard["message"], "DataStatusEvent");
        assert_eq!(heard["data"][0]["operationId"], "op");
        let info = heard["data"][0]["info"].as_str().map(str::to_owned);
        (
            heard["data"][0]["status"].as_str().unwrap().to_owned(),
            info,
        )
    };
    let failed = |info: &str| ("FAILED".to_owned(), Some(info.to_owned()));
    assert_eq!(
        status("join", json!({ "name": "r" })),
        failed("You are already in this room")
    );
    assert_eq!(
        status("join", json!({ "name": " " })),
        failed("A room name must not be empty")
    );
    assert_eq!(status("join", json!({})), failed("`name` must be there"));
    assert_eq!(
        status("join", json!([])),
        failed("`options` must be an object")
    );
    assert_eq!(
        status("leave", json!({ "name": "x" })),
        failed("You are not in this room")
    );
    assert_eq!(
        status("dance", json!({})),
        failed("There is no command \"dance\"")
    );
    let room = json!({ "name": "r" });
    let message = json!({ "roomConfig": room, "to": "bob", "text": "hi" });
    let nobody = failed("There is no participant \"bob\" in this room");
    assert_eq!(status("sendMessage", message), nobody);
    let message = json!({ "roomConfig": room, "to": "alice" });
    assert_eq!(
        status("sendMessage", message),
        failed("`text` must be there")
    );
    assert_eq!(status("leave", room), ("ACCEPTED".to_owned(), None));
}

#[test]
fn trap_17_the_room_of_a_stream_is_in_custom_and_the_login_in_the_connection() {
    let mut world = World::new();
    let alice = world.participant("alice");
    let bob = world.participant("bob");
    world.start(
        alice,
        "publishStream",
        "m1",
        "any-name",
        json!({ "name": "r" }),
    );
    let stream = json!({ "login": "alice", "name": "any-name" });
    assert_eq!(
        room_events(&world.hear(bob)),
        [("PUBLISHED".to_owned(), stream)]
    );
}

#[test]
fn trap_21_mutes_reach_the_players_and_late_joiners() {
    let mut world = World::new();
    let alice = world.participant("alice");
    let bob = world.participant("bob");
    world.publish(alice, "m1", "r-alice-1");
    world.play(bob, "p1", "r-alice-1");
    world.hear_all();
    for event in ["audioMuted", "videoMuted", "videoUnmuted"] {
        world.say(
            alice,
            "sendStreamEvent",
            json!({ "mediaSessionId": "m1", "type": event }),
        );
        let heard = world.hear_one(bob);
        assert_eq!(heard["message"], "notifyStreamEvent");
        assert_eq!(heard["data"][0]["mediaSessionId"], "p1");
        assert_eq!(heard["data"][0]["type"], event);
        assert_eq!(heard["data"][0]["payload"]["streamName"], "r-alice-1");
        assert_eq!(world.hear(alice), [] as [Value; 0]);
    }
    world.play(bob, "p2", "r-alice-1");
    let playing = &world.hear(bob)[1]["data"][0];
    assert_eq!(playing["status"], "PLAYING");
    assert_eq!(playing["audioState"], json!({ "muted": true }));
    assert_eq!(playing["videoState"], json!({ "muted": false }));
}

#[test]
fn trap_22_chat_is_for_one_and_verbatim() {
    let mut world = World::new();
    let alice = world.participant("alice");
    let bob = world.participant("bob");
    let carol = world.participant("carol");
    world.hear_all();
    let text = "%20<b>hé\n\u{1}\u{2028}\"\\ 🎥</b>";
    let message = json!({ "roomConfig": { "name": "r" }, "to": "bob", "text": text });
    world.command(alice, "op", "sendMessage", message);
    let expected = json!({ "from": "alice", "text": text });
    assert_eq!(
        room_events(&world.hear(bob)),
        [("MESSAGE".to_owned(), expected)]
    );
    assert_eq!(world.hear_one(alice)["data"][0]["status"], "ACCEPTED");
    assert_eq!(world.hear(carol), [] as [Value; 0]);
}

#[test]
fn trap_23_any_app_key_speaks_room_commands() {
    let mut world = World::new();
    let client = world.open();
    let hello = json!({ "appKey": "flashChatApp", "custom": { "login": "alice" } });
    world.say(client, "connection", hello);
    world.command(client, "op", "join", json!({ "name": "r" }));
    let heard = world.hear(client);
    assert_eq!(
        names(&heard),
        ["getUserData", "DataStatusEvent", "OnDataEvent"]
    );
}

#[test]
fn trap_25_set_remote_sdp_says_who_is_the_initiator() {
    let mut world = World::new();
    let alice = world.participant("alice");
    world.publish(alice, "m1", "r-alice-1");
    let sdp = json!({ "message": "setRemoteSDP", "data": ["m1", "v=0 answer", true] });
    assert_eq!(world.hear(alice)[0], sdp);
}
