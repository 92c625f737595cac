//! The journal of a worker: its machine's tape, taken to disk by a thread of its own.
//!
//! A replay begins where the machine began, so a journal holds one machine from its first instant
//! on, and a machine is replaced by a fresh one, with the next journal, when nobody is there. One
//! that outgrows its bounds before is ended. What a full or slow disk does not take is kept in
//! memory, up to a bound, until it does; a journal that outgrows that as well ends in a gap. The
//! calls go on then, and recording begins again when all have left.

mod disk;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parlor_core::{Metric, Seed};
use parlor_journal::{Cut, Fresh, Header, MACHINE, Recorder, Tape};

use crate::clock::Clock;
use crate::limits;
pub(crate) use disk::Directory;
use disk::{Disk, ToDisk};

/// What bounds the journals.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    /// Where they are.
    pub(crate) directory: PathBuf,
    /// Bytes of all of them together.
    pub(crate) size: u64,
    /// Bytes of one.
    pub(crate) size_of_one: u64,
    /// How long one is kept after its end, and how long one may go on.
    pub(crate) age: Duration,
}

/// Keeps the journals of one worker.
pub(crate) struct Journal {
    worker: u32,
    bounds: Bounds,
    clock: Clock,
    disk: SyncSender<ToDisk>,
    /// Buffers that have been written.
    empty: Receiver<Vec<u8>>,
    troubles: Arc<Troubles>,
    thread: Option<JoinHandle<()>>,
    /// Bytes of the journal that is being written, and when it began.
    written: u64,
    begun: Instant,
    /// When the tape was last handed over, or still had to wait for the disk.
    handed: Instant,
    counters: Counters,
}

/// What the worker and its disk tell each other apart from the order of the bytes.
#[derive(Debug, Default)]
struct Troubles {
    /// Buffers that the disk has not yet taken.
    waiting: AtomicUsize,
    /// The disk refuses what it is given; it is tried again and again.
    refused: AtomicBool,
    /// How often it has begun to.
    refusals: AtomicU64,
    /// The server stops, and nothing is tried again.
    stops: AtomicBool,
    /// The worker has kept back what the disk had no room for: the journal has a gap behind what it
    /// has handed over.
    gap: AtomicBool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counters {
    begun: u64,
    bytes: u64,
    full: u64,
    lost: u64,
}

impl Journal {
    /// Starts the thread that writes. The directory is [open](Directory::open).
    pub(crate) fn start(
        worker: u32,
        bounds: Bounds,
        directory: Arc<Directory>,
        clock: Clock,
    ) -> std::io::Result<Self> {
        let (disk, to_write) = sync_channel(limits::JOURNAL_QUEUE);
        let (written, empty) = sync_channel(limits::JOURNAL_SPARE);
        let troubles = Arc::new(Troubles::default());
        let writer = Disk::new(directory, Arc::clone(&troubles), written);
        let thread = std::thread::Builder::new()
            .name(format!("journal-{worker}"))
            .spawn(move || writer.run(&to_write))?;
        let now = clock.now();
        Ok(Self {
            worker,
            bounds,
            clock,
            disk,
            empty,
            troubles,
            thread: Some(thread),
            written: 0,
            begun: now,
            handed: now,
            counters: Counters::default(),
        })
    }

    /// When [`Journal::keep`] is to be called at the latest.
    pub(crate) fn due(&self, machine: &Recorder) -> Option<Instant> {
        let waits = machine.has_unwritten();
        waits.then_some(self.handed + limits::JOURNAL_INTERVAL)
    }

    /// Hands over what is on the tape, and begins or ends a journal where it is time to. Called
    /// once a turn, before anything goes into the machine.
    pub(crate) fn keep(&mut self, machine: &mut Recorder, now: Instant) {
        let Some(tape) = machine.tape() else {
            if machine.is_empty() {
                self.begin(machine, now);
            }
            return;
        };
        // Behind a buffer that waits for the disk there is to be none that is half empty: their number
        // is bounded.
        let is_full = tape.len() >= limits::JOURNAL_BUFFER;
        if is_full || now >= self.handed + limits::JOURNAL_INTERVAL {
            if is_full || self.troubles.waiting.load(Ordering::Acquire) == 0 {
                self.hand_over(machine, now);
            }
            self.handed = now;
        }
        let age = now.saturating_duration_since(self.begun);
        if machine.tape().is_none() {
            return;
        }
        let part = limits::JOURNAL_PART;
        if machine.is_empty()
            && (self.written >= self.bounds.size_of_one / part
                || age >= self.bounds.age / part as u32)
        {
            // One in which nothing has happened goes on.
            if self.written > limits::JOURNAL_BUFFER as u64 / 16 {
                self.end(machine, Cut::Renewed, now);
                self.begin(machine, now);
            }
        } else if self.written >= self.bounds.size_of_one || age >= self.bounds.age {
            self.counters.full += 1;
            tracing::warn!(
                worker = self.worker,
                bytes = self.written,
                "a journal is full; recording begins again when all have left"
            );
            self.end(machine, Cut::Full, now);
        }
    }

    /// Makes the machine anew, and begins its journal.
    fn begin(&mut self, machine: &mut Recorder, now: Instant) {
        if self.troubles.gap.load(Ordering::Acquire) {
            // That of the journal before is not marked yet.
            return;
        }
        let mut seed = [0; 32];
        if let Err(error) = getrandom::fill(&mut seed) {
            tracing::warn!(%error, "no journal is begun for want of a seed");
            return;
        }
        let made_of = Fresh {
            seed: Seed(seed),
            ..machine.fresh().clone()
        };
        let date = SystemTime::now().duration_since(UNIX_EPOCH);
        let header = Header {
            program: env!("CARGO_PKG_VERSION").into(),
            machine: MACHINE.into(),
            worker: self.worker,
            date_ms: date.map_or(0, |date| date.as_millis() as u64),
            begun_ns: self.clock.since_base(now).as_nanos() as u64,
            made_of: made_of.clone(),
        };
        let mut tape = Tape::new(&header, now);
        let count = tape.len() as u64;
        let begin = ToDisk::Begin {
            worker: self.worker,
            date_ms: header.date_ms,
            header: tape.take(self.empty.try_recv().unwrap_or_default()),
        };
        if self.send(begin).is_err() {
            // The disk is behind; the next turn tries again.
            return;
        }
        machine.renew(made_of, tape, now);
        (self.written, self.begun, self.handed) = (count, now, now);
        self.counters.begun += 1;
        self.counters.bytes += count;
    }

    fn end(&mut self, machine: &mut Recorder, cut: Cut, now: Instant) {
        if let Some(tape) = machine.tape() {
            tape.end(cut);
        }
        self.hand_over(machine, now);
        machine.take_tape();
    }

    /// Hands over what is on the tape. Where too much waits for the disk, the journal is lost from
    /// here on: a replay cannot leave anything out.
    fn hand_over(&mut self, machine: &mut Recorder, now: Instant) {
        let Some(tape) = machine.tape() else {
            return;
        };
        self.handed = now;
        if tape.is_empty() {
            return;
        }
        let bytes = tape.take(self.empty.try_recv().unwrap_or_default());
        let count = bytes.len() as u64;
        if self.send(ToDisk::Bytes(bytes)).is_ok() {
            self.written += count;
            self.counters.bytes += count;
            return;
        }
        self.counters.lost += 1;
        self.troubles.gap.store(true, Ordering::Release);
        let refused = self.troubles.refused.load(Ordering::Acquire);
        tracing::warn!(
            worker = self.worker,
            refused,
            "the disk does not take the journal, which ends; recording begins again when all \
             have left"
        );
        machine.take_tape();
    }

    fn send(&self, order: ToDisk) -> Result<(), TrySendError<ToDisk>> {
        self.troubles.waiting.fetch_add(1, Ordering::AcqRel);
        self.disk.try_send(order).inspect_err(|_| {
            self.troubles.waiting.fetch_sub(1, Ordering::AcqRel);
        })
    }

    /// Ends the journal, and waits for the disk, unless that refuses. After a panic, what came last is
    /// written as it is.
    pub(crate) fn finish(&mut self, machine: &mut Recorder) {
        let now = self.clock.now();
        self.troubles.stops.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
        if let Some(tape) = machine.tape() {
            if !std::thread::panicking() {
                tape.end(Cut::Stopped);
            }
            self.troubles.waiting.fetch_add(1, Ordering::AcqRel);
            let _ = self.disk.send(ToDisk::Bytes(tape.take(Vec::new())));
        }
        machine.take_tape();
        self.handed = now;
        let _ = self.disk.send(ToDisk::Stop);
        if let Some(thread) = self.thread.take() {
            // Its panic has been printed.
            let _ = thread.join();
        }
    }

    pub(crate) fn metrics(&self) -> impl Iterator<Item = Metric> + use<> {
        let Counters {
            begun,
            bytes,
            full,
            lost,
        } = self.counters;
        let refusals = self.troubles.refusals.load(Ordering::Relaxed);
        [
            ("parlor_journals_total", "Journals that were begun.", begun),
            (
                "parlor_journal_bytes_total",
                "Bytes of journals that were handed to the disk.",
                bytes,
            ),
            (
                "parlor_journals_full_total",
                "Journals that reached their size or age while somebody was there.",
                full,
            ),
            (
                "parlor_journal_refusals_total",
                "Times that the disk has begun to refuse journals, which are kept in memory then.",
                refusals,
            ),
            (
                "parlor_journals_lost_total",
                "Journals that ended because the disk did not take them.",
                lost,
            ),
        ]
        .into_iter()
        .map(|(name, help, value)| Metric {
            name,
            help,
            grows: true,
            value,
        })
    }
}
