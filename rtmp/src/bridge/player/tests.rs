use super::*;
use crate::amf0::{self, Value};
use crate::bridge::testing::{Run, fixture, sunk};
use crate::bridge::{BFrames, Fed, Feed, Published};
use crate::flv::{PictureCodec, VideoBody};
use parlor_core::MediaKind;

const MILLISECOND: Duration = Duration::from_millis(1);
const BOTH: Parts = Parts {
    audio: true,
    video: true,
};

fn drain(player: &mut Player) -> Vec<Tag> {
    std::iter::from_fn(|| player.poll_output()).collect()
}

/// Pictures 40 ms apart, from a time on; the first is a key frame.
fn pictures(from: Duration) -> Vec<Picture> {
    let mut run = Run::new(BFrames::Reject);
    run.send_all(&fixture("bf0.flv"));
    let mut feed = Feed::new(None, Some(VideoCodec::H264));
    let packets = run.packets(MediaKind::Video);
    for (number, packet) in packets.iter().enumerate() {
        feed.handle_packet(run.epoch + packet.time, &sunk(number as u64, packet));
    }
    let fed = std::iter::from_fn(|| feed.poll_output());
    let pictures = fed.filter_map(|fed| match fed {
        Fed::Picture(picture) => Some(picture),
        Fed::Sound(_) | Fed::WantKeyframe => None,
    });
    let moved = pictures.zip(0_u32..).map(|(picture, number)| Picture {
        time: from + MILLISECOND * 40 * number,
        ..picture
    });
    moved.collect()
}

/// Frames of AAC of 1,024 samples at 48 kHz, from a time on.
fn sounds(from: Duration, count: u32) -> Vec<Sound> {
    let sound = |number: u32| Sound {
        codec: SoundCodec::Aac,
        config: Bytes::from_static(&[0x11, 0x90]),
        time: from + Duration::from_nanos(u64::from(number) * 1_024_000_000_000 / 48_000),
        unit: Bytes::from_static(&[1, 2, 3]),
    };
    (0..count).map(sound).collect()
}

fn of(tags: &[Tag], kind: TagKind) -> Vec<Tag> {
    tags.iter()
        .filter(|tag| tag.kind == kind)
        .cloned()
        .collect()
}

/// The names in the metadata.
fn metadata(tag: &Tag) -> Vec<String> {
    let values = amf0::read_all(&tag.body).expect("well formed");
    assert_eq!(values[0].as_str(), Some("onMetaData"));
    let Value::Object(fields) = &values[1] else {
        panic!("{values:?}");
    };
    fields.iter().map(|(name, _)| name.clone()).collect()
}

#[test]
fn it_begins_with_a_key_frame_and_the_sound_of_its_time_at_zero() {
    let now = Instant::now();
    let mut player = Player::new(BOTH);
    let begin = Duration::from_secs(7);
    for sound in sounds(begin - MILLISECOND * 500, 40) {
        player.handle_sound(now, &sound);
    }
    assert_eq!(drain(&mut player), [], "sound waits for a picture");
    let pictures = pictures(begin);
    player.handle_picture(now, &pictures[5]);
    assert_eq!(drain(&mut player), [], "a picture for a key frame");
    for picture in &pictures[..2] {
        player.handle_picture(now, picture);
    }
    let tags = drain(&mut player);
    assert_eq!(tags[0].kind, TagKind::Data, "the metadata is first");
    let said = metadata(&tags[0]);
    let all = [
        "videocodecid",
        "width",
        "height",
        "audiocodecid",
        "audiosamplerate",
    ];
    assert_eq!(said, all);
    let video = of(&tags, TagKind::Video);
    assert!(matches!(
        VideoBody::parse(&video[0].body),
        Ok(VideoBody::Header(..))
    ));
    let timestamps: Vec<u32> = video.iter().map(|tag| tag.timestamp).collect();
    assert_eq!(timestamps, [0, 0, 40]);
    let audio = of(&tags, TagKind::Audio);
    assert_eq!(audio[0].body[..], [0xaf, 0, 0x11, 0x90]);
    assert!(
        audio[1].timestamp < 22,
        "the first unit is of the picture's time"
    );
    assert!(
        audio
            .windows(2)
            .skip(2)
            .all(|pair| { matches!(pair[1].timestamp - pair[0].timestamp, 21 | 22) })
    );
    assert_eq!(
        audio.len() - 1,
        40 - 23,
        "sound from before the picture is left out"
    );
}

#[test]
fn sound_goes_alone_where_no_picture_comes_and_the_picture_joins() {
    let now = Instant::now();
    let mut player = Player::new(BOTH);
    let begin = Duration::from_secs(7);
    let sounds = sounds(begin, 200);
    for sound in &sounds {
        player.handle_sound(now + (sound.time - begin), sound);
    }
    let tags = drain(&mut player);
    let audio = of(&tags, TagKind::Audio);
    assert_eq!(audio.len(), 201);
    assert_eq!(audio[1].timestamp, 0);
    assert_eq!(
        metadata(&tags[0]),
        ["audiocodecid", "audiosamplerate"],
        "no picture is promised"
    );
    let pictures = pictures(begin + Duration::from_secs(5));
    player.handle_picture(now, &pictures[0]);
    let tags = drain(&mut player);
    assert!(metadata(&tags[0]).contains(&"width".to_owned()));
    assert_eq!(of(&tags, TagKind::Video)[1].timestamp, 5_000);
}

#[test]
fn sound_that_is_held_is_bounded() {
    let now = Instant::now();
    let mut player = Player::new(BOTH);
    for sound in sounds(Duration::ZERO, 2_000) {
        player.handle_sound(now, &sound);
    }
    assert_eq!(player.held.len(), limits::HOLD_SOUNDS);
    assert_eq!(player.poll_timeout(), Some(now + limits::HOLD_TIME));
}

#[test]
fn sound_without_a_picture_to_come_goes_out_at_once() {
    let mut player = Player::new(Parts {
        audio: true,
        video: false,
    });
    player.handle_sound(Instant::now(), &sounds(Duration::from_secs(3), 1)[0]);
    let tags = drain(&mut player);
    assert_eq!(tags.len(), 3);
    assert!(tags.iter().all(|tag| tag.timestamp == 0));
}

#[test]
fn a_picture_is_shown_without_sound_and_none_is_promised() {
    let mut player = Player::new(BOTH);
    let pictures = pictures(Duration::from_secs(3));
    player.handle_picture(Instant::now(), &pictures[0]);
    let tags = drain(&mut player);
    assert_eq!(metadata(&tags[0]), ["videocodecid", "width", "height"]);
    assert_eq!(tags.len(), 3);
}

#[test]
fn timestamps_never_go_back() {
    let now = Instant::now();
    let mut player = Player::new(BOTH);
    let begin = Duration::from_secs(7);
    let mut pictures = pictures(begin);
    pictures[3].time = begin;
    for picture in &pictures {
        player.handle_picture(now, picture);
    }
    let mut sounds = sounds(begin, 10);
    sounds[5].time = begin;
    for sound in &sounds {
        player.handle_sound(now, sound);
    }
    let tags = drain(&mut player);
    let video = of(&tags, TagKind::Video);
    assert!(
        video
            .windows(2)
            .skip(1)
            .all(|pair| pair[0].timestamp < pair[1].timestamp)
    );
    assert!(of(&tags, TagKind::Audio).is_sorted_by_key(|tag| tag.timestamp));
}

#[test]
fn timestamps_wrap_where_they_end() {
    let now = Instant::now();
    let mut player = Player::new(BOTH);
    let begin = Duration::from_secs(7);
    let pictures = pictures(begin);
    player.handle_picture(now, &pictures[0]);
    let after = [0xff_ffff_u64, 0x100_0000, 0xffff_ffff, 0x1_0000_0001];
    for since in after {
        let picture = Picture {
            time: begin + Duration::from_millis(since),
            ..pictures[1].clone()
        };
        player.handle_picture(now, &picture);
    }
    let tags = drain(&mut player);
    let timestamps: Vec<u32> = tags[3..].iter().map(|tag| tag.timestamp).collect();
    assert_eq!(timestamps, [0xff_ffff, 0x100_0000, 0xffff_ffff, 1]);
}

#[test]
fn opus_is_described_by_a_header_and_vp8_by_its_code() {
    let now = Instant::now();
    let mut player = Player::new(BOTH);
    let frame = [&[0, 0, 0, 0x9d, 1, 0x2a, 0x80, 2, 0xe0, 1][..], &[7; 2_000]].concat();
    let picture = crate::bridge::testing::picture;
    let mut run = Run::new(BFrames::Reject);
    run.send(Duration::ZERO, &picture(0, true, PictureCodec::Vp8, &frame));
    run.wait_until(Duration::from_secs(2));
    let packets = run.packets(MediaKind::Video);
    for fed in crate::bridge::testing::fed(VideoCodec::Vp8, &packets) {
        if let Fed::Picture(picture) = fed {
            player.handle_picture(now, &picture);
            let sound = Sound {
                codec: SoundCodec::Opus,
                config: Bytes::new(),
                time: picture.time,
                unit: Bytes::from_static(&[0xfc, 1]),
            };
            player.handle_sound(now, &sound);
        }
    }
    let tags = drain(&mut player);
    let values = amf0::read_all(&tags[0].body).expect("well formed");
    assert_eq!(values[1].get("width"), Some(&Value::Number(640.0)));
    assert_eq!(
        values[1].get("videocodecid"),
        Some(&Value::Number(1_987_063_864.0))
    );
    let heads: Vec<Vec<u8>> = tags
        .iter()
        .filter(|tag| tag.kind != TagKind::Data)
        .map(|tag| tag.body[..5].to_vec())
        .collect();
    assert_eq!(heads, [b"\x90vp08", b"\x91vp08", b"\x90Opus", b"\x91Opus"]);
}

#[test]
fn an_encoders_stream_comes_to_a_player_as_it_was() {
    let sent = fixture("zerolatency.flv");
    let mut run = Run::new(BFrames::Reject);
    run.send_all(&sent);
    let mut feed = Feed::new(Some(AudioCodec::Opus), Some(VideoCodec::H264));
    let mut player = Player::new(BOTH);
    let mut number = 0;
    for (at, output) in &run.outputs {
        let now = run.epoch + *at;
        match output {
            Published::Packet(packet) => {
                feed.handle_packet(now, &sunk(number, packet));
                number += 1;
                while let Some(fed) = feed.poll_output() {
                    if let Fed::Picture(picture) = fed {
                        player.handle_picture(now, &picture);
                    }
                }
            }
            // As if it had been to Opus and back; its times are on the feed's clock then.
            Published::Sound(sound) => {
                let time = sound.time + MILLISECOND * (9_000 - 23);
                player.handle_sound(
                    now,
                    &Sound {
                        time,
                        ..sound.clone()
                    },
                );
            }
            Published::Announcement(_) | Published::Warning(_) | Published::Refused(_) => {}
        }
    }
    let got = drain(&mut player);
    for kind in [TagKind::Audio, TagKind::Video] {
        // All is 23 ms earlier, when the picture begins, and what was heard before is left out.
        let is_header = |tag: &Tag| tag.body[1] == 0;
        let mut sent = of(&sent, kind);
        sent.retain(|tag| is_header(tag) || tag.timestamp + 12 >= 23);
        for tag in &mut sent {
            tag.timestamp = tag.timestamp.saturating_sub(23);
        }
        let got = of(&got, kind);
        assert!(
            sent.len().abs_diff(got.len()) <= 1,
            "the end of a sequence says nothing"
        );
        for (sent, got) in sent.iter().zip(&got) {
            assert!(
                sent.timestamp.abs_diff(got.timestamp) <= 1,
                "{sent:?} {got:?}"
            );
            if kind == TagKind::Audio {
                assert_eq!(sent.body, got.body);
            }
        }
    }
}
