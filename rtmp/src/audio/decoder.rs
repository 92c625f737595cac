//! Units of sound to samples.

use bytes::Bytes;
use opus_pure::OpusDecoder;
use oxideav_speex::{DecodedFrame, PacketFrames, SpeexDecoder};
use syom::{Channel, DecodeOptions};

use super::asc::AudioSpecificConfig;
use super::g711::Law;
use super::{SoundError, limits};
use crate::flv::SoundCodec;

/// Interleaved samples, between -1 and 1 as long as nothing is too loud.
#[derive(Debug, Default)]
pub(super) struct Pcm {
    /// Frames a second.
    pub(super) rate: u32,
    /// One or two.
    pub(super) channels: usize,
    pub(super) samples: Vec<f32>,
}

impl Pcm {
    pub(super) fn frames(&self) -> usize {
        self.samples.len() / self.channels.max(1)
    }

    fn clear(&mut self, rate: u32, channels: usize) {
        self.rate = rate;
        self.channels = channels;
        self.samples.clear();
    }
}

/// What decodes one stream of sound.
pub(super) enum Decoder {
    Aac(Box<AacDecoder>),
    Opus(Box<OpusDecoder>),
    G711(Law),
    Speex(Box<SpeexDecoder>),
}

pub(super) struct AacDecoder {
    inner: syom::Decoder,
    config: Vec<u8>,
}

/// Opus has two channels when it is decoded, whatever a packet has.
const OPUS_CHANNELS: usize = 2;
const OPUS_RATE: u32 = 48_000;
/// The shortest frame of Opus: what is guessed is a multiple of it.
const OPUS_SHORTEST: usize = 120;
/// The longest packet of Opus.
const OPUS_LONGEST: usize = 5760;
/// Samples a second of Speex: wideband, as FLV has it, and narrowband.
const SPEEX_RATES: [u32; 2] = [16_000, 8_000];

impl Decoder {
    pub(super) fn new(codec: SoundCodec, config: &Bytes) -> Result<Self, SoundError> {
        match codec {
            SoundCodec::Aac => AacDecoder::new(config).map(|inner| Self::Aac(Box::new(inner))),
            SoundCodec::Opus => {
                let inner = OpusDecoder::new(OPUS_RATE as i32, OPUS_CHANNELS);
                let inner = inner.map_err(|_| SoundError::Codec)?;
                Ok(Self::Opus(Box::new(inner)))
            }
            SoundCodec::Pcmu => Ok(Self::G711(Law::Mu)),
            SoundCodec::Pcma => Ok(Self::G711(Law::A)),
            SoundCodec::Speex => Ok(Self::Speex(Box::default())),
        }
    }

    /// Whether the times of what it decodes are counts of its samples.
    pub(super) fn counts(&self) -> bool {
        match self {
            Self::Aac(_) | Self::Speex(_) => false,
            Self::Opus(_) | Self::G711(_) => true,
        }
    }

    /// Decodes a unit into `pcm`, whose content is lost.
    pub(super) fn decode(&mut self, unit: &[u8], pcm: &mut Pcm) -> Result<(), SoundError> {
        match self {
            Self::Aac(inner) => inner.decode(unit, pcm),
            Self::Opus(inner) => {
                pcm.clear(OPUS_RATE, OPUS_CHANNELS);
                pcm.samples.resize(OPUS_LONGEST * OPUS_CHANNELS, 0.0);
                let frames = inner
                    .decode(unit, OPUS_LONGEST, &mut pcm.samples)
                    .map_err(|_| SoundError::Undecodable)?;
                pcm.samples.truncate(frames * OPUS_CHANNELS);
                Ok(())
            }
            Self::G711(law) => {
                pcm.clear(8_000, 1);
                let samples = unit.iter().map(|code| f32::from(law.expand(*code)));
                pcm.samples.extend(samples.map(|sample| sample / 32_768.0));
                Ok(())
            }
            Self::Speex(inner) => {
                if PacketFrames::new(unit).nth(limits::SPEEX_FRAMES).is_some() {
                    return Err(SoundError::Undecodable);
                }
                let frames = inner.decode_packet(unit);
                take_speex(&frames.map_err(|_| SoundError::Undecodable)?, pcm)
            }
        }
    }

    /// Guesses up to this many frames of lost sound into `pcm`, whose content is lost; fewer where
    /// there is nothing to go by. `next` is the unit behind them, if it is there: Opus may have a
    /// part of the last one in it.
    pub(super) fn conceal(&mut self, frames: usize, next: Option<&[u8]>, pcm: &mut Pcm) {
        let Self::Opus(inner) = self else {
            pcm.samples.clear();
            return;
        };
        pcm.clear(OPUS_RATE, OPUS_CHANNELS);
        let spare = next
            .and_then(|unit| opus_pure::packet::samples_per_frame(unit, OPUS_RATE as i32).ok())
            .filter(|spare| *spare <= frames);
        let mut left = frames - frames % OPUS_SHORTEST;
        while left > 0 {
            let at = pcm.samples.len();
            let is_last = spare.is_some_and(|spare| left <= spare);
            let most = OPUS_LONGEST / 6;
            let count = match spare {
                Some(spare) if !is_last => most.min(left - spare),
                _ => most.min(left),
            };
            pcm.samples.resize(at + count * OPUS_CHANNELS, 0.0);
            let room = &mut pcm.samples[at..];
            let guessed = match next {
                Some(unit) if is_last => inner.decode_fec(unit, count, room),
                _ => inner.decode(&[], count, room),
            };
            if guessed.ok() != Some(count) {
                pcm.samples.truncate(at);
                return;
            }
            left -= count;
        }
    }
}

impl AacDecoder {
    fn new(config: &[u8]) -> Result<Self, SoundError> {
        let parsed = AudioSpecificConfig::parse(config)?;
        // In our words, so that what else is said in theirs confuses nobody.
        let config = parsed.write().unwrap_or_else(|| config.to_vec());
        let inner = syom::Decoder::from_asc(&config, DecodeOptions::unbounded());
        Ok(Self {
            inner: inner.map_err(|_| SoundError::Config)?,
            config,
        })
    }

    fn decode(&mut self, unit: &[u8], pcm: &mut Pcm) -> Result<(), SoundError> {
        pcm.clear(0, 0);
        let decoded = self.inner.decode_au(unit, |frame| {
            take_frame(&frame, pcm);
            Ok(())
        });
        if decoded.is_err() {
            // It takes nothing else after an error.
            self.inner.reset();
            let begun = self.inner.set_asc(&self.config);
            begun.map_err(|_| SoundError::Codec)?;
        }
        let rate_is_known = limits::RATES.contains(&pcm.rate);
        if decoded.is_err() || !rate_is_known || pcm.samples.is_empty() {
            return Err(SoundError::Undecodable);
        }
        Ok(())
    }
}

/// Puts the frames of a packet into `pcm`, as far as they are of one rate.
fn take_speex(frames: &[DecodedFrame], pcm: &mut Pcm) -> Result<(), SoundError> {
    let [wide, narrow] = SPEEX_RATES;
    pcm.clear(0, 1);
    for frame in frames {
        let (rate, samples) = match frame {
            DecodedFrame::Wideband { wideband_pcm, .. } => (wide, &wideband_pcm[..]),
            DecodedFrame::Narrowband(samples) => (narrow, &samples[..]),
            DecodedFrame::Control(_) => continue,
        };
        if pcm.samples.is_empty() {
            pcm.rate = rate;
        }
        if pcm.rate == rate {
            let samples = samples.iter().map(|sample| (sample / 32_768.0) as f32);
            pcm.samples.extend(samples);
        }
    }
    match pcm.samples.is_empty() {
        true => Err(SoundError::Undecodable),
        false => Ok(()),
    }
}

/// Appends a frame to `pcm`, as one channel or two.
fn take_frame(frame: &syom::Frame<'_>, pcm: &mut Pcm) {
    let planes = frame.planar;
    let channels = planes.len().min(2);
    if channels == 0 || (!pcm.samples.is_empty() && pcm.channels != channels) {
        return;
    }
    pcm.rate = frame.sample_rate;
    pcm.channels = channels;
    if let [left, right] = planes {
        let frames = left.iter().zip(right.iter());
        pcm.samples.extend(frames.flat_map(|(l, r)| [*l, *r]));
        return;
    }
    if let [mono] = planes {
        pcm.samples.extend_from_slice(mono);
        return;
    }
    let weights: Vec<[f32; 2]> = frame.meta.labels().map(weights).collect();
    let sum = weights
        .iter()
        .fold([0.0_f32; 2], |[l, r], w| [l + w[0], r + w[1]]);
    let scale = 1.0 / sum[0].max(sum[1]).max(1.0);
    for at in 0..frame.samples {
        let mut mixed = [0.0; 2];
        for (plane, weight) in planes.iter().zip(&weights) {
            let sample = plane.get(at).copied().unwrap_or_default() * scale;
            mixed[0] += sample * weight[0];
            mixed[1] += sample * weight[1];
        }
        pcm.samples.extend(mixed);
    }
}

/// How much of a channel is heard left and right (ITU-R BS.775-3, annex 4).
fn weights(channel: Channel) -> [f32; 2] {
    const HALF: f32 = std::f32::consts::FRAC_1_SQRT_2;
    match channel {
        Channel::FrontLeft => [1.0, 0.0],
        Channel::FrontRight => [0.0, 1.0],
        Channel::BackLeft | Channel::SideLeft => [HALF, 0.0],
        Channel::BackRight | Channel::SideRight => [0.0, HALF],
        Channel::Lfe => [0.0, 0.0],
        Channel::FrontCenter | Channel::BackCenter | Channel::Other | _ => [HALF, HALF],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of the shortest submode, the end of them behind (RFC 5574 §4.2, Speex manual §9.1).
    fn speex(frames: usize) -> Vec<u8> {
        let mut bits = "0".to_owned() + "0001" + &"0".repeat(38);
        bits = bits.repeat(frames) + "01111";
        let bytes = bits.as_bytes().chunks(8);
        let byte = |bits: &[u8]| {
            (0..8).fold(0, |byte, at| {
                byte << 1 | u8::from(bits.get(at) == Some(&b'1'))
            })
        };
        bytes.map(byte).collect()
    }

    #[test]
    fn a_unit_of_speex_is_a_second_at_most() {
        let mut decoder = Decoder::new(SoundCodec::Speex, &Bytes::new()).unwrap();
        let mut pcm = Pcm::default();
        decoder.decode(&speex(50), &mut pcm).unwrap();
        assert_eq!((pcm.rate, pcm.frames()), (8_000, 8_000));
        let more = speex(51);
        assert!(more.len() < 300);
        assert!(decoder.decode(&more, &mut pcm).is_err());
    }
}
