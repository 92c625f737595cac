//! `parlor replay`, as people meet it.

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

/// Alice is seen by Bob for a second.
fn call() -> Vec<u8> {
    let base = epoch::base(Instant::now());
    let mut world = World::recorded(11, base, Config::default());
    world.join(1, "kitchen", "alice").unwrap();
    world.join(2, "kitchen", "bob").unwrap();
    world.publish(1, 1, "kitchen", "a", Kinds::BOTH).unwrap();
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
