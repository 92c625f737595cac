//! What the front counts.

use parlor_core::Metric;
use parlor_signalling::Counters;

#[derive(Debug, Default)]
pub(super) struct FrontCounters {
    pub(super) accepted: u64,
    pub(super) turned_away: u64,
    pub(super) accept_failed: u64,
    pub(super) tls_failed: u64,
    pub(super) not_tls: u64,
    pub(super) worker_busy: u64,
    pub(super) pages_refused: u64,
    pub(super) names_refused: u64,
    /// The sums over all connections.
    pub(super) signalling: Counters,
    pub(super) rtmp: parlor_rtmp::Counters,
    /// Packets of encoders that a worker had no room for.
    pub(super) ingest_dropped: u64,
}

/// What others count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) connections: usize,
    pub(super) resources: usize,
    pub(super) broadcasts: usize,
    pub(super) refused_origins: usize,
    pub(super) malformed: u64,
}

impl FrontCounters {
    /// All counts, with what there is right now.
    pub(super) fn metrics(&self, sizes: Sizes) -> Vec<Metric> {
        let count = |name, help, value| Metric {
            name,
            help,
            grows: true,
            value,
        };
        let size = |name, help, value: usize| Metric {
            name,
            help,
            grows: false,
            value: value as u64,
        };
        let mut metrics = vec![
            size("parlor_connections", "TCP connections.", sizes.connections),
            size(
                "parlor_http_streams",
                "Streams that were begun by WHIP or WHEP.",
                sizes.resources,
            ),
            size(
                "parlor_rtmp_broadcasts",
                "Streams that are played by RTMP.",
                sizes.broadcasts,
            ),
            size(
                "parlor_refused_addresses",
                "Addresses from which names were asked for in vain within the last minute.",
                sizes.refused_origins,
            ),
            count(
                "parlor_names_refused_total",
                "Requests refused because too many names were asked for in vain from their address.",
                self.names_refused,
            ),
            count(
                "parlor_broadcast_malformed_total",
                "Packets of rooms that could not be made tags for players of.",
                sizes.malformed,
            ),
            count(
                "parlor_ingest_packets_dropped_total",
                "Packets of encoders that a worker had no room for.",
                self.ingest_dropped,
            ),
            count(
                "parlor_accepted_total",
                "TCP connections accepted.",
                self.accepted,
            ),
            count(
                "parlor_turned_away_total",
                "TCP connections turned away because there were as many as there may be.",
                self.turned_away,
            ),
            count(
                "parlor_accept_errors_total",
                "Errors of the system on accepting TCP connections.",
                self.accept_failed,
            ),
            count(
                "parlor_tls_errors_total",
                "TLS connections that failed.",
                self.tls_failed,
            ),
            count(
                "parlor_not_tls_total",
                "Connections to a TLS port that spoke something else.",
                self.not_tls,
            ),
            count(
                "parlor_worker_busy_total",
                "Requests refused because their worker had no room for them.",
                self.worker_busy,
            ),
            count(
                "parlor_pages_refused_total",
                "Pages refused because too many were waiting to be read.",
                self.pages_refused,
            ),
        ];
        metrics.extend(signalling(&self.signalling));
        let rtmp = self.rtmp.entries().into_iter();
        metrics.extend(rtmp.map(|(name, help, value)| count(name, help, value)));
        metrics
    }
}

fn signalling(counters: &Counters) -> impl Iterator<Item = Metric> + use<> {
    let counts = [
        (
            "parlor_signalling_http_requests_total",
            "HTTP requests for pages.",
            counters.http_requests,
        ),
        (
            "parlor_signalling_http_refused_total",
            "HTTP requests answered with an error before a page was looked for.",
            counters.http_refused,
        ),
        (
            "parlor_signalling_websockets_total",
            "WebSocket connections opened.",
            counters.websockets,
        ),
        (
            "parlor_signalling_websocket_faults_total",
            "WebSocket connections closed for breaking the protocol or its limits.",
            counters.websocket_faults,
        ),
        (
            "parlor_signalling_messages_in_total",
            "Messages received.",
            counters.messages_in,
        ),
        (
            "parlor_signalling_messages_out_total",
            "Messages sent.",
            counters.messages_out,
        ),
        (
            "parlor_signalling_message_faults_total",
            "Malformed messages.",
            counters.message_faults,
        ),
        (
            "parlor_signalling_messages_unknown_total",
            "Messages of a kind that is not known or served.",
            counters.messages_unknown,
        ),
        (
            "parlor_signalling_requests_refused_total",
            "Requests that the rooms refused.",
            counters.requests_refused,
        ),
        (
            "parlor_signalling_rate_limited_total",
            "Messages refused because the client sends too fast.",
            counters.rate_limited,
        ),
        (
            "parlor_signalling_sent_away_total",
            "Sessions closed for too many faults.",
            counters.sent_away,
        ),
        (
            "parlor_signalling_timeouts_total",
            "Connections closed because something never came.",
            counters.timeouts,
        ),
        (
            "parlor_signalling_not_reading_total",
            "Connections closed because the client does not read.",
            counters.not_reading,
        ),
    ];
    counts.into_iter().map(|(name, help, value)| Metric {
        name,
        help,
        grows: true,
        value,
    })
}
