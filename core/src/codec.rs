//! Codecs as offers name them, and which of them fit together.

use crate::config::{AudioCodec, VideoCodec};
use crate::request::MediaKind;

/// A codec with the parameters that decide whether two sides can talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Codec {
    Opus,
    Pcmu,
    Pcma,
    Vp8,
    H264(H264),
}

/// The parameters of H.264 (RFC 6184 §8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct H264 {
    /// `profile-level-id`: profile_idc, profile-iop and level_idc, a byte each.
    pub(crate) profile_level_id: u32,
    /// `packetization-mode` 1 (fragments and aggregates), as opposed to 0 (whole NAL units).
    pub(crate) fragments: bool,
}

/// What a decoder must be able to do, in the order of growing demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Profile {
    ConstrainedBaseline,
    /// What encoders that declare it send is constrained baseline in practice: none uses
    /// flexible macroblock order, and browsers' decoders take either for the other.
    Baseline,
    Main,
    High,
    /// High 10, 4:2:2, 4:4:4 …: only ever equal to itself.
    Other(u8),
}

impl H264 {
    fn profile(self) -> Profile {
        let [_, idc, iop, _] = self.profile_level_id.to_be_bytes();
        // profile-iop: constraint_set1 with profile_idc 66 is constrained baseline (RFC 6184
        // table 5); constraint_set0 with main or extended says the same of the stream.
        match (idc, iop & 0x40 != 0, iop & 0x80 != 0) {
            (0x42, true, _) | (0x4d, _, true) => Profile::ConstrainedBaseline,
            (0x42, false, _) => Profile::Baseline,
            (0x4d, _, false) => Profile::Main,
            (0x64, _, _) => Profile::High,
            (other, _, _) => Profile::Other(other),
        }
    }

    /// How well a decoder that offers `self` plays `sent`: `None` not at all, less is better.
    fn plays(self, sent: Self) -> Option<u32> {
        let (mine, theirs) = (self.profile(), sent.profile());
        let profile = match (mine, theirs) {
            _ if mine == theirs => 0,
            (Profile::Other(_), _) | (_, Profile::Other(_)) => return None,
            (Profile::ConstrainedBaseline, Profile::Baseline) => 1,
            _ if mine > theirs => 2,
            // Browsers offer less than they decode, some nothing but constrained baseline; and an
            // encoder cannot be asked for less.
            _ => 16,
        };
        // A receiver of fragments takes whole NAL units as well; not the other way round.
        let mode = match (self.fragments, sent.fragments) {
            (true, true) | (false, false) => 0,
            (true, false) => 4,
            (false, true) => return None,
        };
        Some(profile + mode)
    }

    /// Which of several offered variants a publisher is to send: the one that most decoders play.
    fn publish_rank(self) -> u32 {
        let profile = match self.profile() {
            Profile::ConstrainedBaseline => 0,
            Profile::Baseline => 1,
            Profile::Main => 2,
            Profile::High => 3,
            Profile::Other(_) => 4,
        };
        profile + if self.fragments { 0 } else { 8 }
    }
}

impl Codec {
    /// Sound or picture.
    pub(crate) fn kind(self) -> MediaKind {
        match self {
            Self::Opus | Self::Pcmu | Self::Pcma => MediaKind::Audio,
            Self::Vp8 | Self::H264(_) => MediaKind::Video,
        }
    }

    /// The codec of sound that it is, if it is one.
    pub(crate) fn audio(self) -> Option<AudioCodec> {
        match self {
            Self::Opus => Some(AudioCodec::Opus),
            Self::Pcmu => Some(AudioCodec::Pcmu),
            Self::Pcma => Some(AudioCodec::Pcma),
            Self::Vp8 | Self::H264(_) => None,
        }
    }

    /// The codec of a picture that it is, if it is one.
    pub(crate) fn video(self) -> Option<VideoCodec> {
        match self {
            Self::Vp8 => Some(VideoCodec::Vp8),
            Self::H264(_) => Some(VideoCodec::H264),
            Self::Opus | Self::Pcmu | Self::Pcma => None,
        }
    }

    /// Ticks of the RTP timestamp in a second.
    pub(crate) fn clock_rate(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::Pcmu | Self::Pcma => 8_000,
            Self::Vp8 | Self::H264(_) => 90_000,
        }
    }

    /// How well a receiver that offers `self` plays `sent`: `None` not at all, less is better.
    pub(crate) fn plays(self, sent: Self) -> Option<u32> {
        match (self, sent) {
            (Self::H264(mine), Self::H264(theirs)) => mine.plays(theirs),
            _ => (self == sent).then_some(0),
        }
    }

    /// Where `self` stands among the variants of the codec that a publisher offers; `None` for
    /// another codec.
    pub(crate) fn video_rank(self, wanted: VideoCodec) -> Option<u32> {
        match (self, wanted) {
            (Self::Vp8, VideoCodec::Vp8) => Some(0),
            (Self::H264(h264), VideoCodec::H264) => Some(h264.publish_rank()),
            (Self::Opus | Self::Pcmu | Self::Pcma | Self::Vp8 | Self::H264(_), _) => None,
        }
    }

    /// As [`Codec::video_rank`], for sound.
    pub(crate) fn audio_rank(self, wanted: AudioCodec) -> Option<u32> {
        let same = matches!(
            (self, wanted),
            (Self::Opus, AudioCodec::Opus)
                | (Self::Pcmu, AudioCodec::Pcmu)
                | (Self::Pcma, AudioCodec::Pcma)
        );
        same.then_some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn h264(profile_level_id: u32, fragments: bool) -> Codec {
        Codec::H264(H264 {
            profile_level_id,
            fragments,
        })
    }

    #[test]
    fn a_decoder_plays_its_profile_and_lesser_ones_and_greater_ones_if_need_be() {
        let (cb, base, main, high) = (0x42_e01f, 0x42_001f, 0x4d_001f, 0x64_001f);
        assert_eq!(h264(cb, true).plays(h264(cb, true)), Some(0));
        assert_eq!(h264(cb, true).plays(h264(base, true)), Some(1));
        assert_eq!(h264(high, true).plays(h264(main, true)), Some(2));
        assert_eq!(h264(main, true).plays(h264(high, true)), Some(16));
        assert_eq!(h264(cb, true).plays(h264(0xf4_001f, true)), None);
        assert_eq!(h264(0xf4_001f, true).plays(h264(cb, true)), None);
        assert_eq!(Codec::Vp8.plays(h264(cb, true)), None);
    }

    #[test]
    fn a_receiver_of_whole_nal_units_takes_no_fragments() {
        assert_eq!(h264(0x42_e01f, false).plays(h264(0x42_e01f, true)), None);
        assert_eq!(h264(0x42_e01f, true).plays(h264(0x42_e01f, false)), Some(4));
    }
}
