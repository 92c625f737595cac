//! SDP (RFC 8866) as browsers offer it.
//!
//! An offer comes from the network. It is [parsed](offer::Offer::parse) into typed values, of which
//! one codec a section is [chosen](narrow), and the [`answer`] is written from these values alone:
//! what is not understood goes no further.

pub(crate) mod answer;
pub(crate) mod narrow;
pub(crate) mod offer;

#[cfg(test)]
mod tests;
