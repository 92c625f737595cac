//! `parlor load` against a real server.

use std::process::{Command, Output};

use crate::server::start;

fn load(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_parlor");
    let mut command = Command::new(program);
    command.arg("load").args(arguments).output().unwrap()
}

#[test]
fn a_load_counts_what_its_players_get() {
    let server = start(|settings| settings.workers = 1);
    let url = format!("http://{}", server.plain);
    let pid = std::process::id().to_string();
    let output = load(&[
        "--url", &url, "-p", "2", "-s", "3", "-t", "2", "--audio", "--json", "--pid", &pid,
    ]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("players 6/6"), "{said}");
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |path: &str| {
        let value = result.pointer(path).and_then(serde_json::Value::as_f64);
        value.unwrap_or_else(|| panic!("{path}: {result}"))
    };
    assert_eq!(number("/publishers/live"), 2.0);
    assert_eq!(number("/players/with_media"), 6.0);
    // On a machine that is busy a publisher may leave packets out, but none is lost on loopback.
    assert!(number("/delivered") > 500.0, "{result}");
    assert_eq!(number("/lost"), 0.0, "{result}");
    assert_eq!(number("/wrong"), 0.0, "{result}");
    assert_eq!(result["errors"], serde_json::json!([]));
    for path in ["/delay_ms/p50", "/delay_ms/p99.9", "/join_ms/p99"] {
        assert!(number(path) > 0.0, "{path}: {result}");
    }
    assert!(number("/server/cpu_us_per_packet") > 0.0, "{result}");
    assert!(number("/server/resident_kb") > 1_000.0, "{result}");
    server.wait_for_metric("parlor_http_streams", |count| count == 0);
    server.wait_for_metric("parlor_peers", |count| count == 0);
}

#[test]
fn a_load_that_delivers_nothing_says_why_and_fails() {
    let server = start(|_| {});
    let url = format!("http://{}", server.plain);
    for (arguments, sentence) in [
        (
            &["--url", "http://127.0.0.1:1"][..],
            "Is the server running",
        ),
        (&["--url", &url, "--whip", "/nowhere"], "405"),
        (&["--url", &url, "--pid", "4294967295"], "no such process"),
    ] {
        let output = load(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(sentence), "{said}");
    }
    let output = load(&[
        "--url",
        &url,
        "--whep",
        "/whep/elsewhere/{name}",
        "-s",
        "2",
        "-t",
        "1",
    ]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("2 x playing: 404"), "{said}");
}
