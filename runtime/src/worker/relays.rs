//! What passes between workers: one bounded queue into each of them.
//!
//! A queue that is full refuses packets, which the rooms are told; other messages wait their turn
//! here, and packets of the same worker do not overtake them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use mio::Waker;
use parlor_core::{Relay, WorkerId};
use parlor_journal::Recorder;

use super::udp::Arrivals;
use crate::limits;

/// A message with its sender, and with when the system received what it passes on, since 1970.
type Letter = (WorkerId, Relay, Option<Duration>);

/// A worker's end: what comes to it, and the ways to the others.
pub(crate) struct Relays {
    own: WorkerId,
    inbox: Receiver<Letter>,
    others: Vec<Other>,
}

/// The way to one worker.
struct Other {
    queue: SyncSender<Letter>,
    waker: Arc<Waker>,
    /// What is no packet and had no room.
    held: VecDeque<Relay>,
    /// It has been sent something since it was last woken.
    wake: bool,
}

/// The ends of the workers whose polls these wakers interrupt, in their order.
pub(crate) fn relays(wakers: &[Arc<Waker>]) -> Vec<Relays> {
    // Who is alone is never written to.
    let room = match wakers.len() {
        1 => 1,
        _ => limits::RELAY_QUEUE,
    };
    let (queues, inboxes): (Vec<_>, Vec<_>) = wakers.iter().map(|_| sync_channel(room)).unzip();
    let others = || {
        queues.iter().zip(wakers).map(|(queue, waker)| Other {
            queue: queue.clone(),
            waker: Arc::clone(waker),
            held: VecDeque::new(),
            wake: false,
        })
    };
    (0..)
        .zip(inboxes)
        .map(|(number, inbox)| Relays {
            own: WorkerId(number),
            inbox,
            others: others().collect(),
        })
        .collect()
}

impl Relays {
    /// The next message to this worker.
    pub(super) fn receive(&mut self) -> Option<Letter> {
        self.inbox.try_recv().ok()
    }

    /// Hands on what the rooms have for other workers, and tells them what found no room. `arrivals`
    /// have when the system received what caused it.
    pub(super) fn hand_on(&mut self, now: Instant, machine: &mut Recorder, arrivals: &Arrivals) {
        while let Some((to, relay)) = machine.poll_relay() {
            let at = arrivals.at(relay.cause());
            if let Err(refused) = self.send(to, relay, at) {
                machine.handle_relay_refused(now, &refused);
            }
        }
    }

    fn send(&mut self, to: WorkerId, relay: Relay, at: Option<Duration>) -> Result<(), Relay> {
        let Some(other) = self.others.get_mut(usize::from(to.0)) else {
            debug_assert!(false, "the rooms know how many workers there are");
            return Ok(());
        };
        other.send_held(self.own);
        if other.held.is_empty() {
            match other.try_send(self.own, relay, at) {
                None => Ok(()),
                Some(relay) if relay.is_packet() => Err(relay),
                Some(relay) => {
                    other.held.push_back(relay);
                    Ok(())
                }
            }
        } else if relay.is_packet() {
            Err(relay)
        } else {
            other.held.push_back(relay);
            Ok(())
        }
    }

    /// Wakes the workers that got something, and tries again what they had no room for.
    pub(super) fn flush(&mut self) {
        for other in &mut self.others {
            other.send_held(self.own);
            if std::mem::take(&mut other.wake)
                && let Err(error) = other.waker.wake()
            {
                tracing::warn!(%error, "a worker cannot be woken");
            }
        }
    }

    /// Whether something waits for room.
    pub(super) fn has_held(&self) -> bool {
        self.others.iter().any(|other| !other.held.is_empty())
    }
}

impl Other {
    /// Gives back what there is no room for.
    fn try_send(&mut self, own: WorkerId, relay: Relay, at: Option<Duration>) -> Option<Relay> {
        match self.queue.try_send((own, relay, at)) {
            Ok(()) => {
                self.wake = true;
                None
            }
            // A worker that is gone has no use for it.
            Err(TrySendError::Disconnected(_)) => None,
            Err(TrySendError::Full((_, relay, _))) => Some(relay),
        }
    }

    fn send_held(&mut self, own: WorkerId) {
        while let Some(relay) = self.held.pop_front() {
            // No packet: nobody asks how long it was here.
            if let Some(relay) = self.try_send(own, relay, None) {
                self.held.push_front(relay);
                return;
            }
        }
    }
}
