//! Who may use a server, and what was done about it.

pub(super) mod audit;
pub(super) mod keys;
