//! Texts into values. An error says what is expected.

use std::fmt::Display;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use parlor_core::{AudioCodec, VideoCodec};
use parlor_rtmp::Takeover;
use parlor_rtmp::bridge::BFrames;

use super::LogFormat;
use crate::limits;

pub(super) type Parsed<T> = Result<T, String>;

pub(super) fn number(text: &str, least: u64, most: u64) -> Parsed<u64> {
    text.parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("a whole number from {least} to {most}"))
}

pub(super) fn size(text: &str, least: usize, most: usize) -> Parsed<usize> {
    text.parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("a whole number from {least} to {most}"))
}

pub(super) fn seconds(text: &str, least: u64, most: u64) -> Parsed<Duration> {
    let text = text.strip_suffix('s').unwrap_or(text);
    number(text, least, most)
        .map(Duration::from_secs)
        .map_err(|_| format!("whole seconds, from {least} to {most}"))
}

/// A number of bytes, with `K`, `M`, `G` or `T` for powers of 1024.
pub(super) fn bytes(text: &str, least: u64, most: u64) -> Parsed<u64> {
    let (digits, shift) = match text.chars().last().map(|last| last.to_ascii_uppercase()) {
        Some('K') => (text.get(..text.len() - 1), 10),
        Some('M') => (text.get(..text.len() - 1), 20),
        Some('G') => (text.get(..text.len() - 1), 30),
        Some('T') => (text.get(..text.len() - 1), 40),
        _ => (Some(text), 0),
    };
    digits
        .and_then(|digits| digits.parse::<u64>().ok())
        .and_then(|number| number.checked_mul(1 << shift))
        .filter(|bytes| (least..=most).contains(bytes))
        .ok_or_else(|| format!("bytes from {least} to {most}, as 500M or 4G"))
}

pub(super) fn listeners(texts: &[&str]) -> Parsed<Vec<SocketAddr>> {
    if texts.is_empty() || texts.len() > limits::LISTENERS {
        return Err(format!("1 to {} addresses", limits::LISTENERS));
    }
    texts.iter().map(|text| listener(text)).collect()
}

fn listener(text: &str) -> Parsed<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let port = text.strip_prefix(':').unwrap_or(text);
    port.parse()
        .map(|port: u16| SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)))
        .map_err(|_| {
            "an IP address and port such as 127.0.0.1:8080 or [::]:8080, or a port alone".into()
        })
}

pub(super) fn addresses(texts: &[&str]) -> Parsed<Vec<IpAddr>> {
    if texts.len() > limits::CANDIDATES {
        return Err(format!("at most {} addresses", limits::CANDIDATES));
    }
    let mut addresses = Vec::new();
    for text in texts {
        let address: IpAddr = text
            .parse()
            .ok()
            .filter(|address: &IpAddr| !address.is_unspecified() && !address.is_multicast())
            .ok_or("the IP address of a host, such as 203.0.113.7 or 2001:db8::7")?;
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

pub(super) fn path(text: &str) -> Parsed<PathBuf> {
    if text.is_empty() || text.contains('\0') {
        return Err("a path".into());
    }
    Ok(PathBuf::from(text))
}

pub(super) const VIDEO: [(&str, VideoCodec); 2] =
    [("h264", VideoCodec::H264), ("vp8", VideoCodec::Vp8)];

pub(super) const AUDIO: [(&str, AudioCodec); 3] = [
    ("opus", AudioCodec::Opus),
    ("pcmu", AudioCodec::Pcmu),
    ("pcma", AudioCodec::Pcma),
];

/// A list without repeats, at least one of `known`.
pub(super) fn choices<T: Copy + PartialEq>(texts: &[&str], known: &[(&str, T)]) -> Parsed<Vec<T>> {
    let expected = || format!("one or more of {}, each once", names(known));
    let mut chosen = Vec::new();
    for text in texts {
        let one = choice(text, known).map_err(|_| expected())?;
        if chosen.contains(&one) {
            return Err(expected());
        }
        chosen.push(one);
    }
    if chosen.is_empty() {
        return Err(expected());
    }
    Ok(chosen)
}

pub(super) const LOG_FORMATS: [(&str, LogFormat); 2] =
    [("text", LogFormat::Text), ("json", LogFormat::Json)];

pub(super) const TAKEOVERS: [(&str, Takeover); 3] = [
    ("silent", Takeover::Silent),
    ("always", Takeover::Always),
    ("never", Takeover::Never),
];
pub(super) const B_FRAMES: [(&str, BFrames); 3] = [
    ("reject", BFrames::Reject),
    ("drop", BFrames::Drop),
    ("pass", BFrames::Pass),
];

pub(super) fn choice<T: Copy>(text: &str, known: &[(&str, T)]) -> Parsed<T> {
    known
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text))
        .map(|(_, value)| *value)
        .ok_or_else(|| format!("one of {}", names(known)))
}

fn names<T>(known: &[(&str, T)]) -> impl Display {
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// A level for Parlor's own lines, or a whole filter.
pub(super) fn log_filter(text: &str) -> Parsed<String> {
    let lower = text.to_ascii_lowercase();
    if lower == "off" {
        return Ok(lower);
    }
    if LEVELS.contains(&lower.as_str()) {
        return Ok(format!("warn,parlor={lower}"));
    }
    let whole = text.split(',').all(|part| {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
        LEVELS.contains(&level.to_ascii_lowercase().as_str())
    });
    if !whole || tracing_subscriber::EnvFilter::try_new(text).is_err() {
        return Err(format!(
            "one of {}, or a filter such as warn,parlor=debug",
            LEVELS.join(", ")
        ));
    }
    Ok(text.to_owned())
}
