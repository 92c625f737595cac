//! DTLS whose every byte follows from the machine's randomness.

use std::cell::Cell;
use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use dimpl::crypto::{
    HashAlgorithm, SecureRandom, SupportedDtls12CipherSuite, aws_lc_rs, rust_crypto,
};
use dimpl::{Config, CryptoOperation, Dtls, SrtpProfile};
use str0m::config::{DtlsCert, DtlsVersion};
use str0m::crypto::CryptoError;
use str0m::crypto::dtls::{DtlsImplError, DtlsInstance, DtlsOutput, DtlsProvider, ProtocolVersion};

use super::key_exchange;
use crate::srtp::{Keys, Profile};
use crate::{entropy, epoch};

/// Makes DTLS connections with `dimpl`. Connections are made and driven inside of
/// [`Entropy::lend`](crate::entropy::Entropy::lend); elsewhere they fail.
#[derive(Debug)]
pub(super) struct SeededDtls;

impl DtlsProvider for SeededDtls {
    /// Makes none: the certificate is an argument of the machine.
    fn generate_certificate(&self) -> Option<DtlsCert> {
        None
    }

    fn new_dtls(
        &self,
        certificate: &DtlsCert,
        now: Instant,
        version: DtlsVersion,
        mtu: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        let seed = entropy::lent().map_err(|error| CryptoError::Other(error.to_string()))?;
        let mut config = Config::builder()
            .with_crypto_provider(primitives())
            // ICE proves that the client receives at its address before DTLS answers it.
            .use_server_cookie(false)
            // `dimpl` draws the random of the hello, the explicit nonces of DTLS 1.2 records and
            // the jitter of its retransmission timer from this seed. All of them are public or
            // measurable, and nothing that is secret comes from it: keys come from the exchange
            // below, and signatures draw nothing. So 64 bits need only be unlikely to repeat.
            .dangerously_set_rng_seed(u64::from_le_bytes(seed));
        if let Some(mtu) = mtu {
            config = config.mtu(mtu);
        }
        let config = key_exchange::rehearse(|| config.build())
            .map_err(|error| CryptoError::Other(error.to_string()))?;
        let config = Arc::new(config);
        let certificate = certificate.clone();
        let now = epoch::to_dtls(now);
        let dtls = match version {
            DtlsVersion::Dtls12 => Dtls::new_12(config, certificate, now),
            DtlsVersion::Dtls13 => Dtls::new_13(config, certificate, now),
            DtlsVersion::Auto => Dtls::new_auto(config, certificate, now),
            _ => return Err(CryptoError::Other(format!("{version} is not supported"))),
        };
        Ok(Box::new(Connection { dtls }))
    }
}

/// What `dimpl` computes with.
pub(super) fn primitives() -> dimpl::crypto::CryptoProvider {
    dimpl::crypto::CryptoProvider {
        cipher_suites: &SUITES,
        kx_groups: key_exchange::GROUPS,
        // Signs by RFC 6979, where aws-lc draws a nonce from the operating system.
        key_provider: rust_crypto::default_provider().key_provider,
        secure_random: &LentRandom,
        ..aws_lc_rs::default_provider()
    }
}

/// The suites of DTLS 1.2 that hash by SHA-256, among them the one that every WebRTC client has
/// (RFC 8827 §6.5). `dimpl` tries each hash's signatures whenever it makes a `Config`, and those of
/// SHA-384 take as long as all else together.
static SUITES: LazyLock<Vec<&'static dyn SupportedDtls12CipherSuite>> = LazyLock::new(|| {
    let suites = aws_lc_rs::default_provider().cipher_suites.iter().copied();
    suites
        .filter(|suite| suite.hash_algorithm() == HashAlgorithm::SHA256)
        .collect()
});

/// For what `dimpl` may one day draw outside of its seeded generator.
#[derive(Debug)]
struct LentRandom;

impl SecureRandom for LentRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), dimpl::CryptoError> {
        let failed = CryptoOperation::FillRandom;
        entropy::fill_lent(bytes).map_err(|_| dimpl::CryptoError::OperationFailed(failed))
    }
}

pub(super) struct Connection {
    pub(super) dtls: Dtls,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

thread_local! {
    /// The keys of the connection that was driven last, if it has just finished its handshake.
    /// Nothing else leads out of str0m with them.
    static KEYS: Cell<Option<Keys>> = const { Cell::new(None) };
}

fn hand_out(material: &[u8], profile: SrtpProfile) {
    let profile = match profile {
        SrtpProfile::AES128_CM_SHA1_80 => Profile::Aes128CmSha1,
        SrtpProfile::AEAD_AES_128_GCM => Profile::Aes128Gcm,
        SrtpProfile::AEAD_AES_256_GCM => Profile::Aes256Gcm,
        _ => return,
    };
    KEYS.set(Some(Keys {
        profile,
        material: material.to_vec(),
    }));
}

/// The keys of the connection that has just been driven, if its handshake finished in that.
pub(crate) fn take_keys() -> Option<Keys> {
    KEYS.take()
}

impl DtlsInstance for Connection {
    fn set_active(&mut self, active: bool) {
        self.dtls.set_active(active);
    }

    fn handle_packet(&mut self, packet: &[u8]) -> Result<(), DtlsImplError> {
        self.dtls.handle_packet(packet)
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the other outputs pass through"
    )]
    fn poll_output<'a>(&mut self, buffer: &'a mut [u8]) -> DtlsOutput<'a> {
        let output = self.dtls.poll_output(buffer);
        match &output {
            DtlsOutput::Timeout(at) => return DtlsOutput::Timeout(epoch::from_dtls(*at)),
            DtlsOutput::KeyingMaterial(material, profile) => hand_out(material, *profile),
            _ => {}
        }
        output
    }

    fn handle_timeout(&mut self, now: Instant) -> Result<(), DtlsImplError> {
        self.dtls.handle_timeout(epoch::to_dtls(now))
    }

    fn send_application_data(&mut self, data: &[u8]) -> Result<usize, DtlsImplError> {
        self.dtls.send_application_data(data)
    }

    fn is_active(&self) -> bool {
        self.dtls.is_active()
    }

    fn protocol_version(&self) -> Option<ProtocolVersion> {
        self.dtls.protocol_version()
    }

    fn is_closing(&self) -> bool {
        self.dtls.is_closing()
    }

    fn is_closed(&self) -> bool {
        self.dtls.is_closed()
    }

    fn close(&mut self) -> Result<(), DtlsImplError> {
        self.dtls.close()
    }
}
