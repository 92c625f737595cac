//! For simulated clients: the other end of a connection, as deterministic as the machine.

use std::sync::Arc;

use str0m::config::CryptoProvider;

use crate::crypto;
use crate::entropy::{Entropy, Seed};

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
