//! A publication whose players are on two machines.

#![allow(clippy::expect_used, reason = "a broken expectation fails the test")]

use std::time::{Duration, Instant};

use parlor_core::{
    AudioCodec, Config, EndReason, Limits, MediaId, MediaKind, MediaPacket, News, Place,
    PublicationName, Reply, Request, RequestError, RoomName, Team, TooMany, VideoFormat, WorkerId,
    epoch,
};
use parlor_fuzz::{Client, Codec, Kinds, World, audio_payload, mark_of, video_payloads};

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

fn world_after(relay_after: usize) -> World {
    seeded_world(31, relay_after)
}

fn seeded_world(seed: u64, relay_after: usize) -> World {
    let config = Config {
        team: Team {
            size: 2,
            relay_after,
            ..Team::default()
        },
        ..Config::default()
    };
    World::new(seed, epoch::base(Instant::now()), config)
}

/// A room in which the client 1 publishes "cam"; clients 2 and 3 are in it.
fn room(relay_after: usize) -> World {
    fill(world_after(relay_after))
}

fn fill(mut world: World) -> World {
    for (client, name) in [(1, "anna"), (2, "bob"), (3, "carl")] {
        world.join(client, "r", name).expect("joins");
    }
    world
        .publish(1, 1, "r", "cam", Kinds::BOTH)
        .expect("publishes");
    world.run_for(SECOND);
    world
}

fn place() -> Place {
    Place::Room(RoomName::new("r").expect("a name"))
}

fn cam() -> PublicationName {
    PublicationName::new("cam").expect("a name")
}

/// What the second machine has counted.
fn second(world: &World) -> parlor_core::Counters {
    world.second.as_ref().expect("is there").counters()
}

/// The numbers of the pictures that a player has, each once, in the order of their coming.
fn pictures(player: &Client) -> Vec<u32> {
    let packets = player.received(true);
    let mut numbers: Vec<u32> = packets
        .iter()
        .filter_map(|packet| Some(mark_of(&packet.payload)?.1))
        .collect();
    numbers.dedup();
    numbers
}

fn is_over(world: &World) {
    let second = world.second.as_ref().expect("is there");
    assert!(second.is_empty(), "{:?}", second.counters());
    assert!(world.sfu.is_empty(), "{:?}", world.sfu.counters());
}

#[test]
fn players_beyond_the_threshold_are_on_the_other_machine_and_begin_at_a_key_frame() {
    let mut world = room(1);
    let bob = world.play(2, 1, "r", "cam", Kinds::BOTH).expect("plays");
    let carl = world.play(3, 1, "r", "cam", Kinds::BOTH).expect("plays");
    world.run_for(3 * SECOND);
    assert_eq!((world.sfu.counters().peers, second(&world).peers), (2, 1));
    assert_eq!(
        (
            world.sfu.counters().subscriptions,
            second(&world).subscriptions
        ),
        (1, 1)
    );
    for player in [bob, carl] {
        let player = &world.clients[player];
        let first = player.received(true)[0];
        assert_eq!(first.payload[0], 0x78, "parameter sets come first");
        assert!(pictures(player).len() > 60, "{}", pictures(player).len());
        assert!(player.received(false).len() > 100);
    }
    // The two are news alike.
    for client in [2, 3] {
        let live = News::Live { media: MediaId(1) };
        assert_eq!(
            world
                .news(client)
                .iter()
                .filter(|news| ***news == live)
                .count(),
            1
        );
    }
    let relayed = world.sfu.counters().relayed;
    let sent = world.sfu.counters().packets;
    assert!(relayed > 100 && relayed <= sent, "each packet crosses once");
    assert_eq!(
        second(&world).forwarded,
        relayed - lost_before_the_first(&world, carl, relayed)
    );
}

/// Packets that came to the other machine before the player could begin.
fn lost_before_the_first(world: &World, player: usize, relayed: u64) -> u64 {
    let player = &world.clients[player];
    relayed - (player.received(true).len() + player.received(false).len()) as u64
}

#[test]
fn a_room_below_the_threshold_costs_nothing_more() {
    let mut world = room(2);
    world.play(2, 1, "r", "cam", Kinds::BOTH).expect("plays");
    world.play(3, 1, "r", "cam", Kinds::BOTH).expect("plays");
    world.run_for(2 * SECOND);
    assert_eq!(world.sfu.counters().relayed, 0);
    assert_eq!(second(&world), parlor_core::Counters::default());
}

#[test]
fn players_are_spread_evenly_once_there_are_many() {
    let mut world = room(2);
    for media in 1..=8 {
        world
            .play(2, media, "r", "cam", Kinds::AUDIO)
            .expect("plays");
    }
    // The publisher is one more at home.
    assert_eq!(
        (world.sfu.counters().peers, second(&world).peers),
        (1 + 4, 4)
    );
}

#[test]
fn losses_are_repaired_by_the_machine_that_has_the_player() {
    let mut world = room(0);
    let carl = world.play(3, 1, "r", "cam", Kinds::BOTH).expect("plays");
    world.run_for(2 * SECOND);
    world.network.loss = 40;
    world.run_for(6 * SECOND);
    world.network.loss = 0;
    world.run_for(2 * SECOND);
    assert!(second(&world).resent > 10, "{:?}", second(&world));
    assert_eq!(world.sfu.counters().resent, 0);
    let mut numbers = pictures(&world.clients[carl]);
    numbers.sort_unstable();
    numbers.dedup();
    let range = numbers[numbers.len() - 1] - numbers[0] + 1;
    let missing = range as usize - numbers.len();
    assert!(
        missing <= 2,
        "{missing} of {range} pictures were lost for good"
    );
}

#[test]
fn a_player_that_loses_its_picture_gets_a_key_frame_from_the_publisher() {
    let mut world = room(0);
    let carl = world.play(3, 1, "r", "cam", Kinds::BOTH).expect("plays");
    world.run_for(2 * SECOND);
    let before = world.sfu.counters().keyframe_requests;
    for _ in 0..20 {
        world.clients[carl].request_keyframe();
        world.run_for(100 * MILLISECOND);
    }
    let asked = world.sfu.counters().keyframe_requests - before;
    assert!(
        (3..=5).contains(&asked),
        "throttled: {asked} in two seconds"
    );
}

#[test]
fn what_finds_no_room_between_the_machines_is_made_up_for_by_a_key_frame() {
    let mut world = room(1);
    let bob = world.play(2, 1, "r", "cam", Kinds::BOTH).expect("plays");
    let carl = world.play(3, 1, "r", "cam", Kinds::BOTH).expect("plays");
    world.run_for(2 * SECOND);
    world.relay_is_full = true;
    world.run_for(SECOND);
    let (at_bob, at_carl) = (
        pictures(&world.clients[bob]),
        pictures(&world.clients[carl]),
    );
    assert!(world.sfu.counters().relay_refused > 50);
    assert!(at_bob.len() > at_carl.len() + 20, "the home is not held up");
    world.relay_is_full = false;
    let asked = world.sfu.counters().keyframe_requests;
    world.run_for(SECOND);
    // The last request was sent while there was no room; nobody has to ask for another one.
    let received = world.clients[carl].received(true);
    let after = received.iter().filter(|packet| {
        mark_of(&packet.payload).is_some_and(|(_, number)| number > at_bob[at_bob.len() - 1])
    });
    assert!(after.count() > 20);
    assert!(world.sfu.counters().keyframe_requests >= asked);
    let key_frames = |from: usize| {
        let packets = received.iter().skip(from);
        packets.filter(|packet| packet.payload[0] == 0x78).count()
    };
    assert!(key_frames(0) > 1, "the picture begins anew");
}

#[test]
fn the_end_of_a_publication_is_the_end_for_all_of_its_players() {
    let mut world = room(1);
    world.play(2, 1, "r", "cam", Kinds::BOTH).expect("plays");
    world.play(3, 1, "r", "cam", Kinds::BOTH).expect("plays");
    world.run_for(SECOND);
    world.request(1, Request::Disconnect).expect("disconnects");
    for client in [2, 3] {
        let ended = News::Ended {
            media: MediaId(1),
            reason: EndReason::PublisherStopped,
        };
        let news = world.news(client);
        let unpublished = news
            .iter()
            .position(|news| matches!(news, News::Unpublished { .. }));
        let ended = news.iter().position(|news| **news == ended);
        assert!(unpublished.is_some() && unpublished < ended, "{news:?}");
    }
    assert_eq!((world.sfu.counters().peers, second(&world).peers), (0, 0));
    assert_eq!(second(&world).relays, 0);
    world.request(2, Request::Disconnect).expect("disconnects");
    world.request(3, Request::Disconnect).expect("disconnects");
    world.run_for(SECOND);
    is_over(&world);
}

#[test]
fn players_stop_leave_and_vanish_on_the_other_machine_as_at_home() {
    let mut world = room(0);
    let stops = Request::Stop { media: MediaId(1) };
    let leaves = Request::Leave {
        room: RoomName::new("r").expect("a name"),
    };
    for end in [stops, leaves, Request::Disconnect] {
        world.play(2, 1, "r", "cam", Kinds::BOTH).expect("plays");
        world.play(3, 1, "r", "cam", Kinds::BOTH).expect("plays");
        world.run_for(SECOND);
        assert_eq!((second(&world).peers, second(&world).relays), (2, 1));
        world.request(2, end.clone()).expect("ends");
        assert_eq!((second(&world).peers, second(&world).relays), (1, 1));
        world.request(3, end).expect("ends");
        assert_eq!((second(&world).peers, second(&world).relays), (0, 0));
        // What is played by nobody there is not sent there.
        let relayed = world.sfu.counters().relayed;
        world.run_for(SECOND);
        assert_eq!(world.sfu.counters().relayed, relayed);
        for (client, name) in [(2, "bob"), (3, "carl")] {
            let _ = world.join(client, "r", name);
        }
    }
    let carl = world.play(3, 1, "r", "cam", Kinds::BOTH).expect("plays");
    world.run_for(SECOND);
    world.clients[carl].unplugged = true;
    world.run_for(20 * SECOND);
    let ended = News::Ended {
        media: MediaId(1),
        reason: EndReason::ConsentExpired,
    };
    assert!(world.news(3).contains(&&ended));
    assert_eq!((second(&world).peers, second(&world).relays), (0, 0));
    for client in 1..=3 {
        world
            .request(client, Request::Disconnect)
            .expect("disconnects");
    }
    world.run_for(SECOND);
    is_over(&world);
}

#[test]
fn what_came_before_a_player_stops_is_sent_to_it() {
    let mut world = room(0);
    let carl = world.play(3, 1, "r", "cam", Kinds::BOTH).expect("plays");
    world.run_for(2 * SECOND);
    world.relay_is_held = true;
    world.run_for(SECOND);
    let before = world.clients[carl].received(true).len();
    let stop = Request::Stop { media: MediaId(1) };
    world.request(3, stop).expect("stops");
    world.relay_is_held = false;
    world.run_for(SECOND);
    let after = world.clients[carl].received(true).len();
    assert!(after > before + 20, "{before} packets, then {after}");
}

#[test]
fn who_leaves_or_loses_the_publisher_before_the_answer_is_answered_once() {
    let mut world = room(0);
    let carl = world.play(3, 1, "r", "cam", Kinds::BOTH).expect("plays");
    world.run_for(SECOND);
    let offer = Client::offer(
        world.now,
        5,
        world.clients[carl].address,
        (parlor_core::ClientId(2), MediaId(1)),
        Kinds::BOTH,
        false,
    );
    let subscribe = |media| Request::Subscribe {
        media: MediaId(media),
        place: place(),
        name: cam(),
        offer: offer.1.clone(),
    };
    world.relay_is_held = true;
    for media in [5, 6] {
        let later = Reply::Later {
            media: MediaId(media),
        };
        assert_eq!(world.request(2, subscribe(media)), Ok(later));
    }
    assert_eq!(
        world.request(2, subscribe(6)),
        Err(RequestError::MediaInUse)
    );
    world
        .request(2, Request::Stop { media: MediaId(5) })
        .expect("stops");
    world.request(1, Request::Disconnect).expect("disconnects");
    world.relay_is_held = false;
    world.run_for(SECOND);
    for media in [5, 6] {
        let answered = News::Answered {
            media: MediaId(media),
            result: Err(RequestError::NoSuchPublication),
        };
        let news = world.news(2);
        let ended = |reason| News::Ended {
            media: MediaId(media),
            reason,
        };
        let about = news.iter().filter(|news| {
            let ends = ***news == ended(EndReason::PublisherStopped);
            ends || matches!(news, News::Answered { media: of, .. } if of.0 == media)
        });
        assert_eq!(about.collect::<Vec<_>>(), [&&answered], "{media}");
    }
    assert_eq!((second(&world).peers, second(&world).relays), (0, 0));
    world.request(2, Request::Disconnect).expect("disconnects");
    world.request(3, Request::Disconnect).expect("disconnects");
    is_over(&world);
}

#[test]
fn a_message_to_an_earlier_machine_of_a_worker_is_not_for_a_later_one() {
    // The same that happens in two machines has the same numbers in both.
    let [mut earlier, mut later] = [1, 2].map(|seed| fill(seeded_world(seed, 0)));
    let offer = Client::offer(
        earlier.now,
        5,
        ([198, 51, 100, 7], 9).into(),
        (parlor_core::ClientId(2), MediaId(1)),
        Kinds::BOTH,
        false,
    );
    for world in [&mut earlier, &mut later] {
        world.relay_is_held = true;
        let subscribe = Request::Subscribe {
            media: MediaId(1),
            place: place(),
            name: cam(),
            offer: offer.1.clone(),
        };
        let media = MediaId(1);
        assert_eq!(world.request(2, subscribe), Ok(Reply::Later { media }));
    }
    let is_answered = |world: &World| {
        let news = world.news(2);
        news.iter()
            .any(|news| matches!(news, News::Answered { result: Ok(_), .. }))
    };
    let (_, play) = earlier.sfu.poll_relay().expect("asks the other one");
    let beside = earlier.second.as_mut().expect("is there");
    beside.handle_relay(earlier.now, WorkerId(0), play);
    let (_, answered) = beside.poll_relay().expect("answers");
    for world in [&mut later, &mut earlier] {
        let now = world.now;
        world.sfu.handle_relay(now, WorkerId(1), answered.clone());
        world.run_for(SECOND);
    }
    assert!(is_answered(&earlier) && !is_answered(&later));
}

#[test]
fn mutes_and_data_reach_players_on_the_other_machine() {
    let mut world = room(0);
    world.play(3, 1, "r", "cam", Kinds::BOTH).expect("plays");
    world.run_for(SECOND);
    let (media, kind, muted) = (MediaId(1), MediaKind::Audio, true);
    world
        .request(1, Request::SetMuted { media, kind, muted })
        .expect("mutes");
    let payload = "{}".to_owned();
    let data = Request::SendData {
        media,
        payload: payload.clone(),
    };
    world.request(1, data).expect("sends");
    assert!(world.news(3).contains(&&News::Muted { media, kind, muted }));
    assert!(world.news(3).contains(&&News::Data { media, payload }));
    world
        .watch(4, 1, "r", "anna", Kinds::BOTH)
        .expect("watches");
    assert_eq!(second(&world).subscriptions, 2);
}

#[test]
fn limits_are_those_of_the_home_and_connections_those_of_each_machine() {
    let limits = Limits {
        subscriptions_per_client: 3,
        peers: 4,
        ..Limits::default()
    };
    let config = Config {
        team: Team {
            size: 2,
            relay_after: 0,
            ..Team::default()
        },
        limits,
        ..Config::default()
    };
    let mut world = World::new(7, epoch::base(Instant::now()), config);
    for (client, name) in [(1, "anna"), (2, "bob"), (3, "carl")] {
        world.join(client, "r", name).expect("joins");
    }
    world
        .publish(1, 1, "r", "cam", Kinds::BOTH)
        .expect("publishes");
    for media in 1..=3 {
        world
            .play(2, media, "r", "cam", Kinds::BOTH)
            .expect("plays");
    }
    let many = |what| Err(RequestError::TooMany(what));
    let fourth = world.play(2, 4, "r", "cam", Kinds::BOTH).map(drop);
    assert_eq!(fourth, many(TooMany::SubscriptionsPerClient));
    world.play(3, 1, "r", "cam", Kinds::BOTH).expect("plays");
    let fifth = world.play(3, 2, "r", "cam", Kinds::BOTH).map(drop);
    assert_eq!(fifth, many(TooMany::Peers), "the other machine has four");
    assert_eq!((world.sfu.counters().peers, second(&world).peers), (1, 4));
    // The one that was refused is forgotten.
    world.run_for(SECOND);
    let stop = world.request(3, Request::Stop { media: MediaId(2) });
    assert_eq!(stop, Err(RequestError::NoSuchMedia));
}

#[test]
fn a_player_without_a_common_codec_is_refused_by_the_home_and_the_publisher_told() {
    let mut world = room(0);
    let vp8 = Kinds {
        audio: false,
        video: Some(Codec::Vp8),
    };
    let refused = world.play(3, 1, "r", "cam", vp8).map(drop);
    assert_eq!(refused, Err(RequestError::NoCommonCodecs));
    assert!(
        world
            .news(1)
            .iter()
            .any(|news| matches!(news, News::CodecMismatch { .. }))
    );
    assert_eq!(second(&world).relays, 0);
}

#[test]
fn a_late_player_of_an_encoder_begins_with_its_latest_key_frame() {
    let mut world = world_after(0);
    world.join(1, "r", "encoder").expect("joins");
    let ingest = Request::Ingest {
        media: MediaId(1),
        place: place(),
        name: cam(),
        audio: Some(AudioCodec::Opus),
        video: Some(VideoFormat::H264 {
            profile_level_id: 0x42_e01f,
        }),
    };
    world.request(1, ingest).expect("publishes");
    let send = |world: &mut World, pictures: std::ops::Range<u64>| {
        for number in pictures {
            let payloads = video_payloads(Codec::H264, number, number.is_multiple_of(100));
            let last = payloads.len() - 1;
            let captured = Duration::from_millis(number * 40);
            for (index, payload) in payloads.iter().enumerate() {
                let packet = MediaPacket {
                    kind: MediaKind::Video,
                    timestamp: u32::try_from(number * 3_600).expect("small"),
                    marker: index == last,
                    captured,
                    payload,
                };
                world.media(1, 1, packet);
            }
            let packet = MediaPacket {
                kind: MediaKind::Audio,
                timestamp: u32::try_from(number * 1_920).expect("small"),
                marker: false,
                captured,
                payload: &audio_payload(number),
            };
            world.media(1, 1, packet);
            world.run_for(40 * MILLISECOND);
        }
    };
    send(&mut world, 0..20);
    let early = world.watch(2, 1, "r", "cam", Kinds::BOTH).expect("watches");
    send(&mut world, 20..40);
    let late = world.watch(3, 1, "r", "cam", Kinds::BOTH).expect("watches");
    send(&mut world, 40..60);
    for player in [early, late] {
        let numbers = pictures(&world.clients[player]);
        assert_eq!(numbers, (0..60).collect::<Vec<_>>());
    }
    assert_eq!(second(&world).subscriptions, 2);
    world.request(1, Request::Disconnect).expect("disconnects");
    world.run_for(SECOND);
    is_over(&world);
}

/// Two play, each on a machine of its own: what either is sent of the stream comes of the same
/// datagram of the publisher, and nothing else is said to come of one.
#[test]
fn what_is_passed_on_says_what_it_came_in_on_either_machine() {
    let mut world = room(1);
    for client in [2, 3] {
        world
            .play(client, 1, "r", "cam", Kinds::BOTH)
            .expect("plays");
    }
    world.run_for(2 * SECOND);
    let before = world.sfu.counters().forwarded;
    world.causes = Some(Vec::new());
    world.run_for(2 * SECOND);
    let here = world.sfu.counters().forwarded - before;
    let mut copies = std::collections::BTreeMap::<u32, usize>::new();
    for cause in world.causes.take().expect("was asked for") {
        *copies.entry(cause).or_default() += 1;
    }
    let others = copies.remove(&0).expect("reports and checks");
    assert!(others > 4 && here > 100, "{others}, {here}");
    assert_eq!(copies.len() as u64, here);
    assert!(copies.values().all(|copies| *copies == 2), "{copies:?}");
}
