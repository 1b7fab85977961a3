//! The whole way: a model behind HTTP against the simulator's server on loopback, over both wires.

mod calls;
mod control;
mod faults;
mod odd;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use qd_env::Env;
use qd_types::{ChatRequest, Message, StepId, ToolSpec};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::sim::{Sim, SimOptions, serve};
use crate::{Answer, CallError, CallScope, ChatModel, Models, Options, ProviderKind, ProviderOptions};

/// A running simulator.
struct Bench {
    sim: Sim,
    url: String,
    shutdown: CancellationToken,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
    steps: AtomicU64,
}

impl Bench {
    async fn start() -> Self {
        Self::with(SimOptions::default()).await
    }

    async fn with(options: SimOptions) -> Self {
        crate::install_crypto_provider();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sim, shutdown, env) =
            (Sim::new(options, Env::system()), CancellationToken::new(), Env::system());
        let server = env.spawn(serve(listener, sim.clone(), env.clone(), shutdown.clone()));
        Self { sim, url, shutdown, server, steps: AtomicU64::new(0) }
    }

    /// A model of the simulator over one of the wires.
    fn model(&self, kind: ProviderKind, change: impl FnOnce(&mut ProviderOptions)) -> Arc<dyn ChatModel> {
        let mut provider = ProviderOptions::new(kind);
        let path = if kind == ProviderKind::Anthropic { "" } else { "/v1" };
        provider.base_url = Some(format!("{}{path}", self.url));
        provider.trace_header = true;
        change(&mut provider);
        model_of(provider)
    }

    /// A scope of a step that no other call of this bench has.
    fn scope(&self) -> CallScope {
        let n = self.steps.fetch_add(1, Ordering::Relaxed);
        CallScope::of_step(StepId::new(format!("task-{n}/turn-1/model")))
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.server.await.unwrap().unwrap();
    }
}

/// Without the layers that would keep its limits.
fn model_of(provider: ProviderOptions) -> Arc<dyn ChatModel> {
    let options = Options { providers: [("p".to_owned(), provider)].into(), ..Options::default() };
    Models::build(options, Env::system()).unwrap().bare("p", "demo").unwrap()
}

/// Both wires, streamed and not.
const WAYS: [(ProviderKind, bool); 4] = [
    (ProviderKind::Anthropic, true),
    (ProviderKind::Anthropic, false),
    (ProviderKind::Openai, true),
    (ProviderKind::Openai, false),
];

fn request(prompt: &str) -> ChatRequest {
    ChatRequest {
        system: Some("You are Writer. You write.".to_owned()),
        ..ChatRequest::new("p/demo", vec![Message::user(prompt)])
    }
}

fn tool(name: &str) -> ToolSpec {
    ToolSpec {
        name: name.to_owned(),
        description: "a tool".to_owned(),
        parameters: json!({ "type": "object", "properties": { "expression": { "type": "string" } }, "required": ["expression"] }),
    }
}

async fn ask(model: &Arc<dyn ChatModel>, prompt: &str, scope: &CallScope) -> Result<Answer, CallError> {
    // A test that waits for ever says less than one that fails.
    tokio::time::timeout(Duration::from_secs(60), model.call(&request(prompt), scope)).await.unwrap()
}

/// Waits until a condition holds, which another task makes true.
async fn until(what: &str, condition: impl Fn() -> bool) {
    eventually(what, async || condition()).await;
}

/// The same for conditions that take time to look at.
async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    for _ in 0..2000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("never: {what}");
}
