//! The files of the journals, and the thread that writes them.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
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
    /// What follows is of a new journal.
    Begin { worker: u32, date_ms: u64 },
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
    file: Option<(File, PathBuf)>,
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
        loop {
            let order = match orders.try_recv() {
                Err(TryRecvError::Empty) => {
                    // All that was handed over before the gap is written.
                    if self.troubles.gap.load(Ordering::Acquire) {
                        self.mark_gap();
                    }
                    orders.recv_timeout(limits::JOURNAL_LOOK)
                }
                Ok(order) => Ok(order),
                Err(TryRecvError::Disconnected) => Err(RecvTimeoutError::Disconnected),
            };
            match order {
                Ok(ToDisk::Begin { worker, date_ms }) => self.begin(worker, date_ms),
                Ok(ToDisk::Bytes(bytes)) => self.write(bytes),
                Ok(ToDisk::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    if pruned.elapsed() >= limits::JOURNAL_PRUNING {
                        pruned = Instant::now();
                        self.directory.prune(0);
                    }
                }
            }
        }
        if self.troubles.gap.load(Ordering::Acquire) {
            self.mark_gap();
        }
        self.close();
    }

    pub(super) fn begin(&mut self, worker: u32, date_ms: u64) {
        self.close();
        // Two of one millisecond are told apart by a later number.
        let opened = (0..100).find_map(|later| {
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
                Ok(file) => Some(Ok((file, path))),
                Err(error) => {
                    self.directory.set_open(&path, false);
                    (error.kind() != io::ErrorKind::AlreadyExists).then_some(Err(error))
                }
            }
        });
        match opened {
            Some(Ok((file, path))) => {
                tracing::info!(
                    journal = %path.display(),
                    "a journal begins; it holds keys: who has it can read all media of its calls"
                );
                self.file = Some((file, path));
                self.length = 0;
            }
            Some(Err(error)) => self.refuse(&error),
            None => self.refuse(&io::ErrorKind::AlreadyExists.into()),
        }
        self.directory.make_room(0);
    }

    pub(super) fn write(&mut self, bytes: Vec<u8>) {
        if let Some((file, _)) = &mut self.file {
            self.directory.make_room(bytes.len() as u64);
            match file.write_all(&bytes) {
                Ok(()) => self.length += bytes.len() as u64,
                Err(error) => self.refuse(&error),
            }
        }
        // Where there is no room for it, it is not missed.
        let _ = self.written.try_send(bytes);
    }

    pub(super) fn refuse(&mut self, error: &io::Error) {
        tracing::warn!(%error, "a journal cannot be written");
        self.troubles.refused.store(true, Ordering::Release);
        self.mark_gap();
    }

    /// Ends the journal behind its last whole record with the mark that more is missing. What is
    /// cut off makes room for it on a disk that is full.
    fn mark_gap(&mut self) {
        if let Some((file, path)) = &mut self.file {
            let marked = file
                .set_len(self.length)
                .and_then(|()| file.seek(SeekFrom::Start(self.length)))
                .and_then(|_| file.write_all(&Cut::Lost.mark()));
            if let Err(error) = marked {
                tracing::warn!(journal = %path.display(), %error, "its gap cannot be marked");
            }
        }
        self.close();
        self.troubles.gap.store(false, Ordering::Release);
    }

    fn close(&mut self) {
        if let Some((_, path)) = self.file.take() {
            self.directory.set_open(&path, false);
        }
    }
}
