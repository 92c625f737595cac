//! What a room does for its participants beside media.

#![allow(clippy::expect_used, reason = "a broken expectation fails the test")]

use std::time::{Duration, Instant};

use parlor_core::config::AudioCodec;
use parlor_core::{
    Config, EndReason, Identity, MediaId, News, Reply, Request, RequestError, ResumeToken,
    RoomName, Said, VideoCodec, epoch,
};
use parlor_fuzz::{Codec, Kinds, World, mark_of};

const SECOND: Duration = Duration::from_secs(1);

fn world() -> World {
    World::new(11, epoch::base(Instant::now()), Config::default())
}

fn room() -> RoomName {
    RoomName::new("r").expect("a name")
}

fn identity(name: &str) -> Identity {
    Identity::new(name).expect("a name")
}

/// Joins, and returns what was told: history, speakers and the token.
fn join(world: &mut World, client: u64, name: &str) -> (Vec<Said>, Vec<Identity>, ResumeToken) {
    match world.join(client, "r", name).expect("joins") {
        Reply::Joined {
            history,
            speakers,
            resume,
            ..
        } => (history, speakers, resume),
        Reply::Done
        | Reply::Answer { .. }
        | Reply::Sink { .. }
        | Reply::Available(_)
        | Reply::Later { .. } => {
            unreachable!("a join")
        }
    }
}

fn resume(world: &mut World, client: u64, token: &ResumeToken) -> Result<Reply, RequestError> {
    let (room, identity, resume) = (room(), identity("alice"), Some(token.clone()));
    world.request(
        client,
        Request::Join {
            room,
            identity,
            resume,
        },
    )
}

#[test]
fn what_is_said_to_all_is_told_to_those_who_come_later() {
    let mut world = world();
    join(&mut world, 1, "alice");
    join(&mut world, 2, "bob");
    let say = |to, text: &str| {
        let text = text.to_owned();
        Request::SendMessage {
            room: room(),
            to,
            text,
        }
    };
    world.request(1, say(None, "hello")).expect("is said");
    world
        .request(1, say(Some(identity("bob")), "secret"))
        .expect("is said");
    world.run_for(3 * SECOND);
    let (history, ..) = join(&mut world, 3, "carol");
    let said = Said {
        from: identity("alice"),
        text: "hello".to_owned(),
        age: 3 * SECOND,
    };
    assert_eq!(history, [said]);
    let heard = News::Message {
        room: room(),
        from: identity("alice"),
        text: "hello".to_owned(),
        to_all: true,
    };
    assert!(world.news(2).contains(&&heard));
    assert!(
        !world.news(1).contains(&&heard),
        "not to the one who said it"
    );
}

#[test]
fn a_lost_client_takes_its_place_back_with_its_token() {
    let mut world = world();
    let (.., token) = join(&mut world, 1, "alice");
    join(&mut world, 2, "bob");
    world
        .publish(1, 1, "r", "a", Kinds::AUDIO)
        .expect("publishes");
    world.run_for(SECOND);
    world.play(2, 1, "r", "a", Kinds::AUDIO).expect("plays");
    world.run_for(SECOND);

    let wrong = ResumeToken("x".repeat(24));
    let taken = Err(RequestError::IdentityInUse(identity("alice")));
    assert_eq!(resume(&mut world, 3, &wrong), taken);
    assert!(resume(&mut world, 3, &token).is_ok());
    assert_eq!(
        world.news(1).last(),
        Some(&&News::Replaced { room: room() })
    );
    let ended = News::Ended {
        media: MediaId(1),
        reason: EndReason::PublisherStopped,
    };
    assert!(world.news(2).contains(&&ended));
    let news = world.news(2);
    let left = News::Left {
        room: room(),
        identity: identity("alice"),
    };
    let joined = News::Joined {
        room: room(),
        identity: identity("alice"),
    };
    let position = |wanted: &News| news.iter().rposition(|news| *news == wanted).expect("told");
    assert!(position(&left) < position(&joined));
    assert_eq!(
        resume(&mut world, 4, &token),
        taken,
        "a token is good for one place"
    );
    world.run_for(SECOND);
}

#[test]
fn the_last_one_in_a_room_comes_back_to_what_was_said() {
    let mut world = world();
    let (.., token) = join(&mut world, 1, "alice");
    let text = "a note".to_owned();
    world
        .request(
            1,
            Request::SendMessage {
                room: room(),
                to: None,
                text,
            },
        )
        .expect("is said");
    let Ok(Reply::Joined { history, .. }) = resume(&mut world, 2, &token) else {
        unreachable!("it has the token")
    };
    assert_eq!(history.len(), 1);
    world.request(2, Request::Disconnect).expect("goes");
    world.run_for(SECOND);
    assert_eq!(world.sfu.counters().rooms, 0);
}

#[test]
fn the_room_is_told_who_speaks() {
    let mut world = world();
    join(&mut world, 1, "alice");
    join(&mut world, 2, "bob");
    let alice = world
        .publish(1, 1, "r", "a", Kinds::AUDIO)
        .expect("publishes");
    world.run_for(SECOND);
    let speaking = |world: &World, client| {
        let news = world.news(client).into_iter().cloned();
        let changes = news.filter_map(|news| {
            let News::Speaking {
                identity: who,
                speaking,
                ..
            } = news
            else {
                return None;
            };
            assert_eq!(who, identity("alice"));
            Some(speaking)
        });
        changes.collect::<Vec<_>>()
    };
    assert!(speaking(&world, 2).is_empty());
    world.clients[alice].level = -20;
    world.run_for(SECOND);
    assert_eq!(speaking(&world, 2), [true]);
    let (_, speakers, _) = join(&mut world, 3, "carol");
    assert_eq!(speakers, [identity("alice")]);
    world.clients[alice].level = -90;
    world.run_for(2 * SECOND);
    assert_eq!(speaking(&world, 2), [true, false]);
    assert_eq!(
        speaking(&world, 1),
        [true, false],
        "the speaker is told too"
    );
    world.clients[alice].level = -20;
    world.run_for(SECOND);
    world
        .request(1, Request::Leave { room: room() })
        .expect("leaves");
    assert_eq!(speaking(&world, 2), [true, false, true, false]);
    world.sfu.check();
}

#[test]
fn a_publisher_is_told_what_a_player_could_have_played() {
    let mut world = world();
    world
        .publish(1, 1, "", "a", Kinds::BOTH)
        .expect("publishes");
    let vp8 = Kinds {
        audio: true,
        video: Some(Codec::Vp8),
    };
    let refused = world.play(2, 1, "", "a", vp8);
    assert_eq!(refused, Err(RequestError::NoCommonCodecs));
    let (audio, video) = (vec![AudioCodec::Opus], vec![VideoCodec::Vp8]);
    let mismatch = News::CodecMismatch {
        media: MediaId(1),
        audio,
        video,
    };
    assert_eq!(world.news(1), [&mismatch]);
}

#[test]
fn a_refused_return_leaves_everyone_where_they_are() {
    let mut world = world();
    let (.., token) = join(&mut world, 1, "alice");
    join(&mut world, 2, "bob");
    world.events.clear();
    assert_eq!(
        resume(&mut world, 2, &token),
        Err(RequestError::AlreadyJoined)
    );
    assert!(world.events.is_empty(), "{:?}", world.events);
    assert_eq!(world.sfu.counters().participants, 2);
}

#[test]
fn a_participant_speaks_until_the_last_of_its_streams_is_silent() {
    let mut world = world();
    join(&mut world, 1, "alice");
    join(&mut world, 2, "bob");
    let streams = ["a", "b"].map(|name| {
        let media = u32::from(name == "b");
        let stream = world.publish(1, media, "r", name, Kinds::AUDIO);
        stream.expect("publishes")
    });
    world.run_for(SECOND);
    for stream in streams {
        world.clients[stream].level = -20;
    }
    world.run_for(SECOND);
    let speaking = |world: &World| {
        let news = world.news(2).into_iter().cloned();
        let changes = news.filter_map(|news| {
            let News::Speaking { speaking, .. } = news else {
                return None;
            };
            Some(speaking)
        });
        changes.collect::<Vec<_>>()
    };
    assert_eq!(speaking(&world), [true]);
    world.clients[streams[0]].level = -90;
    world.run_for(2 * SECOND);
    assert_eq!(speaking(&world), [true]);
    world.clients[streams[1]].level = -90;
    world.run_for(2 * SECOND);
    assert_eq!(speaking(&world), [true, false]);
}

#[test]
fn somebody_outside_of_a_room_watches_a_participant_or_a_stream_by_name() {
    let mut world = world();
    join(&mut world, 1, "alice");
    let begun = world.watch(9, 1, "r", "alice", Kinds::BOTH);
    assert_eq!(
        begun,
        Err(RequestError::NoSuchPublication),
        "nothing is live"
    );
    world
        .publish(1, 1, "r", "cam", Kinds::BOTH)
        .expect("publishes");
    world
        .publish(1, 2, "r", "screen", Kinds::VIDEO)
        .expect("publishes");
    world.run_for(SECOND);
    let by_login = world
        .watch(9, 1, "r", "alice", Kinds::BOTH)
        .expect("is there");
    let by_name = world
        .watch(9, 2, "r", "screen", Kinds::BOTH)
        .expect("is there");
    for (room, name) in [("r", "bob"), ("other", "alice")] {
        let missing = world.watch(9, 3, room, name, Kinds::BOTH);
        assert_eq!(missing, Err(RequestError::NoSuchPublication));
    }
    world.run_for(2 * SECOND);
    let marks = |player: usize| {
        let packets = world.clients[player].received(true);
        packets
            .iter()
            .find_map(|packet| mark_of(&packet.payload))
            .map(|(mark, _)| mark)
    };
    assert_eq!((marks(by_login), marks(by_name)), (Some(0), Some(1)));
    assert!(
        world
            .news(1)
            .iter()
            .all(|news| !matches!(news, News::Joined { .. }))
    );

    world.request(9, Request::Disconnect).expect("always");
    assert_eq!(world.sfu.counters().subscriptions, 0);
    world.sfu.check();
}
