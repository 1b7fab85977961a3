//! Publishing crews over the API: versions, conditions, what a caller's crew may not say.

use serde_json::{Value, json};

use super::super::client::Reply;
use super::super::{Server, publish, spec};

const YAML: (&str, &str) = ("content-type", "application/yaml");

fn crew(description: &str) -> String {
    format!(
        "agents:\n  writer: {{role: Writer, goal: Write, backstory: Wrote}}\n\
         tasks:\n  - {{name: draft, description: '{description}', expected_output: A text, agent: writer}}\n"
    )
}

impl Server {
    async fn put(&self, name: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut all = vec![YAML];
        all.extend_from_slice(headers);
        let length = body.len().to_string();
        all.push(("content-length", &length));
        self.request("PUT", &format!("/v1/crews/{name}"), &all, body.as_bytes()).await
    }
}

#[tokio::test]
async fn a_text_that_differs_is_the_next_version_and_jobs_are_made_of_it_at_once() {
    let server = Server::start().await;
    let made = server.put("news", &[], &crew("Write about {topic}")).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(
        (made.header("etag"), made.header("location")),
        (Some("\"v1\""), Some("/v1/crews/news?version=1"))
    );
    assert_eq!((&made.json()["version"], &made.json()["variables"]), (&json!(1), &json!(["topic"])));
    let job = json!({ "crew": "news", "input": { "topic": "tides" } });
    let first = server.post("/v1/jobs", &job).await.json();
    assert_eq!(first["crew_version"], 1, "{first}");

    let same = server.put("news", &[], &format!("# A note.\n{}", crew("Write about {topic}"))).await;
    assert_eq!((same.status, same.header("etag"), same.header("location")), (200, Some("\"v1\""), None));
    let next = server.put("news", &[], &crew("Sing about {topic} and {tone}")).await;
    assert_eq!((next.status, &next.json()["version"]), (201, &json!(2)));
    server.post("/v1/jobs", &job).await.problem(422, "validation_failed");
    // The job that was made before stays with its version, which can still be read.
    assert_eq!(
        server.get(&format!("/v1/jobs/{}", first["id"].as_str().unwrap())).await.json()["crew_version"],
        1
    );
    let old = server.get("/v1/crews/news?version=1").await;
    assert_eq!((old.header("etag"), &old.json()["variables"]), (Some("\"v1\""), &json!(["topic"])));
    assert_eq!(server.get("/v1/crews/news").await.json()["version"], 2);
    server.get("/v1/crews/news?version=3").await.problem(404, "not_found");
    server.get("/v1/crews/news?version=0").await.problem(422, "validation_failed");
}

#[tokio::test]
async fn json_is_taken_as_well_and_a_name_in_the_text_must_be_that_of_the_address() {
    let server = Server::start().await;
    let mut body = json!({
        "agents": { "a": { "role": "R", "goal": "G", "backstory": "B" } },
        "tasks": [{ "name": "t", "description": "D", "expected_output": "O", "agent": "a" }],
    });
    let put = async |path: &str, body: &Value| {
        let length = body.to_string().len().to_string();
        let headers = [("content-type", "application/json"), ("content-length", length.as_str())];
        server.request("PUT", path, &headers, body.to_string().as_bytes()).await
    };
    let made = put("/v1/crews/small_1-A", &body).await;
    assert_eq!((made.status, made.header("location")), (201, Some("/v1/crews/small_1-A?version=1")));
    assert_eq!(server.get("/v1/crews/small_1-A").await.json()["name"], "small_1-A");
    put("/v1/crews/with%20space", &body).await.problem(422, "invalid_crew");
    body["name"] = json!("other");
    let refused = put("/v1/crews/mine", &body).await.problem(422, "invalid_crew");
    assert!(refused["detail"].as_str().unwrap().contains("calls itself `other`"), "{refused}");
}

#[tokio::test]
async fn conditions_keep_writers_from_overwriting_each_other() {
    let server = Server::start().await;
    for (header, text, status) in [
        (("if-match", "*"), "a", 412),
        (("if-match", "\"v1\""), "a", 412),
        (("if-none-match", "*"), "a", 201),
        (("if-none-match", "*"), "b", 412),
        (("if-match", "\"v2\""), "b", 412),
        (("if-match", "W/\"v1\""), "b", 412),
        (("if-match", "\"other\""), "b", 412),
        (("if-match", "\"v7\", \"v1\""), "b", 201),
        (("if-match", "\"v1\""), "c", 412),
        (("if-match", "*"), "c", 201),
        (("if-match", "v3"), "d", 400),
        (("if-none-match", "\"v3\""), "d", 400),
    ] {
        let reply = server.put("held", &[header], &crew(text)).await;
        assert_eq!(reply.status, status, "{header:?} {text}: {}", reply.text());
        match status {
            412 => drop(reply.problem(412, "precondition_failed")),
            400 => drop(reply.problem(400, "invalid_request")),
            _ => {}
        }
    }
    let both = [("if-match", "\"v3\""), ("if-none-match", "*")];
    server.put("held", &both, &crew("d")).await.problem(400, "invalid_request");
    assert_eq!(server.get("/v1/crews/held").await.json()["version"], 3);
}

#[tokio::test]
async fn crews_of_the_configuration_are_not_changed_by_callers() {
    let server = Server::start().await;
    let refused = server.put("assistant", &[], &crew("Mine")).await.problem(409, "crew_configured");
    assert!(refused["detail"].as_str().unwrap().contains("`assistant`"), "{refused}");
    assert_eq!(server.get("/v1/crews/assistant").await.json()["version"], 1);
    // Only by its name: what lies in the store besides is the caller's own.
    publish(&server.store, "own", &spec("own", "Say {a}", None)).await;
    assert_eq!(server.put("own", &[], &crew("Mine")).await.json()["version"], 2);
}

#[tokio::test]
async fn what_looks_like_a_variable_of_a_shell_is_a_text() {
    let server = Server::start().await;
    assert_eq!(server.put("sly", &[], &crew("Say ${HOME} and $PATH")).await.status, 201);
    let task = &server.get("/v1/crews/sly").await.json()["tasks"][0];
    assert_eq!(task["description"], "Say ${HOME} and $PATH");
}

#[tokio::test]
async fn what_is_no_crew_is_refused_with_every_mistake_and_its_place() {
    let server = Server::start().await;
    let mistakes = "agents:\n  a: {role: R, goal: G, bakstory: B, llm: nowhere/model}\ntasks: 3\n";
    let problem = server.put("bad", &[], mistakes).await.problem(422, "invalid_crew");
    let told: Vec<&str> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["message"].as_str().unwrap())
        .collect();
    assert!(told.len() >= 3 && told[0].starts_with("the crew:2:"), "{told:?}");
    let text = crew("D");
    let kind = [("content-type", "text/yaml; charset=utf-8")];
    let taken = server.request("PUT", "/v1/crews/typed", &kind, text.as_bytes()).await;
    assert_eq!(taken.status, 201, "{}", taken.text());
}
