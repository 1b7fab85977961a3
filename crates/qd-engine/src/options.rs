//! How the engine behaves. Every bound is here, with its default.

use std::sync::Arc;
use std::time::Duration;

use qd_types::{AskRules, OnExpiry};

use crate::{Budgets, HttpTool, WebhookOptions};

/// Options of the engine.
#[derive(Debug, Clone)]
pub struct Options {
    /// Jobs at once in this process.
    pub slots: usize,
    /// Further jobs at once, of tenants of which few run: they do not wait until jobs of others end. At most `slots`.
    pub spare_slots: usize,
    /// A lease must be renewed within this; renewal happens every third of it.
    pub lease: Duration,
    /// How long a stopping engine waits for effects in flight before it drops them.
    pub drain_timeout: Duration,
    /// Longest time between two looks at the queue when no hint comes.
    pub poll: Duration,
    /// Longest time between two rounds of housekeeping.
    pub tick: Duration,
    /// Tries of a step.
    pub retry: RetryPolicy,
    /// Bounds of one job.
    pub limits: Limits,
    /// Tokens of history that a conversation may bring along, output reserve already taken off.
    pub history_tokens: usize,
    /// What may be spent.
    pub budgets: Budgets,
    /// Tools besides those that are always there.
    pub tools: Vec<Arc<HttpTool>>,
    /// How people are waited for, where crews do not say.
    pub human_input: AskRules,
    /// Who is told of what happens to jobs.
    pub webhooks: WebhookOptions,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            slots: 16,
            spare_slots: 4,
            lease: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(30),
            poll: Duration::from_secs(1),
            tick: Duration::from_millis(250),
            retry: RetryPolicy::default(),
            limits: Limits::default(),
            history_tokens: 5_200,
            budgets: Budgets::default(),
            tools: Vec::new(),
            human_input: ASK_RULES,
            webhooks: None,
        }
    }
}

/// Three reminders in the first hours, and a week in all.
const ASK_RULES: AskRules = AskRules {
    reminder_seconds: 3_600,
    reminders: 3,
    expires_seconds: 604_800,
    on_expiry: OnExpiry::Fail,
    max_rounds: 10,
};

/// When a failed step is tried again. How often is the job's own `max_attempts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Upper bound of the first wait.
    pub base: Duration,
    /// Upper bound of every wait, except one that a provider asks for.
    pub cap: Duration,
    /// Waits up to this are waited out in the slot, for the next try as for a turn at a limit; longer ones give it back.
    pub wait_in_slot: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            base: Duration::from_secs(1),
            cap: Duration::from_secs(60),
            wait_in_slot: Duration::from_secs(15),
        }
    }
}

/// Bounds of one job over its whole life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Model calls, failed ones included.
    pub model_calls: u32,
    /// Tool calls.
    pub tool_calls: u32,
    /// Tokens read and written: beyond them no further call is made.
    pub tokens: u64,
    /// Effects at once.
    pub parallel_effects: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { model_calls: 200, tool_calls: 400, tokens: 2_000_000, parallel_effects: 16 }
    }
}
