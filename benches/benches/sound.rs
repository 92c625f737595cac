//! What it costs to put one minute of stereo into another codec, and what it does to the sound.
//!
//! A minute that takes 600 ms takes one hundredth of a core.

#![allow(missing_docs, reason = "criterion's macros")]
#![allow(clippy::expect_used, reason = "a bench that cannot be set up ends")]
#![allow(clippy::print_stdout, reason = "the table")]

use std::f64::consts::TAU;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use opus_pure::{Application, OpusDecoder, OpusEncoder};
use parlor_rtmp::audio::{Target, Transcoder};
use parlor_rtmp::bridge::Sound;
use parlor_rtmp::flv::SoundCodec;
use syom::{DecodeOptions, EncodeOptions};

/// Seconds.
const LENGTH: usize = 60;

fn transcode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a minute of stereo");
    group.sample_size(10);
    for (name, target, source) in [
        (
            "AAC 44.1 kHz to Opus",
            Target::OPUS,
            aac(&music(44_100), 44_100),
        ),
        (
            "AAC 48 kHz to Opus",
            Target::OPUS,
            aac(&music(48_000), 48_000),
        ),
        ("Opus to AAC", Target::AAC, opus(&music(48_000))),
    ] {
        group.bench_function(name, |bencher| bencher.iter(|| run(target, &source)));
    }
    group.finish();
    table();
}

/// What the sound has become: of a tone, and of music with noise, against what it was.
fn table() {
    println!("signal to noise in dB, of what was encoded once and of what was then transcoded");
    for (name, wave) in [("tone", tone(48_000)), ("music", music(48_000))] {
        let reference = &wave[..wave.len() / 6];
        let as_aac = aac(reference, 48_000);
        let as_opus = opus(reference);
        println!(
            "{name:6} AAC {:5.1} -> Opus {:5.1}   Opus {:5.1} -> AAC {:5.1}",
            noise(reference, &decode_aac(&as_aac)),
            noise(reference, &decode_opus(&run(Target::OPUS, &as_aac))),
            noise(reference, &decode_opus(&as_opus)),
            noise(reference, &decode_aac(&run(Target::AAC, &as_opus))),
        );
    }
}

fn run(target: Target, source: &[Sound]) -> Vec<Sound> {
    let mut transcoder = Transcoder::new(target);
    let now = Instant::now();
    let mut heard = Vec::new();
    for sound in source {
        transcoder.handle_sound(now, sound).expect("is decoded");
        heard.extend(std::iter::from_fn(|| transcoder.poll_output()));
    }
    heard
}

fn tone(rate: u32) -> Vec<f32> {
    wave(rate, |t| [0.4 * (TAU * 997.0 * t).sin(); 2])
}

/// Notes that fade, different left and right, and some noise.
fn music(rate: u32) -> Vec<f32> {
    let mut state = 1_u32;
    wave(rate, move |t| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = 0.01 * (f64::from(state >> 8) / f64::from(1 << 23) - 1.0);
        let pitch = 220.0 * 1.0595_f64.powf((t * 4.0).floor() % 12.0);
        let fade = (-6.0 * (t * 4.0).fract()).exp();
        let note = |pitch: f64| -> f64 {
            let harmonics = (1..8_u8).map(f64::from);
            harmonics.map(|n| (TAU * n * pitch * t).sin() / n).sum()
        };
        let (low, high) = (note(pitch), note(pitch * 1.5));
        [0.2 * fade * low + noise, 0.1 * fade * (low + high) - noise]
    })
}

fn wave(rate: u32, mut at: impl FnMut(f64) -> [f64; 2]) -> Vec<f32> {
    let frames = 0..rate as usize * LENGTH;
    let frames = frames.flat_map(|n| at(n as f64 / f64::from(rate)));
    frames.map(|sample| sample as f32).collect()
}

fn aac(samples: &[f32], rate: u32) -> Vec<Sound> {
    let options = EncodeOptions::raw().with_bitrate_bps(128_000);
    let mut encoder = syom::Encoder::new(rate, 2, &options).expect("encodes");
    let config = Bytes::copy_from_slice(encoder.asc());
    let plane =
        |channel| -> Vec<f32> { samples.iter().skip(channel).step_by(2).copied().collect() };
    let mut units = Vec::new();
    let encoded = encoder.feed(&[&plane(0), &plane(1)], |frame| {
        units.push(Bytes::copy_from_slice(frame.payload));
        Ok(())
    });
    encoded.expect("encodes");
    // The first frame is what the encoder is late by.
    let units = units.into_iter().skip(1).enumerate();
    units
        .map(|(n, unit)| Sound {
            codec: SoundCodec::Aac,
            config: config.clone(),
            time: Duration::from_secs_f64(n as f64 * 1024.0 / f64::from(rate)),
            unit,
        })
        .collect()
}

fn opus(samples: &[f32]) -> Vec<Sound> {
    let mut encoder = OpusEncoder::new(48_000, 2, Application::Audio).expect("encodes");
    encoder.bitrate_bps = 96_000;
    let frames = samples[encoder.lookahead() * 2..].chunks_exact(1920);
    let packets = frames.map(|frame| {
        let mut packet = [0; 1200];
        let length = encoder.encode(frame, 960, &mut packet).expect("encodes");
        Bytes::copy_from_slice(&packet[..length])
    });
    let sound = |(n, unit): (u64, Bytes)| Sound {
        codec: SoundCodec::Opus,
        config: Bytes::new(),
        time: Duration::from_millis(20 * n),
        unit,
    };
    (0..).zip(packets).map(sound).collect()
}

fn decode_opus(heard: &[Sound]) -> Vec<f32> {
    let mut decoder = OpusDecoder::new(48_000, 2).expect("decodes");
    let mut block = [0.0; 1920];
    let mut samples = Vec::new();
    for sound in heard {
        let decoded = decoder.decode(&sound.unit, 960, &mut block);
        decoded.expect("decodes");
        samples.extend(block);
    }
    samples
}

fn decode_aac(heard: &[Sound]) -> Vec<f32> {
    let config = &heard.first().expect("there is sound").config;
    let decoder = syom::Decoder::from_asc(config, DecodeOptions::unbounded());
    let mut decoder = decoder.expect("decodes");
    let mut samples = Vec::new();
    for sound in heard {
        let decoded = decoder.decode_au(&sound.unit, |frame| {
            for at in 0..frame.samples {
                samples.extend(frame.planar.iter().map(|plane| plane[at]));
            }
            Ok(())
        });
        decoded.expect("decodes");
    }
    samples
}

/// Of what is left of the first second on, against the difference.
fn noise(reference: &[f32], heard: &[f32]) -> f64 {
    let pairs = reference.iter().zip(heard).skip(96_000);
    let (signal, noise) = pairs.fold((0.0, 0.0), |(signal, noise), (a, b)| {
        let (a, b) = (f64::from(*a), f64::from(*b));
        (signal + a * a, noise + (a - b).powi(2))
    });
    10.0 * (signal / noise).log10()
}

criterion_group!(benches, transcode);
criterion_main!(benches);
