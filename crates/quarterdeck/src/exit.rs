//! Exit codes: documented, tested, and the same for every command.

use std::fmt;
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// As wished.
    Ok = 0,
    /// The thing asked about failed: a job failed, a check found mistakes.
    Failed = 1,
    /// Wrong arguments.
    Usage = 2,
    /// The configuration or a crew file has mistakes.
    Configuration = 3,
    /// The server cannot be reached.
    Unreachable = 4,
    /// The server wants another key.
    Unauthorised = 5,
    /// There is no such thing.
    NotFound = 6,
    /// Something else is in the way: a port, a lock, an idempotency key.
    Conflict = 7,
    /// Waiting took too long.
    TimedOut = 8,
    /// A limit refused it, e.g. a full queue.
    Limited = 9,
    /// By Ctrl-C.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error that knows its exit code. Anything else ends with [`Exit::Failed`].
#[derive(Debug)]
pub(crate) struct Ended {
    exit: Exit,
    message: String,
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Ended {}

/// An error with an exit code.
pub(crate) fn ended(exit: Exit, message: impl Into<String>) -> anyhow::Error {
    Ended { exit, message: message.into() }.into()
}

/// The exit code of an error.
pub(crate) fn of(error: &anyhow::Error) -> Exit {
    if error.downcast_ref::<crate::config::Problems>().is_some() {
        return Exit::Configuration;
    }
    error.downcast_ref::<Ended>().map_or(Exit::Failed, |ended| ended.exit)
}
