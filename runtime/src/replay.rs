//! `parlor replay`: a recorded machine runs again, is compared, and explained.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Arg, ArgAction, ArgMatches, Command};
use parlor_core::observe::Observation;
use parlor_core::{RoomName, epoch};
use parlor_journal::{
    BadHeader, Class, Cut, Date, Ending, Happened, Header, Line, MACHINE, Opening, PCAP_HEADER,
    Replay, Story, Totals, VERSION, put_packet,
};

/// What is asked of a replay.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The journals.
    pub files: Vec<PathBuf>,
    /// Tell what happened.
    pub story: bool,
    /// Of this room only.
    pub room: Option<RoomName>,
    /// About these participants only.
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
                .help("Journals, each of one worker from a moment on at which it was empty"),
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
                .help("Tell of this room only; the one that --until shows"),
        )
        .arg(
            Arg::new("participant")
                .long("participant")
                .value_name("LOGIN")
                .help("Tell about this participant only"),
        )
        .arg(time("from", "Tell, and write packets, from here on"))
        .arg(time("to", "Tell, and write packets, until here"))
        .arg(
            Arg::new("pcap")
                .long("pcap")
                .value_name("FILE")
                .value_parser(clap::value_parser!(PathBuf))
                .help("Write all RTP and RTCP in the clear, for Wireshark"),
        )
        .arg(time("until", "Stop here, and show --room as it is, as JSON").requires("room"))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok();
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.ok_or_else(|| "seconds since the journal began".into())
}

pub(crate) fn options(matches: &ArgMatches) -> Options {
    let time = |name| matches.get_one::<Duration>(name).copied();
    let files = matches.get_many::<PathBuf>("files");
    Options {
        files: files.into_iter().flatten().cloned().collect(),
        story: matches.get_flag("story"),
        room: matches.get_one::<RoomName>("room").cloned(),
        participant: matches.get_one::<String>("participant").cloned(),
        from: time("from").unwrap_or_default(),
        to: time("to"),
        pcap: matches.get_one::<PathBuf>("pcap").cloned(),
        until: time("until"),
    }
}

/// Why a replay has not come to an end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Something that is no journal, or that cannot be read.
    #[error("{}: {error}", path.display())]
    Journal {
        /// Which file.
        path: PathBuf,
        /// Why not.
        error: BadHeader,
    },
    /// A file cannot be written, or what is told cannot.
    #[error(transparent)]
    Write(#[from] io::Error),
}

/// Replays all files. Returns whether everything that came out was what it had been.
///
/// # Errors
/// Where a file cannot be read or written.
pub fn run(options: &Options, out: &mut dyn Write) -> Result<bool, ReplayError> {
    let mut pcap = options.pcap.as_deref().map(create).transpose()?;
    let base = base();
    let mut verified = true;
    for path in &options.files {
        verified &= run_one(options, path, base, pcap.as_mut(), out)?;
    }
    if let Some(pcap) = &mut pcap {
        pcap.flush()?;
    }
    Ok(verified)
}

fn base() -> Instant {
    epoch::base(Instant::now())
}

/// What is in it is nobody else's business.
fn create(path: &Path) -> io::Result<BufWriter<File>> {
    let options = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    let mut file = BufWriter::new(options);
    file.write_all(&PCAP_HEADER)?;
    Ok(file)
}

fn run_one(
    options: &Options,
    path: &Path,
    base: Instant,
    mut pcap: Option<&mut BufWriter<File>>,
    out: &mut dyn Write,
) -> Result<bool, ReplayError> {
    let bad = |error| ReplayError::Journal {
        path: path.to_owned(),
        error,
    };
    let file = File::open(path).map_err(|error| bad(error.into()))?;
    let mut replay = Replay::new(BufReader::new(file), base).map_err(bad)?;
    let header = replay.header().clone();
    introduce(path, &header, replay.format(), out)?;
    let mut happened = Vec::new();
    let (mut story, mut opening) = (Story::default(), Opening::default());
    let until = options.until.unwrap_or(Duration::MAX);
    let mut bytes = Vec::new();
    loop {
        let going = replay
            .step(&mut happened)
            .map_err(|error| bad(error.into()))?;
        let at = replay.at();
        let shown = at >= options.from && options.to.is_none_or(|to| at <= to);
        for step in happened.drain(..) {
            story.hear(at, &step);
            let validated = opening.hear(&step, |clear| {
                story.packet(&clear);
                if pcap.is_some() && shown {
                    put_packet(
                        &mut bytes,
                        Duration::from_millis(header.date_ms) + at,
                        &clear,
                    );
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
            if options.story && shown && wants(options, &line) {
                tell(&header, &line, out)?;
            }
        }
        if !going || replay.at() >= until {
            break;
        }
    }
    if let (Some(_), Some(room)) = (options.until, &options.room) {
        match replay.room_state(room) {
            Some(state) => {
                let text = serde_json::to_string_pretty(&state).map_err(io::Error::other)?;
                writeln!(out, "{text}")?;
            }
            None => writeln!(out, "there is no room {room} at {}", offset(replay.at()))?,
        }
    }
    conclude(&header, &replay, out)
}

fn introduce(path: &Path, header: &Header, format: u16, out: &mut dyn Write) -> io::Result<()> {
    let date = Date(header.date_ms);
    let (program, worker) = (&header.program, header.worker);
    writeln!(
        out,
        "{}: recorded by parlor {program} on {date} UTC, worker {worker}",
        path.display()
    )?;
    if header.machine != MACHINE {
        writeln!(
            out,
            "  it is of another version ({}, this is {} {MACHINE}): what comes out may differ",
            header.machine,
            env!("CARGO_PKG_VERSION"),
        )?;
    }
    if format > VERSION {
        writeln!(
            out,
            "  its format is version {format}, and this program reads version {VERSION}: what it \
             cannot read of it is not compared"
        )?;
    }
    Ok(())
}

fn wants(options: &Options, line: &Line) -> bool {
    let room = options.room.as_ref();
    let about = |login: &String| line.who.iter().any(|identity| identity.as_str() == login);
    room.is_none_or(|room| line.room.as_ref() == Some(room))
        && options.participant.as_ref().is_none_or(about)
}

fn tell(header: &Header, line: &Line, out: &mut dyn Write) -> io::Result<()> {
    let room = line.room.as_ref();
    let room = room.map_or_else(String::new, |room| format!("[{room}] "));
    writeln!(out, "  {} {room}{}", when(header, line.at), line.text)
}

fn when(header: &Header, at: Duration) -> String {
    let date = Date(header.date_ms.saturating_add(at.as_millis() as u64));
    format!("{} {}", date.time(), offset(at))
}

fn offset(at: Duration) -> String {
    format!("+{:.3}s", at.as_secs_f64())
}

/// Says what was compared, and what it came to. Returns whether all was the same.
fn conclude<R: io::Read>(
    header: &Header,
    replay: &Replay<R>,
    out: &mut dyn Write,
) -> Result<bool, ReplayError> {
    let totals = replay.totals();
    let ending = match replay.ending() {
        None => format!("stopped at {}", offset(replay.at())),
        Some(Ending::Cut(Cut::Stopped)) => "it ends where the server stopped".into(),
        Some(Ending::Cut(Cut::Renewed)) => "it ends where all had left".into(),
        Some(Ending::Cut(Cut::Full)) => "it ends where it was full; the calls went on".into(),
        Some(Ending::Cut(Cut::Lost)) => {
            "it ends in a GAP: the disk was too slow or full for long, and what follows, until all \
             had left, is in no journal; the calls went on; until there"
                .into()
        }
        Some(Ending::Torn { offset }) => format!(
            "it is torn at byte {offset}: the server died, or is still writing; until there"
        ),
        Some(Ending::Damaged { offset: byte }) => {
            format!(
                "it is damaged at byte {byte}, after {}",
                offset(replay.at())
            )
        }
    };
    writeln!(out, "  {ending}: {}", counted(totals))?;
    let is_damaged = matches!(replay.ending(), Some(Ending::Damaged { .. }));
    if totals.uncompared > 0 {
        writeln!(
            out,
            "  NOT verified in full: {} records of what came out are of another version, and are \
             not compared",
            totals.uncompared
        )?;
    }
    let Some(first) = replay.differences().first() else {
        let (said, of) = match is_damaged {
            true => ("nothing is known of what follows", "until the damage, all"),
            false => ("nothing differs", "all"),
        };
        writeln!(
            out,
            "  verified: {of} {} comparisons agree, {said}",
            totals.compared
        )?;
        return Ok(!is_damaged && totals.uncompared == 0);
    };
    writeln!(
        out,
        "  NOT verified: {} of {} comparisons differ, {} of these in SRTCP alone",
        totals.differing, totals.compared, totals.differing_rtcp
    )?;
    writeln!(
        out,
        "  first at {}, byte {}: {}; before, all agreed until byte {}",
        when(header, first.at),
        first.offset,
        first.what,
        first.agreed
    )?;
    Ok(false)
}

fn counted(totals: Totals) -> String {
    let classes = Class::ALL.iter().zip(totals.datagrams);
    let datagrams: Vec<String> = classes
        .map(|(class, count)| format!("{count} {}", class.name()))
        .collect();
    format!(
        "{} inputs; out: {} datagrams, {} answers, {} news, {} packets for sinks",
        totals.inputs,
        datagrams.join(", "),
        totals.replies,
        totals.events,
        totals.sunk
    )
}
