//! The corpora of the fuzz targets: each input is given to its target again.

#![allow(clippy::expect_used, reason = "a broken expectation fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use parlor_fuzz::targets;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");
const WRAPPERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/fuzz_targets");

/// The names of the files in a directory, without their endings.
fn names(directory: impl AsRef<Path>) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let names = paths.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()));
    names.collect()
}

#[test]
fn each_target_has_a_corpus_and_a_wrapper() {
    let targets: BTreeSet<String> = targets::TARGETS
        .iter()
        .map(|target| target.name.to_owned())
        .collect();
    assert_eq!(names(CORPUS), targets);
    assert_eq!(names(WRAPPERS), targets);
}

fn replay(target: &str) {
    let directory = Path::new(CORPUS).join(target);
    let inputs = fs::read_dir(directory).expect("a directory");
    let mut count = 0;
    for input in inputs {
        let path = input.expect("an entry").path();
        let bytes = fs::read(&path).expect("a file");
        let ran = std::panic::catch_unwind(|| targets::run(target, &bytes));
        assert!(ran.is_ok(), "{}", path.display());
        count += 1;
    }
    assert!(count > 1, "{count} inputs for {target}");
}

macro_rules! replays {
    ($($name:ident = $target:literal;)+) => {
        $(#[test]
        fn $name() {
            replay($target);
        })+

        #[test]
        fn no_corpus_is_left_out() {
            let replayed = BTreeSet::from([$($target.to_owned()),+]);
            assert_eq!(names(CORPUS), replayed);
        }
    };
}

replays! {
    http_holds = "http";
    websocket_holds = "websocket";
    wcs_holds = "wcs";
    whip_holds = "whip";
    sdp_holds = "sdp";
    stun_holds = "stun";
    feedback_holds = "feedback";
    datagrams_hold = "datagrams";
    media_holds = "media";
    rtmp_holds = "rtmp";
    amf0_holds = "amf0";
    chunk_holds = "chunk";
    flv_holds = "flv";
    bridge_holds = "bridge";
    aac_holds = "aac";
    sound_holds = "sound";
    journal_holds = "journal";
}
