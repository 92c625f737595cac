use std::time::Duration;

use super::*;
use crate::payload::Payload;
use crate::srtp::{Profile, Side};

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
        payload: Payload::from(&[5; 100][..]),
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

/// The payload of a datagram that was sealed under this number.
fn opened(datagram: &[u8], header: usize, sequence: u64) -> Result<Vec<u8>, Failed> {
    let mut payload = Vec::new();
    let opener = keys().rtp_opener(Side::Server)?;
    opener.open(datagram, header, sequence, &mut payload)?;
    Ok(payload)
}

fn keys() -> Keys {
    Keys {
        profile: Profile::Aes128Gcm,
        material: vec![1; 56],
    }
}

#[test]
fn packets_are_sealed_under_their_number_beyond_sixteen_bits() {
    let mut egress = egress();
    let now = Instant::now();
    let sent = made(|bytes| egress.send(now, MediaKind::Video, &packet(None), OUTGOING, bytes));
    let sent = sent.unwrap();
    assert_eq!(opened(&sent, 12, OUTGOING.sequence), Ok(vec![5; 100]));
    assert_eq!(opened(&sent, 12, 0x0203), Err(Failed));
    let again = made(|bytes| egress.resend(MediaKind::Video, &packet(None), OUTGOING, bytes));
    let original = [&[2, 3][..], &[5; 100]].concat();
    assert_eq!(opened(&again.unwrap(), 12, 1), Ok(original));
}

#[test]
fn packets_sent_again_roll_over_too() {
    let mut egress = egress();
    let mut bytes = Vec::new();
    for number in 1..=0x1_0002_u64 {
        egress.credit = CREDIT;
        bytes.clear();
        let again = egress.resend(MediaKind::Video, &packet(None), OUTGOING, &mut bytes);
        assert_eq!(again, Some(()));
        if number & 0xffff < 3 {
            assert!(opened(&bytes, 12, number).is_ok(), "{number:#x}");
            assert!(
                opened(&bytes, 12, number ^ 0x1_0000).is_err(),
                "{number:#x}"
            );
        }
    }
}

#[test]
fn a_subscriber_gets_the_extensions_that_it_has_ids_for() {
    let mut egress = egress();
    let now = Instant::now();
    let both = Packet {
        marker: false,
        extensions: Extensions {
            audio_level: Some(0x11),
            video_orientation: Some(3),
        },
        ..packet(None)
    };
    let mut header = |sound, picture| {
        let track = &mut egress.senders[1].as_mut().unwrap().track;
        (track.audio_level, track.video_orientation) = (sound, picture);
        made(|bytes| egress.send(now, MediaKind::Video, &both, OUTGOING, bytes)).unwrap()
    };
    let neither = header(None, None);
    assert_eq!(neither[..2], [0x80, 96], "neither extension nor marker");
    assert_eq!(neither.len(), 12 + 100 + 16);
    assert_eq!(
        header(Some(2), None)[12..20],
        [0xbe, 0xde, 0, 1, 0x20, 0x11, 0, 0]
    );
    assert_eq!(
        header(None, Some(9))[12..20],
        [0xbe, 0xde, 0, 1, 0x90, 3, 0, 0]
    );
    assert_eq!(header(Some(2), Some(9))[16..20], [0x20, 0x11, 0x90, 3]);
}

#[test]
fn credit_for_packets_sent_again_does_not_grow_without_end() {
    let mut egress = egress();
    let now = Instant::now();
    for sequence in 0..10_000 {
        let outgoing = Outgoing {
            sequence,
            ..OUTGOING
        };
        made(|bytes| egress.send(now, MediaKind::Video, &packet(None), outgoing, bytes)).unwrap();
    }
    let again = (0..10_000).filter(|_| {
        made(|bytes| egress.resend(MediaKind::Video, &packet(None), OUTGOING, bytes)).is_some()
    });
    assert_eq!(again.count(), usize::from(CREDIT / RESEND_COST));
}

/// The compound in the SRTCP packet of this number.
fn compound(sealed: Option<Vec<u8>>) -> Vec<u8> {
    let mut opener = keys().rtcp_opener(Side::Server).unwrap();
    opener.open(&sealed.unwrap()).unwrap()
}

#[test]
fn reports_and_goodbyes_are_of_all_that_was_sent_and_of_nothing_else() {
    let mut egress = egress();
    let now = Instant::now();
    let early = Outgoing {
        sequence: 1,
        timestamp: u32::MAX - 9,
    };
    made(|bytes| egress.send(now, MediaKind::Audio, &packet(None), early, bytes)).unwrap();
    let goodbye = compound(made(|bytes| egress.goodbye(bytes)));
    assert_eq!(
        goodbye,
        [0x80, 201, 0, 1, 0, 0, 0, 10, 0x81, 203, 0, 1, 0, 0, 0, 10]
    );
    // Its timestamps wrap; what was overtaken says nothing of the present.
    for (sequence, timestamp) in [(3, 50), (2, 20)] {
        let outgoing = Outgoing {
            sequence,
            timestamp,
        };
        made(|bytes| egress.send(now, MediaKind::Audio, &packet(None), outgoing, bytes)).unwrap();
    }
    made(|bytes| egress.send(now, MediaKind::Video, &packet(None), OUTGOING, bytes)).unwrap();
    let ntp = 0x0102_0304_0506_0708;
    let report = compound(made(|bytes| egress.report(now, ntp, bytes)));
    let sound = [
        0x80, 200, 0, 6, 0, 0, 0, 10, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 50, 0, 0, 0, 3, 0, 0, 1, 44,
    ];
    let picture = [
        0x80, 200, 0, 6, 0, 0, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 4, 5, 6, 7, 0, 0, 0, 1, 0, 0, 0, 100,
    ];
    assert_eq!(report[..28], sound);
    assert_eq!(report[28..56], picture);
    let mut names = vec![0x82, 202, 0, 6];
    for ssrc in [10, 20] {
        names.extend([0, 0, 0, ssrc, 1, 5, b'c', b'n', b'a', b'm', b'e', 0]);
    }
    assert_eq!(report[56..], names);
}

#[test]
fn a_report_about_what_is_to_come_goes_back_in_time() {
    let mut egress = egress();
    let now = Instant::now();
    let ahead = now + Duration::from_millis(100);
    made(|bytes| egress.send(ahead, MediaKind::Video, &packet(None), OUTGOING, bytes)).unwrap();
    let sent = egress.senders[1].as_ref().unwrap().report(now, 0).unwrap();
    assert_eq!(sent.timestamp, OUTGOING.timestamp - 9_000);
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
    let mut client = keys.rtcp_sealer(Side::Server).unwrap();
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
    // Fewer, where late ones have come, and as many as before again: nothing was lost since.
    for lost in [4, 9] {
        let again = hear(&mut egress, 10 * second, report(20, lost, 0, 0));
        assert_eq!(again.lost, 0);
    }
    let slow = hear(&mut egress, 80 * second, report(20, 9, 19 << 16, 0));
    assert_eq!(slow.round_trip, None, "61 seconds are not believed");
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
    let mut client = keys.rtcp_sealer(Side::Server).unwrap();
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
