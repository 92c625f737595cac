//! The other side of a connection: what a player opens and seals.

use super::{Failed, Keys, RtcpOpener, RtcpSealer, RtpOpener, Side};

/// Protection of a client's media: it opens what a server has sealed, and seals its feedback.
pub struct ClientSrtp {
    rtp: RtpOpener,
    opener: RtcpOpener,
    sealer: RtcpSealer,
}

impl Keys {
    /// The client's side.
    pub(crate) fn client(&self) -> Result<ClientSrtp, Failed> {
        Ok(ClientSrtp {
            rtp: self.rtp_opener(Side::Server)?,
            opener: self.rtcp_opener(Side::Server)?,
            sealer: self.rtcp_sealer(Side::Client)?,
        })
    }
}

impl ClientSrtp {
    /// Opens an RTP packet with a header of `header` bytes: its payload, into `payload`. `sequence`
    /// is its sequence number with the rollover counter above it. `None` for a packet that the
    /// server has not sealed.
    pub fn open_rtp(
        &self,
        packet: &[u8],
        header: usize,
        sequence: u64,
        payload: &mut Vec<u8>,
    ) -> Option<()> {
        self.rtp.open(packet, header, sequence, payload).ok()
    }

    /// Opens an SRTCP packet: the compound packet in it. `None` for one that the server has not
    /// sealed, or that has come before.
    pub fn open_rtcp(&mut self, packet: &[u8]) -> Option<Vec<u8>> {
        self.opener.open(packet).ok()
    }

    /// Seals a compound RTCP packet in place; `None` where the connection has sent as many as it
    /// may.
    pub fn seal_rtcp(&mut self, packet: &mut Vec<u8>) -> Option<()> {
        self.sealer.seal(packet).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Profile;
    use super::*;

    #[test]
    fn a_client_opens_what_its_server_seals_and_nothing_else() {
        for (profile, bytes) in [
            (Profile::Aes128CmSha1, 60),
            (Profile::Aes128Gcm, 56),
            (Profile::Aes256Gcm, 88),
        ] {
            let material = (0..bytes).collect();
            let keys = Keys { profile, material };
            let server = keys.rtp_sealer(Side::Server).unwrap();
            let mut client = keys.client().unwrap();
            let header = [0x80, 96, 0, 5, 0, 0, 0, 1, 0, 0, 0, 7];
            let mut sealed = [&header[..], b"a payload"].concat();
            let sequence = 3 << 16 | 5;
            server.seal(&mut sealed, 0..12, sequence).unwrap();
            let open = |sealed: &[u8], sequence| {
                let mut payload = Vec::new();
                let opened = client.open_rtp(sealed, 12, sequence, &mut payload);
                opened.map(|()| payload)
            };
            assert_eq!(open(&sealed, sequence).as_deref(), Some(&b"a payload"[..]));
            assert_eq!(open(&sealed, 5), None, "another rollover");
            let mut forged = sealed.clone();
            forged[13] ^= 1;
            assert_eq!(open(&forged, sequence), None);
            assert_eq!(open(&sealed[..9], sequence), None);

            let report = vec![0x80, 201, 0, 1, 0, 0, 0, 7];
            let mut feedback = report.clone();
            client.seal_rtcp(&mut feedback).unwrap();
            let opened = keys.rtcp_opener(Side::Client).unwrap().open(&feedback);
            assert_eq!(opened, Ok(report));
        }
    }
}
