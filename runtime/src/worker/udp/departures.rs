//! What leaves by the media sockets.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

use parlor_core::{Batch, Metric};

use super::plan::{Plan, SEGMENTS};
use super::{Arrivals, REFUSALS, Socket, counter, sys};
use crate::histogram::Histogram;

/// What happened to datagrams that were to leave.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SendCounters {
    calls: u64,
    messages: u64,
    runs: u64,
    blocked: u64,
    errors: u64,
    refusals: u64,
}

impl SendCounters {
    pub(super) fn metrics(&self) -> [Metric; 6] {
        [
            counter(
                "parlor_media_send_calls_total",
                "Calls of the system that sent datagrams.",
                self.calls,
            ),
            counter(
                "parlor_media_send_messages_total",
                "What these calls were given: datagrams, and runs of them.",
                self.messages,
            ),
            counter(
                "parlor_media_send_runs_total",
                "Runs of datagrams of one size to one address that were sent as one.",
                self.runs,
            ),
            counter(
                "parlor_media_send_blocked_total",
                "Datagrams dropped because the system took no more.",
                self.blocked,
            ),
            counter(
                "parlor_media_send_errors_total",
                "Datagrams that the system refused to send.",
                self.errors,
            ),
            counter(
                "parlor_media_send_refused_runs_total",
                "Runs of datagrams that the system did not take as one.",
                self.refusals,
            ),
        ]
    }
}

/// Sends batches by the sockets.
pub(super) struct Departures {
    by_candidate: BTreeMap<SocketAddr, usize>,
    plan: Plan,
    sender: sys::Sender,
    /// Of each socket: how often the system has refused to cut a run.
    refusals: Vec<u32>,
    pub(super) counters: SendCounters,
    pub(super) arrivals: Arrivals,
    pub(super) delays: Histogram,
}

impl Default for Departures {
    fn default() -> Self {
        Self {
            by_candidate: BTreeMap::new(),
            plan: Plan::default(),
            sender: sys::Sender::new(),
            refusals: Vec::new(),
            counters: SendCounters::default(),
            arrivals: Arrivals::default(),
            delays: Histogram::default(),
        }
    }
}

impl Departures {
    /// What is sent from `candidate` leaves by the socket of this number.
    pub(super) fn open(&mut self, candidate: SocketAddr, socket: usize) {
        self.by_candidate.insert(candidate, socket);
        self.refusals.resize(self.refusals.len().max(socket + 1), 0);
    }

    pub(super) fn send(&mut self, sockets: &[Socket], batch: &Batch) {
        if !batch.is_empty() {
            self.plan.make(batch, SEGMENTS);
            let mut from = 0;
            while let Some(run) = self.plan.runs.get(from) {
                let source = run.source;
                let rest = &self.plan.runs[from..];
                let same = rest.iter().take_while(|run| run.source == source);
                let to = from + same.count();
                self.send_from(sockets, batch, from, to);
                // Splitting makes more runs of them.
                from = self.first_after(from, source);
            }
            let causes = batch.iter().map(|transmit| transmit.cause);
            self.arrivals.note_departure(causes, &mut self.delays);
        }
    }

    /// Where the first run from another candidate is.
    fn first_after(&self, from: usize, source: SocketAddr) -> usize {
        let rest = self.plan.runs.get(from..).unwrap_or_default();
        let same = rest.iter().take_while(|run| run.source == source);
        from + same.count()
    }

    fn send_from(&mut self, sockets: &[Socket], batch: &Batch, mut from: usize, mut to: usize) {
        let source = self.plan.runs.get(from).map(|run| run.source);
        let number = source.and_then(|source| self.by_candidate.get(&source).copied());
        let Some((number, socket)) = number.and_then(|n| Some((n, sockets.get(n)?))) else {
            debug_assert!(false, "datagrams are sent from candidates");
            self.counters.errors += self.datagrams(from, to);
            return;
        };
        if self.refusals.get(number).is_some_and(|n| *n >= REFUSALS) {
            to = self.split(from, to);
        }
        while from < to {
            self.counters.calls += 1;
            let Plan { order, runs, .. } = &self.plan;
            let contents = |number| batch.get(number).map_or(&[][..], |one| one.contents);
            match self
                .sender
                .send(&socket.udp, contents, order, &runs[from..to])
            {
                Ok(sent) => {
                    let merged = runs[from..from + sent].iter().filter(|run| run.count > 1);
                    self.counters.runs += merged.count() as u64;
                    self.counters.messages += sent as u64;
                    from += sent;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.counters.blocked += self.datagrams(from, to);
                    return;
                }
                Err(error) if runs[from].count > 1 && sys::refuses_segments(&error) => {
                    tracing::debug!(%error, "a run of datagrams is sent one by one");
                    self.counters.refusals += 1;
                    if let Some(refusals) = self.refusals.get_mut(number) {
                        *refusals += 1;
                    }
                    to = self.split(from, from + 1) + (to - from - 1);
                }
                // It is about the first run: the others may go to where there is a way.
                Err(error) => {
                    tracing::trace!(%error, "a datagram was not sent");
                    self.counters.errors += self.datagrams(from, from + 1);
                    from += 1;
                }
            }
        }
    }

    /// Splits runs into their datagrams, and returns where these end.
    fn split(&mut self, from: usize, to: usize) -> usize {
        let datagrams = self.datagrams(from, to);
        self.plan.split(from, to);
        // At most as many as a batch has.
        from + datagrams as usize
    }

    fn datagrams(&self, from: usize, to: usize) -> u64 {
        let runs = self.plan.runs.get(from..to).unwrap_or_default();
        runs.iter().map(|run| run.count as u64).sum()
    }

    /// Has every socket take runs for refused so often that it sends one by one.
    #[cfg(test)]
    pub(super) fn refuse_runs(&mut self) {
        self.refusals.fill(REFUSALS);
    }
}
