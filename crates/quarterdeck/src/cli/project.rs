//! Arguments of the commands about files and this machine: `init`, `check`, `config`, `doctor` and what explains them.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck init my-crews\n  quarterdeck init desk --template chat\n  cd my-crews && quarterdeck run research -i topic=tides"
)]
pub(crate) struct Init {
    /// The folder to make; it must not hold anything yet
    pub(crate) name: PathBuf,
    /// What it begins with
    #[arg(long, value_enum, default_value_t = Template::Crew)]
    pub(crate) template: Template,
}

/// What a new project begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Template {
    /// One file with two agents and two tasks
    Crew,
    /// A folder with agents.yaml and tasks.yaml
    Folder,
    /// One agent that remembers a conversation, behind /chat
    Chat,
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck check\n  quarterdeck check crews/research.yaml -o json\n  quarterdeck check --schema > crew.schema.json\n  quarterdeck check --schema=agents > agents.schema.json"
)]
pub(crate) struct Check {
    /// Crew files or folders; without any, the configuration and all crews it names
    pub(crate) paths: Vec<PathBuf>,
    /// Print the JSON Schema of crew files instead, for editors
    #[arg(long, value_enum, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "crew", conflicts_with = "paths")]
    pub(crate) schema: Option<SchemaFile>,
}

/// A kind of crew file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaFile {
    /// A crew in one file
    Crew,
    /// agents.yaml of a folder
    Agents,
    /// tasks.yaml of a folder
    Tasks,
    /// crew.yaml of a folder
    FolderCrew,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show the settings in force
    #[command(
        after_help = "Examples:\n  quarterdeck config show --origin\n  quarterdeck config show --env production -o json"
    )]
    Show {
        /// Where each came from
        #[arg(long)]
        origin: bool,
    },
    /// Print the JSON Schema of quarterdeck.toml, for editors
    #[command(after_help = "Examples:\n  quarterdeck config schema > quarterdeck.schema.json")]
    Schema,
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck doctor\n  quarterdeck doctor --online --env production\n  quarterdeck doctor -o json"
)]
pub(crate) struct Doctor {
    /// Also ask model endpoints whether they are there; nothing is paid for
    #[arg(long)]
    pub(crate) online: bool,
}

#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  quarterdeck explain\n  quarterdeck explain model_rate_limited")]
pub(crate) struct Explain {
    /// The code, as errors show it; without one, all codes
    pub(crate) code: Option<String>,
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck completions bash > ~/.local/share/bash-completion/completions/quarterdeck\n  quarterdeck completions zsh > ~/.zfunc/_quarterdeck\n  quarterdeck completions fish > ~/.config/fish/completions/quarterdeck.fish"
)]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck man | man -l -\n  quarterdeck man --out ~/.local/share/man/man1"
)]
pub(crate) struct Man {
    /// Write a page for every command into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}
