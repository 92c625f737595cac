//! The scripted call in separate processes: all that the machine puts out is the same.

#![allow(clippy::expect_used, reason = "a broken expectation fails the test")]

use std::process::Command;

fn digest(seed: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_call-digest"))
        .arg(seed)
        .output()
        .expect("runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("hex digits")
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
