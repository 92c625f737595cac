//! One stream of sound on its way from one codec into another.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::decoder::{Decoder, Pcm};
use super::encoder::Encoder;
use super::resampler::Resampler;
use super::{SoundError, Target, limits};
use crate::bridge::Sound;
use crate::flv::SoundCodec;

/// Puts one stream of sound into another codec.
pub struct Transcoder {
    target: Target,
    source: Option<Source>,
    path: Option<Path>,
    /// What was decoded last.
    pcm: Pcm,
    outputs: VecDeque<Sound>,
}

struct Source {
    codec: SoundCodec,
    config: Bytes,
    decoder: Decoder,
}

/// Where decoded sound goes.
struct Path {
    channels: usize,
    resampler: Resampler,
    encoder: Encoder,
    config: Bytes,
    /// Interleaved samples that wait for a frame to be full.
    waiting: Vec<f32>,
    clock: Clock,
    /// Frames of the next sound by which it is faded in.
    fade: usize,
    /// Seconds that were guessed since a unit was decoded.
    guessed: f64,
    /// The latest frame that went into the resampler.
    last: [f32; 2],
    /// When sound was handled last, and where it ended.
    heard: (Instant, Duration),
    /// When silence goes out unless something comes.
    silence_at: Instant,
}

/// Where the sound stands in its stream, by the count of its samples.
struct Clock {
    rate: u32,
    /// Where the first frame begins.
    origin: Duration,
    /// Frames that came out of the resampler.
    resampled: u64,
    /// Frames that were encoded.
    encoded: u64,
    /// Frames to leave out, by which the encoder is late.
    skip: usize,
    /// By how many seconds the times of the sender are ahead of the count, on average.
    drift: f64,
}

impl Transcoder {
    /// A transcoder that has not heard anything.
    pub fn new(target: Target) -> Self {
        Self {
            target,
            source: None,
            path: None,
            pcm: Pcm::default(),
            outputs: VecDeque::new(),
        }
    }

    /// Takes a unit of sound. Its codec and its description may be others than before; how many
    /// channels come out is settled by the first unit.
    ///
    /// # Errors
    /// A sentence for the sender's user. What came of it can be polled nevertheless; of those that
    /// are not [passing](SoundError::is_passing), nothing comes until the description changes.
    pub fn handle_sound(&mut self, now: Instant, sound: &Sound) -> Result<(), SoundError> {
        if sound.unit.len() > limits::UNIT_BYTES {
            return Err(SoundError::Undecodable);
        }
        let source = match &mut self.source {
            Some(source) if source.codec == sound.codec && source.config == sound.config => source,
            _ => self.source.insert(Source {
                codec: sound.codec,
                config: sound.config.clone(),
                decoder: Decoder::new(sound.codec, &sound.config)?,
            }),
        };
        let decoder = &mut source.decoder;
        if let Some(path) = &mut self.path {
            path.follow(sound, decoder, &mut self.pcm)?;
        }
        decoder.decode(&sound.unit, &mut self.pcm)?;
        let pcm = &mut self.pcm;
        let path = match &mut self.path {
            Some(path) => path,
            None => self
                .path
                .insert(Path::new(self.target, sound.time, pcm, now)?),
        };
        path.heard(now, sound.time, pcm);
        path.leave_out(sound.time, pcm);
        path.push(pcm)?;
        path.encode(&mut self.outputs)
    }

    /// Does what is due: silence, where the target never pauses.
    ///
    /// # Errors
    /// As [`Self::handle_sound`].
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), SoundError> {
        let (Some(path), Some(source)) = (&mut self.path, &mut self.source) else {
            return Ok(());
        };
        if !self.target.never_pauses() || now < path.silence_at {
            return Ok(());
        }
        path.silence_at = now + limits::SILENCE_STEP;
        let (heard, end) = path.heard;
        let late = now.saturating_duration_since(heard);
        let reached = end.saturating_add(late.saturating_sub(limits::LATE));
        let missing = path.seconds_to(reached);
        if missing > limits::LONGEST_GAP.as_secs_f64() {
            // Nobody has called for that long.
            return path.begin_again(reached);
        }
        path.fill(missing, None, &mut source.decoder, &mut self.pcm)?;
        path.encode(&mut self.outputs)
    }

    /// What has come of the sound, in its order.
    pub fn poll_output(&mut self) -> Option<Sound> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let path = self.path.as_ref()?;
        self.target.never_pauses().then_some(path.silence_at)
    }
}

impl Path {
    fn new(target: Target, time: Duration, pcm: &Pcm, now: Instant) -> Result<Self, SoundError> {
        let channels = target.channels(pcm.channels);
        let encoder = Encoder::new(target, channels)?;
        Ok(Self {
            channels,
            resampler: Resampler::new(pcm.rate, target.rate(), channels)?,
            config: encoder.config(),
            waiting: Vec::new(),
            clock: Clock::new(target.rate(), time, encoder.delay()),
            encoder,
            fade: 0,
            guessed: 0.0,
            last: [0.0; 2],
            heard: (now, time),
            silence_at: now + limits::LATE + limits::SILENCE_STEP,
        })
    }

    fn heard(&mut self, now: Instant, time: Duration, pcm: &Pcm) {
        let length = Duration::from_secs_f64(pcm.frames() as f64 / f64::from(pcm.rate));
        self.heard = (now, time.saturating_add(length));
        self.guessed = 0.0;
        self.silence_at = now + limits::LATE + limits::SILENCE_STEP;
    }

    /// Compares the time of a sound that comes with the count of samples, and does something about
    /// the difference.
    fn follow(
        &mut self,
        sound: &Sound,
        decoder: &mut Decoder,
        pcm: &mut Pcm,
    ) -> Result<(), SoundError> {
        let ahead = self.seconds_to(sound.time);
        if ahead.abs() > limits::LONGEST_GAP.as_secs_f64() {
            return self.begin_again(sound.time);
        }
        let sudden = ahead - self.clock.drift;
        let shortest = limits::SHORTEST_LOSS.as_secs_f64();
        let is_lost = decoder.counts() && ahead > 0.0 && sudden > shortest * 0.9;
        if is_lost || ahead > limits::TOLERANCE.as_secs_f64() {
            let missing = if is_lost { sudden.min(ahead) } else { ahead };
            return self.fill(missing, Some(&sound.unit), decoder, pcm);
        }
        if ahead >= -limits::TOLERANCE.as_secs_f64() {
            return self.trim(ahead);
        }
        Ok(())
    }

    /// Seconds from where the sound is to `time`.
    fn seconds_to(&self, time: Duration) -> f64 {
        self.clock.seconds_to(time, self.resampler.frames_inside())
    }

    fn begin_again(&mut self, time: Duration) -> Result<(), SoundError> {
        let (rate_in, rate_out) = (self.resampler.rate_in(), self.clock.rate);
        self.resampler = Resampler::new(rate_in, rate_out, self.channels)?;
        self.waiting.clear();
        self.clock = Clock::new(rate_out, time, self.encoder.delay());
        self.fade = self.fade_frames();
        Ok(())
    }

    /// Lets the speed follow the sender's clock, by a unit that is `ahead` of the count.
    fn trim(&mut self, ahead: f64) -> Result<(), SoundError> {
        let clock = &mut self.clock;
        let unit = self.encoder.frame() as f64 / f64::from(clock.rate);
        let weight = unit / limits::TRIM_AVERAGE.as_secs_f64();
        clock.drift += (ahead - clock.drift) * weight;
        if self.resampler.is_idle() && clock.drift.abs() < limits::TRIM_BEGINS.as_secs_f64() {
            return Ok(());
        }
        self.resampler
            .trim(clock.drift / limits::TRIM_TIME.as_secs_f64())
    }

    /// Fills in what is missing: with what the decoder guesses at first, then with silence.
    fn fill(
        &mut self,
        missing: f64,
        next: Option<&[u8]>,
        decoder: &mut Decoder,
        pcm: &mut Pcm,
    ) -> Result<(), SoundError> {
        let rate = self.resampler.rate_in();
        let frames = (missing.max(0.0) * f64::from(rate)).round() as usize;
        self.guessed += missing.max(0.0);
        if self.guessed <= limits::CONCEALED.as_secs_f64() {
            decoder.conceal(frames, next, pcm);
        } else {
            pcm.samples.clear();
        }
        let guessed = pcm.frames().min(frames);
        if guessed > 0 {
            self.push(pcm)?;
        }
        if frames - guessed > self.fade_frames() || guessed == 0 {
            self.push_silence(frames - guessed)?;
        }
        Ok(())
    }

    fn push_silence(&mut self, frames: usize) -> Result<(), SoundError> {
        let fade = self.fade_frames();
        let mut silence = vec![0.0; frames * self.channels];
        for (at, frame) in silence.chunks_mut(self.channels).take(fade).enumerate() {
            let part = 1.0 - (at + 1) as f32 / fade as f32;
            for (sample, last) in frame.iter_mut().zip(self.last) {
                *sample = last * part;
            }
        }
        self.last = [0.0; 2];
        self.fade = fade;
        self.resample(&silence)
    }

    fn fade_frames(&self) -> usize {
        let rate = f64::from(self.resampler.rate_in());
        (limits::FADE.as_secs_f64() * rate) as usize
    }

    /// Leaves out of `pcm` what stands where there is sound already.
    fn leave_out(&mut self, time: Duration, pcm: &mut Pcm) {
        let ahead = self.seconds_to(time);
        if ahead >= -limits::TOLERANCE.as_secs_f64() {
            return;
        }
        let frames = (-ahead * f64::from(pcm.rate)) as usize;
        let samples = frames.min(pcm.frames()) * pcm.channels;
        pcm.samples.drain(..samples);
        self.fade = self.fade_frames();
    }

    /// Takes decoded sound, in as many channels as there are on this path.
    fn push(&mut self, pcm: &mut Pcm) -> Result<(), SoundError> {
        if pcm.rate != self.resampler.rate_in() {
            self.resampler = Resampler::new(pcm.rate, self.clock.rate, self.channels)?;
        }
        for sample in &mut pcm.samples {
            if !sample.is_finite() {
                *sample = 0.0;
            }
        }
        match (pcm.channels, self.channels) {
            (1, 2) => pcm.samples = pcm.samples.iter().flat_map(|mono| [*mono; 2]).collect(),
            (2, 1) => {
                let frames = pcm.samples.chunks_exact(2);
                pcm.samples = frames.map(|pair| (pair[0] + pair[1]) / 2.0).collect();
            }
            _ => {}
        }
        pcm.channels = self.channels;
        let fade = self.fade_frames();
        let faded = self.fade.min(pcm.frames());
        for (at, frame) in pcm
            .samples
            .chunks_mut(self.channels)
            .take(faded)
            .enumerate()
        {
            let part = 1.0 - (self.fade - at) as f32 / fade as f32;
            frame.iter_mut().for_each(|sample| *sample *= part);
        }
        self.fade -= faded;
        if let Some(last) = pcm.samples.rchunks_exact(self.channels).next() {
            self.last[..last.len()].copy_from_slice(last);
        }
        self.resample(&pcm.samples)
    }

    fn resample(&mut self, samples: &[f32]) -> Result<(), SoundError> {
        let before = self.waiting.len();
        self.resampler.push(samples, &mut self.waiting)?;
        let frames = (self.waiting.len() - before) / self.channels;
        self.clock.resampled += frames as u64;
        let skipped = self.clock.skip.min(self.waiting.len() / self.channels);
        self.waiting.drain(..skipped * self.channels);
        self.clock.skip -= skipped;
        Ok(())
    }

    /// Encodes the frames that are full.
    fn encode(&mut self, outputs: &mut VecDeque<Sound>) -> Result<(), SoundError> {
        let frame = self.encoder.frame();
        let mut done = 0;
        while let Some(samples) = self.waiting.get(done..done + frame * self.channels) {
            done += samples.len();
            outputs.push_back(Sound {
                codec: self.encoder.codec(),
                config: self.config.clone(),
                time: self.clock.encoded_time(),
                unit: self.encoder.encode(samples)?,
            });
            self.clock.encoded += frame as u64;
        }
        self.waiting.drain(..done);
        Ok(())
    }
}

impl Clock {
    fn new(rate: u32, origin: Duration, skip: usize) -> Self {
        Self {
            rate,
            origin,
            resampled: 0,
            encoded: 0,
            skip,
            drift: 0.0,
        }
    }

    /// Seconds from the end of what was counted, and of the frames that are still inside the
    /// resampler, to `time`.
    fn seconds_to(&self, time: Duration, inside: f64) -> f64 {
        let counted = (self.resampled as f64 + inside) / f64::from(self.rate);
        let time = match time.checked_sub(self.origin) {
            Some(after) => after.as_secs_f64(),
            None => -(self.origin - time).as_secs_f64(),
        };
        time - counted
    }

    /// Where the next frame that is encoded stands: what the encoder is late by was left out.
    fn encoded_time(&self) -> Duration {
        let nanos = u128::from(self.encoded) * 1_000_000_000 / u128::from(self.rate);
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        self.origin.saturating_add(Duration::from_nanos(nanos))
    }
}

#[cfg(test)]
mod tests;
