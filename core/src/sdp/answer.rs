//! Answers: str0m's to a publisher, completed, and our own to a player.

use std::fmt::Write;
use std::net::SocketAddr;

use crate::egress;
use crate::sdp::narrow::{self, Track};
use crate::sdp::offer::{Offer, Section};

/// Makes the answer to `offer` from the answer to what was left of it: refused sections in their
/// places, and all tracks in the media stream `stream` (RFC 8830), because players put the tracks
/// of one stream into one element (wcs-protocol.md §0, 18).
pub(crate) fn complete(answer: &str, offer: &Offer, tracks: &[Track], stream: &str) -> String {
    let mut pieces = split(answer).into_iter();
    let mut text = String::with_capacity(answer.len() + 256);
    for line in pieces.next().unwrap_or_default() {
        if line.starts_with("a=msid-semantic:") {
            push(&mut text, format_args!("a=msid-semantic: WMS {stream}"));
        } else if line.starts_with("s=") {
            push(&mut text, format_args!("s=parlor"));
        } else {
            push(&mut text, format_args!("{line}"));
        }
    }
    let mut answered: Vec<(usize, Vec<&str>)> = tracks
        .iter()
        .map(|track| track.section)
        .zip(pieces)
        .collect();
    for (index, section) in offer.sections.iter().enumerate() {
        match answered.iter().position(|(used, _)| *used == index) {
            Some(position) => {
                let (_, lines) = answered.swap_remove(position);
                for line in lines {
                    push_media_line(&mut text, line, stream);
                }
            }
            None => refuse(&mut text, section),
        }
    }
    text
}

fn refuse(text: &mut String, section: &Section) {
    let (media, protocol, format) = (&section.media, &section.protocol, &section.first_format);
    push(text, format_args!("m={media} 0 {protocol} {format}"));
    push(
        text,
        format_args!("c=IN IP4 0.0.0.0\r\na=mid:{}\r\na=inactive", section.mid),
    );
    if let Some(rtpmap) = &section.first_rtpmap {
        push(text, format_args!("a=rtpmap:{format} {rtpmap}"));
    }
}

/// What an answer to a player says beside what its offer says.
pub(crate) struct Playing<'a> {
    pub(crate) ufrag: &'a str,
    pub(crate) password: &'a str,
    /// The certificate's, of SHA-256.
    pub(crate) fingerprint: &'a str,
    pub(crate) candidates: &'a [SocketAddr],
    /// The id of the media stream that all tracks are in.
    pub(crate) stream: &'a str,
    pub(crate) cname: &'a str,
    /// The tracks as they are sent, beside those of the offer.
    pub(crate) sent: &'a [egress::Track],
}

/// Writes the answer for a player: what of its offer is sent, and how.
pub(crate) fn play(offer: &Offer, tracks: &[Track], playing: &Playing<'_>) -> String {
    let mut text = String::with_capacity(2048);
    let stream = playing.stream;
    push(
        &mut text,
        format_args!("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=parlor\r\nt=0 0"),
    );
    let mids = tracks
        .iter()
        .filter_map(|track| offer.sections.get(track.section));
    let mids: Vec<&str> = mids.map(|section| section.mid.as_str()).collect();
    push(&mut text, format_args!("a=group:BUNDLE {}", mids.join(" ")));
    push(
        &mut text,
        format_args!("a=ice-lite\r\na=msid-semantic: WMS {stream}"),
    );
    for (index, section) in offer.sections.iter().enumerate() {
        let tracks = tracks.iter().zip(playing.sent);
        match tracks.into_iter().find(|(track, _)| track.section == index) {
            Some((track, sent)) => play_section(&mut text, section, track, sent, playing),
            None => refuse(&mut text, section),
        }
    }
    text
}

fn play_section(
    text: &mut String,
    section: &Section,
    track: &Track,
    sent: &egress::Track,
    playing: &Playing<'_>,
) {
    let number = track.payload.number;
    let formats = match sent.rtx {
        Some(rtx) => format!("{number} {}", rtx.payload_type),
        None => number.to_string(),
    };
    push(
        text,
        format_args!("m={} 9 UDP/TLS/RTP/SAVPF {formats}", section.media),
    );
    push(
        text,
        format_args!("c=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0"),
    );
    for (index, candidate) in (0_u32..).zip(playing.candidates) {
        // Of type host and component 1 (RFC 8445 §5.1.2.1), the first one preferred.
        let priority = 126 << 24 | (65_535 - index.min(65_535)) << 8 | 255;
        let (ip, port) = (candidate.ip(), candidate.port());
        push(
            text,
            format_args!(
                "a=candidate:{} 1 udp {priority} {ip} {port} typ host",
                index + 1
            ),
        );
    }
    push(text, format_args!("a=end-of-candidates"));
    push(
        text,
        format_args!(
            "a=ice-ufrag:{}\r\na=ice-pwd:{}",
            playing.ufrag, playing.password
        ),
    );
    push(
        text,
        format_args!("a=fingerprint:sha-256 {}", playing.fingerprint),
    );
    push(
        text,
        format_args!("a=setup:passive\r\na=mid:{}", section.mid),
    );
    for (id, uri) in [
        (sent.audio_level, narrow::AUDIO_LEVEL),
        (sent.video_orientation, narrow::ORIENTATION),
    ] {
        if let Some(id) = id {
            push(text, format_args!("a=extmap:{id} {uri}"));
        }
    }
    push(
        text,
        format_args!("a=sendonly\r\na=rtcp-mux\r\na=rtcp-rsize"),
    );
    narrow::write_payload(text, &track.payload, sent.rtx.map(|rtx| rtx.payload_type));
    let (ssrc, stream, cname) = (sent.ssrc, playing.stream, playing.cname);
    let id = &section.media;
    push(text, format_args!("a=msid:{stream} {id}"));
    if let Some(rtx) = sent.rtx {
        push(text, format_args!("a=ssrc-group:FID {ssrc} {}", rtx.ssrc));
    }
    for ssrc in [Some(ssrc), sent.rtx.map(|rtx| rtx.ssrc)]
        .into_iter()
        .flatten()
    {
        push(
            text,
            format_args!("a=ssrc:{ssrc} cname:{cname}\r\na=ssrc:{ssrc} msid:{stream} {id}"),
        );
    }
}

/// The session part, then one part a media section.
fn split(sdp: &str) -> Vec<Vec<&str>> {
    let mut parts = vec![Vec::new()];
    for line in sdp.lines().filter(|line| !line.is_empty()) {
        if line.starts_with("m=") {
            parts.push(Vec::new());
        }
        if let Some(part) = parts.last_mut() {
            part.push(line);
        }
    }
    parts
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = write!(text, "{line}\r\n");
}

fn push_media_line(text: &mut String, line: &str, stream: &str) {
    let msid = if let Some(msid) = line.strip_prefix("a=msid:") {
        Some(("a=msid:", msid))
    } else if line.starts_with("a=ssrc:") {
        line.find(" msid:")
            .map(|at| line.split_at(at + " msid:".len()))
    } else {
        None
    };
    match msid.and_then(|(before, msid)| Some((before, msid.split_once(' ')?.1))) {
        Some((before, track)) => push(text, format_args!("{before}{stream} {track}")),
        None => push(text, format_args!("{line}")),
    }
}
