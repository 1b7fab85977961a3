//! One file per command. Each reads its arguments, does one thing, prints, and says how it ended.

mod access;
mod batches;
mod breakers;
mod check;
mod crews;
mod demo;
mod doctor;
mod init;
mod jobs;
mod listen;
mod loadtest;
mod place;
mod reference;
mod run;
mod schedule;
mod serve;
mod sim_serve;
mod tail;
mod webhooks;

use serde_json::{Value, json};

use crate::cli::{Cli, Command, ConfigCommand, Global, SimCommand};
use crate::config::{self, Config, Flag};
use crate::exit::{Exit, ended};
use reference::{completions, config_schema, config_show, explain, man, openapi};

/// Runs the command that was asked for.
pub(crate) async fn run(cli: Cli) -> anyhow::Result<Exit> {
    let global = cli.global;
    match cli.command {
        Command::Demo(args) => demo::run(&global, args).await,
        Command::Serve(args) => serve::run(&global, args).await,
        Command::Run(args) => run::run(&global, args).await,
        Command::Submit(args) => jobs::submit::run(&global, args).await,
        Command::Jobs(args) => jobs::run(&global, args).await,
        Command::Batches(args) => batches::run(&global, args).await,
        Command::Schedule(args) => schedule::run(&global, args).await,
        Command::Dead(args) => jobs::dead(&global, args).await,
        Command::Crews(args) => crews::run(&global, args).await,
        Command::Webhooks(args) => webhooks::run(&global, args).await,
        Command::Listen(args) => listen::run(&global, args).await,
        Command::Breakers(args) => breakers::run(&global, args).await,
        Command::Keys(args) => access::keys::run(&global, args).await,
        Command::Audit(args) => access::audit::run(&global, args).await,
        Command::Tail(args) => tail::run(&global, args).await,
        Command::Loadtest(args) => loadtest::run(&global, args).await,
        Command::Init(args) => init::run(&global, &args),
        Command::Check(args) => check::run(&global, &args),
        Command::Config(ConfigCommand::Show { origin }) => config_show::run(&global, origin),
        Command::Config(ConfigCommand::Schema) => config_schema::run(),
        Command::Doctor(args) => doctor::run(&global, &args).await,
        Command::Explain(args) => explain::run(&global, &args),
        Command::Openapi => openapi::run(),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
        Command::Sim(SimCommand::Serve(args)) => sim_serve::run(args).await,
    }
}

/// The configuration of the global arguments and a command's own flags.
fn configuration(global: &Global, flags: Vec<Flag>) -> anyhow::Result<Config> {
    Ok(config::read(global.config.as_deref(), global.env.clone(), flags)?)
}

/// A flag that sets a setting, if it was given.
fn flag(name: &'static str, path: &'static str, value: Option<Value>) -> Option<Flag> {
    value.map(|value| Flag { name, path, value })
}

/// The flags of `--sim`: one simulated provider, used by default.
fn sim_flags(on: bool) -> Vec<Flag> {
    if !on {
        return Vec::new();
    }
    vec![
        Flag { name: "--sim", path: "providers.sim", value: json!({"kind": "sim"}) },
        Flag { name: "--sim", path: "default_model", value: json!("sim/standard") },
    ]
}

/// What someone without any model is told.
fn require_model(config: &Config) -> anyhow::Result<()> {
    if config.models.default_model.is_some() || !config.models.models.is_empty() {
        return Ok(());
    }
    let message = "there is no model to ask. Do one of these:\n  \
         set ANTHROPIC_API_KEY, OPENAI_API_KEY, GROQ_API_KEY or another provider's usual variable\n  \
         set OPENAI_BASE_URL and OPENAI_MODEL for any OpenAI-compatible server (llama.cpp, vLLM, LM Studio)\n  \
         set OLLAMA_HOST for Ollama\n  \
         name a provider and default_model in quarterdeck.toml\n  \
         add --sim to try everything with the built-in simulated model";
    Err(ended(Exit::Configuration, message))
}
