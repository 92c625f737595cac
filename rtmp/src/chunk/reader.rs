//! Chunks into messages.

use bytes::Bytes;

use super::{ChunkError, EXTENDED, Message};
use crate::limits::{
    BUFFERED_BYTES, CHUNK_BYTES_MIN, CHUNK_STREAMS, EARLY_MESSAGE_BYTES, RESERVED_BYTES,
};

/// Puts chunks together. Each chunk stream has a buffer of its own, so that messages may be
/// interleaved.
#[derive(Debug)]
pub struct Reader {
    chunk_bytes: usize,
    message_bytes: usize,
    streams: Vec<Stream>,
    /// What all messages that have begun announce together.
    announced: usize,
    /// The beginning of a header whose rest is still to come.
    head: Head,
    /// The chunk in whose payload the reader is: the index of its stream, and the bytes left.
    inside: Option<(usize, usize)>,
}

/// What a chunk stream remembers.
#[derive(Debug)]
struct Stream {
    id: u32,
    timestamp: u32,
    /// The timestamp field as it was sent, extended or not: absolute after a full header.
    field: u32,
    extended: bool,
    length: usize,
    kind: u8,
    stream: u32,
    /// The message that is being put together.
    body: Option<Vec<u8>>,
}

/// The longest header: 3 bytes of basic header, 11 of message header, 4 of extended timestamp.
const HEAD_BYTES: usize = 18;

#[derive(Debug, Default)]
struct Head {
    bytes: [u8; HEAD_BYTES],
    length: usize,
}

/// A chunk's header.
struct Header {
    id: u32,
    format: u8,
    field: u32,
    extended: bool,
    length: usize,
    kind: u8,
    stream: u32,
    /// Bytes that the header takes.
    size: usize,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            chunk_bytes: CHUNK_BYTES_MIN,
            message_bytes: EARLY_MESSAGE_BYTES,
            streams: Vec::new(),
            announced: 0,
            head: Head::default(),
            inside: None,
        }
    }
}

impl Reader {
    /// Sets the longest message that is taken from here on.
    pub fn set_message_bytes(&mut self, most: usize) {
        self.message_bytes = most;
    }

    /// The peer sends larger or smaller chunks from here on (§5.4.1). The highest bit is ignored,
    /// as the specification asks. Messages being shorter than 2^24 bytes, larger chunks are as
    /// good as none; smaller ones than [`CHUNK_BYTES_MIN`] would be nothing but headers.
    pub fn set_chunk_bytes(&mut self, size: u32) -> Result<(), ChunkError> {
        let size = (size & 0x7fff_ffff) as usize;
        if size < CHUNK_BYTES_MIN {
            return Err(ChunkError::ChunkSize);
        }
        self.chunk_bytes = size;
        Ok(())
    }

    /// Forgets a message that is not finished (§5.4.2).
    pub fn abort(&mut self, id: u32) {
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.id == id)
            && stream.body.take().is_some()
        {
            self.announced -= stream.length;
        }
    }

    /// Takes bytes off `bytes` up to the end of the next message. `None`: they are all taken.
    ///
    /// # Errors
    /// What follows cannot be told apart any more.
    pub fn read(&mut self, bytes: &mut &[u8]) -> Result<Option<Message>, ChunkError> {
        loop {
            let (index, left) = match self.inside.take() {
                Some(inside) => inside,
                None => match self.begin_chunk(bytes)? {
                    Some(inside) => inside,
                    None => return Ok(None),
                },
            };
            let stream = &mut self.streams[index];
            let body = stream.body.get_or_insert_default();
            // What was looked at for a header and turned out to be none comes first.
            let taken = if self.head.length > 0 {
                let taken = left.min(self.head.length);
                body.extend_from_slice(&self.head.bytes[..taken]);
                self.head.take(taken);
                taken
            } else {
                let taken = left.min(bytes.len());
                let (part, rest) = bytes.split_at(taken);
                body.extend_from_slice(part);
                *bytes = rest;
                taken
            };
            if body.len() == stream.length {
                let body = stream.body.take().unwrap_or_default();
                self.announced -= stream.length;
                return Ok(Some(Message {
                    kind: stream.kind,
                    timestamp: stream.timestamp,
                    stream: stream.stream,
                    body: Bytes::from(body),
                }));
            }
            if taken < left {
                self.inside = Some((index, left - taken));
                if bytes.is_empty() {
                    return Ok(None);
                }
            }
        }
    }

    /// Reads a header, and says what of its chunk's payload is to come.
    fn begin_chunk(&mut self, bytes: &mut &[u8]) -> Result<Option<(usize, usize)>, ChunkError> {
        let header = if self.head.length == 0 {
            match self.parse(bytes) {
                Some(header) => {
                    *bytes = &bytes[header.size..];
                    header
                }
                None => {
                    self.head.fill(bytes);
                    return Ok(None);
                }
            }
        } else {
            let before = self.head.length;
            let mut rest = *bytes;
            self.head.fill(&mut rest);
            let head = &self.head.bytes[..self.head.length];
            match self.parse(head) {
                Some(header) => {
                    self.head.length = before;
                    match header.size.checked_sub(before) {
                        Some(more) => {
                            *bytes = &bytes[more..];
                            self.head.length = 0;
                        }
                        None => self.head.take(header.size),
                    }
                    header
                }
                None => {
                    *bytes = rest;
                    return Ok(None);
                }
            }
        };
        self.begin(&header).map(Some)
    }

    /// Notes what a header says, and what of its chunk's payload is to come.
    fn begin(&mut self, header: &Header) -> Result<(usize, usize), ChunkError> {
        let index = match self.position(header.id) {
            Some(index) => index,
            None if header.format != 0 => return Err(ChunkError::NoHeader),
            None if self.streams.len() >= CHUNK_STREAMS => return Err(ChunkError::TooManyStreams),
            None => {
                self.streams.push(Stream::new(header.id));
                self.streams.len() - 1
            }
        };
        let stream = &mut self.streams[index];
        if stream.body.is_none() {
            if header.length > self.message_bytes {
                return Err(ChunkError::TooLong);
            }
            if self.announced + header.length > BUFFERED_BYTES {
                return Err(ChunkError::TooMuch);
            }
            self.announced += header.length;
            stream.timestamp = match header.format {
                0 => header.field,
                _ => stream.timestamp.wrapping_add(header.field),
            };
            stream.field = header.field;
            stream.extended = header.extended;
            stream.length = header.length;
            stream.kind = header.kind;
            stream.stream = header.stream;
            stream.body = Some(Vec::with_capacity(header.length.min(RESERVED_BYTES)));
        } else if header.format != 3 {
            return Err(ChunkError::Interrupted);
        }
        let had = stream.body.as_ref().map_or(0, Vec::len);
        Ok((index, (stream.length - had).min(self.chunk_bytes)))
    }

    /// Bytes of memory that messages take which are not finished.
    #[cfg(test)]
    pub(super) fn reserved(&self) -> usize {
        let bodies = self
            .streams
            .iter()
            .filter_map(|stream| stream.body.as_ref());
        bodies.map(Vec::capacity).sum()
    }

    fn position(&self, id: u32) -> Option<usize> {
        self.streams.iter().position(|stream| stream.id == id)
    }

    /// The header that `bytes` begin with, if they hold all of it.
    fn parse(&self, bytes: &[u8]) -> Option<Header> {
        let first = *bytes.first()?;
        let (format, low) = (first >> 6, first & 0x3f);
        let (id, basic) = match low {
            0 => (64 + u32::from(*bytes.get(1)?), 2),
            1 => {
                let (second, third) = (*bytes.get(1)?, *bytes.get(2)?);
                (64 + u32::from(second) + 256 * u32::from(third), 3)
            }
            low => (u32::from(low), 1),
        };
        let known = self.position(id).map(|index| &self.streams[index]);
        let rest = &bytes[basic..];
        let size = [11, 7, 3, 0][usize::from(format)];
        let head = rest.get(..size)?;
        let mut header = Header {
            id,
            format,
            field: known.map_or(0, |stream| stream.field),
            extended: known.is_some_and(|stream| stream.extended),
            length: known.map_or(0, |stream| stream.length),
            kind: known.map_or(0, |stream| stream.kind),
            stream: known.map_or(0, |stream| stream.stream),
            size: basic + size,
        };
        if let [a, b, c, ..] = *head {
            header.field = u32::from_be_bytes([0, a, b, c]);
            header.extended = header.field == EXTENDED;
        }
        if let [_, _, _, a, b, c, kind, ..] = *head {
            header.length = u32::from_be_bytes([0, a, b, c]) as usize;
            header.kind = kind;
        }
        if let [.., a, b, c, d] = *head
            && format == 0
        {
            header.stream = u32::from_le_bytes([a, b, c, d]);
        }
        if header.extended {
            let sent = &rest[size..];
            match (format, known) {
                (3, Some(stream)) if !stream.repeats_time(sent)? => {}
                _ => {
                    let [a, b, c, d] = *sent.first_chunk()?;
                    // On a message that goes on, it says nothing new.
                    if format != 3 {
                        header.field = u32::from_be_bytes([a, b, c, d]);
                    }
                    header.size += 4;
                }
            }
        }
        Some(header)
    }
}

impl Stream {
    fn new(id: u32) -> Self {
        Self {
            id,
            timestamp: 0,
            field: 0,
            extended: false,
            length: 0,
            kind: 0,
            stream: 0,
            body: None,
        }
    }

    /// Whether a header of type 3 is followed by the extended timestamp, as the specification
    /// asks and some peers do not. Those who do repeat the field or the whole timestamp. `None`:
    /// what has come does not tell yet.
    fn repeats_time(&self, sent: &[u8]) -> Option<bool> {
        let sent = &sent[..sent.len().min(4)];
        let begins = |time: u32| time.to_be_bytes().starts_with(sent);
        match begins(self.field) || begins(self.timestamp) {
            true => (sent.len() == 4).then_some(true),
            false => Some(false),
        }
    }
}

impl Head {
    /// Takes the first bytes away.
    fn take(&mut self, taken: usize) {
        self.bytes.copy_within(taken..self.length, 0);
        self.length -= taken;
    }

    /// Takes what there is room for.
    fn fill(&mut self, bytes: &mut &[u8]) {
        let room = &mut self.bytes[self.length..];
        let taken = room.len().min(bytes.len());
        let (part, rest) = bytes.split_at(taken);
        room[..taken].copy_from_slice(part);
        self.length += taken;
        *bytes = rest;
    }
}
