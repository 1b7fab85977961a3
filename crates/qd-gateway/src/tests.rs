//! The gateway over real sockets, with a store in memory and an engine that each test plays itself.

mod access;
mod broken_store;
mod client;
mod connections;
mod contract;
mod conversations;
mod corpus;
mod crews;
mod edges;
mod engine;
mod events;
mod facades;
mod figures;
mod full_disk;
mod health;
mod jobs;
mod life;
mod openapi;
mod operators;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use qd_env::Env;
use qd_store::{NewCrew, Published, Store};
use qd_types::{Catalog, CrewName, TenantId};
use serde_json::{Value, json};

use crate::{
    CrewBook, Deployment, Gateway, Health, KeyBook, Options, Parts, Pepper, RateLimit, Rates, Running,
};

/// What the process would say of itself.
#[derive(Default)]
struct Process {
    draining: AtomicBool,
    /// Of the only provider, `sim`; by name, what an operator decided.
    breakers: Mutex<BTreeMap<String, Option<bool>>>,
}

impl Health for Process {
    fn tasks_in_flight(&self) -> usize {
        7
    }

    fn slots(&self) -> usize {
        10
    }

    fn draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    fn deployments(&self) -> Vec<Deployment> {
        let limit = RateLimit { of: "requests", per_seconds: 60, limit: 100, left: 99 };
        let of = |(name, open): (&String, &Option<bool>)| Deployment {
            name: name.clone(),
            breaker: if *open == Some(true) { "open" } else { "closed" },
            is_forced: open.is_some(),
            is_out: false,
            in_flight: 1,
            max_in_flight: 8,
            limits: vec![limit.clone()],
        };
        self.breakers.lock().unwrap().iter().map(of).collect()
    }

    fn force_breaker(&self, deployment: &str, open: Option<bool>) -> bool {
        let is_known = deployment.starts_with("sim/");
        if is_known {
            self.breakers.lock().unwrap().insert(deployment.to_owned(), open);
        }
        is_known
    }
}

/// A gateway that answers.
struct Server {
    store: Store,
    process: Arc<Process>,
    keys: Arc<KeyBook>,
    address: SocketAddr,
    admin: SocketAddr,
    running: Running,
}

fn options() -> Options {
    Options {
        listen: "127.0.0.1:0".parse().unwrap(),
        admin_listen: Some("127.0.0.1:0".parse().unwrap()),
        ..Options::default()
    }
}

fn catalog() -> Arc<Catalog> {
    Arc::new(Catalog { default_model: Some("main".into()), ..Catalog::default() })
}

impl Server {
    async fn start() -> Self {
        Self::with(|_| {}, |_| {}).await
    }

    async fn with(set: impl FnOnce(&mut Options), set_store: impl FnOnce(&mut qd_store::Options)) -> Self {
        Self::built(Env::system(), set, set_store, Rates::default()).await
    }

    async fn built(
        env: Env,
        set: impl FnOnce(&mut Options),
        set_store: impl FnOnce(&mut qd_store::Options),
        rates: Rates,
    ) -> Self {
        let mut store_options = qd_store::Options::default();
        set_store(&mut store_options);
        let store = qd_store::open(&store_options, &env).unwrap();
        for (name, texts) in [
            ("assistant", "Answer {message}"),
            ("research", "Research {topic} in a {tone} way"),
            ("solo", "Think about {topic}"),
            ("pair", "Compare {left} and {right}"),
            ("fixed", "Say hello"),
        ] {
            publish(&store, name, &spec(name, texts, None)).await;
        }
        publish(&store, "broken", &spec("broken", "Say {it}", Some("nowhere/model"))).await;
        let mut options = options();
        set(&mut options);
        let process = Arc::new(Process::default());
        let parts = parts(&store, &env, Arc::clone(&process) as Arc<dyn Health>, rates);
        let keys = Arc::clone(&parts.keys);
        let gateway = Gateway::bind(options, parts).await.unwrap();
        let (address, admin) = (gateway.local_addr(), gateway.admin_addr().unwrap());
        Self { store, process, keys, address, admin, running: gateway.start() }
    }
}

/// What a gateway over a store is put together from.
fn parts(store: &Store, env: &Env, health: Arc<dyn Health>, rates: Rates) -> Parts {
    let crews = CrewBook::new(store.clone(), catalog(), env.clone());
    let shared = spec("assistant", "Answer {message}", None).to_string();
    let crews = crews.sharing(vec![(CrewName::new("assistant"), shared.clone(), shared)]);
    let keys = KeyBook::new(store.clone(), Pepper::new(b"a pepper of tests"), rates, env.clone());
    Parts {
        store: store.clone(),
        crews: Arc::new(crews),
        keys: Arc::new(keys),
        health,
        env: env.clone(),
        metrics: Arc::default(),
    }
}

async fn publish(store: &Store, name: &str, spec: &Value) -> u32 {
    let hash = spec.to_string();
    let crew = NewCrew::new(TenantId::default(), CrewName::new(name), &hash, &hash);
    match store.publish(crew).await.unwrap() {
        Published::Created(version) | Published::Unchanged(version) => version.0,
        refused => panic!("{refused:?}"),
    }
}

/// A crew of one agent and two tasks; `tone` has a default.
fn spec(name: &str, description: &str, model: Option<&str>) -> Value {
    json!({
        "v": 1,
        "name": name,
        "agents": [{
            "name": "writer", "role": "Writer", "goal": "Write", "backstory": "Wrote",
            "llm": model.map(|model| json!({ "model": model })),
        }],
        "tasks": [
            { "name": "draft", "description": description, "expected_output": "A text", "agent": "writer" },
            { "name": "polish", "description": "Make it shine", "expected_output": "A text", "agent": "writer" },
        ],
        "inputs": if description.contains("{tone}") { json!({ "tone": "dry" }) } else { json!({}) },
    })
}

/// Long enough that only a mistake takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Fails instead of hanging.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} did not happen in time"),
    }
}
