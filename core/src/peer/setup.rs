//! How a connection begins: an offer in, an answer out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use str0m::config::{CryptoProvider, Fingerprint};
use str0m::{Candidate, IceCreds, Rtc, RtcConfig, RtcError};

use super::contained;
use super::{Media, Outbox, Peer, Role};
use crate::crypto::Certificate;
use crate::egress::{self, Egress, Rtx};
use crate::ingress::{ExtensionIds, Ingress, Track as Received};
use crate::limits;
use crate::request::{ClientId, MediaId, MediaKind, RequestError};
use crate::sdp::answer;
use crate::sdp::narrow::{self, Track};
use crate::sdp::offer::{Offer, Section, Transport};
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
            rtc: Box::new(rtc),
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
            rtc_due: None,
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
    start(&mut rtc, &blueprint.offer.transport).map_err(|error| bad(&error))?;
    let (flow, answer) = match blueprint.role {
        Role::Publisher(_) => receive(now, blueprint),
        Role::Subscriber(_) => send(blueprint),
    };
    Ok((rtc, flow, answer))
}

/// Lets str0m do ICE and DTLS.
fn start(rtc: &mut Rtc, transport: &Transport) -> Result<(), RtcError> {
    let mut direct = rtc.direct_api();
    direct.set_ice_controlling(false);
    direct.set_remote_ice_credentials(IceCreds {
        ufrag: transport.ufrag.clone(),
        pass: transport.password.clone(),
    });
    direct.set_remote_fingerprint(fingerprint(&transport.fingerprint));
    direct.start_dtls(false)
}

/// Receives what a publisher sends.
fn receive(now: Instant, blueprint: &Blueprint<'_>) -> (Media, String) {
    let Blueprint { offer, tracks, .. } = *blueprint;
    let agreed = narrow::extensions(offer, tracks);
    let id = |uri| agreed.iter().find(|extension| extension.uri == uri);
    let id = |uri| id(uri).map(|extension| extension.id);
    let ids = ExtensionIds {
        audio_level: id(narrow::AUDIO_LEVEL),
        video_orientation: id(narrow::ORIENTATION),
        transport_cc: id(narrow::TRANSPORT_CC),
    };
    let sources = narrow::sources(offer, tracks);
    let received = tracks.iter().zip(sources).map(|(track, source)| Received {
        kind: track.kind,
        codec: track.payload.codec,
        payload_type: track.payload.number,
        rtx: track.payload.rtx,
        source: source.map(|source| source.ssrc),
        repair: source.and_then(|source| source.rtx),
    });
    let [ssrc, ..] = blueprint.ssrcs;
    let ingress = Ingress::new(now, received.collect(), ids, ssrc);
    let answer = answer::publish(offer, tracks, &agreed, &described(blueprint));
    (Media::Ingress(Box::new(ingress)), answer)
}

/// Sends to a player.
fn send(blueprint: &Blueprint<'_>) -> (Media, String) {
    let Blueprint { offer, tracks, .. } = *blueprint;
    let mut ssrcs = blueprint.ssrcs.iter().copied();
    let sent: Vec<egress::Track> = tracks
        .iter()
        .filter_map(|track| sent(track, offer.sections.get(track.section)?, &mut ssrcs))
        .collect();
    let answer = answer::play(offer, tracks, &sent, &described(blueprint));
    let cname = blueprint.stream.clone();
    (Media::Egress(Egress::new(sent, cname)), answer)
}

fn described<'a>(blueprint: &'a Blueprint<'_>) -> answer::Server<'a> {
    answer::Server {
        ufrag: &blueprint.ufrag,
        password: &blueprint.password,
        fingerprint: blueprint.fingerprint,
        candidates: blueprint.candidates,
        stream: &blueprint.stream,
    }
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
    RtcConfig::new()
        .set_crypto_provider(Arc::clone(&blueprint.provider))
        .set_dtls_cert(blueprint.certificate.to_dtls())
        .set_ice_lite(true)
        .set_local_ice_credentials(credentials)
        .set_rtp_mode(true)
        .clear_codecs()
}
