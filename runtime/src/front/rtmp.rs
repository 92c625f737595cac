//! What RTMP connections want done, and what comes of it.

use std::time::Instant;

use parlor_core::{ClientId, MediaId, Request, RequestError};
use parlor_rtmp::audio::Target;
use parlor_rtmp::bridge::Packet;
use parlor_rtmp::{Action, Claimed, Delivery, Output, Viewer};

use super::Running;
use super::client::Client;
use super::conversation::Conversation;
use super::refusals::{asks_for_a_name, is_in_vain};
use crate::codec::Stream;
use crate::link::{IngestPacket, ToFront};

impl Running {
    pub(super) fn on_rtmp_action(&mut self, now: Instant, client: &mut Client, action: Action) {
        match action {
            Action::Ask { id, key, request } => {
                if asks_for_a_name(&request) && !self.admits(now, client) {
                    client
                        .conversation
                        .handle_reply(now, id, Err(RequestError::InVain));
                    return;
                }
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
            Action::Play { media, .. } if !self.admits(now, client) => {
                if let Some(connection) = client.conversation.rtmp() {
                    let refused = Err(RequestError::InVain.to_string());
                    connection.handle_delivery(now, media, &Delivery::Playing(refused));
                }
            }
            Action::Play {
                media,
                place,
                name,
                declared,
            } => {
                let fresh = ClientId(self.next_client);
                self.next_client += 1;
                let viewer = viewer(client, media);
                (self.broadcasts).play(now, fresh, viewer, (place, name, declared));
                self.drain_broadcasts(now, Some(client));
            }
            Action::WantKeyframe { media } => {
                self.broadcasts.want_keyframe(now, viewer(client, media));
                self.drain_broadcasts(now, Some(client));
            }
            Action::StopPlaying { media } => {
                self.broadcasts.stop(viewer(client, media));
                self.drain_broadcasts(now, Some(client));
            }
            Action::Hold { room, identity } => self.names.hold(client.id(), room, identity),
            Action::Release { .. } => self.names.release(client.id()),
            Action::Claim { room, identity } => {
                let holder = self.names.holder(&room, &identity);
                let holder = holder.and_then(|ClientId(number)| self.clients.get_mut(&number));
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
            Action::Tell {
                id,
                room,
                identity,
                text,
            } => {
                if self.names.may_tell(now, &room, &identity) {
                    let worker = self.links.worker_of(room.as_str());
                    let request = Request::SendMessage {
                        room,
                        to: None,
                        text,
                    };
                    if self.links.ask(worker, client.id(), id, request).is_err() {
                        self.counters.worker_busy += 1;
                    }
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
        for packet in &packets {
            self.broadcasts.handle_packet(now, packet);
        }
        self.drain_broadcasts(now, None);
    }

    pub(super) fn on_broadcast_news(&mut self, now: Instant, message: ToFront) {
        match message {
            ToFront::Reply { client, id, reply } => {
                if is_in_vain(&reply) {
                    for Viewer { client, .. } in self.broadcasts.viewers(client) {
                        if let Some(client) = self.clients.get(&client.0) {
                            self.refusals.charge(now, client.peer().ip());
                        }
                    }
                }
                self.broadcasts.handle_reply(client, id, reply);
            }
            ToFront::News { client, news } => self.broadcasts.handle_news(client, &news),
        }
        self.drain_broadcasts(now, None);
    }

    pub(super) fn run_broadcasts(&mut self, now: Instant) {
        self.broadcasts.handle_timeout(now);
        self.drain_broadcasts(now, None);
    }

    /// Takes what has been put into another codec to where it goes.
    pub(super) fn on_sounds(&mut self, now: Instant) {
        while let Some((stream, result)) = self.front.codecs.poll() {
            let Stream { client: id, media } = stream;
            match (self.clients.get_mut(&id.0), result) {
                (Some(client), Ok(sound)) => {
                    let packet = Packet::opus(sound.time, sound.unit);
                    let ingest = client.ingest(media, packet);
                    self.bring(ingest);
                }
                (Some(client), Err(error)) => {
                    if let Some(connection) = client.conversation.rtmp() {
                        connection.handle_unheard(now, media, &error.to_string());
                        self.touched.insert(id.0);
                    }
                }
                (None, Ok(sound)) => self.broadcasts.handle_sound(id, &sound),
                (None, Err(error)) => tracing::debug!(%error, "a player hears nothing"),
            }
        }
        self.drain_broadcasts(now, None);
    }

    fn hush(&mut self, client: ClientId, media: MediaId) {
        self.front.codecs.close(Stream { client, media });
    }

    /// Forgets what a client that is gone had by RTMP.
    pub(super) fn forget_rtmp(&mut self, now: Instant, client: &Client) {
        let Conversation::Rtmp(_) = client.conversation else {
            return;
        };
        self.names.release(client.id());
        for media in client.ingests() {
            self.hush(client.id(), media);
        }
        self.broadcasts.forget(client.id());
        self.drain_broadcasts(now, None);
    }

    /// Does what the broadcasts want done. A client that is being served is not among the others.
    pub(super) fn drain_broadcasts(&mut self, now: Instant, mut served: Option<&mut Client>) {
        while let Some(output) = self.broadcasts.poll_output() {
            match output {
                Output::Ask {
                    broadcast,
                    id,
                    key,
                    request,
                } => {
                    let worker = self.links.worker_of(&key);
                    if let Err(error) = self.links.ask(worker, broadcast, id, request) {
                        self.broadcasts.handle_reply(broadcast, id, Err(error));
                    }
                }
                Output::Over { broadcast, key } => {
                    self.links.disconnect(self.links.worker_of(&key), broadcast);
                    self.hush(broadcast, SOUND);
                }
                Output::Sound { broadcast, sound } => {
                    let stream = Stream {
                        client: broadcast,
                        media: SOUND,
                    };
                    self.front.codecs.push(stream, Target::AAC, sound);
                }
                Output::Hush { broadcast } => self.hush(broadcast, SOUND),
                Output::Deliver { viewer, delivery } => {
                    let Viewer { client, media } = viewer;
                    let client = match &mut served {
                        Some(served) if served.id() == client => Some(&mut **served),
                        _ => {
                            self.touched.insert(client.0);
                            self.clients.get_mut(&client.0)
                        }
                    };
                    let connection = client.and_then(|client| client.conversation.rtmp());
                    if let Some(connection) = connection {
                        connection.handle_delivery(now, media, &delivery);
                    }
                }
            }
        }
    }
}

/// The number that the sound of each broadcast has.
const SOUND: MediaId = MediaId(0);

fn viewer(client: &Client, media: MediaId) -> Viewer {
    Viewer {
        client: client.id(),
        media,
    }
}
