//! What can go wrong between us and the disk.

use std::path::PathBuf;

/// A store operation that could not be carried out. Refusals that are part of normal life (a full queue, a stale lease)
/// are answers, not errors.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process works on the same file.
    #[error("the store {} is in use by another process; stop that one first, or give this one a store of its own", path.display())]
    Locked {
        /// The database file.
        path: PathBuf,
    },
    /// The file cannot be opened or created.
    #[error("cannot open the store {}: {reason}", path.display())]
    Open {
        /// The database file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The file was written by a newer release.
    #[error(
        "the store has schema version {found}, this release knows {known}; use the newer release, or restore a backup made by this one"
    )]
    NewerSchema {
        /// What the file says.
        found: u32,
        /// The newest that this release knows.
        known: u32,
    },
    /// The URL names no backend.
    #[error("`{url}` is no store this release knows; use `sqlite:PATH` or `memory:`")]
    UnknownUrl {
        /// As it was given.
        url: String,
    },
    /// The disk refused (full, I/O error). Nothing of the operation took effect.
    #[error("the store refused the operation: {reason}")]
    Refused {
        /// What the database said.
        reason: String,
    },
    /// After an I/O error the file is not trusted any more; the process must be restarted.
    #[error("the store stopped after an I/O error: {reason}; check the disk and restart")]
    Broken {
        /// The first error.
        reason: String,
    },
    /// What was read is not what was written.
    #[error("the store holds something this release cannot read: {what}")]
    Unreadable {
        /// Which thing, and why.
        what: String,
    },
    /// The store is closed.
    #[error("the store is closed")]
    Closed,
}
