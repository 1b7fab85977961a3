//! What the machine gives us: a clock, open files, a system.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use qd_env::Env;
use rustix::process::{Resource, getrlimit};

use super::Finding;
use crate::config::Config;

/// Files that are open whatever happens: the store, listeners, the runtime.
const FILES_OF_OUR_OWN: u64 = 64;
/// 2026-01-01; this program is not older.
const OLDEST_MS: i64 = 1_767_225_600_000;
/// 2100-01-01.
const LATEST_MS: i64 = 4_102_444_800_000;

/// Clocks are stepped by so much in normal life.
const CLOCK_STEP_MAX: Duration = Duration::from_secs(10);

/// What we are and where we are.
pub(super) fn version() -> Finding {
    let system = rustix::system::uname();
    let (name, release) = (system.sysname().to_string_lossy(), system.release().to_string_lossy());
    let machine = system.machine().to_string_lossy();
    Finding::fine(
        "version",
        format!("Quarterdeck {}, {name} {release} on {machine}", env!("CARGO_PKG_VERSION")),
    )
}

/// Times of jobs, leases and certificates hang on it.
pub(super) fn clock() -> Finding {
    let now = Env::system().now().0;
    let shown =
        jiff::Timestamp::from_millisecond(now).map_or_else(|_| now.to_string(), |now| now.to_string());
    if (OLDEST_MS..LATEST_MS).contains(&now) {
        return Finding::fine("clock", format!("it is {shown}"));
    }
    let message = format!("the clock says {shown}, which cannot be");
    Finding::wrong("clock", message, "set the clock, and let it be kept by NTP (`timedatectl set-ntp true`)")
}

/// A file that was written in the future: the clock went back since.
pub(super) fn written_later(file: &Path) -> Option<Finding> {
    let written = std::fs::metadata(file).ok()?.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    let now = Duration::from_millis(u64::try_from(Env::system().now().0).ok()?);
    let ahead = written.checked_sub(now).filter(|ahead| *ahead > CLOCK_STEP_MAX)?;
    let message =
        format!("{} was written {} seconds from now: the clock went back", file.display(), ahead.as_secs());
    Some(Finding::warning("clock", message, "set the clock; jobs that are to run later wait for it"))
}

/// Every connection is an open file.
pub(super) fn open_files(config: &Config) -> Finding {
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return Finding::fine("open files", "there is no limit");
    };
    // A model call may hold a connection for each effect of each job at work.
    let s = &config.settings;
    let calls = ((s.worker.slots + s.worker.spare()) * s.limits.parallel_effects) as u64;
    let (needed, wanted) =
        (FILES_OF_OUR_OWN + calls, FILES_OF_OUR_OWN + calls + s.server.max_connections as u64);
    let fix = format!("raise it: `ulimit -n {wanted}`, or LimitNOFILE={wanted} of the service");
    if limit < needed {
        let message = format!("at most {limit}, and jobs at work alone may need {needed}");
        Finding::wrong("open files", message, fix)
    } else if limit < wanted {
        let message = format!("at most {limit}, while server.max_connections and jobs may need {wanted}");
        Finding::warning("open files", message, fix)
    } else {
        Finding::fine("open files", format!("at most {limit}; {wanted} may be needed"))
    }
}
