//! One WebRTC connection of a client: str0m does ICE and DTLS, and what a publisher sends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parlor_core::simulation::{self, ClientSrtp, Randomness};
use parlor_core::{Certificate, MediaKind};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::config::{CryptoProvider, DtlsCert};
use str0m::media::{Direction, KeyframeRequestKind, Mid, Pt};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, ExtensionMap, RtpWrite};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig, RtcError};

/// What all connections of a thread are made with.
pub(super) struct Maker {
    provider: Arc<CryptoProvider>,
    certificate: Certificate,
    pub(super) randomness: Randomness,
}

/// What a connection is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub(super) sends: bool,
    pub(super) audio: bool,
    pub(super) video: bool,
}

/// A track as the answer numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) kind: MediaKind,
    pub(super) payload_type: u8,
    /// That of packets which are sent again.
    pub(super) rtx: Option<u8>,
    mid: Mid,
}

/// What has happened to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happening {
    /// ICE and DTLS are done.
    Connected,
    /// The server wants a key frame.
    KeyframeWanted,
}

/// The connection.
pub(super) struct Connection {
    rtc: Rtc,
    pending: Option<SdpPendingOffer>,
    mids: Vec<(MediaKind, Mid)>,
    address: SocketAddr,
    pub(super) happened: Vec<Happening>,
    /// The keys of the media, once the handshake is done.
    pub(super) srtp: Option<ClientSrtp>,
    /// Why it is over.
    pub(super) failed: Option<String>,
    /// When it wants to be called.
    pub(super) deadline: Instant,
}

/// A connection that has failed wants nothing any more.
const NEVER: Duration = Duration::from_secs(24 * 3_600);

impl Maker {
    pub(super) fn new(seed: &parlor_core::Seed) -> Self {
        Self {
            provider: simulation::provider(),
            certificate: Certificate::from_seed(seed),
            randomness: Randomness::new(seed),
        }
    }

    fn config(&self, wanted: Wanted) -> RtcConfig {
        let Certificate {
            certificate,
            private_key,
        } = self.certificate.clone();
        let config = RtcConfig::new()
            .set_crypto_provider(Arc::clone(&self.provider))
            .set_dtls_cert(DtlsCert {
                certificate,
                private_key,
            })
            .set_rtp_mode(true)
            .clear_codecs()
            .enable_opus(wanted.audio, false)
            .enable_h264(wanted.video);
        if wanted.sends {
            return config;
        }
        // Players say what they have got in reports and NACKs only, not packet by packet.
        let mut extensions = ExtensionMap::empty();
        extensions.set(1, Extension::AudioLevel);
        extensions.set(4, Extension::RtpMid);
        extensions.set(13, Extension::VideoOrientation);
        config.set_extension_map(extensions)
    }
}

impl Connection {
    /// A connection that is reached at `address`, and its offer.
    pub(super) fn offer(
        now: Instant,
        maker: &mut Maker,
        address: SocketAddr,
        wanted: Wanted,
    ) -> Result<(Self, String), String> {
        let config = maker.config(wanted);
        let direction = match wanted.sends {
            true => Direction::SendOnly,
            false => Direction::RecvOnly,
        };
        maker.randomness.lend(|| {
            let mut rtc = config.build(now);
            let candidate = Candidate::host(address, "udp").map_err(|error| error.to_string())?;
            rtc.add_local_candidate(candidate);
            let mut changes = rtc.sdp_api();
            let kinds = [
                (MediaKind::Audio, wanted.audio),
                (MediaKind::Video, wanted.video),
            ];
            let kinds = kinds.into_iter().filter(|(_, wanted)| *wanted);
            let mids = kinds.map(|(kind, _)| {
                let of_str0m = match kind {
                    MediaKind::Audio => str0m::media::MediaKind::Audio,
                    MediaKind::Video => str0m::media::MediaKind::Video,
                };
                (
                    kind,
                    changes.add_media(of_str0m, direction, None, None, None),
                )
            });
            let mids = mids.collect();
            let (offer, pending) = changes.apply().ok_or("there is nothing to offer")?;
            let connection = Self {
                rtc,
                pending: Some(pending),
                mids,
                address,
                happened: Vec::new(),
                srtp: None,
                failed: None,
                deadline: now + NEVER,
            };
            Ok((connection, offer.to_sdp_string()))
        })
    }

    /// Takes the answer in: the tracks that the server takes.
    pub(super) fn accept(
        &mut self,
        now: Instant,
        randomness: &mut Randomness,
        answer: &str,
    ) -> Result<Vec<Line>, String> {
        let answer = SdpAnswer::from_sdp_string(answer)
            .map_err(|error| format!("the answer is no SDP: {error}"))?;
        let pending = self.pending.take().ok_or("a second answer")?;
        let rtc = &mut self.rtc;
        randomness
            .lend(|| rtc.sdp_api().accept_answer(pending, answer))
            .map_err(|error| format!("the answer does not fit the offer: {error}"))?;
        self.deadline = now;
        let lines = self.mids.iter().filter_map(|(kind, mid)| {
            let pt = *self.rtc.media(*mid)?.remote_pts().first()?;
            let rtx = self.rtc.codec_config().find(|params| params.pt() == pt)?;
            Some(Line {
                kind: *kind,
                payload_type: *pt,
                rtx: rtx.resend().map(|pt| *pt),
                mid: *mid,
            })
        });
        let lines: Vec<Line> = lines.collect();
        if lines.len() < self.mids.len() {
            return Err("the answer refuses a codec (H.264 or Opus)".into());
        }
        Ok(lines)
    }

    /// Does what is due. `send` gets each datagram with its destination.
    pub(super) fn handle_timeout(
        &mut self,
        now: Instant,
        randomness: &mut Randomness,
        send: impl FnMut(SocketAddr, &[u8]),
    ) {
        self.run(now, randomness, send, |rtc| {
            rtc.handle_input(Input::Timeout(now))
        });
    }

    /// Takes a datagram in.
    pub(super) fn handle_datagram(
        &mut self,
        now: Instant,
        randomness: &mut Randomness,
        source: SocketAddr,
        contents: &[u8],
        send: impl FnMut(SocketAddr, &[u8]),
    ) {
        // What is nothing of WebRTC is nothing to this client.
        let Ok(receive) = Receive::new(Protocol::Udp, source, self.address, contents) else {
            return;
        };
        self.run(now, randomness, send, |rtc| {
            rtc.handle_input(Input::Receive(now, receive))
        });
    }

    /// Sends a packet of a track.
    pub(super) fn write(
        &mut self,
        now: Instant,
        randomness: &mut Randomness,
        line: &Line,
        packet: Outgoing,
        send: impl FnMut(SocketAddr, &[u8]),
    ) {
        self.run(now, randomness, send, |rtc| {
            let mut api = rtc.direct_api();
            if let Some(stream) = api.stream_tx_by_mid(line.mid, None) {
                let Outgoing {
                    sequence,
                    timestamp,
                    marker,
                    payload,
                } = packet;
                let pt = Pt::from(line.payload_type);
                let write = RtpWrite::new(pt, sequence.into(), timestamp, now, payload);
                stream.write_rtp(write.marker(marker).nackable(line.rtx.is_some()));
            }
            rtc.handle_input(Input::Timeout(now))
        });
    }

    fn run(
        &mut self,
        now: Instant,
        randomness: &mut Randomness,
        mut send: impl FnMut(SocketAddr, &[u8]),
        change: impl FnOnce(&mut Rtc) -> Result<(), RtcError>,
    ) {
        if self.failed.is_some() {
            return;
        }
        let ran = randomness.lend(|| {
            change(&mut self.rtc)?;
            self.drain(&mut send)
        });
        if let Some(srtp) = simulation::take_srtp() {
            self.srtp.get_or_insert(srtp);
        }
        match ran {
            Ok(deadline) if self.rtc.is_alive() => self.deadline = deadline,
            Ok(_) => self.fail(now, "the connection was closed".into()),
            Err(error) => self.fail(now, format!("the connection has failed: {error}")),
        }
    }

    fn fail(&mut self, now: Instant, why: String) {
        self.failed = Some(why);
        self.deadline = now + NEVER;
    }

    fn drain(&mut self, send: &mut impl FnMut(SocketAddr, &[u8])) -> Result<Instant, RtcError> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => return Ok(at),
                Output::Transmit(transmit) => send(transmit.destination, &transmit.contents),
                Output::Event(Event::Connected) => self.happened.push(Happening::Connected),
                Output::Event(Event::KeyframeRequest(request)) => match request.kind {
                    KeyframeRequestKind::Pli | KeyframeRequestKind::Fir => {
                        self.happened.push(Happening::KeyframeWanted);
                    }
                },
                Output::Event(_) => {}
            }
        }
    }
}

/// A packet to send.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// Extended.
    pub(super) sequence: u64,
    pub(super) timestamp: u32,
    pub(super) marker: bool,
    pub(super) payload: Vec<u8>,
}
