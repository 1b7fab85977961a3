//! The writer thread: group commit.
//!
//! It takes one command, then whatever else is waiting (commands pile up while the disk syncs, so no timer is needed),
//! runs them in one transaction, commits, and only then answers. A command that fails takes nothing with it: all are run
//! again, each in a savepoint of its own (savepoints cost a sixth of this thread's time, so not at first). A commit that
//! fails answers everybody with the error and the schedule is rebuilt from the rows. After an I/O error nothing is written
//! any more, wherever it was met.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use qd_env::Env;
use tokio::sync::{mpsc, oneshot, watch};

use super::checkpoint::Checkpointer;
use super::file_lock::FileLock;
use super::rows::SqliteRows;
use crate::embedded::Core;
use crate::live::{Live, tell};
use crate::{Error, Stats};

/// Commands that may wait for the writer; beyond that callers wait for room.
const QUEUE: usize = 4096;
/// Commands of one transaction.
const GROUP: usize = 512;

/// In relaxed mode a commit is synced when this has passed since the last unsynced one began, and this often something
/// is committed: so acknowledged work stays unsynced for twice this, a second, at most.
pub(super) const RELAXED_SYNC: Duration = Duration::from_millis(500);

/// Why a command is taken back.
struct Undone(Error);

/// What every command does: run inside the transaction, answer after it. What ran in one that was taken back runs again.
trait Command: Send {
    fn run(&mut self, core: &mut Core<SqliteRows>) -> Result<(), Undone>;
    fn answer(self: Box<Self>, committed: Result<(), &Error>);
}

struct Request<T, F> {
    transition: F,
    answer: Option<Result<T, Error>>,
    reply: oneshot::Sender<Result<T, Error>>,
}

impl<T, F> Command for Request<T, F>
where
    T: Send,
    F: Fn(&mut Core<SqliteRows>) -> Result<T, Error> + Send,
{
    fn run(&mut self, core: &mut Core<SqliteRows>) -> Result<(), Undone> {
        let answer = (self.transition)(core);
        let outcome = answer.as_ref().map(|_| ()).map_err(|error| Undone(error.repeated()));
        self.answer = Some(answer);
        outcome
    }

    fn answer(self: Box<Self>, committed: Result<(), &Error>) {
        let answer = match committed {
            Ok(()) => self.answer.unwrap_or(Err(Error::Closed)),
            Err(error) => Err(error.repeated()),
        };
        // A caller that went away does not need its answer.
        let _ = self.reply.send(answer);
    }
}

/// The callers' side.
#[derive(Clone)]
pub(super) struct Writer {
    commands: mpsc::Sender<Box<dyn Command>>,
    stats: watch::Receiver<Result<Stats, String>>,
}

impl Writer {
    /// Starts the thread. It ends when the last handle is gone.
    pub(super) fn start(
        core: Core<SqliteRows>,
        lock: FileLock,
        checkpointer: Checkpointer,
        live: Arc<dyn Live>,
        env: Env,
        relaxed: bool,
    ) -> std::io::Result<Self> {
        let (commands, inbox) = mpsc::channel(QUEUE);
        let (publish, stats) = watch::channel(Ok(core.stats()));
        let run = Run {
            core,
            inbox,
            checkpointer,
            live,
            env,
            publish,
            relaxed,
            unsynced_since: None,
            broken: None,
        };
        // The lock goes with the thread: as long as something may still be written, nobody else may open the file.
        thread::Builder::new().name("qd-store-writer".into()).spawn(move || {
            run.run();
            drop(lock);
        })?;
        Ok(Self { commands, stats })
    }

    /// A handle that does not keep the thread alive.
    pub(super) fn downgrade(&self) -> WeakWriter {
        WeakWriter { commands: self.commands.downgrade(), stats: self.stats.clone() }
    }

    /// Runs a transition in the next group and waits until it is durable.
    pub(super) async fn call<T, F>(&self, transition: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Fn(&mut Core<SqliteRows>) -> Result<T, Error> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let request = Request { transition, answer: None, reply };
        self.commands.send(Box::new(request)).await.map_err(|_| Error::Closed)?;
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Counts as of the last commit; the error that stopped the store, if one did.
    pub(super) fn stats(&self) -> Result<Stats, Error> {
        if self.stats.has_changed().is_err() {
            return Err(Error::Broken { reason: "the writer thread is gone".to_owned() });
        }
        self.stats.borrow().clone().map_err(|reason| Error::Broken { reason })
    }
}

/// See [`Writer::downgrade`].
pub(super) struct WeakWriter {
    commands: mpsc::WeakSender<Box<dyn Command>>,
    stats: watch::Receiver<Result<Stats, String>>,
}

impl WeakWriter {
    /// The handle, if the store is still open.
    pub(super) fn upgrade(&self) -> Option<Writer> {
        Some(Writer { commands: self.commands.upgrade()?, stats: self.stats.clone() })
    }
}

struct Run {
    core: Core<SqliteRows>,
    inbox: mpsc::Receiver<Box<dyn Command>>,
    checkpointer: Checkpointer,
    live: Arc<dyn Live>,
    env: Env,
    publish: watch::Sender<Result<Stats, String>>,
    relaxed: bool,
    unsynced_since: Option<Duration>,
    broken: Option<Error>,
}

impl Run {
    fn run(mut self) {
        tell(&*self.live, &self.core.take_notices());
        while let Some(first) = self.inbox.blocking_recv() {
            let mut group = vec![first];
            while group.len() < GROUP
                && let Ok(next) = self.inbox.try_recv()
            {
                group.push(next);
            }
            let committed = match &self.broken {
                Some(error) => Err(error.repeated()),
                None => self.commit(&mut group),
            };
            self.after(&committed);
            for command in group {
                command.answer(committed.as_ref().copied());
            }
            if committed.is_ok() {
                self.checkpointer.after_commit(&self.core.rows.connection);
            }
        }
        // The last sync of relaxed mode; a failure here is what relaxed mode accepts.
        let _ = self.core.rows.connection.execute_batch("PRAGMA wal_checkpoint(PASSIVE)");
    }

    fn commit(&mut self, group: &mut [Box<dyn Command>]) -> Result<(), Error> {
        self.choose_sync()?;
        self.sql("BEGIN IMMEDIATE")?;
        if let Some(Undone(error)) = group.iter_mut().find_map(|command| command.run(&mut self.core).err()) {
            if self.is_lost(&error) {
                return Err(error);
            }
            self.sql("ROLLBACK")?;
            self.core.take_notices();
            self.reload()?;
            self.sql("BEGIN IMMEDIATE")?;
            self.run_apart(group)?;
        }
        self.sql("COMMIT")
    }

    /// Runs commands so that one that fails takes nothing with it.
    fn run_apart(&mut self, group: &mut [Box<dyn Command>]) -> Result<(), Error> {
        for command in group.iter_mut() {
            self.sql("SAVEPOINT command")?;
            if let Err(Undone(error)) = command.run(&mut self.core) {
                if self.is_lost(&error) {
                    return Err(error);
                }
                self.sql("ROLLBACK TO command")?;
                self.sql("RELEASE command")?;
                // The schedule may hold what the rows do not: what follows in this group must not build on it.
                self.reload()?;
                continue;
            }
            self.sql("RELEASE command")?;
        }
        Ok(())
    }

    /// Whether an error took the whole transaction with it: where the disk failed or was full, SQLite has taken it back.
    fn is_lost(&self, error: &Error) -> bool {
        matches!(error, Error::Broken { .. }) || self.core.rows.connection.is_autocommit()
    }

    fn after(&mut self, committed: &Result<(), Error>) {
        match committed {
            Ok(()) => {
                // Counts first: whoever is woken may look at them.
                let _ = self.publish.send_replace(Ok(self.core.stats()));
                tell(&*self.live, &self.core.take_notices());
            }
            Err(error) if self.broken.is_none() => {
                tracing::error!(%error, "the store could not commit");
                let _ = self.core.rows.connection.execute_batch("ROLLBACK");
                // Nothing of it happened, so nobody must hear of it.
                self.core.take_notices();
                if matches!(error, Error::Broken { .. }) || self.reload().is_err() {
                    let _ = self.publish.send_replace(Err(error.to_string()));
                    self.broken = Some(Error::Broken { reason: error.to_string() });
                }
            }
            Err(_) => {}
        }
    }

    /// Rebuilds the schedule from the rows.
    fn reload(&mut self) -> Result<(), Error> {
        self.core.rebuild()
    }

    /// In relaxed mode commits are synced at most a second late: a later synced commit makes the earlier ones durable.
    fn choose_sync(&mut self) -> Result<(), Error> {
        if !self.relaxed {
            return Ok(());
        }
        let now = self.env.monotonic();
        let since = *self.unsynced_since.get_or_insert(now);
        let sync_now = now.saturating_sub(since) >= RELAXED_SYNC;
        if sync_now {
            self.unsynced_since = None;
        }
        self.sql(if sync_now { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" })?;
        Ok(())
    }

    fn sql(&self, sql: &str) -> Result<(), Error> {
        self.core.rows.connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}

impl Error {
    /// The same error for somebody else.
    fn repeated(&self) -> Self {
        match self {
            Self::Broken { reason } => Self::Broken { reason: reason.clone() },
            Self::Refused { reason } => Self::Refused { reason: reason.clone() },
            other => Self::Refused { reason: other.to_string() },
        }
    }
}

#[cfg(test)]
mod tests;
