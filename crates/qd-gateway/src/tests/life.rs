//! Starting and stopping, and what survives a mistake inside.

use std::sync::Arc;
use std::time::Duration;

use qd_env::Env;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::client::request;
use super::{Process, Server, options, parts, soon};
use crate::{Deployment, Error, Gateway, Health, InvalidOptions, Options, Rates};

async fn bind(options: Options, health: Arc<dyn Health>) -> Result<Gateway, Error> {
    let env = Env::system();
    let store = qd_store::open(&qd_store::Options::default(), &env).unwrap();
    Gateway::bind(options, parts(&store, &env, health, Rates::default())).await
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    for (port, set) in [
        ("API", Options { listen: address, ..options() }),
        ("admin", Options { admin_listen: Some(address), ..options() }),
    ] {
        let error = bind(set, Arc::new(Process::default())).await.err().unwrap().to_string();
        assert!(error.contains(&address.to_string()) && error.contains(port), "{error}");
        assert!(error.contains("stop the process that holds it, or choose another port"), "{error}");
    }
}

#[tokio::test]
async fn an_address_that_is_not_ours_is_explained() {
    let far = Options { listen: "192.0.2.1:0".parse().unwrap(), insecure_public: true, ..options() };
    let error = bind(far, Arc::new(Process::default())).await.err().unwrap().to_string();
    assert!(error.contains("192.0.2.1") && error.contains("no network interface"), "{error}");
}

#[tokio::test]
async fn a_public_address_is_refused_unless_it_is_meant() {
    for public in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80", "[::ffff:10.0.0.1]:80"] {
        let options = Options { listen: public.parse().unwrap(), ..options() };
        let error = bind(options.clone(), Arc::new(Process::default())).await.err().unwrap().to_string();
        assert!(error.contains("insecure_public = true") && error.contains("127.0.0.1"), "{error}");
        assert_eq!(Options { insecure_public: true, ..options }.validate(), Ok(()));
    }
    for own in ["127.0.0.1:0", "127.9.9.9:0", "[::1]:0", "[::ffff:127.0.0.1]:0"] {
        assert_eq!(Options { listen: own.parse().unwrap(), ..options() }.validate(), Ok(()), "{own}");
    }
}

#[test]
fn options_without_sense_are_refused_by_name() {
    assert_eq!(Options::default().validate(), Ok(()));
    type Spoil = fn(&mut Options);
    let cases: [(&str, Spoil); 9] = [
        ("max_connections", |o| o.max_connections = 0),
        ("max_connections_per_address", |o| o.max_connections_per_address = 0),
        ("body_bytes_max", |o| o.body_bytes_max = 0),
        ("json_depth_max", |o| o.json_depth_max = 101),
        ("head_bytes_max", |o| o.head_bytes_max = 100),
        ("keep_alive", |o| o.keep_alive = Duration::ZERO),
        ("body_read", |o| o.body_read = Duration::ZERO),
        ("default_timeout_seconds", |o| o.default_timeout_seconds = 86_401),
        ("default_max_attempts", |o| o.default_max_attempts = 0),
    ];
    for (name, spoil) in cases {
        let mut options = Options::default();
        spoil(&mut options);
        let error: InvalidOptions = options.validate().unwrap_err();
        assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
    }
}

#[tokio::test]
async fn without_an_admin_port_there_is_none() {
    let gateway =
        bind(Options { admin_listen: None, ..options() }, Arc::new(Process::default())).await.unwrap();
    assert_eq!(gateway.admin_addr(), None);
    let address = gateway.local_addr();
    let running = gateway.start();
    assert_eq!(request(address, "GET", "/health", &[], b"").await.status, 200);
    soon("the stop", running.stop(Duration::from_secs(10))).await;
}

#[tokio::test]
async fn stopping_finishes_what_is_under_way_and_takes_nothing_new() {
    let server = Server::start().await;
    let (address, store) = (server.address, server.store.clone());
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /health HTTP/1.1\r\nhost: t\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();

    let body = json!({ "crew": "fixed" }).to_string();
    let headers = [("content-type", "application/json"), ("prefer", "wait=60")];
    let waiting = request(address, "POST", "/v1/jobs", &headers, body.as_bytes());
    let stopping = async {
        while store.stats().await.unwrap().queued == 0 {
            tokio::task::yield_now().await;
        }
        // Longer than the patience of this test: nothing may have to be cut.
        server.running.stop(10 * super::PATIENCE).await;
    };
    let (reply, ()) = soon("the stop", async { tokio::join!(waiting, stopping) }).await;
    assert_eq!((reply.status, &reply.json()["status"]), (202, &json!("queued")));
    let mut rest = Vec::new();
    soon("the end of the idle connection", idle.read_to_end(&mut rest)).await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
    assert!(TcpStream::connect(server.admin).await.is_err());
}

#[tokio::test]
async fn stopping_takes_no_longer_than_it_may() {
    let server = Server::start().await;
    let mut stuck = TcpStream::connect(server.address).await.unwrap();
    let head = b"POST /tasks HTTP/1.1\r\nhost: t\r\ncontent-type: application/json\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n";
    stuck.write_all(head).await.unwrap();
    // Proof that the body is being waited for.
    let mut first = [0; 12];
    soon("leave to go on", stuck.read_exact(&mut first)).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 100");
    soon("the stop", server.running.stop(Duration::from_millis(100))).await;
    let mut rest = Vec::new();
    let _ = soon("the cut", stuck.read_to_end(&mut rest)).await;
}

struct Broken;

impl Health for Broken {
    fn tasks_in_flight(&self) -> usize {
        panic!("a secret of the inside");
    }

    fn slots(&self) -> usize {
        1
    }

    fn draining(&self) -> bool {
        false
    }

    fn deployments(&self) -> Vec<Deployment> {
        Vec::new()
    }

    fn force_breaker(&self, _: &str, _: Option<bool>) -> bool {
        false
    }
}

#[tokio::test]
async fn a_panic_is_an_answer_that_tells_nothing_and_stops_nothing() {
    let gateway = bind(options(), Arc::new(Broken)).await.unwrap();
    let address = gateway.local_addr();
    let _running = gateway.start();
    for _ in 0..3 {
        let reply = request(address, "GET", "/health", &[], b"").await;
        reply.problem(500, "internal");
        assert!(!reply.text().contains("secret"));
    }
    assert_eq!(request(address, "GET", "/ready", &[], b"").await.status, 200);
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let server = Server::with(|options| options.handler = Duration::from_millis(100), |_| {}).await;
    let slow = server.post_with("/v1/jobs", &[("prefer", "wait=30")], &json!({ "crew": "fixed" })).await;
    slow.problem(503, "store_unavailable");
    assert!(slow.header("retry-after").is_some());
}
