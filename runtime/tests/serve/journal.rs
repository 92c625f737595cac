//! Journals of a server whose disk is full for a while.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::client::Client;
use crate::process::{Process, run};

/// A server that keeps journals, in a process whose files may be limited in size: the system refuses
/// what is more as it does where a disk is full.
struct Kept {
    process: Process,
    journals: tempfile::TempDir,
}

impl Kept {
    /// `shell` runs before it.
    fn start(shell: &str) -> Self {
        let journals = tempfile::tempdir().unwrap();
        let path = journals.path().to_str().unwrap();
        // The signal beside the refusal would end it.
        let shell = format!("trap '' XFSZ; {shell}");
        Self {
            process: Process::start_with(&shell, &["--journal", path]),
            journals,
        }
    }

    fn files_may_have(&self, bytes: Option<u64>) {
        let id = Pid::from_raw(self.process.id().try_into().unwrap());
        let limit = Rlimit {
            current: bytes,
            maximum: None,
        };
        prlimit(id, Resource::Fsize, limit).unwrap();
    }

    /// The journals, the oldest first.
    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.journals.path()).unwrap();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    fn stop(&mut self) -> String {
        self.process.signal("INT");
        let (code, logged) = self.process.ended();
        assert_eq!(code, Some(0), "{logged}");
        logged
    }

    fn metric(&self, name: &str) -> u64 {
        let metrics = Client::plain(self.process.plain).get("/metrics").body;
        let mut lines = metrics.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.unwrap().parse().unwrap()
    }
}

const REFUSALS: &str = "parlor_journal_refusals_total";

/// Nothing of a file that has been removed.
fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Waits for what another thread of the server does.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(25), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn message(text: &str) -> String {
    format!(
        r#"{{"message":"sendData","data":[{{"operationId":"9","payload":{{"command":"sendMessage",
        "options":{{"roomConfig":{{"name":"kitchen"}},"to":"bob","text":"{text}"}}}}}}]}}"#
    )
}

/// Alice says something to Bob, who hears it.
fn say(alice: &mut Client, bob: &mut Client, text: &str) {
    alice.say(&message(text));
    bob.hear(text);
}

fn replay(file: &Path) -> (Option<i32>, String) {
    let output = run(&["replay", "--story", file.to_str().unwrap()]);
    let said = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), said)
}

#[test]
fn a_disk_that_is_full_for_a_moment_costs_nothing() {
    // A kilobyte or two, as the shell has it: room for certificates, and none for a header.
    let mut kept = Kept::start("ulimit -S -f 2;");
    let [mut alice, mut bob] = [(), ()].map(|()| Client::plain(kept.process.plain));
    alice.join("alice", "kitchen");
    bob.join("bob", "kitchen");
    say(&mut alice, &mut bob, "no-header-yet");
    until("it is refused", || kept.metric(REFUSALS) == 1);
    until("its file is removed", || kept.files().is_empty());
    kept.files_may_have(None);
    until("it is begun", || {
        kept.files().iter().any(|file| size(file) > 0)
    });
    let file = kept.files().remove(0);
    // There is room for a part of what is said.
    kept.files_may_have(Some(size(&file) + 1_000));
    for number in 0..50 {
        say(
            &mut alice,
            &mut bob,
            &format!("{number}{}", "x".repeat(500)),
        );
    }
    say(&mut alice, &mut bob, "all-of-it-was-heard");
    until("it is refused again", || kept.metric(REFUSALS) == 2);
    let (_, said) = replay(&file);
    assert!(
        said.contains("it is torn at byte"),
        "whole records are there: {said}"
    );
    kept.files_may_have(None);
    until("what has waited is written", || size(&file) > 25_000);
    say(&mut alice, &mut bob, "there-is-room-again");
    let logged = kept.stop();
    assert!(logged.contains("a journal cannot be written"), "{logged}");
    assert!(logged.contains("journals can be written again"), "{logged}");
    assert_eq!(kept.files(), std::slice::from_ref(&file));
    let (code, said) = replay(&file);
    assert_eq!(code, Some(0), "{said}");
    for part in [
        "no-header-yet",
        "all-of-it-was-heard",
        "there-is-room-again",
    ] {
        assert!(
            said.contains(&format!("alice says to bob: \"{part}\"")),
            "{said}"
        );
    }
    assert!(said.contains("it ends where the server stopped"), "{said}");
}

#[test]
fn a_disk_that_is_full_for_long_costs_what_is_said_until_all_have_left() {
    let mut kept = Kept::start("");
    let [mut alice, mut bob] = [(), ()].map(|()| Client::plain(kept.process.plain));
    alice.join("alice", "kitchen");
    bob.join("bob", "kitchen");
    say(&mut alice, &mut bob, "before");
    until("it is written", || {
        kept.files().iter().any(|file| size(file) > 1_000)
    });
    let file = kept.files().remove(0);
    kept.files_may_have(Some(size(&file) + 10_000));
    // More than may wait for the disk: six bytes for each of these characters on the tape.
    let long = r"\u0001".repeat(31_000);
    let mut dave = Client::plain(kept.process.plain);
    dave.join("dave", "kitchen");
    for number in 0..150 {
        for talker in [&mut alice, &mut dave] {
            talker.say(&message(&format!("{number}-{long}")));
            bob.hear(&format!("{number}-"));
        }
    }
    until("it is lost", || {
        kept.metric("parlor_journals_lost_total") == 1
    });
    say(&mut alice, &mut bob, "in-the-gap");
    kept.files_may_have(None);
    until("the gap is marked", || {
        replay(&file).1.contains("it ends in a GAP")
    });
    say(&mut alice, &mut bob, "after-it");
    drop((alice, bob, dave));
    until("all have left", || kept.metric("parlor_rooms") == 0);
    let mut carol = Client::plain(kept.process.plain);
    carol.join("carol", "kitchen");
    kept.stop();
    let files = kept.files();
    assert_eq!(files.len(), 2);
    let (code, said) = replay(&files[0]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("alice says to bob: \"before\""), "{said}");
    assert!(
        said.contains("dave says to bob: \"100-"),
        "what could wait is there"
    );
    assert!(
        !said.contains("in-the-gap") && !said.contains("after-it"),
        "{said}"
    );
    let (code, said) = replay(&files[1]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("carol enters the room"), "{said}");
    assert!(said.contains("it ends where the server stopped"), "{said}");
}
