//! What Parlor adds to WCS. The published SDKs ignore all of it.

use std::time::Duration;

use parlor_core::{AudioCodec, Identity, MediaId, News, ResumeToken, RoomName, Said, VideoCodec};
use serde_json::json;

use crate::world::{World, room_events};

fn room() -> RoomName {
    RoomName::new("r").unwrap()
}

fn identity(name: &str) -> Identity {
    Identity::new(name).unwrap()
}

#[test]
fn a_message_without_an_addressee_is_for_all() {
    let mut world = World::new();
    let alice = world.participant("alice");
    let bob = world.participant("bob");
    world.hear_all();
    let options = json!({ "roomConfig": { "name": "r" }, "text": "hi" });
    world.command(alice, "op", "sendMessage", options);
    let heard = world.hear_one(alice);
    assert_eq!(heard["data"][0]["status"], "ACCEPTED");
    let message = json!({ "from": "alice", "text": "hi", "all": true });
    assert_eq!(
        room_events(&world.hear(bob)),
        [("MESSAGE".to_owned(), message)]
    );
}

#[test]
fn history_and_speakers_follow_the_state_for_who_asks() {
    let mut world = World::new();
    let (from, text) = (identity("bob"), "earlier".to_owned());
    let age = Duration::from_millis(1_500);
    world.rooms.history = vec![Said { from, text, age }];
    world.rooms.speakers = vec![identity("bob")];
    let alice = world.login("alice");
    world.command(alice, "op", "join", json!({ "name": "r", "history": true }));
    let heard = world.hear(alice);
    assert_eq!(heard[0]["data"][0]["resume"], "token");
    let said = json!([{ "from": "bob", "text": "earlier", "age": 1_500 }]);
    assert_eq!(
        room_events(&heard),
        [
            ("STATE".to_owned(), json!([])),
            ("HISTORY".to_owned(), said),
            (
                "SPEAKING".to_owned(),
                json!({ "login": "bob", "speaking": true })
            ),
        ]
    );
    let carol = world.login("carol");
    world.command(carol, "op", "join", json!({ "name": "r" }));
    let events = room_events(&world.hear(carol));
    assert_eq!(events.len(), 1, "{events:?}");
}

#[test]
fn a_token_is_passed_on_and_a_long_one_is_refused() {
    let mut world = World::new();
    let alice = world.login("alice");
    let join = |token: &str| json!({ "name": "r", "resume": token });
    world.command(alice, "op", "join", join(&"x".repeat(65)));
    let heard = world.hear_one(alice);
    assert_eq!(heard["data"][0]["info"], "`resume` is too long");
    world.command(alice, "op", "join", join("abc"));
    assert_eq!(world.rooms.resumed, Some(ResumeToken("abc".to_owned())));
}

#[test]
fn a_client_that_is_replaced_is_told_and_may_join_again() {
    let mut world = World::new();
    let alice = world.participant("alice");
    world.tell(alice, News::Replaced { room: room() });
    let info = "You have joined this room from elsewhere";
    let data = json!([{ "apiMethod": "join", "info": info, "room": "r" }]);
    assert_eq!(
        world.hear_one(alice),
        json!({ "message": "fail", "data": data })
    );
}

#[test]
fn speakers_are_told_to_the_room() {
    let mut world = World::new();
    let alice = world.participant("alice");
    let (identity, speaking) = (identity("bob"), true);
    let news = News::Speaking {
        room: room(),
        identity,
        speaking,
    };
    world.tell(alice, news);
    let speaking = json!({ "login": "bob", "speaking": true });
    assert_eq!(
        room_events(&world.hear(alice)),
        [("SPEAKING".to_owned(), speaking)]
    );
}

#[test]
fn a_publisher_hears_which_codecs_a_player_has() {
    let mut world = World::new();
    let alice = world.participant("alice");
    world.publish(alice, "id", "r-alice-1");
    world.hear_all();
    let (media, audio, video) = (MediaId(0), vec![AudioCodec::Opus], vec![VideoCodec::Vp8]);
    world.tell(
        alice,
        News::CodecMismatch {
            media,
            audio,
            video,
        },
    );
    let heard = world.hear_one(alice);
    assert_eq!(heard["message"], "notifyStreamEvent");
    assert_eq!(
        heard["data"],
        json!([{
            "mediaSessionId": "id",
            "type": "codecMismatch",
            "payload": { "audio": ["opus"], "video": ["VP8"] },
        }])
    );
}

#[test]
fn half_an_emoji_is_passed_on_as_a_replacement_character() {
    let mut world = World::new();
    let alice = world.participant("alice");
    let bob = world.participant("bob");
    world.hear_all();
    let text = r#"{"message":"sendData","data":[{"operationId":"op","payload":{"command":"sendMessage","options":{"roomConfig":{"name":"r"},"to":"bob","text":"\ud83d"}}}]}"#;
    world.send_text(alice, text);
    let message = json!({ "from": "alice", "text": "\u{fffd}" });
    assert_eq!(
        room_events(&world.hear(bob)),
        [("MESSAGE".to_owned(), message)]
    );
}
