//! The nouns of Quarterdeck: plain data that every other crate speaks of.
//!
//! Nothing here does I/O, reads a clock or draws a number. Persisted shapes (journal entries, jobs) live here and are
//! versioned; the shapes of the HTTP API live in `qd-gateway` and are converted, never shared.

mod catalog;
mod chat;
mod failure;
mod hooks;
mod human;
mod ids;
mod job;
mod journal;
mod key;
mod money;
mod priority;
mod status;
mod time;
mod tool;
mod usage;

pub use catalog::{AUTO_MODEL, Catalog};
pub use chat::{ChatReply, ChatRequest, Message, ProviderBlocks, StopReason, ToolChoice};
pub use failure::{Class, Code, Failure, UnknownCode};
pub use hooks::{Authentication, HookKind, Hooks, News};
pub use human::{AnsweredBy, Ask, AskRules, OnExpiry, Verdict, Waiting};
pub use ids::{
    AgentId, BatchId, ConversationId, CrewName, CrewVersion, DeliveryId, InvalidName, JobId, NAME_CHARS_MAX,
    ScheduleName, StepId, StepKind, TaskId, TenantId, WorkerId,
};
pub use job::{BatchPlace, Input, Job, JobOutput, Progress, TaskOutput};
pub use journal::{
    Billed, Call, Delta, Entry, JOURNAL_VERSION, LogItem, Logged, Recourse, Reserved, Route, Seq, Source,
};
pub use key::{ApiKey, KEY_PREFIX, KeyId, MalformedKey, Scope, Scopes, UnknownScope};
pub use money::{InvalidMoney, NanoDollars};
pub use priority::{InvalidPriority, Priority};
pub use status::{JobStatus, UnknownStatus};
pub use time::{Day, InvalidDay, Timestamp};
pub use tool::{ToolCall, ToolResult, ToolSpec};
pub use usage::Usage;
