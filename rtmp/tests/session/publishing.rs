//! Names, takeovers, ends.

use std::time::Duration;

use parlor_core::{Place, RoomName};
use parlor_rtmp::amf0::Value;
use parlor_rtmp::limits::{IDLE_TIMEOUT, MEDIA_TIMEOUT, TAKEOVER_SILENCE};
use parlor_rtmp::{Action, Config, Delivery, Takeover};

use crate::world::{World, object};

const SECOND: Duration = Duration::from_secs(1);
/// A frame of silence in AAC.
const SOUND: [u8; 8] = [0xaf, 1, 0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c];

fn world(takeover: Takeover) -> World {
    World::new(Config {
        takeover,
        ..Config::default()
    })
}

#[test]
fn an_encoder_enters_the_room_of_its_address_and_leaves_it_at_its_end() {
    for end in ["deleteStream", "closeStream", "FCUnpublish"] {
        let mut world = world(Takeover::Silent);
        let encoder = world.publish("stage", "anna?key=1");
        assert!(world.told(encoder).contains("NetStream.Publish.Start"));
        assert_eq!(world.participants(), 1);
        let argument = match end {
            "deleteStream" => 1.0.into(),
            "FCUnpublish" => "anna?key=1".into(),
            _ => Value::Null,
        };
        world.call(encoder, 1, end, 0.0, &[Value::Null, argument]);
        assert!(
            world.told(encoder).contains("NetStream.Unpublish.Success"),
            "{end}"
        );
        assert_eq!(world.participants(), 0, "{end}");
        // It may begin again.
        world.call(encoder, 0, "createStream", 5.0, &[Value::Null]);
        world.call(encoder, 2, "publish", 6.0, &[Value::Null, "anna".into()]);
        assert!(
            world.told(encoder).contains("NetStream.Publish.Start"),
            "{end}"
        );
    }
}

#[test]
fn an_encoder_that_sends_keeps_its_name() {
    let mut world = world(Takeover::Silent);
    let first = world.publish("stage", "anna");
    let second = world.publish("stage", "anna");
    for _ in 0..10 {
        world.run_for(SECOND / 10);
        world.say(first, 8, 0, 1, &SOUND);
    }
    let told = world.told(second);
    assert!(
        told.contains("BadName") && told.contains("Another encoder"),
        "{told}"
    );
    world.run_for(2 * SECOND);
    assert!(world.is_gone(second) && !world.is_gone(first));
    assert_eq!(world.participants(), 1);
}

#[test]
fn an_encoder_that_has_been_silent_loses_its_name_at_once() {
    let mut world = world(Takeover::Silent);
    let first = world.publish("stage", "anna");
    world.run_for(TAKEOVER_SILENCE);
    let second = world.publish("stage", "anna");
    assert!(world.told(second).contains("NetStream.Publish.Start"));
    let told = world.told(first);
    assert!(
        told.contains("Another encoder publishes under this name"),
        "{told}"
    );
    assert_eq!(world.participants(), 1);
    world.run_for(2 * SECOND);
    assert!(world.is_gone(first) && !world.is_gone(second));
    assert_eq!(
        world.participants(),
        1,
        "whoever was replaced takes nothing along"
    );
}

#[test]
fn an_encoder_that_falls_silent_loses_its_name_to_one_that_waits() {
    let mut world = world(Takeover::Silent);
    let first = world.publish("stage", "anna");
    world.run_for(SECOND);
    let second = world.publish("stage", "anna");
    assert!(!world.told(second).contains("onStatus"), "it has to wait");
    world.run_for(TAKEOVER_SILENCE - SECOND);
    assert!(world.told(second).contains("NetStream.Publish.Start"));
    world.run_for(2 * SECOND);
    assert!(world.is_gone(first));
}

#[test]
fn an_encoder_that_sends_nothing_is_dropped_and_leaves_the_room() {
    let mut world = world(Takeover::Silent);
    let encoder = world.publish("stage", "anna");
    world.run_for(MEDIA_TIMEOUT - SECOND);
    assert_eq!(world.participants(), 1);
    world.run_for(SECOND);
    assert!(world.told(encoder).contains("Nothing was sent for 15 s"));
    assert_eq!(world.participants(), 0, "at once");
    world.run_for(SECOND);
    assert!(world.is_gone(encoder));
}

#[test]
fn addresses_without_a_room_or_a_name_are_refused_with_a_sentence() {
    for (app, name, sentence) in [
        ("", "anna", "rtmp://HOST/ROOM/NAME"),
        ("stage", "", "A login must not be empty"),
        ("stage", "?key=1", "A login must not be empty"),
    ] {
        let mut world = world(Takeover::Silent);
        let encoder = world.publish(app, name);
        let told = world.told(encoder);
        assert!(told.contains("error") && told.contains(sentence), "{told}");
        world.run_for(SECOND);
        assert!(world.is_gone(encoder));
    }
}

#[test]
fn who_is_connected_for_nothing_is_closed() {
    let mut world = world(Takeover::Silent);
    let client = world.connect("stage");
    world.run_for(IDLE_TIMEOUT);
    assert!(world.is_gone(client));
}

#[test]
fn a_room_client_stays_when_something_is_refused() {
    let mut world = world(Takeover::Silent);
    let client = world.connect_with_login("flash");
    world.call(client, 0, "createStream", 2.0, &[Value::Null]);
    world.call(client, 1, "publish", 0.0, &[Value::Null, "".into()]);
    assert!(world.told(client).contains("NetStream.Publish.BadName"));
    world.run_for(3 * SECOND);
    assert!(!world.is_gone(client));
}

#[test]
fn a_room_client_is_pinged_and_closed_when_it_does_not_answer() {
    let mut world = world(Takeover::Silent);
    let client = world.connect_with_login("flash");
    world.run_for(6 * SECOND);
    assert!(world.told(client).contains("\"ping\""));
    world.call(client, 0, "pong", 0.0, &[Value::Null]);
    world.run_for(40 * SECOND);
    assert!(!world.is_gone(client));
    world.run_for(30 * SECOND);
    assert!(world.is_gone(client));
}

#[test]
fn a_room_client_says_and_hears_what_browsers_do() {
    let mut world = world(Takeover::Silent);
    let [anna, bob] = ["anna", "bob"].map(|login| {
        let client = world.connect_with_login(login);
        send_data(
            &mut world,
            client,
            "join",
            object(&[("name", "stage".into())]),
        );
        client
    });
    let told = world.told(anna);
    assert!(
        told.contains("ACCEPTED") && told.contains("STATE"),
        "{told}"
    );
    assert!(told.contains("JOINED") && told.contains("bob"), "{told}");
    let room = object(&[("name", "stage".into())]);
    let message = object(&[
        ("roomConfig", room),
        ("to", "anna".into()),
        ("text", "hi".into()),
    ]);
    send_data(&mut world, bob, "sendMessage", message);
    let told = world.told(anna);
    assert!(told.contains("MESSAGE") && told.contains("hi"), "{told}");
    world.call(bob, 0, "createStream", 2.0, &[Value::Null]);
    world.call(bob, 1, "publish", 0.0, &[Value::Null, "stage-bob".into()]);
    assert!(world.told(bob).contains("NetStream.Publish.Start"));
    send_data(
        &mut world,
        bob,
        "leave",
        object(&[("name", "stage".into())]),
    );
    assert!(world.told(anna).contains("LEFT"));
}

#[test]
fn a_room_reads_why_the_stream_of_an_encoder_was_refused() {
    let mut world = world(Takeover::Silent);
    let anna = world.connect_with_login("anna");
    let room = object(&[("name", "stage".into())]);
    send_data(&mut world, anna, "join", room);
    let encoder = world.publish("stage", "camera");
    world.told(anna);
    // Sound in MP3.
    world.say(encoder, 8, 0, 1, &[0x2f, 0xff, 0xfb]);
    let sentence = "The sound is MP3, which is not decoded here; use AAC";
    assert!(world.told(encoder).contains(sentence));
    let told = world.told(anna);
    let (said, left) = (told.find("MESSAGE"), told.find("LEFT"));
    assert!(said.is_some() && said < left, "{told}");
    assert!(told.contains(sentence) && told.contains("camera"), "{told}");
    // A refusal that is not about what it sends is nobody else's business.
    world.publish("stage", "");
    assert!(!world.told(anna).contains("MESSAGE"));
}

fn send_data(world: &mut World, client: u64, command: &str, options: Value) {
    let payload = object(&[("command", command.into()), ("options", options)]);
    let data = object(&[("operationId", "1".into()), ("payload", payload)]);
    world.call(client, 0, "sendData", 0.0, &[Value::Null, data]);
}

#[test]
fn a_player_asks_for_a_stream_of_a_room_by_name() {
    let mut world = world(Takeover::Silent);
    let player = world.connect("my%20room");
    world.call(player, 0, "createStream", 2.0, &[Value::Null]);
    world.call(
        player,
        1,
        "play",
        0.0,
        &[Value::Null, "anna?key=1".into(), (-2000.0).into()],
    );
    let asked = world.played(player);
    let [
        Action::Play {
            media, place, name, ..
        },
    ] = &asked[..]
    else {
        panic!("{asked:?}");
    };
    assert_eq!(*place, Place::Room(RoomName::new("my room").unwrap()));
    assert_eq!(name.as_str(), "anna");
    let (now, media) = (world.now, *media);
    let refused = Err("Nobody publishes it".to_owned());
    world
        .connection(player)
        .handle_delivery(now, media, &Delivery::Playing(refused));
    world.run_for(SECOND);
    let told = world.told(player);
    assert!(
        told.contains("Play.StreamNotFound") && told.contains("Nobody publishes it"),
        "{told}"
    );
    assert!(world.is_gone(player));
}
