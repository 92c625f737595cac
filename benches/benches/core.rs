//! What forwarding a packet costs the core, against the least that it must cost: sealing the same
//! bytes by AES-GCM.
//!
//! One publisher sends packets of 1,200 bytes, with retransmission; N players are connected by
//! DTLS. What is measured is the machine alone: a datagram in, whatever is due, all datagrams out,
//! which are dropped. The clients live between the measured stretches, so that they steal no time.

#![allow(missing_docs, reason = "criterion's macros")]
#![allow(clippy::expect_used, reason = "a bench that cannot be set up ends")]
#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::hint::black_box;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parlor_benches::call::{Call, HEADER, PACKET, STRETCH, processor_time};

/// Players of one stream.
const PLAYERS: [usize; 4] = [10, 100, 300, 1_000];

/// Sealing alone, with as many keys as there are players.
fn seal(keys: &[LessSafeKey], packets: u64) -> Duration {
    let mut payload = vec![0x22; PACKET - HEADER];
    let header = [0x80; HEADER];
    let begun = processor_time();
    for packet in 0..packets {
        let key = &keys[packet as usize % keys.len()];
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&packet.to_be_bytes());
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from(&header), &mut payload);
        let _ = black_box(tag.expect("seals"));
    }
    processor_time().saturating_sub(begun)
}

fn keys(count: usize) -> Vec<LessSafeKey> {
    let key = |number: usize| {
        let key = UnboundKey::new(&AES_256_GCM, &[number as u8; 32]);
        LessSafeKey::new(key.expect("a key"))
    };
    (0..count).map(key).collect()
}

/// The median of a bench's samples, in nanoseconds a packet.
fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

fn per_packet(spent: Duration, packets: u64) -> f64 {
    spent.as_nanos() as f64 / packets as f64
}

fn core(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("core");
    group.throughput(Throughput::Elements(1));
    let mut lines = Vec::new();
    for players in PLAYERS {
        let keys = keys(players);
        let (mut sealed, mut forwarded) = (Vec::new(), Vec::new());
        group.bench_function(BenchmarkId::new("seal", players), |bencher| {
            bencher.iter_custom(|packets| {
                let spent = seal(&keys, packets);
                sealed.push(per_packet(spent, packets));
                spent
            });
        });
        let mut call = Call::new(players);
        group.bench_function(BenchmarkId::new("forward", players), |bencher| {
            bencher.iter_custom(|packets| {
                let (mut spent, mut done) = (Duration::ZERO, 0);
                while done < packets {
                    let (time, count) = call.stretch();
                    assert!(count > 0, "forwards");
                    spent += time;
                    done += count;
                    call.settle();
                }
                forwarded.push(per_packet(spent, done));
                spent.mul_f64(packets as f64 / done as f64)
            });
        });
        lines.push((players, median(&mut sealed), median(&mut forwarded)));
    }
    group.finish();
    let ingress = ingress();
    println!("players   seal ns   forward ns   ratio   without ingress");
    for (players, sealed, forwarded) in lines {
        let alone = forwarded - ingress / players as f64;
        println!(
            "{players:>7} {sealed:>9.0} {forwarded:>12.0} {:>7.2} {:>17.2}",
            forwarded / sealed,
            alone / sealed
        );
    }
    println!("ingress of one packet: {ingress:.0} ns");
}

/// What a packet costs that nobody plays, in nanoseconds.
fn ingress() -> f64 {
    let mut call = Call::new(0);
    let mut samples: Vec<f64> = (0..100)
        .map(|_| {
            let (spent, _) = call.stretch();
            call.settle();
            per_packet(spent, STRETCH as u64)
        })
        .collect();
    median(&mut samples)
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = core
}
criterion_main!(benches);
