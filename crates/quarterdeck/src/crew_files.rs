//! Finds and reads crew files, and says what is wrong with them.

use std::path::{Path, PathBuf};

use qd_crew::{CrewSource, CrewSpec, Diagnostic, Diagnostics, Severity, SourceFile};
use qd_types::{AUTO_MODEL, Catalog};

use crate::config::{Config, Origin};
use crate::exit::{Exit, ended};

/// A crew file larger than this is not read.
const BYTES_MAX: u64 = 256 * 1024;

/// The crew behind /chat and /tasks where the configuration names no other.
const ASSISTANT: &str = include_str!("assistant.yaml");

/// Crews that were read, and what is wrong with the files of others.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) sources: Vec<CrewSource>,
    pub(crate) mistakes: Vec<Diagnostic>,
}

/// The built-in crew. Once rules choose models, they choose its model too.
pub(crate) fn assistant(catalog: &Catalog) -> CrewSource {
    let mut text = ASSISTANT.to_owned();
    if catalog.model_aliases.contains(AUTO_MODEL) {
        text = text.replacen("    role:", &format!("    llm: {AUTO_MODEL}\n    role:"), 1);
    }
    CrewSource::Single(SourceFile::new("built-in assistant", text))
}

/// The crews that a configuration names.
pub(crate) fn of_config(config: &Config) -> Found {
    let mut found = Found::default();
    for (n, pattern) in config.settings.crews.iter().enumerate() {
        let wrong = |why: &str| setting(config, &format!("crews.{n}"), format!("crews: `{pattern}` {why}"));
        let full = config.base.join(pattern);
        let Ok(matches) = glob::glob(&full.to_string_lossy()) else {
            found.mistakes.push(wrong("is no pattern"));
            continue;
        };
        let mut paths: Vec<PathBuf> = matches.filter_map(Result::ok).filter(|path| is_crew(path)).collect();
        paths.sort();
        if paths.is_empty() && !pattern.contains(['*', '?', '[']) {
            found.mistakes.push(wrong(if full.exists() { "is no crew" } else { "is not there" }));
        }
        found.add(paths.iter().map(|path| source(path)));
    }
    found
}

impl Found {
    /// Adds what could be read and what could not.
    pub(crate) fn add(&mut self, sources: impl IntoIterator<Item = Result<CrewSource, Box<Diagnostic>>>) {
        for source in sources {
            match source {
                Ok(source) if self.sources.contains(&source) => {}
                Ok(source) => self.sources.push(source),
                Err(mistake) => self.mistakes.push(*mistake),
            }
        }
    }
}

/// A finding about a setting, in its place of the file.
pub(crate) fn setting(config: &Config, path: &str, message: String) -> Diagnostic {
    let (path, line, column) = match config.tree.origin(path) {
        Origin::File { path, place } | Origin::Dotenv { path, place } => (path, place.line, place.column),
        other => (other.to_string(), 0, 0),
    };
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let (line, column) = (number(line), number(column));
    Diagnostic { path, line, column, severity: Severity::Error, message, hint: None }
}

fn is_crew(path: &Path) -> bool {
    let yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json");
    (yaml && path.is_file()) || in_folder(path, "agents").is_some()
}

/// One crew: a file, or a folder with `agents.yaml` and `tasks.yaml`.
pub(crate) fn source(path: &Path) -> Result<CrewSource, Box<Diagnostic>> {
    if !path.is_dir() {
        return Ok(CrewSource::Single(read(path)?));
    }
    let needed = |name: &str| {
        in_folder(path, name)
            .ok_or_else(|| mistake(path, format!("the folder has no {name}.yaml")))
            .and_then(|path| read(&path))
    };
    Ok(CrewSource::Directory {
        name: folder_name(path),
        agents: needed("agents")?,
        tasks: needed("tasks")?,
        crew: in_folder(path, "crew").map(|path| read(&path)).transpose()?,
    })
}

/// The text of one crew file for a server to publish, and the crew's name. Its models and tools are the server's to know.
pub(crate) fn to_publish(path: &Path) -> anyhow::Result<(String, String)> {
    let wrong = |mistake: Box<Diagnostic>| ended(Exit::Configuration, mistake.to_string());
    if path.is_dir() {
        let message = "is a folder; publish one file that holds agents and tasks".to_owned();
        return Err(wrong(mistake(path, message)));
    }
    let file = read(path).map_err(wrong)?;
    let text = file.text.clone();
    let loaded = qd_crew::load(&CrewSource::Single(file))
        .map_err(|mistakes| ended(Exit::Configuration, mistakes.to_string()))?;
    Ok((text, loaded.spec.name.to_string()))
}

fn folder_name(path: &Path) -> String {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real.file_name().map_or_else(|| "crew".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn in_folder(folder: &Path, name: &str) -> Option<PathBuf> {
    ["yaml", "yml"].iter().map(|ending| folder.join(format!("{name}.{ending}"))).find(|path| path.is_file())
}

fn read(path: &Path) -> Result<SourceFile, Box<Diagnostic>> {
    let unreadable = |e: std::io::Error| mistake(path, format!("cannot be read: {e}"));
    let meta = std::fs::metadata(path).map_err(unreadable)?;
    if !meta.is_file() {
        return Err(mistake(path, "is no file".to_owned()));
    }
    if meta.len() > BYTES_MAX {
        return Err(mistake(path, format!("is larger than {BYTES_MAX} bytes")));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|e| mistake(path, format!("is not UTF-8: {e}")))?;
    Ok(SourceFile::new(path.display().to_string(), text))
}

fn mistake(path: &Path, message: String) -> Box<Diagnostic> {
    let path = path.display().to_string();
    Box::new(Diagnostic { path, line: 0, column: 0, severity: Severity::Error, message, hint: None })
}

/// Checks crews against a catalog: those that can be used, and every finding about all of them.
pub(crate) fn examine(sources: &[CrewSource], catalog: &Catalog) -> (Vec<CrewSpec>, Vec<Diagnostic>) {
    let (mut specs, mut findings) = (Vec::<CrewSpec>::new(), Vec::new());
    for source in sources {
        match qd_crew::check(source, catalog) {
            Ok((spec, _, warnings)) => {
                findings.extend(warnings);
                if specs.iter().any(|known| known.name == spec.name) {
                    let message = format!("two crew files are named `{}`; rename one", spec.name);
                    findings.push(*mistake(Path::new(shown(source)), message));
                } else {
                    specs.push(spec);
                }
            }
            Err(diagnostics) => findings.extend(diagnostics.0),
        }
    }
    (specs, findings)
}

fn shown(source: &CrewSource) -> &str {
    match source {
        CrewSource::Single(file) => &file.path,
        CrewSource::Named { text, .. } => &text.path,
        CrewSource::Directory { agents, .. } => &agents.path,
    }
}

/// Whether crews can be used in spite of what was found: the warnings, or one error with all mistakes.
pub(crate) fn unless_wrong(findings: Vec<Diagnostic>) -> anyhow::Result<Vec<Diagnostic>> {
    if findings.iter().all(|finding| finding.severity == Severity::Warning) {
        return Ok(findings);
    }
    Err(ended(Exit::Configuration, Diagnostics(findings).to_string()))
}

/// What is wrong with the systems and the default crew of a configuration, given the crews that there are.
pub(crate) fn wrong_names(config: &Config, crews: &[String]) -> Vec<Diagnostic> {
    let has = |name: &str| name == "assistant" || crews.iter().any(|crew| crew == name);
    let known = || crews.iter().map(String::as_str).chain(["assistant"]);
    let hint = |name: &str| match qd_crew::nearest(name, known()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", known().collect::<Vec<_>>().join(", ")),
    };
    let mut findings = Vec::new();
    let default = config.settings.default_crew.as_str();
    if !has(default) {
        let known = known().collect::<Vec<_>>().join(", ");
        let message = format!("default_crew `{default}` is not among the crews: {known}");
        findings.push(setting(config, "default_crew", message));
    }
    for (name, system) in &config.settings.systems {
        for (n, crew) in system.crews.iter().enumerate().filter(|(_, crew)| !has(crew)) {
            let message = format!("systems.{name}.crews: there is no crew `{crew}`; {}", hint(crew));
            findings.push(setting(config, &format!("systems.{name}.crews.{n}"), message));
        }
    }
    findings
}
