//! `dead`: failed jobs by cause, run again and discarded from the command line.

use serde_json::json;

use crate::process::{Project, finished, post, run, said, with_inner_sim};

const CREW: &str = r"
name: shaky
agents:
  host: {role: Host, goal: Talk, backstory: You listen.}
tasks:
  - {name: answer, description: '{message}', expected_output: An answer, agent: host}
";

#[tokio::test]
async fn failed_jobs_are_shown_by_cause_run_again_and_discarded_once_that_is_meant() {
    let project = Project::new(&with_inner_sim(""), &[("shaky.yaml", CREW)]);
    let server = project.serve("127.0.0.1:0").await;
    for n in 0..3 {
        let input = json!({"message": format!("{n} [[sim: fault=401]]")});
        let (status, job) = post(&server.url("/v1/jobs"), &json!({"crew": "shaky", "input": input})).await;
        assert_eq!(status, 202, "{job}");
        assert_eq!(finished(&server.url(""), job["id"].as_str().unwrap()).await["status"], "failed");
    }
    let (folder, url) = (project.path(), server.url(""));
    let dead = async |args: &[&str]| said(&run(&folder, &[&["dead"], args, &["--url", &url]].concat()).await);
    let (out, err, code) = dead(&["list"]).await;
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("shaky") && out.contains("model_auth") && out.contains('3'), "{out}");
    for (args, code, told) in [
        // Nobody is there to be asked.
        (
            &["redrive", "--code", "model_auth"][..],
            2,
            "this would run again, 10 a second, 3 of 3 failed jobs",
        ),
        (&["discard", "--reason", "old"], 2, "this would discard 3 of 3 failed jobs"),
        (&["redrive", "--code", "nonsense", "--yes"], 2, "no error code"),
        (&["redrive", "--crew", "other"], 0, "nothing was done"),
        (&["redrive", "--limit", "1", "--yes"], 0, "1 job run again, 2 left"),
        (&["discard", "--reason", "old", "--limit", "2", "--yes"], 0, "discarded"),
    ] {
        let (out, err, got) = dead(args).await;
        assert_eq!(got, code, "{args:?}: {out}{err}");
        assert!(format!("{out}{err}").contains(told), "{args:?}: {out}{err}");
    }
}
