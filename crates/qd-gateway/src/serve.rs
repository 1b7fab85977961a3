//! From a listening socket to answered requests: accepting with bounds (`accept.rs`), one connection (`connection.rs`),
//! what is the same for every answer (`answer.rs`), answers without end (`endless.rs`).

pub(crate) mod accept;
mod addresses;
pub(crate) mod answer;
mod connection;
mod endless;
mod guarded;

pub(crate) use accept::{Port, Shutdown};
pub(crate) use addresses::client;
pub(crate) use connection::Limits;
pub(crate) use endless::Endless;
