//! `parlor load`: publishers and players that load a server by WHIP and WHEP, and measure it.
//!
//! ICE and DTLS, and what publishers send, are str0m's. Players open SRTP themselves, so that one
//! machine can play enough to load a server. Each packet carries its number and the time when it
//! was written: what is missing and how long packets took is seen at the players, whatever the
//! server does to headers. Everything but `reactor`, `endpoint` and `process` is without sockets.

mod connection;
mod endpoint;
mod http;
mod media;
mod options;
mod player;
mod process;
mod publisher;
mod reactor;
mod report;
mod rtcp;
mod spread;
mod track;

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parlor_core::Seed;

use crate::clock::Clock;
use crate::net;
use endpoint::Role;
pub use options::Options;
pub(crate) use options::{command, options};
use process::Usage;
use reactor::{Phase, Reactor, Shared, Task};
pub use report::Report;
use report::{Outcome, Server, Tally};

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The server is not there.
    #[error("{host} is not reached: {error}. Is the server running, and --url right?")]
    Away {
        /// Where it should be.
        host: String,
        /// Why it is not.
        error: io::Error,
    },
    /// The process that `--pid` names is not seen.
    #[error("--pid {0}: there is no such process on this machine")]
    NoProcess(u32),
    /// No publisher could publish.
    #[error("nobody could publish: {0}")]
    NoPublisher(String),
    /// The system refuses something that is always there.
    #[error("the system refuses {what}: {error}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// Why it was not given.
        error: io::Error,
    },
    /// A thread of this program has died; its panic has been printed.
    #[error("a thread of the load has died")]
    Died,
}

/// How long publishers may take to begin.
const PUBLISHED: Duration = Duration::from_secs(20);
/// How long the number of players may stay as it is while they begin.
const PROGRESS: Duration = Duration::from_secs(20);
/// Time between the last player's beginning and the measurement.
const SETTLE: Duration = Duration::from_millis(500);
/// Time for the last packets to arrive, and to be sent again.
const DRAIN: Duration = Duration::from_millis(500);
/// How long the streams may take to end.
const LEAVE: Duration = Duration::from_secs(15);
/// How long the server's memory is given to settle after the last stream.
const SETTLED: Duration = Duration::from_millis(500);
/// Time between two looks at how far the threads are.
const LOOK: Duration = Duration::from_millis(20);

/// Loads a server. `progress` gets a line each second; once `interrupted` is set, the streams are
/// ended, and the result is of what was measured until then.
///
/// # Errors
/// Where nothing could be measured, a sentence about why.
pub fn run(
    options: &Options,
    interrupted: &AtomicBool,
    progress: impl FnMut(&str),
) -> Result<Report, LoadError> {
    net::raise_open_files();
    let (server, local) = reach(&options.host)?;
    let pid = options.pid;
    let usage = || match pid {
        Some(pid) => process::usage(pid)
            .ok_or(LoadError::NoProcess(pid))
            .map(Some),
        None => Ok(None),
    };
    let before = usage()?;
    let options = Arc::new(options.clone());
    let shared = Arc::new(Shared::new(options.publishers, options.threads));
    let threads = spawn(&options, &shared, server, local)?;
    let mut watch = Watch {
        options: &options,
        shared: &shared,
        interrupted,
        progress,
        began: Instant::now(),
        next_line: Instant::now() + Duration::from_secs(1),
        latest: Tally::default(),
        usage: before,
    };
    let measured = watch.measure();
    let outcome = end(&shared, threads)?;
    let Some(Measured { from, to }) = measured else {
        return Err(LoadError::NoPublisher(sentences(&outcome.tally)));
    };
    std::thread::sleep(SETTLED);
    let after = usage()?;
    let server = (|| {
        Some(Server {
            pid: pid?,
            before: before?,
            after: after?,
            from: from.usage?,
            to: to.usage?,
        })
    })();
    let mut measured = to.tally.received;
    measured.subtract(&from.tally.received);
    Ok(Report {
        publishers: options.publishers,
        players: options.publishers * options.players,
        outcome,
        measured,
        time: to.at.saturating_duration_since(from.at),
        own: to.own.saturating_sub(from.own),
        server,
    })
}

fn sentences(tally: &Tally) -> String {
    let errors: Vec<&str> = tally.errors.keys().map(String::as_str).collect();
    match errors.is_empty() {
        true => "not within 20 s".into(),
        false => errors.join("; "),
    }
}

/// Where the server is, and the address of this machine that it is reached from.
fn reach(host: &str) -> Result<(SocketAddr, IpAddr), LoadError> {
    const PATIENCE: Duration = Duration::from_secs(3);
    let away = |error| LoadError::Away {
        host: host.to_owned(),
        error,
    };
    let mut error = io::Error::other("the name has no address");
    for address in host.to_socket_addrs().map_err(away)? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                let local = stream.local_addr().map_err(away)?.ip();
                // Media goes the same way.
                UdpSocket::bind((local, 0)).map_err(away)?;
                return Ok((address, local));
            }
            Err(refused) => error = refused,
        }
    }
    Err(away(error))
}

fn spawn(
    options: &Arc<Options>,
    shared: &Arc<Shared>,
    server: SocketAddr,
    local: IpAddr,
) -> Result<Vec<JoinHandle<io::Result<Outcome>>>, LoadError> {
    let system = |what| move |error| LoadError::System { what, error };
    let clock = Clock::start();
    let mut threads = Vec::new();
    for number in 0..options.threads {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| system("random bytes")(error.into()))?;
        let task = Task {
            number,
            options: Arc::clone(options),
            shared: Arc::clone(shared),
            server,
            local,
            clock,
            seed: Seed(seed),
        };
        let reactor = Reactor::new(task).map_err(system("a poll"))?;
        let thread = std::thread::Builder::new().name(format!("load {number}"));
        let thread = thread.spawn(move || reactor.run());
        threads.push(thread.map_err(system("a thread"))?);
    }
    Ok(threads)
}

/// Has all streams ended, and takes what was measured.
fn end(
    shared: &Shared,
    threads: Vec<JoinHandle<io::Result<Outcome>>>,
) -> Result<Outcome, LoadError> {
    shared.enter(Phase::Leave);
    let by = Instant::now() + LEAVE;
    while Instant::now() < by && !threads.iter().all(JoinHandle::is_finished) {
        std::thread::sleep(LOOK);
    }
    shared.enter(Phase::Quit);
    let mut sum = Outcome::default();
    for thread in threads {
        let outcome = thread.join().map_err(|_| LoadError::Died)?;
        let system = |error| LoadError::System {
            what: "a poll",
            error,
        };
        sum.add(&outcome.map_err(system)?);
    }
    Ok(sum)
}

/// How things stand at a moment.
struct Moment {
    at: Instant,
    tally: Tally,
    usage: Option<Usage>,
    /// Processor time of this program.
    own: Duration,
}

/// The measured time.
struct Measured {
    from: Moment,
    to: Moment,
}

/// Watches the threads, and tells them what comes next.
struct Watch<'a, P> {
    options: &'a Options,
    shared: &'a Shared,
    interrupted: &'a AtomicBool,
    progress: P,
    began: Instant,
    next_line: Instant,
    latest: Tally,
    usage: Option<Usage>,
}

impl<P: FnMut(&str)> Watch<'_, P> {
    /// `None` where nobody publishes.
    fn measure(&mut self) -> Option<Measured> {
        let publishers = self.options.publishers;
        let players = publishers * self.options.players;
        self.wait_until(PUBLISHED, |tally| tally.publishers_live, publishers);
        if self.shared.tally().publishers_live == 0 {
            return None;
        }
        self.shared.enter(Phase::Play);
        let pace = self.options.pace;
        let silent = pace.packets == 0 && !pace.audio;
        let ready = move |tally: &Tally| match silent {
            true => tally.players_connected,
            false => tally.players_with_media,
        };
        self.wait_until(PROGRESS, ready, players);
        self.pause(SETTLE);
        self.shared.enter(Phase::Measure);
        // The threads have all seen it.
        self.pause(2 * LOOK);
        let from = self.moment();
        self.pause(Duration::from_secs(self.options.seconds));
        let to = self.moment();
        self.shared.enter(Phase::Drain);
        self.pause(DRAIN);
        Some(Measured { from, to })
    }

    fn moment(&self) -> Moment {
        let usage = |pid| process::usage(pid);
        Moment {
            at: Instant::now(),
            tally: self.shared.tally(),
            usage: self.options.pid.and_then(usage),
            own: usage(std::process::id()).unwrap_or_default().cpu,
        }
    }

    /// Waits until as many streams are ready as were asked for, or none has become so for a while.
    fn wait_until(&mut self, patience: Duration, ready: impl Fn(&Tally) -> usize, asked: usize) {
        let (mut best, mut by) = (0, Instant::now() + patience);
        while Instant::now() < by && !self.interrupted.load(Ordering::Relaxed) {
            let tally = self.shared.tally();
            let ready = ready(&tally);
            if ready + tally.failed >= asked {
                return;
            }
            if ready > best {
                (best, by) = (ready, Instant::now() + patience);
            }
            self.pause(LOOK);
        }
    }

    fn pause(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until && !self.interrupted.load(Ordering::Relaxed) {
            let now = Instant::now();
            if now >= self.next_line {
                self.say(now);
            }
            std::thread::sleep(LOOK.min(until.saturating_duration_since(now)));
        }
    }

    fn say(&mut self, now: Instant) {
        let tally = self.shared.tally();
        let mut since = tally.received;
        since.subtract(&self.latest.received);
        let seconds = now.saturating_duration_since(self.began).as_secs();
        let mut line = format!(
            "{seconds:>4} s  publishers {}/{}  players {}/{}  {} packets/s  {} sent again  {} failed",
            tally.publishers_live,
            self.options.publishers,
            tally.players_with_media.max(tally.players_connected),
            self.options.publishers * self.options.players,
            since.packets,
            since.repaired,
            tally.failed,
        );
        if let Some(usage) = self.options.pid.and_then(process::usage) {
            let before = self.usage.replace(usage).unwrap_or_default();
            let cpu = usage.cpu.saturating_sub(before.cpu).as_millis() / 10;
            line.push_str(&format!("  server {cpu} % {} kB", usage.resident_kb));
        }
        (self.progress)(&line);
        self.latest = tally;
        self.next_line = now + Duration::from_secs(1);
    }
}

impl Options {
    /// The path of a publisher's stream, to publish or to play it.
    fn path(&self, role: Role, publisher: usize) -> String {
        let template = match role {
            Role::Publisher => &self.whip,
            Role::Player => &self.whep,
        };
        let room = format!("{}-{}", self.prefix, publisher % self.rooms);
        template
            .replace("{room}", &room)
            .replace("{name}", &format!("p{publisher}"))
    }

    /// Prints the result as it was asked for.
    ///
    /// # Errors
    /// Where the output is closed.
    pub fn print(&self, report: &Report, mut out: impl io::Write) -> io::Result<()> {
        match self.json {
            true => writeln!(out, "{:#}", report.json()),
            false => write!(out, "{}", report.text()),
        }
    }
}
