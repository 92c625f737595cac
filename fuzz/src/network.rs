//! What becomes of a datagram on its way.

use std::time::{Duration, Instant};

/// What the network does to datagrams.
#[derive(Debug, Clone, Copy)]
pub struct Network {
    /// Time on the way.
    pub latency: Duration,
    /// Further time, at most, drawn for each datagram: it reorders.
    pub jitter: Duration,
    /// Datagrams lost in a thousand.
    pub loss: u64,
    /// Datagrams that come twice, in a thousand.
    pub duplication: u64,
    /// Losses that come in a row.
    pub bursts: Option<Bursts>,
    /// Bytes a second that one client's link takes in one direction, if it is narrow.
    pub rate: Option<u64>,
}

/// Losses in a row (Gilbert and Elliott): a link is good or bad, and a bad one loses everything.
#[derive(Debug, Clone, Copy)]
pub struct Bursts {
    /// Datagrams after which a good link turns bad, in a thousand.
    pub begin: u64,
    /// Datagrams after which a bad link turns good, in a thousand.
    pub end: u64,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            latency: Duration::from_millis(10),
            jitter: Duration::ZERO,
            loss: 0,
            duplication: 0,
            bursts: None,
            rate: None,
        }
    }
}

/// Most time that datagrams queue before a narrow link; more of them are lost.
const QUEUE: Duration = Duration::from_millis(300);

/// One direction between a client and the machine.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Link {
    bad: bool,
    /// Until when earlier datagrams take the link.
    busy: Option<Instant>,
}

impl Link {
    /// When a datagram arrives, and when its copy does; neither where it is lost.
    pub(crate) fn carry(
        &mut self,
        now: Instant,
        network: &Network,
        length: usize,
        mut draw: impl FnMut() -> u64,
    ) -> [Option<Instant>; 2] {
        let mut happens = |thousandths: u64| thousandths > 0 && draw() % 1_000 < thousandths;
        let mut lost = happens(network.loss);
        if let Some(Bursts { begin, end }) = network.bursts {
            let turns = happens(if self.bad { end } else { begin });
            self.bad ^= turns;
            lost |= self.bad;
        } else {
            self.bad = false;
        }
        if lost {
            return [None; 2];
        }
        let twice = happens(network.duplication);
        let mut at = now + network.latency;
        match network.rate {
            Some(rate) => {
                let free = self.busy.map_or(now, |busy| busy.max(now));
                if free > now + QUEUE {
                    return [None; 2];
                }
                let micros = length as u64 * 1_000_000 / rate.max(1);
                self.busy = Some(free + Duration::from_micros(micros));
                at += free.duration_since(now) + Duration::from_micros(micros);
            }
            None => self.busy = None,
        }
        let mut late = || match network.jitter.as_nanos() as u64 {
            0 => at,
            most => at + Duration::from_nanos(draw() % most),
        };
        [Some(late()), twice.then(late)]
    }
}
