//! `parlor replay`: a recorded machine runs again, is compared, and explained.

mod words;

use std::fs::{File, Permissions};
use std::io::{self, BufReader, BufWriter, Write};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command};
use parlor_core::observe::{Observation, RoomState};
use parlor_core::{RoomName, epoch};
use parlor_journal::{
    BadHeader, Happened, Opening, PCAP_HEADER, Reader, Replay, Story, put_packet,
};
use words::{Shown, conclude, introduce};

/// What is asked of a replay.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The journals.
    pub files: Vec<PathBuf>,
    /// Tell what happened.
    pub story: bool,
    /// Of this room only, packets too.
    pub room: Option<RoomName>,
    /// About this participant only, packets too.
    pub participant: Option<String>,
    /// From this time after the beginning on.
    pub from: Duration,
    /// Until this time.
    pub to: Option<Duration>,
    /// Write all media, in the clear, here.
    pub pcap: Option<PathBuf>,
    /// Stop at this time, and show the room as it is.
    pub until: Option<Duration>,
}

const ABOUT: &str =
    "Run recorded calls again: prove that the same comes out, and tell what happened";

const AFTER: &str = "\
Times are seconds since the journal began. With --until, the room goes to standard output and all
else to standard error.
Exit status 0: all that came out is byte for byte what the server sent. 1: it is not, or a journal
cannot be read. One that the disk cut short ends in a GAP, which is said; until there it is compared.
A journal holds keys: with it, and in what --pcap writes of it, all media are in the clear.";

/// The command.
pub(crate) fn command() -> Command {
    let time = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("SECONDS")
            .value_parser(seconds)
            .help(help)
    };
    Command::new("replay")
        .about(ABOUT)
        .after_help(AFTER)
        .arg(
            Arg::new("files")
                .value_name("FILE")
                .required(true)
                .num_args(1..)
                .value_parser(clap::value_parser!(PathBuf))
                .help(
                    "Journals, each of one worker from a moment on at which it was empty; one after \
                     the other, as they are given",
                ),
        )
        .arg(
            Arg::new("story")
                .long("story")
                .action(ArgAction::SetTrue)
                .help("Tell who came, what was connected, lost, asked for, and stood still"),
        )
        .arg(
            Arg::new("room")
                .long("room")
                .value_name("ROOM")
                .value_parser(|text: &str| RoomName::new(text))
                .help("Tell, and write packets, of this room only; the one that --until shows")
                .requires("shows"),
        )
        .arg(
            Arg::new("participant")
                .long("participant")
                .value_name("LOGIN")
                .help("Tell, and write packets, about this participant only")
                .requires("tells"),
        )
        .arg(time("from", "Tell, and write packets, from here on").requires("tells"))
        .arg(time("to", "Tell, and write packets, until here").requires("tells"))
        .arg(
            Arg::new("pcap")
                .long("pcap")
                .value_name("FILE")
                .value_parser(clap::value_parser!(PathBuf))
                .help("Write all RTP and RTCP in the clear, for Wireshark"),
        )
        .arg(time("until", "Stop here, and show --room as it is, as JSON").requires("room"))
        .group(ArgGroup::new("tells").args(["story", "pcap"]).multiple(true))
        .group(
            ArgGroup::new("shows")
                .args(["story", "pcap", "until"])
                .multiple(true),
        )
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok();
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.ok_or_else(|| "seconds since the journal began".into())
}

/// What is asked, or why it cannot be.
pub(crate) fn options(matches: &ArgMatches) -> Result<Options, String> {
    let time = |name| matches.get_one::<Duration>(name).copied();
    let files = matches.get_many::<PathBuf>("files");
    let options = Options {
        files: files.into_iter().flatten().cloned().collect(),
        story: matches.get_flag("story"),
        room: matches.get_one::<RoomName>("room").cloned(),
        participant: matches.get_one::<String>("participant").cloned(),
        from: time("from").unwrap_or_default(),
        to: time("to"),
        pcap: matches.get_one::<PathBuf>("pcap").cloned(),
        until: time("until"),
    };
    match options.to {
        Some(to) if to < options.from => Err("--to is before --from".into()),
        Some(_) | None => Ok(options),
    }
}

/// Why a replay has not come to an end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The file for packets cannot be written.
    #[error("--pcap {}: {error}", path.display())]
    Pcap {
        /// Which file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// What is told cannot be written.
    #[error(transparent)]
    Write(#[from] io::Error),
}

/// Why one journal is not replayed to its end.
enum Stop {
    Unread(BadHeader),
    Write(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

/// Replays all files, and tells of them; the room that is asked for goes to `state`. Returns whether
/// everything that came out was what it had been. A file that cannot be read is told, and the next
/// one goes on.
///
/// # Errors
/// Where something cannot be written.
pub fn run(
    options: &Options,
    told: &mut dyn Write,
    state: &mut dyn Write,
) -> Result<bool, ReplayError> {
    let mut pcap = match &options.pcap {
        Some(path) => Some(create(path).map_err(|error| {
            let path = path.clone();
            ReplayError::Pcap { path, error }
        })?),
        None => None,
    };
    let base = base();
    let mut verified = true;
    for path in &options.files {
        match run_one(options, path, base, pcap.as_mut(), told, state) {
            Ok(is_verified) => verified &= is_verified,
            Err(Stop::Unread(why)) => {
                writeln!(told, "{}: {why}", path.display())?;
                verified = false;
            }
            Err(Stop::Write(error)) => return Err(error.into()),
        }
    }
    if let Some(pcap) = &mut pcap {
        pcap.flush()?;
    }
    Ok(verified)
}

fn base() -> Instant {
    epoch::base(Instant::now())
}

/// A file for packets, which are nobody else's business.
fn create(path: &Path) -> io::Result<BufWriter<File>> {
    let is_file = path.is_file();
    // The option may have been given the first of several journals.
    if is_file && Reader::new(File::open(path)?).is_ok() {
        return Err(io::Error::other(
            "this is a journal, and would be overwritten",
        ));
    }
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    if is_file {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    let mut file = BufWriter::new(file);
    file.write_all(&PCAP_HEADER)?;
    Ok(file)
}

fn open(path: &Path, base: Instant) -> Result<Replay<BufReader<File>>, BadHeader> {
    if path.is_dir() {
        let why = "it is a directory: name the journals in it";
        return Err(io::Error::other(why).into());
    }
    Replay::new(BufReader::new(File::open(path)?), base)
}

fn run_one(
    options: &Options,
    path: &Path,
    base: Instant,
    mut pcap: Option<&mut BufWriter<File>>,
    told: &mut dyn Write,
    state: &mut dyn Write,
) -> Result<bool, Stop> {
    let mut replay = open(path, base).map_err(Stop::Unread)?;
    let header = replay.header().clone();
    introduce(path, &header, replay.format(), told)?;
    let mut shown = Shown::new(options, &header);
    let mut happened = Vec::new();
    let (mut story, mut opening) = (Story::default(), Opening::default());
    let (room, participant) = (options.room.as_ref(), options.participant.as_deref());
    let until = options.until.unwrap_or(Duration::MAX);
    let mut bytes = Vec::new();
    loop {
        let going = replay.step_until(until, &mut happened);
        let going = going.map_err(|error| Stop::Unread(error.into()))?;
        let at = replay.at();
        let is_time = at >= options.from && options.to.is_none_or(|to| at <= to);
        let since = Duration::from_millis(header.date_ms).saturating_add(at);
        for step in happened.drain(..) {
            story.hear(at, &step);
            let validated = opening.hear(&step, |clear| {
                story.packet(&clear);
                if pcap.is_some() && is_time && story.is_of(&clear, room, participant) {
                    put_packet(&mut bytes, since, &clear);
                }
            });
            for (way, stream) in validated {
                story.validated(way, stream);
            }
            if let Happened::Observed(Observation::Secured {
                client,
                media,
                reader,
            }) = step
            {
                opening.secure(client, media, reader);
                story.secured((client, media));
            }
        }
        if let Some(pcap) = &mut pcap {
            pcap.write_all(&bytes)?;
            bytes.clear();
        }
        for line in story.take() {
            shown.line(&line, told)?;
        }
        if !going {
            break;
        }
    }
    shown.end(replay.at(), told)?;
    if let (Some(_), Some(room)) = (options.until, room) {
        match replay.room_state(room) {
            Some(room) => show(&room, state)?,
            None => shown.no_room(room, replay.at(), told)?,
        }
    }
    Ok(conclude(&header, &replay, told)?)
}

fn show(room: &RoomState, out: &mut dyn Write) -> io::Result<()> {
    let text = serde_json::to_string_pretty(room).map_err(io::Error::other)?;
    writeln!(out, "{text}")
}
