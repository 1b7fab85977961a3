//! `jobs` on a server: lists with filters and pages, exports, cancels, redrives.

mod human;

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::process::{
    Process, Project, SUMS, finished, in_mid_call, post, run, said, sim, with_inner_sim, with_sim,
};

struct Desk {
    project: Project,
    server: Process,
}

impl Desk {
    async fn new(settings: &str) -> Self {
        let project = Project::new(settings, &[("sums.yaml", SUMS)]);
        let server = project.serve("127.0.0.1:0").await;
        Self { project, server }
    }

    async fn submit(&self, crew: &str, input: Value) -> String {
        let (status, job) = post(&self.server.url("/v1/jobs"), &json!({"crew": crew, "input": input})).await;
        assert_eq!(status, 202, "{job}");
        job["id"].as_str().unwrap().to_owned()
    }

    async fn finish(&self, crew: &str, input: Value) -> String {
        let id = self.submit(crew, input).await;
        finished(&self.server.url(""), &id).await;
        id
    }

    /// Runs `jobs …` against the server.
    async fn jobs(&self, args: &[&str]) -> (String, String, i32) {
        let url = self.server.url("");
        let args: Vec<&str> = ["jobs"].iter().chain(args).copied().chain(["--url", &url]).collect();
        said(&run(&self.project.path(), &args).await)
    }
}

fn lines(out: &str) -> Vec<Value> {
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ids(jobs: &[Value]) -> Vec<&str> {
    jobs.iter().map(|job| job["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let desk = Desk::new(&with_inner_sim("")).await;
    let first = desk.finish("sums", json!({"question": 1})).await;
    let second = desk.finish("assistant", json!({"message": "hi"})).await;
    let failed = desk.finish("assistant", json!({"message": "hi [[sim: fault=401]]"})).await;
    let (out, _, _) = desk.jobs(&["get", &second, "-o", "json"]).await;
    let made: Value = serde_json::from_str(&out).unwrap();
    let made = made["created_at"].as_str().unwrap();
    for (args, expected) in [
        (vec!["--all"], vec![&failed, &second, &first]),
        (vec!["--limit", "2"], vec![&failed, &second]),
        (vec!["--crew", "sums"], vec![&first]),
        (vec!["--status", "failed"], vec![&failed]),
        (vec!["--status", "succeeded", "--crew", "assistant"], vec![&second]),
        (vec!["--created-after", made], vec![&failed]),
        (vec!["--created-before", made], vec![&first]),
        (vec!["--status", "queued"], vec![]),
    ] {
        for format in ["json", "jsonl"] {
            let args: Vec<&str> = ["list", "-o", format].into_iter().chain(args.iter().copied()).collect();
            let (out, err, code) = desk.jobs(&args).await;
            assert_eq!(code, 0, "{err}");
            let jobs = if format == "json" { serde_json::from_str(&out).unwrap() } else { lines(&out) };
            assert_eq!(ids(&jobs), expected, "{args:?}");
        }
    }
    let (out, err, code) = desk.jobs(&["list", "--limit", "1"]).await;
    assert!(code == 0 && out.lines().count() == 2 && err.contains("There are more"), "{out}{err}");
    let (_, err, code) = desk.jobs(&["list", "--status", "done"]).await;
    assert!(code == 2 && err.contains("`done` is no status"), "{err}");
    let (_, err, code) = desk.jobs(&["list", "--limit", "0"]).await;
    assert!(code == 2 && err.contains("it is at least 1"), "{err}");
    let (_, err, code) = desk.jobs(&["list", "--created-after", "yesterday"]).await;
    assert!(code == 2 && err.contains("created_after"), "{err}");
}

#[tokio::test]
async fn lists_beyond_a_page_are_whole() {
    let desk = Desk::new(&with_inner_sim("[worker]\nslots = 0")).await;
    // One client: making one for each job takes longer than all of the rest.
    let (http, jobs) = (crate::process::http(), desk.server.url("/v1/jobs"));
    for _ in 0..505 {
        let job = json!({"crew": "assistant", "input": {"message": "hi"}});
        assert_eq!(http.post(&jobs).json(&job).send().await.unwrap().status(), 202);
    }
    let (out, err, code) = desk.jobs(&["list", "--all", "-o", "jsonl"]).await;
    assert_eq!(code, 0, "{err}");
    let jobs = lines(&out);
    let mut ids = ids(&jobs);
    assert_eq!(ids.len(), 505);
    assert!(ids.windows(2).all(|pair| pair[0] > pair[1]), "newest first, none twice");
    let (out, _, _) = desk.jobs(&["list", "--limit", "503", "-o", "jsonl"]).await;
    assert_eq!(out.lines().count(), 503);
    let (out, _, _) = desk.jobs(&["list", "--all"]).await;
    assert_eq!((out.lines().count(), out.matches("STATUS").count()), (506, 1));

    let (out, err, code) = desk.jobs(&["export"]).await;
    assert!(code == 0 && err.contains("505 jobs exported"), "{err}");
    assert_eq!(out.lines().count(), 505);
    // A page later, as after a break.
    let url = desk.server.url("/v1/jobs?limit=500");
    let page = crate::process::get(&url).await;
    let (out, err, code) = desk.jobs(&["export", "--cursor", page["next_cursor"].as_str().unwrap()]).await;
    assert!(code == 0 && err.contains("5 jobs exported"), "{err}");
    assert_eq!(self::ids(&lines(&out)), ids.split_off(500));
    export_goes_on_after_a_crash(desk).await;
}

/// The server dies while the first page waits for its reader; the second page is fetched from the next server.
async fn export_goes_on_after_a_crash(mut desk: Desk) {
    let url = desk.server.url("");
    let mut command = crate::process::quarterdeck(&desk.project.path());
    command
        .args(["jobs", "export", "--url", &url])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(out.next_line().await.unwrap().is_some(), "the first page is there, and more than a pipe holds");
    desk.server.kill().await;
    let mut seen = 1;
    while let Some(line) = out.next_line().await.unwrap() {
        seen += usize::from(serde_json::from_str::<Value>(&line).is_ok());
    }
    let (_, err, code) = said(&child.wait_with_output().await.unwrap());
    assert_eq!((seen, code), (500, 4), "{err}");
    let cursor = err.split_once("--cursor ").unwrap().1.split(' ').next().unwrap();
    desk.server = desk.project.serve("127.0.0.1:0").await;
    let (out, err, code) = desk.jobs(&["export", "--cursor", cursor]).await;
    assert!(code == 0 && err.contains("5 jobs exported") && out.lines().count() == 5, "{err}");
}

#[tokio::test]
async fn exports_hold_steps_and_events() {
    let desk = Desk::new(&with_inner_sim("")).await;
    let done = desk.finish("sums", json!({"question": 1})).await;
    let failed = desk.finish("assistant", json!({"message": "hi [[sim: fault=401]]"})).await;
    let (out, err, code) = desk.jobs(&["export", "--steps", "--events"]).await;
    assert!(code == 0 && err.contains("2 jobs exported"), "{err}");
    let jobs = lines(&out);
    assert_eq!(ids(&jobs), [&failed, &done]);
    assert!(jobs[1]["steps"].as_array().unwrap().len() >= 3, "{out}");
    let events = jobs[1]["events"].as_array().unwrap();
    assert_eq!(
        (events[0]["event"].as_str(), events.last().unwrap()["event"].as_str()),
        (Some("job.queued"), Some("job.succeeded"))
    );
    let (out, _, _) = desk.jobs(&["export", "--status", "failed"]).await;
    let jobs = lines(&out);
    assert_eq!((jobs.len(), jobs[0].get("steps"), jobs[0].get("events")), (1, None, None));
}

#[tokio::test]
async fn jobs_are_cancelled_by_filter_after_a_look_and_a_word() {
    let sim = sim(&["--latency-ms", "30000"]).await;
    let desk = Desk::new(&with_sim(&sim, "[worker]\nslots = 1\n")).await;
    let running = desk.submit("assistant", json!({"message": "hi"})).await;
    in_mid_call(&sim).await;
    let mut queued = Vec::new();
    for n in 0..3 {
        queued.push(desk.submit("sums", json!({"question": n})).await);
    }
    let (out, err, code) = desk.jobs(&["cancel", "--crew", "sums", "--dry-run"]).await;
    assert!(code == 0 && err.contains("3 jobs would be cancelled; nothing was done"), "{err}");
    assert!(queued.iter().all(|id| out.contains(id)) && !out.contains(&running), "{out}");
    let (out, err, code) = desk.jobs(&["cancel", "--crew", "sums"]).await;
    assert!(
        code == 2
            && out.is_empty()
            && err.contains("this would cancel 3 jobs at http://")
            && err.contains("--yes"),
        "{err}"
    );
    let (out, err, code) = desk.jobs(&["cancel", "--crew", "sums", "--status", "queued", "--yes"]).await;
    assert!(code == 0 && err.contains("3 jobs cancelled"), "{err}");
    assert_eq!(out.matches(" cancelled").count(), 3, "{out}");
    let (out, err, code) =
        desk.jobs(&["cancel", "--created-after", "2020-01-01T00:00:00Z", "--yes", "-o", "json"]).await;
    assert_eq!(code, 0, "{err}");
    assert_eq!(ids(&serde_json::from_str::<Vec<Value>>(&out).unwrap()), [&running]);
}

#[tokio::test]
async fn several_ids_are_cancelled_and_each_failure_is_told() {
    let desk = Desk::new(&with_inner_sim("[worker]\nslots = 0")).await;
    let (a, b) = (
        desk.submit("assistant", json!({"message": "a"})).await,
        desk.submit("assistant", json!({"message": "b"})).await,
    );
    let nobody = "00000000-0000-7000-8000-000000000000";
    let (out, err, code) = desk.jobs(&["cancel", &a, nobody, &b]).await;
    assert_eq!(code, 1, "{err}");
    assert_eq!(out, format!("{a} cancelled\n{b} cancelled\n"));
    assert!(err.contains(nobody) && err.contains("2 jobs cancelled"), "{err}");
    for (args, code, message) in [
        (vec!["cancel"], 2, "name jobs by their ids, or by a filter"),
        (vec!["cancel", "--status", "failed"], 2, "are over and cannot be cancelled"),
        (vec!["cancel", &a, "--crew", "sums"], 2, "cannot be used with"),
        (vec!["cancel", nobody], 6, "no job"),
    ] {
        let (_, err, ended) = desk.jobs(&args).await;
        assert_eq!(ended, code, "{args:?}: {err}");
        assert!(err.contains(message), "{args:?}: {err}");
    }
    let (_, err, code) = desk.jobs(&["cancel", "--crew", "sums", "--yes"]).await;
    assert!(code == 0 && err.contains("0 jobs cancelled"), "{err}");
}

#[tokio::test]
async fn tables_fit_the_width_that_is_there() {
    let desk = Desk::new(&with_inner_sim("")).await;
    desk.finish("assistant", json!({"message": format!("hi [[sim: answer={}]]", "long ".repeat(60).trim())}))
        .await;
    for (columns, most) in [("100", 100), ("120", 120), ("400", 400)] {
        let mut command = crate::process::quarterdeck(&desk.project.path());
        let url = desk.server.url("");
        let output =
            command.args(["jobs", "list", "--url", &url]).env("COLUMNS", columns).output().await.unwrap();
        let (out, _, _) = said(&output);
        let longest = out.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(longest <= most && longest + 120 > most, "{columns}: {longest}\n{out}");
    }
}

#[tokio::test]
async fn failed_jobs_are_run_again_by_id_and_by_filter() {
    let desk = Desk::new(&with_inner_sim("")).await;
    let mut failed = Vec::new();
    for n in 0..3 {
        // A key that the provider refuses is a failure at once.
        failed.push(desk.finish("sums", json!({"question": format!("{n} [[sim: fault=401]]")})).await);
    }
    let (out, err, code) = desk.jobs(&["redrive", &failed[0]]).await;
    let again = out.split(' ').next().unwrap().to_owned();
    assert_eq!(
        (out.trim(), code),
        (format!("{again} queued (again for {})", failed[0]).as_str(), 0),
        "{err}"
    );
    let job = finished(&desk.server.url(""), &again).await;
    assert_eq!(job["redrive_of"], failed[0].as_str());

    let (_, err, code) = desk.jobs(&["redrive", "--crew", "sums", "--dry-run"]).await;
    assert!(code == 0 && err.contains("would be run again; nothing was done"), "{err}");
    let (out, err, code) = desk
        .jobs(&["redrive", "--status", "failed", "--created-after", "2020-01-01T00:00:00Z", "--yes"])
        .await;
    assert!(code == 0 && err.contains("jobs run again"), "{code} {err}");
    assert!(failed.iter().all(|id| out.contains(&format!("(again for {id})"))), "{out}");

    for (args, status, expected) in [
        (vec!["redrive"], 2, "name jobs by their ids, or by a filter"),
        (
            vec!["redrive", "--status", "queued"],
            2,
            "only jobs that failed or were cancelled can be run again",
        ),
        (vec!["redrive", "018f0000-0000-7000-8000-000000000000"], 6, "there is no job"),
    ] {
        let (_, err, code) = desk.jobs(&args).await;
        assert!(code == status && err.contains(expected), "{args:?}: {code} {err}");
    }
}
