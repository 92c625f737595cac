//! AudioSpecificConfig: what describes a stream of AAC (ISO/IEC 14496-3 §1.6.2.1).

use super::limits;

/// What an AudioSpecificConfig says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioSpecificConfig {
    /// Samples a second of the AAC-LC part.
    pub core_rate: u32,
    /// Channels; 0 if an element in the stream or in the configuration lists them.
    pub channels: u8,
    /// What is said of a part that adds the upper frequencies.
    pub sbr: Sbr,
    /// Samples of a frame of the AAC-LC part: 1024 or 960.
    pub frame: u16,
}

/// What is said of spectral band replication, which makes HE-AAC of AAC-LC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sbr {
    /// Nothing: it is seen in the frames (§1.6.5.3, implicit signalling).
    Unsaid,
    /// There is none.
    No,
    /// There is, for this rate.
    Yes {
        /// Samples a second of what is decoded.
        rate: u32,
        /// Whether two channels are made of one (HE-AAC v2).
        parametric_stereo: bool,
    },
}

/// Why a stream of AAC is not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadConfig {
    /// It ends in the middle, or is too long.
    #[error("the description of the AAC sound is malformed")]
    Malformed,
    /// A sort of MPEG-4 audio other than AAC-LC and HE-AAC.
    #[error("MPEG-4 audio of type {0} is not decoded; set the encoder to AAC-LC")]
    ObjectType(u8),
    /// No rate, or one of the reserved ones.
    #[error("AAC of this sample rate is not decoded; set the encoder to 44.1 or 48 kHz")]
    Rate,
    /// A reserved configuration of channels.
    #[error("AAC of these channels is not decoded; set the encoder to stereo")]
    Channels,
}

/// Audio object types (table 1.17).
const LC: u8 = 2;
const SBR: u8 = 5;
const PS: u8 = 29;
/// Behind it, six more bits.
const ESCAPE: u8 = 31;

/// Sampling frequencies by their index (table 1.18).
const RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];
/// The index behind which the frequency is written out.
const ESCAPED_RATE: u32 = 15;

/// `syncExtensionType` of what is appended about SBR and about parametric stereo (table 1.15).
const SBR_FOLLOWS: u32 = 0x2b7;
const PS_FOLLOWS: u32 = 0x548;

impl AudioSpecificConfig {
    /// Reads a configuration. What is appended to one of AAC-LC may be cut off or wrong: encoders
    /// append it, decoders did not look at it for long.
    ///
    /// # Errors
    /// A sentence for the user of the encoder.
    pub fn parse(data: &[u8]) -> Result<Self, BadConfig> {
        if data.len() > limits::CONFIG_BYTES {
            return Err(BadConfig::Malformed);
        }
        let mut bits = Bits { data, at: 0 };
        let mut object = object_type(&mut bits)?;
        let core_rate = rate(&mut bits)?;
        let channels = bits.read(4)? as u8;
        let mut sbr = Sbr::Unsaid;
        if object == SBR || object == PS {
            sbr = Sbr::Yes {
                rate: rate(&mut bits)?,
                parametric_stereo: object == PS,
            };
            object = object_type(&mut bits)?;
        }
        if object != LC {
            return Err(BadConfig::ObjectType(object));
        }
        if channels > 7 && channels != 11 && channels != 12 && channels != 14 {
            return Err(BadConfig::Channels);
        }
        let frame = if bits.read(1)? == 1 { 960 } else { 1024 };
        if bits.read(1)? == 1 {
            // coreCoderDelay
            bits.read(14)?;
        }
        // extensionFlag: nothing follows for this object type.
        bits.read(1)?;
        // With channels in a program config element, what is appended stands behind it.
        if sbr == Sbr::Unsaid && channels != 0 {
            sbr = appended(&mut bits, core_rate);
        }
        if let Sbr::Yes { rate, .. } = sbr
            && rate != core_rate
            && rate != core_rate * 2
        {
            return Err(BadConfig::Rate);
        }
        Ok(Self {
            core_rate,
            channels,
            sbr,
            frame,
        })
    }

    /// A configuration that says the same in the plainest words. `None` if the channels are not
    /// known from it.
    pub fn write(&self) -> Option<Vec<u8>> {
        let index = |rate| RATES.iter().position(|known| *known == rate);
        let core = u64::try_from(index(self.core_rate)?).ok()?;
        let channels = u64::from(self.channels);
        let short = u64::from(self.frame == 960);
        if channels == 0 {
            return None;
        }
        let (bits, length) = match self.sbr {
            Sbr::Unsaid | Sbr::No => {
                let head = u64::from(LC) << 11 | core << 7 | channels << 3;
                (head | short << 2, 16)
            }
            Sbr::Yes {
                rate,
                parametric_stereo,
            } => {
                let object = u64::from(if parametric_stereo { PS } else { SBR });
                let extended = u64::try_from(index(rate)?).ok()?;
                let head = object << 27 | core << 23 | channels << 19 | extended << 15;
                (head | u64::from(LC) << 10 | short << 9, 32)
            }
        };
        Some(bits.to_be_bytes()[8 - length / 8..].to_vec())
    }
}

/// What is appended to a configuration of AAC-LC about SBR. ffmpeg appends `56 e5 00`: none.
fn appended(bits: &mut Bits<'_>, core_rate: u32) -> Sbr {
    let mut read = || {
        if bits.read(11)? != SBR_FOLLOWS || object_type(bits)? != SBR {
            return Ok(Sbr::Unsaid);
        }
        if bits.read(1)? == 0 {
            return Ok(Sbr::No);
        }
        let rate = rate(bits)?;
        let parametric_stereo = bits.read(11) == Ok(PS_FOLLOWS) && bits.read(1) == Ok(1);
        Ok::<_, BadConfig>(Sbr::Yes {
            rate,
            parametric_stereo,
        })
    };
    match read() {
        Ok(Sbr::Yes { rate, .. }) if rate != core_rate && rate != core_rate * 2 => Sbr::Unsaid,
        Ok(sbr) => sbr,
        Err(_) => Sbr::Unsaid,
    }
}

fn object_type(bits: &mut Bits<'_>) -> Result<u8, BadConfig> {
    let object = bits.read(5)? as u8;
    if object == ESCAPE {
        return Ok(32 + bits.read(6)? as u8);
    }
    Ok(object)
}

fn rate(bits: &mut Bits<'_>) -> Result<u32, BadConfig> {
    let index = bits.read(4)?;
    if index == ESCAPED_RATE {
        // The tables of the decoder go by the index: only rates that have one are decoded.
        let rate = bits.read(24)?;
        return Some(rate)
            .filter(|rate| RATES.contains(rate))
            .ok_or(BadConfig::Rate);
    }
    let index = usize::try_from(index).map_err(|_| BadConfig::Rate)?;
    RATES.get(index).copied().ok_or(BadConfig::Rate)
}

struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// Up to 24 bits.
    fn read(&mut self, count: usize) -> Result<u32, BadConfig> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.data.get(self.at / 8).ok_or(BadConfig::Malformed)?;
            let bit = byte >> (7 - self.at % 8) & 1;
            value = value << 1 | u32::from(bit);
            self.at += 1;
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(data: &[u8]) -> AudioSpecificConfig {
        AudioSpecificConfig::parse(data).unwrap()
    }

    #[test]
    fn a_plain_configuration_is_read_and_written_alike() {
        for (data, core_rate, channels) in [
            ([0x11, 0x90], 48_000, 2),
            ([0x12, 0x10], 44_100, 2),
            ([0x12, 0x08], 44_100, 1),
            ([0x15, 0x88], 8_000, 1),
        ] {
            let config = parsed(&data);
            assert_eq!((config.core_rate, config.channels), (core_rate, channels));
            assert_eq!(config.sbr, Sbr::Unsaid);
            assert_eq!(config.write().unwrap(), data);
        }
    }

    #[test]
    fn what_ffmpeg_appends_says_that_there_is_no_sbr() {
        let config = parsed(&[0x12, 0x08, 0x56, 0xe5, 0x00]);
        assert_eq!(config.sbr, Sbr::No);
        assert_eq!(config.write().unwrap(), [0x12, 0x08]);
    }

    #[test]
    fn he_aac_is_recognised_however_it_is_said() {
        let yes = |parametric_stereo| Sbr::Yes {
            rate: 48_000,
            parametric_stereo,
        };
        // Explicit, as the first object type, and appended.
        assert_eq!(parsed(&[0x2b, 0x11, 0x88, 0x00]).sbr, yes(false));
        assert_eq!(parsed(&[0xeb, 0x09, 0x88, 0x00]).sbr, yes(true));
        assert_eq!(parsed(&[0x13, 0x10, 0x56, 0xe5, 0x98]).sbr, yes(false));
        let appended = [0x13, 0x08, 0x56, 0xe5, 0x9d, 0x48, 0x80];
        assert_eq!(parsed(&appended).sbr, yes(true));
        assert_eq!(parsed(&appended).write().unwrap(), [0xeb, 0x09, 0x88, 0]);
    }

    #[test]
    fn a_wrong_rate_that_is_appended_is_not_believed() {
        assert_eq!(parsed(&[0x13, 0x10, 0x56, 0xe5, 0xa0]).sbr, Sbr::Unsaid);
    }

    #[test]
    fn what_is_not_decoded_is_refused_in_words() {
        // AAC Main, then AAC-ELD, xHE-AAC; a reserved rate; nothing; too much.
        let refused = |data: &[u8]| AudioSpecificConfig::parse(data).unwrap_err();
        assert_eq!(refused(&[0x09, 0x90]), BadConfig::ObjectType(1));
        assert_eq!(refused(&[0xf8, 0xe8, 0x50]), BadConfig::ObjectType(39));
        assert_eq!(refused(&[0xf9, 0x48, 0x40]), BadConfig::ObjectType(42));
        assert_eq!(refused(&[0x16, 0x90]), BadConfig::Rate);
        assert_eq!(refused(&[]), BadConfig::Malformed);
        assert_eq!(refused(&[0x11]), BadConfig::Malformed);
        assert_eq!(refused(&[0x11; 600]), BadConfig::Malformed);
    }

    #[test]
    fn what_is_written_is_read_alike_whatever_comes_in() {
        for first in 0..=u16::MAX {
            let [a, b] = first.to_be_bytes();
            for tail in [&[][..], &[0x56, 0xe5, 0x98], &[0x88, 0x00], &[0xff; 7]] {
                let data = [&[a, b], tail].concat();
                let Ok(config) = AudioSpecificConfig::parse(&data) else {
                    continue;
                };
                if let Some(written) = config.write() {
                    let again = parsed(&written);
                    let unsaid = config.sbr == Sbr::No && again.sbr == Sbr::Unsaid;
                    assert!(
                        again
                            == AudioSpecificConfig {
                                sbr: again.sbr,
                                ..config
                            }
                    );
                    assert!(unsaid || again.sbr == config.sbr, "{data:02x?}");
                }
            }
        }
    }
}
