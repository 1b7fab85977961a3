//! The command line. A new command is one variant here and one file in `commands/`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Runs LLM agent crews in production: an HTTP API, a durable queue, workers, resilient model calls.
#[derive(Debug, Parser)]
#[command(
    name = "quarterdeck",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true
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
    /// Serve the API and work on jobs
    Serve(Serve),
    /// Run a crew to its end and print the result
    Run(Run),
    /// Queue a job on a server and print its id
    Submit(Submit),
    /// Look at jobs on a server
    #[command(subcommand)]
    Jobs(Jobs),
    /// Follow a job's events until it is over
    Tail(Tail),
    /// Check crew files and the configuration
    Check(Check),
    /// Show the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// The simulated model provider
    #[command(subcommand)]
    Sim(SimCommand),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Demo {
    /// Kill the server with -9 every few seconds
    #[arg(long)]
    pub(crate) chaos: bool,
    /// End after this many jobs instead of staying
    #[arg(long, value_name = "N")]
    pub(crate) jobs: Option<usize>,
    /// Address of the API [default: 127.0.0.1:8000, or any free port if that one is taken]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Serve {
    /// Address of the API
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// Address of health checks; empty switches them off
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) admin_listen: Option<String>,
    /// Where jobs are kept: sqlite:PATH or memory:
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Jobs at once
    #[arg(long, value_name = "N")]
    pub(crate) slots: Option<usize>,
    /// Answer models with the simulator instead of a provider
    #[arg(long)]
    pub(crate) sim: bool,
    /// Stop when standard input ends, as it does when the process at its other end is gone
    #[arg(long, hide = true)]
    pub(crate) stop_with_stdin: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct InputArgs {
    /// A variable of the crew; the value may be JSON. Repeat for more
    #[arg(short, long = "input", value_name = "NAME=VALUE")]
    pub(crate) input: Vec<String>,
    /// All variables as a JSON object; `-` is standard input
    #[arg(short = 'f', long, value_name = "PATH")]
    pub(crate) input_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Target {
    /// The server, e.g. http://127.0.0.1:8000 [also: QUARTERDECK_URL]
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck run research -i topic=\"heat pumps\"\n  quarterdeck run examples/crews/research.yaml -i topic=tides --sim\n  quarterdeck run research -i topic=tides --url http://127.0.0.1:8000"
)]
pub(crate) struct Run {
    /// Name of a crew, a crew file, or a folder with agents.yaml and tasks.yaml
    pub(crate) crew: String,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) target: Target,
    /// Answer models with the simulator instead of a provider
    #[arg(long, conflicts_with = "url")]
    pub(crate) sim: bool,
}

#[derive(Debug, Clone, Args)]
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
pub(crate) enum Jobs {
    /// Newest first
    List(JobsList),
    /// One job, whole
    Get(JobsGet),
    /// Stop a job that is not over; a call in flight is dropped
    Cancel(JobsGet),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct JobsList {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Only in this status
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Option<String>,
    /// Only of this crew
    #[arg(long, value_name = "CREW")]
    pub(crate) crew: Option<String>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct JobsGet {
    /// Id of the job
    pub(crate) job: String,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Tail {
    /// Id of the job
    pub(crate) job: String,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Check {
    /// Crew files or folders; without any, the configuration and all crews it names
    pub(crate) paths: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// The settings in force
    Show {
        /// Where each came from
        #[arg(long)]
        origin: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SimCommand {
    /// Serve the simulator over HTTP, speaking the Anthropic and the OpenAI wire
    Serve(SimServe),
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck sim serve --latency-ms 200\n  quarterdeck sim serve --fault 503:0.1 --fault hang:0.01\n  OPENAI_BASE_URL=http://127.0.0.1:9900/v1 OPENAI_MODEL=standard quarterdeck serve"
)]
pub(crate) struct SimServe {
    /// Address to listen on; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9900")]
    pub(crate) listen: String,
    /// Decides every answer, latency and fault
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Time to the first token
    #[arg(long, value_name = "MS", default_value_t = 0.0)]
    pub(crate) latency_ms: f64,
    /// Time for each token after it
    #[arg(long, value_name = "MS", default_value_t = 0.0)]
    pub(crate) token_ms: f64,
    /// A fault and how often: a status or hang, reset, cut, truncated, html, garbage, empty; repeat for more
    #[arg(long, value_name = "KIND:RATE")]
    pub(crate) fault: Vec<String>,
}
