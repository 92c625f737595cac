//! A publisher that is not a browser: its packets are brought to the machine as they are.

use std::time::{Duration, Instant};

use parlor_core::{ClientId, MediaId, MediaKind};

use crate::media::{Kinds, Pace, audio_payload, stamp, video_payloads};

/// A packet that is due.
pub(crate) struct Encoded {
    pub(crate) kind: MediaKind,
    pub(crate) timestamp: u32,
    pub(crate) captured: Duration,
    pub(crate) marker: bool,
    pub(crate) payload: Vec<u8>,
}

/// Pictures from one key frame to the next: nobody can ask for one.
const GROUP: u64 = 12;

/// A simulated encoder.
#[derive(Debug)]
pub struct Encoder {
    /// Who it is to the machine.
    pub owner: (ClientId, MediaId),
    /// It sends nothing for now.
    pub stalled: bool,
    kinds: Kinds,
    pace: Pace,
    mark: u32,
    begun: Instant,
    next_picture: Instant,
    next_sound: Instant,
    pictures: u64,
    sounds: u64,
    /// Packets of pictures so far.
    packets: u64,
}

impl Encoder {
    /// An encoder that begins at once.
    pub fn new(
        now: Instant,
        owner: (ClientId, MediaId),
        kinds: Kinds,
        pace: Pace,
        mark: u32,
    ) -> Self {
        Self {
            owner,
            stalled: false,
            kinds,
            pace,
            mark,
            begun: now,
            next_picture: now,
            next_sound: now,
            pictures: 0,
            sounds: 0,
            packets: 0,
        }
    }

    pub(crate) fn deadline(&self) -> Instant {
        match self.kinds {
            Kinds { audio: false, .. } => self.next_picture,
            Kinds { video: None, .. } => self.next_sound,
            Kinds { .. } => self.next_picture.min(self.next_sound),
        }
    }

    pub(crate) fn due(&mut self, now: Instant) -> Vec<Encoded> {
        let mut due = Vec::new();
        let ticks = |captured: Duration, rate: u64| (captured.as_millis() as u64 * rate) as u32;
        let marked = |number: u64| u64::from(self.mark) << 32 | number;
        while self.kinds.audio && self.next_sound <= now {
            let captured = self.next_sound.duration_since(self.begun);
            let timestamp = ticks(captured, 48);
            self.next_sound += self.pace.sound;
            self.sounds += 1;
            let mut payload = audio_payload(marked(self.sounds));
            stamp(&mut payload, self.sounds, timestamp, 0);
            due.push(Encoded {
                kind: MediaKind::Audio,
                timestamp,
                captured,
                marker: false,
                payload,
            });
        }
        while let Some(codec) = self.kinds.video
            && self.next_picture <= now
        {
            let captured = self.next_picture.duration_since(self.begun);
            let timestamp = ticks(captured, 90);
            self.next_picture += self.pace.picture;
            let key = self.pictures.is_multiple_of(GROUP);
            self.pictures += 1;
            let payloads = video_payloads(codec, marked(self.pictures), key);
            let last = payloads.len() - 1;
            for (index, mut payload) in payloads.into_iter().enumerate() {
                self.packets += 1;
                stamp(&mut payload, self.packets, timestamp, 0);
                due.push(Encoded {
                    kind: MediaKind::Video,
                    timestamp,
                    captured,
                    marker: index == last,
                    payload,
                });
            }
        }
        if self.stalled {
            // What is not sent leaves no number out: the machine numbers what it gets.
            self.sounds -= due.iter().filter(|it| it.kind == MediaKind::Audio).count() as u64;
            self.packets -= due.iter().filter(|it| it.kind == MediaKind::Video).count() as u64;
            self.pictures = self.pictures.next_multiple_of(GROUP);
            due.clear();
        }
        due
    }

    /// Pictures so far.
    pub fn pictures(&self) -> u64 {
        self.pictures
    }
}
