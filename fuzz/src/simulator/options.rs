//! What a seed draws before its world begins.

use std::time::Duration;

use parlor_rtmp::Takeover;

use super::draw::Draw;
use crate::media::{Codec, Pace};

/// What somebody can do, or what can happen to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Enter a room.
    Join,
    /// Publish by WebRTC.
    Publish,
    /// Play by WebRTC.
    Play,
    /// Play from outside of the room.
    Watch,
    /// Publish as an encoder does.
    Ingest,
    /// Play as something else than a browser does.
    Sink,
    /// End a stream, and publish it again where it was a publication.
    Republish,
    /// End a stream.
    Stop,
    /// Leave a room.
    Leave,
    /// Go, properly.
    Disconnect,
    /// Go without a word; that is noticed some time later.
    Crash,
    /// Come back as another client, by the token of an earlier one.
    Resume,
    /// Lose the network of one connection.
    Cut,
    /// Get it back.
    Mend,
    /// Close a connection from the client's side.
    Goodbye,
    /// Go on from another address.
    Rebind,
    /// Send the picture from another source.
    Switch,
    /// Lose the picture.
    LoseKeyframe,
    /// Mute or unmute.
    Mute,
    /// Speak up or fall silent.
    Speak,
    /// Say something in a room.
    Say,
    /// Pass data to the players.
    Data,
    /// An encoder stops sending, or goes on.
    Stall,
    /// The network changes.
    Weather,
    /// Connect by RTMP to publish.
    DialEncoder,
    /// Connect by RTMP to play.
    DialPlayer,
    /// End what was done by RTMP, and the connection.
    HangUp,
    /// A connection by RTMP is cut, and the server is told.
    CutLine,
    /// A connection by RTMP is gone, and nobody tells the server.
    Vanish,
    /// Nothing arrives by a connection of RTMP in one direction, or goes on doing so.
    StallLine,
    /// The clock of an encoder by RTMP goes on from elsewhere.
    Jump,
    /// A client by RTMP breaks the protocol.
    Breach,
    /// A room client connects by RTMP.
    DialRoomClient,
    /// A room client by RTMP enters or leaves a room, talks, publishes, plays, or ends that.
    RoomClientActs,
}

/// All kinds, with whether each world has them.
const KINDS: [(Kind, bool); 24] = [
    (Kind::Join, true),
    (Kind::Publish, true),
    (Kind::Play, true),
    (Kind::Watch, false),
    (Kind::Ingest, false),
    (Kind::Sink, false),
    (Kind::Republish, false),
    (Kind::Stop, false),
    (Kind::Leave, false),
    (Kind::Disconnect, false),
    (Kind::Crash, false),
    (Kind::Resume, false),
    (Kind::Cut, false),
    (Kind::Mend, false),
    (Kind::Goodbye, false),
    (Kind::Rebind, false),
    (Kind::Switch, false),
    (Kind::LoseKeyframe, false),
    (Kind::Mute, false),
    (Kind::Speak, false),
    (Kind::Say, false),
    (Kind::Data, false),
    (Kind::Stall, false),
    (Kind::Weather, false),
];

/// What may happen by RTMP, with whether each world that has RTMP has it.
const RTMP: [(Kind, bool); 8] = [
    (Kind::DialEncoder, true),
    (Kind::DialPlayer, true),
    (Kind::HangUp, false),
    (Kind::CutLine, false),
    (Kind::Vanish, false),
    (Kind::StallLine, false),
    (Kind::Jump, false),
    (Kind::Breach, false),
];

/// What a network may do in a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weather {
    /// Lose single datagrams.
    pub loss: bool,
    /// Lose many in a row.
    pub bursts: bool,
    /// Let some overtake others.
    pub jitter: bool,
    /// Deliver some twice.
    pub duplication: bool,
    /// Carry only so much.
    pub rate: bool,
}

/// What a seed has drawn for its world (a swarm: each world can do some things only, so that what
/// hides others does not hide them in all worlds).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// People at the same time.
    pub people: usize,
    /// Rooms; there is a place outside of rooms, too.
    pub rooms: usize,
    /// Steps of the plan.
    pub steps: usize,
    /// What may happen, and how often.
    pub kinds: Vec<(Kind, usize)>,
    /// What the network may do.
    pub weather: Weather,
    /// Offers do not name the sources of what is sent, as those of some encoders: it can come from
    /// another one later.
    pub unnamed: bool,
    /// The codecs of pictures.
    pub codecs: Vec<Codec>,
    /// How often pictures and sound are sent.
    pub pace: Pace,
    /// Silence after which a connection counts as lost.
    pub ice_timeout: Duration,
    /// Times between two steps, one of which is drawn.
    pub pauses: Vec<u64>,
    /// How long the machine gathers what comes before it lets anything out.
    pub turn: Duration,
    /// Bytes after which it lets a part out while more comes; otherwise it takes all in first.
    pub part: Option<usize>,
    /// Players of one publication, beyond which a second machine has them; none is there otherwise.
    pub relay_after: Option<usize>,
    /// What may happen by RTMP, and how often; in a world without it nothing.
    pub rtmp: Vec<(Kind, usize)>,
    /// When an encoder by RTMP loses its name to another one.
    pub takeover: Takeover,
    /// Encoders by RTMP have codecs of all sorts, and players take some of them; clocks are late,
    /// and headers whole.
    pub mixed: bool,
    /// Players by WebRTC take G.711 too.
    pub g711: bool,
    /// There are room clients by RTMP.
    pub room_clients: bool,
}

/// What has come to worlds later is drawn apart as well: about half of them are without it, those
/// of the seeds that have found something before among them.
const LATER: u64 = u32::from_be_bytes(*b"tone") as u64;

/// One step: what happens, and the seed of all that is drawn for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) kind: Kind,
    pub(super) seed: u64,
    pub(super) pause: Duration,
}

/// What happens in a world, in order. A step's draws are its own, so that one can be left out
/// without changing the others.
#[derive(Debug, Clone)]
pub struct Plan(pub(super) Vec<Step>);

impl Options {
    /// The options and the plan of a seed.
    pub fn draw(seed: u64) -> (Self, Plan) {
        let mut draw = Draw::new(seed);
        let large = draw.once_in(20);
        let (people, steps) = if large {
            (5 + draw.below(4), 60 + draw.below(60))
        } else {
            (2 + draw.below(3), 12 + draw.below(28))
        };
        let kinds = KINDS.iter().filter_map(|(kind, always)| {
            let weight = draw.below(4) + 1;
            (*always || draw.once_in(2)).then_some((*kind, weight + 2 * usize::from(*always)))
        });
        let kinds: Vec<(Kind, usize)> = kinds.collect();
        let mut flag = || draw.once_in(2);
        let weather = Weather {
            loss: flag(),
            bursts: flag(),
            jitter: flag(),
            duplication: flag(),
            rate: flag(),
        };
        let codecs: &[&[Codec]] = &[&[Codec::H264], &[Codec::Vp8], &[Codec::H264, Codec::Vp8]];
        // Drawn apart: the rest of a world is the same, whatever these are.
        let mut apart = Draw::new(!seed);
        let mut rtmp = Draw::new(seed ^ u64::from(u32::from_be_bytes(*b"RTMP")));
        let rtmp_kinds = by_rtmp(&mut rtmp);
        let mut later = Draw::new(seed ^ LATER);
        let newer = later.once_in(2) && !rtmp_kinds.is_empty();
        let mixed = newer && !later.once_in(3);
        let mut options = Self {
            people,
            rooms: 1 + draw.below(3),
            steps,
            kinds,
            weather,
            unnamed: draw.once_in(3),
            codecs: draw.of(codecs).to_vec(),
            pace: Pace {
                picture: Duration::from_millis(draw.of(&[40, 80, 100, 160])),
                sound: Duration::from_millis(draw.of(&[20, 60, 100, 100])),
            },
            ice_timeout: Duration::from_secs(draw.of(&[6, 8, 15])),
            pauses: draw
                .of::<&[u64]>(&[&[1, 5, 20], &[5, 60, 300, 1_000], &[300, 1_000, 2_500]])
                .to_vec(),
            turn: Duration::from_millis(apart.of(&[0, 0, 4, 30])),
            relay_after: apart.of(&[None, None, Some(0), Some(1), Some(2)]),
            part: apart.of(&[None, Some(400), Some(1_500)]),
            mixed,
            g711: mixed && later.once_in(2),
            room_clients: later.once_in(2) && newer,
            rtmp: rtmp_kinds,
            takeover: rtmp.of(&[
                Takeover::Silent,
                Takeover::Silent,
                Takeover::Always,
                Takeover::Never,
            ]),
        };
        let plan = options.plan(&mut draw);
        let plan = options.with_rtmp(plan, &mut rtmp);
        let plan = options.with_room_clients(plan, &mut later);
        options.steps = plan.0.len();
        (options, plan)
    }

    fn plan(&self, draw: &mut Draw) -> Plan {
        let total: usize = self.kinds.iter().map(|(_, weight)| weight).sum();
        let mut steps = Vec::new();
        for index in 0..self.steps {
            // People come first.
            let kind = match index {
                0 => Kind::Join,
                1 => Kind::Publish,
                _ if index < self.people => Kind::Join,
                _ => self.kind(draw.below(total)),
            };
            steps.push(Step {
                kind,
                seed: draw.u64(),
                pause: Duration::from_millis(draw.of(&self.pauses)),
            });
        }
        Plan(steps)
    }

    fn kind(&self, at: usize) -> Kind {
        pick(&self.kinds, at).unwrap_or(Kind::Join)
    }

    /// What happens by RTMP, among the rest.
    fn with_rtmp(&self, Plan(rest): Plan, draw: &mut Draw) -> Plan {
        let total: usize = self.rtmp.iter().map(|(_, weight)| weight).sum();
        let mut steps = Vec::new();
        for step in rest {
            steps.push(step);
            if !draw.once_in(3)
                && let Some(kind) = pick(&self.rtmp, draw.below(total))
            {
                steps.push(Step {
                    kind,
                    seed: draw.u64(),
                    pause: Duration::from_millis(draw.of(&self.pauses)),
                });
            }
        }
        Plan(steps)
    }

    /// What room clients do, among the rest.
    fn with_room_clients(&self, Plan(rest): Plan, draw: &mut Draw) -> Plan {
        if !self.room_clients {
            return Plan(rest);
        }
        let mut steps = Vec::new();
        for step in rest {
            steps.push(step);
            if draw.once_in(2) {
                steps.push(Step {
                    kind: match draw.once_in(4) {
                        true => Kind::DialRoomClient,
                        false => Kind::RoomClientActs,
                    },
                    seed: draw.u64(),
                    pause: Duration::from_millis(draw.of(&self.pauses)),
                });
            }
        }
        Plan(steps)
    }
}

fn by_rtmp(draw: &mut Draw) -> Vec<(Kind, usize)> {
    if draw.once_in(3) {
        return Vec::new();
    }
    let kinds = RTMP.iter().filter_map(|(kind, always)| {
        let weight = draw.below(2) + 1;
        (*always || draw.once_in(2)).then_some((*kind, weight + 3 * usize::from(*always)))
    });
    kinds.collect()
}

/// The one of some kinds at a place below the sum of their weights.
fn pick(kinds: &[(Kind, usize)], mut at: usize) -> Option<Kind> {
    for (kind, weight) in kinds {
        match at.checked_sub(*weight) {
            Some(rest) => at = rest,
            None => return Some(*kind),
        }
    }
    None
}
