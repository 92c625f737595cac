//! Certificates and the crypto provider.

mod certificate;
mod dtls;
mod key_exchange;

use std::sync::Arc;

use str0m::crypto::{CryptoProvider, from_feature_flags};

pub use certificate::Certificate;
pub(crate) use dtls::take_keys;

/// The cryptography of every peer: aws-lc-rs for media and hashes, which draw no randomness, and
/// our own DTLS, which draws all of its randomness from the machine that lends it
/// ([`Entropy::lend`](crate::entropy::Entropy::lend)).
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        dtls_provider: &dtls::SeededDtls,
        ..from_feature_flags()
    })
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "any instant will do")]
mod tests;
