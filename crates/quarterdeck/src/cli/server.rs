//! Arguments of the commands that work on jobs themselves: `demo`, `serve`, `run`, `sim`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Target;

#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  quarterdeck demo\n  quarterdeck demo --chaos --jobs 20")]
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
#[command(
    after_help = "Examples:\n  quarterdeck serve\n  quarterdeck serve --sim --listen 127.0.0.1:0\n  quarterdeck serve --env production --config /etc/quarterdeck/quarterdeck.toml"
)]
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

#[derive(Debug, Subcommand)]
pub(crate) enum SimCommand {
    /// Serve the simulator over HTTP, speaking the Anthropic and the OpenAI wire
    Serve(SimServe),
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck sim serve --latency-ms 200\n  quarterdeck sim serve --fault 503:0.1 --fault hang:0.01\n  quarterdeck sim serve --scenario storm.toml\n  OPENAI_BASE_URL=http://127.0.0.1:9900/v1 OPENAI_MODEL=standard quarterdeck serve"
)]
pub(crate) struct SimServe {
    /// Address to listen on; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9900")]
    pub(crate) listen: String,
    /// A TOML file that says how it behaves; further flags win over it
    #[arg(long, value_name = "FILE")]
    pub(crate) scenario: Option<PathBuf>,
    /// Decides every answer, latency and fault [default: 0]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Time to the first token [default: 0]
    #[arg(long, value_name = "MS")]
    pub(crate) latency_ms: Option<f64>,
    /// Time for each token after it [default: 0]
    #[arg(long, value_name = "MS")]
    pub(crate) token_ms: Option<f64>,
    /// A fault and how often: a status, or a word such as hang, reset, cut or stall; repeat for more
    #[arg(long, value_name = "KIND:RATE")]
    pub(crate) fault: Vec<String>,
}
