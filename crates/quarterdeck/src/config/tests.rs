//! Sources in, settings or precise problems out.

mod bad;
mod known;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::decode::{Reading, build};
use super::variables::Variables;
use super::{Config, Flag, Origin, Problems, Sources};

fn sources(file: &str, variables: &[(&str, &str)]) -> Sources {
    Sources {
        file: (!file.is_empty()).then(|| ("quarterdeck.toml".to_owned(), file.to_owned())),
        profile: None,
        variables: variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..Sources::default()
    }
}

fn from(sources: &Sources) -> Result<Config, Problems> {
    let secrets: BTreeMap<&str, &str> = [("SET", "s3cret")].into();
    let secret = |reference: &Value, _: &Variables| match reference.get("env").and_then(Value::as_str) {
        Some(name) => secrets
            .get(name)
            .map(|s| (*s).to_owned())
            .ok_or_else(|| format!("the variable {name} is not set")),
        None => Err("no file in this test".to_owned()),
    };
    let file = |name: &str| match name {
        "storm.toml" => Ok((name.to_owned(), STORM.to_owned())),
        other => Err(format!("cannot read {other}: it is not in this test")),
    };
    build(sources, Path::new("."), &Reading { secret: &secret, file: &file })
}

/// A scenario.
const STORM: &str = "seed = 7\n[latency]\nper_input_token_ms = 2\n[[faults]]\nkind = \"503\"\nrate = 0.5\n";

#[test]
fn defaults_are_complete_and_valid() {
    let config = from(&sources("", &[])).unwrap();
    assert_eq!((config.profile.as_str(), config.settings.worker.slots), ("development", 5));
    assert_eq!(config.settings.store.url, "sqlite:data/quarterdeck.db");
    assert!(config.models.providers.is_empty() && config.models.default_model.is_none());
}

#[test]
fn later_sources_win_and_origins_are_kept() {
    let file = "[queue]\nmax_depth = 1\n[worker]\nslots = 2\n[env.staging.worker]\nslots = 3\n";
    let mut all = sources(file, &[("QUARTERDECK_ENV", "staging"), ("QUARTERDECK_RETRY__MAX_ATTEMPTS", "7")]);
    all.flags.push(Flag { name: "--listen", path: "server.listen", value: json!("127.0.0.1:1") });
    let config = from(&all).unwrap();
    let s = &config.settings;
    assert_eq!(
        (s.queue.max_depth, s.worker.slots, s.retry.max_attempts, s.log.level.as_str()),
        (1, 3, 7, "info")
    );
    for (path, origin) in [
        ("queue.max_depth", "quarterdeck.toml:2:1"),
        ("worker.slots", "quarterdeck.toml:6:1"),
        ("retry.max_attempts", "variable QUARTERDECK_RETRY__MAX_ATTEMPTS"),
        ("server.listen", "flag --listen"),
        ("log.level", "profile staging"),
        ("store.url", "default"),
    ] {
        assert_eq!(config.tree.origin(path).to_string(), origin, "{path}");
    }
}

#[test]
fn variable_that_looks_like_a_number_may_be_a_text() {
    let config =
        from(&sources("", &[("QUARTERDECK_DEFAULT_CREW", "42"), ("QUARTERDECK_QUEUE__MAX_DEPTH", "9")]))
            .unwrap();
    assert_eq!((config.settings.default_crew.as_str(), config.settings.queue.max_depth), ("42", 9));
    let key = ("QUARTERDECK_PROVIDERS__GROQ__API_KEY", "12345");
    let config = from(&sources("[providers.groq]", &[key])).unwrap();
    assert_eq!(config.models.providers["groq"].api_key, Some(qd_llm::Secret::new("12345")));
}

#[test]
fn usual_variables_give_providers_unless_the_file_has_some() {
    let variables = [("ANTHROPIC_API_KEY", "sk-ant-x")];
    let config = from(&sources("", &variables)).unwrap();
    assert!(config.models.providers["anthropic"].api_key.is_some());
    assert!(config.models.default_model.unwrap().starts_with("anthropic/"));
    assert!(
        !serde_json::to_string(&config.tree.values).unwrap().contains("sk-ant-x"),
        "keys stay out of the tree"
    );
    let config = from(&sources("[providers.sim]\n", &variables)).unwrap();
    assert_eq!(config.models.providers.keys().collect::<Vec<_>>(), ["sim"]);
}

#[test]
fn every_mistake_is_reported_at_once_with_its_place() {
    let file = r#"
defualt_crew = "x"
[server]
listen = "localhost"
prot = 1
[store]
durability = "sometimes"
[worker]
slots = "many"
[queue]
max_depth = -1
[providers.anthropic]
api_key = { env = "NOT_SET" }
[providers.local]
kind = "openia"
[env.staging]
x = 1
"#;
    let problems = from(&sources(file, &[("QUARTERDECK_RETENTION__JOBS_DAYS", "soon")])).unwrap_err();
    let text = problems.to_string();
    for expected in [
        "quarterdeck.toml:2:1: defualt_crew: there is no setting `defualt_crew` at the top; did you mean `default_crew`?",
        "quarterdeck.toml:5:1: server.prot: there is no setting `prot` in [server]",
        "quarterdeck.toml:7:1: store.durability: must be one of strict, relaxed, found `\"sometimes\"`",
        "quarterdeck.toml:9:1: worker.slots: must be a whole number of at most 10000, found `\"many\"`",
        "quarterdeck.toml:11:1: queue.max_depth: must be a whole number between 1 and 100000000, found `-1`",
        "quarterdeck.toml:13:1: providers.anthropic.api_key: the variable NOT_SET is not set",
        "quarterdeck.toml:15:1: providers.local.kind: must be one of anthropic, openai, sim, found `\"openia\"`; did you mean `openai`?",
        "variable QUARTERDECK_RETENTION__JOBS_DAYS: retention.jobs_days: must be a whole number between 1 and 36500",
    ] {
        assert!(text.contains(expected), "missing `{expected}` in:\n{text}");
    }
}

#[test]
fn values_out_of_range_are_explained() {
    let file = "[server]\nlisten = \"localhost\"\n[worker]\nslots = 20000\n[retry]\nbase_ms = 10\ncap_ms = 5\n\
                [conversations]\nreserve_tokens = 9000\n";
    let text = from(&sources(file, &[])).unwrap_err().to_string();
    for expected in [
        "server.listen: is an address",
        "worker.slots: must be",
        "retry.cap_ms: must be",
        "conversations.reserve_tokens: must be",
    ] {
        assert!(text.contains(expected), "missing `{expected}` in:\n{text}");
    }
}

#[test]
fn counts_without_bounds_and_words_without_meaning_are_refused() {
    for (setting, message) in [
        ("server.max_connections = 1000001", "server.max_connections: must be between 1 and 1000000"),
        ("server.max_connections_per_address = 0", "server.max_connections_per_address: must be between"),
        ("queue.max_depth = 100000001", "queue.max_depth: must be between 1 and 100000000"),
        ("limits.model_calls = 1000001", "limits.model_calls: must be between 1 and 1000000"),
        ("limits.tool_calls = 1000001", "limits.tool_calls: must be at most 1000000"),
        ("store.url = \"postgres://x\"", "store.url: `postgres://x` names no store; use sqlite:PATH"),
        ("store.url = \"sqlite:\"", "store.url: `sqlite:` names no store"),
        ("store.url = \"memory:x\"", "store.url: `memory:x` names no store"),
        ("log.level = \"loud\"", "log.level: log level `loud` is not understood"),
    ] {
        let text = from(&sources(setting, &[])).unwrap_err().to_string();
        assert!(text.starts_with("quarterdeck.toml:1:") && text.contains(message), "{setting}: {text}");
    }
    for setting in ["queue.max_depth = 100000000", "limits.tool_calls = 0", "store.url = \"memory:\""] {
        assert!(from(&sources(setting, &[])).is_ok(), "{setting}");
    }
}

#[test]
fn variable_of_an_unknown_section_is_named() {
    let problems = from(&sources("", &[("QUARTERDECK_WORKERS__SLOTS", "3")])).unwrap_err();
    assert_eq!(problems.0.len(), 1, "{problems}");
    assert!(
        problems.to_string().starts_with("variable QUARTERDECK_WORKERS__SLOTS: workers: there is no setting"),
        "{problems}"
    );
}

#[test]
fn broken_toml_is_located() {
    let problems = from(&sources("[server\nlisten = 1", &[])).unwrap_err();
    assert!(problems.to_string().starts_with("quarterdeck.toml:1:"), "{problems}");
}

#[test]
fn unknown_profile_is_refused_unless_the_file_has_its_table() {
    let variables = [("QUARTERDECK_ENV", "prod")];
    let problems = from(&sources("", &variables)).unwrap_err();
    assert!(problems.to_string().contains("there is no profile `prod`"), "{problems}");
    assert!(matches!(problems.0[0].at, Origin::Variable(_)));
    assert_eq!(
        from(&sources("[env.prod.worker]\nslots = 1\n", &variables)).unwrap().settings.worker.slots,
        1
    );
}

#[test]
fn production_refuses_literal_secrets_and_the_simulator() {
    let file = "[providers.anthropic]\napi_key = \"sk-x\"\n[providers.groq]\napi_key = { env = \"SET\" }\n[providers.sim]\n";
    let mut production = sources(file, &[]);
    production.profile = Some("production".into());
    let text = from(&production).unwrap_err().to_string();
    assert!(
        text.contains("quarterdeck.toml:2:1: providers.anthropic.api_key: production takes no secret"),
        "{text}"
    );
    assert!(text.contains("providers.sim: production does not run on the simulator"), "{text}");
    assert!(!text.contains("groq") && !text.contains("sk-x"), "{text}");
    assert!(from(&sources(file, &[])).is_ok(), "development takes both");
}

#[test]
fn models_with_dots_in_their_names_have_prices_and_aliases() {
    let file = "[providers.local]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:1\"\n\
                [models.\"gpt-4.1\"]\nprovider = \"local\"\nmodel = \"gpt-4.1\"\n\
                [prices.\"local/gpt-4.1\"]\ninput = 1\noutput = 2\n";
    let config = from(&sources(file, &[])).unwrap();
    assert_eq!((config.models.prices["local/gpt-4.1"].output, config.models.models.len()), (2.0, 1));
    assert_eq!(config.tree.origin("prices.local/gpt-4.1.output").to_string(), "quarterdeck.toml:9:1");
    let text = from(&sources(&file.replace("output = 2", "output = \"x\""), &[])).unwrap_err().to_string();
    assert_eq!(
        text,
        "quarterdeck.toml:9:1: prices.local/gpt-4.1.output: must be a number from 0 to 1000000, found `\"x\"`"
    );
}

#[test]
fn naming_a_model_of_the_simulator_is_enough() {
    let config = from(&sources("default_model = \"sim/standard\"", &[])).unwrap();
    assert_eq!(config.models.providers["sim"].kind, qd_llm::ProviderKind::Sim);
    assert_eq!(config.tree.origin("providers.sim").to_string(), "quarterdeck.toml:1:1");
    let mut production = sources("default_model = \"sim/standard\"", &[]);
    production.profile = Some("production".into());
    let text = from(&production).unwrap_err().to_string();
    assert!(text.starts_with("quarterdeck.toml:1:1: providers.sim: production does not run on"), "{text}");
}

#[test]
fn systems_are_named_sets_of_crews() {
    let config = from(&sources(
        "[systems.shop]\ncrews = [\"support\", \"orders\"]\n[systems.press]\ncrews = [\"news\"]",
        &[],
    ))
    .unwrap();
    let systems: Vec<_> =
        config.settings.systems.iter().map(|(name, system)| (name.as_str(), system.crews.len())).collect();
    assert_eq!(systems, [("press", 1), ("shop", 2)]);
}

#[test]
fn variables_of_others_are_left_alone() {
    for name in [
        "QUARTERDECK_SERVICE_HOST",
        "QUARTERDECK_SERVICE_PORT",
        "QUARTERDECK_SERVICE_PORT_HTTP",
        "QUARTERDECK_PORT",
        "QUARTERDECK_PORT_8000_TCP",
        "QUARTERDECK_API_PORT_8000_TCP_ADDR",
        "QUARTERDECK_API_SERVICE_HOST",
        "quarterdeck_worker__slots",
        "SLOTS",
    ] {
        assert!(from(&sources("", &[(name, "tcp://10.0.0.1:8000")])).is_ok(), "{name}");
    }
}

#[test]
fn what_is_allowed_and_doubtful_is_warned_of() {
    let public = "[server]\nlisten = \"0.0.0.0:8000\"\ninsecure_public = true\n[auth]\nmode = \"open\"\n";
    let model = |seconds: u32| {
        format!(
            "[providers.local]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:1\"\n[models.main]\nprovider = \"local\"\nmodel = \"m\"\ntimeout_seconds = {seconds}\n"
        )
    };
    let literal = "[providers.groq]\napi_key = \"gsk-x\"\n";
    for (profile, file, warning) in [
        ("development", String::new(), ""),
        ("production", public.to_owned(), "quarterdeck.toml:3:1: server.insecure_public: nobody needs a key"),
        ("development", public.to_owned(), ""),
        ("production", "[server]\nlisten = \"0.0.0.0:8000\"\n".to_owned(), ""),
        ("development", model(20), ""),
        (
            "development",
            model(60),
            "quarterdeck.toml:7:1: models.main.timeout_seconds: a server that stops waits worker.drain_timeout_seconds (30)",
        ),
        ("development", format!("{}[worker]\ndrain_timeout_seconds = 200\n", model(60)), ""),
        (
            "development",
            format!("{}[worker]\ndrain_timeout_seconds = 50\n", model(60)),
            "quarterdeck.toml:9:1: worker.drain_timeout_seconds: a server that stops waits",
        ),
        (
            "staging",
            "[store]\nurl = \"memory:\"\n".to_owned(),
            "quarterdeck.toml:2:1: store.url: jobs are kept in memory only",
        ),
        ("development", "[store]\nurl = \"memory:\"\n".to_owned(), ""),
        (
            "staging",
            literal.to_owned(),
            "quarterdeck.toml:2:1: providers.groq.api_key: staging takes no secret",
        ),
        ("development", literal.to_owned(), ""),
        (
            "development",
            "[server]\nadmin_listen = \"0.0.0.0:8080\"\n".to_owned(),
            "quarterdeck.toml:2:1: server.admin_listen: is open to other machines",
        ),
    ] {
        let mut sources = sources(&file, &[]);
        sources.profile = Some(profile.to_owned());
        let warnings = from(&sources).unwrap().warnings;
        let text = warnings.first().map(ToString::to_string).unwrap_or_default();
        assert_eq!(
            (warnings.len(), text.starts_with(warning)),
            (usize::from(!warning.is_empty()), true),
            "{profile}: {file}\n{text}"
        );
    }
}

#[test]
fn a_scenario_lies_under_what_stands_beside_it() {
    let file = "[providers.x]\nkind = \"sim\"\n[providers.x.sim]\nscenario = \"storm.toml\"\nseed = 9\n\
                latency.warm_up.seconds = 5\n";
    let config = from(&sources(file, &[])).unwrap();
    let sim = &config.models.providers["x"].sim;
    assert_eq!((sim.seed, sim.faults.len()), (9, 1));
    assert!((sim.latency.per_input_token_ms - 2.0).abs() < 1e-9);
    assert!((sim.latency.warm_up.seconds - 5.0).abs() < 1e-9);
}

#[test]
fn a_scenario_by_itself_has_the_same_keys() {
    let sim = super::scenario::of_file("storm.toml", STORM).unwrap();
    assert_eq!((sim.seed, sim.faults[0].kind.to_string().as_str()), (7, "503"));
    assert_eq!(super::scenario::of_file("empty.toml", "").unwrap(), qd_llm::sim::SimOptions::default());
    for (text, message) in [
        ("sede = 1", "s.toml:1:1: sede: there is no setting `sede` in a scenario; did you mean `seed`?"),
        (
            "[load]\nqueue = -1",
            "s.toml:2:1: load.queue: must be a whole number of at most 1000000, found `-1`",
        ),
        ("load = 3", "s.toml:1:1: load: must be a table, found `3`"),
        (
            "[[faults]]\nkind = \"storm\"",
            "s.toml:2:1: faults[0].kind: `storm` is no fault: a status from 400 to 599, or one of refused, ",
        ),
        (
            "[[faults]]\nkind = \"503\"\nprompt_matches = \"(\"",
            "s.toml:3:1: faults[0].prompt_matches: `(` is no regular expression",
        ),
        ("[[faults]]\nkind = \"503\"\nrate = 2", "s.toml:3:1: faults[0].rate: must be a number from 0 to 1"),
        ("[[faults]]\nrate = 0.5", "s.toml:1:1: faults[0]: lacks `kind`"),
        ("[[faults]]\nkind = \"hang\"\nbody = \"html\"", "s.toml:3:1: faults[0].body: is for statuses"),
        ("[load]\nfactor = 2", "s.toml:2:1: load.factor: means nothing without max_concurrency"),
        ("scenario = \"a\"", "s.toml:1:1: scenario: a scenario names no other one"),
        (
            "[latency]\nfirst_token = { kind = \"empirical\", values_ms = [5, 1] }",
            "s.toml:2:1: latency.first_token: needs milliseconds",
        ),
        ("seed = ", "s.toml:1:"),
    ] {
        let problems = super::scenario::of_file("s.toml", text).unwrap_err().to_string();
        assert!(problems.starts_with(message), "{text}: {problems}");
        let mistakes = problems.lines().filter(|line| line.starts_with("s.toml:")).count();
        assert_eq!(mistakes, 1, "{text}: {problems}");
    }
}
