//! What came out of a machine, as short numbers.

use parlor_core::{Batch, Event, Relay, Reply, RequestError, SinkPacket, Transmit, WorkerId};
use twox_hash::XxHash3_64;

use crate::format::{Rest, put_address, put_varint};

/// What a datagram is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Connectivity checks.
    Stun,
    /// Handshakes and goodbyes.
    Dtls,
    /// Sound and pictures.
    Rtp,
    /// Reports and feedback.
    Rtcp,
}

impl Class {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Stun, Self::Dtls, Self::Rtp, Self::Rtcp];

    /// That of a datagram (RFC 7983 §7, RFC 5761 §4).
    pub fn of(datagram: &[u8]) -> Self {
        match datagram {
            [0..=19, ..] => Self::Stun,
            [128..=191, 192..=223, ..] => Self::Rtcp,
            [128..=191, ..] => Self::Rtp,
            _ => Self::Dtls,
        }
    }

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stun => "STUN",
            Self::Dtls => "DTLS",
            Self::Rtp => "SRTP",
            Self::Rtcp => "SRTCP",
        }
    }
}

/// The digest of a batch: one number a class, none for a class that it has nothing of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    /// How many datagrams.
    pub count: u64,
    /// By the number of the class.
    pub digests: [Option<u64>; 4],
}

/// The digest of some things in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// How many.
    pub count: u64,
    /// Of all of them.
    pub digest: u64,
}

/// Takes digests, in buffers that are used again.
#[derive(Debug, Default)]
pub(crate) struct Digester {
    classes: [Vec<u8>; 4],
    text: Vec<u8>,
}

impl Digester {
    pub(crate) fn batch(&mut self, batch: &Batch) -> Sums {
        for class in &mut self.classes {
            class.clear();
        }
        for (number, transmit) in (0_u32..).zip(batch.iter()) {
            let class = Class::of(transmit.contents);
            if let Some(bytes) = self.classes.get_mut(class as usize) {
                add(bytes, class, number, transmit);
            }
        }
        let digest = |bytes: &Vec<u8>| (!bytes.is_empty()).then(|| XxHash3_64::oneshot(bytes));
        Sums {
            count: batch.len() as u64,
            digests: self.classes.each_ref().map(digest),
        }
    }

    pub(crate) fn reply(&mut self, reply: &Result<Reply, RequestError>) -> u64 {
        self.text.clear();
        let written = match reply {
            Ok(reply) => serde_json::to_writer(&mut self.text, reply),
            Err(error) => serde_json::to_writer(&mut self.text, error),
        };
        debug_assert!(written.is_ok(), "all answers have a form as text");
        XxHash3_64::oneshot(&self.text)
    }
}

/// Bytes of a sealed packet that stand for all of it: its RTP header without extensions …
const HEADER: usize = 12;
/// … and the longest tag that ends one (RFC 7714 §13.2; that of RFC 3711 §5.2 is shorter).
const TAG: usize = 16;

/// Adds a datagram: its place in the batch, its addresses and its length, and what tells all its
/// bytes from others.
///
/// A packet of SRTP ends in a tag that authenticates all that is before it, under a key that is the
/// same in a replay: with another byte anywhere it has another tag. So the tag is taken for them,
/// and a journal reads two lines of cache of a packet instead of twenty. What is not sealed by this
/// program itself is read whole.
fn add(bytes: &mut Vec<u8>, class: Class, number: u32, transmit: Transmit<'_>) {
    let contents = transmit.contents;
    bytes.extend_from_slice(&number.to_le_bytes());
    put_address(bytes, transmit.source);
    put_address(bytes, transmit.destination);
    bytes.extend_from_slice(&(contents.len() as u32).to_le_bytes());
    match (
        contents.first_chunk::<HEADER>(),
        contents.last_chunk::<TAG>(),
    ) {
        (Some(header), Some(tag)) if class == Class::Rtp => {
            bytes.extend_from_slice(header);
            bytes.extend_from_slice(tag);
        }
        _ => bytes.extend_from_slice(&XxHash3_64::oneshot(contents).to_le_bytes()),
    }
}

/// Takes the digest of things that come one by one.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    count: u64,
    bytes: Vec<u8>,
}

impl Gathered {
    pub(crate) fn add_event(&mut self, event: &Event) {
        self.count += 1;
        let written = serde_json::to_writer(&mut self.bytes, event);
        debug_assert!(written.is_ok(), "all news have a form as text");
    }

    pub(crate) fn add_packet(&mut self, packet: &SinkPacket) {
        // Named one by one, so that none is forgotten.
        let SinkPacket {
            client,
            media,
            kind,
            sequence,
            timestamp,
            marker,
            captured,
            payload,
        } = packet;
        self.count += 1;
        let bytes = &mut self.bytes;
        put_varint(bytes, client.0);
        put_varint(bytes, u64::from(media.0));
        bytes.push(*kind as u8);
        put_varint(bytes, *sequence);
        bytes.extend_from_slice(&timestamp.to_le_bytes());
        bytes.push(u8::from(*marker) | u8::from(captured.is_some()) << 1);
        let captured = captured.unwrap_or_default().as_nanos();
        bytes.extend_from_slice(&captured.to_le_bytes());
        put_varint(bytes, payload.len() as u64);
        bytes.extend_from_slice(payload);
    }

    pub(crate) fn add_relay(&mut self, to: WorkerId, relay: &Relay) {
        self.count += 1;
        let written = serde_json::to_writer(&mut self.bytes, &(to, relay));
        debug_assert!(written.is_ok(), "all messages have a form as text");
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The digest, unless nothing has come since the last one.
    pub(crate) fn take(&mut self) -> Option<Counted> {
        let count = std::mem::take(&mut self.count);
        let digest = XxHash3_64::oneshot(&self.bytes);
        self.bytes.clear();
        (count > 0).then_some(Counted { count, digest })
    }
}

impl Sums {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put_varint(out, self.count);
        let mask = self
            .digests
            .iter()
            .enumerate()
            .fold(0_u8, |mask, (bit, digest)| {
                mask | u8::from(digest.is_some()) << bit
            });
        out.push(mask);
        for digest in self.digests.iter().flatten() {
            out.extend_from_slice(&digest.to_le_bytes());
        }
    }

    pub(crate) fn read(mut rest: Rest<'_>) -> Option<Self> {
        let count = rest.varint()?;
        let mask = rest.byte()?;
        let mut digests = [None; 4];
        for (bit, digest) in digests.iter_mut().enumerate() {
            if mask & 1 << bit != 0 {
                *digest = Some(rest.u64()?);
            }
        }
        Some(Self { count, digests })
    }

    /// The classes in which the two differ; none when they are equal.
    pub fn differ(&self, other: &Self) -> Vec<Class> {
        let differs = |class: &Class| {
            let number = *class as usize;
            self.digests.get(number) != other.digests.get(number)
        };
        Class::ALL.into_iter().filter(differs).collect()
    }
}

impl Counted {
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        put_varint(out, self.count);
        out.extend_from_slice(&self.digest.to_le_bytes());
    }

    pub(crate) fn read(mut rest: Rest<'_>) -> Option<Self> {
        Some(Self {
            count: rest.varint()?,
            digest: rest.u64()?,
        })
    }
}
