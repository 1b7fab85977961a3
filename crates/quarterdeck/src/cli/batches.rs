//! Arguments of `batches`.

use clap::{Args, Subcommand};

use super::Target;

#[derive(Debug, Subcommand)]
pub(crate) enum Batches {
    /// Send a file of inputs, one JSON object a line, to a crew
    Submit(BatchesSubmit),
    /// List batches, newest first
    List(BatchesList),
    /// Show a batch and how far it is
    #[command(after_help = "Examples:\n  quarterdeck batches get 0199c7e2-7f7b-7d4e-9d55-3c2f0c3e8f11")]
    Get(BatchesOne),
    /// Show what became of its inputs, in their order
    Results(BatchesResults),
    /// Stop batches: what waits never starts, and jobs that are not over are cancelled
    #[command(after_help = "Examples:\n  quarterdeck batches cancel 0199c7e2-7f7b-7d4e-9d55-3c2f0c3e8f11")]
    Cancel(BatchesCancel),
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck batches submit research topics.ndjson\n  quarterdeck batches submit research topics.ndjson --concurrency 8 --budget 0.25 --wait\n  jq -c '{topic: .}' topics.json | quarterdeck batches submit research -"
)]
pub(crate) struct BatchesSubmit {
    /// Name of a crew on the server
    pub(crate) crew: String,
    /// File of inputs, one JSON object a line; `-` reads standard input
    pub(crate) file: String,
    #[command(flatten)]
    pub(crate) target: Target,
    /// Most jobs of it at once [default: the server's]
    #[arg(long, value_name = "N")]
    pub(crate) concurrency: Option<u32>,
    /// 1 (normal) to 5 (high), for inputs that say nothing else
    #[arg(long, value_name = "LEVEL")]
    pub(crate) priority: Option<u8>,
    /// Longest running time of each job
    #[arg(long, value_name = "SECONDS")]
    pub(crate) timeout: Option<u32>,
    /// Most tries of one step
    #[arg(long, value_name = "N")]
    pub(crate) max_attempts: Option<u32>,
    /// The most that the calls of each job may cost, in dollars
    #[arg(long, value_name = "DOLLARS")]
    pub(crate) budget: Option<String>,
    /// Who is told of its end
    #[arg(long, value_name = "URL")]
    pub(crate) webhook_url: Option<String>,
    /// A label of your own; may be given more than once
    #[arg(long = "label", value_name = "KEY=VALUE")]
    pub(crate) labels: Vec<String>,
    /// Makes repeating the command harmless
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// Wait for the end; the exit code says whether all inputs succeeded
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck batches list --status running\n  quarterdeck batches list -o jsonl"
)]
pub(crate) struct BatchesList {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Only in this status: running, finished, cancelled
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Option<String>,
    /// Only of this crew
    #[arg(long, value_name = "NAME")]
    pub(crate) crew: Option<String>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct BatchesOne {
    /// Id of the batch
    pub(crate) batch: String,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck batches results 0199c7e2-7f7b-7d4e-9d55-3c2f0c3e8f11 --status failed\n  quarterdeck batches results 0199c7e2-7f7b-7d4e-9d55-3c2f0c3e8f11 -o jsonl | jq -r .output.raw"
)]
pub(crate) struct BatchesResults {
    /// Id of the batch
    pub(crate) batch: String,
    #[command(flatten)]
    pub(crate) target: Target,
    /// Only inputs in this status: pending, invalid, or one of a job
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct BatchesCancel {
    /// Ids of batches
    #[arg(required = true, value_name = "BATCH")]
    pub(crate) batches: Vec<String>,
    #[command(flatten)]
    pub(crate) target: Target,
}
