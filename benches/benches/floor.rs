//! What the whole server costs for a packet, beside what nobody can do without: sealing the same
//! packets for as many players, and having the system send them.
//!
//! The server runs as a process of its own on loopback, loaded by `parlor load`. Then, in the same
//! run, this program seals and sends the same packets at the same pace to as many sockets of the
//! same kind: AES-256-GCM by aws-lc-rs, and `sendmmsg` with one run of segments for each player and
//! picture. Processor time is what the kernel counts for the sending thread, as for the server.
//!
//!     cargo build --release && cargo bench -p parlor-benches --bench floor
//!
//! `FLOOR_PLAYERS=100,300` says how many players, `FLOOR_SECONDS=5` how long each is measured,
//! `FLOOR_OFFLOAD=off` takes receive offload from the players' sockets, so that the system takes
//! runs apart on the way, on the sender's time, as it does for a browser.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot be set up ends, and prints what it finds"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use parlor::floor::{Players, Sender};
use serde_json::Value;

const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// Packets of a picture, and pictures a second: 240 packets/s.
const RUN: usize = 8;
const PICTURES: u32 = 30;
const HEADER: usize = 12;
const PAYLOAD: usize = 1_100;
const TAG: usize = 16;
const PACKET: usize = HEADER + PAYLOAD + TAG;
/// Players whose packets are sealed before they are sent: as many runs as one call takes.
const CHUNK: usize = 64;

fn main() {
    let setting =
        |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.into());
    let players = setting("FLOOR_PLAYERS", "100,300,1000");
    let seconds: u64 = setting("FLOOR_SECONDS", "5").parse().expect("seconds");
    let offload = setting("FLOOR_OFFLOAD", "on") != "off";
    println!("players  server us  floor us  ratio  packets a run  delivered  delay p50/p99 ms");
    for players in players.split(',') {
        let players = players.parse().expect("a number of players");
        let server = Server::start();
        let load = server.load(players, seconds, offload);
        let number = |path: &str| load.pointer(path).and_then(Value::as_f64);
        let run = server.metric("parlor_transmits_total")
            / server.metric("parlor_media_send_messages_total").max(1.0);
        drop(server);
        let floor = floor(players, seconds, offload);
        let cost = number("/server/cpu_us_per_packet").unwrap_or(f64::NAN);
        println!(
            "{players:>7}  {cost:>9.3}  {floor:>8.3}  {:>5.2}  {run:>13.1}  {:>8.4} %  {:?}/{:?}",
            cost / floor,
            100.0 * number("/delivered_share").unwrap_or_default(),
            number("/delay_ms/p50").unwrap_or(f64::NAN),
            number("/delay_ms/p99").unwrap_or(f64::NAN),
        );
        let late = number("/here/left_out").unwrap_or_default();
        if late > 0.0 {
            println!("         the load was {late} packets too late: this machine is busy");
        }
    }
}

/// A server in a process of its own, with one worker.
struct Server {
    child: Child,
    address: SocketAddr,
    program: PathBuf,
    state: PathBuf,
}

impl Server {
    fn start() -> Self {
        let own = std::env::current_exe().expect("this program");
        let built = own.parent().and_then(|deps| deps.parent()).expect("target");
        let program =
            std::env::var_os("PARLOR_BIN").map_or_else(|| built.join("parlor"), PathBuf::from);
        let state = std::env::temp_dir().join(format!("parlor-floor-{}", std::process::id()));
        let mut child = Command::new(&program)
            .args(["serve", "--listen", "127.0.0.1:0", "--tls-listen", "off"])
            .args([
                "--media-port",
                "0",
                "--public-ip",
                "127.0.0.1",
                "--workers",
                "1",
            ])
            .arg("--state-dir")
            .arg(&state)
            .stdout(Stdio::piped())
            .spawn()
            .expect("target/release/parlor: build it by `cargo build --release`");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let url = lines
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once("http://localhost:")?.1.to_owned()));
        let port = url.and_then(|url| url.split_once('/')?.0.parse().ok());
        Self {
            child,
            address: (LOOPBACK, port.expect("its port")).into(),
            program,
            state,
        }
    }

    fn load(&self, players: usize, seconds: u64, offload: bool) -> Value {
        let mut command = Command::new(&self.program);
        command
            .args([
                "load",
                "--json",
                "--url",
                &format!("http://{}", self.address),
            ])
            .args(["--pid", &self.child.id().to_string()])
            .args(["--players", &players.to_string()])
            .args(["--seconds", &seconds.to_string()])
            .stderr(Stdio::null());
        if !offload {
            command.arg("--no-offload");
        }
        let output = command.output().expect("the load runs");
        serde_json::from_slice(&output.stdout).expect("a result")
    }

    fn metric(&self, name: &str) -> f64 {
        let mut stream = TcpStream::connect(self.address).expect("the server is there");
        let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(request).expect("it reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("it answers");
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse().ok())
            .unwrap_or(f64::NAN)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.state);
    }
}

/// Microseconds of processor time for a packet that is sealed and sent.
fn floor(players: usize, seconds: u64, offload: bool) -> f64 {
    let local = SocketAddr::from((LOOPBACK, 0));
    let mut sockets = Players::open(local, players, offload).expect("sockets");
    let addresses = sockets.addresses().to_vec();
    let done = Arc::new(AtomicBool::new(false));
    let arrived = Arc::new(AtomicU64::new(0));
    let drain = std::thread::spawn({
        let (done, arrived) = (Arc::clone(&done), Arc::clone(&arrived));
        move || {
            while !done.load(Ordering::Relaxed) {
                let count = sockets.drain(Duration::from_millis(20)).expect("a poll");
                arrived.fetch_add(count, Ordering::Relaxed);
            }
        }
    });
    let mut sealer = Sealer::new(players);
    let mut sender = Sender::open(local).expect("a socket");
    let (mut cpu, mut sent) = (Duration::ZERO, 0);
    let begin = Instant::now();
    for picture in 0..PICTURES * (seconds as u32 + 1) {
        let due = begin + Duration::from_secs(1) * picture / PICTURES;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if picture == PICTURES {
            // The first second is to warm up.
            (cpu, sent) = (own_cpu(), 0);
        }
        for (chunk, addresses) in addresses.chunks(CHUNK).enumerate() {
            sealer.seal(chunk * CHUNK, addresses.len(), picture);
            sent += sender
                .send(addresses, (RUN, PACKET), |number| sealer.datagram(number))
                .expect("it is sent");
        }
    }
    let cpu = own_cpu() - cpu;
    std::thread::sleep(Duration::from_millis(200));
    done.store(true, Ordering::Relaxed);
    drain.join().expect("the sockets are drained");
    let all = players * RUN * (PICTURES as usize) * (seconds as usize + 1);
    let missing = all as u64 - arrived.load(Ordering::Relaxed);
    if missing > 0 {
        println!("         {missing} of {all} packets of the floor did not arrive");
    }
    cpu.as_secs_f64() * 1e6 / sent as f64
}

/// Seals pictures for players, each under a key of its own.
struct Sealer {
    keys: Vec<LessSafeKey>,
    payload: Vec<u8>,
    /// The packets of a chunk of players.
    bytes: Vec<u8>,
}

impl Sealer {
    fn new(players: usize) -> Self {
        let key = |player: usize| {
            let mut key = [7; 32];
            key[..8].copy_from_slice(&player.to_be_bytes());
            LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).expect("a key"))
        };
        Self {
            keys: (0..players).map(key).collect(),
            payload: vec![0x55; PAYLOAD],
            bytes: Vec::with_capacity(CHUNK * RUN * PACKET),
        }
    }

    fn seal(&mut self, first: usize, players: usize, picture: u32) {
        self.bytes.clear();
        for key in &self.keys[first..first + players] {
            for packet in 0..RUN as u32 {
                let begin = self.bytes.len();
                let sequence = picture * RUN as u32 + packet;
                self.bytes.extend_from_slice(&[0x80, 96]);
                self.bytes
                    .extend_from_slice(&(sequence as u16).to_be_bytes());
                self.bytes
                    .extend_from_slice(&(picture * 3_000).to_be_bytes());
                self.bytes.extend_from_slice(&[1, 2, 3, 4]);
                self.bytes.extend_from_slice(&self.payload);
                let (header, payload) = self.bytes[begin..].split_at_mut(HEADER);
                let mut nonce = [0; 12];
                nonce[8..].copy_from_slice(&sequence.to_be_bytes());
                let nonce = Nonce::assume_unique_for_key(nonce);
                let tag = key
                    .seal_in_place_separate_tag(nonce, Aad::from(&*header), payload)
                    .expect("it is sealed");
                self.bytes.extend_from_slice(tag.as_ref());
            }
        }
    }

    fn datagram(&self, number: usize) -> &[u8] {
        &self.bytes[number * PACKET..(number + 1) * PACKET]
    }
}

/// Processor time of this thread.
fn own_cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanoseconds = text.split(' ').next().and_then(|text| text.parse().ok());
    Duration::from_nanos(nanoseconds.expect("a number"))
}
