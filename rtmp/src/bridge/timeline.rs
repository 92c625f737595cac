//! One clock for both tracks of an encoder: its timestamps without wraps and jumps.

use std::time::{Duration, Instant};

use parlor_core::MediaKind;

use super::limits;

/// Turns timestamps into times that go on without jumps.
///
/// The clock is one for both tracks, so that they stay together; but each of them is followed on
/// its own, because they do not jump at the same tag.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    audio: Option<Track>,
    video: Option<Track>,
    /// What is added to timestamps of either track, by the latest jump.
    offset: i64,
    /// The latest time of any track, and when it came.
    latest: Option<(i64, Instant)>,
}

/// Milliseconds, which do not wrap.
#[derive(Debug, Clone, Copy)]
struct Track {
    /// The latest timestamp as it came, and unwrapped.
    raw: u32,
    unwrapped: i64,
    offset: i64,
    /// Its latest time, and the one that it must be behind: that from before the jump.
    time: i64,
    floor: Option<i64>,
}

/// The time of the first tag: pictures can be shown earlier than they are decoded, by encoders
/// that are not quite right.
const BEGIN: i64 = 1_000;

impl Timeline {
    /// The time of a tag, in milliseconds.
    pub(super) fn place(&mut self, now: Instant, kind: MediaKind, raw: u32) -> i64 {
        let expected = self.expected(now);
        let shared = self.offset;
        let begun = self.latest.is_some();
        let track = match kind {
            MediaKind::Audio => &mut self.audio,
            MediaKind::Video => &mut self.video,
        };
        let before = *track;
        let jump = limits::TIME_JUMP.as_millis() as i64;
        let back = limits::TIME_BACK.as_millis() as i64;
        let (unwrapped, known, alone) = match track {
            Some(track) => {
                // The shorter way around.
                let step = i64::from(raw.wrapping_sub(track.raw).cast_signed());
                let known = (-back..=jump).contains(&step).then_some(track.offset);
                (
                    track.unwrapped + step,
                    known,
                    step < 0 && track.offset == shared,
                )
            }
            None => (i64::from(raw), None, false),
        };
        // Who goes back alone is where its own past is, however little it goes.
        let fits = begun && !alone && (unwrapped + shared - expected).abs() <= jump;
        let offset = match known {
            Some(offset) => offset,
            // The other track has jumped to the same place, or this one has paused.
            None if fits => shared,
            None => {
                self.offset = expected - unwrapped;
                self.offset
            }
        };
        let floor = match (known, before) {
            (Some(_), Some(before)) => before.floor,
            (None, Some(before)) => Some(before.time),
            (_, None) => None,
        };
        // Where the other track jumped first, to what was to come with a later picture, this one
        // stands behind its own past. A picture is shown all the same, as long as it takes right
        // after the one before it: the decoder needs it. Sound is counted, and what is too much is
        // left out there.
        let floor = floor.filter(|floor| kind == MediaKind::Video && unwrapped + offset <= *floor);
        let time = floor.map_or(unwrapped + offset, |floor| floor + 1);
        *track = Some(Track {
            raw,
            unwrapped,
            offset,
            time,
            floor: floor.map(|floor| floor + 1),
        });
        if self.latest.is_none_or(|(latest, _)| time > latest) {
            self.latest = Some((time, now));
        }
        time
    }

    /// The time of what comes just after the latest tag.
    fn expected(&self, now: Instant) -> i64 {
        self.latest.map_or(BEGIN, |(time, at)| {
            let since = now.saturating_duration_since(at).as_millis();
            // Below the life of any connection.
            time + since.min(u32::MAX.into()) as i64
        })
    }
}

/// A time as the rest of the bridge has it. There is none before the beginning.
pub(super) fn duration(milliseconds: i64) -> Duration {
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or_default())
}

/// Counts samples, from which the times of sound follow more exactly than from milliseconds.
#[derive(Debug)]
pub(super) struct Samples {
    rate: u32,
    origin: Duration,
    count: u64,
}

impl Samples {
    /// A count that begins with the next unit.
    pub(super) fn new(rate: u32, origin: Duration) -> Self {
        Self {
            rate: rate.max(1),
            origin,
            count: 0,
        }
    }

    /// Where the next sample stands.
    fn next(&self) -> Duration {
        let rate = u64::from(self.rate);
        let seconds = Duration::from_secs(self.count / rate);
        // Less than a second's worth: it cannot overflow.
        let rest = Duration::from_nanos(self.count % rate * 1_000_000_000 / rate);
        self.origin + seconds + rest
    }

    /// The time of a unit of so many samples that is stamped with `stamp`. `None` where there are
    /// more samples than time has passed: the unit is to be left out.
    pub(super) fn place(&mut self, stamp: Duration, samples: u32) -> Option<Duration> {
        let counted = self.next();
        if counted > stamp + limits::SAMPLES_ASTRAY {
            return None;
        }
        if stamp > counted + limits::SAMPLES_ASTRAY {
            *self = Self::new(self.rate, stamp);
        }
        let time = self.next();
        self.count += u64::from(samples);
        Some(time)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn video(timeline: &mut Timeline, now: Instant, raw: u32) -> i64 {
        timeline.place(now, MediaKind::Video, raw)
    }

    fn audio(timeline: &mut Timeline, now: Instant, raw: u32) -> i64 {
        timeline.place(now, MediaKind::Audio, raw)
    }

    #[test]
    fn timestamps_go_on_where_they_wrap() {
        for first in [0x00ff_ffff - 60, u32::MAX - 60] {
            let now = Instant::now();
            let mut timeline = Timeline::default();
            let mut raw = first;
            for step in 0..10 {
                // What comes late is of its time nevertheless.
                let late = MILLISECOND * (step % 3) * 15;
                let time = video(&mut timeline, now + MILLISECOND * 40 * step + late, raw);
                assert_eq!(time, BEGIN + 40 * i64::from(step));
                raw = raw.wrapping_add(40);
            }
        }
    }

    #[test]
    fn a_clock_of_24_bits_that_begins_anew_goes_on() {
        let now = Instant::now();
        let mut timeline = Timeline::default();
        video(&mut timeline, now, 0x00ff_fff0);
        let next = video(&mut timeline, now + MILLISECOND * 40, 24);
        assert_eq!(next, BEGIN + 40);
    }

    #[test]
    fn both_tracks_jump_to_the_same_place() {
        let now = Instant::now();
        let mut timeline = Timeline::default();
        let at = |ms| now + MILLISECOND * ms;
        assert_eq!(video(&mut timeline, at(0), 5_000), BEGIN);
        assert_eq!(audio(&mut timeline, at(3), 5_010), BEGIN + 10);
        // The encoder begins its clock anew; the sound comes with it.
        let picture = video(&mut timeline, at(40), 0);
        let sound = audio(&mut timeline, at(60), 10);
        assert_eq!(sound - picture, 10, "together as their timestamps are");
        assert!((picture - BEGIN - 40).abs() < 20);
        assert_eq!(video(&mut timeline, at(80), 40), picture + 40);
    }

    #[test]
    fn a_pause_of_one_track_moves_nothing() {
        let now = Instant::now();
        let mut timeline = Timeline::default();
        audio(&mut timeline, now, 0);
        for step in 0..200 {
            video(&mut timeline, now + MILLISECOND * 40 * step, 40 * step);
        }
        let back = audio(&mut timeline, now + MILLISECOND * 7_970, 7_970);
        assert_eq!(back, BEGIN + 7_970);
    }

    #[test]
    fn tracks_that_are_far_apart_are_put_together_once() {
        let now = Instant::now();
        let mut timeline = Timeline::default();
        for step in 0..50 {
            let at = now + MILLISECOND * 40 * step;
            let sound = audio(&mut timeline, at, 40 * step);
            let picture = video(&mut timeline, at, 60_000 + 40 * step);
            assert_eq!((sound, picture), (BEGIN + i64::from(40 * step), sound));
        }
    }

    #[test]
    fn a_picture_that_jumps_after_the_sound_does_not_go_back() {
        let now = Instant::now();
        let mut timeline = Timeline::default();
        let at = |ms| now + MILLISECOND * ms;
        let before = video(&mut timeline, at(0), 8_000);
        // A new clock, in a burst: its sound comes ahead of its pictures.
        let sound = audio(&mut timeline, at(5), 60_400);
        let pictures = [60_000, 60_080, 60_400, 60_480];
        let times = pictures.map(|raw| video(&mut timeline, at(5), raw));
        let ahead = [before + 1, before + 2, sound, sound + 80];
        assert_eq!(times, ahead, "together as soon as it can be");
    }

    #[test]
    fn a_clock_that_is_set_back_a_little_goes_on() {
        let now = Instant::now();
        let mut timeline = Timeline::default();
        let at = |ms| now + MILLISECOND * ms;
        video(&mut timeline, at(0), 15_720);
        audio(&mut timeline, at(0), 15_740);
        let before = video(&mut timeline, at(80), 15_800);
        let picture = video(&mut timeline, at(120), 14_959);
        assert_eq!(picture, before + 40);
        let sound = audio(&mut timeline, at(140), 14_979);
        assert_eq!(sound, picture + 20, "the sound goes with it");
        // Pictures that are shown earlier than they come keep their order.
        let reordered = video(&mut timeline, at(160), 14_859);
        assert_eq!(reordered, picture - 100);
    }

    #[test]
    fn samples_are_counted_until_they_go_astray() {
        let begin = MILLISECOND * 1_000;
        let mut samples = Samples::new(44_100, begin);
        // Timestamps of whole milliseconds, as encoders cut them.
        for unit in 0..10_000_u64 {
            let stamp = begin + MILLISECOND * (unit * 1_024 * 1_000 / 44_100) as u32;
            let time = samples.place(stamp, 1_024).expect("in time");
            let exact = begin + Duration::from_nanos(unit * 1_024 * 1_000_000_000 / 44_100);
            assert!(time.abs_diff(exact) <= Duration::from_nanos(1));
        }
        let late = samples.next() + MILLISECOND * 41;
        assert_eq!(
            samples.place(late, 1_024),
            Some(late),
            "something is missing"
        );
        let early = samples.next() - MILLISECOND * 41;
        assert_eq!(samples.place(early, 1_024), None, "something is too much");
        assert_eq!(
            samples.place(early + MILLISECOND, 1_024),
            Some(early + MILLISECOND * 41)
        );
    }

    proptest! {
        #[test]
        fn times_are_never_far_from_when_they_come(
            steps in proptest::collection::vec((any::<bool>(), any::<u32>(), 0_u32..3_000), 1..200),
        ) {
            let now = Instant::now();
            let mut timeline = Timeline::default();
            let mut passed = 0;
            for (is_audio, raw, elapsed) in steps {
                passed += elapsed;
                let kind = if is_audio { MediaKind::Audio } else { MediaKind::Video };
                let time = timeline.place(now + MILLISECOND * passed, kind, raw);
                // A jump is at most a second, and each tag may be one.
                prop_assert!(time >= BEGIN - 400_000 && time <= BEGIN + i64::from(passed) + 400_000);
            }
        }
    }
}
