//! Whether a publication's sound is somebody speaking, by the levels that its packets carry
//! (RFC 6464): nothing is decoded.

use std::time::{Duration, Instant};

/// A level at which somebody speaks, in dBov. Rooms are at −60 and below, speech at −40 to −15.
const LOUD: i8 = -45;
/// How much of the time must be loud to begin, in packets' weight: see [`Speaker::hear`].
const BEGIN: u8 = 4;
/// Most weight, which bounds how long a talker is remembered.
const MOST: u8 = 6;
/// How long after the last loud packet somebody still counts as speaking: pauses between words
/// are shorter.
pub(crate) const SILENCE: Duration = Duration::from_millis(600);

/// Watches the levels of one publication.
#[derive(Debug, Default)]
pub(crate) struct Speaker {
    weight: u8,
    loud: Option<Instant>,
    speaking: bool,
}

impl Speaker {
    /// Takes the level of a packet, in dBov (0 is the loudest, −127 silence). Returns true where
    /// the speaker begins to speak: loud packets weigh up, others down, so that a click does not
    /// count.
    pub(crate) fn hear(&mut self, now: Instant, level: i8) -> bool {
        if level < LOUD {
            self.weight = self.weight.saturating_sub(1);
            return false;
        }
        self.weight = (self.weight + 1).min(MOST);
        self.loud = Some(now);
        let begins = !self.speaking && self.weight >= BEGIN;
        self.speaking |= begins;
        begins
    }

    /// Ends the speech if it has been silent long enough; else says when to look again.
    pub(crate) fn check(&mut self, now: Instant) -> Option<Instant> {
        let until = self.loud? + SILENCE;
        if self.speaking && until > now {
            return Some(until);
        }
        self.speaking = false;
        self.weight = 0;
        None
    }

    pub(crate) fn is_speaking(&self) -> bool {
        self.speaking
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: Duration = Duration::from_millis(20);

    #[test]
    fn speech_begins_soon_and_survives_a_pause_between_words() {
        let start = Instant::now();
        let mut speaker = Speaker::default();
        let at = |packet: u32| start + PACKET * packet;
        let begun = (0..10).find(|packet| speaker.hear(at(*packet), -30));
        assert_eq!(begun, Some(3));
        assert_eq!(speaker.check(at(10)), Some(at(3) + SILENCE));
        assert!(speaker.is_speaking());
        assert_eq!(speaker.check(at(3) + SILENCE), None);
        assert!(!speaker.is_speaking());
    }

    #[test]
    fn a_click_and_the_noise_of_a_room_are_not_speech() {
        let start = Instant::now();
        let mut speaker = Speaker::default();
        let begun = (0..200).any(|packet| {
            let level = if packet % 10 == 0 { -20 } else { -70 };
            speaker.hear(start + PACKET * packet, level)
        });
        assert!(!begun);
    }
}
