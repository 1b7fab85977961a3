//! Probes on both ports, and the routes around them.

use std::sync::atomic::Ordering;

use serde_json::json;

use super::Server;
use super::client::request;

#[tokio::test]
async fn probes_answer_on_their_ports() {
    let server = Server::start().await;
    server.post("/v1/jobs", &json!({ "crew": "fixed" })).await;
    for address in [server.address, server.admin] {
        let health = request(address, "GET", "/health", &[], b"").await;
        assert_eq!(health.status, 200);
        let health = health.json();
        for (field, value) in [
            ("status", json!("ok")),
            ("tasks_in_flight", json!(7)),
            ("queued", json!(1)),
            ("draining", json!(false)),
        ] {
            assert_eq!(health[field], value, "{field}");
        }
        assert_eq!(request(address, "GET", "/ready", &[], b"").await.status, 200);
    }
    for path in ["/livez", "/readyz", "/startupz", "/metrics", "/scale"] {
        assert_eq!(request(server.admin, "GET", path, &[], b"").await.status, 200, "{path}");
        server.get(path).await.problem(404, "not_found");
    }
    for path in ["/v1/stats", "/v1/jobs", "/chat"] {
        request(server.admin, "GET", path, &[], b"").await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_draining_process_is_not_ready_and_still_serves_those_who_do_not_know_yet() {
    let server = Server::start().await;
    let made = server.post("/v1/jobs", &json!({ "crew": "fixed" })).await;
    server.process.draining.store(true, Ordering::SeqCst);
    for (path, status) in [("/livez", 200), ("/health", 200), ("/ready", 503), ("/readyz", 503)] {
        assert_eq!(request(server.admin, "GET", path, &[], b"").await.status, status, "{path}");
    }
    let bodies = [
        ("/v1/jobs", json!({ "crew": "fixed" })),
        ("/chat", json!({ "user_id": "u", "message": "m" })),
        ("/tasks", json!({ "task": "t" })),
    ];
    for (path, body) in bodies {
        assert_eq!(server.post(path, &body).await.status, 202, "{path}");
    }
    assert_eq!(server.get(made.header("location").unwrap()).await.status, 200);
}

#[tokio::test]
async fn the_index_names_routes_that_answer() {
    let server = Server::start().await;
    let index = server.get("/").await;
    assert_eq!(index.status, 200);
    let index = index.json();
    let routes = index["routes"].as_object().unwrap();
    assert!(routes.len() >= 14);
    for route in routes.keys() {
        let (method, path) = route.split_once(' ').unwrap();
        let path = path.replace("{id}", "x").replace("{name}", "x").replace("{system}", "default");
        let reply = server.request(method, &path, &[], b"").await;
        // A route that is not there would be told as such.
        assert!(
            reply.status != 405 && !reply.text().contains("there is no route"),
            "{route}: {}",
            reply.text()
        );
    }
}

#[tokio::test]
async fn what_is_not_built_yet_says_so() {
    let server = Server::start().await;
    for (method, path) in
        [("POST", "/crews/default/scale".to_owned()), ("POST", "/crews/default/backup".to_owned())]
    {
        let problem = server.request(method, &path, &[], b"").await.problem(422, "not_supported");
        assert!(problem["detail"].as_str().unwrap().contains(&path), "{problem}");
    }
}

#[tokio::test]
async fn answers_carry_the_requests_id_and_safe_headers() {
    let server = Server::start().await;
    let own = server.request("GET", "/health", &[("x-request-id", "trace/1:a.b-c_d")], b"").await;
    assert_eq!(own.header("x-request-id"), Some("trace/1:a.b-c_d"));
    assert_eq!(own.header("cache-control"), Some("no-store"));
    assert_eq!(own.header("x-content-type-options"), Some("nosniff"));
    let long = "x".repeat(129);
    for bad in [long.as_str(), "a b", "<script>", "\"", ""] {
        let reply = server.request("GET", "/nothing", &[("x-request-id", bad)], b"").await;
        let problem = reply.problem(404, "not_found");
        assert_eq!(problem["request_id"].as_str().unwrap().len(), 36, "{bad}");
    }
}
