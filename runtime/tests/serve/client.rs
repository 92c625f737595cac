//! A client that speaks HTTP and WebSocket, with and without TLS, as little as tests need.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::{Domain, Socket, Type};

pub(crate) trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

pub(crate) struct Client {
    stream: Box<dyn Stream>,
}

/// An HTTP response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// A WebSocket frame of a server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Text(String),
    Close(u16),
    Other(u8),
}

/// Longer than any limit of time that a test waits for.
const PATIENCE: Duration = Duration::from_secs(25);

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A connection from another address of this machine.
pub(crate) fn connect_from(local: Ipv4Addr, address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from((local, 0)).into()).unwrap();
    socket.connect(&address.into()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.into()
}

impl Client {
    pub(crate) fn on(stream: TcpStream) -> Self {
        Self {
            stream: Box::new(stream),
        }
    }

    pub(crate) fn plain(address: SocketAddr) -> Self {
        Self::on(connect(address))
    }

    /// Trusts the self-signed certificate of a state directory.
    pub(crate) fn tls(address: SocketAddr, state: &Path) -> Self {
        let mut roots = RootCertStore::empty();
        let pem = std::fs::read(state.join("self-signed.crt")).unwrap();
        roots
            .add(CertificateDer::from_pem_slice(&pem).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(Arc::new(config), name).unwrap();
        Self {
            stream: Box::new(StreamOwned::new(tls, connect(address))),
        }
    }

    /// What the client speaks on.
    pub(crate) fn into_stream(self) -> Box<dyn Stream> {
        self.stream
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Reads to the end.
    pub(crate) fn rest(&mut self) -> io::Result<String> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest)?;
        Ok(String::from_utf8(rest).unwrap())
    }

    pub(crate) fn get(&mut self, path: &str) -> Response {
        self.write(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())
            .unwrap();
        self.response()
    }

    pub(crate) fn response(&mut self) -> Response {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        self.stream.read_exact(&mut body).unwrap();
        Response {
            status,
            head,
            body: String::from_utf8(body).unwrap(),
        }
    }

    /// Becomes a WebSocket.
    pub(crate) fn upgrade(&mut self) {
        self.write(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .unwrap();
        let response = self.response();
        assert_eq!(response.status, 101, "{}", response.head);
        assert!(
            response.head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            "{}",
            response.head
        );
    }

    /// Begins a session and enters a room.
    pub(crate) fn join(&mut self, login: &str, room: &str) {
        let answer = self.ask_to_join(login, room);
        assert!(answer.contains("ACCEPTED"), "{answer}");
    }

    /// Begins a session, asks to enter a room, and gives the answer.
    pub(crate) fn ask_to_join(&mut self, login: &str, room: &str) -> String {
        self.upgrade();
        self.say(&format!(
            r#"{{"message":"connection","data":[{{"appKey":"roomApp","mediaProviders":["WebRTC"],
            "clientVersion":"2.0","custom":{{"login":"{login}"}}}}]}}"#
        ));
        self.hear("getUserData");
        self.say(&format!(
            r#"{{"message":"sendData","data":[{{"operationId":"1","payload":
            {{"command":"join","options":{{"name":"{room}"}}}}}}]}}"#
        ));
        self.hear("DataStatusEvent")
    }

    /// Sends a text.
    pub(crate) fn say(&mut self, text: &str) {
        self.write(&frame(1, text.as_bytes())).unwrap();
    }

    /// Reads up to a text that contains `part`.
    pub(crate) fn hear(&mut self, part: &str) -> String {
        loop {
            match self.frame().unwrap() {
                Frame::Text(text) if text.contains(part) => return text,
                Frame::Text(_) | Frame::Other(_) => {}
                Frame::Close(code) => panic!("closed ({code}) before {part}"),
            }
        }
    }

    /// Reads up to the close, and gives its code.
    pub(crate) fn hear_close(&mut self) -> u16 {
        loop {
            if let Frame::Close(code) = self.frame().unwrap() {
                return code;
            }
        }
    }

    pub(crate) fn frame(&mut self) -> io::Result<Frame> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head)?;
        let length = match head[1] {
            126 => {
                let mut length = [0; 2];
                self.stream.read_exact(&mut length)?;
                u64::from(u16::from_be_bytes(length))
            }
            127 => {
                let mut length = [0; 8];
                self.stream.read_exact(&mut length)?;
                u64::from_be_bytes(length)
            }
            length => u64::from(length),
        };
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload)?;
        Ok(match head[0] & 0x0f {
            1 => Frame::Text(String::from_utf8(payload).unwrap()),
            8 => Frame::Close(u16::from_be_bytes([payload[0], payload[1]])),
            other => Frame::Other(other),
        })
    }
}

/// A client's frame, masked with zeros.
pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | length as u8),
        length @ 126..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}
