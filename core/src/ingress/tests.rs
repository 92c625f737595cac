use super::*;
use crate::egress::rtcp::{Feedback, read};
use crate::srtp::{Profile, RtpSealer};

const SOUND: u32 = 10;
const PICTURE: u32 = 20;
const REPAIR: u32 = 21;

fn tracks(named: bool) -> Vec<Track> {
    let track = |kind, codec, payload_type, rtx, source: u32, repair| Track {
        kind,
        codec,
        payload_type,
        rtx,
        source: named.then_some(source),
        repair,
    };
    let repair = named.then_some(REPAIR);
    vec![
        track(MediaKind::Audio, Codec::Opus, 111, None, SOUND, None),
        track(MediaKind::Video, Codec::Vp8, 96, Some(97), PICTURE, repair),
    ]
}

/// An ingress and its client. Both directions have the same keys, so that the client seals as the
/// server does.
struct Pair {
    now: Instant,
    ingress: Ingress,
    sealer: RtpSealer,
    reports: RtcpSealer,
    feedback: RtcpOpener,
}

impl Pair {
    fn new(named: bool) -> Self {
        let now = Instant::now();
        let ids = ExtensionIds {
            audio_level: Some(1),
            video_orientation: Some(4),
            transport_cc: Some(3),
        };
        let mut ingress = Ingress::new(now, tracks(named), ids, 77);
        let keys = keys();
        ingress.begin(&keys).unwrap();
        Self {
            now,
            ingress,
            sealer: keys.rtp_sealer(Side::Server).unwrap(),
            reports: keys.rtcp_sealer(Side::Server).unwrap(),
            feedback: keys.rtcp_opener(Side::Client).unwrap(),
        }
    }

    fn send(&mut self, sent: Sent) -> Result<Option<Arrival>, Failed> {
        self.ingress.take(
            self.now,
            &sent.sealed(&self.sealer),
            &mut Payloads::default(),
        )
    }

    /// What the ingress says when it has something to say, in one sequence.
    fn feedback(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let mut datagram = Vec::new();
            if self.ingress.feedback(self.now, &mut datagram).is_none() {
                return all;
            }
            assert!(datagram.len() < 1_200);
            all.extend(self.feedback.open(&datagram).unwrap());
        }
    }
}

fn keys() -> Keys {
    let mut material = vec![7; 32];
    material.resize(56, 9);
    Keys {
        profile: Profile::Aes128Gcm,
        material,
    }
}

#[derive(Clone)]
struct Sent {
    payload_type: u8,
    ssrc: u32,
    sequence: u64,
    extension: Vec<u8>,
    padded: bool,
    payload: Vec<u8>,
}

fn picture(sequence: u64) -> Sent {
    Sent {
        payload_type: 96,
        ssrc: PICTURE,
        sequence,
        extension: Vec::new(),
        padded: false,
        payload: vec![sequence as u8; 9],
    }
}

fn again(rtx_sequence: u64, sequence: u16) -> Sent {
    Sent {
        payload_type: 97,
        ssrc: REPAIR,
        payload: [&sequence.to_be_bytes()[..], &[sequence as u8; 9]].concat(),
        ..picture(rtx_sequence)
    }
}

impl Sent {
    fn sealed(&self, sealer: &RtpSealer) -> Vec<u8> {
        let extended = !self.extension.is_empty();
        let first = 0x80 | u8::from(self.padded) << 5 | u8::from(extended) << 4;
        let mut bytes = vec![first, self.payload_type];
        bytes.extend((self.sequence as u16).to_be_bytes());
        bytes.extend([0, 0, 0, 5]);
        bytes.extend(self.ssrc.to_be_bytes());
        if extended {
            let mut extension = self.extension.clone();
            extension.resize(extension.len().next_multiple_of(4), 0);
            bytes.extend([0xbe, 0xde, 0, (extension.len() / 4) as u8]);
            bytes.extend(extension);
        }
        let header = bytes.len();
        bytes.extend(&self.payload);
        sealer.seal(&mut bytes, 0..header, self.sequence).unwrap();
        bytes
    }
}

fn sequence_of(arrival: Result<Option<Arrival>, Failed>) -> Option<u64> {
    arrival.unwrap().map(|arrival| arrival.packet.sequence)
}

#[test]
fn a_packet_is_opened_once_and_told_apart() {
    let mut pair = Pair::new(true);
    let sound = Sent {
        payload_type: 0x80 | 111,
        ssrc: SOUND,
        extension: vec![0x10, 0x85, 0x31, 0, 9],
        ..picture(70)
    };
    let arrival = pair.send(sound.clone()).unwrap().expect("new");
    assert_eq!(arrival.kind, MediaKind::Audio);
    let packet = arrival.packet;
    assert_eq!((packet.ssrc, packet.sequence), (SOUND, 70));
    assert!(packet.marker);
    assert_eq!(packet.timestamp, 5);
    assert_eq!(packet.extensions.audio_level, Some(0x85));
    assert_eq!(packet.payload[..], [70; 9]);
    assert!(pair.send(sound).unwrap().is_none(), "it has come before");
    let turned = Sent {
        extension: vec![0x40, 1],
        ..picture(70)
    };
    let packet = pair.send(turned).unwrap().expect("new").packet;
    assert_eq!(packet.extensions.video_orientation, Some(1));
}

#[test]
fn numbers_roll_over_and_may_be_late() {
    let mut pair = Pair::new(true);
    for sequence in [65_534, 65_537, 65_535, 65_536, 98_000, 97_000, 130_000] {
        assert_eq!(sequence_of(pair.send(picture(sequence))), Some(sequence));
    }
    let forged = Sent {
        sequence: 130_100 + 65_536,
        ..picture(0)
    };
    assert!(pair.send(forged).is_err(), "sealed under another number");
}

#[test]
fn nothing_is_believed_of_what_is_not_authentic() {
    let mut pair = Pair::new(false);
    let mut forged = picture(900).sealed(&pair.sealer);
    *forged.last_mut().unwrap() ^= 1;
    for ssrc in 1..100_u32 {
        forged[8..12].copy_from_slice(&ssrc.to_be_bytes());
        assert!(
            pair.ingress
                .take(pair.now, &forged, &mut Payloads::default())
                .is_err()
        );
    }
    assert!(pair.ingress.sources.is_empty());
    assert_eq!(pair.ingress.unnamed, UNNAMED_SOURCES);
    assert_eq!(pair.ingress.due(), None);
    assert_eq!(sequence_of(pair.send(picture(900))), Some(900));
    // A forged number far ahead moves nothing.
    let mut forged = picture(901).sealed(&pair.sealer);
    forged[2..4].copy_from_slice(&20_000_u16.to_be_bytes());
    assert!(
        pair.ingress
            .take(pair.now, &forged, &mut Payloads::default())
            .is_err()
    );
    assert_eq!(sequence_of(pair.send(picture(901))), Some(901));
}

#[test]
fn sources_are_those_of_the_offer_or_few() {
    let mut pair = Pair::new(true);
    let other = |ssrc| Sent { ssrc, ..picture(5) };
    assert!(pair.send(other(99)).is_err());
    let swapped = Sent {
        payload_type: 111,
        ..picture(5)
    };
    assert!(pair.send(swapped).is_err(), "the picture's source");
    let mut pair = Pair::new(false);
    let taken = (100..200).filter(|ssrc| pair.send(other(*ssrc)).is_ok());
    assert_eq!(taken.count(), UNNAMED_SOURCES);
    let foreign = Sent {
        payload_type: 50,
        ..picture(6)
    };
    assert!(pair.send(foreign).is_err(), "of no track");
    let changed = Sent {
        payload_type: 111,
        ssrc: 100,
        ..picture(7)
    };
    assert!(pair.send(changed).is_err(), "it sends the picture");
}

#[test]
fn what_is_sent_again_takes_its_first_place_once() {
    let mut pair = Pair::new(true);
    assert_eq!(
        sequence_of(pair.send(again(1, 65_533))),
        None,
        "of nothing yet"
    );
    for sequence in [65_534, 65_538] {
        pair.send(picture(sequence)).unwrap();
    }
    let arrival = pair.send(again(2, 0)).unwrap().expect("it was missing");
    assert_eq!(arrival.packet.ssrc, PICTURE);
    assert_eq!(arrival.packet.sequence, 65_536);
    assert_eq!(arrival.packet.payload[..], [0; 9]);
    assert_eq!(sequence_of(pair.send(again(3, 0))), None, "again");
    assert_eq!(sequence_of(pair.send(picture(65_536))), None, "late");
    assert_eq!(sequence_of(pair.send(again(4, 65_534))), None, "needless");
    let empty = Sent {
        payload: vec![1],
        ..again(5, 0)
    };
    assert_eq!(sequence_of(pair.send(empty)), None, "it has no number");
}

/// Sources that the offer does not name have streams of repair that it does not name either.
#[test]
fn what_is_sent_again_of_a_source_that_was_left_is_not_taken_for_another_ones() {
    let mut pair = Pair::new(false);
    for sequence in [100, 103] {
        pair.send(picture(sequence)).unwrap();
    }
    assert_eq!(sequence_of(pair.send(again(1, 101))), Some(101));
    let other = |sequence| Sent {
        ssrc: PICTURE + 5,
        ..picture(sequence)
    };
    for sequence in [200, 202] {
        pair.send(other(sequence)).unwrap();
    }
    assert_eq!(sequence_of(pair.send(again(2, 102))), None, "of the first");
    assert_eq!(sequence_of(pair.send(again(3, 201))), None, "whose it is");
    let its = |rtx, sequence| Sent {
        ssrc: REPAIR + 5,
        ..again(rtx, sequence)
    };
    assert_eq!(sequence_of(pair.send(its(1, 199))), None, "not missing");
    let arrival = pair.send(its(2, 201)).unwrap().expect("it was missing");
    assert_eq!(arrival.packet.ssrc, PICTURE + 5);
    pair.send(picture(105)).unwrap();
    assert_eq!(
        sequence_of(pair.send(again(4, 102))),
        Some(102),
        "it is back"
    );
}

#[test]
fn padding_is_taken_off() {
    let mut pair = Pair::new(true);
    let padded = Sent {
        padded: true,
        payload: vec![1, 2, 3, 0, 0, 3],
        ..picture(5)
    };
    let packet = pair.send(padded).unwrap().expect("new").packet;
    assert_eq!(packet.payload[..], [1, 2, 3]);
    let lies = Sent {
        padded: true,
        payload: vec![1, 2, 9],
        ..picture(6)
    };
    assert!(pair.send(lies).is_err());
    let probe = Sent {
        ssrc: PROBE,
        padded: true,
        extension: vec![0x31, 1, 0],
        payload: vec![0, 0, 3],
        ..picture(7)
    };
    assert_eq!(sequence_of(pair.send(probe)), None);
    assert!(pair.ingress.due().is_some(), "but it is reported");
}

#[test]
fn missing_packets_of_a_picture_are_asked_for_until_they_come() {
    let mut pair = Pair::new(true);
    for sequence in [65_530, 65_533, 65_537] {
        pair.send(picture(sequence)).unwrap();
        let sound = Sent {
            payload_type: 111,
            ssrc: SOUND,
            ..picture(sequence)
        };
        pair.send(sound).unwrap();
    }
    assert_eq!(pair.feedback(), [], "they may be on the way");
    pair.now = pair.ingress.due().unwrap();
    let lost = |sequences: &[u16]| Feedback::Lost {
        ssrc: PICTURE,
        sequences: sequences.to_vec(),
    };
    assert_eq!(
        read(&pair.feedback()),
        [lost(&[65_531, 65_532, 65_534, 65_535, 0])]
    );
    pair.send(again(1, 65_531)).unwrap();
    pair.send(picture(65_536)).unwrap();
    pair.now = pair.ingress.due().unwrap();
    assert_eq!(read(&pair.feedback()), [lost(&[65_532, 65_534, 65_535])]);
}

#[test]
fn sources_are_reported_while_they_send() {
    let mut pair = Pair::new(true);
    pair.send(picture(5)).unwrap();
    let mut report = vec![0x80, 200, 0, 6];
    report.extend(PICTURE.to_be_bytes());
    report.extend([1; 20]);
    pair.reports.seal(&mut report).unwrap();
    assert_eq!(pair.ingress.take_reports(pair.now, &report), Ok(()));
    assert_eq!(pair.ingress.take_reports(pair.now, &report), Err(Failed));
    assert_eq!(pair.ingress.due(), Some(pair.now + REPORT_INTERVAL));
    pair.now += REPORT_INTERVAL;
    let report = pair.feedback();
    assert_eq!(report[..8], [0x81, 201, 0, 7, 0, 0, 0, 77]);
    assert_eq!(report[8..12], PICTURE.to_be_bytes());
    assert_eq!(report[24..28], [1; 4], "of the report that came");
    assert_eq!(report[28..32], [0, 1, 0, 0], "a second ago");
    assert_eq!(pair.ingress.due(), None, "the source is silent");
}

#[test]
fn a_key_frame_is_asked_of_the_source() {
    let mut pair = Pair::new(true);
    for (known, ssrc) in [(None, PICTURE), (Some(5), 5)] {
        let mut datagram = Vec::new();
        pair.ingress.want_keyframe(known, &mut datagram).unwrap();
        let request = pair.feedback.open(&datagram).unwrap();
        assert_eq!(read(&request), [Feedback::KeyframeWanted { ssrc }]);
    }
}

#[test]
fn nothing_is_taken_without_keys_and_they_do_not_change() {
    let ids = ExtensionIds::default();
    let mut pair = Pair::new(true);
    let sealed = picture(5).sealed(&pair.sealer);
    let mut ingress = Ingress::new(pair.now, tracks(true), ids, 77);
    assert!(
        ingress
            .take(pair.now, &sealed, &mut Payloads::default())
            .is_err()
    );
    assert_eq!(ingress.take_reports(pair.now, &sealed), Err(Failed));
    assert_eq!(ingress.want_keyframe(None, &mut Vec::new()), None);
    let mut other = keys();
    other.material[0] = 1;
    pair.ingress.begin(&other).unwrap();
    assert_eq!(sequence_of(pair.send(picture(5))), Some(5));
}

#[test]
fn a_report_is_about_both_tracks() {
    let mut pair = Pair::new(true);
    pair.send(picture(5)).unwrap();
    let sound = Sent {
        payload_type: 111,
        ssrc: SOUND,
        ..picture(5)
    };
    pair.send(sound).unwrap();
    pair.now += REPORT_INTERVAL;
    let report = pair.feedback();
    assert_eq!(report[..4], [0x82, 201, 0, 13]);
    assert_eq!(report[8..12], PICTURE.to_be_bytes());
    assert_eq!(report[32..36], SOUND.to_be_bytes());
}

#[test]
fn what_is_sent_again_is_of_the_source_that_sends() {
    let mut pair = Pair::new(false);
    let of = |ssrc, sequence| Sent {
        ssrc,
        ..picture(sequence)
    };
    for (ssrc, sequence) in [(5, 100), (5, 102), (6, 9_000), (6, 9_002)] {
        pair.send(of(ssrc, sequence)).unwrap();
    }
    let packet = pair.send(again(1, 9_001)).unwrap().expect("missing").packet;
    assert_eq!((packet.ssrc, packet.sequence), (6, 9_001));
}

/// The numbers of a picture's packets of which as many are missing as one request asks for, each
/// so far from the others that it takes a word of its own.
fn sparse() -> impl Iterator<Item = u64> {
    (0..=losses::PER_REQUEST as u64 * 17).filter(|number| number % 17 != 5)
}

#[test]
fn feedback_fits_into_datagrams_whatever_there_is_to_say() {
    let mut pair = Pair::new(true);
    // They arrive in another order than they were numbered in for the report of arrivals, so that
    // every second time is before the one before.
    let half = sparse().count() / 2;
    for (place, number) in sparse().enumerate() {
        let (late, place) = (u16::from(place >= half), (place % half) as u16);
        let transport = (2 * place + 1 - late).to_be_bytes();
        let sent = Sent {
            extension: vec![0x31, transport[0], transport[1]],
            ..picture(number)
        };
        let now = pair.now;
        pair.now += Duration::from_millis(late.into());
        pair.send(sent).unwrap();
        pair.now = now;
    }
    pair.now += Duration::from_millis(60);
    // Datagrams that are too long fail in here.
    let all = pair.feedback();
    assert_eq!(asked_for(&all), losses::PER_REQUEST);
    assert!(
        all.windows(2).any(|head| head == [0x8f, 205]),
        "and arrivals"
    );
}

#[test]
fn each_source_is_asked_for_its_packets_in_a_datagram_of_its_own() {
    let mut pair = Pair::new(false);
    for ssrc in 5..9 {
        for number in sparse() {
            let sent = Sent {
                ssrc,
                ..picture(number)
            };
            pair.send(sent).unwrap();
        }
    }
    pair.now += Duration::from_millis(60);
    assert_eq!(asked_for(&pair.feedback()), 4 * losses::PER_REQUEST);
}

fn asked_for(compound: &[u8]) -> usize {
    let lost = crate::rtcp::packets(compound).filter(|packet| packet.kind == 205);
    let lost = lost.filter(|packet| packet.count == 1);
    // A word for each, behind those of the two sources.
    lost.map(|packet| packet.body.len() / 4 - 2).sum()
}
