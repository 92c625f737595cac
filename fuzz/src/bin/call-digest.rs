//! Prints the digest of everything that the machine puts out in the scripted call: the same in
//! every process.

use std::time::Instant;

/// The C library's `getrandom`, replaced for this process: the standard library takes the keys of
/// its hash maps from it, and str0m walks such maps where it puts reports into one datagram.
///
/// Nothing secret depends on it here: the machine's randomness comes from its seed.
#[expect(
    unsafe_code,
    reason = "replaces a function of the C library, in this test program only"
)]
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    // SAFETY: the callers of getrandom(2) pass a buffer of `length` bytes to be written.
    unsafe { std::ptr::write_bytes(buffer, 0x5a, length) };
    length as isize
}

#[expect(clippy::print_stdout, reason = "a program")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seed = std::env::args().nth(1).map_or(Ok(1), |seed| seed.parse())?;
    let base = parlor_core::epoch::base(Instant::now());
    let world = parlor_fuzz::scripted_call(seed, base)?;
    println!("{}", world.digest());
    Ok(())
}
