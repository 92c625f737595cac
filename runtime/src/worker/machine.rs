//! The rooms of a worker, behind the one way to them.

use std::time::Instant;

use parlor_core::{
    Batch, ClientId, Counters, Datagram, Deadline, Event, MediaId, MediaPacket, Reply, Request,
    RequestError, Sfu, SinkPacket,
};

/// The state machine of a worker. It has the doors of [`Sfu`], and nobody else in the runtime goes
/// through those: what comes in by here is all that there is to know about what came out.
pub(super) struct Machine {
    sfu: Sfu,
}

impl Machine {
    pub(super) fn new(sfu: Sfu) -> Self {
        Self { sfu }
    }

    /// See [`Sfu::handle_datagram`].
    pub(super) fn handle_datagram(&mut self, now: Instant, datagram: Datagram<'_>) {
        self.sfu.handle_datagram(now, datagram);
    }

    /// See [`Sfu::handle_request`].
    pub(super) fn handle_request(
        &mut self,
        now: Instant,
        client: ClientId,
        request: Request,
    ) -> Result<Reply, RequestError> {
        self.sfu.handle_request(now, client, request)
    }

    /// See [`Sfu::handle_media`].
    #[expect(dead_code, reason = "a door that no front of this runtime uses")]
    pub(super) fn handle_media(
        &mut self,
        now: Instant,
        client: ClientId,
        media: MediaId,
        packet: MediaPacket<'_>,
    ) {
        self.sfu.handle_media(now, client, media, packet);
    }

    /// See [`Sfu::handle_timeout`].
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.sfu.handle_timeout(now);
    }

    /// See [`Sfu::poll_transmit`].
    pub(super) fn poll_transmit(&mut self, batch: &mut Batch) -> bool {
        self.sfu.poll_transmit(batch)
    }

    /// See [`Sfu::bytes_to_send`].
    pub(super) fn bytes_to_send(&self) -> usize {
        self.sfu.bytes_to_send()
    }

    /// See [`Sfu::poll_event`].
    pub(super) fn poll_event(&mut self) -> Option<Event> {
        self.sfu.poll_event()
    }

    /// See [`Sfu::poll_media`].
    #[expect(dead_code, reason = "a door that no front of this runtime uses")]
    pub(super) fn poll_media(&mut self) -> Option<SinkPacket> {
        self.sfu.poll_media()
    }

    /// See [`Sfu::poll_timeout`].
    pub(super) fn poll_timeout(&self) -> Option<Deadline> {
        self.sfu.poll_timeout()
    }

    /// See [`Sfu::counters`].
    pub(super) fn counters(&self) -> Counters {
        self.sfu.counters()
    }
}
