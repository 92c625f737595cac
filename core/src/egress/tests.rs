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
    let track = egress().senders[0].take().unwrap().track;
    let mut egress = Egress::new(vec![track], String::new());
    let now = Instant::now();
    assert_eq!(
        made(|bytes| egress.send(now, MediaKind::Audio, &packet(None), OUTGOING, bytes)),
        None
    );
    assert_eq!(made(|bytes| egress.report(now, 0, bytes)), None);
    assert_eq!(egress.open(0, &[0x80; 40]), Err(Failed));
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
    let sent = egress.senders[1]
        .as_ref()
        .unwrap()
        .report(later, 77)
        .unwrap();
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

/// A receiver report about a source.
fn report(ssrc: u32, lost: i32, sender_report: u32, delay: u32) -> Vec<u8> {
    let mut compound = vec![0x81, 201, 0, 7, 0, 0, 0, 9];
    let lost = lost as u32 & 0xff_ffff;
    for word in [ssrc, 3 << 24 | lost, 0, 0, sender_report, delay] {
        compound.extend(word.to_be_bytes());
    }
    compound
}

#[test]
fn reports_say_how_well_a_subscriber_is_reached() {
    let mut egress = egress();
    // The keys of both directions are alike here: what the client seals is sealed by the server's.
    let keys = Keys {
        profile: Profile::Aes128Gcm,
        material: vec![1; 56],
    };
    let mut client = keys.rtcp_sealer().unwrap();
    let now = Instant::now();
    for sequence in 0..100 {
        let outgoing = Outgoing {
            sequence,
            ..OUTGOING
        };
        made(|bytes| egress.send(now, MediaKind::Video, &packet(None), outgoing, bytes)).unwrap();
    }
    let mut hear = |egress: &mut Egress, ntp, mut compound: Vec<u8>| {
        client.seal(&mut compound).unwrap();
        egress.open(ntp, &compound).unwrap()
    };
    let second = 1 << 32;
    let half = 32_768;
    let first = hear(&mut egress, 10 * second, report(20, 7, 9 << 16, half));
    assert_eq!(first.lost, 7);
    assert_eq!(first.round_trip, Some(Duration::from_millis(500)));
    let again = hear(&mut egress, 10 * second, report(20, 9, 0, 0));
    assert_eq!((again.lost, again.round_trip), (2, None));
    // Lies: more than were sent, fewer than before, an answer before the question, of another.
    assert_eq!(hear(&mut egress, 0, report(20, 8_000_000, 0, 0)).lost, 91);
    assert_eq!(hear(&mut egress, 0, report(20, -5, 0, 0)).lost, 0);
    let early = hear(&mut egress, 10 * second, report(20, 0, 10 << 16, 1));
    assert_eq!(early.round_trip, None);
    assert_eq!(
        hear(&mut egress, 10 * second, report(21, 9, 9 << 16, 0)),
        Heard::default()
    );
    let mut estimate = vec![0x8f, 206, 0, 5, 0, 0, 0, 9, 0, 0, 0, 0];
    estimate.extend(*b"REMB");
    estimate.extend([1, 0, 3, 0xe8, 0, 0, 0, 20]);
    hear(&mut egress, 0, estimate);
    let expected = Quality {
        lost: 100,
        fraction_lost: 3,
        round_trip: Some(Duration::from_millis(500)),
        estimate: Some(1_000),
    };
    assert_eq!(egress.quality(), expected);
}

#[test]
fn wishes_are_those_of_the_subscribers_own_tracks() {
    let mut egress = egress();
    let keys = Keys {
        profile: Profile::Aes128Gcm,
        material: vec![1; 56],
    };
    let mut client = keys.rtcp_sealer().unwrap();
    let mut compound = Vec::new();
    for ssrc in [10, 20, 30, 40] {
        compound.extend([0x81, 205, 0, 3, 0, 0, 0, 9, 0, 0, 0, ssrc, 0, ssrc, 0, 0]);
        compound.extend([0x81, 206, 0, 2, 0, 0, 0, 9, 0, 0, 0, ssrc]);
    }
    client.seal(&mut compound).unwrap();
    let heard = egress.open(0, &compound).unwrap();
    let again = |kind, sequence| Wish::Again(kind, vec![sequence]);
    assert_eq!(
        heard.wishes,
        [
            again(MediaKind::Audio, 10),
            Wish::Keyframe,
            again(MediaKind::Video, 20),
            Wish::Keyframe
        ]
    );
    assert_eq!(egress.open(0, &compound), Err(Failed), "it comes again");
}
