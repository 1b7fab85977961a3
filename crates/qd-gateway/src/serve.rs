//! From a listening socket to answered requests: accepting with bounds (`accept.rs`), one connection (`connection.rs`),
//! what is the same for every answer (`answer.rs`).

pub(crate) mod accept;
mod addresses;
pub(crate) mod answer;
mod connection;
mod guarded;

pub(crate) use accept::{Port, Shutdown};
pub(crate) use connection::Limits;
