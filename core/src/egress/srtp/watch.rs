//! Reading sealed packets of either side beside those whom they are for.

use std::collections::BTreeMap;

use super::{
    Aad, Cipher, Failed, GCM_TAG, Keys, Opener, RTCP_LABELS, RTP_LABELS, SHA1_80, Window,
    apply_counter, counter_block, hmac, nonce, split_end, ssrc_at,
};

/// Sources of one side whose numbers are followed; packets of more are not read.
const SOURCES: usize = 256;

/// Reads what one side of a connection sends.
pub(crate) struct Watch {
    rtp: Cipher,
    rtcp: Opener,
    /// The highest sequence number of each source with its rollover counter above it.
    latest: BTreeMap<u32, u64>,
}

/// Readers of what the client and what the server sends.
pub(crate) fn both_sides(keys: &Keys) -> Result<(Watch, Watch), Failed> {
    let (key, salt) = (keys.profile.key_bytes(), keys.profile.salt_bytes());
    let part = |from: usize, length| keys.material.get(from..from + length).ok_or(Failed);
    let watch = |key, salt| {
        let cipher = |labels| Cipher::derive(keys.profile, key, salt, labels);
        Ok(Watch {
            rtp: cipher(RTP_LABELS)?,
            rtcp: Opener {
                rtcp: cipher(RTCP_LABELS)?,
                window: Window::default(),
            },
            latest: BTreeMap::new(),
        })
    };
    Ok((
        watch(part(0, key)?, part(2 * key, salt)?)?,
        watch(part(key, key)?, part(2 * key + salt, salt)?)?,
    ))
}

impl Watch {
    /// Opens an SRTP packet: the RTP packet in it.
    pub(crate) fn open_rtp(&mut self, packet: &[u8]) -> Result<Vec<u8>, Failed> {
        let header = header_length(packet).ok_or(Failed)?;
        let ssrc = ssrc_at(packet, 8)?;
        let number = packet.get(2..4).and_then(|bytes| bytes.try_into().ok());
        let number = u16::from_be_bytes(number.ok_or(Failed)?);
        let latest = self.latest.get(&ssrc).copied();
        if latest.is_none() && self.latest.len() >= SOURCES {
            return Err(Failed);
        }
        let sequence = match latest {
            Some(latest) => extended(latest, number),
            None => u64::from(number),
        };
        let opened = self.open_rtp_as(packet, header, ssrc, sequence)?;
        self.latest
            .insert(ssrc, latest.map_or(sequence, |latest| latest.max(sequence)));
        Ok(opened)
    }

    fn open_rtp_as(
        &self,
        packet: &[u8],
        header: usize,
        ssrc: u32,
        sequence: u64,
    ) -> Result<Vec<u8>, Failed> {
        match &self.rtp {
            Cipher::Gcm { key, salt } => {
                let (clear, sealed) = packet.split_at_checked(header).ok_or(Failed)?;
                if sealed.len() < GCM_TAG {
                    return Err(Failed);
                }
                let mut content = sealed.to_vec();
                let nonce = nonce(salt, ssrc, sequence);
                let content = key.open_in_place(nonce, Aad::from(clear), &mut content);
                Ok([clear, content.map_err(|_| Failed)?].concat())
            }
            Cipher::Cm { key, salt, auth } => {
                let (sealed, tag) = split_end(packet, SHA1_80)?;
                let mut expected = hmac::Context::with_key(auth);
                expected.update(sealed);
                expected.update(&((sequence >> 16) as u32).to_be_bytes());
                let expected = expected.sign();
                let expected = expected.as_ref().get(..SHA1_80).ok_or(Failed)?;
                aws_lc_rs::constant_time::verify_slices_are_equal(expected, tag)
                    .map_err(|_| Failed)?;
                let mut opened = sealed.to_vec();
                let content = opened.get_mut(header..).ok_or(Failed)?;
                apply_counter(key, counter_block(salt, ssrc, sequence), content)?;
                Ok(opened)
            }
        }
    }

    /// Opens an SRTCP packet: the compound RTCP packet in it.
    pub(crate) fn open_rtcp(&mut self, packet: &[u8]) -> Result<Vec<u8>, Failed> {
        self.rtcp.open_rtcp(packet)
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

/// Bytes of an RTP header with its contributing sources and extensions (RFC 3550 §5.1, §5.3.1).
fn header_length(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let mut length = 12 + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let words = packet.get(length + 2..length + 4)?;
        length += 4 + 4 * usize::from(u16::from_be_bytes(words.try_into().ok()?));
    }
    Some(length).filter(|length| *length <= packet.len())
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
            let (sealer, _) = keys.server().unwrap();
            let (_, mut server) = both_sides(&keys).unwrap();
            // Across the turn of 16 bits, one late.
            for sequence in [0xfffe_u64, 0x1_0001, 0xffff, 0x1_0002] {
                let mut packet = vec![0x90, 96];
                packet.extend_from_slice(&(sequence as u16).to_be_bytes());
                packet.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 2]);
                packet.extend_from_slice(&[0xbe, 0xde, 0, 1, 0x10, 7, 0, 0]);
                packet.extend_from_slice(b"payload");
                let mut sealed = packet.clone();
                sealer.seal_rtp(&mut sealed, 0..20, sequence).unwrap();
                assert_eq!(server.open_rtp(&sealed), Ok(packet), "{profile:?}");
                *sealed.last_mut().unwrap() ^= 1;
                assert_eq!(server.open_rtp(&sealed), Err(Failed));
            }
        }
    }

    #[test]
    fn a_header_that_is_longer_than_its_packet_is_none() {
        assert_eq!(header_length(&[]), None);
        assert_eq!(header_length(&[0x80; 12]), Some(12));
        assert_eq!(header_length(&[0x8f; 20]), None);
        assert_eq!(header_length(&[0x90; 14]), None);
        assert_eq!(
            header_length(&[&[0x90; 14][..], &[0xff; 20]].concat()),
            None
        );
    }
}
