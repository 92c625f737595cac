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
