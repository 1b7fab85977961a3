//! What the backends inside one process share: the semantics of every transition (`core.rs`), the schedule in memory
//! (`schedule.rs`), the last hour in figures (`recent.rs`), and the seam to where rows are kept (`rows.rs`).
//!
//! `memory/` and `sqlite/` differ in [`rows::Rows`] alone; what a claim or a finish means is written once.

pub(crate) mod core;
pub(crate) mod recent;
pub(crate) mod rows;
pub(crate) mod schedule;

pub(crate) use self::core::{Core, Limits, Notice};
pub(crate) use self::recent::RecentHour;
pub(crate) use self::rows::{
    AccessRows, BatchKey, BatchRow, BatchRows, Charge, CrewRows, DeadRows, DurableRows, KEPT_SPEND,
    KEPT_TURNS, OpenJob, PAGE_BYTES, Remembered, RowId, Rows, ScheduleRows, Settled, Spent, Stage, Started,
    Tries,
};
