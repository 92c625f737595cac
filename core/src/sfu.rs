//! The state machine's doors.

use std::time::Instant;

use crate::crypto::Certificate;
use crate::entropy::Seed;
use crate::{ClientId, Config, Datagram, Deadline, Event, Reply, Request, RequestError, Transmit};

/// The rooms of one worker, their peers and the media between them.
pub struct Sfu {
    config: Config,
}

impl Sfu {
    /// Makes an empty machine. `now` is the first instant of its time.
    pub fn new(config: Config, certificate: Certificate, seed: Seed, now: Instant) -> Self {
        let _ = (certificate, seed, now);
        Self { config }
    }

    /// Takes a datagram in.
    pub fn handle_datagram(&mut self, now: Instant, datagram: Datagram<'_>) {
        let _ = (now, datagram);
    }

    /// Takes a request in and answers it.
    pub fn handle_request(
        &mut self,
        now: Instant,
        client: ClientId,
        request: Request,
    ) -> Result<Reply, RequestError> {
        let _ = (now, client, request, &self.config);
        Err(RequestError::Busy)
    }

    /// Does what is due at `now`. Early or repeated calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    /// The next datagram to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        None
    }

    /// The next news for a client.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }

    /// When to come back, and why.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        None
    }

    /// What has been counted since the start.
    pub fn counters(&self) -> &Counters {
        &Counters { peers: 0 }
    }
}

/// Counts since the start, and sizes as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Peers there are.
    pub peers: u64,
}

impl Counters {
    /// Every count with its metric name and whether it only ever grows.
    pub fn metrics(&self) -> Vec<Metric> {
        vec![Metric {
            name: "parlor_peers",
            help: "WebRTC connections",
            grows: false,
            value: self.peers,
        }]
    }
}

/// One count, as `/metrics` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// The name in Prometheus' style.
    pub name: &'static str,
    /// One sentence on what it counts.
    pub help: &'static str,
    /// A counter, as opposed to a gauge.
    pub grows: bool,
    /// The count.
    pub value: u64,
}
