//! One datagram a call, for systems without the calls that take many.

use std::io;

use mio::net::UdpSocket;
use parlor_core::Batch;

use super::plan::Run;
use super::{Arrived, BUFFER};

/// Nothing is to be prepared, and there is no offload.
pub(super) fn prepare(_: &UdpSocket) -> bool {
    false
}

/// Receives datagrams.
pub(super) struct Receiver {
    bytes: Vec<u8>,
    arrived: Option<(std::net::SocketAddr, usize)>,
}

impl Receiver {
    pub(super) fn new() -> Self {
        Self {
            bytes: vec![0; BUFFER],
            arrived: None,
        }
    }

    /// Receives one datagram.
    pub(super) fn receive(&mut self, socket: &UdpSocket, _most: usize) -> io::Result<usize> {
        let (length, source) = socket.recv_from(&mut self.bytes)?;
        self.arrived = Some((source, length));
        Ok(1)
    }

    /// The datagram.
    pub(super) fn get(&self, _number: usize) -> Option<Arrived<'_>> {
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
pub(super) struct Sender;

impl Sender {
    pub(super) fn new() -> Self {
        Self
    }

    /// Sends the first of `runs`, if it is one datagram; others are refused.
    pub(super) fn send(
        &mut self,
        socket: &UdpSocket,
        batch: &Batch,
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
        let transmit = number.and_then(|number| batch.get(number));
        let contents = transmit.map_or(&[][..], |transmit| transmit.contents);
        socket.send_to(contents, run.destination).map(|_| 1)
    }
}

/// Whether an error says that a run was refused.
pub(super) fn refuses_segments(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}
