//! One WebRTC connection. The only place that knows a `str0m::Rtc`.

mod setup;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use slotmap::Key;
use str0m::net::{Protocol, Receive};
use str0m::{Event, IceConnectionState, Input, Output, Rtc, RtcError};

use crate::crypto;
use crate::egress::ring::Packet;
use crate::egress::{Egress, Heard, Quality, Wish};
use crate::forwarder::Outgoing;
use crate::ingress::{Arrival, Ingress};
use crate::limits;
use crate::observe::{Observation, Reader};
use crate::payload::Payloads;
use crate::request::{ClientId, MediaId, MediaKind};
use crate::srtp::Failed;
use crate::stun;
use crate::tables::{PeerKey, PublicationKey, SubscriptionKey};
use crate::transmit::{Batch, Transmit};
pub(crate) use setup::{Blueprint, SENT_SOURCES};

/// A way from a client to the server: the client's address and the candidate that it reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Path {
    pub(crate) remote: SocketAddr,
    pub(crate) local: SocketAddr,
}

/// What a peer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Publisher(PublicationKey),
    Subscriber(SubscriptionKey),
}

/// What comes out of a peer beside datagrams.
#[derive(Debug)]
pub(crate) enum PeerNews {
    /// ICE and DTLS are done.
    Live,
    /// The other side said goodbye.
    Closed,
    /// A subscriber needs a key frame.
    KeyframeWanted,
    /// A subscriber has lost these packets.
    PacketsLost(MediaKind, Vec<u16>),
    /// A connectivity check was authenticated on this way.
    Validated(Path),
    /// The peer is beyond repair.
    Lost(Lost),
}

/// How a peer came to be beyond repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// In the DTLS handshake, or by a certificate that is not the one of the offer.
    Dtls,
    /// By a fault in the libraries below, which would have ended the process.
    Panicked,
    /// Otherwise.
    Other,
}

/// Where peers put what comes out of them: datagrams for the wire, and news for the machine.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) batch: Batch,
    pub(crate) news: VecDeque<(PeerKey, PeerNews)>,
    /// What is told to somebody who watches, if there is one.
    pub(crate) observations: Option<VecDeque<Observation>>,
}

impl Outbox {
    /// Tells somebody who watches, if there is one.
    pub(crate) fn observe(&mut self, observed: impl FnOnce() -> Observation) {
        if let Some(observations) = &mut self.observations {
            observations.push_back(observed());
        }
    }
}

/// Which way media flows, and what does it.
#[expect(
    clippy::large_enum_variant,
    reason = "subscribers are the many, and a box would be one more hop for each packet"
)]
enum Media {
    /// From a publisher.
    Ingress(Box<Ingress>),
    /// To a subscriber.
    Egress(Egress),
}

/// One WebRTC connection.
pub(crate) struct Peer {
    /// Boxed, because it is large and packets pass it by: the others stand closer together.
    rtc: Box<Rtc>,
    key: PeerKey,
    flow: Media,
    pub(crate) client: ClientId,
    pub(crate) media: MediaId,
    pub(crate) role: Role,
    pub(crate) ufrag: String,
    /// The ways on which checks were authenticated, latest last.
    pub(crate) paths: Vec<Path>,
    /// The way that the client has nominated: media goes by it.
    selected: Option<Path>,
    /// The check that is being handled nominates its way.
    nominating: bool,
    /// When the latest check was authenticated (consent, RFC 7675).
    pub(crate) consented: Instant,
    pub(crate) live: bool,
    /// str0m has failed: nothing is asked of it any more.
    failed: bool,
    /// When it must have connected.
    pub(crate) connects_by: Instant,
    /// When the machine looks next whether it has fallen silent.
    pub(crate) consent_due: Option<Instant>,
    /// When a subscriber gets its next report.
    pub(crate) report_due: Option<Instant>,
    /// When the machine has promised to call [`Peer::handle_timeout`].
    pub(crate) wake: Option<Instant>,
    /// When str0m wants it.
    rtc_due: Option<Instant>,
    /// How many ways have been taken, over the peer's life.
    taken_paths: usize,
}

impl Peer {
    /// Changes the connection and takes everything out that it has to say, as str0m demands.
    fn mutate(
        &mut self,
        now: Instant,
        outbox: &mut Outbox,
        change: impl FnOnce(&mut Rtc) -> Result<(), RtcError>,
    ) {
        self.run(outbox, |peer, outbox| {
            change(&mut peer.rtc)?;
            peer.rtc.handle_input(Input::Timeout(now))?;
            peer.drain(outbox)
        });
    }

    /// Runs str0m for this peer, unless it has failed before.
    fn run(
        &mut self,
        outbox: &mut Outbox,
        run: impl FnOnce(&mut Self, &mut Outbox) -> Result<(), RtcError>,
    ) {
        if self.failed {
            return;
        }
        // What another handshake in this thread has left is not this peer's.
        let _ = crypto::take_keys();
        let ran = contained(|| run(self, outbox));
        // Always, so that no keys wait for the next peer that is run.
        self.take_keys(outbox);
        if let Err(lost) = ran {
            self.failed = true;
            self.rtc_due = None;
            outbox.news.push_back((self.key, PeerNews::Lost(lost)));
        }
    }

    fn drain(&mut self, outbox: &mut Outbox) -> Result<(), RtcError> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => {
                    self.rtc_due = self.rtc.is_alive().then_some(at);
                    return Ok(());
                }
                Output::Transmit(transmit) => {
                    let path = Path {
                        remote: transmit.destination,
                        local: transmit.source,
                    };
                    let contents: &[u8] = &transmit.contents;
                    self.watch(contents, path, outbox);
                    // str0m stays for a while with a way that has fallen silent, in which handshakes
                    // time out.
                    let path = match stun::Protocol::of(contents) {
                        stun::Protocol::Stun => path,
                        stun::Protocol::Dtls
                        | stun::Protocol::Rtp
                        | stun::Protocol::Rtcp
                        | stun::Protocol::Unknown => self.selected.unwrap_or(path),
                    };
                    outbox.batch.push(Transmit {
                        source: path.local,
                        destination: path.remote,
                        flow: self.flow_number(),
                        cause: 0,
                        contents,
                    });
                }
                Output::Event(event) => self.hear(event, outbox),
            }
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "str0m's events are non-exhaustive"
    )]
    fn hear(&mut self, event: Event, outbox: &mut Outbox) {
        match event {
            Event::Connected => {
                self.live = true;
                outbox.news.push_back((self.key, PeerNews::Live));
            }
            Event::Closed => outbox.news.push_back((self.key, PeerNews::Closed)),
            // The machine watches consent itself, with the operator's patience.
            Event::IceConnectionStateChange(
                IceConnectionState::Disconnected
                | IceConnectionState::New
                | IceConnectionState::Checking
                | IceConnectionState::Connected
                | IceConnectionState::Completed,
            ) => {}
            _ => {}
        }
    }

    /// Learns of the connection's ways by what str0m sends: it answers only checks that it has
    /// authenticated, and shakes hands by the way that it considers nominated.
    fn watch(&mut self, contents: &[u8], path: Path, outbox: &mut Outbox) {
        if stun::is_binding_success(contents) {
            outbox.news.push_back((self.key, PeerNews::Validated(path)));
            if self.nominating {
                self.selected = Some(path);
            }
        } else if self.selected.is_none() {
            self.selected = Some(path);
        }
    }

    /// Takes a datagram in that came by a known way, or is a check for this peer.
    ///
    /// Returns false where it does not parse.
    pub(crate) fn handle_datagram(
        &mut self,
        now: Instant,
        outbox: &mut Outbox,
        path: Path,
        contents: &[u8],
    ) -> bool {
        let Ok(receive) = Receive::new(Protocol::Udp, path.remote, path.local, contents) else {
            return false;
        };
        self.nominating = stun::nominates(contents);
        self.run(outbox, |peer, outbox| {
            peer.rtc.handle_input(Input::Receive(now, receive))?;
            peer.drain(outbox)
        });
        self.nominating = false;
        true
    }

    /// Takes the keys over that a finished handshake leaves.
    fn take_keys(&mut self, outbox: &mut Outbox) {
        let Some(keys) = crypto::take_keys() else {
            return;
        };
        if let Some(observations) = &mut outbox.observations
            && let Some(reader) = Reader::new(&keys)
        {
            observations.push_back(Observation::Secured {
                client: self.client,
                media: self.media,
                reader: Box::new(reader),
            });
        }
        let begun = match &mut self.flow {
            Media::Ingress(ingress) => ingress.begin(&keys),
            Media::Egress(egress) => egress.begin(&keys),
        };
        if begun.is_err() {
            outbox
                .news
                .push_back((self.key, PeerNews::Lost(Lost::Dtls)));
        }
    }

    /// Takes a packet in that came by a known way. Refused where it is not a publisher's; `None`
    /// where there is nothing new in it.
    pub(crate) fn handle_packet(
        &mut self,
        now: Instant,
        contents: &[u8],
        payloads: &mut Payloads,
    ) -> Result<Option<Arrival>, Failed> {
        match &mut self.flow {
            Media::Ingress(ingress) => ingress.take(now, contents, payloads),
            Media::Egress(_) => Err(Failed),
        }
    }

    /// Takes SRTCP in that came by a known way; `ntp` is the date of `now`. Refused where it is not
    /// the client's.
    pub(crate) fn handle_feedback(
        &mut self,
        now: Instant,
        ntp: u64,
        outbox: &mut Outbox,
        contents: &[u8],
    ) -> Result<Heard, Failed> {
        let mut heard = match &mut self.flow {
            Media::Ingress(ingress) => {
                ingress.take_reports(now, contents)?;
                Heard::default()
            }
            Media::Egress(egress) => egress.open(ntp, contents)?,
        };
        for wish in heard.wishes.drain(..) {
            let news = match wish {
                Wish::Again(kind, sequences) => PeerNews::PacketsLost(kind, sequences),
                Wish::Keyframe => PeerNews::KeyframeWanted,
            };
            outbox.news.push_back((self.key, news));
        }
        Ok(heard)
    }

    /// How well a subscriber is reached.
    pub(crate) fn quality(&self) -> Quality {
        match &self.flow {
            Media::Ingress(_) => Quality::default(),
            Media::Egress(egress) => egress.quality(),
        }
    }

    /// Whether a check that comes by this way is looked at. str0m keeps each way for the life of
    /// the connection and looks through all of them, so their number is bounded.
    pub(crate) fn takes_check(&self, path: &Path) -> bool {
        self.taken_paths < limits::PATHS_OVER_LIFE || self.paths.contains(path)
    }

    /// Notes that a check was authenticated on this way. Returns whether the way is a new one, and
    /// which one is given up for it.
    pub(crate) fn take_path(&mut self, path: Path) -> (bool, Option<Path>) {
        if let Some(position) = self.paths.iter().position(|known| *known == path) {
            // The latest stands last: the way in use is never the one that is given up.
            self.paths.remove(position);
            self.paths.push(path);
            return (false, None);
        }
        self.taken_paths += 1;
        self.paths.push(path);
        let superfluous = self.paths.len() > limits::PATHS_PER_PEER;
        (true, superfluous.then(|| self.paths.remove(0)))
    }

    /// When there is something to do, or earlier.
    pub(crate) fn due(&self) -> Option<Instant> {
        let media = match &self.flow {
            Media::Ingress(ingress) => ingress.due(),
            Media::Egress(_) => None,
        };
        [self.rtc_due, media].into_iter().flatten().min()
    }

    /// Does what is due at `now`.
    pub(crate) fn handle_timeout(&mut self, now: Instant, outbox: &mut Outbox) {
        if self.rtc_due.is_some_and(|due| due <= now) {
            self.mutate(now, outbox, |_| Ok(()));
        }
        let path = self.media_path();
        if let (Media::Ingress(ingress), Some((path, flow))) = (&mut self.flow, path) {
            while outbox
                .batch
                .write(path, flow, |bytes| ingress.feedback(now, bytes))
            {}
        }
    }

    /// Asks a publisher for a key frame (RFC 4585 §6.3.1) of the source that it sends from, if that
    /// is known.
    pub(crate) fn request_keyframe(&mut self, outbox: &mut Outbox, source: Option<u32>) {
        let path = self.media_path();
        if let (Media::Ingress(ingress), Some((path, flow))) = (&mut self.flow, path) {
            let want = |bytes: &mut Vec<u8>| ingress.want_keyframe(source, bytes);
            outbox.batch.write(path, flow, want);
        }
    }

    /// Sends a packet to a subscriber, renumbered. Returns false where that cannot be yet.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        outbox: &mut Outbox,
        kind: MediaKind,
        packet: &Packet,
        outgoing: Outgoing,
    ) -> bool {
        self.dispatch(outbox, |egress, bytes| {
            egress.send(now, kind, packet, outgoing, bytes)
        })
    }

    /// Sends a packet again to a subscriber that has lost it.
    pub(crate) fn resend(
        &mut self,
        outbox: &mut Outbox,
        kind: MediaKind,
        packet: &Packet,
        outgoing: Outgoing,
    ) -> bool {
        self.dispatch(outbox, |egress, bytes| {
            egress.resend(kind, packet, outgoing, bytes)
        })
    }

    /// Sends a subscriber the reports of what it has been sent.
    pub(crate) fn send_report(&mut self, now: Instant, outbox: &mut Outbox, ntp: u64) -> bool {
        self.dispatch(outbox, |egress, bytes| egress.report(now, ntp, bytes))
    }

    fn dispatch(
        &mut self,
        outbox: &mut Outbox,
        make: impl FnOnce(&mut Egress, &mut Vec<u8>) -> Option<()>,
    ) -> bool {
        let path = self.media_path();
        let (Media::Egress(egress), Some((path, flow))) = (&mut self.flow, path) else {
            return false;
        };
        outbox.batch.write(path, flow, |bytes| make(egress, bytes))
    }

    /// The way that media goes, with the number of its flow.
    fn media_path(&self) -> Option<(Path, u32)> {
        Some((self.selected?, self.flow_number()))
    }

    /// What datagrams for this peer are grouped by: its place in the table.
    fn flow_number(&self) -> u32 {
        // The lower half of the key is the place, the upper one counts its owners.
        self.key.data().as_ffi() as u32
    }

    /// Says goodbye (RTCP BYE, DTLS `close_notify`).
    pub(crate) fn close(&mut self, now: Instant, outbox: &mut Outbox) {
        self.dispatch(outbox, Egress::goodbye);
        let close = |rtc: &mut Rtc| {
            if rtc.is_connected() {
                rtc.close()
            } else {
                Ok(())
            }
        };
        self.mutate(now, outbox, close);
    }

    pub(crate) fn key(&self) -> PeerKey {
        self.key
    }
}

/// Keeps a panic in the libraries below from anybody but the peer that it is about: they meet what
/// the network sends, and overflow is checked in them too. What it leaves behind is never used
/// again.
fn contained<T>(run: impl FnOnce() -> Result<T, RtcError>) -> Result<T, Lost> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
        Ok(ran) => ran.map_err(|error| lost(&error)),
        Err(_) => {
            tracing::error!("a library failed for one peer, which is ended");
            Err(Lost::Panicked)
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "str0m's errors are non-exhaustive"
)]
fn lost(error: &RtcError) -> Lost {
    tracing::debug!(%error, "peer failed");
    match error {
        // Once an offer is accepted, the remote SDP can only be wrong about the fingerprint.
        RtcError::Dtls(_) | RtcError::RemoteSdp(_) => Lost::Dtls,
        _ => Lost::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_below_is_the_end_of_one_peer() {
        assert_eq!(contained(|| Ok(1)), Ok(1));
        assert_eq!(
            contained::<()>(|| panic!("a fault in a library")),
            Err(Lost::Panicked)
        );
    }
}
