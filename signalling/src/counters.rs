//! What a connection counts, for the operator's metrics.

use std::ops::AddAssign;

/// What happened on a connection since the last [`Connection::take_counters`].
///
/// The caller sums them up over all connections; [`Counters::entries`] names them for metrics.
///
/// [`Connection::take_counters`]: crate::Connection::take_counters
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Page requests that were understood.
    pub http_requests: u64,
    /// HTTP requests answered with an error status by the connection itself.
    pub http_refused: u64,
    /// WebSocket connections opened.
    pub websockets: u64,
    /// WebSocket connections closed for breaking the WebSocket protocol or its limits.
    pub websocket_faults: u64,
    /// Messages received.
    pub messages_in: u64,
    /// Messages sent.
    pub messages_out: u64,
    /// Messages that were malformed, answered with a sentence.
    pub message_faults: u64,
    /// Messages of a kind that this server does not know or serve, answered with a sentence.
    pub messages_unknown: u64,
    /// Requests that the rooms refused.
    pub requests_refused: u64,
    /// Messages refused because the client sends too fast.
    pub rate_limited: u64,
    /// Sessions closed for too many faults.
    pub sent_away: u64,
    /// Connections closed because a head, a `connection` message or an answer to pings never came.
    pub timeouts: u64,
    /// Connections closed because the client does not read.
    pub not_reading: u64,
}

impl Counters {
    /// Each counter with a name fit for metrics (`snake_case`, without prefix or suffix).
    pub fn entries(&self) -> [(&'static str, u64); 13] {
        [
            ("http_requests", self.http_requests),
            ("http_refused", self.http_refused),
            ("websockets", self.websockets),
            ("websocket_faults", self.websocket_faults),
            ("messages_in", self.messages_in),
            ("messages_out", self.messages_out),
            ("message_faults", self.message_faults),
            ("messages_unknown", self.messages_unknown),
            ("requests_refused", self.requests_refused),
            ("rate_limited", self.rate_limited),
            ("sent_away", self.sent_away),
            ("timeouts", self.timeouts),
            ("not_reading", self.not_reading),
        ]
    }
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        self.http_requests += other.http_requests;
        self.http_refused += other.http_refused;
        self.websockets += other.websockets;
        self.websocket_faults += other.websocket_faults;
        self.messages_in += other.messages_in;
        self.messages_out += other.messages_out;
        self.message_faults += other.message_faults;
        self.messages_unknown += other.messages_unknown;
        self.requests_refused += other.requests_refused;
        self.rate_limited += other.rate_limited;
        self.sent_away += other.sent_away;
        self.timeouts += other.timeouts;
        self.not_reading += other.not_reading;
    }
}
