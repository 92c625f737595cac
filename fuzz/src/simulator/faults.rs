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
    /// A player by RTMP gets no headers.
    Headless,
    /// A player by RTMP gets a codec that it does not take.
    Foreign,
    /// A picture is missing for a player by RTMP.
    Tear,
    /// A timestamp goes back for a player by RTMP.
    Rewind,
    /// Pictures go astray for a player by RTMP.
    Drift,
    /// A player by RTMP gets what is another publisher's.
    Stray,
    /// No picture comes to a player by RTMP after the faults have healed.
    Dark,
    /// A room client by RTMP does not know who is there.
    Mishear,
    /// A room client by RTMP does not get a message.
    Deaf,
    /// A connection by RTMP that is cut is kept.
    Linger,
}

impl Fault {
    /// All defects, with a part of what is to be said of each.
    pub const ALL: [(Self, &'static str); 21] = [
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
        (Self::Headless, "it comes before its header"),
        (Self::Foreign, "what it has not said that it takes"),
        (Self::Tear, "a picture without the one before"),
        (Self::Rewind, "a timestamp goes back"),
        (Self::Drift, "from where it was captured"),
        (Self::Stray, "media of another stream"),
        (Self::Dark, "is dark"),
        (Self::Mishear, "as it knows them"),
        (Self::Deaf, "has got"),
        (Self::Linger, "is left"),
    ];
}
