//! What the ledger shows.

use std::collections::BTreeMap;
use std::fmt;

use qd_types::NanoDollars;
use serde::{Serialize, Serializer};

use crate::sim::FaultKind;

/// How often something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Requests that arrived.
    pub started: u64,
    /// Answers that were sent completely.
    pub answered: u64,
    /// Requests that met a fault or a limit.
    pub faulted: u64,
}

/// One call, or several under the same id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LedgerCall {
    /// Requests that arrived.
    pub started: u64,
    /// Answers that were sent completely.
    pub answered: u64,
    /// Requests that met a fault or a limit.
    pub faulted: u64,
    /// What was asked, hashed: the same request has the same hash, whoever sends it.
    pub hash: String,
    /// What became of the last one.
    pub outcome: Outcome,
    /// Tokens that were billed.
    pub input_tokens: u64,
    /// Tokens that were billed.
    pub output_tokens: u64,
    /// What was billed.
    #[serde(rename = "cost_usd", serialize_with = "as_text")]
    pub cost: NanoDollars,
}

/// What became of a call. Written as one word: a status, the name of a fault, or one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing yet.
    UnderWay,
    /// It was answered completely.
    Answered,
    /// Whoever asked left before the end.
    Abandoned,
    /// It was turned away with this status.
    Refused(u16),
    /// It met this fault.
    Fault(FaultKind),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnderWay => f.write_str("under_way"),
            Self::Answered => f.write_str("answered"),
            Self::Abandoned => f.write_str("abandoned"),
            Self::Refused(status) => write!(f, "{status}"),
            Self::Fault(kind) => write!(f, "{kind}"),
        }
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The ledger at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LedgerPage {
    /// Over all calls, forgotten ones included.
    pub totals: Counts,
    /// Calls under way.
    pub in_flight: u64,
    /// Most calls under way at once.
    pub max_in_flight: u64,
    /// Calls that no longer fit.
    pub forgotten: u64,
    /// The figures to judge a client by.
    pub summary: Summary,
    /// `job/step` of every step that was answered more than once, over all its tries: paid twice.
    pub answered_twice: Vec<String>,
    /// By `job/step/try`, in order of that text.
    pub calls: BTreeMap<String, LedgerCall>,
}

/// The figures to judge a client by, over all calls, forgotten ones included.
///
/// Calls that serve the same need are tries of one step, or, without a trace header, the same request again.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Summary {
    /// Requests that arrived.
    pub calls: u64,
    /// Needs that they served.
    pub needs: u64,
    /// Calls for each need; 1 is the best there is.
    pub calls_per_need: f64,
    /// Needs that were answered more than once.
    pub paid_twice: u64,
    /// Needs by the number of their calls; the last entry holds all with more.
    pub needs_by_calls: BTreeMap<u32, u64>,
    /// Answers that were begun: a provider charges for them, whether they arrive or not.
    pub billed: Bill,
    /// Begun answers for needs that had one before.
    pub billed_again: Bill,
    /// Calls that somebody gave up while they were under way.
    pub abandoned: u64,
    /// Most calls under way at once.
    pub max_in_flight: u64,
    /// Answers by status, as far as there was one.
    pub statuses: BTreeMap<u16, u64>,
    /// How rate limits were met.
    pub rate_limited: RateLimited,
}

/// Calls with their tokens and price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Bill {
    /// How many.
    pub calls: u64,
    /// Of prompts.
    pub input_tokens: u64,
    /// Of answers.
    pub output_tokens: u64,
    /// In dollars.
    #[serde(rename = "cost_usd", serialize_with = "as_text")]
    pub cost: NanoDollars,
}

impl Bill {
    pub(super) fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.cost += other.cost;
    }
}

/// What happened around answers of status 429.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct RateLimited {
    /// How many there were.
    pub answers: u64,
    /// How many in each second since the simulator started; the last 3600 of such seconds.
    pub by_second: BTreeMap<u64, u64>,
    /// Requests of the same key and model that came before the wait was over.
    pub too_early: u64,
    /// The shortest time from a 429 to the next request of the same key and model.
    pub shortest_spacing_ms: Option<u64>,
    /// The shortest time from a 429 to the next call for the same need.
    pub shortest_retry_ms: Option<u64>,
}

fn as_text<S: Serializer>(cost: &NanoDollars, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(cost)
}
