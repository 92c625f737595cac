//! A publisher: when its packets are due, and what they are.

use std::time::{Duration, Instant};

use parlor_core::MediaKind;

use super::connection::Outgoing;
use super::media::{self, Place, Stamp};

/// What is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    /// Packets of the picture each second; 0: none.
    pub(super) packets: u32,
    /// Pictures each second.
    pub(super) pictures: u32,
    /// Bytes of a packet's payload.
    pub(super) bytes: usize,
    /// With sound.
    pub(super) audio: bool,
}

impl Pace {
    /// How much later than others a publisher's pictures come: publishers that know nothing of each
    /// other are spread over the time of a picture.
    pub(super) fn phase(self, publisher: usize) -> Duration {
        /// Multiples of it, without their whole parts, are spread evenly however many there are.
        const GOLDEN_RATIO: f64 = 0.618_033_988_749_895;
        let share = (publisher as f64 * GOLDEN_RATIO).fract();
        Duration::from_secs(1).mul_f64(share / f64::from(self.pictures))
    }
}

/// Time between two packets of sound.
const SOUND: Duration = Duration::from_millis(20);
/// Time between two key frames that nobody has asked for.
const KEY_INTERVAL: Duration = Duration::from_secs(2);
/// How late a picture may be: what is later is left out, and counted.
const LATE: Duration = Duration::from_millis(200);
const VIDEO_CLOCK: u64 = 90_000;
const SAMPLES_OF_SOUND: u64 = 960;

/// A publisher that is connected.
#[derive(Debug)]
pub(super) struct Publisher {
    pace: Pace,
    /// When its first picture is due.
    start: Instant,
    pictures: u64,
    sounds: u64,
    key_due: Instant,
    /// Numbers of the latest packets of sound and picture.
    numbers: [u64; 2],
    /// Packets that were left out, because this program was too late for them.
    pub(super) left_out: u64,
}

/// The place of a kind in tables of two.
pub(super) fn place(kind: MediaKind) -> usize {
    match kind {
        MediaKind::Audio => 0,
        MediaKind::Video => 1,
    }
}

impl Publisher {
    /// A publisher whose first picture is due at `start`.
    pub(super) fn new(pace: Pace, start: Instant) -> Self {
        Self {
            pace,
            start,
            pictures: 0,
            sounds: 0,
            key_due: start,
            numbers: [0; 2],
            left_out: 0,
        }
    }

    /// When it sends something next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let picture = (self.pace.packets > 0).then(|| self.picture_due(self.pictures));
        let sound = self.pace.audio.then(|| self.sound_due(self.sounds));
        picture.into_iter().chain(sound).min()
    }

    pub(super) fn want_keyframe(&mut self, now: Instant) {
        self.key_due = self.key_due.min(now);
    }

    /// How many packets of a kind it has sent.
    pub(super) fn sent(&self, kind: MediaKind) -> u64 {
        self.numbers[place(kind)]
    }

    fn picture_due(&self, number: u64) -> Instant {
        self.start + Duration::from_secs(1).mul_f64(number as f64 / f64::from(self.pace.pictures))
    }

    fn sound_due(&self, number: u64) -> Instant {
        self.start + SOUND.mul_f64(number as f64)
    }

    /// Writes what is due. `write` gets each packet, and is told its time by the `clock`, which says
    /// how long it is since 1970.
    pub(super) fn write_due(
        &mut self,
        now: Instant,
        clock: impl Fn() -> Duration,
        mut write: impl FnMut(MediaKind, Outgoing),
    ) {
        while self.pace.audio && self.sound_due(self.sounds) <= now {
            let late = self.sound_due(self.sounds) + LATE < now;
            self.sounds += 1;
            if late {
                self.left_out += 1;
                continue;
            }
            let stamp = self.stamp(MediaKind::Audio, &clock);
            let packet = Outgoing {
                sequence: stamp.number,
                // Truncation is the wrap of the RTP timestamp, here and below.
                timestamp: (self.sounds * SAMPLES_OF_SOUND) as u32,
                marker: false,
                payload: media::sound(stamp),
            };
            write(MediaKind::Audio, packet);
        }
        while self.pace.packets > 0 && self.picture_due(self.pictures) <= now {
            self.write_picture(now, &clock, &mut write);
        }
    }

    fn write_picture(
        &mut self,
        now: Instant,
        clock: &impl Fn() -> Duration,
        write: &mut impl FnMut(MediaKind, Outgoing),
    ) {
        let number = self.pictures;
        let late = self.picture_due(number) + LATE < now;
        self.pictures += 1;
        let (packets, pictures) = (u64::from(self.pace.packets), u64::from(self.pace.pictures));
        let count = packets * (number + 1) / pictures - packets * number / pictures;
        let count = count.max(1) as usize;
        if late {
            self.left_out += count as u64;
            return;
        }
        let timestamp = (number * VIDEO_CLOCK / pictures) as u32;
        let key = self.key_due <= now;
        if key {
            self.key_due = now + KEY_INTERVAL;
            let stamp = self.stamp(MediaKind::Video, clock);
            let packet = Outgoing {
                sequence: stamp.number,
                timestamp,
                marker: false,
                payload: media::parameter_sets(stamp),
            };
            write(MediaKind::Video, packet);
        }
        for index in 0..count {
            let stamp = self.stamp(MediaKind::Video, clock);
            let place = Place { index, count, key };
            let packet = Outgoing {
                sequence: stamp.number,
                timestamp,
                marker: index + 1 == count,
                payload: media::fragment(place, stamp, self.pace.bytes),
            };
            write(MediaKind::Video, packet);
        }
    }

    fn stamp(&mut self, kind: MediaKind, clock: &impl Fn() -> Duration) -> Stamp {
        let number = &mut self.numbers[place(kind)];
        *number += 1;
        Stamp {
            number: *number,
            sent: clock(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        packets: 250,
        pictures: 30,
        bytes: 1_100,
        audio: true,
    };

    /// The packets of one second, in steps of a millisecond: kind, marker, key.
    fn second(publisher: &mut Publisher, start: Instant) -> Vec<(MediaKind, bool, bool)> {
        let mut written = Vec::new();
        for step in 0..1_000 {
            let now = start + Duration::from_millis(step);
            publisher.write_due(now, Duration::default, |kind, packet| {
                written.push((kind, packet.marker, media::is_entry(&packet.payload)));
            });
        }
        written
    }

    #[test]
    fn a_second_has_the_packets_that_were_asked_for() {
        let start = Instant::now();
        let mut publisher = Publisher::new(PACE, start);
        let written = second(&mut publisher, start);
        let count = |kind, marker, entry| {
            let which = written
                .iter()
                .filter(|packet| **packet == (kind, marker, entry));
            which.count()
        };
        assert_eq!(count(MediaKind::Video, true, false), 30, "pictures");
        assert_eq!(count(MediaKind::Video, false, false), 220);
        assert_eq!(count(MediaKind::Video, false, true), 1, "key frames");
        assert_eq!(count(MediaKind::Audio, false, false), 50);
        assert_eq!(publisher.sent(MediaKind::Video), 251);
    }

    #[test]
    fn a_key_frame_comes_every_two_seconds_and_when_asked_for() {
        let start = Instant::now();
        let mut publisher = Publisher::new(PACE, start);
        let mut keys = Vec::new();
        for number in 0..5 {
            if number == 3 {
                publisher.want_keyframe(start + Duration::from_secs(3));
            }
            let written = second(&mut publisher, start + Duration::from_secs(number));
            keys.push(written.iter().filter(|(_, _, key)| *key).count());
        }
        assert_eq!(keys, [1, 0, 1, 1, 0]);
    }

    #[test]
    fn publishers_do_not_all_send_at_once() {
        let mut phases: Vec<Duration> = (0..60).map(|number| PACE.phase(number)).collect();
        phases.sort();
        let gaps = phases.windows(2).map(|pair| pair[1] - pair[0]);
        assert!(gaps.min() > Some(Duration::from_micros(200)));
        assert!(
            phases
                .iter()
                .all(|phase| *phase < Duration::from_millis(34))
        );
    }

    #[test]
    fn what_is_much_too_late_is_left_out() {
        let start = Instant::now();
        let mut publisher = Publisher::new(PACE, start);
        let now = start + Duration::from_secs(1);
        let mut written = 0;
        publisher.write_due(now, Duration::default, |_, _| written += 1);
        assert!(written < 80, "{written}");
        assert!(publisher.left_out > 200, "{}", publisher.left_out);
        assert!(publisher.deadline() > Some(now));
    }
}
