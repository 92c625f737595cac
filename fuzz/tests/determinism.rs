//! The scripted call and the scripted room in separate processes: all that the machine puts out is
//! the same.

#![allow(clippy::expect_used, reason = "a broken expectation fails the test")]

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

fn call_digest(argument: &str, input: &[u8]) -> Output {
    let mut process = Command::new(env!("CARGO_BIN_EXE_call-digest"))
        .arg(argument)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs");
    // It reads all of it before it writes anything.
    let mut to_process = process.stdin.take().expect("it is piped");
    to_process.write_all(input).expect("it reads");
    drop(to_process);
    let output = process.wait_with_output().expect("it ends");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn digest(seed: &str) -> String {
    String::from_utf8(call_digest(seed, &[]).stdout).expect("hex digits")
}

#[test]
fn five_processes_put_out_the_same_bytes() {
    let first = digest("1");
    assert_eq!(first.trim().len(), 64);
    for _ in 0..4 {
        assert_eq!(digest("1"), first);
    }
    assert_ne!(digest("2"), first, "another seed gives other bytes");
}

/// What the clients of the room send depends on the process, as far as they are not made here; so
/// one of them is recorded, and what went in then is given to the machines of the others. In the
/// room there are so many of everything that whatever is done for several shows its order.
#[test]
fn four_processes_put_out_what_a_fifth_one_did_in_a_room_of_many() {
    let journal = call_digest("record", &[]).stdout;
    assert!(journal.len() > 500_000, "{} bytes", journal.len());
    for _ in 0..4 {
        call_digest("replay", &journal);
    }
}
