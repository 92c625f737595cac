//! The binary, as its operator meets it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::client::{Client, connect};

const PARLOR: &str = env!("CARGO_BIN_EXE_parlor");

/// A server in a process of its own; ended with the value.
pub(crate) struct Process {
    child: Child,
    pub(crate) plain: SocketAddr,
    banner: String,
    _state: tempfile::TempDir,
}

impl Process {
    fn start(shell: &str) -> Self {
        Self::start_with(shell, &[])
    }

    pub(crate) fn start_with(shell: &str, flags: &[&str]) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut child = Command::new("sh")
            .args([
                "-c",
                &format!("{shell} exec \"$0\" \"$@\""),
                PARLOR,
                "serve",
            ])
            .args(["--listen", "127.0.0.1:0", "--tls-listen", "127.0.0.1:0"])
            .args(["--rtmp-listen", "127.0.0.1:0"])
            .args([
                "--media-port",
                "0",
                "--public-ip",
                "127.0.0.1",
                "--workers",
                "1",
            ])
            .arg("--state-dir")
            .arg(state.path())
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut banner = String::new();
        while !banner.contains("Ctrl-C stops it") {
            banner.push_str(&lines.next().unwrap().unwrap());
            banner.push('\n');
        }
        let (_, rest) = banner.split_once("http://localhost:").unwrap();
        let port: u16 = rest.split_once('/').unwrap().0.parse().unwrap();
        Self {
            child,
            plain: SocketAddr::from(([127, 0, 0, 1], port)),
            banner,
            _state: state,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    /// The exit code, and what was logged.
    pub(crate) fn ended(&mut self) -> (Option<i32>, String) {
        let status = self.child.wait().unwrap();
        let mut logged = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut logged)
            .unwrap();
        (status.code(), logged)
    }

    /// Processor time used so far, in ticks of 10 ms.
    fn ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn run(arguments: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    Command::new(PARLOR)
        .args(arguments)
        .current_dir(dir.path())
        .output()
        .unwrap()
}

#[test]
fn an_interrupt_stops_it_with_a_goodbye_and_success() {
    for signal in ["INT", "TERM"] {
        let mut process = Process::start("");
        let mut client = Client::plain(process.plain);
        client.join("alice", "r");
        let began = Instant::now();
        process.signal(signal);
        assert_eq!(client.hear_close(), 1001);
        // The client stays connected, and does not hold the server up.
        let (code, logged) = process.ended();
        assert_eq!(code, Some(0), "{logged}");
        assert!(
            began.elapsed() < Duration::from_millis(2500),
            "{:?}",
            began.elapsed()
        );
    }
}

#[test]
fn a_second_interrupt_ends_it_at_once() {
    let mut process = Process::start("");
    let mut client = Client::plain(process.plain);
    client.join("alice", "r");
    process.signal("INT");
    assert_eq!(client.hear_close(), 1001);
    process.signal("INT");
    assert_eq!(process.ended().0, Some(130));
}

#[test]
fn it_prints_the_addresses_to_open() {
    let process = Process::start("");
    for part in [
        "http://localhost:",
        "ws://localhost:",
        "https://localhost:",
        "wss://localhost:",
    ] {
        assert!(process.banner.contains(part), "{}", process.banner);
    }
    assert!(process.banner.contains("127.0.0.1:"), "{}", process.banner);
}

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (setting, others) in [
        ("--listen", ["--tls-listen", "off", "--rtmp-listen", "off"]),
        (
            "--rtmp-listen",
            ["--tls-listen", "off", "--listen", "127.0.0.1:0"],
        ),
    ] {
        let output = run(&[&[setting, &address, "--media-port", "0"], &others[..]].concat());
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(&address), "{said}");
        assert!(said.contains(&format!("with {setting}")), "{said}");
    }
}

#[test]
fn wrong_usage_is_refused_with_2() {
    for (arguments, part) in [
        (
            &["--workers", "none"][..],
            "--workers: \"none\" is not allowed",
        ),
        (&["--wrokers", "1"], "--workers"),
        (&["dance"], "dance"),
        (&["--config", "missing.toml"], "missing.toml"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(part), "{said}");
    }
    let help = run(&["--help"]);
    assert_eq!(help.status.code(), Some(0));
}

#[test]
fn running_out_of_files_neither_spins_nor_ends_it() {
    let mut process = Process::start("ulimit -n 64;");
    let crowd: Vec<TcpStream> = (0..150).map(|_| connect(process.plain)).collect();
    std::thread::sleep(Duration::from_millis(300));
    let before = process.ticks();
    std::thread::sleep(Duration::from_secs(1));
    let used = process.ticks() - before;
    assert!(used < 20, "{used} ticks of processor time in a second");
    drop(crowd);
    assert_eq!(Client::plain(process.plain).get("/healthz").status, 200);
    let metrics = Client::plain(process.plain).get("/metrics").body;
    let failed = metrics
        .lines()
        .find_map(|line| line.strip_prefix("parlor_accept_errors_total "));
    assert_ne!(failed, Some("0"));
    process.signal("INT");
    assert_eq!(process.ended().0, Some(0));
}
