//! The one configuration: `quarterdeck.toml`, its profile, variables and flags, merged, checked, typed.
//!
//! `layers.rs` merges the sources into one tree that knows where each value came from; `decode.rs` turns the tree into
//! [`Config`] and finds every mistake at once; `read.rs` is the only place that reads the environment and files.
//! `keys.rs` says what every key looks like, `defaults.toml` which values there are without a file.

mod checks;
mod decode;
mod defaults;
mod dotenv;
mod human_input;
mod keys;
mod layers;
mod position;
mod prices;
mod providers;
mod read;
mod scenario;
mod schema;
mod secrets;
#[cfg(test)]
mod tests;
mod tools;
mod variables;
mod webhooks;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

pub(crate) use decode::{Problem, Problems};
pub(crate) use layers::{Flag, Origin, Sources, Tree};
pub(crate) use read::{other_profiles, read, read_scenario, read_secret_text, variable};
pub(crate) use schema::schema;
pub(crate) use secrets::is_secret;

/// Everything that can be set.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Folder that relative paths are relative to.
    pub(crate) base: PathBuf,
    /// The profile.
    pub(crate) profile: String,
    /// The settings outside of models.
    pub(crate) settings: Settings,
    /// Providers, models and prices.
    pub(crate) models: qd_llm::Options,
    /// The merged tree, for showing.
    pub(crate) tree: Tree,
    /// What somebody should look at.
    pub(crate) warnings: Vec<Problem>,
}

/// The typed settings. Defaults stand in `defaults.toml`, where they are documented.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) default_crew: String,
    pub(crate) crews: Vec<String>,
    #[serde(default)]
    pub(crate) prices_file: Option<String>,
    pub(crate) server: Server,
    pub(crate) auth: Auth,
    pub(crate) store: Store,
    pub(crate) queue: Queue,
    pub(crate) batches: Batches,
    pub(crate) worker: Worker,
    pub(crate) retry: Retry,
    pub(crate) limits: Limits,
    pub(crate) conversations: Conversations,
    pub(crate) human_input: human_input::HumanInput,
    pub(crate) budgets: Budgets,
    pub(crate) retention: Retention,
    pub(crate) log: Log,
    pub(crate) delivery: webhooks::Delivery,
    pub(crate) egress: webhooks::Egress,
    #[serde(default)]
    pub(crate) webhooks: BTreeMap<String, webhooks::Webhook>,
    #[serde(default)]
    pub(crate) tools: BTreeMap<String, tools::Tool>,
    #[serde(default)]
    pub(crate) systems: BTreeMap<String, System>,
    #[serde(default)]
    pub(crate) tenants: BTreeMap<String, TenantLimits>,
}

/// A named set of crews.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct System {
    pub(crate) crews: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    pub(crate) listen: String,
    pub(crate) admin_listen: String,
    pub(crate) insecure_public: bool,
    pub(crate) max_connections: usize,
    pub(crate) max_connections_per_address: usize,
    pub(crate) max_body_bytes: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Auth {
    pub(crate) mode: AuthMode,
    #[serde(default, deserialize_with = "pepper")]
    pub(crate) pepper: Option<qd_gateway::Pepper>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AuthMode {
    Keys,
    Open,
}

impl From<AuthMode> for qd_gateway::Auth {
    fn from(mode: AuthMode) -> Self {
        match mode {
            AuthMode::Keys => Self::Keys,
            AuthMode::Open => Self::Open,
        }
    }
}

fn pepper<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<qd_gateway::Pepper>, D::Error> {
    String::deserialize(deserializer).map(|text| Some(qd_gateway::Pepper::new(text.as_bytes())))
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    pub(crate) url: String,
    pub(crate) durability: Durability,
    pub(crate) cache_entries: u64,
    pub(crate) cache_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Durability {
    Strict,
    Relaxed,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Queue {
    pub(crate) max_depth: usize,
    pub(crate) sharing: Sharing,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batches {
    pub(crate) max_open: usize,
    pub(crate) max_inputs: usize,
    pub(crate) max_upload_bytes: usize,
    pub(crate) max_body_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Sharing {
    Weighted,
    Strict,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Worker {
    pub(crate) slots: usize,
    #[serde(default)]
    pub(crate) spare_slots: Option<usize>,
    pub(crate) lease_seconds: u64,
    pub(crate) drain_timeout_seconds: u64,
}

impl Worker {
    /// Jobs at once beyond `slots`, of tenants of which few run: at most as many again.
    pub(crate) fn spare(&self) -> usize {
        self.spare_slots.unwrap_or(self.slots / 4).min(self.slots)
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retry {
    pub(crate) max_attempts: u32,
    pub(crate) base_ms: u64,
    pub(crate) cap_ms: u64,
    pub(crate) wait_in_slot_ms: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    pub(crate) model_calls: u32,
    pub(crate) tool_calls: u32,
    pub(crate) tokens: u64,
    pub(crate) parallel_effects: usize,
    pub(crate) key_requests_per_second: f64,
    pub(crate) key_burst: u32,
    pub(crate) tenant_requests_per_second: f64,
    pub(crate) tenant_burst: u32,
    #[serde(default)]
    pub(crate) tenant_max_queued: Option<usize>,
    #[serde(default)]
    pub(crate) tenant_max_running: Option<usize>,
}

/// Bounds of one tenant; what is missing is as for every tenant.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TenantLimits {
    #[serde(default)]
    pub(crate) key_requests_per_second: Option<f64>,
    #[serde(default)]
    pub(crate) key_burst: Option<u32>,
    #[serde(default)]
    pub(crate) requests_per_second: Option<f64>,
    #[serde(default)]
    pub(crate) burst: Option<u32>,
    #[serde(default)]
    pub(crate) max_queued: Option<usize>,
    #[serde(default)]
    pub(crate) max_running: Option<usize>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Conversations {
    pub(crate) ttl_seconds: u64,
    pub(crate) token_budget: usize,
    pub(crate) reserve_tokens: usize,
}

/// Dollars; without one there is no such bound.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Budgets {
    #[serde(default)]
    pub(crate) tenant_day_usd: Option<f64>,
    #[serde(default)]
    pub(crate) job_usd: Option<f64>,
    pub(crate) on_exceeded: OnExceeded,
    #[serde(default)]
    pub(crate) degrade_to: Option<String>,
    pub(crate) unknown_price: UnknownPrice,
    #[serde(default)]
    pub(crate) crews: BTreeMap<String, CrewBudget>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CrewBudget {
    #[serde(default)]
    pub(crate) day_usd: Option<f64>,
    #[serde(default)]
    pub(crate) job_usd: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnExceeded {
    Fail,
    Wait,
    Degrade,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UnknownPrice {
    Warn,
    Deny,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retention {
    pub(crate) jobs_days: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) level: String,
    pub(crate) format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogFormat {
    Auto,
    Text,
    Json,
}
