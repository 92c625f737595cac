//! What RTMP connections want done, and what comes of it.

use std::time::Instant;

use parlor_core::{ClientId, MediaId, Request};
use parlor_rtmp::audio::Target;
use parlor_rtmp::bridge::Packet;
use parlor_rtmp::{Action, Claimed};

use super::Running;
use super::broadcasts::{Deliveries, Delivery};
use super::client::Client;
use super::conversation::Conversation;
use crate::codec::Stream;
use crate::link::{IngestPacket, ToFront};

impl Running {
    pub(super) fn on_rtmp_action(&mut self, now: Instant, client: &mut Client, action: Action) {
        match action {
            Action::Ask { id, key, request } => {
                let worker = self.links.worker_of(&key);
                client.note(worker, &request);
                if let Request::Stop { media } = request {
                    self.hush(client.id(), media);
                }
                match self.links.ask(worker, client.id(), id, request) {
                    Ok(()) => client.set_asked(worker),
                    Err(error) => self.refuse(now, client, id, error),
                }
            }
            Action::Packet { media, packet } => self.bring(client.ingest(media, packet)),
            Action::Sound { media, sound } => {
                let stream = Stream {
                    client: client.id(),
                    media,
                };
                let target = self.front.configs.opus;
                self.front.codecs.push(stream, target, sound);
            }
            Action::Play {
                media,
                place,
                name,
                declared,
            } => {
                let number = self.next_client;
                self.next_client += 1;
                let player = (client.id().0, media);
                let what = (place, name, declared);
                let mut deliveries = Deliveries::default();
                let Self {
                    links, broadcasts, ..
                } = self;
                broadcasts.play(now, links, number, player, what, &mut deliveries);
                self.deliver_with(now, client, deliveries);
            }
            Action::WantKeyframe { media } => {
                let player = (client.id().0, media);
                let mut deliveries = Deliveries::default();
                let Self {
                    links, broadcasts, ..
                } = self;
                broadcasts.want_keyframe(now, links, player, &mut deliveries);
                self.deliver_with(now, client, deliveries);
            }
            Action::StopPlaying { media } => {
                let player = (client.id().0, media);
                let mut deliveries = Deliveries::default();
                self.broadcasts
                    .stop(&mut self.links, player, &mut deliveries);
                self.deliver(now, deliveries);
            }
            Action::Hold { room, identity } => self.names.hold(client.id().0, room, identity),
            Action::Release { .. } => self.names.release(client.id().0),
            Action::Claim { room, identity } => {
                let holder = self.names.holder(&room, &identity);
                let holder = holder.and_then(|number| self.clients.get_mut(&number));
                let claimed = match holder {
                    Some(holder) => {
                        self.touched.insert(holder.id().0);
                        let connection = holder.conversation.rtmp();
                        connection.map_or(Claimed::Unknown, |connection| {
                            connection.handle_claim(now, &room, &identity)
                        })
                    }
                    None => Claimed::Unknown,
                };
                if let Some(connection) = client.conversation.rtmp() {
                    connection.handle_claimed(now, claimed);
                }
            }
        }
    }

    /// Passes a packet of an encoder to the worker of its ingest, if that still is.
    fn bring(&mut self, ingest: Option<(usize, IngestPacket)>) {
        if let Some((worker, packet)) = ingest
            && !self.links.bring(worker, packet)
        {
            self.counters.ingest_dropped += 1;
        }
    }

    /// Takes the packets of sinks in.
    pub(super) fn on_media(&mut self, now: Instant) {
        let mut packets = Vec::new();
        self.busy |= self.links.receive_media(&mut packets);
        let mut deliveries = Deliveries::default();
        let Self {
            links, broadcasts, ..
        } = self;
        for packet in &packets {
            broadcasts.handle_packet(now, links, packet, &mut deliveries);
        }
        self.deliver(now, deliveries);
    }

    pub(super) fn on_broadcast_news(&mut self, now: Instant, message: ToFront) {
        let mut deliveries = Deliveries::default();
        let Self {
            links, broadcasts, ..
        } = self;
        match message {
            ToFront::Reply { client, id, reply } => {
                broadcasts.handle_reply(links, client.0, id, reply, &mut deliveries);
            }
            ToFront::News { client, news } => {
                broadcasts.handle_news(links, client.0, &news, &mut deliveries);
            }
        }
        self.deliver(now, deliveries);
    }

    pub(super) fn run_broadcasts(&mut self, now: Instant) {
        let mut deliveries = Deliveries::default();
        let Self {
            links, broadcasts, ..
        } = self;
        broadcasts.handle_timeout(now, links, &mut deliveries);
        self.deliver(now, deliveries);
    }

    /// Takes what has been put into another codec to where it goes.
    pub(super) fn on_sounds(&mut self, now: Instant) {
        let mut deliveries = Deliveries::default();
        while let Some((stream, result)) = self.front.codecs.poll() {
            let Stream {
                client: ClientId(number),
                media,
            } = stream;
            match (self.clients.get_mut(&number), result) {
                (Some(client), Ok(sound)) => {
                    let packet = Packet::opus(sound.time, sound.unit);
                    let ingest = client.ingest(media, packet);
                    self.bring(ingest);
                }
                (Some(client), Err(error)) => {
                    if let Some(connection) = client.conversation.rtmp() {
                        connection.handle_unheard(now, media, &error.to_string());
                        self.touched.insert(number);
                    }
                }
                (None, Ok(sound)) => self
                    .broadcasts
                    .handle_sound(number, &sound, &mut deliveries),
                (None, Err(error)) => tracing::debug!(%error, "a player hears nothing"),
            }
        }
        self.deliver(now, deliveries);
    }

    fn hush(&mut self, client: ClientId, media: MediaId) {
        self.front.codecs.close(Stream { client, media });
    }

    /// Forgets what a client that is gone had by RTMP.
    pub(super) fn forget_rtmp(&mut self, now: Instant, client: &Client) {
        let Conversation::Rtmp(_) = client.conversation else {
            return;
        };
        let ClientId(number) = client.id();
        self.names.release(number);
        for media in client.ingests() {
            self.hush(client.id(), media);
        }
        let mut deliveries = Deliveries::default();
        self.broadcasts
            .forget(&mut self.links, number, &mut deliveries);
        self.deliver(now, deliveries);
    }

    /// As [`Self::deliver`], while a client is served, which is not among the others then.
    fn deliver_with(&mut self, now: Instant, client: &mut Client, mut deliveries: Deliveries) {
        let players = std::mem::take(&mut deliveries.players);
        for (player, delivery) in players {
            match player {
                (number, media) if number == client.id().0 => {
                    deliver(now, client, media, delivery);
                }
                _ => deliveries.players.push((player, delivery)),
            }
        }
        self.deliver(now, deliveries);
    }

    fn deliver(&mut self, now: Instant, deliveries: Deliveries) {
        let Deliveries {
            players,
            sounds,
            hushed,
        } = deliveries;
        for (number, sound) in sounds {
            self.front
                .codecs
                .push(broadcast(number), Target::AAC, sound);
        }
        for number in hushed {
            self.front.codecs.close(broadcast(number));
        }
        for ((number, media), delivery) in players {
            if let Some(client) = self.clients.get_mut(&number) {
                deliver(now, client, media, delivery);
                self.touched.insert(number);
            }
        }
    }
}

fn deliver(now: Instant, client: &mut Client, media: MediaId, delivery: Delivery) {
    let Some(connection) = client.conversation.rtmp() else {
        return;
    };
    match delivery {
        Delivery::Playing(result) => connection.handle_playing(now, media, result),
        Delivery::Picture(picture) => connection.handle_picture(now, media, &picture),
        Delivery::Sound(sound) => connection.handle_sound(now, media, &sound),
        Delivery::Ended => connection.handle_played(now, media),
    }
}

/// The sound of a broadcast.
fn broadcast(number: u64) -> Stream {
    Stream {
        client: ClientId(number),
        media: MediaId(0),
    }
}
