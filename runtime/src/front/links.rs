//! What goes to the workers, and what comes from them.

use std::collections::VecDeque;
use std::sync::mpsc::{TryRecvError, TrySendError};

use parlor_core::{ClientId, Request, RequestError, SinkPacket};
use parlor_signalling::RequestId;

use crate::limits;
use crate::link::{FrontEnd, IngestPacket, Scores, ToFront, ToWorker};

/// A worker has ended, though nobody told it to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("worker {0} has died")]
pub struct WorkerDied(pub usize);

struct Link {
    end: FrontEnd,
    /// Clients that are gone, and the worker had no room to be told so. Each had asked it
    /// something before, so that there are no more of them than there were connections.
    gone: VecDeque<ClientId>,
    wake: bool,
}

pub(super) struct Links(Vec<Link>);

impl Links {
    pub(super) fn new(ends: Vec<FrontEnd>) -> Self {
        let link = |end| Link {
            end,
            gone: VecDeque::new(),
            wake: false,
        };
        Self(ends.into_iter().map(link).collect())
    }

    /// The worker that a key falls to, the same one in every process.
    pub(super) fn worker_of(&self, key: &str) -> usize {
        (fnv1a(key.as_bytes()) % self.0.len() as u64) as usize
    }

    /// Passes a request on, where the worker has room for it.
    pub(super) fn ask(
        &mut self,
        worker: usize,
        client: ClientId,
        id: RequestId,
        request: Request,
    ) -> Result<(), RequestError> {
        let link = &mut self.0[worker];
        link.tell_gone();
        if !link.gone.is_empty() {
            return Err(RequestError::Busy);
        }
        match link.end.requests.try_send(ToWorker::Ask {
            client,
            id,
            request,
        }) {
            Ok(()) => {
                link.wake = true;
                Ok(())
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(RequestError::Busy),
        }
    }

    /// Passes a packet of an ingest on. Returns whether the worker had room for it.
    pub(super) fn bring(&mut self, worker: usize, packet: IngestPacket) -> bool {
        let link = &mut self.0[worker];
        link.wake = true;
        link.end.ingest.try_send(packet).is_ok()
    }

    /// Takes packets of sinks, within the budget of a turn. Returns whether more may wait.
    pub(super) fn receive_media(&mut self, packets: &mut Vec<SinkPacket>) -> bool {
        let mut more = false;
        for link in &mut self.0 {
            let taken = link.end.sinks.try_iter().take(limits::MEDIA_PER_TURN);
            let before = packets.len();
            packets.extend(taken);
            more |= packets.len() - before == limits::MEDIA_PER_TURN;
        }
        more
    }

    /// Tells a worker, as soon as it has room, that a client is gone.
    pub(super) fn disconnect(&mut self, worker: usize, client: ClientId) {
        let link = &mut self.0[worker];
        link.gone.push_back(client);
        link.tell_gone();
    }

    /// Wakes the workers that got something, and tries again what they had no room for.
    pub(super) fn flush(&mut self) {
        for link in &mut self.0 {
            link.tell_gone();
            if std::mem::take(&mut link.wake)
                && let Err(error) = link.end.worker.wake()
            {
                tracing::warn!(%error, "a worker cannot be woken");
            }
        }
    }

    pub(super) fn has_waiting(&self) -> bool {
        self.0.iter().any(|link| !link.gone.is_empty())
    }

    /// Takes what the workers say, within the budget of a turn. Returns whether more may wait.
    pub(super) fn receive(&mut self, mut handle: impl FnMut(ToFront)) -> Result<bool, WorkerDied> {
        let mut more = false;
        for (worker, link) in self.0.iter_mut().enumerate() {
            let mut taken = 0;
            while taken < limits::NEWS_PER_TURN {
                match link.end.news.try_recv() {
                    Ok(message) => handle(message),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return Err(WorkerDied(worker)),
                }
                taken += 1;
            }
            more |= taken == limits::NEWS_PER_TURN;
        }
        Ok(more)
    }

    /// Tells the workers to stop, and returns whether all have.
    pub(super) fn stop(&mut self) -> bool {
        self.flush();
        for link in &mut self.0 {
            if link.gone.is_empty() {
                // A full queue is tried again; a worker that is gone has stopped.
                let _ = link.end.requests.try_send(ToWorker::Stop);
            }
            let _ = link.end.worker.wake();
        }
        let running = self.0.iter_mut().filter_map(|link| {
            loop {
                match link.end.news.try_recv() {
                    Ok(_) => {}
                    Err(TryRecvError::Empty) => return Some(()),
                    Err(TryRecvError::Disconnected) => return None,
                }
            }
        });
        running.count() == 0
    }

    /// What each worker has counted.
    pub(super) fn scores(&self) -> impl Iterator<Item = Scores> {
        self.0.iter().map(|link| link.end.scoreboard.read())
    }
}

impl Link {
    fn tell_gone(&mut self) {
        while let Some(client) = self.gone.front() {
            match self
                .end
                .requests
                .try_send(ToWorker::Disconnect { client: *client })
            {
                // To a worker that is gone there is nothing to tell.
                Ok(()) | Err(TrySendError::Disconnected(_)) => {
                    self.gone.pop_front();
                    self.wake = true;
                }
                Err(TrySendError::Full(_)) => return,
            }
        }
    }
}

/// FNV-1a, 64 bit.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use parlor_core::{Place, PublicationName};

    use super::*;
    use crate::link::{WorkerEnd, link};
    use crate::worker::wakeable_poll;

    fn one_link() -> (Links, WorkerEnd) {
        let (_, front) = wakeable_poll().unwrap();
        let (_, worker) = wakeable_poll().unwrap();
        let (front_end, worker_end) = link(front, worker);
        (Links::new(vec![front_end]), worker_end)
    }

    fn ask(links: &mut Links, client: u64) -> Result<(), RequestError> {
        let name = PublicationName::new("s").unwrap();
        let request = Request::Find {
            place: Place::Open,
            name,
        };
        links.ask(0, ClientId(client), RequestId(0), request)
    }

    #[test]
    fn rooms_fall_to_the_same_worker_in_every_version() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_full_worker_refuses_requests_and_loses_no_disconnect() {
        let (mut links, worker) = one_link();
        for client in 0..limits::REQUEST_QUEUE as u64 {
            assert_eq!(ask(&mut links, client), Ok(()));
        }
        assert_eq!(ask(&mut links, 7), Err(RequestError::Busy));
        links.disconnect(0, ClientId(1));
        links.disconnect(0, ClientId(2));
        assert!(links.has_waiting());

        // With room for one message, it is the disconnect that goes first.
        worker.requests.recv().unwrap();
        assert_eq!(ask(&mut links, 7), Err(RequestError::Busy));
        worker.requests.recv().unwrap();
        links.flush();
        assert!(!links.has_waiting());
        let told: Vec<u64> = worker
            .requests
            .try_iter()
            .filter_map(|message| match message {
                ToWorker::Disconnect { client } => Some(client.0),
                ToWorker::Ask { .. } | ToWorker::Stop => None,
            })
            .collect();
        assert_eq!(told, [1, 2]);
    }

    #[test]
    fn a_worker_that_dies_is_noticed() {
        let (mut links, worker) = one_link();
        assert_eq!(links.receive(|_| {}), Ok(false));
        drop(worker);
        assert_eq!(links.receive(|_| {}), Err(WorkerDied(0)));
        assert_eq!(ask(&mut links, 1), Err(RequestError::Busy));
    }
}
