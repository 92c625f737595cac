//! The one source of randomness.

use std::cell::Cell;
use std::fmt;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};

/// Where all randomness of an [`Sfu`](crate::Sfu) comes from. As secret as a private key.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed(pub [u8; 32]);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

impl Seed {
    /// A generator of this seed's values for `purpose`. Different purposes share no values.
    pub(crate) fn generator(&self, purpose: Purpose) -> ChaCha20Rng {
        let mut generator = ChaCha20Rng::from_seed(self.0);
        generator.set_stream(purpose as u64);
        generator
    }
}

/// What a seed's values are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Everything that a running machine draws.
    Machine = 0,
    /// The certificate.
    Certificate = 1,
    /// What tells a machine from those that were on its worker before.
    MachineId = 2,
}

/// The randomness of one machine: a ChaCha20 generator under its [`Seed`].
///
/// The machine draws from it by its methods. The libraries below the machine reach for randomness
/// through thread-locals (`fastrand`) or through `'static` traits (the DTLS provider), so that
/// every call into them goes through [`Entropy::lend`].
pub(crate) struct Entropy {
    /// Elsewhere only inside of [`Entropy::lend`], which borrows all of `self`.
    generator: Option<Box<ChaCha20Rng>>,
}

impl Entropy {
    /// Starts at the seed's first value.
    pub(crate) fn new(seed: &Seed) -> Self {
        Self {
            generator: Some(Box::new(seed.generator(Purpose::Machine))),
        }
    }

    /// Fills `bytes`.
    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        self.generator().fill_bytes(bytes);
    }

    /// Draws `N` bytes.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// Draws 64 bits.
    pub(crate) fn u64(&mut self) -> u64 {
        self.generator().next_u64()
    }

    /// Draws a string of `length` letters and digits, which are a part of the characters that
    /// [ICE allows] for credentials. Each character is worth 5.95 bits.
    ///
    /// [ICE allows]: https://www.rfc-editor.org/rfc/rfc8839#section-5.4
    pub(crate) fn token(&mut self, length: usize) -> String {
        let generator = self.generator();
        let mut token = String::with_capacity(length);
        while token.len() < length {
            // Values past the alphabet are drawn again: folding them back would favour some.
            let value = generator.next_u32() >> 26;
            if let Some(&character) = ALPHABET.get(value as usize) {
                token.push(char::from(character));
            }
        }
        token
    }

    /// Makes `call` with this machine's randomness on the thread, and takes it back afterwards.
    ///
    /// Inside, [`lent`] draws from this machine, and `fastrand` is at a state that this machine
    /// drew. What was on the thread before is there again when this returns, also by unwinding:
    /// machines that share a thread do not touch each other's values.
    pub(crate) fn lend<T>(&mut self, call: impl FnOnce() -> T) -> T {
        // A state drawn for each call, and not one kept: `fastrand` can be computed backwards from
        // what it gave, and what it gave goes over the wire in the clear.
        let state = self.u64();
        let _returned = Loan {
            outer_state: fastrand::get_seed(),
            outer: LENT.replace(self.generator.take()),
            home: &mut self.generator,
        };
        fastrand::seed(state);
        call()
    }

    #[expect(
        clippy::expect_used,
        reason = "`lend` borrows `self` for as long as it is away"
    )]
    fn generator(&mut self) -> &mut ChaCha20Rng {
        self.generator
            .as_mut()
            .expect("the generator is at home outside of `lend`")
    }
}

/// The characters of a token.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

thread_local! {
    /// The generator that is lent to this thread.
    static LENT: Cell<Option<Box<ChaCha20Rng>>> = const { Cell::new(None) };
}

/// Puts everything back where it was.
struct Loan<'a> {
    home: &'a mut Option<Box<ChaCha20Rng>>,
    outer: Option<Box<ChaCha20Rng>>,
    outer_state: u64,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        *self.home = LENT.replace(self.outer.take());
        fastrand::seed(self.outer_state);
    }
}

/// Fills `bytes` from the machine that has lent its randomness to this thread.
///
/// # Errors
/// There is none: the caller must fail rather than find randomness elsewhere, because what it
/// would send could not be sent again by a replay.
pub(crate) fn fill_lent(bytes: &mut [u8]) -> Result<(), NothingLent> {
    let mut generator = LENT.take().ok_or(NothingLent)?;
    generator.fill_bytes(bytes);
    LENT.set(Some(generator));
    Ok(())
}

/// Draws `N` bytes as [`fill_lent`] does.
pub(crate) fn lent<const N: usize>() -> Result<[u8; N], NothingLent> {
    let mut bytes = [0; N];
    fill_lent(&mut bytes)?;
    Ok(bytes)
}

/// A draw outside of [`Entropy::lend`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no machine has lent its randomness to this thread")]
pub(crate) struct NothingLent;

#[cfg(test)]
mod tests;
