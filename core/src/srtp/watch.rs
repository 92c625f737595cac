//! Reading sealed packets of either side beside those whom they are for.

use std::collections::BTreeMap;

use super::{Failed, Keys, RTCP_LABELS, RTP_LABELS, RtcpOpener, RtpOpener, Side, Window};
use crate::rtp::Header;

/// Sources of one side whose numbers are followed; packets of more are not read.
const SOURCES: usize = 256;

/// Reads what one side of a connection sends.
pub(crate) struct Watch {
    rtp: RtpOpener,
    rtcp: RtcpOpener,
    /// The highest sequence number of each source with its rollover counter above it.
    latest: BTreeMap<u32, u64>,
}

/// Readers of what the client and what the server sends.
pub(crate) fn both_sides(keys: &Keys) -> Result<(Watch, Watch), Failed> {
    let watch = |side| {
        Ok(Watch {
            rtp: RtpOpener(keys.cipher(side, RTP_LABELS)?),
            rtcp: RtcpOpener {
                cipher: keys.cipher(side, RTCP_LABELS)?,
                window: Window::default(),
            },
            latest: BTreeMap::new(),
        })
    };
    Ok((watch(Side::Client)?, watch(Side::Server)?))
}

impl Watch {
    /// Opens an SRTP packet: the RTP packet in it.
    pub(crate) fn open_rtp(&mut self, packet: &[u8]) -> Result<Vec<u8>, Failed> {
        let header = Header::parse(packet).ok_or(Failed)?;
        let (ssrc, number) = (header.ssrc, header.sequence);
        let latest = self.latest.get(&ssrc).copied();
        if latest.is_none() && self.latest.len() >= SOURCES {
            return Err(Failed);
        }
        let sequence = match latest {
            Some(latest) => extended(latest, number),
            None => u64::from(number),
        };
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

/// The number closest to `latest` that ends in `number` (RFC 3711 §3.3.1).
fn extended(latest: u64, number: u16) -> u64 {
    // The difference as a signed number of 16 bits.
    let ahead = number.wrapping_sub(latest as u16) as i16;
    match latest.checked_add_signed(i64::from(ahead)) {
        Some(extended) => extended,
        None => u64::from(number),
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
            let sealer = keys.rtp_sealer().unwrap();
            let (_, mut server) = both_sides(&keys).unwrap();
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
