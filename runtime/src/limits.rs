//! Every bound of the runtime, in one place.

use std::time::Duration;

/// Most worker threads.
pub const WORKERS: usize = 64;
/// Most addresses to listen on, with and without TLS each.
pub const LISTENERS: usize = 16;
/// Most addresses that one worker has sockets on.
pub const CANDIDATES: usize = 32;
/// Requests that wait for one worker.
pub const REQUEST_QUEUE: usize = 1024;
/// Replies and news of one worker that wait for the front.
pub const NEWS_QUEUE: usize = 4096;
/// Replies and news of one worker that the front takes in one turn.
pub const NEWS_PER_TURN: usize = 1024;
/// Packets of encoders that wait for one worker, and packets of one worker for players by RTMP:
/// three seconds of what one worker carries of them at 30 Mb/s. More are dropped.
pub const MEDIA_QUEUE: usize = 8192;
/// Such packets that a worker, or the front, takes in one turn.
pub const MEDIA_PER_TURN: usize = 1024;
/// Requests that a worker takes in one turn.
pub const REQUESTS_PER_TURN: usize = 64;
/// Messages of other workers that wait for one: a packet of a picture is one of them.
pub const RELAY_QUEUE: usize = 4096;
/// Messages of other workers that a worker takes in one turn.
pub const RELAYS_PER_TURN: usize = 1024;
/// Times within one turn that a worker, between two batches that it sends, looks for what has
/// arrived meanwhile.
pub const LOOKS_PER_TURN: usize = 64;
/// What arrives in one turn of a worker, and is told apart where it is measured how long it stays.
pub const ARRIVALS: usize = 8192;
/// Streams that are published or played by WHIP and WHEP at the same time.
pub const RESOURCES: usize = 16_384;
/// Connections that one listener hands over in one turn.
pub const ACCEPTS_PER_TURN: usize = 64;
/// Bytes that are read from one connection in one turn.
pub const READ_PER_TURN: usize = 64 * 1024;
/// Pause of accepting after the system has refused (out of file descriptors, out of memory).
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Turned-away connections that are kept until they have read why.
pub const TURNED_AWAY: usize = 256;
/// How long they are kept.
pub const TURNED_AWAY_TIME: Duration = Duration::from_secs(1);
/// A connection on which nothing comes for so long is asked by the system whether its other end is
/// still there …
pub const PROBE_AFTER: Duration = Duration::from_secs(15);
/// … so often …
pub const PROBES: u32 = 3;
/// … and with so much time in between.
pub const PROBE_INTERVAL: Duration = Duration::from_secs(5);
/// How long what was sent may stay without a sign from the other end.
pub const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
/// How long a TLS handshake may take.
pub const TLS_HANDSHAKE: Duration = Duration::from_secs(10);
/// The time over which requests for names are counted that are refused to one address.
pub const REFUSAL_WINDOW: Duration = Duration::from_secs(60);
/// How long an address waits at most, beyond that, for what it has asked for at once.
pub const REFUSAL_DEBT: Duration = Duration::from_secs(600);
/// Addresses of which it is remembered what was refused to them.
pub const REFUSAL_ORIGINS: usize = 16_384;
/// How long a finished connection may take to read its last bytes.
pub const LAST_BYTES: Duration = Duration::from_secs(5);
/// How long a closed connection is read until its end, so that the last bytes arrive.
pub const LINGER: Duration = Duration::from_secs(2);
/// Bytes that are read meanwhile.
pub const LINGER_BYTES: usize = 256 * 1024;
/// Time between two looks at the certificate's files.
pub const TLS_RELOAD: Duration = Duration::from_secs(1);
/// Largest file of a certificate or key.
pub const TLS_FILE_BYTES: u64 = 1024 * 1024;
/// Largest file that is served.
pub const PAGE_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of pages that all connections together may have waiting.
pub const PAGES_IN_FLIGHT: usize = 256 * 1024 * 1024;
/// Largest configuration file.
pub const CONFIG_BYTES: u64 = 1024 * 1024;
/// Buffers asked for per media socket.
pub const MEDIA_SOCKET_BUFFER: usize = 4 * 1024 * 1024;
/// Publishers of `parlor load`.
pub const LOAD_PUBLISHERS: usize = 4096;
/// Its players, over all publishers.
pub const LOAD_PLAYERS: usize = 16_384;
/// Receive buffer asked for of each of its sockets.
pub const LOAD_SOCKET_BUFFER: usize = 1024 * 1024;
/// Connections that wait in the kernel to be accepted.
pub const BACKLOG: i32 = 1024;
/// How long what is due in a worker may wait for other things that are: reports, retransmissions of
/// handshakes and requests for lost packets take no notice of it.
pub const TIMER_SLACK: Duration = Duration::from_millis(5);
/// A worker for which nothing but checks and reports has come for so long is in no hurry …
pub const QUIET: Duration = Duration::from_secs(1);
/// … and lets so much time pass between two looks at what has come.
pub const QUIET_PAUSE: Duration = Duration::from_millis(5);
/// How often a worker shows what it has counted, at most.
pub const METRICS_INTERVAL: Duration = Duration::from_millis(100);
/// How long a worker waits before it tries again to hand on what the front had no room for.
pub const FRONT_FULL_PAUSE: Duration = Duration::from_millis(2);
/// How long the clients may take to say goodbye when the server stops.
pub const GOODBYE: Duration = Duration::from_millis(1500);
/// How long the workers may take to stop.
pub const WORKERS_STOP: Duration = Duration::from_millis(500);
/// Bytes of a journal that are handed to the disk together.
pub const JOURNAL_BUFFER: usize = 256 * 1024;
/// Such buffers that wait for the disk: what it may be behind, so that one which is full for some
/// minutes costs nothing.
pub const JOURNAL_QUEUE: usize = 128;
/// Buffers that are used again once they are written; those of a disk that was behind are freed.
pub const JOURNAL_SPARE: usize = 4;
/// How long it is waited before what the disk has refused is tried again.
pub const JOURNAL_RETRY: Duration = Duration::from_millis(500);
/// How long a record of a journal may wait before it is handed to the disk.
pub const JOURNAL_INTERVAL: Duration = Duration::from_millis(200);
/// A journal that has a part of its size or age, one of so many, is followed by the next one as
/// soon as nobody is there.
pub const JOURNAL_PART: u64 = 16;
/// How often it is looked, where nothing is to be written, whether a journal has a gap that is to be
/// marked.
pub const JOURNAL_LOOK: Duration = Duration::from_secs(1);
/// How often it is seen to that old journals are removed.
pub const JOURNAL_PRUNING: Duration = Duration::from_secs(60);
/// And how often while the size of all is written.
pub const JOURNAL_PRUNINGS: u64 = 16;
/// Threads that put sound into other codecs: one does about a hundred streams.
pub const CODEC_THREADS: usize = 2;
/// The stack of such a thread: the codecs need less than a quarter of it.
pub const CODEC_STACK: usize = 2 * 1024 * 1024;
/// Streams that one of them has at the same time.
pub const CODEC_STREAMS: usize = 256;
/// Units of sound of one stream that wait for it, about a second.
pub const CODEC_SOUNDS: usize = 50;
/// Units of sound that wait for the front.
pub const CODEC_RESULTS: usize = 4096;

const _: () = assert!(
    UNACKNOWLEDGED.as_secs() == PROBE_AFTER.as_secs() + PROBES as u64 * PROBE_INTERVAL.as_secs(),
    "Linux takes the one, others the other"
);
const _: () = assert!(PAGE_BYTES as usize <= PAGES_IN_FLIGHT);
const _: () = assert!(MEDIA_PER_TURN <= MEDIA_QUEUE);
const _: () = assert!(NEWS_PER_TURN <= NEWS_QUEUE);
