//! What is left of some files when the power goes: replays a record and keeps apart what is on the disk and what is not.
//!
//! Pessimistic as SQLite's own crash tests are: what was not synced may be there, be missing, or be torn into sectors of
//! 512 bytes of which some hold the new bytes, some the old ones and some neither; each write by itself, in any order.
//! Bytes beside a write are left alone (SQLite counts on that, as `SQLITE_IOCAP_POWERSAFE_OVERWRITE`, and disks keep it).

use std::collections::BTreeMap;

use fastrand::Rng;

use crate::session::{Event, FileId};

const SECTOR: usize = 512;

/// What is believed of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// What was synced is there.
    Syncs,
    /// Nothing is there for sure: a disk that says that it has synced, and has not.
    Nothing,
}

/// What becomes of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// All is lost.
    Nothing,
    /// All is there.
    Everything,
    /// What was written up to some moment; the write of that moment is torn.
    Before,
    /// Each write is there, missing or torn, by itself.
    Scattered,
}

#[derive(Debug)]
enum Change {
    Write(usize, std::sync::Arc<[u8]>),
    Truncate(usize),
}

#[derive(Debug, Default)]
struct File {
    durable: Vec<u8>,
    /// With their places in the record.
    pending: Vec<(usize, Change)>,
}

/// The files of one folder.
#[derive(Debug)]
pub struct Disk {
    trust: Trust,
    files: Vec<File>,
    names: BTreeMap<String, FileId>,
    /// Names made or removed since the folder was synced.
    pending_names: Vec<(usize, String, Option<FileId>)>,
    place: usize,
}

impl Disk {
    /// An empty folder.
    #[must_use]
    pub fn new(trust: Trust) -> Self {
        Self { trust, files: Vec::new(), names: BTreeMap::new(), pending_names: Vec::new(), place: 0 }
    }

    /// Carries out the next event of a record.
    pub fn replay(&mut self, event: &Event) {
        let place = self.place;
        self.place += 1;
        match event {
            Event::Create { file, name } => {
                self.file(*file);
                self.pending_names.push((place, name.clone(), Some(*file)));
            }
            Event::Delete { name } => self.pending_names.push((place, name.clone(), None)),
            Event::Write { file, offset, bytes } => {
                let change = Change::Write(*offset, std::sync::Arc::clone(bytes));
                self.file(*file).pending.push((place, change));
            }
            Event::Truncate { file, size } => self.file(*file).pending.push((place, Change::Truncate(*size))),
            Event::Sync { .. } | Event::SyncFolder if self.trust == Trust::Nothing => {}
            Event::Sync { file, from } => self.file(*file).sync(*from),
            Event::SyncFolder => {
                for (_, name, file) in std::mem::take(&mut self.pending_names) {
                    rename(&mut self.names, name, file);
                }
            }
        }
    }

    /// What is found after the power went here: files by name.
    #[must_use]
    pub fn crash(&self, left: Left, seed: u64) -> BTreeMap<String, Vec<u8>> {
        let mut rng = Rng::with_seed(seed);
        let cut = match left {
            Left::Nothing => 0,
            Left::Everything => usize::MAX,
            Left::Before => self.pending_place(&mut rng),
            Left::Scattered => usize::MAX,
        };
        let scattered = left == Left::Scattered;
        let mut names = self.names.clone();
        for (place, name, file) in &self.pending_names {
            if *place < cut && (!scattered || rng.bool()) {
                rename(&mut names, name.clone(), *file);
            }
        }
        names
            .into_iter()
            .map(|(name, file)| (name, self.files[file].crash(cut, scattered, &mut rng)))
            .collect()
    }

    /// Something that was not synced, by chance.
    fn pending_place(&self, rng: &mut Rng) -> usize {
        let writes = self.files.iter().flat_map(|file| file.pending.iter().map(|(place, _)| *place));
        let mut places: Vec<_> =
            writes.chain(self.pending_names.iter().map(|(place, _, _)| *place)).collect();
        places.sort_unstable();
        if places.is_empty() { 0 } else { places[rng.usize(..places.len())] }
    }

    fn file(&mut self, id: FileId) -> &mut File {
        if self.files.len() <= id {
            self.files.resize_with(id + 1, File::default);
        }
        &mut self.files[id]
    }
}

fn rename(names: &mut BTreeMap<String, FileId>, name: String, file: Option<FileId>) {
    match file {
        Some(file) => drop(names.insert(name, file)),
        None => drop(names.remove(&name)),
    }
}

impl File {
    fn sync(&mut self, from: usize) {
        let synced = self.pending.partition_point(|(place, _)| *place < from);
        for (_, change) in self.pending.drain(..synced) {
            whole(&mut self.durable, &change);
        }
    }

    fn crash(&self, cut: usize, scattered: bool, rng: &mut Rng) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for (place, change) in &self.pending {
            let fate =
                if scattered { rng.u8(..3) } else { u8::from(*place >= cut) + u8::from(*place == cut) };
            match (fate, change) {
                (0, _) => whole(&mut bytes, change),
                (2, Change::Write(offset, new)) => torn(&mut bytes, *offset, new, rng),
                _ => {}
            }
        }
        bytes
    }
}

fn whole(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(offset, new) => {
            grow(bytes, offset + new.len());
            bytes[*offset..offset + new.len()].copy_from_slice(new);
        }
        Change::Truncate(size) => bytes.truncate(*size),
    }
}

fn torn(bytes: &mut Vec<u8>, offset: usize, new: &[u8], rng: &mut Rng) {
    let end = offset + new.len();
    let mut start = offset;
    while start < end {
        let stop = end.min((start / SECTOR + 1) * SECTOR);
        match rng.u8(..8) {
            0..=3 => {
                grow(bytes, stop);
                bytes[start..stop].copy_from_slice(&new[start - offset..stop - offset]);
            }
            4 => {
                grow(bytes, stop);
                rng.fill(&mut bytes[start..stop]);
            }
            _ => {}
        }
        start = stop;
    }
}

fn grow(bytes: &mut Vec<u8>, size: usize) {
    if bytes.len() < size {
        bytes.resize(size, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::{Disk, Left, Trust};
    use crate::session::Event;

    fn disk(trust: Trust) -> Disk {
        let mut disk = Disk::new(trust);
        let write =
            |offset, byte: u8, length| Event::Write { file: 0, offset, bytes: vec![byte; length].into() };
        for event in [
            Event::Create { file: 0, name: "a".into() },
            write(0, 1, 1024),
            Event::SyncFolder,
            Event::Sync { file: 0, from: 2 },
            write(512, 2, 1024),
        ] {
            disk.replay(&event);
        }
        disk
    }

    #[test]
    fn synced_bytes_stay_and_others_may_go() {
        let disk = disk(Trust::Syncs);
        let old = vec![1; 1024];
        let new = [vec![1; 512], vec![2; 1024]].concat();
        assert_eq!(disk.crash(Left::Nothing, 1)["a"], old);
        assert_eq!(disk.crash(Left::Everything, 1)["a"], new);
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let bytes = disk.crash(Left::Scattered, seed)["a"].clone();
            assert_eq!(bytes[..512], old[..512]);
            seen.insert(bytes);
        }
        assert!(seen.contains(&old) && seen.contains(&new));
        assert!(seen.iter().any(|bytes| bytes.len() == 1024 && bytes[512] == 2), "torn between sectors");
    }

    #[test]
    fn file_whose_folder_was_not_synced_may_be_missing() {
        let mut disk = Disk::new(Trust::Syncs);
        disk.replay(&Event::Create { file: 0, name: "a".into() });
        assert!(disk.crash(Left::Nothing, 1).is_empty());
        assert_eq!(disk.crash(Left::Everything, 1).len(), 1);
        disk.replay(&Event::SyncFolder);
        disk.replay(&Event::Delete { name: "a".into() });
        assert_eq!(disk.crash(Left::Nothing, 1).len(), 1);
        assert!(disk.crash(Left::Everything, 1).is_empty());
    }

    #[test]
    fn disk_that_lies_keeps_nothing() {
        assert!(disk(Trust::Nothing).crash(Left::Nothing, 1).is_empty());
    }

    #[test]
    fn write_during_a_sync_is_not_covered_by_it() {
        let mut disk = disk(Trust::Syncs);
        disk.replay(&Event::Sync { file: 0, from: 4 });
        assert_eq!(disk.crash(Left::Nothing, 1)["a"], vec![1; 1024]);
        disk.replay(&Event::Sync { file: 0, from: 6 });
        assert_eq!(disk.crash(Left::Nothing, 1)["a"].len(), 1536);
    }
}
