//! The bounded queue between the front and one codec thread.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use parlor_rtmp::audio::Target;
use parlor_rtmp::bridge::Sound;

use super::Stream;
use crate::limits;

#[derive(Default)]
pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    news: Condvar,
}

#[derive(Default)]
struct Waiting {
    streams: BTreeMap<Stream, Queue>,
    /// Streams that have something, each once: they take turns.
    ready: VecDeque<Stream>,
    stops: bool,
}

struct Queue {
    target: Target,
    sounds: VecDeque<(Instant, Sound)>,
    is_ready: bool,
    closes: bool,
}

/// What a thread is to do next.
pub(super) enum Work {
    /// Sound of a stream, with the instants at which it came.
    Sounds(Stream, Target, VecDeque<(Instant, Sound)>),
    /// The stream is over.
    Close(Stream),
    /// Nothing has come until the deadline.
    Nothing,
    /// Everything is over.
    Stop,
}

impl Inbox {
    /// Returns how many sounds were dropped for it.
    pub(super) fn push(&self, stream: Stream, target: Target, sound: Sound) -> u64 {
        let mut waiting = self.lock();
        let Waiting { streams, ready, .. } = &mut *waiting;
        if streams.len() >= limits::CODEC_STREAMS && !streams.contains_key(&stream) {
            return 1;
        }
        let queue = streams.entry(stream).or_insert_with(|| Queue {
            target,
            sounds: VecDeque::new(),
            is_ready: false,
            closes: false,
        });
        if queue.closes {
            queue.target = target;
        }
        let over = queue.sounds.len() >= limits::CODEC_SOUNDS;
        if over {
            queue.sounds.pop_front();
        }
        queue.sounds.push_back((Instant::now(), sound));
        queue.be_ready(stream, ready);
        drop(waiting);
        self.news.notify_one();
        u64::from(over)
    }

    pub(super) fn close(&self, stream: Stream) {
        let mut waiting = self.lock();
        let Waiting { streams, ready, .. } = &mut *waiting;
        if let Some(queue) = streams.get_mut(&stream) {
            queue.sounds.clear();
            queue.closes = true;
            queue.be_ready(stream, ready);
            drop(waiting);
            self.news.notify_one();
        }
    }

    pub(super) fn stop(&self) {
        self.lock().stops = true;
        self.news.notify_one();
    }

    /// Waits for something to do, but no longer than until `deadline`.
    pub(super) fn take(&self, deadline: Option<Instant>) -> Work {
        let mut waiting = self.lock();
        loop {
            if waiting.stops {
                return Work::Stop;
            }
            if let Some(work) = waiting.next() {
                return work;
            }
            let pause = deadline.map(|due| due.saturating_duration_since(Instant::now()));
            if pause == Some(Duration::ZERO) {
                return Work::Nothing;
            }
            waiting = match pause {
                None => self.news.wait(waiting),
                Some(pause) => self
                    .news
                    .wait_timeout(waiting, pause)
                    .map(|(waiting, _)| waiting)
                    .map_err(|error| PoisonError::new(error.into_inner().0)),
            }
            .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn be_ready(&mut self, stream: Stream, ready: &mut VecDeque<Stream>) {
        if !std::mem::replace(&mut self.is_ready, true) {
            ready.push_back(stream);
        }
    }
}

impl Waiting {
    fn next(&mut self) -> Option<Work> {
        let stream = self.ready.pop_front()?;
        let queue = self.streams.get_mut(&stream)?;
        queue.is_ready = false;
        if std::mem::take(&mut queue.closes) {
            if queue.sounds.is_empty() {
                self.streams.remove(&stream);
            } else {
                // It has begun anew.
                queue.be_ready(stream, &mut self.ready);
            }
            return Some(Work::Close(stream));
        }
        let sounds = std::mem::take(&mut queue.sounds);
        Some(Work::Sounds(stream, queue.target, sounds))
    }
}
