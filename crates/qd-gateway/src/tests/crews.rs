//! Reading crews, and what the book of crews remembers.

mod publishing;

use std::sync::Arc;
use std::time::Duration;

use qd_env::{Env, ManualClock};
use qd_types::{CrewName, CrewVersion, TenantId};
use serde_json::json;

use super::{Server, catalog, publish, spec};
use crate::CrewBook;

#[tokio::test]
async fn crews_are_listed_with_what_they_need_and_broken_ones_with_their_problems() {
    let server = Server::start().await;
    let listed = server.get("/v1/crews").await;
    assert_eq!(listed.status, 200);
    let listed = listed.json();
    let names: Vec<&str> =
        listed["crews"].as_array().unwrap().iter().map(|crew| crew["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["assistant", "broken", "fixed", "pair", "research", "solo"]);

    let crew = server.get("/v1/crews/research").await;
    assert_eq!(crew.status, 200);
    let crew = crew.json();
    assert_eq!(crew, listed["crews"][4]);
    for (field, value) in [
        ("version", json!(1)),
        ("variables", json!(["tone", "topic"])),
        ("required_variables", json!(["topic"])),
        ("default_inputs", json!({ "tone": "dry" })),
        ("agents", json!([{ "name": "writer", "role": "Writer", "model": "main" }])),
        ("problems", json!([])),
    ] {
        assert_eq!(crew[field], value, "{field}");
    }
    assert_eq!((&crew["tasks"][0]["name"], &crew["tasks"][0]["agent"]), (&json!("draft"), &json!("writer")));
    assert!(crew["created_at"].is_string() && crew["hash"].is_string());

    let broken = server.get("/v1/crews/broken").await.json();
    assert_eq!(broken["tasks"][0]["name"], "draft");
    assert!(broken["problems"][0].as_str().unwrap().contains("nowhere/model"), "{broken}");
    server.get("/v1/crews/nobody").await.problem(404, "not_found");
}

#[tokio::test]
async fn a_crew_with_problems_takes_no_jobs_and_says_why() {
    let server = Server::start().await;
    let refused = server.post("/v1/jobs", &json!({ "crew": "broken", "input": { "it": "x" } })).await;
    let problem = refused.problem(422, "invalid_crew");
    assert_eq!(refused.paths(), ["/crew"]);
    assert!(problem["detail"].as_str().unwrap().contains("nowhere/model"), "{problem}");
}

#[tokio::test]
async fn a_new_version_is_used_after_two_seconds_and_the_old_one_until_then() {
    let clock = Arc::new(ManualClock::at(1_000_000));
    let env = Env::with(Arc::clone(&clock) as Arc<dyn qd_env::Clock>, 1);
    let store = qd_store::open(&qd_store::Options::default(), &env).unwrap();
    let book = CrewBook::new(store.clone(), catalog(), env);
    let (tenant, name) = (TenantId::default(), CrewName::new("c"));
    let newest = async || book.newest(&tenant, &name).await.unwrap();
    assert!(newest().await.is_none());

    // Names that are no crew are not remembered: the first version is seen at once.
    publish(&store, "c", &spec("c", "Say {a}", None)).await;
    let first = newest().await.unwrap();
    assert_eq!((first.version, first.plan.tasks().len()), (CrewVersion(1), 2));
    publish(&store, "c", &spec("c", "Say {a} and {b}", None)).await;
    assert!(Arc::ptr_eq(&first, &newest().await.unwrap()), "compiled once");
    clock.advance(Duration::from_millis(1_999));
    assert_eq!(newest().await.unwrap().version, CrewVersion(1));
    clock.advance(Duration::from_millis(1));
    let second = newest().await.unwrap();
    assert_eq!((second.version, second.plan.variables().len()), (CrewVersion(2), 2));
    clock.advance(Duration::from_secs(5));
    assert!(Arc::ptr_eq(&second, &newest().await.unwrap()), "not compiled again");
}
