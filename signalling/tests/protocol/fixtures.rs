//! What the published SDK has really sent is understood.

use parlor_core::Request;
use serde_json::{Value, json};

use crate::world::World;

const RECORDED: &str = include_str!("../fixtures/wcs-client-messages.jsonl");

#[test]
fn every_recorded_message_is_accepted() {
    let mut kinds = std::collections::BTreeMap::<String, u32>::new();
    for line in RECORDED.lines() {
        let message: Value = serde_json::from_str(line).unwrap();
        let kind = message["message"].as_str().unwrap().to_owned();
        let mut world = World::new();
        let client = if kind == "connection" {
            world.open()
        } else {
            world.login("recorded")
        };
        world.send_text(client, line);
        let heard = world.hear(client);
        let counters = world.counters(client);
        let faults = counters.message_faults + counters.messages_unknown;
        assert_eq!(faults, 0, "{kind}: {heard:?}");
        match kind.as_str() {
            "connection" => assert_eq!(heard[0]["message"], "getUserData"),
            "publishStream" | "playStream" => check_offer(&world, &message["data"][0]),
            "sendData" => {
                let operation = &message["data"][0]["operationId"];
                assert_eq!(heard[0]["data"][0]["operationId"], *operation);
            }
            "unPublishStream" => assert_eq!(heard[0]["data"][0]["status"], "UNPUBLISHED"),
            "stopStream" => assert_eq!(heard[0]["data"][0]["status"], "STOPPED"),
            "ping" => assert_eq!(heard[0]["message"], "pong"),
            "availableStream" => assert_eq!(heard[0]["message"], "availableStream"),
            "snapshot" => assert_eq!(heard[0]["message"], "notifyStreamEvent"),
            // The stream of the event is none of this session.
            "sendStreamEvent" => assert_eq!(heard[0]["data"][0]["info"], "Stream not found"),
            "pong" | "webRTCMetricsBatch" | "webRTCMetricsClientDescription" => {
                assert_eq!(heard, [] as [Value; 0]);
            }
            other => panic!("{other} is not in this list"),
        }
        *kinds.entry(kind).or_default() += 1;
    }
    assert_eq!(kinds.len(), 13, "{kinds:?}");
}

/// The offer and the names arrive at the rooms as they are.
fn check_offer(world: &World, sent: &Value) {
    let (_, key, request) = world.asked.last().expect("the rooms are asked");
    let (place, name, offer) = match request {
        Request::Publish {
            place, name, offer, ..
        }
        | Request::Subscribe {
            place, name, offer, ..
        } => (place, name, offer),
        other => panic!("{other:?}"),
    };
    assert_eq!(sent["sdp"], *offer);
    assert_eq!(sent["name"], name.as_str());
    assert_eq!(sent["custom"]["name"], *key);
    let parlor_core::Place::Room(room) = place else {
        panic!("{place:?}")
    };
    assert_eq!(room.as_str(), key);
}

#[test]
fn a_recorded_call_of_two_runs_to_its_end() {
    let mut world = World::new();
    let mut clients = std::collections::BTreeMap::new();
    // The first lines are one call: alice comes, then bob; they play, chat, mute and leave.
    for line in RECORDED.lines().take(18) {
        let message: Value = serde_json::from_str(line).unwrap();
        if message["message"] == "connection" {
            let login = message["data"][0]["custom"]["login"]
                .as_str()
                .unwrap()
                .to_owned();
            clients.insert(login, world.open());
        }
        world.send_text(speaker(&clients, &message), line);
    }
    assert_eq!(world.rooms.streams(), 0, "all is stopped");
    for client in clients.values() {
        assert_eq!(world.counters(*client).message_faults, 0);
        assert!(!world.is_finished(*client));
    }
    let heard = world.hear(clients["alice"]);
    let events = crate::world::room_events(&heard);
    assert_eq!(events[0], ("STATE".to_owned(), json!([])));
    assert_eq!(events[1], ("JOINED".to_owned(), json!("bob")));
    let text = json!({ "from": "bob", "text": "hello\n<b>world</b>" });
    assert!(events.contains(&("MESSAGE".to_owned(), text)), "{events:?}");
}

/// Whose line it is: ids are time-based UUIDs, whose last parts tell the two pages apart.
fn speaker(
    clients: &std::collections::BTreeMap<String, parlor_core::ClientId>,
    message: &Value,
) -> parlor_core::ClientId {
    let data = &message["data"][0];
    let id = data["mediaSessionId"]
        .as_str()
        .or_else(|| data["operationId"].as_str());
    let login = match (id, data["custom"]["login"].as_str()) {
        (_, Some(login)) => login,
        (Some(id), None) if id.ends_with("86e5-fbdade22b770") => "alice",
        (Some(_), None) => "bob",
        (None, None) => panic!("{message}"),
    };
    clients[login]
}
