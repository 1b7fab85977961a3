//! `check` over every example and every sample, good and broken, and the schemas that editors go by.

use std::path::{Path, PathBuf};

use boon::{Compiler, Schemas};
use serde_json::Value;

use crate::process::{Project, run, said};
use crate::snapshot;

const CONFIG: &str = "crates/quarterdeck/tests/crews/quarterdeck.toml";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Crews of a folder, by their paths from the root.
fn crews_of(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(names.len() >= 3, "{folder} has {names:?}");
    names.into_iter().map(|name| format!("{folder}/{name}")).collect()
}

#[tokio::test]
async fn every_example_and_sample_is_checked_as_it_was() {
    for (folder, expected) in [
        ("examples/crews", 0),
        ("crates/quarterdeck/tests/crews/good", 0),
        ("crates/quarterdeck/tests/crews/broken", 3),
    ] {
        let mut all = String::new();
        for path in crews_of(folder) {
            let (out, err, code) = said(&run(&root(), &["check", &path, "--config", CONFIG]).await);
            assert_eq!(code, expected, "{path}: {err}");
            all.push_str(&format!("$ quarterdeck check {path}\n{err}{out}\n"));
        }
        let name = folder.rsplit('/').find(|part| *part != "crews").unwrap();
        snapshot::compare(&format!("crates/quarterdeck/tests/snapshots/check-{name}.txt"), &all);
    }
}

#[tokio::test]
async fn findings_are_told_to_programs_with_their_places() {
    let mut args = vec!["check", "-o", "json", "--config", CONFIG];
    let broken = crews_of("crates/quarterdeck/tests/crews/broken");
    args.extend(broken.iter().map(String::as_str));
    args.push("crates/quarterdeck/tests/crews/good/warnings.yaml");
    let (out, err, code) = said(&run(&root(), &args).await);
    assert_eq!((code, err.as_str()), (3, ""));
    snapshot::compare("crates/quarterdeck/tests/snapshots/check-broken.json", &out);
    let checked: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (checked["ok"].as_bool(), checked["crews"][0]["name"].as_str()),
        (Some(false), Some("warnings"))
    );
    let (out, _, code) = said(
        &run(&root(), &["check", "examples/crews/research.yaml", "-o", "json", "--config", CONFIG]).await,
    );
    let checked: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, checked["ok"].as_bool(), checked["errors"].as_u64()), (0, Some(true), Some(0)));
}

#[tokio::test]
async fn configuration_crews_profiles_and_systems_are_checked_together() {
    let file = "default_model = \"sim/standard\"\ncrews = [\"crews/*\", \"nowhere.yaml\"]\n\
                [systems.shop]\ncrews = [\"sums\", \"smus\"]\n\
                [env.production]\ndefault_model = \"main\"\n[env.staging.worker]\nslots = \"many\"\n";
    let project = Project::new(file, &[("sums.yaml", crate::process::SUMS)]);
    let (out, err, code) = said(&run(&project.path(), &["check"]).await);
    assert_eq!((code, out.as_str()), (3, "ok: crew sums (1 agent, 2 tasks)\n"), "{err}");
    for line in [
        "quarterdeck.toml:2:21: error: crews: `nowhere.yaml` is not there",
        "quarterdeck.toml:4:18: error: systems.shop.crews: there is no crew `smus`; did you mean `sums`?",
        "quarterdeck.toml:6:1: error: default_model: there is no model `main`; name an alias of [models] or provider/model (in the profile production)",
        "quarterdeck.toml:8:1: error: worker.slots: must be a whole number of at most 10000, found `\"many\"` (in the profile staging)",
        "4 errors, 0 warnings",
    ] {
        assert!(err.lines().any(|said| said == line), "`{line}` is not in:\n{err}");
    }
    let good = file
        .replace("\"nowhere.yaml\"", "")
        .replace(", \"smus\"", "")
        .replace("\"main\"", "\"ollama/x\"")
        .replace("\"many\"", "3");
    std::fs::write(project.path().join("quarterdeck.toml"), good).unwrap();
    let (out, err, code) = said(&run(&project.path(), &["check", "--env", "development"]).await);
    assert_eq!(
        (code, out.as_str()),
        (0, "ok: crew sums (1 agent, 2 tasks)\nok: system shop (sums)\n"),
        "{err}"
    );
}

#[tokio::test]
async fn crews_are_read_though_the_configuration_has_mistakes() {
    let project = Project::new("[server]\nprot = 1\n", &[("bad.yaml", "name: bad\nagents: {}\ntasks: []\n")]);
    let (_, err, code) = said(&run(&project.path(), &["check", "crews/bad.yaml"]).await);
    assert_eq!(code, 3);
    assert!(
        err.contains("quarterdeck.toml:2:1: error: server.prot:") && err.contains("crews/bad.yaml:2:"),
        "{err}"
    );
}

/// Why a document does not fit a schema, if it does not. The schema itself is held against the dialect it names.
pub(crate) fn mistakes(schema: &Value, document: &Value) -> Option<String> {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource("schema.json", schema.clone()).unwrap();
    let index =
        compiler.compile("schema.json", &mut schemas).unwrap_or_else(|wrong| panic!("no schema: {wrong:#}"));
    schemas.validate(document, index).err().map(|wrong| format!("{wrong:#}"))
}

fn yaml(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|wrong| panic!("{}: {wrong}", path.display()))
}

async fn schema(args: &[&str]) -> Value {
    let (out, err, code) = said(&run(&root(), args).await);
    assert_eq!((code, err.as_str()), (0, ""), "{args:?}");
    serde_json::from_str(&out).unwrap()
}

#[tokio::test]
async fn crew_files_that_the_loader_takes_fit_their_schema() {
    let crew = schema(&["check", "--schema"]).await;
    for folder in ["examples/crews", "crates/quarterdeck/tests/crews/good"] {
        for path in crews_of(folder) {
            let full = root().join(&path);
            if full.is_file() {
                assert_eq!(mistakes(&crew, &yaml(&full)), None, "{path}");
                continue;
            }
            for (file, of) in
                [("agents.yaml", "agents"), ("tasks.yaml", "tasks"), ("crew.yaml", "folder-crew")]
            {
                let schema = schema(&["check", &format!("--schema={of}")]).await;
                assert_eq!(mistakes(&schema, &yaml(&full.join(file))), None, "{path}/{file}");
            }
        }
    }
    let assistant = root().join("crates/quarterdeck/src/assistant.yaml");
    assert_eq!(mistakes(&crew, &yaml(&assistant)), None);
}

#[tokio::test]
async fn mistakes_that_a_schema_can_see_are_seen() {
    let crew = schema(&["check", "--schema"]).await;
    for name in
        ["lacks_everything.yaml", "misspelt_keys.yaml", "wrong_types.yaml", "not_supported.yaml", "text.yaml"]
    {
        let path = root().join("crates/quarterdeck/tests/crews/broken").join(name);
        assert!(mistakes(&crew, &yaml(&path)).is_some(), "{name}");
    }
}

#[tokio::test]
async fn configurations_fit_their_schema_and_mistakes_do_not() {
    let schema = schema(&["config", "schema"]).await;
    let fits = |text: &str| mistakes(&schema, &toml::from_str::<Value>(text).unwrap());
    let defaults =
        std::fs::read_to_string(root().join("crates/quarterdeck/src/config/defaults.toml")).unwrap();
    let whole = "default_model = \"main\"\n[providers.anthropic]\napi_key = { env = \"X\" }\n\
                 [providers.local]\nkind = \"openai\"\nbase_url = \"http://127.0.0.1:1/v1\"\napi_key = { file = \"x\" }\nidle_timeout_seconds = 1.5\n\
                 [providers.sim.sim]\nseed = 1\nlatency = { first_token = { kind = \"lognormal\", p50_ms = 1.0, p99_ms = 2.0 } }\n\
                 faults = [{ kind = \"503\", rate = 0.1 }]\n[models.main]\nprovider = \"local\"\nmodel = \"m\"\n\
                 [prices.\"local/m\"]\ninput = 1\noutput = 2.5\n[systems.shop]\ncrews = [\"a\"]\n\
                 [env.production.models.main]\ntimeout_seconds = 5\n";
    for good in ["", &defaults, whole] {
        assert_eq!(fits(good), None, "{good}");
    }
    for bad in [
        "colour = 1",
        "[worker]\nslots = -1",
        "[worker]\nslots = \"many\"",
        "[store]\ndurability = \"sometimes\"",
        "[providers.x]\napi_key = { env = \"A\", file = \"b\" }",
        "[models.main]\nprovider = \"x\"",
        "[env.production.server]\nprot = 1",
        "crews = \"crews/*\"",
    ] {
        assert!(fits(bad).is_some(), "{bad}");
    }
}
