use std::net::{IpAddr, Ipv4Addr};
use std::thread::JoinHandle;

use parlor_core::{Certificate, Identity, RoomName, Seed};

use super::*;
use crate::link::{FrontEnd, link};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn start() -> (FrontEnd, JoinHandle<io::Result<()>>) {
    let (_, front) = wakeable_poll().unwrap();
    let (poll, waker) = wakeable_poll().unwrap();
    let relays = relays(&[Arc::clone(&waker)]).remove(0);
    let (front_end, worker_end) = link(front, waker);
    let seed = Seed([7; 32]);
    let rooms = Rooms {
        fresh: Fresh {
            config: Config::default(),
            certificate: Certificate::from_seed(&seed),
            seed,
        },
        journal: None,
    };
    let udp = Udp::open(&[LOOPBACK], 0).unwrap();
    let worker = Worker::new(poll, udp, rooms, Clock::start(), worker_end, relays).unwrap();
    (front_end, std::thread::spawn(move || worker.run()))
}

#[test]
fn a_front_that_is_behind_gets_everything_in_order() {
    const MEMBERS: u64 = 100;
    let (front, worker) = start();
    for client in 0..MEMBERS {
        let request = Request::Join {
            room: RoomName::new("r").unwrap(),
            identity: Identity::new(&format!("m{client}")).unwrap(),
            resume: None,
        };
        let ask = ToWorker::Ask {
            client: ClientId(client),
            id: RequestId(client),
            request,
        };
        front.requests.send(ask).unwrap();
    }
    front.worker.wake().unwrap();
    let expected = MEMBERS + MEMBERS * (MEMBERS - 1) / 2;
    assert!(
        expected > limits::NEWS_QUEUE as u64,
        "more than the queue holds"
    );
    // Long enough for the worker to fill the queue.
    std::thread::sleep(Duration::from_millis(100));

    let mut joined = 0;
    for _ in 0..expected {
        match front.news.recv_timeout(Duration::from_secs(5)).unwrap() {
            ToFront::Reply { client, reply, .. } => {
                assert_eq!(
                    client,
                    ClientId(joined),
                    "answers come in the order of requests"
                );
                let Ok(Reply::Joined { members, .. }) = reply else {
                    panic!("{reply:?}");
                };
                assert_eq!(members.len() as u64, joined);
                joined += 1;
            }
            ToFront::News { client, news } => {
                let News::Joined { identity, .. } = news else {
                    panic!("{news:?}");
                };
                assert_eq!(identity.as_str(), format!("m{}", joined - 1));
                assert!(client.0 < joined - 1);
            }
        }
    }
    assert_eq!(joined, MEMBERS);
    front.requests.send(ToWorker::Stop).unwrap();
    front.worker.wake().unwrap();
    worker.join().unwrap().unwrap();
}

#[test]
fn a_worker_whose_front_is_gone_stops() {
    let (front, worker) = start();
    let waker = Arc::clone(&front.worker);
    drop(front);
    waker.wake().unwrap();
    worker.join().unwrap().unwrap();
}

#[test]
fn an_address_of_another_machine_is_taken_in_by_one_socket_for_all() {
    let translated: IpAddr = "203.0.113.7".parse().unwrap();
    let second: IpAddr = "203.0.113.8".parse().unwrap();
    let mut udp = Udp::open(&[translated, LOOPBACK, second], 0).unwrap();
    let candidates = udp.candidates().to_vec();
    let ips: Vec<IpAddr> = candidates.iter().map(SocketAddr::ip).collect();
    assert_eq!(ips, [translated, LOOPBACK, second]);
    let ports: std::collections::BTreeSet<u16> = candidates.iter().map(SocketAddr::port).collect();
    assert_eq!(ports.len(), 1);

    let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    client
        .send_to(b"in", (LOOPBACK, candidates[0].port()))
        .unwrap();
    let mut arrived = Vec::new();
    for _ in 0..100 {
        udp.receive(|datagram, _| {
            arrived.push((datagram.destination, datagram.contents.to_vec()));
        });
        if !arrived.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
        udp.set_readable(Token(0));
    }
    assert_eq!(arrived, [(candidates[0], b"in".to_vec())]);

    let mut batch = Batch::new();
    batch.push(parlor_core::Transmit {
        source: candidates[2],
        destination: client.local_addr().unwrap(),
        flow: 0,
        cause: 0,
        contents: b"out",
    });
    udp.send(&batch);
    let mut buffer = [0; 10];
    client
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    assert_eq!(client.recv(&mut buffer).unwrap(), 3);
}

#[test]
fn every_address_of_this_machine_is_a_candidate_and_loopback_comes_last() {
    let udp = Udp::open(&[], 0).unwrap();
    let loopback: Vec<bool> = udp
        .candidates()
        .iter()
        .map(|candidate| candidate.ip().is_loopback())
        .collect();
    assert!(loopback.is_sorted(), "{:?}", udp.candidates());
    assert!(
        udp.candidates()
            .iter()
            .any(|candidate| candidate.ip() == LOOPBACK)
    );
}

#[test]
fn checks_and_reports_keep_nobody_in_a_hurry_and_all_else_does() {
    for upkeep in [[0, 1], [128, 201], [143, 206]] {
        assert!(is_upkeep(&upkeep), "{upkeep:?}");
    }
    let (handshake, packet, marked) = ([22, 254], [128, 96], [144, 0x80 | 111]);
    for lively in [handshake, packet, marked] {
        assert!(!is_upkeep(&lively), "{lively:?}");
    }
}
