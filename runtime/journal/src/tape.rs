//! The writing side: what goes in and out of a machine becomes bytes.

use std::time::Instant;

use parlor_core::{
    Batch, ClientId, Datagram, Event, MediaId, MediaKind, MediaPacket, Relay, Reply, Request,
    RequestError, SinkPacket, WorkerId,
};
use serde::Serialize;

use crate::digest::{Digester, Gathered};
use crate::format::{Cut, Header, MAGIC, VERSION, kind, put_address, put_varint, seal};

/// A request as it is written.
#[derive(Serialize)]
struct Asked<'a> {
    client: ClientId,
    request: &'a Request,
}

/// Records of one machine, as bytes that somebody takes out and keeps.
#[derive(Debug)]
pub struct Tape {
    bytes: Vec<u8>,
    /// The time of the latest record.
    latest: Instant,
    digester: Digester,
    /// News, packets of sinks and messages to other workers that are not yet in a record.
    events: Gathered,
    sunk: Gathered,
    relayed: Gathered,
    content: Vec<u8>,
}

/// Bytes of news, of packets for sinks or of messages that one record may stand for.
const GATHERED_BYTES: usize = 256 * 1024;

impl Tape {
    /// The tape of a machine that is made of what the header says. `now` is its first instant.
    pub fn new(header: &Header, now: Instant) -> Self {
        let mut tape = Self {
            bytes: Vec::new(),
            latest: now,
            digester: Digester::default(),
            events: Gathered::default(),
            sunk: Gathered::default(),
            relayed: Gathered::default(),
            content: Vec::new(),
        };
        tape.bytes.extend_from_slice(MAGIC);
        tape.bytes.extend_from_slice(&VERSION.to_le_bytes());
        tape.put(kind::HEADER, now, |out| {
            out.extend_from_slice(&header.to_json());
        });
        tape
    }

    /// Bytes that can be taken out.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Takes out what is written, and leaves an empty buffer in its place.
    pub fn take(&mut self, mut empty: Vec<u8>) -> Vec<u8> {
        empty.clear();
        std::mem::replace(&mut self.bytes, empty)
    }

    /// Writes the end.
    pub fn end(&mut self, cut: Cut) {
        self.settle();
        self.put(kind::CUT, self.latest, |out| out.push(cut.code()));
    }

    pub(crate) fn request(&mut self, now: Instant, client: ClientId, request: &Request) {
        self.settle();
        self.put(kind::REQUEST, now, |out| {
            let written = serde_json::to_writer(out, &Asked { client, request });
            debug_assert!(written.is_ok(), "all requests have a form as text");
        });
    }

    pub(crate) fn reply(&mut self, reply: &Result<Reply, RequestError>) {
        let digest = self.digester.reply(reply);
        self.put(kind::REPLY, self.latest, |out| {
            out.extend_from_slice(&digest.to_le_bytes());
        });
    }

    pub(crate) fn datagram(&mut self, now: Instant, datagram: Datagram<'_>) {
        self.settle();
        self.put(kind::DATAGRAM, now, |out| {
            put_address(out, datagram.source);
            put_address(out, datagram.destination);
            out.extend_from_slice(datagram.contents);
        });
    }

    pub(crate) fn media(
        &mut self,
        now: Instant,
        client: ClientId,
        media: MediaId,
        packet: MediaPacket<'_>,
    ) {
        self.settle();
        // Named one by one, so that none is forgotten.
        let MediaPacket {
            kind,
            timestamp,
            marker,
            captured,
            payload,
        } = packet;
        self.put(kind::MEDIA, now, |out| {
            put_varint(out, client.0);
            put_varint(out, u64::from(media.0));
            let picture = u8::from(kind == MediaKind::Video);
            out.push(picture | u8::from(marker) << 1);
            out.extend_from_slice(&timestamp.to_le_bytes());
            put_varint(out, captured.as_secs());
            put_varint(out, u64::from(captured.subsec_nanos()));
            out.extend_from_slice(payload);
        });
    }

    pub(crate) fn relay(&mut self, now: Instant, from: WorkerId, relay: &Relay) {
        self.settle();
        self.put(kind::RELAY, now, |out| {
            let written = serde_json::to_writer(out, &(from, relay));
            debug_assert!(written.is_ok(), "all messages have a form as text");
        });
    }

    pub(crate) fn relay_refused(&mut self, now: Instant, relay: &Relay) {
        self.settle();
        self.put(kind::RELAY_REFUSED, now, |out| {
            let written = serde_json::to_writer(out, relay);
            debug_assert!(written.is_ok(), "all messages have a form as text");
        });
    }

    pub(crate) fn timeout(&mut self, now: Instant) {
        self.settle();
        self.put(kind::TIMEOUT, now, |_| {});
    }

    pub(crate) fn transmits(&mut self, batch: &Batch) {
        self.settle();
        let sums = self.digester.batch(batch);
        self.put(kind::TRANSMITS, self.latest, |out| sums.write(out));
    }

    pub(crate) fn event(&mut self, event: &Event) {
        self.events.add_event(event);
        if self.events.bytes() >= GATHERED_BYTES {
            self.settle();
        }
    }

    pub(crate) fn sunk(&mut self, packet: &SinkPacket) {
        self.sunk.add_packet(packet);
        if self.sunk.bytes() >= GATHERED_BYTES {
            self.settle();
        }
    }

    pub(crate) fn relayed(&mut self, to: WorkerId, relay: &Relay) {
        self.relayed.add_relay(to, relay);
        if self.relayed.bytes() >= GATHERED_BYTES {
            self.settle();
        }
    }

    /// Writes what has been gathered one by one. What came out before something goes in stands
    /// before it.
    pub(crate) fn settle(&mut self) {
        if let Some(events) = self.events.take() {
            self.put(kind::EVENTS, self.latest, |out| events.write(out));
        }
        if let Some(sunk) = self.sunk.take() {
            self.put(kind::SINK, self.latest, |out| sunk.write(out));
        }
        if let Some(relayed) = self.relayed.take() {
            self.put(kind::RELAYED, self.latest, |out| relayed.write(out));
        }
    }

    fn put(&mut self, kind: u8, now: Instant, write: impl FnOnce(&mut Vec<u8>)) {
        self.content.clear();
        write(&mut self.content);
        // A machine takes an earlier instant for the latest one, so the two mean the same.
        let since = now.saturating_duration_since(self.latest).as_nanos();
        self.latest = self.latest.max(now);
        // Five hundred years fit.
        seal(kind, since as u64, &self.content, &mut self.bytes);
    }
}
