//! Whatever comes in: no panic, bounded output, and no difference made by how it is cut.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use parlor_core::{ClientId, Reply, RequestError};
use parlor_signalling::{Action, Config, Connection, Counters, PageResponse, limits};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::bytes::{self, CLOSE, PING, PONG, TEXT};

/// All that a connection did with its input.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    egress: Vec<u8>,
    actions: Vec<String>,
    counters: Counters,
    finished: bool,
}

/// Feeds pieces to a connection. Actions are taken from it at once and answered at the end, so
/// that what comes back does not depend on the cuts.
fn run(now: Instant, pieces: &[&[u8]]) -> Outcome {
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let mut connection = Connection::new(&Config::default(), ClientId(1), peer, now);
    let mut outcome = Outcome::default();
    let mut actions = Vec::new();
    for piece in pieces {
        connection.handle_bytes(now, piece);
        while let Some(action) = connection.poll_action() {
            outcome.actions.push(format!("{action:?}"));
            actions.push(action);
        }
        drain(now, &mut connection, &mut outcome);
    }
    for action in actions {
        match action {
            Action::Ask { id, .. } => {
                let reply = match id.0 % 3 {
                    0 => Ok(Reply::Done),
                    1 => Err(RequestError::Busy),
                    _ => Err(RequestError::NotInRoom),
                };
                // The model of this test knows nothing of rooms: only replies that fit any
                // request are given.
                if reply.is_err() {
                    connection.handle_reply(now, id, reply);
                }
            }
            Action::Page(_) | Action::Exchange(_) => {
                let (status, headers, body) = (200, Vec::new(), b"body"[..].into());
                connection.handle_page(
                    now,
                    PageResponse {
                        status,
                        headers,
                        body,
                    },
                );
            }
        }
        drain(now, &mut connection, &mut outcome);
    }
    for seconds in [1, 5, 60, 600] {
        connection.handle_timeout(now + Duration::from_secs(seconds));
        drain(now, &mut connection, &mut outcome);
    }
    outcome.finished = connection.is_finished();
    outcome
}

fn drain(now: Instant, connection: &mut Connection, outcome: &mut Outcome) {
    assert!(connection.egress().len() <= limits::EGRESS_BYTES + 14);
    while !connection.egress().is_empty() {
        outcome.egress.extend_from_slice(connection.egress());
        connection.advance(now, connection.egress().len());
    }
    outcome.counters += connection.take_counters();
}

/// Runs the bytes in one piece, byte by byte, and cut as told; all must be alike.
fn check(bytes: &[u8], cuts: &[usize]) -> Outcome {
    #[expect(clippy::disallowed_methods, reason = "the epoch of the test")]
    let now = Instant::now();
    let whole = run(now, &[bytes]);
    assert_eq!(run(now, &bytes.chunks(1).collect::<Vec<_>>()), whole);
    let mut pieces = Vec::new();
    let mut rest = bytes;
    for cut in cuts {
        let (piece, after) = rest.split_at(cut % (rest.len() + 1));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    assert_eq!(run(now, &pieces), whole);
    whole
}

fn http() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        Just("GET / HTTP/1.1\r\n".to_owned()),
        Just("HEAD /a/../b HTTP/1.0\r\n".to_owned()),
        Just("POST ".to_owned()),
        Just("POST /whip/r/a HTTP/1.1\r\n".to_owned()),
        Just("DELETE /whep/r/a/t HTTP/1.1\r\n".to_owned()),
        Just("Content-Type: application/sdp\r\n".to_owned()),
        Just("Host: x\r\n".to_owned()),
        Just("Content-Length: 4\r\n".to_owned()),
        Just("Transfer-Encoding: chunked\r\n".to_owned()),
        Just("Connection: Upgrade\r\nUpgrade: websocket\r\n".to_owned()),
        Just("\r\n".to_owned()),
        Just("\n".to_owned()),
        Just(bytes::upgrade("/")),
        "[ -~\r\n]{0,40}",
    ];
    prop::collection::vec(token, 0..8).prop_map(|tokens| tokens.concat().into_bytes())
}

fn websocket() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        4 => prop::sample::select(vec![TEXT, 0x01, 0x00, 0x80, PING, PONG]),
        1 => Just(CLOSE),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        Just(b"{\"message\":\"connection\",\"data\":[{}]}".to_vec()),
        Just(b"{\"message\":\"ping\",\"data\":[null]}".to_vec()),
        prop::collection::vec(any::<u8>(), 0..200),
    ];
    let frame = prop_oneof![
        8 => (first.clone(), payload).prop_map(|(first, payload)| bytes::frame(first, &payload)),
        1 => (first, any::<u64>()).prop_map(|(first, length)| bytes::header(first, length)),
        1 => prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(frame, 0..12).prop_map(|frames| frames.concat())
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec![
            "r",
            "r-alice",
            "m1",
            "data",
            "audioMuted",
            "v=0",
            "",
            "\0"
        ])
        .prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let name =
            prop::sample::select(vec!["name", "to", "text", "roomConfig", "options", "login"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.prop_map(str::to_owned), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn wcs() -> impl Strategy<Value = Vec<u8>> {
    let name = prop::sample::select(vec![
        "connection",
        "ping",
        "pong",
        "sendData",
        "publishStream",
        "playStream",
        "stopStream",
        "unPublishStream",
        "sendStreamEvent",
        "snapshot",
        "availableStream",
        "pushLogs",
        "call",
    ]);
    let field = prop::sample::select(vec![
        "mediaSessionId",
        "operationId",
        "name",
        "sdp",
        "custom",
        "type",
        "payload",
        "appKey",
    ]);
    let command = (
        prop::sample::select(vec!["join", "leave", "sendMessage"]),
        anything(),
    );
    let command = command.prop_map(|(command, options)| {
        let payload = json!({ "command": command, "options": options });
        json!({ "operationId": "o", "payload": payload })
    });
    let fields = prop::collection::btree_map(field.prop_map(str::to_owned), anything(), 0..6);
    let data = prop_oneof![
        3 => fields.prop_map(|map| Value::Object(map.into_iter().collect())),
        2 => command,
        1 => anything(),
    ];
    let message = (name, data).prop_map(|(name, data)| {
        bytes::text(&json!({ "message": name, "data": [data] }).to_string())
    });
    prop::collection::vec(message, 0..20).prop_map(|messages| {
        let hello = bytes::text("{\"message\":\"connection\",\"data\":[{}]}");
        [bytes::upgrade("/").into_bytes(), hello, messages.concat()].concat()
    })
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..2000usize, 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_taken(
        bytes in prop::collection::vec(any::<u8>(), 0..500),
        cuts in cuts(),
    ) {
        prop_assert!(check(&bytes, &cuts).finished);
    }

    #[test]
    fn anything_like_http_is_taken(bytes in http(), cuts in cuts()) {
        check(&bytes, &cuts);
    }

    #[test]
    fn anything_like_websocket_is_taken(bytes in websocket(), cuts in cuts()) {
        check(&[bytes::upgrade("/").into_bytes(), bytes].concat(), &cuts);
    }

    #[test]
    fn anything_like_wcs_is_taken(bytes in wcs(), cuts in cuts()) {
        check(&bytes, &cuts);
    }
}
