//! The running server against its own document, by schemathesis: a client that is made from the document, sends what it allows
//! and what it forbids, follows its links, and believes nothing.
//!
//! `cargo xtask test` makes the Python environment; without it this test says that it was skipped.

use std::path::Path;
use std::time::Duration;

use tokio::process::Command;

use crate::process::{Project, SUMS, run, said, with_inner_sim};

/// Some thousands of requests.
const PATIENCE: Duration = Duration::from_secs(280);
/// What holds of every answer. That everything the document allows is accepted is not claimed: a crew that is no crew is an
/// object all the same.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,ignored_auth";

#[tokio::test]
async fn every_answer_that_schemathesis_gets_is_one_that_the_document_describes() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Some(python) = crate::sdk::python(folder) else {
        eprintln!("skipped: `cargo xtask test` makes the Python environment");
        return;
    };
    // Whoever is told off for asking too often is not told what the document says.
    let settings = "[auth]\nmode = \"keys\"\n[limits]\nkey_requests_per_second = 0\ntenant_requests_per_second = 0\n\
                    [delivery]\nsecret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n";
    let project = Project::new(&with_inner_sim(settings), &[("sums.yaml", SUMS)]);
    let scopes = ["admin", "jobs:read", "jobs:write", "crews:read", "crews:write", "conversations", "stats"];
    let args =
        ["keys", "create", "contract"].into_iter().chain(scopes.iter().flat_map(|scope| ["--scope", scope]));
    let made = run(&project.path(), &args.collect::<Vec<_>>()).await;
    let (key, err, code) = said(&made);
    assert_eq!(code, 0, "{err}");
    let server = project.serve("127.0.0.1:0").await;

    let mut command = Command::new(python.with_file_name("schemathesis"));
    command.env_clear().current_dir(project.path()).kill_on_drop(true);
    command.env("PYTHONPATH", folder.join("tests/it/sdk")).env("SCHEMATHESIS_HOOKS", "hooks");
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
        .args(["run", &server.url("/openapi.json"), "--header"])
        .arg(format!("Authorization: Bearer {}", key.trim()));
    command.args(["--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "8", "--seed", "7"]);
    command.args([
        "--checks",
        CHECKS,
        "--continue-on-failure",
        "--suppress-health-check",
        "all",
        "--no-color",
    ]);
    // Its generators are not made for several threads.
    command.args(["--workers", "1", "--request-timeout", "70"]);
    // One never ends by itself, one would end the key that all the others need, and one waits for what it began.
    command.args([
        "--exclude-operation-id",
        "followJob",
        "--exclude-operation-id",
        "revokeKey",
        "--exclude-operation-id",
        "createSystemTask",
    ]);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("ends in time").unwrap();
    let (out, err, code) = said(&output);
    assert_eq!(code, 0, "{out}\n{err}");
    // It says how many requests there were; a run that was let in nowhere proves nothing.
    assert!(!out.contains("returned only 401/403"), "{out}");
    let passed = out
        .lines()
        .find_map(|line| line.trim().strip_suffix(" passed")?.split(", ").last()?.parse::<u32>().ok());
    assert!(passed.is_some_and(|passed| passed > 1_000), "{out}");
}
