//! The bytes of a journal.
//!
//! A journal begins with [`MAGIC`] and the version of the format in two bytes. Records follow, each
//! a kind (1 byte), the nanoseconds since the record before (varint), the length of its content
//! (varint), the content, and a check of all of that (4 bytes: the lower half of its XXH3). Numbers
//! of fixed size are little-endian, varints are LEB128. The first record is the [`Header`].

use std::net::{IpAddr, SocketAddr};

use parlor_core::{Certificate, Config, Seed};
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use crate::recorder::Fresh;

/// What a journal begins with.
pub(crate) const MAGIC: &[u8; 6] = b"PARLOR";
/// The version of the format that is written.
pub const VERSION: u16 = 1;
/// The sources of the machine in this program, as a number: machines with the same one put out the
/// same bytes.
pub const MACHINE: &str = env!("PARLOR_MACHINE");

/// Bytes of the check behind a record.
pub(crate) const CHECK: usize = 4;

/// The kinds of records. Those of another version are passed over.
pub(crate) mod kind {
    pub(crate) const HEADER: u8 = 1;
    pub(crate) const REQUEST: u8 = 2;
    pub(crate) const DATAGRAM: u8 = 3;
    pub(crate) const MEDIA: u8 = 4;
    pub(crate) const TIMEOUT: u8 = 5;
    pub(crate) const RELAY: u8 = 6;
    pub(crate) const RELAY_REFUSED: u8 = 7;
    pub(crate) const REPLY: u8 = 16;
    pub(crate) const TRANSMITS: u8 = 17;
    pub(crate) const EVENTS: u8 = 18;
    pub(crate) const SINK: u8 = 19;
    pub(crate) const RELAYED: u8 = 20;
    pub(crate) const CUT: u8 = 32;
    /// Kinds from here on are no input: to pass over one of them loses nothing but itself.
    pub(crate) const OUTPUTS: u8 = REPLY;
}

/// Why a journal ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The server stopped.
    Stopped,
    /// All had left, and the machine began anew in another journal.
    Renewed,
    /// It reached the size or age that it may have.
    Full,
    /// The disk was too slow or full: what follows has not been written.
    Lost,
}

impl Cut {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Stopped => 1,
            Self::Renewed => 2,
            Self::Full => 3,
            Self::Lost => 4,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|cut| cut.code() == code)
    }

    pub(crate) const ALL: [Self; 4] = [Self::Stopped, Self::Renewed, Self::Full, Self::Lost];

    /// The record that ends a journal so: what has not kept all of a tape puts it behind the last
    /// whole record.
    pub fn mark(self) -> Vec<u8> {
        let mut record = Vec::new();
        seal(kind::CUT, 0, &[self.code()], &mut record);
        record
    }
}

/// What a journal begins with: which machine it is of.
#[derive(Debug, Clone)]
pub struct Header {
    /// The version of the program.
    pub program: String,
    /// Its [`MACHINE`].
    pub machine: String,
    /// Which worker's machine it is.
    pub worker: u32,
    /// The date at which it began, in milliseconds since 1970, for people.
    pub date_ms: u64,
    /// Nanoseconds from [`epoch::base`](parlor_core::epoch::base) to its first instant.
    pub begun_ns: u64,
    /// What the machine was made of.
    pub made_of: Fresh,
}

/// The header as it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    program: String,
    machine: String,
    worker: u32,
    date_ms: u64,
    begun_ns: u64,
    seed: String,
    certificate: String,
    private_key: String,
    config: Config,
}

impl Header {
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let written = Written {
            program: self.program.clone(),
            machine: self.machine.clone(),
            worker: self.worker,
            date_ms: self.date_ms,
            begun_ns: self.begun_ns,
            seed: to_hex(&self.made_of.seed.0),
            certificate: to_hex(&self.made_of.certificate.certificate),
            private_key: to_hex(&self.made_of.certificate.private_key),
            config: self.made_of.config.clone(),
        };
        // Nothing in it has no form in JSON.
        serde_json::to_vec(&written).unwrap_or_default()
    }

    pub(crate) fn from_json(text: &[u8]) -> Option<Self> {
        let written: Written = serde_json::from_slice(text).ok()?;
        let certificate = Certificate {
            certificate: from_hex(&written.certificate)?,
            private_key: from_hex(&written.private_key)?,
        };
        if !certificate.is_usable() {
            return None;
        }
        Some(Self {
            program: written.program,
            machine: written.machine,
            worker: written.worker,
            date_ms: written.date_ms,
            begun_ns: written.begun_ns,
            made_of: Fresh {
                seed: Seed(from_hex(&written.seed)?.try_into().ok()?),
                certificate,
                config: written.config,
            },
        })
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| digit.to_digit(16).map(|digit| digit as u8))
        .collect();
    let digits = digits?;
    (digits.len() % 2 == 0).then(|| {
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect()
    })
}

pub(crate) fn check(bytes: &[u8]) -> [u8; CHECK] {
    (XxHash3_64::oneshot(bytes) as u32).to_le_bytes()
}

/// Writes a record: its kind, the nanoseconds since the record before it, its content, and the check
/// of all of that.
pub fn seal(kind: u8, since_ns: u64, content: &[u8], out: &mut Vec<u8>) {
    let begin = out.len();
    out.push(kind);
    put_varint(out, since_ns);
    put_varint(out, content.len() as u64);
    out.extend_from_slice(content);
    let check = check(out.get(begin..).unwrap_or_default());
    out.extend_from_slice(&check);
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn put_address(out: &mut Vec<u8>, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => {
            out.push(4);
            out.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            out.push(6);
            out.extend_from_slice(&ip.octets());
        }
    }
    out.extend_from_slice(&address.port().to_le_bytes());
}

/// What is left to be read of a record's content.
#[derive(Clone, Copy)]
pub(crate) struct Rest<'a>(pub(crate) &'a [u8]);

impl<'a> Rest<'a> {
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return None;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn address(&mut self) -> Option<SocketAddr> {
        let ip = match self.byte()? {
            4 => IpAddr::from(self.array::<4>()?),
            6 => IpAddr::from(self.array::<16>()?),
            _ => return None,
        };
        let port = u16::from_le_bytes(self.array()?);
        Some(SocketAddr::new(ip, port))
    }

    pub(crate) fn all(self) -> &'a [u8] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_their_encoding() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            let mut rest = Rest(&bytes);
            assert_eq!(rest.varint(), Some(value));
            assert!(rest.all().is_empty());
        }
        assert_eq!(Rest(&[0xff; 9]).varint(), None, "cut short");
        assert_eq!(Rest(&[0xff; 11]).varint(), None, "more than 64 bits");
        let mut ends = [0xff; 10];
        ends[9] = 2;
        assert_eq!(Rest(&ends).varint(), None, "65 bits");
    }

    #[test]
    fn addresses_survive_their_encoding() {
        for text in ["192.0.2.1:5000", "[2001:db8::1]:65535"] {
            let address: SocketAddr = text.parse().unwrap();
            let mut bytes = Vec::new();
            put_address(&mut bytes, address);
            assert_eq!(Rest(&bytes).address(), Some(address));
        }
    }

    #[test]
    fn hex_of_odd_length_is_none() {
        assert_eq!(from_hex("0aff"), Some(vec![10, 255]));
        assert_eq!(from_hex("0af"), None);
        assert_eq!(from_hex("0x"), None);
    }
}
