//! `doctor`: what is wrong with this machine and this folder, each with what to do about it. Starts nothing, changes
//! nothing, and asks the network only with `--online`.

mod machine;
mod network;
mod store;

use qd_crew::Severity;
use serde_json::{Value, json};

use super::check::{self, Checked};
use super::configuration;
use crate::cli::{Doctor, Format, Global};
use crate::config::{Config, Problems};
use crate::exit::Exit;
use crate::output;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Fine,
    /// It works, and somebody should look.
    Warning,
    /// It will not work.
    Wrong,
}

/// One thing that was looked at.
#[derive(Debug)]
struct Finding {
    /// What was looked at.
    about: &'static str,
    state: State,
    message: String,
    /// What to do; empty where all is well.
    fix: String,
}

impl Finding {
    fn fine(about: &'static str, message: impl Into<String>) -> Self {
        Self { about, state: State::Fine, message: message.into(), fix: String::new() }
    }

    fn warning(about: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { about, state: State::Warning, message: message.into(), fix: fix.into() }
    }

    fn wrong(about: &'static str, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { about, state: State::Wrong, message: message.into(), fix: fix.into() }
    }
}

pub(super) async fn run(global: &Global, args: &Doctor) -> anyhow::Result<Exit> {
    let mut findings = vec![machine::version(), machine::clock()];
    match configuration(global, Vec::new()) {
        Ok(config) => {
            findings.push(machine::open_files(&config));
            findings.extend(files(global, &config));
            findings.extend(models(&config));
            findings.push(prices(&config));
            findings.extend(store::look(&config));
            findings.extend(network::ports(&config).await);
            if args.online {
                findings.extend(network::endpoints(&config).await);
            }
        }
        Err(error) => match error.downcast::<Problems>() {
            Ok(problems) => findings.extend(problems.0.iter().map(|problem| {
                Finding::wrong("configuration", problem.to_string(), "correct it; the rest is looked at then")
            })),
            Err(error) => return Err(error),
        },
    }
    show(global, &findings)?;
    let is_well = findings.iter().all(|finding| finding.state != State::Wrong);
    Ok(if is_well { Exit::Ok } else { Exit::Failed })
}

/// The configuration and the crews it names, as `check` sees them.
fn files(global: &Global, config: &Config) -> Vec<Finding> {
    let Checked { crews, findings, .. } = check::examine(global, config, &[]);
    let mut said: Vec<_> = findings
        .iter()
        .map(|found| {
            let state = if found.severity == Severity::Error { State::Wrong } else { State::Warning };
            let fix = "`quarterdeck check` shows it again once it is corrected".to_owned();
            Finding { about: "files", state, message: found.to_string(), fix }
        })
        .collect();
    if said.iter().all(|finding| finding.state != State::Wrong) {
        let message = format!("profile {}, crews besides the built-in one: {}", config.profile, crews.len());
        said.insert(0, Finding::fine("files", message));
    }
    said
}

fn models(config: &Config) -> Vec<Finding> {
    let models = &config.models;
    let mut said = Vec::new();
    match (&models.default_model, models.models.is_empty()) {
        (Some(model), _) => said.push(Finding::fine("models", format!("the default model is {model}"))),
        (None, false) => said.push(Finding::warning(
            "models",
            "there is no default model",
            "set default_model, unless every agent names its llm",
        )),
        (None, true) => said.push(Finding::wrong(
            "models",
            "there is no model to ask",
            "set a provider's usual variable such as ANTHROPIC_API_KEY, also in .env, or default_model = \"sim/standard\"",
        )),
    }
    for (name, provider) in &models.providers {
        let is_local = provider.base_url.as_deref().is_some_and(network::is_local);
        if provider.kind == qd_llm::ProviderKind::Sim {
            said.push(Finding::fine("models", format!("provider {name} is the simulator")));
        } else if provider.api_key.is_some() {
            said.push(Finding::fine("models", format!("provider {name} has a key")));
        } else if is_local {
            said.push(Finding::fine("models", format!("provider {name} has no key and is on this machine")));
        } else {
            said.push(Finding::wrong(
                "models",
                format!("provider {name} has no key"),
                format!("[providers.{name}] api_key = {{ env = \"{}_API_KEY\" }}", name.to_uppercase()),
            ));
        }
    }
    said
}

/// Where prices come from.
fn prices(config: &Config) -> Finding {
    let own = match (config.models.prices.len(), &config.settings.prices_file) {
        (0, _) => "no prices of your own".to_owned(),
        (own, None) => format!("{own} of your own go first"),
        (own, Some(file)) => format!("{own} of your own go first, from {file} too"),
    };
    let (list, date) = (qd_llm::PRICE_LIST, qd_llm::PRICE_LIST_DATE);
    Finding::fine("prices", format!("built-in list {list} of {date}; {own}"))
}

fn show(global: &Global, findings: &[Finding]) -> anyhow::Result<()> {
    if global.output != Format::Table {
        let view = |finding: &Finding| {
            let mut view =
                json!({"about": finding.about, "state": word(finding.state), "message": finding.message});
            if !finding.fix.is_empty() {
                view["fix"] = finding.fix.as_str().into();
            }
            view
        };
        let all: Vec<Value> = findings.iter().map(view).collect();
        return output::show(global.output, &all.into(), |_| String::new());
    }
    for finding in findings {
        if global.quiet && finding.state == State::Fine {
            continue;
        }
        output::print(&format!("{:<8} {:<14} {}", word(finding.state), finding.about, finding.message))?;
        if !finding.fix.is_empty() {
            output::print(&format!("{:<8} {:<14} → {}", "", "", finding.fix))?;
        }
    }
    Ok(())
}

fn word(state: State) -> &'static str {
    match state {
        State::Fine => "ok",
        State::Warning => "warning",
        State::Wrong => "wrong",
    }
}
