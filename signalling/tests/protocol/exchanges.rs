//! WHIP and WHEP.

use std::time::Duration;

use parlor_core::{
    EndReason, MediaId, Muted, News, Place, Reply, Request, RequestError, ResumeToken,
};
use parlor_signalling::whip::{self, Offer, Resource, Role, Step};

use crate::world::World;

/// The answer to bytes on a new connection, cut into pieces of `cut`.
fn ask(request: &str, cut: usize) -> (World, String) {
    let mut world = World::new();
    let client = world.accept();
    for piece in request.as_bytes().chunks(cut) {
        world.send(client, piece);
    }
    let responses = world.client(client).responses.clone();
    (world, responses)
}

fn post(path: &str, fields: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\n\
         Content-Length: {length}\r\n{fields}\r\n{body}"
    )
}

fn status(request: &str) -> (u16, String) {
    let (world, response) = ask(request, usize::MAX);
    assert!(world.exchanges.is_empty(), "{request} is refused at once");
    let status = response.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse();
    (status.unwrap(), response)
}

fn offer(path: &str) -> Offer {
    let (mut world, _) = ask(&post(path, "", "v=0"), usize::MAX);
    match world.exchanges.remove(0) {
        whip::Request::Create(offer) => offer,
        whip::Request::Delete { .. } => panic!("a DELETE"),
    }
}

#[test]
fn an_offer_is_taken_whole_however_it_is_cut() {
    let fields = "Authorization: Bearer secret\r\n";
    let request = post(
        "/whip/my%20room/a%2Fb?x",
        fields,
        "v=0\r\nthe offer\r\n\r\n",
    );
    for cut in [1, 7, usize::MAX] {
        let (world, response) = ask(&request, cut);
        assert_eq!(world.exchanges.len(), 1, "{cut}");
        assert!(response.starts_with("HTTP/1.1 200 "), "{response}");
        let whip::Request::Create(offer) = world.exchanges[0].clone() else {
            panic!("a DELETE");
        };
        assert_eq!(offer.role, Role::Publisher);
        let (resource, step) = Resource::new(offer, "token".to_owned());
        assert_eq!(resource.key(), "my room");
        let Step::Ask(_, Request::Join { room, identity, .. }) = step else {
            panic!("{step:?}");
        };
        assert_eq!((room.as_str(), identity.as_str()), ("my room", "a/b"));
    }
}

#[test]
fn a_publisher_joins_and_publishes_and_is_told_where_to_end_it() {
    let (mut resource, _) = Resource::new(offer("/whip/r/cam"), "token".to_owned());
    let joined = Reply::Joined {
        members: Vec::new(),
        history: Vec::new(),
        speakers: Vec::new(),
        resume: ResumeToken(String::new()),
    };
    let Step::Ask(_, request) = resource.handle_reply(Ok(joined)) else {
        panic!("it publishes");
    };
    let Request::Publish {
        place: Place::Room(room),
        name,
        offer,
        ..
    } = request
    else {
        panic!("{request:?}");
    };
    assert_eq!(
        (room.as_str(), name.as_str(), offer.as_str()),
        ("r", "r-cam", "v=0")
    );
    let answer = Reply::Answer {
        sdp: "answer".to_owned(),
        audio: true,
        video: true,
        muted: Muted::default(),
    };
    let Step::Begun(response) = resource.handle_reply(Ok(answer)) else {
        panic!("it has begun");
    };
    assert_eq!((response.status, &*response.body), (201, &b"answer"[..]));
    let header = |name| {
        let mut headers = response.headers.iter();
        headers
            .find(|(other, _)| *other == name)
            .map(|(_, value)| value.to_string())
    };
    assert_eq!(header("Location").as_deref(), Some("/whip/r/cam/token"));
    assert_eq!(header("ETag").as_deref(), Some("\"token\""));
    assert_eq!(header("Content-Type").as_deref(), Some("application/sdp"));
    assert_eq!(header("Access-Control-Allow-Origin").as_deref(), Some("*"));

    let live = News::Live { media: MediaId(0) };
    assert!(!resource.handle_news(&live));
    let ended = News::Ended {
        media: MediaId(0),
        reason: EndReason::Closed,
    };
    assert!(resource.handle_news(&ended));
}

#[test]
fn a_player_watches_without_joining() {
    let (_, step) = Resource::new(offer("/whep/r/cam"), "token".to_owned());
    let Step::Ask(_, Request::Watch { room, name, .. }) = step else {
        panic!("{step:?}");
    };
    assert_eq!((room.as_str(), name.as_str()), ("r", "cam"));
}

#[test]
fn a_refusal_is_a_status_and_a_sentence() {
    for (error, status) in [
        (RequestError::PublicationNameInUse, 409),
        (RequestError::NoSuchPublication, 404),
        (RequestError::BadOffer("no".to_owned()), 400),
        (RequestError::NoCommonCodecs, 406),
        (RequestError::Busy, 503),
    ] {
        let (mut resource, _) = Resource::new(offer("/whep/r/cam"), "token".to_owned());
        let sentence = format!("{error}.\n");
        let Step::Refused(response) = resource.handle_reply(Err(error)) else {
            panic!("{status}");
        };
        assert_eq!(response.status, status);
        assert_eq!(String::from_utf8_lossy(&response.body), sentence);
        let retry = response
            .headers
            .iter()
            .any(|(name, _)| *name == "Retry-After");
        assert_eq!(retry, status == 503);
    }
}

#[test]
fn what_is_no_offer_is_refused_in_words() {
    let big = format!("Content-Length: {}\r\n", 64 * 1024 + 1);
    let with = |fields: &str| format!("POST /whip/r/a HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
    let sdp = "Content-Type: application/sdp\r\n";
    for (request, expected) in [
        (with(sdp), 411),
        (with(&format!("{sdp}Transfer-Encoding: chunked\r\n")), 411),
        (with(&format!("{sdp}{big}")), 413),
        (
            with(&format!("{sdp}Content-Length: 99999999999999999999999\r\n")),
            413,
        ),
        (with(&format!("{sdp}Content-Length: -1\r\n")), 400),
        (
            with(&format!("{sdp}Content-Length: 3\r\nContent-Length: 4\r\n")),
            400,
        ),
        (
            with(&format!("{sdp}Content-Length: 3\r\nExpect: 200-ok\r\n")),
            417,
        ),
        (
            with("Content-Type: text/plain\r\nContent-Length: 3\r\n"),
            415,
        ),
        (with("Content-Length: 3\r\n"), 415),
        ("GET /whip/r/a HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 405),
        (
            "PATCH /whip/r/a/token HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            501,
        ),
        (
            "PATCH /whip/r/a HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            405,
        ),
        (
            "DELETE /whip/r/a HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            405,
        ),
        (post("/whip/r", "", "v=0"), 404),
        (post("/whip/r/a/token/b", "", "v=0"), 404),
        (post("/whip/r/a/token", "", "v=0"), 405),
        (post("/whip//a", "", "v=0"), 400),
        (post("/whep/r/%20", "", "v=0"), 400),
        (post("/other/r/a", "", "v=0"), 405),
    ] {
        let (status, response) = status(&request);
        assert_eq!(status, expected, "{request}");
        let body = response.split("\r\n\r\n").nth(1).unwrap();
        assert!(
            body.ends_with('\n') && body.contains(' '),
            "a sentence: {response}"
        );
    }
}

#[test]
fn who_waits_to_be_told_to_send_is_told_to() {
    let mut world = World::new();
    let client = world.accept();
    let request = post("/whip/r/a", "Expect: 100-continue\r\n", "v=0");
    let (head, offer) = request.split_at(request.len() - 3);
    world.send(client, head.as_bytes());
    let go = "HTTP/1.1 100 Continue\r\n\r\n";
    assert_eq!(world.client(client).responses, go);
    world.send(client, offer.as_bytes());
    let answer = world.client(client).responses.clone();
    let answer = answer.strip_prefix(go).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(world.exchanges.len(), 1);

    // Who does not wait is not told, nor is who is refused.
    let (_, response) = ask(&request, usize::MAX);
    assert!(!response.contains("100 Continue"), "{response}");
    let (_, response) = ask(&head.replace("/sdp", "/xml"), usize::MAX);
    assert!(response.starts_with("HTTP/1.1 415 "), "{response}");
}

#[test]
fn an_offer_that_does_not_come_is_waited_for_ten_seconds() {
    let mut world = World::new();
    let client = world.accept();
    let request = post("/whip/r/a", "", "v=0");
    world.send(client, &request.as_bytes()[..request.len() - 1]);
    world.pass(Duration::from_secs(9));
    assert_eq!(world.client(client).responses, "");
    world.pass(Duration::from_secs(2));
    let responses = &world.client(client).responses;
    assert!(responses.starts_with("HTTP/1.1 408 "), "{responses}");
    assert!(world.exchanges.is_empty());
}

#[test]
fn a_connection_is_kept_for_the_delete_and_bytes_beyond_an_offer_end_it() {
    let mut world = World::new();
    let client = world.accept();
    world.send(client, post("/whip/r/a", "", "v=0").as_bytes());
    world.send(
        client,
        b"DELETE /whip/r/a/token HTTP/1.1\r\nHost: x\r\n\r\n",
    );
    let token = "token".to_owned();
    assert_eq!(world.exchanges[1], whip::Request::Delete { token });
    assert!(!world.is_finished(client));

    let (mut world, response) = ask(&(post("/whip/r/a", "", "v=0") + "GET / "), usize::MAX);
    assert_eq!(world.exchanges.len(), 1);
    assert!(response.contains("Connection: close\r\n"), "{response}");
    let mut again = world.accept();
    world.send(
        again,
        b"OPTIONS /whip/r/a HTTP/1.1\r\nHost: x\r\nOrigin: http://y\r\n\r\n",
    );
    let preflight = world.client(again).responses.clone();
    assert!(preflight.starts_with("HTTP/1.1 200 "), "{preflight}");
    for line in [
        "Access-Control-Allow-Origin: *",
        "Access-Control-Allow-Methods: POST, OPTIONS",
        "Access-Control-Allow-Headers: Authorization, Content-Type, If-Match",
        "Accept-Post: application/sdp",
    ] {
        assert!(preflight.contains(line), "{preflight}");
    }
    again = world.accept();
    world.send(again, b"OPTIONS /whep/r/a/t HTTP/1.1\r\nHost: x\r\n\r\n");
    let preflight = world.client(again).responses.clone();
    assert!(
        preflight.contains("Allow: DELETE, OPTIONS\r\n"),
        "{preflight}"
    );
}
