//! One datagram a call, for systems without the calls that take many.

use std::io;

use mio::net::UdpSocket;

use super::plan::Run;
use super::{Arrived, BUFFER};

/// Receives datagrams.
pub(crate) struct Receiver {
    bytes: Vec<u8>,
    arrived: Option<(std::net::SocketAddr, usize)>,
}

impl Receiver {
    /// Most messages of one call.
    pub(crate) const MOST: usize = 1;

    /// Nothing is to be prepared, and there is no offload.
    pub(crate) fn prepare(_: &UdpSocket, _offload: bool) -> bool {
        false
    }

    pub(crate) fn new() -> Self {
        Self {
            bytes: vec![0; BUFFER],
            arrived: None,
        }
    }

    /// Receives one datagram.
    pub(crate) fn receive(&mut self, socket: &UdpSocket, _most: usize) -> io::Result<usize> {
        let (length, source) = socket.recv_from(&mut self.bytes)?;
        self.arrived = Some((source, length));
        Ok(1)
    }

    /// The datagram.
    pub(crate) fn get(&self, _number: usize) -> Option<Arrived<'_>> {
        let (source, length) = self.arrived?;
        Some(Arrived {
            source,
            contents: self.bytes.get(..length)?,
            stride: length,
            at: None,
        })
    }
}

/// Sends datagrams.
pub(crate) struct Sender;

impl Sender {
    pub(crate) fn new() -> Self {
        Self
    }

    /// Sends the first of `runs`, if it is one datagram; others are refused.
    pub(crate) fn send<'a>(
        &mut self,
        socket: &UdpSocket,
        datagram: impl Fn(usize) -> &'a [u8],
        order: &[usize],
        runs: &[Run],
    ) -> io::Result<usize> {
        let Some(run) = runs.first() else {
            return Ok(0);
        };
        if run.count > 1 {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let number = order.get(run.first).copied();
        let contents = number.map_or(&[][..], datagram);
        socket.send_to(contents, run.destination).map(|_| 1)
    }
}

/// Whether an error says that a run was refused.
pub(super) fn refuses_segments(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}
