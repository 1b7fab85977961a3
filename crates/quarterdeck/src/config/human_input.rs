//! How people are waited for who look at answers of tasks.

use qd_types::{AskRules, OnExpiry};
use serde::Deserialize;

/// See the module.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HumanInput {
    reminder_seconds: u32,
    reminders: u32,
    expires_seconds: u32,
    on_expiry: OnExpiry,
    max_rounds: u32,
}

impl From<HumanInput> for AskRules {
    fn from(said: HumanInput) -> Self {
        let HumanInput { reminder_seconds, reminders, expires_seconds, on_expiry, max_rounds } = said;
        Self { reminder_seconds, reminders, expires_seconds, on_expiry, max_rounds }
    }
}
