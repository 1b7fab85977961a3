//! From the merged tree to typed settings, with every mistake at once.
//!
//! A value that does not fit is reported with its origin and taken out, and decoding starts again, until it succeeds:
//! so one run shows all mistakes, and serde stays the only description of what fits.

use std::fmt;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::layers::{Origin, Sources, Tree, is_reference, merge};
use super::{Config, Settings, defaults, providers};

/// Mistakes shown at most.
const PROBLEMS_MAX: usize = 50;

/// One mistake.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    /// Where the value came from.
    pub(crate) at: Origin,
    /// Which setting; empty for the whole file.
    pub(crate) path: String,
    /// What is wrong and what to do.
    pub(crate) message: String,
}

/// All mistakes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Problems(pub(crate) Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, problem: Problem) {
        if self.0.len() < PROBLEMS_MAX {
            self.0.push(problem);
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            let path = if problem.path.is_empty() { String::new() } else { format!("{}: ", problem.path) };
            let line_end = if n + 1 < self.0.len() { "\n" } else { "" };
            write!(f, "{}: {path}{}{line_end}", problem.at, problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Builds a configuration. `read_secret` resolves `{ env = … }` and `{ file = … }`.
pub(super) fn build(
    sources: &Sources,
    base: &Path,
    read_secret: &dyn Fn(&Value) -> Result<String, String>,
) -> Result<Config, Problems> {
    let mut problems = Problems::default();
    let (mut tree, profile) = merge(sources, &mut problems);
    literal_secrets(&tree, &profile, &mut problems);
    let shown = tree.clone();
    providers::complete(&mut tree, read_secret, &mut problems);
    let mut rest = tree.clone();
    let mut models = Map::new();
    for key in ["default_model", "providers", "models", "prices"] {
        if let Some(value) = rest.values.remove(key) {
            models.insert(key.to_owned(), value);
        }
    }
    let mut models = Tree { values: models, origins: tree.origins.clone() };
    let settings: Option<Settings> = decode(&mut rest, &mut problems);
    let mut models: Option<qd_llm::Options> = decode(&mut models, &mut problems);
    if let Some(models) = &mut models {
        providers::keys_from_variables(models, &tree, &sources.variables);
    }
    if let (Some(settings), Some(models)) = (&settings, &models) {
        check_models(models, &tree, &profile, &mut problems);
        check_settings(settings, &tree, &mut problems);
    }
    match (settings, models) {
        (Some(settings), Some(models)) if problems.0.is_empty() => {
            Ok(Config { base: base.to_owned(), profile, settings, models, tree: shown })
        }
        _ => Err(problems),
    }
}

fn decode<T: DeserializeOwned>(tree: &mut Tree, problems: &mut Problems) -> Option<T> {
    let fallback = defaults::all();
    for _ in 0..PROBLEMS_MAX * 2 {
        let error = match serde_path_to_error::deserialize(Value::Object(tree.values.clone())) {
            Ok(typed) => return Some(typed),
            Err(error) => error,
        };
        let mut path = error.path().to_string();
        let message = error.inner().to_string();
        if let Some(unknown) = unknown_field(&message) {
            // serde names the table; the key is in the message.
            if !path.ends_with(unknown) || tree.get(&path).is_none() {
                path = if path == "." { unknown.to_owned() } else { format!("{path}.{unknown}") };
            }
        }
        if path == "." {
            problems.add(Problem { at: Origin::Default, path: String::new(), message });
            return None;
        }
        if let (Origin::Variable(_), Some(value)) = (tree.origin(&path), tree.get(&path))
            && !value.is_string()
            && !value.is_object()
        {
            // A number was seen in a variable where a text was meant.
            let (text, origin) = (Value::String(value.to_string()), tree.origin(&path));
            tree.set(&path, text, &origin);
            continue;
        }
        problems.add(Problem {
            at: tree.origin(&path),
            path: path.clone(),
            message: explained(&message, &path),
        });
        if !replace(tree, &path, &fallback) {
            return None;
        }
    }
    None
}

fn unknown_field(message: &str) -> Option<&str> {
    message.strip_prefix("unknown field `")?.split('`').next()
}

/// Puts the default in the place of a value that does not fit, or takes it out. False if that changes nothing.
fn replace(tree: &mut Tree, path: &str, fallback: &Map<String, Value>) -> bool {
    let default = Tree { values: fallback.clone(), ..Tree::default() }.get(path).cloned();
    if let Some(default) = default {
        let changed = tree.get(path) != Some(&default);
        tree.set(path, default, &Origin::Default);
        return changed;
    }
    // The item of a list goes with the whole list; a key that is missing goes with its table.
    let mut path = path;
    loop {
        let (above, key) = path.rsplit_once('.').unwrap_or(("", path));
        let table =
            if above.is_empty() { Some(&mut tree.values) } else { table_mut(&mut tree.values, above) };
        if let Some(table) = table
            && table.remove(key).is_some()
        {
            return true;
        }
        if above.is_empty() {
            return false;
        }
        path = above;
    }
}

fn table_mut<'a>(values: &'a mut Map<String, Value>, path: &str) -> Option<&'a mut Map<String, Value>> {
    path.split('.').try_fold(values, |map, key| map.get_mut(key)?.as_object_mut())
}

fn explained(message: &str, path: &str) -> String {
    let Some(unknown) = unknown_field(message) else { return message.replace("\\\"", "\"") };
    let known: Vec<&str> = message.split('`').skip(3).step_by(2).collect();
    let near =
        known.iter().min_by_key(|name| distance(name, unknown)).filter(|name| distance(name, unknown) <= 3);
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "it takes none".to_owned(),
        None => format!("known: {}", known.join(", ")),
    };
    let place = path.rsplit_once('.').map_or("at the top".to_owned(), |(table, _)| format!("in [{table}]"));
    format!("there is no setting `{unknown}` {place}; {hint}")
}

/// Edits from one word to another.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let change = corner + usize::from(from != *to);
            corner = row[j + 1];
            row[j + 1] = change.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

fn literal_secrets(tree: &Tree, profile: &str, problems: &mut Problems) {
    let Some(providers) = tree.values.get("providers").and_then(Value::as_object) else { return };
    for name in providers.keys().filter(|_| profile == "production") {
        let path = format!("providers.{name}.api_key");
        let in_file = matches!(tree.origin(&path), Origin::File { .. });
        let literal =
            tree.get(&path).is_some_and(|key| key.as_object().is_none_or(|table| !is_reference(table)));
        if in_file && literal {
            let message = "production takes no secret from the file itself; write { env = \"NAME\" } or { file = \"PATH\" }".to_owned();
            problems.add(Problem { at: tree.origin(&path), path, message });
        }
    }
}

fn check_models(models: &qd_llm::Options, tree: &Tree, profile: &str, problems: &mut Problems) {
    for problem in models.validate().err().unwrap_or_default() {
        problems.add(Problem {
            at: tree.origin(&problem.path),
            path: problem.path,
            message: problem.message,
        });
    }
    for (name, provider) in &models.providers {
        if profile == "production" && provider.kind == qd_llm::ProviderKind::Sim {
            let path = format!("providers.{name}");
            let message =
                "production does not run on the simulator; name a real provider or use another profile"
                    .to_owned();
            problems.add(Problem { at: tree.origin(&path), path, message });
        }
    }
}

/// Connections and calls beyond this are a slip of the finger, and would not fit the counters behind them.
const COUNT_MAX: usize = 1_000_000;
const DEPTH_MAX: usize = 100_000_000;

fn check_settings(settings: &Settings, tree: &Tree, problems: &mut Problems) {
    let mut must = |holds: bool, path: &str, message: &str| {
        if !holds {
            problems.add(Problem {
                at: tree.origin(path),
                path: path.to_owned(),
                message: message.to_owned(),
            });
        }
    };
    check_server(settings, &mut must);
    check_work(settings, &mut must);
    if let Err(error) = qd_telemetry::check_level(&settings.log.level) {
        must(false, "log.level", &error.to_string());
    }
}

fn check_server(s: &Settings, must: &mut dyn FnMut(bool, &str, &str)) {
    let is_address = |text: &str| text.parse::<std::net::SocketAddr>().is_ok();
    must(is_address(&s.server.listen), "server.listen", "is an address and a port such as 127.0.0.1:8000");
    let admin = s.server.admin_listen.is_empty() || is_address(&s.server.admin_listen);
    must(admin, "server.admin_listen", "is an address and a port such as 127.0.0.1:8080, or empty");
    let counts = 1..=COUNT_MAX;
    let between = "must be between 1 and 1000000";
    must(counts.contains(&s.server.max_connections), "server.max_connections", between);
    must(
        counts.contains(&s.server.max_connections_per_address),
        "server.max_connections_per_address",
        between,
    );
    must(
        (1_024..=64 << 20).contains(&s.server.max_body_bytes),
        "server.max_body_bytes",
        "must be between 1024 and 67108864 (64 MiB)",
    );
    let known = match s.store.url.split_once(':') {
        Some(("sqlite", path)) => !path.is_empty(),
        Some(("memory", rest)) => rest.is_empty(),
        Some(_) | None => false,
    };
    must(known, "store.url", &format!("`{}` names no store; use sqlite:PATH or memory:", s.store.url));
}

fn check_work(s: &Settings, must: &mut dyn FnMut(bool, &str, &str)) {
    must(s.worker.slots <= 10_000, "worker.slots", "must be at most 10000");
    must((3..=3_600).contains(&s.worker.lease_seconds), "worker.lease_seconds", "must be between 3 and 3600");
    must(s.worker.drain_timeout_seconds <= 3_600, "worker.drain_timeout_seconds", "must be at most 3600");
    must((1..=20).contains(&s.retry.max_attempts), "retry.max_attempts", "must be between 1 and 20");
    must((1..=3_600_000).contains(&s.retry.base_ms), "retry.base_ms", "must be between 1 and 3600000");
    must(
        s.retry.cap_ms >= s.retry.base_ms && s.retry.cap_ms <= 86_400_000,
        "retry.cap_ms",
        "must be at least retry.base_ms and at most 86400000 (a day)",
    );
    must(
        (1..=COUNT_MAX).contains(&(s.limits.model_calls as usize)),
        "limits.model_calls",
        "must be between 1 and 1000000",
    );
    must(s.limits.tool_calls as usize <= COUNT_MAX, "limits.tool_calls", "must be at most 1000000");
    must(
        (1..=256).contains(&s.limits.parallel_effects),
        "limits.parallel_effects",
        "must be between 1 and 256",
    );
    must((1..=DEPTH_MAX).contains(&s.queue.max_depth), "queue.max_depth", "must be between 1 and 100000000");
    must(
        s.conversations.reserve_tokens < s.conversations.token_budget,
        "conversations.reserve_tokens",
        "must be below conversations.token_budget",
    );
    must(
        (1..=31_536_000).contains(&s.conversations.ttl_seconds),
        "conversations.ttl_seconds",
        "must be between 1 and 31536000 (a year)",
    );
    must((1..=36_500).contains(&s.retention.jobs_days), "retention.jobs_days", "must be between 1 and 36500");
}
