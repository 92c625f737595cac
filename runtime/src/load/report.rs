//! What has come of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::player::Received;
use super::process::Usage;
use super::spread::Spread;

/// Kinds of errors that are told apart.
const ERRORS: usize = 16;

/// What one thread has done so far, or all of them together.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub(super) publishers_live: usize,
    pub(super) players_joined: usize,
    pub(super) players_connected: usize,
    pub(super) players_with_media: usize,
    /// Publishers and players that are over before their time.
    pub(super) failed: usize,
    pub(super) received: Received,
    pub(super) sent: u64,
    /// Packets that were not sent because this program was too late.
    pub(super) left_out: u64,
    pub(super) errors: BTreeMap<String, u64>,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        self.publishers_live += other.publishers_live;
        self.players_joined += other.players_joined;
        self.players_connected += other.players_connected;
        self.players_with_media += other.players_with_media;
        self.failed += other.failed;
        self.received.add(&other.received);
        self.sent += other.sent;
        self.left_out += other.left_out;
        for (error, count) in &other.errors {
            self.count_error(error, *count);
        }
    }

    pub(super) fn count_error(&mut self, error: &str, count: u64) {
        let known = self.errors.contains_key(error);
        let error = match known || self.errors.len() < ERRORS {
            true => error,
            false => "other errors",
        };
        *self.errors.entry(error.to_owned()).or_default() += count;
    }
}

/// What a thread gives at its end.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) tally: Tally,
    /// Packets that were to come in the measured time, and that came.
    pub(super) expected: u64,
    pub(super) delivered: u64,
    /// From a packet's leaving the publisher to its arrival at a player's socket.
    pub(super) delays: Spread,
    /// From a player's first byte to its answer, and to its first packet of media.
    pub(super) answers: Spread,
    pub(super) joins: Spread,
    /// Packets that the players' sockets had no room for.
    pub(super) dropped_here: u64,
}

impl Outcome {
    pub(super) fn add(&mut self, other: &Self) {
        self.tally.add(&other.tally);
        self.expected += other.expected;
        self.delivered += other.delivered;
        self.delays.add(&other.delays);
        self.answers.add(&other.answers);
        self.joins.add(&other.joins);
        self.dropped_here += other.dropped_here;
    }
}

/// What the server's process has used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Server {
    pub(super) pid: u32,
    /// Before the first stream, and when all have ended.
    pub(super) before: Usage,
    pub(super) after: Usage,
    /// At the beginning and at the end of the measured time.
    pub(super) from: Usage,
    pub(super) to: Usage,
}

/// The result.
#[derive(Debug)]
pub struct Report {
    pub(super) publishers: usize,
    pub(super) players: usize,
    pub(super) outcome: Outcome,
    /// Packets that arrived in the measured time, and how long that was.
    pub(super) measured: Received,
    pub(super) time: Duration,
    /// Processor time of this program in it.
    pub(super) own: Duration,
    pub(super) server: Option<Server>,
}

impl Report {
    /// Whether anything has been delivered, or nothing was to be.
    pub fn is_success(&self) -> bool {
        let Outcome {
            tally, expected, ..
        } = &self.outcome;
        match *expected {
            0 => tally.publishers_live > 0 && tally.players_connected == self.players,
            _ => self.outcome.delivered > 0,
        }
    }

    fn lost(&self) -> u64 {
        self.outcome.expected.saturating_sub(self.outcome.delivered)
    }

    fn share(&self) -> Option<f64> {
        let Outcome {
            expected,
            delivered,
            ..
        } = self.outcome;
        (expected > 0).then(|| delivered as f64 / expected as f64)
    }

    fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.time.as_secs_f64().max(1e-9)
    }

    /// The result as one JSON object.
    pub fn json(&self) -> Value {
        let Outcome {
            tally,
            expected,
            delivered,
            delays,
            answers,
            joins,
            dropped_here,
        } = &self.outcome;
        let errors = tally
            .errors
            .iter()
            .map(|(what, count)| json!({ "what": what, "count": count }));
        json!({
            "publishers": { "asked": self.publishers, "live": tally.publishers_live },
            "players": {
                "asked": self.players,
                "answered": tally.players_joined,
                "connected": tally.players_connected,
                "with_media": tally.players_with_media,
            },
            "failed": tally.failed,
            "seconds": round(self.time.as_secs_f64()),
            "expected": expected,
            "delivered": delivered,
            "delivered_share": self.share(),
            "lost": self.lost(),
            "repaired": self.measured.repaired,
            "requested_again": self.measured.requested,
            "repeated": self.measured.repeated,
            "wrong": self.measured.wrong,
            "packets_per_second": round(self.per_second(self.measured.packets)),
            "bits_per_second": round(8.0 * self.per_second(self.measured.bytes)),
            "delay_ms": spread(delays),
            "answer_ms": spread(answers),
            "join_ms": spread(joins),
            "here": {
                "left_out": tally.left_out,
                "dropped": dropped_here,
                "cpu_us_per_packet": self.cost(self.own),
            },
            "server": self.server.map(|server| self.server_json(&server)),
            "errors": errors.collect::<Vec<_>>(),
        })
    }

    /// Microseconds for each packet that arrived in the measured time.
    fn cost(&self, cpu: Duration) -> Option<f64> {
        let packets = self.measured.packets;
        (packets > 0).then(|| round(cpu.as_secs_f64() * 1e6 / packets as f64))
    }

    fn server_json(&self, server: &Server) -> Value {
        let cpu = server.to.cpu.saturating_sub(server.from.cpu);
        let grown = server.to.resident_kb as f64 - server.before.resident_kb as f64;
        let joined = self.outcome.tally.players_joined;
        json!({
            "pid": server.pid,
            "cpu_seconds": round(cpu.as_secs_f64()),
            "cpu_share": round(cpu.as_secs_f64() / self.time.as_secs_f64().max(1e-9)),
            "cpu_us_per_packet": self.cost(cpu),
            "resident_kb_before": server.before.resident_kb,
            "resident_kb": server.to.resident_kb,
            "resident_kb_after": server.after.resident_kb,
            "resident_kb_per_player": (joined > 0).then(|| round(grown / joined as f64)),
        })
    }

    /// The result for people.
    pub fn text(&self) -> String {
        let Outcome { tally, .. } = &self.outcome;
        let mut text = String::new();
        let mut line = |what: &str, said: String| {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{what:<12}{said}");
        };
        line(
            "publishers",
            format!("{} of {}", tally.publishers_live, self.publishers),
        );
        line(
            "players",
            format!(
                "{} of {} connected, {} with media",
                tally.players_connected, self.players, tally.players_with_media
            ),
        );
        if let Some(share) = self.share() {
            let (lost, expected) = (self.lost(), self.outcome.expected);
            line(
                "delivered",
                format!("{:.4} %: {lost} of {expected} packets lost", share * 100.0),
            );
        }
        line(
            "rate",
            format!(
                "{:.0} packets/s, {:.1} Mbit/s, {} sent again",
                self.per_second(self.measured.packets),
                8e-6 * self.per_second(self.measured.bytes),
                self.measured.repaired
            ),
        );
        line("delay", sentence(&self.outcome.delays));
        line("answer", sentence(&self.outcome.answers));
        line("join", sentence(&self.outcome.joins));
        if let Some(server) = self.server {
            line("server", self.server_text(&server));
        }
        if tally.left_out > 0 || self.outcome.dropped_here > 0 {
            line(
                "here",
                format!(
                    "TOO SLOW: {} packets not sent in time, {} that arrived were dropped; \
                     what is measured is this tool, not the server",
                    tally.left_out, self.outcome.dropped_here
                ),
            );
        }
        for (error, count) in &tally.errors {
            line("error", format!("{count} x {error}"));
        }
        text
    }

    fn server_text(&self, server: &Server) -> String {
        let cpu = server.to.cpu.saturating_sub(server.from.cpu);
        let share = 100.0 * cpu.as_secs_f64() / self.time.as_secs_f64().max(1e-9);
        let cost = self.cost(cpu);
        let cost = cost.map_or_else(String::new, |cost| format!(" {cost:.3} us a packet,"));
        let (before, to, after) = (
            server.before.resident_kb,
            server.to.resident_kb,
            server.after.resident_kb,
        );
        format!("{share:.1} % of a core,{cost} {to} kB ({before} kB before, {after} kB after)")
    }
}

fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

fn milliseconds(duration: Option<Duration>) -> Option<f64> {
    duration.map(|duration| round(duration.as_secs_f64() * 1e3))
}

fn spread(spread: &Spread) -> Value {
    json!({
        "p50": milliseconds(spread.within(0.5)),
        "p99": milliseconds(spread.within(0.99)),
        "p99.9": milliseconds(spread.within(0.999)),
        "most": milliseconds(spread.within(1.0)),
    })
}

fn sentence(spread: &Spread) -> String {
    let share = |share| milliseconds(spread.within(share)).unwrap_or_default();
    let most = milliseconds(Some(spread.longest())).unwrap_or_default();
    format!(
        "p50 {} ms, p99 {} ms, p99.9 {} ms, most {most} ms",
        share(0.5),
        share(0.99),
        share(0.999)
    )
}
