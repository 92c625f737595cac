use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, ServerConnection};

use super::*;

/// Takes any certificate.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// The certificate that a client gets to see.
fn served(tls: &Tls) -> CertificateDer<'static> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut server = ServerConnection::new(tls.config()).unwrap();
    for _ in 0..10 {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).unwrap();
        }
        server.read_tls(&mut wire.as_slice()).unwrap();
        server.process_new_packets().unwrap();
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).unwrap();
        }
        client.read_tls(&mut wire.as_slice()).unwrap();
        client.process_new_packets().unwrap();
        if let Some([certificate, ..]) = client.peer_certificates() {
            return certificate.clone().into_owned();
        }
    }
    panic!("no certificate came");
}

fn new_pair() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// Puts files in place that look `age` seconds old.
fn put(settings: &Settings, (cert, key): &(String, String), age: u64) {
    for (path, text) in [(&settings.tls_cert, cert), (&settings.tls_key, key)] {
        let path = path.as_ref().unwrap();
        fs::write(path, text).unwrap();
        let modified = SystemTime::now() - Duration::from_secs(age);
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(modified)
            .unwrap();
    }
}

fn own_files() -> (tempfile::TempDir, Settings) {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        tls_cert: Some(dir.path().join("cert.pem")),
        tls_key: Some(dir.path().join("key.pem")),
        ..Settings::default()
    };
    (dir, settings)
}

#[test]
fn a_changed_certificate_is_served_and_a_broken_one_is_not() {
    let (_dir, settings) = own_files();
    let (first, second) = (new_pair(), new_pair());
    let start = Instant::now();
    put(&settings, &first, 100);
    let mut tls = Tls::load(&settings, start).unwrap();
    let before = served(&tls);

    tls.handle_timeout(start + Duration::from_secs(2));
    assert_eq!(served(&tls), before);

    // Half replaced: the key is not the certificate's.
    put(&settings, &(second.0.clone(), first.1.clone()), 90);
    tls.handle_timeout(start + Duration::from_secs(4));
    assert_eq!(served(&tls), before);

    put(&settings, &("broken".into(), "broken".into()), 80);
    tls.handle_timeout(start + Duration::from_secs(6));
    assert_eq!(served(&tls), before);

    fs::remove_file(settings.tls_key.as_ref().unwrap()).unwrap();
    tls.handle_timeout(start + Duration::from_secs(8));
    assert_eq!(served(&tls), before);

    put(&settings, &second, 70);
    tls.handle_timeout(start + Duration::from_secs(10));
    assert_ne!(served(&tls), before);
}

#[test]
fn files_are_looked_at_once_a_second() {
    let (_dir, settings) = own_files();
    let start = Instant::now();
    put(&settings, &new_pair(), 100);
    let mut tls = Tls::load(&settings, start).unwrap();
    let before = served(&tls);
    put(&settings, &new_pair(), 90);
    tls.handle_timeout(start + Duration::from_millis(900));
    assert_eq!(served(&tls), before);
    assert_eq!(tls.poll_timeout(), start + Duration::from_secs(1));
    tls.handle_timeout(start + Duration::from_secs(1));
    assert_ne!(served(&tls), before);
}

#[test]
fn a_self_signed_certificate_is_made_once_and_kept_private() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings {
        state_dir: dir.path().join("state/of/parlor"),
        public_ips: vec!["203.0.113.7".parse().unwrap()],
        ..Settings::default()
    };
    let first = served(&Tls::load(&settings, Instant::now()).unwrap());
    let again = served(&Tls::load(&settings, Instant::now()).unwrap());
    assert_eq!(first, again);
    let key = settings.state_dir.join("self-signed.key");
    assert_eq!(
        fs::metadata(key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(
        fs::metadata(&settings.state_dir)
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o700
    );
    // The subject alternative names hold the address as it is in binary.
    assert!(first.windows(4).any(|bytes| bytes == [203, 0, 113, 7]));
    assert!(first.windows(9).any(|bytes| bytes == b"localhost"));
}

#[test]
fn what_is_wrong_with_a_certificate_is_said_with_its_file() {
    let (dir, settings) = own_files();
    let said = || {
        Tls::load(&settings, Instant::now())
            .err()
            .unwrap()
            .to_string()
    };
    let name = |file: &str| dir.path().join(file).display().to_string();
    assert!(
        said().starts_with(&format!("{}: No such file", name("cert.pem"))),
        "{}",
        said()
    );
    put(&settings, &("no PEM".into(), "no PEM".into()), 9);
    assert!(said().starts_with(&format!("{}: there is no certificate", name("cert.pem"))));
    put(&settings, &(new_pair().0, "no PEM".into()), 8);
    assert!(said().starts_with(&format!("{}: there is no private key", name("key.pem"))));
    put(&settings, &(new_pair().0, new_pair().1), 7);
    assert!(said().contains(" with "), "{}", said());
}
