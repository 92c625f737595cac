//! Runs worlds of the simulator, and inputs of fuzz targets.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a program for tests"
)]

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use parlor_fuzz::{simulator, targets};

parlor_fuzz::fixed_hash_keys!();

const USAGE: &str = "\
parlor-fuzz run --seed N [--only STEP,STEP...]   Run the world of a seed, or a part of it
parlor-fuzz sweep --seconds N [--from SEED]      Run one world after the other
parlor-fuzz replay TARGET FILE...                Give inputs to a fuzz target";

/// Runs that making a failure small may take.
const SHRINKING: usize = 60;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["run", "--seed", seed] => seed.parse().ok().map(|seed| run(seed, None)),
        ["run", "--seed", seed, "--only", only] => {
            let only: Option<Vec<usize>> = only.split(',').map(|step| step.parse().ok()).collect();
            let seed = seed.parse().ok();
            only.zip(seed).map(|(only, seed)| run(seed, Some(&only)))
        }
        ["sweep", "--seconds", seconds] => seconds.parse().ok().map(|seconds| {
            let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
            sweep(seconds, since.as_secs() * 1_000)
        }),
        ["sweep", "--seconds", seconds, "--from", from] => {
            let seconds = seconds.parse().ok();
            let from = from.parse().ok();
            seconds
                .zip(from)
                .map(|(seconds, from)| sweep(seconds, from))
        }
        ["replay", target, files @ ..] => Some(replay(target, files)),
        _ => None,
    };
    match done {
        Some(true) => ExitCode::SUCCESS,
        Some(false) => ExitCode::FAILURE,
        None => {
            println!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn run(seed: u64, only: Option<&[usize]>) -> bool {
    match simulator::run(seed, only, None) {
        Ok(outcome) => {
            let (forwarded, pictures) = (outcome.forwarded, outcome.pictures);
            let (brought, screened) = (outcome.brought, outcome.screened);
            println!(
                "{} seed {seed}: {forwarded} packets, {pictures} pictures; \
                 by RTMP {brought} packets, {screened} pictures",
                outcome.digest
            );
            true
        }
        Err(failure) => {
            println!("{failure}");
            false
        }
    }
}

/// Runs worlds until the time is over, on all processors.
fn sweep(seconds: u64, from: u64) -> bool {
    let end = Instant::now() + Duration::from_secs(seconds);
    let next = AtomicU64::new(from);
    let failed = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while Instant::now() < end {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if let Err(failure) = simulator::run(seed, None, None) {
                        let failure = simulator::shrink(failure, SHRINKING);
                        println!("{failure}\n");
                        failed.lock().expect("no thread has failed").push(seed);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no thread has failed");
    let last = next.into_inner();
    println!("seeds {from} to {last}: {} failed {failed:?}", failed.len());
    failed.is_empty()
}

fn replay(target: &str, files: &[&str]) -> bool {
    for file in files {
        println!("{file}");
        match std::fs::read(file) {
            Ok(bytes) => targets::run(target, &bytes),
            Err(error) => {
                println!("{error}");
                return false;
            }
        }
    }
    true
}
