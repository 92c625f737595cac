//! `parlor replay`, as people meet it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parlor_core::{Config, epoch};
use parlor_fuzz::{Kinds, World, with_format, with_header};
use parlor_journal::{MACHINE, VERSION, seal};

use crate::process::run;

/// What it says, and its exit code.
struct Replayed {
    code: Option<i32>,
    said: String,
    complained: String,
}

fn replay(arguments: &[&str]) -> Replayed {
    let output = run(&[&["replay"], arguments].concat());
    Replayed {
        code: output.status.code(),
        said: String::from_utf8(output.stdout).unwrap(),
        complained: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Alice is seen by Bob for a second; in another room nobody sees Dave.
fn call() -> Vec<u8> {
    let base = epoch::base(Instant::now());
    let mut world = World::recorded(11, base, Config::default());
    world.join(1, "kitchen", "alice").unwrap();
    world.join(2, "kitchen", "bob").unwrap();
    world.join(4, "cellar", "dave").unwrap();
    world.publish(1, 1, "kitchen", "a", Kinds::BOTH).unwrap();
    world.publish(4, 1, "cellar", "d", Kinds::BOTH).unwrap();
    world.run_for(Duration::from_millis(500));
    world.play(2, 1, "kitchen", "a", Kinds::BOTH).unwrap();
    world.run_for(Duration::from_secs(1));
    world.journal()
}

fn write(directory: &Path, name: &str, contents: &[u8]) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, contents).unwrap();
    path
}

#[test]
fn a_journal_of_another_version_says_so_and_verifies_where_nothing_differs() {
    let dir = tempfile::tempdir().unwrap();
    let other = with_header(&call(), |header| {
        let header = header.replace(MACHINE, "0123456789abcdef");
        header.replace(r#""program":""#, r#""program":"9."#)
    });
    let path = write(dir.path(), "other.journal", &other);
    let replayed = replay(&["--story", path.to_str().unwrap()]);
    let said = &replayed.said;
    assert!(said.contains("recorded by parlor 9."), "{said}");
    let sentence = format!(
        "it is of another version (0123456789abcdef, this is {} {MACHINE}): what comes out may differ",
        env!("CARGO_PKG_VERSION")
    );
    assert!(said.contains(&sentence), "{said}");
    assert!(
        said.contains("bob, playing \"a\": the first key frame"),
        "{said}"
    );
    assert!(
        said.contains("comparisons agree, nothing differs"),
        "{said}"
    );
    assert_eq!((replayed.code, replayed.complained.as_str()), (Some(0), ""));
}

#[test]
fn one_of_this_version_does_not_say_that_it_is_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "own.journal", &call());
    let replayed = replay(&[path.to_str().unwrap()]);
    assert!(!replayed.said.contains("version"), "{}", replayed.said);
    assert_eq!(replayed.code, Some(0));
}

#[test]
fn one_of_another_version_that_differs_tells_where_and_fails() {
    let dir = tempfile::tempdir().unwrap();
    // What another machine would have done: this one has a shorter patience.
    let other = with_header(&call(), |header| {
        let seconds = r#""ice_timeout":{"secs":"#;
        assert!(header.contains(seconds), "{header}");
        let (before, after) = header.split_once(seconds).unwrap();
        let after = after.trim_start_matches(|digit: char| digit.is_ascii_digit());
        format!("{before}{seconds}0{after}").replace(MACHINE, "another")
    });
    let path = write(dir.path(), "other.journal", &other);
    let replayed = replay(&[path.to_str().unwrap()]);
    let said = &replayed.said;
    assert!(
        said.contains("it is of another version (another, "),
        "{said}"
    );
    assert!(said.contains("NOT verified: "), "{said}");
    assert!(said.contains("first at "), "{said}");
    assert_eq!(replayed.code, Some(1));
}

#[test]
fn one_of_a_later_format_is_tried_and_what_it_cannot_read_is_not_verified() {
    let dir = tempfile::tempdir().unwrap();
    let later = with_format(&call(), VERSION + 1);
    let path = write(dir.path(), "later.journal", &later);
    let replayed = replay(&[path.to_str().unwrap()]);
    let sentence = format!("its format is version {}", VERSION + 1);
    assert!(replayed.said.contains(&sentence), "{}", replayed.said);
    assert_eq!(replayed.code, Some(0), "{}", replayed.said);

    let mut more = later;
    more.truncate(more.len() - parlor_journal::Cut::Stopped.mark().len());
    seal(31, 0, b"something new that came out", &mut more);
    let path = write(dir.path(), "more.journal", &more);
    let replayed = replay(&[path.to_str().unwrap()]);
    assert!(
        replayed.said.contains("NOT verified in full: 1 records"),
        "{}",
        replayed.said
    );
    assert_eq!(replayed.code, Some(1));
}

#[test]
fn what_is_not_in_a_journal_is_said_with_what_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "call.journal", &call());
    let path = path.to_str().unwrap();
    for (asked, sentence) in [
        (
            &["--room", "attic"][..],
            "until +1.500s there is no room attic in it, but cellar, kitchen",
        ),
        (
            &["--participant", "eve"],
            "there is no participant eve in it, but alice, bob, dave",
        ),
        (
            &["--room", "cellar", "--participant", "bob"],
            "there is no participant bob in it, but dave",
        ),
        (
            &["--from", "60"],
            "nothing of that is to be told; the journal goes until +1.500s",
        ),
    ] {
        let replayed = replay(&[&["--story"], asked, &[path]].concat());
        assert!(replayed.said.contains(sentence), "{}", replayed.said);
        assert_eq!(replayed.code, Some(0));
        let lines = replayed.said.lines().count();
        assert_eq!(lines, 4, "{}", replayed.said);
    }
}

#[test]
fn what_cannot_be_meant_is_refused_as_wrong_usage() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "call.journal", &call());
    let path = path.to_str().unwrap();
    for (asked, part) in [
        (
            &["--story", "--from", "2", "--to", "1"][..],
            "--to is before --from",
        ),
        (&["--from", "2"], "--story"),
        (&["--to", "2"], "--pcap"),
        (&["--participant", "bob"], "--story"),
        (&["--room", "kitchen"], "--until"),
        (&["--until", "1"], "--room <ROOM>"),
        (
            &["--story", "--from", "soon"],
            "seconds since the journal began",
        ),
        (&["--story", "--from=-1"], "seconds since the journal began"),
    ] {
        let replayed = replay(&[asked, &[path]].concat());
        assert_eq!(replayed.code, Some(2), "{asked:?}");
        assert!(
            replayed.complained.contains(part),
            "{}",
            replayed.complained
        );
        assert_eq!(replayed.said, "");
    }
}

#[test]
fn a_file_that_is_no_journal_is_told_and_the_others_are_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let journal = call();
    let header = write(dir.path(), "header", &journal[..300]);
    let files = [
        (write(dir.path(), "empty", b""), "it is empty"),
        (header, "it has no whole header"),
        (
            write(dir.path(), "text", b"a text"),
            "this is not a journal",
        ),
        (write(dir.path(), "packed", b"\x1f\x8b\x08"), "with gzip"),
        (
            dir.path().to_owned(),
            "it is a directory: name the journals in it",
        ),
        (dir.path().join("nowhere"), "No such file"),
        (write(dir.path(), "call", &journal), "recorded by parlor"),
    ];
    let paths: Vec<&str> = files
        .iter()
        .map(|(path, _)| path.to_str().unwrap())
        .collect();
    let replayed = replay(&paths);
    for (path, sentence) in &files {
        let line = replayed.said.lines().find_map(|line| {
            line.strip_prefix(path.to_str().unwrap())?
                .strip_prefix(": ")
        });
        assert!(line.unwrap().contains(sentence), "{line:?}");
    }
    assert!(replayed.said.contains("comparisons agree, nothing differs"));
    assert_eq!(replayed.code, Some(1));
    assert_eq!(replay(&paths[6..]).code, Some(0));
}

#[test]
fn a_room_is_shown_as_it_was_at_that_time_alone_on_standard_output() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "call.journal", &call());
    let path = path.to_str().unwrap();
    let players = |until: &str| {
        let replayed = replay(&["--until", until, "--room", "kitchen", path]);
        assert_eq!(replayed.code, Some(0));
        let time: f64 = until.parse().unwrap();
        let stopped = format!("stopped at +{time:.3}s: ");
        assert!(
            replayed.complained.contains(&stopped),
            "{}",
            replayed.complained
        );
        let room: serde_json::Value = serde_json::from_str(&replayed.said).unwrap();
        room["publications"][0]["players"].as_array().unwrap().len()
    };
    // Bob begins to play in between.
    assert_eq!(players("0.499"), 0);
    assert_eq!(players("0.5"), 1);
    assert_eq!(players("1.25"), 1);
    let replayed = replay(&["--until", "1", "--room", "attic", path]);
    assert_eq!(replayed.said, "");
    let sentence = "until +1.000s there is no room attic in it, but cellar, kitchen";
    assert!(
        replayed.complained.contains(sentence),
        "{}",
        replayed.complained
    );
}

/// The packets of such a file, without what is around them.
fn packets(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    let (header, mut rest) = bytes.split_at(24);
    // Times of nanoseconds, version 2.4, raw IP.
    assert_eq!(header[..8], [0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0]);
    assert_eq!(header[20..], [101, 0, 0, 0]);
    let mut packets = Vec::new();
    while let Some((length, next)) = rest.get(8..).and_then(<[u8]>::split_first_chunk::<4>) {
        let length = u32::from_le_bytes(*length) as usize;
        let packet = &next[4..4 + length];
        rest = &next[4 + length..];
        assert_eq!(packet[0], 0x45, "IPv4 without options");
        assert_eq!(
            usize::from(u16::from_be_bytes([packet[2], packet[3]])),
            length
        );
        assert_eq!(
            usize::from(u16::from_be_bytes([packet[24], packet[25]])),
            length - 20
        );
        packets.push(packet[28..].to_vec());
    }
    assert!(rest.is_empty());
    assert!(
        packets.iter().all(|packet| packet[0] >> 6 == 2),
        "RTP or RTCP"
    );
    packets
}

#[test]
fn packets_are_written_of_the_room_the_participant_and_the_time_that_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(dir.path(), "call.journal", &call());
    let out = write(
        dir.path(),
        "call.pcap",
        b"an earlier one, which all may read",
    );
    let written = |asked: &[&str]| {
        let files = [out.to_str().unwrap(), path.to_str().unwrap()];
        let replayed = replay(&[asked, &["--pcap"], &files].concat());
        assert_eq!(replayed.code, Some(0), "{}", replayed.complained);
        packets(&out).len()
    };
    let all = written(&[]);
    let mode = std::fs::metadata(&out).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (kitchen, cellar) = (
        written(&["--room", "kitchen"]),
        written(&["--room", "cellar"]),
    );
    assert!(kitchen > 100 && cellar > 50, "{kitchen} and {cellar}");
    assert_eq!(kitchen + cellar, all);
    assert_eq!(written(&["--participant", "dave"]), cellar);
    assert_eq!(
        written(&["--participant", "alice"]),
        kitchen,
        "bob plays her"
    );
    let bob = written(&["--participant", "bob"]);
    assert!(bob > 50 && bob < kitchen, "{bob}");
    let (early, late) = (
        written(&["--to", "0.75"]),
        written(&["--from", "0.750000001"]),
    );
    assert!(early > 50 && late > 50);
    assert_eq!(early + late, all);
}

#[test]
fn packets_are_never_written_over_a_journal() {
    let dir = tempfile::tempdir().unwrap();
    let journal = call();
    let [first, second] = ["a.journal", "b.journal"].map(|name| write(dir.path(), name, &journal));
    let files = [first.to_str().unwrap(), second.to_str().unwrap()];
    // Who forgets the name of the file.
    let replayed = replay(&[&["--pcap"], &files[..]].concat());
    assert_eq!(replayed.code, Some(1));
    let sentence = "this is a journal, and would be overwritten";
    assert!(
        replayed.complained.contains(sentence),
        "{}",
        replayed.complained
    );
    assert_eq!(std::fs::read(&first).unwrap(), journal);
}
