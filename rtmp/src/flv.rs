//! What sessions and the bridge pass each other: FLV tags without their headers.
//!
//! An RTMP audio, video or data message has the body of an FLV tag for its payload (Adobe FLV 10.1
//! §E.4), so that nothing is lost on either side of the seam:
//!
//! ```text
//! encoder ─chunks─► Session ─Tag─► bridge::Publisher ─MediaPacket─► Sfu
//! player ◄─chunks── Session ◄─Tag── bridge::Player ◄──SinkPacket─── Sfu
//! ```

mod audio;
mod enhanced;
mod video;

use bytes::Bytes;

pub use audio::{AudioBody, SoundCodec};
pub use video::{CodedPicture, PictureCodec, VideoBody};

/// What a tag holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TagKind {
    /// Sound: RTMP message type 8.
    Audio,
    /// A picture: RTMP message type 9.
    Video,
    /// AMF0 values, such as `onMetaData`: RTMP message type 18. What is passed on begins with the
    /// name of the data: a leading `@setDataFrame` is taken off where it comes in.
    Data,
}

/// An FLV tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// What it holds.
    pub kind: TagKind,
    /// When it is decoded, in milliseconds that wrap at 2^32.
    pub timestamp: u32,
    /// The body, without an FLV tag header.
    pub body: Bytes,
}

/// A body that is not what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the body of the tag is malformed")]
pub struct Malformed;
