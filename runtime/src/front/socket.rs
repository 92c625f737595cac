//! One accepted TCP connection, with or without TLS, as plain bytes.

use std::io::{self, Read as _, Write as _};
use std::net::Shutdown;
use std::sync::Arc;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::{ServerConfig, ServerConnection};

/// Why nothing was read or written.
#[derive(Debug)]
pub(super) enum SocketError {
    /// Not for the moment; the poll says when.
    Blocked,
    /// The first byte on a TLS port is not TLS.
    NotTls,
    /// The client broke TLS, or does not agree to ours.
    Tls,
    /// The connection is of no more use.
    Lost,
}

impl From<io::Error> for SocketError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::WouldBlock {
            Self::Blocked
        } else {
            Self::Lost
        }
    }
}

pub(super) struct Socket {
    stream: TcpStream,
    tls: Option<Box<ServerConnection>>,
    /// The first byte is still to be looked at.
    first: Option<First>,
    interest: Interest,
}

/// What the first byte of a connection says.
enum First {
    /// Whether it is TLS, which it must be.
    Checked,
    /// Whether it is TLS, or not.
    Tells(Arc<ServerConfig>),
}

/// The first byte of a TLS record that holds a handshake (RFC 8446 §5.1).
const HANDSHAKE_RECORD: u8 = 22;

impl Socket {
    pub(super) fn plain(stream: TcpStream) -> Self {
        Self {
            stream,
            tls: None,
            first: None,
            interest: Interest::READABLE,
        }
    }

    /// A connection that has TLS if its first byte says so.
    pub(super) fn either(stream: TcpStream, config: Arc<ServerConfig>) -> Self {
        Self {
            first: Some(First::Tells(config)),
            ..Self::plain(stream)
        }
    }

    pub(super) fn tls(stream: TcpStream, config: Arc<ServerConfig>) -> Result<Self, rustls::Error> {
        let tls = Some(Box::new(ServerConnection::new(config)?));
        Ok(Self {
            stream,
            tls,
            first: Some(First::Checked),
            interest: Interest::READABLE,
        })
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.stream, token, self.interest)
    }

    /// Asks to be told of room to write exactly while there is something to write.
    pub(super) fn arm(
        &mut self,
        registry: &Registry,
        token: Token,
        writing: bool,
    ) -> io::Result<()> {
        let interest = match writing {
            true => Interest::READABLE | Interest::WRITABLE,
            false => Interest::READABLE,
        };
        if interest == self.interest {
            return Ok(());
        }
        self.interest = interest;
        registry.reregister(&mut self.stream, token, interest)
    }

    pub(super) fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// Reads bytes; none at the end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SocketError> {
        self.look_at_first()?;
        let Some(tls) = &mut self.tls else {
            return Ok(retry(|| self.stream.read(buffer))?);
        };
        loop {
            match tls.reader().read(buffer) {
                Ok(length) => return Ok(length),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The end of the stream without a `close_notify`: HTTP and WebSocket have ends
                // of their own.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                Err(_) => return Err(SocketError::Lost),
            }
            retry(|| tls.read_tls(&mut self.stream))?;
            if let Err(error) = tls.process_new_packets() {
                tracing::debug!(%error, "TLS failed");
                // The alert that says why, as far as the system takes it.
                let _ = tls.write_tls(&mut self.stream);
                return Err(SocketError::Tls);
            }
        }
    }

    /// Looks at the first byte, where it says something. At the end there is none.
    fn look_at_first(&mut self) -> Result<(), SocketError> {
        let Some(first) = &self.first else {
            return Ok(());
        };
        let mut byte = [0];
        let length = retry(|| self.stream.peek(&mut byte))?;
        let is_tls = length == 1 && byte[0] == HANDSHAKE_RECORD;
        match first {
            First::Checked if length == 1 && !is_tls => return Err(SocketError::NotTls),
            First::Tells(config) if is_tls => {
                let tls = ServerConnection::new(Arc::clone(config));
                self.tls = Some(Box::new(tls.map_err(|_| SocketError::Tls)?));
            }
            First::Checked | First::Tells(_) => {}
        }
        self.first = None;
        Ok(())
    }

    /// Takes bytes to write; with TLS they may stay here until [`Socket::flush`].
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<usize, SocketError> {
        let Some(tls) = &mut self.tls else {
            return Ok(retry(|| self.stream.write(bytes))?);
        };
        let taken = retry(|| tls.writer().write(bytes))?;
        if taken > 0 {
            return Ok(taken);
        }
        self.flush()?;
        let Some(tls) = &mut self.tls else {
            return Err(SocketError::Lost);
        };
        match retry(|| tls.writer().write(bytes))? {
            0 => Err(SocketError::Blocked),
            taken => Ok(taken),
        }
    }

    /// Writes what TLS has waiting.
    pub(super) fn flush(&mut self) -> Result<(), SocketError> {
        let Some(tls) = &mut self.tls else {
            return Ok(());
        };
        while tls.wants_write() {
            if retry(|| tls.write_tls(&mut self.stream))? == 0 {
                return Err(SocketError::Lost);
            }
        }
        Ok(())
    }

    /// TLS has something waiting to be written.
    pub(super) fn is_writing(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Says that nothing more is written; the TLS end has to be flushed and may be lost.
    pub(super) fn finish(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            let _ = self.flush();
        }
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Answers a plain request on a TLS port, as far as the system takes it.
    pub(super) fn write_plain(&mut self, bytes: &[u8]) {
        self.tls = None;
        self.first = None;
        let _ = self.stream.write(bytes);
    }
}

fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
