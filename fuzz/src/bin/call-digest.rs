//! Prints the digest of everything that the machine puts out in the scripted call: the same in
//! every process.

use std::time::Instant;

#[expect(clippy::print_stdout, reason = "a program")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seed = std::env::args().nth(1).map_or(Ok(1), |seed| seed.parse())?;
    let base = parlor_core::epoch::base(Instant::now());
    let world = parlor_fuzz::scripted_call(seed, base)?;
    println!("{}", world.digest());
    Ok(())
}
