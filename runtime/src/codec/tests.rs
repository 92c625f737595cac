//! Threads, with real sound.

use std::time::{Duration, Instant};

use bytes::Bytes;
use mio::{Events, Poll, Token};
use parlor_rtmp::flv::SoundCodec;

use super::*;

/// The description of a sound that lets its transcoder panic.
pub(super) const PANICS: &[u8] = b"panic";

#[test]
fn sound_comes_back_in_its_codec_and_wakes_the_front() {
    let mut bench = Bench::new();
    for n in 0..10 {
        bench.codecs.push(stream(1), Target::AAC, loud(n));
    }
    let heard = bench.results(4);
    for (of, result) in heard {
        let sound = result.unwrap();
        assert_eq!((of, sound.codec), (stream(1), SoundCodec::Aac));
    }
    assert!(bench.wakes > 0);
}

#[test]
fn streams_do_not_mix_and_a_closed_one_is_silent() {
    let mut bench = Bench::new();
    bench.codecs.push(stream(1), Target::Pcmu, loud(0));
    bench.codecs.push(stream(3), Target::Pcma, loud(0));
    bench.codecs.push(stream(4), Target::Pcma, loud(0));
    let heard = bench.results(3);
    for (number, codec) in [
        (1, SoundCodec::Pcmu),
        (3, SoundCodec::Pcma),
        (4, SoundCodec::Pcma),
    ] {
        let mut of = heard.iter().filter(|(of, _)| *of == stream(number));
        assert_eq!(of.next().unwrap().1.as_ref().unwrap().codec, codec);
    }
    assert_eq!(bench.count("parlor_transcoded_streams"), 3);
    for number in [1, 3, 4] {
        bench.codecs.close(stream(number));
    }
    bench.until("parlor_transcoded_streams", 0);
    // It may come again, in another codec.
    bench.codecs.push(stream(1), Target::Pcma, loud(0));
    let heard = bench.results(1);
    assert_eq!(heard[0].1.as_ref().unwrap().codec, SoundCodec::Pcma);
}

#[test]
fn a_panic_ends_the_sound_of_its_stream_only() {
    let mut bench = Bench::new();
    // The same thread.
    let (bad, good) = (stream(2), stream(4));
    bench.codecs.push(good, Target::Pcmu, loud(0));
    let mut broken = loud(0);
    broken.config = Bytes::from_static(PANICS);
    bench.codecs.push(bad, Target::Pcmu, broken);
    for n in 1..6 {
        bench.codecs.push(bad, Target::Pcmu, loud(n));
        bench.codecs.push(good, Target::Pcmu, loud(n));
    }
    let heard = bench.results(7);
    let of = |stream| heard.iter().filter(move |(of, _)| *of == stream);
    assert!(of(bad).all(|(_, result)| *result == Err(SoundError::Codec)));
    assert_eq!((of(bad).count(), of(good).count()), (1, 6));
    assert_eq!(bench.count("parlor_codec_panics_total"), 1);
    // Who closes it and begins again is heard.
    bench.codecs.close(bad);
    bench.codecs.push(bad, Target::Pcmu, loud(0));
    let heard = bench.results(1);
    assert!(heard[0].0 == bad && heard[0].1.is_ok());
}

#[test]
fn what_cannot_be_decoded_is_said_once() {
    let mut bench = Bench::new();
    for n in 0..20 {
        let mut speech = loud(n);
        speech.codec = SoundCodec::Aac;
        bench.codecs.push(stream(1), Target::OPUS, speech);
    }
    bench.codecs.push(stream(3), Target::Pcmu, loud(0));
    let heard = bench.results(2);
    assert!(
        heard[0]
            .1
            .as_ref()
            .unwrap_err()
            .to_string()
            .contains("malformed")
    );
    assert_eq!(heard[1].0, stream(3));
}

#[test]
fn the_oldest_sound_is_dropped_and_counted_where_there_is_too_much() {
    let inbox = Inbox::default();
    let all = limits::CODEC_SOUNDS as u64 + 5;
    let dropped: u64 = (0..all)
        .map(|n| inbox.push(stream(1), Target::AAC, loud(n)))
        .sum();
    assert_eq!(dropped, 5);
    let inbox::Work::Sounds(_, _, sounds) = inbox.take(None) else {
        panic!("there is sound");
    };
    assert_eq!(sounds.len(), limits::CODEC_SOUNDS);
    assert_eq!(sounds[0].1, loud(5));
    // Nor may there be more streams.
    for number in 0..limits::CODEC_STREAMS as u64 {
        assert_eq!(inbox.push(stream(number), Target::AAC, loud(0)), 0);
    }
    let one_more = stream(limits::CODEC_STREAMS as u64);
    assert_eq!(inbox.push(one_more, Target::AAC, loud(0)), 1);
}

/// 20 ms of something.
fn loud(n: u64) -> Sound {
    Sound {
        codec: SoundCodec::Pcmu,
        config: Bytes::new(),
        time: Duration::from_millis(20 * n),
        unit: (0..160_u8).collect(),
    }
}

fn stream(number: u64) -> Stream {
    Stream {
        client: ClientId(number),
        media: MediaId(0),
    }
}

struct Bench {
    poll: Poll,
    codecs: Codecs,
    wakes: u32,
}

impl Bench {
    fn new() -> Self {
        let poll = Poll::new().unwrap();
        let waker = Waker::new(poll.registry(), Token(0)).unwrap();
        Self {
            codecs: Codecs::new(Arc::new(waker)),
            poll,
            wakes: 0,
        }
    }

    /// Waits for so many results.
    fn results(&mut self, count: usize) -> Vec<(Stream, Result<Sound, SoundError>)> {
        let mut results = Vec::new();
        let until = Instant::now() + Duration::from_secs(30);
        while results.len() < count {
            assert!(Instant::now() < until, "{results:?}");
            let mut events = Events::with_capacity(4);
            let pause = Some(Duration::from_millis(50));
            self.poll.poll(&mut events, pause).unwrap();
            self.wakes += u32::from(!events.is_empty());
            results.extend(std::iter::from_fn(|| self.codecs.poll()));
        }
        results
    }

    fn count(&self, name: &str) -> u64 {
        let metrics = self.codecs.metrics();
        metrics
            .iter()
            .find(|metric| metric.name == name)
            .unwrap()
            .value
    }

    fn until(&self, name: &str, value: u64) {
        let until = Instant::now() + Duration::from_secs(30);
        while self.count(name) != value {
            assert!(Instant::now() < until, "{name}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
