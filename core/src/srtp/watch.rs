//! Reading sealed packets of either side beside those whom they are for.

use std::collections::BTreeMap;

use super::{Failed, Keys, RtcpOpener, RtpOpener, Side};
use crate::rtp::{Header, extend};

/// Sources of one side whose numbers are followed; packets of more are not read.
const SOURCES: usize = 256;

/// Reads what one side of a connection sends.
pub(crate) struct Watch {
    rtp: RtpOpener,
    rtcp: RtcpOpener,
    /// The highest sequence number of each source with its rollover counter above it.
    latest: BTreeMap<u32, u64>,
}

impl Watch {
    pub(crate) fn new(keys: &Keys, side: Side) -> Result<Self, Failed> {
        Ok(Self {
            rtp: keys.rtp_opener(side)?,
            rtcp: keys.rtcp_opener(side)?,
            latest: BTreeMap::new(),
        })
    }

    /// Opens an SRTP packet: the RTP packet in it.
    pub(crate) fn open_rtp(&mut self, packet: &[u8]) -> Result<Vec<u8>, Failed> {
        let header = Header::parse(packet).ok_or(Failed)?;
        let (ssrc, number) = (header.ssrc, header.sequence);
        let latest = self.latest.get(&ssrc).copied();
        if latest.is_none() && self.latest.len() >= SOURCES {
            return Err(Failed);
        }
        let sequence = latest.and_then(|latest| extend(latest, number));
        let sequence = sequence.unwrap_or_else(|| number.into());
        let mut payload = Vec::new();
        self.rtp
            .open(packet, header.length, sequence, &mut payload)?;
        let clear = packet.get(..header.length).ok_or(Failed)?;
        let opened = [clear, &payload].concat();
        self.latest
            .insert(ssrc, latest.map_or(sequence, |latest| latest.max(sequence)));
        Ok(opened)
    }

    /// Opens an SRTCP packet: the compound RTCP packet in it.
    pub(crate) fn open_rtcp(&mut self, packet: &[u8]) -> Result<Vec<u8>, Failed> {
        self.rtcp.open(packet)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Profile;
    use super::*;

    #[test]
    fn what_the_server_seals_is_read() {
        for (profile, bytes) in [
            (Profile::Aes128CmSha1, 60),
            (Profile::Aes128Gcm, 56),
            (Profile::Aes256Gcm, 88),
        ] {
            let material = (0..bytes).collect();
            let keys = Keys { profile, material };
            let sealer = keys.rtp_sealer(Side::Server).unwrap();
            let mut server = Watch::new(&keys, Side::Server).unwrap();
            // Across the turn of 16 bits, one late.
            for sequence in [0xfffe_u64, 0x1_0001, 0xffff, 0x1_0002] {
                let mut packet = vec![0x90, 96];
                packet.extend_from_slice(&(sequence as u16).to_be_bytes());
                packet.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 2]);
                packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, 7, 0, 0]);
                packet.extend_from_slice(b"payload");
                let mut sealed = packet.clone();
                sealer.seal(&mut sealed, 0..20, sequence).unwrap();
                assert_eq!(server.open_rtp(&sealed), Ok(packet), "{profile:?}");
                *sealed.last_mut().unwrap() ^= 1;
                assert_eq!(server.open_rtp(&sealed), Err(Failed));
            }
        }
    }
}
