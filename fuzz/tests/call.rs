//! What people get out of a call, over a simulated network.

#![allow(clippy::expect_used, reason = "a broken expectation fails the test")]

use std::time::{Duration, Instant};

use parlor_core::{
    ClientId, Config, EndReason, Event, Identity, MediaId, MediaKind, Member, News, Place,
    PublicationName, Reply, Request, RequestError, RoomName, VideoCodec, config::AudioCodec, epoch,
};
use parlor_fuzz::{Codec, Kinds, Network, Received, World, scripted_call, stamp_of};

const SECOND: Duration = Duration::from_secs(1);

fn world(config: Config) -> World {
    World::new(7, epoch::base(Instant::now()), config)
}

/// Alice publishes in a room; Bob plays her stream. Returns Bob's connection.
fn pair(world: &mut World, kinds: Kinds) -> usize {
    world.join(1, "r", "alice").expect("joins");
    world.join(2, "r", "bob").expect("joins");
    world.publish(1, 1, "r", "a", kinds).expect("publishes");
    world.run_for(SECOND);
    world.play(2, 1, "r", "a", kinds).expect("plays")
}

/// Whether the packets are those that a decoder needs, all of them, in order of their numbers.
fn assert_whole(packets: &[&Received]) {
    assert!(!packets.is_empty(), "nothing was received");
    let mut sequences: Vec<u64> = packets.iter().map(|packet| packet.sequence).collect();
    assert!(
        sequences[0] < 65_536,
        "the first packet is in the first rollover"
    );
    sequences.sort_unstable();
    sequences.dedup();
    let (first, last) = (sequences[0], sequences[sequences.len() - 1]);
    assert_eq!(
        sequences.len() as u64,
        last - first + 1,
        "packets are missing"
    );
}

fn is_h264_entry(packet: &Received) -> bool {
    // The STAP-A with the parameter sets that the simulated encoder puts in front of a key frame.
    packet.payload.first() == Some(&0x78)
}

#[test]
fn two_participants_see_and_hear_each_other() {
    let mut world = world(Config::default());
    let bob = pair(&mut world, Kinds::BOTH);
    world.run_for(5 * SECOND);
    let client = &world.clients[bob];
    assert!(client.connected);
    assert_whole(&client.received(true));
    assert_whole(&client.received(false));
    assert!(client.received(false).len() > 200);
    assert!(client.received(true).len() > 200);
    let name = PublicationName::new("a").expect("a name");
    let (room, identity) = (
        RoomName::new("r").expect("r"),
        Identity::new("alice").expect("a"),
    );
    assert!(world.news(2).contains(&&News::Published {
        room,
        identity,
        name
    }));
    assert!(world.news(2).contains(&&News::Live { media: MediaId(1) }));
    assert_eq!(
        world
            .news(1)
            .iter()
            .filter(|news| matches!(news, News::Live { .. }))
            .count(),
        1
    );
}

#[test]
fn a_picture_begins_at_a_key_frame_that_was_asked_for() {
    for codec in [Codec::H264, Codec::Vp8] {
        let mut world = world(Config::default());
        let kinds = Kinds {
            audio: true,
            video: Some(codec),
        };
        let bob = pair(&mut world, kinds);
        world.run_for(2 * SECOND);
        let client = &world.clients[bob];
        let packets = client.received(true);
        let first = packets.first().expect("a picture");
        match codec {
            Codec::H264 => assert!(is_h264_entry(first), "{:?}", &first.payload[..4]),
            Codec::Vp8 => assert_eq!(&first.payload[..2], &[0x10, 0]),
        }
        let connected = world.clients[bob].received[0].at;
        assert!(
            first.at - connected < Duration::from_millis(200),
            "it was asked for at once"
        );
    }
}

#[test]
fn loss_is_repaired_by_retransmission() {
    let mut world = world(Config::default());
    let bob = pair(&mut world, Kinds::BOTH);
    world.run_for(SECOND);
    let (latency, jitter) = (Duration::from_millis(20), Duration::from_millis(5));
    world.network = Network {
        latency,
        jitter,
        loss: 50,
        ..Network::default()
    };
    world.run_for(10 * SECOND);
    world.network = Network::default();
    world.run_for(2 * SECOND);
    let packets = world.clients[bob].received(true);
    let (first, last) = (
        packets[0].sequence,
        packets.iter().map(|p| p.sequence).max(),
    );
    let expected = last.expect("a last packet") - first + 1;
    let mut sequences: Vec<u64> = packets.iter().map(|packet| packet.sequence).collect();
    sequences.sort_unstable();
    sequences.dedup();
    let missing = expected - sequences.len() as u64;
    // Both legs lose 5 %: without repair about a tenth would be missing.
    assert!(
        missing * 1_000 <= expected * 5,
        "{missing} of {expected} are missing"
    );
}

#[test]
fn key_frame_requests_are_throttled_however_many_ask() {
    let mut world = world(Config::default());
    world.join(1, "r", "alice").expect("joins");
    let alice = world
        .publish(1, 1, "r", "a", Kinds::VIDEO)
        .expect("publishes");
    world.run_for(SECOND);
    let players: Vec<usize> = (2..12)
        .map(|client| {
            world
                .join(client, "r", &format!("p{client}"))
                .expect("joins");
            world
                .play(client, 1, "r", "a", Kinds::VIDEO)
                .expect("plays")
        })
        .collect();
    world.run_for(2 * SECOND);
    world.clients[alice].keyframe_requests.clear();
    for _ in 0..40 {
        for player in &players {
            world.clients[*player].request_keyframe();
        }
        world.run_for(Duration::from_millis(50));
    }
    world.run_for(SECOND);
    let requests = &world.clients[alice].keyframe_requests;
    assert!(
        (3..=6).contains(&requests.len()),
        "{} requests in two seconds",
        requests.len()
    );
    for pair in requests.windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_millis(490));
    }
}

#[test]
fn a_lost_key_frame_request_is_sent_again() {
    let mut world = world(Config::default());
    let bob = pair(&mut world, Kinds::VIDEO);
    // Nothing but the handshake survives for a while.
    world.run_for(Duration::from_millis(110));
    world.network.loss = 900;
    world.run_for(SECOND);
    world.network.loss = 0;
    world.run_for(4 * SECOND);
    assert!(
        !world.clients[bob].received(true).is_empty(),
        "the picture came in the end"
    );
}

#[test]
fn players_are_told_when_the_publisher_stops() {
    let mut world = world(Config::default());
    let bob = pair(&mut world, Kinds::BOTH);
    world.run_for(SECOND);
    world
        .request(1, Request::Stop { media: MediaId(1) })
        .expect("stops");
    world.run_for(SECOND);
    let ended = News::Ended {
        media: MediaId(1),
        reason: EndReason::PublisherStopped,
    };
    assert!(world.news(2).contains(&&ended));
    assert!(
        !world
            .news(1)
            .iter()
            .any(|news| matches!(news, News::Ended { .. }))
    );
    assert!(
        world.clients[bob].closed,
        "the player's connection was closed"
    );
    let counters = world.sfu.counters();
    assert_eq!((counters.publications, counters.subscriptions), (0, 0));
}

#[test]
fn a_publisher_that_loses_its_network_ends_within_the_ice_timeout() {
    let mut world = world(Config {
        ice_timeout: 8 * SECOND,
        ..Config::default()
    });
    pair(&mut world, Kinds::BOTH);
    world.run_for(10 * SECOND);
    world.clients[0].unplugged = true;
    world.run_for(2 * SECOND);
    let ended = |world: &World, client| {
        world
            .news(client)
            .iter()
            .any(|news| matches!(news, News::Ended { .. }))
    };
    assert!(!ended(&world, 1), "not before its time");
    world.run_for(6 * SECOND);
    let lost = News::Ended {
        media: MediaId(1),
        reason: EndReason::ConsentExpired,
    };
    assert!(world.news(1).contains(&&lost));
    let stopped = News::Ended {
        media: MediaId(1),
        reason: EndReason::PublisherStopped,
    };
    assert!(world.news(2).contains(&&stopped));
    assert!(
        !world.news(2).contains(&&lost),
        "the player itself was there all the time"
    );
}

#[test]
fn a_peer_that_never_connects_is_given_up() {
    let mut world = world(Config::default());
    world.network.loss = 1_000;
    world
        .publish(1, 1, "", "open", Kinds::BOTH)
        .expect("is answered");
    world.run_for(16 * SECOND);
    let ended = News::Ended {
        media: MediaId(1),
        reason: EndReason::ConnectTimeout,
    };
    assert_eq!(world.news(1), [&ended]);
    assert_eq!(world.sfu.counters().publications, 0);
    assert_eq!(world.sfu.poll_timeout(), None, "nothing is left to do");
}

#[test]
fn codecs_are_the_configured_ones_in_their_order() {
    let config = Config {
        video_codecs: vec![VideoCodec::Vp8],
        ..Config::default()
    };
    let mut world = world(config);
    let kinds = Kinds {
        audio: true,
        video: Some(Codec::Vp8),
    };
    assert!(world.publish(1, 1, "", "a", kinds).is_ok());
    let refused = world.publish(1, 2, "", "b", Kinds::BOTH);
    assert_eq!(refused, Err(RequestError::NoCommonCodecs));
    let refused = world.play(2, 1, "", "a", Kinds::BOTH);
    assert_eq!(
        refused,
        Err(RequestError::NoCommonCodecs),
        "H.264 does not play VP8"
    );
    let config = Config {
        audio_codecs: vec![AudioCodec::Pcmu],
        ..Config::default()
    };
    let mut world = self::world(config);
    let refused = world.publish(1, 1, "", "a", Kinds::BOTH);
    assert_eq!(refused, Err(RequestError::NoCommonCodecs));
}

#[test]
fn sound_alone_and_a_picture_alone_are_played_by_those_who_offer_both() {
    for kinds in [Kinds::AUDIO, Kinds::VIDEO] {
        let mut world = world(Config::default());
        world.publish(1, 1, "", "a", kinds).expect("publishes");
        let player = world.play(2, 1, "", "a", Kinds::BOTH).expect("plays");
        world.run_for(3 * SECOND);
        let client = &world.clients[player];
        assert_eq!(client.received(false).len() > 50, kinds.audio);
        assert_eq!(client.received(true).len() > 50, kinds.video.is_some());
    }
}

#[test]
fn names_and_limits_are_enforced_on_the_one_who_asks() {
    let limits = parlor_core::Limits {
        participants: 2,
        rooms: 2,
        publications_per_client: 1,
        subscriptions_per_client: 1,
        ..parlor_core::Limits::default()
    };
    let mut world = world(Config {
        limits,
        ..Config::default()
    });
    world.join(1, "r", "alice").expect("joins");
    let taken = Identity::new("alice").expect("a name");
    assert_eq!(
        world.join(2, "r", "alice"),
        Err(RequestError::IdentityInUse(taken))
    );
    assert_eq!(
        world.join(1, "r", "alice2"),
        Err(RequestError::AlreadyJoined)
    );
    world.join(2, "r", "bob").expect("joins");
    let full = RequestError::TooMany(parlor_core::TooMany::Participants);
    assert_eq!(world.join(3, "r", "carol"), Err(full));
    world.join(3, "s", "carol").expect("joins");
    let rooms = RequestError::TooMany(parlor_core::TooMany::Rooms);
    assert_eq!(world.join(4, "t", "dave"), Err(rooms));

    world
        .publish(1, 1, "r", "a", Kinds::BOTH)
        .expect("publishes");
    let refused = world.publish(1, 2, "r", "b", Kinds::BOTH);
    assert_eq!(
        refused,
        Err(RequestError::TooMany(
            parlor_core::TooMany::PublicationsPerClient
        ))
    );
    let refused = world.publish(2, 1, "r", "a", Kinds::BOTH);
    assert_eq!(refused, Err(RequestError::PublicationNameInUse));
    assert_eq!(
        world.publish(3, 1, "r", "c", Kinds::BOTH),
        Err(RequestError::NotInRoom)
    );
    assert_eq!(
        world.play(3, 1, "r", "a", Kinds::BOTH),
        Err(RequestError::NotInRoom)
    );
    assert_eq!(
        world.play(3, 1, "", "a", Kinds::BOTH),
        Err(RequestError::NoSuchPublication)
    );
    world.play(2, 2, "r", "a", Kinds::BOTH).expect("plays");
    assert_eq!(
        world.play(2, 2, "r", "a", Kinds::BOTH),
        Err(RequestError::MediaInUse)
    );
    let refused = world.play(2, 3, "r", "a", Kinds::BOTH);
    assert_eq!(
        refused,
        Err(RequestError::TooMany(
            parlor_core::TooMany::SubscriptionsPerClient
        ))
    );
    world.run_for(SECOND);
}

#[test]
fn a_leaver_is_gone_with_all_it_had_and_may_come_again() {
    let mut world = world(Config::default());
    pair(&mut world, Kinds::BOTH);
    world.run_for(SECOND);
    let room = RoomName::new("r").expect("a name");
    world
        .request(1, Request::Leave { room: room.clone() })
        .expect("leaves");
    let identity = Identity::new("alice").expect("a name");
    let name = PublicationName::new("a").expect("a name");
    let news = world.news(2);
    let position = |wanted: &News| news.iter().position(|news| *news == wanted);
    let unpublished = position(&News::Unpublished {
        room: room.clone(),
        identity: identity.clone(),
        name,
    });
    let left = position(&News::Left { room, identity });
    assert!(unpublished.expect("told") < left.expect("told"));
    let Ok(Reply::Joined { members, .. }) = world.join(1, "r", "alice") else {
        unreachable!("the name is free again")
    };
    let bob = Member {
        identity: Identity::new("bob").expect("a name"),
        publications: Vec::new(),
    };
    assert_eq!(members, [bob]);
    world.request(1, Request::Disconnect).expect("goes");
    world.request(2, Request::Disconnect).expect("goes");
    world.run_for(20 * SECOND);
    let counters = world.sfu.counters();
    assert_eq!((counters.rooms, counters.participants), (0, 0));
    assert_eq!((counters.publications, counters.subscriptions), (0, 0));
    assert_eq!(world.sfu.poll_timeout(), None, "nothing is left to do");
}

#[test]
fn muting_and_data_reach_the_players_and_later_ones_are_told() {
    let mut world = world(Config::default());
    pair(&mut world, Kinds::BOTH);
    let (media, kind, muted) = (MediaId(1), MediaKind::Audio, true);
    world
        .request(1, Request::SetMuted { media, kind, muted })
        .expect("mutes");
    let payload = r#"{"count":23}"#.to_owned();
    world
        .request(
            1,
            Request::SendData {
                media,
                payload: payload.clone(),
            },
        )
        .expect("sends");
    assert!(world.news(2).contains(&&News::Muted { media, kind, muted }));
    assert!(world.news(2).contains(&&News::Data { media, payload }));
    let not_its_own = Request::SetMuted { media, kind, muted };
    assert_eq!(
        world.request(2, not_its_own),
        Err(RequestError::NoSuchMedia)
    );

    let (client, offer) = parlor_fuzz::Client::offer(
        world.now,
        99,
        ([198, 51, 100, 9], 1).into(),
        (ClientId(2), MediaId(9)),
        Kinds::BOTH,
        false,
    );
    drop(client);
    let place = Place::Room(RoomName::new("r").expect("a name"));
    let name = PublicationName::new("a").expect("a name");
    let reply = world.request(
        2,
        Request::Subscribe {
            media: MediaId(9),
            place,
            name,
            offer,
        },
    );
    let Ok(Reply::Answer {
        muted,
        audio: true,
        video: true,
        ..
    }) = reply
    else {
        unreachable!("{reply:?}")
    };
    assert!(muted.audio && !muted.video);
}

#[test]
fn a_message_reaches_the_one_it_is_for() {
    let mut world = world(Config::default());
    for (client, name) in [(1, "alice"), (2, "bob"), (3, "carol")] {
        world.join(client, "r", name).expect("joins");
    }
    world.events.clear();
    let room = RoomName::new("r").expect("a name");
    let bob = Identity::new("bob").expect("a name");
    let text = "a\n<b>b</b> 🎥".to_owned();
    let message = |to| Request::SendMessage {
        room: room.clone(),
        to: Some(to),
        text: text.clone(),
    };
    world.request(1, message(bob)).expect("is passed on");
    let from = Identity::new("alice").expect("a name");
    let (client, news) = (
        ClientId(2),
        News::Message {
            room: room.clone(),
            from,
            text: text.clone(),
            to_all: false,
        },
    );
    assert_eq!(world.events, [Event { client, news }]);
    let nobody = Identity::new("dave").expect("a name");
    let refused = world.request(1, message(nobody.clone()));
    assert_eq!(refused, Err(RequestError::NoSuchParticipant(nobody)));
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_gives_others() {
    let base = epoch::base(Instant::now());
    let digest = |seed| scripted_call(seed, base).expect("a call").digest();
    assert_ne!(digest(1), digest(2));
}

#[test]
fn what_packets_say_of_themselves_is_passed_on() {
    let mut world = world(Config::default());
    let bob = pair(&mut world, Kinds::BOTH);
    world.clients[0].level = -33;
    world.run_for(3 * SECOND);
    let sounds = world.clients[bob].received(false);
    assert!(sounds.iter().all(|packet| packet.level == Some(-33)));
    let pictures = world.clients[bob].received(true);
    assert!(pictures.iter().all(|packet| packet.turned));
    for pair in pictures.windows(2) {
        let last = pair[0].timestamp != pair[1].timestamp;
        assert_eq!(pair[0].marker, last, "the last packet of a picture says so");
    }
}

#[test]
fn a_key_frame_is_asked_for_until_it_comes() {
    let mut world = world(Config::default());
    world.join(1, "r", "alice").expect("joins");
    world.join(2, "r", "bob").expect("joins");
    let alice = world
        .publish(1, 1, "r", "a", Kinds::VIDEO)
        .expect("publishes");
    world.run_for(SECOND);
    world.clients[alice].ignored_requests = 3;
    let bob = world.play(2, 1, "r", "a", Kinds::VIDEO).expect("plays");
    world.run_for(6 * SECOND);
    let requests = &world.clients[alice].keyframe_requests;
    assert_eq!(requests.len(), 4, "three more after the first");
    assert!(!world.clients[bob].received(true).is_empty());
}

#[test]
fn a_key_frame_that_has_come_is_not_asked_for_again() {
    let mut world = world(Config::default());
    world
        .publish(1, 1, "", "a", Kinds::VIDEO)
        .expect("is there");
    world.run_for(SECOND);
    let players: Vec<usize> = (2..4)
        .map(|client| world.play(client, 1, "", "a", Kinds::VIDEO).expect("plays"))
        .collect();
    world.run_for(3 * SECOND);
    world.clients[0].keyframe_requests.clear();
    // Two ask at once: the second one's wish waits for the throttle, and comes true before.
    for player in players {
        world.clients[player].request_keyframe();
    }
    world.run_for(3 * SECOND);
    assert_eq!(world.clients[0].keyframe_requests.len(), 1);
}

#[test]
fn nothing_is_sent_to_a_player_before_it_is_connected() {
    let mut world = world(Config::default());
    world.publish(1, 1, "", "a", Kinds::BOTH).expect("is there");
    let early = world.play(2, 1, "", "a", Kinds::BOTH).expect("plays");
    world.run_for(SECOND);
    let late = world.play(3, 1, "", "a", Kinds::BOTH).expect("plays");
    world.clients[late].unplugged = true;
    world.run_for(SECOND);
    world.clients[early].request_keyframe();
    world.run_for(SECOND);
    world.clients[late].unplugged = false;
    world.run_for(5 * SECOND);
    // Nothing was kept for it, either.
    let sounds = world.clients[late].received(false);
    let (_, number) = parlor_fuzz::mark_of(&sounds[0].payload).expect("a mark");
    assert!(
        number > 130,
        "it begins with sound of 20 ms that is the {number}th"
    );
    let pictures = world.clients[late].received(true);
    assert!(is_h264_entry(pictures.first().expect("a picture")));
    for video in [false, true] {
        assert_whole(&world.clients[late].received(video));
    }
}

#[test]
fn a_client_that_says_goodbye_is_gone_at_once() {
    let mut world = world(Config::default());
    let bob = pair(&mut world, Kinds::BOTH);
    world.run_for(SECOND);
    world.clients[bob].close();
    world.run_for(SECOND / 5);
    let ended = |reason| News::Ended {
        media: MediaId(1),
        reason,
    };
    assert!(world.news(2).contains(&&ended(EndReason::Closed)));
    assert_eq!(world.sfu.counters().subscriptions, 0);
    world.clients[0].close();
    world.run_for(SECOND / 5);
    assert!(world.news(1).contains(&&ended(EndReason::Closed)));
    assert_eq!(world.sfu.counters().publications, 0);
}

/// A picture that is played, of a publisher whose offer does not name its sources.
fn picture_of_unnamed_sources() -> (World, usize) {
    let mut world = world(Config::default());
    world.edit_offer = Some(parlor_fuzz::without_sources);
    world
        .publish(1, 1, "", "a", Kinds::VIDEO)
        .expect("is there");
    let player = world.play(2, 1, "", "a", Kinds::VIDEO).expect("plays");
    world.run_for(3 * SECOND);
    (world, player)
}

/// Nobody asks but the machine: who plays has not lost anything.
#[test]
fn a_key_frame_of_another_source_is_asked_for_until_it_comes() {
    let (mut world, player) = picture_of_unnamed_sources();
    let before = world.clients[player].received.len();
    let asked = world.clients[0].keyframe_requests.len();
    world.clients[0].ignored_requests = 2;
    world.clients[0].switch_source();
    world.run_for(4 * SECOND);
    assert_eq!(world.clients[0].keyframe_requests.len(), asked + 3);
    let new = world.clients[player].received(true).split_off(before);
    assert!(is_h264_entry(new.first().expect("a picture")));
}

#[test]
fn a_publisher_that_changes_its_source_is_followed_at_a_key_frame() {
    let (mut world, player) = picture_of_unnamed_sources();
    let before = world.clients[player].received.len();
    world.clients[0].switch_source();
    // It takes longer from here on, so that the times are not by chance those of the publisher.
    world.network.latency = SECOND / 20;
    world.run_for(4 * SECOND);
    let packets = world.clients[player].received(true);
    let (old, new) = packets.split_at(before);
    assert!(is_h264_entry(new.first().expect("a picture")));
    let (last, first) = (old[old.len() - 1], new[0]);
    assert!((1..=256).contains(&(first.sequence - last.sequence)));
    let ticks = first.timestamp.wrapping_sub(last.timestamp);
    assert!(ticks > 0 && ticks < 2 * 90_000, "{ticks}");
    assert!(new.len() > 100, "{} packets", new.len());
    // What is sent again has its place among the new times as well.
    let resent = world.sfu.counters().resent;
    world.network.loss = 100;
    world.run_for(4 * SECOND);
    assert!(world.sfu.counters().resent > resent + 10);
    let new = world.clients[player].received(true).split_off(before);
    let mut moved = new.iter().filter_map(|packet| {
        let stamp = stamp_of(&packet.payload)?;
        Some(packet.timestamp.wrapping_sub(stamp.timestamp))
    });
    let first = moved.next().expect("a picture");
    let others: Vec<_> = moved.filter(|other| *other != first).collect();
    assert!(first != 0 && others.is_empty(), "{first} and {others:?}");
}

#[test]
fn who_plays_its_own_stream_leaves_without_news_of_it() {
    let mut world = world(Config::default());
    world.join(1, "r", "alice").expect("joins");
    world
        .publish(1, 1, "r", "a", Kinds::AUDIO)
        .expect("publishes");
    world.run_for(SECOND);
    world
        .play(1, 2, "r", "a", Kinds::AUDIO)
        .expect("plays itself");
    world.run_for(SECOND);
    world.events.clear();
    world.request(1, Request::Disconnect).expect("goes");
    assert!(world.events.is_empty(), "{:?}", world.events);
    assert_eq!(world.sfu.poll_timeout(), None, "nothing is left to do");
}

#[test]
fn long_texts_and_too_many_rooms_and_streams_are_refused() {
    let limits = parlor_core::Limits {
        rooms_per_client: 2,
        peers: 2,
        ..parlor_core::Limits::default()
    };
    let mut world = world(Config {
        limits,
        ..Config::default()
    });
    world.join(1, "r", "alice").expect("joins");
    world.join(1, "s", "alice").expect("joins");
    let too_many = |what| Err(RequestError::TooMany(what));
    let refused = world.join(1, "t", "alice");
    assert_eq!(refused, too_many(parlor_core::TooMany::RoomsPerClient));
    world
        .publish(1, 1, "r", "a", Kinds::AUDIO)
        .expect("publishes");
    world
        .publish(1, 2, "r", "b", Kinds::AUDIO)
        .expect("publishes");
    let refused = world.publish(2, 1, "", "c", Kinds::AUDIO).map(drop);
    assert_eq!(
        refused,
        Err(RequestError::TooMany(parlor_core::TooMany::Peers))
    );
    let text = "x".repeat(parlor_core::limits::MESSAGE_BYTES + 1);
    let room = RoomName::new("r").expect("a name");
    let message = Request::SendMessage {
        room,
        to: None,
        text,
    };
    let refused = world.request(1, message);
    assert!(matches!(refused, Err(RequestError::TooLong { .. })));
    let payload = "x".repeat(parlor_core::limits::DATA_BYTES + 1);
    let media = MediaId(1);
    let refused = world.request(1, Request::SendData { media, payload });
    assert!(matches!(refused, Err(RequestError::TooLong { .. })));
}

#[test]
fn reports_date_packets_by_the_time_of_the_machine() {
    let mut world = world(Config::default());
    let begun = world.now;
    world.publish(1, 1, "", "a", Kinds::BOTH).expect("is there");
    // So that the reports fall into the midst of a second.
    world.run_for(SECOND * 3 / 5);
    let player = world.play(2, 1, "", "a", Kinds::BOTH).expect("plays");
    world.run_for(4 * SECOND);
    let packets = world.clients[player].received.iter();
    let dated: Vec<_> = packets.filter_map(|p| Some((p.at, p.captured?))).collect();
    assert!(dated.len() > 200, "{} packets", dated.len());
    for (at, captured) in dated {
        let beginning = Duration::from_millis(epoch::BEGINNING_MS);
        let arrived = beginning + at.duration_since(begun);
        let way = arrived.checked_sub(captured).expect("after its capture");
        assert!(way < SECOND / 10, "{way:?}");
    }
}
