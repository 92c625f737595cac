//! What a session knows of its streams.

use std::collections::BTreeMap;

use parlor_core::{MediaId, Muted, Place, PublicationName};

use crate::wcs::message::{Direction, Id};

/// A publication or subscription of the client.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: Id,
    pub(super) direction: Direction,
    pub(super) name: PublicationName,
    pub(super) place: Place,
    pub(super) stage: Stage,
    pub(super) audio: bool,
    pub(super) video: bool,
    pub(super) muted: Muted,
}

/// How far a stream has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The rooms have been asked.
    Asked,
    /// The client has the answer.
    Answered,
    /// Media can flow.
    Live,
}

/// The streams of a session, by the client's id and by the number that the rooms know.
#[derive(Debug, Default)]
pub(super) struct Streams {
    by_media: BTreeMap<MediaId, Stream>,
    by_id: BTreeMap<Id, MediaId>,
    /// The number of the next stream.
    next: u32,
}

impl Streams {
    pub(super) fn len(&self) -> usize {
        self.by_media.len()
    }

    /// Takes a stream in; its id must not be [known](Self::media).
    pub(super) fn insert(&mut self, stream: Stream) -> MediaId {
        let media = self.next();
        self.next += 1;
        let known = self.by_id.insert(stream.id.clone(), media);
        debug_assert!(known.is_none(), "an id names one stream");
        self.by_media.insert(media, stream);
        media
    }

    /// The number that the next stream gets.
    pub(super) fn next(&self) -> MediaId {
        MediaId(self.next)
    }

    pub(super) fn media(&self, id: &Id) -> Option<MediaId> {
        self.by_id.get(id).copied()
    }

    pub(super) fn get_mut(&mut self, media: MediaId) -> Option<&mut Stream> {
        self.by_media.get_mut(&media)
    }

    pub(super) fn remove(&mut self, media: MediaId) -> Option<Stream> {
        let stream = self.by_media.remove(&media)?;
        self.by_id.remove(&stream.id);
        Some(stream)
    }

    /// Forgets the streams of a place that are older than `before`.
    pub(super) fn forget(&mut self, place: &Place, before: MediaId) {
        self.by_media
            .retain(|media, stream| *media >= before || stream.place != *place);
        self.by_id
            .retain(|_, media| self.by_media.contains_key(media));
    }
}
