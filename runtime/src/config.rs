//! What the operator decides: flags, then environment, then file, then defaults.

mod layers;
mod table;
#[cfg(test)]
mod tests;
mod values;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use parlor_core::{AudioCodec, Limits, VideoCodec};
use parlor_rtmp::Takeover;
use parlor_rtmp::bridge::BFrames;

pub use layers::{ConfigError, Flags, load};
pub use table::{SETTINGS, Setting};

/// Everything that can be set. [`Settings::default`] is a server that works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where pages and WebSockets are served without TLS.
    pub listen: Vec<SocketAddr>,
    /// Where they are served with TLS; nowhere when empty.
    pub tls_listen: Vec<SocketAddr>,
    /// Where encoders and players by RTMP are served, with and without TLS; nowhere when empty.
    pub rtmp_listen: Vec<SocketAddr>,
    /// When an encoder loses its name to another one.
    pub rtmp_takeover: Takeover,
    /// What is done about the B-frames of encoders.
    pub rtmp_b_frames: BFrames,
    /// Bits a second of Opus that sound of encoders is put into.
    pub opus_bitrate: u32,
    /// The certificate chain, PEM. With [`Settings::tls_key`], or neither.
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key, PEM.
    pub tls_key: Option<PathBuf>,
    /// Where the self-signed certificate is kept.
    pub state_dir: PathBuf,
    /// UDP port of the first worker; the next ones follow. 0 takes free ports.
    pub media_port: u16,
    /// The addresses that clients are told in place of the interfaces' own.
    pub public_ips: Vec<IpAddr>,
    /// Worker threads.
    pub workers: usize,
    /// Players of one stream on its own worker, before further ones are handed on to others.
    pub relay_after: usize,
    /// A directory whose files are served before the pages of the binary.
    pub web_root: Option<PathBuf>,
    /// Video codecs, the preferred one first.
    pub video_codecs: Vec<VideoCodec>,
    /// Audio codecs, the preferred one first.
    pub audio_codecs: Vec<AudioCodec>,
    /// How long a connected peer may be silent before it counts as lost.
    pub ice_timeout: Duration,
    /// Time between two pings of the server on a session.
    pub ping_interval: Duration,
    /// Pings in a row that may stay unanswered.
    pub ping_attempts: u32,
    /// TCP connections at the same time.
    pub max_connections: usize,
    /// How many of them may come from one IPv4 address, or one IPv6 network of 64 bits. This
    /// machine's own are not counted.
    pub max_connections_per_address: usize,
    /// Requests for names that may be refused in a minute to one IPv4 address, or one IPv6 network of
    /// 64 bits, before it has to wait.
    pub max_refusals_per_address: usize,
    /// This machine's own connections count as others do, as in tests.
    pub counts_own: bool,
    /// The bounds of the rooms. Each worker has its own rooms and counts them alone.
    pub limits: Limits,
    /// Where the journals are kept; nowhere when there is none.
    pub journal: Option<PathBuf>,
    /// Most bytes of all journals together.
    pub journal_max_size: u64,
    /// How long a journal is kept after its end, and how long one may go on.
    pub journal_max_age: Duration,
    /// What is logged: a level, or a filter of `tracing`.
    pub log: String,
    /// How it is logged.
    pub log_format: LogFormat,
}

/// The shape of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Settings {
    fn default() -> Self {
        let core = parlor_core::Config::default();
        Self {
            listen: vec![SocketAddr::from((Ipv6Addr::UNSPECIFIED, 8080))],
            tls_listen: vec![SocketAddr::from((Ipv6Addr::UNSPECIFIED, 8443))],
            rtmp_listen: vec![SocketAddr::from((Ipv6Addr::UNSPECIFIED, 1935))],
            rtmp_takeover: Takeover::default(),
            rtmp_b_frames: BFrames::default(),
            opus_bitrate: 96_000,
            tls_cert: None,
            tls_key: None,
            state_dir: PathBuf::from("parlor-state"),
            media_port: 50_000,
            public_ips: Vec::new(),
            workers: 1,
            relay_after: core.team.relay_after,
            web_root: None,
            video_codecs: core.video_codecs,
            audio_codecs: core.audio_codecs,
            ice_timeout: core.ice_timeout,
            ping_interval: Duration::from_secs(5),
            ping_attempts: 10,
            max_connections: 10_000,
            max_connections_per_address: 2000,
            max_refusals_per_address: 600,
            counts_own: false,
            limits: core.limits,
            journal: None,
            journal_max_size: 4 << 30,
            journal_max_age: Duration::from_secs(7 * 86_400),
            log: "warn,parlor=info".into(),
            log_format: LogFormat::Text,
        }
    }
}

impl Settings {
    /// The defaults on this machine: a worker per core, the user's directory for state.
    pub fn of_this_machine(env: impl Fn(&str) -> Option<String>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let absolute = |name| {
            let path = PathBuf::from(env(name)?);
            path.is_absolute().then_some(path)
        };
        let state = absolute("XDG_STATE_HOME")
            .or_else(|| Some(absolute("HOME")?.join(".local/state")))
            .map_or_else(|| PathBuf::from("parlor-state"), |dir| dir.join("parlor"));
        Self {
            workers: cores.min(crate::limits::WORKERS),
            state_dir: state,
            ..Self::default()
        }
    }
}
