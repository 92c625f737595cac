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

/// Waits for what the writing thread does.
fn until(mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20));
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How many messages of 30,000 bytes are more than what may wait for the disk.
const TOO_MUCH: usize = (limits::JOURNAL_QUEUE + 2) * (limits::JOURNAL_BUFFER + 30_000) / 30_000;

#[test]
fn a_journal_that_cannot_begin_is_whole_once_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journals");
    let mut kept = Kept::new(bounds(&path, 1 << 30));
    let base = parlor_core::epoch::base(Instant::now());
    fs::remove_dir(&path).unwrap();
    kept.join(1);
    // More handings over than there are buffers, of which each would be one.
    let mut now = kept.clock.now();
    for _ in 0..2 * limits::JOURNAL_QUEUE {
        kept.say(1, 1_000);
        now += limits::JOURNAL_INTERVAL;
        kept.journal.keep(&mut kept.machine, now);
    }
    until(|| kept.journal.troubles.refused.load(Ordering::Acquire));
    assert_eq!(kept.journal.counters.lost, 0);
    fs::create_dir(&path).unwrap();
    until(|| !kept.journal.troubles.refused.load(Ordering::Acquire));
    kept.stop();
    let journals = journals(&path);
    assert_eq!(journals.len(), 1);
    let inputs = 1 + 2 * limits::JOURNAL_QUEUE as u64;
    assert_eq!(
        verified(&journals[0], base),
        (inputs, Ending::Cut(Cut::Stopped))
    );
}

#[test]
fn what_a_disk_refuses_is_lost_beyond_a_bound_and_the_next_journal_begins_when_all_have_left() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journals");
    let mut kept = Kept::new(bounds(&path, 1 << 30));
    let base = parlor_core::epoch::base(Instant::now());
    fs::remove_dir(&path).unwrap();
    kept.join(1);
    for _ in 0..TOO_MUCH {
        kept.say(1, 30_000);
    }
    assert_eq!(kept.journal.counters.lost, 1);
    assert!(kept.machine.tape().is_none());
    assert_eq!(kept.machine.counters().participants, 1, "the call goes on");
    fs::create_dir(&path).unwrap();
    until(|| !kept.journal.troubles.gap.load(Ordering::Acquire));
    kept.say(1, 100);
    assert!(kept.machine.tape().is_none(), "somebody is there");
    kept.ask(1, Request::Disconnect);
    kept.join(2);
    kept.say(2, 100);
    kept.stop();
    let journals = journals(&path);
    assert_eq!(journals.len(), 2);
    let (inputs, ending) = verified(&journals[0], base);
    assert_eq!(ending, Ending::Cut(Cut::Lost));
    assert!(inputs > 1000, "all that could wait was written: {inputs}");
    assert_eq!(verified(&journals[1], base), (2, Ending::Cut(Cut::Stopped)));
}

#[test]
fn a_server_that_stops_does_not_wait_for_a_disk_that_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journals");
    let mut kept = Kept::new(bounds(&path, 1 << 30));
    fs::remove_dir(&path).unwrap();
    kept.join(1);
    for _ in 0..TOO_MUCH {
        kept.say(1, 30_000);
    }
    kept.stop();
    assert!(!path.exists());
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
    kept.journal.thread.take().unwrap().join().unwrap();
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
fn what_a_full_disk_has_taken_in_part_is_written_again_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::start();
    let base = parlor_core::epoch::base(Instant::now());
    let seed = Seed([3; 32]);
    let made_of = Fresh {
        config: Config::default(),
        certificate: Certificate::from_seed(&seed),
        seed,
    };
    let now = clock.now();
    let header = Header {
        program: "0".into(),
        machine: MACHINE.into(),
        worker: 7,
        date_ms: 0,
        begun_ns: 0,
        made_of: made_of.clone(),
    };
    let mut machine = Recorder::new(made_of.clone(), now);
    machine.renew(made_of, Tape::new(&header, now), now);
    let mut join = |client: u64| {
        let request = Request::Join {
            room: RoomName::new("r").unwrap(),
            identity: Identity::new(&format!("m{client}")).unwrap(),
            resume: None,
        };
        machine
            .handle_request(now, ClientId(client), request)
            .unwrap();
        machine.tape().unwrap().take(Vec::new())
    };
    let (first, second) = (join(1), join(2));
    let mut disk = disk_of(dir.path(), Arc::default());
    disk.begin(7, 0, &first).unwrap();
    let path = journals(dir.path()).remove(0);
    let torn = Ending::Torn {
        offset: first.len() as u64,
    };
    assert_eq!(verified(&path, base), (1, torn));
    // A file that cannot be written, and as much in it as there was room for.
    let read_only = fs::File::open(&path).unwrap();
    let (file, path) = disk.file.take().unwrap();
    disk.file = Some((read_only, path.clone()));
    assert!(disk.write(&second).is_err());
    fs::write(&path, [&first[..], &second[..second.len() / 2]].concat()).unwrap();
    assert!(disk.mark_gap().is_err());
    disk.file = Some((file, path.clone()));
    disk.write(&second).unwrap();
    disk.mark_gap().unwrap();
    assert_eq!(verified(&path, base), (2, Ending::Cut(Cut::Lost)));
    disk.write(&second).unwrap();
    let after = fs::metadata(&path).unwrap().len() as usize;
    let mark = Cut::Lost.mark().len();
    assert_eq!(after, first.len() + second.len() + mark, "it is closed");
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
