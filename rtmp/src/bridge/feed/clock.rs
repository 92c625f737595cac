//! One clock for the sound and the picture of a publication.

use std::time::{Duration, Instant};

use parlor_core::MediaKind;

/// Puts RTP timestamps, which begin anywhere, on one clock.
///
/// At first both tracks stand where they arrive: nothing waits for reports. Once it is known when
/// both were captured, the picture is shifted towards where it belongs, a little with each frame;
/// the sound stays, because players do not like gaps.
#[derive(Debug)]
pub(super) struct Clock {
    begun: Option<Instant>,
    /// How much earlier than the first packet the earliest one came for its time, so far: what is
    /// expected is as early, and never behind what has come.
    lead: i64,
    /// The highest time so far.
    highest: Option<i64>,
    audio: Line,
    video: Line,
}

/// One track. Times are in nanoseconds.
#[derive(Debug)]
struct Line {
    rate: i64,
    /// The latest timestamp as it came, unwrapped, and its time.
    latest: Option<(u32, i64, i64)>,
    /// What is added to a timestamp to get its time here.
    offset: i64,
    /// What is added to get the time of capture.
    capture: Option<i64>,
}

const SECOND: i64 = 1_000_000_000;
/// The time of what arrives first: a picture that is replayed belongs before the sound.
const BEGIN: i64 = 10 * SECOND;
/// How far a timestamp may be before where it arrives, or behind the highest one so far.
const ASTRAY: i64 = 9 * SECOND;
/// More than timestamps of both tracks, which begin anywhere, can be apart.
const MONTH: i64 = 30 * 86_400 * SECOND;
/// What is not shifted, but put right at once.
const APART: i64 = SECOND / 2;
/// By how much a frame is shifted.
const SHIFT: i64 = SECOND / 500;

impl Clock {
    pub(super) fn new(audio_rate: u32, video_rate: u32) -> Self {
        let line = |rate: u32| Line {
            rate: i64::from(rate.max(1)),
            latest: None,
            offset: 0,
            capture: None,
        };
        Self {
            begun: None,
            lead: 0,
            highest: None,
            audio: line(audio_rate),
            video: line(video_rate),
        }
    }

    /// The time of a packet. Those with one timestamp have one time.
    pub(super) fn place(
        &mut self,
        arrived: Instant,
        kind: MediaKind,
        timestamp: u32,
        captured: Option<Duration>,
    ) -> Duration {
        let begun = *self.begun.get_or_insert(arrived);
        let since = nanoseconds(arrived.saturating_duration_since(begun)).unwrap_or_default();
        let expected = BEGIN + since + self.lead;
        let (line, other) = match kind {
            MediaKind::Audio => (&mut self.audio, &mut self.video),
            MediaKind::Video => (&mut self.video, &mut self.audio),
        };
        if let Some((raw, _, time)) = line.latest
            && raw == timestamp
        {
            return duration(time);
        }
        let ticks = line.unwrap(timestamp);
        let media = line.span(ticks);
        let captured = captured.and_then(nanoseconds);
        if let Some(captured) = captured {
            line.capture = Some(captured - media);
        }
        // Where it belongs beside the other track.
        let beside = match (line.capture, other.capture, other.latest) {
            (Some(mine), Some(theirs), Some(_)) => Some(mine - theirs + other.offset),
            _ => None,
        };
        let begins = line.latest.is_none();
        match (kind, beside) {
            (_, Some(beside)) if begins => line.offset = beside,
            (_, None) if begins => line.offset = expected - media,
            (MediaKind::Video, Some(beside)) => {
                let error = beside - line.offset;
                line.offset += if error.abs() > APART {
                    error
                } else {
                    error.clamp(-SHIFT, SHIFT)
                };
            }
            (MediaKind::Audio | MediaKind::Video, _) => {}
        }
        // What was held up on its way goes on where it was: later it is back in time, and must not
        // stand before what came meanwhile.
        let least = self.highest.unwrap_or(expected) - ASTRAY;
        if !(least..=expected + ASTRAY).contains(&(media + line.offset)) {
            // They leap together, unless the publisher says what cannot be.
            let apart = beside.map(|beside| beside - other.offset);
            line.offset = expected - media;
            if captured.is_none() {
                // Another source, of which nothing is known yet: what was of the one before it does
                // not say where the other track is.
                line.capture = None;
            } else if let Some(apart) = apart.filter(|apart| apart.abs() <= MONTH) {
                other.offset = line.offset - apart;
            }
        }
        let time = media + line.offset;
        self.lead = self.lead.max(time - BEGIN - since);
        self.highest = self.highest.max(Some(time));
        line.latest = Some((timestamp, ticks, time));
        duration(time)
    }
}

impl Line {
    /// The timestamp without wraps.
    fn unwrap(&self, timestamp: u32) -> i64 {
        let begin = i64::from(timestamp);
        self.latest.map_or(begin, |(raw, ticks, _)| {
            // The shorter way around.
            ticks + i64::from(timestamp.wrapping_sub(raw).cast_signed())
        })
    }

    /// How long so many ticks are.
    fn span(&self, ticks: i64) -> i64 {
        let seconds = ticks.div_euclid(self.rate);
        seconds * SECOND + ticks.rem_euclid(self.rate) * SECOND / self.rate
    }
}

/// Below a century: what is above is not a date, and sums of such cannot overflow.
fn nanoseconds(time: Duration) -> Option<i64> {
    const CENTURY: Duration = Duration::from_secs(100 * 366 * 86_400);
    let nanoseconds = i64::try_from(time.as_nanos()).ok()?;
    (time <= CENTURY).then_some(nanoseconds)
}

fn duration(nanoseconds: i64) -> Duration {
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    /// A browser: sound of 20 ms, pictures of 40 ms; each takes a way of its own length, and what
    /// is reported of capture begins at some time.
    struct Run {
        reported_from: u32,
        sound_way: u32,
        picture_way: u32,
    }

    impl Run {
        /// By how much sound is late against its picture, in milliseconds, second by second.
        fn skews(&self) -> Vec<i64> {
            let now = Instant::now();
            let mut clock = Clock::new(48_000, 90_000);
            let (mut skews, mut sound) = (Vec::new(), 0);
            for step in 0..1_000_u32 {
                let captured = MILLISECOND * 20 * step;
                let report =
                    (step >= self.reported_from).then_some(Duration::from_secs(1 << 31) + captured);
                let at = now + captured + MILLISECOND * self.sound_way;
                let stamp = (0xffff_0000_u32).wrapping_add(960 * step);
                let time = clock.place(at, MediaKind::Audio, stamp, report);
                if step > 0 {
                    assert_eq!(
                        time - duration(sound),
                        MILLISECOND * 20,
                        "sound has no gaps"
                    );
                }
                sound = nanoseconds(time).expect("small");
                if step % 2 == 0 {
                    let at = now + captured + MILLISECOND * self.picture_way;
                    let picture = clock.place(at, MediaKind::Video, 7 + 1_800 * step, report);
                    let picture = nanoseconds(picture).expect("small");
                    if step % 50 == 0 {
                        skews.push((sound - picture) / 1_000_000);
                    }
                }
            }
            skews
        }
    }

    #[test]
    fn tracks_that_are_reported_are_together_at_once() {
        let run = Run {
            reported_from: 0,
            sound_way: 10,
            picture_way: 90,
        };
        assert_eq!(run.skews(), vec![0; 20]);
    }

    #[test]
    fn tracks_begin_as_they_arrive_and_come_together_once_reported() {
        let run = Run {
            reported_from: 100,
            sound_way: 10,
            picture_way: 90,
        };
        let skews = run.skews();
        assert_eq!(skews[..2], [-80, -80]);
        assert!(skews.is_sorted());
        assert_eq!(skews[5..], [0; 15]);
    }

    #[test]
    fn a_replayed_picture_stands_before_the_sound() {
        let now = Instant::now();
        let mut clock = Clock::new(48_000, 90_000);
        let captured = Some(Duration::from_secs(100));
        let sound = clock.place(now, MediaKind::Audio, 0, captured);
        let earlier = Some(Duration::from_secs(97));
        let picture = clock.place(now, MediaKind::Video, 0, earlier);
        assert_eq!(sound - picture, Duration::from_secs(3));
    }

    #[test]
    fn what_is_held_up_goes_on_where_it_was_and_is_back_in_time_later() {
        let now = Instant::now();
        let mut clock = Clock::new(48_000, 90_000);
        let mut times = Vec::new();
        for (arrives, captured) in [(0, 0), (100, 100), (15_000, 200), (15_100, 15_100)] {
            let at = now + MILLISECOND * arrives;
            times.push(clock.place(at, MediaKind::Video, 90 * captured, None));
        }
        let since = times.iter().map(|time| (*time - times[0]).as_millis());
        assert_eq!(since.collect::<Vec<_>>(), [0, 100, 200, 15_100]);
    }

    #[test]
    fn a_track_that_begins_after_a_stall_stands_beside_the_other() {
        let now = Instant::now();
        let mut clock = Clock::new(48_000, 90_000);
        let captured = |seconds| Some(Duration::from_secs(seconds));
        let picture = clock.place(now, MediaKind::Video, 0, captured(100));
        let after = now + Duration::from_secs(12);
        let sound = clock.place(after, MediaKind::Audio, 0, captured(101));
        assert_eq!(sound - picture, Duration::from_secs(1));
    }

    #[test]
    fn tracks_leap_together() {
        let now = Instant::now();
        let mut clock = Clock::new(48_000, 90_000);
        let mut place = |arrives: u32, kind, captured: u32| {
            let rate = if kind == MediaKind::Audio { 48 } else { 90 };
            let at = now + MILLISECOND * arrives;
            clock.place(at, kind, rate * captured, Some(MILLISECOND * captured))
        };
        place(0, MediaKind::Audio, 0);
        let picture = place(20, MediaKind::Video, 12_000);
        assert_eq!(
            place(30, MediaKind::Video, 12_080) - picture,
            MILLISECOND * 80
        );
        assert_eq!(
            place(40, MediaKind::Audio, 12_080) - picture,
            MILLISECOND * 80
        );
    }

    /// A browser that sends its picture from another source says only later when that was captured.
    #[test]
    fn a_picture_from_another_source_leaves_the_sound_where_it_is() {
        let now = Instant::now();
        let mut clock = Clock::new(48_000, 90_000);
        let mut sounds = Vec::new();
        let mut skew = Duration::ZERO;
        for step in 0..150_u32 {
            let captured = MILLISECOND * 100 * step;
            let at = now + captured + MILLISECOND * (10 + step % 7);
            let sound = clock.place(at, MediaKind::Audio, 4_800 * step, Some(captured));
            sounds.push(sound);
            // Sixty seconds further from the fiftieth picture on, which takes its time.
            let (leap, reported) = match step {
                0..50 => (0, true),
                50..60 => (5_400_000, false),
                _ => (5_400_000, true),
            };
            let at = now + captured + MILLISECOND * if step < 50 { 30 } else { 170 };
            let picture = 9_000 * step + leap;
            let reported = reported.then_some(captured);
            skew = sound.abs_diff(clock.place(at, MediaKind::Video, picture, reported));
        }
        let steps = sounds.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(
            steps.clone().all(|step| step == MILLISECOND * 100),
            "{sounds:?}"
        );
        assert_eq!(skew, Duration::ZERO);
    }

    #[test]
    fn what_begins_late_is_back_in_time_without_going_back() {
        for gap in [5_000, 8_900, 12_000] {
            let now = Instant::now();
            let mut clock = Clock::new(48_000, 90_000);
            let place = |(arrives, captured): (u32, u32)| {
                let at = now + MILLISECOND * arrives;
                clock.place(at, MediaKind::Audio, 48 * captured, None)
            };
            let burst = (0..10).map(|unit| (100 + unit, gap + 100 * unit));
            let live = (0..10).map(|unit| (1_000 + 100 * unit, gap + 1_000 + 100 * unit));
            let times: Vec<Duration> = [(0, 0)]
                .into_iter()
                .chain(burst)
                .chain(live)
                .map(place)
                .collect();
            let steps = times[1..]
                .windows(2)
                .map(|pair| (pair[1] - pair[0]).as_millis());
            assert_eq!(steps.collect::<Vec<_>>(), [100; 19], "after {gap} ms");
        }
    }

    proptest! {
        #[test]
        fn nothing_stands_before_zero_or_leaps_far(
            packets in proptest::collection::vec(
                (any::<bool>(), any::<u32>(), proptest::option::of(any::<u64>()), 0_u64..2_000),
                1..200,
            ),
        ) {
            let now = Instant::now();
            let mut clock = Clock::new(48_000, 90_000);
            let mut passed = Duration::ZERO;
            let mut highest = duration(BEGIN);
            for (is_audio, timestamp, captured, elapsed) in packets {
                passed += Duration::from_millis(elapsed);
                let kind = if is_audio { MediaKind::Audio } else { MediaKind::Video };
                let captured = captured.map(Duration::from_nanos);
                let time = clock.place(now + passed, kind, timestamp, captured);
                prop_assert!(time <= highest + passed + duration(ASTRAY));
                highest = highest.max(time);
                prop_assert!(time >= duration(BEGIN - ASTRAY), "there is no time before zero");
            }
        }
    }
}
