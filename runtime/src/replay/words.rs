//! What `parlor replay` says.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use parlor_core::{Identity, RoomName};
use parlor_journal::{Class, Cut, Date, Ending, Header, Line, MACHINE, Replay, Totals, VERSION};

use super::Options;

pub(super) fn introduce(
    path: &Path,
    header: &Header,
    format: u16,
    out: &mut dyn Write,
) -> io::Result<()> {
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

/// The lines of a story that are asked for, and what there would be to ask for.
pub(super) struct Shown<'a> {
    options: &'a Options,
    header: &'a Header,
    lines: u64,
    rooms: BTreeSet<RoomName>,
    participants: BTreeSet<Identity>,
}

/// Most names that are told to who has asked for another one.
const NAMES: usize = 20;

impl<'a> Shown<'a> {
    pub(super) fn new(options: &'a Options, header: &'a Header) -> Self {
        Self {
            options,
            header,
            lines: 0,
            rooms: BTreeSet::new(),
            participants: BTreeSet::new(),
        }
    }

    pub(super) fn line(&mut self, line: &Line, out: &mut dyn Write) -> io::Result<()> {
        let Options {
            room,
            participant,
            from,
            to,
            ..
        } = self.options;
        let is_of = room.is_none() || line.room == *room;
        if let Some(room) = &line.room
            && !self.rooms.contains(room)
        {
            self.rooms.insert(room.clone());
        }
        if is_of {
            self.participants.extend(line.who.iter().cloned());
        }
        let about = |login: &String| line.who.iter().any(|identity| identity.as_str() == login);
        let is_time = line.at >= *from && to.is_none_or(|to| line.at <= to);
        if !self.options.story || !is_of || !is_time || !participant.as_ref().is_none_or(about) {
            return Ok(());
        }
        self.lines += 1;
        let room = line.room.as_ref();
        let room = room.map_or_else(String::new, |room| format!("[{room}] "));
        writeln!(out, "  {} {room}{}", when(self.header, line.at), line.text)
    }

    /// Says why nothing was told, where nothing was.
    pub(super) fn end(&self, at: Duration, out: &mut dyn Write) -> io::Result<()> {
        if !self.options.story || self.lines > 0 {
            return Ok(());
        }
        match (&self.options.room, &self.options.participant) {
            (Some(room), _) if !self.rooms.contains(room) => self.no_room(room, at, out),
            (_, Some(login)) if !self.participants.iter().any(|who| who.as_str() == login) => {
                let names = names(self.participants.iter().map(Identity::as_str));
                writeln!(out, "  there is no participant {login} in it, but {names}")
            }
            _ => writeln!(
                out,
                "  nothing of that is to be told; the journal goes until {}",
                offset(at)
            ),
        }
    }

    pub(super) fn no_room(
        &self,
        room: &RoomName,
        at: Duration,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        match self.rooms.contains(room) {
            true => writeln!(out, "  there is no room {room} at {}", offset(at)),
            false => {
                let names = names(self.rooms.iter().map(RoomName::as_str));
                writeln!(
                    out,
                    "  until {} there is no room {room} in it, but {names}",
                    offset(at)
                )
            }
        }
    }
}

/// The first names of many.
fn names<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = names.len().saturating_sub(NAMES);
    let told: Vec<&str> = names.take(NAMES).collect();
    match (told.is_empty(), more) {
        (true, _) => "none at all".into(),
        (false, 0) => told.join(", "),
        (false, more) => format!("{} and {more} more", told.join(", ")),
    }
}

fn when(header: &Header, at: Duration) -> String {
    let date = Date(header.date_ms.saturating_add(at.as_millis() as u64));
    format!("{} {}", date.time(), offset(at))
}

fn offset(at: Duration) -> String {
    format!("+{:.3}s", at.as_secs_f64())
}

/// Says what was compared, and what it came to. Returns whether all was the same.
pub(super) fn conclude<R: io::Read>(
    header: &Header,
    replay: &Replay<R>,
    out: &mut dyn Write,
) -> io::Result<bool> {
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
