//! The machine behind the doors: tables, peers, and the time that things are due.

mod check;
mod forward;
mod ingest;
mod media;
mod relay;
mod rooms;
pub(crate) mod snapshot;
mod speaking;
mod spread;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use slotmap::{Key, KeyData, SlotMap};
use str0m::config::CryptoProvider;

use crate::config::Config;
use crate::counters::Counters;
use crate::crypto::{self, Certificate};
use crate::egress::Heard;
use crate::entropy::Entropy;
use crate::event::{EndReason, Event, News};
use crate::limits;
use crate::media_packet::SinkPacket;
use crate::observe::Observation;
use crate::peer::{Lost, Outbox, Path, Peer, PeerNews, Role, SENT_SOURCES};
use crate::relay::{MachineId, Relay, WorkerId};
use crate::request::{ClientId, Reply, Request, RequestError};
use crate::srtp::Failed;
use crate::stun::{self, Protocol};
use crate::tables::{PeerKey, PublicationKey, SubscriptionKey, Tables};
use crate::transmit::{Batch, Datagram, Deadline, Wake};
use spread::Spread;

/// What is due at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Peer(PeerKey),
    Connect(PeerKey),
    Consent(PeerKey),
    Keyframe(PublicationKey),
    Silence(PublicationKey),
    Report(PeerKey),
    Replay(SubscriptionKey),
}

/// Randomness that a request may need, drawn before the entropy is lent to the libraries below.
pub(crate) struct Draws {
    ufrag: String,
    password: String,
    stream: String,
    starts: [u16; 2],
    ssrcs: [u32; SENT_SOURCES],
    resume: String,
}

impl Draws {
    pub(crate) fn new(entropy: &mut Entropy) -> Self {
        let [a, b, c, d] = entropy.bytes();
        Self {
            ufrag: entropy.token(UFRAG_RANDOM),
            password: entropy.token(PASSWORD),
            stream: entropy.token(STREAM),
            resume: entropy.token(RESUME),
            ssrcs: ssrcs(entropy),
            starts: [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])],
        }
    }
}

/// Distinct and none of them zero, which some receivers take for none.
fn ssrcs(entropy: &mut Entropy) -> [u32; SENT_SOURCES] {
    loop {
        let ssrcs = std::array::from_fn(|_| (entropy.u64() >> 32) as u32);
        let mut sorted = ssrcs;
        sorted.sort_unstable();
        if sorted[0] != 0 && sorted.windows(2).all(|pair| pair[0] != pair[1]) {
            return ssrcs;
        }
    }
}

/// Random characters of a username fragment, behind those that find the peer.
const UFRAG_RANDOM: usize = 6;
/// Characters of an ICE password: 24 of them are 142 bits (RFC 8445 §5.3 asks for 128).
const PASSWORD: usize = 24;
/// Characters of the id of an answer's media stream.
const STREAM: usize = 12;

/// Characters of a token to resume by: 142 bits.
const RESUME: usize = 24;

/// The machine's state.
pub(crate) struct State {
    config: Config,
    id: MachineId,
    certificate: Certificate,
    /// That of the certificate, as answers tell it.
    fingerprint: String,
    provider: Arc<CryptoProvider>,
    tables: Tables,
    peers: SlotMap<PeerKey, Peer>,
    deadlines: BTreeSet<(Instant, Due)>,
    outbox: Outbox,
    spread: Spread,
    /// The caller's number of what is being handled: see [`Transmit::cause`](crate::Transmit::cause).
    cause: u32,
    events: VecDeque<Event>,
    /// Packets for sinks.
    media: VecDeque<SinkPacket>,
    /// Messages to other workers.
    relays: VecDeque<(WorkerId, Relay)>,
    counters: Counters,
    /// The first instant that was given.
    begun: Instant,
    /// The latest instant that was given.
    latest: Instant,
}

impl State {
    pub(crate) fn new(
        config: Config,
        certificate: Certificate,
        id: MachineId,
        now: Instant,
    ) -> Self {
        Self {
            config,
            id,
            fingerprint: certificate.fingerprint(),
            certificate,
            begun: now,
            provider: crypto::provider(),
            tables: Tables::default(),
            peers: SlotMap::with_key(),
            deadlines: BTreeSet::new(),
            outbox: Outbox::default(),
            spread: Spread::default(),
            cause: 0,
            events: VecDeque::new(),
            media: VecDeque::new(),
            relays: VecDeque::new(),
            counters: Counters::default(),
            latest: now,
        }
    }

    /// Time as the machine sees it: it never goes back.
    fn advance(&mut self, now: Instant) -> Instant {
        self.latest = self.latest.max(now);
        self.latest
    }

    pub(crate) fn handle_request(
        &mut self,
        now: Instant,
        client: ClientId,
        request: Request,
        draws: Draws,
    ) -> Result<Reply, RequestError> {
        let now = self.advance(now);
        self.spread_all();
        let reply = match request {
            Request::Join {
                room,
                identity,
                resume,
            } => self.join(now, client, room, identity, resume.as_ref(), draws),
            Request::Leave { room } => self.leave(now, client, &room),
            Request::SendMessage { room, to, text } => {
                self.send_message(now, client, room, to, text)
            }
            Request::Publish {
                media,
                place,
                name,
                offer,
            } => self.publish(now, (client, media), &place, name, &offer, draws),
            Request::Subscribe {
                media,
                place,
                name,
                offer,
            } => self.subscribe(now, (client, media), &place, name, &offer, draws),
            Request::Watch {
                media,
                room,
                name,
                offer,
            } => self.watch(now, (client, media), &room, name, &offer, draws),
            Request::Ingest {
                media,
                place,
                name,
                audio,
                video,
            } => self.ingest((client, media), &place, name, (audio, video)),
            Request::Sink {
                media,
                place,
                name,
                audio,
                video,
            } => self.sink(now, (client, media), &place, name, (&audio, &video), &draws),
            Request::WantKeyframe { media } => self.want_keyframe_for(now, client, media),
            Request::Stop { media } => self.stop(now, client, media),
            Request::SetMuted { media, kind, muted } => self.set_muted(client, media, kind, muted),
            Request::SendData { media, payload } => self.send_data(client, media, &payload),
            Request::Find { place, name } => self.find(client, &place, name),
            Request::Disconnect => {
                self.disconnect(now, client);
                Ok(Reply::Done)
            }
        };
        self.hear_all(now);
        if reply.is_err() {
            self.counters.refused += 1;
        }
        reply
    }

    pub(crate) fn is_handshake(&self, datagram: &Datagram<'_>) -> bool {
        let path = Path {
            remote: datagram.source,
            local: datagram.destination,
        };
        Protocol::of(datagram.contents) == Protocol::Dtls && self.tables.paths.contains_key(&path)
    }

    pub(crate) fn handle_datagram(&mut self, now: Instant, datagram: Datagram<'_>) {
        let now = self.advance(now);
        let Datagram {
            source,
            destination,
            contents,
            cause,
        } = datagram;
        let path = Path {
            remote: source,
            local: destination,
        };
        self.counters.datagrams += 1;
        if contents.len() > limits::DATAGRAM_BYTES {
            self.counters.malformed += 1;
            return;
        }
        let protocol = Protocol::of(contents);
        let key = match protocol {
            Protocol::Unknown => {
                self.counters.malformed += 1;
                return;
            }
            // A check names its peer, whatever way it comes by.
            Protocol::Stun => match self.addressee(contents) {
                Some(key) => key,
                None => {
                    self.counters.unknown_checks += 1;
                    return;
                }
            },
            Protocol::Dtls | Protocol::Rtp | Protocol::Rtcp => match self.tables.paths.get(&path) {
                Some(key) => *key,
                None => {
                    self.counters.unvalidated += 1;
                    return;
                }
            },
        };
        let ntp = self.ntp(now);
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        if protocol == Protocol::Stun && !peer.takes_check(&path) {
            self.counters.unvalidated += 1;
            return;
        }
        match protocol {
            Protocol::Rtp => {
                self.cause = cause;
                self.handle_packet(now, key, contents);
                self.cause = 0;
            }
            Protocol::Rtcp => {
                let heard = peer.handle_feedback(now, ntp, &mut self.outbox, contents);
                self.on_feedback(heard);
            }
            Protocol::Stun | Protocol::Dtls | Protocol::Unknown => {
                if !peer.handle_datagram(now, &mut self.outbox, path, contents) {
                    self.counters.malformed += 1;
                }
            }
        }
        self.arm(key);
        self.hear_all(now);
    }

    fn on_feedback(&mut self, heard: Result<Heard, Failed>) {
        let Ok(heard) = heard else {
            self.counters.feedback_refused += 1;
            return;
        };
        self.counters.lost += u64::from(heard.lost);
        if let Some(time) = heard.round_trip {
            self.counters.round_trips += 1;
            // At most a minute each.
            self.counters.round_trip_micros += time.as_micros() as u64;
        }
    }

    /// Passes on what a publisher's packet brings.
    fn handle_packet(&mut self, now: Instant, key: PeerKey, contents: &[u8]) {
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        let arrival = peer.handle_packet(now, contents, &mut self.spread.payloads);
        match (arrival, peer.role) {
            (Ok(Some(arrival)), Role::Publisher(publication)) => {
                self.forward(now, publication, arrival);
            }
            (Ok(None), _) => {}
            (Ok(Some(_)), Role::Subscriber(_)) | (Err(_), _) => {
                self.counters.unexpected_packets += 1;
            }
        }
    }

    /// The peer that a connectivity check is addressed to. Our username fragments begin with the
    /// peer's key, so nothing is searched.
    fn addressee(&self, datagram: &[u8]) -> Option<PeerKey> {
        let ufrag = stun::addressee(datagram)?;
        let key = PeerKey::from(KeyData::from_ffi(decode_key(ufrag.get(..KEY_CHARACTERS)?)?));
        self.peers
            .get(key)
            .filter(|peer| peer.ufrag == ufrag)
            .map(|_| key)
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        let now = self.advance(now);
        self.spread_all();
        // What falls due by what is done here waits for the next call: the work is bounded.
        let mut budget = self.deadlines.len();
        while budget > 0
            && let Some((at, due)) = self.deadlines.first().copied()
            && at <= now
        {
            budget -= 1;
            self.deadlines.pop_first();
            match due {
                Due::Peer(key) => self.wake_peer(now, key),
                Due::Connect(key) => self.check_connected(now, key),
                Due::Consent(key) => self.check_consent(now, key),
                Due::Keyframe(key) => self.request_keyframe(now, key),
                Due::Silence(key) => self.check_silence(now, key),
                Due::Report(key) => self.report(now, key),
                Due::Replay(key) => self.go_on_replaying(now, key),
            }
            self.hear_all(now);
        }
    }

    fn wake_peer(&mut self, now: Instant, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        peer.wake = None;
        if peer.due().is_some_and(|due| due <= now) {
            peer.handle_timeout(now, &mut self.outbox);
        }
        self.arm(key);
    }

    fn check_connected(&mut self, now: Instant, key: PeerKey) {
        if self.peers.get(key).is_some_and(|peer| !peer.live) {
            self.counters.connect_timeouts += 1;
            self.end_peer(now, key, EndReason::ConnectTimeout);
        }
    }

    fn check_consent(&mut self, now: Instant, key: PeerKey) {
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        let expires = peer.consented + self.config.ice_timeout;
        if expires > now {
            peer.consent_due = Some(expires);
            self.deadlines.insert((expires, Due::Consent(key)));
        } else {
            self.counters.consent_expired += 1;
            self.end_peer(now, key, EndReason::ConsentExpired);
        }
    }

    /// Does what follows from the changes of peers. What is done here may change peers in turn;
    /// each piece of news is of a change that an input or a deadline caused, so it ends.
    fn hear_all(&mut self, now: Instant) {
        while let Some((key, news)) = self.outbox.news.pop_front() {
            self.hear(now, key, news);
        }
    }

    fn on_lost(&mut self, now: Instant, key: PeerKey, lost: Lost) {
        let reason = match lost {
            Lost::Dtls => {
                self.counters.dtls_failed += 1;
                EndReason::DtlsFailed
            }
            Lost::Panicked => {
                self.counters.panics_contained += 1;
                EndReason::Failed
            }
            Lost::Other => {
                self.counters.peers_failed += 1;
                EndReason::Failed
            }
        };
        self.end_peer(now, key, reason);
    }

    fn hear(&mut self, now: Instant, key: PeerKey, news: PeerNews) {
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        let role = peer.role;
        match news {
            PeerNews::Live => {
                self.on_live(now, key);
            }
            PeerNews::Closed => self.end_peer(now, key, EndReason::Closed),
            PeerNews::Lost(lost) => self.on_lost(now, key, lost),
            PeerNews::Validated(path) => self.on_validated(now, key, path),
            PeerNews::PacketsLost(kind, sequences) => match role {
                Role::Subscriber(subscription) => {
                    self.on_packets_lost(key, subscription, kind, &sequences);
                }
                Role::Publisher(_) => {}
            },
            PeerNews::KeyframeWanted => match role {
                Role::Subscriber(subscription) => self.on_keyframe_wanted(now, subscription),
                Role::Publisher(_) => {}
            },
        }
    }

    fn arm(&mut self, key: PeerKey) {
        if let Some(peer) = self.peers.get_mut(key) {
            arm(&mut self.deadlines, key, peer);
        }
    }

    fn on_validated(&mut self, now: Instant, key: PeerKey, path: Path) {
        let holder = self.tables.paths.get(&path).copied();
        let holder = holder.filter(|holder| *holder != key);
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        peer.consented = now;
        // A check shows that its sender knows the peer's password, not that it receives at the
        // address: everyone who has a peer could take the ways of others. A client that uses one
        // address for several peers, one after the other, takes it along when the earlier peer is
        // closed or silent.
        if let Some(holder) = holder.and_then(|holder| self.peers.get_mut(holder)) {
            if holder.live && now < holder.consented + limits::PATH_HELD {
                self.counters.unvalidated += 1;
                return;
            }
            holder.paths.retain(|known| *known != path);
        }
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        let (new, given_up) = peer.take_path(path);
        if let Some(given_up) = given_up {
            self.tables.paths.remove(&given_up);
        }
        if new {
            self.tables.paths.insert(path, key);
        }
    }

    fn tell(&mut self, client: ClientId, news: News) {
        self.events.push_back(Event { client, news });
    }

    pub(crate) fn poll_transmit(&mut self, batch: &mut Batch) -> bool {
        batch.clear();
        self.spread_up_to(self.config.limits.transmit_bytes);
        std::mem::swap(batch, &mut self.outbox.batch);
        self.counters.transmits += batch.len() as u64;
        !batch.is_empty()
    }

    pub(crate) fn has_to_pass_on(&self) -> bool {
        !self.spread.is_empty()
    }

    pub(crate) fn has_much_to_send(&self) -> bool {
        self.outbox.batch.bytes() >= limits::BATCH_BYTES
            || self.spread.len() >= limits::WAITING_PACKETS / 2
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    pub(crate) fn poll_media(&mut self) -> Option<SinkPacket> {
        self.media.pop_front()
    }

    /// Whether there is nobody and nothing left.
    pub(crate) fn is_empty(&self) -> bool {
        let tables = &self.tables;
        let gone = tables.rooms.is_empty()
            && tables.clients.is_empty()
            && tables.publications.is_empty()
            && tables.subscriptions.is_empty()
            && self.peers.is_empty();
        let told = self.outbox.batch.is_empty()
            && self.spread.is_empty()
            && self.outbox.news.is_empty()
            && self.events.is_empty()
            && self.media.is_empty()
            && self.relays.is_empty();
        gone && told
    }

    pub(crate) fn observe(&mut self) {
        self.outbox.observations.get_or_insert_default();
    }

    pub(crate) fn poll_observation(&mut self) -> Option<Observation> {
        self.outbox.observations.as_mut()?.pop_front()
    }

    pub(crate) fn poll_timeout(&self) -> Option<Deadline> {
        let (at, due) = self.deadlines.first()?;
        let reason = match due {
            Due::Peer(_) => Wake::Peer,
            Due::Connect(_) => Wake::ConnectTimeout,
            Due::Consent(_) => Wake::Consent,
            Due::Keyframe(_) => Wake::Keyframe,
            Due::Silence(_) => Wake::Silence,
            Due::Report(_) => Wake::Report,
            Due::Replay(_) => Wake::Replay,
        };
        Some(Deadline { at: *at, reason })
    }

    pub(crate) fn counters(&self) -> Counters {
        let participants = self
            .tables
            .rooms
            .values()
            .map(|room| room.participants.len());
        Counters {
            rooms: self.tables.rooms.len() as u64,
            participants: participants.sum::<usize>() as u64,
            peers: self.peers.len() as u64,
            publications: (self.tables.publications.len() - self.tables.relayed.len()) as u64,
            // Each is counted where its connection is.
            subscriptions: (self.tables.subscriptions.len() - self.tables.handed_on) as u64,
            relays: self.tables.relayed.len() as u64,
            ..self.counters
        }
    }
}

/// Notes that a peer is to be woken. Waking early is harmless, so a promise that is made for an
/// earlier time stands: the common case costs no change of the set.
fn arm(deadlines: &mut BTreeSet<(Instant, Due)>, key: PeerKey, peer: &mut Peer) {
    let Some(due) = peer.due() else { return };
    if peer.wake.is_none_or(|wake| due < wake) {
        if let Some(wake) = peer.wake.replace(due) {
            deadlines.remove(&(wake, Due::Peer(key)));
        }
        deadlines.insert((due, Due::Peer(key)));
    }
}

/// The characters of RFC 8839 §5.4's `ice-char`: 64 of them, six bits each.
const ICE_CHARACTERS: &[u8; 64] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// Characters that a key of 64 bits takes.
const KEY_CHARACTERS: usize = 11;

fn encode_key(key: PeerKey) -> String {
    let mut bits = key.data().as_ffi();
    let mut text = String::with_capacity(KEY_CHARACTERS);
    for _ in 0..KEY_CHARACTERS {
        let character = ICE_CHARACTERS
            .get((bits & 63) as usize)
            .copied()
            .unwrap_or(b'A');
        text.push(char::from(character));
        bits >>= 6;
    }
    text
}

fn decode_key(text: &str) -> Option<u64> {
    text.bytes().rev().try_fold(0_u64, |bits, byte| {
        let digit = ICE_CHARACTERS
            .iter()
            .position(|character| *character == byte)?;
        Some(bits << 6 | digit as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_encoding() {
        let key = PeerKey::from(KeyData::from_ffi(0xfedc_ba98_0000_0007));
        let text = encode_key(key);
        assert_eq!(text.len(), KEY_CHARACTERS);
        assert_eq!(
            decode_key(&text).map(|bits| PeerKey::from(KeyData::from_ffi(bits))),
            Some(key)
        );
        assert_eq!(decode_key("not-a-key!!"), None);
    }
}
