//! WebSocket frames (RFC 6455), the server's side.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha1::{Digest, Sha1};

use crate::limits::{CONTROL_BYTES, MESSAGE_BYTES};

/// What a frame is (RFC 6455 §5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xA,
        }
    }

    fn is_control(self) -> bool {
        match self {
            Self::Continuation | Self::Text | Self::Binary => false,
            Self::Close | Self::Ping | Self::Pong => true,
        }
    }
}

/// Why the server closes a WebSocket (RFC 6455 §7.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Close {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
}

impl Close {
    pub(crate) const GOING_AWAY: Self = Self::new(1001, "the server stops");

    pub(crate) const fn new(code: u16, reason: &'static str) -> Self {
        assert!(
            reason.len() <= CONTROL_BYTES - 2,
            "a reason fits into a control frame"
        );
        Self { code, reason }
    }

    const fn protocol(reason: &'static str) -> Self {
        Self::new(1002, reason)
    }

    pub(crate) fn payload(self) -> Vec<u8> {
        [&self.code.to_be_bytes(), self.reason.as_bytes()].concat()
    }
}

/// What the peer has sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    Text(String),
    Ping(Vec<u8>),
    Pong,
    /// The peer closes; the payload is what an echo holds: its code, or nothing.
    Close(Vec<u8>),
}

/// Reads frames from a byte stream that is cut anywhere.
///
/// Nothing is reserved on the word of a header: buffers grow by what has arrived.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// The header bytes read so far; a header has at most 14.
    header: Vec<u8>,
    /// The frame whose payload is being read.
    frame: Option<Frame>,
    /// The payload of the control frame being read.
    control: Vec<u8>,
    /// The text message being put together.
    message: Vec<u8>,
    /// A text message has begun and its last fragment has not come.
    in_message: bool,
}

#[derive(Debug)]
struct Frame {
    opcode: Opcode,
    fin: bool,
    mask: [u8; 4],
    length: usize,
    read: usize,
}

impl Reader {
    /// Takes from the front of `bytes` what belongs to the next incoming item, and gives that
    /// item once it is complete. `None` means that all of `bytes` is taken and more is needed.
    pub(crate) fn read(&mut self, bytes: &mut &[u8]) -> Result<Option<Incoming>, Close> {
        loop {
            let frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.read_header(bytes)? {
                    Some(frame) => frame,
                    None => return Ok(None),
                },
            };
            let Some(frame) = self.read_payload(frame, bytes) else {
                return Ok(None);
            };
            if let Some(incoming) = self.on_frame(&frame)? {
                return Ok(Some(incoming));
            }
        }
    }

    fn read_header(&mut self, bytes: &mut &[u8]) -> Result<Option<Frame>, Close> {
        while let Some((&byte, rest)) = bytes.split_first() {
            *bytes = rest;
            self.header.push(byte);
            // A header is checked as soon as its first two bytes are there: who breaks the rules
            // in them may never send the others.
            if let [first, second] = self.header[..] {
                self.check_start(first, second)?;
            }
            if let Some(frame) = self.parse_header()? {
                self.header.clear();
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }

    fn check_start(&self, first: u8, second: u8) -> Result<(), Close> {
        if first & 0x70 != 0 {
            return Err(Close::protocol("reserved bits are set"));
        }
        let Some(opcode) = Opcode::from_bits(first & 0x0F) else {
            return Err(Close::protocol("unknown opcode"));
        };
        if second & 0x80 == 0 {
            return Err(Close::protocol("frames of a client must be masked"));
        }
        if opcode.is_control() && (first & 0x80 == 0 || usize::from(second & 0x7F) > CONTROL_BYTES)
        {
            return Err(Close::protocol("control frames are whole and short"));
        }
        match opcode {
            Opcode::Binary => Err(Close::new(1003, "binary messages are not understood")),
            Opcode::Text if self.in_message => {
                Err(Close::protocol("a message begins inside of another"))
            }
            Opcode::Continuation if !self.in_message => {
                Err(Close::protocol("there is no message to continue"))
            }
            Opcode::Text | Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => {
                Ok(())
            }
        }
    }

    /// The frame that the header announces, once the header is complete.
    fn parse_header(&self) -> Result<Option<Frame>, Close> {
        let [first, second, rest @ ..] = &self.header[..] else {
            return Ok(None);
        };
        let (length, mask) = match (second & 0x7F, rest) {
            (126, [a, b, mask @ ..]) => (u64::from(u16::from_be_bytes([*a, *b])), mask),
            (127, [a, b, c, d, e, f, g, h, mask @ ..]) => {
                (u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]), mask)
            }
            (126 | 127, _) => return Ok(None),
            (length, mask) => (u64::from(length), mask),
        };
        let shortest = match second & 0x7F {
            126 => length > 125,
            127 => length > u64::from(u16::MAX),
            _ => true,
        };
        if !shortest {
            return Err(Close::protocol("a length is written the short way"));
        }
        if length >> 63 != 0 {
            return Err(Close::protocol("a length has 63 bits"));
        }
        let Some(opcode) = Opcode::from_bits(first & 0x0F) else {
            return Err(Close::protocol("unknown opcode"));
        };
        let begun = if opcode.is_control() {
            0
        } else {
            self.message.len()
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > MESSAGE_BYTES - begun {
            return Err(Close::new(1009, "the message is too big"));
        }
        let &[a, b, c, d] = mask else {
            return Ok(None);
        };
        Ok(Some(Frame {
            opcode,
            fin: first & 0x80 != 0,
            mask: [a, b, c, d],
            length,
            read: 0,
        }))
    }

    /// Reads payload; gives the frame back once all of it is there.
    fn read_payload(&mut self, mut frame: Frame, bytes: &mut &[u8]) -> Option<Frame> {
        let (payload, rest) = bytes.split_at(bytes.len().min(frame.length - frame.read));
        *bytes = rest;
        let buffer = if frame.opcode.is_control() {
            &mut self.control
        } else {
            &mut self.message
        };
        let mask = frame.mask.iter().cycle().skip(frame.read % 4);
        buffer.extend(payload.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
        frame.read += payload.len();
        if frame.read == frame.length {
            return Some(frame);
        }
        self.frame = Some(frame);
        None
    }

    fn on_frame(&mut self, frame: &Frame) -> Result<Option<Incoming>, Close> {
        match frame.opcode {
            Opcode::Text | Opcode::Continuation | Opcode::Binary => {
                self.in_message = !frame.fin;
                if !frame.fin {
                    return Ok(None);
                }
                String::from_utf8(std::mem::take(&mut self.message))
                    .map(|text| Some(Incoming::Text(text)))
                    .map_err(|_| Close::new(1007, "the text is not UTF-8"))
            }
            Opcode::Ping => Ok(Some(Incoming::Ping(std::mem::take(&mut self.control)))),
            Opcode::Pong => {
                self.control.clear();
                Ok(Some(Incoming::Pong))
            }
            Opcode::Close => close_echo(&std::mem::take(&mut self.control)).map(Some),
        }
    }
}

/// Checks the payload of a close frame (RFC 6455 §5.5.1, §7.4).
fn close_echo(payload: &[u8]) -> Result<Incoming, Close> {
    let (code, reason) = match payload {
        [] => return Ok(Incoming::Close(Vec::new())),
        [_] => return Err(Close::protocol("a close code has two bytes")),
        [a, b, reason @ ..] => (u16::from_be_bytes([*a, *b]), reason),
    };
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Close::protocol("no such close code"));
    }
    if std::str::from_utf8(reason).is_err() {
        return Err(Close::new(1007, "the reason is not UTF-8"));
    }
    Ok(Incoming::Close(code.to_be_bytes().to_vec()))
}

/// Writes a whole, unmasked frame.
pub(crate) fn write_frame(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    out.push(0x80 | opcode.bits());
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ ..=125), _) => out.push(length),
        (_, Ok(length)) => {
            out.push(126);
            out.extend_from_slice(&length.to_be_bytes());
        }
        (_, Err(_)) => {
            out.push(127);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

/// The `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key`, if that is one (RFC 6455 §4.2.2).
pub(crate) fn accept(key: &[u8]) -> Option<String> {
    let nonce = BASE64.decode(key).ok()?;
    if nonce.len() != 16 {
        return None;
    }
    let mut digest = Sha1::new();
    digest.update(key);
    digest.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    Some(BASE64.encode(digest.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reserves_nothing() {
        let mut reader = Reader::default();
        let length = (MESSAGE_BYTES as u64).to_be_bytes();
        let claim = [&[0x81, 0xFF][..], &length, &[1, 2, 3, 4], b"x"].concat();
        assert_eq!(reader.read(&mut &claim[..]), Ok(None));
        assert!(reader.message.capacity() < 100);
    }

    #[test]
    fn lengths_are_written_the_short_way() {
        for (length, header) in [
            (125, &[0x81, 125][..]),
            (126, &[0x81, 126, 0, 126]),
            (0xFFFF, &[0x81, 126, 0xFF, 0xFF]),
            (0x1_0000, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut out = Vec::new();
            write_frame(&mut out, Opcode::Text, &vec![b'x'; length]);
            assert_eq!(out.len(), header.len() + length);
            assert!(out.starts_with(header));
        }
    }

    #[test]
    fn the_key_of_the_rfc_gets_its_answer() {
        let expected = Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned());
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), expected);
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ"), None);
    }
}
