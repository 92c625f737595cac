//! The bounded queues between the front and one worker: two for what is said, two for media.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use mio::Waker;
use parlor_core::{ClientId, MediaId, Metric, News, Reply, Request, RequestError, SinkPacket};
use parlor_rtmp::bridge::Packet;
use parlor_signalling::RequestId;

use crate::histogram::Histogram;
use crate::limits;

/// From the front to a worker.
#[derive(Debug)]
pub(crate) enum ToWorker {
    /// A client asks, and waits for the answer.
    Ask {
        client: ClientId,
        id: RequestId,
        request: Request,
    },
    /// A client is gone. Nobody waits for an answer.
    Disconnect { client: ClientId },
    /// The server stops.
    Stop,
}

/// From a worker to the front, in the order in which the rooms said it.
#[derive(Debug)]
pub(crate) enum ToFront {
    /// The answer to [`ToWorker::Ask`].
    Reply {
        client: ClientId,
        id: RequestId,
        reply: Result<Reply, RequestError>,
    },
    /// News for a client.
    News { client: ClientId, news: News },
}

/// A packet of an ingest, from the front to a worker.
#[derive(Debug)]
pub(crate) struct IngestPacket {
    pub(crate) client: ClientId,
    pub(crate) media: MediaId,
    pub(crate) packet: Packet,
}

/// What a worker has counted, for whoever looks.
#[derive(Debug, Default)]
pub(crate) struct Scoreboard(Mutex<Scores>);

/// What a worker has counted: counts, and how long datagrams were in it.
pub(crate) type Scores = (Vec<Metric>, Histogram);

impl Scoreboard {
    pub(crate) fn show(&self, metrics: Vec<Metric>, delays: &Histogram) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (metrics, *delays);
    }

    pub(crate) fn read(&self) -> Scores {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The front's end.
pub(crate) struct FrontEnd {
    pub(crate) requests: SyncSender<ToWorker>,
    pub(crate) news: Receiver<ToFront>,
    pub(crate) ingest: SyncSender<IngestPacket>,
    pub(crate) sinks: Receiver<SinkPacket>,
    /// Wakes the worker.
    pub(crate) worker: Arc<Waker>,
    pub(crate) scoreboard: Arc<Scoreboard>,
}

/// The worker's end.
pub(crate) struct WorkerEnd {
    pub(crate) requests: Receiver<ToWorker>,
    pub(crate) news: SyncSender<ToFront>,
    pub(crate) ingest: Receiver<IngestPacket>,
    pub(crate) sinks: SyncSender<SinkPacket>,
    /// Wakes the front.
    pub(crate) front: Arc<Waker>,
    pub(crate) scoreboard: Arc<Scoreboard>,
}

/// The queues; the wakers are those of the two ends' polls.
pub(crate) fn link(front: Arc<Waker>, worker: Arc<Waker>) -> (FrontEnd, WorkerEnd) {
    let (requests, requests_in) = sync_channel(limits::REQUEST_QUEUE);
    let (news, news_in) = sync_channel(limits::NEWS_QUEUE);
    let (ingest, ingest_in) = sync_channel(limits::MEDIA_QUEUE);
    let (sinks, sinks_in) = sync_channel(limits::MEDIA_QUEUE);
    let scoreboard = Arc::new(Scoreboard::default());
    let front_end = FrontEnd {
        requests,
        news: news_in,
        ingest,
        sinks: sinks_in,
        worker,
        scoreboard: Arc::clone(&scoreboard),
    };
    let worker_end = WorkerEnd {
        requests: requests_in,
        news,
        ingest: ingest_in,
        sinks,
        front,
        scoreboard,
    };
    (front_end, worker_end)
}
