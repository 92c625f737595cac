//! What one client is in the middle of, from its `connect` on.

mod answer;
mod commands;
mod flash;
mod playing;
mod publishing;
mod rooms;

use std::collections::BTreeMap;
use std::time::Instant;

use parlor_core::{ClientId, Identity, MediaId, Place, PublicationName, Request, RoomName};
use parlor_signalling::{Bucket, Dialogue, RequestId};

use crate::bridge::Declared;
use crate::chunk::Message;
use crate::connection::{Action, Config};
use crate::limits::{
    COMMAND_BURST, COMMAND_BYTES, COMMANDS_PER_SECOND, CONNECT_TIMEOUT, EARLY_MESSAGE_BYTES,
    IDLE_TIMEOUT, MESSAGE_BYTES, PENDING, REFUSAL_BURST, REFUSALS_PER_SECOND,
};
use crate::message::{self, kind};
use crate::outbox::Outbox;
use playing::Playing;
use publishing::Publishing;

/// How a session ends from the server's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The client has been told why, and is given the time to read it.
    Refused,
    /// It broke the protocol.
    Broken(&'static str),
    /// Something that was to come never came.
    Late(&'static str),
}

pub(crate) struct Session {
    client: ClientId,
    config: Config,
    /// `None` before `connect`.
    app: Option<App>,
    /// The message streams by their ids, which the client has asked for.
    streams: BTreeMap<u32, Role>,
    next_stream: u32,
    next_media: u32,
    pending: BTreeMap<RequestId, Pending>,
    next_request: u64,
    commands: Bucket,
    refusals: Bucket,
    /// Since when nothing has been published or played.
    idle_since: Instant,
}

/// What `connect` has said.
struct App {
    /// The first part of the address.
    name: String,
    declared: Declared,
    /// A room client speaks WCS beside RTMP.
    dialogue: Option<Box<Dialogue>>,
}

/// What a message stream is for.
enum Role {
    Idle,
    Publish(Box<Publishing>),
    Play(Box<Playing>),
}

/// What an answer of the rooms belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pending {
    /// The join of the encoder on this message stream.
    Join(u32),
    /// The ingest of it.
    Ingest(u32, MediaId),
    /// Something that is ended.
    End,
}

/// Requests of ours are numbered from here on, those of a dialogue from zero.
const FIRST_REQUEST: u64 = 1 << 63;

impl Session {
    pub(crate) fn new(config: &Config, client: ClientId, now: Instant) -> Self {
        Self {
            client,
            config: config.clone(),
            app: None,
            streams: BTreeMap::new(),
            next_stream: 1,
            next_media: 0,
            pending: BTreeMap::new(),
            next_request: FIRST_REQUEST,
            commands: Bucket::new(COMMAND_BURST, COMMANDS_PER_SECOND, now),
            refusals: Bucket::new(REFUSAL_BURST, REFUSALS_PER_SECOND, now),
            idle_since: now,
        }
    }

    /// Most bytes of a message that is taken for now.
    pub(crate) fn message_bytes(&self) -> usize {
        let publishes = self
            .streams
            .values()
            .any(|role| matches!(role, Role::Publish(_)));
        match publishes {
            true => MESSAGE_BYTES,
            false => EARLY_MESSAGE_BYTES,
        }
    }

    /// Takes a message that is not about the connection itself.
    pub(crate) fn handle_message(
        &mut self,
        now: Instant,
        message: &Message,
        out: &mut Outbox,
    ) -> Result<(), End> {
        if let Some(dialogue) = self.dialogue() {
            dialogue.handle_life();
        }
        match message.kind {
            kind::COMMAND | kind::COMMAND_AMF3 => {
                if message.body.len() > COMMAND_BYTES {
                    return Err(End::Broken("a command is too long"));
                }
                if !self.commands.take(now) {
                    return Err(End::Broken("too many commands"));
                }
                self.on_command(now, message, out)
            }
            kind::AUDIO | kind::VIDEO | kind::DATA | kind::DATA_AMF3 => {
                match message::tag(message) {
                    Some(tag) => self.on_tag(now, message.stream, &tag, out),
                    None => Ok(()),
                }
            }
            // Shared objects, and what nobody knows.
            _ => Ok(()),
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) -> Result<(), End> {
        let Some(app) = &mut self.app else {
            return match now >= self.idle_since + CONNECT_TIMEOUT {
                true => Err(End::Late("no `connect` came")),
                false => Ok(()),
            };
        };
        if let Some(dialogue) = &mut app.dialogue {
            if now >= dialogue.poll_timeout() {
                let result = dialogue.handle_timeout(now);
                self.on_dialogue(result, out)?;
            }
        } else if self.is_idle() && now >= self.idle_since + IDLE_TIMEOUT {
            return Err(End::Late("nothing is published or played"));
        }
        self.run_publishers(now, out)?;
        self.run_players(now, out);
        Ok(())
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let Some(app) = &self.app else {
            return Some(self.idle_since + CONNECT_TIMEOUT);
        };
        let kept = match &app.dialogue {
            Some(dialogue) => Some(dialogue.poll_timeout()),
            None => self.is_idle().then(|| self.idle_since + IDLE_TIMEOUT),
        };
        let roles = self.streams.values().filter_map(|role| match role {
            Role::Idle => None,
            Role::Publish(publishing) => Some(publishing.poll_timeout()),
            Role::Play(playing) => playing.poll_timeout(),
        });
        roles.chain(kept).min()
    }

    fn is_idle(&self) -> bool {
        self.streams.values().all(|role| matches!(role, Role::Idle))
    }

    fn dialogue(&mut self) -> Option<&mut Dialogue> {
        self.app.as_mut()?.dialogue.as_deref_mut()
    }

    /// A client that is in rooms for other reasons too is told of a refusal, but stays.
    fn refused(&self) -> Result<(), End> {
        let stays = self.app.as_ref().is_some_and(|app| app.dialogue.is_some());
        match stays {
            true => Ok(()),
            false => Err(End::Refused),
        }
    }

    /// Counts refusals, so that nobody who stays finds out names by trying them.
    pub(crate) fn charge(&mut self, now: Instant, refused: u64) -> Result<(), End> {
        match (0..refused).all(|_| self.refusals.take(now)) {
            true => Ok(()),
            false => Err(End::Broken("too much is asked for that is refused")),
        }
    }

    fn new_media(&mut self) -> MediaId {
        let media = MediaId(self.next_media);
        self.next_media = self.next_media.wrapping_add(1);
        media
    }

    /// Asks the rooms, if not too much is asked already.
    fn ask(
        &mut self,
        pending: Pending,
        key: String,
        request: Request,
        out: &mut Outbox,
    ) -> Result<(), End> {
        if self.pending.len() >= PENDING {
            return Err(End::Broken("too many requests await their answers"));
        }
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.pending.insert(id, pending);
        out.actions.push_back(Action::Ask { id, key, request });
        Ok(())
    }
}

/// What decides which worker a stream falls to.
fn key(place: &Place, name: &PublicationName) -> String {
    match place {
        Place::Room(room) => room.to_string(),
        Place::Open => name.to_string(),
    }
}

/// Who an encoder is in a room.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    room: RoomName,
    identity: Identity,
}
