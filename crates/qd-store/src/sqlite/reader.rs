//! Readers: a few connections of their own, each used by one query at a time on a blocking thread.
//!
//! No read outlives its query: a long read would keep the write-ahead log from starting over.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

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
            let answer = query(&connection);
            idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            drop(permit);
            answer
        });
        answer.await.map_err(|_| Error::Closed)?
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
