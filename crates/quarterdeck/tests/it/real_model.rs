//! One crew against a real model: any OpenAI-compatible endpoint given by variables.
//!
//!   OPENAI_BASE_URL=http://127.0.0.1:9911/v1 OPENAI_MODEL=smollm2 cargo xtask test -- real_model

use serde_json::Value;

use crate::process::{quarterdeck, said};

const CREW: &str = r#"
name: haiku
agents:
  poet: {role: Poet, goal: "Write short poems", backstory: "You write plainly.", max_tokens: 60}
tasks:
  - {name: poem, description: "Write three short lines about {subject}.", expected_output: "Three lines", agent: poet}
"#;

#[tokio::test]
async fn real_model_answers_through_a_crew() {
    let given = ["OPENAI_BASE_URL", "OPENAI_MODEL", "OPENAI_API_KEY"].map(|name| (name, std::env::var(name)));
    if given[0].1.is_err() {
        eprintln!("skipped: set OPENAI_BASE_URL and OPENAI_MODEL to run a crew against a real model");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let crew = folder.path().join("haiku.yaml");
    std::fs::write(&crew, CREW).unwrap();
    let mut command = quarterdeck(folder.path());
    for (name, value) in given {
        if let Ok(value) = value {
            command.env(name, value);
        }
    }
    let output =
        command.args(["run", crew.to_str().unwrap(), "-i", "subject=the sea", "-o", "json"]).output();
    let output = tokio::time::timeout(std::time::Duration::from_secs(300), output)
        .await
        .expect("answers in time")
        .unwrap();
    let (out, err, code) = said(&output);
    assert_eq!(code, 0, "{err}");
    let job: Value = serde_json::from_str(&out).unwrap();
    eprintln!("the model wrote:\n{}", job["output"]["raw"].as_str().unwrap());
    assert!(job["usage"]["output_tokens"].as_u64().unwrap() > 0, "usage is counted: {}", job["usage"]);
}
