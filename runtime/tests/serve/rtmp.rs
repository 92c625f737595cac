//! Encoders, players and room clients by RTMP, beside browsers.

pub(crate) mod client;

use std::io::Write as _;
use std::time::{Duration, Instant};

use crate::client::{Client, connect};
use crate::server::start;
use client::{Encoder, RoomClient, code_of};
use parlor_rtmp::Takeover;
use parlor_rtmp::limits::TAKEOVER_SILENCE;

/// Before anything that is waited for by a timer here happens.
const SOON: Duration = Duration::from_millis(450);

/// The reason that an encoder is told, as `onStatus`.
fn refusal(encoder: &mut Encoder) -> String {
    encoder.hear(code_of).unwrap()
}

#[test]
fn an_encoder_is_a_participant_from_its_publish_to_its_end() {
    let server = start(|_| {});
    let mut browser = Client::plain(server.plain);
    browser.join("browser", "stage");
    let mut encoder = Encoder::connect(connect(server.rtmp), "stage");
    encoder.publish("anna?key=secret").unwrap();
    let joined = browser.hear("JOINED");
    assert!(
        joined.contains("anna") && !joined.contains("secret"),
        "{joined}"
    );
    drop(encoder);
    browser.hear("LEFT");
    server.wait_for_metric("parlor_participants", |count| count == 1);
}

#[test]
fn rtmps_is_told_by_its_first_byte() {
    let server = start(|_| {});
    let tls = Client::tls(server.rtmp, server.state.path());
    let mut encoder = Encoder::connect(tls.into_stream(), "stage");
    encoder.publish("anna").unwrap();
    server.wait_for_metric("parlor_participants", |count| count == 1);
}

#[test]
fn a_name_is_refused_while_its_encoder_sends_and_taken_over_when_it_is_silent() {
    let server = start(|_| {});
    let mut first = Encoder::connect(connect(server.rtmp), "stage");
    first.publish("anna").unwrap();

    let mut second = Encoder::connect(connect(server.rtmp), "stage");
    let asking = std::thread::spawn(move || second.publish("anna"));
    while !asking.is_finished() {
        first.send_sound();
        std::thread::sleep(Duration::from_millis(50));
    }
    let refused = Err("NetStream.Publish.BadName".to_owned());
    assert_eq!(asking.join().unwrap(), refused);

    // Nothing has come of the first one for long enough.
    std::thread::sleep(TAKEOVER_SILENCE);
    let began = Instant::now();
    let mut third = Encoder::connect(connect(server.rtmp), "stage");
    third.publish("anna").unwrap();
    assert!(began.elapsed() < SOON, "it takes over at once");
    assert_eq!(refusal(&mut first), "NetStream.Publish.BadName");
    assert_eq!(server.metric("parlor_rtmp_taken_over_total"), 1);
    server.wait_for_metric("parlor_participants", |count| count == 1);
}

#[test]
fn takeover_can_be_always_or_never() {
    for (takeover, wins) in [(Takeover::Always, true), (Takeover::Never, false)] {
        let server = start(|settings| settings.rtmp_takeover = takeover);
        let mut first = Encoder::connect(connect(server.rtmp), "stage");
        first.publish("anna").unwrap();
        first.send_sound();
        let began = Instant::now();
        let mut second = Encoder::connect(connect(server.rtmp), "stage");
        assert_eq!(second.publish("anna").is_ok(), wins, "{takeover:?}");
        assert!(began.elapsed() < SOON, "at once");
        let replaced = u64::from(wins);
        assert_eq!(server.metric("parlor_rtmp_taken_over_total"), replaced);
    }
}

#[test]
fn a_name_that_a_browser_has_is_not_taken() {
    let server = start(|settings| settings.rtmp_takeover = Takeover::Always);
    let mut browser = Client::plain(server.plain);
    browser.join("anna", "stage");
    let mut encoder = Encoder::connect(connect(server.rtmp), "stage");
    assert_eq!(
        encoder.publish("anna"),
        Err("NetStream.Publish.BadName".to_owned())
    );
}

#[test]
fn a_room_client_chats_with_a_browser() {
    let server = start(|_| {});
    let mut browser = Client::plain(server.plain);
    browser.join("browser", "stage");
    let mut flash = RoomClient::connect(connect(server.rtmp), "flash");
    flash.send_data("1", "join", r#"{"name":"stage"}"#);
    let state = flash.hear("OnDataEvent");
    assert!(
        state.contains("STATE") && state.contains("browser"),
        "{state}"
    );
    browser.hear("JOINED");

    let all = r#"{"roomConfig":{"name":"stage"},"text":"hello from flash"}"#;
    flash.send_data("2", "sendMessage", all);
    browser.hear("hello from flash");
    let status = flash.hear("DataStatusEvent");
    assert!(status.contains("ACCEPTED"), "{status}");
    browser.say(
        r#"{"message":"sendData","data":[{"operationId":"9","payload":{"command":"sendMessage",
        "options":{"roomConfig":{"name":"stage"},"to":"flash","text":"hello back"}}}]}"#,
    );
    let message = flash.hear("OnDataEvent");
    assert!(message.contains("hello back"), "{message}");

    flash.publish("stage-flash");
    flash.hear("NetStream.Publish.Start");
    flash.send_data("3", "leave", r#"{"name":"stage"}"#);
    browser.hear("LEFT");
}

#[test]
fn a_stream_that_is_not_there_is_refused_with_a_sentence_and_the_connection_closed() {
    let server = start(|_| {});
    let mut player = Encoder::connect(connect(server.rtmp), "stage");
    player.ask_to_play("nobody");
    assert_eq!(refusal(&mut player), "NetStream.Play.StreamNotFound");
    assert!(player.hear(|_| None::<()>).is_none(), "the connection ends");
}

#[test]
fn what_is_no_rtmp_is_closed_at_once() {
    let server = start(|_| {});
    let mut stream = connect(server.rtmp);
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut rest).unwrap();
    assert!(rest.is_empty());
    assert_eq!(server.metric("parlor_rtmp_faults_total"), 1);
}
