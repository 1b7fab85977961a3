//! Schedules of the real server: made from the command line, ticking, over a stop and a kill.

use serde_json::Value;

use crate::process::{Process, Project, finished, get, run, said, until, with_inner_sim};

async fn schedule(project: &Project, server: &Process, args: &[&str]) -> (String, String, i32) {
    let url = server.url("");
    let args: Vec<&str> = ["schedule"].iter().chain(args).copied().chain(["--url", &url]).collect();
    said(&run(&project.path(), &args).await)
}

#[tokio::test]
async fn schedules_are_made_listed_paused_run_and_deleted_from_the_command_line() {
    let project = Project::new(&with_inner_sim(""), &[]);
    let server = project.serve("127.0.0.1:0").await;
    let ask = |args: &'static [&str]| schedule(&project, &server, args);
    let (out, err, code) = ask(&[
        "add",
        "morning",
        "30 6 * * 1-5",
        "assistant",
        "-i",
        "message=hi",
        "--timezone",
        "Europe/Berlin",
    ])
    .await;
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("NAME") && out.contains("Europe/Berlin"), "{out}");
    let (_, err, code) = ask(&["add", "morning", "@daily", "assistant", "-i", "message=hi"]).await;
    assert!(code == 7 && err.contains("already_exists"), "{err}");
    let (_, err, code) =
        ask(&["add", "morning", "@daily", "assistant", "-i", "message=hi", "--replace", "--paused"]).await;
    assert_eq!(code, 0, "{err}");
    let (out, _, _) = ask(&["list", "-o", "json"]).await;
    let list: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&list[0]["cron"], &list[0]["paused"]), (&"@daily".into(), &true.into()));
    let (out, _, _) = ask(&["resume", "morning"]).await;
    assert!(out.contains("morning") && !out.contains("paused"), "{out}");
    let (out, _, _) = ask(&["pause", "morning"]).await;
    assert!(out.contains("paused"), "{out}");
    let (id, _, code) = ask(&["run", "morning"]).await;
    assert_eq!((code, finished(&server.url(""), id.trim()).await["status"].clone()), (0, "succeeded".into()));
    let (out, _, _) = ask(&["get", "morning"]).await;
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["name"], "morning");
    assert_eq!(ask(&["rm", "morning"]).await.0, "morning is deleted\n");
    assert_eq!(ask(&["rm", "morning"]).await.2, 6);
    let (_, err, code) = ask(&["add", "never", "0 0 30 2 *", "assistant", "-i", "message=hi"]).await;
    assert!(code == 2 && err.contains("is never due"), "{err}");
}

#[tokio::test]
async fn a_tick_that_was_missed_while_the_server_was_killed_runs_once_when_it_is_back() {
    let project = Project::new(&with_inner_sim(""), &[]);
    let mut server = project.serve("127.0.0.1:0").await;
    let add = ["add", "yearly", "@yearly", "assistant", "-i", "message=hi"];
    assert_eq!(schedule(&project, &server, &add).await.2, 0);
    server.kill().await;
    // Nobody is there for what should have run at the beginning of two years.
    let database = rusqlite::Connection::open(project.path().join("data/quarterdeck.db")).unwrap();
    let moved = "UPDATE schedules SET next_at = next_at - 63072000000, due_at = due_at - 63072000000";
    assert_eq!(database.execute(moved, []).unwrap(), 1);
    drop(database);
    for _ in 0..2 {
        server = project.serve("127.0.0.1:0").await;
        let url = server.url("/v1/schedules/yearly");
        let shown = until("it made its job", || async {
            let shown = get(&url).await;
            shown["last_job_id"].is_string().then_some(shown)
        })
        .await;
        let job = finished(&server.url(""), shown["last_job_id"].as_str().unwrap()).await;
        assert_eq!((&job["status"], &shown["left_out"]), (&"succeeded".into(), &1.into()));
        assert_eq!(get(&server.url("/v1/jobs")).await["jobs"].as_array().unwrap().len(), 1);
        server.kill().await;
    }
}
