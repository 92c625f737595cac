//! SDP (RFC 8866) as browsers offer it.
//!
//! An offer comes from the network, and what str0m makes of it must be bounded and determined.
//! So an offer is [parsed](offer::Offer::parse) here into typed values, narrowed to one codec a
//! section, and written anew for str0m from these values alone: what is not understood does not
//! reach it. Its answer is then [completed](answer::complete) for the browser.

pub(crate) mod answer;
pub(crate) mod narrow;
pub(crate) mod offer;

#[cfg(test)]
mod tests;
