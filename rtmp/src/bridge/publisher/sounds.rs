//! From the audio tags of an encoder to packets, or to units for the transcoder.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parlor_core::limits::MEDIA_PAYLOAD;
use parlor_core::{AudioCodec, MediaKind};

use super::{Item, Refusal};
use crate::audio::AudioSpecificConfig;
use crate::bridge::timeline::Samples;
use crate::bridge::{G711_CLOCK, OPUS_CLOCK, Packet, Sound, limits, opus, ticks};
use crate::flv::{Malformed, SoundCodec};

/// Samples of a packet of 20 ms (RFC 3551 §4.2).
const G711_PACKET: usize = 160;

/// The sound of an encoder.
#[derive(Debug, Default)]
pub(super) struct Sounds {
    codec: Option<SoundCodec>,
    config: Bytes,
    /// What the units of AAC are.
    aac: Option<AudioSpecificConfig>,
    samples: Option<Samples>,
    /// Samples of G.711 that do not fill a packet, and the time of the first one.
    rest: BytesMut,
    rest_time: Duration,
}

impl Sounds {
    /// The codec in which the room gets it, once it is known.
    pub(super) fn codec(&self) -> Option<AudioCodec> {
        Some(match self.codec? {
            SoundCodec::Pcmu => AudioCodec::Pcmu,
            SoundCodec::Pcma => AudioCodec::Pcma,
            SoundCodec::Aac | SoundCodec::Opus | SoundCodec::Speex => AudioCodec::Opus,
        })
    }

    /// Takes what a decoder must know beforehand.
    ///
    /// # Errors
    /// A sentence for the encoder's user, where the sound cannot be passed on.
    pub(super) fn describe(&mut self, codec: SoundCodec, config: Bytes) -> Result<(), Refusal> {
        match codec {
            SoundCodec::Aac => {
                let config = AudioSpecificConfig::parse(&config);
                self.aac = Some(config.map_err(Refusal::Sound)?);
            }
            // More channels than RTP has (RFC 7587 §4.2).
            SoundCodec::Opus if opus::channels(&config).is_none_or(|channels| channels > 2) => {
                return Err(Refusal::SoundCodec("Opus of more than two channels"));
            }
            SoundCodec::Opus | SoundCodec::Pcmu | SoundCodec::Pcma | SoundCodec::Speex => {}
        }
        self.begin(codec);
        self.config = config;
        Ok(())
    }

    fn begin(&mut self, codec: SoundCodec) {
        if self.codec != Some(codec) {
            self.config = Bytes::new();
            self.rest.clear();
        }
        self.codec = Some(codec);
        self.samples = None;
    }

    /// Takes a unit that is stamped with a time, and appends what comes of it.
    pub(super) fn push(
        &mut self,
        codec: SoundCodec,
        stamp: Duration,
        unit: Bytes,
        items: &mut Vec<Item>,
    ) -> Result<(), Malformed> {
        if unit.is_empty() {
            return Ok(());
        }
        if unit.len() > limits::SOUND_BYTES {
            return Err(Malformed);
        }
        if self.codec != Some(codec) {
            if codec == SoundCodec::Aac {
                // Nothing decodes it without what describes it.
                return Err(Malformed);
            }
            self.begin(codec);
        }
        let counted = match codec {
            SoundCodec::Aac => self.aac.map(|aac| (aac.frame.into(), aac.core_rate)),
            SoundCodec::Opus => Some((opus::samples(&unit).ok_or(Malformed)?, OPUS_CLOCK)),
            SoundCodec::Pcmu | SoundCodec::Pcma => Some((unit.len() as u32, G711_CLOCK)),
            SoundCodec::Speex => None,
        };
        let time = match counted {
            Some((count, rate)) => {
                let samples = &mut self.samples;
                let samples = samples.get_or_insert_with(|| Samples::new(rate, stamp));
                samples.place(stamp, count)
            }
            None => Some(stamp),
        };
        let Some(time) = time else {
            return Ok(());
        };
        match codec {
            SoundCodec::Pcmu | SoundCodec::Pcma => self.push_g711(time, &unit, items),
            SoundCodec::Opus if unit.len() > MEDIA_PAYLOAD => return Err(Malformed),
            SoundCodec::Opus => items.push(Item::Packets(vec![Packet::opus(time, unit)])),
            SoundCodec::Aac | SoundCodec::Speex => {
                items.push(Item::Sound(Sound {
                    codec,
                    config: self.config.clone(),
                    time,
                    unit,
                }));
            }
        }
        Ok(())
    }

    /// Encoders cut it as it comes; players expect 20 ms.
    fn push_g711(&mut self, time: Duration, unit: &[u8], items: &mut Vec<Item>) {
        let goes_on = self.rest_time + g711_duration(self.rest.len());
        if self.rest.is_empty() || goes_on.abs_diff(time) > g711_duration(1) {
            self.rest.clear();
            self.rest_time = time;
        }
        self.rest.extend_from_slice(unit);
        while self.rest.len() >= G711_PACKET {
            let payload = self.rest.split_to(G711_PACKET).freeze();
            items.push(Item::Packets(vec![Packet {
                kind: MediaKind::Audio,
                timestamp: ticks(self.rest_time, G711_CLOCK),
                marker: false,
                time: self.rest_time,
                payload,
            }]));
            self.rest_time += g711_duration(G711_PACKET);
        }
    }
}

fn g711_duration(samples: usize) -> Duration {
    Duration::from_nanos(samples as u64 * 1_000_000_000 / u64::from(G711_CLOCK))
}
