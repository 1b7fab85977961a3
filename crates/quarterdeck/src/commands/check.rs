//! `check`: crew files and the configuration, without starting anything.

use qd_env::Env;
use qd_types::Catalog;

use super::configuration;
use crate::cli::{Check, Global};
use crate::exit::Exit;
use crate::{crew_files, output, wire};

pub(super) fn run(global: &Global, args: &Check) -> anyhow::Result<Exit> {
    let config = configuration(global, Vec::new())?;
    let sources = if args.paths.is_empty() {
        crew_files::of_patterns(&config.base, &config.settings.crews)?
    } else {
        args.paths.iter().map(|path| crew_files::source(path)).collect::<Result<_, _>>()?
    };
    let catalog = catalog(&config.models);
    let (specs, warnings) = wire::check_all(&sources, &catalog)?;
    if args.paths.is_empty() {
        // What `serve` would refuse.
        wire::gateway_options(&config)?;
        wire::built_in(&specs, &config.settings.default_crew, &catalog)?;
    }
    for warning in &warnings {
        output::say(&warning.to_string());
    }
    if !global.quiet {
        for spec in &specs {
            output::print(&format!(
                "ok: crew {} ({} agents, {} tasks)",
                spec.name,
                spec.agents.len(),
                spec.tasks.len()
            ))?;
        }
        if specs.is_empty() {
            output::print("ok: the configuration; it names no crews")?;
        }
    }
    Ok(Exit::Ok)
}

/// A crew without `llm` is right wherever there is a default model, so its absence here is no mistake of the crew.
fn catalog(models: &qd_llm::Options) -> Catalog {
    let mut catalog = wire::catalog(models, &Env::system());
    catalog.default_model.get_or_insert_with(|| "the default model".to_owned());
    catalog
}
