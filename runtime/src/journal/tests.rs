use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use parlor_core::{
    Certificate, ClientId, Config, Identity, Request, RoomName, limits as core_limits,
};
use parlor_journal::{Ending, Replay};

use super::*;

fn bounds(directory: &Path, size: u64) -> Bounds {
    Bounds {
        directory: directory.to_owned(),
        size,
        size_of_one: size,
        age: Duration::from_secs(3600),
    }
}

struct Kept {
    machine: Recorder,
    journal: Journal,
    clock: Clock,
}

impl Kept {
    fn new(bounds: Bounds) -> Self {
        let clock = Clock::start();
        let seed = Seed([3; 32]);
        let fresh = Fresh {
            config: Config::default(),
            certificate: Certificate::from_seed(&seed),
            seed,
        };
        let directory = Arc::new(Directory::open(bounds.clone()).unwrap());
        Self {
            machine: Recorder::new(fresh, clock.now()),
            journal: Journal::start(0, bounds, directory, clock).unwrap(),
            clock,
        }
    }

    fn ask(&mut self, client: u64, request: Request) {
        let now = self.clock.now();
        self.journal.keep(&mut self.machine, now);
        self.machine
            .handle_request(now, ClientId(client), request)
            .unwrap();
        while self.machine.poll_event().is_some() {}
    }

    fn join(&mut self, client: u64) {
        let identity = Identity::new(&format!("m{client}")).unwrap();
        let room = RoomName::new("r").unwrap();
        let resume = None;
        self.ask(
            client,
            Request::Join {
                room,
                identity,
                resume,
            },
        );
    }

    fn say(&mut self, client: u64, bytes: usize) {
        assert!(bytes <= core_limits::MESSAGE_BYTES);
        let text = "a".repeat(bytes);
        let room = RoomName::new("r").unwrap();
        self.ask(
            client,
            Request::SendMessage {
                room,
                to: None,
                text,
            },
        );
    }

    fn stop(mut self) {
        self.journal.finish(&mut self.machine);
    }
}

fn journals(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

/// Replays a journal, and gives how many inputs there were and how it ends.
fn verified(path: &Path, base: Instant) -> (u64, Ending) {
    let mut replay = Replay::new(fs::File::open(path).unwrap(), base).unwrap();
    while replay.step(&mut Vec::new()).unwrap() {}
    assert_eq!(replay.differences(), []);
    (replay.totals().inputs, replay.ending().unwrap())
}

#[test]
fn a_journal_is_for_its_owner_alone_and_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/journals");
    let mut kept = Kept::new(bounds(&path, 1 << 20));
    let base = parlor_core::epoch::base(Instant::now());
    kept.join(1);
    kept.join(2);
    kept.say(1, 100);
    kept.ask(1, Request::Disconnect);
    kept.stop();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let journals = journals(&path);
    assert_eq!(journals.len(), 1);
    let mode = fs::metadata(&journals[0]).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(verified(&journals[0], base), (4, Ending::Cut(Cut::Stopped)));
}

#[test]
fn the_next_journal_begins_when_all_have_left_and_the_oldest_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let mut kept = Kept::new(bounds(dir.path(), 1 << 20));
    let base = parlor_core::epoch::base(Instant::now());
    for round in 0..40 {
        kept.join(round);
        for _ in 0..4 {
            kept.say(round, 30_000);
            std::thread::sleep(limits::JOURNAL_INTERVAL / 20);
        }
        kept.ask(round, Request::Disconnect);
        let now = kept.clock.now() + limits::JOURNAL_INTERVAL;
        kept.journal.keep(&mut kept.machine, now);
    }
    let counted = kept.machine.counters();
    kept.stop();
    let journals = journals(dir.path());
    assert!(journals.len() >= 2, "{journals:?}");
    let size: u64 = journals
        .iter()
        .map(|path| fs::metadata(path).unwrap().len())
        .sum();
    assert!(size <= 1 << 20, "{size}");
    let (last, earlier) = journals.split_last().unwrap();
    for journal in earlier {
        let (inputs, ending) = verified(journal, base);
        assert_eq!(ending, Ending::Cut(Cut::Renewed));
        assert!(inputs >= 6, "whole calls");
    }
    verified(last, base);
    assert_eq!(counted.rooms, 0);
}

#[test]
fn a_journal_that_is_full_ends_and_the_calls_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let mut kept = Kept::new(Bounds {
        size_of_one: 1 << 20,
        ..bounds(dir.path(), 1 << 22)
    });
    let base = parlor_core::epoch::base(Instant::now());
    kept.join(1);
    for _ in 0..100 {
        kept.say(1, 30_000);
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(kept.journal.counters.full, 1);
    assert!(kept.machine.tape().is_none());
    assert_eq!(kept.machine.counters().participants, 1);
    kept.ask(1, Request::Disconnect);
    kept.join(2);
    assert!(kept.machine.tape().is_some(), "all had left");
    kept.stop();
    let journals = journals(dir.path());
    assert_eq!(verified(&journals[0], base).1, Ending::Cut(Cut::Full));
    assert_eq!(journals.len(), 2);
}

#[test]
fn a_disk_that_refuses_costs_the_journal_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journals");
    let mut kept = Kept::new(bounds(&path, 1 << 20));
    fs::remove_dir(&path).unwrap();
    kept.join(1);
    for _ in 0..50 {
        kept.say(1, 30_000);
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(kept.journal.counters.lost, 1);
    assert!(kept.machine.tape().is_none());
    assert_eq!(kept.machine.counters().participants, 1);
    kept.stop();
}

#[test]
fn a_slow_disk_costs_the_journal_and_nobody_waits() {
    let dir = tempfile::tempdir().unwrap();
    let mut kept = Kept::new(Bounds {
        size_of_one: 1 << 40,
        ..bounds(dir.path(), 1 << 40)
    });
    // Nobody takes anything from this end before all is over.
    let (disk, stuck) = sync_channel(3);
    kept.journal.disk = disk;
    let base = parlor_core::epoch::base(Instant::now());
    kept.join(1);
    let begun = Instant::now();
    for _ in 0..100 {
        kept.say(1, 30_000);
    }
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(kept.journal.counters.lost, 1);
    assert_eq!(kept.machine.counters().participants, 1);
    let troubles = Arc::clone(&kept.journal.troubles);
    assert!(troubles.gap.load(Ordering::Acquire));
    drop(kept);
    disk_of(dir.path(), troubles).run(&stuck);
    let journals = journals(dir.path());
    let (inputs, ending) = verified(&journals[0], base);
    assert_eq!(ending, Ending::Cut(Cut::Lost), "the gap is marked");
    assert!(inputs > 10, "what came before it is there: {inputs}");
}

fn disk_of(directory: &Path, troubles: Arc<Troubles>) -> Disk {
    let directory = Directory::open(bounds(directory, 1 << 40)).unwrap();
    Disk::new(Arc::new(directory), troubles, sync_channel(8).0)
}

#[test]
fn a_disk_that_is_full_in_the_middle_of_a_record_leaves_whole_ones_and_the_mark_of_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let mut kept = Kept::new(bounds(&dir.path().join("whole"), 1 << 20));
    let base = parlor_core::epoch::base(Instant::now());
    kept.join(1);
    kept.say(1, 100);
    let whole = kept.machine.tape().unwrap().take(Vec::new());
    let mut disk = disk_of(&dir.path().join("full"), Arc::default());
    disk.begin(7, 0);
    disk.write(whole.clone());
    let path = journals(&dir.path().join("full")).remove(0);
    // As much as there was room for.
    fs::write(&path, [&whole[..], &whole[..50]].concat()).unwrap();
    disk.refuse(&std::io::ErrorKind::StorageFull.into());
    assert_eq!(verified(&path, base), (2, Ending::Cut(Cut::Lost)));
    disk.write(whole);
    assert_eq!(verified(&path, base), (2, Ending::Cut(Cut::Lost)));
}

#[test]
fn journals_of_an_earlier_server_are_removed_when_they_are_too_much() {
    let dir = tempfile::tempdir().unwrap();
    for day in 1..=5 {
        let name = format!("2026010{day}-000000000-worker9.journal");
        fs::write(dir.path().join(name), vec![0; 300_000]).unwrap();
    }
    fs::write(dir.path().join("notes.txt"), vec![0; 300_000]).unwrap();
    Directory::open(bounds(dir.path(), 1 << 20)).unwrap();
    let left = journals(dir.path());
    let names: Vec<_> = left
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "20260103-000000000-worker9.journal",
            "20260104-000000000-worker9.journal",
            "20260105-000000000-worker9.journal",
            "notes.txt",
        ]
    );
}
