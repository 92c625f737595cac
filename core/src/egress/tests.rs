use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::srtp::Profile;

fn egress() -> Egress {
    let track = |kind, codec, payload_type, ssrc, rtx| Track {
        kind,
        codec,
        payload_type,
        ssrc,
        rtx,
        audio_level: Some(1),
        video_orientation: Some(4),
    };
    let rtx = Some(Rtx {
        payload_type: 97,
        ssrc: 30,
    });
    let tracks = vec![
        track(MediaKind::Audio, Codec::Opus, 111, 10, None),
        track(MediaKind::Video, Codec::Vp8, 96, 20, rtx),
    ];
    let mut egress = Egress::new(tracks, "cname".to_owned());
    let keys = Keys {
        profile: Profile::Aes128Gcm,
        material: vec![1; 56],
    };
    egress.begin(&keys).unwrap();
    egress
}

/// The datagram that was appended, behind something that stays as it is.
fn made(make: impl FnOnce(&mut Vec<u8>) -> Option<()>) -> Option<Vec<u8>> {
    let before = [9; 5];
    let mut bytes = before.to_vec();
    make(&mut bytes)?;
    assert!(bytes.starts_with(&before));
    Some(bytes.split_off(before.len()))
}

fn packet(audio_level: Option<u8>) -> Packet {
    Packet {
        ssrc: 1,
        sequence: 7,
        timestamp: 9,
        marker: true,
        extensions: Extensions {
            audio_level,
            video_orientation: None,
        },
        payload: Arc::from([5; 100]),
    }
}

const OUTGOING: Outgoing = Outgoing {
    sequence: 0x1_0203,
    timestamp: 0x0405_0607,
};

#[test]
fn nothing_leaves_without_keys() {
    let track = egress().senders.remove(0).track;
    let mut egress = Egress::new(vec![track], String::new());
    let now = Instant::now();
    assert_eq!(
        made(|bytes| egress.send(now, MediaKind::Audio, &packet(None), OUTGOING, bytes)),
        None
    );
    assert_eq!(made(|bytes| egress.report(now, 0, bytes)), None);
    assert_eq!(egress.open(&[0x80; 40]), Err(Failed));
}

#[test]
fn a_header_says_what_the_subscriber_negotiated() {
    let mut egress = egress();
    let now = Instant::now();
    let sound =
        made(|bytes| egress.send(now, MediaKind::Audio, &packet(Some(0x85)), OUTGOING, bytes))
            .unwrap();
    let header = [
        0x90,
        0x80 | 111,
        2,
        3,
        4,
        5,
        6,
        7,
        0,
        0,
        0,
        10,
        0xbe,
        0xde,
        0,
        1,
    ];
    assert_eq!(sound[..16], header);
    assert_eq!(sound[16..20], [0x10, 0x85, 0, 0]);
    let picture =
        made(|bytes| egress.send(now, MediaKind::Video, &packet(None), OUTGOING, bytes)).unwrap();
    assert_eq!(
        picture[..12],
        [0x80, 0x80 | 96, 2, 3, 4, 5, 6, 7, 0, 0, 0, 20]
    );
    assert_eq!(picture.len(), 12 + 100 + 16);
}

#[test]
fn packets_sent_again_have_their_own_source_and_numbers() {
    let mut egress = egress();
    let first =
        made(|bytes| egress.resend(MediaKind::Video, &packet(None), OUTGOING, bytes)).unwrap();
    assert_eq!(
        first[..12],
        [0x80, 0x80 | 97, 0, 1, 4, 5, 6, 7, 0, 0, 0, 30]
    );
    assert_eq!(first.len(), 12 + 2 + 100 + 16, "with the original number");
    let second =
        made(|bytes| egress.resend(MediaKind::Video, &packet(None), OUTGOING, bytes)).unwrap();
    assert_eq!(second[2..4], [0, 2]);
    assert_ne!(first[12..], second[12..], "sealed under another index");
    assert_eq!(
        made(|bytes| egress.resend(MediaKind::Audio, &packet(None), OUTGOING, bytes)),
        None,
        "not offered"
    );
}

#[test]
fn a_storm_of_losses_gets_a_bounded_answer() {
    let mut egress = egress();
    let now = Instant::now();
    let again = (0..100_000).filter(|_| {
        made(|bytes| egress.resend(MediaKind::Video, &packet(None), OUTGOING, bytes)).is_some()
    });
    assert_eq!(again.count(), usize::from(CREDIT / RESEND_COST));
    for sequence in 0..10 {
        let outgoing = Outgoing {
            sequence,
            ..OUTGOING
        };
        made(|bytes| egress.send(now, MediaKind::Video, &packet(None), outgoing, bytes)).unwrap();
    }
    let again = (0..100).filter(|_| {
        made(|bytes| egress.resend(MediaKind::Video, &packet(None), OUTGOING, bytes)).is_some()
    });
    assert_eq!(again.count(), 10 / usize::from(RESEND_COST));
}

#[test]
fn a_report_tells_the_timestamp_of_its_own_moment() {
    let mut egress = egress();
    let now = Instant::now();
    assert_eq!(
        made(|bytes| egress.report(now, 1, bytes)),
        None,
        "nothing was sent"
    );
    made(|bytes| egress.send(now, MediaKind::Video, &packet(None), OUTGOING, bytes)).unwrap();
    let later = now + Duration::from_millis(500);
    let sent = egress.senders[1].report(later, 77).unwrap();
    let expected = Sent {
        ssrc: 20,
        ntp: 77,
        timestamp: OUTGOING.timestamp + 45_000,
        packets: 1,
        octets: 100,
    };
    assert_eq!(sent, expected);
    assert!(made(|bytes| egress.report(later, 77, bytes)).is_some());
    assert!(made(|bytes| egress.goodbye(bytes)).is_some());
}

#[test]
fn the_keys_of_a_connection_do_not_change() {
    let mut egress = egress();
    let now = Instant::now();
    let before =
        made(|bytes| egress.send(now, MediaKind::Video, &packet(None), OUTGOING, bytes)).unwrap();
    let keys = Keys {
        profile: Profile::Aes128Gcm,
        material: vec![2; 56],
    };
    egress.begin(&keys).unwrap();
    let after =
        made(|bytes| egress.send(now, MediaKind::Video, &packet(None), OUTGOING, bytes)).unwrap();
    assert_eq!(before, after);
}
