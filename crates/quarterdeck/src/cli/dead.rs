//! Arguments of `dead` and `crews`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Target;

#[derive(Debug, Subcommand)]
pub(crate) enum Dead {
    /// List failed jobs that nobody has dealt with, by cause
    List(DeadList),
    /// Run them again, oldest first, so many a second
    Redrive(DeadRedrive),
    /// Leave them as they are, with a reason for the audit log
    Discard(DeadDiscard),
}

/// Which dead letters are meant.
#[derive(Debug, Clone, Args)]
pub(crate) struct Cause {
    /// Only of this crew
    #[arg(long, value_name = "CREW")]
    pub(crate) crew: Option<String>,
    /// Only with this error, e.g. model_auth
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<String>,
    /// Only failed in this task
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<String>,
    /// Only failed after this moment
    #[arg(long, value_name = "TIME")]
    pub(crate) failed_after: Option<String>,
    /// Only failed before this moment
    #[arg(long, value_name = "TIME")]
    pub(crate) failed_before: Option<String>,
}

#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  quarterdeck dead list\n  quarterdeck dead list --crew research -o json")]
pub(crate) struct DeadList {
    #[command(flatten)]
    pub(crate) cause: Cause,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck dead redrive --code model_auth\n  quarterdeck dead redrive --crew research --limit 500 --per-second 5 --yes"
)]
pub(crate) struct DeadRedrive {
    #[command(flatten)]
    pub(crate) cause: Cause,
    /// At most this many, up to 1000
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: u32,
    /// So many begin in a second
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) per_second: u32,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck dead discard --code content_filter --reason \"not for us\"\n  quarterdeck dead discard --crew old --reason \"the crew is gone\" --yes"
)]
pub(crate) struct DeadDiscard {
    #[command(flatten)]
    pub(crate) cause: Cause,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    /// At most this many, up to 1000
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) limit: u32,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Crews {
    /// List the crews of a server
    List(CrewsList),
    /// Show one version of a crew
    Get(CrewsGet),
    /// Publish a crew file, as the next version of its crew
    Publish(CrewsPublish),
}

#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  quarterdeck crews list")]
pub(crate) struct CrewsList {
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck crews get research\n  quarterdeck crews get research --number 3"
)]
pub(crate) struct CrewsGet {
    /// Name of the crew
    pub(crate) crew: String,
    /// This version; the newest one without
    #[arg(long, value_name = "N")]
    pub(crate) number: Option<u32>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck crews publish crews/research.yaml\n  quarterdeck crews publish research.yaml --name research-beta --if-version 3"
)]
pub(crate) struct CrewsPublish {
    /// The crew file, YAML or JSON
    pub(crate) file: PathBuf,
    /// Name of the crew; that in the file, or of the file, without
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Only on top of this version; 0: only if there is no such crew yet
    #[arg(long, value_name = "N")]
    pub(crate) if_version: Option<u32>,
    #[command(flatten)]
    pub(crate) target: Target,
}
