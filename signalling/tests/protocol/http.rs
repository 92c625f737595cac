//! HTTP: pages, refusals, and the door to WebSocket.

use std::time::Duration;

use crate::bytes;
use crate::world::World;

/// The answer to bytes on a new connection.
fn ask(request: &str) -> (World, String) {
    let mut world = World::new();
    let client = world.accept();
    world.send(client, request.as_bytes());
    let responses = world.client(client).responses.clone();
    (world, responses)
}

fn status(request: &str) -> u16 {
    let (_, response) = ask(request);
    let status = response
        .strip_prefix("HTTP/1.1 ")
        .map(|rest| rest[..3].parse().unwrap());
    status.unwrap_or_else(|| panic!("no answer to {request:?}"))
}

fn get(fields: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n")
}

#[test]
fn a_page_is_asked_for_and_served() {
    let (world, response) =
        ask("GET /a%20b?q HTTP/1.1\r\nHost: x\r\nIf-None-Match: \"etag\"\r\n\r\n");
    assert_eq!(world.pages[0].path, "/a b");
    assert_eq!(world.pages[0].if_none_match.as_deref(), Some("\"etag\""));
    assert_eq!(
        response,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 9\r\n\r\npage /a b"
    );
}

#[test]
fn head_gets_the_length_without_the_content() {
    let (_, response) = ask("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(response.contains("Content-Length: 6\r\n"), "{response}");
    assert!(response.ends_with("\r\n\r\n"), "{response}");
    let (_, response) = ask("HEAD /.. HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(response.starts_with("HTTP/1.1 400 "), "{response}");
    assert!(response.ends_with("\r\n\r\n"), "{response}");
}

#[test]
fn a_connection_is_kept_for_the_next_page() {
    let mut world = World::new();
    let client = world.accept();
    for _ in 0..3 {
        world.send(client, get("").as_bytes());
        world.pass(Duration::from_secs(20));
    }
    assert_eq!(world.pages.len(), 3);
    assert!(!world.is_finished(client));
    world.pass(Duration::from_secs(10));
    assert!(world.is_finished(client));
    assert_eq!(world.counters(client).timeouts, 0);
}

#[test]
fn a_connection_is_closed_when_the_client_wants_it() {
    for request in [
        get("Connection: close\r\n"),
        "GET / HTTP/1.0\r\n\r\n".to_owned(),
        "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".to_owned(),
    ] {
        let mut world = World::new();
        let client = world.accept();
        world.send(client, request.as_bytes());
        assert!(
            world
                .client(client)
                .responses
                .contains("Connection: close\r\n"),
            "{request:?}"
        );
        assert!(world.is_finished(client), "{request:?}");
    }
}

#[test]
fn what_is_sent_before_the_answer_is_not_answered() {
    let (world, response) = ask(&(get("") + &get("")));
    assert_eq!(world.pages.len(), 1);
    assert!(response.contains("Connection: close\r\n"), "{response}");
    assert_eq!(response.matches("HTTP/1.1").count(), 1, "{response}");
}

#[test]
fn a_client_that_has_hung_up_half_still_gets_its_page() {
    let mut world = World::new();
    let client = world.accept();
    world.stop_reading(client);
    world.send(client, get("").as_bytes());
    world.hang_up(client);
    assert!(world.is_finished(client));
    world.read_some(client, usize::MAX);
    world.read_some(client, usize::MAX);
    assert!(world.client(client).responses.ends_with("page /"));
}

#[test]
fn requests_are_refused_with_their_status() {
    for (request, expected) in [
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc".to_owned(),
            405,
        ),
        ("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 405),
        (
            "GET /../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            400,
        ),
        ("GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
        (get("Host: y\r\n"), 400),
        (get("Content-Length: 0\r\n"), 200),
        (get("Content-Length: 5\r\n") + "hello", 413),
        (get("Content-Length: 5\r\nContent-Length: 0\r\n"), 400),
        (get("Content-Length: 0\r\nContent-Length: 0\r\n"), 400),
        (get("Content-Length: -1\r\n"), 400),
        (get("Content-Length: 0x0\r\n"), 400),
        (get("Transfer-Encoding: chunked\r\n"), 400),
        (
            get("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n"),
            400,
        ),
        (get("Expect: 100-continue\r\n"), 417),
        (get("a b: c\r\n"), 400),
        (get("a : c\r\n"), 400),
        (get("a: b\r\n folded\r\n"), 400),
        (get("a: b\nc: d\r\n"), 400),
        (
            "GET / HTTP/1.1\nHost: x\n\nGET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            400,
        ),
        ("GET / HTTP/2.0\r\n\r\n".to_owned(), 505),
        ("GET  / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 400),
        ("\u{16}\u{3}\u{1}".to_owned(), 400),
        (get(&"a: b\r\n".repeat(64)), 431),
        (get(&format!("a: {}\r\n", "b".repeat(16 * 1024))), 431),
        ("x".repeat(16 * 1024), 431),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 200),
        ("GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), 200),
    ] {
        assert_eq!(status(&request), expected, "{request:?}");
    }
}

#[test]
fn a_refusal_says_what_is_allowed_and_closes_soon() {
    let mut world = World::new();
    let client = world.accept();
    world.send(
        client,
        b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n\r\n",
    );
    let response = &world.client(client).responses;
    assert!(response.contains("\r\nAllow: GET, HEAD\r\n"), "{response}");
    assert!(response.contains("\r\nConnection: close\r\n"), "{response}");
    assert!(!world.is_finished(client));
    world.send(client, &[b'x'; 100_000]);
    world.pass(Duration::from_secs(2));
    assert!(world.is_finished(client));
    assert_eq!(world.counters(client).http_refused, 1);
}

#[test]
fn a_head_that_does_not_arrive_is_refused_in_time() {
    let mut world = World::new();
    let client = world.accept();
    for byte in get("a: a very long request").bytes().take(9) {
        world.send(client, &[byte]);
        world.pass(Duration::from_secs(1));
    }
    assert_eq!(world.client(client).responses, "");
    world.pass(Duration::from_secs(1));
    assert!(world.client(client).responses.starts_with("HTTP/1.1 408 "));
    assert_eq!(world.counters(client).timeouts, 1);
    world.pass(Duration::from_secs(2));
    assert!(world.is_finished(client));
    let silent = world.accept();
    world.pass(Duration::from_secs(12));
    assert!(world.is_finished(silent));
}

#[test]
fn a_page_that_nobody_reads_is_given_up() {
    let mut world = World::new();
    let client = world.accept();
    world.stop_reading(client);
    world.send(client, get("").as_bytes());
    world.pass(Duration::from_secs(10));
    world.read_some(client, 5);
    world.pass(Duration::from_secs(14));
    assert!(!world.is_finished(client));
    world.pass(Duration::from_secs(1));
    assert!(world.is_finished(client));
    assert_eq!(world.egress(client), 0);
    assert_eq!(world.counters(client).not_reading, 1);
}

#[test]
fn a_websocket_is_opened_on_any_path() {
    for path in ["/", "/some/path?x=1", "/..", "*"] {
        let (_, response) = ask(&bytes::upgrade(path));
        assert_eq!(
            response,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        );
    }
}

#[test]
fn a_websocket_handshake_is_checked() {
    let upgrade = bytes::upgrade("/");
    let altered = |from: &str, to: &str| status(&upgrade.replace(from, to));
    assert_eq!(altered("Version: 13", "Version: 8"), 426);
    assert_eq!(altered("Sec-WebSocket-Version: 13\r\n", ""), 426);
    assert_eq!(
        altered("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j"),
        400
    );
    assert_eq!(altered("dGhlIHNhbXBsZSBub25jZQ==", "!"), 400);
    assert_eq!(
        altered("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", ""),
        400
    );
    assert_eq!(altered("Host: example.org\r\n", ""), 400);
    assert_eq!(altered("Upgrade: websocket", "Upgrade: h2c"), 200);
    assert_eq!(altered("keep-alive, Upgrade", "keep-alive"), 200);
    assert_eq!(altered("keep-alive, Upgrade", "UPGRADE"), 101);
    assert_eq!(altered("GET", "POST"), 405);
    let (_, response) = ask(&upgrade.replace("Version: 13", "Version: 8"));
    assert!(
        response.contains("\r\nSec-WebSocket-Version: 13\r\n"),
        "{response}"
    );
}
