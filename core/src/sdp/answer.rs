//! Completing str0m's answer for the one who offered.

use std::fmt::Write;

use crate::sdp::narrow::Track;
use crate::sdp::offer::Offer;

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
            None => {
                let (media, protocol, format) =
                    (&section.media, &section.protocol, &section.first_format);
                push(&mut text, format_args!("m={media} 0 {protocol} {format}"));
                push(&mut text, format_args!("c=IN IP4 0.0.0.0"));
                push(&mut text, format_args!("a=mid:{}", section.mid));
                push(&mut text, format_args!("a=inactive"));
                if let Some(rtpmap) = &section.first_rtpmap {
                    push(&mut text, format_args!("a=rtpmap:{format} {rtpmap}"));
                }
            }
        }
    }
    text
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
