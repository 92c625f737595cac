//! WebSocket frames (RFC 6455).

use std::time::Duration;

use crate::bytes::{self, BINARY, CLOSE, PING, PONG, TEXT, frame, header};
use crate::world::World;

/// The close code that frames bring about on a new WebSocket.
fn close_code(bytes: &[u8]) -> Option<u16> {
    let mut world = World::new();
    let client = world.open();
    world.send(client, bytes);
    let code = world.client(client).close_code();
    assert_eq!(
        world.counters(client).websocket_faults,
        u64::from(code.is_some())
    );
    code
}

#[test]
fn broken_frames_are_answered_with_their_close_code() {
    let cases: [(&str, Vec<u8>, u16); 17] = [
        ("not masked", b"\x81\x02hi".to_vec(), 1002),
        ("a reserved bit", frame(0xC1, b"hi"), 1002),
        ("an unknown opcode", frame(0x83, b"hi"), 1002),
        ("an unknown control opcode", frame(0x8B, b"hi"), 1002),
        ("nothing to continue", frame(0x80, b"hi"), 1002),
        (
            "a message within a message",
            [frame(0x01, b"a"), frame(TEXT, b"b")].concat(),
            1002,
        ),
        ("a control frame in fragments", frame(0x09, b"hi"), 1002),
        ("a long control frame", frame(PING, &[0; 126]), 1002),
        (
            "a length in too many bytes",
            b"\x81\xfe\x00\x7d\0\0\0\0".to_vec(),
            1002,
        ),
        (
            "a length in far too many bytes",
            b"\x81\xff\0\0\0\0\0\0\xff\xff".to_vec(),
            1002,
        ),
        ("a length of 64 bits", header(TEXT, u64::MAX), 1002),
        ("a close code of one byte", frame(CLOSE, b"\x03"), 1002),
        (
            "a close code that nobody may send",
            frame(CLOSE, &1005u16.to_be_bytes()),
            1002,
        ),
        (
            "a reason that is not text",
            frame(CLOSE, b"\x03\xe8\xff"),
            1007,
        ),
        ("binary", frame(BINARY, b"hi"), 1003),
        ("not UTF-8", frame(TEXT, b"\xc3\x28"), 1007),
        ("a character cut off", frame(TEXT, b"\xc3"), 1007),
    ];
    for (name, bytes, code) in cases {
        assert_eq!(close_code(&bytes), Some(code), "{name}");
    }
}

#[test]
fn a_message_is_too_big_by_its_header_alone() {
    let most = 256 * 1024;
    assert_eq!(close_code(&header(TEXT, most + 1)), Some(1009));
    assert_eq!(close_code(&header(TEXT, (1 << 62) + 1)), Some(1009));
    assert_eq!(close_code(&header(TEXT, most)), None);
    let begun = frame(0x01, &[b'x'; 1000]);
    assert_eq!(
        close_code(&[begun.clone(), header(0x80, most - 1000)].concat()),
        None
    );
    assert_eq!(
        close_code(&[begun, header(0x80, most - 999)].concat()),
        Some(1009)
    );
}

#[test]
fn a_message_may_come_in_fragments_with_control_frames_between() {
    let mut world = World::new();
    let alice = world.login("alice");
    let text = "{\"message\":\"pïng\",\"data\":[null]}".replace('ï', "i");
    let (first, second) = text.as_bytes().split_at(7);
    world.send(alice, &frame(0x01, first));
    world.send(alice, &frame(PING, b"between"));
    world.send(alice, &frame(0x00, b""));
    assert_eq!(world.hear(alice), [] as [serde_json::Value; 0]);
    world.send(alice, &frame(0x80, second));
    assert_eq!(world.hear_one(alice)["message"], "pong");
    assert_eq!(world.client(alice).pongs, [b"between"]);
}

#[test]
fn a_character_may_be_cut_by_fragments() {
    let mut world = World::new();
    let alice = world.login("alice");
    let text = "{\"message\":\"é\"}".as_bytes();
    let cut = text.iter().position(|byte| *byte == 0xC3).unwrap() + 1;
    world.send(alice, &frame(0x01, &text[..cut]));
    world.send(alice, &frame(0x80, &text[cut..]));
    let info = world.hear_one(alice)["data"][0]["info"].clone();
    assert_eq!(info, "This server does not understand \"é\"");
}

#[test]
fn pings_are_answered_with_their_payload() {
    let mut world = World::new();
    let client = world.open();
    world.send(client, &frame(PING, &[7; 125]));
    world.send(client, &frame(PONG, b"unasked"));
    assert_eq!(world.client(client).pongs, [[7; 125]]);
}

#[test]
fn a_close_is_echoed_and_ends_the_connection() {
    for (payload, code) in [
        (b"".to_vec(), 1005),
        (1000u16.to_be_bytes().to_vec(), 1000),
        ([&1001u16.to_be_bytes()[..], b"bye"].concat(), 1001),
        (4999u16.to_be_bytes().to_vec(), 4999),
    ] {
        let mut world = World::new();
        let client = world.open();
        world.send(client, &frame(CLOSE, &payload));
        assert_eq!(world.client(client).close_code(), Some(code));
        assert!(world.is_finished(client));
        assert_eq!(world.counters(client).websocket_faults, 0);
        world.send(client, &bytes::text("more"));
        assert_eq!(world.counters(client).messages_in, 0);
    }
}

#[test]
fn after_the_close_of_the_server_the_client_has_five_seconds() {
    let mut world = World::new();
    let (polite, rude) = (world.open(), world.open());
    for client in [polite, rude] {
        // A session that begins with something else is closed for its policy.
        world.send_text(client, "{}");
        assert_eq!(world.client(client).close_code(), Some(1008));
        world.send(client, &bytes::text("what was under way"));
        assert!(!world.is_finished(client));
    }
    world.send(polite, &frame(CLOSE, &1008u16.to_be_bytes()));
    assert!(world.is_finished(polite));
    world.pass(Duration::from_secs(4));
    assert!(!world.is_finished(rude));
    world.pass(Duration::from_secs(1));
    assert!(world.is_finished(rude));
}

#[test]
fn frames_may_follow_the_handshake_at_once() {
    let mut world = World::new();
    let client = world.accept();
    let hello = bytes::text("{\"message\":\"connection\",\"data\":[{}]}");
    world.send(client, &[bytes::upgrade("/").into_bytes(), hello].concat());
    assert_eq!(world.hear_one(client)["message"], "getUserData");
}

#[test]
fn a_server_that_stops_says_goodbye() {
    let mut world = World::new();
    let (alice, page) = (world.participant("alice"), world.accept());
    world.shut_down();
    assert_eq!(world.client(alice).close_code(), Some(1001));
    assert!(world.is_finished(alice) && world.is_finished(page));
}
