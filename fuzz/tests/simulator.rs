//! Worlds of the simulator: those of the first seeds and of the seeds that have found something are
//! as they must be, and each check finds the defect that it is for.

#![allow(clippy::expect_used, reason = "a broken expectation fails the test")]

use std::process::Command;

use parlor_fuzz::simulator::{self, Fault, Outcome};

parlor_fuzz::fixed_hash_keys!();

/// Seeds of one test: the tests of a file run beside each other.
const SHARD: u64 = 50;

/// Seeds that have found something, with what it was.
const FOUND: &[(u64, &str)] = &[
    (333, "a handshake went on to where its client was no longer"),
    (438, "a handshake went on to where its client was no longer"),
    (497, "a player by RTMP got the sound in two codecs"),
    (203, "what was held up stopped the clock of players by RTMP"),
    (124, "sound and picture of one encoder leapt apart"),
    (459, "what began late stopped the clock of players by RTMP"),
    (
        3_000_230,
        "old pictures of a new source were sent again ahead of it",
    ),
    (
        3_000_371,
        "old pictures of a source that came back were sent again",
    ),
    (4_008_115, "the clock of an encoder was set back a little"),
    (
        1_001_528,
        "a source that had sent nothing was believed its report",
    ),
    (
        3_001_562,
        "a source that had sent nothing was believed its report",
    ),
];

fn run(seed: u64) -> Outcome {
    match simulator::run(seed, None, None) {
        Ok(outcome) => outcome,
        Err(failure) => unreachable!("{failure}"),
    }
}

fn shard(number: u64) {
    let seeds = number * SHARD..(number + 1) * SHARD;
    let outcomes: Vec<Outcome> = seeds.map(run).collect();
    let pictures: u64 = outcomes.iter().map(|outcome| outcome.pictures).sum();
    let forwarded: u64 = outcomes.iter().map(|outcome| outcome.forwarded).sum();
    assert!(pictures > 5_000, "{pictures} pictures in all of them");
    assert!(forwarded > 20_000, "{forwarded} packets in all of them");
    let relayed: u64 = outcomes.iter().map(|outcome| outcome.relayed).sum();
    assert!(relayed > 2_000, "{relayed} packets between machines");
    let brought: u64 = outcomes.iter().map(|outcome| outcome.brought).sum();
    assert!(brought > 20_000, "{brought} packets of encoders by RTMP");
    let screened: u64 = outcomes.iter().map(|outcome| outcome.screened).sum();
    assert!(screened > 5_000, "{screened} pictures for players by RTMP");
}

macro_rules! shards {
    ($($name:ident = $number:literal;)+) => {
        $(#[test]
        fn $name() {
            shard($number);
        })+
    };
}

shards! {
    worlds_from_0_are_as_they_must_be = 0;
    worlds_from_50_are_as_they_must_be = 1;
    worlds_from_100_are_as_they_must_be = 2;
    worlds_from_150_are_as_they_must_be = 3;
    worlds_from_200_are_as_they_must_be = 4;
    worlds_from_250_are_as_they_must_be = 5;
    worlds_from_300_are_as_they_must_be = 6;
    worlds_from_350_are_as_they_must_be = 7;
}

#[test]
fn worlds_that_have_found_something_are_as_they_must_be() {
    for (seed, what) in FOUND {
        if let Err(failure) = simulator::run(*seed, None, None) {
            unreachable!("{what}: {failure}");
        }
    }
}

#[test]
fn each_check_finds_the_defect_that_it_is_for() {
    for (fault, said) in Fault::ALL {
        let found = (0..40).filter_map(|seed| simulator::run(seed, None, Some(fault)).err());
        let found: Vec<_> = found.take(3).collect();
        assert!(!found.is_empty(), "{fault:?} is not seen");
        for failure in found {
            assert!(
                failure.message.contains(said),
                "{fault:?} is seen for another reason: {failure}"
            );
        }
    }
}

#[test]
fn a_seed_is_the_same_world_in_another_process() {
    for seed in 0..5 {
        let program = env!("CARGO_BIN_EXE_parlor-fuzz");
        let output = Command::new(program)
            .args(["run", "--seed", &seed.to_string()])
            .output();
        let text = String::from_utf8(output.expect("runs").stdout).expect("text");
        let digest = run(seed).digest;
        assert_eq!(text.split(' ').next(), Some(digest.as_str()), "seed {seed}");
        let other = run(seed + 1).digest;
        assert_ne!(other, digest, "another seed gives other bytes");
    }
}

#[test]
fn a_world_that_fails_is_made_small() {
    let mut failures =
        (0..20).filter_map(|seed| simulator::run(seed, None, Some(Fault::Keep)).err());
    let failure = failures.next().expect("it fails");
    let said = failure.to_string();
    let again = format!("cargo run -p parlor-fuzz -- run --seed {}", failure.seed);
    assert!(said.contains(&again), "{said}");
    // Without the defect no part of it fails, so that nothing can be left out.
    let small = simulator::shrink(failure.clone(), 10);
    assert_eq!(small.steps, failure.steps);
}
