//! Accepting connections, and turning them away when there are too many.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::time::Instant;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};

use super::conversation::Speaks;
use super::counters::FrontCounters;
use crate::{limits, net};

/// A listening socket.
pub(crate) struct Listener {
    pub(crate) listener: TcpListener,
    pub(crate) speaks: Speaks,
    /// There may be more connections, though the poll will not say so again.
    pub(crate) readable: bool,
}

/// An accepted connection.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) speaks: Speaks,
}

/// All listening sockets.
pub(crate) struct Listeners {
    listeners: Vec<Listener>,
    /// The system has refused to accept more: out of file descriptors, or of memory.
    paused_until: Option<Instant>,
    /// Connections that have been told that there is no room, until they have read it.
    turned_away: VecDeque<(Instant, TcpStream)>,
}

const NO_ROOM: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
Content-Type: text/plain; charset=utf-8\r\n\
Content-Length: 47\r\n\
Retry-After: 10\r\n\
Connection: close\r\n\
\r\n\
This server has no room for more connections.\r\n";

impl Listeners {
    pub(crate) fn new(listeners: Vec<Listener>) -> Self {
        Self {
            listeners,
            paused_until: None,
            turned_away: VecDeque::new(),
        }
    }

    /// Registers each listener under the token of its number.
    pub(super) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        for (number, listener) in self.listeners.iter_mut().enumerate() {
            registry.register(&mut listener.listener, Token(number), Interest::READABLE)?;
        }
        Ok(())
    }

    pub(super) fn set_readable(&mut self, number: usize) {
        if let Some(listener) = self.listeners.get_mut(number) {
            listener.readable = true;
        }
    }

    /// Hands over the new connections that there is room for, and turns the others away.
    /// Returns whether more may wait.
    pub(super) fn accept(
        &mut self,
        now: Instant,
        counters: &mut FrontCounters,
        has_room: &mut impl FnMut(SocketAddr) -> bool,
        accepted: &mut Vec<Accepted>,
    ) -> bool {
        self.handle_timeout(now);
        let Self {
            listeners,
            paused_until,
            turned_away,
        } = self;
        for listener in listeners.iter_mut().filter(|listener| listener.readable) {
            for _ in 0..limits::ACCEPTS_PER_TURN {
                if paused_until.is_some() {
                    return false;
                }
                match listener.listener.accept() {
                    Ok((stream, peer)) if has_room(peer) => {
                        counters.accepted += 1;
                        if let Err(error) = net::prepare(&stream) {
                            tracing::debug!(%error, "a connection is as the system makes it");
                        }
                        accepted.push(Accepted {
                            stream,
                            peer,
                            speaks: listener.speaks,
                        });
                    }
                    Ok((stream, _)) => {
                        counters.turned_away += 1;
                        if listener.speaks == Speaks::Http {
                            turn_away(turned_away, stream, now);
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        listener.readable = false;
                        break;
                    }
                    Err(error) if is_of_one_connection(&error) => {}
                    Err(error) => {
                        tracing::debug!(%error, "a connection cannot be accepted");
                        counters.accept_failed += 1;
                        *paused_until = Some(now + limits::ACCEPT_PAUSE);
                    }
                }
            }
        }
        listeners.iter().any(|listener| listener.readable) && paused_until.is_none()
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.paused_until.is_some_and(|until| now >= until) {
            self.paused_until = None;
        }
        while self
            .turned_away
            .front()
            .is_some_and(|(until, _)| now >= *until)
        {
            self.turned_away.pop_front();
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let away = self.turned_away.front().map(|(until, _)| *until);
        self.paused_until.into_iter().chain(away).min()
    }

    /// Lets go of the ports.
    pub(super) fn close(&mut self, registry: &Registry) {
        for mut listener in self.listeners.drain(..) {
            if let Err(error) = registry.deregister(&mut listener.listener) {
                tracing::debug!(%error, "a listener was not polled");
            }
        }
        self.turned_away.clear();
        self.paused_until = None;
    }
}

/// The next connection may be accepted all the same.
fn is_of_one_connection(error: &io::Error) -> bool {
    let kinds = [io::ErrorKind::Interrupted, io::ErrorKind::ConnectionAborted];
    kinds.contains(&error.kind())
}

fn turn_away(away: &mut VecDeque<(Instant, TcpStream)>, mut stream: TcpStream, now: Instant) {
    // A fresh socket has room for these few bytes.
    let _ = stream.write(NO_ROOM);
    let _ = stream.shutdown(Shutdown::Write);
    if away.len() == limits::TURNED_AWAY {
        away.pop_front();
    }
    away.push_back((now + limits::TURNED_AWAY_TIME, stream));
}
