//! The table of C functions: each counts the call, lets it fail if it is its turn, passes it on, and notes it down.
//!
//! What SQLite allocates for an open file is ours first ([`Open`]) and then that of the file system below.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::mem::{size_of, transmute};
use std::ptr::{null, null_mut};
use std::sync::{Arc, Once, OnceLock};

use rusqlite::ffi::{
    SQLITE_CANTOPEN, SQLITE_FULL, SQLITE_IOERR_DELETE, SQLITE_IOERR_FSYNC, SQLITE_IOERR_READ,
    SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_WRITE, SQLITE_OK, sqlite3_file, sqlite3_int64, sqlite3_io_methods,
    sqlite3_syscall_ptr, sqlite3_vfs, sqlite3_vfs_find, sqlite3_vfs_register,
};

use crate::session::{Call, Event, FaultFs, FileId, Kind};

/// Head of an open file; the file of the system below follows it in memory.
#[repr(C)]
struct Open {
    base: sqlite3_file,
    watched: *mut Watched,
}

/// An open file of a watched folder.
struct Watched {
    fs: Arc<FaultFs>,
    file: FileId,
}

type OpenFolder = unsafe extern "C" fn(*const c_char, *mut c_int) -> c_int;

static OPEN_FOLDER: OnceLock<OpenFolder> = OnceLock::new();

/// Puts the table in front of SQLite's own, once per process.
pub(crate) fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the name is a C string or null as the functions want it; the table that is handed over is never freed,
        // and the copied functions do not look at which table they are called through (`xOpen`, which does, is ours).
        unsafe {
            let below = sqlite3_vfs_find(null());
            assert!(!below.is_null(), "SQLite has a file system");
            hook_folder_syncs(below);
            let mut table = *below;
            table.szOsFile += c_int::try_from(size_of::<Open>()).expect("a small head");
            table.zName = c"qd-faultfs".as_ptr();
            table.pNext = null_mut();
            table.pAppData = below.cast();
            table.xOpen = Some(open);
            table.xDelete = Some(delete);
            let table = Box::leak(Box::new(table));
            assert_eq!(sqlite3_vfs_register(table, 1), SQLITE_OK);
        }
    });
}

/// SQLite opens a folder for one purpose: to sync it.
///
/// # Safety
/// `below` is SQLite's table for Unix.
unsafe fn hook_folder_syncs(below: *mut sqlite3_vfs) {
    let name = c"openDirectory".as_ptr();
    // SAFETY: the table has these functions since version 3, and `openDirectory` has had this signature all along.
    unsafe {
        let (Some(get), Some(set)) = ((*below).xGetSystemCall, (*below).xSetSystemCall) else {
            panic!("no system calls to hook")
        };
        let original = get(below, name).expect("SQLite syncs folders");
        let original = transmute::<unsafe extern "C" fn(), OpenFolder>(original);
        OPEN_FOLDER.set(original).expect("registered once");
        let ours: sqlite3_syscall_ptr = Some(transmute::<OpenFolder, unsafe extern "C" fn()>(open_folder));
        assert_eq!(set(below, name, ours), SQLITE_OK);
    }
}

/// # Safety
/// Called by SQLite alone.
unsafe extern "C" fn open_folder(name: *const c_char, handle: *mut c_int) -> c_int {
    // SAFETY: SQLite hands over a C string; the rest is passed on.
    unsafe {
        if let Some((fs, _)) = text(name).and_then(FaultFs::of) {
            fs.note(Event::SyncFolder);
        }
        OPEN_FOLDER.get().expect("set at registration")(name, handle)
    }
}

/// # Safety
/// Null or a C string that outlives the answer.
unsafe fn text<'a>(name: *const c_char) -> Option<&'a str> {
    // SAFETY: by contract.
    (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) })?.to_str().ok()
}

/// # Safety
/// Called by SQLite alone, with room for a file of this table.
unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: `pAppData` is the table below (set at registration); `file` is as large as `szOsFile` says.
    unsafe {
        let below: *mut sqlite3_vfs = (*vfs).pAppData.cast();
        let ours: *mut Open = file.cast();
        (*ours).base.pMethods = null();
        (*ours).watched = null_mut();
        let path = text(name);
        let watched = path.and_then(FaultFs::of);
        if let Some((fs, _)) = &watched
            && fs.meet(Call::Open).is_some()
        {
            return SQLITE_CANTOPEN;
        }
        let made = path.is_some_and(|path| !std::path::Path::new(path).exists());
        let code = (*below).xOpen.expect("a file system opens")(below, name, inner(file), flags, out_flags);
        if code != SQLITE_OK {
            return code;
        }
        if let Some((fs, name)) = watched {
            let id = fs.opened(&name, made);
            (*ours).watched = Box::into_raw(Box::new(Watched { fs, file: id }));
        }
        (*ours).base.pMethods = &raw const METHODS;
        SQLITE_OK
    }
}

/// # Safety
/// Called by SQLite alone.
unsafe extern "C" fn delete(vfs: *mut sqlite3_vfs, name: *const c_char, sync_folder: c_int) -> c_int {
    // SAFETY: as for `open`.
    unsafe {
        let below: *mut sqlite3_vfs = (*vfs).pAppData.cast();
        let watched = text(name).and_then(FaultFs::of);
        if let Some((fs, name)) = &watched {
            if fs.meet(Call::Delete).is_some() {
                return SQLITE_IOERR_DELETE;
            }
            // Before it is done, so that a sync of the folder inside comes after it.
            fs.deleted(name);
        }
        (*below).xDelete.expect("a file system deletes")(below, name, sync_folder)
    }
}

/// # Safety
/// `file` is of this table and open.
unsafe fn inner(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: the file of the system below follows our head.
    unsafe { file.cast::<Open>().add(1).cast() }
}

/// # Safety
/// `file` is of this table and open; nobody closes it meanwhile.
unsafe fn watched<'a>(file: *mut sqlite3_file) -> Option<&'a Watched> {
    // SAFETY: null, or made by `open` and freed by `close` alone.
    unsafe { (*file.cast::<Open>()).watched.as_ref() }
}

/// # Safety
/// `file` is of this table and open.
unsafe fn methods<'a>(file: *mut sqlite3_file) -> &'a sqlite3_io_methods {
    // SAFETY: the system below set its methods when it opened the file; they are static.
    unsafe { &*(*inner(file)).pMethods }
}

/// # Safety
/// Called by SQLite alone.
unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: the last call for this file.
    unsafe {
        let ours: *mut Open = file.cast();
        if !(*ours).watched.is_null() {
            drop(Box::from_raw((*ours).watched));
            (*ours).watched = null_mut();
        }
        methods(file).xClose.map_or(SQLITE_OK, |close| close(inner(file)))
    }
}

/// # Safety
/// Called by SQLite alone.
unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    buffer: *mut c_void,
    amount: c_int,
    offset: sqlite3_int64,
) -> c_int {
    // SAFETY: passed on as it came.
    unsafe {
        if watched(file).is_some_and(|of| of.fs.meet(Call::Read).is_some()) {
            return SQLITE_IOERR_READ;
        }
        methods(file).xRead.expect("reads")(inner(file), buffer, amount, offset)
    }
}

/// # Safety
/// Called by SQLite alone.
unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    buffer: *const c_void,
    amount: c_int,
    offset: sqlite3_int64,
) -> c_int {
    // SAFETY: `buffer` holds `amount` bytes; passed on as it came, or shorter.
    unsafe {
        let below = methods(file).xWrite.expect("writes");
        let Some(of) = watched(file) else { return below(inner(file), buffer, amount, offset) };
        match of.fs.meet(Call::Write) {
            Some(Kind::Io) => return SQLITE_IOERR_WRITE,
            Some(Kind::Full) => return SQLITE_FULL,
            Some(Kind::Short) => {
                below(inner(file), buffer, amount / 2, offset);
                return SQLITE_FULL;
            }
            None => {}
        }
        if of.fs.records()
            && let (Ok(length), Ok(offset)) = (usize::try_from(amount), usize::try_from(offset))
        {
            let bytes = std::slice::from_raw_parts(buffer.cast::<u8>(), length).into();
            of.fs.note(Event::Write { file: of.file, offset, bytes });
        }
        below(inner(file), buffer, amount, offset)
    }
}

/// # Safety
/// Called by SQLite alone.
unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: passed on as it came.
    unsafe {
        if let Some(of) = watched(file) {
            if of.fs.meet(Call::Truncate).is_some() {
                return SQLITE_IOERR_TRUNCATE;
            }
            of.fs.note(Event::Truncate { file: of.file, size: usize::try_from(size).unwrap_or(0) });
        }
        methods(file).xTruncate.expect("truncates")(inner(file), size)
    }
}

/// # Safety
/// Called by SQLite alone.
unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: passed on as it came.
    unsafe {
        let below = methods(file).xSync.expect("syncs");
        let Some(of) = watched(file) else { return below(inner(file), flags) };
        if of.fs.meet(Call::Sync).is_some() {
            return SQLITE_IOERR_FSYNC;
        }
        let delay = of.fs.delay();
        if !delay.is_zero() {
            std::thread::sleep(delay);
        }
        if !of.fs.syncs() {
            return SQLITE_OK;
        }
        let from = of.fs.position();
        let code = below(inner(file), flags);
        if code == SQLITE_OK {
            of.fs.note(Event::Sync { file: of.file, from });
        }
        code
    }
}

/// A method that is passed on as it comes.
macro_rules! passed_on {
    ($name:ident = $method:ident($($argument:ident: $type:ty),*) -> $answer:ty) => {
        /// # Safety
        /// Called by SQLite alone.
        unsafe extern "C" fn $name(file: *mut sqlite3_file $(, $argument: $type)*) -> $answer {
            // SAFETY: passed on as it came.
            unsafe { methods(file).$method.expect("SQLite's file system for Unix has it")(inner(file) $(, $argument)*) }
        }
    };
}

passed_on!(file_size = xFileSize(size: *mut sqlite3_int64) -> c_int);
passed_on!(lock = xLock(level: c_int) -> c_int);
passed_on!(unlock = xUnlock(level: c_int) -> c_int);
passed_on!(check_reserved_lock = xCheckReservedLock(answer: *mut c_int) -> c_int);
passed_on!(file_control = xFileControl(operation: c_int, argument: *mut c_void) -> c_int);
passed_on!(sector_size = xSectorSize() -> c_int);
passed_on!(device_characteristics = xDeviceCharacteristics() -> c_int);
passed_on!(shm_map = xShmMap(page: c_int, size: c_int, extend: c_int, answer: *mut *mut c_void) -> c_int);
passed_on!(shm_lock = xShmLock(offset: c_int, count: c_int, flags: c_int) -> c_int);
passed_on!(shm_barrier = xShmBarrier() -> ());
passed_on!(shm_unmap = xShmUnmap(delete: c_int) -> c_int);

/// Version 2: shared memory, and no reading through memory maps, which would pass us by.
static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};
