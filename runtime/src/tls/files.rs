//! Certificate files into a TLS configuration.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{Pair, TlsError};
use crate::limits;

/// By what a change of the files is noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp([(SystemTime, u64); 2]);

impl Stamp {
    /// Nothing where a file is missing, as it is while it is being replaced.
    pub(super) fn of(pair: &Pair) -> Option<Self> {
        let stamp = |path: &Path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        Some(Self([stamp(&pair.cert)?, stamp(&pair.key)?]))
    }
}

pub(super) fn server_config(pair: &Pair) -> Result<Arc<ServerConfig>, TlsError> {
    let content = |path: &Path, problem: String| TlsError::Content {
        path: path.to_owned(),
        problem,
    };
    let pem = read(&pair.cert)?;
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| content(&pair.cert, format!("it is not PEM: {error}")))?;
    if chain.is_empty() {
        return Err(content(
            &pair.cert,
            "there is no certificate in it (PEM)".into(),
        ));
    }
    let key = PrivateKeyDer::from_pem_slice(&read(&pair.key)?)
        .map_err(|error| content(&pair.key, format!("there is no private key in it: {error}")))?;
    let unusable = |error| TlsError::Pair {
        cert: pair.cert.clone(),
        key: pair.key.clone(),
        error,
    };
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let file = |error| TlsError::File {
        path: path.to_owned(),
        error,
    };
    let length = std::fs::metadata(path).map_err(file)?.len();
    if length > limits::TLS_FILE_BYTES {
        let problem = format!("it is larger than {} bytes", limits::TLS_FILE_BYTES);
        return Err(TlsError::Content {
            path: path.to_owned(),
            problem,
        });
    }
    std::fs::read(path).map_err(file)
}
