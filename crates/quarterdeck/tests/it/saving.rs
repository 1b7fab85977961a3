//! The guide to saving calls: its crew does what it says.

use serde_json::{Value, json};

use crate::process::{Project, get, http, with_inner_sim};

const GUIDE: &str = include_str!("../../../../docs/guides/saving-calls.md");

/// The crew of the guide, word for word.
fn crew() -> &'static str {
    let (_, rest) = GUIDE.split_once("<!-- crews/faq.yaml -->\n```yaml\n").expect("the guide has a crew");
    rest.split_once("```").unwrap().0
}

/// The requests of the guide.
fn requests() -> Vec<Value> {
    let bodies = GUIDE.lines().filter_map(|line| line.trim().strip_prefix("-d '")?.strip_suffix('\''));
    bodies.map(|body| serde_json::from_str(body).unwrap()).collect()
}

#[tokio::test]
async fn the_second_job_of_the_guide_costs_nothing_also_after_a_restart() {
    let project = Project::new(&with_inner_sim(""), &[("faq.yaml", crew())]);
    let mut server = project.serve("127.0.0.1:0").await;
    let mut jobs = Vec::new();
    for request in requests() {
        let sent = http().post(server.url("/v1/jobs")).header("prefer", "wait=30").json(&request);
        let job: Value = sent.send().await.unwrap().json().await.unwrap();
        assert_eq!(job["status"], "succeeded", "{job}");
        jobs.push(job);
        server.kill().await;
        server = project.serve("127.0.0.1:0").await;
    }
    let [first, second] = &jobs[..] else { panic!("the guide has two requests") };
    assert_eq!(first["output"], second["output"]);
    assert_ne!(first["cost_usd"], "0.00");
    let path = format!("/v1/jobs/{}/steps", second["id"].as_str().unwrap());
    let step = get(&server.url(&path)).await["steps"][0].clone();
    assert_eq!(
        (&step["source"], &step["cost_usd"], &step["saved_usd"]),
        (&json!("cached"), &json!("0.00"), &first["cost_usd"])
    );
}
