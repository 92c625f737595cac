use std::sync::Arc;
use std::time::{Duration, Instant};

use dimpl::crypto::{Buf, NamedGroup, SupportedKxGroup, aws_lc_rs};
use str0m::RtcConfig;
use str0m::config::{DtlsCert, DtlsVersion};
use str0m::crypto::CryptoError;
use str0m::crypto::dtls::{DtlsInstance, DtlsProvider, ProtocolVersion};

use super::*;
use crate::entropy::{Entropy, Seed};
use crate::epoch::base;
use crate::epoch::pair::{End, Pair};

const X25519: u16 = 0x001d;
const P256: u16 = 0x0017;

#[test]
fn stock_client_connects_by_x25519() {
    let pair = connect(client(DtlsVersion::Dtls12), server(DtlsVersion::Dtls12));
    assert_eq!(group_offered(&pair.answerer), Some(X25519));
}

#[test]
fn client_of_p256_alone_connects_by_it() {
    let provider = CryptoProvider {
        dtls_provider: &P256Client,
        ..from_feature_flags()
    };
    let config = RtcConfig::new().set_crypto_provider(Arc::new(provider));
    let pair = connect(config, server(DtlsVersion::Dtls12));
    assert_eq!(group_offered(&pair.answerer), Some(P256));
}

#[test]
fn auto_takes_the_version_that_the_client_speaks() {
    for (spoken, agreed) in [
        (DtlsVersion::Dtls12, ProtocolVersion::DTLS1_2),
        (DtlsVersion::Dtls13, ProtocolVersion::DTLS1_3),
    ] {
        let mut pair = connect(client(spoken), server(DtlsVersion::Auto));
        assert_eq!(
            pair.answerer.rtc.direct_api().dtls_protocol_version(),
            Some(agreed)
        );
    }
}

#[test]
fn client_that_would_speak_13_connects_by_12() {
    let mut pair = connect(client(DtlsVersion::Auto), server(DtlsVersion::Dtls12));
    let agreed = pair.answerer.rtc.direct_api().dtls_protocol_version();
    assert_eq!(agreed, Some(ProtocolVersion::DTLS1_2));
}

#[test]
fn same_seeds_send_the_same_bytes() {
    for version in [DtlsVersion::Dtls12, DtlsVersion::Dtls13, DtlsVersion::Auto] {
        assert_eq!(
            transcript(version, [1, 2]),
            transcript(version, [1, 2]),
            "{version}"
        );
    }
}

#[test]
fn other_seeds_send_other_bytes() {
    let [client, server] = transcript(DtlsVersion::Dtls12, [1, 2]);
    let [_, other_server] = transcript(DtlsVersion::Dtls12, [1, 3]);
    let [other_client, _] = transcript(DtlsVersion::Dtls12, [4, 2]);
    assert_ne!(server, other_server);
    assert_ne!(client, other_client);
}

#[test]
fn connection_is_refused_where_nothing_is_lent() {
    let certificate = Certificate::from_seed(&Seed([0; 32])).to_dtls();
    let dtls = provider().dtls_provider;
    let made = dtls.new_dtls(&certificate, Instant::now(), DtlsVersion::Dtls12, None);
    assert!(matches!(made, Err(CryptoError::Other(_))));
    for group in key_exchange::GROUPS {
        assert!(group.start_exchange(Buf::new()).is_err());
    }
}

#[test]
fn provider_passes_all_of_dimpls_checks() {
    // Without the rehearsal that a connection is made with.
    let config = dimpl::Config::builder().with_crypto_provider(dtls::primitives());
    Entropy::new(&Seed([1; 32]))
        .lend(|| config.build())
        .expect("is valid");
}

#[test]
fn rehearsed_exchange_is_of_no_use_elsewhere() {
    for group in key_exchange::GROUPS {
        let rehearsed = key_exchange::rehearse(|| group.start_exchange(Buf::new()));
        let rehearsed = rehearsed.expect("starts");
        assert!(rehearsed.pub_key().is_empty());
        let peer = start(*group, 1).pub_key().to_vec();
        assert!(rehearsed.complete(&peer, &mut Buf::new()).is_err());
        assert!(!start(*group, 1).pub_key().is_empty());
    }
}

#[test]
fn rehearsal_ends_with_a_panic() {
    let rehearsed = std::panic::catch_unwind(|| key_exchange::rehearse(|| panic!("inside")));
    assert!(rehearsed.is_err());
    for group in key_exchange::GROUPS {
        assert!(!start(*group, 1).pub_key().is_empty());
    }
}

#[test]
fn exchange_agrees_with_that_of_the_stock_provider() {
    for group in key_exchange::GROUPS {
        let stock = aws_lc_rs::default_provider();
        let peer = stock
            .supported_kx_groups()
            .find(|stock| stock.name() == group.name());
        let peer = peer
            .expect("has the group")
            .start_exchange(Buf::new())
            .expect("starts");
        let own = start(*group, 1);
        let (own_key, peer_key) = (own.pub_key().to_vec(), peer.pub_key().to_vec());
        let (mut ours, mut theirs) = (Buf::new(), Buf::new());
        own.complete(&peer_key, &mut ours).expect("completes");
        peer.complete(&own_key, &mut theirs).expect("completes");
        assert_eq!(ours.as_ref(), theirs.as_ref());
    }
}

#[test]
fn exchange_follows_from_the_seed() {
    for group in key_exchange::GROUPS {
        let key = |seed| start(*group, seed).pub_key().to_vec();
        assert_eq!(key(1), key(1));
        assert_ne!(key(1), key(2));
    }
}

#[test]
fn exchange_refuses_bad_points() {
    // A point of low order, one off the curve, and the wrong lengths.
    let mut off = [7; 65];
    off[0] = 4;
    for bad in [&[0; 32][..], &off, &[], &[9; 31], &[4; 64], &[0; 65]] {
        for group in key_exchange::GROUPS {
            let mut shared = Buf::new();
            assert!(
                start(*group, 1).complete(bad, &mut shared).is_err(),
                "{bad:?}"
            );
            assert!(shared.is_empty());
        }
    }
}

fn start(group: &dyn SupportedKxGroup, seed: u8) -> Box<dyn dimpl::crypto::ActiveKeyExchange> {
    let mut entropy = Entropy::new(&Seed([seed; 32]));
    entropy
        .lend(|| group.start_exchange(Buf::new()))
        .expect("starts")
}

/// A client as others build it: nothing of it follows from a seed but what `fastrand` gives.
fn client(version: DtlsVersion) -> RtcConfig {
    RtcConfig::new()
        .set_crypto_provider(Arc::new(from_feature_flags()))
        .set_dtls_version(version)
}

fn server(version: DtlsVersion) -> RtcConfig {
    seeded(version, 2).set_ice_lite(true)
}

fn seeded(version: DtlsVersion, seed: u8) -> RtcConfig {
    RtcConfig::new()
        .set_rtp_mode(true)
        .set_crypto_provider(provider())
        .set_dtls_cert(Certificate::from_seed(&Seed([seed; 32])).to_dtls())
        .set_dtls_version(version)
}

fn connect(client: RtcConfig, server: RtcConfig) -> Pair {
    let now = base(Instant::now());
    let client = End::new(client, Entropy::new(&Seed([1; 32])), 1, now);
    let server = End::new(server, Entropy::new(&Seed([2; 32])), 2, now);
    Pair::connect(client, server, now).expect("connects")
}

/// All that a client and a server of these seeds send in a call of three seconds.
fn transcript(version: DtlsVersion, seeds: [u8; 2]) -> [Vec<Vec<u8>>; 2] {
    let now = base(Instant::now());
    let [client, server] = seeds;
    let end = |config, seed, host| End::new(config, Entropy::new(&Seed([seed; 32])), host, now);
    let server_config = seeded(version, server).set_ice_lite(true);
    let client = end(seeded(version, client), client, 1);
    let server = end(server_config, server, 2);
    let mut pair = Pair::connect(client, server, now).expect("connects");
    pair.offerer.declare_audio();
    for _ in 0..300 {
        pair.step(Duration::from_millis(10)).expect("goes on");
    }
    [pair.offerer.sent, pair.answerer.sent]
}

/// The group of the server key exchange ([RFC 8422](https://www.rfc-editor.org/rfc/rfc8422) §5.4)
/// among what a server sent.
fn group_offered(server: &End) -> Option<u16> {
    const RECORD: usize = 13;
    const MESSAGE: usize = 12;
    const HANDSHAKE: u8 = 22;
    const SERVER_KEY_EXCHANGE: u8 = 12;
    const NAMED_CURVE: u8 = 3;

    for datagram in &server.sent {
        let mut rest = datagram.as_slice();
        while let [HANDSHAKE, ..] = rest {
            let length = usize::from(u16::from_be_bytes([rest[11], rest[12]]));
            let (record, after) = rest.split_at(RECORD + length);
            if record[RECORD] == SERVER_KEY_EXCHANGE {
                let [NAMED_CURVE, high, low] = record[RECORD + MESSAGE..][..3] else {
                    return None;
                };
                return Some(u16::from_be_bytes([high, low]));
            }
            rest = after;
        }
    }
    None
}

/// The DTLS of a client that knows P-256 and no other group.
#[derive(Debug)]
struct P256Client;

impl DtlsProvider for P256Client {
    fn generate_certificate(&self) -> Option<DtlsCert> {
        from_feature_flags().dtls_provider.generate_certificate()
    }

    fn new_dtls(
        &self,
        certificate: &DtlsCert,
        now: Instant,
        _: DtlsVersion,
        _: Option<usize>,
    ) -> Result<Box<dyn DtlsInstance>, CryptoError> {
        let config = dimpl::Config::builder()
            .with_crypto_provider(aws_lc_rs::default_provider())
            .kx_groups(&[NamedGroup::Secp256r1])
            .build()
            .map_err(|error| CryptoError::Other(error.to_string()))?;
        let dtls = dimpl::Dtls::new_12(Arc::new(config), certificate.clone(), now);
        Ok(Box::new(dtls::Connection { dtls }))
    }
}
