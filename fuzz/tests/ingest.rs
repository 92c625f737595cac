//! Publishers and players that are not WebRTC connections.

#![allow(clippy::expect_used, reason = "a broken expectation fails the test")]

use std::time::{Duration, Instant};

use parlor_core::{
    AudioCodec, Config, EndReason, MediaId, MediaKind, MediaPacket, News, Place, PublicationName,
    Reply, Request, RequestError, RoomName, VideoCodec, VideoFormat, epoch, limits,
};
use parlor_fuzz::{Codec, Kinds, World, audio_payload, mark_of, video_payloads};

const SECOND: Duration = Duration::from_secs(1);
const PICTURE: Duration = Duration::from_millis(40);
const CONSTRAINED_BASELINE: VideoFormat = VideoFormat::H264 {
    profile_level_id: 0x42_e01f,
};

fn world() -> World {
    World::new(21, epoch::base(Instant::now()), Config::default())
}

fn place() -> Place {
    Place::Room(RoomName::new("r").expect("a name"))
}

fn name(name: &str) -> PublicationName {
    PublicationName::new(name).expect("a name")
}

/// An encoder in the room, with H.264 and Opus.
fn ingest(world: &mut World, client: u64) {
    world.join(client, "r", "encoder").expect("joins");
    let reply = world.request(client, ingest_as("cam"));
    assert_eq!(reply, Ok(Reply::Done));
}

fn ingest_as(stream: &str) -> Request {
    Request::Ingest {
        media: MediaId(1),
        place: place(),
        name: name(stream),
        audio: Some(AudioCodec::Opus),
        video: Some(CONSTRAINED_BASELINE),
    }
}

fn sink(world: &mut World, client: u64, video: &[VideoCodec]) -> Result<Reply, RequestError> {
    world.request(
        client,
        Request::Sink {
            media: MediaId(2),
            place: place(),
            name: name("cam"),
            audio: vec![AudioCodec::Opus],
            video: video.to_vec(),
        },
    )
}

/// Sends pictures `from..to`, every `gop`th a key frame, and sound with them, in real time.
fn send(world: &mut World, client: u64, pictures: std::ops::Range<u64>, gop: u64) {
    for number in pictures {
        let timestamp = u32::try_from(number * 3_600).expect("small");
        let payloads = video_payloads(Codec::H264, number, number.is_multiple_of(gop));
        let last = payloads.len() - 1;
        for (index, payload) in payloads.iter().enumerate() {
            let packet = MediaPacket {
                kind: MediaKind::Video,
                timestamp,
                marker: index == last,
                captured: PICTURE * u32::try_from(number).expect("small"),
                payload,
            };
            world.media(client, 1, packet);
        }
        for half in 0..2 {
            let sound = 2 * number + half;
            let packet = MediaPacket {
                kind: MediaKind::Audio,
                timestamp: u32::try_from(sound * 960).expect("small"),
                marker: false,
                captured: PICTURE / 2 * u32::try_from(sound).expect("small"),
                payload: &audio_payload(sound),
            };
            world.media(client, 1, packet);
        }
        world.run_for(PICTURE);
    }
}

/// The numbers of the pictures that a player has, in the order in which it got them.
fn pictures(world: &World, player: usize) -> Vec<u32> {
    let packets = world.clients[player].received(true);
    let mut numbers: Vec<u32> = packets
        .iter()
        .filter_map(|packet| Some(mark_of(&packet.payload)?.1))
        .collect();
    numbers.dedup();
    numbers
}

#[test]
fn an_encoder_is_seen_and_heard_by_browsers() {
    let mut world = world();
    world.join(1, "r", "anna").expect("joins");
    ingest(&mut world, 2);
    let published = |news: &&News| matches!(news, News::Published { .. });
    assert!(world.news(1).iter().any(published), "the room is told");
    assert!(world.news(2).contains(&&News::Live { media: MediaId(1) }));
    let player = world
        .play(1, 1, "r", "cam", Kinds::BOTH)
        .expect("can be played");
    world.run_for(SECOND);
    send(&mut world, 2, 0..100, 50);
    world.run_for(SECOND);
    assert_eq!(pictures(&world, player), (0..100).collect::<Vec<_>>());
    assert_eq!(world.clients[player].received(false).len(), 200);
}

#[test]
fn a_late_player_begins_with_the_latest_key_frame_and_misses_nothing_after_it() {
    let mut world = world();
    world.join(1, "r", "anna").expect("joins");
    ingest(&mut world, 2);
    // 150 pictures after the key frame at 50 are more than fit into one piece of a replay.
    send(&mut world, 2, 0..110, 50);
    let player = world
        .play(1, 1, "r", "cam", Kinds::VIDEO)
        .expect("can be played");
    send(&mut world, 2, 110..140, 50);
    world.run_for(SECOND);
    let pictures = pictures(&world, player);
    let first = *pictures.first().expect("there are pictures");
    assert_eq!(first, 100, "a key frame from before it came");
    assert_eq!(pictures, (100..140).collect::<Vec<_>>());
    let packets = world.clients[player].received(true);
    let numbers: Vec<u64> = packets.iter().map(|packet| packet.sequence).collect();
    let expected: Vec<u64> = (numbers[0]..).take(numbers.len()).collect();
    assert_eq!(numbers, expected, "without a gap");
    assert!(packets.is_sorted_by_key(|packet| packet.timestamp));
}

#[test]
fn a_key_frame_that_comes_during_a_replay_is_gone_on_with() {
    let mut world = world();
    world.join(1, "r", "anna").expect("joins");
    ingest(&mut world, 2);
    send(&mut world, 2, 0..98, 98);
    world.join(3, "r", "sink").expect("joins");
    // The replay takes several pieces of 5 ms; a key frame comes in between.
    sink(&mut world, 3, &[VideoCodec::H264]).expect("can be played");
    world.run_for(Duration::from_millis(6));
    send(&mut world, 2, 98..120, 98);
    let video = world
        .sunk
        .iter()
        .map(|(_, packet)| packet)
        .filter(|packet| packet.kind == MediaKind::Video);
    let sequences: Vec<u64> = video.clone().map(|packet| packet.sequence).collect();
    let marks: Vec<u32> = video
        .filter_map(|packet| Some(mark_of(&packet.payload)?.1))
        .collect();
    let skipped = marks.windows(2).filter(|pair| pair[1] > pair[0] + 1);
    assert_eq!(skipped.count(), 1, "the rest of the old group is left out");
    assert!(marks.contains(&98) && marks.ends_with(&[119]));
    let jumps = sequences.windows(2).filter(|pair| pair[1] != pair[0] + 1);
    assert_eq!(jumps.count(), 1, "and shows as one loss");
}

#[test]
fn an_old_key_frame_is_not_begun_with() {
    let mut world = world();
    world.join(1, "r", "anna").expect("joins");
    ingest(&mut world, 2);
    send(&mut world, 2, 0..110, 1_000);
    let player = world
        .play(1, 1, "r", "cam", Kinds::VIDEO)
        .expect("can be played");
    world.run_for(SECOND);
    send(&mut world, 2, 110..130, 1_000);
    assert_eq!(pictures(&world, player), Vec::<u32>::new());
    send(&mut world, 2, 1_000..1_010, 1_000);
    assert_eq!(pictures(&world, player).first(), Some(&1_000));
}

#[test]
fn sound_that_takes_longer_than_its_picture_is_reported_at_the_date_of_the_picture() {
    let mut world = world();
    world.join(1, "r", "anna").expect("joins");
    ingest(&mut world, 2);
    let player = world
        .play(1, 1, "r", "cam", Kinds::BOTH)
        .expect("can be played");
    world.run_for(SECOND);
    for number in 0_u32..100 {
        // Both are of the same time; the sound passes through a codec.
        let captured = 3 * SECOND + PICTURE * number;
        for payload in video_payloads(Codec::H264, number.into(), number == 0) {
            let packet = MediaPacket {
                kind: MediaKind::Video,
                timestamp: number * 3_600,
                marker: false,
                captured,
                payload: &payload,
            };
            world.media(2, 1, packet);
        }
        world.run_for(PICTURE * (1 + number % 5) / 6);
        let packet = MediaPacket {
            kind: MediaKind::Audio,
            timestamp: number * 1_920,
            marker: false,
            captured,
            payload: &audio_payload(number.into()),
        };
        world.media(2, 1, packet);
        world.run_for(PICTURE - PICTURE * (1 + number % 5) / 6);
    }
    let date_of = |video| {
        let packets = world.clients[player].received(video);
        let last = packets.last().expect("it arrives");
        let captured = last.captured.expect("it is reported");
        let rate = if video { 90_000.0 } else { 48_000.0 };
        (
            last.timestamp,
            captured.as_secs_f64() - f64::from(last.timestamp) / rate,
        )
    };
    let ((_, pictures), (_, sounds)) = (date_of(true), date_of(false));
    assert!(
        (pictures - sounds).abs() < 0.001,
        "the first picture at {pictures}, the first sound at {sounds}"
    );
}

#[test]
fn more_than_is_kept_is_not_begun_with() {
    let mut world = world();
    ingest(&mut world, 2);
    world.join(3, "r", "sink").expect("joins");
    for number in 0..limits::GOP_PACKETS as u64 / 2 {
        for payload in video_payloads(Codec::H264, number, number == 0) {
            let packet = MediaPacket {
                kind: MediaKind::Video,
                timestamp: u32::try_from(number * 90).expect("small"),
                marker: false,
                captured: Duration::from_millis(number),
                payload: &payload,
            };
            world.media(2, 1, packet);
        }
    }
    sink(&mut world, 3, &[VideoCodec::H264]).expect("can be played");
    world.run_for(SECOND);
    assert!(world.sunk.is_empty());
    send(&mut world, 2, 10_000..10_001, 10_000);
    assert!(!world.sunk.is_empty(), "the next key frame begins");
}

#[test]
fn a_sink_gets_a_browsers_media_from_a_key_frame_on() {
    let mut world = world();
    world.join(1, "r", "anna").expect("joins");
    world
        .publish(1, 1, "r", "cam", Kinds::BOTH)
        .expect("publishes");
    world.run_for(3 * SECOND);
    world.join(2, "r", "player").expect("joins");
    let reply = sink(&mut world, 2, &[VideoCodec::H264]).expect("can be played");
    assert!(matches!(
        reply,
        Reply::Sink {
            audio: Some(AudioCodec::Opus),
            video: Some(VideoCodec::H264),
            refused_video: None,
            ..
        }
    ));
    let since = world.now;
    world.run_for(2 * SECOND);
    let (at, first) = world
        .sunk
        .iter()
        .find(|(_, packet)| packet.kind == MediaKind::Video)
        .expect("a picture comes");
    assert_eq!(
        first.payload.first(),
        Some(&0x78),
        "the parameter sets come first"
    );
    assert!(
        *at - since < Duration::from_millis(100),
        "one was asked for"
    );
    let sounds = world
        .sunk
        .iter()
        .filter(|(_, packet)| packet.kind == MediaKind::Audio);
    assert!(sounds.count() > 90);
    let requests = world.clients[0].keyframe_requests.len();
    world.run_for(SECOND);
    world
        .request(2, Request::WantKeyframe { media: MediaId(2) })
        .expect("is taken");
    world.run_for(SECOND);
    assert_eq!(world.clients[0].keyframe_requests.len(), requests + 1);
    // Sound is reported every 5 s.
    world.run_for(5 * SECOND);
    let begun = |kind, rate: f64| {
        let last = world
            .sunk
            .iter()
            .rev()
            .find(|(_, packet)| packet.kind == kind);
        let (_, packet) = last.expect("it comes");
        let captured = packet.captured.expect("browsers report");
        captured.as_secs_f64() - f64::from(packet.timestamp) / rate
    };
    // The first of each, with timestamps of one step each, were sent at the same time.
    let apart = begun(MediaKind::Audio, 48_000.0) - begun(MediaKind::Video, 90_000.0);
    assert!((apart - 0.02).abs() < 0.002, "{apart}");
    world
        .request(2, Request::Stop { media: MediaId(2) })
        .expect("stops");
    let sunk = world.sunk.len();
    world.run_for(SECOND);
    assert_eq!(world.sunk.len(), sunk);
}

#[test]
fn a_sink_outside_of_the_room_plays_a_participant_by_name() {
    let mut world = world();
    let watch = |world: &mut World, room: &str, whom: &str| {
        world.request(
            9,
            Request::Sink {
                media: MediaId(2),
                place: Place::Room(RoomName::new(room).expect("a name")),
                name: name(whom),
                audio: vec![AudioCodec::Opus],
                video: vec![VideoCodec::H264],
            },
        )
    };
    ingest(&mut world, 1);
    for (room, whom) in [("r", "nobody"), ("elsewhere", "encoder")] {
        let missing = watch(&mut world, room, whom);
        assert_eq!(missing, Err(RequestError::NoSuchPublication));
    }
    watch(&mut world, "r", "encoder").expect("can be watched");
    send(&mut world, 1, 0..5, 50);
    assert!(
        world
            .sunk
            .iter()
            .any(|(_, packet)| packet.kind == MediaKind::Video)
    );
    assert!(
        world
            .news(9)
            .iter()
            .all(|news| matches!(news, News::Live { .. })),
        "who watches hears nothing of the room"
    );
}

#[test]
fn a_sink_without_the_pictures_codec_gets_the_sound_and_the_publisher_is_told() {
    let mut world = world();
    world.join(1, "r", "anna").expect("joins");
    let kinds = Kinds {
        audio: true,
        video: Some(Codec::Vp8),
    };
    world.publish(1, 1, "r", "cam", kinds).expect("publishes");
    world.run_for(SECOND);
    world.join(2, "r", "player").expect("joins");
    let reply = sink(&mut world, 2, &[VideoCodec::H264]).expect("can be heard");
    assert!(matches!(
        reply,
        Reply::Sink {
            audio: Some(AudioCodec::Opus),
            video: None,
            refused_video: Some(VideoCodec::Vp8),
            ..
        }
    ));
    let mismatch = News::CodecMismatch {
        media: MediaId(1),
        audio: vec![AudioCodec::Opus],
        video: vec![VideoCodec::H264],
    };
    assert!(world.news(1).contains(&&mismatch));
    world.run_for(SECOND);
    assert!(!world.sunk.is_empty());
    assert!(
        world
            .sunk
            .iter()
            .all(|(_, packet)| packet.kind == MediaKind::Audio)
    );
}

#[test]
fn streams_of_encoders_end_as_others_do() {
    let mut world = world();
    world.join(1, "r", "anna").expect("joins");
    ingest(&mut world, 2);
    assert_eq!(
        world.request(2, ingest_as("other")),
        Err(RequestError::MediaInUse)
    );
    world.join(3, "r", "sink").expect("joins");
    sink(&mut world, 3, &[VideoCodec::H264]).expect("can be played");
    world
        .play(1, 1, "r", "cam", Kinds::BOTH)
        .expect("can be played");
    // A replay is under way when it ends.
    send(&mut world, 2, 0..80, 80);
    world
        .play(1, 2, "r", "cam", Kinds::VIDEO)
        .expect("can be played");
    world.run_for(Duration::from_millis(100));
    world.join(4, "r", "leaver").expect("joins");
    sink(&mut world, 4, &[VideoCodec::H264]).expect("can be played");
    world.request(4, Request::Disconnect).expect("always");
    world.sfu.check();
    world.request(2, Request::Disconnect).expect("always");
    let ended = News::Ended {
        media: MediaId(2),
        reason: EndReason::PublisherStopped,
    };
    assert!(world.news(3).contains(&&ended));
    world.request(1, Request::Disconnect).expect("always");
    world.request(3, Request::Disconnect).expect("always");
    world.run_for(SECOND);
    let counters = world.sfu.counters();
    assert_eq!(
        (
            counters.publications,
            counters.subscriptions,
            counters.peers
        ),
        (0, 0, 0)
    );
    assert_eq!(world.sfu.poll_timeout(), None);
}

#[test]
fn media_of_nobody_and_packets_too_long_are_counted_and_dropped() {
    let mut world = world();
    world.join(1, "r", "anna").expect("joins");
    world
        .publish(1, 1, "r", "browser", Kinds::BOTH)
        .expect("publishes");
    ingest(&mut world, 2);
    let long = vec![0; limits::MEDIA_PAYLOAD + 1];
    let packet = |payload| MediaPacket {
        kind: MediaKind::Video,
        timestamp: 0,
        marker: true,
        captured: Duration::ZERO,
        payload,
    };
    world.media(9, 1, packet(&[0x65]));
    world.media(2, 9, packet(&[0x65]));
    world.media(1, 1, packet(&[0x65]));
    world.media(2, 1, packet(&long));
    let counters = world.sfu.counters();
    assert_eq!((counters.unexpected_packets, counters.ingested), (4, 0));
}
