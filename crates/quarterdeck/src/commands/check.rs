//! `check`: crew files and the configuration, without starting anything; every mistake at once.

use qd_crew::{CrewSpec, Diagnostic, SchemaOf, Severity};
use qd_env::Env;
use qd_types::Catalog;
use serde_json::{Value, json};

use super::configuration;
use crate::cli::{Check, Format, Global, SchemaFile};
use crate::config::{self, Config, Origin, Problem, Problems};
use crate::crew_files::{self, Found};
use crate::exit::Exit;
use crate::{output, wire};

/// What was looked at, and what is wrong with it.
#[derive(Default)]
pub(super) struct Checked {
    pub(super) crews: Vec<CrewSpec>,
    /// Systems with the names of their crews.
    systems: Vec<(String, Vec<String>)>,
    pub(super) findings: Vec<Diagnostic>,
}

pub(super) fn run(global: &Global, args: &Check) -> anyhow::Result<Exit> {
    if let Some(of) = args.schema {
        output::print(&serde_json::to_string_pretty(&qd_crew::schema(of.into()))?)?;
        return Ok(Exit::Ok);
    }
    let checked = match configuration(global, Vec::new()) {
        Ok(config) => examine(global, &config, &args.paths),
        Err(error) => match error.downcast::<Problems>() {
            Ok(problems) => without_configuration(problems, &args.paths),
            Err(error) => return Err(error),
        },
    };
    if global.output == Format::Table {
        checked.tell(global.quiet)?;
    } else {
        output::show(global.output, &checked.view(), |_| String::new())?;
    }
    Ok(if checked.count(Severity::Error) == 0 { Exit::Ok } else { Exit::Configuration })
}

impl From<SchemaFile> for SchemaOf {
    fn from(file: SchemaFile) -> Self {
        match file {
            SchemaFile::Crew => Self::Crew,
            SchemaFile::Agents => Self::Agents,
            SchemaFile::Tasks => Self::Tasks,
            SchemaFile::FolderCrew => Self::FolderCrew,
        }
    }
}

/// Checks some crews, or without any the configuration with all of its crews and profiles.
pub(super) fn examine(global: &Global, config: &Config, paths: &[std::path::PathBuf]) -> Checked {
    let mut checked = Checked::default();
    let everything = paths.is_empty();
    if everything {
        checked.findings.extend(config.warnings.iter().map(|problem| finding(problem, Severity::Warning)));
        for (profile, problems) in other_profiles(global, &config.profile) {
            let problems = problems.0.iter().map(|problem| finding(problem, Severity::Error));
            let said = problems.map(|found| Diagnostic {
                message: format!("{} (in the profile {profile})", found.message),
                ..found
            });
            checked.findings.extend(said);
        }
    }
    let found = if everything { crew_files::of_config(config) } else { named(paths) };
    checked.findings.extend(found.mistakes);
    let (crews, findings) = crew_files::examine(&found.sources, &catalog(config));
    let are_right = findings.iter().all(|finding| finding.severity == Severity::Warning);
    checked.findings.extend(findings);
    let mut names: Vec<String> = crews.iter().map(|crew| crew.name.to_string()).collect();
    if everything && are_right {
        checked.findings.extend(crew_files::wrong_names(config, &names));
    }
    if everything {
        names.sort();
        checked.systems.push(("default".to_owned(), names));
        let systems = config.settings.systems.iter();
        checked.systems.extend(systems.map(|(name, system)| (name.clone(), system.crews.clone())));
    }
    checked.crews = crews;
    checked
}

/// Other profiles count unless one was asked for.
fn other_profiles(global: &Global, than: &str) -> Vec<(String, Problems)> {
    if global.env.is_some() {
        return Vec::new();
    }
    config::other_profiles(global.config.as_deref(), than)
}

/// Crews that were named are read even so; which models there are is not known, so that no name of one is wrong.
fn without_configuration(problems: Problems, paths: &[std::path::PathBuf]) -> Checked {
    let mut checked = Checked::default();
    checked.findings.extend(problems.0.iter().map(|problem| finding(problem, Severity::Error)));
    let found = named(paths);
    checked.findings.extend(found.mistakes);
    for source in &found.sources {
        match qd_crew::load(source) {
            Ok(loaded) => checked.findings.extend(loaded.warnings),
            Err(diagnostics) => checked.findings.extend(diagnostics.0),
        }
    }
    checked
}

fn named(paths: &[std::path::PathBuf]) -> Found {
    let mut found = Found::default();
    found.add(paths.iter().map(|path| crew_files::source(path)));
    found
}

/// A crew without `llm` is right wherever there is a default model, so its absence here is no mistake of the crew.
fn catalog(config: &Config) -> Catalog {
    let mut catalog = wire::catalog(config, &Env::system());
    catalog.default_model.get_or_insert_with(|| "the default model".to_owned());
    catalog
}

/// A problem of the configuration as a finding.
pub(super) fn finding(problem: &Problem, severity: Severity) -> Diagnostic {
    let (path, place) = match &problem.at {
        Origin::File { path, place } | Origin::Dotenv { path, place } => (path.clone(), Some(*place)),
        other => (other.to_string(), None),
    };
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let (line, column) = place.map_or((0, 0), |place| (number(place.line), number(place.column)));
    let setting = if problem.path.is_empty() { String::new() } else { format!("{}: ", problem.path) };
    Diagnostic { path, line, column, severity, message: format!("{setting}{}", problem.message), hint: None }
}

impl Checked {
    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }

    fn tell(&self, quiet: bool) -> anyhow::Result<()> {
        for finding in &self.findings {
            output::say(&finding.to_string());
        }
        let (errors, warnings) = (self.count(Severity::Error), self.count(Severity::Warning));
        if errors > 0 {
            output::say(&format!("{}, {}", counted(errors, "error"), counted(warnings, "warning")));
        }
        if quiet {
            return Ok(());
        }
        for crew in &self.crews {
            let (agents, tasks) = (counted(crew.agents.len(), "agent"), counted(crew.tasks.len(), "task"));
            output::print(&format!("ok: crew {} ({agents}, {tasks})", crew.name))?;
        }
        if errors > 0 {
            return Ok(());
        }
        for (name, crews) in self.systems.iter().filter(|(name, _)| name != "default") {
            output::print(&format!("ok: system {name} ({})", crews.join(", ")))?;
        }
        if self.crews.is_empty() {
            output::print("ok: the configuration; it names no crews")?;
        }
        Ok(())
    }

    fn view(&self) -> Value {
        let crews = self.crews.iter().map(|crew| {
            json!({"name": crew.name, "agents": crew.agents.len(), "tasks": crew.tasks.len(), "hash": crew.hash()})
        });
        let systems = self.systems.iter().map(|(name, crews)| json!({"name": name, "crews": crews}));
        json!({
            "ok": self.count(Severity::Error) == 0,
            "errors": self.count(Severity::Error),
            "warnings": self.count(Severity::Warning),
            "findings": self.findings.iter().map(view).collect::<Vec<_>>(),
            "crews": crews.collect::<Vec<_>>(),
            "systems": systems.collect::<Vec<_>>(),
        })
    }
}

/// A finding for programs; what is not known is absent.
pub(super) fn view(finding: &Diagnostic) -> Value {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut view = json!({"path": finding.path, "severity": severity, "message": finding.message});
    if finding.line > 0 {
        view["line"] = finding.line.into();
        view["column"] = finding.column.into();
    }
    if let Some(hint) = &finding.hint {
        view["hint"] = hint.as_str().into();
    }
    view
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
