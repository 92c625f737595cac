//! The reading side. A journal may be cut off, damaged, or anything else.

use std::io::{self, Read};
use std::time::Duration;

use parlor_core::{
    ClientId, Datagram, MediaId, MediaKind, MediaPacket, Relay, Request, WorkerId,
    limits as core_limits,
};
use serde::Deserialize;

use crate::digest::{Counted, Sums};
use crate::format::{CHECK, Cut, Header, MAGIC, Rest, VERSION, check, kind};
use crate::limits;

/// Why something is not a journal.
#[derive(Debug, thiserror::Error)]
pub enum BadHeader {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It does not begin as one does.
    #[error("this is not a journal")]
    NotAJournal,
    /// It is to be unpacked first.
    #[error("it is compressed: unpack it with {0} first")]
    Packed(&'static str),
    /// There is not a byte in it.
    #[error("it is empty: the server died, or the disk was full, as the journal began")]
    Empty,
    /// It ends before its header does.
    #[error(
        "it has no whole header: the server died, or the disk was full, as the journal began; \
         nothing can be made of it"
    )]
    NoHeader,
    /// Its format is of a later version, and otherwise than what this program reads.
    #[error("its format is version {0}, and this program reads version {VERSION}")]
    Format(u16),
    /// What the machine was made of cannot be read.
    #[error("its header is damaged, or of another version")]
    Damaged,
}

/// One record.
#[derive(Debug)]
pub enum Record<'a> {
    /// A client has asked.
    Request {
        /// Who.
        client: ClientId,
        /// What.
        request: Box<Request>,
    },
    /// A datagram has come.
    Datagram(Datagram<'a>),
    /// A packet of an ingest has come.
    Media {
        /// Whose.
        client: ClientId,
        /// Of which stream.
        media: MediaId,
        /// The packet.
        packet: MediaPacket<'a>,
    },
    /// Another worker has said something.
    Relay {
        /// Which one.
        from: WorkerId,
        /// What.
        relay: Relay,
    },
    /// Another worker had no room for a packet.
    RelayRefused(Relay),
    /// Something was due.
    Timeout,
    /// The answer to the latest request.
    Reply(u64),
    /// Datagrams have been taken out.
    Transmits(Sums),
    /// News have been taken out.
    Events(Counted),
    /// Packets for sinks have been taken out.
    Sunk(Counted),
    /// Messages to other workers have been taken out.
    Relayed(Counted),
    /// The journal ends here.
    Cut(Cut),
    /// A record that this version cannot read.
    Unknown {
        /// It stands for something that went in, which is missing from here on.
        input: bool,
    },
}

/// A record with its time and place.
#[derive(Debug)]
pub struct Entry<'a> {
    /// The time since the machine's first instant.
    pub at: Duration,
    /// Where in the file the record begins.
    pub offset: u64,
    /// What it says.
    pub record: Record<'a>,
}

/// How a journal ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It was ended.
    Cut(Cut),
    /// It ends in, or after, some record: the server has died, or is still writing.
    Torn {
        /// Where the last whole record ends.
        offset: u64,
    },
    /// It is damaged: what follows cannot be read.
    Damaged {
        /// Where.
        offset: u64,
    },
}

#[derive(Deserialize)]
struct Asked {
    client: ClientId,
    request: Request,
}

/// Reads the records of a journal.
pub struct Reader<R> {
    input: R,
    format: u16,
    offset: u64,
    at: Duration,
    /// The record that is being read.
    bytes: Vec<u8>,
    held: Option<Held>,
    ending: Option<Ending>,
}

/// A record that is read and not yet given out: where it begins, its kind, and where in the buffer
/// its content is.
struct Held {
    offset: u64,
    kind: u8,
    content: std::ops::Range<usize>,
}

impl<R: Read> Reader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// Where there is none that this version can read.
    pub fn new(mut input: R) -> Result<(Self, Header), BadHeader> {
        let format = begin(&mut input)?;
        let mut reader = Self {
            input,
            format,
            offset: START,
            at: Duration::ZERO,
            bytes: Vec::new(),
            held: None,
            ending: None,
        };
        // A later format may still have records like these.
        let read = reader.read_record()?;
        let header = match &read {
            Ok((kind::HEADER, content)) => {
                Header::from_json(reader.bytes.get(content.clone()).unwrap_or_default())
            }
            Ok(_) | Err(_) => None,
        };
        match (header, read) {
            (Some(header), _) => Ok((reader, header)),
            (None, _) if format > VERSION => Err(BadHeader::Format(format)),
            (None, Err(Ending::Torn { .. })) => Err(BadHeader::NoHeader),
            (None, _) => Err(BadHeader::Damaged),
        }
    }

    /// The version of the format that it says it has.
    pub fn format(&self) -> u16 {
        self.format
    }

    /// How the journal ends, once [`Reader::next`] has said that it does.
    pub fn ending(&self) -> Option<Ending> {
        self.ending
    }

    /// When the next record is of, after the machine's first instant; `None` at the end.
    ///
    /// # Errors
    /// Those of the file.
    pub fn peek(&mut self) -> io::Result<Option<Duration>> {
        if self.held.is_none() && self.ending.is_none() {
            let offset = self.offset;
            match self.read_record()? {
                Ok((kind, content)) => {
                    self.held = Some(Held {
                        offset,
                        kind,
                        content,
                    });
                }
                Err(ending) => self.ending = Some(ending),
            }
        }
        Ok(self.held.is_some().then_some(self.at))
    }

    /// The next record; `None` at the end.
    ///
    /// # Errors
    /// Those of the file.
    #[expect(
        clippy::should_implement_trait,
        reason = "what it gives is borrowed from it"
    )]
    pub fn next(&mut self) -> io::Result<Option<Entry<'_>>> {
        self.peek()?;
        let Some(held) = self.held.take() else {
            return Ok(None);
        };
        let Held {
            offset,
            kind,
            content,
        } = held;
        let content = self.bytes.get(content).unwrap_or_default();
        let record = decode(kind, content).unwrap_or(Record::Unknown {
            input: kind < kind::OUTPUTS,
        });
        if let Record::Cut(cut) = record {
            self.ending = Some(Ending::Cut(cut));
        }
        Ok(Some(Entry {
            at: self.at,
            offset,
            record,
        }))
    }

    /// Reads one record into the buffer: its kind, and where its content is.
    fn read_record(&mut self) -> io::Result<Result<(u8, std::ops::Range<usize>), Ending>> {
        let begin = self.offset;
        let torn = Ending::Torn { offset: begin };
        let damaged = Ending::Damaged { offset: begin };
        self.bytes.clear();
        let Some(kind) = self.byte()? else {
            return Ok(Err(torn));
        };
        let (Some(since), Some(length)) = (self.varint()?, self.varint()?) else {
            return Ok(Err(torn));
        };
        let (Ok(since), Ok(length)) = (since, length) else {
            return Ok(Err(damaged));
        };
        let length = usize::try_from(length).ok();
        let Some(length) = length.filter(|length| *length <= limits::RECORD_BYTES) else {
            return Ok(Err(damaged));
        };
        let content = self.bytes.len()..self.bytes.len() + length;
        let rest = (length + CHECK) as u64;
        if (&mut self.input).take(rest).read_to_end(&mut self.bytes)? as u64 != rest {
            // A damaged length looks like a torn end, but an end that was written is behind it.
            let is_ended = Cut::ALL.iter().any(|cut| self.bytes.ends_with(&cut.mark()));
            return Ok(Err(if is_ended { damaged } else { torn }));
        }
        let Some((record, sum)) = self.bytes.split_last_chunk::<CHECK>() else {
            return Ok(Err(damaged));
        };
        if check(record) != *sum {
            return Ok(Err(damaged));
        }
        let Some(at) = self.at.checked_add(Duration::from_nanos(since)) else {
            return Ok(Err(damaged));
        };
        self.at = at;
        self.offset += self.bytes.len() as u64;
        Ok(Ok((kind, content)))
    }

    fn byte(&mut self) -> io::Result<Option<u8>> {
        let read = (&mut self.input).take(1).read_to_end(&mut self.bytes)?;
        Ok(self.bytes.last().copied().filter(|_| read == 1))
    }

    /// The next number; `None` where the file ends first, and an error where it is none.
    fn varint(&mut self) -> io::Result<Option<Result<u64, ()>>> {
        let begin = self.bytes.len();
        loop {
            let Some(byte) = self.byte()? else {
                return Ok(None);
            };
            let read = self.bytes.get(begin..).unwrap_or_default();
            if byte & 0x80 == 0 {
                return Ok(Some(Rest(read).varint().ok_or(())));
            }
            if read.len() > 10 {
                return Ok(Some(Err(())));
            }
        }
    }
}

/// Bytes before the first record.
const START: u64 = MAGIC.len() as u64 + 2;

/// Files that a journal may have been made to, and what they begin with.
const PACKED: [(&str, &[u8]); 3] = [
    ("gzip", &[0x1f, 0x8b]),
    ("zstd", &[0x28, 0xb5, 0x2f, 0xfd]),
    ("xz", &[0xfd, b'7', b'z', b'X', b'Z']),
];

/// Reads what a journal begins with, and gives the version of its format.
fn begin(input: &mut impl Read) -> Result<u16, BadHeader> {
    let mut start = Vec::new();
    input.take(START).read_to_end(&mut start)?;
    if start.is_empty() {
        return Err(BadHeader::Empty);
    }
    if let Some((by, _)) = PACKED.iter().find(|(_, magic)| start.starts_with(magic)) {
        return Err(BadHeader::Packed(by));
    }
    // The mark of a gap may have found room where a header has not.
    if Cut::ALL.iter().any(|cut| start == cut.mark()) {
        return Err(BadHeader::NoHeader);
    }
    if start.iter().zip(MAGIC).any(|(byte, magic)| byte != magic) {
        return Err(BadHeader::NotAJournal);
    }
    match start.get(MAGIC.len()..) {
        Some(&[low, high]) => Ok(u16::from_le_bytes([low, high])),
        Some(_) | None => Err(BadHeader::NoHeader),
    }
}

fn decode(kind: u8, content: &[u8]) -> Option<Record<'_>> {
    let mut rest = Rest(content);
    Some(match kind {
        kind::REQUEST => {
            let Asked { client, request } = serde_json::from_slice(content).ok()?;
            let request = Box::new(request);
            Record::Request { client, request }
        }
        kind::DATAGRAM => Record::Datagram(Datagram {
            source: rest.address()?,
            destination: rest.address()?,
            contents: rest.all(),
            cause: 0,
        }),
        kind::MEDIA => {
            let client = ClientId(rest.varint()?);
            let media = MediaId(rest.varint()?.try_into().ok()?);
            let flags = rest.byte()?;
            let packet = MediaPacket {
                kind: match flags & 1 {
                    0 => MediaKind::Audio,
                    _ => MediaKind::Video,
                },
                marker: flags & 2 != 0,
                timestamp: u32::from_le_bytes(rest.array()?),
                captured: Duration::from_secs(rest.varint()?)
                    .checked_add(Duration::from_nanos(rest.varint()?))?,
                payload: rest.all(),
            };
            if packet.payload.len() > core_limits::DATAGRAM_BYTES {
                return None;
            }
            Record::Media {
                client,
                media,
                packet,
            }
        }
        kind::RELAY => {
            let (from, relay) = serde_json::from_slice(content).ok()?;
            Record::Relay { from, relay }
        }
        kind::RELAY_REFUSED => Record::RelayRefused(serde_json::from_slice(content).ok()?),
        kind::TIMEOUT => Record::Timeout,
        kind::REPLY => Record::Reply(rest.u64()?),
        kind::TRANSMITS => Record::Transmits(Sums::read(rest)?),
        kind::EVENTS => Record::Events(Counted::read(rest)?),
        kind::SINK => Record::Sunk(Counted::read(rest)?),
        kind::RELAYED => Record::Relayed(Counted::read(rest)?),
        kind::CUT => Record::Cut(Cut::from_code(rest.byte()?)?),
        _ => return None,
    })
}
