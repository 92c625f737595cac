//! What a server serves.

use std::net::UdpSocket;

use crate::client::Client;
use crate::server::start;

#[test]
fn two_sessions_meet_in_a_room_with_and_without_tls() {
    let server = start(|_| {});
    let mut alice = Client::plain(server.plain);
    alice.join("alice", "r");
    let mut bob = Client::tls(server.tls, server.state.path());
    bob.join("bob", "r");
    let joined = alice.hear("JOINED");
    assert!(
        joined.contains("JOINED") && joined.contains("bob"),
        "{joined}"
    );
    server.wait_for_metric("parlor_participants", |count| count == 2);
    drop(bob);
    let left = alice.hear("LEFT");
    assert!(left.contains("bob"), "{left}");
    server.wait_for_metric("parlor_participants", |count| count == 1);
}

#[test]
fn rooms_of_all_workers_are_reached_and_left() {
    let server = start(|settings| settings.workers = 4);
    let mut clients = Vec::new();
    for room in 0..16 {
        for login in ["a", "b"] {
            let mut client = Client::plain(server.plain);
            client.join(login, &format!("room-{room}"));
            clients.push(client);
        }
    }
    server.wait_for_metric("parlor_rooms", |count| count == 16);
    drop(clients);
    server.wait_for_metric("parlor_rooms", |count| count == 0);
    server.wait_for_metric("parlor_connections", |count| count == 1);
}

#[test]
fn pages_health_and_metrics_are_served_on_one_connection() {
    let server = start(|_| {});
    for mut client in [
        Client::plain(server.plain),
        Client::tls(server.tls, server.state.path()),
    ] {
        let page = client.get("/");
        assert_eq!(page.status, 200);
        assert!(page.body.contains("<title>Parlor</title>"));
        assert!(
            page.head
                .contains("Content-Security-Policy: default-src 'self'"),
            "{}",
            page.head
        );
        assert_eq!(client.get("/healthz").body, "ok\n");
        assert!(
            client
                .get("/metrics")
                .body
                .contains("\nparlor_connections ")
        );
        assert_eq!(client.get("/nothing").status, 404);
    }
}

#[test]
fn a_web_root_is_served_and_nothing_beside_it() {
    let site = tempfile::tempdir().unwrap();
    let root = site.path().join("root");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("app.js"), "x".repeat(3_000_000)).unwrap();
    std::fs::write(site.path().join("secret"), "secret").unwrap();
    let server = start(|settings| settings.web_root = Some(root));
    let mut client = Client::tls(server.tls, server.state.path());
    assert_eq!(client.get("/app.js").body.len(), 3_000_000);
    for path in [
        "/../secret",
        "/%2e%2e/secret",
        "/..%2fsecret",
        "/%2e%2e%5csecret",
        "/app.js%00",
    ] {
        let mut client = Client::plain(server.plain);
        let response = client.get(path);
        assert!(
            [400, 404].contains(&response.status),
            "{path}: {}",
            response.status
        );
    }
}

#[test]
fn datagrams_of_nobody_are_counted() {
    let server = start(|_| {});
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    for address in &server.media {
        stranger.send_to(b"\x80 not for anyone", address).unwrap();
    }
    server.wait_for_metric("parlor_datagrams_total", |count| count == 2);
}

#[test]
fn every_address_takes_both_families() {
    let server = start(|settings| {
        settings.listen = vec!["[::]:0".parse().unwrap()];
        settings.public_ips = Vec::new();
    });
    let port = server.plain.port();
    let mut hosts = vec!["127.0.0.1"];
    // A machine may be without IPv6.
    if server.plain.is_ipv6() {
        hosts.push("[::1]");
    }
    for host in hosts {
        let mut client = Client::plain(format!("{host}:{port}").parse().unwrap());
        assert_eq!(client.get("/healthz").status, 200);
    }
    assert!(
        server
            .media
            .iter()
            .any(|address| address.ip().is_loopback())
    );
}

#[test]
fn stopping_says_goodbye_to_everyone() {
    let server = start(|_| {});
    let mut plain = Client::plain(server.plain);
    plain.join("alice", "r");
    let mut tls = Client::tls(server.tls, server.state.path());
    tls.join("bob", "other");
    server.stop();
    assert_eq!(plain.hear_close(), 1001);
    assert_eq!(tls.hear_close(), 1001);
}
