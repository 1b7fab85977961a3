//! A job as the server shows it, as far as a load test cares.

use std::collections::BTreeMap;

use qd_types::{JobId, JobStatus, NanoDollars, Timestamp};
use serde::{Deserialize, Deserializer};

/// The label of a job with the load that made it.
pub(super) const LOAD_LABEL: &str = "loadtest";
/// The label with the number of its request.
pub(super) const NUMBER_LABEL: &str = "loadtest_number";

/// See the module.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct SeenJob {
    pub(super) id: JobId,
    pub(super) status: JobStatus,
    #[serde(deserialize_with = "moment")]
    pub(super) created_at: Timestamp,
    #[serde(default, deserialize_with = "moment_or_none")]
    pub(super) run_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "moment_or_none")]
    pub(super) started_at: Option<Timestamp>,
    #[serde(default, deserialize_with = "moment_or_none")]
    pub(super) finished_at: Option<Timestamp>,
    output: Option<SeenOutput>,
    pub(super) error: Option<SeenError>,
    #[serde(default)]
    pub(super) usage: SeenUsage,
    cost_usd: String,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
struct SeenOutput {
    raw: String,
}

/// Why a job failed.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct SeenError {
    pub(super) code: String,
    class: String,
}

/// What a job used.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct SeenUsage {
    pub(super) model_calls: u64,
    pub(super) tool_calls: u64,
    pub(super) total_tokens: u64,
}

impl SeenJob {
    pub(super) fn has_output(&self) -> bool {
        self.output.as_ref().is_some_and(|output| !output.raw.trim().is_empty())
    }

    pub(super) fn cost(&self) -> NanoDollars {
        self.cost_usd.parse().unwrap_or_default()
    }

    /// The number of the request that made it, if the given load did.
    pub(super) fn number_of(&self, load: &str) -> Option<u64> {
        let mine = self.metadata.get(LOAD_LABEL).is_some_and(|label| label == load);
        self.metadata.get(NUMBER_LABEL).filter(|_| mine)?.parse().ok()
    }
}

impl SeenError {
    /// Whether the server is to blame, and not a model, a limit or the crew.
    pub(super) fn is_of_the_platform(&self) -> bool {
        const PLATFORM: [&str; 5] =
            ["internal", "worker_panic", "worker_crashed", "store_unavailable", "crew_unavailable"];
        self.class == "bug" || PLATFORM.contains(&self.code.as_str())
    }
}

fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    let moment: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
    Ok(Timestamp(moment.as_millisecond()))
}

fn moment_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    #[derive(Deserialize)]
    struct Moment(#[serde(deserialize_with = "moment")] Timestamp);
    Ok(Option::<Moment>::deserialize(deserializer)?.map(|moment| moment.0))
}
