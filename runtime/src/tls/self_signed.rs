//! The certificate of a server that was given none.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};

use super::{Pair, TlsError, own_addresses};
use crate::config::Settings;
use crate::net;

/// The kept certificate, or a new one. It is kept so that whoever has accepted it once in a
/// browser is not asked at each start.
pub(super) fn find_or_make(settings: &Settings) -> Result<Pair, TlsError> {
    let pair = Pair {
        cert: settings.state_dir.join("self-signed.crt"),
        key: settings.state_dir.join("self-signed.key"),
    };
    if !pair.cert.exists() || !pair.key.exists() {
        make(settings, &pair)?;
    }
    Ok(pair)
}

fn make(settings: &Settings, pair: &Pair) -> Result<(), TlsError> {
    let key = KeyPair::generate().map_err(TlsError::Making)?;
    let certificate = parameters(settings)
        .and_then(|parameters| parameters.self_signed(&key))
        .map_err(TlsError::Making)?;
    let dir = &settings.state_dir;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| TlsError::File {
            path: dir.clone(),
            error,
        })?;
    write(&pair.key, 0o600, key.serialize_pem().as_bytes())?;
    write(&pair.cert, 0o644, certificate.pem().as_bytes())?;
    tracing::info!(dir = %dir.display(), "a self-signed certificate has been made");
    Ok(())
}

fn parameters(settings: &Settings) -> Result<CertificateParams, rcgen::Error> {
    let mut names = vec!["localhost".to_owned()];
    names.extend(net::host_name().filter(|name| name != "localhost"));
    names.extend(own_addresses(settings).iter().map(ToString::to_string));
    let mut parameters = CertificateParams::new(names)?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, "Parlor (self-signed)");
    parameters.distinguished_name = subject;
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // It ends with the server that keeps it: nothing here renews it.
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2049, 12, 31);
    Ok(parameters)
}

/// Puts a file in place whole, or not at all.
fn write(path: &Path, mode: u32, contents: &[u8]) -> Result<(), TlsError> {
    let whole = || -> io::Result<()> {
        let part = path.with_extension("new");
        match fs::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&part)?;
        file.write_all(contents)?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    whole().map_err(|error| TlsError::File {
        path: path.to_owned(),
        error,
    })
}
