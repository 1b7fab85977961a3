//! Keeps a second process out of a store. The lock goes with the process, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use crate::Error;

/// Held for as long as the store is open.
pub(super) struct FileLock {
    _file: File,
}

impl FileLock {
    /// Takes the lock beside the database file.
    pub(super) fn take(database: &Path) -> Result<Self, Error> {
        let mut name = database.as_os_str().to_owned();
        name.push(".lock");
        let open_error = |reason: String| Error::Open { path: database.to_owned(), reason };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(PathBuf::from(name))
            .map_err(|e| open_error(e.to_string()))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::Locked { path: database.to_owned() }),
            Err(TryLockError::Error(e)) => Err(open_error(e.to_string())),
        }
    }
}
