//! The only place that reads the environment, the configuration file and `.env`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::decode::{Problem, Problems, Reading, build};
use super::position::{Place, parse};
use super::variables::Variables;
use super::{Config, Flag, Origin, Sources, defaults, prices, scenario, secrets};

/// The file that is taken when it is there and none was named.
const DEFAULT_FILE: &str = "quarterdeck.toml";
/// Variables of one developer's machine.
const DOTENV_FILE: &str = ".env";
/// A configuration larger than this is a mistake.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads and builds the configuration.
pub(crate) fn read(
    file: Option<&Path>,
    profile: Option<String>,
    flags: Vec<Flag>,
) -> Result<Config, Problems> {
    let (sources, base) = sources(file, profile, flags)?;
    let reading = Reading {
        secret: &|reference, variables| secret(reference, &base, variables),
        file: &|name| read_named(&base, name),
    };
    let mut config = build(&sources, &base, &reading)?;
    let open: Vec<Problem> =
        secrets::paths(&config.tree).into_iter().filter_map(|path| open_secret(&config, path)).collect();
    config.warnings.extend(open);
    prices::add(&mut config)?;
    Ok(config)
}

/// A secret in a file that everybody on the machine can read.
fn open_secret(config: &Config, path: String) -> Option<Problem> {
    use std::os::unix::fs::PermissionsExt as _;
    let file = config.base.join(config.tree.get(&path)?.get("file")?.as_str()?);
    let meta = std::fs::symlink_metadata(&file).ok()?;
    // What a container is given has the modes of whoever gave it, and nobody else is in there.
    let is_given =
        !meta.is_file() || file.starts_with("/run/secrets") || file.starts_with("/var/run/secrets");
    if is_given || meta.permissions().mode() & 0o004 == 0 {
        return None;
    }
    let message = format!("everybody on this machine can read {0}; `chmod 600 {0}`", file.display());
    Some(Problem { at: config.tree.origin(&path), path, message })
}

/// The mistakes that the file's other profiles have, by profile. Which secrets they will find where they run is not known
/// here, so that every reference counts as good.
pub(crate) fn other_profiles(file: Option<&Path>, than: &str) -> Vec<(String, Problems)> {
    let Ok((found, base)) = sources(file, None, Vec::new()) else { return Vec::new() };
    let Some(Ok(parsed)) = found.file.as_ref().map(|(_, text)| parse(text)) else { return Vec::new() };
    let overlays = parsed.values.get("env").and_then(Value::as_object);
    let names = overlays.into_iter().flat_map(|overlays| overlays.keys()).filter(|name| *name != than);
    let wrong = names.filter_map(|name| {
        let (mut sources, _) = sources(file, Some(name.clone()), Vec::new()).ok()?;
        sources.dotenv = None;
        let secret = &|_: &Value, _: &Variables| Ok("unknown".repeat(9));
        let reading = Reading { secret, file: &|name| read_named(&base, name) };
        let problems = build(&sources, &base, &reading).err()?;
        Some((name.clone(), problems))
    });
    wrong.collect()
}

/// A scenario of the simulator by itself.
pub(crate) fn read_scenario(path: &Path) -> Result<qd_llm::sim::SimOptions, Problems> {
    let text = read_text(path).map_err(|error| {
        let message = format!("cannot read the scenario {}: {error}", path.display());
        refused(Origin::Flag("--scenario"), message)
    })?;
    scenario::of_file(&path.display().to_string(), &text)
}

/// The path of a file, as it is to be shown, and its text.
fn read_named(base: &Path, name: &str) -> Result<(String, String), String> {
    let path = if base == Path::new(".") { PathBuf::from(name) } else { base.join(name) };
    let text = read_text(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok((path.display().to_string(), text))
}

fn sources(
    file: Option<&Path>,
    profile: Option<String>,
    flags: Vec<Flag>,
) -> Result<(Sources, PathBuf), Problems> {
    let variables = variables();
    let by_variable = variables.get("QUARTERDECK_CONFIG").filter(|path| !path.is_empty());
    let named = file.map(Path::to_owned).or_else(|| by_variable.map(PathBuf::from));
    let path = named.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_FILE));
    let text = match (read_text(&path), named) {
        (Ok(text), _) => Some((path.display().to_string(), text)),
        (Err(error), None) if error.kind() == std::io::ErrorKind::NotFound => None,
        (Err(error), named) => {
            let named_by = match (file, named) {
                (Some(_), _) => Origin::Flag("--config"),
                (None, Some(_)) => Origin::Variable("QUARTERDECK_CONFIG".to_owned()),
                (None, None) => in_file(&path),
            };
            let message = format!("cannot read the configuration {}: {error}", path.display());
            return Err(refused(named_by, message));
        }
    };
    let base = match (&text, path.parent()) {
        (Some(_), Some(folder)) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    // Without a configuration beside it, it is some other program's.
    let dotenv = if text.is_some() { read_dotenv(&base, profile.as_deref(), &variables)? } else { None };
    Ok((Sources { file: text, profile, variables, dotenv, flags }, base))
}

fn read_dotenv(
    base: &Path,
    profile: Option<&str>,
    variables: &BTreeMap<String, String>,
) -> Result<Option<(String, String)>, Problems> {
    let path = if base == Path::new(".") { PathBuf::from(DOTENV_FILE) } else { base.join(DOTENV_FILE) };
    let wished = profile.or_else(|| variables.get("QUARTERDECK_ENV").map(String::as_str));
    let is_read = wished.is_none_or(|name| name.is_empty() || name == defaults::PROFILES[0]);
    match read_text(&path) {
        Ok(text) => Ok(Some((path.display().to_string(), text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound || !is_read => Ok(None),
        Err(error) => Err(refused(in_file(&path), format!("cannot read {DOTENV_FILE}: {error}"))),
    }
}

fn in_file(path: &Path) -> Origin {
    Origin::File { path: path.display().to_string(), place: Place { line: 1, column: 1 } }
}

fn refused(at: Origin, message: String) -> Problems {
    Problems(vec![Problem { at, path: String::new(), message }])
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
        .collect()
}

/// A text file of a sensible size.
pub(super) fn read_text(path: &Path) -> std::io::Result<String> {
    let meta = std::fs::metadata(path)?;
    if !meta.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    if meta.len() > FILE_BYTES_MAX {
        return Err(std::io::Error::other(format!("it is larger than {FILE_BYTES_MAX} bytes")));
    }
    std::fs::read_to_string(path)
}

/// The one line of a file that holds a secret.
pub(crate) fn read_secret_text(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let text = read_text(path).map_err(|error| format!("cannot read the secret file {shown}: {error}"))?;
    let secret = text.trim_end_matches(['\n', '\r']);
    if secret.is_empty() { Err(format!("the secret file {shown} is empty")) } else { Ok(secret.to_owned()) }
}

fn secret(reference: &Value, base: &Path, variables: &Variables) -> Result<String, String> {
    let text = |key: &str| reference.get(key).and_then(Value::as_str);
    match (text("env"), text("file")) {
        (Some(name), None) => variables.get(name).cloned().ok_or_else(|| {
            format!("the variable {name} is not set; set it, or remove what needs it if it is not used")
        }),
        (None, Some(file)) => {
            let path = base.join(file);
            read_secret_text(&path)
        }
        _ => Err("a secret is a text, { env = \"NAME\" } or { file = \"PATH\" }".to_owned()),
    }
}
