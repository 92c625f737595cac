//! Threads that put sound into other codecs, so that media waits for nobody else.
//!
//! A stream of sound is put into another codec once, however many hear it: that of an encoder as
//! long as it publishes, that of a publication as long as somebody plays it who needs it so. What
//! comes out goes back to the front, and into the rooms by the same door as what needs nothing.
//!
//! Decoders read what strangers send. A panic of one ends the sound of its stream, is counted, and
//! harms nobody else; their stacks and queues are bounded.

mod inbox;
mod thread;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::Waker;
use parlor_core::{ClientId, MediaId, Metric};
use parlor_rtmp::audio::{SoundError, Target};
use parlor_rtmp::bridge::Sound;

use crate::limits;
use inbox::Inbox;

/// Which stream of sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stream {
    /// Who publishes it, or plays it for others.
    pub(crate) client: ClientId,
    /// That client's number for it.
    pub(crate) media: MediaId,
}

/// The front's end of the threads. They start when there is something to do.
pub(crate) struct Codecs {
    lanes: [Lane; limits::CODEC_THREADS],
    results: Arc<Results>,
}

#[derive(Default)]
struct Lane {
    inbox: Arc<Inbox>,
    runs: bool,
}

/// What comes out of the threads.
struct Results {
    queue: Mutex<VecDeque<(Stream, Result<Sound, SoundError>)>>,
    front: Arc<Waker>,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    streams: AtomicU64,
    dropped: AtomicU64,
    undecodable: AtomicU64,
    panics: AtomicU64,
}

impl Codecs {
    /// Threads that wake the front by `front` when there are results.
    pub(crate) fn new(front: Arc<Waker>) -> Self {
        Self {
            lanes: std::array::from_fn(|_| Lane::default()),
            results: Arc::new(Results {
                queue: Mutex::default(),
                front,
                counts: Counts::default(),
            }),
        }
    }

    /// Passes sound of a stream on to be put into `target`, which is settled by the first sound.
    /// It never waits: where there is too much the oldest sound of the stream is dropped, and
    /// where there are too many streams all sound of the new one.
    pub(crate) fn push(&mut self, stream: Stream, target: Target, sound: Sound) {
        let lane = self.lane(stream);
        if !lane.runs {
            let started = thread::start(Arc::clone(&lane.inbox), Arc::clone(&self.results));
            if let Err(error) = started {
                tracing::warn!(%error, "no thread for sound");
                Counts::add(&self.results.counts.dropped, 1);
                return;
            }
            self.lane_mut(stream).runs = true;
        }
        let dropped = self.lane(stream).inbox.push(stream, target, sound);
        Counts::add(&self.results.counts.dropped, dropped);
    }

    /// Ends a stream. What of it is under way may come out still.
    pub(crate) fn close(&mut self, stream: Stream) {
        self.lane(stream).inbox.close(stream);
    }

    /// The next sound that has been put into its codec; or, once for each description of a stream,
    /// why that is not done: a sentence for who sends it.
    pub(crate) fn poll(&mut self) -> Option<(Stream, Result<Sound, SoundError>)> {
        self.results.lock().pop_front()
    }

    /// What has been counted.
    pub(crate) fn metrics(&self) -> [Metric; 4] {
        self.results.counts.metrics()
    }

    fn lane(&self, stream: Stream) -> &Lane {
        &self.lanes[Self::number(stream)]
    }

    fn lane_mut(&mut self, stream: Stream) -> &mut Lane {
        &mut self.lanes[Self::number(stream)]
    }

    fn number(stream: Stream) -> usize {
        (stream.client.0 % limits::CODEC_THREADS as u64) as usize
    }
}

impl Drop for Codecs {
    fn drop(&mut self) {
        for lane in &self.lanes {
            lane.inbox.stop();
        }
    }
}

impl Results {
    /// Hands results to the front. Over the cap the oldest are dropped: who does not take them
    /// wants none.
    fn put(&self, stream: Stream, results: impl Iterator<Item = Result<Sound, SoundError>>) {
        let mut queue = self.lock();
        let was_empty = queue.is_empty();
        queue.extend(results.map(|result| (stream, result)));
        let over = queue.len().saturating_sub(limits::CODEC_RESULTS);
        queue.drain(..over);
        let wakes = was_empty && !queue.is_empty();
        drop(queue);
        Counts::add(&self.counts.dropped, over as u64);
        if wakes && let Err(error) = self.front.wake() {
            tracing::warn!(%error, "the front cannot be woken");
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Stream, Result<Sound, SoundError>)>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn add(count: &AtomicU64, more: u64) {
        count.fetch_add(more, Ordering::Relaxed);
    }

    fn metrics(&self) -> [Metric; 4] {
        let metric = |name, help, grows, value: &AtomicU64| Metric {
            name,
            help,
            grows,
            value: value.load(Ordering::Relaxed),
        };
        [
            metric(
                "parlor_transcoded_streams",
                "Streams of sound that are put into another codec.",
                false,
                &self.streams,
            ),
            metric(
                "parlor_sound_dropped_total",
                "Units of sound that were not put into another codec because there were too many.",
                true,
                &self.dropped,
            ),
            metric(
                "parlor_sound_undecodable_total",
                "Units of sound that could not be decoded.",
                true,
                &self.undecodable,
            ),
            metric(
                "parlor_codec_panics_total",
                "Streams whose sound has ended because a codec panicked.",
                true,
                &self.panics,
            ),
        ]
    }
}

#[cfg(test)]
mod tests;
