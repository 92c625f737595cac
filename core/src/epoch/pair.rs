//! Two peers that are connected in memory.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use str0m::media::{MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::Ssrc;
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

use crate::entropy::Entropy;

/// Two peers, a network between them that loses nothing and takes no time, and their time.
pub(crate) struct Pair {
    /// The controlling side, and the client of DTLS.
    pub(crate) offerer: End,
    /// The other side.
    pub(crate) answerer: End,
    now: Instant,
}

impl Pair {
    /// How long the two may take to connect.
    const CONNECT_MAX: Duration = Duration::from_secs(10);

    /// Makes two peers known to each other and lets them connect.
    pub(crate) fn connect(mut offerer: End, mut answerer: End, now: Instant) -> Option<Self> {
        offerer.know(&mut answerer)?;
        answerer.know(&mut offerer)?;
        offerer.start(true)?;
        answerer.start(false)?;
        let mut pair = Self {
            offerer,
            answerer,
            now,
        };
        let give_up = now + Self::CONNECT_MAX;
        while !(pair.offerer.rtc.is_connected() && pair.answerer.rtc.is_connected()) {
            if pair.now > give_up {
                return None;
            }
            pair.step(Duration::from_millis(10))?;
        }
        Some(pair)
    }

    /// The time of the two.
    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// Lets `time` pass, delivers all that is sent, and gives the events of the offerer.
    pub(crate) fn step(&mut self, time: Duration) -> Option<Vec<Event>> {
        self.now += time;
        let mut events = self.offerer.tick(self.now)?;
        self.answerer.tick(self.now)?;
        loop {
            if let Some(datagram) = self.offerer.outbox.pop_front() {
                self.answerer
                    .take(self.now, self.offerer.address, &datagram)?;
            } else if let Some(datagram) = self.answerer.outbox.pop_front() {
                events.extend(
                    self.offerer
                        .take(self.now, self.answerer.address, &datagram)?,
                );
            } else {
                return Some(events);
            }
        }
    }
}

/// One of the two.
pub(crate) struct End {
    pub(crate) rtc: Rtc,
    entropy: Entropy,
    address: SocketAddr,
    outbox: VecDeque<Vec<u8>>,
    /// All that this end has sent.
    #[cfg(test)]
    pub(crate) sent: Vec<Vec<u8>>,
}

impl End {
    /// Makes a peer at an address of its own, 192.0.2.`host`.
    pub(crate) fn new(config: RtcConfig, mut entropy: Entropy, host: u8, now: Instant) -> Self {
        Self {
            rtc: entropy.lend(|| config.build(now)),
            entropy,
            address: (Ipv4Addr::new(192, 0, 2, host), 5000).into(),
            outbox: VecDeque::new(),
            #[cfg(test)]
            sent: Vec::new(),
        }
    }

    /// Starts a stream of audio that nothing is sent on but its reports.
    pub(crate) fn declare_audio(&mut self) {
        let mid = Mid::from("0");
        self.entropy.lend(|| {
            let mut api = self.rtc.direct_api();
            api.declare_media(mid, MediaKind::Audio);
            api.declare_stream_tx(Ssrc::from(1), None, mid, None);
        });
    }

    fn know(&mut self, peer: &mut Self) -> Option<()> {
        let own = Candidate::host(self.address, Protocol::Udp).ok()?;
        let other = Candidate::host(peer.address, Protocol::Udp).ok()?;
        let credentials = peer.rtc.direct_api().local_ice_credentials();
        let fingerprint = peer.rtc.direct_api().local_dtls_fingerprint().clone();
        self.entropy.lend(|| {
            self.rtc.add_local_candidate(own)?;
            self.rtc.add_remote_candidate(other);
            let mut api = self.rtc.direct_api();
            api.set_remote_ice_credentials(credentials);
            api.set_remote_fingerprint(fingerprint);
            Some(())
        })
    }

    fn start(&mut self, active: bool) -> Option<()> {
        self.entropy.lend(|| {
            let mut api = self.rtc.direct_api();
            api.set_ice_controlling(active);
            api.start_dtls(active).ok()
        })
    }

    fn tick(&mut self, now: Instant) -> Option<Vec<Event>> {
        self.mutate(Input::Timeout(now))
    }

    fn take(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) -> Option<Vec<Event>> {
        let received = Receive {
            proto: Protocol::Udp,
            source,
            destination: self.address,
            contents: datagram.try_into().ok()?,
        };
        self.mutate(Input::Receive(now, received))
    }

    fn mutate(&mut self, input: Input<'_>) -> Option<Vec<Event>> {
        let mut events = Vec::new();
        self.entropy.lend(|| {
            self.rtc.handle_input(input).ok()?;
            loop {
                match self.rtc.poll_output().ok()? {
                    Output::Timeout(_) => return Some(()),
                    Output::Transmit(transmit) => {
                        let datagram = transmit.contents.to_vec();
                        #[cfg(test)]
                        self.sent.push(datagram.clone());
                        self.outbox.push_back(datagram);
                    }
                    Output::Event(event) => events.push(event),
                }
            }
        })?;
        Some(events)
    }
}
