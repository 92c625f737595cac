//! What it costs the machine to forward a packet, in memory.
//!
//! One publisher sends Opus and H.264; N players are connected to it by DTLS and SRTP, answer
//! with their reports, and live in the same thread, so that the caches are as cold as in a server.
//! Only the machine's own time is counted: from a datagram in to all datagrams out.

#![allow(missing_docs, reason = "criterion's macros")]
#![allow(clippy::expect_used, reason = "a bench that cannot be set up ends")]

use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parlor_core::{Config, Limits, epoch};
use parlor_fuzz::{Kinds, World};

fn connected(players: u64) -> World {
    let limits = Limits {
        participants: 2_000,
        ..Limits::default()
    };
    let config = Config {
        limits,
        ..Config::default()
    };
    let mut world = World::new(1, epoch::base(Instant::now()), config).without_digest();
    world.join(0, "room", "publisher").expect("joins");
    world
        .publish(0, 0, "room", "stream", Kinds::BOTH)
        .expect("publishes");
    for player in 1..=players {
        world
            .join(player, "room", &format!("player {player}"))
            .expect("joins");
        world
            .play(player, 0, "room", "stream", Kinds::BOTH)
            .expect("plays");
    }
    world.run_for(Duration::from_secs(3));
    assert!(world.clients.iter().all(|client| client.connected));
    for client in &mut world.clients {
        client.received.clear();
    }
    world
}

fn forward(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("forward");
    group.throughput(Throughput::Elements(1));
    for players in [1, 10, 100, 300] {
        let mut world = connected(players);
        group.bench_function(BenchmarkId::from_parameter(players), |bencher| {
            bencher.iter_custom(|packets| {
                world.spent = Duration::ZERO;
                let before = world.sfu.counters().forwarded;
                let mut forwarded = 0;
                while forwarded < packets {
                    world.run_for(Duration::from_millis(40));
                    forwarded = world.sfu.counters().forwarded - before;
                    for client in &mut world.clients {
                        client.received.clear();
                    }
                }
                world.spent.mul_f64(packets as f64 / forwarded as f64)
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3));
    targets = forward
}
criterion_main!(benches);
