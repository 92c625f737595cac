//! What messages are made of (RTMP 1.0 §5.4, §6 and §7).

use bytes::Bytes;

use crate::chunk::Message;
use crate::flv::{Tag, TagKind};

/// The message type ids.
pub(crate) mod kind {
    pub(crate) const SET_CHUNK_SIZE: u8 = 1;
    pub(crate) const ABORT: u8 = 2;
    pub(crate) const ACKNOWLEDGEMENT: u8 = 3;
    pub(crate) const USER_CONTROL: u8 = 4;
    pub(crate) const WINDOW: u8 = 5;
    pub(crate) const PEER_BANDWIDTH: u8 = 6;
    pub(crate) const AUDIO: u8 = 8;
    pub(crate) const VIDEO: u8 = 9;
    pub(crate) const DATA_AMF3: u8 = 15;
    pub(crate) const COMMAND_AMF3: u8 = 17;
    pub(crate) const DATA: u8 = 18;
    pub(crate) const COMMAND: u8 = 20;
    pub(crate) const AGGREGATE: u8 = 22;
}

/// The event types of user control messages (§7.1.7).
pub(crate) mod event {
    pub(crate) const STREAM_BEGIN: u16 = 0;
    pub(crate) const STREAM_EOF: u16 = 1;
    pub(crate) const PING_REQUEST: u16 = 6;
    pub(crate) const PING_RESPONSE: u16 = 7;
}

/// The four bytes that a control message begins with.
pub(crate) fn number(body: &[u8]) -> Option<u32> {
    body.first_chunk().copied().map(u32::from_be_bytes)
}

/// A user control event: its type, and what follows.
pub(crate) fn user_control(body: &[u8]) -> Option<(u16, &[u8])> {
    let (event, rest) = body.split_first_chunk()?;
    Some((u16::from_be_bytes(*event), rest))
}

/// The AMF0 values of a command or data message. Those of AMF3 have a byte before them, and are
/// AMF0 from there on until one says otherwise.
pub(crate) fn amf0(message: &Message) -> Bytes {
    let has_envelope = matches!(message.kind, kind::COMMAND_AMF3 | kind::DATA_AMF3);
    match has_envelope && !message.body.is_empty() {
        true => message.body.slice(1..),
        false => message.body.clone(),
    }
}

/// `@setDataFrame`, as a value of AMF0: what follows is to be kept for who comes later.
const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0d@setDataFrame";

/// The tag of a media or data message.
pub(crate) fn tag(message: &Message) -> Option<Tag> {
    let (kind, body) = match message.kind {
        kind::AUDIO => (TagKind::Audio, message.body.clone()),
        kind::VIDEO => (TagKind::Video, message.body.clone()),
        kind::DATA | kind::DATA_AMF3 => {
            let body = amf0(message);
            let body = match body.starts_with(SET_DATA_FRAME) {
                true => body.slice(SET_DATA_FRAME.len()..),
                false => body,
            };
            (TagKind::Data, body)
        }
        _ => return None,
    };
    Some(Tag {
        kind,
        timestamp: message.timestamp,
        body,
    })
}

/// The messages of an aggregate (§7.1.6): FLV tags, the time of the first of which is that of the
/// aggregate. What is cut off is left out.
pub(crate) fn parts(aggregate: &Message) -> Vec<Message> {
    const HEADER: usize = 11;
    const BACK_POINTER: usize = 4;
    let mut parts = Vec::new();
    let mut rest = aggregate.body.clone();
    let mut offset = None;
    while let [kind, l0, l1, l2, t0, t1, t2, t3, ..] = *rest
        && rest.len() >= HEADER
    {
        let length = u32::from_be_bytes([0, l0, l1, l2]) as usize;
        let time = u32::from_be_bytes([t3, t0, t1, t2]);
        let offset = *offset.get_or_insert_with(|| aggregate.timestamp.wrapping_sub(time));
        if rest.len() < HEADER + length {
            break;
        }
        parts.push(Message {
            kind,
            timestamp: time.wrapping_add(offset),
            stream: aggregate.stream,
            body: rest.slice(HEADER..HEADER + length),
        });
        rest = rest.slice((HEADER + length + BACK_POINTER).min(rest.len())..);
    }
    parts
}

/// What a tag is, to who has to leave some out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// What decoders need: it is never left out.
    Header,
    /// A picture to begin with.
    Key,
    /// Anything else.
    Other,
}

/// What a tag of ours is, by its first bytes (Adobe FLV 10.1 §E.4.2 and §E.4.3, and those of
/// Enhanced RTMP).
pub(crate) fn weight(tag: &Tag) -> Weight {
    let first = tag.body.first().copied().unwrap_or_default();
    let is_header = match tag.kind {
        TagKind::Data => true,
        TagKind::Audio => match first >> 4 {
            9 => first & 0x0f == 0,
            10 => tag.body.get(1) == Some(&0),
            _ => false,
        },
        TagKind::Video => match first & 0x80 != 0 {
            true => first & 0x0f == 0,
            false => first & 0x0f == 7 && tag.body.get(1) == Some(&0),
        },
    };
    match tag.kind {
        _ if is_header => Weight::Header,
        TagKind::Video if (first >> 4) & 0x07 == 1 => Weight::Key,
        TagKind::Audio | TagKind::Video | TagKind::Data => Weight::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aggregate_is_its_messages_at_their_times() {
        let part = |kind: u8, time: u8, body: &[u8]| {
            let head = [kind, 0, 0, body.len() as u8, 0, 0, time, 0, 0, 0, 0];
            [&head[..], body, &[0, 0, 0, 11 + body.len() as u8]].concat()
        };
        let body = [
            part(8, 5, b"sound"),
            part(9, 45, b"picture"),
            vec![9, 0, 0, 200],
        ]
        .concat();
        let aggregate = Message {
            kind: kind::AGGREGATE,
            timestamp: u32::MAX,
            stream: 1,
            body: body.into(),
        };
        let parts = parts(&aggregate);
        let told: Vec<_> = parts
            .iter()
            .map(|part| (part.kind, part.timestamp, &part.body[..]))
            .collect();
        assert_eq!(told, [(8, u32::MAX, &b"sound"[..]), (9, 39, b"picture")]);
    }

    #[test]
    fn what_is_to_be_kept_for_later_is_named_by_itself() {
        let mut body = SET_DATA_FRAME.to_vec();
        body.extend_from_slice(b"\x02\x00\x0aonMetaData");
        let message = |kind, body: Vec<u8>| Message {
            kind,
            timestamp: 0,
            stream: 1,
            body: body.into(),
        };
        let plain = tag(&message(kind::DATA, body.clone())).unwrap();
        assert_eq!(&plain.body[..], b"\x02\x00\x0aonMetaData");
        body.insert(0, 0);
        assert_eq!(tag(&message(kind::DATA_AMF3, body)), Some(plain));
    }
}
