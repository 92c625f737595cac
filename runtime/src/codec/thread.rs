//! What a codec thread does.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use parlor_rtmp::audio::{SoundError, Target, Transcoder};
use parlor_rtmp::bridge::Sound;

use super::inbox::{Inbox, Work};
use super::{Counts, Results, Stream};
use crate::limits;

/// Starts a thread. It ends when its inbox stops.
pub(super) fn start(inbox: Arc<Inbox>, results: Arc<Results>) -> io::Result<()> {
    let thread = std::thread::Builder::new()
        .name("codec".to_owned())
        .stack_size(limits::CODEC_STACK);
    let serve = move || serve(&inbox, &results);
    thread.spawn(serve).map(drop)
}

fn serve(inbox: &Inbox, results: &Results) {
    let counts = &results.counts;
    let mut streams: BTreeMap<Stream, State> = BTreeMap::new();
    loop {
        let due = streams.values().filter_map(State::due).min();
        match inbox.take(due) {
            Work::Sounds(stream, target, sounds) => {
                let state = streams.entry(stream).or_insert_with(|| {
                    Counts::add(&counts.streams, 1);
                    State::new(target)
                });
                state.run(stream, results, |coder, errors| {
                    take_sounds(coder, errors, sounds);
                });
            }
            Work::Close(stream) => {
                if streams.remove(&stream).is_some() {
                    counts
                        .streams
                        .fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
                }
            }
            Work::Nothing => {}
            Work::Stop => return,
        }
        let now = Instant::now();
        for (stream, state) in &mut streams {
            if state.due().is_some_and(|due| due <= now) {
                state.run(*stream, results, |coder, errors| {
                    errors.extend(coder.handle_timeout(now).err());
                });
            }
        }
    }
}

/// What there is of a stream.
struct State {
    /// `None` after a panic: what was left of it may be anything.
    coder: Option<Transcoder>,
    /// What was said last about why nothing comes.
    said: Option<SoundError>,
}

impl State {
    fn new(target: Target) -> Self {
        Self {
            coder: Some(Transcoder::new(target)),
            said: None,
        }
    }

    fn due(&self) -> Option<Instant> {
        self.coder.as_ref().and_then(Transcoder::poll_timeout)
    }

    /// Lets the transcoder do something, and hands on what comes of it.
    fn run(
        &mut self,
        stream: Stream,
        results: &Results,
        work: impl FnOnce(&mut Transcoder, &mut Vec<SoundError>),
    ) {
        let Some(mut coder) = self.coder.take() else {
            return;
        };
        let ran = catch_unwind(AssertUnwindSafe(move || {
            let mut errors = Vec::new();
            work(&mut coder, &mut errors);
            let sounds: Vec<Sound> = std::iter::from_fn(|| coder.poll_output()).collect();
            (coder, sounds, errors)
        }));
        let Ok((coder, sounds, errors)) = ran else {
            Counts::add(&results.counts.panics, 1);
            tracing::warn!("a codec has panicked: the sound of its stream has ended");
            results.put(stream, std::iter::once(Err(SoundError::Codec)));
            return;
        };
        self.coder = Some(coder);
        if !sounds.is_empty() {
            self.said = None;
        }
        let passing = errors.iter().filter(|error| error.is_passing()).count();
        Counts::add(&results.counts.undecodable, passing as u64);
        let lasting = errors.into_iter().find(|error| !error.is_passing());
        let news = lasting.filter(|error| self.said != Some(*error));
        self.said = lasting.or(self.said);
        let sounds = sounds.into_iter().map(Ok);
        results.put(stream, sounds.chain(news.map(Err)));
    }
}

fn take_sounds(
    coder: &mut Transcoder,
    errors: &mut Vec<SoundError>,
    sounds: VecDeque<(Instant, Sound)>,
) {
    for (came, sound) in sounds {
        #[cfg(test)]
        assert!(
            sound.config.as_ref() != super::tests::PANICS,
            "as if a decoder had panicked"
        );
        errors.extend(coder.handle_sound(came, &sound).err());
    }
}
