//! A simulated client: one str0m connection that publishes or plays, as a browser's does.

use std::net::SocketAddr;
use std::time::{Duration, Instant, UNIX_EPOCH};

use parlor_core::simulation::{self, Forger, Randomness};
use parlor_core::{Certificate, ClientId, MediaId, Payload, Seed};
use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::media::{Direction, KeyframeRequestKind, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::{Extension, ExtensionValues, RtpPacket, RtpWrite, VideoOrientation};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig};

use crate::decoder::{Decoder, Piece};
use crate::media::{Codec, Kinds, Pace, audio_payload, is_entry, stamp, stamp_of, video_payloads};

/// A camera that is this late skips what it has missed.
const LATE: Duration = Duration::from_millis(500);

/// How far the timestamps of two sources of one client are apart.
const SOURCES: u32 = 1_000_000_000;

/// A packet that a player got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// A picture's, as opposed to sound's.
    pub video: bool,
    /// The extended sequence number.
    pub sequence: u64,
    /// The RTP timestamp.
    pub timestamp: u32,
    /// The marker: the last packet of a picture.
    pub marker: bool,
    /// The level of the sound that it says, in dBov.
    pub level: Option<i8>,
    /// It says that its picture is to be turned.
    pub turned: bool,
    /// The payload.
    pub payload: Payload,
    /// When it arrived.
    pub at: Instant,
    /// When it was captured, by the latest report of the sender, since 1970.
    pub captured: Option<Duration>,
}

/// One connection of a simulated client.
pub struct Client {
    rtc: Rtc,
    randomness: Randomness,
    pending: Option<SdpPendingOffer>,
    /// The client's address.
    pub address: SocketAddr,
    /// The address that others see, of a translator on the way (NAT).
    pub outside: SocketAddr,
    /// Who it is to the machine.
    pub owner: (ClientId, MediaId),
    kinds: Kinds,
    audio: Option<Mid>,
    video: Option<Mid>,
    sends: bool,
    /// The answer that it took.
    pub answer: String,
    /// Seals what it would not send by itself, once it is connected.
    pub forger: Option<Forger>,
    /// ICE and DTLS are done.
    pub connected: bool,
    /// The other side has said goodbye.
    pub closed: bool,
    /// It is gone with its network: it does nothing and nothing arrives.
    pub unplugged: bool,
    /// Nothing that it sends arrives, and nothing arrives at it.
    pub cut: bool,
    /// Shows pictures, and asks for what it needs to go on, if it is to be seen whether they are.
    pub decoder: Option<Decoder>,
    /// How often it sends.
    pub pace: Pace,
    /// What has arrived, oldest first.
    pub received: Vec<Received>,
    /// Key frame requests that have arrived.
    pub keyframe_requests: Vec<Instant>,
    /// What the sound's packets carry in their playout-delay extension (24 bits), which can be
    /// made out to be another extension.
    pub extra: Option<u32>,
    /// The level of the sound that is sent, in dBov.
    pub level: i8,
    /// When its network gave it another address.
    pub moved: Option<Instant>,
    /// How many key frame requests it does not answer.
    pub ignored_requests: usize,
    /// What the payloads that it sends are marked with, beside their numbers.
    pub mark: u32,
    /// It sends nothing by itself, only what [`Client::send_video`] is given.
    pub silent: bool,
    /// The pictures sent so far.
    pub pictures: u64,
    sounds: u64,
    /// The extended sequence number of the latest packet of a picture.
    pub sequence: u64,
    /// How often it has switched to another source.
    source: u8,
    /// When it began to send.
    begun: Instant,
    key_due: bool,
    next_picture: Instant,
    next_sound: Instant,
    deadline: Instant,
}

impl Client {
    /// Makes a connection with its offer's text: one that sends, or one that receives.
    pub fn offer(
        now: Instant,
        seed: u64,
        address: SocketAddr,
        owner: (ClientId, MediaId),
        kinds: Kinds,
        sends: bool,
    ) -> (Self, String) {
        Self::offer_of(now, seed, address, owner, (kinds, sends, false))
    }

    /// The same of one that can take G.711 too.
    pub(crate) fn offer_of(
        now: Instant,
        seed: u64,
        address: SocketAddr,
        owner: (ClientId, MediaId),
        (kinds, sends, g711): (Kinds, bool, bool),
    ) -> (Self, String) {
        let mut bytes = [0x5a; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        let seed = Seed(bytes);
        let mut randomness = Randomness::new(&seed);
        let (rtc, offer, pending, audio, video) = randomness.lend(|| {
            let mut rtc = config(&seed, kinds, g711).build(now);
            let candidate = Candidate::host(address, "udp").expect("a valid address");
            rtc.add_local_candidate(candidate);
            let mut changes = rtc.sdp_api();
            let direction = if sends {
                Direction::SendOnly
            } else {
                Direction::RecvOnly
            };
            let mut add = |kind| changes.add_media(kind, direction, Some("s".into()), None, None);
            let audio = kinds.audio.then(|| add(MediaKind::Audio));
            let video = kinds.video.map(|_| add(MediaKind::Video));
            let (offer, pending) = changes.apply().expect("media was added");
            (rtc, offer.to_sdp_string(), pending, audio, video)
        });
        let client = Self {
            rtc,
            randomness,
            pending: Some(pending),
            address,
            outside: address,
            owner,
            kinds,
            audio,
            video,
            sends,
            answer: String::new(),
            forger: None,
            connected: false,
            closed: false,
            unplugged: false,
            cut: false,
            decoder: None,
            pace: Pace::default(),
            source: 0,
            begun: now,
            received: Vec::new(),
            keyframe_requests: Vec::new(),
            extra: None,
            level: -127,
            moved: None,
            ignored_requests: 0,
            mark: 0,
            silent: false,
            pictures: 0,
            sounds: 0,
            sequence: 1 + seed.0[7] as u64 * 251,
            key_due: true,
            next_picture: now,
            next_sound: now,
            deadline: now,
        };
        (client, offer)
    }

    /// Takes the answer in.
    ///
    /// # Panics
    /// Where it is not one to the offer.
    pub fn accept(&mut self, answer: &str) {
        answer.clone_into(&mut self.answer);
        let Self {
            rtc,
            randomness,
            pending,
            ..
        } = self;
        let pending = pending.take().expect("one answer");
        let answer = SdpAnswer::from_sdp_string(answer).expect("an answer");
        randomness
            .lend(|| rtc.sdp_api().accept_answer(pending, answer))
            .expect("it fits");
    }

    /// When something is to be done next.
    pub fn deadline(&self) -> Instant {
        let decoder = self.decoder.as_ref().and_then(Decoder::deadline);
        let own = self.own_deadline();
        decoder.map_or(own, |decoder| own.min(decoder))
    }

    fn own_deadline(&self) -> Instant {
        if self.sends_now() {
            let picture = if self.video.is_some() {
                self.next_picture
            } else {
                self.deadline
            };
            let sound = if self.audio.is_some() {
                self.next_sound
            } else {
                self.deadline
            };
            self.deadline.min(picture).min(sound)
        } else {
            self.deadline
        }
    }

    /// Does what is due, and returns the datagrams to send with their destinations.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<(SocketAddr, Vec<u8>)> {
        if self.sends_now() {
            self.write_due(now);
        }
        if let Some(decoder) = &mut self.decoder
            && decoder.handle_timeout(now)
        {
            self.request_keyframe();
        }
        let Self {
            rtc, randomness, ..
        } = self;
        // A failing client is silent from then on; the test sees that.
        let _ = randomness.lend(|| rtc.handle_input(Input::Timeout(now)));
        self.drain(now)
    }

    /// Takes a datagram in, and returns the datagrams to send.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        source: SocketAddr,
        contents: &[u8],
    ) -> Vec<(SocketAddr, Vec<u8>)> {
        let Self {
            rtc,
            randomness,
            address,
            ..
        } = self;
        if let Ok(receive) = Receive::new(Protocol::Udp, source, *address, contents) {
            let _ = randomness.lend(|| rtc.handle_input(Input::Receive(now, receive)));
        }
        self.drain(now)
    }

    /// Asks for a key frame, as a decoder does that has lost its picture.
    pub fn request_keyframe(&mut self) {
        let Some(mid) = self.video else { return };
        if let Some(stream) = self.rtc.direct_api().stream_rx_by_mid(mid, None) {
            stream.request_keyframe(KeyframeRequestKind::Pli);
        }
    }

    /// Says goodbye, as a browser does whose page closes the connection.
    pub fn close(&mut self) {
        let Self {
            rtc, randomness, ..
        } = self;
        // Where it is not connected there is nobody to say it to.
        let _ = randomness.lend(|| rtc.close());
    }

    /// Sends its picture from another source from here on.
    pub fn switch_source(&mut self) {
        let Some(mid) = self.video else { return };
        self.source += 1;
        let Self {
            rtc, randomness, ..
        } = self;
        randomness.lend(|| {
            let mut api = rtc.direct_api();
            let before = api
                .stream_tx_by_mid(mid, None)
                .map(|stream| (stream.ssrc(), stream.rtx()));
            if let Some((ssrc, rtx)) = before {
                api.remove_stream_tx(ssrc);
                let other = |ssrc: str0m::rtp::Ssrc| (*ssrc ^ 0x5555).into();
                api.declare_stream_tx(other(ssrc), rtx.map(other), mid, None);
            }
        });
    }

    /// Sends one packet of its picture, and returns the datagrams to send.
    pub fn send_video(&mut self, now: Instant, payload: Vec<u8>) -> Vec<(SocketAddr, Vec<u8>)> {
        if let Some(mid) = self.video {
            self.sequence = self.sequence.wrapping_add(1);
            let timestamp = (self.sequence as u32).wrapping_mul(3_600);
            self.write(now, mid, self.sequence, timestamp, true, payload);
        }
        self.drain(now)
    }

    fn sends_now(&self) -> bool {
        self.connected && self.sends && !self.closed && !self.silent
    }

    /// The number that a payload is marked with.
    fn marked(&self, number: u64) -> u64 {
        u64::from(self.mark) << 32 | number
    }

    fn write_due(&mut self, now: Instant) {
        let Pace { picture, sound } = self.pace;
        if let Some(mid) = self.audio
            && self.next_sound <= now
        {
            let timestamp = self.timestamp(self.next_sound + sound, 48);
            self.next_sound = next_after(now, self.next_sound, sound);
            self.sounds += 1;
            let payload = audio_payload(self.marked(self.sounds));
            self.write(now, mid, 50_000 + self.sounds, timestamp, false, payload);
        }
        if let (Some(mid), Some(codec)) = (self.video, self.kinds.video)
            && self.next_picture <= now
        {
            let timestamp = self.timestamp(self.next_picture + picture, 90);
            // Each of the two sources, between which it switches, has a clock of its own.
            let clock = u32::from(self.source % 2) * SOURCES;
            let timestamp = timestamp.wrapping_add(clock);
            self.next_picture = next_after(now, self.next_picture, picture);
            self.pictures += 1;
            let number = self.marked(self.pictures);
            let payloads = video_payloads(codec, number, std::mem::take(&mut self.key_due));
            let last = payloads.len() - 1;
            for (index, payload) in payloads.into_iter().enumerate() {
                self.sequence = self.sequence.wrapping_add(1);
                self.write(now, mid, self.sequence, timestamp, index == last, payload);
            }
        }
    }

    /// The RTP timestamp of an instant, in so many ticks a millisecond.
    fn timestamp(&self, at: Instant, ticks: u64) -> u32 {
        let since = at.saturating_duration_since(self.begun);
        // Truncation is the wrap of the RTP timestamp.
        (since.as_micros() as u64 * ticks / 1_000) as u32
    }

    fn write(
        &mut self,
        now: Instant,
        mid: Mid,
        sequence: u64,
        timestamp: u32,
        marker: bool,
        mut payload: Vec<u8>,
    ) {
        stamp(&mut payload, sequence, timestamp, self.source);
        let Self {
            rtc,
            randomness,
            level,
            extra,
            ..
        } = self;
        let pts = rtc
            .media(mid)
            .map(|media| media.remote_pts().to_vec())
            .unwrap_or_default();
        let Some(pt) = pts.first().copied() else {
            return;
        };
        let nackable = rtc
            .media(mid)
            .is_some_and(|media| media.kind() == MediaKind::Video);
        let audio_level = (!nackable).then_some(*level);
        randomness.lend(|| {
            if let Some(stream) = rtc.direct_api().stream_tx_by_mid(mid, None) {
                let write = RtpWrite::new(pt, sequence.into(), timestamp, now, payload);
                let delay = |bits: u32| str0m::media::MediaTime::from_hundredths(bits.into());
                let levels = ExtensionValues {
                    play_delay_min: extra.map(|extra| delay(extra >> 12)),
                    play_delay_max: extra.map(|extra| delay(extra & 0xfff)),
                    video_orientation: nackable.then_some(VideoOrientation::Deg90),
                    audio_level,
                    voice_activity: audio_level.map(|level| level > -45),
                    ..ExtensionValues::default()
                };
                stream.write_rtp(write.marker(marker).nackable(nackable).ext_vals(levels));
            }
            let _ = rtc.handle_input(Input::Timeout(now));
        });
    }

    fn drain(&mut self, now: Instant) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut datagrams = Vec::new();
        let connected = self.connected;
        self.drain_into(now, &mut datagrams);
        // Keys that are waiting may be another client's.
        let forger = Forger::take();
        if self.connected && !connected {
            self.forger = forger;
        }
        datagrams
    }

    fn drain_into(&mut self, now: Instant, datagrams: &mut Vec<(SocketAddr, Vec<u8>)>) {
        loop {
            let Self {
                rtc, randomness, ..
            } = self;
            match randomness.lend(|| rtc.poll_output()) {
                Ok(Output::Timeout(at)) => {
                    self.deadline = at;
                    return;
                }
                Ok(Output::Transmit(transmit)) => {
                    datagrams.push((transmit.destination, transmit.contents.into()));
                }
                Ok(Output::Event(event)) => self.hear(now, event),
                Err(_) => {
                    self.closed = true;
                    self.deadline = now + Duration::from_secs(3_600);
                    return;
                }
            }
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "str0m's events are non-exhaustive"
    )]
    fn hear(&mut self, now: Instant, event: Event) {
        match event {
            Event::Connected => {
                self.connected = true;
                self.begun = now;
                self.next_picture = now;
                self.next_sound = now;
            }
            Event::Closed => self.closed = true,
            Event::KeyframeRequest(_) => {
                self.keyframe_requests.push(now);
                match self.ignored_requests.checked_sub(1) {
                    Some(more) => self.ignored_requests = more,
                    None => self.key_due = true,
                }
            }
            Event::RtpPacket(packet) => self.take(now, &packet),
            _ => {}
        }
    }

    fn take(&mut self, now: Instant, packet: &RtpPacket) {
        let mid = self
            .rtc
            .direct_api()
            .stream_rx(&packet.header.ssrc)
            .map(|stream| stream.mid());
        let captured = packet.last_sender_info.and_then(|report| {
            let ticks = (packet.header.timestamp)
                .wrapping_sub(report.rtp_time.numer() as u32)
                .cast_signed();
            let rate = packet.time.frequency().get();
            let apart = Duration::from_nanos(1_000_000_000 / 1_000)
                .mul_f64(f64::from(ticks.unsigned_abs()) * 1_000.0 / f64::from(rate));
            let date = report.ntp_time.duration_since(UNIX_EPOCH).ok()?;
            Some(if ticks < 0 {
                date - apart
            } else {
                date + apart
            })
        });
        let video = mid == self.video;
        if let Some(decoder) = self.decoder.as_mut().filter(|_| video) {
            let piece = Piece {
                marker: packet.header.marker,
                entry: is_entry(&packet.payload),
                number: stamp_of(&packet.payload).map(|stamp| stamp.number),
            };
            decoder.take(now, *packet.seq_no, piece);
        }
        self.received.push(Received {
            video,
            sequence: *packet.seq_no,
            timestamp: packet.header.timestamp,
            marker: packet.header.marker,
            level: packet.header.ext_vals.audio_level,
            turned: packet.header.ext_vals.video_orientation == Some(VideoOrientation::Deg90),
            payload: Payload::from(&packet.payload[..]),
            at: now,
            captured,
        });
    }

    /// The mid and the payload type that one kind is sent with.
    pub fn line(&self, video: bool) -> Option<(String, u8)> {
        let mid = if video { self.video } else { self.audio }?;
        let pt = self.rtc.media(mid)?.remote_pts().first().copied()?;
        Some((mid.to_string(), *pt))
    }

    /// The source of what it sends of one kind.
    pub fn source(&mut self, video: bool) -> Option<u32> {
        let mid = if video { self.video } else { self.audio }?;
        let mut api = self.rtc.direct_api();
        Some(*api.stream_tx_by_mid(mid, None)?.ssrc())
    }

    /// What has arrived of one kind.
    pub fn received(&self, video: bool) -> Vec<&Received> {
        self.received
            .iter()
            .filter(|packet| packet.video == video)
            .collect()
    }
}

/// The next time after one at which something was due, if it is not long past.
fn next_after(now: Instant, due: Instant, pace: Duration) -> Instant {
    let next = due + pace;
    if now.saturating_duration_since(next) > LATE {
        now + pace
    } else {
        next
    }
}

fn config(seed: &Seed, kinds: Kinds, g711: bool) -> RtcConfig {
    let config = RtcConfig::new()
        .set_crypto_provider(simulation::provider())
        .set_dtls_cert(certificate(seed))
        .set_rtp_mode(true)
        .set_extension(5, Extension::PlayoutDelay)
        .clear_codecs()
        .enable_opus(true, false)
        .enable_pcmu(g711, false)
        .enable_pcma(g711, false);
    match kinds.video {
        Some(Codec::H264) => config.enable_h264(true),
        Some(Codec::Vp8) => config.enable_vp8(true),
        None => config,
    }
}

fn certificate(seed: &Seed) -> str0m::config::DtlsCert {
    let Certificate {
        certificate,
        private_key,
    } = Certificate::from_seed(seed);
    str0m::config::DtlsCert {
        certificate,
        private_key,
    }
}
