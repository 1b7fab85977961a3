//! `loadtest` against the real server: what it counts, what it judges, and what it finds when a server breaks its word.

use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::process::{
    PATIENCE, Process, Project, Socket, get, quarterdeck, run, said, sim, until, with_inner_sim, with_sim,
};

/// A load test with its report: what it found, what it said, how it ended.
async fn load(project: &Project, url: &str, args: &[&str]) -> (Value, String, i32) {
    let all = [&["loadtest", "--url", url, "-o", "json"], args].concat();
    let (out, err, code) = said(&run(&project.path(), &all).await);
    (serde_json::from_str(&out).unwrap_or_default(), err, code)
}

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap()
}

#[tokio::test]
async fn every_job_of_a_load_is_followed_to_its_end_and_judged() {
    let project = Project::new(&with_inner_sim(""), &[]);
    let server = project.serve("127.0.0.1:0").await;
    for follow in ["poll", "events"] {
        let file = project.path().join(format!("{follow}.json"));
        // What a busy machine keeps as well.
        let slos = ["--slo", "accept_p95=30s", "--slo", "wait_p95=30s", "--slo", "error_rate=0"];
        let args = ["--rate", "40", "--duration", "2s", "--warmup", "500ms", "--follow", follow, "--report"];
        let args = [&slos[..], &args[..], &[file.to_str().unwrap()]].concat();
        let (report, err, code) = load(&project, &server.url(""), &args).await;
        assert_eq!((code, &report["verdict"]), (0, &Value::from("passed")), "{err} {report:#}");
        assert_eq!(report["version"], 1);
        let (requests, jobs) = (&report["requests"], &report["jobs"]);
        assert_eq!(
            (&requests["warmup"], &requests["offered"], &requests["accepted"]),
            (&20.into(), &80.into(), &80.into())
        );
        assert_eq!(jobs["succeeded"], 80, "{report:#}");
        assert!(
            jobs["model_calls"].as_u64().unwrap() >= 80 && jobs["tokens"].as_u64().unwrap() > 800,
            "{jobs:#}"
        );
        for span in ["accept", "wait", "run", "end_to_end"] {
            assert_eq!(report["latency_ms"][span]["count"], 80, "{span}");
        }
        let finished: u64 = report["over_time"]["steps"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["finished"].as_u64().unwrap())
            .sum();
        assert_eq!(finished, 100);
        let written: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(written, report);
    }
    // No two jobs asked the same: the crew of nobody's choice got an input with a number in it.
    let jobs = get(&server.url("/v1/jobs?limit=2")).await;
    assert_ne!(jobs["jobs"][0]["input"], jobs["jobs"][1]["input"]);
}

#[tokio::test]
async fn a_missed_objective_ends_with_code_one() {
    let sim = sim(&["--latency-ms", "100"]).await;
    let project = Project::new(&with_sim(&sim, ""), &[]);
    let server = project.serve("127.0.0.1:0").await;
    let args = ["--duration", "1s", "--slo", "run_p50=50ms", "--slo", "error_rate=0"];
    let (report, err, code) = load(&project, &server.url(""), &args).await;
    assert_eq!((code, &report["verdict"]), (1, &Value::from("failed")), "{err} {report:#}");
    let met: Vec<_> =
        report["slos"].as_array().unwrap().iter().map(|slo| slo["met"].as_bool().unwrap()).collect();
    assert_eq!(met, [false, true]);
    assert!(report["slos"][0]["measured"].as_f64().unwrap() >= 100.0);
    let page =
        said(&run(&project.path(), &[&["loadtest", "--url", &server.url("")], &args[..]].concat()).await);
    assert!(page.0.contains("MISSED  run_p50") && page.0.contains("verdict: failed"), "{page:?}");
}

#[tokio::test]
async fn refusals_are_counted_apart_from_errors_and_unfinished_jobs_are_named() {
    let more = "[worker]\nslots = 0\n[queue]\nmax_depth = 5\n";
    let project = Project::new(&format!("{}{more}", with_inner_sim("")), &[]);
    let server = project.serve("127.0.0.1:0").await;
    let args = ["--rate", "30", "--duration", "1s", "--settle", "1s"];
    let (report, err, code) = load(&project, &server.url(""), &args).await;
    assert_eq!(code, 1, "{err} {report:#}");
    let requests = &report["requests"];
    assert_eq!((&requests["accepted"], &requests["refused"]["total"]), (&5.into(), &25.into()), "{report:#}");
    assert_eq!(requests["errors"]["total"], 0);
    assert!(requests["refused"]["retry_after_seconds"]["min"].as_u64().unwrap() >= 1, "{requests:#}");
    let unfinished = check(&report, "jobs that did not end in time");
    assert_eq!((&unfinished["count"], unfinished["jobs"].as_array().unwrap().len()), (&5.into(), 5));
    assert_eq!(check(&report, "nothing succeeded")["met"], false);
}

#[tokio::test]
async fn no_more_jobs_are_under_way_than_may_be_and_the_rest_is_counted() {
    let more = "[worker]\nslots = 0\n";
    let project = Project::new(&format!("{}{more}", with_inner_sim("")), &[]);
    let server = project.serve("127.0.0.1:0").await;
    let args = ["--rate", "30", "--duration", "1s", "--settle", "0s", "--in-flight", "3"];
    let (report, err, _) = load(&project, &server.url(""), &args).await;
    let requests = &report["requests"];
    assert_eq!(
        (&requests["accepted"], &requests["not_sent"]["in_flight"]),
        (&3.into(), &27.into()),
        "{report:#}"
    );
    assert!(err.contains("27 jobs were not sent"), "{err}");
}

#[tokio::test]
async fn jobs_that_a_server_forgets_are_found() {
    // A store in memory breaks the promise that every acknowledged job outlives a crash.
    let project = Project::new(&with_inner_sim("[store]\nurl = \"memory:\""), &[]);
    let socket = Socket::open();
    let mut server = socket.serve(&project).await;
    let url = socket.url();
    let load = load(&project, &url, &["--rate", "40", "--duration", "3s", "--settle", "5s"]);
    let crash = async {
        until("jobs are accepted", || async {
            let jobs = get(&format!("{url}/v1/jobs?limit=50")).await;
            (jobs["jobs"].as_array().unwrap().len() >= 10).then_some(())
        })
        .await;
        server.kill().await;
        socket.serve(&project).await
    };
    let ((report, err, code), server) = tokio::join!(load, crash);
    assert_eq!((code, &report["verdict"]), (1, &Value::from("failed")), "{err} {report:#}");
    let lost = check(&report, "jobs lost");
    assert!(lost["count"].as_u64().unwrap() >= 10, "{report:#}");
    let path = format!("http://{}/v1/jobs/{}", server.address, lost["jobs"][0].as_str().unwrap());
    assert_eq!(crate::process::http().get(path).send().await.unwrap().status(), 404);
    assert!(report["jobs"]["succeeded"].as_u64().unwrap() > 0, "those after the crash are there: {report:#}");
}

#[tokio::test]
async fn somebody_who_has_had_enough_gets_what_there_is() {
    let project = Project::new(&with_inner_sim(""), &[]);
    let server = project.serve("127.0.0.1:0").await;
    let child = interrupted(&project.path(), &server).await;
    let output = tokio::time::timeout(PATIENCE, child).await.expect("ends at once").unwrap();
    let (out, err, code) = said(&output);
    let report: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out} {err}"));
    assert_eq!((code, &report["verdict"]), (130, &Value::from("interrupted")));
    assert!(report["requests"]["accepted"].as_u64().unwrap() >= 5, "{report:#}");
}

async fn interrupted(
    folder: &Path,
    server: &Process,
) -> impl Future<Output = std::io::Result<std::process::Output>> + use<> {
    let mut command = quarterdeck(folder);
    command.args(["loadtest", "--url", &server.url(""), "--rate", "20", "--duration", "1h", "-o", "json"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id().unwrap().to_string();
    until("jobs are accepted", || async {
        let jobs = get(&server.url("/v1/jobs?limit=50")).await;
        (jobs["jobs"].as_array().unwrap().len() >= 5).then_some(())
    })
    .await;
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    child.wait_with_output()
}

#[tokio::test]
async fn servers_elsewhere_and_crews_that_are_not_there_are_refused_before_anything_is_sent() {
    let project = Project::new(&with_inner_sim(""), &[]);
    let server = project.serve("127.0.0.1:0").await;
    for (args, wanted, message) in [
        (vec!["--url", "http://192.0.2.1:8000"], 2, "is not on this machine"),
        (vec!["--url", "http://169.254.169.254"], 2, "--allow-remote"),
        (vec!["--url", "http://127.0.0.1:9"], 4, "cannot reach the server"),
        (
            vec!["--url", &server.url(""), "--crew", "ghost"],
            6,
            "the server has no crew `ghost`; it has assistant",
        ),
        (vec!["--url", &server.url(""), "--slo", "speed=1"], 2, "there is no figure `speed`"),
        (vec!["--url", &server.url(""), "--report", "no/such/file"], 2, "--report no/such/file"),
    ] {
        let (out, err, code) = said(&run(&project.path(), &[&["loadtest"], &args[..]].concat()).await);
        assert_eq!((code, out.as_str()), (wanted, ""), "{args:?}: {err}");
        assert!(err.contains(message), "{args:?}: {err}");
    }
    assert_eq!(get(&server.url("/v1/jobs")).await["jobs"].as_array().unwrap().len(), 0);
}
