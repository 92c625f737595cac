//! What comes out is decoded and compared with what went in.

use std::f64::consts::TAU;
use std::io::Write;
use std::process::{Command, Stdio};

use opus_pure::{Application, OggOpusWriter, OpusDecoder, OpusEncoder, OpusHead};
use syom::{DecodeOptions, EncodeOptions};

use super::*;
use crate::audio::g711::Law;
use crate::flv::AudioBody;

/// Every rate that AAC has an index for, except the one that nobody uses.
const RATES: [u32; 12] = [
    8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000,
];
const TONE: f64 = 997.0;
const LEVEL: f64 = 0.4;

#[test]
fn a_tone_in_aac_comes_out_of_opus_at_every_rate() {
    for rate in RATES {
        for channels in [1, 2] {
            let source = aac(rate, channels, &tone(rate, channels, 1.5));
            let heard = play(Target::OPUS, &source);
            assert_contiguous(&heard, 20_000_000);
            let decoded = decode_opus(&heard, channels);
            assert_tone(&decoded, &format!("{rate} Hz, {channels} channels"));
        }
    }
}

#[test]
fn a_tone_in_opus_comes_out_of_aac() {
    for channels in [1, 2] {
        let source = opus(channels, &tone(48_000, channels, 1.5));
        let heard = play(Target::AAC, &source);
        assert_contiguous(&heard, 21_333_333);
        let decoded = decode_aac(&heard);
        assert_eq!((decoded.rate, decoded.channels), (48_000, 2));
        assert_tone(&decoded, &format!("{channels} channels"));
    }
}

#[test]
fn a_tone_in_g711_comes_out_of_aac_and_back() {
    for (codec, law, target) in [
        (SoundCodec::Pcmu, Law::Mu, Target::Pcmu),
        (SoundCodec::Pcma, Law::A, Target::Pcma),
    ] {
        let source = g711(codec, law, &tone(8_000, 1, 1.5));
        let heard = play(Target::AAC, &source);
        let decoded = decode_aac(&heard);
        assert_eq!((decoded.rate, decoded.channels), (48_000, 1));
        assert_tone(&decoded, "from G.711");

        let source = aac(44_100, 2, &tone(44_100, 2, 1.5));
        let heard = play(target, &source);
        assert_contiguous(&heard, 20_000_000);
        let decoded = decode_g711(law, &heard);
        assert_tone(&decoded, "to G.711");
    }
}

/// Written by libspeex, through ffmpeg.
#[test]
fn a_tone_in_speex_comes_out_of_opus() {
    let file: &[u8] = include_bytes!("fixtures/speex.flv");
    let mut source = Vec::new();
    let mut rest = &file[13..];
    while let [kind, l0, l1, l2, t0, t1, t2, ..] = *rest {
        let length = u32::from_be_bytes([0, l0, l1, l2]) as usize;
        let time = Duration::from_millis(u32::from_be_bytes([0, t0, t1, t2]).into());
        let body = Bytes::copy_from_slice(&rest[11..11 + length]);
        rest = &rest[11 + length + 4..];
        if kind == 8
            && let Ok(AudioBody::Unit(codec, unit)) = AudioBody::parse(&body)
        {
            source.push(sound(codec, &Bytes::new(), time, unit));
        }
    }
    let heard = play(Target::OPUS, &source);
    assert_contiguous(&heard, 20_000_000);
    // A codec for speech: of 0.4, libspeex itself makes 0.35.
    let (level, _) = decode_opus(&heard, 1).from(0.3).fit(TONE, 0.25);
    assert!((0.32..0.36).contains(&level), "{level}");
}

#[test]
fn he_aac_comes_out_at_its_full_rate() {
    let options = EncodeOptions::raw().with_bitrate_bps(48_000).with_he(true);
    let mut source = Vec::new();
    let mut encoder = syom::Encoder::new(48_000, 2, &options).unwrap();
    let config = Bytes::copy_from_slice(encoder.asc());
    let samples = tone(48_000, 2, 1.5);
    let planes = [plane(&samples, 2, 0), plane(&samples, 2, 1)];
    encoder
        .feed(&[&planes[0], &planes[1]], |frame| {
            let unit = Bytes::copy_from_slice(frame.payload);
            let time = seconds(source.len() as f64 * 2048.0 / 48_000.0);
            source.push(sound(SoundCodec::Aac, &config, time, unit));
            Ok(())
        })
        .unwrap();
    for implicit in [false, true] {
        let mut source = source.clone();
        if implicit {
            for sound in &mut source {
                sound.config = Bytes::from_static(&[0x13, 0x10]);
            }
        }
        let decoded = decode_opus(&play(Target::OPUS, &source), 2);
        assert_sine(&decoded, 20.0, "HE-AAC");
    }
}

#[test]
fn sound_stands_at_the_time_at_which_it_stood() {
    for rate in [22_050, 44_100, 48_000] {
        let source = aac(rate, 2, &chirp(rate, 2, 1.0));
        let lag = lag(&decode_opus(&play(Target::OPUS, &source), 2));
        assert!(lag.abs() <= 3, "{rate} Hz: {lag} samples late");
    }
    let source = opus(2, &chirp(48_000, 2, 1.0));
    let lag = lag(&decode_aac(&play(Target::AAC, &source)));
    assert!(lag.abs() <= 3, "{lag} samples late");
}

#[test]
fn ffmpeg_decodes_what_comes_out_without_a_word() {
    if Command::new("ffmpeg").arg("-version").output().is_err() {
        println!("there is no ffmpeg here");
        return;
    }
    for channels in [1, 2] {
        let heard = play(
            Target::OPUS,
            &aac(44_100, channels, &tone(44_100, channels, 2.0)),
        );
        let head = OpusHead::new(channels as u8, 48_000).unwrap();
        let mut file = OggOpusWriter::new(Vec::new(), head).unwrap();
        for sound in &heard {
            file.write_packet(&sound.unit).unwrap();
        }
        let said = ffmpeg(&file.finish().unwrap());
        assert!(said.contains("Audio: opus, 48000 Hz"), "{said}");

        let heard = play(Target::AAC, &opus(channels, &tone(48_000, channels, 2.0)));
        let units = heard
            .iter()
            .map(|sound| syom::wrap_adts_au(&sound.unit, 48_000, 2));
        let file: Vec<u8> = units.flat_map(Result::unwrap).collect();
        let said = ffmpeg(&file);
        assert!(said.contains("Audio: aac (LC), 48000 Hz, stereo"), "{said}");
    }
}

/// Decodes a file, and returns what ffmpeg says of it: nothing of errors or warnings.
fn ffmpeg(file: &[u8]) -> String {
    let mut child = Command::new("ffmpeg")
        .args([
            "-hide_banner",
            "-nostdin",
            "-loglevel",
            "level+info",
            "-xerror",
            "-i",
            "pipe:0",
        ])
        .args(["-f", "null", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(file).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let bad = |line: &&str| {
        // Of a bare stream the length is a guess, which it says.
        let guess = line.contains("Estimating duration");
        (line.contains("[warning]") || line.contains("[error]")) && !guess
    };
    let complaints: Vec<&str> = said.lines().filter(bad).collect();
    assert!(
        output.status.success() && complaints.is_empty(),
        "{complaints:?}"
    );
    said
}

#[test]
fn all_of_it_fits_a_quarter_of_a_small_stack() {
    let thread = std::thread::Builder::new().stack_size(512 * 1024);
    let all = || {
        let opus = opus(2, &tone(48_000, 2, 0.5));
        let aac = play(Target::AAC, &opus);
        let voice = opus_with(1, &syllables(0.5), |encoder| encoder.bitrate_bps = 16_000);
        play(Target::AAC, &[&voice[..5], &voice[8..]].concat());
        play(Target::Pcmu, &play(Target::OPUS, &aac));
        aac.len()
    };
    assert!(thread.spawn(all).unwrap().join().unwrap() > 10);
}

#[test]
fn lost_packets_leave_no_hole() {
    let mut source = opus(2, &tone(48_000, 2, 4.0));
    let all = source.len();
    let mut at = 0;
    source.retain(|_| {
        at += 1;
        !(at % 10 == 5 || at % 50 == 6 || at % 50 == 7)
    });
    assert!(source.len() < all * 9 / 10);
    let heard = play(Target::AAC, &source);
    assert_contiguous(&heard, 21_333_333);
    assert!(length(&heard) > 3.9, "{}", length(&heard));
    // A tone is guessed well: it never breaks off.
    let decoded = decode_aac(&heard);
    let quietest = decoded.loudness(480).into_iter().fold(1.0, f64::min);
    assert!(quietest > LEVEL / 4.0, "{quietest}");
}

#[test]
fn forward_error_correction_is_used() {
    // What lies behind a loss has it again; guessing alone does not know how loud it was.
    let off = |fec| {
        let mut source = opus_with(1, &syllables(6.0), |encoder| {
            encoder.bitrate_bps = 24_000;
            encoder.use_inband_fec = fec;
            encoder.packet_loss_perc = 30;
            encoder.signal_type = Some(opus_pure::Signal::Voice);
        });
        let whole = decode_aac(&play(Target::AAC, &source)).loudness(480);
        let mut at = 0;
        source.retain(|_| {
            at += 1;
            at % 6 != 5
        });
        let lossy = decode_aac(&play(Target::AAC, &source)).loudness(480);
        whole
            .iter()
            .zip(lossy)
            .map(|(a, b)| (a - b).abs())
            .sum::<f64>()
    };
    let (with, without) = (off(true), off(false));
    assert!(with < without * 0.6, "{with} with it, {without} without");
}

#[test]
fn silence_goes_out_while_nothing_comes() {
    let begin = epoch();
    let source = opus(2, &tone(48_000, 2, 1.0));
    let mut transcoder = Transcoder::new(Target::AAC);
    let mut heard = Vec::new();
    let mut clock = begin;
    let mut feed = |transcoder: &mut Transcoder, later: Duration| {
        for sound in &source {
            let mut sound = sound.clone();
            sound.time += later;
            clock = begin + sound.time;
            while let Some(due) = transcoder.poll_timeout().filter(|due| *due <= clock) {
                transcoder.handle_timeout(due).unwrap();
                heard.extend(std::iter::from_fn(|| transcoder.poll_output()));
            }
            transcoder.handle_sound(clock, &sound).unwrap();
            heard.extend(std::iter::from_fn(|| transcoder.poll_output()));
        }
    };
    feed(&mut transcoder, Duration::ZERO);
    feed(&mut transcoder, Duration::from_secs(5));
    assert_contiguous(&heard, 21_333_333);
    assert!(length(&heard) > 5.9);
    let decoded = decode_aac(&heard);
    let second = |from: usize| decoded.rms(from * 48_000 + 20_000, from * 48_000 + 40_000);
    assert!(
        second(0) > 0.2 && second(5) > 0.2,
        "{} {}",
        second(0),
        second(5)
    );
    assert!(second(2) < 1e-4, "{}", second(2));
}

#[test]
fn silence_comes_in_steps_and_not_ahead_of_its_time() {
    let begin = epoch();
    let source = opus(1, &tone(48_000, 1, 0.2));
    let mut transcoder = Transcoder::new(Target::AAC);
    for sound in &source {
        transcoder.handle_sound(begin, sound).unwrap();
    }
    while transcoder.poll_output().is_some() {}
    for _ in 0..50 {
        let due = transcoder.poll_timeout().unwrap();
        transcoder.handle_timeout(due).unwrap();
        let outputs: Vec<_> = std::iter::from_fn(|| transcoder.poll_output()).collect();
        assert!(outputs.len() <= 3);
        if let Some(last) = outputs.last() {
            let reached = last.time + Duration::from_millis(21);
            assert!(reached <= seconds(0.2) + (due - begin) - limits::LATE + limits::SILENCE_STEP);
        }
    }
}

#[test]
fn a_clock_that_runs_otherwise_is_followed() {
    for off in [-0.004, -0.001, 0.001, 0.004] {
        for rate in [44_100, 48_000] {
            let mut source = aac(rate, 1, &tone(rate, 1, 32.0));
            for sound in &mut source {
                // Whole milliseconds, as RTMP has them.
                let time = sound.time.as_secs_f64() * (1.0 + off);
                sound.time = Duration::from_millis((time * 1e3) as u64);
            }
            let heard = play(Target::OPUS, &source);
            assert_contiguous(&heard, 20_000_000);
            let last = source.last().unwrap().time.as_secs_f64();
            let behind = last - length(&heard);
            assert!(behind.abs() < 0.06, "{rate} Hz, {off}: {behind} s");
            let decoded = decode_opus(&heard, 1);
            // Nothing was cut or filled in: it sounds without a break, at the speed of the clock.
            let tail = decoded.from(20.0);
            let expected = TONE / (1.0 + off);
            let (level, residue) = tail.fit(expected, 0.05);
            assert!((level / LEVEL - 1.0).abs() < 0.05, "{off}: level {level}");
            assert!(
                residue < LEVEL / 10.0,
                "{rate} Hz, {off}: residue {residue}"
            );
        }
    }
}

#[test]
fn a_gap_is_filled_with_silence_and_a_leap_is_followed() {
    let mut source = aac(44_100, 2, &tone(44_100, 2, 3.0));
    let third = source.len() / 3;
    for (at, sound) in source.iter_mut().enumerate() {
        let later = match at / third {
            0 => 0.0,
            1 => 0.3,
            _ => 60.0,
        };
        sound.time += seconds(later);
    }
    let heard = play(Target::OPUS, &source);
    let leaps: Vec<f64> = heard
        .windows(2)
        .map(|pair| (pair[1].time - pair[0].time).as_secs_f64())
        .filter(|step| (step - 0.02).abs() > 1e-6)
        .collect();
    assert_eq!(leaps.len(), 1, "{leaps:?}");
    assert!((leaps[0] - 59.7).abs() < 0.05, "{leaps:?}");
    let leap = heard
        .windows(2)
        .position(|pair| pair[1].time - pair[0].time > seconds(1.0));
    let decoded = decode_opus(&heard[..leap.unwrap()], 2);
    assert!(decoded.rms(48_000 + 4_000, 48_000 + 12_000) < 0.01);
    assert!(decoded.rms(24_000, 40_000) > 0.2);
    assert!(decoded.rms(70_000, 90_000) > 0.2);
}

#[test]
fn what_was_heard_already_is_left_out() {
    let mut source = aac(48_000, 1, &tone(48_000, 1, 2.0));
    let again: Vec<Sound> = source[20..30].to_vec();
    source.splice(30..30, again);
    let heard = play(Target::OPUS, &source);
    assert_contiguous(&heard, 20_000_000);
    assert!((length(&heard) - 2.0).abs() < 0.1, "{}", length(&heard));
}

#[test]
fn broken_units_are_counted_and_do_not_stop_the_rest() {
    for (target, mut source) in [
        (Target::OPUS, aac(44_100, 2, &tone(44_100, 2, 2.0))),
        (Target::AAC, opus(2, &tone(48_000, 2, 2.0))),
    ] {
        let broken = source.len() / 2;
        source[broken].unit = Bytes::from_static(&[0xff; 40]);
        source[broken + 7].unit = Bytes::from(vec![0; limits::UNIT_BYTES + 1]);
        let mut transcoder = Transcoder::new(target);
        let now = epoch();
        let failed: Vec<SoundError> = source
            .iter()
            .filter_map(|sound| transcoder.handle_sound(now, sound).err())
            .collect();
        assert!(failed.iter().all(|error| error.is_passing()));
        assert!((1..=3).contains(&failed.len()), "{failed:?}");
        let heard: Vec<Sound> = std::iter::from_fn(|| transcoder.poll_output()).collect();
        assert!(heard.windows(2).all(|pair| pair[1].time > pair[0].time));
        assert!(length(&heard) > 1.9);
    }
}

#[test]
fn what_is_not_decoded_is_refused_in_words() {
    let refused = |codec, config: &'static [u8]| {
        let config = Bytes::from_static(config);
        let sound = sound(
            codec,
            &config,
            Duration::ZERO,
            Bytes::from_static(&[1, 2, 3]),
        );
        let mut transcoder = Transcoder::new(Target::OPUS);
        let error = transcoder.handle_sound(epoch(), &sound).unwrap_err();
        assert!(!error.is_passing());
        error.to_string()
    };
    assert!(refused(SoundCodec::Aac, &[0x09, 0x90]).contains("AAC-LC"));
    assert!(refused(SoundCodec::Aac, &[]).contains("malformed"));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn no_input_panics_or_makes_much_of_little(
        units in proptest::collection::vec(
            (proptest::prelude::any::<u64>(), proptest::collection::vec(0_u8.., 0..200), 0..6_u8),
            1..40,
        ),
        config in proptest::collection::vec(0_u8.., 0..8),
        target in 0..4_usize,
    ) {
        let target = [Target::OPUS, Target::AAC, Target::Pcmu, Target::Pcma][target];
        let mut transcoder = Transcoder::new(target);
        let mut now = epoch();
        for (time, unit, codec) in units {
            let (codec, config) = match codec {
                0 => (SoundCodec::Opus, Bytes::new()),
                1 => (SoundCodec::Pcmu, Bytes::new()),
                2 => (SoundCodec::Speex, Bytes::new()),
                3 => (SoundCodec::Aac, Bytes::copy_from_slice(&config)),
                _ => (SoundCodec::Aac, Bytes::from_static(&[0x12, 0x10])),
            };
            // Near each other, or anywhere.
            let time = if time & 1 == 0 { time } else { time % 3_000_000_000 };
            let sound = sound(codec, &config, Duration::from_nanos(time), Bytes::from(unit));
            let _ = transcoder.handle_sound(now, &sound);
            now += Duration::from_nanos(time % 400_000_000);
            let _ = transcoder.handle_timeout(now);
            let outputs = std::iter::from_fn(|| transcoder.poll_output()).count();
            assert!(outputs < 150, "{outputs}");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the epoch of the tests")]
fn epoch() -> Instant {
    Instant::now()
}

// What goes in.

fn sound(codec: SoundCodec, config: &Bytes, time: Duration, unit: Bytes) -> Sound {
    Sound {
        codec,
        config: config.clone(),
        time,
        unit,
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Both channels alike.
fn tone(rate: u32, channels: usize, length: f64) -> Vec<f32> {
    wave(rate, channels, length, |t| LEVEL * (TAU * TONE * t).sin())
}

/// From 200 to 3000 Hz: like itself at one place only.
fn chirp_at(t: f64) -> f64 {
    0.4 * (TAU * (200.0 * t + 1400.0 * t * t)).sin()
}

fn chirp(rate: u32, channels: usize, length: f64) -> Vec<f32> {
    wave(rate, channels, length, chirp_at)
}

/// A voice that is louder or softer every 20 ms, as nobody can guess.
fn syllables(length: f64) -> Vec<f32> {
    let mut state = 1_u32;
    let blocks = (length * 50.0) as usize + 1;
    let levels: Vec<f64> = (0..blocks)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if state >> 31 == 0 { 0.02 } else { 0.3 }
        })
        .collect();
    wave(48_000, 1, length, |t| {
        let voice: f64 = (1..12_u8)
            .map(|n| (TAU * f64::from(n) * 140.0 * t).sin() / f64::from(n))
            .sum();
        levels[(t * 50.0) as usize] * voice
    })
}

fn wave(rate: u32, channels: usize, length: f64, at: impl Fn(f64) -> f64) -> Vec<f32> {
    let frames = (length * f64::from(rate)) as usize;
    let frames = (0..frames).map(|n| at(n as f64 / f64::from(rate)) as f32);
    frames
        .flat_map(|sample| std::iter::repeat_n(sample, channels))
        .collect()
}

fn plane(samples: &[f32], channels: usize, channel: usize) -> Vec<f32> {
    samples
        .iter()
        .skip(channel)
        .step_by(channels)
        .copied()
        .collect()
}

/// AAC-LC, where the times are those of what a decoder makes of it.
fn aac(rate: u32, channels: usize, samples: &[f32]) -> Vec<Sound> {
    let bitrate = (rate * channels as u32 * 2).min(256_000);
    let options = EncodeOptions::raw().with_bitrate_bps(bitrate);
    let mut encoder = syom::Encoder::new(rate, channels, &options).unwrap();
    let config = Bytes::copy_from_slice(encoder.asc());
    let planes: Vec<Vec<f32>> = (0..channels).map(|n| plane(samples, channels, n)).collect();
    let planes: Vec<&[f32]> = planes.iter().map(Vec::as_slice).collect();
    let mut sounds = Vec::new();
    let mut frame_number = 0_u32;
    encoder
        .feed(&planes, |frame| {
            // The first frame is what the encoder is late by.
            if let Some(n) = frame_number.checked_sub(1) {
                let time = seconds(f64::from(n) * 1024.0 / f64::from(rate));
                let unit = Bytes::copy_from_slice(frame.payload);
                sounds.push(sound(SoundCodec::Aac, &config, time, unit));
            }
            frame_number += 1;
            Ok(())
        })
        .unwrap();
    sounds
}

fn opus(channels: usize, samples: &[f32]) -> Vec<Sound> {
    opus_with(channels, samples, |encoder| encoder.bitrate_bps = 96_000)
}

fn opus_with(channels: usize, samples: &[f32], set: impl Fn(&mut OpusEncoder)) -> Vec<Sound> {
    let application = if channels == 1 {
        Application::Voip
    } else {
        Application::Audio
    };
    let mut encoder = OpusEncoder::new(48_000, channels, application).unwrap();
    set(&mut encoder);
    // What the encoder is late by is left out, so that the times are those of what went in.
    let samples = &samples[encoder.lookahead() * channels..];
    let frames = samples.chunks_exact(960 * channels).enumerate();
    frames
        .map(|(n, frame)| {
            let mut packet = [0; 1200];
            let length = encoder.encode(frame, 960, &mut packet).unwrap();
            let time = Duration::from_millis(20 * n as u64);
            let unit = Bytes::copy_from_slice(&packet[..length]);
            sound(SoundCodec::Opus, &Bytes::new(), time, unit)
        })
        .collect()
}

fn g711(codec: SoundCodec, law: Law, samples: &[f32]) -> Vec<Sound> {
    let frames = samples.chunks_exact(160).enumerate();
    frames
        .map(|(n, frame)| {
            let codes = frame
                .iter()
                .map(|sample| law.compress((sample * 32_767.0) as i16));
            let time = Duration::from_millis(20 * n as u64);
            sound(codec, &Bytes::new(), time, codes.collect())
        })
        .collect()
}

fn play(target: Target, source: &[Sound]) -> Vec<Sound> {
    let mut transcoder = Transcoder::new(target);
    let now = epoch();
    let mut heard = Vec::new();
    for sound in source {
        transcoder.handle_sound(now, sound).unwrap();
        heard.extend(std::iter::from_fn(|| transcoder.poll_output()));
    }
    heard
}

// What comes out.

struct Heard {
    rate: u32,
    channels: usize,
    samples: Vec<f32>,
}

fn decode_opus(heard: &[Sound], channels: usize) -> Heard {
    let mut decoder = OpusDecoder::new(48_000, channels).unwrap();
    let mut samples = Vec::new();
    for sound in heard {
        assert_eq!(sound.codec, SoundCodec::Opus);
        assert_eq!(opus_pure::packet::channels(&sound.unit).unwrap(), channels);
        let mut block = vec![0.0; 960 * channels];
        assert_eq!(decoder.decode(&sound.unit, 960, &mut block).unwrap(), 960);
        samples.extend(block);
    }
    Heard {
        rate: 48_000,
        channels,
        samples,
    }
}

fn decode_aac(heard: &[Sound]) -> Heard {
    let config = &heard[0].config;
    let mut decoder = syom::Decoder::from_asc(config, DecodeOptions::unbounded()).unwrap();
    let (mut rate, mut channels, mut samples) = (0, 0, Vec::new());
    for sound in heard {
        assert_eq!((sound.codec, &sound.config), (SoundCodec::Aac, config));
        decoder
            .decode_au(&sound.unit, |frame| {
                rate = frame.sample_rate;
                channels = frame.planar.len();
                for at in 0..frame.samples {
                    samples.extend(frame.planar.iter().map(|plane| plane[at]));
                }
                Ok(())
            })
            .unwrap();
    }
    Heard {
        rate,
        channels,
        samples,
    }
}

fn decode_g711(law: Law, heard: &[Sound]) -> Heard {
    let codes = heard.iter().flat_map(|sound| sound.unit.iter());
    Heard {
        rate: 8_000,
        channels: 1,
        samples: codes
            .map(|code| f32::from(law.expand(*code)) / 32_768.0)
            .collect(),
    }
}

fn length(heard: &[Sound]) -> f64 {
    let (first, last) = (heard.first().unwrap(), heard.last().unwrap());
    (last.time - first.time).as_secs_f64() + 0.02
}

fn assert_contiguous(heard: &[Sound], step: u64) {
    for pair in heard.windows(2) {
        let off = (pair[1].time - pair[0].time).as_nanos() as i64 - step as i64;
        assert!(
            off.abs() <= 2,
            "{:?} after {:?}",
            pair[1].time,
            pair[0].time
        );
    }
}

/// The same tone, as loud as it was, and nothing else: no clicks where frames meet.
fn assert_tone(heard: &Heard, what: &str) {
    // G.711 has 38 dB at best.
    let clean = if heard.rate == 8_000 || what == "from G.711" {
        26.0
    } else {
        30.0
    };
    assert_sine(heard, clean, what);
}

fn assert_sine(heard: &Heard, clean: f64, what: &str) {
    let middle = heard.from(0.3);
    assert!(
        middle.samples.len() > heard.samples.len() / 2,
        "{what}: too short"
    );
    let (level, residue) = middle.fit(TONE, 0.25);
    assert!((level / LEVEL - 1.0).abs() < 0.03, "{what}: level {level}");
    let decibels = 20.0 * (level / residue).log10();
    assert!(
        decibels > clean,
        "{what}: the worst sample is {decibels} dB below the tone"
    );
}

/// By how many samples the chirp is late.
fn lag(heard: &Heard) -> i64 {
    let at = |n: i64| {
        (9_600..38_400_i64)
            .map(|i| {
                let sample = f64::from(heard.samples[(i + n) as usize * heard.channels]);
                sample * chirp_at(i as f64 / 48_000.0)
            })
            .sum::<f64>()
    };
    let lags = (-1500..1500).map(|n| (n, at(n)));
    lags.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0
}

impl Heard {
    fn from(&self, second: f64) -> Self {
        let frame = (second * f64::from(self.rate)) as usize;
        Self {
            rate: self.rate,
            channels: self.channels,
            samples: self.samples[frame * self.channels..].to_vec(),
        }
    }

    /// Of the first channel, between two frames.
    fn rms(&self, from: usize, to: usize) -> f64 {
        let samples = (from..to).map(|n| f64::from(self.samples[n * self.channels]));
        (samples.map(|sample| sample * sample).sum::<f64>() / (to - from) as f64).sqrt()
    }

    fn loudness(&self, frames: usize) -> Vec<f64> {
        let blocks = self.samples.len() / self.channels / frames;
        // The first ones hold what the codecs are late by.
        (8..blocks)
            .map(|n| self.rms(n * frames, (n + 1) * frames))
            .collect()
    }

    /// The level of a tone in all channels, and the largest sample that is left without it, where
    /// the tone is fitted anew every so many seconds.
    fn fit(&self, tone: f64, block: f64) -> (f64, f64) {
        let frames = (block * f64::from(self.rate)) as usize;
        let (mut levels, mut residue) = (Vec::new(), 0.0_f64);
        for channel in 0..self.channels {
            let samples = plane(&self.samples, self.channels, channel);
            for samples in samples.chunks_exact(frames) {
                let phase = |n: usize| TAU * tone * n as f64 / f64::from(self.rate);
                let of = |wave: fn(f64) -> f64| {
                    let sum = samples.iter().enumerate();
                    let sum: f64 = sum.map(|(n, s)| f64::from(*s) * wave(phase(n))).sum();
                    2.0 * sum / samples.len() as f64
                };
                let (sine, cosine) = (of(f64::sin), of(f64::cos));
                levels.push(sine.hypot(cosine));
                for (n, sample) in samples.iter().enumerate() {
                    let fitted = sine * phase(n).sin() + cosine * phase(n).cos();
                    residue = residue.max((f64::from(*sample) - fitted).abs());
                }
            }
        }
        (levels.iter().sum::<f64>() / levels.len() as f64, residue)
    }
}
