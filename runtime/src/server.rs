//! The whole server: everything is opened first, then the threads begin.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use mio::Waker;
use parlor_core::{Certificate, Config, Seed, Team, WorkerId};
use parlor_journal::Fresh;

use crate::clock::Clock;
use crate::codec::Codecs;
use crate::config::Settings;
use crate::front::{Configs, Front, FrontError, Listener, Listeners, Origins, Speaks};
use crate::journal::{Bounds, Directory, Journal};
use crate::link::{FrontEnd, link};
use crate::net;
use crate::pages::Pages;
use crate::tls::{Tls, TlsError};
use crate::worker::{MediaError, Rooms, Udp, Worker, relays, wakeable_poll};

/// Why the server has not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Pages cannot be served at an address.
    #[error("{address} cannot be listened on: {error}{}", hint(.error, .setting))]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
        /// The setting that changes it.
        setting: &'static str,
    },
    /// Media cannot be received.
    #[error("{error}{}", media_hint(.error))]
    Media {
        /// Why not.
        error: MediaError,
    },
    /// There is no certificate.
    #[error("no TLS: {0}. --tls-listen off serves without it")]
    Tls(#[from] TlsError),
    /// The directory of pages cannot be served.
    #[error("--web-root {}: {error}", path.display())]
    WebRoot {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The journals cannot be kept.
    #[error("--journal {}: {error}", path.display())]
    Journal {
        /// Where.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The system refuses something that is always there.
    #[error("the system refuses {what}: {error}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// Why it was not given.
        error: io::Error,
    },
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the kinds are the system's, not ours"
)]
fn hint(error: &io::Error, setting: &str) -> String {
    let why = match error.kind() {
        io::ErrorKind::AddrInUse => "Another program has this port: stop it, or choose another",
        io::ErrorKind::PermissionDenied => "Ports below 1024 need a permission: choose another",
        io::ErrorKind::AddrNotAvailable => "It is no address of this machine: choose another",
        _ => return String::new(),
    };
    format!(". {why} with --{setting}")
}

fn media_hint(error: &MediaError) -> String {
    match error {
        MediaError::Bind { error, .. } => hint(error, "media-port"),
        MediaError::NoAddress => String::from(". --public-ip names one"),
    }
}

/// Where the server is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Pages and WebSockets without TLS.
    pub plain: Vec<SocketAddr>,
    /// Pages and WebSockets with TLS.
    pub tls: Vec<SocketAddr>,
    /// RTMP, with and without TLS.
    pub rtmp: Vec<SocketAddr>,
    /// Media, per worker.
    pub media: Vec<Vec<SocketAddr>>,
}

/// A server that runs on threads of its own.
pub struct Server {
    addresses: Addresses,
    front: JoinHandle<Result<(), FrontError>>,
    stop: Stop,
}

/// Tells a server to stop.
#[derive(Clone)]
pub struct Stop {
    flag: Arc<AtomicBool>,
    front: Arc<Waker>,
}

impl Stop {
    /// Tells it: clients are said goodbye to, and [`Server::wait`] returns soon after.
    pub fn stop(&self) {
        self.flag.store(true, Ordering::Release);
        if let Err(error) = self.front.wake() {
            tracing::warn!(%error, "the front cannot be woken");
        }
    }
}

impl Server {
    /// Opens everything that the settings name, and begins to serve.
    pub fn start(settings: &Settings) -> Result<Self, StartError> {
        net::raise_open_files();
        let clock = Clock::start();
        let (poll, waker) = wakeable_poll().map_err(system("a poll"))?;
        let mut addresses = Addresses::default();
        let listeners = open_listeners(settings, &mut addresses)?;
        let tls = match settings.tls_listen.is_empty() {
            true => None,
            false => Some(Tls::load(settings, clock.now())?),
        };
        let pages = Pages::new(settings.web_root.as_deref()).map_err(|error| {
            let path = settings.web_root.clone().unwrap_or_default();
            StartError::WebRoot { path, error }
        })?;
        let (ends, workers) = open_workers(settings, clock, &waker)?;
        addresses.media = workers
            .iter()
            .map(|worker| worker.candidates().to_vec())
            .collect();
        let flag = Arc::new(AtomicBool::new(false));
        let front = Front {
            poll,
            clock,
            listeners: Listeners::new(listeners),
            tls,
            pages,
            codecs: Codecs::new(Arc::clone(&waker)),
            configs: configs(settings, &addresses),
            max_connections: settings.max_connections,
            max_connections_per_address: settings.max_connections_per_address,
            max_refusals_per_address: settings.max_refusals_per_address,
            origins: match settings.counts_own {
                true => Origins::All,
                false => Origins::Others,
            },
            stop: Arc::clone(&flag),
        };
        for (number, worker) in workers.into_iter().enumerate() {
            spawn_worker(number, worker, Arc::clone(&waker))?;
        }
        let front = std::thread::Builder::new()
            .name("front".into())
            .spawn(move || front.run(ends))
            .map_err(system("a thread"))?;
        Ok(Self {
            addresses,
            front,
            stop: Stop { flag, front: waker },
        })
    }

    /// Where the server is reached.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// What stops it.
    pub fn stop_handle(&self) -> Stop {
        self.stop.clone()
    }

    /// Waits until it has stopped.
    pub fn wait(self) -> Result<(), Failed> {
        match self.front.join() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Failed::Front(error)),
            Err(_) => Err(Failed::Panic),
        }
    }
}

/// Why the server has stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The front gave up.
    #[error(transparent)]
    Front(FrontError),
    /// The front broke an invariant of its own; its panic has been printed.
    #[error("the front has died")]
    Panic,
}

fn system(what: &'static str) -> impl Fn(io::Error) -> StartError {
    move |error| StartError::System { what, error }
}

fn open_listeners(
    settings: &Settings,
    addresses: &mut Addresses,
) -> Result<Vec<Listener>, StartError> {
    let mut listeners = Vec::new();
    let Addresses {
        plain, tls, rtmp, ..
    } = addresses;
    for (wanted, speaks, setting, opened) in [
        (&settings.listen, Speaks::Http, "listen", plain),
        (&settings.tls_listen, Speaks::Https, "tls-listen", tls),
        (&settings.rtmp_listen, Speaks::Rtmp, "rtmp-listen", rtmp),
    ] {
        for address in wanted {
            let refused = |error| StartError::Listen {
                address: *address,
                error,
                setting,
            };
            let listener = net::listen(*address).map_err(refused)?;
            opened.push(listener.local_addr().map_err(refused)?);
            listeners.push(Listener {
                listener,
                speaks,
                readable: true,
            });
        }
    }
    Ok(listeners)
}

/// How clients are spoken with.
fn configs(settings: &Settings, addresses: &Addresses) -> Configs {
    let signalling = parlor_signalling::Config {
        ping_interval: settings.ping_interval,
        ping_attempts: settings.ping_attempts,
        rtmp: addresses.rtmp.first().map(SocketAddr::port),
    };
    Configs {
        opus: parlor_rtmp::audio::Target::Opus {
            bitrate: settings.opus_bitrate,
        },
        rtmp: parlor_rtmp::Config {
            takeover: settings.rtmp_takeover,
            b_frames: settings.rtmp_b_frames,
            signalling: signalling.clone(),
        },
        signalling,
    }
}

fn open_workers(
    settings: &Settings,
    clock: Clock,
    front: &Arc<Waker>,
) -> Result<(Vec<FrontEnd>, Vec<Worker>), StartError> {
    let certificate = Certificate::from_seed(&seed()?);
    let journals = Journals::open(settings)?;
    let mut ends = Vec::new();
    let mut workers = Vec::new();
    let polls: Vec<_> = (0..settings.workers)
        .map(|_| wakeable_poll().map_err(system("a poll")))
        .collect::<Result<_, _>>()?;
    let wakers: Vec<_> = polls.iter().map(|(_, waker)| Arc::clone(waker)).collect();
    let polls = polls.into_iter().zip(relays(&wakers));
    for (number, ((poll, waker), relays)) in polls.enumerate() {
        let port = match settings.media_port {
            0 => 0,
            first => first + number as u16,
        };
        let udp =
            Udp::open(&settings.public_ips, port).map_err(|error| StartError::Media { error })?;
        let (front_end, worker_end) = link(Arc::clone(front), waker);
        let rooms = Rooms {
            fresh: Fresh {
                config: Config {
                    candidates: Vec::new(),
                    video_codecs: settings.video_codecs.clone(),
                    audio_codecs: settings.audio_codecs.clone(),
                    ice_timeout: settings.ice_timeout,
                    limits: settings.limits.clone(),
                    team: Team {
                        own: WorkerId(number as u16),
                        size: settings.workers as u16,
                        relay_after: settings.relay_after,
                    },
                },
                certificate: certificate.clone(),
                seed: seed()?,
            },
            journal: journals.start(number, clock)?,
        };
        let worker =
            Worker::new(poll, udp, rooms, clock, worker_end, relays).map_err(system("a poll"))?;
        ends.push(front_end);
        workers.push(worker);
    }
    Ok((ends, workers))
}

/// Where all workers' journals go to, if they are kept.
struct Journals(Option<(Bounds, Arc<Directory>)>);

impl Journals {
    fn open(settings: &Settings) -> Result<Self, StartError> {
        let Some(path) = &settings.journal else {
            return Ok(Self(None));
        };
        let bounds = Bounds {
            directory: path.clone(),
            size: settings.journal_max_size,
            // One that is full leaves room for others.
            size_of_one: settings.journal_max_size / (2 * settings.workers.max(1) as u64),
            age: settings.journal_max_age,
        };
        let opened = Directory::open(bounds.clone()).map_err(|error| StartError::Journal {
            path: path.clone(),
            error,
        })?;
        Ok(Self(Some((bounds, Arc::new(opened)))))
    }

    fn start(&self, worker: usize, clock: Clock) -> Result<Option<Journal>, StartError> {
        let Some((bounds, directory)) = &self.0 else {
            return Ok(None);
        };
        let (bounds, directory) = (bounds.clone(), Arc::clone(directory));
        let journal = Journal::start(worker as u32, bounds, directory, clock);
        journal.map(Some).map_err(system("a thread"))
    }
}

fn seed() -> Result<Seed, StartError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| system("random bytes")(error.into()))?;
    Ok(Seed(seed))
}

/// Wakes the front when a worker's thread ends, whichever way it does.
struct Ending(Arc<Waker>);

impl Drop for Ending {
    fn drop(&mut self) {
        if let Err(error) = self.0.wake() {
            tracing::warn!(%error, "the front cannot be woken");
        }
    }
}

fn spawn_worker(number: usize, worker: Worker, front: Arc<Waker>) -> Result<(), StartError> {
    let thread = std::thread::Builder::new().name(format!("worker-{number}"));
    let ending = Ending(front);
    let serve = move || {
        // Dropped after the worker, so that the front finds its queue closed.
        let _ending = ending;
        if let Err(error) = worker.run() {
            tracing::error!(number, %error, "a worker's poll failed");
        }
    };
    thread.spawn(serve).map(drop).map_err(system("a thread"))
}
