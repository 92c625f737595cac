//! What tests of the bridge share: streams that ffmpeg has made, and the way from tags to tags.

use std::time::{Duration, Instant};

use bytes::Bytes;
use parlor_core::{AudioCodec, ClientId, MediaId, MediaKind, Payload, SinkPacket, VideoCodec};

use super::{BFrames, Fed, Feed, Packet, Published, Publisher};
use crate::flv::{CodedPicture, PictureCodec, Tag, TagKind, VideoBody};

/// The tags of a file in `tests/fixtures` (see the README there).
pub(super) fn fixture(name: &str) -> Vec<Tag> {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    let file = Bytes::from(std::fs::read(path).expect("a fixture"));
    let mut tags = Vec::new();
    // The header of the file, and the size of no tag.
    let mut at = 13;
    while let Some(head) = file.get(at..at + 11) {
        let length = usize::from(head[1]) << 16 | usize::from(head[2]) << 8 | usize::from(head[3]);
        tags.push(Tag {
            kind: match head[0] {
                8 => TagKind::Audio,
                9 => TagKind::Video,
                _ => TagKind::Data,
            },
            timestamp: u32::from_be_bytes([head[7], head[4], head[5], head[6]]),
            body: file.slice(at + 11..at + 11 + length),
        });
        at += 11 + length + 4;
    }
    tags
}

/// An encoder that sends its tags when their times have come, and what comes of it.
pub(super) struct Run {
    pub(super) publisher: Publisher,
    pub(super) epoch: Instant,
    pub(super) now: Instant,
    pub(super) outputs: Vec<(Duration, Published)>,
}

impl Run {
    pub(super) fn new(b_frames: BFrames) -> Self {
        let epoch = Instant::now();
        Self {
            publisher: Publisher::new(b_frames),
            epoch,
            now: epoch,
            outputs: Vec::new(),
        }
    }

    /// Lets time pass.
    pub(super) fn wait_until(&mut self, at: Duration) {
        while let Some(due) = self.publisher.poll_timeout()
            && due <= self.epoch + at
        {
            self.now = self.now.max(due);
            self.publisher.handle_timeout(self.now);
            self.drain();
        }
        self.now = self.now.max(self.epoch + at);
    }

    /// Sends a tag at a time.
    pub(super) fn send(&mut self, at: Duration, tag: &Tag) {
        self.wait_until(at);
        self.publisher.handle_tag(self.now, tag);
        self.drain();
    }

    /// Sends a whole stream, and waits.
    pub(super) fn send_all(&mut self, tags: &[Tag]) {
        let first = tags
            .iter()
            .map(|tag| tag.timestamp)
            .min()
            .unwrap_or_default();
        for tag in tags {
            let at = Duration::from_millis((tag.timestamp - first).into());
            self.send(at, tag);
        }
        self.wait_until(self.now - self.epoch + Duration::from_secs(2));
    }

    fn drain(&mut self) {
        while let Some(output) = self.publisher.poll_output() {
            self.outputs.push((self.now - self.epoch, output));
        }
    }

    pub(super) fn packets(&self, kind: MediaKind) -> Vec<&Packet> {
        let packets = self.outputs.iter().filter_map(|(_, output)| match output {
            Published::Packet(packet) if packet.kind == kind => Some(packet),
            _ => None,
        });
        packets.collect()
    }

    pub(super) fn has(&self, wanted: &Published) -> bool {
        self.outputs.iter().any(|(_, output)| output == wanted)
    }
}

/// A packet as a sink gets it.
pub(super) fn sunk(sequence: u64, packet: &Packet) -> SinkPacket {
    SinkPacket {
        client: ClientId(1),
        media: MediaId(1),
        kind: packet.kind,
        sequence,
        timestamp: packet.timestamp,
        marker: packet.marker,
        captured: Some(packet.time),
        payload: Payload::from(&packet.payload[..]),
    }
}

/// All that a feed makes of packets of a picture.
pub(super) fn fed(codec: VideoCodec, packets: &[&Packet]) -> Vec<Fed> {
    let now = Instant::now();
    let mut feed = Feed::new(Some(AudioCodec::Opus), Some(codec));
    for (sequence, packet) in packets.iter().enumerate() {
        feed.handle_packet(now + packet.time, &sunk(sequence as u64, packet));
    }
    std::iter::from_fn(|| feed.poll_output()).collect()
}

/// A tag with a picture.
pub(super) fn picture(timestamp: u32, key: bool, codec: PictureCodec, data: &[u8]) -> Tag {
    let body = VideoBody::Picture(CodedPicture {
        codec,
        key,
        composition_ms: 0,
        data: Bytes::copy_from_slice(data),
    });
    Tag {
        kind: TagKind::Video,
        timestamp,
        body: body.write().expect("can be written"),
    }
}
