//! Datagrams that clients really send, edited by somebody who can forge their address, at every
//! moment of a call: none panics, and none ends a call that is connected.

#![allow(clippy::expect_used, reason = "a broken expectation fails the test")]

use std::time::{Duration, Instant};

use parlor_core::simulation::Randomness;
use parlor_core::{Config, Seed, epoch};
use parlor_fuzz::{Kinds, Network, World};

const SECOND: Duration = Duration::from_secs(1);

/// An editor of datagrams: `spared` bytes at the beginning are left as they are.
fn editor(seed: u64, spared: usize) -> impl FnMut(&[u8]) -> Vec<Vec<u8>> {
    let mut bytes = [0x77; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    let mut randomness = Randomness::new(&Seed(bytes));
    move |datagram| {
        let mut below = |end: usize| (randomness.u64() % end.max(1) as u64) as usize;
        let edits = below(4);
        let edited = (0..edits).map(|_| {
            let mut edited = datagram.to_vec();
            for _ in 0..=below(4) {
                let at = spared + below(edited.len().saturating_sub(spared));
                match below(5) {
                    0 => edited.truncate(at),
                    1 => edited.extend((0..below(40)).map(|byte| byte as u8)),
                    2 => edited
                        .iter_mut()
                        .skip(at)
                        .take(2)
                        .for_each(|byte| *byte = 0xff),
                    3 => edited
                        .iter_mut()
                        .skip(at)
                        .take(2)
                        .for_each(|byte| *byte = 0),
                    _ => {
                        let bit = below(8);
                        edited
                            .iter_mut()
                            .skip(at)
                            .take(1)
                            .for_each(|byte| *byte ^= 1 << bit);
                    }
                }
            }
            edited
        });
        edited.collect()
    }
}

/// Runs a call under an intruder and returns whether both ends got through it.
fn call(seed: u64, edit: impl FnMut(&[u8]) -> Vec<Vec<u8>> + 'static, meanwhile: bool) -> bool {
    let mut world = World::new(seed, epoch::base(Instant::now()), Config::default());
    world.network = Network {
        latency: Duration::from_millis(10),
        jitter: Duration::ZERO,
        loss: 0,
        ..Network::default()
    };
    let mut edit = Some(edit);
    if meanwhile {
        world.intruder = edit.take().map(|edit| Box::new(edit) as _);
    }
    world.publish(1, 1, "", "a", Kinds::BOTH).expect("is there");
    world.run_for(2 * SECOND);
    let Ok(player) = world.play(2, 1, "", "a", Kinds::BOTH) else {
        return false;
    };
    world.run_for(2 * SECOND);
    if let Some(edit) = edit {
        world.intruder = Some(Box::new(edit));
    }
    world.run_for(2 * SECOND);
    world.clients[player].received.clear();
    world.run_for(2 * SECOND);
    let client = &world.clients[player];
    client.received(false).len() > 90 && client.received(true).len() > 90
}

#[test]
fn edited_datagrams_do_not_end_a_connected_call() {
    for seed in 0..30 {
        assert!(call(seed, editor(seed, 1), false), "seed {seed}");
    }
}

#[test]
fn edited_checks_find_their_peer_and_do_no_harm() {
    for seed in 0..30 {
        // Only what comes behind the user name is edited, so that checks reach their peer.
        let mut edit = editor(seed, 20);
        let checks = move |datagram: &[u8]| {
            if datagram.starts_with(&[0, 1]) {
                edit(datagram)
            } else {
                Vec::new()
            }
        };
        assert!(call(seed, checks, true), "seed {seed}");
    }
}

#[test]
fn edited_handshakes_panic_nowhere() {
    // Who sees a handshake and is faster than the client can spoil it: DTLS has nothing against
    // that, so that some of these calls do not come about.
    let through = (0..60).filter(|seed| call(*seed, editor(*seed, 0), true));
    assert!(through.count() > 0);
}
