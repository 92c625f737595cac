//! The latest packets of a publication's track, to be sent again to whoever lost them: one ring,
//! shared by all subscribers.

use crate::limits;
use crate::payload::Payload;

/// What a subscriber gets of a packet, whatever its own numbers are.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Packet {
    pub(crate) ssrc: u32,
    /// The publisher's extended sequence number.
    pub(crate) sequence: u64,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) extensions: Extensions,
    #[serde(with = "as_base64")]
    pub(crate) payload: Payload,
}

/// Bytes in text that journals keep: a number each would take three times as much.
mod as_base64 {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD_NO_PAD;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::payload::Payload;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD_NO_PAD.encode(bytes))
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Payload, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = STANDARD_NO_PAD.decode(text).map_err(D::Error::custom)?;
        Ok(Payload::from(bytes))
    }
}

/// The values of the header extensions that are passed on, as their bytes on the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Extensions {
    /// RFC 6464 §3: voice activity in the highest bit, the level below it.
    pub(crate) audio_level: Option<u8>,
    /// 3GPP TS 26.114 §7.4.5.
    pub(crate) video_orientation: Option<u8>,
}

/// The latest packets, by sequence number.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    slots: Vec<Option<Packet>>,
}

const _: () = assert!(limits::RETRANSMISSION_PACKETS.is_power_of_two());

impl Ring {
    /// Keeps a packet in place of the one that is a ring's length older, which is returned.
    pub(crate) fn keep(&mut self, packet: Packet) -> Option<Packet> {
        if self.slots.is_empty() {
            self.slots
                .resize_with(limits::RETRANSMISSION_PACKETS, || None);
        }
        let slot = slot(packet.sequence);
        self.slots.get_mut(slot)?.replace(packet)
    }

    /// The packet of a source with this sequence number, if it is still there.
    pub(crate) fn find(&self, ssrc: u32, sequence: u64) -> Option<&Packet> {
        let packet = self.slots.get(slot(sequence))?.as_ref()?;
        (packet.ssrc == ssrc && packet.sequence == sequence).then_some(packet)
    }
}

fn slot(sequence: u64) -> usize {
    (sequence % limits::RETRANSMISSION_PACKETS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_packets_are_found_and_no_others() {
        let packet = |ssrc, sequence| Packet {
            ssrc,
            sequence,
            timestamp: 0,
            marker: false,
            extensions: Extensions::default(),
            payload: Payload::default(),
        };
        let mut ring = Ring::default();
        assert!(ring.find(1, 0).is_none());
        let length = limits::RETRANSMISSION_PACKETS as u64;
        for sequence in 0..=length {
            ring.keep(packet(1, sequence));
        }
        assert!(ring.find(1, 0).is_none(), "it is a ring's length ago");
        assert!(ring.find(1, 1).is_some() && ring.find(1, length).is_some());
        assert!(ring.find(2, 1).is_none(), "of another source");
    }
}
