//! The shapes of the API's answers, made from what the store holds. Nothing outside this crate uses them.

pub(crate) mod batch;
pub(crate) mod crew;
pub(crate) mod delivery;
pub(crate) mod event;
pub(crate) mod human;
pub(crate) mod job;
pub(crate) mod key;
pub(crate) mod schedule;
pub(crate) mod stats;
pub(crate) mod step;
pub(crate) mod time;
pub(crate) mod totals;

pub(crate) use crew::{CrewView, PublishedView};
pub(crate) use job::JobView;
