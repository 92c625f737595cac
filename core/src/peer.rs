//! One WebRTC connection. The only place that knows a `str0m::Rtc`.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use str0m::change::SdpOffer;
use str0m::config::CryptoProvider;
use str0m::format::{Codec as StrCodec, FormatParams};
use str0m::media::{Frequency, KeyframeRequestKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, ExtensionMap, ExtensionValues, RtpPacket, RtpWrite};
use str0m::{
    Candidate, Event, IceConnectionState, IceCreds, Input, Output, Rtc, RtcConfig, RtcError,
};

use crate::arrivals::Arrivals;
use crate::codec::Codec;
use crate::crypto::Certificate;
use crate::forwarder::Outgoing;
use crate::limits;
use crate::request::{ClientId, MediaId, MediaKind, RequestError};
use crate::sdp::narrow::{self, Flow, Track};
use crate::sdp::{answer, offer::Offer};
use crate::stun;
use crate::tables::{PeerKey, PublicationKey, SubscriptionKey};
use crate::transmit::Transmit;

/// A way from a client to the server: the client's address and the candidate that it reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Path {
    pub(crate) remote: SocketAddr,
    pub(crate) local: SocketAddr,
}

/// What a peer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Publisher(PublicationKey),
    Subscriber(SubscriptionKey),
}

/// What comes out of a peer beside datagrams.
#[derive(Debug)]
pub(crate) enum PeerNews {
    /// ICE and DTLS are done.
    Live,
    /// The other side said goodbye.
    Closed,
    /// A packet of a publisher.
    Rtp(Box<RtpPacket>),
    /// A subscriber needs a key frame.
    KeyframeWanted,
    /// A connectivity check was authenticated on this way.
    Validated(Path),
    /// The peer is beyond repair.
    Lost(Lost),
}

/// How a peer came to be beyond repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// In the DTLS handshake, or by a certificate that is not the one of the offer.
    Dtls,
    /// Otherwise.
    Other,
}

/// Where peers put what comes out of them: datagrams for the wire, and news for the machine.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) transmits: VecDeque<Transmit>,
    pub(crate) news: VecDeque<(PeerKey, PeerNews)>,
}

/// What a new peer is made of.
pub(crate) struct Blueprint<'a> {
    pub(crate) key: PeerKey,
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) certificate: &'a Certificate,
    pub(crate) candidates: &'a [SocketAddr],
    pub(crate) ufrag: String,
    pub(crate) password: String,
    /// The id of the media stream that the answer puts its tracks into.
    pub(crate) stream: String,
    pub(crate) offer: &'a Offer,
    pub(crate) tracks: &'a [Track],
    pub(crate) flow: Flow,
    pub(crate) client: ClientId,
    pub(crate) media: MediaId,
    pub(crate) role: Role,
}

/// One track as the connection numbers it.
#[derive(Debug, Clone, Copy)]
struct Line {
    kind: MediaKind,
    mid: Mid,
    pt: Pt,
    retransmits: bool,
}

/// One WebRTC connection.
pub(crate) struct Peer {
    rtc: Rtc,
    key: PeerKey,
    lines: Vec<Line>,
    pub(crate) client: ClientId,
    pub(crate) media: MediaId,
    pub(crate) role: Role,
    pub(crate) ufrag: String,
    /// The ways on which checks were authenticated, latest last.
    pub(crate) paths: Vec<Path>,
    /// When the latest check was authenticated (consent, RFC 7675).
    pub(crate) consented: Instant,
    pub(crate) live: bool,
    /// When it must have connected.
    pub(crate) connects_by: Instant,
    /// When the machine looks next whether it has fallen silent.
    pub(crate) consent_due: Option<Instant>,
    /// When the machine has promised to call [`Peer::handle_timeout`].
    pub(crate) wake: Option<Instant>,
    /// When the connection wants it.
    pub(crate) due: Option<Instant>,
    /// Sources from which packets are taken.
    ssrcs: Vec<u32>,
    /// Those of them that send retransmissions.
    repairs: Vec<u32>,
    arrivals: Option<Arrivals>,
    /// How many other ones may be added.
    more_sources: usize,
    /// How many ways have been taken, over the peer's life.
    taken_paths: usize,
}

/// Most sources that a publisher may use over its life whose offer does not name them.
const UNNAMED_SOURCES: usize = 16;
/// The source of the packets by which browsers try how much gets through; they carry no media.
const PROBE: u32 = 0;

impl Peer {
    /// Answers an offer: the peer and the answer's text.
    pub(crate) fn new(
        now: Instant,
        outbox: &mut Outbox,
        blueprint: Blueprint<'_>,
    ) -> Result<(Self, String), RequestError> {
        let Blueprint {
            offer,
            tracks,
            flow,
            ..
        } = blueprint;
        let bad = |error: &dyn std::fmt::Display| RequestError::BadOffer(error.to_string());
        let mut rtc = config(&blueprint).build(now);
        for candidate in blueprint.candidates {
            let candidate = Candidate::host(*candidate, "udp").map_err(|error| bad(&error))?;
            rtc.add_local_candidate(candidate);
        }
        let narrowed = narrow::write(offer, tracks, flow);
        let parsed = SdpOffer::from_sdp_string(&narrowed).map_err(|error| bad(&error))?;
        let lines = tracks.iter().filter_map(|track| {
            let section = offer.sections.get(track.section)?;
            Some(Line {
                kind: track.kind,
                mid: section.mid.as_str().into(),
                pt: track.payload.number.into(),
                retransmits: track.payload.rtx.is_some(),
            })
        });
        let named = narrow::named_sources(offer, tracks);
        let extensions = narrow::extensions(offer, tracks, flow);
        let numbers = extensions
            .iter()
            .find(|extension| extension.uri == narrow::TRANSPORT_CC);
        let repairs = narrow::named_repairs(offer, tracks);
        let mut peer = Self {
            rtc,
            key: blueprint.key,
            lines: lines.collect(),
            client: blueprint.client,
            media: blueprint.media,
            role: blueprint.role,
            ufrag: blueprint.ufrag,
            paths: Vec::new(),
            consented: now,
            live: false,
            connects_by: now + limits::CONNECT_TIMEOUT,
            consent_due: None,
            wake: None,
            due: None,
            more_sources: if named.is_some() { 0 } else { UNNAMED_SOURCES },
            ssrcs: named.unwrap_or_default(),
            repairs,
            arrivals: numbers.map(|extension| Arrivals::new(now, extension.id)),
            taken_paths: 0,
        };
        let answered = peer.rtc.sdp_api().accept_offer(parsed);
        let answered = answered.map_err(|error| bad(&error))?;
        peer.mutate(now, outbox, |_| Ok(()));
        let text = answer::complete(&answered.to_sdp_string(), offer, tracks, &blueprint.stream);
        Ok((peer, text))
    }

    /// Changes the connection and takes everything out that it has to say, as str0m demands.
    fn mutate(
        &mut self,
        now: Instant,
        outbox: &mut Outbox,
        change: impl FnOnce(&mut Rtc) -> Result<(), RtcError>,
    ) {
        let changed = change(&mut self.rtc)
            .and_then(|()| self.rtc.handle_input(Input::Timeout(now)))
            .and_then(|()| self.drain(outbox));
        self.report(outbox, changed);
    }

    fn report(&self, outbox: &mut Outbox, changed: Result<(), RtcError>) {
        if let Err(error) = changed {
            outbox
                .news
                .push_back((self.key, PeerNews::Lost(lost(&error))));
        }
    }

    fn drain(&mut self, outbox: &mut Outbox) -> Result<(), RtcError> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => {
                    self.due = self.rtc.is_alive().then_some(at);
                    return Ok(());
                }
                Output::Transmit(transmit) => {
                    if stun::is_binding_success(&transmit.contents) {
                        let (remote, local) = (transmit.destination, transmit.source);
                        let news = PeerNews::Validated(Path { remote, local });
                        outbox.news.push_back((self.key, news));
                    }
                    outbox.transmits.push_back(Transmit {
                        source: transmit.source,
                        destination: transmit.destination,
                        contents: transmit.contents.into(),
                    });
                }
                Output::Event(event) => self.hear(event, outbox),
            }
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "str0m's events are non-exhaustive"
    )]
    fn hear(&mut self, event: Event, outbox: &mut Outbox) {
        match event {
            Event::Connected => {
                self.live = true;
                outbox.news.push_back((self.key, PeerNews::Live));
            }
            Event::Closed => outbox.news.push_back((self.key, PeerNews::Closed)),
            Event::RtpPacket(packet) => {
                let number = packet.header.ext_vals.transport_cc;
                if let (Some(arrivals), Some(number)) = (&mut self.arrivals, number) {
                    arrivals.note(packet.timestamp, number);
                }
                let news = PeerNews::Rtp(Box::new(packet));
                outbox.news.push_back((self.key, news));
            }
            Event::KeyframeRequest(_) => {
                outbox.news.push_back((self.key, PeerNews::KeyframeWanted))
            }
            // The machine watches consent itself, with the operator's patience.
            Event::IceConnectionStateChange(
                IceConnectionState::Disconnected
                | IceConnectionState::New
                | IceConnectionState::Checking
                | IceConnectionState::Connected
                | IceConnectionState::Completed,
            ) => {}
            _ => {}
        }
    }

    /// Takes a datagram in that came by a known way, or is a check for this peer.
    ///
    /// Returns false where it does not parse.
    pub(crate) fn handle_datagram(
        &mut self,
        now: Instant,
        outbox: &mut Outbox,
        path: Path,
        contents: &[u8],
    ) -> bool {
        let Ok(receive) = Receive::new(Protocol::Udp, path.remote, path.local, contents) else {
            return false;
        };
        let handled = self.rtc.handle_input(Input::Receive(now, receive));
        let handled = handled.and_then(|()| self.drain(outbox));
        self.report(outbox, handled);
        true
    }

    /// Whether packets of this source are taken: one that the offer names. Where it names none,
    /// as encoders' offers may, sources are few.
    ///
    /// str0m moves a stream to another source before it has authenticated the packet that says
    /// so. Whoever can forge the client's address would end the stream in this way.
    pub(crate) fn admits(&mut self, ssrc: u32) -> bool {
        if ssrc == PROBE || self.ssrcs.contains(&ssrc) {
            return true;
        }
        let Some(more) = self.more_sources.checked_sub(1) else {
            return false;
        };
        self.more_sources = more;
        self.ssrcs.push(ssrc);
        true
    }

    /// Whether a packet's transport-wide number, if it has one, does no harm.
    pub(crate) fn admits_number(&mut self, now: Instant, ssrc: u32, packet: &[u8]) -> bool {
        let Some(arrivals) = &mut self.arrivals else {
            return true;
        };
        let pt = packet.get(1).map(|byte| byte & 0x7f);
        let main = self.lines.iter().any(|line| Some(*line.pt) == pt);
        let noted = main && ssrc != PROBE && !self.repairs.contains(&ssrc);
        arrivals.admits(now, packet, noted)
    }

    /// Whether a check that comes by this way is looked at. str0m keeps each way for the life of
    /// the connection and looks through all of them, so their number is bounded.
    pub(crate) fn takes_check(&self, path: &Path) -> bool {
        self.taken_paths < limits::PATHS_OVER_LIFE || self.paths.contains(path)
    }

    /// Notes that a check was authenticated on this way. Returns whether the way is a new one, and
    /// which one is given up for it.
    pub(crate) fn take_path(&mut self, path: Path) -> (bool, Option<Path>) {
        if let Some(position) = self.paths.iter().position(|known| *known == path) {
            // The latest stands last: the way in use is never the one that is given up.
            self.paths.remove(position);
            self.paths.push(path);
            return (false, None);
        }
        self.taken_paths += 1;
        self.paths.push(path);
        let superfluous = self.paths.len() > limits::PATHS_PER_PEER;
        (true, superfluous.then(|| self.paths.remove(0)))
    }

    /// Does what is due at `now`.
    pub(crate) fn handle_timeout(&mut self, now: Instant, outbox: &mut Outbox) {
        self.mutate(now, outbox, |_| Ok(()));
    }

    /// Asks a publisher for a key frame (RFC 4585 §6.3.1) of the source that it sends from, if that
    /// is known.
    pub(crate) fn request_keyframe(
        &mut self,
        now: Instant,
        outbox: &mut Outbox,
        source: Option<u32>,
    ) {
        let Some(line) = self.line(MediaKind::Video) else {
            return;
        };
        self.mutate(now, outbox, |rtc| {
            let mut api = rtc.direct_api();
            let known = source
                .map(Into::into)
                .filter(|ssrc| api.stream_rx(ssrc).is_some());
            let stream = match known {
                Some(ssrc) => api.stream_rx(&ssrc),
                None => api.stream_rx_by_mid(line.mid, None),
            };
            if let Some(stream) = stream {
                stream.request_keyframe(KeyframeRequestKind::Pli);
            }
            Ok(())
        });
    }

    /// Sends a packet to a subscriber, renumbered.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        outbox: &mut Outbox,
        kind: MediaKind,
        packet: &RtpPacket,
        outgoing: Outgoing,
    ) {
        let Some(line) = self.line(kind) else { return };
        self.mutate(now, outbox, |rtc| {
            if let Some(stream) = rtc.direct_api().stream_tx_by_mid(line.mid, None) {
                let write = RtpWrite::new(
                    line.pt,
                    outgoing.sequence.into(),
                    outgoing.timestamp,
                    packet.timestamp,
                    Arc::clone(&packet.payload),
                );
                let write = write
                    .marker(packet.header.marker)
                    .ext_vals(passed_on(&packet.header.ext_vals))
                    .nackable(line.retransmits);
                stream.write_rtp(write);
            }
            Ok(())
        });
    }

    /// Says goodbye (RTCP BYE, DTLS `close_notify`).
    pub(crate) fn close(&mut self, now: Instant, outbox: &mut Outbox) {
        let close = |rtc: &mut Rtc| {
            if rtc.is_connected() {
                rtc.close()
            } else {
                Ok(())
            }
        };
        self.mutate(now, outbox, close);
    }

    pub(crate) fn key(&self) -> PeerKey {
        self.key
    }

    /// The kind of track that a payload type is of.
    pub(crate) fn kind_of(&self, pt: Pt) -> Option<MediaKind> {
        self.lines
            .iter()
            .find(|line| line.pt == pt)
            .map(|line| line.kind)
    }

    fn line(&self, kind: MediaKind) -> Option<Line> {
        self.lines.iter().find(|line| line.kind == kind).copied()
    }
}

/// The header extensions that a subscriber gets as the publisher sent them.
fn passed_on(values: &ExtensionValues) -> ExtensionValues {
    ExtensionValues {
        audio_level: values.audio_level,
        voice_activity: values.voice_activity,
        video_orientation: values.video_orientation,
        ..ExtensionValues::default()
    }
}

fn config(blueprint: &Blueprint<'_>) -> RtcConfig {
    let credentials = IceCreds {
        ufrag: blueprint.ufrag.clone(),
        pass: blueprint.password.clone(),
    };
    // By the ids of the offer from the start: str0m reads what has an id here, agreed or not.
    let mut extensions = ExtensionMap::empty();
    for agreed in narrow::extensions(blueprint.offer, blueprint.tracks, blueprint.flow) {
        let extension = match agreed.uri.as_str() {
            narrow::AUDIO_LEVEL => Extension::AudioLevel,
            narrow::MID => Extension::RtpMid,
            narrow::ORIENTATION => Extension::VideoOrientation,
            narrow::TRANSPORT_CC => Extension::TransportSequenceNumber,
            _ => continue,
        };
        extensions.set(agreed.id, extension);
    }
    let mut config = RtcConfig::new()
        .set_crypto_provider(Arc::clone(&blueprint.provider))
        .set_dtls_cert(blueprint.certificate.to_dtls())
        .set_ice_lite(true)
        .set_local_ice_credentials(credentials)
        .set_rtp_mode(true)
        .set_extension_map(extensions)
        .set_send_buffer_video(limits::RETRANSMISSION_PACKETS)
        .clear_codecs();
    for track in blueprint.tracks {
        let (pt, rtx) = (
            track.payload.number.into(),
            track.payload.rtx.map(Into::into),
        );
        let codecs = config.codec_config();
        let none = FormatParams::default();
        match track.payload.codec {
            Codec::Opus => {
                let stereo = track.payload.stereo.then_some(true);
                let format = FormatParams {
                    min_p_time: Some(10),
                    use_inband_fec: Some(true),
                    stereo,
                    sprop_stereo: stereo,
                    ..none
                };
                let clock = Frequency::FORTY_EIGHT_KHZ;
                codecs.add_config(pt, None, StrCodec::Opus, clock, Some(2), format);
            }
            Codec::Pcmu => {
                codecs.add_config(pt, None, StrCodec::PCMU, Frequency::EIGHT_KHZ, None, none);
            }
            Codec::Pcma => {
                codecs.add_config(pt, None, StrCodec::PCMA, Frequency::EIGHT_KHZ, None, none);
            }
            Codec::Vp8 => {
                codecs.add_config(pt, rtx, StrCodec::Vp8, Frequency::NINETY_KHZ, None, none);
            }
            Codec::H264(h264) => {
                codecs.add_h264(pt, rtx, h264.fragments, h264.profile_level_id);
            }
        }
    }
    config
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "str0m's errors are non-exhaustive"
)]
fn lost(error: &RtcError) -> Lost {
    tracing::debug!(%error, "peer failed");
    match error {
        // Once an offer is accepted, the remote SDP can only be wrong about the fingerprint.
        RtcError::Dtls(_) | RtcError::RemoteSdp(_) => Lost::Dtls,
        _ => Lost::Other,
    }
}
