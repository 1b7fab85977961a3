//! One watched folder: what was done to its files, and what shall go wrong.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::vfs;

/// Number of a file in a record; a file that is deleted and made again is another one.
pub(crate) type FileId = usize;

/// What was done, in the order in which it was.
#[derive(Debug, Clone)]
pub enum Event {
    /// A file was made.
    Create {
        /// The new file.
        file: FileId,
        /// Its name inside the folder.
        name: String,
    },
    /// A name was removed from the folder.
    Delete {
        /// Inside the folder.
        name: String,
    },
    /// Bytes were written.
    Write {
        /// To which file.
        file: FileId,
        /// Where.
        offset: usize,
        /// What.
        bytes: Arc<[u8]>,
    },
    /// A file was cut.
    Truncate {
        /// Which.
        file: FileId,
        /// Its new size in bytes.
        size: usize,
    },
    /// A file was synced.
    Sync {
        /// Which.
        file: FileId,
        /// Place in the record where the sync began: what was written before is on the disk, what came while it ran
        /// may be or not.
        from: usize,
    },
    /// The folder was synced, so that names in it are on the disk.
    SyncFolder,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any call fails with an I/O error.
    Io,
    /// Writes find the disk full.
    Full,
    /// Half of a write is written, then the disk is full.
    Short,
}

/// When what goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Which call, from 0; counted are those that [`Fault::kind`] can hit.
    pub at: u64,
    /// What happens to it.
    pub kind: Kind,
    /// Whether it happens to all that follow as well.
    pub sticky: bool,
}

/// What SQLite asks of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Open,
    Delete,
    Read,
    Write,
    Truncate,
    Sync,
}

impl Kind {
    fn hits(self, call: Call) -> bool {
        self == Self::Io || call == Call::Write
    }
}

#[derive(Debug, Default)]
struct State {
    events: Vec<Event>,
    names: HashMap<String, FileId>,
    files: usize,
    fault: Option<Fault>,
    calls: u64,
    hits: u64,
    delay: Duration,
}

/// A watched folder. Watching ends with the last handle.
#[derive(Debug)]
pub struct FaultFs {
    folder: PathBuf,
    records: bool,
    syncs: bool,
    state: Mutex<State>,
}

static WATCHED: Mutex<Vec<Weak<FaultFs>>> = Mutex::new(Vec::new());

impl FaultFs {
    /// Watches a folder; what happens to files in it is recorded.
    ///
    /// # Panics
    /// If SQLite refuses the file system.
    #[must_use]
    pub fn watch(folder: &Path) -> Arc<Self> {
        Self::start(folder, true, true)
    }

    /// Watches a folder for faults alone.
    ///
    /// # Panics
    /// If SQLite refuses the file system.
    #[must_use]
    pub fn watch_without_record(folder: &Path) -> Arc<Self> {
        Self::start(folder, false, true)
    }

    /// Lets syncs in a folder cost nothing: for states that are looked at once and thrown away.
    ///
    /// # Panics
    /// If SQLite refuses the file system.
    #[must_use]
    pub fn scratch(folder: &Path) -> Arc<Self> {
        Self::start(folder, false, false)
    }

    fn start(folder: &Path, records: bool, syncs: bool) -> Arc<Self> {
        vfs::register();
        // SQLite resolves links in names; so must we.
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let watched = Arc::new(Self { folder, records, syncs, state: Mutex::default() });
        let mut all = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|other| other.strong_count() > 0);
        all.push(Arc::downgrade(&watched));
        watched
    }

    /// Who watches a file, and its name in that folder.
    pub(crate) fn of(path: &str) -> Option<(Arc<Self>, String)> {
        let path = Path::new(path);
        let (folder, name) = (path.parent()?, path.file_name()?.to_str()?);
        let all = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.iter().filter_map(Weak::upgrade).find(|watched| watched.folder == folder)?;
        Some((found, name.to_owned()))
    }

    /// Place in the record: the number of events so far.
    #[must_use]
    pub fn position(&self) -> usize {
        self.state().events.len()
    }

    /// The record so far.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.state().events.clone()
    }

    /// Sets what goes wrong from now on (nothing, for `None`); calls are counted anew.
    pub fn set_fault(&self, fault: Option<Fault>) {
        let mut state = self.state();
        (state.fault, state.calls, state.hits) = (fault, 0, 0);
    }

    /// Calls that the fault could have hit since it was set. Without one: all.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Calls that it did hit.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.state().hits
    }

    /// Lets every sync take this long.
    pub fn set_sync_delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call; answers what goes wrong with it.
    pub(crate) fn meet(&self, call: Call) -> Option<Kind> {
        let mut state = self.state();
        let fault = state.fault;
        if fault.is_some_and(|fault| !fault.kind.hits(call)) {
            return None;
        }
        let number = state.calls;
        state.calls += 1;
        let fault = fault?;
        let hit = if fault.sticky { number >= fault.at } else { number == fault.at };
        state.hits += u64::from(hit);
        hit.then_some(fault.kind)
    }

    pub(crate) fn delay(&self) -> Duration {
        self.state().delay
    }

    pub(crate) fn syncs(&self) -> bool {
        self.syncs
    }

    /// A file was opened; `made` if it was not there before.
    pub(crate) fn opened(&self, name: &str, made: bool) -> FileId {
        let mut state = self.state();
        if let Some(known) = state.names.get(name).filter(|_| !made) {
            return *known;
        }
        let file = state.files;
        state.files += 1;
        state.names.insert(name.to_owned(), file);
        self.push(&mut state, Event::Create { file, name: name.to_owned() });
        file
    }

    pub(crate) fn deleted(&self, name: &str) {
        let mut state = self.state();
        if state.names.remove(name).is_some() {
            self.push(&mut state, Event::Delete { name: name.to_owned() });
        }
    }

    pub(crate) fn note(&self, event: Event) {
        self.push(&mut self.state(), event);
    }

    fn push(&self, state: &mut State, event: Event) {
        if self.records {
            state.events.push(event);
        }
    }

    pub(crate) fn records(&self) -> bool {
        self.records
    }
}
