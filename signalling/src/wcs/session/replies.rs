//! What comes back from the rooms.

use parlor_core::{MediaId, MediaKind, News, Place, Reply, RequestError, RoomName};
use tracing::debug;

use super::{End, Pending, Session, room_of};
use crate::connection::RequestId;
use crate::outbox::Outbox;
use crate::wcs::answer;
use crate::wcs::message::Id;
use crate::wcs::stream::Stage;
use crate::websocket::Close;

impl Session {
    pub(crate) fn handle_reply(
        &mut self,
        id: RequestId,
        reply: Result<Reply, RequestError>,
        out: &mut Outbox,
    ) -> Result<(), End> {
        let Some(pending) = self.pending.remove(&id) else {
            debug_assert!(false, "an answer to nothing");
            return Ok(());
        };
        if let Err(error) = &reply {
            out.counters.requests_refused += 1;
            debug!(client = self.client.0, participant = self.participant(), %error, "refused");
        }
        match pending {
            Pending::Join {
                operation,
                room,
                history,
            } => self.on_join_reply(&operation, room, history, reply, out),
            // What is not ended here would go on, and nobody could end it any more.
            Pending::Stop | Pending::Leave { .. } if reply == Err(RequestError::Busy) => {
                return Err(Close::new(1013, "the server is busy, try again").into());
            }
            Pending::Leave {
                operation,
                room,
                before,
            } => {
                let result = reply.map_err(|error| answer::refusal(&error));
                if result.is_ok() {
                    debug!(
                        room = room.as_str(),
                        participant = self.participant(),
                        "left"
                    );
                    self.rooms.remove(&room);
                    self.streams.forget(&Place::Room(room), before);
                }
                let result = result.as_ref().map(|_| ()).map_err(String::as_str);
                answer::data_status(&operation, result, out);
            }
            Pending::SendMessage { operation } => {
                let result = reply.map_err(|error| answer::refusal(&error));
                let result = result.as_ref().map(|_| ()).map_err(String::as_str);
                answer::data_status(&operation, result, out);
            }
            Pending::Start { media } => self.on_start_reply(media, reply, out),
            Pending::Stop => {}
            Pending::StreamEvent => {
                if let Err(error) = reply {
                    answer::fail("sendStreamEvent", &answer::refusal(&error), out);
                }
            }
            Pending::Find { id } => {
                let result = match reply {
                    Ok(Reply::Available(true)) => Ok(()),
                    Ok(_) => Err(answer::refusal(&RequestError::NoSuchPublication)),
                    Err(error) => Err(answer::refusal(&error)),
                };
                answer::available(
                    &id,
                    result.as_ref().map(|_| ()).map_err(String::as_str),
                    out,
                );
            }
        }
        Ok(())
    }

    fn on_join_reply(
        &mut self,
        operation: &Id,
        room: RoomName,
        wants_history: bool,
        reply: Result<Reply, RequestError>,
        out: &mut Outbox,
    ) {
        let (members, history, speakers, resume) = match reply {
            Ok(Reply::Joined {
                members,
                history,
                speakers,
                resume,
            }) => (members, history, speakers, resume),
            Ok(other) => {
                debug_assert!(false, "{other:?} answers a join");
                return answer::data_status(operation, Ok(()), out);
            }
            Err(error) => {
                return answer::data_status(operation, Err(&answer::refusal(&error)), out);
            }
        };
        debug!(
            room = room.as_str(),
            participant = self.participant(),
            "joined"
        );
        answer::joined(operation, &resume, out);
        self.tell(&room, "STATE", answer::state(&members), out);
        if wants_history {
            self.tell(&room, "HISTORY", answer::history(&history), out);
            for speaker in &speakers {
                self.tell(&room, "SPEAKING", answer::speaking(speaker, true), out);
            }
        }
        self.rooms.insert(room);
    }

    fn on_start_reply(
        &mut self,
        media: MediaId,
        reply: Result<Reply, RequestError>,
        out: &mut Outbox,
    ) {
        match reply {
            Ok(Reply::Answer {
                sdp,
                audio,
                video,
                muted,
            }) => {
                // The client may have stopped the stream before the answer was there.
                let Some(stream) = self.streams.get_mut(media) else {
                    return;
                };
                stream.stage = Stage::Answered;
                (stream.audio, stream.video, stream.muted) = (audio, video, muted);
                answer::remote_sdp(&stream.id, &sdp, out);
            }
            Ok(other) => debug_assert!(false, "{other:?} answers a stream"),
            Err(error) => {
                if let Some(stream) = self.streams.remove(media) {
                    let (name, info) = (stream.name.as_str(), answer::refusal(&error));
                    answer::failed(&stream.id, Some(name), stream.direction, &info, out);
                }
            }
        }
    }

    pub(crate) fn handle_news(&mut self, news: News, out: &mut Outbox) {
        match news {
            News::Joined { room, identity } => {
                self.tell(&room, "JOINED", identity.as_str().into(), out);
            }
            News::Left { room, identity } => {
                self.tell(&room, "LEFT", identity.as_str().into(), out);
            }
            News::Published {
                room,
                identity,
                name,
            } => {
                self.tell(
                    &room,
                    "PUBLISHED",
                    answer::publication(&identity, &name),
                    out,
                );
            }
            News::Unpublished {
                room,
                identity,
                name,
            } => {
                self.tell(
                    &room,
                    "UNPUBLISHED",
                    answer::publication(&identity, &name),
                    out,
                );
            }
            News::Message {
                room,
                from,
                text,
                to_all,
            } => {
                let mut info = serde_json::json!({ "from": from.as_str(), "text": text });
                if to_all {
                    info["all"] = true.into();
                }
                self.tell(&room, "MESSAGE", info, out);
            }
            News::Speaking {
                room,
                identity,
                speaking,
            } => self.tell(
                &room,
                "SPEAKING",
                answer::speaking(&identity, speaking),
                out,
            ),
            News::Replaced { room } => {
                debug!(
                    room = room.as_str(),
                    participant = self.participant(),
                    "replaced"
                );
                answer::replaced(&room, out);
                self.rooms.remove(&room);
                self.streams.forget(&Place::Room(room), self.streams.next());
            }
            News::CodecMismatch {
                media,
                audio,
                video,
            } => {
                if let Some(stream) = self.streams.get_mut(media) {
                    answer::codec_mismatch(stream, &audio, &video, out);
                }
            }
            // The caller makes an answer of it.
            News::Answered { .. } => debug_assert!(false, "an answer is no news"),
            News::Live { media } => {
                if let Some(stream) = self.streams.get_mut(media)
                    && stream.stage == Stage::Answered
                {
                    stream.stage = Stage::Live;
                    answer::live(stream, out);
                }
            }
            News::Ended { media, reason } => {
                if let Some(stream) = self.streams.remove(media) {
                    let (room, participant) = (room_of(&stream.place), self.participant());
                    debug!(room, participant, ?reason, "stream ended");
                    answer::ended(&stream, reason, out);
                }
            }
            News::Muted { media, kind, muted } => {
                if let Some(stream) = self.streams.get_mut(media) {
                    match kind {
                        MediaKind::Audio => stream.muted.audio = muted,
                        MediaKind::Video => stream.muted.video = muted,
                    }
                    answer::muted(stream, kind, muted, out);
                }
            }
            News::Data { media, payload } => {
                if let Some(stream) = self.streams.get_mut(media) {
                    answer::data(stream, &payload, out);
                }
            }
        }
    }

    fn tell(
        &mut self,
        room: &RoomName,
        event: &'static str,
        info: serde_json::Value,
        out: &mut Outbox,
    ) {
        answer::on_data(self.next_operation, room, event, info, out);
        self.next_operation += 1;
    }
}
