use super::*;

fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

#[test]
fn session_keys_are_those_of_rfc_3711_appendix_b_3() {
    let key = hex("E1F97A0D3E018BE0D64FA32C06DE4139");
    let salt = hex("0EC675AD498AFEEBB6960B3AABE6");
    let session = |label, length| {
        let mut out = vec![0; length];
        derive(&key, &salt, label, &mut out).unwrap();
        out
    };
    assert_eq!(session(0, 16), hex("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(session(2, 14), hex("30CBBC08863D8C85D49DB34A9AE1"));
    assert_eq!(
        session(1, 20),
        hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4")
    );
}

#[test]
fn session_keys_of_256_bits_are_those_of_rfc_6188_7_2() {
    let key = hex("f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6");
    let salt = hex("3b04803de51ee7c96423ab5b78d2");
    let session = |label, length| {
        let mut out = vec![0; length];
        derive(&key, &salt, label, &mut out).unwrap();
        out
    };
    assert_eq!(
        session(0, 32),
        hex("5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4")
    );
    assert_eq!(session(2, 14), hex("fa31791685ca444a9e07c6c64e93"));
    assert_eq!(
        session(1, 20),
        hex("fd9c32d39ed5fbb5a9dc96b30818454d1313dc05")
    );
}

#[test]
fn a_counter_block_has_the_source_and_the_whole_number() {
    let block = counter_block(&[0; 16], 0x0102_0304, 0x0506_0708_090a);
    assert_eq!(block, [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0]);
    let mut salt = [0xff; 16];
    salt[14..].fill(0);
    let salted = counter_block(&salt, 0x0102_0304, 0x0506_0708_090a);
    let both = block.iter().zip(salt).map(|(block, salt)| block ^ salt);
    assert!(both.eq(salted));
}

/// The master key and salt of RFC 3711 appendix B.3, of both sides.
fn rfc_3711() -> Keys {
    let (key, salt) = (
        hex("E1F97A0D3E018BE0D64FA32C06DE4139"),
        hex("0EC675AD498AFEEBB6960B3AABE6"),
    );
    Keys {
        profile: Profile::Aes128CmSha1,
        material: [&key[..], &key, &salt, &salt].concat(),
    }
}

/// What other implementations check themselves by, since the RFC has no such packets.
#[test]
fn packets_of_aes_cm_are_those_of_others() {
    let keys = rfc_3711();
    let clear = hex("800f1234 decafbad cafebabe abababab abababab abababab abababab");
    let mut packet = clear.clone();
    let sealer = keys.rtp_sealer(Side::Server).unwrap();
    sealer.seal(&mut packet, 0..12, 0x1234).unwrap();
    let sealed = "800f1234 decafbad cafebabe 4e55dc4c e79978d8 8ca4d215 949d2402 \
                  b78d6acc99ea179b8dbb";
    assert_eq!(packet, hex(sealed));
    let mut report = hex("81c8000b cafebabe abababab abababab abababab abababab");
    let mut sealer = keys.rtcp_sealer(Side::Server).unwrap();
    sealer.skip_to(1);
    sealer.seal(&mut report).unwrap();
    let sealed = "81c8000b cafebabe 7128035b e487b9bd bef89041 f977a5a8 80000001 \
                  993e08cd54d6c1230798";
    assert_eq!(report, hex(sealed));
}

#[test]
fn feedback_in_the_clear_is_taken_where_its_tag_is_right_or_refused() {
    let keys = rfc_3711();
    let Cipher::Cm(cm) = keys.cipher(Side::Client, RTCP_LABELS).unwrap() else {
        unreachable!("of this profile")
    };
    let clear = [&[0x80, 201, 0, 1, 0, 0, 0, 5][..], &[1; 24]].concat();
    // The E flag is not set (RFC 3711 §3.4).
    let mut packet = [&clear[..], &[0, 0, 0, 9]].concat();
    let tag = hmac::sign(&cm.auth, &packet);
    packet.extend_from_slice(&tag.as_ref()[..SHA1_80]);
    let mut opener = keys.rtcp_opener(Side::Client).unwrap();
    assert_eq!(opener.open(&packet), Ok(clear.clone()));

    let keys = self::keys(Profile::Aes128Gcm);
    let Cipher::Gcm { key, salt } = keys.cipher(Side::Client, RTCP_LABELS).unwrap() else {
        unreachable!("of this profile")
    };
    // Sealed as if it were set: under AES-GCM nobody of ours sends that.
    let (head, content) = clear.split_at(RTCP_CLEAR);
    let (trailer, mut content) = ([0, 0, 0, 9], content.to_vec());
    let aad = Aad::from([head, &trailer[..]].concat());
    key.seal_in_place_append_tag(nonce(&salt, 5, 9), aad, &mut content)
        .unwrap();
    let packet = [head, &content, &trailer].concat();
    let mut opener = keys.rtcp_opener(Side::Client).unwrap();
    assert_eq!(opener.open(&packet), Err(Failed));
}

#[test]
fn each_index_is_admitted_once_within_the_window() {
    let mut window = Window::default();
    let mut admitted = std::collections::BTreeSet::new();
    let (mut latest, mut state) = (0, 7_u32);
    for round in 0..20_000_u32 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let jump = if round % 500 == 499 { 200 } else { 66 };
        let index = (round * 2 + (state >> 16) % jump).saturating_sub(60);
        let too_old = latest > index && latest - index > 63;
        let fresh = !too_old && !admitted.contains(&index);
        assert_eq!(window.admit(index), fresh, "{index} after {latest}");
        if fresh {
            admitted.insert(index);
            latest = latest.max(index);
        }
    }
}

/// Browsers have one index for each source: those of two are the same.
#[test]
fn each_source_of_reports_counts_by_itself() {
    for profile in [Profile::Aes128CmSha1, Profile::Aes128Gcm] {
        let keys = self::keys(profile);
        let report = |ssrc: u32, index| {
            let mut report = [&[0x80, 201, 0, 1][..], &ssrc.to_be_bytes()].concat();
            let mut sealer = keys.rtcp_sealer(Side::Client).unwrap();
            sealer.skip_to(index);
            sealer.seal(&mut report).unwrap();
            report
        };
        let mut opener = keys.rtcp_opener(Side::Client).unwrap();
        for index in [70, 1, 71] {
            let ssrc = if index == 1 { 6 } else { 5 };
            assert!(opener.open(&report(ssrc, index)).is_ok(), "{ssrc}, {index}");
        }
        assert!(opener.open(&report(6, 70)).is_ok(), "the other's index");
        assert_eq!(opener.open(&report(6, 70)), Err(Failed), "again");
        assert_eq!(opener.open(&report(5, 1)), Err(Failed), "too old");
        let sources = (100..200).filter(|ssrc| opener.open(&report(*ssrc, 9)).is_ok());
        assert_eq!(sources.count() + 2, REPORTING);
        assert!(opener.open(&report(5, 72)).is_ok(), "known ones go on");
    }
}

#[test]
fn the_key_stream_is_that_of_rfc_3711_appendix_b_2() {
    let key = UnboundCipherKey::new(&cipher::AES_128, &hex("2B7E151628AED2A6ABF7158809CF4F3C"));
    let key = EncryptingKey::ctr(key.unwrap()).unwrap();
    let mut salt = [0; 16];
    salt[..14].copy_from_slice(&hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD"));
    let mut stream = [0; 32];
    apply_counter(&key, counter_block(&salt, 0, 0), &mut stream).unwrap();
    let expected = hex("E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB");
    assert_eq!(stream.as_slice(), expected);
}

/// The session key and salt of RFC 7714 §16.1 and §17.1.
fn rfc_7714(key: &str) -> Cipher {
    let key = hex(key);
    let algorithm = match key.len() {
        16 => &aead::AES_128_GCM,
        _ => &aead::AES_256_GCM,
    };
    Cipher::Gcm {
        key: LessSafeKey::new(UnboundKey::new(algorithm, &key).unwrap()),
        salt: hex("517569642070726F2071756F").try_into().unwrap(),
    }
}

const KEY_128: &str = "000102030405060708090a0b0c0d0e0f";
const KEY_256: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

#[test]
fn rtp_is_sealed_and_opened_as_in_rfc_7714_16_1_1_and_16_2_1() {
    let packet = "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 \
                  69736120 696e2070 61727465 73207472 6573";
    for (key, sealed) in [
        (
            KEY_128,
            "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f \
             42a5f47a 51c7d19b 36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce",
        ),
        (
            KEY_256,
            "8040f17b 8041f8d3 5501a0b2 32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 \
             b50b2a02 76ffae0f 1ba63799 b87b7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
        ),
    ] {
        let clear = hex(packet);
        let mut packet = clear.clone();
        let sealer = RtpSealer(rfc_7714(key));
        sealer.seal(&mut packet, 0..12, 0xf17b).unwrap();
        assert_eq!(packet, hex(sealed));
        let mut opened = vec![7; 3];
        let opener = RtpOpener(rfc_7714(key));
        opener.open(&packet, 12, 0xf17b, &mut opened).unwrap();
        assert_eq!(opened, clear[12..]);
    }
}

#[test]
fn rtcp_is_sealed_and_opened_as_in_rfc_7714_17_1() {
    let packet = hex(
        "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef \
         deadbeef deadbeef deadbeef deadbeef",
    );
    let mut sealer = RtcpSealer {
        cipher: rfc_7714(KEY_128),
        next: 0x5d4,
    };
    let mut sealed = packet.clone();
    sealer.seal(&mut sealed).unwrap();
    let expected = hex(
        "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 \
         730d6fda 4ce09b46 86303ded 0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
    );
    assert_eq!(sealed, expected);
    let mut opener = RtcpOpener {
        cipher: rfc_7714(KEY_128),
        windows: Vec::new(),
    };
    assert_eq!(opener.open(&sealed), Ok(packet));
    assert_eq!(opener.open(&sealed), Err(Failed), "it has come before");
}

fn keys(profile: Profile) -> Keys {
    let length = 2 * (profile.key_bytes() + profile.salt_bytes());
    // Both directions alike, so that one side can open what it has sealed.
    let mut material = vec![7; length];
    let salts = 2 * profile.key_bytes();
    material[salts..].fill(9);
    Keys { profile, material }
}

const PROFILES: [Profile; 3] = [
    Profile::Aes128CmSha1,
    Profile::Aes128Gcm,
    Profile::Aes256Gcm,
];

#[test]
fn feedback_is_opened_once_and_only_untouched() {
    for profile in PROFILES {
        let keys = keys(profile);
        let (mut sealer, mut opener) = (
            keys.rtcp_sealer(Side::Server).unwrap(),
            keys.rtcp_opener(Side::Client).unwrap(),
        );
        let packet = [&[0x80, 201, 0, 1, 0, 0, 0, 5][..], &[1; 24]].concat();
        let seal = |sealer: &mut RtcpSealer| {
            let mut sealed = packet.clone();
            sealer.seal(&mut sealed).unwrap();
            sealed
        };
        let first = seal(&mut sealer);
        for at in 0..first.len() {
            let mut touched = first.clone();
            touched[at] ^= 1;
            assert_eq!(opener.open(&touched), Err(Failed), "{profile:?} byte {at}");
        }
        for length in 0..first.len() {
            assert_eq!(opener.open(&first[..length]), Err(Failed));
        }
        let second = seal(&mut sealer);
        assert_eq!(opener.open(&second).as_ref(), Ok(&packet));
        assert_eq!(opener.open(&first).as_ref(), Ok(&packet), "late, but new");
        assert_eq!(opener.open(&first), Err(Failed), "again");
        let later = (0..100).map(|_| seal(&mut sealer)).last().unwrap();
        assert!(opener.open(&later).is_ok());
        let mut other = keys.rtcp_sealer(Side::Server).unwrap();
        assert_eq!(
            opener.open(&seal(&mut other)),
            Err(Failed),
            "too old to tell"
        );
    }
}

#[test]
fn packets_are_opened_only_untouched_and_under_their_own_number() {
    for profile in PROFILES {
        let keys = keys(profile);
        let (sealer, opener) = (
            keys.rtp_sealer(Side::Server).unwrap(),
            keys.rtp_opener(Side::Client).unwrap(),
        );
        let clear = [&[0x80, 96, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2][..], &[3; 40]].concat();
        let mut sealed = clear.clone();
        sealer.seal(&mut sealed, 0..12, 0x1_0005).unwrap();
        let mut opened = Vec::new();
        let mut open = |packet: &[u8], sequence| opener.open(packet, 12, sequence, &mut opened);
        assert_eq!(open(&sealed, 5), Err(Failed), "before the rollover");
        for at in 0..sealed.len() {
            let mut touched = sealed.clone();
            touched[at] ^= 1;
            assert_eq!(open(&touched, 0x1_0005), Err(Failed), "{profile:?} {at}");
        }
        for length in 0..sealed.len() {
            assert_eq!(open(&sealed[..length], 0x1_0005), Err(Failed));
        }
        assert_eq!(open(&sealed, 0x1_0005), Ok(()));
        assert_eq!(opened, clear[12..]);
    }
}

#[test]
fn material_that_is_too_short_is_refused() {
    for profile in PROFILES {
        let mut keys = keys(profile);
        keys.material.pop();
        assert!(keys.rtp_sealer(Side::Server).is_err() && keys.rtcp_sealer(Side::Server).is_err());
        keys.material
            .truncate(2 * profile.key_bytes() + profile.salt_bytes() - 1);
        assert!(keys.rtp_opener(Side::Client).is_err() && keys.rtcp_opener(Side::Client).is_err());
    }
}

#[test]
fn an_index_is_never_used_twice() {
    let mut sealer = keys(Profile::Aes128Gcm).rtcp_sealer(Side::Server).unwrap();
    sealer.next = ENCRYPTED - 1;
    let packet = vec![0x80, 201, 0, 1, 0, 0, 0, 5];
    assert_eq!(sealer.seal(&mut packet.clone()), Err(Failed));
    assert_eq!(sealer.seal(&mut packet.clone()), Err(Failed));
}
