use proptest::prelude::*;

use super::*;
use crate::bridge::testing::{Run, fixture, sunk};
use crate::bridge::{BFrames, Packet};

const MILLISECOND: Duration = Duration::from_millis(1);

/// The packets of a stream, as a sink gets them.
fn packets(name: &str) -> Vec<SinkPacket> {
    let mut run = Run::new(BFrames::Pass);
    run.send_all(&fixture(name));
    let packets = run.packets(MediaKind::Video);
    let packets = packets.iter().enumerate();
    packets
        .map(|(number, packet)| sunk(number as u64, packet))
        .collect()
}

/// When packets are captured, from the first one on.
fn times(packets: &[SinkPacket]) -> impl Fn(&SinkPacket) -> Duration + use<> {
    let first = packets
        .first()
        .and_then(|packet| packet.captured)
        .unwrap_or_default();
    move |packet| packet.captured.unwrap_or_default().saturating_sub(first)
}

fn drain(feed: &mut Feed) -> Vec<Fed> {
    std::iter::from_fn(|| feed.poll_output()).collect()
}

fn pictures(fed: &[Fed]) -> usize {
    fed.iter()
        .filter(|fed| matches!(fed, Fed::Picture(_)))
        .count()
}

fn requests(fed: &[Fed]) -> usize {
    fed.iter()
        .filter(|fed| matches!(fed, Fed::WantKeyframe))
        .count()
}

#[test]
fn packets_that_have_overtaken_others_are_put_in_order() {
    let mut packets = packets("zerolatency.flv");
    let time = times(&packets);
    for pair in packets.chunks_mut(2) {
        pair.reverse();
    }
    // A packet that has overtaken the very first one begins.
    packets.swap(0, 1);
    let now = Instant::now();
    let mut feed = Feed::new(None, Some(VideoCodec::H264));
    for packet in &packets {
        feed.handle_packet(now + time(packet), packet);
    }
    let fed = drain(&mut feed);
    assert_eq!((pictures(&fed), requests(&fed)), (30, 0));
}

#[test]
fn a_loss_is_skipped_to_the_next_key_frame_which_is_asked_for_until_it_comes() {
    let packets = packets("bf0.flv");
    let time = times(&packets);
    let now = Instant::now();
    let mut feed = Feed::new(None, Some(VideoCodec::H264));
    let mut fed = Vec::new();
    let mut asked = Vec::new();
    for packet in packets.iter().filter(|packet| packet.sequence != 5) {
        let at = now + time(packet);
        while let Some(due) = feed.poll_timeout()
            && due <= at
        {
            feed.handle_timeout(due);
            let outputs = drain(&mut feed);
            asked.extend(outputs.contains(&Fed::WantKeyframe).then(|| due - now));
            fed.extend(outputs);
        }
        feed.handle_packet(at, packet);
        let outputs = drain(&mut feed);
        asked.extend(outputs.contains(&Fed::WantKeyframe).then(|| at - now));
        fed.extend(outputs);
    }
    // Parameter sets, what x264 says of itself and the first picture are numbers 0 to 2: number 5
    // is the fourth picture.
    let shown: Vec<Duration> = fed
        .iter()
        .filter_map(|fed| match fed {
            Fed::Picture(picture) => Some(picture.time),
            Fed::Sound(_) | Fed::WantKeyframe => None,
        })
        .map(|shown| shown - Duration::from_secs(10))
        .collect();
    let expected: Vec<Duration> = (0..30)
        .filter(|number| !(3..25).contains(number))
        .map(|number| MILLISECOND * 40 * number)
        .collect();
    let close = |(shown, expected): (&Duration, &Duration)| shown.abs_diff(*expected) < MILLISECOND;
    assert_eq!(shown.len(), expected.len(), "{shown:?}");
    assert!(shown.iter().zip(&expected).all(close), "{shown:?}");
    let begin = MILLISECOND * 160 + limits::REORDER_TIME;
    let expected = [begin, begin + limits::KEYFRAME_RETRY];
    assert_eq!(asked.len(), 2, "{asked:?}");
    for (asked, expected) in asked.iter().zip(expected) {
        assert!(asked.abs_diff(expected) <= MILLISECOND, "{asked:?}");
    }
    assert_eq!(feed.poll_timeout(), None);
}

#[test]
fn who_comes_late_waits_for_a_key_frame_that_is_asked_for_until_it_comes() {
    let packets = packets("zerolatency.flv");
    let time = times(&packets);
    let now = Instant::now();
    let mut feed = Feed::new(None, Some(VideoCodec::H264));
    for packet in &packets {
        feed.handle_packet(now + time(packet), packet);
    }
    drain(&mut feed);
    let late = now + limits::RECENT_TIME + MILLISECOND * 2_000;
    feed.want_keyframe(late);
    assert!(feed.recent().next().is_none());
    // Pictures come, but none to begin with; then the key frame.
    let first = packets[0].timestamp;
    let (key, others): (Vec<_>, Vec<_>) =
        packets.iter().partition(|packet| packet.timestamp == first);
    let mut asked = requests(&drain(&mut feed));
    for (number, packet) in others.iter().take(20).chain(&key).enumerate() {
        let at = late + MILLISECOND * 100 * number as u32;
        let mut packet = (*packet).clone();
        packet.sequence = (packets.len() + number) as u64;
        feed.handle_packet(at, &packet);
        asked += requests(&drain(&mut feed));
    }
    assert!(asked >= 4, "{asked}");
    assert_eq!(feed.poll_timeout(), None);
}

#[test]
fn a_lost_piece_leaves_out_its_picture_alone_where_a_key_frame_follows() {
    let mut all = packets("zerolatency.flv");
    // The second key frame: the packets from its parameter sets on.
    let key = all
        .iter()
        .rposition(|packet| packet.payload[0] & 0x1f == 24)
        .expect("there are two");
    let lost = all[key - 1].sequence;
    all.retain(|packet| packet.sequence != lost);
    let time = times(&all);
    let now = Instant::now();
    let mut feed = Feed::new(None, Some(VideoCodec::H264));
    for packet in &all {
        feed.handle_packet(now + time(packet), packet);
    }
    feed.handle_timeout(now + Duration::from_secs(9));
    let fed = drain(&mut feed);
    assert_eq!((pictures(&fed), requests(&fed)), (29, 0));
}

#[test]
fn empty_payloads_are_nothing() {
    let mut all = Vec::new();
    for packet in packets("bf0.flv") {
        let number = packet.sequence;
        let empty = SinkPacket {
            sequence: 2 * number + 1,
            payload: Payload::default(),
            marker: false,
            ..packet.clone()
        };
        all.extend([
            SinkPacket {
                sequence: 2 * number,
                ..packet
            },
            empty,
        ]);
    }
    let time = times(&all);
    let now = Instant::now();
    let mut feed = Feed::new(None, Some(VideoCodec::H264));
    for packet in &all {
        feed.handle_packet(now + time(packet), packet);
    }
    let fed = drain(&mut feed);
    assert_eq!(
        (pictures(&fed), requests(&fed), feed.malformed()),
        (30, 0, 0)
    );
}

#[test]
fn a_picture_whose_last_packet_does_not_say_so_ends_with_the_next_one() {
    let now = Instant::now();
    let mut feed = Feed::new(None, Some(VideoCodec::H264));
    for mut packet in packets("bf0.flv") {
        packet.marker = false;
        feed.handle_packet(now, &packet);
    }
    assert_eq!(pictures(&drain(&mut feed)), 29, "the last one may go on");
}

#[test]
fn other_parameter_sets_are_another_header() {
    let now = Instant::now();
    let mut feed = Feed::new(None, Some(VideoCodec::H264));
    let (first, second) = (packets("bf0.flv"), packets("baseline.flv"));
    let behind = first.len() as u64;
    let second = second.iter().map(|packet| SinkPacket {
        sequence: behind + packet.sequence,
        timestamp: packet.timestamp.wrapping_add(10 * 90_000),
        ..packet.clone()
    });
    for packet in first.iter().cloned().chain(second) {
        feed.handle_packet(now, &packet);
    }
    let headers: Vec<Bytes> = drain(&mut feed)
        .into_iter()
        .filter_map(|fed| match fed {
            Fed::Picture(picture) => Some(picture.header),
            Fed::Sound(_) | Fed::WantKeyframe => None,
        })
        .collect();
    assert_eq!(headers.len(), 60);
    assert!(headers[..30].iter().all(|header| *header == headers[0]));
    assert!(headers[30..].iter().all(|header| *header == headers[30]));
    assert_ne!(headers[0], headers[30]);
}

#[test]
fn what_has_come_since_a_recent_key_frame_is_kept() {
    let all = packets("bf0.flv");
    let time = times(&all);
    let now = Instant::now();
    let mut feed = Feed::new(None, Some(VideoCodec::H264));
    for packet in &all {
        feed.handle_packet(now + time(packet), packet);
    }
    let recent: Vec<bool> = feed.recent().map(|picture| picture.key).collect();
    assert_eq!(recent, [true, false, false, false, false]);
    feed.handle_timeout(now + MILLISECOND * 1_000 + limits::RECENT_TIME);
    assert_eq!(feed.recent().count(), 5);
    feed.handle_timeout(now + MILLISECOND * 1_001 + limits::RECENT_TIME);
    assert_eq!(feed.recent().count(), 0);
}

#[test]
fn sound_comes_in_order_and_shows_what_is_missing() {
    let now = Instant::now();
    let mut feed = Feed::new(Some(AudioCodec::Opus), None);
    for number in [0_u32, 1, 3, 2, 4, 6, 7] {
        let packet = Packet::opus(MILLISECOND * 20 * number, Bytes::from(vec![number as u8]));
        let packet = SinkPacket {
            captured: None,
            ..sunk(number.into(), &packet)
        };
        feed.handle_packet(now + MILLISECOND * 20 * number, &packet);
    }
    feed.handle_timeout(now + MILLISECOND * 1_000);
    let heard: Vec<(u8, Duration)> = drain(&mut feed)
        .into_iter()
        .filter_map(|fed| match fed {
            Fed::Sound(sound) => Some((sound.unit[0], sound.time)),
            Fed::Picture(_) | Fed::WantKeyframe => None,
        })
        .collect();
    let first = heard[0].1;
    let expected: Vec<(u8, Duration)> = [0_u8, 1, 2, 3, 4, 6, 7]
        .map(|number| (number, first + MILLISECOND * 20 * number.into()))
        .into();
    assert_eq!(heard, expected);
}

fn any_payload() -> impl Strategy<Value = Vec<u8>> {
    let head = prop_oneof![
        Just(vec![]),
        Just(vec![0x65]),
        Just(vec![0x78, 0, 1, 0x67]),
        Just(vec![0x78, 0xff, 0xff]),
        Just(vec![0x7c, 0x85]),
        Just(vec![0x7c, 0x05]),
        Just(vec![0x7c, 0x45]),
        Just(vec![0x67, 77, 0, 11]),
        Just(vec![0x68]),
        Just(vec![0x90, 0x80]),
    ];
    (head, proptest::collection::vec(any::<u8>(), 0..30)).prop_map(|(mut payload, rest)| {
        payload.extend(rest);
        payload
    })
}

proptest! {
    #[test]
    fn no_packet_panics(
        junk in proptest::collection::vec(
            (any_payload(), 0_u64..80, any::<u32>(), any::<bool>(), 0_u64..300),
            1..80,
        ),
        codec in prop_oneof![Just(VideoCodec::H264), Just(VideoCodec::Vp8)],
    ) {
        let now = Instant::now();
        let mut feed = Feed::new(Some(AudioCodec::Pcmu), Some(codec));
        let mut at = now;
        for (payload, sequence, timestamp, is_audio, wait) in junk {
            at += MILLISECOND * wait as u32;
            let kind = if is_audio { MediaKind::Audio } else { MediaKind::Video };
            let packet = Packet {
                kind,
                timestamp: timestamp % 8,
                marker: timestamp % 3 == 0,
                time: Duration::from_secs(u64::from(timestamp) << 20),
                payload: payload.into(),
            };
            feed.handle_packet(at, &sunk(sequence, &packet));
            if let Some(due) = feed.poll_timeout() {
                feed.handle_timeout(due);
            }
            while let Some(output) = feed.poll_output() {
                if let Fed::Picture(picture) = output {
                    prop_assert!(!picture.header.is_empty());
                }
            }
        }
    }
}
