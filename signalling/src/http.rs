//! The server's side of HTTP/1.1 (RFC 9112): pages by `GET` and `HEAD`, and the door to
//! WebSocket.
//!
//! WHIP and WHEP come with content, all other requests without.
//!
//! One request is in the works at a time. Whoever sends more before the answer is on its way is
//! told `Connection: close` and asks again: no byte is ever taken for the wrong request's.

use std::fmt::Write;
use std::time::Instant;

use crate::connection::{Action, PageRequest, PageResponse};
use crate::limits::{CONTENT_TIMEOUT, HEAD_BYTES, HEAD_TIMEOUT, IDLE_TIMEOUT};
use crate::outbox::Outbox;
use crate::whip::Method;

mod request;
pub(crate) mod target;

use request::{Asked, Refusal, Request};

/// A connection that speaks HTTP.
#[derive(Debug)]
pub(crate) struct Http {
    /// What has arrived and belongs to no request yet.
    buffer: Vec<u8>,
    /// How much of the buffer has been searched for the end of a head.
    searched: usize,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// No byte of a further request has come.
    Idle { until: Instant },
    /// The head of a request is being read.
    Head { until: Instant },
    /// The content of a request is being read.
    Content {
        method: Method,
        length: usize,
        keep: Keep,
        until: Instant,
    },
    /// The caller is making the page.
    Page { head_only: bool, keep: Keep },
    /// The page is being written.
    Writing { keep: Keep },
}

/// What becomes of the connection after a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    Open,
    Close,
}

/// What becomes of the connection after something was handled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It goes on.
    Http,
    /// It is a WebSocket now; `rest` came after the request.
    WebSocket { rest: Vec<u8> },
    /// A request was refused: what still comes is read and dropped.
    Refused,
    /// There is nothing more to say.
    Finished,
}

impl Http {
    pub(crate) fn new(now: Instant) -> Self {
        let phase = Phase::Head {
            until: now + HEAD_TIMEOUT,
        };
        Self {
            buffer: Vec::new(),
            searched: 0,
            phase,
        }
    }

    pub(crate) fn handle_bytes(&mut self, now: Instant, bytes: &[u8], out: &mut Outbox) -> Next {
        if bytes.is_empty() {
            return Next::Http;
        }
        match &mut self.phase {
            Phase::Idle { .. } => {
                self.phase = Phase::Head {
                    until: now + HEAD_TIMEOUT,
                }
            }
            Phase::Head { .. } => {}
            Phase::Content { .. } => {
                self.buffer.extend_from_slice(bytes);
                return self.read_content(out);
            }
            Phase::Page { keep, .. } | Phase::Writing { keep } => {
                *keep = Keep::Close;
                return Next::Http;
            }
        }
        self.buffer.extend_from_slice(bytes);
        self.read_head(now, out)
    }

    /// Hands an offer on once it is there.
    fn read_content(&mut self, out: &mut Outbox) -> Next {
        let Phase::Content {
            method,
            length,
            keep,
            ..
        } = &mut self.phase
        else {
            return Next::Http;
        };
        if self.buffer.len() < *length {
            return Next::Http;
        }
        let beyond = self.buffer.split_off(*length);
        let content = std::mem::take(&mut self.buffer);
        let keep = match beyond.is_empty() {
            true => *keep,
            false => Keep::Close,
        };
        let method = method.clone();
        self.phase = Phase::Page {
            head_only: false,
            keep,
        };
        out.counters.http_requests += 1;
        match method.asks(content) {
            Ok(request) => {
                out.actions.push_back(Action::Exchange(request));
                Next::Http
            }
            Err(response) => self.handle_page(response, out),
        }
    }

    fn read_head(&mut self, now: Instant, out: &mut Outbox) -> Next {
        // An empty line before a request is ignored (RFC 9112 §2.2).
        let blank = self
            .buffer
            .chunks_exact(2)
            .take_while(|pair| pair == b"\r\n")
            .count()
            * 2;
        self.buffer.drain(..blank);
        self.searched = self.searched.saturating_sub(blank);
        if self
            .buffer
            .first()
            .is_some_and(|byte| !byte.is_ascii_alphabetic() && *byte != b'\r')
        {
            return refuse(&Refusal::new(400, "This is not HTTP"), out);
        }
        let within = &self.buffer[..self.buffer.len().min(HEAD_BYTES)];
        let end = within[self.searched..]
            .windows(4)
            .position(|bytes| bytes == b"\r\n\r\n");
        let Some(end) = end.map(|at| self.searched + at + 4) else {
            self.searched = within.len().saturating_sub(3);
            if self.buffer.len() >= HEAD_BYTES {
                return refuse(&Refusal::new(431, "The request head is too big"), out);
            }
            return Next::Http;
        };
        let rest = self.buffer.split_off(end);
        let head = std::mem::take(&mut self.buffer);
        self.searched = 0;
        match request::parse(&head) {
            Ok(request) => self.on_request(now, request, rest, out),
            Err(refusal) => refuse(&refusal, out),
        }
    }

    fn on_request(
        &mut self,
        now: Instant,
        request: Request,
        rest: Vec<u8>,
        out: &mut Outbox,
    ) -> Next {
        match request.asked {
            Asked::WebSocket { accept } => {
                out.push_head(&format!(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                     Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
                ));
                out.counters.websockets += 1;
                Next::WebSocket { rest }
            }
            Asked::Exchange {
                method,
                length,
                awaits_go,
            } => {
                if awaits_go && rest.is_empty() {
                    out.push_head("HTTP/1.1 100 Continue\r\n\r\n");
                }
                let keep = match request.keep_alive {
                    true => Keep::Open,
                    false => Keep::Close,
                };
                self.buffer = rest;
                self.phase = Phase::Content {
                    method,
                    length,
                    keep,
                    until: now + CONTENT_TIMEOUT,
                };
                self.read_content(out)
            }
            Asked::Page {
                path,
                if_none_match,
                head_only,
            } => {
                let keep = request.keep_alive && rest.is_empty();
                let keep = if keep { Keep::Open } else { Keep::Close };
                self.phase = Phase::Page { head_only, keep };
                out.counters.http_requests += 1;
                out.actions.push_back(Action::Page(PageRequest {
                    path,
                    if_none_match,
                }));
                Next::Http
            }
        }
    }

    pub(crate) fn handle_page(&mut self, response: PageResponse, out: &mut Outbox) -> Next {
        let Phase::Page { head_only, keep } = self.phase else {
            debug_assert!(false, "a page that nobody asked for");
            return Next::Http;
        };
        respond(response, head_only, keep, out);
        match keep {
            Keep::Open => {
                self.phase = Phase::Writing { keep };
                Next::Http
            }
            Keep::Close => Next::Finished,
        }
    }

    /// All that was to be written is on its way.
    pub(crate) fn handle_written(&mut self, now: Instant) -> Next {
        let Phase::Writing { keep } = self.phase else {
            return Next::Http;
        };
        match keep {
            Keep::Open => {
                self.phase = Phase::Idle {
                    until: now + IDLE_TIMEOUT,
                };
                Next::Http
            }
            Keep::Close => Next::Finished,
        }
    }

    /// The peer sends nothing more; who has asked for a page may still be waiting for it.
    pub(crate) fn handle_end(&mut self) -> Next {
        match &mut self.phase {
            Phase::Page { keep, .. } => {
                *keep = Keep::Close;
                Next::Http
            }
            Phase::Idle { .. }
            | Phase::Head { .. }
            | Phase::Content { .. }
            | Phase::Writing { .. } => Next::Finished,
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) -> Next {
        match self.phase {
            Phase::Idle { until } if now >= until => Next::Finished,
            Phase::Head { until } | Phase::Content { until, .. } if now >= until => {
                out.counters.timeouts += 1;
                refuse(
                    &Refusal::new(408, "The request did not arrive in time"),
                    out,
                )
            }
            Phase::Idle { .. }
            | Phase::Head { .. }
            | Phase::Content { .. }
            | Phase::Page { .. }
            | Phase::Writing { .. } => Next::Http,
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Idle { until } | Phase::Head { until } | Phase::Content { until, .. } => {
                Some(until)
            }
            Phase::Page { .. } | Phase::Writing { .. } => None,
        }
    }
}

fn refuse(refusal: &Refusal, out: &mut Outbox) -> Next {
    out.counters.http_refused += 1;
    tracing::debug!(
        status = refusal.status,
        reason = refusal.sentence,
        "request refused"
    );
    let mut headers = vec![
        ("Content-Type", "text/plain; charset=utf-8".into()),
        // Scripts of other pages may read why WHIP was refused; it tells them nothing else.
        ("Access-Control-Allow-Origin", "*".into()),
    ];
    headers.extend(
        refusal
            .headers
            .iter()
            .map(|&(name, value)| (name, value.into())),
    );
    let body = format!("{}\n", refusal.sentence).into_bytes().into();
    let response = PageResponse {
        status: refusal.status,
        headers,
        body,
    };
    respond(response, refusal.head_only, Keep::Close, out);
    Next::Refused
}

/// Writes a response. There is no `Date`: this crate has no clock (RFC 9110 §6.6.1).
fn respond(response: PageResponse, head_only: bool, keep: Keep, out: &mut Outbox) {
    let PageResponse {
        status,
        headers,
        body,
    } = response;
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason_phrase(status));
    for (name, value) in &headers {
        // A value with a line break would begin a header of its own.
        if value.chars().any(char::is_control) {
            debug_assert!(false, "{name} holds a control character");
            continue;
        }
        let _ = write!(head, "{name}: {value}\r\n");
    }
    // A response without content says nothing of its length (RFC 9110 §8.6).
    let has_content = !matches!(status, 204 | 304);
    if has_content {
        let _ = write!(head, "Content-Length: {}\r\n", body.len());
    }
    if keep == Keep::Close {
        head.push_str("Connection: close\r\n");
    }
    head.push_str("\r\n");
    out.push_head(&head);
    if has_content && !head_only {
        out.push_body(body);
    }
}

fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
