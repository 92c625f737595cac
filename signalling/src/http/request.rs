//! Reads the head of a request.

use parlor_core::limits::OFFER_BYTES;

use crate::http::target;
use crate::limits::HEAD_FIELDS;
use crate::websocket;
use crate::whip::{self, Endpoint, Method};

/// A request that is understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) asked: Asked,
    pub(super) keep_alive: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Open a WebSocket.
    WebSocket { accept: String },
    /// Publish or play by one exchange (see [`crate::whip`]). `length` bytes of content follow.
    Exchange {
        method: Method,
        length: usize,
        /// The client waits to be told to send it (RFC 9110 §10.1.1).
        awaits_go: bool,
    },
    /// Show a page.
    Page {
        path: String,
        if_none_match: Option<String>,
        head_only: bool,
    },
}

/// An error response.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) sentence: &'static str,
    pub(super) headers: &'static [(&'static str, &'static str)],
    /// The request was a `HEAD`, whose answer has no content.
    pub(super) head_only: bool,
}

impl Refusal {
    pub(super) fn new(status: u16, sentence: &'static str) -> Self {
        Self {
            status,
            sentence,
            headers: &[],
            head_only: false,
        }
    }
}

/// Reads a head that ends with an empty line.
pub(super) fn parse(head: &[u8]) -> Result<Request, Refusal> {
    // `httparse` takes a bare LF for the end of a line; a head that means one thing to it and
    // another to a proxy is how requests are smuggled.
    let is_bare = |at: usize| head[at] == b'\n' && (at == 0 || head[at - 1] != b'\r');
    if (0..head.len()).any(is_bare) {
        return Err(Refusal::new(400, "Lines must end with CR LF"));
    }
    let mut fields = [httparse::EMPTY_HEADER; HEAD_FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    match parsed.parse(head) {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        Ok(_) => return Err(Refusal::new(400, "The request was not understood")),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Refusal::new(431, "The request has too many header fields"));
        }
        Err(httparse::Error::Version) => {
            return Err(Refusal::new(505, "This server speaks HTTP/1.1"));
        }
        Err(_) => return Err(Refusal::new(400, "The request was not understood")),
    }
    let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version)
    else {
        return Err(Refusal::new(400, "The request was not understood"));
    };
    let fields = Fields(parsed.headers);
    let head_only = method == "HEAD";
    read(method, target, version, &fields).map_err(|refusal| Refusal {
        head_only,
        ..refusal
    })
}

fn read(method: &str, target: &str, version: u8, fields: &Fields<'_>) -> Result<Request, Refusal> {
    if let Some(endpoint) = whip::endpoint(target) {
        let endpoint =
            endpoint.ok_or_else(|| Refusal::new(404, "Such a path is /whip/<room>/<name>"))?;
        return read_exchange(method, version, endpoint, fields);
    }
    if !matches!(method, "GET" | "HEAD") {
        let refusal = Refusal::new(405, "Only GET and HEAD are understood");
        return Err(Refusal {
            headers: &[("Allow", "GET, HEAD")],
            ..refusal
        });
    }
    let hosts = fields.all("Host").count();
    if hosts > 1 || (hosts == 0 && version == 1) {
        return Err(Refusal::new(400, "A request names one Host"));
    }
    check_body(fields)?;
    let wants_upgrade = version == 1
        && fields.has_token("Connection", "upgrade")
        && fields.has_token("Upgrade", "websocket");
    if wants_upgrade && method == "GET" {
        let asked = Asked::WebSocket {
            accept: check_upgrade(fields)?,
        };
        return Ok(Request {
            asked,
            keep_alive: true,
        });
    }
    let path = target::path(target).ok_or_else(|| Refusal::new(400, "There is no such path"))?;
    let if_none_match = fields.text("If-None-Match").map(str::to_owned);
    let asked = Asked::Page {
        path,
        if_none_match,
        head_only: method == "HEAD",
    };
    Ok(Request {
        asked,
        keep_alive: version == 1 && !fields.has_token("Connection", "close"),
    })
}

/// Reads a request of WHIP or WHEP.
fn read_exchange(
    method: &str,
    version: u8,
    endpoint: Endpoint,
    fields: &Fields<'_>,
) -> Result<Request, Refusal> {
    let hosts = fields.all("Host").count();
    if hosts > 1 || (hosts == 0 && version == 1) {
        return Err(Refusal::new(400, "A request names one Host"));
    }
    let allowed = match endpoint.token {
        Some(_) => "DELETE, OPTIONS",
        None => "POST, OPTIONS",
    };
    let mut awaits_go = false;
    let (method, length) = match (method, &endpoint.token) {
        ("POST", None) => {
            awaits_go = version == 1 && fields.all("Expect").next().is_some();
            let length = content_length(fields)?;
            let kind = fields.text("Content-Type").unwrap_or_default();
            let kind = kind.split(';').next().unwrap_or_default().trim();
            if !kind.eq_ignore_ascii_case("application/sdp") {
                return Err(Refusal::new(415, "The Content-Type is application/sdp"));
            }
            (Method::Post(endpoint), length)
        }
        ("DELETE", Some(_)) => {
            check_body(fields)?;
            (Method::Delete(endpoint), 0)
        }
        ("OPTIONS", _) => {
            check_body(fields)?;
            (Method::Options { allowed }, 0)
        }
        // A stream that is never changed says so (RFC 9725 §4.3.1).
        ("PATCH", Some(_)) => {
            let sentence = "There is nothing to trickle here, and no ICE restart";
            let refusal = Refusal::new(501, sentence);
            let headers = &[("Allow", "DELETE, OPTIONS")];
            return Err(Refusal { headers, ..refusal });
        }
        (_, _) => {
            let sentence = "POST an offer here, or DELETE what its Location names";
            let refusal = Refusal::new(405, sentence);
            let headers: &[_] = match endpoint.token {
                Some(_) => &[("Allow", "DELETE, OPTIONS")],
                None => &[("Allow", "POST, OPTIONS")],
            };
            return Err(Refusal { headers, ..refusal });
        }
    };
    Ok(Request {
        asked: Asked::Exchange {
            method,
            length,
            awaits_go,
        },
        keep_alive: version == 1 && !fields.has_token("Connection", "close"),
    })
}

/// The length of an offer.
fn content_length(fields: &Fields<'_>) -> Result<usize, Refusal> {
    let is_go = |value: &[u8]| value.eq_ignore_ascii_case(b"100-continue");
    if !fields.all("Expect").all(is_go) {
        return Err(Refusal::new(417, "Only 100-continue is to be expected"));
    }
    if fields.all("Transfer-Encoding").next().is_some() {
        return Err(Refusal::new(411, "Send the offer with its Content-Length"));
    }
    let mut lengths = fields.all("Content-Length");
    let (length, None) = (lengths.next(), lengths.next()) else {
        return Err(Refusal::new(400, "The Content-Length was not understood"));
    };
    let Some(length) = length else {
        return Err(Refusal::new(411, "Send the offer with its Content-Length"));
    };
    let digits = std::str::from_utf8(length)
        .ok()
        .filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
    let Some(digits) = digits else {
        return Err(Refusal::new(400, "The Content-Length was not understood"));
    };
    match digits.parse() {
        Ok(length) if length <= OFFER_BYTES => Ok(length),
        // A number that is too large for any offer, whatever it is.
        Ok(_) | Err(_) => Err(Refusal::new(413, "An offer has at most 64 KiB")),
    }
}

/// A request for a page has no content: nothing after the head is ever taken for some.
fn check_body(fields: &Fields<'_>) -> Result<(), Refusal> {
    if fields.all("Expect").next().is_some() {
        return Err(Refusal::new(417, "Nothing is to be expected"));
    }
    if fields.all("Transfer-Encoding").next().is_some() {
        return Err(Refusal::new(400, "A request for a page has no content"));
    }
    let mut lengths = fields.all("Content-Length");
    match (lengths.next(), lengths.next()) {
        (None | Some(b"0"), None) => Ok(()),
        (Some(length), None) if !length.is_empty() && length.iter().all(u8::is_ascii_digit) => {
            Err(Refusal::new(413, "A request for a page has no content"))
        }
        (_, _) => Err(Refusal::new(400, "The Content-Length was not understood")),
    }
}

/// Checks the handshake (RFC 6455 §4.2.1); gives the `Sec-WebSocket-Accept`.
fn check_upgrade(fields: &Fields<'_>) -> Result<String, Refusal> {
    if !fields.all("Sec-WebSocket-Version").eq([b"13"]) {
        let refusal = Refusal::new(426, "This server speaks version 13 of WebSocket");
        let headers = &[("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")];
        return Err(Refusal { headers, ..refusal });
    }
    let mut keys = fields.all("Sec-WebSocket-Key");
    match (keys.next().and_then(websocket::accept), keys.next()) {
        (Some(accept), None) => Ok(accept),
        (_, _) => Err(Refusal::new(
            400,
            "The Sec-WebSocket-Key has 16 bytes in base64",
        )),
    }
}

struct Fields<'a>(&'a [httparse::Header<'a>]);

impl<'a> Fields<'a> {
    /// The values of all fields with this name.
    fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let fields = self
            .0
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name));
        fields.map(|field| field.value.trim_ascii())
    }

    /// The first value, if it is text.
    fn text(&self, name: &str) -> Option<&'a str> {
        std::str::from_utf8(self.all(name).next()?).ok()
    }

    /// Whether a comma-separated list holds `token`, in any case.
    fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name)
            .flat_map(|value| value.split(|byte| *byte == b','))
            .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    }
}
