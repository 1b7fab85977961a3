//! Where jobs are kept: whether there is room, whether we may write there, and who else is at it.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statfs, statvfs};

use super::Finding;
use crate::config::Config;

/// Below this a server may stop at any time.
const ROOM_MIN: u64 = 100 << 20;
/// Below this somebody should look.
const ROOM_WANTED: u64 = 1 << 30;
/// Filesystems whose locks and syncs cannot be relied on: NFS, SMB, CIFS, 9P.
const NETWORK: [u64; 4] = [0x6969, 0x517b, 0xff53_4d42, 0x0102_1997];

/// Everything about the store of a configuration.
pub(super) fn look(config: &Config) -> Vec<Finding> {
    let Some(path) = config.settings.store.url.strip_prefix("sqlite:") else {
        return vec![Finding::fine("store", "jobs are kept in memory")];
    };
    let database = config.base.join(path);
    let mut said = vec![writable(&database)];
    if let Some(folder) = nearest_folder(&database) {
        said.extend(room(&folder));
        said.extend(network(&folder));
    }
    said.extend(lock(&database));
    said.extend(super::machine::written_later(&database));
    said
}

/// The folder of a file, or the nearest one above that is there.
fn nearest_folder(file: &Path) -> Option<PathBuf> {
    let above = file.ancestors().skip(1).find(|folder| folder.is_dir() || folder.as_os_str().is_empty())?;
    Some(if above.as_os_str().is_empty() { PathBuf::from(".") } else { above.to_owned() })
}

fn writable(database: &Path) -> Finding {
    let shown = database.display();
    if database.is_dir() {
        let fix = "name a file in store.url, such as sqlite:data/quarterdeck.db";
        return Finding::wrong("store", format!("{shown} is a folder"), fix);
    }
    let Some(folder) = nearest_folder(database) else {
        return Finding::wrong("store", format!("{shown} has no folder"), "correct store.url");
    };
    let blocked = database.ancestors().skip(1).find(|above| above.is_file());
    if let Some(file) = blocked {
        let message = format!("{} is a file, and {shown} cannot be below it", file.display());
        return Finding::wrong("store", message, "correct store.url");
    }
    let fix = |what: &Path| {
        format!("`chown` {} to the user that runs the server, or change store.url", what.display())
    };
    if access(&folder, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        return Finding::wrong("store", format!("{} cannot be written to", folder.display()), fix(&folder));
    }
    if database.exists() && access(database, Access::READ_OK | Access::WRITE_OK).is_err() {
        return Finding::wrong("store", format!("{shown} cannot be written to"), fix(database));
    }
    let state = if database.exists() { "is there" } else { "will be made at the first start" };
    Finding::fine("store", format!("{shown} {state}"))
}

fn room(folder: &Path) -> Option<Finding> {
    let disk = statvfs(folder).ok()?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let message = format!("{} MiB are free at {}", free >> 20, folder.display());
    let fix = "make room, shorten retention.jobs_days, or move the store to another disk";
    Some(if free < ROOM_MIN {
        Finding::wrong("disk", message, fix)
    } else if free < ROOM_WANTED {
        Finding::warning("disk", message, fix)
    } else {
        Finding::fine("disk", message)
    })
}

fn network(folder: &Path) -> Option<Finding> {
    let kind = u64::try_from(statfs(folder).ok()?.f_type).unwrap_or_default() & 0xffff_ffff;
    NETWORK.contains(&kind).then(|| {
        let message = format!("{} is on a network filesystem", folder.display());
        Finding::warning(
            "disk",
            message,
            "keep the store on a disk of this machine: locks and syncs over a network may lie",
        )
    })
}

/// Whether a server works on it, without touching its lock.
fn lock(database: &Path) -> Option<Finding> {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    let file = std::fs::metadata(PathBuf::from(name)).ok()?;
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let holder = holder(&locks, file.ino())?;
    let fix = "fine, if that is your server; another one needs a store of its own, or stop that one first";
    Some(Finding::warning("store", format!("a server works on it: {}", process(holder)), fix))
}

/// The process that locks a file: `1: FLOCK  ADVISORY  WRITE 4711 08:01:123456 0 EOF` in /proc/locks.
fn holder(locks: &str, inode: u64) -> Option<u32> {
    locks.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip(1).filter(|field| *field != "->");
        let (kind, _, _) = (fields.next()?, fields.next()?, fields.next()?);
        let (process, place) = (fields.next()?, fields.next()?);
        let is_it = kind != "LEASE" && place.rsplit(':').next()?.parse() == Ok(inode);
        if is_it { process.parse().ok() } else { None }
    })
}

fn process(id: u32) -> String {
    let line = std::fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    let words: Vec<_> = line.split(|byte| *byte == 0).filter(|word| !word.is_empty()).collect();
    // More words than these may hold what nobody else should read.
    let words: Vec<_> = words.iter().take(2).map(|word| String::from_utf8_lossy(word)).collect();
    if words.is_empty() { format!("process {id}") } else { format!("process {id} ({})", words.join(" ")) }
}

#[cfg(test)]
mod tests {
    use super::holder;

    #[test]
    fn holder_of_a_lock_is_found_by_the_file() {
        let locks = "1: POSIX  ADVISORY  READ  812 08:01:99 128 128\n2: FLOCK  ADVISORY  WRITE 4711 fd:00:123456 0 EOF\n3: -> FLOCK ADVISORY WRITE 5 fd:00:7 0 EOF\n";
        assert_eq!(holder(locks, 123_456), Some(4711));
        assert_eq!(holder(locks, 7), Some(5));
        assert_eq!(holder(locks, 8), None);
        assert_eq!(holder("nonsense", 8), None);
    }
}
