//! One stream of the load: its socket, its connection, and what is at the end of it.

use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use mio::net::UdpSocket;
use parlor_core::MediaKind;

use super::connection::{Connection, Happening, Line, Maker, Wanted};
use super::player::{Measures, Player};
use super::publisher::{Pace, Publisher};
use crate::net;
use crate::worker::udp::Receiver;

/// How long a stream may take from its answer to a finished handshake.
const CONNECT: Duration = Duration::from_secs(15);
/// Messages that are taken from one socket by one call.
const MESSAGES: usize = if Receiver::MOST < 16 {
    Receiver::MOST
} else {
    16
};

/// What a stream is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Publisher,
    Player,
}

/// What is at the end of a connection.
enum Media {
    /// Nothing yet.
    None,
    Publisher(Publisher),
    Player(Player),
}

/// How far a stream has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It waits for its turn to be asked for.
    Waiting,
    Asking,
    Connecting,
    Connected,
    Ended,
}

/// When a stream came how far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Times {
    pub(super) began: Option<Instant>,
    pub(super) answered: Option<Instant>,
    pub(super) connected: Option<Instant>,
    pub(super) media: Option<Instant>,
}

/// One stream.
pub(super) struct Endpoint {
    pub(super) role: Role,
    /// The number of the publisher that it is, or plays.
    pub(super) publisher: usize,
    pub(super) state: State,
    pub(super) times: Times,
    /// The path of what the server has made for it.
    pub(super) location: Option<String>,
    pub(super) socket: Option<UdpSocket>,
    pub(super) port: u16,
    connection: Option<Connection>,
    lines: Vec<Line>,
    media: Media,
    /// Where media comes from.
    source: Option<SocketAddr>,
    /// When it is to be called, as noted in the reactor's deadlines.
    pub(super) wake: Option<Instant>,
}

/// What all streams of a thread share.
pub(super) struct Commons {
    pub(super) maker: Maker,
    pub(super) measures: Measures,
    pub(super) pace: Pace,
    /// Publishers go on.
    pub(super) publishing: bool,
}

impl Endpoint {
    pub(super) fn new(role: Role, publisher: usize) -> Self {
        Self {
            role,
            publisher,
            state: State::Waiting,
            times: Times::default(),
            location: None,
            socket: None,
            port: 0,
            connection: None,
            lines: Vec::new(),
            media: Media::None,
            source: None,
            wake: None,
        }
    }

    /// Opens its socket and makes its offer.
    pub(super) fn offer(
        &mut self,
        now: Instant,
        local: IpAddr,
        offload: bool,
        commons: &mut Commons,
    ) -> Result<String, String> {
        let (socket, address) = net::player_socket(local, offload)
            .map_err(|error| format!("no socket for media: {error}"))?;
        let sends = self.role == Role::Publisher;
        let wanted = Wanted {
            sends,
            audio: commons.pace.audio,
            // With nothing to send there is still something to offer.
            video: commons.pace.packets > 0 || !commons.pace.audio,
        };
        let (connection, offer) = Connection::offer(now, &mut commons.maker, address, wanted)?;
        (self.socket, self.port) = (Some(socket), address.port());
        self.connection = Some(connection);
        self.times.began = Some(now);
        self.state = State::Asking;
        Ok(offer)
    }

    /// Takes the server's answer in.
    pub(super) fn accept(
        &mut self,
        now: Instant,
        answer: &str,
        commons: &mut Commons,
    ) -> Result<(), String> {
        self.times.answered = Some(now);
        self.state = State::Connecting;
        let connection = self.connection.as_mut().ok_or("there is no offer")?;
        self.lines = connection.accept(now, &mut commons.maker.randomness, answer)?;
        Ok(())
    }

    /// Reads everything that has come.
    pub(super) fn read(&mut self, now: Instant, receiver: &mut Receiver, commons: &mut Commons) {
        let Some(socket) = self.socket.take() else {
            return;
        };
        // An error is about one datagram at most, and the next one makes the socket readable again.
        while let Ok(count) = receiver.receive(&socket, MESSAGES) {
            for arrived in (0..count).filter_map(|number| receiver.get(number)) {
                let at = arrived.at.unwrap_or_else(since_1970);
                for contents in arrived.contents.chunks(arrived.stride.max(1)) {
                    self.take(now, at, arrived.source, contents, &socket, commons);
                }
            }
            if count < MESSAGES {
                break;
            }
        }
        self.socket = Some(socket);
        self.follow(now, commons);
    }

    fn take(
        &mut self,
        now: Instant,
        at: Duration,
        source: SocketAddr,
        contents: &[u8],
        socket: &UdpSocket,
        commons: &mut Commons,
    ) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let (is_media, is_rtcp) = match *contents {
            [128..=191, kind, ..] => (true, (192..=223).contains(&kind)),
            _ => (false, false),
        };
        if let (true, Media::Player(player)) = (is_media, &mut self.media) {
            let Some(srtp) = &mut connection.srtp else {
                return;
            };
            self.source = Some(source);
            if is_rtcp {
                player.handle_rtcp(now, contents, srtp);
            } else {
                player.handle_rtp(now, at, contents, srtp, &mut commons.measures);
            }
            return;
        }
        // A player's media is not str0m's.
        if is_media && self.role == Role::Player {
            return;
        }
        let randomness = &mut commons.maker.randomness;
        connection.handle_datagram(now, randomness, source, contents, sender(socket));
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self, now: Instant, commons: &mut Commons) {
        let Self {
            connection: Some(connection),
            socket: Some(socket),
            media,
            lines,
            ..
        } = self
        else {
            return;
        };
        let randomness = &mut commons.maker.randomness;
        if connection.deadline <= now {
            connection.handle_timeout(now, randomness, sender(socket));
        }
        match media {
            Media::None => {}
            Media::Publisher(publisher) if commons.publishing => {
                publisher.write_due(now, since_1970, |kind, packet| {
                    let line = lines.iter().find(|line| line.kind == kind);
                    if let Some(line) = line {
                        connection.write(now, randomness, line, packet, sender(socket));
                    }
                });
            }
            Media::Publisher(_) => {}
            Media::Player(player) if player.deadline() <= now => {
                if let Some(srtp) = &mut connection.srtp
                    && let Some(feedback) = player.feedback(now, srtp, &mut commons.measures)
                    && let Some(source) = self.source
                {
                    sender(socket)(source, &feedback);
                }
            }
            Media::Player(_) => {}
        }
        self.follow(now, commons);
    }

    /// Draws what follows from what the connection has said.
    fn follow(&mut self, now: Instant, commons: &mut Commons) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        for happening in mem::take(&mut connection.happened) {
            match (happening, &mut self.media) {
                (Happening::Connected, _) if self.state == State::Connecting => {
                    self.state = State::Connected;
                    self.times.connected = Some(now);
                    self.media = match self.role {
                        Role::Publisher => {
                            let start = now + commons.pace.phase(self.publisher);
                            Media::Publisher(Publisher::new(commons.pace, start))
                        }
                        Role::Player => {
                            let ssrc = commons.maker.randomness.u64() as u32 | 1;
                            Media::Player(Player::new(now, ssrc, &self.lines))
                        }
                    };
                }
                (Happening::KeyframeWanted, Media::Publisher(publisher)) => {
                    publisher.want_keyframe(now);
                }
                (Happening::Connected | Happening::KeyframeWanted, _) => {}
            }
        }
        if self.times.media.is_none()
            && let Media::Player(player) = &self.media
            && player.has_media
        {
            self.times.media = Some(now);
        }
    }

    /// When it is to be called.
    pub(super) fn deadline(&self, publishing: bool) -> Option<Instant> {
        if self.state == State::Ended {
            return None;
        }
        let connection = self.connection.as_ref()?.deadline;
        let of_media = match &self.media {
            Media::Publisher(publisher) => publisher.deadline().filter(|_| publishing),
            Media::Player(player) => Some(player.deadline()),
            Media::None => self.connects_by(),
        };
        Some(of_media.map_or(connection, |media| media.min(connection)))
    }

    fn connects_by(&self) -> Option<Instant> {
        self.times.answered.map(|answered| answered + CONNECT)
    }

    /// Why it is over, if it is.
    pub(super) fn failure(&self, now: Instant) -> Option<String> {
        let failed = self.connection.as_ref()?.failed.clone();
        let late =
            self.state == State::Connecting && self.connects_by().is_some_and(|by| by <= now);
        failed.or_else(|| late.then(|| "answered, but not connected within 15 s".into()))
    }

    /// It is over: nothing is sent and nothing received.
    pub(super) fn end(&mut self) {
        self.state = State::Ended;
        self.socket = None;
        self.connection = None;
    }

    pub(super) fn begin_measuring(&mut self) {
        if let Media::Player(player) = &mut self.media {
            player.begin_measuring();
        }
    }

    /// Packets that a publisher has sent, of sound and picture, and those it was too late for.
    pub(super) fn sent(&self) -> ([u64; 2], u64) {
        match &self.media {
            Media::Publisher(publisher) => {
                let kinds = [MediaKind::Audio, MediaKind::Video];
                (kinds.map(|kind| publisher.sent(kind)), publisher.left_out)
            }
            Media::Player(_) | Media::None => ([0; 2], 0),
        }
    }

    /// Packets that a player was to get and that it got.
    pub(super) fn measured(&self, before: [u64; 2], total: [u64; 2]) -> (u64, u64) {
        match &self.media {
            Media::Player(player) => player.measured(before, total),
            Media::Publisher(_) | Media::None => (0, 0),
        }
    }
}

/// Sends by a socket; what the system does not take is lost, as it is on a network.
fn sender(socket: &UdpSocket) -> impl FnMut(SocketAddr, &[u8]) {
    move |destination, contents| {
        let _ = socket.send_to(contents, destination);
    }
}

pub(super) fn since_1970() -> Duration {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default()
}
