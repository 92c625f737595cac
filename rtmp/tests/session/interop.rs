//! Against a client that somebody else has written.

use std::time::Instant;

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
