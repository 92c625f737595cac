//! From the packets of a picture to the bodies of its tags.

use bytes::Bytes;
use parlor_core::VideoCodec;

use super::decode_times::DecodeTimes;
use crate::bridge::h264::parameters::Parameters;
use crate::bridge::h264::pictures::Assembly;
use crate::bridge::h264::sps::Reorder;
use crate::bridge::{Picture, vp8};
use crate::flv::{CodedPicture, Malformed, PictureCodec, VideoBody};

/// The picture of a publication.
#[derive(Debug)]
pub(super) struct Pictures {
    coding: Coding,
    /// The timestamp of the picture whose packets are coming.
    current: Option<u32>,
    /// That picture is not whole.
    is_broken: bool,
    /// Nothing can be shown before the next key frame.
    waits: bool,
    /// A picture was not shown since somebody asked.
    missed: bool,
    /// What a decoder needs beforehand, as the body of a tag.
    header: Option<Bytes>,
    times: DecodeTimes,
}

#[derive(Debug)]
enum Coding {
    H264 {
        assembly: Box<Assembly>,
        /// What the header was made of.
        described: Parameters,
    },
    Vp8(vp8::Assembly),
}

/// What a packet is, as far as pictures are concerned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) timestamp: u32,
    pub(super) marker: bool,
    pub(super) after_loss: bool,
    pub(super) payload: &'a [u8],
}

/// A picture whose time is not known.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) timestamp: u32,
    codec: PictureCodec,
    key: bool,
    data: Bytes,
}

/// VPCodecConfigurationRecord: version 1, profile 0, no level, 8 bits, 4:2:0, BT.601 in the
/// narrow range, nothing of the codec's own.
const VP8_RECORD: [u8; 12] = [1, 0, 0, 0, 0, 0, 0x82, 6, 6, 6, 0, 0];

impl Pictures {
    pub(super) fn new(codec: VideoCodec) -> Self {
        let coding = match codec {
            VideoCodec::H264 => Coding::H264 {
                assembly: Box::default(),
                described: Parameters::default(),
            },
            VideoCodec::Vp8 => Coding::Vp8(vp8::Assembly::default()),
        };
        Self {
            coding,
            current: None,
            is_broken: false,
            waits: true,
            missed: false,
            header: None,
            times: DecodeTimes::default(),
        }
    }

    /// Whether nothing can be shown before the next key frame.
    pub(super) fn waits(&self) -> bool {
        self.waits
    }

    /// Whether pictures are not shown, for want of a key frame.
    pub(super) fn misses(&mut self) -> bool {
        std::mem::take(&mut self.missed) && self.waits
    }

    /// Takes the next packet, and returns the pictures that are whole with it: the one before,
    /// whose last packet did not say that it was, and its own.
    pub(super) fn push(&mut self, piece: Piece<'_>) -> Result<[Option<Finished>; 2], Malformed> {
        let mut before = None;
        if piece.after_loss {
            // The end of the picture before may be missing, and others.
            self.clear();
            self.waits = true;
            self.is_broken = self.current == Some(piece.timestamp);
        } else if self.current != Some(piece.timestamp) {
            before = self.finish();
            self.is_broken = false;
        }
        self.current = Some(piece.timestamp);
        let mut pushed = Ok(());
        if !self.is_broken {
            pushed = match &mut self.coding {
                Coding::H264 { assembly, .. } => assembly.push(piece.payload),
                Coding::Vp8(assembly) => assembly.push(piece.payload),
            };
        }
        if pushed.is_err() {
            self.clear();
            self.is_broken = true;
            self.waits = true;
        }
        let own = if piece.marker { self.finish() } else { None };
        pushed?;
        Ok([before, own])
    }

    fn finish(&mut self) -> Option<Finished> {
        let timestamp = self.current?;
        if self.is_broken {
            self.clear();
            self.missed = true;
            return None;
        }
        let (codec, key, data) = match &mut self.coding {
            Coding::H264 { assembly, .. } => match assembly.finish() {
                Ok(picture) => {
                    let picture = picture?;
                    (PictureCodec::H264, picture.key, picture.data)
                }
                Err(Malformed) => {
                    self.is_broken = true;
                    self.waits = true;
                    self.missed = true;
                    return None;
                }
            },
            Coding::Vp8(assembly) => {
                let frame = assembly.finish()?;
                (PictureCodec::Vp8, vp8::is_key(&frame), frame)
            }
        };
        Some(Finished {
            timestamp,
            codec,
            key,
            data,
        })
    }

    fn clear(&mut self) {
        match &mut self.coding {
            Coding::H264 { assembly, .. } => assembly.clear(),
            Coding::Vp8(assembly) => assembly.clear(),
        }
    }

    /// Makes a picture for players; `None` where a decoder could not show it.
    pub(super) fn show(
        &mut self,
        finished: Finished,
        shown: std::time::Duration,
    ) -> Option<Picture> {
        if finished.key {
            self.describe();
        }
        if self.waits && !(finished.key && self.header.is_some()) {
            self.missed = true;
            return None;
        }
        self.waits = false;
        let header = self.header.clone()?;
        let time = self.times.place(shown);
        let later = shown.saturating_sub(time).as_millis();
        let body = VideoBody::Picture(CodedPicture {
            codec: finished.codec,
            key: finished.key,
            composition_ms: i32::try_from(later).unwrap_or_default(),
            data: finished.data,
        });
        Some(Picture {
            codec: finished.codec,
            key: finished.key,
            time,
            header,
            body: body.write()?,
        })
    }

    /// Makes the header of what is known, where that is not what it was made of.
    fn describe(&mut self) {
        match &mut self.coding {
            Coding::Vp8(_) => {
                let record = Bytes::from_static(&VP8_RECORD);
                let header = VideoBody::Header(PictureCodec::Vp8, record);
                self.header = header.write();
            }
            Coding::H264 {
                assembly,
                described,
            } => {
                if described == assembly.parameters() && self.header.is_some() {
                    return;
                }
                described.clone_from(assembly.parameters());
                let record = described.write_record();
                let header = record.map(|record| VideoBody::Header(PictureCodec::H264, record));
                self.header = header.and_then(|header| header.write());
                let reordered = match described.describe().map(|sps| sps.reorder) {
                    Ok(Reorder::Declared(frames)) => frames,
                    Ok(Reorder::Never | Reorder::Unknown) | Err(_) => 0,
                };
                self.times.set_reordered(reordered);
            }
        }
    }
}
