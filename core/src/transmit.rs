//! Datagrams in and out, and the time to come back.

use std::net::SocketAddr;
use std::time::Instant;

/// A datagram that has arrived.
#[derive(Debug, Clone, Copy)]
pub struct Datagram<'a> {
    /// The address that it came from.
    pub source: SocketAddr,
    /// The candidate of [`Config::candidates`](crate::Config::candidates) that it reached.
    pub destination: SocketAddr,
    /// Its bytes.
    pub contents: &'a [u8],
}

/// A datagram to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// The candidate to send it from.
    pub source: SocketAddr,
    /// The address to send it to.
    pub destination: SocketAddr,
    /// Its bytes.
    pub contents: Vec<u8>,
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
