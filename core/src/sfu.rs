//! The state machine's doors.

use std::time::Instant;

use crate::crypto::Certificate;
use crate::entropy::{Entropy, Seed};
use crate::observe::{Observation, RoomState};
use crate::relay::MachineId;
use crate::state::{Draws, State};
use crate::{
    Batch, ClientId, Config, Counters, Datagram, Deadline, Event, MediaId, MediaPacket, Relay,
    Reply, Request, RequestError, RoomName, SinkPacket, WorkerId,
};

/// The rooms of one worker, their peers and the media between them.
///
/// A pure function of what goes in: the same configuration, certificate, seed, first instant and
/// calls give the same outputs, byte for byte.
///
/// After every `handle_*` call the caller takes out what there is, in this order: datagrams by
/// [`Sfu::poll_transmit`], news by [`Sfu::poll_event`], media of sinks by
/// [`Sfu::poll_media`], messages to other workers by [`Sfu::poll_relay`], all until there are none,
/// and then the next deadline by [`Sfu::poll_timeout`]. Instants must not go back.
pub struct Sfu {
    entropy: Entropy,
    state: State,
}

impl Sfu {
    /// Makes an empty machine. `now` is the first instant of its time.
    pub fn new(config: Config, certificate: Certificate, seed: Seed, now: Instant) -> Self {
        Self {
            entropy: Entropy::new(&seed),
            state: State::new(config, certificate, MachineId::new(&seed), now),
        }
    }

    /// Takes a datagram in. One that comes from nobody known is counted and makes no state.
    pub fn handle_datagram(&mut self, now: Instant, datagram: Datagram<'_>) {
        let Self { entropy, state } = self;
        entropy.lend(|| state.handle_datagram(now, datagram));
    }

    /// Takes a request in and answers it.
    ///
    /// # Errors
    /// A sentence for the one who asked; nothing has changed then.
    pub fn handle_request(
        &mut self,
        now: Instant,
        client: ClientId,
        request: Request,
    ) -> Result<Reply, RequestError> {
        let Self { entropy, state } = self;
        let draws = Draws::new(entropy);
        entropy.lend(|| state.handle_request(now, client, request, draws))
    }

    /// Takes a packet of an ingest in: one of a stream that [`Request::Ingest`] has begun. Others
    /// are counted and dropped.
    pub fn handle_media(
        &mut self,
        now: Instant,
        client: ClientId,
        media: MediaId,
        packet: MediaPacket<'_>,
    ) {
        let Self { entropy, state } = self;
        entropy.lend(|| state.handle_media(now, client, media, packet));
    }

    /// Takes a message of another worker in; those of one come in the order in which its
    /// [`Sfu::poll_relay`] gave them.
    pub fn handle_relay(&mut self, now: Instant, from: WorkerId, relay: Relay) {
        let Self { entropy, state } = self;
        let draws = relay.draws().then(|| Draws::new(entropy));
        entropy.lend(|| state.handle_relay(now, from, relay, draws));
    }

    /// Takes a packet back that its worker had no room for. Packets alone may be lost: see
    /// [`Relay::is_packet`].
    pub fn handle_relay_refused(&mut self, now: Instant, relay: &Relay) {
        let Self { entropy, state } = self;
        entropy.lend(|| state.handle_relay_refused(now, relay));
    }

    /// Does what is due at `now`. Early or repeated calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        let Self { entropy, state } = self;
        entropy.lend(|| state.handle_timeout(now));
    }

    /// Swaps datagrams to send into `batch`, whose content is lost. Returns whether there are any.
    ///
    /// Packets of publishers are passed on here: one subscriber after the other gets those that
    /// have come since. So it pays to take several datagrams in before; and one datagram in makes
    /// as many out as there are subscribers, so what comes at once is bounded
    /// ([`Limits::transmit_bytes`](crate::Limits::transmit_bytes)): call it until there is none.
    pub fn poll_transmit(&mut self, batch: &mut Batch) -> bool {
        self.state.poll_transmit(batch)
    }

    /// So much is to be sent that some of it should be taken out before more goes in: what is held
    /// is bounded by who does that.
    ///
    /// Whatever changes who plays what first makes datagrams of all packets that wait, in one
    /// batch: before such an input ([a handshake](Self::is_handshake), a message of another worker
    /// that is no packet, a request, a timeout) datagrams are better taken out until there are none.
    pub fn has_much_to_send(&self) -> bool {
        self.state.has_much_to_send()
    }

    /// Whether a datagram is of a peer's handshake, or its goodbye: of DTLS, on a way that a check
    /// has validated. What strangers send is none.
    pub fn is_handshake(&self, datagram: &Datagram<'_>) -> bool {
        self.state.is_handshake(datagram)
    }

    /// Whether packets of publishers are still to be passed on: then [`Sfu::poll_transmit`] changes
    /// the machine even where it gives nothing, since nobody may want them, or sinks alone.
    pub fn has_to_pass_on(&self) -> bool {
        self.state.has_to_pass_on()
    }

    /// The next news for a client.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.state.poll_event()
    }

    /// The next packet for a sink.
    pub fn poll_media(&mut self) -> Option<SinkPacket> {
        self.state.poll_media()
    }

    /// The next message to another worker.
    pub fn poll_relay(&mut self) -> Option<(WorkerId, Relay)> {
        self.state.poll_relay()
    }

    /// When to come back, and why.
    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.state.poll_timeout()
    }

    /// What has been counted since the start.
    pub fn counters(&self) -> Counters {
        self.state.counters()
    }

    /// Whether there is nobody and nothing left: all rooms and streams are gone, and all that was
    /// to be said of them has been taken out.
    pub fn is_empty(&self) -> bool {
        self.state.is_empty()
    }

    /// Begins to tell more than the outputs, by [`Sfu::poll_observation`]. It changes nothing
    /// else.
    pub fn observe(&mut self) {
        self.state.observe();
    }

    /// What there is to tell to somebody who watches, after [`Sfu::observe`].
    pub fn poll_observation(&mut self) -> Option<Observation> {
        self.state.poll_observation()
    }

    /// A room as it is at `now`; `None` where there is none of this name.
    pub fn room_state(&self, now: Instant, room: &RoomName) -> Option<RoomState> {
        self.state.room_state(now, room)
    }

    /// Checks what must hold between the tables; for tests and simulations.
    ///
    /// # Panics
    /// Where it does not hold.
    pub fn check(&self) {
        self.state.check();
    }

    /// Checks that nothing is left of anybody, and that nothing waits to be done or taken out; for
    /// tests and simulations.
    ///
    /// # Panics
    /// Where something is left.
    pub fn check_empty(&self) {
        self.state.check_empty();
    }
}
