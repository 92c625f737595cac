//! Samples to units of sound.

use bytes::Bytes;
use opus_pure::{Application, OpusEncoder};
use syom::EncodeOptions;

use super::g711::Law;
use super::{SoundError, Target, limits};
use crate::flv::SoundCodec;

/// What encodes one stream of sound, a frame at a time.
pub(super) enum Encoder {
    Opus(Box<OpusEncoder>),
    Aac(Box<AacEncoder>),
    G711(Law),
}

pub(super) struct AacEncoder {
    inner: syom::Encoder,
    planes: [Vec<f32>; 2],
}

/// A frame of AAC-LC; and by how much its encoder is late.
const AAC_FRAME: usize = 1024;

impl Encoder {
    pub(super) fn new(target: Target, channels: usize) -> Result<Self, SoundError> {
        match target {
            Target::Opus { bitrate } => {
                let inner = OpusEncoder::new(48_000, channels, Application::Audio);
                let mut inner = inner.map_err(|_| SoundError::Codec)?;
                inner.bitrate_bps = i32::try_from(bitrate).map_err(|_| SoundError::Codec)?;
                Ok(Self::Opus(Box::new(inner)))
            }
            Target::Aac { bitrate } => {
                let channel_bitrate = bitrate / 2;
                let bitrate = channel_bitrate * u32::try_from(channels).unwrap_or(1);
                let options = EncodeOptions::raw().with_bitrate_bps(bitrate);
                let inner = syom::Encoder::new(target.rate(), channels, &options);
                Ok(Self::Aac(Box::new(AacEncoder {
                    inner: inner.map_err(|_| SoundError::Codec)?,
                    planes: [Vec::new(), Vec::new()],
                })))
            }
            Target::Pcmu => Ok(Self::G711(Law::Mu)),
            Target::Pcma => Ok(Self::G711(Law::A)),
        }
    }

    pub(super) fn codec(&self) -> SoundCodec {
        match self {
            Self::Opus(_) => SoundCodec::Opus,
            Self::Aac(_) => SoundCodec::Aac,
            Self::G711(Law::Mu) => SoundCodec::Pcmu,
            Self::G711(Law::A) => SoundCodec::Pcma,
        }
    }

    /// What a decoder must know.
    pub(super) fn config(&self) -> Bytes {
        match self {
            Self::Aac(inner) => Bytes::copy_from_slice(inner.inner.asc()),
            Self::Opus(_) | Self::G711(_) => Bytes::new(),
        }
    }

    /// Samples of a frame, of one channel.
    pub(super) fn frame(&self) -> usize {
        match self {
            Self::Opus(_) => 960,
            Self::Aac(_) => AAC_FRAME,
            Self::G711(_) => 160,
        }
    }

    /// Samples by which what is decoded is later than what was encoded.
    pub(super) fn delay(&self) -> usize {
        match self {
            Self::Opus(inner) => inner.lookahead(),
            Self::Aac(_) => AAC_FRAME,
            Self::G711(_) => 0,
        }
    }

    /// Encodes a frame of interleaved samples.
    pub(super) fn encode(&mut self, samples: &[f32]) -> Result<Bytes, SoundError> {
        match self {
            Self::Opus(inner) => {
                let mut packet = [0; limits::OPUS_BYTES];
                let frames = samples.len() / inner.channels();
                let length = inner
                    .encode(samples, frames, &mut packet)
                    .map_err(|_| SoundError::Codec)?;
                Ok(Bytes::copy_from_slice(&packet[..length]))
            }
            Self::Aac(inner) => inner.encode(samples),
            Self::G711(law) => Ok(samples
                .iter()
                .map(|sample| law.compress((sample * 32_768.0).round() as i16))
                .collect()),
        }
    }
}

impl AacEncoder {
    fn encode(&mut self, samples: &[f32]) -> Result<Bytes, SoundError> {
        let channels = samples.len() / AAC_FRAME;
        let planes = self.planes.get_mut(..channels).ok_or(SoundError::Codec)?;
        for (channel, plane) in planes.iter_mut().enumerate() {
            plane.clear();
            // The encoder takes nothing that is louder.
            let samples = samples.iter().skip(channel).step_by(channels);
            plane.extend(samples.map(|sample| sample.clamp(-1.0, 1.0)));
        }
        let planes: Vec<&[f32]> = planes.iter().map(Vec::as_slice).collect();
        let mut unit = None;
        let fed = self.inner.feed(&planes, |frame| {
            unit = Some(Bytes::copy_from_slice(frame.payload));
            Ok(())
        });
        fed.map_err(|_| SoundError::Codec)?;
        unit.ok_or(SoundError::Codec)
    }
}
