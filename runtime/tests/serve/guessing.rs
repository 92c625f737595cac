//! Names that are found out by trying them, with a new connection for each.

use std::net::Ipv4Addr;

use crate::client::{Client, Response, connect_from};
use crate::exchanges::{offer, send_on};
use crate::rtmp::client::{Encoder, code_of};
use crate::server::{Running, start};

const MOST: usize = 6;
const MALLORY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const ANNA: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const SENTENCE: &str = "Too many names were asked for in vain from your address; wait a minute";

fn counting() -> Running {
    start(|settings| {
        settings.counts_own = true;
        settings.max_refusals_per_address = MOST;
    })
}

fn client(server: &Running, from: Ipv4Addr) -> Client {
    Client::on(connect_from(from, server.plain))
}

fn post(server: &Running, from: Ipv4Addr, path: &str) -> Response {
    let sends = path.starts_with("/whip");
    send_on(client(server, from), "POST", path, &offer(sends))
}

/// The code of what is refused to a player by RTMP.
fn play(server: &Running, from: Ipv4Addr, name: &str) -> String {
    let mut player = Encoder::connect(connect_from(from, server.rtmp), "stage");
    player.ask_to_play(name);
    player.hear(code_of).unwrap()
}

fn join(server: &Running, from: Ipv4Addr, login: &str) -> String {
    client(server, from).ask_to_join(login, "stage")
}

/// Plays a stream of the room that is named in `custom`, or one outside of rooms.
fn ask_to_play(client: &mut Client, id: &str, name: &str, custom: &str) {
    let sdp = serde_json::to_string(&offer(false)).unwrap();
    client.say(&format!(
        r#"{{"message":"playStream","data":[{{"mediaSessionId":"{id}","name":"{name}",
        "sdp":{sdp}{custom}}}]}}"#
    ));
}

#[test]
fn who_guesses_names_waits_whatever_the_door_and_nobody_else_does() {
    let server = counting();
    let mut anna = client(&server, ANNA);
    anna.join("anna", "stage");
    let mut neighbour = client(&server, MALLORY);
    neighbour.join("neighbour", "stage");
    assert_eq!(post(&server, ANNA, "/whip/stage/cam").status, 201);
    anna.hear("cam");
    for _ in 0..MOST / 3 {
        assert_eq!(post(&server, MALLORY, "/whep/stage/guess").status, 404);
        let code = play(&server, MALLORY, "guess");
        assert_eq!(code, "NetStream.Play.StreamNotFound");
        let answer = join(&server, MALLORY, "anna");
        assert!(answer.contains("already in use"), "{answer}");
    }
    server.wait_for_metric("parlor_refused_addresses", |count| count == 1);
    assert_eq!(server.metric("parlor_names_refused_total"), 0);

    // Even what there is, and what nobody has.
    for path in ["/whep/stage/stage-cam", "/whip/stage/other"] {
        let refused = post(&server, MALLORY, path);
        assert_eq!(refused.status, 429, "{refused:?}");
        assert!(refused.head.contains("Retry-After: 60"), "{refused:?}");
        assert!(refused.body.contains(SENTENCE), "{refused:?}");
    }
    play(&server, MALLORY, "stage-cam");
    let answer = join(&server, MALLORY, "bob");
    assert!(answer.contains(SENTENCE), "{answer}");
    let mut encoder = Encoder::connect(connect_from(MALLORY, server.rtmp), "stage");
    encoder.publish("bob").unwrap_err();
    assert_eq!(server.metric("parlor_names_refused_total"), 5);

    // Others play it; and the call of who is in a room at the guesser's address goes on.
    assert_eq!(post(&server, ANNA, "/whep/stage/stage-cam").status, 201);
    let custom = r#","custom":{"name":"stage"}"#;
    ask_to_play(&mut neighbour, "a", "stage-cam", custom);
    neighbour.hear("setRemoteSDP");
    ask_to_play(&mut neighbour, "b", "guess", "");
    neighbour.hear(SENTENCE);
    assert_eq!(client(&server, MALLORY).get("/").status, 200);
}

#[test]
fn what_is_refused_for_other_reasons_is_no_guess() {
    let server = counting();
    for _ in 0..2 * MOST {
        let refused = send_on(client(&server, ANNA), "POST", "/whip/r/cam", "no offer");
        assert_eq!(refused.status, 400, "{refused:?}");
    }
    assert_eq!(server.metric("parlor_refused_addresses"), 0);
}
