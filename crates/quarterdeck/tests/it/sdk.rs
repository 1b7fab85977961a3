//! The official clients of OpenAI and Anthropic against `sim serve`: the simulator and our own wires share code, so only
//! somebody else's client can tell whether both share a mistake.
//!
//! `cargo xtask test` makes the Python environment; without it these tests say that they were skipped.

mod contract;

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::kill::TALK;
use crate::process::{PATIENCE, Project, SUMS, said, sim, with_sim};

/// Limits for one model alone, which one test empties.
const SCENARIO: &str = "[[limits]]\nmodel = \"limited\"\nrequests_per_minute = 3\n";

#[tokio::test]
async fn the_official_openai_client_gets_what_it_expects() {
    accept("OpenAi").await;
}

#[tokio::test]
async fn the_official_anthropic_client_gets_what_it_expects() {
    accept("Anthropic").await;
}

#[tokio::test]
async fn the_official_openai_client_asks_crews_as_models() {
    let sim = sim(&["--token-ms", "10"]).await;
    let project = Project::new(&with_sim(&sim, ""), &[("sums.yaml", SUMS), ("talk.yaml", TALK)]);
    let server = project.serve("127.0.0.1:0").await;
    succeeds("crews.py", &[&server.url("")]).await;
}

async fn accept(client: &str) {
    let scenario = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(scenario.path(), SCENARIO).unwrap();
    let sim = sim(&["--scenario", scenario.path().to_str().unwrap()]).await;
    succeeds("acceptance.py", &[&sim.url(""), client]).await;
}

/// Runs the tests of a script.
async fn succeeds(script: &str, args: &[&str]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Some(python) = python(folder) else {
        eprintln!("skipped: `cargo xtask test` makes the Python environment of the official clients");
        return;
    };
    let mut command = Command::new(python);
    // No variable of this machine reaches a client: neither a key nor a proxy.
    command.env_clear().kill_on_drop(true);
    command.arg(folder.join("tests/it/sdk").join(script)).args(args);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("ends in time").unwrap();
    let (out, err, code) = said(&output);
    assert_eq!(code, 0, "{out}\n{err}");
    assert!(err.contains("\nOK"), "{err}");
}

/// The interpreter of the environment, if it has what `requirements.txt` names.
pub(crate) fn python(folder: &Path) -> Option<PathBuf> {
    let environment = folder.join("../../target/sdk");
    let wanted = std::fs::read_to_string(folder.join("tests/it/sdk/requirements.txt")).unwrap();
    let installed = std::fs::read_to_string(environment.join("requirements.txt")).ok()?;
    (installed == wanted).then(|| environment.join("bin/python"))
}
