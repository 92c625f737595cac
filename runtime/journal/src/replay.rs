//! A recorded machine runs again, and what comes out is compared.

use std::io::{self, Read};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parlor_core::observe::{Observation, RoomState};
use parlor_core::{
    Batch, ClientId, Config, Datagram, Event, MediaKind, Reply, Request, RequestError, RoomName,
    Sfu, SinkPacket,
};

use crate::digest::{Class, Counted, Digester, Gathered, Sums};
use crate::format::Header;
use crate::limits;
use crate::reader::{BadHeader, Ending, Entry, Reader, Record};

/// What happened, in the order in which it did.
#[derive(Debug)]
pub enum Happened {
    /// A client asked, and was answered.
    Request {
        /// Who.
        client: ClientId,
        /// What.
        request: Box<Request>,
        /// The answer.
        reply: Box<Result<Reply, RequestError>>,
    },
    /// A datagram came.
    Received {
        /// From where.
        source: SocketAddr,
        /// To which of the server's addresses.
        destination: SocketAddr,
        /// Its bytes.
        contents: Vec<u8>,
    },
    /// A packet of an ingest came.
    Ingested {
        /// Whose.
        client: ClientId,
        /// Sound or picture.
        kind: MediaKind,
    },
    /// Datagrams left.
    Sent(Batch),
    /// Somebody was told something.
    Told(Event),
    /// A sink was given a packet.
    Sunk(SinkPacket),
    /// The machine told somebody who watches.
    Observed(Observation),
}

/// What has come out otherwise than it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// When, after the machine's first instant.
    pub at: Duration,
    /// Where in the file the record is with which it does not agree.
    pub offset: u64,
    /// Where the last record is with which all had agreed.
    pub agreed: u64,
    /// What.
    pub what: String,
}

/// What has been compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Records that went in.
    pub inputs: u64,
    /// Of these, records that this version cannot read.
    pub unknown: u64,
    /// Datagrams, by the number of their [`Class`].
    pub datagrams: [u64; 4],
    /// News.
    pub events: u64,
    /// Answers.
    pub replies: u64,
    /// Packets of sinks.
    pub sunk: u64,
    /// Records that were compared.
    pub compared: u64,
    /// Of these, records that did not agree.
    pub differing: u64,
    /// Of these, records in which only the order of reports in SRTCP may differ.
    pub differing_rtcp: u64,
    /// Records of what came out that this version cannot read, and so does not compare.
    pub uncompared: u64,
}

/// A recorded machine that runs again.
pub struct Replay<R> {
    reader: Reader<R>,
    header: Header,
    sfu: Sfu,
    begun: Instant,
    at: Duration,
    batch: Batch,
    digester: Digester,
    /// The latest answer, until it is compared.
    replied: Option<u64>,
    agreed: u64,
    totals: Totals,
    differences: Vec<Difference>,
    ended: bool,
}

impl<R: Read> Replay<R> {
    /// Makes the machine that a journal begins with. `base` is that of this process
    /// ([`epoch::base`](parlor_core::epoch::base)).
    ///
    /// # Errors
    /// Where it is not a journal that this version can read.
    pub fn new(input: R, base: Instant) -> Result<Self, BadHeader> {
        Self::with_config(input, base, |config| config)
    }

    /// As [`Replay::new`], with a changed configuration: what would have been.
    ///
    /// # Errors
    /// Where it is not a journal that this version can read.
    pub fn with_config(
        input: R,
        base: Instant,
        change: impl FnOnce(Config) -> Config,
    ) -> Result<Self, BadHeader> {
        let (reader, header) = Reader::new(input)?;
        let begun = base.checked_add(Duration::from_nanos(header.begun_ns));
        let begun = begun.ok_or(BadHeader::Damaged)?;
        let made_of = header.made_of.clone();
        let config = change(made_of.config);
        let mut sfu = Sfu::new(config, made_of.certificate, made_of.seed, begun);
        sfu.observe();
        Ok(Self {
            reader,
            header,
            sfu,
            begun,
            at: Duration::ZERO,
            batch: Batch::new(),
            digester: Digester::default(),
            replied: None,
            agreed: 0,
            totals: Totals::default(),
            differences: Vec::new(),
            ended: false,
        })
    }

    /// What the machine was made of.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The version of the format that the journal says it has.
    pub fn format(&self) -> u16 {
        self.reader.format()
    }

    /// The time since the machine's first instant.
    pub fn at(&self) -> Duration {
        self.at
    }

    /// What has been compared until here.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// What has differed, the first ones of it.
    pub fn differences(&self) -> &[Difference] {
        &self.differences
    }

    /// How the journal ends, once there is no more.
    pub fn ending(&self) -> Option<Ending> {
        self.reader.ending()
    }

    /// A room as it is.
    pub fn room_state(&self, room: &RoomName) -> Option<RoomState> {
        let now = self.begun.checked_add(self.at)?;
        self.sfu.room_state(now, room)
    }

    /// Goes on as [`Replay::step`] does, where the next record is not of later than `until`. Where it
    /// is, the time is `until`, and false is returned.
    ///
    /// # Errors
    /// Those of the file.
    pub fn step_until(
        &mut self,
        until: Duration,
        happened: &mut Vec<Happened>,
    ) -> io::Result<bool> {
        match self.reader.peek()? {
            Some(next) if next > until => {
                self.at = until;
                Ok(false)
            }
            Some(_) | None => self.step(happened),
        }
    }

    /// Goes on by one record, and adds what happens in it to `happened`. Returns false at the end.
    ///
    /// # Errors
    /// Those of the file.
    pub fn step(&mut self, happened: &mut Vec<Happened>) -> io::Result<bool> {
        let Some(entry) = self.reader.next()? else {
            if !self.ended {
                self.ended = true;
                self.run_out(happened);
            }
            return Ok(false);
        };
        let Self {
            sfu,
            begun,
            batch,
            digester,
            replied,
            agreed,
            totals,
            differences,
            at: latest,
            ..
        } = self;
        let Entry { at, offset, record } = entry;
        *latest = at;
        let Some(now) = begun.checked_add(at) else {
            return Ok(false);
        };
        let mut compare = Comparison {
            at,
            offset,
            agreed,
            totals,
            differences,
        };
        match record {
            Record::Request { client, request } => {
                compare.totals.inputs += 1;
                let reply = sfu.handle_request(now, client, (*request).clone());
                *replied = Some(digester.reply(&reply));
                let reply = Box::new(reply);
                happened.push(Happened::Request {
                    client,
                    request,
                    reply,
                });
            }
            Record::Datagram(datagram) => {
                compare.totals.inputs += 1;
                happened.push(received(datagram));
                sfu.handle_datagram(now, datagram);
            }
            Record::Media {
                client,
                media,
                packet,
            } => {
                compare.totals.inputs += 1;
                let kind = packet.kind;
                happened.push(Happened::Ingested { client, kind });
                sfu.handle_media(now, client, media, packet);
            }
            Record::Relay { from, relay } => {
                compare.totals.inputs += 1;
                sfu.handle_relay(now, from, relay);
            }
            Record::RelayRefused(relay) => {
                compare.totals.inputs += 1;
                sfu.handle_relay_refused(now, &relay);
            }
            Record::Timeout => {
                compare.totals.inputs += 1;
                sfu.handle_timeout(now);
            }
            Record::Reply(digest) => {
                compare.totals.replies += 1;
                compare.equal(replied.take() == Some(digest), || {
                    "the answer to a request".into()
                });
            }
            Record::Transmits(sums) => {
                sfu.poll_transmit(batch);
                compare.batch(&digester.batch(batch), &sums, batch);
                happened.push(Happened::Sent(std::mem::take(batch)));
            }
            Record::Events(counted) => {
                let mut gathered = Gathered::default();
                let told = (0..counted.count).map_while(|_| sfu.poll_event());
                for event in told {
                    gathered.add_event(&event);
                    happened.push(Happened::Told(event));
                }
                let told = gathered.take();
                compare.totals.events += told.map_or(0, |told| told.count);
                compare.equal(told == Some(counted), || what_was_told(told, counted));
            }
            Record::Sunk(counted) => {
                let mut gathered = Gathered::default();
                let sunk = (0..counted.count).map_while(|_| sfu.poll_media());
                for packet in sunk {
                    gathered.add_packet(&packet);
                    happened.push(Happened::Sunk(packet));
                }
                let sunk = gathered.take();
                compare.totals.sunk += sunk.map_or(0, |sunk| sunk.count);
                compare.equal(sunk == Some(counted), || "packets for sinks".into());
            }
            Record::Relayed(counted) => {
                let mut gathered = Gathered::default();
                for (to, relay) in (0..counted.count).map_while(|_| sfu.poll_relay()) {
                    gathered.add_relay(to, &relay);
                }
                compare.equal(gathered.take() == Some(counted), || {
                    "messages to other workers".into()
                });
            }
            Record::Unknown { input: true } => {
                compare.totals.inputs += 1;
                compare.totals.unknown += 1;
                compare.equal(false, || "an input that this version cannot read".into());
            }
            Record::Unknown { input: false } => compare.totals.uncompared += 1,
            Record::Cut(_) => {}
        }
        while let Some(observation) = sfu.poll_observation() {
            happened.push(Happened::Observed(observation));
        }
        Ok(true)
    }

    /// What comes out after the last record: nothing is known that it could be compared with.
    fn run_out(&mut self, happened: &mut Vec<Happened>) {
        while self.sfu.poll_transmit(&mut self.batch) {
            happened.push(Happened::Sent(std::mem::take(&mut self.batch)));
        }
        while let Some(event) = self.sfu.poll_event() {
            happened.push(Happened::Told(event));
        }
    }
}

/// The place at which something is compared.
struct Comparison<'a> {
    at: Duration,
    offset: u64,
    agreed: &'a mut u64,
    totals: &'a mut Totals,
    differences: &'a mut Vec<Difference>,
}

impl Comparison<'_> {
    fn equal(&mut self, equal: bool, what: impl FnOnce() -> String) {
        self.totals.compared += 1;
        if equal {
            *self.agreed = self.offset;
            return;
        }
        self.totals.differing += 1;
        if self.differences.len() < limits::DIFFERENCES {
            self.differences.push(Difference {
                at: self.at,
                offset: self.offset,
                agreed: *self.agreed,
                what: what(),
            });
        }
    }

    fn batch(&mut self, made: &Sums, recorded: &Sums, batch: &Batch) {
        for transmit in batch.iter() {
            let class = Class::of(transmit.contents) as usize;
            if let Some(count) = self.totals.datagrams.get_mut(class) {
                *count += 1;
            }
        }
        let classes = made.differ(recorded);
        if made.count == recorded.count && classes == [Class::Rtcp] {
            self.totals.differing_rtcp += 1;
        }
        let equal = made == recorded;
        self.equal(equal, || {
            let classes: Vec<_> = classes.iter().map(|class| class.name()).collect();
            let counts = match (made.count, recorded.count) {
                (made, recorded) if made == recorded => format!("{made} datagrams out"),
                (made, recorded) => format!("{made} datagrams out, where there were {recorded}"),
            };
            format!("{counts}: {} differs", classes.join(", "))
        });
    }
}

fn what_was_told(told: Option<Counted>, recorded: Counted) -> String {
    let count = told.map_or(0, |told| told.count);
    format!("{count} news, where there were {}", recorded.count)
}

fn received(datagram: Datagram<'_>) -> Happened {
    Happened::Received {
        source: datagram.source,
        destination: datagram.destination,
        contents: datagram.contents.to_vec(),
    }
}
