//! Bytes of encoders and players by RTMP.

use std::time::{Duration, Instant};

use bytes::Bytes;
use parlor_core::ClientId;
use parlor_rtmp::amf0;
use parlor_rtmp::audio::{AudioSpecificConfig, Sbr, Target, Transcoder};
use parlor_rtmp::bridge::{BFrames, Publisher, Sound};
use parlor_rtmp::chunk;
use parlor_rtmp::flv::{AudioBody, SoundCodec, Tag, TagKind, VideoBody};
use parlor_rtmp::{Config, Connection};

use super::pieces::{Pieces, cut};
use super::signalling::base;

/// Bytes of the simple handshake that a client sends: C0, C1 and C2.
const HANDSHAKE: usize = 1 + 1536 + 1536;
/// Outputs that one input may make.
const OUTPUTS: usize = 100_000;

/// Bytes behind the handshake of a connection: what is asked for does not depend on how they are
/// cut, and every connection ends.
pub(super) fn rtmp(bytes: &[u8]) {
    let now = base();
    let mut pieces = Pieces::new(bytes);
    let seed = pieces.byte();
    let mut stream = vec![0; HANDSHAKE];
    stream[0] = 3;
    stream.extend(pieces.rest());
    let (mut whole, asked) = connected(now, &[&stream]);
    let (_, parted) = connected(now, &cut(&stream, seed));
    assert_eq!(asked, parted, "the cuts show");
    whole.handle_end(now);
    drain(now, &mut whole);
    for _ in 0..100 {
        let Some(due) = whole.poll_timeout() else {
            return;
        };
        whole.handle_timeout(now.max(due));
        drain(now.max(due), &mut whole);
    }
    assert!(whole.is_finished(), "a connection that never ends");
}

fn connected(now: Instant, parts: &[&[u8]]) -> (Connection, Vec<String>) {
    let mut connection = Connection::new(&Config::default(), ClientId(1), now);
    let mut asked = Vec::new();
    for part in parts {
        connection.handle_bytes(now, part);
        asked.extend(drain(now, &mut connection));
    }
    (connection, asked)
}

fn drain(now: Instant, connection: &mut Connection) -> Vec<String> {
    let mut asked = Vec::new();
    loop {
        while let Some(action) = connection.poll_action() {
            asked.push(format!("{action:?}"));
        }
        let waiting = connection.egress().len();
        if waiting == 0 {
            return asked;
        }
        connection.advance(now, waiting);
    }
}

/// Values of AMF0: what is read is written and read again as the same.
pub(super) fn amf0(bytes: &[u8]) {
    let Ok(values) = amf0::read_all(bytes) else {
        return;
    };
    let mut written = Vec::new();
    for value in &values {
        amf0::write(value, &mut written);
        let _ = amf0::from_json(amf0::to_json(value));
    }
    let again = amf0::read_all(&written).expect("what is written is read");
    // A number may be none, which is not equal to itself.
    assert_eq!(format!("{again:?}"), format!("{values:?}"));
}

/// A chunk stream: its messages do not depend on how it is cut, and are written and read again.
pub(super) fn chunk(bytes: &[u8]) {
    let mut pieces = Pieces::new(bytes);
    let seed = pieces.byte();
    let bytes = pieces.rest();
    let whole = messages(&[bytes]);
    assert_eq!(whole, messages(&cut(bytes, seed)), "the cuts show");
    let mut writer = chunk::Writer::default();
    let mut written = Vec::new();
    for message in &whole.0 {
        let (kind, stream) = (message.kind, message.stream);
        // What changes the reader's ways is a matter of its own.
        if kind > 6 {
            writer.write(kind, message.timestamp, stream, &message.body, &mut written);
        }
    }
    let again = messages(&[&written]).0;
    let kept = whole.0.iter().filter(|message| message.kind > 6);
    assert!(again.iter().eq(kept), "what is written is read");
}

fn messages(parts: &[&[u8]]) -> (Vec<chunk::Message>, Option<chunk::ChunkError>) {
    let mut reader = chunk::Reader::default();
    reader.set_message_bytes(1 << 16);
    let mut messages = Vec::new();
    for part in parts {
        let mut part = *part;
        loop {
            match reader.read(&mut part) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
    }
    (messages, None)
}

/// The bodies of FLV tags: what is read is written and read again as the same.
pub(super) fn flv(bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    if let Ok(audio) = AudioBody::parse(&body)
        && let Some(written) = audio.write()
    {
        assert_eq!(AudioBody::parse(&written), Ok(audio));
    }
    if let Ok(video) = VideoBody::parse(&body)
        && let Some(written) = video.write()
    {
        assert_eq!(VideoBody::parse(&written), Ok(video));
    }
}

/// The tags of an encoder, each with its kind: what comes of them is bounded.
pub(super) fn bridge(bytes: &[u8]) {
    let mut pieces = Pieces::new(bytes);
    let b_frames = [BFrames::Reject, BFrames::Drop, BFrames::Pass];
    let b_frames = b_frames[usize::from(pieces.byte()) % b_frames.len()];
    let mut publisher = Publisher::new(b_frames);
    let mut now = base();
    let mut timestamp = 0_u32;
    let mut outputs = 0;
    for (number, body) in pieces.take(200) {
        let kind = [TagKind::Audio, TagKind::Video, TagKind::Data][usize::from(number) % 3];
        // Mostly a little later, sometimes much.
        let later = [0, 20, 40, 0x7fff_ffff][usize::from(number / 3) % 4];
        timestamp = timestamp.wrapping_add(later);
        now += Duration::from_millis(20);
        let body = Bytes::copy_from_slice(body);
        let tag = Tag {
            kind,
            timestamp,
            body,
        };
        publisher.handle_tag(now, &tag);
        publisher.handle_timeout(now);
        while publisher.poll_output().is_some() {
            outputs += 1;
        }
    }
    assert!(outputs < OUTPUTS, "{outputs} outputs");
}

/// What describes AAC: what is read is written and read again as the same; that there is no SBR is
/// left unsaid.
pub(super) fn aac(bytes: &[u8]) {
    if let Ok(config) = AudioSpecificConfig::parse(bytes)
        && let Some(written) = config.write()
    {
        let sbr = match config.sbr {
            Sbr::No => Sbr::Unsaid,
            sbr @ (Sbr::Unsaid | Sbr::Yes { .. }) => sbr,
        };
        let said = AudioSpecificConfig { sbr, ..config };
        assert_eq!(AudioSpecificConfig::parse(&written), Ok(said));
    }
}

/// Sound of an encoder or of the rooms, to be put into another codec.
pub(super) fn sound(bytes: &[u8]) {
    let mut pieces = Pieces::new(bytes);
    let (from, to) = (pieces.byte(), pieces.byte());
    let codecs = [
        SoundCodec::Aac,
        SoundCodec::Opus,
        SoundCodec::Pcmu,
        SoundCodec::Pcma,
    ];
    let targets = [Target::OPUS, Target::AAC, Target::Pcmu, Target::Pcma];
    let codec = codecs[usize::from(from) % codecs.len()];
    let mut transcoder = Transcoder::new(targets[usize::from(to) % targets.len()]);
    let config = Bytes::copy_from_slice(pieces.bytes());
    let mut now = base();
    let mut time = Duration::ZERO;
    let mut outputs = 0;
    for (later, unit) in pieces.take(32) {
        now += Duration::from_millis(20);
        time += Duration::from_millis(u64::from(later));
        let sound = Sound {
            codec,
            config: config.clone(),
            time,
            unit: Bytes::copy_from_slice(unit),
        };
        let _ = transcoder.handle_sound(now, &sound);
        let _ = transcoder.handle_timeout(now);
        while transcoder.poll_output().is_some() {
            outputs += 1;
        }
    }
    assert!(outputs < OUTPUTS, "{outputs} outputs");
}
