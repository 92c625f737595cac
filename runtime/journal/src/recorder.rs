//! A machine that may be recorded.

use std::time::Instant;

use parlor_core::{
    Batch, Certificate, ClientId, Config, Counters, Datagram, Deadline, Event, MediaId,
    MediaPacket, Relay, Reply, Request, RequestError, Seed, Sfu, SinkPacket, WorkerId,
};

use crate::tape::Tape;

/// What a machine is made of.
#[derive(Debug, Clone)]
pub struct Fresh {
    /// Its configuration.
    pub config: Config,
    /// Its certificate.
    pub certificate: Certificate,
    /// Its seed.
    pub seed: Seed,
}

impl Fresh {
    fn sfu(&self, now: Instant) -> Sfu {
        let Self {
            config,
            certificate,
            seed,
        } = self.clone();
        Sfu::new(config, certificate, seed, now)
    }
}

/// An [`Sfu`] with the same doors, which may keep a tape of what goes through them. Whoever runs a
/// machine goes through these, so that nothing is missing on the tape.
pub struct Recorder {
    sfu: Sfu,
    fresh: Fresh,
    tape: Option<Tape>,
    /// What the machines before this one have counted.
    earlier: Counters,
}

impl Recorder {
    /// A machine without a tape. `now` is its first instant.
    pub fn new(fresh: Fresh, now: Instant) -> Self {
        Self {
            sfu: fresh.sfu(now),
            fresh,
            tape: None,
            earlier: Counters::default(),
        }
    }

    /// Replaces the machine by a fresh one, whose tape this is: only a machine that is recorded from
    /// its first instant can run again. The counters go on.
    ///
    /// # Panics
    /// Where the machine [is not empty](Self::is_empty).
    pub fn renew(&mut self, fresh: Fresh, tape: Tape, now: Instant) {
        assert!(self.sfu.is_empty(), "a call would be lost");
        self.earlier = self.counters();
        self.sfu = fresh.sfu(now);
        self.fresh = fresh;
        self.tape = Some(tape);
    }

    /// What the machine was made of.
    pub fn fresh(&self) -> &Fresh {
        &self.fresh
    }

    /// Whether there is something on the tape that can be taken out.
    pub fn has_unwritten(&self) -> bool {
        self.tape.as_ref().is_some_and(|tape| !tape.is_empty())
    }

    /// The tape, if there is one.
    pub fn tape(&mut self) -> Option<&mut Tape> {
        self.tape.as_mut()
    }

    /// Stops recording.
    pub fn take_tape(&mut self) -> Option<Tape> {
        self.tape.take()
    }

    /// See [`Sfu::is_empty`].
    pub fn is_empty(&self) -> bool {
        self.sfu.is_empty()
    }

    /// See [`Sfu::handle_datagram`].
    pub fn handle_datagram(&mut self, now: Instant, datagram: Datagram<'_>) {
        if let Some(tape) = &mut self.tape {
            tape.datagram(now, datagram);
        }
        self.sfu.handle_datagram(now, datagram);
    }

    /// See [`Sfu::handle_request`].
    pub fn handle_request(
        &mut self,
        now: Instant,
        client: ClientId,
        request: Request,
    ) -> Result<Reply, RequestError> {
        if let Some(tape) = &mut self.tape {
            tape.request(now, client, &request);
        }
        let reply = self.sfu.handle_request(now, client, request);
        if let Some(tape) = &mut self.tape {
            tape.reply(&reply);
        }
        reply
    }

    /// See [`Sfu::handle_media`].
    pub fn handle_media(
        &mut self,
        now: Instant,
        client: ClientId,
        media: MediaId,
        packet: MediaPacket<'_>,
    ) {
        if let Some(tape) = &mut self.tape {
            tape.media(now, client, media, packet);
        }
        self.sfu.handle_media(now, client, media, packet);
    }

    /// See [`Sfu::handle_relay`].
    pub fn handle_relay(&mut self, now: Instant, from: WorkerId, relay: Relay) {
        if let Some(tape) = &mut self.tape {
            tape.relay(now, from, &relay);
        }
        self.sfu.handle_relay(now, from, relay);
    }

    /// See [`Sfu::handle_relay_refused`].
    pub fn handle_relay_refused(&mut self, now: Instant, relay: &Relay) {
        if let Some(tape) = &mut self.tape {
            tape.relay_refused(now, relay);
        }
        self.sfu.handle_relay_refused(now, relay);
    }

    /// Does what is due at `now`, if anything is; see [`Sfu::handle_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.sfu.poll_timeout().is_none_or(|due| due.at > now) {
            return;
        }
        if let Some(tape) = &mut self.tape {
            tape.timeout(now);
        }
        self.sfu.handle_timeout(now);
    }

    /// See [`Sfu::poll_transmit`].
    pub fn poll_transmit(&mut self, batch: &mut Batch) -> bool {
        let passes_on = self.sfu.has_to_pass_on();
        let any = self.sfu.poll_transmit(batch);
        if (any || passes_on)
            && let Some(tape) = &mut self.tape
        {
            tape.transmits(batch);
        }
        any
    }

    /// See [`Sfu::is_handshake`].
    pub fn is_handshake(&self, datagram: &Datagram<'_>) -> bool {
        self.sfu.is_handshake(datagram)
    }

    /// See [`Sfu::has_to_pass_on`].
    pub fn has_to_pass_on(&self) -> bool {
        self.sfu.has_to_pass_on()
    }

    /// See [`Sfu::has_much_to_send`].
    pub fn has_much_to_send(&self) -> bool {
        self.sfu.has_much_to_send()
    }

    /// See [`Sfu::poll_event`].
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.sfu.poll_event()?;
        if let Some(tape) = &mut self.tape {
            tape.event(&event);
        }
        Some(event)
    }

    /// See [`Sfu::poll_media`].
    pub fn poll_media(&mut self) -> Option<SinkPacket> {
        let packet = self.sfu.poll_media()?;
        if let Some(tape) = &mut self.tape {
            tape.sunk(&packet);
        }
        Some(packet)
    }

    /// See [`Sfu::poll_relay`].
    pub fn poll_relay(&mut self) -> Option<(WorkerId, Relay)> {
        let (to, relay) = self.sfu.poll_relay()?;
        if let Some(tape) = &mut self.tape {
            tape.relayed(to, &relay);
        }
        Some((to, relay))
    }

    /// See [`Sfu::poll_timeout`].
    pub fn poll_timeout(&self) -> Option<Deadline> {
        self.sfu.poll_timeout()
    }

    /// What has been counted since the start, by machines that are over as well.
    pub fn counters(&self) -> Counters {
        self.sfu.counters().after(&self.earlier)
    }

    /// See [`Sfu::check`].
    pub fn check(&self) {
        self.sfu.check();
    }

    /// See [`Sfu::check_empty`].
    pub fn check_empty(&self) {
        self.sfu.check_empty();
    }
}
