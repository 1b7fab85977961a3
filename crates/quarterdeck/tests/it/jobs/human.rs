//! Jobs that wait for a person, with the real server: over kills, by the API and by the command line.

use serde_json::{Value, json};

use crate::process::{
    Process, Project, finished, get, http, post, run, said, sim, until, with_inner_sim, with_sim,
};

const ANNOUNCEMENT: &str = include_str!("../../../../../examples/crews/announcement.yaml");

fn project(settings: &str) -> Project {
    Project::new(settings, &[("announcement.yaml", ANNOUNCEMENT)])
}

async fn submit(server: &Process) -> String {
    let body = json!({"crew": "announcement", "input": {"news": "we open on Sundays"}});
    let (status, job) = post(&server.url("/v1/jobs"), &body).await;
    assert_eq!(status, 202, "{job}");
    job["id"].as_str().unwrap().to_owned()
}

/// Waits until the job asks in a round; answers the question.
async fn asks(server: &Process, id: &str, round: u64) -> Value {
    let path = server.url(&format!("/v1/jobs/{id}"));
    until("the job asks", || async {
        let job = get(&path).await;
        (job["waiting"]["round"] == round).then(|| job["waiting"].clone())
    })
    .await
}

async fn calls(sim: &Process) -> Vec<String> {
    let ledger = get(&sim.url("/ledger")).await;
    ledger["calls"].as_object().unwrap().keys().cloned().collect()
}

#[tokio::test]
async fn a_question_outlives_kills_and_its_answer_is_taken_once() {
    let sim = sim(&[]).await;
    let project = project(&with_sim(&sim, ""));
    let mut server = project.serve("127.0.0.1:0").await;
    let id = submit(&server).await;
    let asked = asks(&server, &id, 1).await;
    server.kill().await;

    let mut server = project.serve("127.0.0.1:0").await;
    assert_eq!(asks(&server, &id, 1).await, asked, "it waits on with the same question");
    let resume = server.url(&format!("/v1/jobs/{id}/resume"));
    let feedback = json!({"step": asked["step"], "feedback": "Name the opening hours."});
    assert_eq!(post(&resume, &feedback).await.0, 202);
    let again = asks(&server, &id, 2).await;
    server.kill().await;

    let server = project.serve("127.0.0.1:0").await;
    assert_eq!(asks(&server, &id, 2).await, again);
    let resume = server.url(&format!("/v1/jobs/{id}/resume"));
    assert_eq!(post(&resume, &feedback).await.0, 202, "the same answer again is harmless");
    let late = json!({"step": asked["step"], "approve": true});
    let (status, problem) = post(&resume, &late).await;
    assert_eq!((status, &problem["code"]), (409, &json!("already_answered")));
    let (status, job) = post(&resume, &json!({"step": again["step"], "approve": true})).await;
    assert_eq!(status, 202, "{job}");
    let job = finished(&server.url(""), &id).await;
    assert_eq!((&job["status"], &job["crashes"]), (&json!("succeeded"), &Value::Null), "{job}");
    assert_eq!(job["output"]["tasks"][0]["raw"], again["output"]);
    // The feedback is a call of its own, and no kill made one again.
    let made = ["draft/turn-1/model/1", "draft/turn-2/model/1", "plain/turn-1/model/1"];
    assert_eq!(calls(&sim).await, made.map(|call| format!("{id}/{call}")));
    let steps = get(&server.url(&format!("/v1/jobs/{id}/steps"))).await;
    let human = |step: &&Value| step["kind"] == "human";
    let approved: Vec<_> = steps["steps"].as_array().unwrap().iter().filter(human).collect();
    assert_eq!([&approved[0]["answer"]["approved"], &approved[1]["answer"]["approved"]], [false, true]);
    assert_eq!(approved[0]["answer"]["feedback"], "Name the opening hours.");
}

#[tokio::test]
async fn jobs_resume_answers_on_the_command_line() {
    let project = project(&with_inner_sim(""));
    let server = project.serve("127.0.0.1:0").await;
    let id = submit(&server).await;
    asks(&server, &id, 1).await;
    let url = server.url("");
    let resume = async |args: &[&str]| {
        let args: Vec<&str> = ["jobs", "resume", &id, "--url", &url].iter().chain(args).copied().collect();
        said(&run(&project.path(), &args).await)
    };
    let (out, _, code) =
        said(&run(&project.path(), &["jobs", "list", "--status", "waiting", "--url", &url]).await);
    assert!(code == 0 && out.contains(&id) && out.contains("waiting"), "{out}");
    let (_, err, code) = resume(&[]).await;
    assert!(code == 2 && err.contains("--approve or --feedback"), "{code} {err}");
    let (_, err, code) = resume(&["--approve", "--step", "draft/turn-9/human"]).await;
    assert!(
        code == 7 && err.contains("draft/turn-1/human") && err.contains("job_not_waiting"),
        "{code} {err}"
    );
    let (out, err, code) = resume(&["--reject", "Shorter", "--step", "draft/turn-1/human"]).await;
    assert_eq!((out, code), (format!("{id} queued\n"), 0), "{err}");
    asks(&server, &id, 2).await;
    let (out, err, code) = resume(&["--approve", "-o", "json"]).await;
    let job: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &job["id"], &job["waiting"]), (0, &json!(id), &Value::Null), "{err}");
    assert_eq!(finished(&url, &id).await["status"], "succeeded");
    let (_, err, code) = resume(&["--feedback", "Longer", "--step", "draft/turn-2/human"]).await;
    assert!(code == 7 && err.contains("already_answered"), "{code} {err}");
}

#[tokio::test]
async fn a_run_that_nobody_can_answer_says_so_instead_of_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let crew = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/crews/announcement.yaml");
    let (out, err, code) = said(&run(folder.path(), &["run", crew, "--sim", "-i", "news=x"]).await);
    assert_eq!((out.as_str(), code), ("", 1), "{err}");
    assert!(err.contains("draft waits for a person") && err.contains("quarterdeck jobs resume"), "{err}");
}

#[tokio::test]
async fn a_question_that_nobody_answers_ends_by_the_servers_clock() {
    let rules = "[human_input]\nreminder_seconds = 1\nreminders = 1\nexpires_seconds = 2\n";
    let crew = ANNOUNCEMENT.split("    human_input:").next().unwrap().to_owned() + "    human_input: true\n";
    let project = Project::new(&with_inner_sim(rules), &[("announcement.yaml", &crew)]);
    let server = project.serve("127.0.0.1:0").await;
    let id = submit(&server).await;
    let job = finished(&server.url(""), &id).await;
    assert_eq!((&job["status"], &job["error"]["code"]), (&json!("failed"), &json!("human_input_expired")));
    let events =
        http().get(server.url(&format!("/v1/jobs/{id}/events"))).send().await.unwrap().text().await.unwrap();
    assert_eq!(events.matches("event: job.waiting").count(), 2, "the question and one reminder: {events}");
}
