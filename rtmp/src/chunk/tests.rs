use proptest::prelude::*;

use super::*;
use crate::limits::{BUFFERED_BYTES, CHUNK_STREAMS, EARLY_MESSAGE_BYTES, MESSAGE_BYTES};

fn message(kind: u8, timestamp: u32, body: impl Into<Vec<u8>>) -> Message {
    Message {
        kind,
        timestamp,
        stream: 1,
        body: Bytes::from(body.into()),
    }
}

fn write(messages: &[Message]) -> Vec<u8> {
    let mut writer = Writer::default();
    let mut out = Vec::new();
    for message in messages {
        writer.write(
            message.kind,
            message.timestamp,
            message.stream,
            &message.body,
            &mut out,
        );
    }
    out
}

/// Reads bytes that come in pieces; an error ends what is read.
fn read(reader: &mut Reader, bytes: &[u8], piece: usize) -> Result<Vec<Message>, ChunkError> {
    let mut messages = Vec::new();
    for mut part in bytes.chunks(piece.max(1)) {
        while let Some(message) = reader.read(&mut part)? {
            messages.push(message);
        }
        assert!(part.is_empty(), "all is taken");
    }
    Ok(messages)
}

fn read_all(bytes: &[u8]) -> Result<Vec<Message>, ChunkError> {
    read(&mut Reader::default(), bytes, bytes.len())
}

/// A full header on a chunk stream below 64.
fn full(id: u8, timestamp: u32, length: u32, kind: u8) -> Vec<u8> {
    let [_, t0, t1, t2] = timestamp.min(EXTENDED).to_be_bytes();
    let [_, l0, l1, l2] = length.to_be_bytes();
    let mut header = vec![id, t0, t1, t2, l0, l1, l2, kind, 1, 0, 0, 0];
    if timestamp >= EXTENDED {
        header.extend_from_slice(&timestamp.to_be_bytes());
    }
    header
}

fn kind() -> impl Strategy<Value = u8> {
    prop_oneof![Just(8), Just(9), Just(18), Just(20), Just(4)]
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let time = prop_oneof![0_u32..100_000, 0x00ff_fff0_u32..0x0100_0010, any::<u32>()];
    let body = prop::collection::vec(any::<u8>(), 0..600);
    let message =
        (kind(), time, 0_u32..4, body).prop_map(|(kind, timestamp, stream, body)| Message {
            kind,
            timestamp,
            stream,
            body: body.into(),
        });
    prop::collection::vec(message, 0..20)
}

proptest! {
    #[test]
    fn what_is_written_is_read_however_it_is_cut(messages in messages(), piece in 1_usize..300) {
        let bytes = write(&messages);
        let mut reader = Reader::default();
        prop_assert_eq!(read(&mut reader, &bytes, piece), Ok(messages));
    }

    #[test]
    fn cuts_change_nothing_whatever_comes(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let whole = read_all(&bytes);
        let pieces = read(&mut Reader::default(), &bytes, 1);
        prop_assert_eq!(whole, pieces);
    }

    #[test]
    fn cuts_change_nothing_in_a_broken_stream(
        messages in messages(),
        at in any::<prop::sample::Index>(),
        flip in 1_u8..,
    ) {
        let mut bytes = write(&messages);
        prop_assume!(!bytes.is_empty());
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        prop_assert_eq!(read_all(&bytes), read(&mut Reader::default(), &bytes, 1));
    }
}

#[test]
fn messages_of_several_chunk_streams_may_be_interleaved() {
    let picture = vec![9; 300];
    let mut bytes = full(6, 40, 300, 9);
    bytes.extend_from_slice(&picture[..128]);
    bytes.extend(full(4, 41, 5, 8));
    bytes.extend_from_slice(b"sound");
    bytes.push(0xc6);
    bytes.extend_from_slice(&picture[128..256]);
    bytes.push(0xc6);
    bytes.extend_from_slice(&picture[256..]);
    let expected = vec![message(8, 41, *b"sound"), message(9, 40, picture)];
    assert_eq!(read_all(&bytes), Ok(expected.clone()));
    assert_eq!(read(&mut Reader::default(), &bytes, 1), Ok(expected));
}

#[test]
fn a_message_that_is_given_up_leaves_nothing() {
    let mut reader = Reader::default();
    let mut bytes = full(6, 0, 300, 9);
    bytes.extend_from_slice(&[1; 128]);
    assert_eq!(read(&mut reader, &bytes, 64), Ok(vec![]));
    reader.abort(6);
    reader.abort(7);
    let mut bytes = full(6, 5, 3, 9);
    bytes.extend_from_slice(b"new");
    assert_eq!(
        read(&mut reader, &bytes, 64),
        Ok(vec![message(9, 5, *b"new")])
    );
}

#[test]
fn extended_timestamps_are_read_from_peers_that_repeat_them_and_from_those_that_do_not() {
    let late = 0x0123_4567;
    for repeats in [true, false] {
        // The body must not look like the timestamp.
        let body = vec![7; 300];
        let mut bytes = full(4, late, 300, 8);
        for (number, part) in body.chunks(128).enumerate() {
            if number > 0 {
                bytes.push(0xc4);
                if repeats {
                    bytes.extend_from_slice(&late.to_be_bytes());
                }
            }
            bytes.extend_from_slice(part);
        }
        // The next one takes all from the last one, which had a full header: its time is twice
        // that (§5.3.1.2.4).
        bytes.push(0xc4);
        if repeats {
            bytes.extend_from_slice(&late.to_be_bytes());
        }
        bytes.extend_from_slice(&body[..128]);
        for piece in [1, 3, bytes.len()] {
            let got = read(&mut Reader::default(), &bytes, piece);
            assert_eq!(
                got,
                Ok(vec![message(8, late, body.clone())]),
                "{repeats} {piece}"
            );
        }
    }
}

#[test]
fn what_looks_like_a_repeated_timestamp_and_is_none_is_not_lost() {
    let late = 0x0123_4567;
    // Two bytes are left, which begin as the timestamp does; a header follows.
    let mut body = vec![7; 130];
    body[128..].copy_from_slice(&[0x01, 0x23]);
    let mut bytes = full(4, late, 130, 8);
    bytes.extend_from_slice(&body[..128]);
    bytes.push(0xc4);
    bytes.extend_from_slice(&body[128..]);
    bytes.extend(full(5, 1, 4, 18));
    bytes.extend_from_slice(b"data");
    for piece in [1, 2, bytes.len()] {
        let got = read(&mut Reader::default(), &bytes, piece);
        let expected = vec![message(8, late, body.clone()), message(18, 1, *b"data")];
        assert_eq!(got, Ok(expected), "{piece}");
    }
}

#[test]
fn times_pass_4_hours_39_minutes_and_49_days() {
    let times = [
        0x00ff_fff0,
        0x00ff_ffff,
        0x0100_0000,
        0x0100_0028,
        u32::MAX - 9,
        10,
    ];
    let messages: Vec<_> = times.map(|time| message(9, time, vec![1; 200])).to_vec();
    assert_eq!(read_all(&write(&messages)), Ok(messages));
}

/// The reader takes them from those who do not repeat them too: so this looks at the bytes.
#[test]
fn a_time_of_four_bytes_is_in_every_chunk_that_is_written() {
    let late = 0x0123_4567;
    let bytes = write(&[message(9, late, vec![7; 300])]);
    let mut expected = full(6, late, 300, 9);
    expected.extend_from_slice(&[7; 128]);
    for length in [128, 44] {
        expected.push(0xc6);
        expected.extend_from_slice(&late.to_be_bytes());
        expected.extend(vec![7; length]);
    }
    assert_eq!(bytes, expected);
    // Of a message that comes later, the difference is.
    let both = write(&[message(9, 0, vec![7; 4]), message(9, late, vec![7; 300])]);
    let count = both.windows(4).filter(|it| *it == late.to_be_bytes());
    assert_eq!(count.count(), 3);
}

#[test]
fn headers_say_only_what_is_new() {
    let steady: Vec<_> = (0..4)
        .map(|number| message(8, number * 20, vec![1; 100]))
        .collect();
    let lengths: Vec<usize> = (1..=4).map(|count| write(&steady[..count]).len()).collect();
    let added: Vec<usize> = lengths.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // A time that is new, and then nothing but one byte.
    assert_eq!(added, [104, 101, 101]);
}

#[test]
fn hostile_chunks_end_with_a_reason() {
    let mut reader = Reader::default();
    for size in [0, 127, 0x8000_0000, 0x8000_0001] {
        assert_eq!(reader.set_chunk_bytes(size), Err(ChunkError::ChunkSize));
    }
    assert_eq!(reader.set_chunk_bytes(0x7fff_ffff), Ok(()));
    // Headers that leave something out, where there is nothing to take it from.
    for first in [0x43, 0x83, 0xc3] {
        assert_eq!(read_all(&[first; 12]), Err(ChunkError::NoHeader));
    }
    // 16 MB.
    assert_eq!(
        read_all(&full(3, 0, 0x00ff_ffff, 20)),
        Err(ChunkError::TooLong)
    );
    let over = full(3, 0, EARLY_MESSAGE_BYTES as u32 + 1, 20);
    assert_eq!(read_all(&over), Err(ChunkError::TooLong));
    // Chunk streams without end.
    let streams =
        |count: u8| (0..count).flat_map(|id| full(id + 3, 0, 1, 9).into_iter().chain([0]));
    let fit: Vec<u8> = streams(CHUNK_STREAMS as u8).collect();
    assert_eq!(
        read_all(&fit).map(|messages| messages.len()),
        Ok(CHUNK_STREAMS)
    );
    let over: Vec<u8> = streams(CHUNK_STREAMS as u8 + 1).collect();
    assert_eq!(read_all(&over), Err(ChunkError::TooManyStreams));
    // Messages that begin and never end.
    let mut reader = Reader::default();
    reader.set_message_bytes(MESSAGE_BYTES);
    let begun = (0..3).flat_map(|id| {
        let header = full(id + 3, 0, MESSAGE_BYTES as u32, 9);
        header.into_iter().chain([0; 128])
    });
    let begun: Vec<u8> = begun.collect();
    const { assert!(3 * MESSAGE_BYTES > BUFFERED_BYTES) };
    assert_eq!(read(&mut reader, &begun, 4096), Err(ChunkError::TooMuch));
    // A full header in the middle of a message.
    let mut bytes = full(4, 0, 200, 9);
    bytes.extend_from_slice(&[0; 128]);
    bytes.extend(full(4, 0, 200, 9));
    assert_eq!(read_all(&bytes), Err(ChunkError::Interrupted));
}

#[test]
fn a_message_that_is_announced_and_does_not_come_takes_little() {
    let mut reader = Reader::default();
    reader.set_message_bytes(MESSAGE_BYTES);
    let mut bytes = full(6, 0, MESSAGE_BYTES as u32, 9);
    bytes.push(1);
    read(&mut reader, &bytes, 4096).unwrap();
    assert!(reader.reserved() <= crate::limits::RESERVED_BYTES);
}
