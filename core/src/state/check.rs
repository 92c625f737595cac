//! What must hold between the tables, for tests and simulations.

use std::collections::BTreeSet;
use std::time::Instant;

use super::{Due, State};
use crate::limits;
use crate::tables::{Destination, Media, Tables};

impl State {
    /// Asserts what must hold between the tables.
    pub(crate) fn check(&self) {
        let tables = &self.tables;
        self.check_peers();
        let planned = self.planned();
        if self.deadlines != planned {
            let left: Vec<_> = self.deadlines.difference(&planned).collect();
            let missing: Vec<_> = planned.difference(&self.deadlines).collect();
            unreachable!("deadlines for nobody: {left:?}; deadlines that are none: {missing:?}");
        }
        check_rooms(tables);
        check_streams(tables);
        check_clients(tables);
        self.check_relays();
    }

    /// Asserts that nothing is left of anybody.
    pub(crate) fn check_empty(&self) {
        self.check();
        let Tables {
            rooms,
            room_names,
            clients,
            publications,
            publication_names,
            subscriptions,
            paths,
            relayed,
            guests,
            handed_on,
        } = &self.tables;
        assert!(rooms.is_empty() && room_names.is_empty(), "a room is left");
        assert!(clients.is_empty(), "a client is left: {clients:?}");
        let streams = publications.len() + publication_names.len() + subscriptions.len();
        assert_eq!(streams, 0, "a stream is left");
        assert!(relayed.is_empty() && guests.is_empty() && *handed_on == 0);
        assert!(self.relays.is_empty(), "messages to other workers are left");
        assert!(self.peers.is_empty(), "a peer is left");
        assert!(paths.is_empty(), "a way is left: {paths:?}");
        assert!(self.deadlines.is_empty(), "a deadline is left");
        assert!(self.outbox.news.is_empty(), "news of a peer are left");
        assert_eq!(self.outbox.batch.len(), 0, "a datagram is left");
        assert!(self.events.is_empty(), "news are left: {:?}", self.events);
        assert!(self.media.is_empty(), "packets are left");
    }

    fn check_peers(&self) {
        let tables = &self.tables;
        let origins = tables
            .publications
            .values()
            .map(|stream| stream.origin.peer());
        let destinations = tables.subscriptions.values();
        let destinations = destinations.map(|stream| stream.destination.peer());
        assert_eq!(
            origins.chain(destinations).flatten().count(),
            self.peers.len()
        );
        for (path, key) in &tables.paths {
            assert!(
                self.peers
                    .get(*key)
                    .is_some_and(|peer| peer.paths.contains(path))
            );
        }
        for peer in self.peers.values() {
            assert!(peer.paths.len() <= limits::PATHS_PER_PEER);
            for path in &peer.paths {
                assert_eq!(tables.paths.get(path), Some(&peer.key()));
            }
            if self.home_of(peer.role).is_some() {
                // Its client is with another worker: see `check_relays`.
                continue;
            }
            let client = tables.clients.get(&peer.client);
            let media = client.and_then(|client| client.media.get(&peer.media));
            assert!(media.is_some(), "a peer is of a client that has its stream");
        }
    }

    /// What is due some day, by what it is for.
    fn planned(&self) -> BTreeSet<(Instant, Due)> {
        let mut planned = BTreeSet::new();
        for (key, peer) in &self.peers {
            planned.extend(peer.wake.map(|at| (at, Due::Peer(key))));
            planned.extend(peer.consent_due.map(|at| (at, Due::Consent(key))));
            planned.extend(peer.report_due.map(|at| (at, Due::Report(key))));
            if !peer.live {
                planned.insert((peer.connects_by, Due::Connect(key)));
            }
        }
        for (key, publication) in &self.tables.publications {
            let silence = publication.silence_due;
            planned.extend(silence.map(|at| (at, Due::Silence(key))));
            let keyframe = publication.keyframes.due;
            planned.extend(keyframe.map(|at| (at, Due::Keyframe(key))));
        }
        for (key, subscription) in &self.tables.subscriptions {
            let replay = subscription.replay;
            planned.extend(replay.map(|replay| (replay.due, Due::Replay(key))));
        }
        planned
    }
}

fn check_rooms(tables: &Tables) {
    assert_eq!(tables.room_names.len(), tables.rooms.len());
    for (name, key) in &tables.room_names {
        assert!(
            tables
                .rooms
                .get(*key)
                .is_some_and(|room| room.name == *name)
        );
    }
    for (key, room) in &tables.rooms {
        assert!(
            !room.participants.is_empty(),
            "a room without participants is not kept"
        );
        for participant in &room.participants {
            let client = tables.clients.get(&participant.client);
            assert!(client.is_some_and(|client| client.rooms.contains(&key)));
            for publication in &participant.publications {
                let publication = tables.publications.get(*publication);
                assert!(publication.is_some_and(|publication| {
                    publication.room == Some(key) && publication.client == participant.client
                }));
            }
        }
    }
}

fn check_streams(tables: &Tables) {
    assert_eq!(
        tables.publication_names.len() + tables.relayed.len(),
        tables.publications.len()
    );
    for ((room, name), key) in &tables.publication_names {
        let publication = tables.publications.get(*key);
        assert!(
            publication
                .is_some_and(|publication| publication.room == *room && publication.name == *name)
        );
    }
    for (key, subscription) in &tables.subscriptions {
        let publication = tables.publications.get(subscription.publication);
        assert!(publication.is_some_and(|publication| {
            let playing = match subscription.destination {
                Destination::Peer(_) | Destination::Sink => Some(&publication.subscriptions),
                Destination::Relay { worker, .. } => {
                    let mut relays = publication.relays.iter();
                    let relay = relays.find(|relay| relay.worker == worker);
                    relay.map(|relay| &relay.subscriptions)
                }
            };
            playing.is_some_and(|playing| playing.contains(&key))
                && publication.room == subscription.room
        }));
    }
    let played = tables.publications.values();
    let played = played.map(|publication| {
        let relays = publication.relays.iter();
        let elsewhere: usize = relays.map(|relay| relay.subscriptions.len()).sum();
        publication.subscriptions.len() + elsewhere
    });
    assert_eq!(
        played.sum::<usize>(),
        tables.subscriptions.len(),
        "a publication knows a player that is none"
    );
}

fn check_clients(tables: &Tables) {
    let mut streams = 0;
    for (id, client) in &tables.clients {
        assert!(!client.rooms.is_empty() || !client.media.is_empty());
        for room in &client.rooms {
            let room = tables.rooms.get(*room);
            assert!(room.is_some_and(|room| room.participant(*id).is_some()));
        }
        for (media, entry) in &client.media {
            streams += 1;
            let owner = match entry {
                Media::Publication(key) => {
                    let stream = tables.publications.get(*key);
                    stream.map(|stream| (stream.client, stream.media))
                }
                Media::Subscription(key) => {
                    let stream = tables.subscriptions.get(*key);
                    stream.map(|stream| (stream.client, stream.media))
                }
            };
            assert_eq!(owner, Some((*id, *media)), "a number stands for its stream");
        }
    }
    assert_eq!(
        streams,
        tables.publications.len() - tables.relayed.len() + tables.subscriptions.len()
            - tables.guests.len(),
        "a stream is of a client, here or on another worker"
    );
}
