//! Choosing what of an offer is used.

use std::fmt::Write;

use crate::codec::Codec;
use crate::config::{AudioCodec, Config, VideoCodec};
use crate::request::{MediaKind, RequestError};
use crate::sdp::offer::{BadOffer, Extension, Offer, Payload, Section, Source};

/// One section of an offer that is used: a track of a publication or subscription.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Track {
    /// The index of the section in the offer.
    pub(crate) section: usize,
    pub(crate) kind: MediaKind,
    pub(crate) payload: Payload,
}

/// The codecs of a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Codecs {
    pub(crate) audio: Option<Codec>,
    pub(crate) video: Option<Codec>,
}

impl From<BadOffer> for RequestError {
    fn from(BadOffer(reason): BadOffer) -> Self {
        Self::BadOffer(reason)
    }
}

/// Picks what a publisher is to send: for each kind the first of the configured codecs that is
/// offered. A kind that is offered in none of them refuses the whole.
pub(crate) fn tracks_to_publish(
    offer: &Offer,
    config: &Config,
) -> Result<Vec<Track>, RequestError> {
    choose(
        offer,
        |section| section.direction.sends,
        |kind, payloads| match kind {
            MediaKind::Audio => config
                .audio_codecs
                .iter()
                .find_map(|wanted| best(payloads, |payload| payload.codec.audio_rank(*wanted))),
            MediaKind::Video => config
                .video_codecs
                .iter()
                .find_map(|wanted| best(payloads, |payload| payload.codec.video_rank(*wanted))),
        },
        |_| true,
    )
}

/// Picks what a player receives: for each kind of the publication that the player offers to
/// receive, the payload type that plays its codec best. A kind that the player offers in other
/// codecs only refuses the whole.
pub(crate) fn tracks_to_play(offer: &Offer, codecs: Codecs) -> Result<Vec<Track>, RequestError> {
    let sent = |kind| match kind {
        MediaKind::Audio => codecs.audio,
        MediaKind::Video => codecs.video,
    };
    choose(
        offer,
        |section| section.direction.receives,
        |kind, payloads| {
            let sent = sent(kind)?;
            best(payloads, |payload| payload.codec.plays(sent))
        },
        |kind| sent(kind).is_some(),
    )
}

/// The codecs that an offer asks to be sent, each once.
pub(crate) fn offered_to_play(offer: &Offer) -> (Vec<AudioCodec>, Vec<VideoCodec>) {
    let sections = offer
        .sections
        .iter()
        .filter(|section| section.direction.receives);
    let payloads: Vec<&Payload> = sections.flat_map(|section| &section.payloads).collect();
    let offers = |rank: &dyn Fn(Codec) -> Option<u32>| {
        payloads.iter().any(|payload| rank(payload.codec).is_some())
    };
    let audio = [AudioCodec::Opus, AudioCodec::Pcmu, AudioCodec::Pcma];
    let video = [VideoCodec::H264, VideoCodec::Vp8];
    let audio = audio
        .into_iter()
        .filter(|codec| offers(&|other| other.audio_rank(*codec)));
    let video = video
        .into_iter()
        .filter(|codec| offers(&|other| other.video_rank(*codec)));
    (audio.collect(), video.collect())
}

fn best(payloads: &[Payload], rank: impl Fn(&Payload) -> Option<u32>) -> Option<Payload> {
    let ranked = payloads
        .iter()
        .filter_map(|payload| Some((rank(payload)?, payload)));
    ranked
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, payload)| payload.clone())
}

fn choose(
    offer: &Offer,
    flows: impl Fn(&Section) -> bool,
    pick: impl Fn(MediaKind, &[Payload]) -> Option<Payload>,
    needed: impl Fn(MediaKind) -> bool,
) -> Result<Vec<Track>, RequestError> {
    let mut tracks: Vec<Track> = Vec::new();
    for (index, section) in offer.sections.iter().enumerate() {
        let Some(kind) = section.kind else { continue };
        let taken = tracks.iter().any(|track| track.kind == kind);
        if taken || section.refused || !flows(section) || !needed(kind) {
            continue;
        }
        let payload = pick(kind, &section.payloads).ok_or(RequestError::NoCommonCodecs)?;
        let clashes = |track: &Track| {
            let mut numbers = [Some(track.payload.number), track.payload.rtx]
                .into_iter()
                .flatten();
            numbers.any(|number| number == payload.number || Some(number) == payload.rtx)
        };
        if tracks.iter().any(clashes) {
            let reason = "two media sections use the same payload type";
            return Err(RequestError::BadOffer(reason.to_owned()));
        }
        tracks.push(Track {
            section: index,
            kind,
            payload,
        });
    }
    if tracks.is_empty() {
        Err(RequestError::NoCommonCodecs)
    } else {
        Ok(tracks)
    }
}

/// The header extensions that are passed on or used, by URI.
const EXTENSIONS: [&str; 3] = [AUDIO_LEVEL, ORIENTATION, TRANSPORT_CC];
/// The level of the sound in a packet (RFC 6464).
pub(crate) const AUDIO_LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
/// Which way up a picture is (3GPP TS 26.114 §7.4.5).
pub(crate) const ORIENTATION: &str = "urn:3gpp:video-orientation";
/// The transport-wide sequence number.
pub(crate) const TRANSPORT_CC: &str =
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

/// The header extensions that a publisher's connection has. One id means one extension in all sections
/// of a bundle (RFC 9143 §7.1.3), so where sections differ the first one counts.
pub(crate) fn extensions(offer: &Offer, tracks: &[Track]) -> Vec<Extension> {
    let sections = tracks
        .iter()
        .filter_map(|track| offer.sections.get(track.section));
    let mut agreed: Vec<Extension> = Vec::new();
    for extension in sections.flat_map(|section| &section.extensions) {
        let wanted = EXTENSIONS.contains(&extension.uri.as_str());
        let clashes = |known: &Extension| known.id == extension.id || known.uri == extension.uri;
        if wanted && !agreed.iter().any(clashes) {
            agreed.push(extension.clone());
        }
    }
    agreed
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = write!(text, "{line}\r\n");
}

/// Writes the attributes of a payload type, and those of its retransmissions.
pub(crate) fn write_payload(text: &mut String, payload: &Payload, rtx: Option<u8>) {
    let Payload {
        number,
        codec,
        stereo,
        ..
    } = *payload;
    let rtpmap = match codec {
        Codec::Opus => "opus/48000/2",
        Codec::Pcmu => "PCMU/8000",
        Codec::Pcma => "PCMA/8000",
        Codec::Vp8 => "VP8/90000",
        Codec::H264(_) => "H264/90000",
    };
    line(text, format_args!("a=rtpmap:{number} {rtpmap}"));
    match codec {
        Codec::Opus if stereo => line(
            text,
            format_args!("a=fmtp:{number} minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1"),
        ),
        Codec::Opus => line(
            text,
            format_args!("a=fmtp:{number} minptime=10;useinbandfec=1"),
        ),
        Codec::H264(h264) => line(
            text,
            format_args!(
                "a=fmtp:{number} level-asymmetry-allowed=1;packetization-mode={};\
                 profile-level-id={:06x}",
                u8::from(h264.fragments),
                h264.profile_level_id
            ),
        ),
        Codec::Pcmu | Codec::Pcma | Codec::Vp8 => {}
    }
    if codec.kind() == MediaKind::Video {
        for feedback in ["ccm fir", "nack", "nack pli"] {
            line(text, format_args!("a=rtcp-fb:{number} {feedback}"));
        }
    }
    if let Some(rtx) = rtx {
        line(text, format_args!("a=rtpmap:{rtx} rtx/90000"));
        line(text, format_args!("a=fmtp:{rtx} apt={number}"));
    }
}

/// The source of each of `tracks`, as far as the offer names it: the first of its section. The
/// others are simulcast, which is not asked for. None for one that cannot be, or is another's.
pub(crate) fn sources(offer: &Offer, tracks: &[Track]) -> Vec<Option<Source>> {
    let mut seen = Vec::new();
    let source = |track: &Track| {
        let section = offer.sections.get(track.section)?;
        let mut source = *section.sources.first()?;
        source.rtx = source.rtx.filter(|_| track.payload.rtx.is_some());
        let ssrcs = [Some(source.ssrc), source.rtx].into_iter().flatten();
        if ssrcs.clone().any(|ssrc| ssrc == 0 || seen.contains(&ssrc)) {
            return None;
        }
        seen.extend(ssrcs);
        Some(source)
    };
    tracks.iter().map(source).collect()
}
