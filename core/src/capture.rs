//! When media was captured, on the machine's time.
//!
//! Sound and picture take ways of their own to the machine: a publisher whose line is narrow holds
//! its picture back for longer than its sound. Players are told when both were captured, or the
//! picture would be shown as much too late against its sound.

use std::time::{Duration, Instant};

use crate::request::MediaKind;

/// How much later than it was captured something may come from a WebRTC connection, to be told apart
/// from a publisher that says what cannot be. Browsers keep no more than two seconds back.
pub(crate) const PEER_ASTRAY: Duration = Duration::from_secs(5);

/// Where a publisher's time stands on the machine's.
#[derive(Debug)]
pub(crate) struct CaptureClock {
    /// How far the two may be apart from what they were before they are put together anew.
    astray: Duration,
    /// An instant, and what the publisher's time was then.
    anchor: Option<(Instant, Duration)>,
    /// It is known of these when they were captured.
    audio: bool,
    video: bool,
}

impl CaptureClock {
    pub(crate) fn new(astray: Duration) -> Self {
        Self {
            astray,
            anchor: None,
            audio: false,
            video: false,
        }
    }

    /// Where the publisher's time `captured` stands on the machine's: at the first time it is now.
    pub(crate) fn place(&mut self, now: Instant, captured: Duration) -> Instant {
        let placed = self.anchor.and_then(|(instant, zero)| {
            if captured >= zero {
                instant.checked_add(captured - zero)
            } else {
                instant.checked_sub(zero - captured)
            }
        });
        let close = placed.filter(|placed| {
            let ahead = placed.saturating_duration_since(now);
            let behind = now.saturating_duration_since(*placed);
            ahead.max(behind) <= self.astray
        });
        close.unwrap_or_else(|| {
            self.anchor = Some((now, captured));
            now
        })
    }

    /// The same of a packet that came now, of a publisher who may have said of either kind when it
    /// was captured. As long as it is not known of both, when they came is all there is.
    pub(crate) fn place_one(
        &mut self,
        now: Instant,
        kind: MediaKind,
        captured: Option<Duration>,
    ) -> Instant {
        let known = match kind {
            MediaKind::Audio => &mut self.audio,
            MediaKind::Video => &mut self.video,
        };
        *known = captured.is_some();
        match captured {
            Some(captured) if self.audio && self.video => self.place(now, captured),
            Some(_) | None => now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MILLISECOND: Duration = Duration::from_millis(1);

    #[test]
    fn a_publishers_time_stands_where_it_began_until_it_goes_astray() {
        let epoch = Instant::now();
        let mut clock = CaptureClock::new(10 * SECOND);
        let mut place = |now: Instant, captured| clock.place(now, captured) - epoch;
        assert_eq!(place(epoch, 5 * SECOND), Duration::ZERO);
        assert_eq!(place(epoch + SECOND, 7 * SECOND), 2 * SECOND, "not yet");
        assert_eq!(place(epoch + 3 * SECOND, 6 * SECOND), SECOND, "late");
        assert_eq!(place(epoch + 3 * SECOND, 50 * SECOND), 3 * SECOND, "anew");
        assert_eq!(place(epoch + 3 * SECOND, 51 * SECOND), 4 * SECOND);
        assert_eq!(place(epoch + 4 * SECOND, Duration::MAX), 4 * SECOND);
        assert_eq!(place(epoch + 5 * SECOND, Duration::ZERO), 5 * SECOND);
    }

    /// Sound takes 20 ms to the machine, and its picture 400.
    #[test]
    fn tracks_are_as_they_were_captured_once_it_is_known_of_both() {
        let epoch = Instant::now();
        let mut clock = CaptureClock::new(5 * SECOND);
        let (mut sounds, mut pictures) = (Vec::new(), Vec::new());
        for step in 0..100_u32 {
            let captured = MILLISECOND * 20 * step;
            let date = (step >= 50).then_some(Duration::from_secs(1 << 31) + captured);
            let mut place = |kind, way: u32, date| {
                let now = epoch + captured + MILLISECOND * way;
                clock.place_one(now, kind, date) - (epoch + captured)
            };
            // Of sound it is known from the beginning.
            sounds.push(place(
                MediaKind::Audio,
                20,
                Some(Duration::from_secs(1 << 31) + captured),
            ));
            pictures.push(place(MediaKind::Video, 400, date));
        }
        assert_eq!(sounds[..50], [MILLISECOND * 20; 50]);
        assert_eq!(pictures[..50], [MILLISECOND * 400; 50]);
        assert_eq!(sounds[51..], pictures[51..], "together");
        let undated = clock.place_one(epoch + 9 * SECOND, MediaKind::Audio, None);
        assert_eq!(undated, epoch + 9 * SECOND, "as it comes");
        let picture = clock.place_one(epoch + 9 * SECOND, MediaKind::Video, Some(SECOND));
        assert_eq!(picture, epoch + 9 * SECOND, "and the other along with it");
    }

    #[test]
    fn dates_that_contradict_each_other_count_as_none() {
        let epoch = Instant::now();
        let mut clock = CaptureClock::new(5 * SECOND);
        for step in 0..100_u32 {
            let now = epoch + MILLISECOND * 20 * step;
            let date = Duration::from_secs(100) + MILLISECOND * 20 * step;
            let sound = clock.place_one(now, MediaKind::Audio, Some(date));
            let picture = clock.place_one(now, MediaKind::Video, Some(date + 3_600 * SECOND));
            assert_eq!((sound, picture), (now, now));
        }
    }
}
