//! Messages into chunks.

use super::EXTENDED;
use crate::limits::{CHUNK_BYTES_MIN, CHUNK_BYTES_OUT};

/// Cuts messages into chunks, and leaves out of their headers what the ones before have said.
#[derive(Debug)]
pub struct Writer {
    chunk_bytes: usize,
    lanes: [Option<Last>; LANES],
}

/// One chunk stream for each sort of message, as other servers have it. The id is 2 more.
const LANES: usize = 5;

/// What the last message of a chunk stream was.
#[derive(Debug, Clone, Copy)]
struct Last {
    timestamp: u32,
    /// The difference to the message before, unless there was a full header.
    delta: Option<u32>,
    length: usize,
    kind: u8,
    stream: u32,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            chunk_bytes: CHUNK_BYTES_MIN,
            lanes: [None; LANES],
        }
    }
}

impl Writer {
    /// Sends chunks of the size of ours from here on. The peer must be told before.
    pub fn enlarge_chunks(&mut self) {
        self.chunk_bytes = CHUNK_BYTES_OUT;
    }

    /// Writes a message, as its chunks, to the end of `out`. The body must be shorter than 2^24.
    pub fn write(&mut self, kind: u8, timestamp: u32, stream: u32, body: &[u8], out: &mut Vec<u8>) {
        debug_assert!(body.len() < 1 << 24, "a length has three bytes");
        let lane = lane_of(kind);
        let message = Last {
            timestamp,
            delta: None,
            length: body.len(),
            kind,
            stream,
        };
        out.reserve(body.len() + (body.len() / self.chunk_bytes + 1) * 5 + 12);
        let field = self.write_head(lane, message, out);
        let mut chunks = body.chunks(self.chunk_bytes);
        out.extend_from_slice(chunks.next().unwrap_or_default());
        for chunk in chunks {
            out.push(0xc0 | basic(lane));
            if field >= EXTENDED {
                out.extend_from_slice(&field.to_be_bytes());
            }
            out.extend_from_slice(chunk);
        }
    }

    /// Writes the first header of a message, as short as it can be, and returns its timestamp
    /// field, which the headers that follow may have to repeat.
    fn write_head(&mut self, lane: usize, mut message: Last, out: &mut Vec<u8>) -> u32 {
        let last = self.lanes[lane].filter(|last| last.stream == message.stream);
        let delta = last.and_then(|last| forward(last.timestamp, message.timestamp));
        let (format, field) = match (last, delta) {
            (Some(last), Some(delta)) => {
                message.delta = Some(delta);
                let same = last.kind == message.kind && last.length == message.length;
                let format = match same {
                    false => 1,
                    true if last.delta == Some(delta) => 3,
                    true => 2,
                };
                (format, delta)
            }
            _ => (0, message.timestamp),
        };
        self.lanes[lane] = Some(message);
        out.push(format << 6 | basic(lane));
        let [_, a, b, c] = field.min(EXTENDED).to_be_bytes();
        if format < 3 {
            out.extend_from_slice(&[a, b, c]);
        }
        if format < 2 {
            let [.., a, b, c] = message.length.to_be_bytes();
            out.extend_from_slice(&[a, b, c, message.kind]);
        }
        if format == 0 {
            out.extend_from_slice(&message.stream.to_le_bytes());
        }
        if field >= EXTENDED {
            out.extend_from_slice(&field.to_be_bytes());
        }
        field
    }
}

/// The difference from an earlier timestamp to a later one, if that is how they are.
fn forward(from: u32, to: u32) -> Option<u32> {
    let delta = to.wrapping_sub(from);
    (delta < 1 << 31).then_some(delta)
}

fn lane_of(kind: u8) -> usize {
    match kind {
        1..=6 => 0,
        8 => 2,
        9 => 4,
        15 | 18 => 3,
        _ => 1,
    }
}

fn basic(lane: usize) -> u8 {
    lane as u8 + 2
}
