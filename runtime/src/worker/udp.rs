//! The media sockets of one worker, each with the candidates that clients reach it by.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use parlor_core::{Datagram, Metric, Transmit};

use crate::net;

/// Why a worker has no media sockets.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// An address cannot be bound to.
    #[error("UDP {address} cannot be opened for media: {error}")]
    Bind {
        /// Which.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// No address is left.
    #[error("this machine has no network address to receive media at")]
    NoAddress,
}

/// What happened to datagrams.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct UdpCounters {
    pub(crate) send_blocked: u64,
    pub(crate) send_errors: u64,
    pub(crate) receive_errors: u64,
}

impl UdpCounters {
    pub(crate) fn metrics(&self) -> [Metric; 3] {
        let count = |name, help, value| Metric {
            name,
            help,
            grows: true,
            value,
        };
        [
            count(
                "parlor_media_send_blocked_total",
                "Datagrams dropped because the system took no more.",
                self.send_blocked,
            ),
            count(
                "parlor_media_send_errors_total",
                "Datagrams that the system refused to send.",
                self.send_errors,
            ),
            count(
                "parlor_media_receive_errors_total",
                "Errors of the system on receiving datagrams.",
                self.receive_errors,
            ),
        ]
    }
}

struct Socket {
    udp: UdpSocket,
    /// What is told as the destination of what arrives.
    candidate: SocketAddr,
    /// There may be more to read, though the system will not say so again.
    readable: bool,
}

/// The sockets.
pub(crate) struct Udp {
    sockets: Vec<Socket>,
    by_candidate: BTreeMap<SocketAddr, usize>,
    candidates: Vec<SocketAddr>,
    pub(crate) counters: UdpCounters,
}

impl Udp {
    /// Opens the sockets of the worker whose port is `port` (0: any free one).
    ///
    /// Without `public_ips` each address of this machine is a candidate. With them, they are: one
    /// that is this machine's own gets a socket on it; the others are translated to this machine
    /// on the way, so that one socket for all addresses of the family takes them in.
    pub(crate) fn open(public_ips: &[IpAddr], port: u16) -> Result<Self, MediaError> {
        let own = net::interface_addresses();
        let mut udp = Self {
            sockets: Vec::new(),
            by_candidate: BTreeMap::new(),
            candidates: Vec::new(),
            counters: UdpCounters::default(),
        };
        if public_ips.is_empty() {
            udp.open_each(&own, port)?;
        } else {
            udp.open_public(public_ips, &own, port)?;
        }
        if udp.candidates.is_empty() {
            return Err(MediaError::NoAddress);
        }
        Ok(udp)
    }

    fn open_each(&mut self, addresses: &[IpAddr], port: u16) -> Result<(), MediaError> {
        for address in addresses {
            match self.open_one(SocketAddr::new(*address, port), &[*address]) {
                Ok(()) => {}
                // The address was there a moment ago, or is not ready yet.
                Err(MediaError::Bind { address, error })
                    if error.kind() == io::ErrorKind::AddrNotAvailable =>
                {
                    tracing::warn!(%address, %error, "no media at this address");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn open_public(
        &mut self,
        public_ips: &[IpAddr],
        own: &[IpAddr],
        port: u16,
    ) -> Result<(), MediaError> {
        for (all, is_ipv6) in [
            (IpAddr::from(Ipv4Addr::UNSPECIFIED), false),
            (IpAddr::from(Ipv6Addr::UNSPECIFIED), true),
        ] {
            let family: Vec<IpAddr> = public_ips
                .iter()
                .copied()
                .filter(|ip| ip.is_ipv6() == is_ipv6)
                .collect();
            if family.iter().all(|ip| own.contains(ip)) {
                for address in &family {
                    self.open_one(SocketAddr::new(*address, port), &[*address])?;
                }
            } else {
                self.open_one(SocketAddr::new(all, port), &family)?;
            }
        }
        // The operator's order is the order of preference.
        self.candidates
            .sort_by_key(|candidate| public_ips.iter().position(|ip| *ip == candidate.ip()));
        Ok(())
    }

    fn open_one(&mut self, address: SocketAddr, seen_as: &[IpAddr]) -> Result<(), MediaError> {
        let bind = |error| MediaError::Bind { address, error };
        let udp = net::media_socket(address).map_err(bind)?;
        let port = udp.local_addr().map_err(bind)?.port();
        let candidates = seen_as.iter().map(|ip| SocketAddr::new(*ip, port));
        for candidate in candidates.clone() {
            self.by_candidate.insert(candidate, self.sockets.len());
            self.candidates.push(candidate);
        }
        // What a socket for several addresses takes in counts as sent to the first of them.
        let Some(candidate) = candidates.clone().next() else {
            return Ok(());
        };
        self.sockets.push(Socket {
            udp,
            candidate,
            readable: true,
        });
        Ok(())
    }

    pub(crate) fn candidates(&self) -> &[SocketAddr] {
        &self.candidates
    }

    /// Registers each socket under the token of its number.
    pub(crate) fn register(&mut self, registry: &Registry) -> io::Result<()> {
        for (number, socket) in self.sockets.iter_mut().enumerate() {
            registry.register(&mut socket.udp, Token(number), Interest::READABLE)?;
        }
        Ok(())
    }

    pub(crate) fn set_readable(&mut self, token: Token) {
        if let Some(socket) = self.sockets.get_mut(token.0) {
            socket.readable = true;
        }
    }

    pub(crate) fn is_readable(&self) -> bool {
        self.sockets.iter().any(|socket| socket.readable)
    }

    /// Reads up to `budget` datagrams of each socket that has some.
    pub(crate) fn receive(
        &mut self,
        buffer: &mut [u8],
        budget: usize,
        mut handle: impl FnMut(Datagram<'_>),
    ) {
        for socket in self.sockets.iter_mut().filter(|socket| socket.readable) {
            for _ in 0..budget {
                match socket.udp.recv_from(buffer) {
                    Ok((length, source)) => handle(Datagram {
                        source,
                        destination: socket.candidate,
                        contents: &buffer[..length],
                    }),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        socket.readable = false;
                        break;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    // The next datagram makes the socket readable again, so that an error that
                    // stays does not keep this thread busy.
                    Err(error) => {
                        tracing::debug!(%error, "a media socket failed to receive");
                        self.counters.receive_errors += 1;
                        socket.readable = false;
                        break;
                    }
                }
            }
        }
    }

    /// Sends a datagram, or drops it where the system takes no more: media does not wait.
    pub(crate) fn send(&mut self, transmit: &Transmit) {
        let Some(number) = self.by_candidate.get(&transmit.source) else {
            debug_assert!(false, "datagrams are sent from candidates");
            self.counters.send_errors += 1;
            return;
        };
        match self.sockets[*number]
            .udp
            .send_to(&transmit.contents, transmit.destination)
        {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.counters.send_blocked += 1;
            }
            Err(error) => {
                tracing::trace!(%error, "a datagram was not sent");
                self.counters.send_errors += 1;
            }
        }
    }
}
