//! One seed decides a world: who is there, what they do, and what the network does to them. A model
//! says what must come of it.
//!
//! A life has three parts: steps with faults, healing, and the end. What a seed has drawn is in its
//! [`Options`] and its [`Plan`]; a plan can be run in part, so that what fails can be made small.

mod checks;
mod draw;
mod faults;
mod hearing;
mod life;
mod model;
mod options;
mod requests;
mod room_clients;
mod rtmp;
mod screens;
mod shrink;
mod streams;

use std::cell::RefCell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::Instant;

use parlor_core::epoch;

pub use faults::Fault;
pub use options::{Options, Plan};
pub use shrink::shrink;

use life::Life;

/// What came of a world in which all was as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The digest of all that the machine has put out.
    pub digest: String,
    /// Packets that were passed on.
    pub forwarded: u64,
    /// Packets that passed from one machine to the other.
    pub relayed: u64,
    /// Pictures that were shown.
    pub pictures: u64,
    /// Pictures that players by RTMP have got.
    pub screened: u64,
    /// Packets of encoders by RTMP.
    pub brought: u64,
}

/// A world in which something was not as it must be.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// What was wrong, and where that was seen.
    pub message: String,
    /// What the seed has drawn.
    pub options: Options,
    /// The steps that were taken, by their numbers in the plan.
    pub steps: Vec<usize>,
    /// The latest that happened.
    pub trail: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            message,
            options,
            steps,
            trail,
        } = self;
        writeln!(f, "seed {seed}: {message}")?;
        writeln!(f, "  {options:?}")?;
        for line in trail {
            writeln!(f, "  {line}")?;
        }
        let all = options.steps == steps.len();
        let only = if all {
            String::new()
        } else {
            let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
            format!(" --only {}", steps.join(","))
        };
        write!(f, "  cargo run -p parlor-fuzz -- run --seed {seed}{only}")
    }
}

/// Runs the world of a seed, or only these steps of its plan.
///
/// In a thread of its own: what the libraries below take from the thread that they run in (the keys
/// of hash maps) is then the same whatever ran before.
///
/// # Errors
/// What was wrong, if something was.
pub fn run(
    seed: u64,
    only: Option<&[usize]>,
    fault: Option<Fault>,
) -> Result<Outcome, Box<Failure>> {
    note_panics();
    // Outside of the thread: only the first call in a process does something.
    let base = epoch::base(Instant::now());
    let only = only.map(<[usize]>::to_vec);
    let thread = std::thread::Builder::new().name(THREAD.to_owned());
    let thread = thread.spawn(move || live(seed, base, only.as_deref(), fault));
    let joined = thread.expect("a thread").join();
    joined.expect("what fails is caught")
}

fn live(
    seed: u64,
    base: Instant,
    only: Option<&[usize]>,
    fault: Option<Fault>,
) -> Result<Outcome, Box<Failure>> {
    let (options, plan) = Options::draw(seed);
    let steps: Vec<usize> = (0..plan.0.len())
        .filter(|step| only.is_none_or(|only| only.contains(step)))
        .collect();
    let mut life = Life::new(seed, base, &options, fault);
    let lived = catch_unwind(AssertUnwindSafe(|| life.live(&plan, &steps)));
    lived.map_err(|_| {
        Box::new(Failure {
            seed,
            message: PANIC.take(),
            options,
            steps,
            trail: life.trail.iter().cloned().collect(),
        })
    })
}

/// The name of the threads that worlds live in.
const THREAD: &str = "world";

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps the text of panics in worlds' threads, which the report of the failure tells.
fn note_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().name() == Some(THREAD) {
                PANIC.set(panic.to_string());
            } else {
                before(panic);
            }
        }));
    });
}
