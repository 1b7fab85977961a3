//! Everything in memory: for tests, for `quarterdeck run` without a store, and as the smallest example of a backend.
//! Nothing survives the process.

mod access;
mod backend;
mod batches;
mod cache;
mod crews;
mod dead;
mod outbox;
mod rows;
mod schedules;
mod spend;

pub(crate) use backend::MemoryBackend;
