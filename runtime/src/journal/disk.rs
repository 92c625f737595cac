//! The files of the journals, and the thread that writes them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use parlor_journal::{Cut, Date};

use super::{Bounds, Troubles};
use crate::limits;

/// What the writing thread is told.
#[derive(Debug)]
pub(super) enum ToDisk {
    /// What follows is of a new journal, which begins with these bytes.
    Begin {
        worker: u32,
        date_ms: u64,
        header: Vec<u8>,
    },
    /// The next bytes of the journal.
    Bytes(Vec<u8>),
    /// There is no more.
    Stop,
}

/// The directory of the journals, which all workers share.
#[derive(Debug)]
pub(crate) struct Directory {
    bounds: Bounds,
    /// Files that are being written.
    open: Mutex<BTreeSet<PathBuf>>,
    /// Bytes that were written since old journals were last removed.
    unpruned: AtomicU64,
}

/// How a journal's file ends.
const ENDING: &str = "journal";

impl Directory {
    /// Makes the directory where there is none, and removes what is too much or too old in it.
    pub(crate) fn open(bounds: Bounds) -> io::Result<Self> {
        let path = &bounds.directory;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)?;
        let metadata = fs::metadata(path)?;
        if metadata.permissions().mode() & 0o077 != 0 {
            tracing::warn!(
                directory = %path.display(),
                "others may look into the directory of the journals"
            );
        }
        let probe = path.join(".probe");
        fs::write(&probe, b"")?;
        fs::remove_file(&probe)?;
        let directory = Self {
            bounds,
            open: Mutex::new(BTreeSet::new()),
            unpruned: AtomicU64::new(0),
        };
        directory.prune(0);
        Ok(directory)
    }

    fn is_open(&self, path: &PathBuf) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.contains(path)
    }

    fn set_open(&self, path: &PathBuf, is_open: bool) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if is_open {
            open.insert(path.clone());
        } else {
            open.remove(path);
        }
    }

    /// Sees to it that there is room for `count` more bytes.
    fn make_room(&self, count: u64) {
        let part = self.bounds.size / limits::JOURNAL_PRUNINGS;
        if self.unpruned.fetch_add(count, Ordering::Relaxed) + count >= part {
            self.unpruned.store(0, Ordering::Relaxed);
            self.prune(part + count);
        }
    }

    /// Removes journals, the oldest first, until the others keep their bounds with `more` bytes.
    fn prune(&self, more: u64) {
        let Ok(entries) = fs::read_dir(&self.bounds.directory) else {
            return;
        };
        let journals = entries.filter_map(|entry| {
            let path = entry.ok()?.path();
            let metadata = fs::symlink_metadata(&path).ok()?;
            let is_journal = path.extension().is_some_and(|ending| ending == ENDING);
            (is_journal && metadata.is_file()).then_some((path, metadata))
        });
        let mut journals: Vec<_> = journals.collect();
        // Their names begin with the date.
        journals.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut size: u64 = journals.iter().map(|(_, metadata)| metadata.len()).sum();
        for (path, metadata) in journals {
            if self.is_open(&path) {
                continue;
            }
            let age = metadata.modified().ok();
            let age = age.and_then(|at| SystemTime::now().duration_since(at).ok());
            if size + more <= self.bounds.size && age.is_none_or(|age| age <= self.bounds.age) {
                continue;
            }
            match fs::remove_file(&path) {
                Ok(()) => {
                    size = size.saturating_sub(metadata.len());
                    tracing::info!(journal = %path.display(), "an old journal is removed");
                }
                Err(error) => {
                    tracing::warn!(journal = %path.display(), %error, "it cannot be removed");
                }
            }
        }
    }
}

/// The writing thread.
pub(super) struct Disk {
    directory: Arc<Directory>,
    troubles: Arc<Troubles>,
    /// Takes buffers back.
    written: SyncSender<Vec<u8>>,
    pub(super) file: Option<(File, PathBuf)>,
    /// Bytes of the file, all of whole records.
    length: u64,
}

impl Disk {
    pub(super) fn new(
        directory: Arc<Directory>,
        troubles: Arc<Troubles>,
        written: SyncSender<Vec<u8>>,
    ) -> Self {
        Self {
            directory,
            troubles,
            written,
            file: None,
            length: 0,
        }
    }

    pub(super) fn run(mut self, orders: &Receiver<ToDisk>) {
        let mut pruned = Instant::now();
        let mut goes_on = true;
        while goes_on {
            let order = match orders.try_recv() {
                // All that was handed over before the gap is written.
                Err(TryRecvError::Empty) if self.troubles.gap.load(Ordering::Acquire) => {
                    goes_on = self.insist(Self::mark_gap);
                    continue;
                }
                Err(TryRecvError::Empty) => orders.recv_timeout(limits::JOURNAL_LOOK),
                Ok(order) => Ok(order),
                Err(TryRecvError::Disconnected) => Err(RecvTimeoutError::Disconnected),
            };
            match order {
                Ok(ToDisk::Begin {
                    worker,
                    date_ms,
                    header,
                }) => {
                    self.directory.make_room(header.len() as u64);
                    goes_on = self.insist(|disk| disk.begin(worker, date_ms, &header));
                    self.give_back(header);
                }
                Ok(ToDisk::Bytes(bytes)) => {
                    self.directory.make_room(bytes.len() as u64);
                    goes_on = self.insist(|disk| disk.write(&bytes));
                    self.give_back(bytes);
                }
                Ok(ToDisk::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    if pruned.elapsed() >= limits::JOURNAL_PRUNING {
                        pruned = Instant::now();
                        self.directory.prune(0);
                    }
                }
            }
        }
        // Where it was not to be written, or not all of it was handed over.
        if (!goes_on || self.troubles.gap.load(Ordering::Acquire))
            && let Err(error) = self.mark_gap()
        {
            tracing::warn!(%error, "a journal's gap cannot be marked");
        }
        self.close();
    }

    /// Tries again until the disk takes it: what comes meanwhile waits in the queue, and is lost
    /// where that is full. Returns false where the server stops, which does not wait for that.
    fn insist(&mut self, mut act: impl FnMut(&mut Self) -> io::Result<()>) -> bool {
        loop {
            let Err(error) = act(self) else {
                if self.troubles.refused.swap(false, Ordering::AcqRel) {
                    tracing::info!("journals can be written again");
                }
                return true;
            };
            if !self.troubles.refused.swap(true, Ordering::AcqRel) {
                self.troubles.refusals.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%error, "a journal cannot be written; it is tried again");
            }
            if self.troubles.stops.load(Ordering::Acquire) {
                return false;
            }
            std::thread::park_timeout(limits::JOURNAL_RETRY);
        }
    }

    fn give_back(&self, buffer: Vec<u8>) {
        self.troubles.waiting.fetch_sub(1, Ordering::AcqRel);
        // Where there is no room for it, it is not missed.
        let _ = self.written.try_send(buffer);
    }

    /// Begins a journal. None is left without its header.
    pub(super) fn begin(&mut self, worker: u32, date_ms: u64, header: &[u8]) -> io::Result<()> {
        self.close();
        let (file, path) = self.create(worker, date_ms)?;
        if let Err(error) = file.write_all_at(header, 0) {
            let _ = fs::remove_file(&path);
            self.directory.set_open(&path, false);
            return Err(error);
        }
        tracing::info!(
            journal = %path.display(),
            "a journal begins; it holds keys: who has it can read all media of its calls"
        );
        self.file = Some((file, path));
        self.length = header.len() as u64;
        Ok(())
    }

    fn create(&self, worker: u32, date_ms: u64) -> io::Result<(File, PathBuf)> {
        // Two of one millisecond are told apart by a later number.
        for later in 0..100 {
            let date = Date(date_ms + later).compact();
            let name = format!("{date}-worker{worker}.{ENDING}");
            let path = self.directory.bounds.directory.join(name);
            // Before it is there, so that nobody removes it.
            self.directory.set_open(&path, true);
            let file = File::options()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path);
            match file {
                Ok(file) => return Ok((file, path)),
                Err(error) => {
                    self.directory.set_open(&path, false);
                    if error.kind() != io::ErrorKind::AlreadyExists {
                        return Err(error);
                    }
                }
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Writes behind what is written. Where that fails, the journal ends with its last whole record
    /// as before.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some((file, _)) = &self.file else {
            return Ok(());
        };
        if let Err(error) = file.write_all_at(bytes, self.length) {
            // What a part of it was written over is the same when it is tried again.
            let _ = file.set_len(self.length);
            return Err(error);
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Ends the journal with the mark that more is missing.
    pub(super) fn mark_gap(&mut self) -> io::Result<()> {
        self.write(&Cut::Lost.mark())?;
        self.close();
        self.troubles.gap.store(false, Ordering::Release);
        Ok(())
    }

    fn close(&mut self) {
        if let Some((_, path)) = self.file.take() {
            self.directory.set_open(&path, false);
        }
    }
}
