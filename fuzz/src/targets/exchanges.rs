//! WHIP and WHEP, with the rooms behind them.

use std::net::{Ipv4Addr, SocketAddr};

use parlor_core::{ClientId, Request};
use parlor_signalling::whip::{self, Resource, Step};
use parlor_signalling::{Action, Connection};

use super::pieces::Pieces;
use super::signalling::{base, sfu};

const METHODS: [&str; 4] = ["POST", "DELETE", "OPTIONS", "PATCH"];

/// Exchanges, each with a path and a content: every one is answered once, and when all of their
/// streams have ended the rooms are empty.
pub(super) fn whip(bytes: &[u8]) {
    let now = base();
    let mut sfu = sfu(now);
    let mut pieces = Pieces::new(bytes);
    let mut resources: Vec<(u64, String, Resource)> = Vec::new();
    for number in 1..=12 {
        let method = METHODS[usize::from(pieces.byte()) % METHODS.len()];
        let (path, content) = (pieces.bytes(), pieces.bytes());
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 50_000));
        let config = parlor_signalling::Config::default();
        let mut connection = Connection::new(&config, ClientId(number), peer, now);
        let length = content.len();
        let head = format!(
            " HTTP/1.1\r\nHost: a\r\nContent-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n"
        );
        for part in [method.as_bytes(), b" /", path, head.as_bytes(), content] {
            connection.handle_bytes(now, part);
        }
        while let Some(action) = connection.poll_action() {
            let response = match action {
                Action::Ask { .. } => unreachable!("this is no WebSocket"),
                Action::Page(_) => whip::deleted(false),
                Action::Exchange(whip::Request::Delete { token }) => {
                    let found = resources.iter().position(|(_, known, _)| *known == token);
                    if let Some(found) = found {
                        let (client, ..) = resources.remove(found);
                        let gone = sfu.handle_request(now, ClientId(client), Request::Disconnect);
                        gone.expect("whoever disconnects may");
                    }
                    whip::deleted(found.is_some())
                }
                Action::Exchange(whip::Request::Create(offer)) => {
                    let token = format!("t{number}");
                    let (mut resource, mut step) = Resource::new(offer, token.clone());
                    loop {
                        match step {
                            Step::Ask(_, request) => {
                                let reply = sfu.handle_request(now, ClientId(number), request);
                                step = resource.handle_reply(reply);
                            }
                            Step::Begun(response) => {
                                assert_eq!(response.status, 201);
                                resources.push((number, token, resource));
                                break response;
                            }
                            Step::Refused(response) => {
                                assert!(response.status >= 400);
                                let gone =
                                    sfu.handle_request(now, ClientId(number), Request::Disconnect);
                                gone.expect("whoever disconnects may");
                                break response;
                            }
                            Step::Wait => unreachable!("nothing is waited for"),
                        }
                    }
                }
            };
            connection.handle_page(now, response);
        }
        let egress = String::from_utf8_lossy(connection.egress());
        let answers = egress.matches("HTTP/1.1 ").count();
        // A path may hold what ends the request, and begin others.
        assert!(answers >= 1 || egress.is_empty());
        sfu.check();
    }
    for (client, ..) in resources {
        let gone = sfu.handle_request(now, ClientId(client), Request::Disconnect);
        gone.expect("whoever disconnects may");
    }
    let counters = sfu.counters();
    assert_eq!((counters.rooms, counters.peers), (0, 0));
}
