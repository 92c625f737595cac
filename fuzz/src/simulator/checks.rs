//! What must be so of the media.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::faults::Fault;
use super::life::Life;
use super::model::{Playing, Stream, Way};
use crate::client::Received;
use crate::media::{Stamp, stamp_of};
use crate::world::{ClientKey, World};

/// A picture is shown still, if the latest one is not older.
const STILL: Duration = Duration::from_millis(1_500);
/// How much less may lie between two packets when they come than when they left.
const SLACK: Duration = Duration::from_secs(10);
/// The same of an encoder by RTMP, of which so much may wait at a narrow link.
const BACKLOG: Duration = Duration::from_secs(60);
/// First numbers are below: a receiver's rollover counter begins with them.
const ROLLOVER: u64 = 1 << 16;

/// Pictures that were shown.
pub(super) fn pictures(world: &World) -> u64 {
    let decoders = world.clients.iter().filter_map(|it| it.decoder.as_ref());
    decoders.map(|decoder| decoder.pictures).sum()
}

impl Life {
    fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.people.values().flat_map(|it| it.streams.values())
    }

    pub(super) fn publication(&self, mark: u32) -> Option<&Stream> {
        self.streams().find(|stream| stream.mark() == Some(mark))
    }

    pub(super) fn is_up(&self, stream: &Stream) -> bool {
        let connected = stream
            .connection()
            .is_none_or(|key| self.world.clients[key].connected && !self.world.clients[key].closed);
        stream.live && !stream.over && connected
    }

    /// The connections that must show pictures soon, with what they play.
    pub(super) fn shown_streams(&self) -> Vec<(ClientKey, u32)> {
        let players = self.streams().filter(|stream| self.is_up(stream));
        let shown = players.filter_map(|stream| {
            let (key, mark) = (stream.connection()?, stream.plays?);
            stream.kinds.video?;
            let publication = self.publication(mark)?;
            (self.is_up(publication)).then_some((key, mark))
        });
        shown.collect()
    }

    /// How many pictures each publication has sent.
    pub(super) fn numbers(&self) -> BTreeMap<u32, u64> {
        let clients = self.world.clients.iter().enumerate();
        let clients = clients.map(|(key, client)| (key as u32, client.pictures));
        let encoders = self.world.encoders.iter();
        let encoders = encoders.map(|(mark, encoder)| (*mark, encoder.pictures()));
        let lines = self.world.front.lines.values();
        let cameras = lines.filter_map(|line| line.client.camera.as_ref());
        let cameras = cameras.map(|camera| (camera.mark, camera.pictures));
        clients.chain(encoders).chain(cameras).collect()
    }

    /// Whether the latest picture that somebody has is one sent after so many, and came lately.
    pub(super) fn is_shown_lately(&self, latest: Option<(u32, Instant)>, sent: u64) -> bool {
        let since = self.world.now.checked_sub(STILL);
        latest.is_some_and(|(number, at)| {
            u64::from(number) > sent && since.is_some_and(|since| at > since)
        })
    }

    /// Asserts that those who were connected when the faults ended have pictures that were sent
    /// since, and still have.
    pub(super) fn check_pictures(
        &mut self,
        connected: &[(ClientKey, u32)],
        numbers: &BTreeMap<u32, u64>,
    ) {
        for (key, mark) in connected {
            let plays = |stream: &&Stream| stream.connection() == Some(*key);
            // Some end because of what was before.
            let (Some(stream), Some(_)) = (
                self.streams().find(plays),
                self.publication(*mark).filter(|it| self.is_up(it)),
            ) else {
                continue;
            };
            if !self.is_up(stream) {
                continue;
            }
            let decoder = self.world.clients[*key].decoder.as_ref();
            let latest = decoder.and_then(|decoder| decoder.latest);
            let latest = latest.filter(|_| self.fault != Some(Fault::Freeze));
            let sent = numbers.get(mark).copied().unwrap_or(0);
            let shown = self.is_shown_lately(latest, sent);
            assert!(
                shown,
                "no pictures of {mark} on connection {key}: the latest is {latest:?} at {:?}, \
                 {sent} were sent before: {decoder:?}",
                self.world.now
            );
        }
    }

    /// Asserts that whoever is there is connected.
    pub(super) fn check_settled(&self) {
        for stream in self.streams() {
            let client = stream.connection().map(|key| &self.world.clients[key]);
            let ends = client.map(|client| (client.connected, client.closed));
            assert!(
                self.is_up(stream),
                "{stream:?} would have ended; connected, closed: {ends:?}"
            );
        }
    }

    /// What came is checked, and forgotten up to the latest that came.
    pub(super) fn forget_received(&mut self) {
        self.check_received();
        for client in &mut self.world.clients {
            client.received.clear();
        }
        self.sunk.clear();
    }

    /// Asserts of each player that what it got is one stream, of the one publisher.
    pub(super) fn check_received(&self) {
        for playing in &self.playing {
            let publication = &self.published[&playing.publisher];
            for video in [false, true] {
                let packets = self.packets(playing, video);
                let sent = if video {
                    publication.kinds.video.is_some()
                } else {
                    publication.kinds.audio
                };
                assert!(
                    sent || packets.is_empty(),
                    "a kind that is not sent in {:?}",
                    publication.spot
                );
                let brought = self.world.front.brought.get(&playing.publisher);
                let brought = brought.map(|brought| &brought[usize::from(video)]);
                check_stream(&packets, playing, brought);
            }
        }
    }

    fn packets(&self, playing: &Playing, video: bool) -> Vec<&Received> {
        match playing.way {
            Way::Connection(key) => self.world.clients[key].received(video),
            Way::Sink | Way::Encoder(_) | Way::Camera(_) => {
                let sunk = self.sunk.get(&playing.owner);
                let sunk = sunk.map(Vec::as_slice).unwrap_or_default();
                sunk.iter().filter(|packet| packet.video == video).collect()
            }
        }
    }

    /// Asserts that everybody who plays gets all that is sent.
    pub(super) fn check_lossless(&self, from: Instant) {
        let to = self.world.now.checked_sub(Duration::from_millis(200));
        let to = to.expect("the world is old");
        for playing in &self.playing {
            let stream = self.people.get(&playing.owner.0.0);
            let stream = stream.and_then(|it| it.streams.get(&playing.owner.1.0));
            let Some(stream) = stream else { continue };
            for video in [false, true] {
                let plays = if video {
                    stream.kinds.video.is_some()
                } else {
                    stream.kinds.audio
                };
                if !plays {
                    continue;
                }
                let packets = self.packets(playing, video);
                let packets = packets.iter().filter(|it| it.at >= from && it.at <= to);
                let numbers: BTreeSet<u64> = packets.map(|packet| packet.sequence).collect();
                let (first, last) = (numbers.first(), numbers.last());
                let span = first.zip(last).map(|(first, last)| last - first + 1);
                assert!(
                    numbers.len() > 5,
                    "{} packets (video: {video}) although nothing was lost: {playing:?} {stream:?}",
                    numbers.len()
                );
                assert_eq!(
                    span,
                    Some(numbers.len() as u64),
                    "a packet is missing although nothing was lost: {stream:?}"
                );
            }
        }
    }

    /// Plants the defect into what somebody has got.
    pub(super) fn plant(&mut self) {
        let Some(fault) = self.fault else { return };
        let clients = self.world.clients.iter_mut();
        let mut clients = clients.filter(|it| it.received(false).len() > 12 && !it.unplugged);
        let Some(client) = clients.next() else { return };
        let mut sounds = client.received.iter_mut().filter(|it| !it.video);
        let Some(sixth) = sounds.nth(6) else { return };
        let sequence = sixth.sequence;
        match fault {
            Fault::Drop => client
                .received
                .retain(|it| it.video || it.sequence != sequence),
            Fault::Hide => {
                client
                    .received
                    .retain(|it| it.video || it.sequence != sequence);
                let later = client.received.iter_mut().filter(|it| !it.video);
                for packet in later.filter(|it| it.sequence > sequence) {
                    packet.sequence -= 1;
                }
            }
            Fault::Repeat => {
                let mut again = sixth.clone();
                again.at += Duration::from_millis(1);
                client.received.push(again);
            }
            Fault::Leap => sixth.timestamp = sixth.timestamp.wrapping_add(7),
            Fault::Leak => {
                let mut payload = sixth.payload.to_vec();
                payload[1] ^= 1;
                sixth.payload = payload.into();
            }
            Fault::Freeze
            | Fault::Silence
            | Fault::Echo
            | Fault::Keep
            | Fault::Spin
            | Fault::Forget
            | Fault::Headless
            | Fault::Foreign
            | Fault::Tear
            | Fault::Rewind
            | Fault::Drift
            | Fault::Stray
            | Fault::Dark
            | Fault::Mishear
            | Fault::Deaf
            | Fault::Linger => {}
        }
    }
}

/// Asserts that packets are one stream of one publisher: each number once, and the numbers and
/// times those of the publisher, moved. Those of an encoder by RTMP are numbered as they were
/// brought to the machine.
fn check_stream(packets: &[&Received], playing: &Playing, brought: Option<&BTreeMap<u64, u64>>) {
    let place = |stamp: Stamp| brought.map_or(stamp.sequence, |it| it[&stamp.sequence]);
    let mut stamped: Vec<(u64, u32, Stamp, Instant)> = Vec::new();
    let mut numbers = BTreeSet::new();
    for packet in packets {
        assert!(
            numbers.insert(packet.sequence),
            "a number comes twice: {} of {playing:?}",
            packet.sequence
        );
        if let Some(stamp) = stamp_of(&packet.payload) {
            assert_eq!(
                stamp.mark, playing.publisher,
                "a packet of another publication: {playing:?}"
            );
            stamped.push((packet.sequence, packet.timestamp, stamp, packet.at));
        }
    }
    stamped.sort_unstable_by_key(|(sequence, ..)| *sequence);
    let lowest = stamped.first().map_or(0, |(sequence, ..)| *sequence);
    // Numbers do not go on for so long in these worlds.
    assert!(lowest < 2 * ROLLOVER, "the first number is {lowest}");
    // An encoder's pictures may stand closer together after a jump of its clock, until they are where
    // the other track has jumped to. Somebody may begin to play just then.
    let mut is_behind = brought.is_some();
    for pair in stamped.windows(2) {
        let ((s0, t0, before, a0), (s1, t1, after, a1)) = (pair[0], pair[1]);
        assert!(
            before.number <= after.number,
            "{playing:?} goes back: {pair:?}"
        );
        if before.source == after.source {
            assert_eq!(
                s1 - s0,
                place(after) - place(before),
                "the numbers hide a loss, or show one that is none: {playing:?}: {pair:?}"
            );
            let step = t1.wrapping_sub(t0);
            let sent = after.timestamp.wrapping_sub(before.timestamp);
            is_behind &= sent == 0 || step < sent;
            assert!(
                step == sent || (is_behind && (1..sent).contains(&step)),
                "a timestamp leaps: {playing:?}: {pair:?}"
            );
        } else {
            is_behind = brought.is_some();
            // As much later as it came later, whatever the clocks of the two sources say.
            let elapsed = u64::from(t1.wrapping_sub(t0));
            let slack = brought.map_or(SLACK, |_| BACKLOG);
            let later = a1.saturating_duration_since(a0) + slack;
            assert!(
                elapsed < later.as_millis() as u64 * 90,
                "time goes back, or leaps at another source: {playing:?}: {pair:?}"
            );
        }
    }
}
