//! Certificates and the crypto provider.

/// The DTLS certificate of a server.
#[derive(Clone)]
pub struct Certificate {
    /// X.509, DER.
    pub certificate: Vec<u8>,
    /// The private key, PKCS#8 DER (ECDSA P-256).
    pub private_key: Vec<u8>,
}
