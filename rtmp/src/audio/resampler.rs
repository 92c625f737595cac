//! From one rate of samples to another, a little faster or slower where clocks differ.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Adjustable, Async, FixedAsync, Resampler as _, SincInterpolationParameters, WindowFunction,
};

use super::{SoundError, limits};

/// Puts interleaved samples into another rate, and begins where they begin: the samples by which
/// the filter is late are left out in front.
///
/// As long as the rates are the same and nothing is to be trimmed, samples pass as they are.
pub(super) struct Resampler {
    rate_in: u32,
    rate_out: u32,
    channels: usize,
    filter: Option<Filter>,
    /// The latest samples that have passed as they are, to begin a filter with.
    recent: Vec<f32>,
}

struct Filter {
    inner: Async<f32>,
    /// Samples that wait to be enough.
    waiting: Vec<f32>,
    output: Vec<f32>,
    /// Frames to leave out.
    skip: usize,
    /// Frames by which the filter is late.
    delay: usize,
}

/// Frames that are filtered at once.
const CHUNK: usize = 64;
/// Frames that the filter looks at, at the lower of the two rates.
const LENGTH: u32 = 64;

impl Resampler {
    pub(super) fn new(rate_in: u32, rate_out: u32, channels: usize) -> Result<Self, SoundError> {
        let filter = (rate_in != rate_out)
            .then(|| Filter::new(rate_in, rate_out, channels))
            .transpose()?;
        Ok(Self {
            rate_in,
            rate_out,
            channels,
            filter,
            recent: Vec::new(),
        })
    }

    pub(super) fn rate_in(&self) -> u32 {
        self.rate_in
    }

    /// Whether samples pass as they are.
    pub(super) fn is_idle(&self) -> bool {
        self.filter.is_none()
    }

    /// Frames that are in it, at the rate that comes out.
    pub(super) fn frames_inside(&self) -> f64 {
        let Some(filter) = &self.filter else {
            return 0.0;
        };
        let waiting = filter.waiting.len() / self.channels;
        let ratio = f64::from(self.rate_out) / f64::from(self.rate_in);
        filter.delay as f64 - filter.skip as f64 + waiting as f64 * ratio
    }

    /// Makes what comes longer by this part of it, or shorter.
    pub(super) fn trim(&mut self, part: f64) -> Result<(), SoundError> {
        if self.filter.is_none() {
            let mut filter = Filter::new(self.rate_in, self.rate_out, self.channels)?;
            // What has passed is filtered again to fill the filter, and left out.
            filter.skip += self.recent.len() / self.channels;
            let mut nothing = Vec::new();
            filter.push(&self.recent, self.channels, &mut nothing)?;
            debug_assert!(nothing.is_empty(), "what has passed comes out again");
            self.recent = Vec::new();
            self.filter = Some(filter);
        }
        let part = part.clamp(-limits::TRIM, limits::TRIM);
        if let Some(filter) = &mut self.filter {
            let set = filter.inner.set_resample_ratio_relative(1.0 + part, true);
            set.map_err(|_| SoundError::Codec)?;
        }
        Ok(())
    }

    /// Filters interleaved samples into `output`.
    pub(super) fn push(
        &mut self,
        samples: &[f32],
        output: &mut Vec<f32>,
    ) -> Result<(), SoundError> {
        let Some(filter) = &mut self.filter else {
            output.extend_from_slice(samples);
            let kept = 2 * LENGTH as usize * self.channels;
            self.recent.extend_from_slice(samples);
            self.recent.drain(..self.recent.len().saturating_sub(kept));
            return Ok(());
        };
        filter.push(samples, self.channels, output)
    }
}

impl Filter {
    fn new(rate_in: u32, rate_out: u32, channels: usize) -> Result<Self, SoundError> {
        let length = LENGTH * rate_in.div_ceil(rate_out);
        let parameters =
            SincInterpolationParameters::new(length as usize, WindowFunction::BlackmanHarris2);
        let ratio = f64::from(rate_out) / f64::from(rate_in);
        let most = 1.0 + 2.0 * limits::TRIM;
        let input = FixedAsync::Input;
        let inner = Async::new_sinc(ratio, most, &parameters, CHUNK, channels, input)
            .map_err(|_| SoundError::Codec)?;
        let delay = inner.output_delay();
        Ok(Self {
            output: vec![0.0; inner.output_frames_max() * channels],
            inner,
            waiting: Vec::new(),
            skip: delay,
            delay,
        })
    }

    fn push(
        &mut self,
        samples: &[f32],
        channels: usize,
        output: &mut Vec<f32>,
    ) -> Result<(), SoundError> {
        self.waiting.extend_from_slice(samples);
        let mut done = 0;
        while let Some(chunk) = self.waiting.get(done..done + CHUNK * channels) {
            done += chunk.len();
            let room = self.output.len() / channels;
            let chunk =
                InterleavedSlice::new(chunk, channels, CHUNK).map_err(|_| SoundError::Codec)?;
            let mut filtered = InterleavedSlice::new_mut(&mut self.output, channels, room)
                .map_err(|_| SoundError::Codec)?;
            let (_, frames) = self
                .inner
                .process_into_buffer(&chunk, &mut filtered, None)
                .map_err(|_| SoundError::Codec)?;
            let skipped = frames.min(self.skip);
            self.skip -= skipped;
            output.extend_from_slice(&self.output[skipped * channels..frames * channels]);
        }
        self.waiting.drain(..done);
        Ok(())
    }
}
