//! Defects that are planted into what the checks see: each must find its own.

/// A defect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A packet of a subscription is missing although nothing was lost.
    Drop,
    /// A packet is missing and the numbers hide it.
    Hide,
    /// A sequence number comes twice.
    Repeat,
    /// A timestamp jumps.
    Leap,
    /// A packet is of another publication.
    Leak,
    /// No picture is shown after the faults have healed.
    Freeze,
    /// Somebody is not told of somebody.
    Silence,
    /// Somebody is told twice.
    Echo,
    /// Who has gone is kept.
    Keep,
    /// The world does not come to rest.
    Spin,
    /// Something that went in is not in the journal.
    Forget,
}

impl Fault {
    /// All defects, with a part of what is to be said of each.
    pub const ALL: [(Self, &'static str); 11] = [
        (Self::Drop, "although nothing was lost"),
        (Self::Hide, "the numbers hide a loss"),
        (Self::Repeat, "a number comes twice"),
        (Self::Leap, "a timestamp leaps"),
        (Self::Leak, "a packet of another publication"),
        (Self::Freeze, "no pictures"),
        (Self::Silence, "as p"),
        (Self::Echo, "nobody comes twice"),
        (Self::Keep, "is left"),
        (Self::Spin, "livelock"),
        (Self::Forget, "the journal does not verify"),
    ];
}
