//! One publisher whose players are on two workers, on real sockets.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use parlor_core::{ClientId, MediaId, epoch};
use parlor_fuzz::{Client as Connection, Kinds};

use crate::exchanges::{location, send};
use crate::server::{Running, start};

/// A WHIP or WHEP client: its connection, and the socket of it.
struct Caller {
    connection: Connection,
    socket: UdpSocket,
    location: String,
    /// The server's address that its answer names.
    media: SocketAddr,
}

/// The clients' time: real time, from a fixed beginning.
struct Watch {
    begun: Instant,
    base: Instant,
}

impl Watch {
    fn new() -> Self {
        let begun = Instant::now();
        Self {
            begun,
            base: epoch::base(begun),
        }
    }

    fn now(&self) -> Instant {
        self.base + self.begun.elapsed()
    }
}

fn call(server: &Running, watch: &Watch, seed: u64, path: &str, sends: bool) -> Caller {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let owner = (ClientId(seed), MediaId(1));
    let address = socket.local_addr().unwrap();
    let (mut connection, offer) =
        Connection::offer(watch.now(), seed, address, owner, Kinds::BOTH, sends);
    let response = send(server, "POST", path, &offer);
    assert_eq!(response.status, 201, "{response:?}");
    connection.accept(&response.body);
    let mut lines = response.body.lines();
    let candidate = lines.find_map(|line| line.strip_prefix("a=candidate:"));
    let port = candidate.and_then(|line| line.split(' ').nth(5)).unwrap();
    Caller {
        connection,
        socket,
        location: location(&response),
        media: SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap())),
    }
}

/// Lets the clients talk with the server until `done` says so, or for much too long.
fn talk(watch: &Watch, callers: &mut [Caller], done: impl Fn(&[Caller]) -> bool) {
    let mut buffer = [0; 2048];
    while watch.begun.elapsed() < Duration::from_secs(60) {
        if done(callers) {
            return;
        }
        for caller in &mut *callers {
            let mut sent = Vec::new();
            while let Ok((length, source)) = caller.socket.recv_from(&mut buffer) {
                let datagram = &buffer[..length];
                sent.extend(
                    caller
                        .connection
                        .handle_datagram(watch.now(), source, datagram),
                );
            }
            if caller.connection.deadline() <= watch.now() {
                sent.extend(caller.connection.handle_timeout(watch.now()));
            }
            for (destination, contents) in sent {
                let _ = caller.socket.send_to(&contents, destination);
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("it takes much too long");
}

#[test]
fn players_beyond_the_threshold_get_their_media_from_the_other_worker() {
    let server = start(|settings| {
        settings.workers = 2;
        settings.relay_after = 2;
    });
    let watch = Watch::new();
    let mut callers = vec![call(&server, &watch, 1, "/whip/r/cam", true)];
    talk(&watch, &mut callers, |_| {
        server.metric("parlor_connected_peers_total") == 1
    });
    for seed in 2..8 {
        callers.push(call(&server, &watch, seed, "/whep/r/cam", false));
    }
    talk(&watch, &mut callers, |callers| {
        callers[1..].iter().all(|player| {
            let connection = &player.connection;
            connection.received(true).len() > 50 && connection.received(false).len() > 20
        })
    });
    let home = callers[0].media;
    let at_home = callers[1..].iter().filter(|player| player.media == home);
    // Two at home, two elsewhere, then in turn.
    assert_eq!(at_home.count(), 3);
    server.wait_for_metric("parlor_relays", |count| count == 1);
    server.wait_for_metric("parlor_subscriptions", |count| count == 6);
    server.wait_for_metric("parlor_relayed_packets_total", |count| count > 70);
    assert_eq!(server.metric("parlor_relay_refused_packets_total"), 0);

    // One leaves the other worker, and then the publisher all of them.
    let elsewhere = callers
        .iter()
        .position(|player| player.media != home)
        .unwrap();
    let location = callers[elsewhere].location.clone();
    assert_eq!(send(&server, "DELETE", &location, "").status, 200);
    server.wait_for_metric("parlor_subscriptions", |count| count == 5);
    assert_eq!(
        send(&server, "DELETE", &callers[0].location, "").status,
        200
    );
    for name in [
        "parlor_http_streams",
        "parlor_peers",
        "parlor_relays",
        "parlor_rooms",
    ] {
        server.wait_for_metric(name, |count| count == 0);
    }
}
