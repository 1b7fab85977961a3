//! Finds and reads crew files, and says what is wrong with them.

use std::path::{Path, PathBuf};

use qd_crew::{CrewSource, Diagnostics, SourceFile};

use crate::exit::{Exit, ended};

/// A crew file larger than this is not read.
const BYTES_MAX: u64 = 256 * 1024;

/// The crew behind /chat and /tasks where the configuration names no other.
const ASSISTANT: &str = include_str!("assistant.yaml");

/// The built-in crew.
pub(crate) fn assistant() -> CrewSource {
    CrewSource::Single(SourceFile::new("built-in assistant", ASSISTANT))
}

/// The crews that a configuration names.
pub(crate) fn of_patterns(base: &Path, patterns: &[String]) -> anyhow::Result<Vec<CrewSource>> {
    let mut sources = Vec::new();
    for pattern in patterns {
        let full = base.join(pattern);
        let wrong = |why: String| ended(Exit::Configuration, format!("crews: `{pattern}` {why}"));
        let matches =
            glob::glob(&full.to_string_lossy()).map_err(|e| wrong(format!("is no pattern: {e}")))?;
        let mut paths: Vec<PathBuf> = matches.filter_map(Result::ok).filter(|path| is_crew(path)).collect();
        paths.sort();
        if paths.is_empty() && !pattern.contains(['*', '?', '[']) {
            return Err(wrong("is not there".to_owned()));
        }
        for path in paths {
            sources.push(source(&path)?);
        }
    }
    Ok(sources)
}

fn is_crew(path: &Path) -> bool {
    let yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == "json");
    (yaml && path.is_file()) || in_folder(path, "agents").is_some()
}

/// One crew: a file, or a folder with `agents.yaml` and `tasks.yaml`.
pub(crate) fn source(path: &Path) -> anyhow::Result<CrewSource> {
    if !path.is_dir() {
        return Ok(CrewSource::Single(read(path)?));
    }
    let needed = |name: &str| {
        let missing =
            || ended(Exit::Configuration, format!("{}: the folder has no {name}.yaml", path.display()));
        in_folder(path, name).ok_or_else(missing).and_then(|path| read(&path))
    };
    Ok(CrewSource::Directory {
        name: folder_name(path),
        agents: needed("agents")?,
        tasks: needed("tasks")?,
        crew: in_folder(path, "crew").map(|path| read(&path)).transpose()?,
    })
}

fn folder_name(path: &Path) -> String {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    real.file_name().map_or_else(|| "crew".to_owned(), |name| name.to_string_lossy().into_owned())
}

fn in_folder(folder: &Path, name: &str) -> Option<PathBuf> {
    ["yaml", "yml"].iter().map(|ending| folder.join(format!("{name}.{ending}"))).find(|path| path.is_file())
}

fn read(path: &Path) -> anyhow::Result<SourceFile> {
    let shown = path.display().to_string();
    let wrong = |why: String| ended(Exit::Configuration, format!("{shown}: {why}"));
    let meta = std::fs::metadata(path).map_err(|e| wrong(format!("cannot be read: {e}")))?;
    if meta.len() > BYTES_MAX {
        return Err(wrong(format!("is larger than {BYTES_MAX} bytes")));
    }
    let bytes = std::fs::read(path).map_err(|e| wrong(format!("cannot be read: {e}")))?;
    let text = String::from_utf8(bytes).map_err(|e| wrong(format!("is not UTF-8: {e}")))?;
    Ok(SourceFile::new(shown, text))
}

/// All mistakes of a crew as one error.
pub(crate) fn refused(diagnostics: &Diagnostics) -> anyhow::Error {
    ended(Exit::Configuration, diagnostics.to_string())
}
