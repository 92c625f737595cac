//! What anyone can send (rtmp.md §1.5, cases 37 to 42): a clear end, and others unharmed.

use std::time::Duration;

use parlor_rtmp::amf0::Value;
use parlor_rtmp::bridge::{Parts, Picture};
use parlor_rtmp::flv::PictureCodec;
use parlor_rtmp::limits::{
    BEHIND_BYTES, CONNECT_TIMEOUT, EGRESS_BYTES, HANDSHAKE_TIMEOUT, STALL_TIMEOUT, STREAMS,
};
use parlor_rtmp::{Action, Config, Counters, Delivery, Playable};
use proptest::prelude::*;

use crate::world::{World, command, handshake, object};

fn world() -> World {
    World::new(Config::default())
}

/// The number of the other encoder.
const NEIGHBOUR: u64 = 1;

/// Another encoder is there before and after.
fn with_a_neighbour(test: impl FnOnce(&mut World)) {
    let mut world = world();
    let neighbour = world.publish("stage", "neighbour");
    assert_eq!(neighbour, NEIGHBOUR);
    assert!(world.told(neighbour).contains("NetStream.Publish.Start"));
    test(&mut world);
    assert!(!world.is_gone(neighbour));
    world.call(neighbour, 1, "closeStream", 0.0, &[Value::Null]);
    assert!(
        world
            .told(neighbour)
            .contains("NetStream.Unpublish.Success")
    );
}

#[test]
fn case_37_a_handshake_that_is_none_or_does_not_come_is_closed() {
    with_a_neighbour(|world| {
        for garbage in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            &[6; 2000],
            &[0],
            &[0x16, 3, 1],
        ] {
            let client = world.accept();
            world.send(client, garbage);
            assert!(world.is_gone(client));
        }
        let short = world.accept();
        world.send(short, &handshake()[..1000]);
        let silent = world.accept();
        world.run_for(HANDSHAKE_TIMEOUT);
        assert!(world.is_gone(short) && world.is_gone(silent));
        // C2 may be anything: that of Flash Player is not what it should be.
        let mut bytes = handshake();
        bytes[1537..].fill(0xee);
        let client = world.accept();
        world.send(client, &bytes);
        assert!(!world.is_gone(client));
        world.run_for(CONNECT_TIMEOUT);
        assert!(world.is_gone(client), "no `connect` came");
    });
}

#[test]
fn case_38_chunks_without_sense_are_closed() {
    let set_chunk_size = |size: u32| {
        let mut bytes = vec![2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0];
        bytes.extend_from_slice(&size.to_be_bytes());
        bytes
    };
    let header = |length: u32| {
        let [_, a, b, c] = length.to_be_bytes();
        vec![3, 0, 0, 0, a, b, c, 20, 0, 0, 0, 0]
    };
    with_a_neighbour(|world| {
        for bytes in [
            set_chunk_size(0),
            set_chunk_size(1),
            set_chunk_size(0x8000_0000),
            vec![0xc3; 100],
            header(0x00ff_ffff),
            header(65 * 1024),
            [2, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 9].to_vec(),
        ] {
            let client = world.shake();
            world.send(client, &bytes);
            assert!(world.is_gone(client), "{bytes:?}");
        }
        // The largest there is changes nothing.
        let client = world.shake();
        world.send(client, &set_chunk_size(0x7fff_ffff));
        assert!(!world.is_gone(client));
    });
}

#[test]
fn case_39_values_without_sense_are_closed_and_strange_ones_passed_over() {
    with_a_neighbour(|world| {
        let nested = [0x0a, 0, 0, 0, 1].repeat(12_000);
        let objects = b"\x03\x00\x01a".repeat(15_000);
        for body in [
            vec![],
            vec![0x02],
            b"\x02\x00\x01x".to_vec(),
            b"\x00\x00\x00\x00\x00\x00\x00\x00\x00".to_vec(),
            [&command("connect", 1.0, &[])[..], &nested].concat(),
            [&command("connect", 1.0, &[])[..], &objects].concat(),
            [&command("connect", 1.0, &[])[..], b"\x0a\xff\xff\xff\xff"].concat(),
            [&command("connect", 1.0, &[])[..], b"\x09"].concat(),
            command("connect", 1.0, &[]),
            command("publish", 1.0, &[Value::Null, "anna".into()]),
        ] {
            let client = world.shake();
            world.say(client, 20, 0, 0, &body);
            assert!(world.is_gone(client), "{:?}", &body[..body.len().min(40)]);
        }
        let client = world.connect("stage");
        let long = "x".repeat(60_000);
        let strange = [Value::Date(1.0), long.as_str().into(), Value::Undefined];
        world.call(
            client,
            0,
            "whatever",
            7.0,
            &[Value::Null, strange.to_vec().remove(1)],
        );
        let told = world.told(client);
        assert!(told.contains("_error") && told.len() < 500, "{told}");
        world.call(client, 0, "whatever", 0.0, &strange);
        // The envelope of AMF3, and a value of it.
        let mut body = vec![0];
        body.extend(command("createStream", 8.0, &[Value::Null]));
        body.extend_from_slice(b"\x11\x0a\x0b\x01\x09");
        world.say(client, 17, 0, 0, &body);
        assert!(world.told(client).contains("_result"));
        // `@setDataFrame` alone, on a stream and on none.
        for stream in [0, 1, 9] {
            world.say(client, 18, 0, stream, b"\x02\x00\x0d@setDataFrame");
            world.say(client, 15, 0, stream, b"");
        }
        assert!(!world.is_gone(client));
    });
}

/// Every type of message that may hold media, and some that do not.
const KINDS: [u8; 8] = [8, 9, 18, 15, 22, 16, 19, 99];

#[test]
fn case_40_media_without_sense_is_passed_over_or_refused_in_words() {
    with_a_neighbour(|world| {
        let bodies: [&[u8]; 10] = [
            b"",
            b"\x17",
            b"\x17\x00\x00\x00\x00",
            b"\x17\x00\x00\x00\x00\x01\x42\xe0\x1f\xff\xe1\xff\xff",
            b"\x17\x01\x00\x00\x00\xff\xff\xff\xff",
            b"\x27\x01\xff\xff\xff\x00\x00\x00\x01\x41",
            b"\x91avc1",
            b"\x96\x00",
            b"\xaf\x00",
            b"\xaf\x01\x21",
        ];
        // No sequence header, times that wrap, go back and leap.
        for (body, kind) in bodies
            .iter()
            .flat_map(|body| KINDS.map(|kind| (body, kind)))
        {
            let encoder = world.publish("stage", "anna");
            for time in [0, u32::MAX, 5, 0x00ff_ffff, 0x0100_0000, 1 << 31, 0] {
                world.say(encoder, kind, time, 1, body);
            }
            world.run_for(Duration::from_millis(50));
            let told = world.told(encoder);
            let is_refused = told.contains("NetStream.Publish.Rejected");
            assert!(is_refused || !world.is_gone(encoder), "{told}");
            world.call(encoder, 1, "closeStream", 0.0, &[Value::Null]);
        }
        // What is in no codec at all is refused.
        for (name, kind, body) in [
            ("picture", 9, &b"\x90zzzz"[..]),
            ("picture", 9, b"\xff\xff\xff\xff\xff\xff\xff\xff"),
            ("sound", 8, b"\xd0"),
        ] {
            let encoder = world.publish("stage", "zoe");
            world.say(encoder, kind, 0, 1, body);
            let told = world.told(encoder);
            let sentence = format!("The {name} is in an unknown codec");
            assert!(told.contains(&sentence), "{told}");
            world.run_for(Duration::from_secs(2));
            assert!(world.is_gone(encoder));
        }
    });
}

#[test]
fn case_41_calls_without_end_are_closed_and_streams_are_counted() {
    with_a_neighbour(|world| {
        let client = world.connect("stage");
        for number in 0..=STREAMS {
            world.call(
                client,
                0,
                "createStream",
                number as f64 + 2.0,
                &[Value::Null],
            );
        }
        let told = world.told(client);
        assert_eq!(told.matches("_result").count(), STREAMS);
        assert!(told.contains("too many streams"), "{told}");
        for _ in 0..200 {
            world.call(client, 0, "createStream", 2.0, &[Value::Null]);
        }
        assert!(world.is_gone(client));
        // Names that are tried one after the other: who stays is refused only so often.
        let curious = world.connect_with_login("curious");
        for guess in 0..50_u32 {
            let stream = f64::from(guess) + 2.0;
            world.call(curious, 0, "createStream", stream, &[Value::Null]);
            let name = format!("stream-{guess}");
            world.call(
                curious,
                1,
                "play",
                0.0,
                &[Value::Null, name.as_str().into()],
            );
            for action in world.played(curious) {
                if let Action::Play { media, .. } = action {
                    let now = world.now;
                    let nothing = Err("Nobody publishes this".to_owned());
                    world.connection(curious).handle_delivery(
                        now,
                        media,
                        &Delivery::Playing(nothing),
                    );
                }
            }
            if world.is_gone(curious) {
                break;
            }
        }
        let told = world.told(curious);
        let refused = told.matches("StreamNotFound").count();
        assert!(world.is_gone(curious) && refused <= 21, "{refused}");
        // Each of another one is another connection's.
        let guess = world.publish("stage", "neighbour?key=guess");
        world.run_for(Duration::from_secs(1) / 4);
        assert!(!world.told(guess).contains("Publish.Start"));
    });
}

#[test]
fn case_42_a_client_that_does_not_read_is_closed_at_its_cap() {
    with_a_neighbour(|world| {
        let client = world.connect_with_login("flash");
        world.stop_reading(client);
        world.call(client, 0, "createStream", 2.0, &[Value::Null]);
        for _ in 0..STALL_TIMEOUT.as_secs() {
            assert!(!world.is_gone(client));
            world.run_for(Duration::from_secs(1));
            world.say(NEIGHBOUR, 8, 0, 1, &[0xaf, 1]);
        }
        assert!(world.is_gone(client));
    });
    const { assert!(BEHIND_BYTES < EGRESS_BYTES) };
}

#[test]
fn case_42_a_player_that_is_behind_is_cut_to_a_key_frame_it_can_take() {
    let mut world = world();
    let player = world.connect("stage");
    world.call(player, 0, "createStream", 2.0, &[Value::Null]);
    world.call(player, 1, "play", 0.0, &[Value::Null, "anna".into()]);
    let Some(Action::Play { media, .. }) = world.played(player).pop() else {
        panic!("it asks to play");
    };
    let parts = Parts {
        audio: false,
        video: true,
    };
    let playable = Playable {
        parts,
        refused_video: None,
    };
    let now = world.now;
    world
        .connection(player)
        .handle_delivery(now, media, &Delivery::Playing(Ok(playable)));
    world.heard(player);
    let show = |world: &mut World, number: u64| {
        let key = number.is_multiple_of(50);
        let mut body = vec![0; 100_000];
        body[..2].copy_from_slice(&[if key { 0x17 } else { 0x27 }, 1]);
        let picture = Picture {
            codec: PictureCodec::H264,
            key,
            time: Duration::from_millis(40 * number),
            header: vec![0x17, 0, 0, 0, 0, 1].into(),
            body: body.into(),
        };
        let now = world.now;
        world
            .connection(player)
            .handle_delivery(now, media, &Delivery::Picture(picture));
        world.run_for(Duration::from_millis(40));
    };
    world.stop_reading(player);
    for number in 0..120 {
        show(&mut world, number);
    }
    let waiting = world.connection(player).egress().len();
    assert!(waiting <= BEHIND_BYTES + 200_000, "{waiting} bytes wait");
    assert_eq!(world.connection(player).take_counters().cut, 1);
    world.read_again(player);
    world.heard(player);
    for number in 120..160 {
        show(&mut world, number);
    }
    let pictures = world
        .heard(player)
        .into_iter()
        .filter(|message| message.kind == 9);
    let times: Vec<u32> = pictures.map(|message| message.timestamp).collect();
    assert_eq!(
        times.first(),
        Some(&6_000),
        "picture 150 is the next key frame"
    );
    assert_eq!(times.len(), 10);
}

#[test]
fn pings_do_not_make_more_than_they_are() {
    let mut world = world();
    let client = world.connect("stage");
    let mut ping = vec![0, 6];
    ping.extend_from_slice(&[7; 60_000]);
    world.say(client, 4, 0, 0, &ping);
    let heard = world.heard(client);
    let pong = heard.iter().find(|message| message.kind == 4).unwrap();
    assert_eq!(&pong.body[..], [0, 7, 7, 7, 7, 7]);
}

#[test]
fn received_bytes_are_acknowledged_by_their_running_total() {
    let mut world = world();
    let encoder = world.publish("stage", "anna");
    world.say(encoder, 5, 0, 0, &20_000_u32.to_be_bytes());
    let mut totals = Vec::new();
    for _ in 0..10 {
        world.say(encoder, 9, 0, 1, &[0x27; 9_000]);
        for message in world.heard(encoder) {
            if message.kind == 3 {
                totals.push(u32::from_be_bytes(*message.body.first_chunk().unwrap()));
            }
        }
    }
    assert!(totals.len() >= 3, "{totals:?}");
    assert!(
        totals.windows(2).all(|pair| pair[1] - pair[0] >= 20_000),
        "{totals:?}"
    );
}

/// A session as an encoder has it.
fn session() -> Vec<u8> {
    let mut writer = parlor_rtmp::chunk::Writer::default();
    let mut bytes = handshake();
    let about = object(&[("app", "stage".into()), ("tcUrl", "rtmp://h/stage".into())]);
    let calls = [
        (0, command("connect", 1.0, &[about])),
        (0, command("createStream", 2.0, &[Value::Null])),
        (
            1,
            command("publish", 3.0, &[Value::Null, "anna".into(), "live".into()]),
        ),
    ];
    for (stream, body) in calls {
        writer.write(20, 0, stream, &body, &mut bytes);
    }
    for time in 0..8 {
        writer.write(9, time * 40, 1, &[0x27; 300], &mut bytes);
        writer.write(8, time * 40, 1, &[0xaf, 1, 2, 3, 4], &mut bytes);
    }
    writer.write(
        20,
        0,
        1,
        &command("deleteStream", 0.0, &[Value::Null, 1.0.into()]),
        &mut bytes,
    );
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_broken_session_harms_nobody(
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..6),
        piece in 1_usize..3000,
    ) {
        let mut bytes = session();
        let begin = handshake().len();
        for (at, flip) in flips {
            let at = begin + at.index(bytes.len() - begin);
            bytes[at] ^= flip;
        }
        with_a_neighbour(|world| {
            let client = world.accept();
            for part in bytes.chunks(piece) {
                world.send(client, part);
            }
            world.run_for(Duration::from_secs(12));
        });
    }

    #[test]
    fn how_a_session_is_cut_changes_nothing(piece in 1_usize..500) {
        let outcome = |piece: usize| {
            let mut world = world();
            let client = world.accept();
            for part in session().chunks(piece) {
                world.send(client, part);
            }
            // When the rooms answer differs; what has become of all of it does not.
            let Counters { faults, refused, .. } = world.connection(client).take_counters();
            (faults, refused, world.participants(), world.is_gone(client))
        };
        prop_assert_eq!(outcome(piece), outcome(1 << 20));
    }
}
