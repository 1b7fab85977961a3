//! Readers: a few connections of their own, each used by one query at a time on a blocking thread.
//!
//! No read outlives its query: a long read would keep the write-ahead log from starting over.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Error;

/// Connections, and with them queries at once.
const READERS: usize = 4;

/// The pool.
pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    /// Opens the connections.
    pub(super) fn open(database: &Path) -> Result<Self, Error> {
        let idle = (0..READERS).map(|_| open_reader(database)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { idle: Arc::new(Mutex::new(idle)), permits: Arc::new(Semaphore::new(READERS)) })
    }

    /// Runs a query on a connection nobody else uses meanwhile.
    pub(super) async fn read<T, F>(&self, query: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| Error::Closed)?;
        let idle = Arc::clone(&self.idle);
        let answer = tokio::task::spawn_blocking(move || {
            let connection =
                idle.lock().unwrap_or_else(PoisonError::into_inner).pop().ok_or(Error::Closed)?;
            let borrowed = Borrowed { connection: Some(connection), idle, _permit: permit };
            borrowed.connection.as_ref().map_or(Err(Error::Closed), query)
        });
        answer.await.map_err(|_| Error::Closed)?
    }
}

/// A connection while a query has it. It comes back also from a query that panics: there are no others.
struct Borrowed {
    connection: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
    // Given back after the connection.
    _permit: OwnedSemaphorePermit,
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.extend(self.connection.take());
    }
}

fn open_reader(database: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags)?;
    // Small caches: the last connection to come back is the first to be used, so those of the others would fill over hours.
    connection.execute_batch(
        "PRAGMA query_only = 1; PRAGMA busy_timeout = 5000; PRAGMA cache_size = -1024; PRAGMA mmap_size = 0",
    )?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

#[cfg(test)]
mod tests {
    use super::{Error, READERS, Readers};

    #[tokio::test]
    async fn queries_that_panic_take_no_connection_along() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("store.db");
        rusqlite::Connection::open(&database).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        let readers = Readers::open(&database).unwrap();
        for _ in 0..=READERS {
            let panicked = readers.read::<(), _>(|_| panic!("a bug")).await;
            assert!(matches!(panicked, Err(Error::Closed)));
        }
        let count = readers.read(|connection| {
            Ok(connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0))?)
        });
        assert_eq!(count.await.unwrap(), 0);
    }
}
