//! One HTTP exchange a connection, as WHIP and WHEP need it: bytes out, bytes in.

use httparse::{EMPTY_HEADER, Status};

/// Most bytes of an answer.
const ANSWER_BYTES: usize = 256 * 1024;
/// Most headers of an answer.
const HEADERS: usize = 64;

/// An exchange that has begun.
#[derive(Debug)]
pub(super) struct Exchange {
    out: Vec<u8>,
    written: usize,
    input: Vec<u8>,
}

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) method: &'static str,
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    pub(super) bearer: Option<&'a str>,
    /// An SDP offer.
    pub(super) body: Option<&'a str>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) location: Option<String>,
    pub(super) body: String,
}

impl Exchange {
    pub(super) fn new(ask: Ask<'_>) -> Self {
        let Ask {
            method, host, path, ..
        } = ask;
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
        if let Some(token) = ask.bearer {
            head.push_str(&format!("Authorization: Bearer {token}\r\n"));
        }
        if let Some(body) = ask.body {
            let length = body.len();
            head.push_str(&format!(
                "Content-Type: application/sdp\r\nContent-Length: {length}\r\n"
            ));
        }
        head.push_str("Connection: close\r\n\r\n");
        head.push_str(ask.body.unwrap_or_default());
        Self {
            out: head.into_bytes(),
            written: 0,
            input: Vec::new(),
        }
    }

    /// What is to be written next.
    pub(super) fn to_write(&self) -> &[u8] {
        self.out.get(self.written..).unwrap_or_default()
    }

    pub(super) fn wrote(&mut self, count: usize) {
        self.written += count;
    }

    /// Takes bytes in: the answer, as soon as it is whole.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Option<Answer>, String> {
        self.input.extend_from_slice(bytes);
        if self.input.len() > ANSWER_BYTES {
            return Err("the answer is too long".into());
        }
        self.parse(false)
    }

    /// The server has closed the connection.
    pub(super) fn end(&self) -> Result<Answer, String> {
        let answer = self.parse(true)?;
        answer.ok_or_else(|| "the server closed the connection before it answered".into())
    }

    fn parse(&self, ended: bool) -> Result<Option<Answer>, String> {
        let mut headers = [EMPTY_HEADER; HEADERS];
        let mut head = httparse::Response::new(&mut headers);
        let length = match head.parse(&self.input) {
            Ok(Status::Complete(length)) => length,
            Ok(Status::Partial) => return Ok(None),
            Err(error) => return Err(format!("the answer is no HTTP: {error}")),
        };
        let status = head.code.unwrap_or_default();
        let header = |name: &str| {
            let mut headers = head.headers.iter();
            let header = headers.find(|header| header.name.eq_ignore_ascii_case(name))?;
            std::str::from_utf8(header.value).ok()
        };
        let rest = self.input.get(length..).unwrap_or_default();
        let chunked = header("Transfer-Encoding").is_some_and(|coding| coding.contains("chunked"));
        let length = header("Content-Length").map(str::trim).map(str::parse);
        let body = match length {
            _ if chunked => unchunk(rest)?,
            Some(Ok(length)) => rest.get(..length).map(<[u8]>::to_vec),
            Some(Err(_)) => return Err("the answer's length is none".into()),
            None if matches!(status, 100..=199 | 204 | 304) => Some(Vec::new()),
            None => ended.then(|| rest.to_vec()),
        };
        Ok(body.map(|body| Answer {
            status,
            location: header("Location").map(str::to_owned),
            body: String::from_utf8_lossy(&body).into_owned(),
        }))
    }
}

/// A chunked body (RFC 9112 §7.1), once it is whole.
fn unchunk(mut bytes: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let mut body = Vec::new();
    loop {
        let (from, size) = match httparse::parse_chunk_size(bytes) {
            Ok(Status::Complete((from, size))) => (from, size),
            Ok(Status::Partial) => return Ok(None),
            Err(_) => return Err("the answer's chunks are none".into()),
        };
        if size == 0 {
            return Ok(Some(body));
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let end = from.saturating_add(size);
        let Some(chunk) = bytes.get(from..end) else {
            return Ok(None);
        };
        body.extend_from_slice(chunk);
        bytes = bytes.get(end..).unwrap_or_default();
        bytes = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
    }
}

/// The path that a `Location` names, in an answer to a request for `path`.
pub(super) fn resolve(path: &str, location: &str) -> String {
    let after_scheme = location.split_once("://").map(|(_, rest)| rest);
    if let Some(rest) = after_scheme {
        let slash = rest.find('/');
        return slash.map_or_else(|| "/".into(), |slash| rest[slash..].to_owned());
    }
    if location.starts_with('/') {
        return location.to_owned();
    }
    let folder = path.rfind('/').map_or("/", |slash| &path[..=slash]);
    format!("{folder}{location}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange() -> Exchange {
        Exchange::new(Ask {
            method: "POST",
            host: "h:1",
            path: "/whip/r/a",
            bearer: Some("t"),
            body: Some("v=0"),
        })
    }

    #[test]
    fn a_request_has_what_whip_asks_for() {
        let mut exchange = exchange();
        let text = String::from_utf8(exchange.to_write().to_vec()).unwrap();
        assert!(text.starts_with("POST /whip/r/a HTTP/1.1\r\nHost: h:1\r\n"));
        for part in ["Bearer t\r\n", "Content-Length: 3\r\n", "application/sdp"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(text.ends_with("\r\n\r\nv=0"));
        exchange.wrote(text.len());
        assert!(exchange.to_write().is_empty());
    }

    #[test]
    fn an_answer_is_whole_when_its_body_is() {
        for answer in [
            "HTTP/1.1 201 Created\r\nLocation: /x\r\nContent-Length: 4\r\n\r\nv=0\n",
            "HTTP/1.1 201 C\r\nlocation: /x\r\nTransfer-Encoding: chunked\r\n\r\n\
             3\r\nv=0\r\n1\r\n\n\r\n0\r\n\r\n",
        ] {
            let mut exchange = exchange();
            let (early, last) = answer.as_bytes().split_at(answer.len() - 5);
            assert_eq!(exchange.read(early), Ok(None));
            let whole = exchange.read(last).unwrap().unwrap();
            assert_eq!(whole.status, 201);
            assert_eq!(whole.location.as_deref(), Some("/x"));
            assert_eq!(whole.body, "v=0\n");
        }
        let mut until_close = exchange();
        assert_eq!(until_close.read(b"HTTP/1.1 404 No\r\n\r\nno"), Ok(None));
        assert_eq!(until_close.end().unwrap().body, "no");
        assert!(exchange().read(b"SSH-2.0-x\r\n\r\n").is_err());
        assert!(exchange().end().is_err());
    }

    #[test]
    fn a_location_may_be_of_three_kinds() {
        for (location, path) in [
            ("http://other:9/a/b", "/a/b"),
            ("/a/b", "/a/b"),
            ("b", "/whip/r/b"),
            ("https://other", "/"),
        ] {
            assert_eq!(resolve("/whip/r/a", location), path);
        }
    }
}
