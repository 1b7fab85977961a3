//! The command line: exit codes, where output goes, messages that say what to do.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::process::{
    PATIENCE, Process, Project, SUMS, post, quarterdeck, run, said, sim, until, with_inner_sim, with_sim,
};

/// Runs a command that must fail: how it ends, and what it must say on standard error.
async fn refused(project: &Project, args: &[&str], code: i32, message: &str) {
    let (out, err, ended) = said(&run(&project.path(), args).await);
    assert_eq!((ended, out.as_str()), (code, ""), "{args:?}: {err}");
    assert!(err.contains(message), "{args:?}: `{message}` is not in: {err}");
}

#[tokio::test]
async fn mistakes_in_files_end_with_code_three_and_name_the_place() {
    let inner = |more: &str| Project::new(&with_inner_sim(more), &[]);
    let no_model = Project::new("", &[]);
    let broken = Project::new("[server]\nprot = 1\n", &[]);
    let bad_crew = Project::new(&with_inner_sim(""), &[("bad.yaml", "name: bad\nagents: {}\ntasks: []\n")]);
    let missing_default = inner("default_crew = \"ghost\"");
    let public = inner("[server]\nlisten = \"0.0.0.0:0\"");
    let no_secret = Project::new("[providers.anthropic]\napi_key = { env = \"NOPE\" }\n", &[]);
    let unwritable = inner(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"\"\n[store]\nurl = \"sqlite:/proc/nope/store.db\"",
    );
    let elsewhere = inner("[log]\nlevel = \"loud\"\n[store]\nurl = \"postgres://x\"");
    for (project, args, message) in [
        (&broken, vec!["serve"], "quarterdeck.toml:2:1: server.prot: there is no setting `prot` in [server]"),
        (&no_model, vec!["serve"], "there is no model to ask"),
        (&no_model, vec!["run", "assistant", "-i", "message=x"], "add --sim"),
        (&bad_crew, vec!["serve"], "bad.yaml:"),
        (&bad_crew, vec!["check"], "bad.yaml:"),
        (&missing_default, vec!["serve"], "default_crew `ghost` is not among the crews"),
        (&missing_default, vec!["check"], "default_crew `ghost` is not among the crews"),
        (&public, vec!["check"], "refusing to listen on 0.0.0.0:0"),
        (&public, vec!["serve"], "refusing to listen on 0.0.0.0:0"),
        (&elsewhere, vec!["check"], "quarterdeck.toml:5:1: error: store.url: `postgres://x` names no store"),
        (&elsewhere, vec!["serve"], "quarterdeck.toml:3:1: log.level: log level `loud`"),
        (&no_secret, vec!["serve"], "providers.anthropic.api_key: the variable NOPE is not set"),
        (&unwritable, vec!["serve"], "cannot open the store"),
        (&no_model, vec!["serve", "--config", "nowhere.toml"], "cannot read the configuration nowhere.toml"),
        (&no_model, vec!["serve", "--env", "prod"], "there is no profile `prod`"),
    ] {
        refused(project, &args, 3, message).await;
    }
}

#[tokio::test]
async fn mistakes_in_arguments_end_with_their_code_and_name_the_thing() {
    let project = Project::new("", &[("bad.yaml", "name: bad\nagents: {}\ntasks: []\n")]);
    std::fs::write(project.path().join("storm.toml"), "[[faults]]\nkind = \"rain\"\n").unwrap();
    let away = "http://127.0.0.1:9";
    for (args, code, message) in [
        (vec!["frobnicate"], 2, "unrecognized subcommand"),
        (vec!["run", "x", "-i", "novalue", "--sim"], 2, "`novalue` is no NAME=VALUE"),
        (vec!["run", "x", "-i", "a=1", "-i", "a=2", "--sim"], 2, "`a` is given twice"),
        (vec!["run", "crews/none.yaml", "--sim"], 2, "there is no file crews/none.yaml"),
        (vec!["run", "crews/bad.yaml", "--url", away], 2, "a server takes names of crews"),
        (vec!["demo", "--listen", "bogus"], 2, "it looks like 127.0.0.1:8000"),
        (vec!["sim", "serve", "--latency-ms", "inf"], 2, "--latency-ms inf: is no time"),
        (vec!["sim", "serve", "--token-ms=-1"], 2, "--token-ms -1: is no time"),
        (vec!["sim", "serve", "--fault", "lightning:0.1"], 2, "--fault lightning:0.1"),
        (vec!["sim", "serve", "--scenario", "none.toml"], 3, "cannot read the scenario none.toml"),
        (
            vec!["sim", "serve", "--scenario", "storm.toml"],
            3,
            "storm.toml:2:1: faults[0].kind: `rain` is no fault",
        ),
        (vec!["jobs", "list", "--url", "localhost"], 2, "`localhost` is no URL"),
        (vec!["jobs", "list", "--url", away], 4, "cannot reach the server at http://127.0.0.1:9"),
        (
            vec!["run", "assistant", "-i", "message=x", "--url", away],
            4,
            "cannot reach the server at http://127.0.0.1:9",
        ),
    ] {
        refused(&project, &args, code, message).await;
    }
}

#[tokio::test]
async fn port_and_store_that_are_taken_are_named() {
    let project = Project::new(&with_inner_sim(""), &[]);
    let server = project.serve("127.0.0.1:0").await;
    let other = Project::new(&with_inner_sim(""), &[]);
    let (_, err, code) =
        said(&run(&other.path(), &["serve", "--listen", &server.address, "--admin-listen", ""]).await);
    assert_eq!(code, 7, "{err}");
    assert!(err.contains(&format!("cannot listen on {}", server.address)), "{err}");
    let (_, err, code) =
        said(&run(&project.path(), &["serve", "--listen", "127.0.0.1:0", "--admin-listen", ""]).await);
    assert_eq!(code, 7, "{err}");
    assert!(err.contains("quarterdeck.db is in use by another process"), "{err}");
}

#[tokio::test]
async fn jobs_are_submitted_followed_listed_and_shown() {
    let project = Project::new(&with_inner_sim(""), &[("sums.yaml", SUMS)]);
    let server = project.serve("127.0.0.1:0").await;
    let url = format!("http://{}", server.address);
    let folder = project.path();
    let (id, _, code) = said(
        &run(
            &folder,
            &[
                "submit",
                "sums",
                "-i",
                "question=6*7",
                "--priority",
                "5",
                "--idempotency-key",
                "k",
                "--url",
                &url,
            ],
        )
        .await,
    );
    assert_eq!(code, 0);
    let id = id.trim();
    let (again, _, _) = said(
        &run(
            &folder,
            &[
                "submit",
                "sums",
                "-i",
                "question=6*7",
                "--priority",
                "5",
                "--idempotency-key",
                "k",
                "--url",
                &url,
            ],
        )
        .await,
    );
    assert_eq!(again.trim(), id);
    let (_, err, code) = said(
        &run(&folder, &["submit", "sums", "-i", "question=1", "--idempotency-key", "k", "--url", &url]).await,
    );
    assert_eq!(code, 7, "{err}");

    let (out, err, code) = said(&run(&folder, &["tail", id, "--url", &url]).await);
    assert_eq!(code, 0, "{err}");
    assert!(!out.is_empty() && err.contains("work done") && err.contains("calculator →"), "{out}\n{err}");
    let (out, _, _) = said(&run(&folder, &["tail", id, "--url", &url, "-o", "jsonl"]).await);
    let events: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.last().unwrap()["event"], "job.succeeded");

    let (out, _, code) = said(&run(&folder, &["jobs", "list", "--url", &url]).await);
    assert!(code == 0 && out.starts_with("ID ") && out.contains(id) && out.contains("succeeded"), "{out}");
    let (out, _, _) =
        said(&run(&folder, &["jobs", "list", "--status", "failed", "-o", "json", "--url", &url]).await);
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), json!([]));
    let (out, _, _) = said(&run(&folder, &["jobs", "get", id, "-o", "json", "--url", &url]).await);
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["priority"], 5);
    let (_, err, code) =
        said(&run(&folder, &["jobs", "get", "00000000-0000-7000-8000-000000000000", "--url", &url]).await);
    assert_eq!(code, 6, "{err}");
    let (_, err, code) = said(&run(&folder, &["submit", "nosuch", "--url", &url]).await);
    assert!(code == 2 && err.contains("there is no crew `nosuch`"), "{code} {err}");
}

#[tokio::test]
async fn cancelled_job_is_over_and_its_call_is_dropped() {
    let sim = sim(&["--latency-ms", "30000"]).await;
    let project = Project::new(&with_sim(&sim, ""), &[]);
    let server = project.serve("127.0.0.1:0").await;
    let url = format!("http://{}", server.address);
    let (id, _, _) =
        said(&run(&project.path(), &["submit", "assistant", "-i", "message=hi", "--url", &url]).await);
    let id = id.trim();
    crate::process::in_mid_call(&sim).await;
    let (out, err, code) = said(&run(&project.path(), &["jobs", "cancel", id, "--url", &url]).await);
    assert_eq!((out.trim(), code), (format!("{id} cancelled").as_str(), 0), "{err}");
    crate::process::until("the call is dropped", || async {
        (crate::process::get(&sim.url("/ledger")).await["in_flight"] == 0).then_some(())
    })
    .await;
    let (_, err, code) = said(&run(&project.path(), &["tail", id, "--url", &url]).await);
    assert!(code == 1 && err.contains("the job was cancelled"), "{code} {err}");
}

#[tokio::test]
async fn failed_job_ends_with_its_reason_and_exit_code_one() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["run", "assistant", "-i", "message=hi [[sim: fault=401]]", "--sim"];
    let (out, err, code) = said(&run(folder.path(), &args).await);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.contains("the job failed: task `answer`") && err.contains("(model_auth)"), "{err}");
}

#[tokio::test]
async fn configuration_is_shown_with_origins_and_without_secrets() {
    let pepper = "0123456789abcdef0123456789abcdef";
    let settings = "[providers.groq]\napi_key = \"gsk-secret\"\n[worker]\nslots = 3\n";
    let project = Project::new(&format!("{settings}[auth]\npepper = \"{pepper}\"\n"), &[]);
    let (out, _, code) = said(&run(&project.path(), &["config", "show"]).await);
    assert!(
        code == 0 && out.contains("slots = 3") && !out.contains("gsk-secret") && out.contains("[redacted]"),
        "{out}"
    );
    assert!(!out.contains(pepper), "{out}");
    let (out, _, _) = said(&run(&project.path(), &["config", "show", "--origin"]).await);
    let line = out.lines().find(|line| line.starts_with("worker.slots")).unwrap();
    assert!(line.contains("quarterdeck.toml:4:1"), "{line}");
}

#[tokio::test]
async fn demo_shows_crews_surviving_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let (out, err, code) =
        said(&run(folder.path(), &["demo", "--chaos", "--jobs", "5", "--listen", "127.0.0.1:0"]).await);
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("kill -9 number 1") && err.contains("the server is back after"), "{err}");
    assert!(out.contains("5 accepted, 5 succeeded, 0 failed, 0 still open"), "{out}");
    assert!(out.contains("journaled calls made again: 0"), "{out}");
}

#[tokio::test]
async fn server_of_a_demo_does_not_outlive_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = quarterdeck(folder.path());
    command.args(["demo", "--jobs", "50", "--listen", "127.0.0.1:0"]);
    let mut demo = Process::start(&mut command, "API").await;
    assert!(tokio::net::TcpStream::connect(&demo.address).await.is_ok(), "the server is there");
    demo.kill().await;
    until("the server is gone, too", || async {
        tokio::net::TcpStream::connect(&demo.address).await.is_err().then_some(())
    })
    .await;
}

#[tokio::test]
async fn run_works_where_servers_have_no_slots() {
    let project = Project::new(&with_inner_sim("[worker]\nslots = 0"), &[]);
    let (out, err, code) = said(&run(&project.path(), &["run", "assistant", "-i", "message=hi"]).await);
    assert!(code == 0 && !out.is_empty(), "{code} {err}");
}

#[tokio::test]
async fn reader_that_goes_away_is_no_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = quarterdeck(folder.path());
    let output = command.args(["config", "show"]).stdin(Stdio::null()).stdout(writer).stderr(Stdio::piped());
    let child = output.spawn().unwrap();
    let output =
        tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("ends in time").unwrap();
    assert_eq!(said(&output), (String::new(), String::new(), 0));
}

#[tokio::test]
async fn endpoint_that_is_down_or_talks_nonsense_is_told_and_tried_again() {
    let sim = sim(&["--fault", "html:1"]).await;
    let project = Project::new(&with_sim(&sim, "[retry]\nmax_attempts = 2\nbase_ms = 10"), &[]);
    let server = project.serve("127.0.0.1:0").await;
    let ask = json!({"crew": "assistant", "input": {"message": "hi"}});
    let (_, job) = post(&server.url("/v1/jobs"), &ask).await;
    let job = crate::process::finished(&server.url(""), job["id"].as_str().unwrap()).await;
    assert_eq!(
        (job["status"].as_str(), job["error"]["class"].as_str()),
        (Some("failed"), Some("exhausted")),
        "{job}"
    );
    drop(sim);
    let (_, job) = post(&server.url("/v1/jobs"), &ask).await;
    let job = crate::process::finished(&server.url(""), job["id"].as_str().unwrap()).await;
    assert_eq!(job["error"]["code"], "model_unreachable", "{job}");
    assert!(job["error"]["message"].as_str().unwrap().contains("gave up after 2 tries"), "{job}");
}

#[tokio::test]
async fn shells_and_man_are_told_about_every_command() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (out, err, code) = said(&run(folder.path(), &["completions", shell]).await);
        assert!(code == 0 && out.contains("doctor") && out.contains("export"), "{shell}: {err}");
    }
    let (out, _, code) = said(&run(folder.path(), &["man"]).await);
    assert!(code == 0 && out.contains(".TH quarterdeck 1"), "{out}");
    let (_, err, code) = said(&run(folder.path(), &["man", "--out", "pages"]).await);
    assert_eq!(code, 0, "{err}");
    for page in
        ["quarterdeck.1", "quarterdeck-jobs-export.1", "quarterdeck-config-schema.1", "quarterdeck-doctor.1"]
    {
        assert!(folder.path().join("pages").join(page).is_file(), "{page}");
    }
    let (_, err, code) = said(&run(folder.path(), &["completions", "tcsh"]).await);
    assert!(code == 2 && err.contains("bash"), "{err}");
}

#[tokio::test]
async fn codes_are_explained_offline() {
    let folder = tempfile::tempdir().unwrap();
    let (out, _, code) = said(&run(folder.path(), &["explain", "model_timeout"]).await);
    assert!(code == 0 && out.starts_with("# model_timeout\n") && out.contains("## What to do"), "{out}");
    let (out, _, code) = said(&run(folder.path(), &["explain", "-o", "jsonl"]).await);
    let codes: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(code == 0 && codes.len() > 30 && codes.iter().any(|c| c["code"] == "queue_full"), "{out}");
    refused(&Project::new("", &[]), &["explain", "quue_full"], 6, "did you mean `queue_full`?").await;
}
