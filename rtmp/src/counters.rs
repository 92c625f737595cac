//! What a connection counts, for the operator's metrics.

use std::ops::AddAssign;

/// What happened on a connection since the last [`Connection::take_counters`].
///
/// The caller sums them up over all connections; [`Counters::entries`] names them for metrics.
///
/// [`Connection::take_counters`]: crate::Connection::take_counters
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Connections that have said `connect`.
    pub connected: u64,
    /// Connections that spoke something else, or broke the protocol.
    pub faults: u64,
    /// Connections closed because a handshake, a `connect` or what it was for never came.
    pub timeouts: u64,
    /// Encoders that began to publish.
    pub published: u64,
    /// Encoders and players that were refused, with a sentence.
    pub refused: u64,
    /// Encoders that were dropped because they sent nothing for too long.
    pub silent: u64,
    /// Encoders that lost their name to another one.
    pub taken_over: u64,
    /// Players that began to play.
    pub played: u64,
    /// Times that a player was behind and lost what came up to a key frame.
    pub cut: u64,
    /// Connections closed because the client does not read.
    pub not_reading: u64,
    /// Tags of encoders that were not what they said.
    pub malformed: u64,
    /// Pictures of encoders that were left out: in bursts, before a key frame, B-frames.
    pub left_out: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
}

impl Counters {
    /// Each counter with its name for metrics and a sentence on what it counts.
    pub fn entries(&self) -> [(&'static str, &'static str, u64); 14] {
        [
            (
                "parlor_rtmp_connected_total",
                "RTMP clients that connected.",
                self.connected,
            ),
            (
                "parlor_rtmp_faults_total",
                "RTMP connections that spoke something else or broke the protocol.",
                self.faults,
            ),
            (
                "parlor_rtmp_timeouts_total",
                "RTMP connections closed because what they were for never came.",
                self.timeouts,
            ),
            (
                "parlor_rtmp_published_total",
                "Encoders that began to publish.",
                self.published,
            ),
            (
                "parlor_rtmp_refused_total",
                "Encoders and players refused.",
                self.refused,
            ),
            (
                "parlor_rtmp_silent_total",
                "Encoders dropped because they sent nothing.",
                self.silent,
            ),
            (
                "parlor_rtmp_taken_over_total",
                "Encoders that lost their name to another one.",
                self.taken_over,
            ),
            (
                "parlor_rtmp_played_total",
                "Players that began to play.",
                self.played,
            ),
            (
                "parlor_rtmp_cut_total",
                "Times that a player was behind and lost media up to a key frame.",
                self.cut,
            ),
            (
                "parlor_rtmp_not_reading_total",
                "RTMP connections closed because the client does not read.",
                self.not_reading,
            ),
            (
                "parlor_rtmp_malformed_total",
                "Tags of encoders that were not what they said.",
                self.malformed,
            ),
            (
                "parlor_rtmp_left_out_total",
                "Pictures of encoders left out: in bursts, before a key frame, B-frames.",
                self.left_out,
            ),
            (
                "parlor_rtmp_bytes_in_total",
                "Bytes received by RTMP.",
                self.bytes_in,
            ),
            (
                "parlor_rtmp_bytes_out_total",
                "Bytes sent by RTMP.",
                self.bytes_out,
            ),
        ]
    }
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        self.connected += other.connected;
        self.faults += other.faults;
        self.timeouts += other.timeouts;
        self.published += other.published;
        self.refused += other.refused;
        self.silent += other.silent;
        self.taken_over += other.taken_over;
        self.played += other.played;
        self.cut += other.cut;
        self.not_reading += other.not_reading;
        self.malformed += other.malformed;
        self.left_out += other.left_out;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
    }
}
