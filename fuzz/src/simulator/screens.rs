//! What players by RTMP get, and whether a decoder could show it.

use std::time::{Duration, Instant};

use parlor_core::ClientId;
use parlor_core::config::AudioCodec;

use super::faults::Fault;
use super::life::Life;
use crate::media::{RTMP, Stamp};
use crate::rtmp::{G711, Part, Shown};

/// How far a picture may be from where its timestamp has it, in milliseconds: it follows what a
/// browser says of its clock.
const FOLLOWS: i64 = 3_000;
/// The same of what an encoder sends, whose clock is one.
const EXACT: i64 = 20;
/// How far counted samples may be off, in milliseconds.
const COUNTED: i64 = 40;
/// The same of sound, of which nothing is shifted but what is a little before the first picture.
const SOUND: i64 = 15;

/// How far ahead of when it comes a message may be stamped, in milliseconds.
const ASTRAY: i64 = 9_000 - EXACT;

/// What a player has got.
#[derive(Debug)]
pub(super) struct Screen {
    /// The broadcast that it belongs to.
    pub(super) cast: Option<ClientId>,
    /// The mark of what it plays.
    pub(super) plays: Option<u32>,
    sound: Track,
    /// Ticks in a millisecond of what its publisher's sound is stamped with.
    rate: u32,
    picture: Track,
    /// Pictures so far.
    pub(super) pictures: u64,
    /// How often something was missing between two pictures.
    pub(super) gaps: u64,
    /// The number of the latest picture, and when it came.
    pub(super) latest: Option<(u32, Instant)>,
}

#[derive(Debug, Default)]
struct Track {
    described: bool,
    latest: Option<(Stamp, u32)>,
    /// How much later it stands than its publisher's clock has it, in milliseconds, at first.
    offset: Option<i64>,
}

impl Screen {
    pub(super) fn new(cast: Option<ClientId>, plays: Option<u32>, sound: AudioCodec) -> Self {
        Self {
            cast,
            plays,
            sound: Track::default(),
            rate: match sound {
                AudioCodec::Opus => 48,
                AudioCodec::Pcmu | AudioCodec::Pcma => 8,
            },
            picture: Track::default(),
            pictures: 0,
            gaps: 0,
            latest: None,
        }
    }

    /// Takes the next message of media.
    ///
    /// # Panics
    /// Where a decoder could not show it, or it is not what is played.
    fn take(&mut self, shown: &Shown) {
        let rate = if shown.video { 90 } else { self.rate };
        let (track, other) = match shown.video {
            true => (&mut self.picture, &mut self.sound),
            false => (&mut self.sound, &mut self.picture),
        };
        let Some(stamp) = shown.stamp else {
            track.described = true;
            return;
        };
        // G.711 has none.
        let is_described = track.described || shown.needs == Some(G711);
        assert!(is_described, "it comes before its header: {shown:?}");
        assert_eq!(
            Some(stamp.mark),
            self.plays,
            "media of another stream: {shown:?}"
        );
        if let Some((before, timestamp)) = track.latest {
            assert!(
                stamp.number > before.number,
                "it goes back, or comes twice: {before:?}, {stamp:?}"
            );
            let later = shown.timestamp.wrapping_sub(timestamp).cast_signed();
            let least = i32::from(shown.video);
            assert!(
                later >= least,
                "a timestamp goes back: {timestamp} at {before:?}, then {shown:?}"
            );
        }
        let follows = track
            .latest
            .is_some_and(|(it, _)| it.number + 1 == stamp.number);
        if let Part::Picture { key } = shown.part {
            assert!(
                key || follows,
                "a picture without the one before: {:?}, then {shown:?}",
                track.latest
            );
            self.gaps += u64::from(track.latest.is_some() && !follows);
            self.pictures += 1;
            self.latest = Some((stamp.number, shown.at));
        }
        let leaps = track.follow_clock(shown, stamp, rate);
        track.latest = Some((stamp, shown.timestamp));
        if leaps {
            // The other one leaps along, and is together with this one from its next message on.
            other.offset = None;
        }
    }

    /// Asserts that sound and picture of one time are together, if the publisher has one clock.
    fn check_together(&self) {
        let (Some(sound), Some(picture)) = (self.sound.offset, self.picture.offset) else {
            return;
        };
        let one_clock = self.plays.is_some_and(|mark| mark >= RTMP);
        let sources = [&self.sound, &self.picture].map(|track| track.latest.map(|it| it.0.source));
        if one_clock && sources[0] == sources[1] {
            let apart = (sound - picture).abs();
            // Counted samples may be off a little where something was left out, or the clock jumped.
            let jumped = sources[0].is_some_and(|source| source > 0);
            assert!(
                apart <= EXACT + if jumped { COUNTED } else { 0 },
                "sound and picture are {apart} ms apart: {self:?}"
            );
        }
    }
}

impl Track {
    /// Asserts that it stands where its publisher's clock has it, moved by what it was at first.
    /// Returns whether it leaps: what was held up for so long that its times are far from when it
    /// comes stands where it comes.
    fn follow_clock(&mut self, shown: &Shown, stamp: Stamp, rate: u32) -> bool {
        // None of these worlds lasts until these wrap.
        let captured = i64::from(stamp.timestamp / rate);
        let offset = i64::from(shown.timestamp) - captured;
        let same = |(before, _): (Stamp, u32)| before.source == stamp.source;
        let first = self.offset.filter(|_| self.latest.is_some_and(same));
        let leaps = first.is_some_and(|first| offset <= first - ASTRAY);
        let first = match first {
            Some(first) if !leaps => first,
            _ => *self.offset.insert(offset),
        };
        let most = match (shown.video, stamp.mark >= RTMP) {
            (false, _) => SOUND,
            (true, true) => EXACT,
            (true, false) => FOLLOWS,
        };
        assert!(
            (offset - first).abs() <= most,
            "it stands {offset} ms from where it was captured, at first {first}: {shown:?}"
        );
        leaps
    }
}

impl Life {
    /// Looks at what players by RTMP have got.
    pub(super) fn look(&mut self) {
        let lines = self.world.front.lines.iter_mut();
        let shown = lines.map(|(id, line)| (*id, std::mem::take(&mut line.client.shown)));
        for (id, mut shown) in shown.collect::<Vec<_>>() {
            if shown.is_empty() {
                continue;
            }
            let Some(screen) = self.screens.get_mut(&id) else {
                // What was under way when the server was done with it.
                continue;
            };
            distort(self.fault, screen, &mut shown);
            if let Some(line) = self.world.front.lines.get(&id) {
                let taken = shown.iter().all(|shown| line.client.takes(shown));
                assert!(taken, "{id:?} gets what it has not said that it takes");
            }
            let before = screen.pictures;
            for shown in &shown {
                screen.take(shown);
            }
            self.screened += screen.pictures - before;
            screen.check_together();
        }
    }

    /// Those who play by RTMP and must show pictures, with what they play.
    pub(super) fn screens_on(&self) -> Vec<(ClientId, u32)> {
        let on = self.screens.iter().filter_map(|(id, screen)| {
            let line = self.world.front.lines.get(id)?;
            let is_there = line.client.started && line.client.is_active() && !line.is_vanished();
            let mark = screen.plays.filter(|_| is_there)?;
            let cast = self.people.get(&screen.cast?.0)?;
            cast.streams.values().next()?.kinds.video?;
            let publication = self.publication(mark)?;
            self.is_up(publication).then_some((*id, mark))
        });
        on.collect()
    }

    /// Asserts that those have pictures that were sent since, and still have.
    pub(super) fn check_screens(
        &self,
        on: &[(ClientId, u32)],
        numbers: &std::collections::BTreeMap<u32, u64>,
    ) {
        let still_on = self.screens_on();
        for (id, mark) in on.iter().filter(|it| still_on.contains(it)) {
            let screen = &self.screens[id];
            let latest = screen.latest.filter(|_| self.fault != Some(Fault::Dark));
            let sent = numbers.get(mark).copied().unwrap_or(0);
            let shown = self.is_shown_lately(latest, sent);
            assert!(
                shown,
                "the screen of {id:?} is dark, it plays {mark}: {screen:?} at {:?}, {sent} were \
                 sent before",
                self.world.now
            );
        }
    }

    /// Asserts that everybody who plays by RTMP got all pictures since `before`.
    pub(super) fn check_screens_lossless(&self, before: &[(ClientId, u64, u64)], time: Duration) {
        let least = time.as_millis() as u64 / 200;
        for (id, pictures, gaps) in before {
            let Some(screen) = self.screens.get(id) else {
                continue;
            };
            let more = screen.pictures - pictures;
            assert!(more >= least, "{more} pictures for {id:?}: {screen:?}");
            assert_eq!(
                screen.gaps, *gaps,
                "a picture is missing for {id:?}: {screen:?}"
            );
        }
    }

    /// How many pictures each of those who must show some has, and how many gaps.
    pub(super) fn screen_counts(&self) -> Vec<(ClientId, u64, u64)> {
        let on = self.screens_on().into_iter();
        on.map(|(id, _)| (id, self.screens[&id].pictures, self.screens[&id].gaps))
            .collect()
    }
}

/// Plants the defect into what somebody has got.
fn distort(fault: Option<Fault>, screen: &Screen, shown: &mut Vec<Shown>) {
    let pictures = |it: &&mut Shown| it.video && it.stamp.is_some();
    match fault {
        Some(Fault::Headless) => shown.retain(|it| it.part != Part::Header),
        Some(Fault::Foreign) => {
            if let Some(sound) = shown.iter_mut().find(|it| !it.video) {
                sound.needs = Some("another codec");
            }
        }
        Some(Fault::Tear) if screen.pictures > 3 => {
            let delta = |it: &Shown| it.part == Part::Picture { key: false };
            if let Some(at) = shown.iter().position(delta) {
                shown.remove(at);
            }
        }
        Some(Fault::Rewind) if screen.pictures > 3 => {
            if let Some(picture) = shown.iter_mut().find(pictures) {
                picture.timestamp = picture.timestamp.wrapping_sub(5_000);
            }
        }
        Some(Fault::Drift) if screen.pictures > 3 => {
            for picture in shown.iter_mut().filter(pictures) {
                picture.timestamp += 5_000;
            }
        }
        Some(Fault::Stray) => {
            if let Some(stamp) = shown.iter_mut().find_map(|it| it.stamp.as_mut()) {
                stamp.mark ^= 1;
            }
        }
        _ => {}
    }
}
