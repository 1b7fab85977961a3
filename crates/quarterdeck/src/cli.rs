//! The command line. A new command is one variant here and one file in `commands/`; its arguments stand in `cli/`.

mod access;
mod batches;
mod dead;
mod jobs;
mod loadtest;
mod project;
mod schedule;
mod server;
mod webhooks;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use access::{Audit, AuditList, AuditVerify, Keys, KeysCreate, KeysRotate};
pub(crate) use batches::{Batches, BatchesList, BatchesResults, BatchesSubmit};
pub(crate) use dead::{Cause, Crews, CrewsPublish, Dead, DeadDiscard, DeadList, DeadRedrive};
pub(crate) use jobs::{
    Breakers, Filter, Jobs, JobsChange, JobsExport, JobsGet, JobsList, JobsResume, Submit, Tail, Target,
};
pub(crate) use loadtest::{Follow, Loadtest};
pub(crate) use project::{
    Check, Completions, ConfigCommand, Doctor, Explain, Init, Man, SchemaFile, Template,
};
pub(crate) use schedule::{Schedule, ScheduleAdd};
pub(crate) use server::{Demo, InputArgs, Run, Serve, SimCommand, SimServe};
pub(crate) use webhooks::{Listen, Webhooks, WebhooksList, WebhooksTest};

/// Runs LLM agent crews in production: an HTTP API, a durable queue, workers, resilient model calls.
#[derive(Debug, Parser)]
#[command(
    name = "quarterdeck",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:\n  quarterdeck demo\n  quarterdeck init my-crews && cd my-crews && quarterdeck run research -i topic=tides\n\nExit codes: 0 ok, 1 what was asked about failed, 2 usage, 3 configuration, 4 unreachable, 5 unauthorised,\n6 not found, 7 conflict, 8 timed out, 9 limited, 130 interrupted"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Configuration file [default: quarterdeck.toml, if it is there]
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) config: Option<PathBuf>,
    /// Profile: development, staging, production, or one that the file has a table [env.NAME] for
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) env: Option<String>,
    /// How results are written to standard output
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    /// Nothing but results and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// One JSON document
    Json,
    /// One JSON document a line
    Jsonl,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show it all on this machine: server, simulated model, example crews, crashes on demand
    Demo(Demo),
    /// Make a folder with a configuration and a crew that runs at once
    Init(Init),
    /// Serve the API and work on jobs
    Serve(Serve),
    /// Run a crew to its end and print the result
    Run(Run),
    /// Queue a job on a server and print its id
    Submit(Submit),
    /// List, show, cancel, run again, answer and export jobs of a server
    #[command(
        subcommand,
        after_help = "Examples:\n  quarterdeck jobs list --status failed\n  quarterdeck jobs cancel --crew research --dry-run"
    )]
    Jobs(Jobs),
    /// Send many inputs to a crew at once, and see what becomes of them
    #[command(
        subcommand,
        after_help = "Examples:\n  quarterdeck batches submit research topics.ndjson --wait\n  quarterdeck batches results 0199c7e2-7f7b-7d4e-9d55-3c2f0c3e8f11 -o jsonl"
    )]
    Batches(Batches),
    /// Execute a crew again and again, by a cron expression in a time zone
    #[command(
        subcommand,
        after_help = "Examples:\n  quarterdeck schedule add morning '30 6 * * 1-5' research -i topic=tides --timezone Europe/Berlin\n  quarterdeck schedule list"
    )]
    Schedule(Schedule),
    /// Show failed jobs that nobody has dealt with, by cause; run them again or discard them
    #[command(
        subcommand,
        after_help = "Examples:\n  quarterdeck dead list\n  quarterdeck dead redrive --code model_auth\n  quarterdeck dead discard --crew old --reason \"the crew is gone\""
    )]
    Dead(Dead),
    /// Show the crews of a server, and publish crew files
    #[command(
        subcommand,
        after_help = "Examples:\n  quarterdeck crews list\n  quarterdeck crews publish crews/research.yaml"
    )]
    Crews(Crews),
    /// Follow a job's events until it is over, or all jobs of a server
    Tail(Tail),
    /// Show what webhooks were sent to whom, send them again, try an endpoint
    #[command(
        subcommand,
        after_help = "Examples:\n  quarterdeck webhooks endpoints\n  quarterdeck webhooks list --status failed\n  quarterdeck webhooks test shop"
    )]
    Webhooks(Webhooks),
    /// Receive webhooks on this machine, verify them, show them and pass them on
    Listen(Listen),
    /// Show which models of a server are left alone, and decide about it
    #[command(
        subcommand,
        after_help = "Examples:\n  quarterdeck breakers list\n  quarterdeck breakers open groq/llama-3.3-70b\n  quarterdeck breakers auto groq/llama-3.3-70b"
    )]
    Breakers(Breakers),
    /// Make, list, rotate and revoke API keys, on a server or on the store of one that is stopped
    #[command(
        subcommand,
        after_help = "Examples:\n  quarterdeck keys create ops --scope admin\n  quarterdeck keys list"
    )]
    Keys(Keys),
    /// Show what was done with keys and breakers, and whether the log of it is whole
    #[command(subcommand, after_help = "Examples:\n  quarterdeck audit list\n  quarterdeck audit verify")]
    Audit(Audit),
    /// Send jobs to a server at a steady rate, follow each to its end, and judge what came of it
    Loadtest(Loadtest),
    /// Check crew files and the configuration
    Check(Check),
    /// Show the configuration
    #[command(
        subcommand,
        after_help = "Examples:\n  quarterdeck config show --origin\n  quarterdeck config schema > quarterdeck.schema.json"
    )]
    Config(ConfigCommand),
    /// Look for what is wrong with this machine and this folder, and say what to do
    Doctor(Doctor),
    /// Say what an error code means and what to do
    Explain(Explain),
    /// The simulated model provider
    #[command(subcommand, after_help = "Examples:\n  quarterdeck sim serve --latency-ms 200")]
    Sim(SimCommand),
    /// Print the OpenAPI document of the HTTP API
    #[command(after_help = "Examples:\n  quarterdeck openapi > openapi.json")]
    Openapi,
    /// Print a completion script for a shell
    Completions(Completions),
    /// Print the manual page, or write those of all commands
    Man(Man),
}
