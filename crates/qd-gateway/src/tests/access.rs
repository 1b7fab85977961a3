//! Who is let in, and to what: every route of the document with every kind of key.

use std::sync::Arc;
use std::time::Duration;

use qd_env::{Env, ManualClock};
use qd_store::{Actor, Delivery, Destination, Event, Outcome, Turn, TurnRole};
use qd_types::{BatchId, DeliveryId, JobId, KeyId, Scope, TenantId};
use serde_json::{Value, json};

use super::client::{Reply, raw};
use super::engine::output;
use super::events::Listener;
use super::{Server, soon};
use crate::access::Needs;
use crate::{Auth, Issued, Options, Pace, Rates, TenantPace, WantedKey, WebhookEndpoint};

const HOUR: Duration = Duration::from_secs(3_600);

impl Server {
    async fn locked() -> Self {
        let endpoint = WebhookEndpoint {
            name: "assistant".to_owned(),
            url: "https://shop.example/hooks".to_owned(),
            events: Event::LAST.to_vec(),
            crews: None,
        };
        Self::with(|options| (options.auth, options.webhooks) = (Auth::Keys, vec![endpoint]), |_| {}).await
    }

    async fn key(&self, tenant: &str, scopes: &[Scope], lifetime: Duration) -> Issued {
        let scopes = scopes.iter().copied().collect();
        let wanted = WantedKey { tenant: TenantId::new(tenant), name: "test".into(), scopes, lifetime };
        self.keys.issue(wanted, Actor::Console).await.unwrap()
    }

    /// One request with a key.
    async fn ask(&self, key: Option<&str>, method: &str, path: &str, body: &Value) -> Reply {
        let bearer = key.map(|key| format!("Bearer {key}"));
        let mut headers = vec![];
        headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
        if body.is_null() {
            return self.request(method, path, &headers, b"").await;
        }
        headers.push(("content-type", "application/json"));
        self.request(method, path, &headers, body.to_string().as_bytes()).await
    }
}

/// A clock that only a test moves.
fn still() -> (Arc<ManualClock>, Env) {
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    (Arc::clone(&clock), Env::with(clock, 5))
}

/// Every route: method, template, what it needs.
fn routes() -> Vec<(String, &'static str, Needs)> {
    let described = crate::router::routes().into_described();
    described.into_iter().map(|route| (route.method.to_string(), route.path, route.operation.needs)).collect()
}

/// A body that the route takes.
fn body(method: &str, path: &str) -> Value {
    match (method, path) {
        ("POST", "/v1/jobs") => json!({ "crew": "assistant", "input": { "message": "m" } }),
        ("POST", "/v1/batches") => json!({ "crew": "assistant", "inputs": [{ "message": "m" }] }),
        ("POST", "/v1/schedules") => {
            json!({ "name": "daily", "cron": "@daily", "crew": "assistant", "input": { "message": "m" } })
        }
        ("PUT", "/v1/schedules/{name}") => {
            json!({ "cron": "@daily", "crew": "assistant", "input": { "message": "m" } })
        }
        ("POST", "/v1/jobs/{id}/resume") => json!({ "approve": true }),
        ("POST", "/v1/breakers") => json!({ "deployment": "sim/standard", "state": "auto" }),
        ("POST", "/v1/keys") => json!({ "name": "ci", "scopes": ["jobs:read"] }),
        ("POST", "/v1/keys/{id}/rotate") => json!({}),
        ("POST", "/v1/crews/{name}/kickoff") => json!({ "inputs": { "message": "m" } }),
        ("POST", "/v1/crews/{name}/resume") => json!({ "is_approve": true }),
        ("POST", "/chat") => json!({ "user_id": "ann", "message": "m" }),
        ("POST", "/tasks") => json!({ "task": "t" }),
        _ => Value::Null,
    }
}

/// A tenant with one of everything.
struct Tenant {
    key: String,
    job: JobId,
    /// A failed one, for what can be done with those alone.
    failed: JobId,
    other_key: KeyId,
    delivery: DeliveryId,
    batch: BatchId,
    conversation: &'static str,
}

impl Tenant {
    async fn new(server: &Server, name: &str, conversation: &'static str) -> Self {
        let key = server.key(name, Scope::ALL, HOUR).await;
        let text = key.key.reveal().to_owned();
        let chat = json!({ "user_id": conversation, "message": "hello" });
        let made = server.ask(Some(&text), "POST", "/chat", &chat).await;
        assert_eq!(made.status, 202, "{}", made.text());
        let claimed = server.claim().await;
        assert_eq!(claimed.job.tenant.as_str(), name);
        let say = |role, text: &str| Turn { role, text: text.to_owned() };
        let finish = qd_store::Finish {
            job: claimed.job.id,
            fence: claimed.lease.fence,
            items: Vec::new(),
            progress: qd_types::Progress::default(),
            outcome: Outcome::Succeeded(output()),
            history: vec![say(TurnRole::User, "hello"), say(TurnRole::Assistant, "so it is")],
            doubt_settled: true,
        };
        server.store.finish(finish).await.unwrap().unwrap();
        server.ask(Some(&text), "POST", "/tasks", &json!({ "task": "t" })).await;
        let failed = server.claim().await;
        let failure = super::engine::failure();
        server.finish(&failed, Outcome::Failed(failure)).await;
        let other_key = server.key(name, &[Scope::JobsRead], HOUR).await.stored.id;
        let delivery = DeliveryId(claimed.job.id.0);
        let to = Destination::Endpoint("assistant".to_owned());
        let told = Delivery::new(
            delivery,
            claimed.job.tenant.clone(),
            None,
            Event::Test,
            to,
            claimed.job.created_at,
        );
        server.store.post_delivery(told).await.unwrap();
        let made = server.ask(Some(&text), "POST", "/v1/batches", &body("POST", "/v1/batches")).await;
        let batch = BatchId::parse(made.json()["id"].as_str().unwrap()).unwrap();
        // By the name that stands for every name in a path.
        let put = body("PUT", "/v1/schedules/{name}");
        server.ask(Some(&text), "PUT", "/v1/schedules/assistant", &put).await;
        let (job, failed) = (claimed.job.id, failed.job.id);
        Self { key: text, job, failed, other_key, delivery, batch, conversation }
    }

    /// The path of a route about this tenant's things.
    fn path(&self, template: &str) -> String {
        let id = match template {
            path if path.starts_with("/v1/keys") => self.other_key.to_string(),
            path if path.starts_with("/v1/deliveries") => self.delivery.to_string(),
            path if path.starts_with("/v1/batches") => self.batch.to_string(),
            path if path.starts_with("/v1/conversations") => self.conversation.to_owned(),
            path if path.ends_with("/redrive") => self.failed.to_string(),
            _ => self.job.to_string(),
        };
        template.replace("{id}", &id).replace("{name}", "assistant").replace("{system}", "default")
    }
}

#[tokio::test]
async fn every_route_is_closed_to_whoever_may_not() {
    let server = Server::locked().await;
    let tenant = Tenant::new(&server, "default", "ann").await;
    let all = server.key("default", Scope::ALL, HOUR).await;
    let expired = server.key("default", Scope::ALL, Duration::ZERO).await;
    let revoked = server.key("default", Scope::ALL, HOUR).await;
    server.keys.revoke(None, revoked.stored.id, Actor::Console).await.unwrap();
    let stranger = qd_types::ApiKey::new(KeyId::from_random([9; 6]), &[9; 32]);
    let guessed = qd_types::ApiKey::new(all.stored.id, &[9; 32]);
    let mut typo = all.key.reveal().to_owned();
    typo.replace_range(30..31, if &typo[30..31] == "q" { "r" } else { "q" });
    let mut walked = 0;
    for (method, template, needs) in routes() {
        let (path, body) = (tenant.path(template), body(&method, template));
        let what = format!("{method} {path}");
        if needs == Needs::Nothing {
            for key in [None, Some("nonsense"), Some(revoked.key.reveal())] {
                assert_eq!(server.ask(key, &method, &path, &body).await.status, 200, "{what}");
            }
            continue;
        }
        let (Needs::Scope(scope) | Needs::Operator(scope)) = needs else { panic!("{what} needs no scope") };
        let missing = server.ask(None, &method, &path, &body).await;
        missing.problem(401, "unauthorized");
        assert_eq!(missing.header("www-authenticate"), Some("Bearer"), "{what}");
        for (key, why) in [
            ("nonsense", "qd_live_"),
            (typo.as_str(), "checksum"),
            (stranger.reveal(), "not known"),
            (guessed.reveal(), "not known"),
            (expired.key.reveal(), "expired"),
            (revoked.key.reveal(), "revoked"),
        ] {
            // Ten a minute are told what is wrong; whoever comes oftener is sent away.
            let reply = server.ask(Some(key), &method, &path, &body).await;
            match reply.status {
                401 => {
                    let told = reply.problem(401, "unauthorized")["detail"].as_str().unwrap().to_owned();
                    assert!(told.contains(why), "{what}: {told}");
                }
                _ => drop(reply.problem(429, "rate_limited")),
            }
            assert!(!reply.text().contains(&key[..key.len().min(20)]), "{what}: {}", reply.text());
        }
        let others: Vec<Scope> =
            Scope::ALL.iter().copied().filter(|other| *other != scope && *other != Scope::Admin).collect();
        let lacking = server.key("default", &others, HOUR).await;
        let reply = server.ask(Some(lacking.key.reveal()), &method, &path, &body).await;
        let detail = reply.problem(403, "forbidden")["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(scope.as_str()), "{what}: {detail}");
        for scopes in [&[scope][..], &[Scope::Admin]] {
            let allowed = server.key("default", scopes, HOUR).await;
            let reply = server.ask(Some(allowed.key.reveal()), &method, &path, &body).await;
            // What was forgotten once is not there the second time.
            let is_deleted = template == "/v1/conversations/{id}" || method == "DELETE";
            let is_gone = reply.status == 404 && is_deleted && scopes == [Scope::Admin];
            assert!(!matches!(reply.status, 401 | 403 | 404 | 429) || is_gone, "{what}: {}", reply.text());
        }
        walked += 1;
    }
    assert!(walked > 20, "{walked}");
}

#[tokio::test]
async fn things_of_another_tenant_are_answered_like_things_that_do_not_exist() {
    let server = Server::locked().await;
    let (ours, theirs) =
        (Tenant::new(&server, "acme", "ann").await, Tenant::new(&server, "globex", "gus").await);
    let nobody = Tenant {
        key: String::new(),
        job: JobId::parse("018f0000-0000-7000-8000-000000000000").unwrap(),
        failed: JobId::parse("018f0000-0000-7000-8000-000000000000").unwrap(),
        other_key: KeyId::from_random([8; 6]),
        delivery: DeliveryId::parse("018f0000-0000-7000-8000-000000000000").unwrap(),
        batch: BatchId::parse("018f0000-0000-7000-8000-000000000000").unwrap(),
        conversation: "nobody",
    };
    let mut compared = 0;
    for (method, template, needs) in routes() {
        let body = body(&method, template);
        if matches!(needs, Needs::Operator(_)) {
            let reply = server.ask(Some(&ours.key), &method, template, &body).await;
            reply.problem(403, "forbidden");
            continue;
        }
        if !template.contains("{id}") {
            continue;
        }
        // The words are the same but for the id that was asked for.
        let plain = |reply: &Reply, of: &Tenant| {
            let mut body = reply.problem(404, "not_found");
            body["request_id"] = Value::Null;
            let ids = [
                of.job.to_string(),
                of.failed.to_string(),
                of.other_key.to_string(),
                of.delivery.to_string(),
                of.batch.to_string(),
            ];
            let text = ids.iter().fold(body.to_string(), |text, id| text.replace(id, "ID"));
            text.replace(of.conversation, "ID")
        };
        let foreign = server.ask(Some(&ours.key), &method, &theirs.path(template), &body).await;
        let unknown = server.ask(Some(&ours.key), &method, &nobody.path(template), &body).await;
        assert_eq!(plain(&foreign, &theirs), plain(&unknown, &nobody), "{method} {template}");
        // Their own are there.
        let own = server.ask(Some(&theirs.key), &method, &theirs.path(template), &body).await;
        assert!(!matches!(own.status, 401 | 403 | 404), "{method} {template}: {}", own.text());
        compared += 1;
    }
    assert!(compared >= 10, "{compared}");
    for (path, list, mine, not_mine) in [
        ("/v1/jobs", "jobs", ours.job.to_string(), theirs.job.to_string()),
        ("/v1/batches", "batches", ours.batch.to_string(), theirs.batch.to_string()),
        ("/v1/keys", "keys", ours.other_key.to_string(), theirs.other_key.to_string()),
    ] {
        let listed = server.ask(Some(&ours.key), "GET", path, &Value::Null).await.json()[list].to_string();
        assert!(listed.contains(&mine) && !listed.contains(&not_mine), "{path}: {listed}");
    }
    let for_them = json!({ "name": "n", "scopes": ["admin"], "tenant": "globex" });
    server.ask(Some(&ours.key), "POST", "/v1/keys", &for_them).await.problem(403, "forbidden");
}

#[tokio::test]
async fn idempotency_keys_of_tenants_are_apart() {
    let server = Server::locked().await;
    let job = json!({ "crew": "assistant", "input": { "message": "m" } }).to_string();
    let mut seen = Vec::new();
    for tenant in ["acme", "globex", "acme"] {
        let key = server.key(tenant, &[Scope::JobsWrite], HOUR).await;
        let bearer = format!("Bearer {}", key.key.reveal());
        let headers = [
            ("authorization", bearer.as_str()),
            ("idempotency-key", "k"),
            ("content-type", "application/json"),
        ];
        let reply = server.request("POST", "/v1/jobs", &headers, job.as_bytes()).await;
        seen.push(reply.json()["id"].clone());
    }
    assert_eq!(seen[0], seen[2], "two keys of one tenant share it");
    assert_ne!(seen[0], seen[1]);
}

#[tokio::test]
async fn nothing_is_said_without_a_key_of_which_routes_there_are() {
    let server = Server::locked().await;
    for (method, path) in
        [("GET", "/nowhere"), ("PUT", "/v1/jobs"), ("OPTIONS", "/v1/jobs"), ("POST", "/v1/batches")]
    {
        server.request(method, path, &[], b"").await.problem(401, "unauthorized");
    }
    let key = server.key("acme", &[Scope::Stats], HOUR).await;
    let ask = |method, path| server.ask(Some(key.key.reveal()), method, path, &Value::Null);
    ask("GET", "/nowhere").await.problem(404, "not_found");
    ask("PUT", "/v1/jobs").await.problem(405, "method_not_allowed");
    let head = raw(server.address, b"HEAD /v1/usage HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(head.starts_with(b"HTTP/1.1 401 "), "{}", String::from_utf8_lossy(&head));
}

#[tokio::test]
async fn key_may_come_in_either_header_once() {
    let server = Server::locked().await;
    let key = server.key("acme", &[Scope::JobsRead], HOUR).await;
    let (key, bearer) = (key.key.reveal(), format!("bearer  {}", key.key.reveal()));
    let server = &server;
    let get = |headers: Vec<(&'static str, String)>| async move {
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        server.request("GET", "/v1/jobs", &headers, b"").await
    };
    assert_eq!(get(vec![("authorization", bearer.clone())]).await.status, 200);
    assert_eq!(get(vec![("x-api-key", key.to_owned())]).await.status, 200);
    let basic = get(vec![("authorization", "Basic YTpi".to_owned()), ("x-api-key", key.to_owned())]).await;
    basic.problem(401, "unauthorized");
    get(vec![("authorization", key.to_owned())]).await.problem(401, "unauthorized");
    get(vec![("authorization", bearer.clone()), ("authorization", bearer)])
        .await
        .problem(400, "invalid_request");
}

#[tokio::test]
async fn open_server_asks_nobody_and_still_knows_its_keys() {
    let server = Server::start().await;
    let (acme, revoked) =
        (server.key("acme", &[Scope::JobsRead], HOUR).await, server.key("acme", Scope::ALL, HOUR).await);
    server.keys.revoke(None, revoked.stored.id, Actor::Console).await.unwrap();
    server.post("/v1/jobs", &json!({ "crew": "fixed" })).await;
    let count = |reply: &Reply| reply.json()["jobs"].as_array().unwrap().len();
    let get = |key| server.ask(key, "GET", "/v1/jobs", &Value::Null);
    assert_eq!(count(&get(None).await), 1);
    assert_eq!(count(&get(Some("sk-what-a-client-must-send")).await), 1);
    assert_eq!(count(&get(Some(acme.key.reveal())).await), 0, "a key counts where one is sent");
    get(Some(revoked.key.reveal())).await.problem(401, "unauthorized");
    let chat = server.ask(Some(acme.key.reveal()), "POST", "/tasks", &json!({ "task": "t" })).await;
    chat.problem(403, "forbidden");
}

#[tokio::test]
async fn event_stream_ends_when_its_key_is_revoked() {
    let server = Server::locked().await;
    let tenant = Tenant::new(&server, "acme", "ann").await;
    let made = server.ask(Some(&tenant.key), "POST", "/tasks", &json!({ "task": "t" })).await;
    let id = JobId::parse(made.json()["task_id"].as_str().unwrap()).unwrap();
    let reading = server.key("acme", &[Scope::JobsRead], HOUR).await;
    let header = |key: &str| format!("x-api-key: {key}\r\n");
    let mut ended = Listener::open_with(server.address, id, &header(reading.key.reveal())).await;
    let mut going_on = Listener::open_with(server.address, id, &header(&tenant.key)).await;
    ended.until("job.queued").await;
    going_on.until("job.queued").await;
    let (path, began) = (format!("/v1/keys/{}", reading.stored.id), tokio::time::Instant::now());
    let revoked = server.ask(Some(&tenant.key), "DELETE", &path, &Value::Null).await;
    assert_eq!((revoked.status, &revoked.json()["status"]), (200, &json!("revoked")));
    let text = ended.rest().await.text();
    assert!(text.contains("not good any more"), "{text}");
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "not only with the next comment: {:?}",
        began.elapsed()
    );
    server.succeed().await;
    going_on.until("job.succeeded").await;
}

#[tokio::test]
async fn event_stream_ends_when_its_key_expires() {
    let (clock, env) = still();
    let set = |options: &mut Options| {
        options.auth = Auth::Keys;
        // This is when a stream looks.
        options.keep_alive = Duration::from_millis(50);
    };
    let server = Server::built(env, set, |_| {}, Rates::default()).await;
    let key = server.key("default", Scope::ALL, HOUR).await;
    let made = server.ask(Some(key.key.reveal()), "POST", "/tasks", &json!({ "task": "t" })).await;
    let id = JobId::parse(made.json()["task_id"].as_str().unwrap()).unwrap();
    let header = format!("x-api-key: {}\r\n", key.key.reveal());
    let mut listener = Listener::open_with(server.address, id, &header).await;
    listener.until("job.queued").await;
    clock.advance(HOUR);
    let text = soon("the end", listener.rest()).await.text();
    assert!(text.contains("not good any more"), "{text}");
}

#[tokio::test]
async fn keys_are_made_rotated_and_revoked_over_the_api() {
    let server = Server::locked().await;
    let admin = server.key("default", &[Scope::Admin], HOUR).await;
    let ask = |method: &'static str, path: String, body: Value| {
        let key = admin.key.reveal().to_owned();
        let server = &server;
        async move { server.ask(Some(&key), method, &path, &body).await }
    };
    let new = json!({ "name": "ci", "scopes": ["jobs:read"], "tenant": "acme", "expires_in_days": 7 });
    let made = ask("POST", "/v1/keys".into(), new).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let first = made.json();
    assert_eq!(made.header("location"), Some(format!("/v1/keys/{}", first["id"].as_str().unwrap()).as_str()));
    assert_eq!((&first["tenant"], &first["status"]), (&json!("acme"), &json!("active")));
    let path = format!("/v1/keys/{}", first["id"].as_str().unwrap());
    let read = ask("GET", path.clone(), Value::Null).await.json();
    assert!(read.get("key").is_none() && read["name"] == "ci", "{read}");
    let rotated = ask("POST", format!("{path}/rotate"), json!({ "overlap_seconds": 0 })).await;
    assert_eq!((rotated.status, &rotated.json()["replaces"]), (201, &first["id"]));
    let secret = |key: &Value| key["key"].as_str().unwrap().to_owned();
    server.ask(Some(&secret(&first)), "GET", "/v1/jobs", &Value::Null).await.problem(401, "unauthorized");
    let second = secret(&rotated.json());
    assert_eq!(server.ask(Some(&second), "GET", "/v1/jobs", &Value::Null).await.status, 200);
    ask("POST", format!("{path}/rotate"), json!({})).await.problem(409, "key_over");
    let acts = ask("GET", "/v1/audit?after=1".into(), Value::Null).await.json();
    let deeds: Vec<&str> =
        acts["acts"].as_array().unwrap().iter().map(|act| act["deed"].as_str().unwrap()).collect();
    assert_eq!(deeds, ["key.created", "key.rotated"]);
    assert_eq!(acts["acts"][0]["actor"], format!("key:{}", admin.stored.id));
    assert!(!acts.to_string().contains(&second[20..]), "no secret in the log");
    let check = ask("GET", "/v1/audit/check".into(), Value::Null).await.json();
    assert_eq!((&check["intact"], &check["acts"]), (&json!(true), &json!(3)));
    assert_eq!(check["head"], acts["acts"][1]["hash"]);
}

#[tokio::test]
async fn whoever_asks_too_often_is_told_when_to_come_again() {
    let small = TenantPace { key: Some(Some(Pace::new(0.01, 1))), tenant: None };
    let rates = Rates {
        key: Some(Pace::new(0.01, 3)),
        tenant: Some(Pace::new(0.01, 4)),
        tenants: [(TenantId::new("small"), small)].into(),
    };
    let server = Server::built(still().1, |options| options.auth = Auth::Keys, |_| {}, rates).await;
    let one = server.key("acme", &[Scope::JobsRead], HOUR).await;
    let get = |key: &Issued| {
        let key = key.key.reveal().to_owned();
        let server = &server;
        async move { server.ask(Some(&key), "GET", "/v1/jobs", &Value::Null).await }
    };
    let first = get(&one).await;
    assert_eq!(first.header("ratelimit-policy"), Some("\"key\";q=3;w=300, \"tenant\";q=4;w=400"));
    assert_eq!(first.header("ratelimit"), Some("\"key\";r=2;t=100, \"tenant\";r=3;t=100"));
    assert_eq!((get(&one).await.status, get(&one).await.status), (200, 200));
    let refused = get(&one).await;
    refused.problem(429, "rate_limited");
    assert_eq!(refused.header("retry-after"), Some("100"));
    let two = server.key("acme", &[Scope::JobsRead], HOUR).await;
    assert_eq!((get(&two).await.status, get(&two).await.status), (200, 429), "the tenant's pace");
    let small = server.key("small", &[Scope::JobsRead], HOUR).await;
    assert_eq!((get(&small).await.status, get(&small).await.status), (200, 429), "its own pace");
    assert_eq!(server.get("/health").await.status, 200, "probes have no pace");
}

#[tokio::test]
async fn address_that_guesses_is_told_less_and_good_keys_still_let_in() {
    let set = |options: &mut Options| options.auth = Auth::Keys;
    let server = Server::built(still().1, set, |_| {}, Rates::default()).await;
    let key = server.key("acme", &[Scope::JobsRead], HOUR).await;
    let wrong = qd_types::ApiKey::new(key.stored.id, &[1; 32]);
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(server.ask(Some(wrong.reveal()), "GET", "/v1/jobs", &Value::Null).await.status);
    }
    assert_eq!(statuses, [[401; 10].as_slice(), &[429; 2]].concat());
    assert_eq!(server.ask(Some(key.key.reveal()), "GET", "/v1/jobs", &Value::Null).await.status, 200);
}

#[tokio::test]
async fn figures_on_a_public_admin_port_need_a_key_and_probes_do_not() {
    let public = Server::with(
        |options| {
            options.auth = Auth::Keys;
            options.admin_listen = Some("0.0.0.0:0".parse().unwrap());
        },
        |_| {},
    )
    .await;
    let near = Server::locked().await;
    let ask = |server: &Server, path: &'static str, key: Option<String>| {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], server.admin.port()));
        async move {
            let headers: Vec<(&str, &str)> =
                key.as_deref().map(|key| ("x-api-key", key)).into_iter().collect();
            super::client::request(address, "GET", path, &headers, b"").await.status
        }
    };
    for path in ["/livez", "/readyz", "/startupz", "/health", "/ready"] {
        assert_eq!(ask(&public, path, None).await, 200, "{path}");
    }
    let (stats, tenants) =
        (public.key("default", &[Scope::Stats], HOUR).await, public.key("acme", Scope::ALL, HOUR).await);
    for path in ["/metrics", "/scale"] {
        assert_eq!(ask(&near, path, None).await, 200, "{path}");
        assert_eq!(ask(&public, path, None).await, 401, "{path}");
        assert_eq!(ask(&public, path, Some(tenants.key.reveal().to_owned())).await, 403, "{path}");
        assert_eq!(ask(&public, path, Some(stats.key.reveal().to_owned())).await, 200, "{path}");
    }
    let metrics = super::client::request(near.admin, "GET", "/metrics", &[], b"").await.text();
    assert!(metrics.contains("quarterdeck_auth_failures_total"), "{metrics}");
}

#[tokio::test]
async fn forced_breaker_is_written_down() {
    let server = Server::start().await;
    let open = json!({ "deployment": "sim/standard", "state": "open" });
    assert_eq!(server.post("/v1/breakers", &open).await.status, 200);
    server
        .post("/v1/breakers", &json!({ "deployment": "nowhere/x", "state": "open" }))
        .await
        .problem(404, "not_found");
    let acts = server.get("/v1/audit").await.json();
    assert_eq!(acts["acts"].as_array().unwrap().len(), 1, "{acts}");
    let act = &acts["acts"][0];
    assert_eq!((&act["actor"], &act["deed"]), (&json!("anyone"), &json!("breaker.forced")));
    assert_eq!((&act["subject"], &act["detail"]), (&json!("sim/standard"), &json!({ "state": "open" })));
}
