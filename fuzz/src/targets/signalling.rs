//! Bytes of TCP connections: HTTP, WebSocket, and the messages of WCS with the rooms behind them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use parlor_core::{Certificate, ClientId, Config, Request, Seed, Sfu, epoch};
use parlor_signalling::{Action, Connection, PageResponse};

use super::pieces::{Pieces, cut};

/// The mask of frames that are made here.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: example.org\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// One connection, with all that it has put out.
struct End {
    connection: Connection,
    now: Instant,
    /// What it wanted done, in order.
    actions: Vec<String>,
    egress: Vec<u8>,
    requests: Vec<(parlor_signalling::RequestId, Request)>,
    /// Pages that wait for their answers.
    pages: usize,
}

impl End {
    fn new(client: u64, now: Instant) -> Self {
        let config = parlor_signalling::Config::default();
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000));
        Self {
            connection: Connection::new(&config, ClientId(client), peer, now),
            now,
            actions: Vec::new(),
            egress: Vec::new(),
            requests: Vec::new(),
            pages: 0,
        }
    }

    fn upgraded(client: u64, now: Instant) -> Self {
        let mut end = Self::new(client, now);
        end.take(UPGRADE.as_bytes());
        assert!(end.egress.starts_with(b"HTTP/1.1 101 "));
        end.egress.clear();
        end
    }

    fn take(&mut self, bytes: &[u8]) {
        self.connection.handle_bytes(self.now, bytes);
        self.drain();
    }

    /// Takes out what there is, as the reactor does.
    fn drain(&mut self) {
        loop {
            while let Some(action) = self.connection.poll_action() {
                self.actions.push(format!("{action:?}"));
                match action {
                    Action::Ask { id, request, .. } => self.requests.push((id, request)),
                    Action::Page(_) | Action::Exchange(_) => self.pages += 1,
                }
            }
            let waiting = self.connection.egress().len();
            if waiting == 0 {
                return;
            }
            self.egress.extend_from_slice(self.connection.egress());
            self.connection.advance(self.now, waiting);
        }
    }

    /// Answers what is not for the rooms.
    fn answer(&mut self) {
        while let Some(pages) = self.pages.checked_sub(1) {
            self.pages = pages;
            self.page();
            self.drain();
        }
    }

    fn page(&mut self) {
        let response = PageResponse {
            status: 404,
            headers: vec![("Content-Type", "text/plain".into())],
            body: b"none".as_slice().into(),
        };
        self.connection.handle_page(self.now, response);
    }
}

/// Bytes of an HTTP connection: what comes of them does not depend on how they are cut, up to where
/// a client asks before it is answered: it is told to ask again, by `Connection: close`.
pub(super) fn http(bytes: &[u8]) {
    let [whole, parted] = both(bytes, |now| End::new(1, now));
    assert!(agree(&whole.actions, &parted.actions), "the cuts show");
    let plain = |end: &End| {
        let text = String::from_utf8_lossy(&end.egress).replace("Connection: close\r\n", "");
        // Who has sent the content is not told to send it.
        let text = text.replace("HTTP/1.1 100 Continue\r\n\r\n", "");
        text.into_bytes()
    };
    let (whole_text, parted_text) = (plain(&whole), plain(&parted));
    assert!(
        agree(&whole_text, &parted_text),
        "the cuts show: {}, {}",
        String::from_utf8_lossy(&whole_text),
        String::from_utf8_lossy(&parted_text)
    );
    ends(whole);
    ends(parted);
    let mut pieces = Pieces::new(bytes);
    let seed = pieces.byte();
    let mut end = End::new(1, base());
    for part in cut(pieces.rest(), seed) {
        end.take(part);
        end.answer();
    }
}

/// Bytes behind the upgrade of a WebSocket: the same holds, and what goes out is frames.
pub(super) fn websocket(bytes: &[u8]) {
    let [whole, parted] = both(bytes, |now| End::upgraded(1, now));
    assert_eq!(whole.actions, parted.actions, "the cuts show");
    assert_eq!(whole.egress, parted.egress, "the cuts show");
    frames(&ends(whole));
}

/// Whether one begins with the other.
fn agree<T: PartialEq>(one: &[T], other: &[T]) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// A connection that gets all at once, and one that gets parts, whose cuts the first byte decides.
fn both(bytes: &[u8], begin: impl Fn(Instant) -> End) -> [End; 2] {
    let now = base();
    let mut pieces = Pieces::new(bytes);
    let seed = pieces.byte();
    let bytes = pieces.rest();
    let mut whole = begin(now);
    whole.take(bytes);
    let mut parted = begin(now);
    for part in cut(bytes, seed) {
        parted.take(part);
    }
    // What comes ahead of the answer to a page is not another request: pages are answered here when
    // all has come.
    for end in [&mut whole, &mut parted] {
        end.answer();
        end.connection.handle_end(now);
        end.drain();
    }
    [whole, parted]
}

/// What is due some day is done, and then nothing is. Returns all that was sent.
fn ends(mut end: End) -> Vec<u8> {
    for _ in 0..100 {
        let Some(due) = end.connection.poll_timeout() else {
            return end.egress;
        };
        end.now = end.now.max(due);
        end.connection.handle_timeout(end.now);
        end.drain();
    }
    unreachable!("a connection that never ends: {:?}", end.actions)
}

/// Reads what a server sends: whole frames without a mask, and returns the texts.
fn frames(mut egress: &[u8]) -> Vec<&str> {
    let mut texts = Vec::new();
    while let [first, length, rest @ ..] = egress {
        let (length, rest) = match (length, rest) {
            (0..=125, rest) => (usize::from(*length), rest),
            (126, [a, b, rest @ ..]) => (usize::from(u16::from_be_bytes([*a, *b])), rest),
            (127, rest) => {
                let (length, rest) = rest.split_first_chunk::<8>().expect("a length");
                (u64::from_be_bytes(*length) as usize, rest)
            }
            _ => unreachable!("the frame of a server is not masked"),
        };
        let (payload, rest) = rest.split_at_checked(length).expect("a whole frame");
        match first {
            0x81 => texts.push(std::str::from_utf8(payload).expect("text")),
            0x88 | 0x8a => assert!(length <= 125),
            first => unreachable!("a frame of kind {first:#x}"),
        }
        egress = rest;
    }
    assert!(egress.is_empty(), "a part of a frame: {egress:?}");
    texts
}

fn frame(text: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81];
    match text.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    let masked = text.iter().zip(MASK.iter().cycle());
    frame.extend(masked.map(|(byte, mask)| byte ^ mask));
    frame
}

/// Messages of two sessions, a line each: what is sent back is messages, and when both are gone the
/// rooms are empty. A line that begins with a tab is the second session's; an empty one lets a
/// second pass.
pub(super) fn wcs(bytes: &[u8]) {
    let mut now = base();
    let mut sfu = sfu(now);
    let mut ends: BTreeMap<u64, End> = (1..=2).map(|id| (id, End::upgraded(id, now))).collect();
    let begun = [
        (
            1,
            r#"{"message":"connection","data":[{"appKey":"roomApp","custom":{"login":"a"}}]}"#,
        ),
        (
            2,
            r#"{"message":"connection","data":[{"appKey":"roomApp","custom":{"login":"b"}}]}"#,
        ),
    ];
    for (id, text) in begun {
        talk(&mut sfu, &mut ends, (now, id), text.as_bytes());
    }
    for line in bytes.split(|byte| *byte == b'\n').take(40) {
        match line {
            [] => {
                now += Duration::from_secs(1);
                pass(&mut sfu, &mut ends, now);
            }
            [b'\t', line @ ..] => talk(&mut sfu, &mut ends, (now, 2), line),
            line => talk(&mut sfu, &mut ends, (now, 1), line),
        }
        sfu.check();
    }
    for (id, end) in ends {
        for text in frames(&end.egress) {
            let message: serde_json::Value = serde_json::from_str(text).expect("JSON");
            assert!(message["message"].is_string(), "{text}");
            assert!(message["data"].is_array(), "{text}");
        }
        let gone = sfu.handle_request(now, ClientId(id), Request::Disconnect);
        gone.expect("whoever disconnects may");
    }
    sfu.check();
    let counters = sfu.counters();
    assert_eq!((counters.rooms, counters.participants), (0, 0));
    assert_eq!((counters.publications, counters.subscriptions), (0, 0));
    assert_eq!(sfu.poll_timeout(), None, "nothing is left to do");
}

fn talk(sfu: &mut Sfu, ends: &mut BTreeMap<u64, End>, (now, id): (Instant, u64), line: &[u8]) {
    if let Some(end) = ends.get_mut(&id) {
        end.now = now;
        end.take(&frame(line));
    }
    settle(sfu, ends);
}

fn pass(sfu: &mut Sfu, ends: &mut BTreeMap<u64, End>, now: Instant) {
    for end in ends.values_mut() {
        end.now = now;
        if end.connection.poll_timeout().is_some_and(|due| due <= now) {
            end.connection.handle_timeout(now);
            end.drain();
        }
    }
    sfu.handle_timeout(now);
    settle(sfu, ends);
}

/// Passes requests to the rooms, and answers and news back, until there are none.
fn settle(sfu: &mut Sfu, ends: &mut BTreeMap<u64, End>) {
    for _ in 0..1_000 {
        let asking = ends.iter_mut().find(|(_, end)| !end.requests.is_empty());
        let Some((id, end)) = asking else {
            return;
        };
        let id = ClientId(*id);
        let (request, now) = (end.requests.remove(0), end.now);
        let reply = sfu.handle_request(now, id, request.1);
        end.connection.handle_reply(now, request.0, reply);
        end.drain();
        while let Some(event) = sfu.poll_event() {
            if let Some(end) = ends.get_mut(&event.client.0) {
                end.connection.handle_news(now, event.news);
                end.drain();
            }
        }
    }
    unreachable!("requests without an end");
}

pub(super) fn base() -> Instant {
    epoch::base(Instant::now())
}

pub(super) fn sfu(now: Instant) -> Sfu {
    let seed = Seed([9; 32]);
    let config = Config {
        candidates: vec![([192, 0, 2, 1], 50_000).into()],
        ..Config::default()
    };
    Sfu::new(config, Certificate::from_seed(&seed), seed, now)
}
