//! What is done with bytes from strangers, as functions that a fuzzer calls and the tests replay:
//! each panics where what must hold does not.

mod datagrams;
mod exchanges;
mod journals;
mod offers;
mod pieces;
mod rtmp;
mod signalling;

pub use datagrams::share_calls;
pub use pieces::joined;

/// One way in for bytes from strangers.
#[derive(Clone, Copy)]
pub struct Target {
    /// What it is called: its corpus is in `corpus/NAME`.
    pub name: &'static str,
    /// Takes one input.
    pub run: fn(&[u8]),
}

/// All ways in.
pub const TARGETS: &[Target] = &[
    Target {
        name: "http",
        run: signalling::http,
    },
    Target {
        name: "websocket",
        run: signalling::websocket,
    },
    Target {
        name: "wcs",
        run: signalling::wcs,
    },
    Target {
        name: "whip",
        run: exchanges::whip,
    },
    Target {
        name: "sdp",
        run: offers::sdp,
    },
    Target {
        name: "stun",
        run: parlor_core::simulation::check_datagram,
    },
    Target {
        name: "feedback",
        run: parlor_core::simulation::check_feedback,
    },
    Target {
        name: "datagrams",
        run: datagrams::datagrams,
    },
    Target {
        name: "media",
        run: datagrams::media,
    },
    Target {
        name: "rtmp",
        run: rtmp::rtmp,
    },
    Target {
        name: "amf0",
        run: rtmp::amf0,
    },
    Target {
        name: "chunk",
        run: rtmp::chunk,
    },
    Target {
        name: "flv",
        run: rtmp::flv,
    },
    Target {
        name: "bridge",
        run: rtmp::bridge,
    },
    Target {
        name: "aac",
        run: rtmp::aac,
    },
    Target {
        name: "sound",
        run: rtmp::sound,
    },
    Target {
        name: "journal",
        run: journals::journal,
    },
];

/// Runs the target of this name.
///
/// # Panics
/// Where there is none, or where what must hold does not.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a target of this name").run)(bytes);
}
