//! A player: opens what comes, measures it, and says what a browser's receiver says.

use std::time::{Duration, Instant};

use parlor_core::MediaKind;
use parlor_core::simulation::ClientSrtp;

use super::connection::Line;
use super::media;
use super::publisher::place;
use super::rtcp;
use super::spread::Spread;
use super::track::{Extender, Seen, Source};

/// Time between two receiver reports.
const REPORT: Duration = Duration::from_secs(1);
/// Time between two requests for a key frame that does not come.
const KEYFRAME_RETRY: Duration = Duration::from_secs(1);

/// What has happened to packets that came.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Received {
    /// New packets.
    pub(super) packets: u64,
    /// Bytes of their payloads.
    pub(super) bytes: u64,
    /// Of the new packets, those that had to be sent again.
    pub(super) repaired: u64,
    /// Packets that came more than once.
    pub(super) repeated: u64,
    /// Packets that could not be opened, or that nobody here has sent.
    pub(super) wrong: u64,
    /// Packets that were asked for again.
    pub(super) requested: u64,
}

impl Received {
    pub(super) fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.repaired += other.repaired;
        self.repeated += other.repeated;
        self.wrong += other.wrong;
        self.requested += other.requested;
    }

    /// Takes off what an earlier count of the same players was.
    pub(super) fn subtract(&mut self, earlier: &Self) {
        self.packets -= earlier.packets;
        self.bytes -= earlier.bytes;
        self.repaired -= earlier.repaired;
        self.repeated -= earlier.repeated;
        self.wrong -= earlier.wrong;
        self.requested -= earlier.requested;
    }
}

/// Where a thread's players put what they measure.
#[derive(Debug, Default)]
pub(super) struct Measures {
    pub(super) received: Received,
    pub(super) delays: Spread,
    /// The payload that was opened last.
    payload: Vec<u8>,
}

struct Track {
    line: Line,
    source: Option<Source>,
    /// The numbers of packets that are sent again.
    repairs: Extender,
    seen: Seen,
    /// The number of the first packet of the measurement.
    first: Option<u64>,
    delivered: u64,
    has_key: bool,
    keyframe_due: Option<Instant>,
}

/// A player that is connected.
pub(super) struct Player {
    ssrc: u32,
    tracks: Vec<Track>,
    report_due: Instant,
    /// Something has come.
    pub(super) has_media: bool,
}

impl Player {
    pub(super) fn new(now: Instant, ssrc: u32, lines: &[Line]) -> Self {
        let tracks = lines.iter().map(|line| Track {
            line: *line,
            source: None,
            repairs: Extender::default(),
            seen: Seen::default(),
            first: None,
            delivered: 0,
            has_key: line.kind == MediaKind::Audio,
            keyframe_due: None,
        });
        Self {
            ssrc,
            tracks: tracks.collect(),
            report_due: now + REPORT,
            has_media: false,
        }
    }

    /// Takes a protected RTP packet in, whose time of arrival is since 1970.
    pub(super) fn handle_rtp(
        &mut self,
        now: Instant,
        arrived: Duration,
        packet: &[u8],
        srtp: &ClientSrtp,
        measures: &mut Measures,
    ) {
        match self.take(now, arrived, packet, srtp, measures) {
            Some(()) => self.has_media = true,
            None => measures.received.wrong += 1,
        }
    }

    fn take(
        &mut self,
        now: Instant,
        arrived: Duration,
        packet: &[u8],
        srtp: &ClientSrtp,
        measures: &mut Measures,
    ) -> Option<()> {
        let header = Header::read(packet)?;
        let track = self.tracks.iter_mut().find(|track| {
            let line = &track.line;
            line.payload_type == header.payload_type || line.rtx == Some(header.payload_type)
        })?;
        let again = track.line.rtx == Some(header.payload_type);
        let extended = match (&track.source, again) {
            (_, true) => track.repairs.extend(header.sequence),
            (Some(source), false) if source.ssrc == header.ssrc => {
                source.extender.extend(header.sequence)
            }
            (_, false) => u64::from(header.sequence),
        };
        let Measures {
            received,
            delays,
            payload,
        } = measures;
        srtp.open_rtp(packet, header.length, extended, payload)?;
        let mut payload = payload.as_slice();
        if again {
            track.repairs.admit(extended);
            let (original, rest) = payload.split_first_chunk()?;
            payload = rest;
            let source = track.source.as_mut()?;
            source.note_again(u16::from_be_bytes(*original));
        } else {
            track.note(now, arrived, &header, extended);
        }
        let stamp = media::stamp_of(track.line.kind, payload)?;
        track.note_key(now, payload);
        if !track.seen.admit(stamp.number) {
            received.repeated += 1;
            return Some(());
        }
        received.packets += 1;
        received.bytes += payload.len() as u64;
        received.repaired += u64::from(again);
        if stamp.number >= *track.first.get_or_insert(stamp.number) {
            track.delivered += 1;
        }
        delays.record(arrived.saturating_sub(stamp.sent));
        Some(())
    }

    /// Takes a protected RTCP packet in.
    pub(super) fn handle_rtcp(&mut self, now: Instant, packet: &[u8], srtp: &mut ClientSrtp) {
        let Some(compound) = srtp.open_rtcp(packet) else {
            return;
        };
        for (ssrc, middle) in rtcp::sender_reports(&compound) {
            let sources = self.tracks.iter_mut().filter_map(|one| one.source.as_mut());
            for source in sources.filter(|source| source.ssrc == ssrc) {
                source.note_report(now, middle);
            }
        }
    }

    /// When it has something to say.
    pub(super) fn deadline(&self) -> Instant {
        let tracks = self.tracks.iter().flat_map(|track| {
            let requests = track.source.as_ref().and_then(Source::deadline);
            requests.into_iter().chain(track.keyframe_due)
        });
        tracks.fold(self.report_due, Instant::min)
    }

    /// What it has to say, protected.
    pub(super) fn feedback(
        &mut self,
        now: Instant,
        srtp: &mut ClientSrtp,
        measures: &mut Measures,
    ) -> Option<Vec<u8>> {
        let mut blocks = Vec::new();
        if self.report_due <= now {
            self.report_due = now + REPORT;
            let sources = self.tracks.iter_mut().filter_map(|one| one.source.as_mut());
            blocks.extend(sources.map(|source| source.report(now)));
        }
        let mut compound = rtcp::receiver_report(self.ssrc, &blocks);
        let mut anything = !blocks.is_empty();
        for track in &mut self.tracks {
            let Some(source) = &mut track.source else {
                continue;
            };
            let lost = source.requests(now);
            if !lost.is_empty() {
                anything = true;
                measures.received.requested += lost.len() as u64;
                rtcp::nack(&mut compound, self.ssrc, source.ssrc, &lost);
            }
            if track.keyframe_due.is_some_and(|due| due <= now) {
                anything = true;
                track.keyframe_due = (!track.has_key).then(|| now + KEYFRAME_RETRY);
                rtcp::pli(&mut compound, self.ssrc, source.ssrc);
            }
        }
        if !anything {
            return None;
        }
        srtp.seal_rtcp(&mut compound)?;
        Some(compound)
    }

    /// The measurement begins here.
    pub(super) fn begin_measuring(&mut self) {
        for track in &mut self.tracks {
            (track.first, track.delivered) = (None, 0);
        }
    }

    /// How many packets were to come since the measurement began, and how many have, of what the
    /// publisher had sent before it and has sent at its end.
    pub(super) fn measured(&self, before: [u64; 2], total: [u64; 2]) -> (u64, u64) {
        let tracks = self.tracks.iter().map(|track| {
            let place = place(track.line.kind);
            let last_before = track.first.map_or(before[place], |first| first - 1);
            (total[place].saturating_sub(last_before), track.delivered)
        });
        tracks.fold((0, 0), |(expected, delivered), (more, of_them)| {
            (expected + more, delivered + of_them)
        })
    }
}

impl Track {
    fn note(&mut self, now: Instant, arrived: Duration, header: &Header, extended: u64) {
        let same = self.source.as_ref().map(|source| source.ssrc) == Some(header.ssrc);
        if !same {
            let (clock_rate, repairs) = match self.line.kind {
                MediaKind::Audio => (48_000, false),
                MediaKind::Video => (90_000, true),
            };
            self.source = Some(Source::new(header.ssrc, clock_rate, repairs));
            if self.line.kind == MediaKind::Video {
                self.keyframe_due = Some(now);
            }
        }
        if let Some(source) = &mut self.source {
            source.note(now, extended, header.timestamp, arrived);
        }
    }

    fn note_key(&mut self, now: Instant, payload: &[u8]) {
        if self.line.kind == MediaKind::Video && media::is_entry(payload) {
            self.has_key = true;
            // One that was to be asked for again is here.
            self.keyframe_due = self.keyframe_due.filter(|due| *due <= now);
        }
    }
}

/// What is read of an RTP header (RFC 3550 §5.1).
struct Header {
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    /// Bytes of it, with its extensions.
    length: usize,
}

impl Header {
    fn read(packet: &[u8]) -> Option<Self> {
        let fixed: &[u8; 12] = packet.first_chunk()?;
        let [first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = *fixed;
        let mut length = 12 + 4 * usize::from(first & 0x0f);
        if first & 0x10 != 0 {
            let words = packet.get(length + 2..length + 4)?;
            length += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
        }
        (first >> 6 == 2 && length <= packet.len()).then_some(Self {
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
            length,
        })
    }
}
