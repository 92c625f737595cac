//! What comes back from the rooms.

use std::time::Instant;

use parlor_core::{MediaId, News, Reply, RequestError};
use parlor_signalling::RequestId;

use super::{End, FIRST_REQUEST, Pending, Role, Session};
use crate::outbox::Outbox;

impl Session {
    pub(crate) fn handle_reply(
        &mut self,
        now: Instant,
        id: RequestId,
        reply: Result<Reply, RequestError>,
        out: &mut Outbox,
    ) -> Result<(), End> {
        if id.0 < FIRST_REQUEST {
            let result = match self.dialogue() {
                Some(dialogue) => dialogue.handle_reply(id, reply),
                None => Ok(()),
            };
            return self.on_dialogue(result, out);
        }
        match self.pending.remove(&id) {
            Some(Pending::Join(stream)) => self.on_joined(now, stream, reply, out),
            Some(Pending::Ingest(stream, media)) => self.on_ingest(stream, media, reply, out),
            // What is not ended here would go on, and nobody could end it any more.
            Some(Pending::End) if reply == Err(RequestError::Busy) => {
                Err(End::Broken("the rooms are busy"))
            }
            Some(Pending::End) | None => Ok(()),
        }
    }

    pub(crate) fn handle_news(
        &mut self,
        now: Instant,
        news: News,
        out: &mut Outbox,
    ) -> Result<(), End> {
        match news {
            News::Ended { media, .. } => self.on_ended(now, media, out),
            // The next one begins where the last one was announced.
            News::Live { .. } => Ok(()),
            News::Muted { .. } | News::Data { .. } => Ok(()),
            News::CodecMismatch { .. } | News::Answered { .. } => Ok(()),
            News::Replaced { ref room } => {
                let room = room.clone();
                self.on_replaced(now, &room, out)?;
                self.tell(news, out)
            }
            News::Joined { .. }
            | News::Left { .. }
            | News::Published { .. }
            | News::Unpublished { .. }
            | News::Message { .. }
            | News::Speaking { .. } => self.tell(news, out),
        }
    }

    fn tell(&mut self, news: News, out: &mut Outbox) -> Result<(), End> {
        let Some(dialogue) = self.dialogue() else {
            return Ok(());
        };
        dialogue.handle_news(news);
        self.on_dialogue(Ok(()), out)
    }

    /// The message stream on which this is published.
    pub(super) fn stream_of(&self, media: MediaId) -> Option<u32> {
        let mut streams = self.streams.iter();
        let found = streams.find(|(_, role)| match role {
            Role::Publish(publishing) => publishing.media() == Some(media),
            Role::Idle | Role::Play(_) => false,
        });
        found.map(|(stream, _)| *stream)
    }
}
