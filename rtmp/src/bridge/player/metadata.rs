//! `onMetaData`: what players are told of what they get (Adobe FLV 10.1 §E.5).

use bytes::Bytes;

use crate::amf0::{self, Value};
use crate::audio::AudioSpecificConfig;
use crate::bridge::h264::parameters::Parameters;
use crate::bridge::{Picture, Sound, vp8};
use crate::flv::{PictureCodec, SoundCodec, VideoBody};

/// What is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Described {
    picture: Option<(PictureCodec, Option<(u32, u32)>)>,
    sound: Option<(SoundCodec, Option<u32>)>,
}

/// A four-character code as metadata has it (Enhanced RTMP v2).
fn four_cc(code: [u8; 4]) -> f64 {
    f64::from(u32::from_be_bytes(code))
}

impl Described {
    pub(super) fn add_picture(&mut self, picture: &Picture) {
        let size = match VideoBody::parse(&picture.header) {
            Ok(VideoBody::Header(PictureCodec::H264, record)) => {
                let parameters = Parameters::parse_record(&record);
                let sps = parameters.and_then(|(parameters, _)| parameters.describe());
                sps.ok().map(|sps| (sps.width, sps.height))
            }
            _ => match VideoBody::parse(&picture.body) {
                Ok(VideoBody::Picture(coded)) => vp8::size(&coded.data),
                _ => None,
            },
        };
        self.picture = Some((picture.codec, size));
    }

    pub(super) fn add_sound(&mut self, sound: &Sound) {
        let rate = match sound.codec {
            SoundCodec::Aac => AudioSpecificConfig::parse(&sound.config)
                .ok()
                .map(|aac| aac.core_rate),
            SoundCodec::Opus => Some(48_000),
            SoundCodec::Pcmu | SoundCodec::Pcma => Some(8_000),
            SoundCodec::Speex => None,
        };
        self.sound = Some((sound.codec, rate));
    }

    /// The body of the tag.
    pub(super) fn write(&self) -> Bytes {
        let mut fields: Vec<(String, Value)> = Vec::new();
        let mut put = |name: &str, value: Value| fields.push((name.to_owned(), value));
        if let Some((codec, size)) = self.picture {
            let id = match codec {
                PictureCodec::H264 => 7.0,
                PictureCodec::Vp8 => four_cc(*b"vp08"),
            };
            put("videocodecid", Value::Number(id));
            if let Some((width, height)) = size {
                put("width", Value::Number(width.into()));
                put("height", Value::Number(height.into()));
            }
        }
        if let Some((codec, rate)) = self.sound {
            let id = match codec {
                SoundCodec::Aac => 10.0,
                SoundCodec::Opus => four_cc(*b"Opus"),
                SoundCodec::Pcmu => 8.0,
                SoundCodec::Pcma => 7.0,
                SoundCodec::Speex => 11.0,
            };
            put("audiocodecid", Value::Number(id));
            if let Some(rate) = rate {
                put("audiosamplerate", Value::Number(rate.into()));
            }
        }
        let mut body = Vec::new();
        amf0::write(&Value::from("onMetaData"), &mut body);
        amf0::write(&Value::Object(fields), &mut body);
        body.into()
    }
}
