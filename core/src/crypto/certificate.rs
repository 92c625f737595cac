//! The certificate of a server, made from its seed.

use std::fmt;

use aws_lc_rs::digest;
use chacha20::rand_core::Rng;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use rcgen::{
    CertificateParams, DistinguishedName, DnType, PKCS_ECDSA_P256_SHA256, PublicKeyData,
    SerialNumber, SignatureAlgorithm, date_time_ymd,
};
use str0m::config::DtlsCert;

use crate::entropy::{Purpose, Seed};

/// The DTLS certificate of a server.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// X.509, DER.
    pub certificate: Vec<u8>,
    /// The private key, PKCS#8 DER (ECDSA P-256).
    pub private_key: Vec<u8>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certificate")
            .field(&self.fingerprint())
            .finish()
    }
}

impl Certificate {
    /// Makes a self-signed certificate. The same seed makes the same bytes.
    ///
    /// WebRTC trusts a certificate for its fingerprint in the SDP and for nothing else ([RFC 8827]
    /// §6.5), so that its name says nothing about the server and it does not expire.
    ///
    /// [RFC 8827]: https://www.rfc-editor.org/rfc/rfc8827#section-6.5
    #[expect(
        clippy::expect_used,
        reason = "computes on fixed values; no input can make it fail"
    )]
    pub fn from_seed(seed: &Seed) -> Self {
        let mut generator = seed.generator(Purpose::Certificate);
        let key = std::iter::repeat_with(|| {
            let mut secret = [0; 32];
            generator.fill_bytes(&mut secret);
            secret
        })
        // One of four thousand million strings is not a scalar of the curve.
        .find_map(|secret| SigningKey::from_slice(&secret).ok())
        .expect("the generator does not end");
        let mut serial = [0; 16];
        generator.fill_bytes(&mut serial);
        // A serial number is a positive integer of one fixed length.
        serial[0] = serial[0] & 0x3f | 0x40;

        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, "WebRTC");
        let mut params = CertificateParams::default();
        params.distinguished_name = name;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        params.not_before = date_time_ymd(2020, 1, 1);
        // RFC 5280 §4.1.2.5 has this date for certificates without an end.
        params.not_after = date_time_ymd(9999, 12, 31);
        let private_key = key.to_pkcs8_der().expect("a P-256 key has a PKCS#8 form");
        let certificate = params
            .self_signed(&Signed::by(key))
            .expect("fixed parameters have a DER form");
        Self {
            certificate: certificate.der().to_vec(),
            private_key: private_key.as_bytes().to_vec(),
        }
    }

    /// Whether a machine can be made with it: one that was read from somewhere may be anything.
    pub fn is_usable(&self) -> bool {
        !self.certificate.is_empty() && SigningKey::from_pkcs8_der(&self.private_key).is_ok()
    }

    /// The SHA-256 of the certificate as SDP writes it: upper case hex with colons ([RFC 8122]
    /// §5).
    ///
    /// [RFC 8122]: https://www.rfc-editor.org/rfc/rfc8122#section-5
    pub fn fingerprint(&self) -> String {
        let hash = digest::digest(&digest::SHA256, &self.certificate);
        let pairs: Vec<_> = hash
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        pairs.join(":")
    }

    /// The form that str0m takes.
    pub(crate) fn to_dtls(&self) -> DtlsCert {
        DtlsCert {
            certificate: self.certificate.clone(),
            private_key: self.private_key.clone(),
        }
    }
}

/// A key that signs the same message with the same bytes: its nonce is that of RFC 6979.
struct Signed {
    key: SigningKey,
    public_key: Vec<u8>,
}

impl Signed {
    fn by(key: SigningKey) -> Self {
        let public_key = key.verifying_key().to_sec1_point(false).as_bytes().to_vec();
        Self { key, public_key }
    }
}

impl PublicKeyData for Signed {
    fn der_bytes(&self) -> &[u8] {
        &self.public_key
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for Signed {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature: DerSignature = self.key.sign(message);
        Ok(signature.as_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dimpl::crypto::{
        Buf, HashAlgorithm, NamedGroup, SignatureAlgorithm as Algorithm, aws_lc_rs,
        cert_named_group, rust_crypto,
    };
    use rustls::crypto::aws_lc_rs::default_provider;
    use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
    use rustls::sign::CertifiedKey;

    use super::*;

    #[test]
    fn same_seed_makes_the_same_certificate() {
        let seed = Seed([5; 32]);
        assert_eq!(Certificate::from_seed(&seed), Certificate::from_seed(&seed));
    }

    #[test]
    fn other_seed_makes_another_key_and_serial() {
        let certificates = [1, 2].map(|seed| Certificate::from_seed(&Seed([seed; 32])));
        let [one, other] = certificates;
        assert_ne!(one.private_key, other.private_key);
        // The serial number follows the version, at a fixed place.
        assert_ne!(one.certificate[15..31], other.certificate[15..31]);
    }

    #[test]
    fn every_seed_makes_a_certificate_of_about_one_size() {
        let all = (0..=255).map(|seed| Certificate::from_seed(&Seed([seed; 32])));
        let sizes: Vec<_> = all
            .map(|made| (made.certificate.len(), made.private_key.len()))
            .collect();
        // The two integers of an ECDSA signature lose their leading zeros.
        let (certificate, private_key) = sizes[0];
        let alike = |&(other, key): &_| certificate.abs_diff(other) <= 8 && key == private_key;
        assert!(sizes.iter().all(alike), "{sizes:?}");
    }

    #[test]
    fn tls_takes_the_certificate_with_its_key() {
        for seed in 0..32 {
            let Certificate {
                certificate,
                private_key,
            } = Certificate::from_seed(&Seed([seed; 32]));
            let key = PrivatePkcs8KeyDer::from(private_key).into();
            let chain = vec![CertificateDer::from(certificate)];
            let certified = CertifiedKey::from_der(chain, key, &Arc::new(default_provider()));
            certified
                .expect("parses and belongs together")
                .keys_match()
                .expect("matches");
        }
    }

    #[test]
    fn dtls_takes_the_certificate_with_its_key() {
        let Certificate {
            certificate,
            private_key,
        } = Certificate::from_seed(&Seed([7; 32]));
        assert_eq!(cert_named_group(&certificate), Ok(NamedGroup::Secp256r1));
        let keys = rust_crypto::default_provider().key_provider;
        let mut key = keys.load_private_key(&private_key).expect("loads");
        let mut signature = Buf::new();
        key.sign(b"message", HashAlgorithm::SHA256, &mut signature)
            .expect("signs");
        let verifier = aws_lc_rs::default_provider().signature_verification;
        let (hash, algorithm) = (HashAlgorithm::SHA256, Algorithm::ECDSA);
        let verify =
            |message| verifier.verify_signature(&certificate, message, &signature, hash, algorithm);
        verify(b"message").expect("verifies");
        verify(b"massage").expect_err("is of another message");
    }

    #[test]
    fn fingerprint_is_what_sdp_says() {
        let fingerprint = Certificate::from_seed(&Seed([0; 32])).fingerprint();
        assert_eq!(fingerprint.len(), 32 * 3 - 1);
        let valid = |pair: &str| {
            pair.len() == 2
                && pair
                    .chars()
                    .all(|digit| matches!(digit, '0'..='9' | 'A'..='F'))
        };
        assert!(fingerprint.split(':').all(valid), "{fingerprint}");
    }

    #[test]
    fn debug_shows_no_key() {
        let certificate = Certificate::from_seed(&Seed([0; 32]));
        let shown = format!("{certificate:?}");
        assert_eq!(
            shown,
            format!("Certificate({:?})", certificate.fingerprint())
        );
    }
}
