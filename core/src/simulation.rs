//! For simulated clients: the other end of a connection, as deterministic as the machine, and what
//! readers of bytes from strangers must hold to.
//!
//! Who would rather open the media itself takes the keys ([`take_srtp`]) of a connection that has
//! been made with [`provider`], and keeps that media from the connection.

use std::sync::Arc;

use str0m::config::CryptoProvider;
use str0m::ice::StunMessage;

use crate::codec::Codec;
use crate::config::Config;
use crate::crypto;
use crate::egress::rtcp;
use crate::entropy::{Entropy, Seed};
use crate::rtp::Header;
use crate::sdp::narrow;
use crate::sdp::offer::{BadOffer, Offer, Payload};
pub use crate::srtp::ClientSrtp;
use crate::srtp::{RtcpSealer, RtpOpener, RtpSealer, Side};
use crate::stun;

/// The randomness of a simulated client.
pub struct Randomness(Entropy);

impl Randomness {
    /// Starts at the seed's first value.
    pub fn new(seed: &Seed) -> Self {
        Self(Entropy::new(seed))
    }

    /// Makes `call` with this randomness under the libraries that it calls.
    pub fn lend<T>(&mut self, call: impl FnOnce() -> T) -> T {
        self.0.lend(call)
    }

    /// Draws 64 bits.
    pub fn u64(&mut self) -> u64 {
        self.0.u64()
    }
}

/// The crypto provider that draws from what is lent: use it inside of [`Randomness::lend`] only.
pub fn provider() -> Arc<CryptoProvider> {
    crypto::provider()
}

/// The protection of the connection's media, for the client whose handshake has finished in the
/// call of this thread's that was made last; others get `None`, or the wrong one.
pub fn take_srtp() -> Option<ClientSrtp> {
    crypto::take_keys()?.client().ok()
}

/// Seals as a client of a connection what no honest client would send, and says of what the client
/// is sent under which number it was sealed.
pub struct Forger {
    rtp: RtpSealer,
    rtcp: RtcpSealer,
    server: RtpOpener,
}

impl Forger {
    /// The index of the first SRTCP packet: far ahead of what the client itself has sent, so that
    /// none is taken for a repetition.
    const FIRST_RTCP: u32 = 1 << 20;

    /// With the keys of the simulated client that has just been driven in this thread, if its
    /// handshake finished in that.
    pub fn take() -> Option<Self> {
        let keys = crypto::take_keys()?;
        let mut rtcp = keys.rtcp_sealer(Side::Client).ok()?;
        rtcp.skip_to(Self::FIRST_RTCP);
        Some(Self {
            rtp: keys.rtp_sealer(Side::Client).ok()?,
            rtcp,
            server: keys.rtp_opener(Side::Server).ok()?,
        })
    }

    /// Seals an RTP packet whose header takes the first `header` bytes. `sequence` is its number
    /// with the rollover counter above it. `None` for what is too short to be one.
    pub fn rtp(&self, mut packet: Vec<u8>, header: usize, sequence: u64) -> Option<Vec<u8>> {
        self.rtp.seal(&mut packet, 0..header, sequence).ok()?;
        Some(packet)
    }

    /// The number, with the rollover counter above it, under which the server has sealed an RTP
    /// packet: with one of the first `rollovers` counters. `None` for what it has not.
    pub fn number(&self, packet: &[u8], rollovers: u64) -> Option<u64> {
        let header = Header::parse(packet)?;
        let number = |rollover| rollover << 16 | u64::from(header.sequence);
        let mut payload = Vec::new();
        let mut opens = |number| {
            let opened = self
                .server
                .open(packet, header.length, number, &mut payload);
            opened.is_ok()
        };
        (0..rollovers).map(number).find(|number| opens(*number))
    }

    /// Seals a compound RTCP packet. `None` for what is too short to be one.
    pub fn rtcp(&mut self, mut packet: Vec<u8>) -> Option<Vec<u8>> {
        self.rtcp.seal(&mut packet).ok()?;
        Some(packet)
    }
}

/// Reads an offer to publish, and what was answered to it.
///
/// # Panics
/// Where the answer says something else than what was chosen.
pub fn check_answer(offer: &str, answer: &str) {
    let chosen = Offer::parse(offer).and_then(|offer| {
        let tracks = narrow::tracks_to_publish(&offer, &Config::default());
        let tracks = tracks.map_err(|error| BadOffer(error.to_string()))?;
        Ok((offer, tracks))
    });
    let Ok((offer, chosen)) = chosen else {
        unreachable!("it was answered: {chosen:?}")
    };
    // What an answer says of itself is none of an offer's; all else is written in the same way.
    let lines = answer.lines();
    let lines = lines.filter(|line| !line.starts_with("a=setup:") && *line != "a=ice-lite");
    let answer: Vec<&str> = lines.collect();
    let answer = Offer::parse(&answer.join("\r\n"));
    let answer = answer.unwrap_or_else(|error| unreachable!("{error:?}"));
    assert_eq!(offer.sections.len(), answer.sections.len());
    for (index, (offered, answered)) in offer.sections.iter().zip(&answer.sections).enumerate() {
        assert_eq!(offered.mid, answered.mid);
        let track = chosen.iter().find(|track| track.section == index);
        let receives = answered.direction.receives;
        assert_eq!(receives, track.is_some(), "what is taken: {answered:?}");
        if let Some(track) = track {
            let taken: Vec<_> = answered.payloads.iter().map(named).collect();
            assert_eq!(taken, [named(&track.payload)]);
        }
    }
}

/// What names a payload type: its number, its codec, and the number of its retransmissions. What
/// the codec's parameters are is each side's own.
fn named(payload: &Payload) -> (u8, &'static str, Option<u8>) {
    let name = match payload.codec {
        Codec::Opus => "opus",
        Codec::Pcmu => "pcmu",
        Codec::Pcma => "pcma",
        Codec::Vp8 => "vp8",
        Codec::H264(_) => "h264",
    };
    (payload.number, name, payload.rtx)
}

/// Reads a datagram as far as the machine does before it knows whose it is.
///
/// # Panics
/// Where a connectivity check that the library below understands is read as another one's.
pub fn check_datagram(datagram: &[u8]) {
    let addressee = stun::addressee(datagram);
    let _ = (stun::Protocol::of(datagram), stun::nominates(datagram));
    if let Ok(message) = StunMessage::parse(datagram)
        && message.is_binding_request()
        && let Some((local, _)) = message.split_username()
        && let Some(addressee) = addressee
    {
        assert_eq!(addressee, local, "whose check is it?");
    }
}

/// Reads the feedback of a subscriber.
///
/// # Panics
/// Where it makes more work than a datagram may.
pub fn check_feedback(compound: &[u8]) {
    let lost: usize = rtcp::read(compound)
        .iter()
        .map(|feedback| match feedback {
            rtcp::Feedback::Lost { sequences, .. } => sequences.len(),
            rtcp::Feedback::KeyframeWanted { .. }
            | rtcp::Feedback::Received(_)
            | rtcp::Feedback::Estimate(_) => 0,
        })
        .sum();
    assert!(lost <= rtcp::LOST, "{lost} packets");
}
