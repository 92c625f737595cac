use std::net::UdpSocket as StdSocket;

use parlor_core::Transmit;

use super::plan::{Plan, SEGMENTS};
use super::*;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn open() -> Udp {
    Udp::open(&[LOOPBACK], 0).unwrap()
}

fn player() -> StdSocket {
    let socket = StdSocket::bind((LOOPBACK, 0)).unwrap();
    let patience = Some(Duration::from_secs(5));
    socket.set_read_timeout(patience).unwrap();
    socket
}

/// Contents that tell which datagram of which player it is.
fn contents(player: usize, number: usize, length: usize) -> Vec<u8> {
    let mut contents = vec![player as u8; length];
    contents[0] = number as u8;
    contents
}

/// One picture's packets for each player, and a small one after them: packet by packet.
fn pictures(source: SocketAddr, players: &[StdSocket], lengths: &[usize]) -> Batch {
    let mut batch = Batch::new();
    for (number, length) in lengths.iter().enumerate() {
        for (player, socket) in players.iter().enumerate() {
            batch.push(Transmit {
                source,
                destination: socket.local_addr().unwrap(),
                flow: player as u32,
                cause: 0,
                contents: &contents(player, number, *length),
            });
        }
    }
    batch
}

fn assert_arrived(players: &[StdSocket], lengths: &[usize]) {
    let mut buffer = [0; 2_000];
    for (player, socket) in players.iter().enumerate() {
        for (number, length) in lengths.iter().enumerate() {
            let received = socket.recv(&mut buffer).unwrap();
            let expected = contents(player, number, *length);
            assert_eq!(buffer[..received], expected[..], "{player} {number}");
        }
    }
}

const LENGTHS: [usize; 8] = [1_100, 1_100, 1_100, 700, 60, 60, 1_100, 3];

#[test]
fn each_player_gets_its_datagrams_whole_and_in_order() {
    let mut udp = open();
    let players: Vec<_> = std::iter::repeat_with(player).take(70).collect();
    let batch = pictures(udp.candidates()[0], &players, &LENGTHS);
    udp.send(&batch);
    assert_arrived(&players, &LENGTHS);
    assert_eq!(value(&udp, "parlor_media_send_errors_total"), 0);
    #[cfg(target_os = "linux")]
    {
        let (runs, calls) = (
            "parlor_media_send_runs_total",
            "parlor_media_send_calls_total",
        );
        assert_eq!(value(&udp, runs), 3 * 70, "4, 2 and 2 together");
        assert_eq!(value(&udp, calls), 210_u64.div_ceil(MESSAGES as u64));
    }
}

#[test]
fn without_offload_they_get_the_same() {
    let mut udp = open();
    udp.departures.refuse_runs();
    let players: Vec<_> = std::iter::repeat_with(player).take(5).collect();
    let batch = pictures(udp.candidates()[0], &players, &LENGTHS);
    udp.send(&batch);
    assert_arrived(&players, &LENGTHS);
    assert_eq!(value(&udp, "parlor_media_send_runs_total"), 0);
    assert_eq!(value(&udp, "parlor_media_send_errors_total"), 0);
}

#[test]
fn systems_that_take_one_datagram_a_call_are_given_one() {
    let udp = open();
    let socket = &udp.sockets[0].udp;
    let players = [player()];
    let batch = pictures(udp.candidates()[0], &players, &[10, 10, 10]);
    let mut plan = Plan::default();
    plan.make(&batch, SEGMENTS);
    let mut sender = portable::Sender::new();
    let contents = |number| batch.get(number).unwrap().contents;
    let refused = sender
        .send(socket, contents, &plan.order, &plan.runs)
        .unwrap_err();
    assert!(portable::refuses_segments(&refused));
    plan.split(0, 1);
    for run in 0..3 {
        let sent = sender.send(socket, contents, &plan.order, &plan.runs[run..]);
        assert_eq!(sent.unwrap(), 1);
    }
    assert_arrived(&players, &[10, 10, 10]);

    players[0].send_to(b"in", udp.candidates()[0]).unwrap();
    let mut receiver = portable::Receiver::new();
    let mut tries = 0..1_000;
    while receiver.receive(socket, 64).is_err() && tries.next().is_some() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let arrived = receiver.get(0).unwrap();
    assert_eq!((arrived.contents, arrived.stride), (&b"in"[..], 2));
}

#[test]
fn an_address_without_a_way_harms_no_other() {
    let mut udp = open();
    let players = [player(), player()];
    let source = udp.candidates()[0];
    let mut batch = Batch::new();
    let unreachable: SocketAddr = "[::1]:9".parse().unwrap();
    let ways = [
        (0, players[0].local_addr().unwrap()),
        (7, unreachable),
        (1, players[1].local_addr().unwrap()),
    ];
    for number in 0..3 {
        for (flow, destination) in ways {
            batch.push(Transmit {
                source,
                destination,
                flow,
                cause: 0,
                contents: &contents(flow as usize, number, 100),
            });
        }
    }
    udp.send(&batch);
    assert_arrived(&players, &[100; 3]);
    assert_eq!(value(&udp, "parlor_media_send_errors_total"), 3);
}

#[test]
fn datagrams_that_arrive_together_are_told_apart() {
    let (mut sender, mut receiver) = (open(), open());
    let destination = receiver.candidates()[0];
    let mut batch = Batch::new();
    let lengths = [[800; 30].as_slice(), &[5]].concat();
    for (number, length) in lengths.iter().enumerate() {
        batch.push(Transmit {
            source: sender.candidates()[0],
            destination,
            flow: 0,
            cause: 0,
            contents: &contents(1, number, *length),
        });
    }
    sender.send(&batch);
    let mut arrived = Vec::new();
    let mut tries = 0..1_000;
    while arrived.len() < 31 && tries.next().is_some() {
        receiver.set_readable(Token(0));
        receiver.receive(|datagram, mut departing| {
            assert_eq!(datagram.source, sender.candidates()[0]);
            assert_eq!(datagram.destination, destination);
            arrived.push(datagram.contents.to_vec());
            // What comes of the first one leaves before the others are looked at.
            if arrived.len() == 1 {
                let mut answer = Batch::new();
                answer.push(Transmit {
                    source: destination,
                    destination: datagram.source,
                    flow: 0,
                    cause: datagram.cause,
                    contents: b"answer",
                });
                departing.send(&answer);
            }
        });
        std::thread::sleep(Duration::from_millis(1));
    }
    let expected = lengths.iter().enumerate();
    let expected: Vec<_> = expected
        .map(|(number, length)| contents(1, number, *length))
        .collect();
    assert_eq!(arrived, expected);
    #[cfg(target_os = "linux")]
    {
        let mut text = String::new();
        receiver.delays().write(&mut text, "d", "");
        assert!(text.contains("d_count 1\n"), "the system told when: {text}");
        let quick = text.contains("le=\"1\"} 1");
        assert!(quick, "it did not take a second: {text}");
    }
}

fn value(udp: &Udp, name: &str) -> u64 {
    let metric = udp.metrics().find(|metric| metric.name == name);
    metric.unwrap().value
}
