//! What it costs to record a call, against what it costs to forward it.
//!
//! One publisher sends packets of 1,200 bytes to a hundred players, as in the bench `core`. Two such
//! machines take their stretches in turn: one without a tape, one with a tape that is written to a
//! file, as the server's journal is. Forwarding is the machine's work, and that of the system to send
//! what comes out: each player's packet by `sendmmsg` on loopback, one datagram a run, is measured in
//! the same run.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench that cannot be set up ends, and prints what it finds"
)]

use std::fs::File;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use parlor::floor::{Players, Sender};
use parlor_benches::call::{Call, PACKET, STRETCH, processor_time};

const PLAYERS: usize = 100;
/// Stretches of each kind.
const ROUNDS: usize = 40;
/// Bytes of a tape that are handed over together, as by the server.
const BUFFER: usize = 256 * 1024;
/// Packets of a picture, which leave together.
const RUN: usize = 8;

fn main() {
    let (mut call, mut taped) = (Call::new(PLAYERS), Call::recorded(PLAYERS));
    let path = std::env::temp_dir().join(format!("parlor-bench-{}.journal", std::process::id()));
    let mut file = File::create(&path).expect("a file");
    let (mut plain, mut recorded, mut sent) = (Vec::new(), Vec::new(), Vec::new());
    let mut bytes = 0;
    let mut system = System::new();
    for _ in 0..ROUNDS {
        let (spent, count) = call.stretch();
        plain.push(per_packet(spent, count));
        call.settle();

        taped.written();
        let (spent, count) = taped.stretch();
        let begun = processor_time();
        let tape = taped.written();
        for part in tape.chunks(BUFFER) {
            file.write_all(part).expect("it is written");
        }
        let written = processor_time().saturating_sub(begun);
        bytes += tape.len();
        recorded.push(per_packet(spent + written, count));
        taped.settle();

        sent.push(system.send());
    }
    let _ = std::fs::remove_file(&path);
    let (plain, recorded, sent) = (median(plain), median(recorded), median(sent));
    let packets = (ROUNDS * STRETCH * PLAYERS) as f64;
    println!("the machine, without a journal: {plain:.0} ns a packet");
    println!(
        "the machine, with one: {recorded:.0} ns a packet, {:.1} bytes",
        bytes as f64 / packets
    );
    println!("the system, to send it: {sent:.0} ns a packet");
    let share = 100.0 * (recorded - plain) / (plain + sent);
    println!(
        "the journal: {:.0} ns, {share:.1} % of forwarding where no player waits",
        recorded - plain
    );
}

fn per_packet(spent: Duration, packets: u64) -> f64 {
    spent.as_nanos() as f64 / packets as f64
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Sockets to send from and to.
struct System {
    sender: Sender,
    players: Players,
    addresses: Vec<SocketAddr>,
    bytes: Vec<u8>,
}

impl System {
    fn new() -> Self {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let players = Players::open(local, PLAYERS, true).expect("sockets");
        Self {
            sender: Sender::open(local).expect("a socket"),
            addresses: players.addresses().to_vec(),
            players,
            bytes: vec![0x55; PACKET],
        }
    }

    /// Nanoseconds of a packet that is sent.
    fn send(&mut self) -> f64 {
        let (mut spent, mut sent) = (Duration::ZERO, 0);
        for _ in 0..STRETCH / RUN {
            let begun = processor_time();
            for addresses in self.addresses.chunks(64) {
                sent += self
                    .sender
                    .send(addresses, (RUN, PACKET), |_| &self.bytes)
                    .expect("it is sent");
            }
            spent += processor_time().saturating_sub(begun);
            self.players
                .drain(Duration::from_millis(1))
                .expect("a poll");
        }
        per_packet(spent, sent as u64)
    }
}
