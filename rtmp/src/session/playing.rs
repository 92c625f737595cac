//! A stream that is played.

use std::time::Instant;

use parlor_core::{MediaId, Place, PublicationName, RoomName, VideoCodec};

use super::commands::Call;
use super::{End, Role, Session, answer};
use crate::bridge::Player;
use crate::broadcasts::Delivery;
use crate::connection::{Action, Playable};
use crate::flv::{Tag, TagKind};
use crate::message::{Weight, weight};
use crate::outbox::{Level, Outbox};
use crate::target;

const NOT_FOUND: &str = "NetStream.Play.StreamNotFound";

/// What is played on one message stream.
pub(super) struct Playing {
    media: MediaId,
    /// What it was called by the client.
    name: String,
    /// `None`: the answer is still to come.
    player: Option<Player>,
    has_video: bool,
    wants_audio: bool,
    wants_video: bool,
    flow: Flow,
}

/// Whether media goes to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    On,
    /// The client wants none for now.
    Paused,
    /// Something was left out: nothing follows before the next key frame, for which it has been
    /// asked or not.
    Cut {
        asked: bool,
    },
}

impl Playing {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.player.as_ref().and_then(Player::poll_timeout)
    }

    pub(super) fn stop(&self, out: &mut Outbox) {
        let media = self.media;
        out.actions.push_back(Action::StopPlaying { media });
    }

    /// Writes what the player has, as far as the client can take it.
    fn drain(&mut self, now: Instant, stream: u32, out: &mut Outbox) {
        while let Some(tag) = self.player.as_mut().and_then(Player::poll_output) {
            let weight = weight(&tag);
            if weight == Weight::Header || (self.admits(now, weight, out) && self.wants(&tag)) {
                out.push_tag(now, stream, &tag);
            }
        }
    }

    /// Whether the client can take what no decoder depends on. If not, it gets nothing before the
    /// next key frame that it can take.
    fn admits(&mut self, now: Instant, weight: Weight, out: &mut Outbox) -> bool {
        let is_behind = out.is_behind(now);
        match self.flow {
            Flow::On if !is_behind => return true,
            Flow::On => {
                tracing::debug!("a player is behind, and is cut to the next key frame");
                out.counters.cut += 1;
                self.flow = Flow::Cut { asked: false };
            }
            Flow::Cut { .. } | Flow::Paused => {}
        }
        match &mut self.flow {
            Flow::Cut { .. } if !is_behind && (weight == Weight::Key || !self.has_video) => {
                self.flow = Flow::On;
                true
            }
            Flow::Cut { asked } => {
                if !is_behind && !std::mem::replace(asked, true) {
                    let media = self.media;
                    out.actions.push_back(Action::WantKeyframe { media });
                }
                false
            }
            Flow::On | Flow::Paused => false,
        }
    }

    fn wants(&self, tag: &Tag) -> bool {
        match tag.kind {
            TagKind::Audio => self.wants_audio,
            TagKind::Video => self.wants_video,
            TagKind::Data => true,
        }
    }
}

impl Session {
    pub(super) fn on_play(&mut self, call: &Call, out: &mut Outbox) -> Result<(), End> {
        let Some(stream) = self.free_stream(call, "NetStream.Play.Failed", out) else {
            return self.refused();
        };
        let text = call.text(0).unwrap_or_default();
        match self.whom_to_play(text) {
            Ok((place, name, declared)) => {
                let media = self.new_media();
                self.streams.insert(
                    stream,
                    Role::Play(Box::new(Playing {
                        media,
                        name: name.to_string(),
                        player: None,
                        has_video: false,
                        wants_audio: true,
                        wants_video: true,
                        flow: Flow::On,
                    })),
                );
                out.actions.push_back(Action::Play {
                    media,
                    place,
                    name,
                    declared,
                });
                Ok(())
            }
            Err(sentence) => {
                out.push_status(stream, Level::Error, NOT_FOUND, &sentence);
                self.refused()
            }
        }
    }

    fn whom_to_play(
        &self,
        text: &str,
    ) -> Result<(Place, PublicationName, crate::bridge::Declared), String> {
        let Some(app) = &self.app else {
            return Err("A session begins with `connect`".to_owned());
        };
        let named = |name: &str| PublicationName::new(name).map_err(|error| error.to_string());
        if let Some(dialogue) = &app.dialogue {
            let name = named(&target::parse("-", text).name)?;
            return Ok((dialogue.place(&name), name, app.declared));
        }
        let target = target::parse(&app.name, text);
        let place = match target.room {
            Some(room) => Place::Room(RoomName::new(&room).map_err(|error| error.to_string())?),
            None => Place::Open,
        };
        Ok((place, named(&target.name)?, app.declared))
    }

    fn playing(&mut self, media: MediaId) -> Option<(u32, &mut Playing)> {
        self.streams
            .iter_mut()
            .find_map(|(stream, role)| match role {
                Role::Play(playing) if playing.media == media => Some((*stream, &mut **playing)),
                Role::Idle | Role::Publish(_) | Role::Play(_) => None,
            })
    }

    fn playing_on(&mut self, stream: u32) -> Option<&mut Playing> {
        match self.streams.get_mut(&stream)? {
            Role::Play(playing) => Some(playing),
            Role::Idle | Role::Publish(_) => None,
        }
    }

    pub(crate) fn handle_delivery(
        &mut self,
        now: Instant,
        media: MediaId,
        delivery: &Delivery,
        out: &mut Outbox,
    ) -> Result<(), End> {
        let Some((stream, playing)) = self.playing(media) else {
            return Ok(());
        };
        match delivery {
            Delivery::Playing(result) => self.on_playing(now, media, result, out),
            Delivery::Picture(picture) => {
                if let Some(player) = &mut playing.player {
                    player.handle_picture(now, picture);
                }
                playing.drain(now, stream, out);
                Ok(())
            }
            Delivery::Sound(sound) => {
                if let Some(player) = &mut playing.player {
                    player.handle_sound(now, sound);
                }
                playing.drain(now, stream, out);
                Ok(())
            }
            Delivery::Ended => {
                answer::ended(stream, out);
                self.streams.insert(stream, Role::Idle);
                self.refused()
            }
        }
    }

    fn on_playing(
        &mut self,
        now: Instant,
        media: MediaId,
        result: &Result<Playable, String>,
        out: &mut Outbox,
    ) -> Result<(), End> {
        let Some((stream, playing)) = self.playing(media) else {
            return Ok(());
        };
        let Playable {
            parts,
            refused_video,
        } = match result {
            Ok(playable) => *playable,
            Err(sentence) => {
                out.push_status(stream, Level::Error, NOT_FOUND, sentence);
                self.streams.insert(stream, Role::Idle);
                self.idle_since = now;
                return self.refused();
            }
        };
        playing.player = Some(Player::new(parts));
        playing.has_video = parts.video;
        out.counters.played += 1;
        answer::playing(stream, out);
        if let Some(codec) = refused_video {
            let codec = match codec {
                VideoCodec::H264 => "H.264",
                VideoCodec::Vp8 => "VP8",
            };
            let name = &playing.name;
            let sentence = format!(
                "The picture of \"{name}\" is {codec}, your player needs H.264: you only hear it"
            );
            let code = "NetStream.Play.InsufficientCodec";
            out.push_status(stream, Level::Warning, code, &sentence);
        }
        Ok(())
    }

    /// Does what is due for what is played.
    pub(super) fn run_players(&mut self, now: Instant, out: &mut Outbox) {
        for (stream, role) in &mut self.streams {
            let Role::Play(playing) = role else {
                continue;
            };
            if let Some(player) = &mut playing.player
                && player.poll_timeout().is_some_and(|due| now >= due)
            {
                player.handle_timeout(now);
                playing.drain(now, *stream, out);
            }
        }
    }

    pub(super) fn on_pause(&mut self, stream: u32, pauses: bool, out: &mut Outbox) {
        let Some(playing) = self.playing_on(stream) else {
            return;
        };
        match pauses {
            true => playing.flow = Flow::Paused,
            false if playing.flow == Flow::Paused => playing.flow = Flow::Cut { asked: false },
            false => {}
        }
        let (code, description) = match pauses {
            true => ("NetStream.Pause.Notify", "Paused."),
            false => ("NetStream.Unpause.Notify", "Goes on."),
        };
        out.push_status(stream, Level::Status, code, description);
    }

    pub(super) fn on_receive(&mut self, stream: u32, (audio, video): (Option<bool>, Option<bool>)) {
        let Some(playing) = self.playing_on(stream) else {
            return;
        };
        if let Some(wanted) = audio {
            playing.wants_audio = wanted;
        }
        if let Some(wanted) = video {
            let comes_back = wanted && !playing.wants_video;
            playing.wants_video = wanted;
            if comes_back && playing.flow == Flow::On {
                playing.flow = Flow::Cut { asked: false };
            }
        }
    }
}
