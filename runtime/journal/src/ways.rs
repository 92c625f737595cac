//! Which stream a datagram is of, as its addresses tell.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use parlor_core::observe::Observation;
use parlor_core::{ClientId, MediaId, Reply, Request};

use crate::digest::Class;
use crate::replay::Happened;

/// A stream of a client.
pub(crate) type Stream = (ClientId, MediaId);
/// The client's address, and that of the server.
pub(crate) type Way = (SocketAddr, SocketAddr);

/// Whose datagrams go which way.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    /// By the username fragment that the answer gave.
    fragments: BTreeMap<String, Stream>,
    /// By the check that came last.
    checked: BTreeMap<Way, Stream>,
    valid: BTreeMap<Way, Stream>,
}

/// The cookie of STUN (RFC 8489 §5).
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const USERNAME: u16 = 6;

impl Ways {
    /// Learns from what happened; gives the ways that have been validated in it.
    pub(crate) fn hear(&mut self, happened: &Happened) -> Vec<(Way, Stream)> {
        let mut validated = Vec::new();
        match happened {
            Happened::Request {
                client,
                request,
                reply,
            } => {
                if let (Some(media), Ok(Reply::Answer { sdp, .. })) =
                    (media_of(request), reply.as_ref())
                    && let Some(fragment) = attribute(sdp, "ice-ufrag")
                {
                    self.fragments.insert(fragment.to_owned(), (*client, media));
                }
            }
            Happened::Received {
                source,
                destination,
                contents,
            } => {
                if Class::of(contents) == Class::Stun
                    && let Some(stream) = username(contents)
                        .and_then(|username| username.split(':').next())
                        .and_then(|fragment| self.fragments.get(fragment))
                {
                    self.checked.insert((*source, *destination), *stream);
                }
            }
            Happened::Sent(batch) => {
                for sent in batch.iter() {
                    let way = (sent.destination, sent.source);
                    // What is answered has been authenticated.
                    if is_success(sent.contents)
                        && let Some(stream) = self.checked.get(&way)
                        && self.valid.insert(way, *stream) != Some(*stream)
                    {
                        validated.push((way, *stream));
                    }
                }
            }
            Happened::Observed(Observation::Guest {
                client,
                media,
                answer,
                ..
            }) => {
                if let Some(fragment) = attribute(answer, "ice-ufrag") {
                    self.fragments
                        .insert(fragment.to_owned(), (*client, *media));
                }
            }
            Happened::Ingested { .. }
            | Happened::Told(_)
            | Happened::Sunk(_)
            | Happened::Observed(
                Observation::Secured { .. }
                | Observation::GuestLive { .. }
                | Observation::GuestEnded { .. }
                | Observation::Relayed { .. },
            ) => {}
        }
        validated
    }

    pub(crate) fn owner(&self, way: Way) -> Option<Stream> {
        self.valid.get(&way).copied()
    }
}

/// The number of the stream that a request begins.
pub(crate) fn media_of(request: &Request) -> Option<MediaId> {
    match request {
        Request::Publish { media, .. }
        | Request::Subscribe { media, .. }
        | Request::Watch { media, .. }
        | Request::Ingest { media, .. }
        | Request::Sink { media, .. } => Some(*media),
        Request::Join { .. }
        | Request::Leave { .. }
        | Request::SendMessage { .. }
        | Request::WantKeyframe { .. }
        | Request::Stop { .. }
        | Request::SetMuted { .. }
        | Request::SendData { .. }
        | Request::Find { .. }
        | Request::Disconnect => None,
    }
}

/// The first value of an attribute of a session description.
pub(crate) fn attribute<'a>(sdp: &'a str, name: &str) -> Option<&'a str> {
    sdp.lines().find_map(|line| {
        line.strip_prefix("a=")?
            .strip_prefix(name)?
            .strip_prefix(':')
    })
}

pub(crate) fn is_success(datagram: &[u8]) -> bool {
    datagram.starts_with(&[1, 1]) && datagram.get(4..8) == Some(&COOKIE)
}

/// The username of a check (RFC 8489 §14.3).
fn username(datagram: &[u8]) -> Option<&str> {
    if !datagram.starts_with(&[0, 1]) || datagram.get(4..8)? != COOKIE {
        return None;
    }
    let mut attributes = datagram.get(20..)?;
    loop {
        let (kind, rest) = attributes.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes(*length));
        if u16::from_be_bytes(*kind) == USERNAME {
            return std::str::from_utf8(rest.get(..length)?).ok();
        }
        attributes = rest.get(length.next_multiple_of(4)..)?;
    }
}
