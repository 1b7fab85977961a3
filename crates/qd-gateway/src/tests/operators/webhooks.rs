//! Deliveries and endpoints of webhooks.

use std::sync::Arc;

use qd_egress::Bounds;
use qd_store::{Event, Subscription};
use serde_json::{Value, json};

use crate::WebhookEndpoint;
use crate::tests::Server;

const URL: &str = "https://receiver.example/hooks?token=s3cret";

async fn server() -> Server {
    let endpoint = WebhookEndpoint {
        name: "shop".to_owned(),
        url: "https://shop.example/hooks?key=s3cret".to_owned(),
        events: Event::LAST.to_vec(),
        crews: Some(vec!["solo".to_owned()]),
    };
    let subscription = Subscription {
        endpoint: "shop".to_owned(),
        events: Event::LAST.to_vec(),
        crews: Some(vec![qd_types::CrewName::new("solo")]),
    };
    let bounds = Arc::new(Bounds::new(&qd_egress::Options::default()).unwrap());
    Server::with(
        |options| (options.webhooks, options.job_webhooks) = (vec![endpoint], Some(bounds)),
        |store| store.subscriptions = Arc::from([subscription]),
    )
    .await
}

fn job(url: &Value) -> Value {
    json!({ "crew": "solo", "input": { "topic": "t" }, "webhook_url": url })
}

/// A job that is over and has told of it.
async fn cancelled(server: &Server) -> String {
    let made = server.post("/v1/jobs", &job(&json!(URL))).await;
    assert_eq!(made.status, 202, "{}", made.text());
    let id = made.json()["id"].as_str().unwrap().to_owned();
    server.post(&format!("/v1/jobs/{id}/cancel"), &json!({})).await;
    id
}

#[tokio::test]
async fn nothing_brings_a_url_where_there_is_no_secret_to_sign_with() {
    let server = Server::start().await;
    for (path, made) in [
        ("/v1/jobs", json!({ "crew": "fixed" })),
        ("/v1/batches", json!({ "crew": "fixed", "inputs": [{}] })),
        ("/v1/schedules", json!({ "crew": "fixed", "cron": "@daily", "name": "n" })),
    ] {
        let with = |url: Value| {
            let mut body = made.clone();
            body["webhook_url"] = url;
            body
        };
        let refused = server.post(path, &with(json!(URL))).await;
        refused.problem(422, "not_supported");
        assert_eq!(refused.paths(), ["/webhook_url"], "{path}");
        assert!(refused.text().contains("set `delivery.secret`"), "{}", refused.text());
        let without = server.post(path, &with(Value::Null)).await;
        assert!(without.status < 300, "{path}: {}", without.text());
    }
}

#[tokio::test]
async fn deliveries_are_listed_by_job_and_by_what_they_are() {
    let server = server().await;
    let (first, _) = (cancelled(&server).await, cancelled(&server).await);
    let of_job = server.get(&format!("/v1/jobs/{first}/deliveries")).await.json();
    let deliveries = of_job["deliveries"].as_array().unwrap();
    assert_eq!(deliveries.len(), 2, "{of_job}");
    for delivery in deliveries {
        assert_eq!((&delivery["job_id"], &delivery["event"]), (&json!(first), &json!("job.cancelled")));
        assert_eq!((&delivery["status"], &delivery["tries"]), (&json!("pending"), &json!(0)));
    }
    let to = |key: &str| deliveries.iter().filter_map(|one| one[key].as_str()).collect::<Vec<_>>();
    assert_eq!((to("endpoint"), to("url")), (vec!["shop"], vec!["https://receiver.example/hooks"]));
    for (query, count) in [
        ("", 4),
        ("?endpoint=shop", 2),
        ("?status=pending&event=job.cancelled", 4),
        ("?status=delivered", 0),
        (&format!("?job={first}"), 2),
        ("?limit=3", 3),
    ] {
        let list = server.get(&format!("/v1/deliveries{query}")).await.json();
        assert_eq!(list["deliveries"].as_array().unwrap().len(), count, "{query}");
    }
    let page = server.get("/v1/deliveries?limit=3").await.json();
    let rest =
        server.get(&format!("/v1/deliveries?cursor={}", page["next_cursor"].as_str().unwrap())).await.json();
    assert_eq!((rest["deliveries"].as_array().unwrap().len(), &rest["next_cursor"]), (1, &Value::Null));
}

#[tokio::test]
async fn a_delivery_is_read_and_sent_again() {
    let server = server().await;
    let job = cancelled(&server).await;
    let list = server.get(&format!("/v1/jobs/{job}/deliveries")).await.json();
    let id = list["deliveries"][0]["id"].as_str().unwrap();
    let read = server.get(&format!("/v1/deliveries/{id}")).await;
    assert_eq!((read.status, read.json()), (200, list["deliveries"][0].clone()));
    let resent = server.post(&format!("/v1/deliveries/{id}/resend"), &json!({})).await;
    assert_eq!((resent.status, &resent.json()["id"]), (202, &json!(id)));
}

#[tokio::test]
async fn endpoints_are_listed_and_tried() {
    let server = server().await;
    let list = server.get("/v1/webhooks").await;
    assert_eq!(list.status, 200);
    let shop = &list.json()["webhooks"][0];
    assert_eq!((&shop["name"], &shop["url"]), (&json!("shop"), &json!("https://shop.example/hooks")));
    assert_eq!(shop["disabled_at"], Value::Null);
    let test = server.post("/v1/webhooks/shop/test", &json!({})).await;
    assert_eq!((test.status, &test.json()["event"]), (202, &json!("webhook.test")));
    assert_eq!(test.json()["job_id"], Value::Null);
    assert_eq!(server.post("/v1/webhooks/other/test", &json!({})).await.status, 404);
}
