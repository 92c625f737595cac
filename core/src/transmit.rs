//! Datagrams in and out, and the time to come back.

use std::net::SocketAddr;
use std::time::Instant;

use crate::peer::Path;

/// A datagram that has arrived.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// The address that it came from.
    pub source: SocketAddr,
    /// The candidate of [`Config::candidates`](crate::Config::candidates) that it reached.
    pub destination: SocketAddr,
    /// Its bytes.
    pub contents: &'a [u8],
    /// A number of the caller's, who finds it at what passes this on: see [`Transmit::cause`].
    pub cause: u32,
}

/// A datagram to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transmit<'a> {
    /// The candidate to send it from.
    pub source: SocketAddr,
    /// The address to send it to.
    pub destination: SocketAddr,
    /// A small number that datagrams for one peer share, others sometimes: who sends several at
    /// once finds by it what belongs together, without comparing addresses with all others.
    pub flow: u32,
    /// Where this passes on a packet that came in a datagram, or from another worker: the number
    /// that was given along with that. Otherwise, as with answers, reports and packets that are
    /// sent again, zero.
    pub cause: u32,
    /// Its bytes.
    pub contents: &'a [u8],
}

/// Datagrams to send, in the order in which they were made, in buffers that are used again.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    /// What the datagrams that are added come of.
    pub(crate) cause: u32,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    source: SocketAddr,
    destination: SocketAddr,
    flow: u32,
    cause: u32,
    begin: usize,
    end: usize,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many datagrams there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of all datagrams.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The datagrams, oldest first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Transmit<'_>> {
        self.entries.iter().map(|entry| self.transmit(*entry))
    }

    /// The datagram of this number, counted from the oldest.
    pub fn get(&self, number: usize) -> Option<Transmit<'_>> {
        self.entries.get(number).map(|entry| self.transmit(*entry))
    }

    fn transmit(&self, entry: Entry) -> Transmit<'_> {
        let Entry {
            source,
            destination,
            flow,
            cause,
            begin,
            end,
        } = entry;
        Transmit {
            source,
            destination,
            flow,
            cause,
            // Entries are made of what was written, and both are cleared together.
            contents: self.bytes.get(begin..end).unwrap_or_default(),
        }
    }

    /// Takes all datagrams out. The buffers stay.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
    }

    /// Adds a copy of a datagram.
    pub fn push(&mut self, transmit: Transmit<'_>) {
        let Transmit {
            source,
            destination,
            flow,
            cause,
            contents,
        } = transmit;
        let path = Path {
            local: source,
            remote: destination,
        };
        let before = std::mem::replace(&mut self.cause, cause);
        self.write(path, flow, |bytes| {
            bytes.extend_from_slice(contents);
            Some(())
        });
        self.cause = before;
    }

    /// Adds the datagram that `make` appends to the bytes, unless it gives up. Returns whether it
    /// was added.
    pub(crate) fn write(
        &mut self,
        path: Path,
        flow: u32,
        make: impl FnOnce(&mut Vec<u8>) -> Option<()>,
    ) -> bool {
        let begin = self.bytes.len();
        if make(&mut self.bytes).is_none() {
            self.bytes.truncate(begin);
            return false;
        }
        let end = self.bytes.len();
        self.entries.push(Entry {
            source: path.local,
            destination: path.remote,
            flow,
            cause: self.cause,
            begin,
            end,
        });
        true
    }
}

/// When [`Sfu::handle_timeout`](crate::Sfu::handle_timeout) wants to be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// At this instant, or soon after.
    pub at: Instant,
    /// What happens then.
    pub reason: Wake,
}

/// What a deadline is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// A peer's own timers: ICE consent, DTLS retransmission, RTCP reports, NACK.
    Peer,
    /// A peer that has not connected in time.
    ConnectTimeout,
    /// A connected peer that may have fallen silent.
    Consent,
    /// The report of what a subscriber has been sent.
    Report,
    /// A speaker that may have fallen silent.
    Silence,
    /// A key frame request that was held back.
    Keyframe,
    /// The next part of what a subscriber is shown of the past.
    Replay,
}
