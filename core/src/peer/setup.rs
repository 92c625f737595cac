//! How a connection begins: an offer in, an answer out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use str0m::change::SdpOffer;
use str0m::config::{CryptoProvider, Fingerprint};
use str0m::format::{Codec as StrCodec, FormatParams};
use str0m::media::Frequency;
use str0m::rtp::{Extension, ExtensionMap};
use str0m::{Candidate, IceCreds, Rtc, RtcConfig, RtcError};

use super::contained;
use super::{Ingress, Line, Media, Outbox, Peer, Role, UNNAMED_SOURCES};
use crate::arrivals::Arrivals;
use crate::codec::Codec;
use crate::crypto::Certificate;
use crate::egress::{self, Egress, Rtx};
use crate::limits;
use crate::request::{ClientId, MediaId, MediaKind, RequestError};
use crate::sdp::answer;
use crate::sdp::narrow::{self, Track};
use crate::sdp::offer::{Offer, Section};
use crate::tables::PeerKey;

/// What a new peer is made of.
pub(crate) struct Blueprint<'a> {
    pub(crate) key: PeerKey,
    pub(crate) provider: Arc<CryptoProvider>,
    pub(crate) certificate: &'a Certificate,
    pub(crate) fingerprint: &'a str,
    pub(crate) candidates: &'a [SocketAddr],
    pub(crate) ufrag: String,
    pub(crate) password: String,
    /// The id of the media stream that the answer puts its tracks into.
    pub(crate) stream: String,
    /// Random numbers for the sources of what is sent.
    pub(crate) ssrcs: [u32; SENT_SOURCES],
    pub(crate) offer: &'a Offer,
    pub(crate) tracks: &'a [Track],
    pub(crate) client: ClientId,
    pub(crate) media: MediaId,
    pub(crate) role: Role,
}

/// Sources of what is sent, at most: two tracks and their retransmissions.
pub(crate) const SENT_SOURCES: usize = 4;

fn bad(error: &dyn std::fmt::Display) -> RequestError {
    RequestError::BadOffer(error.to_string())
}

impl Peer {
    /// Answers an offer: the peer and the answer's text.
    pub(crate) fn new(
        now: Instant,
        outbox: &mut Outbox,
        blueprint: Blueprint<'_>,
    ) -> Result<(Self, String), RequestError> {
        let begun = contained(|| Ok(begin(now, &blueprint)));
        let (rtc, flow, answer) = begun
            .map_err(|_| bad(&"it could not be negotiated"))
            .flatten()?;
        let mut peer = Self {
            rtc,
            key: blueprint.key,
            flow,
            client: blueprint.client,
            media: blueprint.media,
            role: blueprint.role,
            ufrag: blueprint.ufrag,
            paths: Vec::new(),
            selected: None,
            nominating: false,
            consented: now,
            live: false,
            failed: false,
            connects_by: now + limits::CONNECT_TIMEOUT,
            consent_due: None,
            report_due: None,
            taken_paths: 0,
            wake: None,
            due: None,
        };
        peer.mutate(now, outbox, |_| Ok(()));
        Ok((peer, answer))
    }
}

/// A connection that waits for its client, with the answer for it.
fn begin(now: Instant, blueprint: &Blueprint<'_>) -> Result<(Rtc, Media, String), RequestError> {
    let mut rtc = config(blueprint).build(now);
    for candidate in blueprint.candidates {
        let candidate = Candidate::host(*candidate, "udp").map_err(|error| bad(&error))?;
        rtc.add_local_candidate(candidate);
    }
    let (flow, answer) = match blueprint.role {
        Role::Publisher(_) => receive(now, &mut rtc, blueprint)?,
        Role::Subscriber(_) => send(&mut rtc, blueprint)?,
    };
    Ok((rtc, flow, answer))
}

/// Lets str0m receive what a publisher sends.
fn receive(
    now: Instant,
    rtc: &mut Rtc,
    blueprint: &Blueprint<'_>,
) -> Result<(Media, String), RequestError> {
    let Blueprint { offer, tracks, .. } = *blueprint;
    let narrowed = narrow::write(offer, tracks);
    let narrowed = SdpOffer::from_sdp_string(&narrowed).map_err(|error| bad(&error))?;
    let answered = rtc
        .sdp_api()
        .accept_offer(narrowed)
        .map_err(|error| bad(&error))?;
    let lines = tracks.iter().filter_map(|track| {
        let section = offer.sections.get(track.section)?;
        let (mid, pt) = (section.mid.as_str().into(), track.payload.number.into());
        Some(Line {
            kind: track.kind,
            mid,
            pt,
        })
    });
    let named = narrow::named_sources(offer, tracks);
    let agreed = narrow::extensions(offer, tracks);
    let numbers = agreed
        .iter()
        .find(|extension| extension.uri == narrow::TRANSPORT_CC);
    let ingress = Ingress {
        lines: lines.collect(),
        repairs: narrow::named_repairs(offer, tracks),
        arrivals: numbers.map(|extension| Arrivals::new(now, extension.id)),
        more_sources: if named.is_some() { 0 } else { UNNAMED_SOURCES },
        ssrcs: named.unwrap_or_default(),
    };
    let answered = answered.to_sdp_string();
    let answer = answer::complete(&answered, offer, tracks, &blueprint.stream);
    Ok((Media::Ingress(ingress), answer))
}

/// Lets str0m do ICE and DTLS for a player; its media is sealed by the [`Egress`].
fn send(rtc: &mut Rtc, blueprint: &Blueprint<'_>) -> Result<(Media, String), RequestError> {
    let Blueprint { offer, tracks, .. } = *blueprint;
    let transport = &offer.transport;
    let begin = |rtc: &mut Rtc| -> Result<(), RtcError> {
        let mut direct = rtc.direct_api();
        direct.set_ice_controlling(false);
        direct.set_remote_ice_credentials(IceCreds {
            ufrag: transport.ufrag.clone(),
            pass: transport.password.clone(),
        });
        direct.set_remote_fingerprint(fingerprint(&transport.fingerprint));
        direct.start_dtls(false)
    };
    begin(rtc).map_err(|error| bad(&error))?;
    let mut ssrcs = blueprint.ssrcs.iter().copied();
    let sent: Vec<egress::Track> = tracks
        .iter()
        .filter_map(|track| sent(track, offer.sections.get(track.section)?, &mut ssrcs))
        .collect();
    let cname = &blueprint.stream;
    let answer = answer::play(
        offer,
        tracks,
        &answer::Playing {
            ufrag: &blueprint.ufrag,
            password: &blueprint.password,
            fingerprint: blueprint.fingerprint,
            candidates: blueprint.candidates,
            stream: &blueprint.stream,
            cname,
            sent: &sent,
        },
    );
    Ok((Media::Egress(Egress::new(sent, cname.clone())), answer))
}

fn sent(
    track: &Track,
    section: &Section,
    ssrcs: &mut impl Iterator<Item = u32>,
) -> Option<egress::Track> {
    let ssrc = ssrcs.next()?;
    let rtx = match track.payload.rtx {
        Some(payload_type) => Some(Rtx {
            payload_type,
            ssrc: ssrcs.next()?,
        }),
        None => None,
    };
    let extension = |kind, uri| {
        (track.kind == kind)
            .then(|| section.extension(uri))
            .flatten()
    };
    Some(egress::Track {
        kind: track.kind,
        codec: track.payload.codec,
        payload_type: track.payload.number,
        ssrc,
        rtx,
        audio_level: extension(MediaKind::Audio, narrow::AUDIO_LEVEL),
        video_orientation: extension(MediaKind::Video, narrow::ORIENTATION),
    })
}

/// The fingerprint of a parsed offer: hash function and hex digits.
fn fingerprint(text: &str) -> Fingerprint {
    let (hash_func, digits) = text.split_once(' ').unwrap_or((text, ""));
    let bytes = digits
        .split(':')
        .filter_map(|pair| u8::from_str_radix(pair, 16).ok());
    Fingerprint {
        hash_func: hash_func.to_owned(),
        bytes: bytes.collect(),
    }
}

fn config(blueprint: &Blueprint<'_>) -> RtcConfig {
    let credentials = IceCreds {
        ufrag: blueprint.ufrag.clone(),
        pass: blueprint.password.clone(),
    };
    // By the ids of the offer from the start: str0m reads what has an id here, agreed or not.
    let mut extensions = ExtensionMap::empty();
    for agreed in narrow::extensions(blueprint.offer, blueprint.tracks) {
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
        .clear_codecs();
    match blueprint.role {
        Role::Publisher(_) => add_codecs(&mut config, blueprint.tracks),
        Role::Subscriber(_) => {}
    }
    config
}

fn add_codecs(config: &mut RtcConfig, tracks: &[Track]) {
    for track in tracks {
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
}
