//! What deliveries need: to whom they go, signed with what, how far they reach, how many at once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use qd_egress::Guard;
use qd_store::Batch;
use qd_types::{Job, News};
use serde_json::Value;

use super::signature::SigningSecret;

/// Everything that deliveries need.
pub struct Webhooks {
    /// Endpoints of the configuration, by name.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// What signs webhooks to URLs that came with jobs; the first is the newest.
    pub job_secrets: Vec<SigningSecret>,
    /// What may be reached.
    pub guard: Guard,
    /// The job as the API shows it, for bodies.
    pub show: fn(&Job) -> Value,
    /// The same for batches.
    pub show_batch: fn(&Batch) -> Value,
    /// News of a job's log as receivers of its own URLs expect them.
    pub tell: fn(&News<'_>) -> Value,
    /// Deliveries under way at once to one endpoint or server.
    pub per_endpoint: usize,
    /// Deliveries under way at once.
    pub at_once: usize,
    /// Bound of one try.
    pub timeout: Duration,
    /// An endpoint that takes nothing for so long is not asked any more.
    pub disable_after: Duration,
}

/// An endpoint of the configuration.
#[derive(Clone)]
pub struct Endpoint {
    /// Where it is.
    pub url: String,
    /// What signs; the first is the newest. Receivers that know one of them are content.
    pub secrets: Vec<SigningSecret>,
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhooks").field("endpoints", &self.endpoints.keys()).finish_non_exhaustive()
    }
}

/// How webhooks are set up; none where nothing is to be delivered.
pub type WebhookOptions = Option<Arc<Webhooks>>;
