//! For tests only: a disk under SQLite that records every write, fails when told to, lags, and loses power.
//!
//! [`FaultFs::watch`] registers, once per process, a file system of SQLite's on top of its own for Unix and makes it the
//! default, so that whoever opens a database afterwards goes through it without knowing. Files outside a watched folder
//! are passed through. What was recorded is replayed by [`Disk`], which answers what may be left after a power failure.
//!
//! This is the one crate of the workspace with `unsafe` code: SQLite takes a file system as a table of C functions. All
//! of it is in `vfs.rs`; the crate is a dev-dependency and no part of the product.

mod disk;
mod session;
mod vfs;

pub use disk::{Disk, Left, Trust};
pub use session::{Event, Fault, FaultFs, Kind};
