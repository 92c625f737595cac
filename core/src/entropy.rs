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
mod tests {
    use std::collections::BTreeMap;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    fn entropy(seed: u8) -> Entropy {
        Entropy::new(&Seed([seed; 32]))
    }

    fn lent_u64() -> u64 {
        u64::from_le_bytes(lent().expect("something is lent"))
    }

    #[test]
    fn generator_is_chacha20() {
        // The key stream of a zero key and nonce, as RFC 8439 §A.1 has it.
        assert_eq!(
            entropy(0).bytes(),
            [0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90]
        );
    }

    #[test]
    fn same_seed_draws_the_same_values() {
        let draw = |mut entropy: Entropy| (entropy.u64(), entropy.bytes::<33>(), entropy.token(22));
        assert_eq!(draw(entropy(1)), draw(entropy(1)));
        assert_ne!(draw(entropy(1)), draw(entropy(2)));
    }

    #[test]
    fn purposes_share_no_values() {
        let seed = Seed([1; 32]);
        let mut machine = seed.generator(Purpose::Machine);
        let mut certificate = seed.generator(Purpose::Certificate);
        let mut first = |_| (machine.next_u64(), certificate.next_u64());
        assert!(
            (0..64)
                .map(&mut first)
                .all(|(machine, certificate)| machine != certificate)
        );
    }

    #[test]
    fn seed_shows_nothing() {
        assert_eq!(format!("{:?}", Seed([7; 32])), "Seed(..)");
    }

    #[test]
    fn token_has_its_length_and_ice_characters_alone() {
        let mut entropy = entropy(1);
        for length in 0..100 {
            let token = entropy.token(length);
            assert_eq!(token.len(), length);
            assert!(
                token.bytes().all(|byte| byte.is_ascii_alphanumeric()),
                "{token}"
            );
        }
    }

    #[test]
    fn token_favours_no_character() {
        const EACH: u32 = 10_000;
        let mut counts: BTreeMap<char, u32> = BTreeMap::new();
        for character in entropy(1).token(62 * EACH as usize).chars() {
            *counts.entry(character).or_default() += 1;
        }
        assert_eq!(counts.len(), 62);
        // Five standard deviations of 10,000. Folding 64 values into 62 would put two at 20,000.
        let fair = EACH - 500..=EACH + 500;
        assert!(
            counts.values().all(|count| fair.contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn nothing_is_drawn_where_nothing_is_lent() {
        assert_eq!(lent::<8>(), Err(NothingLent));
        let mut entropy = entropy(1);
        entropy.lend(|| assert!(lent::<8>().is_ok()));
        assert_eq!(lent::<8>(), Err(NothingLent));
    }

    #[test]
    fn lent_draws_and_own_draws_are_of_one_stream() {
        let mut alone = entropy(1);
        let mut lender = entropy(1);
        assert_eq!(lender.u64(), alone.u64());
        let (state, first) = lender.lend(|| (fastrand::get_seed(), lent_u64()));
        assert_eq!((state, first), (alone.u64(), alone.u64()));
        assert_eq!(lender.u64(), alone.u64());
    }

    #[test]
    fn fastrand_follows_from_the_seed_and_is_given_back() {
        let draws = |seed| entropy(seed).lend(|| [(); 8].map(|()| fastrand::u64(..)));
        fastrand::seed(11);
        let first = draws(1);
        assert_eq!(fastrand::get_seed(), 11);
        fastrand::seed(12);
        assert_eq!(draws(1), first);
        assert_ne!(draws(2), first);
        assert_eq!(fastrand::get_seed(), 12);
    }

    #[test]
    fn each_loan_has_another_fastrand() {
        let mut entropy = entropy(1);
        assert_ne!(
            entropy.lend(fastrand::get_seed),
            entropy.lend(fastrand::get_seed)
        );
    }

    #[test]
    fn machines_inside_each_other_draw_what_they_draw_alone() {
        let alone = |seed| entropy(seed).lend(|| [(); 4].map(|()| (lent_u64(), fastrand::u64(..))));
        let draw = || (lent_u64(), fastrand::u64(..));
        let (mut outer, mut inner) = (entropy(1), entropy(2));
        let (outer_draws, inner_draws) = outer.lend(|| {
            let before = [draw(), draw()];
            let inside = inner.lend(|| [(); 4].map(|()| draw()));
            ([before[0], before[1], draw(), draw()], inside)
        });
        assert_eq!(outer_draws, alone(1));
        assert_eq!(inner_draws, alone(2));
    }

    #[test]
    fn machines_in_turn_draw_what_they_draw_alone() {
        let turns = |entropy: &mut Entropy| entropy.lend(|| (lent_u64(), fastrand::u64(..)));
        let (mut one, mut other) = (entropy(1), entropy(2));
        let mixed = [(); 4].map(|()| (turns(&mut one), turns(&mut other)));
        let (mut one, mut other) = (entropy(1), entropy(2));
        let one = [(); 4].map(|()| turns(&mut one));
        let other = [(); 4].map(|()| turns(&mut other));
        assert_eq!(mixed.map(|(one, _)| one), one);
        assert_eq!(mixed.map(|(_, other)| other), other);
    }

    #[test]
    fn panic_inside_gives_everything_back() {
        fastrand::seed(11);
        let mut entropy = entropy(1);
        let call = AssertUnwindSafe(|| entropy.lend(|| panic!("inside")));
        assert!(catch_unwind(call).is_err());
        assert_eq!(lent::<8>(), Err(NothingLent));
        assert_eq!(fastrand::get_seed(), 11);
        let _ = entropy.u64();
    }
}
