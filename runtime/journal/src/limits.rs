//! Every bound of the journal, in one place.

/// Most bytes of one record's content. The largest is a request with an SDP offer, written as
/// JSON, or the configuration.
pub const RECORD_BYTES: usize = 1024 * 1024;
/// Differences that a replay describes; more are counted.
pub const DIFFERENCES: usize = 64;

const _: () = assert!(RECORD_BYTES >= 6 * parlor_core::limits::OFFER_BYTES + 4096);
