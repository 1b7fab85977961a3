//! Whether settings that are of the right type make sense: bounds, addresses, what a profile refuses, and what is
//! allowed and still worth a warning.

use qd_llm::{Options, ProviderKind};
use serde_json::Value;

use super::decode::{Problem, Problems};
use super::keys::{self, Key, Kind};
use super::layers::{Origin, Tree, is_reference};
use super::{AuthMode, OnExceeded, Settings, secrets, tools, webhooks};

/// Shorter ones could be guessed.
const PEPPER_CHARS_MIN: usize = 32;

/// Every number within the bounds of its key.
pub(super) fn bounds(tree: &Tree, problems: &mut Problems) {
    table("", &Value::Object(tree.values.clone()), keys::ROOT, &mut |path, kind| {
        problems.add(Problem { at: tree.origin(path), path: path.to_owned(), message: must_be(kind) });
    });
}

fn must_be(kind: &Kind) -> String {
    match kind {
        Kind::Whole(0, most) => format!("must be at most {most}"),
        Kind::Whole(least, most) if *most != u64::MAX => format!("must be between {least} and {most}"),
        kind => format!("must be {}", kind.wanted()),
    }
}

fn table(path: &str, value: &Value, known: &[Key], outside: &mut dyn FnMut(&str, &Kind)) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let Some(key) = known.iter().find(|key| key.name == name) else { continue };
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match &key.kind {
            Kind::Table(keys) => table(&path, value, keys, outside),
            Kind::Named(keys) => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    table(&format!("{path}.{name}"), value, keys, outside);
                }
            }
            Kind::List(keys) => {
                for (n, value) in value.as_array().into_iter().flatten().enumerate() {
                    table(&format!("{path}[{n}]"), value, keys, outside);
                }
            }
            kind if is_outside(kind, value) => outside(&path, kind),
            _ => {}
        }
    }
}

/// Paths of what should be a table and is none.
pub(super) fn not_tables(
    path: &str,
    value: &Value,
    known: &'static [Key],
    wrong: &mut Vec<(String, &'static Kind)>,
) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let Some(key) = known.iter().find(|key| key.name == name) else { continue };
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match (&key.kind, value) {
            (Kind::Table(keys), Value::Object(_)) => not_tables(&path, value, keys, wrong),
            (Kind::Named(keys), Value::Object(named)) => {
                for (name, value) in named {
                    match value {
                        Value::Object(_) => not_tables(&format!("{path}.{name}"), value, keys, wrong),
                        _ => wrong.push((format!("{path}.{name}"), &Kind::Table(&[]))),
                    }
                }
            }
            (Kind::List(_), Value::Array(items)) if items.iter().all(Value::is_object) => {}
            (Kind::Secrets, Value::Object(_)) => {}
            (Kind::Table(_) | Kind::Named(_) | Kind::List(_) | Kind::Secrets, _) => {
                wrong.push((path, &key.kind))
            }
            _ => {}
        }
    }
}

fn is_outside(kind: &Kind, value: &Value) -> bool {
    match (kind, value.as_f64()) {
        // What is no whole number at all was reported for its type.
        (Kind::Whole(least, most), Some(_)) => {
            value.as_u64().is_some_and(|number| !(*least..=*most).contains(&number))
        }
        (Kind::Number(least, most), Some(number)) => !(*least..=*most).contains(&number),
        (Kind::Positive(most), Some(number)) => !(number > 0.0 && number <= *most),
        (Kind::Numbers(least, most), None) => {
            let numbers = value.as_array().into_iter().flatten().filter_map(Value::as_f64);
            numbers.into_iter().any(|number| !(*least..=*most).contains(&number))
        }
        _ => false,
    }
}

/// Secrets that stand in the file itself: refused in production, frowned upon in staging.
pub(super) fn literal_secrets(tree: &Tree, profile: &str, problems: &mut Problems, warnings: &mut Problems) {
    for path in secrets::paths(tree).into_iter().filter(|_| profile != "development") {
        let at = tree.origin(&path);
        let literal =
            tree.get(&path).is_some_and(|key| key.as_object().is_none_or(|table| !is_reference(table)));
        if !literal || !matches!(at, Origin::File { .. }) {
            continue;
        }
        let found = if profile == "production" { &mut *problems } else { &mut *warnings };
        let message = format!(
            "{profile} takes no secret from the file itself; write {{ env = \"NAME\" }} or {{ file = \"PATH\" }}"
        );
        found.add(Problem { at, path, message });
    }
}

/// Providers, models and prices.
pub(super) fn models(models: &Options, tree: &Tree, profile: &str, problems: &mut Problems) {
    for problem in models.validate().err().unwrap_or_default() {
        // Something in it was told already.
        if problems.0.iter().any(|known| known.path.starts_with(&format!("{}.", problem.path))) {
            continue;
        }
        let hint = if problem.path == "default_model" { missing_provider(models) } else { None };
        problems.add(Problem {
            at: tree.origin(&problem.path),
            message: hint
                .map_or_else(|| problem.message.clone(), |hint| format!("{}; {hint}", problem.message)),
            path: problem.path,
        });
    }
    for (name, provider) in &models.providers {
        if profile == "production" && provider.kind == ProviderKind::Sim {
            let path = format!("providers.{name}");
            let message =
                "production does not run on the simulator; name a real provider or use another profile"
                    .to_owned();
            problems.add(Problem { at: tree.origin(&path), path, message });
        }
    }
}

/// What to do about a default model whose provider is not there.
fn missing_provider(models: &Options) -> Option<String> {
    let name = models.default_model.as_deref()?;
    let Some((provider, _)) = name.split_once('/') else {
        let near = qd_crew::nearest(name, models.models.keys().map(String::as_str));
        return Some(near.map_or_else(
            || "name an alias of [models] or provider/model".to_owned(),
            |near| format!("did you mean `{near}`?"),
        ));
    };
    if models.providers.contains_key(provider) {
        return None;
    }
    let variable = match provider {
        "ollama" => "OLLAMA_HOST".to_owned(),
        known => format!("{}_API_KEY", known.to_uppercase()),
    };
    Some(match qd_llm::known_provider(provider) {
        Some(_) if models.providers.is_empty() => {
            format!("set {variable} (in development also in .env), or add [providers.{provider}]")
        }
        Some(_) => format!("add [providers.{provider}] with api_key = {{ env = \"{variable}\" }}"),
        None => format!("add [providers.{provider}] with its kind and base_url"),
    })
}

/// The rest: addresses, the store, combinations.
pub(super) fn settings(
    s: &Settings,
    tree: &Tree,
    profile: &str,
    problems: &mut Problems,
    warnings: &mut Problems,
) {
    let found =
        |path: &str, message: String| Problem { at: tree.origin(path), path: path.to_owned(), message };
    // What is wrong by itself needs no word on what it does to others.
    let retry = problems.are_about(&["retry.base_ms", "retry.cap_ms"]) || s.retry.base_ms <= s.retry.cap_ms;
    let tokens = ["conversations.reserve_tokens", "conversations.token_budget"];
    let tokens = problems.are_about(&tokens) || s.conversations.reserve_tokens < s.conversations.token_budget;
    let mut must = |holds: bool, path: &str, message: &str| {
        if !holds {
            problems.add(found(path, message.to_owned()));
        }
    };
    server(s, &mut must);
    auth(s, profile, &mut must);
    let pepper = tree.get("auth.pepper").and_then(Value::as_str);
    must(
        pepper.is_none_or(|pepper| pepper.len() >= PEPPER_CHARS_MIN),
        "auth.pepper",
        "has fewer than 32 characters; make one with `openssl rand -hex 32`",
    );
    must(retry, "retry.cap_ms", "must be at least retry.base_ms");
    must(tokens, "conversations.reserve_tokens", "must be below conversations.token_budget");
    if let Err(error) = qd_telemetry::check_level(&s.log.level) {
        must(false, "log.level", &error.to_string());
    }
    crews(s, &mut must);
    budgets(s, &mut must);
    for (path, message) in webhooks::problems(s).into_iter().chain(tools::problems(s)) {
        must(false, &path, &message);
    }
    let mut should = |holds: bool, path: &str, message: &str| {
        if !holds {
            warnings.add(found(path, message.to_owned()));
        }
    };
    should(
        !(s.server.insecure_public && s.auth.mode == AuthMode::Open && profile == "production"),
        "server.insecure_public",
        "nobody needs a key: whoever reaches this server can spend your money; put a proxy in front that asks who it is",
    );
    should(
        s.store.url != "memory:" || profile == "development",
        "store.url",
        "jobs are kept in memory only and are gone when the process ends",
    );
    should(
        profile == "development" || !s.egress.reaches_this_machine(),
        "egress.loopback",
        "whoever chooses the URL of a webhook can speak to every service of this machine",
    );
    should(
        public(&s.server.admin_listen).is_none_or(|public| !public || public == is_public(&s.server.listen)),
        "server.admin_listen",
        "is open to other machines while the API is not; is that meant?",
    );
}

fn public(address: &str) -> Option<bool> {
    address.parse::<std::net::SocketAddr>().ok().map(|address| !address.ip().to_canonical().is_loopback())
}

fn is_public(address: &str) -> bool {
    public(address) == Some(true)
}

fn server(s: &Settings, must: &mut dyn FnMut(bool, &str, &str)) {
    let address = s.server.listen.parse::<std::net::SocketAddr>();
    must(address.is_ok(), "server.listen", "is an address and a port such as 127.0.0.1:8000");
    let admin = s.server.admin_listen.parse::<std::net::SocketAddr>();
    must(
        admin.is_ok() || s.server.admin_listen.is_empty(),
        "server.admin_listen",
        "is an address and a port such as 127.0.0.1:8080, or empty",
    );
    if let Ok(listen) = address {
        let insecure_public = s.server.insecure_public;
        let auth = s.auth.mode.into();
        let options = qd_gateway::Options { listen, auth, insecure_public, ..qd_gateway::Options::default() };
        if let Err(error) = options.validate() {
            must(false, "server.listen", &error.to_string());
        }
        let same = admin.is_ok_and(|admin| admin == listen && admin.port() != 0);
        must(!same, "server.admin_listen", "is the address of the API, too; give it another port");
    }
    let known = match s.store.url.split_once(':') {
        Some(("sqlite", path)) => !path.is_empty(),
        Some(("memory", rest)) => rest.is_empty(),
        Some(_) | None => false,
    };
    must(known, "store.url", &format!("`{}` names no store; use sqlite:PATH or memory:", s.store.url));
}

fn auth(s: &Settings, profile: &str, must: &mut dyn FnMut(bool, &str, &str)) {
    must(
        // A public address was refused for it already.
        profile != "production"
            || s.auth.mode == AuthMode::Keys
            || s.server.insecure_public
            || is_public(&s.server.listen),
        "auth.mode",
        "is open, and production lets nobody in without a key; take it out, or set server.insecure_public = true if \
         something in front asks who it is",
    );
    for name in s.tenants.keys() {
        let path = format!("tenants.{name}");
        if let Err(wrong) = qd_types::TenantId::parse(name) {
            must(false, &path, &wrong.to_string());
        }
    }
}

fn crews(s: &Settings, must: &mut dyn FnMut(bool, &str, &str)) {
    must(!s.default_crew.trim().is_empty(), "default_crew", "is empty; name a crew, such as assistant");
    for pattern in &s.crews {
        if let Err(error) = glob::Pattern::new(pattern) {
            must(false, "crews", &format!("`{pattern}` is no pattern: {error}"));
        }
    }
    for (name, system) in &s.systems {
        let path = format!("systems.{name}");
        let fits =
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        must(fits, &path, "a system's name has letters, digits, - and _: it is part of addresses");
        must(name != "default", &path, "the system `default` holds all crews and cannot be another one");
        let crews = format!("{path}.crews");
        must(!system.crews.is_empty(), &crews, "names no crew");
        for (n, crew) in system.crews.iter().enumerate() {
            let twice = system.crews[..n].contains(crew);
            must(!twice, &format!("{crews}[{n}]"), &format!("names `{crew}` twice"));
        }
    }
}

fn budgets(s: &Settings, must: &mut dyn FnMut(bool, &str, &str)) {
    let degrades = s.budgets.on_exceeded == OnExceeded::Degrade;
    must(
        !degrades || s.budgets.degrade_to.is_some(),
        "budgets.on_exceeded",
        "is degrade, which needs budgets.degrade_to: the cheaper model to ask",
    );
    must(
        degrades || s.budgets.degrade_to.is_none(),
        "budgets.degrade_to",
        "is used with budgets.on_exceeded = \"degrade\" only; set that, or take this out",
    );
}

/// The model that is asked when money is short is one that there is.
pub(super) fn cheaper_model(s: &Settings, models: &Options, tree: &Tree, problems: &mut Problems) {
    let Some(name) = s.budgets.degrade_to.as_ref().filter(|_| !problems.are_about(&["budgets.degrade_to"]))
    else {
        return;
    };
    if models.resolve(name).is_none() {
        let message = format!("there is no model `{name}`; name an alias of [models] or provider/model");
        let path = "budgets.degrade_to".to_owned();
        problems.add(Problem { at: tree.origin(&path), path, message });
    }
}

/// A worker told to stop may cut off a call that takes longer than the drain; it is then made, and paid, again.
pub(super) fn drain(s: &Settings, models: &Options, tree: &Tree, warnings: &mut Problems) {
    let drain = s.worker.drain_timeout_seconds;
    let chosen = |path: &str| !matches!(tree.origin(path), Origin::Default | Origin::Profile(_));
    let own_drain = chosen("worker.drain_timeout_seconds");
    let of_models = models
        .models
        .iter()
        .filter_map(|(name, model)| Some((format!("models.{name}.timeout_seconds"), model.timeout_seconds?)));
    let of_providers =
        models.providers.iter().filter(|(_, provider)| provider.kind != ProviderKind::Sim).map(
            |(name, provider)| {
                (format!("providers.{name}.total_timeout_seconds"), provider.total_timeout.as_secs_f64())
            },
        );
    // Built-in values that disagree are nobody's mistake.
    let longest = of_models
        .chain(of_providers)
        .filter(|(path, seconds)| *seconds > drain as f64 && (own_drain || tree.get(path).is_some()))
        .max_by(|a, b| a.1.total_cmp(&b.1));
    // The flag of a command is not the setting of a server.
    let by_flag = matches!(tree.origin("worker.drain_timeout_seconds"), Origin::Flag(_));
    let Some((path, seconds)) = longest.filter(|_| !by_flag) else { return };
    let at = if own_drain { "worker.drain_timeout_seconds" } else { path.as_str() };
    let message = format!(
        "a server that stops waits worker.drain_timeout_seconds ({drain}) and then drops calls, which may take \
         {path} ({seconds}); such a call is made and paid again"
    );
    warnings.add(Problem { at: tree.origin(at), path: at.to_owned(), message });
}
