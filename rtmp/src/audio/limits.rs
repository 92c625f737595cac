//! Every bound of the transcoder.

use std::time::Duration;

/// Largest unit of sound that is looked at: an access unit of AAC has at most 768 bytes a channel
/// (ISO/IEC 14496-3 §4.5.1.1), a packet of Opus fits a datagram.
pub const UNIT_BYTES: usize = 8 * 1024;
/// Frames of Speex in one unit, 20 ms each: a second, as a unit of G.711 has at most. A frame can be
/// six bytes, and others wait while a unit is decoded.
pub const SPEEX_FRAMES: usize = 50;
/// Longest AudioSpecificConfig that is looked at: the longest has a program config element.
pub const CONFIG_BYTES: usize = 512;
/// Bytes of a packet of Opus: the payload of an RTP packet.
pub const OPUS_BYTES: usize = parlor_core::limits::MEDIA_PAYLOAD;
/// Rates of sound that is decoded, samples a second.
pub const RATES: std::ops::RangeInclusive<u32> = 7_350..=192_000;

/// How far the times of an encoder may be off the count of its samples before that is taken for
/// missing sound, or for too much of it.
pub const TOLERANCE: Duration = Duration::from_millis(40);
/// Shortest loss that is noticed where times are counts of samples: the shortest frame of Opus.
pub const SHORTEST_LOSS: Duration = Duration::from_micros(2_500);
/// Longest gap that is filled. After a longer one, and after a leap back as far, the sound goes on
/// at its new time.
pub const LONGEST_GAP: Duration = Duration::from_secs(1);
/// How long lost Opus is guessed from what was before; then there is silence.
pub const CONCEALED: Duration = Duration::from_millis(200);
/// How long it takes to fade from sound to a gap, and back.
pub const FADE: Duration = Duration::from_millis(5);

/// How long nothing may come before silence goes out in place of it.
pub const LATE: Duration = Duration::from_millis(200);
/// Silence that goes out at once.
pub const SILENCE_STEP: Duration = Duration::from_millis(40);

/// How far the speed of the sound is changed at most, to follow the clock of its sender.
pub const TRIM: f64 = 0.005;
/// In what time a difference of the clocks is made up for.
pub const TRIM_TIME: Duration = Duration::from_secs(4);
/// Over what time the difference is averaged: times of RTMP are whole milliseconds, and encoders
/// let them tremble.
pub const TRIM_AVERAGE: Duration = Duration::from_secs(2);
/// The difference from which on sound that needs no other rate is resampled for that.
pub const TRIM_BEGINS: Duration = Duration::from_millis(10);
