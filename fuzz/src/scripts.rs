//! Calls that are the same every time, for tests of what must not differ from process to process.

use std::time::{Duration, Instant};

use parlor_core::{Config, MediaId, MediaKind, Request, RequestError, RoomName};

use crate::media::Kinds;
use crate::network::Network;
use crate::world::World;

/// Two people see and hear each other over a network that loses and reorders, one loses the
/// picture and asks for a key frame, one leaves.
///
/// # Errors
/// Where the machine refuses what it should not.
pub fn scripted_call(seed: u64, base: Instant) -> Result<World, RequestError> {
    let mut world = World::recorded(seed, base, Config::default());
    world.network = Network {
        latency: Duration::from_millis(15),
        jitter: Duration::from_millis(4),
        loss: 30,
        ..Network::default()
    };
    world.join(1, "call", "alice")?;
    world.join(2, "call", "bob")?;
    world.publish(1, 1, "call", "alice-stream", Kinds::BOTH)?;
    world.publish(2, 1, "call", "bob-stream", Kinds::BOTH)?;
    world.run_for(Duration::from_secs(2));
    let alice = world.play(1, 2, "call", "bob-stream", Kinds::BOTH)?;
    world.play(2, 2, "call", "alice-stream", Kinds::BOTH)?;
    world.run_for(Duration::from_secs(4));
    world.clients[alice].request_keyframe();
    world.run_for(Duration::from_secs(4));
    let room = RoomName::new("call").expect("a name");
    world.request(2, Request::Leave { room })?;
    world.run_for(Duration::from_secs(2));
    Ok(world)
}

/// People of the scripted room: so many that those who are told of something have an order.
const PEOPLE: u64 = 6;

/// Several people publish two streams each and play what others publish; one mutes a stream and
/// speaks to all, one leaves, one is gone. Whatever is done for several has an order here.
///
/// # Errors
/// Where the machine refuses what it should not.
pub fn scripted_room(seed: u64, base: Instant) -> Result<World, RequestError> {
    let room = RoomName::new("room").expect("a name");
    let mut world = World::recorded(seed, base, Config::default());
    for person in 1..=PEOPLE {
        world.join(person, "room", &format!("p{person}"))?;
        for (media, kinds) in [(1, Kinds::BOTH), (2, Kinds::AUDIO)] {
            world.publish(person, media, "room", &format!("s{person}-{media}"), kinds)?;
        }
    }
    world.run_for(Duration::from_secs(1));
    for person in 1..=PEOPLE {
        let other = |by: u64| (person + by - 1) % PEOPLE + 1;
        for (media, name, kinds) in [
            (3, format!("s{}-1", other(1)), Kinds::BOTH),
            (4, format!("s{}-1", other(2)), Kinds::BOTH),
            (5, format!("s{}-2", other(3)), Kinds::AUDIO),
        ] {
            world.play(person, media, "room", &name, kinds)?;
        }
    }
    world.run_for(Duration::from_secs(2));
    let (media, kind, muted) = (MediaId(1), MediaKind::Audio, true);
    world.request(3, Request::SetMuted { media, kind, muted })?;
    let said = Request::SendMessage {
        room: room.clone(),
        to: None,
        text: "hello".to_owned(),
    };
    world.request(4, said)?;
    world.request(5, Request::Leave { room })?;
    world.request(6, Request::Disconnect)?;
    world.run_for(Duration::from_secs(1));
    Ok(world)
}
