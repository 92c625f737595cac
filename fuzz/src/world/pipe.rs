//! One direction of a TCP connection.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::network::Network;

/// Bytes that may be under way: what both ends keep, and the network.
const WINDOW: usize = 64 * 1024;
/// How late a piece is that has to be sent again.
const AGAIN: Duration = Duration::from_millis(200);
/// How late one is where the network loses many in a row.
const LONG_AGAIN: Duration = Duration::from_millis(900);

/// Bytes on their way: in their order, in pieces cut anywhere, as late as the network makes them.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    flight: VecDeque<(Instant, Vec<u8>)>,
    under_way: usize,
    /// When the latest piece arrives.
    latest: Option<Instant>,
    /// Nothing arrives for now.
    pub(crate) stalled: bool,
    /// The sender has closed its side: nothing follows what is under way.
    closed: bool,
}

impl Pipe {
    /// Takes as many bytes as there is room for, and returns how many.
    pub(crate) fn write(
        &mut self,
        now: Instant,
        network: &Network,
        bytes: &[u8],
        mut draw: impl FnMut() -> u64,
    ) -> usize {
        let taken = bytes.len().min(WINDOW - self.under_way);
        let mut rest = &bytes[..taken];
        while !rest.is_empty() {
            let most = match draw() % 8 {
                0 => 1 + draw() % 12,
                1 => 1 + draw() % 1_500,
                _ => 1_500 + draw() % 4_000,
            };
            let (piece, after) = rest.split_at(rest.len().min(most as usize));
            rest = after;
            let mut at = now + network.latency;
            if let Some(jitter) = (network.jitter.as_nanos() as u64).checked_sub(1) {
                at += Duration::from_nanos(draw() % (jitter + 1));
            }
            if network.loss > 0 && draw() % 1_000 < network.loss {
                at += AGAIN;
            }
            if network.bursts.is_some() && draw().is_multiple_of(100) {
                at += LONG_AGAIN;
            }
            at = self.latest.map_or(at, |latest| latest.max(at));
            if let Some(rate) = network.rate {
                at += Duration::from_micros(piece.len() as u64 * 1_000_000 / rate.max(1));
            }
            self.latest = Some(at);
            self.under_way += piece.len();
            self.flight.push_back((at, piece.to_vec()));
        }
        taken
    }

    /// Nothing follows what has been written.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    /// The next piece that has arrived.
    pub(crate) fn read(&mut self, now: Instant) -> Option<Vec<u8>> {
        if self.stalled || self.flight.front()?.0 > now {
            return None;
        }
        let (_, piece) = self.flight.pop_front()?;
        self.under_way -= piece.len();
        Some(piece)
    }

    /// Whether all has arrived, and nothing follows.
    pub(crate) fn is_over(&self) -> bool {
        self.closed && !self.stalled && self.flight.is_empty()
    }

    /// When the next piece arrives.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let (at, _) = self.flight.front()?;
        (!self.stalled).then_some(*at)
    }

    /// What is under way arrives soon, as over a network that has healed.
    pub(crate) fn hurry(&mut self, now: Instant, network: &Network) {
        self.stalled = false;
        let soon = now + network.latency;
        for (at, _) in &mut self.flight {
            *at = soon.min(*at);
        }
        self.latest = self.flight.back().map(|(at, _)| *at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_arrive_in_their_order_however_they_are_cut_and_delayed() {
        let network = Network {
            jitter: Duration::from_millis(30),
            loss: 300,
            rate: Some(20_000),
            ..Network::default()
        };
        let now = Instant::now();
        let bytes: Vec<u8> = (0..100_000_u32).map(|at| at as u8).collect();
        let (mut pipe, mut state) = (Pipe::default(), 7_u64);
        let draw = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state >> 33
        };
        let taken = pipe.write(now, &network, &bytes, draw);
        assert_eq!(taken, WINDOW, "the rest waits at the sender");
        assert_eq!(pipe.read(now), None, "it takes time");
        pipe.close();
        let mut arrived = Vec::new();
        let mut at = now;
        while let Some(due) = pipe.deadline() {
            assert!(due >= at && !pipe.is_over());
            at = due;
            arrived.extend(pipe.read(at).unwrap());
        }
        assert!(pipe.is_over() && arrived == bytes[..WINDOW]);
        assert!(at >= now + Duration::from_secs(3), "the link is narrow");
    }
}
