//! WHIP and WHEP on the real server.

use std::net::SocketAddr;
use std::time::Instant;

use parlor_core::{ClientId, MediaId, epoch};
use parlor_fuzz::{Client as Player, Kinds};

use crate::client::{Client, Response};
use crate::server::{Running, start};

pub(crate) fn offer(sends: bool) -> String {
    let address = SocketAddr::from(([127, 0, 0, 1], 9));
    let owner = (ClientId(1), MediaId(1));
    let now = epoch::base(Instant::now());
    Player::offer(now, 1, address, owner, Kinds::BOTH, sends).1
}

pub(crate) fn send(server: &Running, method: &str, path: &str, body: &str) -> Response {
    send_on(Client::plain(server.plain), method, path, body)
}

pub(crate) fn send_on(mut client: Client, method: &str, path: &str, body: &str) -> Response {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    client.write(request.as_bytes()).unwrap();
    client.response()
}

pub(crate) fn location(response: &Response) -> String {
    let mut lines = response.head.lines();
    let location = lines.find_map(|line| line.strip_prefix("Location: "));
    location
        .unwrap_or_else(|| panic!("{response:?}"))
        .to_owned()
}

#[test]
fn a_stream_begins_by_post_and_ends_by_delete() {
    let server = start(|settings| settings.workers = 2);
    let mut anna = Client::plain(server.plain);
    anna.join("anna", "r");
    let created = send(&server, "POST", "/whip/r/cam", &offer(true));
    assert_eq!(created.status, 201, "{created:?}");
    assert!(created.body.contains("a=candidate:"), "{}", created.body);
    let joined = anna.hear("JOINED");
    assert!(joined.contains("cam"), "{joined}");
    server.wait_for_metric("parlor_http_streams", |count| count == 1);

    let taken = send(&server, "POST", "/whip/r/cam", &offer(true));
    assert_eq!(taken.status, 409, "{taken:?}");
    assert!(taken.body.contains("already in use"), "{taken:?}");
    // By the name of the stream it can be played before it is live.
    let played = send(&server, "POST", "/whep/r/r-cam", &offer(false));
    assert_eq!(played.status, 201, "{played:?}");
    server.wait_for_metric("parlor_subscriptions", |count| count == 1);

    let wrong = format!("{}0", location(&created));
    assert_eq!(send(&server, "DELETE", &wrong, "").status, 404);
    let deleted = send(&server, "DELETE", &location(&created), "");
    assert_eq!(deleted.status, 200, "{deleted:?}");
    let left = anna.hear("LEFT");
    assert!(left.contains("cam"), "{left}");
    // The player ends with what it plays.
    server.wait_for_metric("parlor_http_streams", |count| count == 0);
    server.wait_for_metric("parlor_peers", |count| count == 0);
    assert_eq!(send(&server, "DELETE", &location(&created), "").status, 404);
}

#[test]
fn what_cannot_be_done_leaves_nothing_behind() {
    let server = start(|_| {});
    let missing = send(&server, "POST", "/whep/r/nobody", &offer(false));
    assert_eq!(missing.status, 404, "{missing:?}");
    let bad = send(&server, "POST", "/whip/r/cam", "this is no offer");
    assert_eq!(bad.status, 400, "{bad:?}");
    assert!(bad.body.contains("SDP offer"), "{bad:?}");
    server.wait_for_metric("parlor_rooms", |count| count == 0);
    server.wait_for_metric("parlor_http_streams", |count| count == 0);
}
