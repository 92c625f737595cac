//! What is counted.

/// Declares [`Counters`] and how they are shown, so that none is forgotten.
macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $kind:ident $field:ident = $name:literal;)+) => {
        /// Counts since the start, and sizes as they are.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[doc = $doc])+ pub $field: u64,)+
        }

        impl Counters {
            /// These counts with those of machines that are over, whose sizes are nothing any more.
            #[must_use]
            pub fn after(self, earlier: &Self) -> Self {
                Self { $($field: counters!(@after $kind self earlier $field),)+ }
            }

            /// Every count, as `/metrics` shows it.
            pub fn metrics(&self) -> Vec<Metric> {
                vec![$(Metric {
                    name: $name,
                    help: concat!($($doc),+).trim_ascii(),
                    grows: counters!(@grows $kind),
                    value: self.$field,
                },)+]
            }
        }
    };
    (@after counter $mine:ident $earlier:ident $field:ident) => {
        $mine.$field.saturating_add($earlier.$field)
    };
    (@after gauge $mine:ident $earlier:ident $field:ident) => { $mine.$field };
    (@grows counter) => { true };
    (@grows gauge) => { false };
}

/// One count, as `/metrics` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// The name in Prometheus' style.
    pub name: &'static str,
    /// One sentence on what it counts.
    pub help: &'static str,
    /// A counter, as opposed to a gauge.
    pub grows: bool,
    /// The count.
    pub value: u64,
}

counters! {
    /// Rooms with someone in them.
    gauge rooms = "parlor_rooms";
    /// Participants, counted once for each room that they are in.
    gauge participants = "parlor_participants";
    /// Media connections.
    gauge peers = "parlor_peers";
    /// Streams that are published.
    gauge publications = "parlor_publications";
    /// Streams that are played.
    gauge subscriptions = "parlor_subscriptions";
    /// Datagrams received.
    counter datagrams = "parlor_datagrams_total";
    /// Datagrams to send.
    counter transmits = "parlor_transmits_total";
    /// Packets of publishers.
    counter packets = "parlor_ingress_packets_total";
    /// Packets of publishers that are not browsers.
    counter ingested = "parlor_ingested_packets_total";
    /// Packets passed on to subscribers.
    counter forwarded = "parlor_forwarded_packets_total";
    /// Publications of other workers that are played here.
    gauge relays = "parlor_relays";
    /// Packets passed on to other workers.
    counter relayed = "parlor_relayed_packets_total";
    /// Packets that other workers had no room for.
    counter relay_refused = "parlor_relay_refused_packets_total";
    /// Packets sent again to subscribers that lost them.
    counter resent = "parlor_resent_packets_total";
    /// Packets that subscribers reported as lost on the way to them.
    counter lost = "parlor_lost_packets_total";
    /// Times to subscribers and back that their reports have told.
    counter round_trips = "parlor_round_trips_total";
    /// The sum of these times, in microseconds.
    counter round_trip_micros = "parlor_round_trip_microseconds_total";
    /// Reports and feedback of clients that were not theirs, or came twice.
    counter feedback_refused = "parlor_refused_feedback_total";
    /// Key frame requests sent to publishers.
    counter keyframe_requests = "parlor_keyframe_requests_total";
    /// Requests that were refused.
    counter refused = "parlor_refused_requests_total";
    /// Peers that connected.
    counter connected = "parlor_connected_peers_total";
    /// Peers that did not connect in time.
    counter connect_timeouts = "parlor_connect_timeouts_total";
    /// Connected peers that fell silent.
    counter consent_expired = "parlor_consent_expired_total";
    /// Peers whose DTLS failed.
    counter dtls_failed = "parlor_dtls_failed_total";
    /// Peers that were ended by a fault of a library, which is one of ours to mend.
    counter panics_contained = "parlor_contained_panics_total";
    /// Peers that broke the protocol otherwise.
    counter peers_failed = "parlor_failed_peers_total";
    /// Datagrams from addresses that no connectivity check has validated.
    counter unvalidated = "parlor_unvalidated_datagrams_total";
    /// Connectivity checks that are addressed to no peer.
    counter unknown_checks = "parlor_unknown_checks_total";
    /// Datagrams that are of no known protocol, too long, or do not parse.
    counter malformed = "parlor_malformed_datagrams_total";
    /// Packets of sources or payload types that the publisher does not have.
    counter unexpected_packets = "parlor_unexpected_packets_total";
}
