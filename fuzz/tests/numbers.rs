//! No two packets are sealed under one number: with the key and the source, the number is the nonce,
//! and two packets under one nonce give the key stream away (RFC 3711 §9.1, RFC 7714 §10.1).

#![allow(clippy::expect_used, reason = "a broken expectation fails the test")]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use parlor_core::{
    AudioCodec, Config, MediaId, MediaKind, Place, PublicationName, Reply, Request, VideoFormat,
    epoch,
};
use parlor_fuzz::{ClientKey, Encoder, Kinds, Network, Pace, World};

const SECOND: Duration = Duration::from_secs(1);
/// More rollovers of 16 bits than a run has.
const ROLLOVERS: u64 = 64;

/// What a connection's packets were sealed under: the source, and the number with the rollover
/// counter above it, or the index of an SRTCP packet.
#[derive(Default)]
struct Numbers {
    rtp: BTreeSet<(ClientKey, u32, u64)>,
    rtcp: BTreeSet<(ClientKey, u32)>,
}

impl Numbers {
    /// Notes what the machine has put out since the last time.
    fn note(&mut self, world: &mut World) {
        let put_out = std::mem::take(world.put_out.as_mut().expect("a record"));
        // What overtakes the end of a client's handshake can be read when that has come.
        let (readable, early) = put_out
            .into_iter()
            .partition(|(key, _)| world.clients[*key].forger.is_some());
        world.put_out = Some(early);
        let readable: Vec<(ClientKey, Vec<u8>)> = readable;
        for (key, datagram) in readable {
            match datagram.as_slice() {
                [128..=191, 192..=223, ..] => {
                    let index = *datagram.last_chunk().expect("an index");
                    let index = u32::from_be_bytes(index);
                    assert!(index >> 31 == 1, "sealed, and by AES-GCM");
                    assert!(
                        self.rtcp.insert((key, index)),
                        "SRTCP index {index:#x} again"
                    );
                }
                [128..=191, ..] => {
                    let client = &world.clients[key];
                    let forger = client.forger.as_ref().expect("it is connected");
                    let number = forger.number(&datagram, ROLLOVERS);
                    let number = number.expect("sealed for this client, under some number");
                    let ssrc = u32::from_be_bytes(*datagram[8..].first_chunk().expect("a source"));
                    let new = self.rtp.insert((key, ssrc, number));
                    assert!(new, "{key}: number {number:#x} of source {ssrc:#x} again");
                }
                _ => {}
            }
        }
    }

    /// How many sources have gone beyond 16 bits.
    fn rolled_over(&self) -> usize {
        let beyond = self.rtp.iter().filter(|(_, _, number)| *number > 0xffff);
        let sources: BTreeSet<_> = beyond.map(|(key, ssrc, _)| (key, ssrc)).collect();
        sources.len()
    }
}

/// Publishers change their sources, leap in their numbers, go and come again; players come late,
/// lose packets, and go; packets come twice and in another order.
fn adverse(seed: u64) -> (World, Numbers) {
    let base = epoch::base(Instant::now());
    let mut world = World::new(seed, base, Config::default()).without_digest();
    world.put_out = Some(Vec::new());
    world.edit_offer = Some(parlor_fuzz::without_sources);
    world.network = Network {
        latency: Duration::from_millis(15),
        jitter: Duration::from_millis(30),
        loss: 60,
        duplication: 60,
        ..Network::default()
    };
    let mut numbers = Numbers::default();
    let mut draws = parlor_core::simulation::Randomness::new(&parlor_core::Seed([seed as u8; 32]));
    let mut media = MediaId(0);
    let mut publisher = world.publish(1, 0, "", "a", Kinds::BOTH).expect("it may");
    encode(&mut world);
    for round in 1..=60_u32 {
        for name in ["a", "encoder"] {
            // What has not begun yet, or is over, is not played.
            let _ = world.play(100 + u64::from(round), 0, "", name, Kinds::BOTH);
        }
        match draws.u64() % 8 {
            0 => world.clients[publisher].switch_source(),
            1 => world.clients[publisher].request_keyframe(),
            2 => {
                let stopped = world.request(1, Request::Stop { media });
                assert_eq!(stopped, Ok(Reply::Done));
            }
            3 => {
                let gone = 100 + u64::from(round) - draws.u64() % 6;
                let gone = world.request(gone, Request::Disconnect);
                assert!(gone.is_ok(), "one may always go");
            }
            4 => {
                let (kind, muted) = (MediaKind::Video, draws.u64().is_multiple_of(2));
                let muted = world.request(1, Request::SetMuted { media, kind, muted });
                assert_eq!(muted, Ok(Reply::Done));
            }
            // The numbers of the players go on as those of the publisher.
            _ => world.clients[publisher].sequence += 20_000 + draws.u64() % 12_000,
        }
        for step in 0..4 {
            world.run_for(SECOND / 4);
            if step == 1 {
                let players = world.clients.len();
                world.clients[draws.u64() as usize % players].request_keyframe();
            }
            numbers.note(&mut world);
        }
        // The name is free where the stream has ended.
        if let Ok(again) = world.publish(1, round, "", "a", Kinds::BOTH) {
            (publisher, media) = (again, MediaId(round));
        }
        if round % 20 == 0 {
            encode(&mut world);
        }
    }
    world.sfu.check();
    (world, numbers)
}

/// Begins the stream of an encoder, or begins it anew.
fn encode(world: &mut World) {
    let client = 90;
    let _ = world.request(client, Request::Disconnect);
    let name = PublicationName::new("encoder").expect("a name");
    let request = Request::Ingest {
        media: MediaId(1),
        place: Place::Open,
        name,
        audio: Some(AudioCodec::Opus),
        video: Some(VideoFormat::H264 {
            profile_level_id: 0x42_e01f,
        }),
    };
    assert_eq!(world.request(client, request), Ok(Reply::Done));
    let owner = (parlor_core::ClientId(client), MediaId(1));
    let encoder = Encoder::new(world.now, owner, Kinds::BOTH, Pace::default(), 9_000);
    world.encoders.insert(9_000, encoder);
}

#[test]
fn no_number_is_given_twice() {
    let (mut rolled_over, mut resent, mut forwarded) = (0, 0, 0);
    for seed in 0..4 {
        let (world, numbers) = adverse(seed);
        let counters = world.sfu.counters();
        rolled_over += numbers.rolled_over();
        resent += counters.resent;
        forwarded += counters.forwarded;
        assert!(numbers.rtcp.len() > 200, "{} reports", numbers.rtcp.len());
    }
    // Otherwise nothing is shown.
    assert!(rolled_over > 20, "{rolled_over} sources beyond 16 bits");
    assert!(resent > 1_000, "{resent} packets sent again");
    assert!(forwarded > 50_000, "{forwarded} packets passed on");
}
