//! The embedded store: one SQLite file, one writer thread with group commit, readers beside it.
//!
//! `writer.rs` owns the only connection that writes and the transitions on it; `reader.rs` answers queries; `schema.rs`
//! holds the tables; `rows.rs` and `codec.rs` are the SQL. A lock file keeps a second process out.

mod access;
mod backend;
mod batches;
mod cache;
mod checkpoint;
mod codec;
mod crews;
mod dead;
mod file_lock;
mod hooks;
mod human;
mod outbox;
mod query;
mod reader;
mod rows;
mod schedules;
mod schema;
mod spend;
#[cfg(test)]
mod tests;
mod writer;

pub(crate) use backend::SqliteBackend;

use crate::Error;

/// What an error of the database means for us.
fn refused(error: &rusqlite::Error) -> Error {
    use rusqlite::ErrorCode;
    let reason = error.to_string();
    match error.sqlite_error_code() {
        // After these the file's state is not known; going on could turn a bad sector into lost jobs.
        Some(ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            Error::Broken { reason }
        }
        Some(_) | None => Error::Refused { reason },
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        refused(&error)
    }
}
