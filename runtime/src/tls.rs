//! The server's certificate: the operator's, read again when it changes, or a self-signed one.

mod files;
mod self_signed;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use rustls::ServerConfig;

use crate::config::Settings;
use crate::limits;
use files::Stamp;

/// Why there is no certificate to serve with.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path}: {problem}")]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Certificate and key cannot be used.
    #[error("{cert} with {key}: {error}")]
    Pair {
        /// The file of the certificate.
        cert: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// Why not.
        error: rustls::Error,
    },
    /// A self-signed certificate cannot be made.
    #[error("no self-signed certificate could be made: {0}")]
    Making(rcgen::Error),
}

/// The files of a certificate.
#[derive(Debug, Clone)]
pub(crate) struct Pair {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
}

/// What new TLS connections are set up with.
pub(crate) struct Tls {
    pair: Pair,
    seen: Option<Stamp>,
    look_again: Instant,
    config: Arc<ServerConfig>,
}

impl Tls {
    /// Loads the operator's certificate, or the self-signed one, which is made where there is
    /// none yet.
    pub(crate) fn load(settings: &Settings, now: Instant) -> Result<Self, TlsError> {
        let pair = match (&settings.tls_cert, &settings.tls_key) {
            (Some(cert), Some(key)) => Pair {
                cert: cert.clone(),
                key: key.clone(),
            },
            (Some(_) | None, _) => self_signed::find_or_make(settings)?,
        };
        let seen = Stamp::of(&pair);
        let config = files::server_config(&pair)?;
        Ok(Self {
            pair,
            seen,
            look_again: now + limits::TLS_RELOAD,
            config,
        })
    }

    /// For a connection that begins here; those that have begun keep what they have.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Looks whether the files have changed, every second.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if now < self.look_again {
            return;
        }
        self.look_again = now + limits::TLS_RELOAD;
        let seen = Stamp::of(&self.pair);
        if seen == self.seen {
            return;
        }
        // What cannot be used is told once; the next change of the files is the next try.
        self.seen = seen;
        match files::server_config(&self.pair) {
            Ok(config) => {
                self.config = config;
                tracing::info!("the certificate has been read again");
            }
            Err(error) => tracing::warn!(
                %error,
                "the changed certificate cannot be used, the one before stays"
            ),
        }
    }

    pub(crate) fn poll_timeout(&self) -> Instant {
        self.look_again
    }
}

/// The addresses that a self-signed certificate is for.
fn own_addresses(settings: &Settings) -> Vec<IpAddr> {
    let mut addresses = crate::net::interface_addresses();
    addresses.extend(&settings.public_ips);
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}
