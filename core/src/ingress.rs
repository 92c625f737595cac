//! What comes from a publisher: packets opened and told apart, what is missing asked for, and the
//! reports of what has arrived.
//!
//! str0m does ICE and DTLS of a publisher's connection and knows of no media there. The keys come
//! from its DTLS. Nothing is believed of a packet, and nothing kept, before it is authenticated.

mod arrivals;
mod losses;
mod reception;
mod rtcp;
mod window;

use std::time::{Duration, Instant};

use crate::codec::Codec;
use crate::egress::ring::{Extensions, Packet};
use crate::payload::Payloads;
use crate::request::MediaKind;
use crate::rtp::{self, Header};
use crate::srtp::{Failed, Keys, RtcpOpener, RtcpSealer, RtpOpener, Side};
use arrivals::Arrivals;
use losses::Losses;
use reception::Reception;
use window::Window;

/// Time between two receiver reports.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Most sources that a publisher may use over its life whose offer does not name them.
const UNNAMED_SOURCES: usize = 16;
/// The source of the packets by which browsers try how much gets through; they carry no media.
const PROBE: u32 = 0;
/// Sources that one report is about: there are two tracks, and each may change its source.
const BLOCKS: usize = 4;
/// Bytes of a compound behind which a report of arrivals still fits.
const COMPOUND: usize = 128;
/// Bytes ahead of the payload of what is sent again: the sequence number that it had.
const REPAIR_HEADER: usize = 2;

/// One track as the publisher sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Track {
    pub(crate) kind: MediaKind,
    pub(crate) codec: Codec,
    pub(crate) payload_type: u8,
    /// The payload type of what is sent again (RFC 4588).
    pub(crate) rtx: Option<u8>,
    /// The source, if the offer names it, and the one of what is sent again.
    pub(crate) source: Option<u32>,
    pub(crate) repair: Option<u32>,
}

/// The publisher's ids of the header extensions that are used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ExtensionIds {
    pub(crate) audio_level: Option<u8>,
    pub(crate) video_orientation: Option<u8>,
    pub(crate) transport_cc: Option<u8>,
}

/// What a publisher's datagram brought.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) kind: MediaKind,
    pub(crate) codec: Codec,
    /// When it was captured by the publisher's clock, since 1970, if that is known.
    pub(crate) captured: Option<Duration>,
    pub(crate) packet: Packet,
}

/// The media side of a publisher's connection.
pub(crate) struct Ingress {
    lines: Vec<Line>,
    ids: ExtensionIds,
    /// What feedback to the publisher comes from.
    ssrc: u32,
    keys: Option<(RtpOpener, RtcpOpener, RtcpSealer)>,
    sources: Vec<Source>,
    /// How many sources may be added that the offer does not name.
    unnamed: usize,
    arrivals: Option<Arrivals>,
    report_due: Option<Instant>,
    /// The payload that was opened last; its memory is used again.
    payload: Vec<u8>,
}

/// A track and where its packets come from.
struct Line {
    track: Track,
    /// The place of the source of the latest packet.
    main: Option<usize>,
}

/// One source of packets.
struct Source {
    ssrc: u32,
    window: Window,
    stream: Stream,
}

/// What a source sends.
enum Stream {
    /// The packets of a track, by its place among the lines.
    Main {
        line: usize,
        reception: Reception,
        /// Of a picture; sound does not wait for packets that are sent again.
        losses: Option<Losses>,
    },
    /// Those of a source of a track again: of which one is known from the first that fills a gap
    /// there (RFC 4588 §5.3).
    Repair { line: usize, of: Option<usize> },
    /// Nothing that is passed on.
    Probe,
}

/// Whose packet one is, as far as its header says.
#[derive(Clone, Copy)]
struct Claim {
    line: usize,
    again: bool,
    /// The offer names the source.
    named: bool,
}

impl Ingress {
    /// An ingress that waits for its keys.
    pub(crate) fn new(now: Instant, tracks: Vec<Track>, ids: ExtensionIds, ssrc: u32) -> Self {
        let named = tracks.iter().all(|track| track.source.is_some());
        let line = |track| Line { track, main: None };
        Self {
            lines: tracks.into_iter().map(line).collect(),
            ids,
            ssrc,
            keys: None,
            sources: Vec::new(),
            unnamed: if named { 0 } else { UNNAMED_SOURCES },
            arrivals: ids.transport_cc.map(|_| Arrivals::new(now)),
            report_due: None,
            payload: Vec::new(),
        }
    }

    /// Takes the keys of the finished handshake. Those of a connection never change: a second
    /// sealer would begin its indices anew.
    pub(crate) fn begin(&mut self, keys: &Keys) -> Result<(), Failed> {
        if self.keys.is_none() {
            self.keys = Some((
                keys.rtp_opener(Side::Client)?,
                keys.rtcp_opener(Side::Client)?,
                keys.rtcp_sealer(Side::Server)?,
            ));
        }
        Ok(())
    }

    /// Takes a packet in. Refused where it is not the publisher's; `None` where there is nothing
    /// new in it.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        datagram: &[u8],
        payloads: &mut Payloads,
    ) -> Result<Option<Arrival>, Failed> {
        let header = Header::parse(datagram).ok_or(Failed)?;
        let (opener, ..) = self.keys.as_ref().ok_or(Failed)?;
        let known = self.sources.iter();
        let known = known
            .enumerate()
            .find(|(_, source)| source.ssrc == header.ssrc);
        let sequence = match known {
            Some((_, source)) => {
                let sequence = source.window.extend(header.sequence).ok_or(Failed)?;
                if !source.window.is_new(sequence) {
                    return Ok(None);
                }
                sequence
            }
            None => header.sequence.into(),
        };
        let place = known.map(|(place, _)| place);
        let claim = match place {
            Some(_) => None,
            None => Some(self.claim(&header)?),
        };
        let mut payload = std::mem::take(&mut self.payload);
        let arrival = opener
            .open(datagram, header.length, sequence, &mut payload)
            .and_then(|()| {
                let place =
                    place.unwrap_or_else(|| self.admit(now, &header, sequence, claim.flatten()));
                self.receive(now, &header, (place, sequence), &payload, payloads)
            });
        self.payload = payload;
        arrival
    }

    /// What a packet of a source claims to be that was not heard before; `None` for a probe.
    /// Refused where the offer names other sources, and where there have been enough of them.
    fn claim(&self, header: &Header<'_>) -> Result<Option<Claim>, Failed> {
        if header.ssrc == PROBE {
            return Ok(None);
        }
        let claim = self
            .lines
            .iter()
            .enumerate()
            .find_map(|(line, Line { track, .. })| {
                let main = header.payload_type == track.payload_type;
                let again = Some(header.payload_type) == track.rtx;
                let source = if again { track.repair } else { track.source };
                (main || again).then_some(Claim {
                    line,
                    again,
                    named: source == Some(header.ssrc),
                })
            });
        let claim = claim.ok_or(Failed)?;
        if claim.named || self.unnamed > 0 {
            Ok(Some(claim))
        } else {
            Err(Failed)
        }
    }

    /// Adds the source of an authentic packet, and returns its place.
    fn admit(
        &mut self,
        now: Instant,
        header: &Header<'_>,
        sequence: u64,
        claim: Option<Claim>,
    ) -> usize {
        let stream = match claim {
            None => Stream::Probe,
            Some(Claim {
                line, again: true, ..
            }) => Stream::Repair { line, of: None },
            Some(Claim { line, .. }) => {
                let track = &self.lines[line].track;
                let clock_rate = track.codec.clock_rate();
                Stream::Main {
                    line,
                    reception: Reception::new(now, clock_rate, sequence, header.timestamp),
                    losses: (track.kind == MediaKind::Video).then(Losses::default),
                }
            }
        };
        if claim.is_some_and(|claim| !claim.named) {
            self.unnamed = self.unnamed.saturating_sub(1);
        }
        self.sources.push(Source {
            ssrc: header.ssrc,
            window: Window::new(),
            stream,
        });
        self.sources.len() - 1
    }

    /// Does what follows from an authentic packet that has not come before.
    fn receive(
        &mut self,
        now: Instant,
        header: &Header<'_>,
        (place, sequence): (usize, u64),
        payload: &[u8],
        payloads: &mut Payloads,
    ) -> Result<Option<Arrival>, Failed> {
        let extensions = self.read_extensions(now, header);
        let source = &mut self.sources[place];
        let latest = source.window.latest();
        source.window.note(sequence);
        let payload = if header.padded {
            rtp::without_padding(payload).ok_or(Failed)?
        } else {
            payload
        };
        let (line, ssrc, sequence, payload) = match &mut source.stream {
            Stream::Probe => return Ok(None),
            Stream::Main {
                line,
                reception,
                losses,
            } => {
                reception.count(now, sequence, header.timestamp);
                self.report_due.get_or_insert(now + REPORT_INTERVAL);
                if let Some(losses) = losses {
                    losses.arrived(now, latest, sequence);
                }
                let line = *line;
                self.lines[line].main = Some(place);
                (line, source.ssrc, sequence, payload)
            }
            Stream::Repair { line, of } => {
                let (line, of) = (*line, *of);
                let Some((ssrc, sequence)) = self.repair(now, place, (line, of), payload) else {
                    return Ok(None);
                };
                (line, ssrc, sequence, &payload[REPAIR_HEADER..])
            }
        };
        let Track {
            kind,
            codec,
            payload_type,
            rtx,
            ..
        } = self.lines[line].track;
        if ![Some(payload_type), rtx].contains(&Some(header.payload_type)) {
            return Err(Failed);
        }
        let packet = Packet {
            ssrc,
            sequence,
            timestamp: header.timestamp,
            marker: header.marker,
            extensions,
            payload: payloads.make(payload),
        };
        Ok(Some(Arrival {
            kind,
            codec,
            captured: self.captured(line, header.timestamp),
            packet,
        }))
    }

    fn captured(&self, line: usize, timestamp: u32) -> Option<Duration> {
        let main = self.sources.get(self.lines.get(line)?.main?)?;
        match &main.stream {
            Stream::Main { reception, .. } => reception.captured(timestamp),
            Stream::Repair { .. } | Stream::Probe => None,
        }
    }

    /// Whose packet is in one that was sent again (RFC 4588 §4), if it has not come before and is
    /// of the source that is heard: what comes of one that was left is of use to nobody.
    fn repair(
        &mut self,
        now: Instant,
        place: usize,
        (line, of): (usize, Option<usize>),
        payload: &[u8],
    ) -> Option<(u32, u64)> {
        let sequence = u16::from_be_bytes(*payload.first_chunk::<REPAIR_HEADER>()?);
        let heard = self.lines.get(line)?.main?;
        let main = self.sources.get_mut(heard)?;
        let sequence = main.window.extend(sequence)?;
        let Stream::Main {
            losses: Some(losses),
            ..
        } = &mut main.stream
        else {
            return None;
        };
        let is_of_it = match of {
            Some(of) => of == heard,
            None => losses.is_missing(sequence),
        };
        if !is_of_it || !main.window.is_new(sequence) {
            return None;
        }
        let latest = main.window.latest();
        main.window.note(sequence);
        losses.arrived(now, latest, sequence);
        let ssrc = main.ssrc;
        if let Stream::Repair { of, .. } = &mut self.sources.get_mut(place)?.stream {
            *of = Some(heard);
        }
        Some((ssrc, sequence))
    }

    /// Notes the transport-wide number of a packet, and reads what is passed on of its extensions.
    fn read_extensions(&mut self, now: Instant, header: &Header<'_>) -> Extensions {
        let mut values = Extensions::default();
        for (id, value) in header.extensions() {
            let id = Some(id);
            if id == self.ids.audio_level {
                values.audio_level = value.first().copied();
            } else if id == self.ids.video_orientation {
                values.video_orientation = value.first().copied();
            } else if let Some(arrivals) = &mut self.arrivals
                && id == self.ids.transport_cc
                && let Some(number) = value.first_chunk()
            {
                arrivals.note(now, u16::from_be_bytes(*number));
            }
        }
        values
    }

    /// Takes SRTCP in. Refused where it is not the publisher's, or comes again.
    pub(crate) fn take_reports(&mut self, now: Instant, datagram: &[u8]) -> Result<(), Failed> {
        let (_, opener, _) = self.keys.as_mut().ok_or(Failed)?;
        let compound = opener.open(datagram)?;
        for (ssrc, report) in rtcp::sender_reports(&compound) {
            let source = self.sources.iter_mut().find(|source| source.ssrc == ssrc);
            if let Some(Source {
                stream: Stream::Main { reception, .. },
                ..
            }) = source
            {
                reception.note_report(now, report);
            }
        }
        Ok(())
    }

    /// When there is something to tell the publisher, or earlier.
    pub(crate) fn due(&self) -> Option<Instant> {
        let losses = self
            .sources
            .iter()
            .filter_map(|source| match &source.stream {
                Stream::Main { losses, .. } => losses.as_ref()?.due(),
                Stream::Repair { .. } | Stream::Probe => None,
            });
        let arrivals = self.arrivals.as_ref().and_then(Arrivals::due);
        losses.chain(arrivals).chain(self.report_due).min()
    }

    /// Appends the datagram of what is due at `now` to `bytes`; `None` where nothing is. There may
    /// be more than one.
    pub(crate) fn feedback(&mut self, now: Instant, bytes: &mut Vec<u8>) -> Option<()> {
        let mut compound = Vec::with_capacity(COMPOUND);
        self.report(now, &mut compound);
        for source in &mut self.sources {
            let Stream::Main {
                losses: Some(losses),
                ..
            } = &mut source.stream
            else {
                continue;
            };
            let mut sequences = Vec::new();
            losses.take_due(now, &mut sequences);
            if !sequences.is_empty() {
                rtcp::nack(&mut compound, self.ssrc, source.ssrc, &sequences);
                break;
            }
        }
        // It may fill a datagram by itself.
        if compound.len() <= COMPOUND
            && let Some(arrivals) = &mut self.arrivals
        {
            let sources = self.lines.iter().filter_map(|line| line.main).min();
            let source = sources.and_then(|place| self.sources.get(place));
            let source = source.map_or(PROBE, |source| source.ssrc);
            arrivals.report(now, (self.ssrc, source), &mut compound);
        }
        self.seal(compound, bytes)
    }

    /// Appends the receiver report that is due at `now`, if one is.
    fn report(&mut self, now: Instant, compound: &mut Vec<u8>) {
        if self.report_due.is_none_or(|due| due > now) {
            return;
        }
        self.report_due = None;
        let blocks = self
            .sources
            .iter_mut()
            .filter_map(|source| match &mut source.stream {
                Stream::Main { reception, .. } => reception.report(now, source.ssrc),
                Stream::Repair { .. } | Stream::Probe => None,
            });
        let blocks: Vec<_> = blocks.take(BLOCKS).collect();
        if !blocks.is_empty() {
            rtcp::receiver_report(compound, self.ssrc, &blocks);
        }
    }

    /// Appends the datagram that asks for a key frame; of `source`, if it is known.
    pub(crate) fn want_keyframe(&mut self, source: Option<u32>, bytes: &mut Vec<u8>) -> Option<()> {
        let line = self
            .lines
            .iter()
            .find(|line| line.track.kind == MediaKind::Video)?;
        let source = source.or(line.track.source)?;
        let mut compound = Vec::with_capacity(COMPOUND);
        rtcp::pli(&mut compound, self.ssrc, source);
        self.seal(compound, bytes)
    }

    fn seal(&mut self, mut compound: Vec<u8>, bytes: &mut Vec<u8>) -> Option<()> {
        if compound.is_empty() {
            return None;
        }
        let (_, _, sealer) = self.keys.as_mut()?;
        sealer.seal(&mut compound).ok()?;
        bytes.extend_from_slice(&compound);
        Some(())
    }
}

#[cfg(test)]
mod tests;
