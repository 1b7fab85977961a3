//! A store whose disk is full for a while.

use qd_faultfs::{Fault, FaultFs, Kind};
use serde_json::json;

use super::Server;
use super::client::request;

const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn full_disk_refuses_jobs_with_a_reason_and_takes_them_again_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FaultFs::watch_without_record(folder.path());
    let url = format!("sqlite:{}", folder.path().join("store.db").display());
    let server = Server::with(|_| {}, |options| options.url = url).await;
    let body = json!({ "crew": "fixed", "input": {} }).to_string();
    let submit = |key: &'static str| {
        let body = body.clone();
        async move {
            let headers = [JSON, ("idempotency-key", key)];
            request(server.address, "POST", "/v1/jobs", &headers, body.as_bytes()).await
        }
    };
    let before = submit("before").await;
    assert_eq!(before.status, 202, "{}", before.text());

    disk.set_fault(Some(Fault { at: 0, kind: Kind::Full, sticky: true }));
    for _ in 0..3 {
        let reply = submit("during").await;
        reply.problem(503, "store_unavailable");
        assert!(reply.header("retry-after").is_some());
        let id = before.json()["id"].as_str().unwrap().to_owned();
        let read = request(server.address, "GET", &format!("/v1/jobs/{id}"), &[], b"").await;
        assert_eq!(read.status, 200, "what is there can be read");
    }
    assert!(disk.hits() >= 3);

    disk.set_fault(None);
    let during = submit("during").await;
    assert_eq!(during.status, 202, "a refused request does not burn its key: {}", during.text());
    assert_eq!(during.header("idempotent-replayed"), None);
    let again = submit("before").await;
    assert_eq!((again.status, again.json()["id"].clone()), (202, before.json()["id"].clone()));
    assert_eq!(request(server.admin, "GET", "/readyz", &[], b"").await.status, 200);
}
