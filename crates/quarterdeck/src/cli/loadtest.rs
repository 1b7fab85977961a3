//! Arguments of `loadtest`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{InputArgs, Target};

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck loadtest\n  quarterdeck loadtest --crew research -i topic=\"tides {n}\" --rate 100 --duration 1m --warmup 10s\n  quarterdeck loadtest --slo accept_p99=40ms --slo error_rate=0.001 --slo end_to_end_p95=5s --report load.json\n  quarterdeck loadtest --url https://staging.example --allow-remote"
)]
pub(crate) struct Loadtest {
    #[command(flatten)]
    pub(crate) target: Target,
    /// The crew of every job [default: assistant, or the first that the server has]
    #[arg(long, value_name = "CREW")]
    pub(crate) crew: Option<String>,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    /// Jobs a second, whatever comes back
    #[arg(long, value_name = "N", default_value_t = 10.0)]
    pub(crate) rate: f64,
    /// How long jobs are sent, after the warm-up
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub(crate) duration: String,
    /// How long jobs are sent before that; they are followed and checked, but in no figure
    #[arg(long, value_name = "TIME", default_value = "0s")]
    pub(crate) warmup: String,
    /// How long is waited for the jobs that are not over when the last one was sent
    #[arg(long, value_name = "TIME", default_value = "1m")]
    pub(crate) settle: String,
    /// Requests at once
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) connections: usize,
    /// Jobs at once that are accepted and not over; beyond it none is sent, which is counted
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) in_flight: usize,
    /// How jobs are followed to their end
    #[arg(long, value_enum, default_value_t = Follow::Poll)]
    pub(crate) follow: Follow,
    /// What must hold, e.g. accept_p99=40ms or error_rate=0.1%; repeat for more [default: accept_p95=500ms wait_p95=5s error_rate=0.1%]
    #[arg(long, value_name = "WHAT=LIMIT")]
    pub(crate) slo: Vec<String>,
    /// Also write the report to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Load a server that is not on this machine
    #[arg(long)]
    pub(crate) allow_remote: bool,
}

/// How jobs are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Follow {
    /// All of them by the list of jobs, twice a second
    Poll,
    /// Each by its own stream of events, as clients do
    Events,
}
