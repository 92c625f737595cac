//! Every bound of the bridge, in one place.

use std::time::Duration;

use parlor_core::limits::MEDIA_PAYLOAD;

/// Most bytes of one picture: what is larger is left out.
pub const PICTURE_BYTES: usize = 4 * 1024 * 1024;
/// Most NAL units of one picture.
pub const PICTURE_UNITS: usize = 1024;
/// Most bytes of all parameter sets of a stream.
pub const PARAMETER_BYTES: usize = 16 * 1024;
/// Most bytes of supplemental information (SEI) that is passed on; what x264 says of itself fits.
pub const SEI_BYTES: usize = 1024;
/// Most units of it with one picture.
pub const SEI_UNITS: usize = 4;
/// Most bytes of one unit of sound: AAC has at most 768 a channel.
pub const SOUND_BYTES: usize = 16 * 1024;

/// How long it is waited for a second track before the first one is published alone.
pub const GATHER_TIME: Duration = Duration::from_millis(1000);
/// How far a timestamp may be from the one before it: what is further begins a new epoch.
pub const TIME_JUMP: Duration = Duration::from_millis(1000);
/// How far back it may be: further than encoders put pictures out of their order.
pub const TIME_BACK: Duration = Duration::from_millis(250);
/// How far counted samples and timestamps may be apart before the count is corrected.
pub const SAMPLES_ASTRAY: Duration = Duration::from_millis(40);
/// How much of what comes in a burst may wait for its time.
pub const BACKLOG: Duration = Duration::from_millis(250);
/// A burst of more than this is left out up to the next key frame.
pub const BURST: Duration = Duration::from_millis(1000);
/// Most bytes that may wait.
pub const BURST_BYTES: usize = 8 * 1024 * 1024;
/// Most tags that may wait: small ones cost more than their bytes.
pub const BURST_TAGS: usize = 4096;
/// Longest time between key frames that nobody is warned of.
pub const KEYFRAME_INTERVAL: Duration = Duration::from_secs(4);

/// How long a packet is waited for that others have overtaken.
pub const REORDER_TIME: Duration = Duration::from_millis(200);
/// Most packets that wait for one.
pub const REORDER_PACKETS: usize = 512;
/// How often a key frame is asked for until it comes.
pub const KEYFRAME_RETRY: Duration = Duration::from_millis(500);
/// How old a key frame may be that a player begins with.
pub const RECENT_TIME: Duration = Duration::from_secs(4);
/// Bytes and pictures that are kept since the latest key frame.
pub const RECENT_BYTES: usize = 4 * 1024 * 1024;
/// See [`RECENT_BYTES`].
pub const RECENT_PICTURES: usize = 600;
/// How long sound is held until there is a picture.
pub const HOLD_TIME: Duration = Duration::from_secs(3);
/// Most units of sound that are held: those of the time in frames of 10 ms.
pub const HOLD_SOUNDS: usize = 400;
/// How much of a unit of sound may lie before the picture that is begun with.
pub const SOUND_EARLY: Duration = Duration::from_millis(12);

const _: () = assert!(SEI_BYTES <= MEDIA_PAYLOAD);
const _: () = assert!(BACKLOG.as_millis() < BURST.as_millis());
const _: () = assert!(PICTURE_BYTES <= BURST_BYTES);
