//! Journals, which somebody may be sent who is to explain a call.

use parlor_core::epoch;
use parlor_core::observe::Observation;
use parlor_journal::{Happened, Opening, Reader, Replay, Story, VERSION, seal};

use super::pieces::Pieces;
use super::signalling::base;

/// What a journal begins with.
const MAGIC: &[u8] = b"PARLOR";
/// The kind of the record that says what the machine was made of.
const HEADER: u8 = 1;
/// A journal whose header the others begin with.
const FIXTURE: &[u8] = include_bytes!("../../fixtures/call.journal");

/// A journal: it is read to its end, or to where it is torn; it runs again, and its story is told.
/// What does not begin as one is taken for records, each a kind and its content, that are put
/// behind the header of another journal, or behind their own, with the checks that they lack.
pub(super) fn journal(bytes: &[u8]) {
    if bytes.starts_with(MAGIC) {
        read(bytes);
        run(bytes);
        return;
    }
    let mut journal = if bytes.first() == Some(&HEADER) {
        [MAGIC, &VERSION.to_le_bytes()].concat()
    } else {
        header().to_vec()
    };
    for (number, (kind, content)) in Pieces::new(bytes).take(64).enumerate() {
        // Mostly soon, sometimes late enough for what falls due.
        let since = [1_000, 40_000_000, 2_000_000_000][number % 3];
        seal(kind, since, content, &mut journal);
    }
    read(&journal);
    run(&journal);
}

/// The magic, the version and the first record of the fixture.
fn header() -> &'static [u8] {
    let (mut reader, _) = Reader::new(FIXTURE).expect("a journal");
    let second = reader.next().expect("it is in memory");
    let end = second.map_or(0, |entry| entry.offset as usize);
    &FIXTURE[..end]
}

fn read(bytes: &[u8]) {
    let Ok((mut reader, _)) = Reader::new(bytes) else {
        return;
    };
    for _ in 0..=bytes.len() {
        match reader.next() {
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => return,
        }
    }
    unreachable!("a journal without an end");
}

fn run(bytes: &[u8]) {
    let Ok(mut replay) = Replay::new(bytes, epoch::base(base())) else {
        return;
    };
    let (mut story, mut opening) = (Story::default(), Opening::default());
    let mut happened = Vec::new();
    while replay.step(&mut happened).expect("it is in memory") {
        for step in happened.drain(..) {
            story.hear(replay.at(), &step);
            let validated = opening.hear(&step, |clear| story.packet(&clear));
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
        story.take();
    }
}
