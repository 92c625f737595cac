//! Chunks of RTMP, parsed and written, beside `rml_rtmp` doing the same.

#![allow(missing_docs, reason = "criterion's macros")]
#![allow(clippy::expect_used, reason = "a bench that cannot be set up ends")]

use std::hint::black_box;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use parlor_rtmp::chunk::{Reader, Writer};
use parlor_rtmp::limits::{CHUNK_BYTES_MIN, CHUNK_BYTES_OUT, MESSAGE_BYTES};
use rml_rtmp::chunk_io::{ChunkDeserializer, ChunkSerializer};
use rml_rtmp::messages::MessagePayload;
use rml_rtmp::time::RtmpTimestamp;

/// Messages of one run.
const MESSAGES: u32 = 200;
/// Bytes that come from a socket at once.
const PIECE: usize = 16 * 1024;

fn message(number: u32, body: &Bytes) -> MessagePayload {
    MessagePayload {
        timestamp: RtmpTimestamp::new(number * 40),
        type_id: 9,
        message_stream_id: 1,
        data: body.clone(),
    }
}

/// What `rml_rtmp` writes.
fn written(body: &Bytes, chunk: usize) -> Vec<u8> {
    let mut serializer = ChunkSerializer::new();
    let size = u32::try_from(chunk).expect("small");
    serializer
        .set_max_chunk_size(size, RtmpTimestamp::new(0))
        .expect("a size");
    (0..MESSAGES)
        .flat_map(|number| {
            let packet = serializer.serialize(&message(number, body), false, false);
            packet.expect("fits").bytes
        })
        .collect()
}

fn parse(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chunk/parse");
    for (length, chunk) in [(6_000, 128), (6_000, 4_096), (60_000, 4_096), (400, 4_096)] {
        let body = Bytes::from(vec![7; length]);
        let bytes = written(&body, chunk);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        let what = format!("{length} B in {chunk}");
        group.bench_function(BenchmarkId::new("parlor", &what), |bencher| {
            bencher.iter(|| {
                let mut reader = Reader::default();
                reader.set_message_bytes(MESSAGE_BYTES);
                reader.set_chunk_bytes(chunk as u32).expect("a size");
                let mut count = 0;
                for mut piece in bytes.chunks(PIECE) {
                    while let Some(message) = reader.read(&mut piece).expect("parses") {
                        count += u32::from(black_box(&message).body.len() == length);
                    }
                }
                assert_eq!(count, MESSAGES);
            });
        });
        group.bench_function(BenchmarkId::new("rml_rtmp", &what), |bencher| {
            bencher.iter(|| {
                let mut deserializer = ChunkDeserializer::new();
                deserializer.set_max_chunk_size(chunk).expect("a size");
                let mut count = 0;
                for piece in bytes.chunks(PIECE) {
                    let mut message = deserializer.get_next_message(piece).expect("parses");
                    while let Some(payload) = message {
                        count += u32::from(black_box(&payload).data.len() == length);
                        message = deserializer.get_next_message(&[]).expect("parses");
                    }
                }
                assert_eq!(count, MESSAGES);
            });
        });
    }
}

fn serialise(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("chunk/serialise");
    for (length, chunk) in [
        (6_000, CHUNK_BYTES_MIN),
        (6_000, CHUNK_BYTES_OUT),
        (60_000, CHUNK_BYTES_OUT),
        (400, CHUNK_BYTES_OUT),
    ] {
        let body = Bytes::from(vec![7; length]);
        group.throughput(Throughput::Bytes(length as u64 * u64::from(MESSAGES)));
        let what = format!("{length} B in {chunk}");
        let mut out = Vec::new();
        group.bench_function(BenchmarkId::new("parlor", &what), |bencher| {
            bencher.iter(|| {
                let mut writer = Writer::default();
                if chunk == CHUNK_BYTES_OUT {
                    writer.enlarge_chunks();
                }
                for number in 0..MESSAGES {
                    out.clear();
                    writer.write(9, number * 40, 1, &body, &mut out);
                    black_box(&out);
                }
            });
        });
        group.bench_function(BenchmarkId::new("rml_rtmp", &what), |bencher| {
            bencher.iter(|| {
                let mut serializer = ChunkSerializer::new();
                let size = u32::try_from(chunk).expect("small");
                serializer
                    .set_max_chunk_size(size, RtmpTimestamp::new(0))
                    .expect("a size");
                for number in 0..MESSAGES {
                    let packet = serializer.serialize(&message(number, &body), false, false);
                    black_box(packet.expect("fits"));
                }
            });
        });
    }
}

criterion_group!(benches, parse, serialise);
criterion_main!(benches);
