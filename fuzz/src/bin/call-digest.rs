//! Prints the digest of everything that the machine puts out in the scripted call; or writes the
//! journal of the scripted room, or runs one again. All of it is the same in every process.

use std::error::Error;
use std::io::{Read as _, Write as _, stdin, stdout};
use std::time::Instant;

use parlor_fuzz::{scripted_call, scripted_room};
use parlor_journal::Replay;

#[expect(clippy::print_stdout, reason = "a program")]
fn main() -> Result<(), Box<dyn Error>> {
    let base = parlor_core::epoch::base(Instant::now());
    match std::env::args().nth(1).as_deref() {
        Some("record") => {
            let journal = scripted_room(1, base)?.journal();
            stdout().write_all(&journal)?;
        }
        Some("replay") => {
            let mut journal = Vec::new();
            stdin().read_to_end(&mut journal)?;
            replay(&journal, base)?;
        }
        seed => {
            let seed = seed.map_or(Ok(1), str::parse)?;
            println!("{}", scripted_call(seed, base)?.digest());
        }
    }
    Ok(())
}

/// Runs a journal again.
fn replay(journal: &[u8], base: Instant) -> Result<(), Box<dyn Error>> {
    let mut replay = Replay::new(journal, base)?;
    let mut happened = Vec::new();
    while replay.step(&mut happened)? {
        happened.clear();
    }
    match replay.differences().first() {
        Some(difference) => Err(format!("{difference:?}").into()),
        None if replay.totals().compared == 0 => Err("nothing was compared".into()),
        None => Ok(()),
    }
}
