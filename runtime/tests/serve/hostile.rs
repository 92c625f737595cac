//! Clients that are up to no good, or slow.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use parlor::limits::PROBE_AFTER;

use crate::client::{Client, connect, frame};
use crate::server::start;

#[test]
fn who_never_finishes_a_request_or_handshake_is_closed() {
    let server = start(|_| {});
    let (plain, tls) = (server.plain, server.tls);
    let began = Instant::now();
    let slow_head = thread::spawn(move || {
        let mut client = Client::plain(plain);
        client.write(b"GET / HTTP/1.1\r\nX-Slow: ").unwrap();
        client.response().status
    });
    let silent = thread::spawn(move || connect(plain).read(&mut [0; 512]).is_ok());
    let slow_handshake = thread::spawn(move || {
        let mut stream = connect(tls);
        // A TLS record of which the rest never comes.
        stream.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
        // An alert may come before the end.
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    });
    let silent_handshake = thread::spawn(move || {
        let _ = connect(tls).read_to_end(&mut Vec::new());
    });
    assert_eq!(slow_head.join().unwrap(), 408);
    assert!(silent.join().unwrap());
    slow_handshake.join().unwrap();
    silent_handshake.join().unwrap();
    let took = began.elapsed();
    assert!((9..15).contains(&took.as_secs()), "{took:?}");
    server.wait_for_metric("parlor_connections", |count| count == 1);
}

#[test]
fn who_never_reads_is_closed_and_others_are_served() {
    let server = start(|_| {});
    let mut deaf = Client::plain(server.plain);
    deaf.upgrade();
    let pings = frame(9, &[7; 125]).repeat(1000);
    let began = Instant::now();
    // Each ping wants an answer that is not read; the system's buffers take some MB of them.
    let ended = (0..1000).find(|_| deaf.write(&pings).is_err());
    assert!(ended.is_some(), "took {:?}", began.elapsed());
    assert_eq!(Client::plain(server.plain).get("/healthz").status, 200);
    assert_eq!(server.metric("parlor_signalling_not_reading_total"), 1);
}

#[test]
fn more_connections_than_allowed_are_told_so() {
    let server = start(|settings| settings.max_connections = 3);
    let kept: Vec<_> = (0..3)
        .map(|_| {
            let mut client = Client::plain(server.plain);
            client.upgrade();
            client
        })
        .collect();
    let mut over = Client::plain(server.plain);
    assert_eq!(over.get("/healthz").status, 503);
    assert_eq!(over.rest().unwrap(), "");
    let refused = connect(server.tls).read(&mut [0; 16]);
    assert!(matches!(refused, Ok(0) | Err(_)), "{refused:?}");
    drop(kept);
    server_has_room_again(&server);
    assert!(server.metric("parlor_turned_away_total") >= 2);
}

fn server_has_room_again(server: &crate::server::Running) {
    for _ in 0..100 {
        let mut client = Client::plain(server.plain);
        if client.get("/healthz").status == 200 {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("no room for new connections");
}

/// The timer of the system that runs for a connection of this process, and when it is due: 2 is the
/// one that asks whether the other end is still there.
#[cfg(target_os = "linux")]
fn timer(server: SocketAddr, client: SocketAddr) -> Option<(u8, Duration)> {
    let hex = |address: SocketAddr| format!(":{:04X}", address.port());
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let ends = fields[1].ends_with(&hex(server)) && fields[2].ends_with(&hex(client));
        let (kind, due) = fields[5].split_once(':').filter(|_| ends)?;
        let hundredths = u64::from_str_radix(due, 16).unwrap();
        Some((
            kind.parse().unwrap(),
            Duration::from_millis(hundredths * 10),
        ))
    })
}

#[test]
#[cfg(target_os = "linux")]
fn whoever_vanishes_without_a_word_is_noticed_by_the_system() {
    let server = start(|_| {});
    for address in [server.plain, server.tls, server.rtmp] {
        let client = connect(address);
        let local = client.local_addr().unwrap();
        let watched = (0..100).any(|_| {
            thread::sleep(Duration::from_millis(10));
            timer(address, local).is_some_and(|(kind, due)| kind == 2 && due <= PROBE_AFTER)
        });
        assert!(watched, "{:?}", timer(address, local));
    }
}

#[test]
fn plain_http_on_the_tls_port_is_told_so() {
    let server = start(|_| {});
    let mut client = Client::plain(server.tls);
    let response = client.get("/");
    assert_eq!(response.status, 400);
    assert!(response.body.contains("https://"), "{}", response.body);
    assert_eq!(client.rest().unwrap(), "");
    assert_eq!(server.metric("parlor_not_tls_total"), 1);
}

#[test]
fn broken_tls_is_closed_at_once() {
    let server = start(|_| {});
    let mut stream = connect(server.tls);
    stream.write_all(&[22, 3, 1, 0, 4, 1, 2, 3, 4]).unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
    server.wait_for_metric("parlor_connections", |count| count == 1);
    assert_eq!(server.metric("parlor_tls_errors_total"), 1);
}
