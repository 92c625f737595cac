//! Which datagrams of a batch leave together.
//!
//! A batch has them in the order in which they were made: one packet for all players, then the next
//! one. The system takes several datagrams for one address in one go (UDP segmentation offload),
//! if all but the last have one size. So they are put in the order of their destinations, each
//! destination's in the order in which they were made.

use std::net::SocketAddr;

use parlor_core::{Batch, Transmit};

/// Datagrams for one destination, of one size but for the last, which may be smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    /// Where its datagrams begin in the order.
    pub(super) first: usize,
    /// How many there are.
    pub(super) count: usize,
    /// Bytes of each.
    pub(super) segment: usize,
    bytes: usize,
    /// A smaller datagram has ended it.
    ended: bool,
}

/// Most datagrams of a run: what the system takes at most (`UDP_MAX_SEGMENTS` of older kernels).
pub(super) const SEGMENTS: usize = 64;
/// Most bytes of a run: one datagram's length is 16 bits, with its headers.
const RUN_BYTES: usize = 65_000;
/// Flows that are told apart: more share places, and make shorter runs.
const FLOWS: usize = 1 << 15;

/// The order in which a batch leaves. Its tables are used again.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Numbers of datagrams, by destination.
    pub(super) order: Vec<usize>,
    pub(super) runs: Vec<Run>,
    flows: Vec<Chain>,
    /// The datagram after each in its flow.
    next: Vec<Option<usize>>,
    heads: Vec<usize>,
    epoch: u64,
}

/// The datagrams of a flow.
#[derive(Debug, Clone, Copy, Default)]
struct Chain {
    /// Of which plan it is: an earlier one's is none.
    epoch: u64,
    last: usize,
}

impl Plan {
    /// Plans a batch, with runs of up to `most` datagrams.
    pub(super) fn make(&mut self, batch: &Batch, most: usize) {
        self.chain(batch);
        self.order.clear();
        self.runs.clear();
        for head in &self.heads {
            let mut number = Some(*head);
            while let Some(index) = number {
                number = self.next.get(index).copied().flatten();
                let Some(transmit) = batch.get(index) else {
                    continue;
                };
                let first = self.order.len();
                self.order.push(index);
                match self.runs.last_mut() {
                    Some(run) if run.takes(&transmit, most) => run.add(&transmit),
                    Some(_) | None => self.runs.push(Run::begin(&transmit, first)),
                }
            }
        }
    }

    fn chain(&mut self, batch: &Batch) {
        self.epoch += 1;
        self.flows.resize(FLOWS, Chain::default());
        self.next.clear();
        self.next.resize(batch.len(), None);
        self.heads.clear();
        for (index, transmit) in batch.iter().enumerate() {
            let Some(chain) = self.flows.get_mut(transmit.flow as usize % FLOWS) else {
                continue;
            };
            if chain.epoch == self.epoch {
                if let Some(next) = self.next.get_mut(chain.last) {
                    *next = Some(index);
                }
            } else {
                chain.epoch = self.epoch;
                self.heads.push(index);
            }
            chain.last = index;
        }
    }

    /// Makes runs of one datagram each of those from `from` to `to`.
    pub(super) fn split(&mut self, from: usize, to: usize) {
        let whole: Vec<Run> = self.runs.get(from..to).unwrap_or_default().to_vec();
        let singles = whole.iter().flat_map(Run::singles);
        self.runs.splice(from..to, singles);
    }
}

impl Run {
    /// A run of datagrams of one size, between a source and a destination.
    pub(crate) fn of_equals(
        (source, destination): (SocketAddr, SocketAddr),
        first: usize,
        count: usize,
        segment: usize,
    ) -> Self {
        Self {
            source,
            destination,
            first,
            count,
            segment,
            bytes: count * segment,
            ended: false,
        }
    }

    fn begin(transmit: &Transmit<'_>, first: usize) -> Self {
        let length = transmit.contents.len();
        Self {
            source: transmit.source,
            destination: transmit.destination,
            first,
            count: 1,
            segment: length,
            bytes: length,
            ended: false,
        }
    }

    fn takes(&self, transmit: &Transmit<'_>, most: usize) -> bool {
        let length = transmit.contents.len();
        !self.ended
            && self.count < most
            && length <= self.segment
            && length > 0
            && self.bytes + length <= RUN_BYTES
            && self.destination == transmit.destination
            && self.source == transmit.source
    }

    fn add(&mut self, transmit: &Transmit<'_>) {
        self.count += 1;
        self.bytes += transmit.contents.len();
        self.ended = transmit.contents.len() < self.segment;
    }

    /// Its datagrams, each a run of its own.
    fn singles(&self) -> impl Iterator<Item = Self> + use<> {
        let run = *self;
        (run.first..run.first + run.count).map(move |first| Self {
            first,
            count: 1,
            ..run
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    /// A batch of datagrams by flow, port and length; each begins with its number.
    fn batch(datagrams: &[(u32, u16, usize)]) -> Batch {
        let mut batch = Batch::new();
        for (flow, port, length) in datagrams {
            let contents = vec![0; *length];
            batch.push(Transmit {
                source: address(1),
                destination: address(*port),
                flow: *flow,
                cause: 0,
                contents: &contents,
            });
        }
        batch
    }

    fn planned(datagrams: &[(u32, u16, usize)], most: usize) -> (Vec<usize>, Vec<(u16, usize)>) {
        let mut plan = Plan::default();
        plan.make(&batch(&[(1, 1, 1), (1, 1, 1)]), SEGMENTS);
        plan.make(&batch(datagrams), most);
        let runs = plan
            .runs
            .iter()
            .map(|run| (run.destination.port(), run.count));
        (plan.order.clone(), runs.collect())
    }

    #[test]
    fn what_goes_one_way_goes_together_in_its_order() {
        let packets = [(1, 10, 9), (2, 20, 9), (1, 10, 9), (2, 20, 9), (1, 10, 4)];
        let (order, runs) = planned(&packets, SEGMENTS);
        assert_eq!(order, [0, 2, 4, 1, 3]);
        assert_eq!(runs, [(10, 3), (20, 2)]);
    }

    #[test]
    fn a_smaller_datagram_ends_a_run_and_a_larger_one_begins_another() {
        let sizes = |sizes: &[usize]| {
            let packets: Vec<_> = sizes.iter().map(|size| (1, 10, *size)).collect();
            let runs = planned(&packets, SEGMENTS).1;
            runs.iter().map(|(_, count)| *count).collect::<Vec<_>>()
        };
        assert_eq!(sizes(&[9, 9, 4, 4]), [3, 1]);
        assert_eq!(sizes(&[4, 9, 9]), [1, 2]);
        assert_eq!(sizes(&[9, 0, 9]), [1, 1, 1]);
        assert_eq!(sizes(&[1_200; 130]), [54, 54, 22], "65,000 bytes at most");
        assert_eq!(sizes(&[100; 130]), [64, 64, 2]);
    }

    #[test]
    fn flows_that_share_a_place_or_move_are_kept_apart_by_their_addresses() {
        let other = 1 + FLOWS as u32;
        let packets = [(1, 10, 9), (other, 20, 9), (1, 10, 9), (1, 11, 9)];
        let (order, runs) = planned(&packets, SEGMENTS);
        assert_eq!(order, [0, 1, 2, 3]);
        assert_eq!(runs, [(10, 1), (20, 1), (10, 1), (11, 1)]);
    }

    #[test]
    fn runs_can_be_split() {
        let mut plan = Plan::default();
        plan.make(
            &batch(&[(1, 10, 9), (1, 10, 9), (2, 20, 9), (2, 20, 9)]),
            64,
        );
        plan.split(1, 2);
        let runs = plan.runs.iter().map(|run| (run.first, run.count));
        assert_eq!(runs.collect::<Vec<_>>(), [(0, 2), (2, 1), (3, 1)]);
        let singles = planned(&[(1, 10, 9), (1, 10, 9)], 1);
        assert_eq!(singles.1, [(10, 1), (10, 1)]);
    }
}
