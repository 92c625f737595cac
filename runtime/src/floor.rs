//! What nobody who forwards packets can do without: the calls of the system, by themselves. For the
//! bench that measures what they cost, with the same sockets and calls as the server's.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};

use crate::net;
use crate::worker::udp::{self, Receiver, Run};

/// Messages that are taken from one socket by one call.
const MESSAGES: usize = if Receiver::MOST < 16 {
    Receiver::MOST
} else {
    16
};

/// Sends runs of datagrams by one socket.
pub struct Sender {
    udp: UdpSocket,
    address: SocketAddr,
    sender: udp::Sender,
    order: Vec<usize>,
    runs: Vec<Run>,
}

impl Sender {
    /// Opens a socket as the server's are.
    ///
    /// # Errors
    /// The system's.
    pub fn open(local: SocketAddr) -> io::Result<Self> {
        let udp = net::media_socket(local)?;
        Ok(Self {
            address: udp.local_addr()?,
            udp,
            sender: udp::Sender::new(),
            order: Vec::new(),
            runs: Vec::new(),
        })
    }

    /// Sends each destination its `count` datagrams of `bytes` bytes, and returns how many left.
    /// `datagram` gives them: the first destination's are the first.
    ///
    /// # Errors
    /// The system's.
    pub fn send<'a>(
        &mut self,
        destinations: &[SocketAddr],
        (count, bytes): (usize, usize),
        datagram: impl Fn(usize) -> &'a [u8],
    ) -> io::Result<usize> {
        self.order.clear();
        self.order.extend(0..destinations.len() * count);
        self.runs.clear();
        let places = (0..).step_by(count.max(1));
        let runs = destinations.iter().zip(places);
        let run = |(to, first): (&SocketAddr, usize)| {
            Run::of_equals((self.address, *to), first, count, bytes)
        };
        self.runs.extend(runs.map(run));
        let mut sent = 0;
        while sent < self.runs.len() {
            let runs = self.runs.get(sent..).unwrap_or_default();
            sent += self.sender.send(&self.udp, &datagram, &self.order, runs)?;
        }
        Ok(sent * count)
    }
}

/// Sockets that take everything in and do nothing with it.
pub struct Players {
    poll: Poll,
    sockets: Vec<UdpSocket>,
    addresses: Vec<SocketAddr>,
    receiver: Receiver,
    events: Events,
}

impl Players {
    /// Opens sockets as those of the load's players are.
    ///
    /// # Errors
    /// The system's.
    pub fn open(local: SocketAddr, count: usize, offload: bool) -> io::Result<Self> {
        net::raise_open_files();
        let poll = Poll::new()?;
        let (mut sockets, mut addresses) = (Vec::new(), Vec::new());
        for number in 0..count {
            let (mut socket, address) = net::player_socket(local.ip(), offload)?;
            poll.registry()
                .register(&mut socket, Token(number), Interest::READABLE)?;
            sockets.push(socket);
            addresses.push(address);
        }
        Ok(Self {
            poll,
            sockets,
            addresses,
            receiver: Receiver::new(),
            events: Events::with_capacity(1_024),
        })
    }

    /// Where they are.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Takes in what comes within this time, and returns how many datagrams that were.
    ///
    /// # Errors
    /// The system's.
    pub fn drain(&mut self, time: Duration) -> io::Result<u64> {
        self.poll.poll(&mut self.events, Some(time))?;
        let mut datagrams = 0;
        for event in &self.events {
            let Some(socket) = self.sockets.get(event.token().0) else {
                continue;
            };
            // An error is the end of what there is.
            while let Ok(count) = self.receiver.receive(socket, MESSAGES) {
                let arrived = (0..count).filter_map(|number| self.receiver.get(number));
                let each = arrived.map(|one| one.contents.len().div_ceil(one.stride.max(1)));
                datagrams += each.sum::<usize>() as u64;
                if count < MESSAGES {
                    break;
                }
            }
        }
        Ok(datagrams)
    }
}
