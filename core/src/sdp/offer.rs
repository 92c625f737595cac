//! Reading an offer.

use crate::codec::{Codec, H264};
use crate::limits;
use crate::request::MediaKind;

/// Why an offer cannot be answered, as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadOffer(pub(crate) String);

impl BadOffer {
    fn because(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// Which way media flows, seen from the one who offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Direction {
    pub(crate) sends: bool,
    pub(crate) receives: bool,
}

/// One payload type that can be forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Payload {
    pub(crate) number: u8,
    pub(crate) codec: Codec,
    /// The payload type of its retransmissions (RFC 4588).
    pub(crate) rtx: Option<u8>,
    /// The offer asks for stereo (RFC 7587 §7).
    pub(crate) stereo: bool,
}

/// A header extension (RFC 8285) that the offer maps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Extension {
    pub(crate) id: u8,
    pub(crate) uri: String,
}

/// A synchronisation source, with the one of its retransmissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) ssrc: u32,
    pub(crate) rtx: Option<u32>,
}

/// A media section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Section {
    /// `None` for what is neither sound nor picture.
    pub(crate) kind: Option<MediaKind>,
    /// The media type of the `m=` line.
    pub(crate) media: String,
    pub(crate) protocol: String,
    /// The first format of the `m=` line, to be repeated where the section is refused.
    pub(crate) first_format: String,
    /// What the offer maps that format to.
    pub(crate) first_rtpmap: Option<String>,
    pub(crate) refused: bool,
    pub(crate) mid: String,
    pub(crate) direction: Direction,
    pub(crate) payloads: Vec<Payload>,
    pub(crate) extensions: Vec<Extension>,
    pub(crate) sources: Vec<Source>,
}

/// The transport, one for all sections (BUNDLE).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transport {
    pub(crate) ufrag: String,
    pub(crate) password: String,
    /// Hash function and hex digits, as in `a=fingerprint`.
    pub(crate) fingerprint: String,
}

/// An offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) transport: Transport,
    pub(crate) sections: Vec<Section>,
}

#[derive(Default)]
struct RawTransport {
    ufrag: Option<String>,
    password: Option<String>,
    fingerprint: Option<String>,
    passive: bool,
}

/// A section as its lines say it, before payload types are joined up.
#[derive(Default)]
struct Raw<'a> {
    media: &'a str,
    port: &'a str,
    protocol: &'a str,
    formats: Vec<&'a str>,
    mid: Option<&'a str>,
    direction: Option<Direction>,
    rtpmaps: Vec<(u8, &'a str)>,
    fmtps: Vec<(u8, &'a str)>,
    extensions: Vec<Extension>,
    ssrcs: Vec<u32>,
    repairs: Vec<(u32, u32)>,
}

/// Most `a=ssrc` sources that a section may name: the stream and its retransmissions.
const SOURCES: usize = 8;
/// Most formats of an `m=` line that are looked at: there are 128 payload types.
const FORMATS: usize = 128;

const SEND_RECEIVE: Direction = Direction {
    sends: true,
    receives: true,
};

impl Section {
    /// The id that the offer gives a header extension.
    pub(crate) fn extension(&self, uri: &str) -> Option<u8> {
        self.extensions
            .iter()
            .find(|extension| extension.uri == uri)
            .map(|extension| extension.id)
    }
}

impl Offer {
    /// Parses an offer. Lines may end in LF alone, and order within a section is free.
    pub(crate) fn parse(text: &str) -> Result<Self, BadOffer> {
        if text.len() > limits::OFFER_BYTES {
            return Err(BadOffer::because("it is too long"));
        }
        if !text.starts_with("v=0") {
            return Err(BadOffer::because("it does not begin with v=0"));
        }
        let mut transport = RawTransport::default();
        let mut session_direction = None;
        let mut sections: Vec<Raw<'_>> = Vec::new();
        for line in text.lines() {
            if let Some(media) = line.strip_prefix("m=") {
                if sections.len() == limits::OFFER_MEDIA {
                    return Err(BadOffer::because("it has too many media sections"));
                }
                sections.push(Raw::new(media)?);
            } else if let Some(attribute) = line.strip_prefix("a=") {
                let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
                if name == "ice-lite" {
                    return Err(BadOffer::because(
                        "an ICE-lite client cannot reach this server",
                    ));
                }
                if transport.take(name, value) {
                    continue;
                }
                match sections.last_mut() {
                    Some(section) => section.take(name, value),
                    None => session_direction = session_direction.or_else(|| direction(name)),
                }
            }
        }
        if sections.is_empty() {
            return Err(BadOffer::because("it has no media section"));
        }
        let sections: Vec<Section> = sections
            .into_iter()
            .enumerate()
            .map(|(index, raw)| raw.finish(index, session_direction))
            .collect::<Result<_, _>>()?;
        for (index, section) in sections.iter().enumerate() {
            if sections
                .iter()
                .take(index)
                .any(|earlier| earlier.mid == section.mid)
            {
                return Err(BadOffer::because("two media sections have the same mid"));
            }
        }
        Ok(Self {
            transport: transport.finish()?,
            sections,
        })
    }
}

impl RawTransport {
    /// The transport of the bundle is the one of the first section that has it: browsers repeat
    /// it in every section.
    fn take(&mut self, name: &str, value: &str) -> bool {
        let slot = match name {
            "ice-ufrag" => &mut self.ufrag,
            "ice-pwd" => &mut self.password,
            "fingerprint" => &mut self.fingerprint,
            "setup" => {
                self.passive |= value == "passive";
                return true;
            }
            _ => return false,
        };
        if slot.is_none() {
            *slot = Some(value.trim().to_owned());
        }
        true
    }

    fn finish(self) -> Result<Transport, BadOffer> {
        if self.passive {
            return Err(BadOffer::because(
                "a=setup:passive: the client must begin the handshake",
            ));
        }
        let ice = |value: Option<String>, name: &str, least: usize| match value {
            None => Err(BadOffer::because(format!("a={name} is missing"))),
            // RFC 8839 §5.4: ice-char = ALPHA / DIGIT / "+" / "/", at most 256 of them. Some
            // clients use the rest of base64url.
            Some(text)
                if (least..=256).contains(&text.len())
                    && text
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"+/-_=".contains(&b)) =>
            {
                Ok(text)
            }
            Some(_) => Err(BadOffer::because(format!("a={name} is not valid"))),
        };
        let fingerprint = self
            .fingerprint
            .ok_or_else(|| BadOffer::because("a=fingerprint is missing"))?;
        let fingerprint = check_fingerprint(&fingerprint).ok_or_else(|| {
            BadOffer::because("a=fingerprint is not a SHA-256 or SHA-1 fingerprint")
        })?;
        Ok(Transport {
            ufrag: ice(self.ufrag, "ice-ufrag", 4)?,
            password: ice(self.password, "ice-pwd", 22)?,
            fingerprint,
        })
    }
}

fn check_fingerprint(text: &str) -> Option<String> {
    let (hash, digits) = text.split_once(' ')?;
    let hash = hash.to_ascii_lowercase();
    let bytes = match hash.as_str() {
        "sha-256" => 32,
        "sha-1" => 20,
        _ => return None,
    };
    let digits = digits.trim();
    let hex = |pair: &str| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
    let right = digits.split(':').count() == bytes && digits.split(':').all(hex);
    right.then(|| format!("{hash} {}", digits.to_ascii_uppercase()))
}

fn direction(name: &str) -> Option<Direction> {
    let (sends, receives) = match name {
        "sendrecv" => (true, true),
        "sendonly" => (true, false),
        "recvonly" => (false, true),
        "inactive" => (false, false),
        _ => return None,
    };
    Some(Direction { sends, receives })
}

impl<'a> Raw<'a> {
    fn new(line: &'a str) -> Result<Self, BadOffer> {
        let mut words = line.split_ascii_whitespace();
        let (Some(media), Some(port), Some(protocol)) = (words.next(), words.next(), words.next())
        else {
            return Err(BadOffer::because("an m= line is too short"));
        };
        if !token(media) || !token(protocol) {
            return Err(BadOffer::because("an m= line is not valid"));
        }
        let formats: Vec<&str> = words.take(FORMATS).collect();
        if formats.is_empty() || !formats.iter().all(|format| token(format)) {
            return Err(BadOffer::because("an m= line has no valid formats"));
        }
        Ok(Self {
            media,
            port,
            protocol,
            formats,
            ..Self::default()
        })
    }

    fn take(&mut self, name: &str, value: &'a str) {
        match name {
            "mid" => self.mid = Some(value.trim()),
            "rtpmap" => push_numbered(&mut self.rtpmaps, value),
            "fmtp" => push_numbered(&mut self.fmtps, value),
            "extmap" => self.take_extension(value),
            "ssrc" => {
                let id = value.split(' ').next().and_then(|id| id.parse().ok());
                if let Some(id) = id.filter(|id| !self.ssrcs.contains(id))
                    && self.ssrcs.len() < SOURCES
                {
                    self.ssrcs.push(id);
                }
            }
            "ssrc-group" => {
                let mut words = value.split_ascii_whitespace();
                let group = (words.next(), words.next(), words.next(), words.next());
                if let (Some("FID"), Some(main), Some(rtx), None) = group
                    && let (Ok(main), Ok(rtx)) = (main.parse(), rtx.parse())
                    && self.repairs.len() < SOURCES
                {
                    self.repairs.push((main, rtx));
                }
            }
            _ => {
                if let Some(found) = direction(name) {
                    self.direction = Some(found);
                }
            }
        }
    }

    fn take_extension(&mut self, value: &str) {
        let mut words = value.split_ascii_whitespace();
        let (Some(id), Some(uri)) = (words.next(), words.next()) else {
            return;
        };
        let id = id.split('/').next().and_then(|id| id.parse::<u8>().ok());
        // One-byte header extensions have ids from 1 to 14 (RFC 8285 §4.2).
        let Some(id) = id.filter(|id| (1..=14).contains(id)) else {
            return;
        };
        if self
            .extensions
            .iter()
            .any(|known| known.id == id || known.uri == uri)
        {
            return;
        }
        self.extensions.push(Extension {
            id,
            uri: uri.to_owned(),
        });
    }

    fn finish(self, index: usize, session: Option<Direction>) -> Result<Section, BadOffer> {
        let kind = match self.media {
            "audio" => Some(MediaKind::Audio),
            "video" => Some(MediaKind::Video),
            _ => None,
        };
        // A section without `a=mid` has its index for one, so that an answer can be bundled.
        let mid = self.mid.map_or_else(|| index.to_string(), str::to_owned);
        let of_token = |b: u8| b.is_ascii_alphanumeric() || b"-_.+".contains(&b);
        if mid.is_empty() || mid.len() > 16 || !mid.bytes().all(of_token) {
            return Err(BadOffer::because("an a=mid is not valid"));
        }
        let first = self.formats.first().copied().unwrap_or("0");
        Ok(Section {
            kind,
            media: self.media.to_owned(),
            protocol: self.protocol.to_owned(),
            first_rtpmap: first.parse().ok().and_then(|number| {
                let rtpmap = find(&self.rtpmaps, number)?.trim();
                token(rtpmap).then(|| rtpmap.to_owned())
            }),
            first_format: first.to_owned(),
            refused: self.port == "0" && index == 0,
            direction: self.direction.or(session).unwrap_or(SEND_RECEIVE),
            payloads: self.payloads(),
            sources: self.sources(),
            extensions: self.extensions,
            mid,
        })
    }

    fn payloads(&self) -> Vec<Payload> {
        let mut payloads: Vec<Payload> = Vec::new();
        let repairs = self.retransmissions();
        for format in &self.formats {
            let Ok(number) = format.parse::<u8>() else {
                continue;
            };
            if number > 127 || payloads.iter().any(|payload| payload.number == number) {
                continue;
            }
            let fmtp = find(&self.fmtps, number).unwrap_or("");
            let Some(codec) = self.codec(number, fmtp) else {
                continue;
            };
            let rtx = (codec.kind() == MediaKind::Video)
                .then(|| repairs.iter().find(|(repaired, _)| *repaired == number))
                .flatten()
                .map(|(_, rtx)| *rtx);
            let stereo = codec == Codec::Opus && parameter(fmtp, "stereo") == Some("1");
            payloads.push(Payload {
                number,
                codec,
                rtx,
                stereo,
            });
        }
        payloads
    }

    fn codec(&self, number: u8, fmtp: &str) -> Option<Codec> {
        let rtpmap = match (find(&self.rtpmaps, number), number) {
            (Some(rtpmap), _) => rtpmap,
            // The static payload types (RFC 3551 table 4) need no rtpmap.
            (None, 0) => "PCMU/8000",
            (None, 8) => "PCMA/8000",
            (None, _) => return None,
        };
        let mut parts = rtpmap.trim().split('/');
        let (name, clock, channels) = (parts.next()?, parts.next()?, parts.next());
        let codec = match name.to_ascii_lowercase().as_str() {
            "opus" if channels == Some("2") => Codec::Opus,
            "pcmu" => Codec::Pcmu,
            "pcma" => Codec::Pcma,
            "vp8" => Codec::Vp8,
            "h264" => {
                let id = parameter(fmtp, "profile-level-id");
                // RFC 6184 §8.1: baseline, level 1, where it is not given.
                let profile_level_id = match id {
                    Some(hex) if hex.len() == 6 => u32::from_str_radix(hex, 16).ok()?,
                    Some(_) => return None,
                    None => 0x42_000a,
                };
                match parameter(fmtp, "packetization-mode") {
                    None | Some("0") => Codec::H264(H264 {
                        profile_level_id,
                        fragments: false,
                    }),
                    Some("1") => Codec::H264(H264 {
                        profile_level_id,
                        fragments: true,
                    }),
                    Some(_) => return None,
                }
            }
            _ => return None,
        };
        let right_clock = clock.parse() == Ok(codec.clock_rate());
        let right_section = self.media
            == if codec.kind() == MediaKind::Audio {
                "audio"
            } else {
                "video"
            };
        (right_clock && right_section).then_some(codec)
    }

    /// The payload types that are retransmitted, with those of their retransmissions. An `apt` that
    /// points at nothing is normal: clients that strip codecs leave it behind.
    fn retransmissions(&self) -> Vec<(u8, u8)> {
        let retransmission = |(rtx, fmtp): &(u8, &str)| {
            let rtpmap = find(&self.rtpmaps, *rtx)?;
            let is_rtx = rtpmap
                .get(..4)
                .is_some_and(|name| name.eq_ignore_ascii_case("rtx/"));
            let repaired = parameter(fmtp, "apt")?.parse::<u8>().ok()?;
            let listed = self.formats.iter().any(|format| format.parse() == Ok(*rtx));
            (is_rtx && listed && *rtx != repaired).then_some((repaired, *rtx))
        };
        self.fmtps.iter().filter_map(retransmission).collect()
    }

    fn sources(&self) -> Vec<Source> {
        let is_repair = |ssrc: u32| self.repairs.iter().any(|(_, rtx)| *rtx == ssrc);
        let mains = self.ssrcs.iter().copied().filter(|ssrc| !is_repair(*ssrc));
        let rtx_of = |ssrc: u32| {
            let found = self
                .repairs
                .iter()
                .find(|(main, rtx)| *main == ssrc && *rtx != ssrc);
            found.map(|(_, rtx)| *rtx)
        };
        mains
            .map(|ssrc| Source {
                ssrc,
                rtx: rtx_of(ssrc),
            })
            .collect()
    }
}

/// Whether a word may be repeated in an answer.
fn token(word: &str) -> bool {
    word.len() <= 32 && word.bytes().all(|byte| byte.is_ascii_graphic())
}

fn push_numbered<'a>(list: &mut Vec<(u8, &'a str)>, value: &'a str) {
    if let Some((number, rest)) = value.split_once(' ')
        && let Ok(number) = number.parse::<u8>()
        && list.len() < FORMATS
        && find(list, number).is_none()
    {
        list.push((number, rest));
    }
}

fn find<'a>(list: &[(u8, &'a str)], number: u8) -> Option<&'a str> {
    list.iter()
        .find(|(key, _)| *key == number)
        .map(|(_, value)| *value)
}

fn parameter<'a>(fmtp: &'a str, name: &str) -> Option<&'a str> {
    fmtp.split(';').find_map(|pair| {
        let (key, value) = pair.trim().split_once('=')?;
        key.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}
