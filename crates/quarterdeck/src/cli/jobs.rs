//! Arguments of the commands that speak to a server about jobs.

use clap::{Args, Subcommand};

use super::InputArgs;

#[derive(Debug, Clone, Args)]
pub(crate) struct Target {
    /// The server, e.g. http://127.0.0.1:8000 [also: QUARTERDECK_URL]
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// An API key of the server; the variable is better, as others on the machine can read arguments [also: QUARTERDECK_API_KEY]
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck submit research -i topic=\"heat pumps\"\n  quarterdeck submit support -i message=hello --conversation ada --wait\n  quarterdeck submit research -f input.json --idempotency-key order-4711"
)]
pub(crate) struct Submit {
    /// Name of a crew on the server
    pub(crate) crew: String,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) target: Target,
    /// 1 (normal) to 5 (high)
    #[arg(long, value_name = "LEVEL")]
    pub(crate) priority: Option<u8>,
    /// Makes repeating the command harmless
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
    /// Continue this conversation
    #[arg(long, value_name = "ID")]
    pub(crate) conversation: Option<String>,
    /// Wait for the end and print the result
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Breakers {
    /// List the models that the server has called, and whether they are left alone
    #[command(after_help = "Examples:\n  quarterdeck breakers list\n  quarterdeck breakers list -o json")]
    List(BreakersList),
    /// Make no more calls to a model: its jobs wait, or its fallbacks are asked
    #[command(after_help = "Examples:\n  quarterdeck breakers open groq/llama-3.3-70b")]
    Open(BreakersForce),
    /// Make every call to a model, whatever comes of it
    #[command(after_help = "Examples:\n  quarterdeck breakers close groq/llama-3.3-70b")]
    Close(BreakersForce),
    /// Leave a model's breaker to its calls again
    #[command(after_help = "Examples:\n  quarterdeck breakers auto groq/llama-3.3-70b")]
    Auto(BreakersForce),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct BreakersList {
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct BreakersForce {
    /// The model at its provider: provider/model
    pub(crate) deployment: String,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Jobs {
    /// List jobs, newest first
    List(JobsList),
    /// Show one job, whole
    Get(JobsGet),
    /// Stop jobs that are not over; calls in flight are dropped
    #[command(
        after_help = "Examples:\n  quarterdeck jobs cancel 0199c7e2-7f7b-7d4e-9d55-3c2f0c3e8f11\n  quarterdeck jobs cancel --crew research --status queued --dry-run\n  quarterdeck jobs cancel --created-before 2026-01-31T00:00:00Z --yes"
    )]
    Cancel(JobsChange),
    /// Run jobs that failed or were cancelled again, as new jobs under the newest version of their crew
    #[command(
        after_help = "Examples:\n  quarterdeck jobs redrive 0199c7e2-7f7b-7d4e-9d55-3c2f0c3e8f11\n  quarterdeck jobs redrive --crew research --created-after 2026-01-31T00:00:00Z --dry-run"
    )]
    Redrive(JobsChange),
    /// Answer a job that waits for a person
    Resume(JobsResume),
    /// Write jobs as JSON, one a line, newest first
    Export(JobsExport),
}

/// Which jobs of a server are meant.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Filter {
    /// Only in this status: scheduled, queued, running, retrying, waiting, succeeded, failed, cancelled
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Option<String>,
    /// Only of this crew
    #[arg(long, value_name = "CREW")]
    pub(crate) crew: Option<String>,
    /// Only made after this time, e.g. 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) created_after: Option<String>,
    /// Only made before this time
    #[arg(long, value_name = "TIME")]
    pub(crate) created_before: Option<String>,
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck jobs list --status failed --crew research\n  quarterdeck jobs list --created-after 2026-01-31T00:00:00Z --all -o jsonl | jq -r .id"
)]
pub(crate) struct JobsList {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
    /// All of them, page by page
    #[arg(long, conflicts_with = "limit")]
    pub(crate) all: bool,
}

#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  quarterdeck jobs get 0199c7e2-7f7b-7d4e-9d55-3c2f0c3e8f11 -o json")]
pub(crate) struct JobsGet {
    /// Id of the job
    pub(crate) job: String,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct JobsChange {
    /// Ids of jobs; without any, those that the filters name and to which it can be done
    #[arg(value_name = "JOB", conflicts_with_all = ["status", "crew", "created_after", "created_before"])]
    pub(crate) jobs: Vec<String>,
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// Only say which jobs are meant
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck jobs list --status waiting\n  quarterdeck jobs resume 0199c7e2-7f7b-7d4e-9d55-3c2f0c3e8f11 --approve\n  quarterdeck jobs resume 0199c7e2-7f7b-7d4e-9d55-3c2f0c3e8f11 --feedback \"Shorter, and name the date\"\n\nWithout --approve and --feedback it shows what is asked and takes the answer at the terminal."
)]
pub(crate) struct JobsResume {
    /// Id of the job
    pub(crate) job: String,
    /// The answer of the task is good as it is; of a tool's call: it was made
    #[arg(long)]
    pub(crate) approve: bool,
    /// What is to change: the task is done anew and asks again. With --approve a remark; of a tool's call what came of it
    #[arg(long, value_name = "TEXT", visible_alias = "reject")]
    pub(crate) feedback: Option<String>,
    /// Only if the job waits with this step
    #[arg(long, value_name = "STEP")]
    pub(crate) step: Option<String>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck jobs export > jobs.jsonl\n  quarterdeck jobs export --status failed --steps > failed.jsonl\n  quarterdeck jobs export --cursor CURSOR >> jobs.jsonl"
)]
pub(crate) struct JobsExport {
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) filter: Filter,
    /// With the steps of each job
    #[arg(long)]
    pub(crate) steps: bool,
    /// With the events of each job that is over
    #[arg(long)]
    pub(crate) events: bool,
    /// Go on where an export ended; it said this on standard error
    #[arg(long, value_name = "CURSOR")]
    pub(crate) cursor: Option<String>,
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck tail\n  quarterdeck tail 0199c7e2-7f7b-7d4e-9d55-3c2f0c3e8f11\n  quarterdeck tail -o jsonl | jq -r .event"
)]
pub(crate) struct Tail {
    /// Id of the job; without one, all jobs are followed from now on
    pub(crate) job: Option<String>,
    #[command(flatten)]
    pub(crate) target: Target,
}
