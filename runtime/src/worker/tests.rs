use std::net::{IpAddr, Ipv4Addr};
use std::thread::JoinHandle;

use parlor_core::{
    Certificate, Identity, MediaId, Place, PublicationName, RoomName, Seed, Team, VideoFormat,
};
use parlor_fuzz::{Client, Kinds};

use super::*;
use crate::link::{FrontEnd, link};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn start() -> (FrontEnd, JoinHandle<io::Result<()>>) {
    let (front, worker, _) = start_first_of(1, Config::default());
    (front, worker)
}

/// Starts the first of some workers. The ends of the others are not served by anybody.
fn start_first_of(
    workers: usize,
    config: Config,
) -> (FrontEnd, JoinHandle<io::Result<()>>, Vec<Relays>) {
    let (_, front) = wakeable_poll().unwrap();
    let (poll, waker) = wakeable_poll().unwrap();
    let mut others = relays(&vec![Arc::clone(&waker); workers]);
    let relays = others.remove(0);
    let (front_end, worker_end) = link(front, waker);
    let seed = Seed([7; 32]);
    let rooms = Rooms {
        fresh: Fresh {
            config,
            certificate: Certificate::from_seed(&seed),
            seed,
        },
        journal: None,
    };
    let udp = Udp::open(&[LOOPBACK], 0).unwrap();
    let worker = Worker::new(poll, udp, rooms, Clock::start(), worker_end, relays).unwrap();
    (front_end, std::thread::spawn(move || worker.run()), others)
}

/// Each request to play goes to another worker, which takes nothing: what waits for it is bounded,
/// and when it takes something, all of it comes.
#[test]
fn no_more_requests_are_taken_than_another_worker_has_room_for() {
    const PLAYS: u64 = 7_000;
    let team = Team {
        size: 2,
        relay_after: 0,
        ..Team::default()
    };
    let config = Config {
        team,
        ..Config::default()
    };
    let (front, worker, mut others) = start_first_of(2, config);
    let name = PublicationName::new("cam").unwrap();
    let offer = {
        let address = SocketAddr::from(([192, 0, 2, 1], 1));
        let (owner, now) = ((ClientId(2), MediaId(1)), Clock::start().now());
        Client::offer(now, 1, address, owner, Kinds::BOTH, false).1
    };
    let ask = |number: u64| {
        let (media, place) = (MediaId(number as u32), Place::Open);
        let request = match number {
            0 => Request::Ingest {
                media,
                place,
                name: name.clone(),
                audio: None,
                video: Some(VideoFormat::H264 {
                    profile_level_id: 0x42_e01f,
                }),
            },
            _ => Request::Subscribe {
                media,
                place,
                name: name.clone(),
                offer: offer.clone(),
            },
        };
        ToWorker::Ask {
            // A client has a limit of its own.
            client: ClientId(number / 100),
            id: RequestId(number),
            request,
        }
    };
    let mut asked = 0;
    let mut ask_until_full = || {
        let patience = Instant::now() + Duration::from_millis(500);
        let mut idle = patience;
        while asked <= PLAYS && Instant::now() < idle {
            match front.requests.try_send(ask(asked)) {
                Ok(()) => {
                    asked += 1;
                    idle = Instant::now() + Duration::from_millis(500);
                }
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
            front.worker.wake().unwrap();
        }
        asked
    };
    let room = limits::RELAY_QUEUE + limits::REQUESTS_PER_TURN + limits::REQUEST_QUEUE;
    let taken = ask_until_full();
    assert!(
        taken > limits::RELAY_QUEUE as u64,
        "the queue is filled: {taken}"
    );
    assert!(
        taken <= room as u64 + 1,
        "{taken} are taken, with room for {room}"
    );

    let mut told = 0;
    let patience = Instant::now() + Duration::from_secs(60);
    while told < PLAYS {
        assert!(Instant::now() < patience, "{told} of {PLAYS} have come");
        while others[0].receive().is_some() {
            told += 1;
        }
        ask_until_full();
    }
    front.requests.send(ToWorker::Stop).unwrap();
    front.worker.wake().unwrap();
    worker.join().unwrap().unwrap();
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
