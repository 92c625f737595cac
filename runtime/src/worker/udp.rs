//! The media sockets of one worker, each with the candidates that clients reach it by.

mod arrivals;
mod departures;
mod plan;
#[cfg(any(not(target_os = "linux"), test))]
#[cfg_attr(
    target_os = "linux",
    allow(dead_code, reason = "here it is tested, and used elsewhere")
)]
mod portable;
#[cfg(target_os = "linux")]
mod sys;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

pub(crate) use arrivals::Arrivals;
use departures::Departures;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use parlor_core::{Batch, Datagram, Metric};
pub(crate) use plan::Run;
#[cfg(not(target_os = "linux"))]
use portable as sys;
pub(crate) use sys::{Receiver, Sender};

use crate::histogram::Histogram;
use crate::{limits, net};

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

/// Most messages that are received, or sent, by one call of the system.
const MESSAGES: usize = 64;
/// Room for one message: several datagrams that the system has put together.
const BUFFER: usize = 64 * 1024;
/// Refusals of the system to cut a run of datagrams, each on a way of its own, after which a socket
/// sends them one by one.
const REFUSALS: u32 = 8;

/// What has arrived from one sender: a datagram, or several of the same size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrived<'a> {
    pub(crate) source: SocketAddr,
    pub(crate) contents: &'a [u8],
    /// Bytes of each datagram; the last one may be shorter.
    pub(crate) stride: usize,
    /// When the system has received it, since 1970.
    pub(crate) at: Option<Duration>,
}

struct Socket {
    udp: UdpSocket,
    /// What is told as the destination of what arrives.
    candidate: SocketAddr,
}

/// The sockets.
pub(crate) struct Udp {
    sockets: Vec<Socket>,
    candidates: Vec<SocketAddr>,
    receiver: sys::Receiver,
    /// Of each socket: there may be more to read, though the system will not say so again.
    readable: Vec<bool>,
    /// Of each socket: it has given something in this turn.
    lively: Vec<bool>,
    departures: Departures,
    pub(crate) counters: ReceiveCounters,
    /// Bytes that the system has set aside for all sockets: of receiving, and of sending.
    buffers: (u64, u64),
}

/// What happened to datagrams that came.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ReceiveCounters {
    calls: u64,
    errors: u64,
}

/// The way out, for as long as something that came is handled.
pub(crate) struct Departing<'a> {
    sockets: &'a [Socket],
    departures: &'a mut Departures,
}

impl Departing<'_> {
    /// Sends a batch. What the system does not take is dropped: media does not wait.
    pub(crate) fn send(&mut self, batch: &Batch) {
        self.departures.send(self.sockets, batch);
    }
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
            candidates: Vec::new(),
            receiver: sys::Receiver::new(),
            readable: Vec::new(),
            lively: Vec::new(),
            departures: Departures::default(),
            counters: ReceiveCounters::default(),
            buffers: (0, 0),
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
            self.departures.open(candidate, self.sockets.len());
            self.candidates.push(candidate);
        }
        // What a socket for several addresses takes in counts as sent to the first of them.
        let Some(candidate) = candidates.clone().next() else {
            return Ok(());
        };
        let offload = Receiver::prepare(&udp, true);
        let (receive, send) = net::buffers(&udp);
        tracing::debug!(%candidate, offload, receive, send, "media socket");
        if receive.min(send) < limits::MEDIA_SOCKET_BUFFER {
            tracing::info!(
                %candidate, receive, send,
                "the system gives media sockets small buffers; net.core.rmem_max and wmem_max say so"
            );
        }
        self.buffers.0 += receive as u64;
        self.buffers.1 += send as u64;
        self.sockets.push(Socket { udp, candidate });
        self.readable.push(true);
        self.lively.push(false);
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
        if let Some(readable) = self.readable.get_mut(token.0) {
            *readable = true;
        }
    }

    pub(crate) fn is_readable(&self) -> bool {
        self.readable.contains(&true)
    }

    /// Has the sockets that gave something in this turn asked again: more may have come since.
    pub(crate) fn look_again(&mut self) {
        for (readable, lively) in self.readable.iter_mut().zip(&self.lively) {
            *readable |= lively;
        }
    }

    /// Reads what one call of the system gives from each socket that has something. `handle` gets
    /// each datagram, and the way out.
    pub(crate) fn receive(&mut self, mut handle: impl FnMut(Datagram<'_>, Departing<'_>)) {
        let Self {
            sockets,
            receiver,
            readable,
            lively,
            departures,
            counters,
            ..
        } = self;
        let sockets_ready = readable.iter_mut().zip(lively).enumerate();
        for (number, (readable, lively)) in sockets_ready {
            let Some(socket) = sockets.get(number).filter(|_| *readable) else {
                continue;
            };
            counters.calls += 1;
            let count = match receiver.receive(&socket.udp, Receiver::MOST) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // The next datagram makes the socket readable again, so that an error that stays
                // does not keep this thread busy.
                Err(error) => {
                    if error.kind() != io::ErrorKind::WouldBlock {
                        tracing::debug!(%error, "a media socket failed to receive");
                        counters.errors += 1;
                    }
                    *readable = false;
                    continue;
                }
            };
            // Fewer than there was room for: there were no more.
            *readable = count == Receiver::MOST;
            *lively |= count > 0;
            for arrived in (0..count).filter_map(|number| receiver.get(number)) {
                let cause = departures.arrivals.note(arrived.at);
                for contents in arrived.contents.chunks(arrived.stride.max(1)) {
                    let datagram = Datagram {
                        source: arrived.source,
                        destination: socket.candidate,
                        contents,
                        cause,
                    };
                    let departing = Departing {
                        sockets,
                        departures: &mut *departures,
                    };
                    handle(datagram, departing);
                }
            }
        }
    }

    /// Sends a batch. What the system does not take is dropped: media does not wait.
    pub(crate) fn send(&mut self, batch: &Batch) {
        self.departures.send(&self.sockets, batch);
    }

    /// Ends a turn: what has arrived so far has been answered with the batches that were sent.
    pub(crate) fn forget_arrivals(&mut self) {
        self.lively.fill(false);
        self.departures.arrivals.forget();
    }

    /// Notes when the system received what comes in next by another way, and gives it a number.
    pub(crate) fn note_arrival(&mut self, at: Option<Duration>) -> u32 {
        self.departures.arrivals.note(at)
    }

    /// When the system has received what is being answered.
    pub(crate) fn arrivals(&self) -> &Arrivals {
        &self.departures.arrivals
    }

    /// How long packets that were passed on have been in this program.
    pub(crate) fn delays(&self) -> &Histogram {
        &self.departures.delays
    }

    pub(crate) fn metrics(&self) -> impl Iterator<Item = Metric> + use<> {
        let ReceiveCounters { calls, errors } = self.counters;
        let (receive, send) = self.buffers;
        let buffer = |name, help, value| Metric {
            grows: false,
            ..counter(name, help, value)
        };
        let received = [
            buffer(
                "parlor_media_receive_buffer_bytes",
                "Room that the system has for datagrams that have come to the media sockets.",
                receive,
            ),
            buffer(
                "parlor_media_send_buffer_bytes",
                "Room that the system has for datagrams that leave by the media sockets.",
                send,
            ),
            counter(
                "parlor_media_receive_calls_total",
                "Calls of the system that received datagrams.",
                calls,
            ),
            counter(
                "parlor_media_receive_errors_total",
                "Errors of the system on receiving datagrams.",
                errors,
            ),
        ];
        received
            .into_iter()
            .chain(self.departures.counters.metrics())
    }
}

fn counter(name: &'static str, help: &'static str, value: u64) -> Metric {
    Metric {
        name,
        help,
        grows: true,
        value,
    }
}

#[cfg(test)]
mod tests;
