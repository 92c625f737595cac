//! The handshake (RTMP 1.0 §5.2), also in the form that Flash Player insists on before it plays
//! H.264: both sides sign their random bytes with keys that everyone knows.

use aws_lc_rs::hmac;

/// What has come is no RTMP, or an encrypted kind of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is not RTMP")]
pub struct NotRtmp;

/// The server's side of a handshake.
#[derive(Debug)]
pub struct Handshake {
    stage: Stage,
    /// What the random bytes of this side are made of. They keep nothing secret.
    nonce: u64,
}

#[derive(Debug)]
enum Stage {
    /// C0 and C1 are coming.
    Hello(Vec<u8>),
    /// So many bytes of C2 are still to come.
    Echo(usize),
}

/// The only version there is in the open.
const VERSION: u8 = 3;
/// Bytes of C1, C2, S1 and S2.
const PART: usize = 1536;
const DIGEST: usize = 32;
/// Where the digest may be: behind four bytes that say how far behind.
const DIGEST_PLACES: [usize; 2] = [8, 772];
/// How far behind it may be at most.
const DIGEST_SPREAD: usize = 728;

const PLAYER: &[u8] = b"Genuine Adobe Flash Player 001";
const SERVER: &[u8] = b"Genuine Adobe Flash Media Server 001";
/// What follows the server's name in the longer of its two keys.
const SERVER_REST: [u8; 32] = [
    0xf0, 0xee, 0xc2, 0x4a, 0x80, 0x68, 0xbe, 0xe8, 0x2e, 0x00, 0xd0, 0xd1, 0x02, 0x9e, 0x7e, 0x57,
    0x6e, 0xec, 0x5d, 0x2d, 0x29, 0x80, 0x6f, 0xab, 0x93, 0xb8, 0xe6, 0x36, 0xcf, 0xeb, 0x31, 0xae,
];
/// The version that a server says, without which no client looks for a digest.
const SERVER_VERSION: [u8; 4] = [4, 5, 0, 1];

impl Handshake {
    /// A handshake that has not begun. Another nonce makes other random bytes.
    pub fn new(nonce: u64) -> Self {
        Self {
            stage: Stage::Hello(Vec::new()),
            nonce,
        }
    }

    /// Takes bytes off `bytes`, answers to the end of `out`, and says whether all is done: the
    /// bytes that are left are chunks then.
    pub fn read(&mut self, bytes: &mut &[u8], out: &mut Vec<u8>) -> Result<bool, NotRtmp> {
        if let Stage::Hello(hello) = &mut self.stage {
            let (part, rest) = bytes.split_at(bytes.len().min(1 + PART - hello.len()));
            hello.extend_from_slice(part);
            *bytes = rest;
            match hello.split_first() {
                None => return Ok(false),
                Some((&VERSION, client)) => {
                    let Some(client) = client.first_chunk::<PART>() else {
                        return Ok(false);
                    };
                    answer(client, self.nonce, out);
                }
                Some(_) => return Err(NotRtmp),
            }
            self.stage = Stage::Echo(PART);
        }
        let Stage::Echo(left) = &mut self.stage else {
            return Ok(false);
        };
        // Flash does not send what it should: C2 says nothing.
        let skipped = bytes.len().min(*left);
        *bytes = &bytes[skipped..];
        *left -= skipped;
        Ok(*left == 0)
    }
}

/// Writes S0, S1 and S2.
fn answer(client: &[u8; PART], nonce: u64, out: &mut Vec<u8>) {
    let mut first = [0; PART];
    fill(&mut first[8..], nonce);
    let mut second = *client;
    if let Some((place, digest)) = client_digest(client) {
        first[4..8].copy_from_slice(&SERVER_VERSION);
        let at = digest_at(&first, place);
        let signed = sign(SERVER, &[&first[..at], &first[at + DIGEST..]]);
        first[at..at + DIGEST].copy_from_slice(&signed);
        let key = sign(&[SERVER, &SERVER_REST].concat(), &[&digest]);
        let (random, signature) = second.split_at_mut(PART - DIGEST);
        fill(random, !nonce);
        signature.copy_from_slice(&sign(&key, &[random]));
    }
    out.push(VERSION);
    out.extend_from_slice(&first);
    out.extend_from_slice(&second);
}

/// The digest of a client that signs, and which of the places it is at.
fn client_digest(client: &[u8; PART]) -> Option<(usize, [u8; DIGEST])> {
    DIGEST_PLACES.into_iter().find_map(|place| {
        let at = digest_at(client, place);
        let digest = *client[at..].first_chunk::<DIGEST>()?;
        let signed = sign(PLAYER, &[&client[..at], &client[at + DIGEST..]]);
        (signed == digest).then_some((place, digest))
    })
}

fn digest_at(part: &[u8; PART], place: usize) -> usize {
    let offset: usize = part[place..place + 4]
        .iter()
        .map(|byte| usize::from(*byte))
        .sum();
    place + 4 + offset % DIGEST_SPREAD
}

const _: () = assert!(DIGEST_PLACES[1] + 4 + DIGEST_SPREAD + DIGEST <= PART);

fn sign(key: &[u8], parts: &[&[u8]]) -> [u8; DIGEST] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let mut context = hmac::Context::with_key(&key);
    for part in parts {
        context.update(part);
    }
    let mut digest = [0; DIGEST];
    digest.copy_from_slice(context.sign().as_ref());
    digest
}

/// Fills in bytes that look random (splitmix64).
fn fill(bytes: &mut [u8], nonce: u64) {
    let mut state = nonce;
    for chunk in bytes.chunks_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let mixed = (mixed ^ (mixed >> 31)).to_be_bytes();
        chunk.copy_from_slice(&mixed[..chunk.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A client's C0 and C1, signed at a place.
    fn hello(place: Option<usize>) -> Vec<u8> {
        let mut client = [0; PART];
        fill(&mut client[8..], 7);
        if let Some(place) = place {
            client[4..8].copy_from_slice(&[9, 0, 124, 2]);
            let at = digest_at(&client, place);
            let signed = sign(PLAYER, &[&client[..at], &client[at + DIGEST..]]);
            client[at..at + DIGEST].copy_from_slice(&signed);
        }
        [&[VERSION], &client[..]].concat()
    }

    fn shake(bytes: &[u8], piece: usize) -> (Vec<u8>, bool) {
        let mut handshake = Handshake::new(1);
        let (mut out, mut done) = (Vec::new(), false);
        for mut part in bytes.chunks(piece) {
            done = handshake.read(&mut part, &mut out).unwrap();
            assert!(part.is_empty());
        }
        (out, done)
    }

    #[test]
    fn a_client_that_does_not_sign_gets_its_bytes_back() {
        let hello = hello(None);
        let (out, done) = shake(&hello, 4096);
        assert!(!done);
        assert_eq!(out.len(), 1 + 2 * PART);
        assert_eq!(out[1 + PART..], hello[1..]);
    }

    #[test]
    fn a_client_that_signs_gets_signed_bytes() {
        for place in DIGEST_PLACES {
            let hello = hello(Some(place));
            let (out, _) = shake(&hello, 4096);
            let first: &[u8; PART] = out[1..].first_chunk().unwrap();
            let at = digest_at(first, place);
            let signed = sign(SERVER, &[&first[..at], &first[at + DIGEST..]]);
            assert_eq!(first[at..at + DIGEST], signed);
            assert_ne!(out[1 + PART..], hello[1..]);
        }
    }

    #[test]
    fn pieces_make_no_difference() {
        let bytes = [hello(Some(8)), vec![5; PART]].concat();
        assert_eq!(shake(&bytes, 1), shake(&bytes, bytes.len()));
        assert!(shake(&bytes, 1).1);
    }

    #[test]
    fn what_is_no_rtmp_is_noticed_at_its_first_byte() {
        for mut bytes in [&b"GET / HTTP/1.1"[..], &[6], &[0]] {
            let mut out = Vec::new();
            assert_eq!(Handshake::new(1).read(&mut bytes, &mut out), Err(NotRtmp));
            assert!(out.is_empty());
        }
    }
}
