//! Writing the answer: to a publisher and to a player.

use std::fmt::Write;
use std::net::SocketAddr;

use crate::egress;
use crate::sdp::narrow::{self, Track};
use crate::sdp::offer::{Extension, Offer, Section};

/// What an answer says beside what its offer says.
pub(crate) struct Server<'a> {
    pub(crate) ufrag: &'a str,
    pub(crate) password: &'a str,
    /// The certificate's, of SHA-256.
    pub(crate) fingerprint: &'a str,
    pub(crate) candidates: &'a [SocketAddr],
    /// The id of the media stream that all tracks are in (RFC 8830), because players put the
    /// tracks of one stream into one element (wcs-protocol.md §0, 18); also the name of whom they
    /// are from.
    pub(crate) stream: &'a str,
}

/// Writes the answer for a publisher: what of its offer is taken, and which header extensions.
pub(crate) fn publish(
    offer: &Offer,
    tracks: &[Track],
    agreed: &[Extension],
    server: &Server<'_>,
) -> String {
    answer(offer, tracks, server, |text, section, track| {
        let rtx = track.payload.rtx;
        section_head(text, section, track, rtx, server);
        for extension in &section.extensions {
            if agreed.contains(extension) {
                let Extension { id, uri } = extension;
                push(text, format_args!("a=extmap:{id} {uri}"));
            }
        }
        push(text, format_args!("a=recvonly"));
        narrow::write_payload(text, &track.payload, rtx);
        let numbered = |extension: &&Extension| extension.uri == narrow::TRANSPORT_CC;
        if let Some(numbers) = agreed.iter().find(numbered)
            && section.extensions.contains(numbers)
        {
            let number = track.payload.number;
            push(text, format_args!("a=rtcp-fb:{number} transport-cc"));
        }
    })
}

/// Writes the answer for a player: what of its offer is sent, and how.
pub(crate) fn play(
    offer: &Offer,
    tracks: &[Track],
    sent: &[egress::Track],
    server: &Server<'_>,
) -> String {
    answer(offer, tracks, server, |text, section, track| {
        let mut both = tracks.iter().zip(sent);
        let sent = both.find(|(other, _)| other.section == track.section);
        if let Some((_, sent)) = sent {
            play_section(text, section, track, sent, server);
        }
    })
}

fn answer(
    offer: &Offer,
    tracks: &[Track],
    server: &Server<'_>,
    write: impl Fn(&mut String, &Section, &Track),
) -> String {
    let mut text = String::with_capacity(2048);
    let mids = tracks
        .iter()
        .filter_map(|track| offer.sections.get(track.section));
    let mids: Vec<&str> = mids.map(|section| section.mid.as_str()).collect();
    let (mids, stream) = (mids.join(" "), server.stream);
    push(
        &mut text,
        format_args!(
            "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=parlor\r\nt=0 0\r\n\
             a=group:BUNDLE {mids}\r\na=ice-lite\r\na=msid-semantic: WMS {stream}"
        ),
    );
    for (index, section) in offer.sections.iter().enumerate() {
        match tracks.iter().find(|track| track.section == index) {
            Some(track) => write(&mut text, section, track),
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

/// Writes what a section says of its transport, and begins with its formats.
fn section_head(
    text: &mut String,
    section: &Section,
    track: &Track,
    rtx: Option<u8>,
    server: &Server<'_>,
) {
    let (media, number) = (&section.media, track.payload.number);
    let again = rtx.map_or_else(String::new, |rtx| format!(" {rtx}"));
    push(
        text,
        format_args!(
            "m={media} 9 UDP/TLS/RTP/SAVPF {number}{again}\r\n\
             c=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0"
        ),
    );
    for (index, candidate) in (0_u32..).zip(server.candidates) {
        // Of type host and component 1 (RFC 8445 §5.1.2.1), the first one preferred.
        let priority = 126 << 24 | (65_535 - index.min(65_535)) << 8 | 255;
        let (foundation, ip, port) = (index + 1, candidate.ip(), candidate.port());
        push(
            text,
            format_args!("a=candidate:{foundation} 1 udp {priority} {ip} {port} typ host"),
        );
    }
    let Server {
        ufrag,
        password,
        fingerprint,
        ..
    } = server;
    let mid = &section.mid;
    push(
        text,
        format_args!(
            "a=end-of-candidates\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\n\
             a=fingerprint:sha-256 {fingerprint}\r\na=setup:passive\r\na=mid:{mid}\r\n\
             a=rtcp-mux\r\na=rtcp-rsize"
        ),
    );
}

fn play_section(
    text: &mut String,
    section: &Section,
    track: &Track,
    sent: &egress::Track,
    server: &Server<'_>,
) {
    let again = sent.rtx.map(|rtx| rtx.payload_type);
    section_head(text, section, track, again, server);
    for (id, uri) in [
        (sent.audio_level, narrow::AUDIO_LEVEL),
        (sent.video_orientation, narrow::ORIENTATION),
    ] {
        if let Some(id) = id {
            push(text, format_args!("a=extmap:{id} {uri}"));
        }
    }
    push(text, format_args!("a=sendonly"));
    narrow::write_payload(text, &track.payload, again);
    let (ssrc, stream, id) = (sent.ssrc, server.stream, &section.media);
    push(text, format_args!("a=msid:{stream} {id}"));
    let rtx = sent.rtx.map(|rtx| rtx.ssrc);
    if let Some(rtx) = rtx {
        push(text, format_args!("a=ssrc-group:FID {ssrc} {rtx}"));
    }
    for ssrc in [Some(ssrc), rtx].into_iter().flatten() {
        push(
            text,
            format_args!("a=ssrc:{ssrc} cname:{stream}\r\na=ssrc:{ssrc} msid:{stream} {id}"),
        );
    }
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = write!(text, "{line}\r\n");
}
