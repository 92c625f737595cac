//! Against clients that somebody else has written.

use std::time::{Duration, Instant};

use crate::world::World;
use parlor_core::ClientId;
use parlor_rtmp::{Config, Connection};
use rml_rtmp::handshake::{Handshake, HandshakeProcessResult, PeerType};
use rml_rtmp::sessions::{
    ClientSession, ClientSessionConfig, ClientSessionEvent as Event, ClientSessionResult,
};

/// Shakes hands with a signed hello, and connects.
#[test]
#[expect(clippy::disallowed_methods, reason = "the epoch of the test")]
fn a_client_that_signs_its_handshake_connects() {
    let now = Instant::now();
    let mut server = Connection::new(&Config::default(), ClientId(1), now);
    let mut handshake = Handshake::new(PeerType::Client);
    server.handle_bytes(now, &handshake.generate_outbound_p0_and_p1().unwrap());
    let answer = take(&mut server, now);
    let HandshakeProcessResult::Completed { response_bytes, .. } =
        handshake.process_bytes(&answer).unwrap()
    else {
        panic!("the handshake is done");
    };
    server.handle_bytes(now, &response_bytes);

    let (mut client, results) = ClientSession::new(ClientSessionConfig::new()).unwrap();
    let mut events = Vec::new();
    let request = client.request_connection("stage".to_owned()).unwrap();
    let mut results: Vec<_> = results.into_iter().chain([request]).collect();
    while !results.is_empty() {
        for result in std::mem::take(&mut results) {
            match result {
                ClientSessionResult::OutboundResponse(packet) => {
                    server.handle_bytes(now, &packet.bytes);
                }
                ClientSessionResult::RaisedEvent(event) => events.push(event),
                ClientSessionResult::UnhandleableMessageReceived(_) => {}
            }
        }
        let bytes = take(&mut server, now);
        results = client.handle_input(&bytes).unwrap();
    }
    assert!(
        events.contains(&Event::ConnectionRequestAccepted),
        "{events:?}"
    );
}

fn take(server: &mut Connection, now: Instant) -> Vec<u8> {
    let bytes = server.egress().to_vec();
    server.advance(now, bytes.len());
    bytes
}

/// Slower than OBS sends at such a size: what comes faster than it plays is a burst.
const BYTES_PER_TENTH: usize = 500;

/// Replays what was recorded of a client. Gives the rooms, what the client is told, and the most
/// that is published meanwhile.
///
/// It comes byte by byte until the client is told to begin, for which it has waited; and then in
/// pieces of `step` bytes.
fn replay(recorded: &[u8], step: usize) -> (World, String, u64) {
    let mut world = World::new(Config::default());
    let client = world.accept();
    let mut bytes = recorded.iter();
    while world.participants() == 0 {
        world.send(client, &[*bytes.next().unwrap()]);
    }
    let mut published = 0;
    for tenth in bytes.as_slice().chunks(BYTES_PER_TENTH) {
        for piece in tenth.chunks(step) {
            if !world.is_gone(client) {
                world.send(client, piece);
            }
        }
        world.run_for(Duration::from_millis(100));
        published = published.max(world.sfu.counters().publications);
    }
    world.skip_handshake(client);
    let told = world.told(client);
    (world, told, published)
}

#[test]
fn what_obs_sends_is_published_however_it_is_cut() {
    let recorded = include_bytes!("../fixtures/obs.rtmp");
    let mut whole = None;
    for step in [BYTES_PER_TENTH, 125, 1] {
        let (world, told, published) = replay(recorded, step);
        for part in ["Connect.Success", "onFCPublish", "NetStream.Publish.Start"] {
            assert!(told.contains(part), "{told}");
        }
        assert!(
            !told.contains("error") && !told.contains("warning"),
            "{told}"
        );
        assert_eq!((world.participants(), published), (1, 1));
        let packets = world.sfu.counters().ingested;
        assert!(packets > 30, "{packets} packets of pictures");
        let outcome = (told, packets);
        assert_eq!(whole.get_or_insert_with(|| outcome.clone()), &outcome);
    }
}

#[test]
fn obs_as_it_is_by_itself_is_refused_in_words() {
    let recorded = include_bytes!("../fixtures/obs-bframes.rtmp");
    let (world, told, published) = replay(recorded, BYTES_PER_TENTH);
    assert!(told.contains("NetStream.Publish.Rejected"), "{told}");
    assert!(told.contains("OBS: Settings > Output"), "{told}");
    assert_eq!((world.participants(), published), (0, 0));
}
