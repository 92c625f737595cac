//! The client's end of a connection: reads what the server writes.

use serde_json::Value;

/// What a client has read.
#[derive(Debug, Default)]
pub(crate) struct Client {
    buffer: Vec<u8>,
    is_websocket: bool,
    /// The responses to HTTP requests, as text.
    pub(crate) responses: String,
    /// The messages that were not taken yet.
    pub(crate) messages: Vec<Value>,
    /// Payloads of pongs.
    pub(crate) pongs: Vec<Vec<u8>>,
    /// The payload of the close frame.
    pub(crate) close: Option<Vec<u8>>,
}

impl Client {
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        if !self.is_websocket {
            let text = String::from_utf8_lossy(&self.buffer).into_owned();
            if !text.starts_with("HTTP/1.1 101") || !text.contains("\r\n\r\n") {
                self.responses = text;
                return;
            }
            let end = text.find("\r\n\r\n").unwrap() + 4;
            self.responses = text[..end].to_owned();
            self.buffer.drain(..end);
            self.is_websocket = true;
        }
        while let Some((first, payload)) = self.next_frame() {
            assert!(self.close.is_none(), "nothing follows a close");
            match first {
                0x81 => self.messages.push(checked(&payload)),
                0x8A => self.pongs.push(payload),
                0x88 => self.close = Some(payload),
                other => panic!("a frame begins with {other:#x}"),
            }
        }
    }

    /// The close code that the server gave.
    pub(crate) fn close_code(&self) -> Option<u16> {
        match self.close.as_deref()? {
            [] => Some(1005),
            [a, b, ..] => Some(u16::from_be_bytes([*a, *b])),
            [_] => panic!("a close code has two bytes"),
        }
    }

    fn next_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let (&first, &second) = (self.buffer.first()?, self.buffer.get(1)?);
        assert_eq!(second & 0x80, 0, "a server does not mask");
        let (start, length) = match second {
            126 => (
                4,
                u16::from_be_bytes(self.buffer.get(2..4)?.try_into().unwrap()).into(),
            ),
            127 => (
                10,
                u64::from_be_bytes(self.buffer.get(2..10)?.try_into().unwrap()),
            ),
            length => (2, u64::from(length)),
        };
        let end = start + length as usize;
        let payload = self.buffer.get(start..end)?.to_vec();
        self.buffer.drain(..end);
        Some((first, payload))
    }
}

/// The SDK throws at a frame that is not an object with a `data` array.
fn checked(payload: &[u8]) -> Value {
    let message: Value = serde_json::from_slice(payload).expect("frames are JSON");
    assert!(message["message"].is_string(), "{message}");
    assert!(message["data"].is_array(), "{message}");
    message
}
