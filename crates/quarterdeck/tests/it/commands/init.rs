//! `init`: what it makes runs at once, fits its schemas, and overwrites nothing.

use serde_json::Value;

use crate::process::{finished, get, post, quarterdeck, run, said};

#[tokio::test]
async fn new_project_checks_and_runs_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    for (template, crew, input) in [
        ("crew", "research", "topic=tides"),
        ("folder", "newsletter", "subject=night trains"),
        ("chat", "support", "message=Where is my order?"),
    ] {
        let (out, err, code) = said(&run(folder.path(), &["init", template, "--template", template]).await);
        assert_eq!(code, 0, "{err}");
        assert!(
            out.contains("quarterdeck.toml") && err.contains(&format!("quarterdeck run {crew} -i")),
            "{out}{err}"
        );
        let project = folder.path().join(template);
        for path in out.lines().skip(1).map(str::trim) {
            assert!(project.join(path).is_file(), "{path}");
        }
        let (out, err, code) = said(&run(&project, &["check"]).await);
        assert!(code == 0 && out.contains(&format!("ok: crew {crew}")) && err.is_empty(), "{out}{err}");
        let (out, err, code) = said(&run(&project, &["run", crew, "-i", input, "-o", "json"]).await);
        assert_eq!(code, 0, "{err}");
        assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["status"], "succeeded");
        let readme = std::fs::read_to_string(project.join("README.md")).unwrap();
        assert!(!readme.contains('{') && readme.contains(&format!("quarterdeck run {crew}")), "{readme}");
    }
}

#[tokio::test]
async fn one_changed_line_and_a_key_lead_to_a_real_provider() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["init", "p"]).await;
    let project = folder.path().join("p");
    let settings = std::fs::read_to_string(project.join("quarterdeck.toml")).unwrap();
    assert_eq!(settings.matches("\"sim/standard\"").count(), 1, "one line decides");
    let settings = settings.replace("\"sim/standard\"", "\"anthropic/claude-sonnet-4-5\"");
    std::fs::write(project.join("quarterdeck.toml"), settings).unwrap();
    let (_, err, code) = said(&run(&project, &["check"]).await);
    assert!(code == 3 && err.contains("set ANTHROPIC_API_KEY (in development also in .env)"), "{err}");
    let variables = std::fs::read_to_string(project.join(".env.example")).unwrap();
    std::fs::write(project.join(".env"), variables.replace("# ANTHROPIC_API_KEY=", "ANTHROPIC_API_KEY=sk-x"))
        .unwrap();
    let (_, err, code) = said(&run(&project, &["check"]).await);
    assert_eq!(code, 0, "{err}");
}

#[tokio::test]
async fn project_serves_its_chat() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["init", "desk", "--template", "chat"]).await;
    let mut command = quarterdeck(&folder.path().join("desk"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", ""]);
    let server = crate::process::Process::start(&mut command, "API").await;
    let (_, chat) =
        post(&server.url("/chat"), &serde_json::json!({"user_id": "ada", "message": "hello"})).await;
    let job = finished(&server.url(""), chat["job_id"].as_str().unwrap()).await;
    assert_eq!((job["crew"].as_str(), job["status"].as_str()), (Some("support"), Some("succeeded")));
    assert!(get(&server.url("/v1/crews")).await.to_string().contains("support"));
}

#[tokio::test]
async fn nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("full")).unwrap();
    std::fs::write(folder.path().join("full/notes.txt"), "mine").unwrap();
    std::fs::write(folder.path().join("file"), "mine").unwrap();
    std::fs::create_dir_all(folder.path().join("repository/.git")).unwrap();
    std::fs::create_dir_all(folder.path().join("empty")).unwrap();
    for (name, code, message) in [
        ("full", 7, "it holds notes.txt already, and nothing is overwritten"),
        ("file", 7, "it is there and no folder"),
        ("", 2, "a value is required"),
        ("empty", 0, ""),
        ("empty", 7, "and nothing is overwritten"),
        ("repository", 0, ""),
        ("a/b/c", 0, ""),
    ] {
        let (_, err, ended) = said(&run(folder.path(), &["init", name]).await);
        assert_eq!(ended, code, "{name}: {err}");
        assert!(err.contains(message), "{name}: {err}");
    }
    assert_eq!(std::fs::read_dir(folder.path().join("full")).unwrap().count(), 1);
}

#[tokio::test]
async fn hints_for_editors_point_to_schemas_that_are_there() {
    let folder = tempfile::tempdir().unwrap();
    for template in ["crew", "folder"] {
        run(folder.path(), &["init", template, "--template", template]).await;
        let project = folder.path().join(template);
        let crews: Vec<_> = if template == "crew" {
            vec!["crews/research.yaml"]
        } else {
            vec!["crews/newsletter/agents.yaml", "crews/newsletter/tasks.yaml", "crews/newsletter/crew.yaml"]
        };
        for path in crews.into_iter().chain(["quarterdeck.toml"]) {
            let text = std::fs::read_to_string(project.join(path)).unwrap();
            let first = text.lines().next().unwrap();
            let hint = first
                .strip_prefix("# yaml-language-server: $schema=")
                .or_else(|| first.strip_prefix("#:schema "))
                .unwrap_or_else(|| panic!("{path} begins with {first}"));
            let schema = project.join(path).parent().unwrap().join(hint);
            let schema: Value = serde_json::from_str(&std::fs::read_to_string(&schema).unwrap()).unwrap();
            assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema", "{path}");
            let document: Value = if path.ends_with(".toml") {
                toml::from_str(&text).unwrap()
            } else {
                serde_saphyr::from_str(&text).unwrap()
            };
            assert_eq!(crate::commands::check::mistakes(&schema, &document), None, "{path}");
        }
    }
}
