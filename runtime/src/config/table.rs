//! Every setting once: its name, its help and what its texts become.

use super::Settings;
use super::values::{self, Parsed};
use crate::limits;

/// One setting, under the same key as a flag, in the environment and in the file.
pub struct Setting {
    /// The key: `--key`, `PARLOR_KEY` and `key = …`.
    pub key: &'static str,
    /// Under which heading of the help.
    pub heading: &'static str,
    /// What kind of value it takes.
    pub value: &'static str,
    /// What it does, in a sentence.
    pub help: &'static str,
    /// What holds when it is not set; empty where that is nothing.
    pub default: &'static str,
    /// It takes a list: repeated flags, commas, or an array in the file.
    pub many: bool,
    pub(super) apply: fn(&mut Settings, &[&str]) -> Parsed<()>,
}

impl Setting {
    /// Its name in the environment.
    pub fn variable(&self) -> String {
        format!("PARLOR_{}", self.key.to_ascii_uppercase().replace('-', "_"))
    }
}

fn only<'a>(texts: &[&'a str]) -> Parsed<&'a str> {
    match texts {
        [text] => Ok(text),
        _ => Err("one value".into()),
    }
}

const ADDRESSES: &str = "Addresses and pages";
const RTMP: &str = "RTMP";
const TLS: &str = "TLS";
const MEDIA: &str = "Media";
const SESSIONS: &str = "Sessions and limits";
const JOURNALS: &str = "Journals";
const LOGS: &str = "Logs";
const MANY: usize = 1_000_000;

/// All settings, in the order of the help.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "listen",
        heading: ADDRESSES,
        value: "ADDRESS",
        help: "Serve pages and WebSockets (http, ws) here",
        default: "[::]:8080",
        many: true,
        apply: |settings, texts| {
            settings.listen = values::listeners(texts)?;
            Ok(())
        },
    },
    Setting {
        key: "tls-listen",
        heading: ADDRESSES,
        value: "ADDRESS",
        help: "Serve them with TLS (https, wss) here; off: nowhere",
        default: "[::]:8443",
        many: true,
        apply: |settings, texts| {
            settings.tls_listen = match texts {
                ["off"] => Vec::new(),
                texts => values::listeners(texts)?,
            };
            Ok(())
        },
    },
    Setting {
        key: "rtmp-listen",
        heading: RTMP,
        value: "ADDRESS",
        help: "Serve encoders and players (rtmp, rtmps) here; off: nowhere",
        default: "[::]:1935",
        many: true,
        apply: |settings, texts| {
            settings.rtmp_listen = match texts {
                ["off"] => Vec::new(),
                texts => values::listeners(texts)?,
            };
            Ok(())
        },
    },
    Setting {
        key: "rtmp-takeover",
        heading: RTMP,
        value: "WHEN",
        help: "When an encoder takes the name of another one: silent, always or never",
        default: "silent",
        many: false,
        apply: |settings, texts| {
            settings.rtmp_takeover = values::choice(only(texts)?, &values::TAKEOVERS)?;
            Ok(())
        },
    },
    Setting {
        key: "rtmp-b-frames",
        heading: RTMP,
        value: "WHAT",
        help: "What is done about B-frames, which browsers cannot play: reject, drop or pass",
        default: "reject",
        many: false,
        apply: |settings, texts| {
            settings.rtmp_b_frames = values::choice(only(texts)?, &values::B_FRAMES)?;
            Ok(())
        },
    },
    Setting {
        key: "opus-bitrate",
        heading: RTMP,
        value: "KBITS",
        help: "kbit/s of Opus that the sound of encoders is put into for the rooms",
        default: "96",
        many: false,
        apply: |settings, texts| {
            // What RFC 6716 has (§2.1.1).
            let kbits = values::number(only(texts)?, 6, 510)?;
            settings.opus_bitrate = kbits as u32 * 1_000;
            Ok(())
        },
    },
    Setting {
        key: "web-root",
        heading: ADDRESSES,
        value: "DIR",
        help: "Serve the files of this directory, before the pages of the binary",
        default: "",
        many: false,
        apply: |settings, texts| {
            settings.web_root = Some(values::path(only(texts)?)?);
            Ok(())
        },
    },
    Setting {
        key: "max-connections",
        heading: ADDRESSES,
        value: "N",
        help: "TCP connections at the same time",
        default: "10000",
        many: false,
        apply: |settings, texts| {
            settings.max_connections = values::size(only(texts)?, 1, MANY)?;
            Ok(())
        },
    },
    Setting {
        key: "max-connections-per-address",
        heading: ADDRESSES,
        value: "N",
        help: "How many of them from one IPv4 address or IPv6 /64 network",
        default: "2000",
        many: false,
        apply: |settings, texts| {
            settings.max_connections_per_address = values::size(only(texts)?, 1, MANY)?;
            Ok(())
        },
    },
    Setting {
        key: "max-refusals-per-address",
        heading: ADDRESSES,
        value: "N",
        help: "Names that one of these may ask for in vain in a minute, before it has to wait",
        default: "600",
        many: false,
        apply: |settings, texts| {
            settings.max_refusals_per_address = values::size(only(texts)?, 1, MANY)?;
            Ok(())
        },
    },
    Setting {
        key: "tls-cert",
        heading: TLS,
        value: "FILE",
        help: "Certificate chain, PEM; read again when it changes",
        default: "",
        many: false,
        apply: |settings, texts| {
            settings.tls_cert = Some(values::path(only(texts)?)?);
            Ok(())
        },
    },
    Setting {
        key: "tls-key",
        heading: TLS,
        value: "FILE",
        help: "Its private key, PEM",
        default: "",
        many: false,
        apply: |settings, texts| {
            settings.tls_key = Some(values::path(only(texts)?)?);
            Ok(())
        },
    },
    Setting {
        key: "state-dir",
        heading: TLS,
        value: "DIR",
        help: "Keep the self-signed certificate here",
        default: "the user's state directory",
        many: false,
        apply: |settings, texts| {
            settings.state_dir = values::path(only(texts)?)?;
            Ok(())
        },
    },
    Setting {
        key: "media-port",
        heading: MEDIA,
        value: "PORT",
        help: "UDP port of the first worker, the next ones follow; 0: any free",
        default: "50000",
        many: false,
        apply: |settings, texts| {
            settings.media_port =
                values::size(only(texts)?, 0, 65_535).map_err(|_| "a port from 0 to 65535")? as u16;
            Ok(())
        },
    },
    Setting {
        key: "public-ip",
        heading: MEDIA,
        value: "IP",
        help: "Tell clients this address in place of the interfaces' own",
        default: "all interfaces",
        many: true,
        apply: |settings, texts| {
            settings.public_ips = values::addresses(texts)?;
            Ok(())
        },
    },
    Setting {
        key: "workers",
        heading: MEDIA,
        value: "N",
        help: "Threads that carry media; a room lives on one of them",
        default: "one per core",
        many: false,
        apply: |settings, texts| {
            settings.workers = values::size(only(texts)?, 1, limits::WORKERS)?;
            Ok(())
        },
    },
    Setting {
        key: "relay-after",
        heading: MEDIA,
        value: "N",
        help: "Players of one stream on the worker of its room, before others take further ones",
        default: "150",
        many: false,
        apply: |settings, texts| {
            settings.relay_after = values::size(only(texts)?, 0, MANY)?;
            Ok(())
        },
    },
    Setting {
        key: "video-codecs",
        heading: MEDIA,
        value: "CODECS",
        help: "Video codecs, the preferred one first",
        default: "h264,vp8",
        many: true,
        apply: |settings, texts| {
            settings.video_codecs = values::choices(texts, &values::VIDEO)?;
            Ok(())
        },
    },
    Setting {
        key: "audio-codecs",
        heading: MEDIA,
        value: "CODECS",
        help: "Audio codecs, the preferred one first",
        default: "opus,pcmu,pcma",
        many: true,
        apply: |settings, texts| {
            settings.audio_codecs = values::choices(texts, &values::AUDIO)?;
            Ok(())
        },
    },
    Setting {
        key: "ice-timeout",
        heading: MEDIA,
        value: "SECONDS",
        help: "Silence after which a media connection counts as lost",
        default: "15",
        many: false,
        apply: |settings, texts| {
            settings.ice_timeout = values::seconds(only(texts)?, 1, 3600)?;
            Ok(())
        },
    },
    Setting {
        key: "ping-interval",
        heading: SESSIONS,
        value: "SECONDS",
        help: "Time between two pings of the server on a session",
        default: "5",
        many: false,
        apply: |settings, texts| {
            settings.ping_interval = values::seconds(only(texts)?, 1, 3600)?;
            Ok(())
        },
    },
    Setting {
        key: "ping-attempts",
        heading: SESSIONS,
        value: "N",
        help: "Unanswered pings in a row after which a session is closed",
        default: "10",
        many: false,
        apply: |settings, texts| {
            settings.ping_attempts = values::size(only(texts)?, 1, 1000)? as u32;
            Ok(())
        },
    },
    Setting {
        key: "max-rooms",
        heading: SESSIONS,
        value: "N",
        help: "Rooms of one worker",
        default: "10000",
        many: false,
        apply: |settings, texts| {
            settings.limits.rooms = values::size(only(texts)?, 1, MANY)?;
            Ok(())
        },
    },
    Setting {
        key: "max-participants",
        heading: SESSIONS,
        value: "N",
        help: "Participants of one room",
        default: "100",
        many: false,
        apply: |settings, texts| {
            settings.limits.participants = values::size(only(texts)?, 1, MANY)?;
            Ok(())
        },
    },
    Setting {
        key: "max-publications-per-client",
        heading: SESSIONS,
        value: "N",
        help: "Streams that one client may publish",
        default: "8",
        many: false,
        apply: |settings, texts| {
            settings.limits.publications_per_client = values::size(only(texts)?, 1, MANY)?;
            Ok(())
        },
    },
    Setting {
        key: "max-subscriptions-per-client",
        heading: SESSIONS,
        value: "N",
        help: "Streams that one client may play",
        default: "256",
        many: false,
        apply: |settings, texts| {
            settings.limits.subscriptions_per_client = values::size(only(texts)?, 1, MANY)?;
            Ok(())
        },
    },
    Setting {
        key: "max-peers",
        heading: SESSIONS,
        value: "N",
        help: "Media connections of one worker",
        default: "20000",
        many: false,
        apply: |settings, texts| {
            settings.limits.peers = values::size(only(texts)?, 1, MANY)?;
            Ok(())
        },
    },
    Setting {
        key: "journal",
        heading: JOURNALS,
        value: "DIR",
        help: "Record all that happens into this directory, for parlor replay; it holds keys",
        default: "",
        many: false,
        apply: |settings, texts| {
            settings.journal = Some(values::path(only(texts)?)?);
            Ok(())
        },
    },
    Setting {
        key: "journal-max-size",
        heading: JOURNALS,
        value: "BYTES",
        help: "Size of all journals together, as 500M or 4G; the oldest are removed",
        default: "4G",
        many: false,
        apply: |settings, texts| {
            settings.journal_max_size = values::bytes(only(texts)?, 1 << 24, 1 << 50)?;
            Ok(())
        },
    },
    Setting {
        key: "journal-max-age",
        heading: JOURNALS,
        value: "SECONDS",
        help: "How long a journal is kept after its end, and may go on",
        default: "604800",
        many: false,
        apply: |settings, texts| {
            settings.journal_max_age = values::seconds(only(texts)?, 60, 100 * 366 * 86_400)?;
            Ok(())
        },
    },
    Setting {
        key: "log",
        heading: LOGS,
        value: "FILTER",
        help: "Level (off, error, warn, info, debug, trace) or tracing filter",
        default: "warn,parlor=info",
        many: true,
        apply: |settings, texts| {
            settings.log = values::log_filter(&texts.join(","))?;
            Ok(())
        },
    },
    Setting {
        key: "log-format",
        heading: LOGS,
        value: "FORMAT",
        help: "text, or json: one object a line",
        default: "text",
        many: false,
        apply: |settings, texts| {
            settings.log_format = values::choice(only(texts)?, &values::LOG_FORMATS)?;
            Ok(())
        },
    },
];
