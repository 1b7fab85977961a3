//! Moves the write-ahead log into the database file without holding the writer up.
//!
//! A thread of its own copies the bulk on its own connection; the writer then copies the few frames written meanwhile
//! between two commits, so that the log is wholly copied and starts over instead of growing.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use rusqlite::Connection;

/// Size of the log at which a checkpoint starts.
const START_BYTES: u64 = 8 << 20;
/// Commits between two looks at the log's size.
const LOOK_EVERY: u32 = 64;

/// The writer's side.
pub(super) struct Checkpointer {
    wal: PathBuf,
    requests: SyncSender<()>,
    done: Receiver<()>,
    busy: bool,
    commits: u32,
}

impl Checkpointer {
    /// Starts the thread with its own connection to `database`.
    pub(super) fn start(database: &Path, connection: Connection) -> std::io::Result<Self> {
        let (requests, inbox) = sync_channel(1);
        let (finished, done) = sync_channel(1);
        thread::Builder::new().name("qd-checkpoint".into()).spawn(move || {
            while inbox.recv().is_ok() {
                copy(&connection);
                if finished.send(()).is_err() {
                    break;
                }
            }
        })?;
        let mut wal = database.as_os_str().to_owned();
        wal.push("-wal");
        Ok(Self { wal: wal.into(), requests, done, busy: false, commits: 0 })
    }

    /// Called by the writer after each commit, outside a transaction.
    pub(super) fn after_commit(&mut self, writer: &Connection) {
        if self.busy {
            if self.done.try_recv().is_ok() {
                self.busy = false;
                copy(writer);
            }
            return;
        }
        self.commits += 1;
        if !self.commits.is_multiple_of(LOOK_EVERY) {
            return;
        }
        let size = std::fs::metadata(&self.wal).map_or(0, |meta| meta.len());
        // A log that was copied keeps its size and is written from its start again; only what is in it counts.
        if size > START_BYTES && pending(writer) > START_BYTES {
            self.busy = self.requests.try_send(()).is_ok();
        }
    }
}

/// Copies what can be copied without waiting for anybody. A failure is not ours to act on: the log stays and the next
/// commit or checkpoint meets the same disk.
fn copy(connection: &Connection) {
    let copied = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(1));
    if let Err(error) = copied {
        tracing::warn!(%error, "checkpoint failed");
    }
}

/// Bytes in the log that were not copied yet.
fn pending(connection: &Connection) -> u64 {
    // NOOP (SQLite 3.51) reports sizes without doing anything.
    let sizes = connection.query_row("PRAGMA wal_checkpoint(NOOP)", [], |row| {
        Ok((row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
    });
    let frames = sizes.map_or(0, |(log, copied)| log - copied);
    u64::try_from(frames).unwrap_or(0) * 4096
}
