//! The journal: a file of all that went into an [`Sfu`](parlor_core::Sfu), with which it runs again.
//!
//! A [`Recorder`] is an `Sfu` with the same doors that may keep a [`Tape`] of what goes through
//! them. A [`Replay`] reads what a tape has written, runs the same machine again and compares what
//! comes out. [`Story`] tells a replay as people would, [`Opening`] opens its media.
//!
//! Sans-IO: bytes to write are taken out of the tape, bytes to read come from a [`std::io::Read`].
//! A journal holds keys: with it all media of a call can be read.

#![forbid(unsafe_code)]

mod date;
mod digest;
mod format;
pub mod limits;
mod pcap;
mod reader;
mod recorder;
mod replay;
mod story;
mod tape;
mod ways;

pub use date::Date;
pub use digest::{Class, Counted, Sums};
pub use format::{Cut, Header, MACHINE, VERSION, seal};
pub use pcap::{Clear, Opening, PCAP_HEADER, put_packet};
pub use reader::{BadHeader, Ending, Entry, Reader, Record};
pub use recorder::{Fresh, Recorder};
pub use replay::{Difference, Happened, Replay, Totals};
pub use story::{Line, Story};
pub use tape::Tape;
