use proptest::prelude::*;

use super::*;
use crate::bridge::h264;
use crate::bridge::testing::{Run, fed, fixture, picture};
use crate::bridge::{Fed, Picture};
use crate::flv::{PictureCodec, SoundCodec};
use parlor_core::{AudioCodec, VideoCodec};

const MILLISECOND: Duration = Duration::from_millis(1);

fn published(name: &str, b_frames: BFrames) -> Run {
    let mut run = Run::new(b_frames);
    run.send_all(&fixture(name));
    run
}

/// The slices of all pictures, in order.
fn slices(tags: &[Tag]) -> Vec<bytes::Bytes> {
    let mut slices = Vec::new();
    for tag in tags.iter().filter(|tag| tag.kind == TagKind::Video) {
        if let Ok(VideoBody::Picture(picture)) = VideoBody::parse(&tag.body) {
            let units = h264::split(&picture.data, 4).expect("well formed");
            let units = units.into_iter();
            slices.extend(units.filter(|unit| matches!(h264::kind(unit), 1..=5)));
        }
    }
    slices
}

fn pictures(fed: &[Fed]) -> Vec<Picture> {
    let pictures = fed.iter().filter_map(|fed| match fed {
        Fed::Picture(picture) => Some(picture.clone()),
        Fed::Sound(_) | Fed::WantKeyframe => None,
    });
    pictures.collect()
}

fn as_tags(pictures: &[Picture]) -> Vec<Tag> {
    let tag = |picture: &Picture| Tag {
        kind: TagKind::Video,
        timestamp: u32::try_from(picture.time.as_millis()).expect("small"),
        body: picture.body.clone(),
    };
    pictures.iter().map(tag).collect()
}

#[test]
fn streams_without_b_frames_come_out_as_they_went_in() {
    for (name, profile_level_id) in [
        ("zerolatency.flv", 0x64_000b),
        ("baseline.flv", 0x42_c00b),
        ("bf0.flv", 0x64_000b),
        ("offset.flv", 0x64_000b),
    ] {
        let run = published(name, BFrames::Reject);
        let has_sound = name == "zerolatency.flv";
        let announced = Published::Announcement(Announcement {
            audio: has_sound.then_some(AudioCodec::Opus),
            video: Some(VideoFormat::H264 { profile_level_id }),
        });
        assert_eq!(
            run.outputs.first().map(|(_, first)| first),
            Some(&announced),
            "{name}"
        );
        let packets = run.packets(MediaKind::Video);
        assert_eq!(
            packets.first().map(|packet| packet.payload[0] & 0x1f),
            Some(24),
            "parameter sets begin"
        );
        let pictures = pictures(&fed(VideoCodec::H264, &packets));
        assert_eq!(pictures.len(), 30, "{name}");
        assert_eq!(
            slices(&as_tags(&pictures)),
            slices(&fixture(name)),
            "{name}"
        );
        let header = fixture(name)
            .into_iter()
            .find(|tag| tag.kind == TagKind::Video);
        assert_eq!(
            Some(&pictures[0].header),
            header.map(|tag| tag.body).as_ref(),
            "{name}"
        );
        let steps = pictures.windows(2).map(|pair| pair[1].time - pair[0].time);
        for step in steps {
            assert!(step.abs_diff(40 * MILLISECOND) < MILLISECOND, "{step:?}");
        }
        let left_out = run.publisher.left_out();
        assert_eq!(left_out, LeftOut::default(), "{name}");
    }
}

#[test]
fn b_frames_are_refused_at_the_sequence_header() {
    let tags = fixture("bframes.flv");
    let mut run = Run::new(BFrames::Reject);
    let header = tags
        .iter()
        .position(|tag| tag.kind == TagKind::Video)
        .expect("there is one");
    for tag in &tags[..=header] {
        run.send(Duration::ZERO, tag);
    }
    assert_eq!(
        run.outputs,
        [(Duration::ZERO, Published::Refused(Refusal::BFrames))]
    );
    assert_eq!(
        Refusal::BFrames.to_string(),
        "B-frames are not supported in this room; set max B-frames to 0 \
         (OBS: Settings > Output, mode Advanced: tune zerolatency, or max B-frames 0)"
    );
    run.send_all(&tags);
    assert_eq!(run.outputs.len(), 1, "nothing follows");
}

#[test]
fn b_frames_that_the_sequence_header_does_not_tell_are_refused_when_they_come() {
    // The same stream under a header that leaves it open.
    let mut tags = fixture("bframes.flv");
    let open = with_open_header(&mut tags);
    assert!(open, "the header was found");
    let run = {
        let mut run = Run::new(BFrames::Reject);
        run.send_all(&tags);
        run
    };
    assert!(run.has(&Published::Refused(Refusal::BFrames)));
    assert!(!run.packets(MediaKind::Video).is_empty(), "not before");
    let mut without = fixture("bf0.flv");
    with_open_header(&mut without);
    let mut run = Run::new(BFrames::Reject);
    run.send_all(&without);
    assert!(!run.has(&Published::Refused(Refusal::BFrames)));
    assert!(!run.packets(MediaKind::Video).is_empty());
}

/// Puts a sequence parameter set without anything said of reordering in place of the stream's:
/// main profile, order type 0, no VUI.
fn with_open_header(tags: &mut [Tag]) -> bool {
    let header = tags.iter_mut().find(|tag| tag.kind == TagKind::Video);
    let Some(header) = header else { return false };
    let Ok(VideoBody::Header(codec, record)) = VideoBody::parse(&header.body) else {
        return false;
    };
    // profile_idc 77, level 11; ids and log2 0, type 0, log2 2, refs 4; 10x8 macroblocks; frames.
    let sps = [
        0x67,
        77,
        0,
        11,
        0b1_1_1_011_00,
        0b101_0_0001,
        0b010_00010,
        0b00_1_1_0_0_1_0,
    ];
    let pps_at = 8 + usize::from(u16::from_be_bytes([record[6], record[7]]));
    let mut open = record[..6].to_vec();
    open.extend([0, sps.len() as u8]);
    open.extend(sps);
    open.extend_from_slice(&record[pps_at..]);
    header.body = VideoBody::Header(codec, open.into())
        .write()
        .expect("can be written");
    true
}

#[test]
fn b_frames_of_no_use_to_others_are_dropped_where_the_room_says_so() {
    let run = published("flatb.flv", BFrames::Drop);
    assert!(run.has(&Published::Warning(Warning::BFramesDropped)));
    let kept = fed(VideoCodec::H264, &run.packets(MediaKind::Video));
    let kept = slices(&as_tags(&pictures(&kept)));
    let all = slices(&fixture("flatb.flv"));
    assert!(all.iter().any(|slice| h264::is_b_slice(slice)));
    let without: Vec<_> = all
        .into_iter()
        .filter(|slice| !h264::is_b_slice(slice))
        .collect();
    assert_eq!(kept, without);
    assert!(run.publisher.left_out().b_frames > 0);
}

#[test]
fn b_frames_pass_in_rooms_without_browsers() {
    let run = published("bframes.flv", BFrames::Pass);
    let fed = fed(VideoCodec::H264, &run.packets(MediaKind::Video));
    let pictures = pictures(&fed);
    assert_eq!(slices(&as_tags(&pictures)), slices(&fixture("bframes.flv")));
    assert!(
        pictures.is_sorted_by_key(|picture| picture.time),
        "decoded in order"
    );
    let shown = |tag: &Tag| match VideoBody::parse(&tag.body) {
        Ok(VideoBody::Picture(picture)) => {
            assert!(picture.composition_ms >= 0);
            Some(i64::from(tag.timestamp) + i64::from(picture.composition_ms))
        }
        _ => None,
    };
    let steps = |tags: &[Tag]| {
        let shown: Vec<i64> = tags.iter().filter_map(shown).collect();
        shown
            .iter()
            .map(|time| (time - shown[0] + 20) / 40)
            .collect::<Vec<_>>()
    };
    let video = fixture("bframes.flv")
        .into_iter()
        .filter(|tag| tag.kind == TagKind::Video);
    assert_eq!(
        steps(&as_tags(&pictures)),
        steps(&video.collect::<Vec<_>>())
    );
}

#[test]
fn sound_goes_to_the_transcoder_with_times_that_count_samples() {
    let run = published("zerolatency.flv", BFrames::Reject);
    let sounds: Vec<&Sound> = run
        .outputs
        .iter()
        .filter_map(|(_, output)| match output {
            Published::Sound(sound) => Some(sound),
            _ => None,
        })
        .collect();
    assert!(sounds.len() > 45);
    assert!(
        sounds
            .iter()
            .all(|sound| sound.codec == SoundCodec::Aac && sound.config.len() == 5)
    );
    for (index, sound) in sounds.iter().enumerate() {
        let exact =
            sounds[0].time + Duration::from_nanos(index as u64 * 1_024_000_000_000 / 44_100);
        assert!(sound.time.abs_diff(exact) < Duration::from_micros(1));
    }
    let first = run.packets(MediaKind::Video)[0].time;
    assert!(
        sounds[0].time.abs_diff(first) < 25 * MILLISECOND,
        "both begin together"
    );
}

#[test]
fn g711_is_cut_to_20_ms() {
    let run = published("g711.flv", BFrames::Reject);
    let announced = Published::Announcement(Announcement {
        audio: Some(AudioCodec::Pcmu),
        video: None,
    });
    assert_eq!(run.outputs[0].1, announced);
    let packets = run.packets(MediaKind::Audio);
    assert_eq!(packets.len(), 25);
    assert!(packets.iter().all(|packet| packet.payload.len() == 160));
    for pair in packets.windows(2) {
        assert_eq!(pair[1].timestamp - pair[0].timestamp, 160);
    }
    let sent: Vec<u8> = fixture("g711.flv")
        .iter()
        .filter(|tag| tag.kind == TagKind::Audio)
        .flat_map(|tag| tag.body[1..].to_vec())
        .collect();
    let passed: Vec<u8> = packets
        .iter()
        .flat_map(|packet| packet.payload.to_vec())
        .collect();
    assert_eq!(passed, sent[..passed.len()]);
}

#[test]
fn vp8_and_opus_pass_as_they_are() {
    let mut run = Run::new(BFrames::Reject);
    let mut frames = Vec::new();
    for number in 0..20_u32 {
        let at = MILLISECOND * 40 * number;
        // Key frames have a zero in their lowest bit.
        let mut frame = vec![u8::try_from(number).expect("small"); 3_000];
        frame[0] = u8::from(number % 10 != 0);
        run.send(
            at,
            &picture(40 * number, number % 10 == 0, PictureCodec::Vp8, &frame),
        );
        frames.push(frame);
        for half in [0, 20] {
            let unit = AudioBody::Unit(SoundCodec::Opus, bytes::Bytes::from_static(&[0xfc, 1, 2]));
            let tag = Tag {
                kind: TagKind::Audio,
                timestamp: 40 * number + half,
                body: unit.write().expect("can be written"),
            };
            run.send(at, &tag);
        }
    }
    run.wait_until(Duration::from_secs(2));
    let announced = Published::Announcement(Announcement {
        audio: Some(AudioCodec::Opus),
        video: Some(VideoFormat::Vp8),
    });
    assert_eq!(run.outputs[0].1, announced);
    let pictures = pictures(&fed(VideoCodec::Vp8, &run.packets(MediaKind::Video)));
    let passed: Vec<Vec<u8>> = pictures
        .iter()
        .map(|picture| match VideoBody::parse(&picture.body) {
            Ok(VideoBody::Picture(coded)) => coded.data.to_vec(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(passed, frames);
    let sounds = run.packets(MediaKind::Audio);
    assert_eq!(sounds.len(), 40);
    assert!(
        sounds
            .windows(2)
            .all(|pair| pair[1].timestamp - pair[0].timestamp == 960)
    );
}

#[test]
fn what_comes_evenly_goes_out_at_once() {
    let run = published("bf0.flv", BFrames::Reject);
    for (at, output) in &run.outputs {
        if let Published::Packet(packet) = output {
            let captured = packet.time - MILLISECOND * 1_000;
            assert!(
                at.abs_diff(captured) <= 2 * MILLISECOND,
                "{at:?} {captured:?}"
            );
        }
    }
}

#[test]
fn a_burst_goes_out_by_its_times_or_faster_but_never_at_once() {
    let tags = fixture("bf0.flv");
    let mut run = Run::new(BFrames::Reject);
    // Twelve frames live, then nothing for 400 ms, and what was held back.
    for tag in &tags {
        let due = MILLISECOND * tag.timestamp;
        let at = if tag.timestamp > 480 {
            due.max(MILLISECOND * 880)
        } else {
            due
        };
        run.send(at, tag);
    }
    run.wait_until(Duration::from_secs(3));
    let mut pictures: Vec<(Duration, Duration)> = Vec::new();
    for (at, output) in &run.outputs {
        if let Published::Packet(packet) = output
            && pictures.last().is_none_or(|(_, time)| *time != packet.time)
        {
            pictures.push((*at, packet.time));
        }
    }
    assert_eq!(pictures.len(), 30, "nothing is left out");
    for pair in pictures.windows(2) {
        let (took, meant) = (pair[1].0 - pair[0].0, pair[1].1 - pair[0].1);
        assert!(
            took + MILLISECOND / 10 >= meant / 8,
            "{took:?} for {meant:?}"
        );
    }
    let (at, time) = pictures[29];
    let late = at - (time - MILLISECOND * 1_000);
    assert!(late <= limits::BACKLOG + 10 * MILLISECOND, "{late:?}");
}

/// A stream of one slice a picture, `gop` apart, after its header.
fn long_stream(pictures: u32, gop: u32) -> Vec<Tag> {
    // The metadata, and the header.
    let mut tags = fixture("bf0.flv");
    tags.truncate(2);
    for number in 0..pictures {
        let key = number % gop == 0;
        let data = [0, 0, 0, 3, if key { 0x65 } else { 0x41 }, 0x88, 0x80];
        tags.push(picture(40 * number, key, PictureCodec::H264, &data));
    }
    tags
}

#[test]
fn a_long_burst_is_left_out_up_to_the_next_key_frame() {
    // Some are in it; or none is, and even at eight times its pace it would go out too late.
    for (gop, seconds) in [(50, 5), (400, 12)] {
        long_burst(gop, seconds);
    }
}

fn long_burst(gop: u32, seconds: u32) {
    let mut run = Run::new(BFrames::Reject);
    for (index, tag) in long_stream(900, gop).iter().enumerate() {
        // Picture 60 comes so late, with all after it that are due by then.
        let due = MILLISECOND * tag.timestamp;
        let at = if index > 61 {
            due.max(MILLISECOND * (2_400 + 1_000 * seconds))
        } else {
            due
        };
        run.send(at, tag);
    }
    run.wait_until(Duration::from_secs(40));
    assert!(run.has(&Published::Warning(Warning::Bursts)));
    assert!(run.publisher.left_out().pictures > 0);
    // Each hole is followed by a key frame.
    let packets = run.packets(MediaKind::Video);
    for pair in packets.windows(2) {
        if pair[1].time - pair[0].time > 50 * MILLISECOND {
            assert_eq!(
                pair[1].payload[0] & 0x1f,
                24,
                "a hole without a key frame: {gop}"
            );
        }
    }
    let (at, last) = run
        .outputs
        .iter()
        .rev()
        .find_map(|(at, output)| match output {
            Published::Packet(packet) => Some((*at, packet.time)),
            _ => None,
        })
        .expect("something goes out");
    assert!(at < last, "live again: {at:?}, {last:?}");
}

#[test]
fn an_encoder_as_fast_as_it_can_does_not_fill_the_memory() {
    let mut run = Run::new(BFrames::Reject);
    let tags = long_stream(20_000, 50);
    for tag in &tags {
        run.publisher.handle_tag(run.epoch, tag);
    }
    assert!(
        run.has(&Published::Warning(Warning::Bursts)) || {
            let outputs = std::iter::from_fn(|| run.publisher.poll_output());
            outputs
                .into_iter()
                .any(|output| output == Published::Warning(Warning::Bursts))
        }
    );
    assert!(run.publisher.pacer.flush().len() <= limits::BURST_TAGS);
}

#[test]
fn a_clock_that_is_faster_or_slower_than_this_machines_is_followed() {
    for (permille, name) in [(998_u32, "fast"), (1_002, "slow")] {
        let mut run = Run::new(BFrames::Reject);
        for tag in long_stream(3_000, 50) {
            run.send(MILLISECOND * tag.timestamp * permille / 1_000, &tag);
        }
        run.wait_until(Duration::from_secs(130));
        let last = run.outputs.last().expect("something").0;
        let sent = MILLISECOND * (40 * 2_999) * permille / 1_000;
        assert!(
            last - sent < 40 * MILLISECOND,
            "{name}: {last:?} for {sent:?}"
        );
        assert_eq!(run.publisher.left_out(), LeftOut::default(), "{name}");
    }
}

#[test]
fn key_frames_that_are_rare_are_warned_of_once() {
    for (gop, seconds) in [(125, Some(5)), (100, None), (50, None), (10_000, Some(10))] {
        let mut run = Run::new(BFrames::Reject);
        run.send_all(&long_stream(600, gop));
        let warnings: Vec<_> = run
            .outputs
            .iter()
            .filter_map(|(_, output)| match output {
                Published::Warning(warning) => Some(*warning),
                _ => None,
            })
            .collect();
        let expected = seconds.map(Warning::RareKeyframes);
        assert_eq!(warnings, expected.into_iter().collect::<Vec<_>>(), "{gop}");
    }
}

#[test]
fn a_track_that_comes_later_is_announced_when_it_comes() {
    let tags = fixture("zerolatency.flv");
    let mut run = Run::new(BFrames::Reject);
    for tag in tags.iter().filter(|tag| tag.kind == TagKind::Video) {
        run.send(MILLISECOND * tag.timestamp, tag);
    }
    run.wait_until(2 * MILLISECOND * 1_000);
    for tag in tags.iter().filter(|tag| tag.kind == TagKind::Audio) {
        run.send(
            MILLISECOND * (tag.timestamp + 2_000),
            &Tag {
                timestamp: tag.timestamp + 2_000,
                ..tag.clone()
            },
        );
    }
    let announced: Vec<(Duration, Option<AudioCodec>)> = run
        .outputs
        .iter()
        .filter_map(|(at, output)| match output {
            Published::Announcement(announcement) => Some((*at, announcement.audio)),
            _ => None,
        })
        .collect();
    let gathered = limits::GATHER_TIME;
    let later = 2 * MILLISECOND * 1_000;
    assert_eq!(
        announced,
        [(gathered, None), (later, Some(AudioCodec::Opus))]
    );
    let sets = run.packets(MediaKind::Video);
    assert_eq!(
        pictures(&fed(VideoCodec::H264, &sets)).len(),
        30,
        "what was held is passed on"
    );
}

#[test]
fn metadata_says_what_need_not_be_waited_for() {
    let run = published("bf0.flv", BFrames::Reject);
    assert_eq!(
        run.outputs[0].0,
        Duration::ZERO,
        "there is no sound to wait for"
    );
}

#[test]
fn a_picture_of_another_profile_is_announced_and_of_another_size_is_not() {
    let high = fixture("bf0.flv");
    let baseline = fixture("baseline.flv");
    let mut run = Run::new(BFrames::Reject);
    let later = |tags: &[Tag], by: u32| -> Vec<Tag> {
        let later = |tag: &Tag| Tag {
            timestamp: tag.timestamp + by,
            ..tag.clone()
        };
        tags.iter().map(later).collect()
    };
    run.send_all(&high);
    let count = |run: &Run| {
        let is = |output: &&(Duration, Published)| matches!(output.1, Published::Announcement(_));
        run.outputs.iter().filter(is).count()
    };
    assert_eq!(count(&run), 1);
    for tag in later(&baseline, 5_000) {
        run.send(MILLISECOND * tag.timestamp, &tag);
    }
    assert_eq!(count(&run), 2);
    assert_eq!(
        pictures(&fed(VideoCodec::H264, &run.packets(MediaKind::Video))).len(),
        60
    );
}

#[test]
fn what_cannot_be_played_is_refused_in_words() {
    let hevc = Tag {
        kind: TagKind::Video,
        timestamp: 0,
        body: bytes::Bytes::from_static(b"\x90hvc1 and so on"),
    };
    let mut run = Run::new(BFrames::Reject);
    run.send(Duration::ZERO, &hevc);
    run.wait_until(Duration::from_secs(2));
    let outputs: Vec<_> = run
        .outputs
        .iter()
        .map(|(_, output)| output.clone())
        .collect();
    let refusal = Refusal::PictureCodec("H.265");
    assert_eq!(outputs, [Published::Refused(refusal)]);

    // A picture without its sound is refused too: its encoder would never tell.
    for (first, name) in [
        (0x2f, "MP3"),
        (0x62, "Nellymoser"),
        (0xd0, "in an unknown codec"),
    ] {
        let mut run = Run::new(BFrames::Reject);
        let mut tags = fixture("zerolatency.flv");
        for tag in tags.iter_mut().filter(|tag| tag.kind == TagKind::Audio) {
            tag.body = bytes::Bytes::copy_from_slice(&[first, 1, 2, 3]);
        }
        run.send_all(&tags);
        let refusal = Refusal::SoundCodec(name);
        assert!(run.has(&Published::Refused(refusal)), "{name}");
        let sentence = format!("The sound is {name}, which is not decoded here; use AAC");
        assert_eq!(refusal.to_string(), sentence);
        assert!(run.packets(MediaKind::Video).is_empty());
    }
}

#[test]
fn sound_that_cannot_be_decoded_is_refused_in_words() {
    let mut run = Run::new(BFrames::Reject);
    let mut tags = fixture("zerolatency.flv");
    let header = tags.iter_mut().find(|tag| tag.kind == TagKind::Audio);
    // AAC main.
    header.expect("there is one").body = bytes::Bytes::from_static(&[0xaf, 0, 0x0a, 0x10]);
    run.send_all(&tags);
    let refusal = Refusal::Sound(BadConfig::ObjectType(1));
    assert!(run.has(&Published::Refused(refusal)));
    assert_eq!(
        refusal.to_string(),
        "MPEG-4 audio of type 1 is not decoded; set the encoder to AAC-LC"
    );
}

#[test]
fn a_malformed_picture_is_counted_and_nothing_is_shown_before_a_key_frame() {
    let mut tags = long_stream(30, 10);
    // A length that lies.
    tags[7] = picture(
        200,
        false,
        PictureCodec::H264,
        &[0, 0, 0, 9, 0x41, 0x88, 0x80],
    );
    let mut run = Run::new(BFrames::Reject);
    run.send_all(&tags);
    assert_eq!(run.publisher.left_out().malformed, 1);
    assert_eq!(run.publisher.left_out().pictures, 4);
    assert_eq!(
        pictures(&fed(VideoCodec::H264, &run.packets(MediaKind::Video))).len(),
        25
    );
}

#[test]
fn units_that_mean_something_else_in_rtp_do_not_get_there() {
    let mut tags = long_stream(1, 10);
    let mut data = Vec::new();
    for kind in 0..=31_u8 {
        data.extend([0, 0, 0, 3, 0x60 | kind, 0x88, 0x80]);
    }
    tags.push(picture(40, false, PictureCodec::H264, &data));
    let mut run = Run::new(BFrames::Reject);
    run.send_all(&tags);
    let kinds: Vec<u8> = run
        .packets(MediaKind::Video)
        .iter()
        .map(|packet| packet.payload[0] & 0x1f)
        .collect();
    assert!(
        kinds.iter().all(|kind| matches!(kind, 1..=6 | 24)),
        "{kinds:?}"
    );
}

fn any_tag() -> impl Strategy<Value = Tag> {
    let kind = prop_oneof![
        Just(TagKind::Audio),
        Just(TagKind::Video),
        Just(TagKind::Data)
    ];
    let head = prop_oneof![
        Just(vec![]),
        Just(vec![0x17, 0, 0, 0, 0]),
        Just(vec![0x27, 1, 0, 0, 0]),
        Just(vec![0x17, 1, 0, 0, 0, 0, 0, 0, 4, 0x65]),
        Just(b"\x90avc1".to_vec()),
        Just(b"\x91avc1\0\0\0".to_vec()),
        Just(b"\x93vp08".to_vec()),
        Just(b"\x97\x05".to_vec()),
        Just(vec![0xaf, 0]),
        Just(vec![0xaf, 1]),
        Just(b"\x90Opus".to_vec()),
        Just(b"\x91Opus".to_vec()),
        Just(vec![0x82]),
    ];
    let rest = proptest::collection::vec(any::<u8>(), 0..60);
    (kind, head, rest, any::<u32>()).prop_map(|(kind, mut body, rest, timestamp)| {
        body.extend(rest);
        Tag {
            kind,
            timestamp,
            body: body.into(),
        }
    })
}

proptest! {
    #[test]
    fn no_tag_panics(
        tags in proptest::collection::vec((any_tag(), 0_u64..2_000), 1..60),
        begins_well in any::<bool>(),
    ) {
        let mut run = Run::new(BFrames::Drop);
        if begins_well {
            run.send_all(&fixture("zerolatency.flv"));
        }
        let mut at = run.now - run.epoch;
        for (tag, wait) in tags {
            at += Duration::from_millis(wait);
            run.send(at, &tag);
        }
        for packet in run.packets(MediaKind::Video) {
            prop_assert!(packet.payload.len() <= parlor_core::limits::MEDIA_PAYLOAD);
        }
    }

    #[test]
    fn pictures_of_any_units_survive_the_way_through_packets(
        sizes in proptest::collection::vec(1_usize..5_000, 1..6),
        length_size in prop_oneof![Just(1_usize), Just(2), Just(4)],
    ) {
        let mut record = vec![1, 77, 0, 11, 0xfc | (length_size - 1) as u8, 0xe1];
        let sps = [0x67, 77, 0, 11, 0b1_1_1_011_00, 0b101_0_0001, 0b010_00010, 0b00_1_1_0_0_1_0];
        record.extend([0, sps.len() as u8]);
        record.extend(sps);
        record.extend([1, 0, 2, 0x68, 0xce]);
        let header = VideoBody::Header(PictureCodec::H264, record.into()).write().expect("written");
        let most = if length_size == 1 { 255 } else { 5_000 };
        let mut data = Vec::new();
        let mut units = Vec::new();
        for size in sizes {
            let size = size.min(most);
            let mut unit = vec![0x65];
            unit.extend((1..size).map(|at| (at % 249) as u8 | 0x80));
            data.extend_from_slice(&(size as u32).to_be_bytes()[4 - length_size..]);
            data.extend_from_slice(&unit);
            units.push(bytes::Bytes::from(unit));
        }
        let mut run = Run::new(BFrames::Reject);
        run.send(Duration::ZERO, &Tag { kind: TagKind::Video, timestamp: 0, body: header });
        run.send(Duration::ZERO, &picture(0, true, PictureCodec::H264, &data));
        run.wait_until(Duration::from_secs(2));
        let packets = run.packets(MediaKind::Video);
        let longest = packets.iter().map(|packet| packet.payload.len()).max();
        prop_assert!(longest.is_some_and(|longest| longest <= parlor_core::limits::MEDIA_PAYLOAD));
        let marked = packets.iter().filter(|packet| packet.marker).count();
        prop_assert_eq!(marked, 1);
        prop_assert_eq!(slices(&as_tags(&pictures(&fed(VideoCodec::H264, &packets)))), units);
    }
}
