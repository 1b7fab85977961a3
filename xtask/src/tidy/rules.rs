//! The rules, one file each. A new one is a file here and a line in `tidy.rs`.

pub(super) mod adr;
pub(super) mod codes;
pub(super) mod imports;
pub(super) mod links;
pub(super) mod lock;
pub(super) mod names;
pub(super) mod paths;
pub(super) mod proofs;
pub(super) mod shape;
pub(super) mod sleeps;
pub(super) mod words;
