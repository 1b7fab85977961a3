//! The durable seam: what the gateway and the engine know of storage, and the backends behind it.
//!
//! Start at [`Store`] (the handle everyone holds), then `backend.rs` (the ports a backend implements) and `commands.rs`
//! (what is asked and answered). `policy.rs` decides which job is next, for every backend alike.

mod access;
mod backend;
mod cache;
mod commands;
#[cfg(test)]
mod conformance;
mod crews;
mod embedded;
mod error;
mod live;
mod memory;
mod observe;
mod open;
mod outbox;
pub mod policy;
mod query;
mod spend;
mod sqlite;
mod store;

pub use access::{
    Act, Actor, AuditHash, AuditHead, Audited, BrokenChain, Chain, Deed, KEYS_MAX, KeyAdded, NewKey,
    StoredKey,
};
pub use backend::{
    Access, Backend, Batches, Cache, Conversations, Crews, DeadLetters, Jobs, Outbox, Schedules, Spend,
};
pub use cache::{CacheKey, CacheRoom};
pub use commands::batches::{
    Batch, BatchAccepted, BatchCancelled, BatchCounts, BatchOpened, BatchPage, BatchQuery, BatchStatus, Fed,
    ItemInput, ItemPage, ItemQuery, ItemResult, ItemStatus, NewBatch, NewItem,
};
pub use commands::dead::{DEAD_GROUPS_MAX, DEAD_JOBS_MAX, DeadGroup, DeadQuery, Discard};
pub use commands::human::{Answer, Answered};
pub use commands::schedules::{
    DueSchedules, Missed, NewSchedule, Schedule, SchedulePage, SchedulePut, ScheduleQuery, ScheduleSpec,
    ScheduleTick, TickAct, Ticked,
};
pub use commands::{
    Cancelled, Claimed, Enqueued, Fence, Finish, Idempotency, Incarnation, Lease, NewJob, OtherBody, Outcome,
    Record, Refused, Revocation, Revoked, Room, StoredConversation, StoredMessage, Tick, Turn, TurnRole,
};
pub use crews::{CREW_VERSIONS_MAX, CREWS_MAX, NewCrew, OnlyIf, Published};
pub use error::Error;
pub use live::{Live, LiveEvent, LocalBus, Watch};
pub use open::{Durability, Leases, Options, open};
pub use outbox::{
    Delivery, DeliveryOutcome, DeliveryPage, DeliveryQuery, DeliveryStatus, Destination, EndpointState,
    Event, Settlement, Subject, Subscription, TakeDeliveries, TakenDeliveries, Tried,
};
pub use policy::{TenantShare, TenantShares};
pub use query::{
    CrewRecent, Cursor, Distribution, InvalidCursor, JobQuery, LevelStats, Page, Recent, Stats, StoredCrew,
};
pub use spend::{DayUsage, ScopeSpend, Slice, SliceAsk, SliceReturn, SpendScope, UsageQuery};
pub use store::Store;
