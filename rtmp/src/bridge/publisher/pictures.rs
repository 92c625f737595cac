//! From the video tags of an encoder to packets.

use std::time::Duration;

use bytes::Bytes;
use parlor_core::{MediaKind, VideoFormat};

use super::BFrames;
use crate::bridge::h264::parameters::Parameters;
use crate::bridge::h264::sps::Reorder;
use crate::bridge::h264::{self, payloads};
use crate::bridge::{Packet, limits, ticks, timeline, vp8};
use crate::flv::{CodedPicture, Malformed, PictureCodec};

/// Ticks of a picture's timestamps in a second.
const CLOCK: u32 = 90_000;

/// The picture of an encoder.
#[derive(Debug)]
pub(super) struct Pictures {
    b_frames: BFrames,
    coding: Option<Coding>,
    /// When the latest picture is decoded and shown, in milliseconds.
    latest: Option<(i64, i64)>,
}

#[derive(Debug)]
enum Coding {
    H264 {
        parameters: Parameters,
        length_size: usize,
        format: VideoFormat,
    },
    Vp8 {
        /// The number of the next picture.
        next: u16,
    },
}

/// What a picture is for the room.
#[derive(Debug, Default)]
pub(super) struct Packed {
    pub(super) packets: Vec<Packet>,
    pub(super) is_key: bool,
}

/// Why a picture or a description is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unpassed {
    Malformed,
    /// There are B-frames, which are to be refused.
    Refused,
    /// It is a B-frame that nothing depends on, which is to be left out.
    LeftOut,
    /// It has come before what describes it.
    Undescribed,
}

impl From<Malformed> for Unpassed {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl Pictures {
    pub(super) fn new(b_frames: BFrames) -> Self {
        Self {
            b_frames,
            coding: None,
            latest: None,
        }
    }

    /// The format in which the room gets it, once it is known.
    pub(super) fn format(&self) -> Option<VideoFormat> {
        Some(match self.coding.as_ref()? {
            Coding::H264 { format, .. } => *format,
            Coding::Vp8 { .. } => VideoFormat::Vp8,
        })
    }

    /// Takes what a decoder must know beforehand.
    pub(super) fn describe(&mut self, codec: PictureCodec, data: &Bytes) -> Result<(), Unpassed> {
        match codec {
            PictureCodec::Vp8 => self.expect_vp8(),
            PictureCodec::H264 => {
                let (parameters, length_size) = Parameters::parse_record(data)?;
                let format = self.admit(&parameters)?;
                self.coding = Some(Coding::H264 {
                    parameters,
                    length_size,
                    format,
                });
            }
        }
        Ok(())
    }

    fn expect_vp8(&mut self) {
        if !matches!(self.coding, Some(Coding::Vp8 { .. })) {
            self.coding = Some(Coding::Vp8 { next: 1 });
        }
    }

    /// The format that parameter sets describe, if it is one to be passed on.
    fn admit(&self, parameters: &Parameters) -> Result<VideoFormat, Unpassed> {
        let sps = parameters.describe()?;
        match (sps.reorder, self.b_frames) {
            (Reorder::Declared(_), BFrames::Reject) => return Err(Unpassed::Refused),
            (Reorder::Never | Reorder::Unknown | Reorder::Declared(_), _) => {}
        }
        Ok(VideoFormat::H264 {
            profile_level_id: sps.profile_level_id,
        })
    }

    /// Takes a picture that is decoded at `time`, in milliseconds.
    pub(super) fn pack(&mut self, time: i64, picture: &CodedPicture) -> Result<Packed, Unpassed> {
        if picture.data.len() > limits::PICTURE_BYTES {
            return Err(Unpassed::Malformed);
        }
        let shown = time + i64::from(picture.composition_ms);
        let (payloads, is_key) = match picture.codec {
            PictureCodec::Vp8 => self.pack_vp8(&picture.data)?,
            PictureCodec::H264 => self.pack_h264(time, shown, &picture.data)?,
        };
        self.latest = Some((time, shown));
        let shown = timeline::duration(shown);
        Ok(Packed {
            packets: packets(shown, payloads),
            is_key,
        })
    }

    fn pack_vp8(&mut self, frame: &Bytes) -> Result<(Vec<Bytes>, bool), Unpassed> {
        let is_key = vp8::is_key(frame);
        if is_key {
            self.expect_vp8();
        }
        let Some(Coding::Vp8 { next }) = &mut self.coding else {
            return Err(Unpassed::Undescribed);
        };
        let mut payloads = Vec::new();
        vp8::push_frame(frame, *next, &mut payloads);
        *next = next.wrapping_add(1);
        Ok((payloads, is_key))
    }

    fn pack_h264(
        &mut self,
        time: i64,
        shown: i64,
        data: &Bytes,
    ) -> Result<(Vec<Bytes>, bool), Unpassed> {
        let Some(Coding::H264 { length_size, .. }) = &self.coding else {
            return Err(Unpassed::Undescribed);
        };
        let units = h264::split(data, *length_size)?;
        self.learn(&units)?;
        let has_b = units.iter().any(|unit| h264::is_b_slice(unit));
        let goes_back = self
            .latest
            .is_some_and(|(last_time, last_shown)| time >= last_time && shown < last_shown);
        match self.b_frames {
            BFrames::Reject if has_b || goes_back => return Err(Unpassed::Refused),
            BFrames::Drop if has_b && !is_depended_on(&units) => return Err(Unpassed::LeftOut),
            BFrames::Reject | BFrames::Drop | BFrames::Pass => {}
        }
        let is_key = units.iter().any(|unit| h264::kind(unit) == h264::IDR);
        let mut payloads = Vec::new();
        if let (true, Some(Coding::H264 { parameters, .. })) = (is_key, &self.coding) {
            payloads::push_parameters(parameters, &mut payloads);
        }
        let mut notes = 0;
        for unit in &units {
            if is_passed_on(unit, &mut notes) {
                payloads::push_unit(unit, &mut payloads);
            }
        }
        Ok((payloads, is_key))
    }

    /// Takes parameter sets that come with a picture.
    fn learn(&mut self, units: &[Bytes]) -> Result<(), Unpassed> {
        let Some(Coding::H264 { parameters, .. }) = &mut self.coding else {
            return Ok(());
        };
        let mut changed = false;
        let sets = units.iter();
        for set in sets.filter(|unit| matches!(h264::kind(unit), h264::SPS | h264::PPS)) {
            changed |= parameters.keep(set)?;
        }
        if changed {
            let changed = parameters.clone();
            let admitted = self.admit(&changed)?;
            if let Some(Coding::H264 { format, .. }) = &mut self.coding {
                *format = admitted;
            }
        }
        Ok(())
    }
}

/// Whether the slices of a picture are of use to other pictures.
fn is_depended_on(units: &[Bytes]) -> bool {
    let mut slices = units
        .iter()
        .filter(|unit| matches!(h264::kind(unit), 1..=5));
    slices.any(|unit| h264::importance(unit) != 0)
}

/// Whether a NAL unit goes into the room: slices, and some words beside them. Parameter sets come
/// from where they are kept; delimiters, filling and what other layers need say nothing. Numbers
/// above mean something else in RTP.
fn is_passed_on(unit: &[u8], notes: &mut usize) -> bool {
    match h264::kind(unit) {
        1..=5 => true,
        h264::SEI => {
            *notes += 1;
            unit.len() <= limits::SEI_BYTES && *notes <= limits::SEI_UNITS
        }
        _ => false,
    }
}

fn packets(shown: Duration, payloads: Vec<Bytes>) -> Vec<Packet> {
    let last = payloads.len().saturating_sub(1);
    let packet = |(index, payload)| Packet {
        kind: MediaKind::Video,
        timestamp: ticks(shown, CLOCK),
        marker: index == last,
        time: shown,
        payload,
    };
    payloads.into_iter().enumerate().map(packet).collect()
}
