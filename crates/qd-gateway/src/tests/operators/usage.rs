//! What was used and spent: by crew and day, by task and agent of a job, and budgets of jobs.

use serde_json::json;

use crate::tests::Server;

async fn submit(server: &Server) {
    let body = json!({ "crew": "solo", "input": { "topic": "t" } });
    assert_eq!(server.post("/v1/jobs", &body).await.status, 202);
}

#[tokio::test]
async fn usage_is_told_by_day_and_crew() {
    let server = Server::start().await;
    let empty = server.get("/v1/usage").await.json();
    assert_eq!((empty["days"].as_array().unwrap().len(), &empty["total"]["cost_usd"]), (0, &json!("0.00")));
    for _ in 0..2 {
        submit(&server).await;
        server.eventful().await;
    }
    let told = server.get("/v1/usage").await.json();
    let [day] = told["days"].as_array().unwrap().as_slice() else { panic!("{told}") };
    assert_eq!((&day["crew"], &day["cost_usd"]), (&json!("solo"), &json!("0.0492")));
    assert_eq!((&day["usage"]["model_calls"], &day["usage"]["tool_calls"]), (&json!(4), &json!(2)));
    assert_eq!((&day["day"], &told["total"]["cost_usd"]), (&told["to"], &json!("0.0492")));
    let of_day = format!("/v1/usage?crew=solo&from={0}&to={0}", told["to"].as_str().unwrap());
    assert_eq!(server.get(&of_day).await.json()["days"], told["days"]);
    for elsewhere in ["/v1/usage?crew=pair", "/v1/usage?from=2001-01-01&to=2001-12-31"] {
        assert_eq!(server.get(elsewhere).await.json()["days"], json!([]), "{elsewhere}");
    }
}

#[tokio::test]
async fn steps_are_summed_up_by_task_and_agent() {
    let server = Server::start().await;
    submit(&server).await;
    let id = server.eventful().await;
    let told = server.get(&format!("/v1/jobs/{id}/steps")).await.json();
    for (by, name) in [("tasks", "draft"), ("agents", "writer")] {
        let [share] = told["by"][by].as_array().unwrap().as_slice() else { panic!("{told}") };
        assert_eq!((&share["name"], &share["cost_usd"]), (&json!(name), &json!("0.0246")));
        assert_eq!(
            (&share["usage"]["model_calls"], &share["usage"]["output_tokens"]),
            (&json!(2), &json!(10))
        );
    }
}

#[tokio::test]
async fn a_job_keeps_its_budget_when_it_is_run_again() {
    let server = Server::start().await;
    let body = json!({ "crew": "solo", "input": { "topic": "t" }, "budget_usd": "0.25" });
    let made = server.post("/v1/jobs", &body).await.json();
    assert_eq!(made["budget_usd"], "0.25");
    let id = made["id"].as_str().unwrap();
    server.post(&format!("/v1/jobs/{id}/cancel"), &json!({})).await;
    let again = server.post(&format!("/v1/jobs/{id}/redrive"), &json!({})).await.json();
    assert_eq!((&again["budget_usd"], &again["redrive_of"]), (&json!("0.25"), &made["id"]));
}
