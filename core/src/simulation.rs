//! For simulated clients: the other end of a connection, as deterministic as the machine.
//!
//! Who would rather open the media itself takes the keys ([`take_srtp`]) of a connection that has
//! been made with [`provider`], and keeps that media from the connection.

use std::sync::Arc;

use str0m::config::CryptoProvider;

use crate::crypto;

use crate::entropy::{Entropy, Seed};
pub use crate::srtp::ClientSrtp;

/// The randomness of a simulated client.
pub struct Randomness(Entropy);

impl Randomness {
    /// Starts at the seed's first value.
    pub fn new(seed: &Seed) -> Self {
        Self(Entropy::new(seed))
    }

    /// Makes `call` with this randomness under the libraries that it calls.
    pub fn lend<T>(&mut self, call: impl FnOnce() -> T) -> T {
        self.0.lend(call)
    }

    /// Draws 64 bits.
    pub fn u64(&mut self) -> u64 {
        self.0.u64()
    }
}

/// The crypto provider that draws from what is lent: use it inside of [`Randomness::lend`] only.
pub fn provider() -> Arc<CryptoProvider> {
    crypto::provider()
}

/// The protection of the connection's media, for the client whose handshake has finished in the
/// call of this thread's that was made last; others get `None`, or the wrong one.
pub fn take_srtp() -> Option<ClientSrtp> {
    crypto::take_keys()?.client().ok()
}
