//! The guide to the simulator: its scenario does what it says, its orders are taken, and its lists are complete.

use qd_llm::sim::FaultKind;
use serde_json::{Value, json};

use crate::process::{Process, Project, finished, get, http, post, sim, with_inner_sim};

const GUIDE: &str = include_str!("../../../../docs/guides/simulator.md");

/// The scenario of the guide, word for word.
fn scenario() -> &'static str {
    let (_, rest) = GUIDE.split_once("<!-- storm.toml -->\n```toml\n").expect("the guide has a scenario");
    rest.split_once("```").unwrap().0
}

async fn start() -> (tempfile::NamedTempFile, Process) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), scenario()).unwrap();
    let sim = sim(&["--scenario", file.path().to_str().unwrap()]).await;
    (file, sim)
}

/// The status of one chat request, and one of its headers.
async fn ask(sim: &Process, model: &str, prompt: &str, header: &str) -> (u16, String) {
    let body =
        json!({ "model": model, "max_tokens": 50, "messages": [{ "role": "user", "content": prompt }] });
    let answer = http().post(sim.url("/v1/chat/completions")).json(&body).send().await.unwrap();
    let header = answer.headers().get(header).map(|value| value.to_str().unwrap().to_owned());
    (answer.status().as_u16(), header.unwrap_or_default())
}

#[tokio::test]
async fn the_scenario_of_the_guide_does_what_it_says() {
    let (_file, sim) = start().await;
    for status in [429, 429, 200] {
        let (met, wait) = ask(&sim, "flaky", "Go", "retry-after").await;
        assert_eq!((met, wait.as_str()), (status, if status == 429 { "1" } else { "" }));
    }
    for (status, left) in [(200, "2"), (200, "1"), (200, "0"), (429, "0")] {
        let met = ask(&sim, "small", "Go", "x-ratelimit-remaining-requests").await;
        assert_eq!(met, (status, left.to_owned()));
    }
    assert_eq!(ask(&sim, "small", &"long ".repeat(2000), "").await.0, 400, "beyond the window");
    let summary = get(&sim.url("/ledger/summary")).await;
    assert_eq!((&summary["calls"], &summary["rate_limited"]["answers"]), (&json!(8), &json!(3)), "{summary}");
}

#[tokio::test]
async fn the_orders_of_the_guide_are_taken() {
    let (_file, sim) = start().await;
    let orders: Vec<Value> = GUIDE
        .lines()
        .filter_map(|line| line.strip_prefix("curl -d '")?.split_once("' http"))
        .map(|(order, _)| serde_json::from_str(order).unwrap())
        .collect();
    assert_eq!(orders.len(), 3);
    // The first one closes the address, so it comes last.
    for order in orders.iter().rev() {
        let (status, state) = post(&sim.url("/control"), order).await;
        assert_eq!(status, 200, "{order}: {state}");
        assert_eq!(state["outage"]["kind"], order["outage"]["kind"], "{order}");
    }
}

#[test]
fn the_guide_lists_every_fault() {
    for word in FaultKind::words() {
        assert!(GUIDE.contains(&format!("\n| `{word}` |")), "{word} is missing");
    }
    let rows =
        GUIDE.lines().skip_while(|line| *line != "## Faults").take_while(|line| *line != "## While it runs");
    // The heading, the line below it, and all statuses in one row.
    assert_eq!(rows.filter(|line| line.starts_with('|')).count(), FaultKind::words().count() + 3);
}

#[tokio::test]
async fn a_server_takes_the_scenario_that_its_configuration_names() {
    let settings =
        with_inner_sim("").replace("[providers.sim]\n", "[providers.sim.sim]\nscenario = \"storm.toml\"\n");
    let project = Project::new(&settings, &[]);
    let storm = "[[faults]]\nkind = \"400\"\n";
    std::fs::write(project.path().join("storm.toml"), storm).unwrap();
    let server = project.serve("127.0.0.1:0").await;
    let (_, job) =
        post(&server.url("/v1/jobs"), &json!({ "crew": "assistant", "input": { "message": "Go" } })).await;
    let job = finished(&server.url(""), job["id"].as_str().unwrap()).await;
    assert_eq!(job["error"]["code"], "model_invalid_request", "{job}");
}
