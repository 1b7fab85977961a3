//! The served API as a client meets it; the full corpus of bad requests stands with the gateway.

mod keys;

use serde_json::json;

use crate::process::{Project, SUMS, finished, get, http, post, run, said, with_inner_sim};

#[tokio::test]
async fn job_is_accepted_done_and_explained() {
    let project = Project::new(&with_inner_sim(""), &[("sums.yaml", SUMS)]);
    let server = project.serve("127.0.0.1:0").await;
    let (status, accepted) = post(
        &server.url("/v1/jobs"),
        &json!({"crew": "sums", "input": {"question": "6*7"}, "metadata": {"order": "1"}}),
    )
    .await;
    assert_eq!((status, accepted["status"].as_str()), (202, Some("queued")));
    let id = accepted["id"].as_str().unwrap();
    let job = finished(&server.url(""), id).await;
    assert_eq!(job["output"]["tasks"].as_array().unwrap().len(), 2);
    assert_eq!(
        (job["metadata"]["order"].as_str(), job["progress"]["completed_tasks"].as_u64()),
        (Some("1"), Some(2))
    );
    let steps = get(&server.url(&format!("/v1/jobs/{id}/steps"))).await;
    let kinds: Vec<_> = steps["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds.iter().filter(|kind| *kind == "tool").count(), 3, "{kinds:?}");
    let crews = get(&server.url("/v1/crews")).await;
    assert!(crews.to_string().contains("\"assistant\"") && crews.to_string().contains("\"sums\""), "{crews}");
    assert_eq!(get(&server.url("/health")).await["status"], "ok");
}

#[tokio::test]
async fn task_facade_runs_the_default_crew() {
    let project = Project::new(&with_inner_sim(""), &[]);
    let server = project.serve("127.0.0.1:0").await;
    let (status, task) =
        post(&server.url("/tasks"), &json!({"task": "Say hello [[sim: answer=hello]]"})).await;
    assert_eq!(status, 202, "{task}");
    let id = task["task_id"].as_str().unwrap();
    finished(&server.url(""), id).await;
    let task = get(&server.url(&format!("/tasks/{id}"))).await;
    assert_eq!((task["status"].as_str(), task["result"].as_str()), (Some("complete"), Some("hello")));
    assert!(task["cost_usd"].is_number() && task["duration_ms"].is_number(), "{task}");
}

#[tokio::test]
async fn crews_of_a_system_take_tasks_and_tell_how_they_do() {
    let settings = with_inner_sim("") + "[systems.shop]\ncrews = [\"sums\"]\n";
    let project = Project::new(&settings, &[("sums.yaml", SUMS)]);
    let server = project.serve("127.0.0.1:0").await;
    let task = async |system: &str, crew: &str, description: &str| {
        let url = server.url(&format!("/crews/{system}/tasks"));
        post(&url, &json!({"description": description, "crew_name": crew, "priority": "high"})).await
    };
    let (status, done) = task("default", "assistant", "Say hello [[sim: answer=hello]]").await;
    assert_eq!((status, &done["status"], &done["result"]), (200, &json!("success"), &json!("hello")));
    let job = finished(&server.url(""), done["job_id"].as_str().unwrap()).await;
    assert_eq!((&job["priority"], &job["input"]["message"].is_string()), (&json!(5), &true));
    let (status, done) = task("shop", "sums", "6*7").await;
    assert_eq!((status, done["status"].as_str()), (200, Some("success")), "{done}");
    let (status, failed) = task("shop", "sums", "7*8 [[sim: fault=400]]").await;
    assert_eq!(status, 500, "{failed}");
    assert!(failed["detail"].is_string() && failed["job_id"].is_string(), "{failed}");
    let (status, missing) = task("shop", "assistant", "hello").await;
    let told = "there is no crew `assistant` in the system `shop`; there are sums";
    assert_eq!((status, missing["detail"].as_str()), (404, Some(told)));

    let metrics = get(&server.url("/crews/shop/metrics")).await;
    for (name, current, level) in
        [("completion_rate", 0.5, "critical"), ("error_rate", 0.5, "critical"), ("workload", 0.0, "ok")]
    {
        let metric = &metrics["metrics"][format!("shop_sums_{name}")];
        assert_eq!((&metric["current"], &metric["level"]), (&json!(current), &json!(level)), "{metrics}");
    }
    assert_eq!(metrics["metrics"].as_object().unwrap().len(), 4, "{metrics}");
}

#[tokio::test]
async fn finished_job_may_be_waited_for() {
    let project = Project::new(&with_inner_sim(""), &[]);
    let server = project.serve("127.0.0.1:0").await;
    let answer = http()
        .post(server.url("/v1/jobs"))
        .header("prefer", "wait=10")
        .json(&json!({"crew": "assistant", "input": {"message": "hi"}}))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.json::<serde_json::Value>().await.unwrap()["status"], "succeeded");
}

#[tokio::test]
async fn document_is_the_same_with_and_without_a_server() {
    let project = Project::new(&with_inner_sim(""), &[]);
    let (out, err, code) = said(&run(&project.path(), &["openapi"]).await);
    assert_eq!((code, err.as_str()), (0, ""));
    let printed: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(printed["openapi"], "3.1.0");
    let server = project.serve("127.0.0.1:0").await;
    assert_eq!(get(&server.url("/openapi.json")).await, printed);
}

#[tokio::test]
async fn chat_goes_on_where_it_was_over_kills_and_restarts() {
    let project = Project::new(&with_inner_sim(""), &[]);
    let mut server = project.serve("127.0.0.1:0").await;
    let mut expected = Vec::new();
    for n in 0..4 {
        let said = format!("message {n} [[sim: answer=answer-{n}]]");
        let (status, chat) = post(&server.url("/chat"), &json!({"user_id": "ada", "message": said})).await;
        assert_eq!(status, 202, "{chat}");
        let id = chat["job_id"].as_str().unwrap();
        finished(&server.url(""), id).await;
        let chat = get(&server.url(&format!("/chat/{id}"))).await;
        assert_eq!(
            (&chat["status"], &chat["response"]),
            (&json!("completed"), &json!(format!("answer-{n}")))
        );
        // Each job asks with all that was said before: the tokens of its call tell.
        let steps = get(&server.url(&format!("/v1/jobs/{id}/steps"))).await;
        let tokens = steps["steps"][0]["usage"]["input_tokens"].as_u64().unwrap();
        assert!(expected.last().is_none_or(|(_, before)| tokens > *before), "{steps}");
        expected.push((said, tokens));
        server.kill().await;
        server = project.serve("127.0.0.1:0").await;
    }
    let kept = get(&server.url("/v1/conversations/ada")).await;
    let texts: Vec<_> = kept["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["text"].as_str().unwrap().to_owned())
        .collect();
    let all = expected.iter().enumerate().flat_map(|(n, (said, _))| [said.clone(), format!("answer-{n}")]);
    assert_eq!(texts, all.collect::<Vec<_>>());
}
