//! The only place that reads the environment and the configuration file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::decode::{Problem, Problems, build};
use super::position::Place;
use super::{Config, Flag, Origin, Sources};

/// The file that is taken when it is there and none was named.
const DEFAULT_FILE: &str = "quarterdeck.toml";
/// A configuration larger than this is a mistake.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads and builds the configuration.
pub(crate) fn read(
    file: Option<&Path>,
    profile: Option<String>,
    flags: Vec<Flag>,
) -> Result<Config, Problems> {
    let variables = variables();
    let named = file.map(Path::to_owned).or_else(|| variables.get("QUARTERDECK_CONFIG").map(PathBuf::from));
    let path = named.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    let text = match (read_text(&path), named) {
        (Ok(text), _) => Some((path.display().to_string(), text)),
        (Err(error), None) if error.kind() == std::io::ErrorKind::NotFound => None,
        (Err(error), named) => {
            let message = format!("cannot read the configuration {}: {error}", path.display());
            let named_by = match (file, named) {
                (Some(_), _) => Origin::Flag("--config"),
                (None, Some(_)) => Origin::Variable("QUARTERDECK_CONFIG".to_owned()),
                (None, None) => {
                    Origin::File { path: path.display().to_string(), place: Place { line: 1, column: 1 } }
                }
            };
            return Err(Problems(vec![Problem { at: named_by, path: String::new(), message }]));
        }
    };
    let base = match (&text, path.parent()) {
        (Some(_), Some(folder)) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let sources = Sources { file: text, profile, variables: variables.clone(), flags };
    build(&sources, &base, &|reference| secret(reference, &base, &variables))
}

/// One variable of the process.
#[allow(clippy::disallowed_methods)]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[allow(clippy::disallowed_methods)]
fn variables() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(_, value)| !value.is_empty())
        .collect()
}

fn read_text(path: &Path) -> std::io::Result<String> {
    let meta = std::fs::metadata(path)?;
    if !meta.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    if meta.len() > FILE_BYTES_MAX {
        return Err(std::io::Error::other(format!("it is larger than {FILE_BYTES_MAX} bytes")));
    }
    std::fs::read_to_string(path)
}

fn secret(reference: &Value, base: &Path, variables: &BTreeMap<String, String>) -> Result<String, String> {
    let text = |key: &str| reference.get(key).and_then(Value::as_str);
    match (text("env"), text("file")) {
        (Some(name), None) => variables.get(name).cloned().ok_or_else(|| {
            format!("the variable {name} is not set; set it, or remove the provider if it is not used")
        }),
        (None, Some(file)) => {
            let path = base.join(file);
            let text = read_text(&path)
                .map_err(|e| format!("cannot read the secret file {}: {e}", path.display()))?;
            let secret = text.trim_end_matches(['\n', '\r']);
            if secret.is_empty() {
                Err(format!("the secret file {} is empty", path.display()))
            } else {
                Ok(secret.to_owned())
            }
        }
        _ => Err("a secret is a text, { env = \"NAME\" } or { file = \"PATH\" }".to_owned()),
    }
}
