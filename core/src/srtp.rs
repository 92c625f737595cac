//! SRTP (RFC 3711, RFC 7714): what the server seals and opens.
//!
//! A connection sends nothing but what is sealed here: two sealers under one key would use one
//! nonce twice. So the keys of a connection give each of these once.

mod client;
pub(crate) mod watch;

use std::ops::Range;

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{self, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
pub use client::ClientSrtp;

/// Which transforms protect a connection's media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// SRTP_AES128_CM_HMAC_SHA1_80.
    Aes128CmSha1,
    /// SRTP_AEAD_AES_128_GCM.
    Aes128Gcm,
    /// SRTP_AEAD_AES_256_GCM.
    Aes256Gcm,
}

/// The keying material of a finished DTLS handshake (RFC 5764 §4.2).
pub(crate) struct Keys {
    pub(crate) profile: Profile,
    /// The client's key, the server's key, the client's salt, the server's salt.
    pub(crate) material: Vec<u8>,
}

/// The keying material is not what its profile asks for, or the cryptography has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Failed;

/// Bytes of the tag of AES-CM with HMAC-SHA1-80.
const SHA1_80: usize = 10;
/// Bytes of the tag of AES-GCM.
const GCM_TAG: usize = 16;
/// Bytes of the index of an SRTCP packet, with its E flag.
const INDEX: usize = 4;
/// Bytes of an RTCP packet that stay in the clear: header and SSRC of the sender.
const RTCP_CLEAR: usize = 8;
const ENCRYPTED: u32 = 1 << 31;

/// The labels of session keys (RFC 3711 §4.3.2), first of RTP, then of RTCP.
const RTP_LABELS: [u8; 3] = [0, 1, 2];
const RTCP_LABELS: [u8; 3] = [3, 4, 5];

enum Cipher {
    /// The key is a pointer to its schedule.
    Gcm { key: LessSafeKey, salt: [u8; 12] },
    /// Boxed, because few connections have it and it is fifty times as large.
    Cm(Box<Cm>),
}

struct Cm {
    key: EncryptingKey,
    salt: [u8; 16],
    auth: hmac::Key,
}

/// Protects the packets of one side.
pub(crate) struct RtpSealer(Cipher);

/// Protects the feedback and the reports of one side.
pub(crate) struct RtcpSealer {
    cipher: Cipher,
    /// The index of the next packet.
    next: u32,
}

/// Opens the packets of one side.
pub(crate) struct RtpOpener(Cipher);

/// Opens the feedback and the reports of one side.
pub(crate) struct RtcpOpener {
    cipher: Cipher,
    /// Of each source that reports: browsers count the packets of each by itself (RFC 3711 §3.2.3).
    windows: Vec<(u32, Window)>,
}

/// Sources of one side that may report: a browser has one for each of its streams, and changes them
/// when it begins anew.
const REPORTING: usize = 32;

/// The packets of the latest indices that have come (RFC 3711 §3.3.2).
#[derive(Debug, Default)]
struct Window {
    latest: Option<u32>,
    /// Bit n: the packet n before the latest has come.
    seen: u64,
}

impl Profile {
    fn key_bytes(self) -> usize {
        match self {
            Self::Aes128CmSha1 | Self::Aes128Gcm => 16,
            Self::Aes256Gcm => 32,
        }
    }

    fn salt_bytes(self) -> usize {
        match self {
            Self::Aes128CmSha1 => 14,
            Self::Aes128Gcm | Self::Aes256Gcm => 12,
        }
    }
}

/// Who seals.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Side {
    Client,
    Server,
}

impl Keys {
    pub(crate) fn rtp_sealer(&self, side: Side) -> Result<RtpSealer, Failed> {
        self.cipher(side, RTP_LABELS).map(RtpSealer)
    }

    pub(crate) fn rtcp_sealer(&self, side: Side) -> Result<RtcpSealer, Failed> {
        let cipher = self.cipher(side, RTCP_LABELS)?;
        Ok(RtcpSealer { cipher, next: 0 })
    }

    /// Opens what this side seals.
    pub(crate) fn rtp_opener(&self, side: Side) -> Result<RtpOpener, Failed> {
        self.cipher(side, RTP_LABELS).map(RtpOpener)
    }

    /// Opens what this side seals.
    pub(crate) fn rtcp_opener(&self, side: Side) -> Result<RtcpOpener, Failed> {
        let cipher = self.cipher(side, RTCP_LABELS)?;
        let windows = Vec::new();
        Ok(RtcpOpener { cipher, windows })
    }

    fn cipher(&self, side: Side, labels: [u8; 3]) -> Result<Cipher, Failed> {
        let (key, salt) = (self.profile.key_bytes(), self.profile.salt_bytes());
        let part = |from: usize, length| self.material.get(from..from + length).ok_or(Failed);
        let (key, salt) = match side {
            Side::Client => (part(0, key)?, part(2 * key, salt)?),
            Side::Server => (part(key, key)?, part(2 * key + salt, salt)?),
        };
        Cipher::derive(self.profile, key, salt, labels)
    }
}

/// Derives a session key (RFC 3711 §4.3.1, with a key derivation rate of zero).
fn derive(master_key: &[u8], master_salt: &[u8], label: u8, out: &mut [u8]) -> Result<(), Failed> {
    let algorithm = if master_key.len() == 32 {
        &cipher::AES_256
    } else {
        &cipher::AES_128
    };
    let key = UnboundCipherKey::new(algorithm, master_key).map_err(|_| Failed)?;
    let key = EncryptingKey::ecb(key).map_err(|_| Failed)?;
    let mut block = [0_u8; 16];
    block
        .get_mut(..master_salt.len())
        .ok_or(Failed)?
        .copy_from_slice(master_salt);
    block[7] ^= label;
    for (counter, piece) in (0_u16..).zip(out.chunks_mut(16)) {
        let mut stream = block;
        [stream[14], stream[15]] = counter.to_be_bytes();
        key.less_safe_encrypt(&mut stream, EncryptionContext::None)
            .map_err(|_| Failed)?;
        piece.copy_from_slice(&stream[..piece.len()]);
    }
    Ok(())
}

impl Cipher {
    fn derive(profile: Profile, key: &[u8], salt: &[u8], labels: [u8; 3]) -> Result<Self, Failed> {
        let [encryption, authentication, salting] = labels;
        let mut session_key = [0; 32];
        let session_key = session_key.get_mut(..profile.key_bytes()).ok_or(Failed)?;
        derive(key, salt, encryption, session_key)?;
        match profile {
            Profile::Aes128CmSha1 => {
                let (mut session_salt, mut auth) = ([0; 16], [0; 20]);
                derive(key, salt, salting, &mut session_salt[..14])?;
                derive(key, salt, authentication, &mut auth)?;
                let key = UnboundCipherKey::new(&cipher::AES_128, session_key);
                let key = key.and_then(EncryptingKey::ctr).map_err(|_| Failed)?;
                let auth = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &auth);
                let salt = session_salt;
                Ok(Self::Cm(Box::new(Cm { key, salt, auth })))
            }
            Profile::Aes128Gcm | Profile::Aes256Gcm => {
                let mut session_salt = [0; 12];
                derive(key, salt, salting, &mut session_salt)?;
                let algorithm = match session_key.len() {
                    32 => &aead::AES_256_GCM,
                    _ => &aead::AES_128_GCM,
                };
                let key = UnboundKey::new(algorithm, session_key).map_err(|_| Failed)?;
                Ok(Self::Gcm {
                    key: LessSafeKey::new(key),
                    salt: session_salt,
                })
            }
        }
    }
}

/// The counter block of AES-CM (RFC 3711 §4.1.1).
fn counter_block(salt: &[u8; 16], ssrc: u32, index: u64) -> [u8; 16] {
    let value = u128::from_be_bytes(*salt) ^ (u128::from(ssrc) << 64) ^ (u128::from(index) << 16);
    value.to_be_bytes()
}

/// The nonce of AES-GCM for RTP (RFC 7714 §8.1), and with a 31 bit index that for RTCP (§9.1).
fn nonce(salt: &[u8; 12], ssrc: u32, index: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[2..6].copy_from_slice(&ssrc.to_be_bytes());
    nonce[6..].copy_from_slice(&index.to_be_bytes()[2..]);
    for (byte, salt) in nonce.iter_mut().zip(salt) {
        *byte ^= salt;
    }
    Nonce::assume_unique_for_key(nonce)
}

fn apply_counter(key: &EncryptingKey, block: [u8; 16], data: &mut [u8]) -> Result<(), Failed> {
    if data.is_empty() {
        return Ok(());
    }
    let context = EncryptionContext::Iv128(FixedLength::from(block));
    key.less_safe_encrypt(data, context)
        .map(drop)
        .map_err(|_| Failed)
}

fn ssrc_at(packet: &[u8], at: usize) -> Result<u32, Failed> {
    let bytes = packet.get(at..at + 4).ok_or(Failed)?;
    Ok(u32::from_be_bytes(bytes.try_into().map_err(|_| Failed)?))
}

impl RtpSealer {
    /// Seals the RTP packet at the end of `bytes` in place: its header, which is at `header`, stays
    /// in the clear. `sequence` is its sequence number with the rollover counter above it.
    pub(crate) fn seal(
        &self,
        bytes: &mut Vec<u8>,
        header: Range<usize>,
        sequence: u64,
    ) -> Result<(), Failed> {
        let Range { start, end } = header;
        let packet = bytes.get_mut(start..).ok_or(Failed)?;
        let ssrc = ssrc_at(packet, 8)?;
        let length = end.checked_sub(start).ok_or(Failed)?;
        let (clear, payload) = packet.split_at_mut_checked(length).ok_or(Failed)?;
        match &self.0 {
            Cipher::Gcm { key, salt } => {
                let nonce = nonce(salt, ssrc, sequence);
                let tag = key.seal_in_place_separate_tag(nonce, Aad::from(clear), payload);
                bytes.extend_from_slice(tag.map_err(|_| Failed)?.as_ref());
            }
            Cipher::Cm(cm) => {
                let Cm { key, salt, auth } = &**cm;
                apply_counter(key, counter_block(salt, ssrc, sequence), payload)?;
                let rollover = (sequence >> 16) as u32;
                let mut tag = hmac::Context::with_key(auth);
                tag.update(packet);
                tag.update(&rollover.to_be_bytes());
                bytes.extend_from_slice(&tag.sign().as_ref()[..SHA1_80]);
            }
        }
        Ok(())
    }
}

impl RtcpSealer {
    /// Goes on with the packet of this index.
    pub(crate) fn skip_to(&mut self, index: u32) {
        self.next = self.next.max(index);
    }

    /// Seals a compound RTCP packet in place.
    pub(crate) fn seal(&mut self, packet: &mut Vec<u8>) -> Result<(), Failed> {
        let ssrc = ssrc_at(packet, 4)?;
        let index = self.next;
        // The index has 31 bits; a connection that has used them all is over.
        self.next = index
            .checked_add(1)
            .filter(|next| *next < ENCRYPTED)
            .ok_or(Failed)?;
        let trailer = (ENCRYPTED | index).to_be_bytes();
        let (clear, payload) = packet.split_at_mut_checked(RTCP_CLEAR).ok_or(Failed)?;
        match &self.cipher {
            Cipher::Gcm { key, salt } => {
                let aad = [&*clear, &trailer].concat();
                let nonce = nonce(salt, ssrc, u64::from(index));
                let tag = key.seal_in_place_separate_tag(nonce, Aad::from(aad), payload);
                packet.extend_from_slice(tag.map_err(|_| Failed)?.as_ref());
                packet.extend_from_slice(&trailer);
            }
            Cipher::Cm(cm) => {
                let Cm { key, salt, auth } = &**cm;
                apply_counter(key, counter_block(salt, ssrc, u64::from(index)), payload)?;
                packet.extend_from_slice(&trailer);
                let tag = hmac::sign(auth, packet);
                packet.extend_from_slice(&tag.as_ref()[..SHA1_80]);
            }
        }
        Ok(())
    }
}

impl RtpOpener {
    /// Opens the RTP packet with a header of `header` bytes: its payload, padding included, into
    /// `payload`. `sequence` is what its sequence number must be with the rollover counter above
    /// it.
    pub(crate) fn open(
        &self,
        packet: &[u8],
        header: usize,
        sequence: u64,
        payload: &mut Vec<u8>,
    ) -> Result<(), Failed> {
        let ssrc = ssrc_at(packet, 8)?;
        match &self.0 {
            Cipher::Gcm { key, salt } => {
                let (packet, tag) = split_end(packet, GCM_TAG)?;
                let (clear, sealed) = packet.split_at_checked(header).ok_or(Failed)?;
                payload.resize(sealed.len(), 0);
                let nonce = nonce(salt, ssrc, sequence);
                key.open_separate_gather(nonce, Aad::from(clear), sealed, tag, payload)
                    .map_err(|_| Failed)
            }
            Cipher::Cm(cm) => {
                let Cm { key, salt, auth } = &**cm;
                let (packet, tag) = split_end(packet, SHA1_80)?;
                let rollover = (sequence >> 16) as u32;
                let mut expected = hmac::Context::with_key(auth);
                expected.update(packet);
                expected.update(&rollover.to_be_bytes());
                verify(&expected.sign(), tag)?;
                payload.clear();
                payload.extend_from_slice(packet.get(header..).ok_or(Failed)?);
                apply_counter(key, counter_block(salt, ssrc, sequence), payload)
            }
        }
    }
}

/// Checks a tag of HMAC-SHA1-80.
fn verify(expected: &hmac::Tag, tag: &[u8]) -> Result<(), Failed> {
    let expected = &expected.as_ref()[..SHA1_80];
    aws_lc_rs::constant_time::verify_slices_are_equal(expected, tag).map_err(|_| Failed)
}

impl RtcpOpener {
    /// Opens an SRTCP packet: the compound RTCP packet in it. One that was not sealed by the
    /// other side, or has come before, is refused.
    pub(crate) fn open(&mut self, packet: &[u8]) -> Result<Vec<u8>, Failed> {
        let ssrc = ssrc_at(packet, 4)?;
        let (opened, index) = match &self.cipher {
            Cipher::Gcm { key, salt } => {
                let (sealed, trailer) = split_end(packet, INDEX)?;
                let word = ssrc_at(trailer, 0)?;
                if word & ENCRYPTED == 0 || sealed.len() < RTCP_CLEAR + GCM_TAG {
                    return Err(Failed);
                }
                let index = word & !ENCRYPTED;
                let (clear, sealed) = sealed.split_at(RTCP_CLEAR);
                let aad = [clear, trailer].concat();
                let mut opened = packet[..RTCP_CLEAR].to_vec();
                let mut content = sealed.to_vec();
                let nonce = nonce(salt, ssrc, u64::from(index));
                let content = key.open_in_place(nonce, Aad::from(aad), &mut content);
                opened.extend_from_slice(content.map_err(|_| Failed)?);
                (opened, index)
            }
            Cipher::Cm(cm) => {
                let Cm { key, salt, auth } = &**cm;
                let (authenticated, tag) = split_end(packet, SHA1_80)?;
                verify(&hmac::sign(auth, authenticated), tag)?;
                let (sealed, trailer) = split_end(authenticated, INDEX)?;
                let word = ssrc_at(trailer, 0)?;
                let index = word & !ENCRYPTED;
                let mut opened = sealed.to_vec();
                let content = opened.get_mut(RTCP_CLEAR..).ok_or(Failed)?;
                if word & ENCRYPTED != 0 {
                    apply_counter(key, counter_block(salt, ssrc, u64::from(index)), content)?;
                }
                (opened, index)
            }
        };
        if self.admit(ssrc, index) {
            Ok(opened)
        } else {
            Err(Failed)
        }
    }

    /// Notes an index that was authenticated; false where it has come before from this source.
    fn admit(&mut self, ssrc: u32, index: u32) -> bool {
        let known = self.windows.iter().position(|(source, _)| *source == ssrc);
        let place = known.unwrap_or(self.windows.len());
        if known.is_none() {
            if place == REPORTING {
                return false;
            }
            self.windows.push((ssrc, Window::default()));
        }
        self.windows
            .get_mut(place)
            .is_some_and(|(_, window)| window.admit(index))
    }
}

fn split_end(packet: &[u8], end: usize) -> Result<(&[u8], &[u8]), Failed> {
    let at = packet.len().checked_sub(end).ok_or(Failed)?;
    packet.split_at_checked(at).ok_or(Failed)
}

impl Window {
    /// Notes an index that was authenticated; false where it has come before, or is too old to tell.
    fn admit(&mut self, index: u32) -> bool {
        let Some(latest) = self.latest else {
            (self.latest, self.seen) = (Some(index), 1);
            return true;
        };
        if index > latest {
            let ahead = index - latest;
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.latest = Some(index);
            return true;
        }
        let behind = latest - index;
        let Some(bit) = 1_u64.checked_shl(behind) else {
            return false;
        };
        let fresh = self.seen & bit == 0;
        self.seen |= bit;
        fresh
    }
}

#[cfg(test)]
mod tests;
