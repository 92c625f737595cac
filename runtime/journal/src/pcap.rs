//! Media in the clear, in a file that Wireshark reads.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use parlor_core::observe::{Reader, Sender};
use parlor_core::{ClientId, MediaId};

use crate::digest::Class;
use crate::replay::Happened;
use crate::ways::Ways;

/// A packet in the clear.
#[derive(Debug)]
pub struct Clear<'a> {
    /// Whose stream it is of.
    pub client: ClientId,
    /// Which.
    pub media: MediaId,
    /// Who has sent it.
    pub sender: Sender,
    /// From where.
    pub source: SocketAddr,
    /// To where.
    pub destination: SocketAddr,
    /// What it is: [`Class::Rtp`] or [`Class::Rtcp`].
    pub class: Class,
    /// Its bytes.
    pub contents: &'a [u8],
}

/// Opens all media of a replay.
#[derive(Debug, Default)]
pub struct Opening {
    ways: Ways,
    readers: BTreeMap<(ClientId, MediaId), Box<Reader>>,
}

impl Opening {
    /// Hears what happened, and tells each packet of media in it, opened. Gives the ways that have
    /// been validated: the client's address, the server's, and whose stream it is for.
    pub fn hear(
        &mut self,
        happened: &Happened,
        mut tell: impl FnMut(Clear<'_>),
    ) -> Vec<((SocketAddr, SocketAddr), (ClientId, MediaId))> {
        let validated = self.ways.hear(happened);
        match happened {
            Happened::Observed(_)
            | Happened::Request { .. }
            | Happened::Ingested { .. }
            | Happened::Told(_)
            | Happened::Sunk(_) => {}
            Happened::Received {
                source,
                destination,
                contents,
            } => self.open(Sender::Client, *source, *destination, contents, &mut tell),
            Happened::Sent(batch) => {
                for sent in batch.iter() {
                    let (source, destination) = (sent.source, sent.destination);
                    self.open(
                        Sender::Server,
                        source,
                        destination,
                        sent.contents,
                        &mut tell,
                    );
                }
            }
        }
        validated
    }

    /// Takes the keys of a stream over.
    pub fn secure(&mut self, client: ClientId, media: MediaId, reader: Box<Reader>) {
        self.readers.insert((client, media), reader);
    }

    fn open(
        &mut self,
        sender: Sender,
        source: SocketAddr,
        destination: SocketAddr,
        contents: &[u8],
        tell: &mut impl FnMut(Clear<'_>),
    ) {
        let class = Class::of(contents);
        let way = match sender {
            Sender::Client => (source, destination),
            Sender::Server => (destination, source),
        };
        let Some((client, media)) = self.ways.owner(way) else {
            return;
        };
        let Some(reader) = self.readers.get_mut(&(client, media)) else {
            return;
        };
        let opened = match class {
            Class::Rtp => reader.read_rtp(sender, contents),
            Class::Rtcp => reader.read_rtcp(sender, contents),
            Class::Stun | Class::Dtls => None,
        };
        if let Some(contents) = opened {
            tell(Clear {
                client,
                media,
                sender,
                source,
                destination,
                class,
                contents: &contents,
            });
        }
    }
}

/// The header of a file with times of a nanosecond and packets that begin with IP (LINKTYPE_RAW).
pub const PCAP_HEADER: [u8; 24] = {
    let mut header = [0; 24];
    [header[0], header[1], header[2], header[3]] = 0xa1b2_3c4d_u32.to_le_bytes();
    header[4] = 2;
    header[6] = 4;
    [header[16], header[17], header[18], header[19]] = 0x4_0000_u32.to_le_bytes();
    header[20] = 101;
    header
};

/// Appends a packet to such a file, inside of UDP and IP. `since` is the time since 1970.
pub fn put_packet(out: &mut Vec<u8>, since: Duration, clear: &Clear<'_>) {
    // A datagram is shorter than 64 KiB.
    let length = clear.contents.len() as u16;
    let Some(udp_length) = length.checked_add(8) else {
        return;
    };
    let mut packet = Vec::with_capacity(clear.contents.len() + 48);
    match (clear.source.ip(), clear.destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let [high, low] = udp_length.saturating_add(20).to_be_bytes();
            let mut header = [
                0x45, 0, high, low, 0, 0, 0x40, 0, 64, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            ];
            header[12..16].copy_from_slice(&source.octets());
            header[16..].copy_from_slice(&destination.octets());
            let sum: u32 = header
                .chunks_exact(2)
                .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
                .sum();
            let folded = (sum & 0xffff) + (sum >> 16);
            let check = !(((folded & 0xffff) + (folded >> 16)) as u16);
            [header[10], header[11]] = check.to_be_bytes();
            packet.extend_from_slice(&header);
        }
        (source, destination) => {
            packet.extend_from_slice(&[0x60, 0, 0, 0]);
            packet.extend_from_slice(&udp_length.to_be_bytes());
            packet.extend_from_slice(&[17, 64]);
            for ip in [source, destination] {
                let ip = match ip {
                    IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                    IpAddr::V6(ip) => ip,
                };
                packet.extend_from_slice(&ip.octets());
            }
        }
    }
    packet.extend_from_slice(&clear.source.port().to_be_bytes());
    packet.extend_from_slice(&clear.destination.port().to_be_bytes());
    packet.extend_from_slice(&udp_length.to_be_bytes());
    // No checksum: allowed in IPv4 (RFC 768), and readers take it in IPv6.
    packet.extend_from_slice(&[0, 0]);
    packet.extend_from_slice(clear.contents);
    // Until 2106.
    out.extend_from_slice(&(since.as_secs() as u32).to_le_bytes());
    out.extend_from_slice(&since.subsec_nanos().to_le_bytes());
    for _ in 0..2 {
        out.extend_from_slice(&(packet.len() as u32).to_le_bytes());
    }
    out.extend_from_slice(&packet);
}
