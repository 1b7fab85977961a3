//! `demo`: the real server as a child process on a fresh data folder, crews at work, and kill -9 on demand.
//!
//! The simulated provider runs in this process, outside of the server: so its ledger survives every kill and tells
//! which calls were really made.

mod keys;
mod server;
mod show;

use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use qd_env::Env;
use qd_llm::sim::{self, Distribution, FaultKind, FaultRule, LatencyOptions, Sim, SimOptions};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::serve::{Stop, stop_signals};
use crate::cli::{Demo, Global};
use crate::client::Client;
use crate::exit::{Exit, ended};
use crate::follow;
use keys::{Key, Keys};
use server::ServerProcess;
use show::Show;

/// Jobs of a demo that nobody asked to stay or to end.
const JOBS: usize = 12;
/// Between two jobs.
const TRICKLE: Duration = Duration::from_millis(1_200);
/// Between two kills of `--chaos`.
const CHAOS: Duration = Duration::from_secs(4);
/// How long the server may take to be ready.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn run(_: &Global, args: Demo) -> anyhow::Result<Exit> {
    if let Some(address) = args.listen.as_deref()
        && address.parse::<SocketAddr>().is_err()
    {
        let message = format!("--listen {address}: is no address and port; it looks like 127.0.0.1:8000");
        return Err(ended(Exit::Usage, message));
    }
    let mut stop = stop_signals()?;
    let env = Env::system();
    let (sim, provider) = start_provider(&env).await?;
    let keys = Keys::start(&env);
    let stays = args.jobs.is_none() && keys.are_there();
    let server = ServerProcess::start(args.listen.as_deref(), &provider).await?;
    let client = Client::new(server.url(), None)?;
    client.ready(PATIENCE).await?;
    let show = Show::new();
    show.welcome(server.url(), server.folder(), keys.are_there());
    let mut stage = Stage { server, client, show, env, kills: 0, wanted: args.jobs.unwrap_or(JOBS), stays };
    let outcome = stage.play(args.chaos, keys, &mut stop).await;
    stage.curtain(&sim).await;
    outcome
}

async fn start_provider(env: &Env) -> anyhow::Result<(Sim, String)> {
    let latency = LatencyOptions {
        first_token: Distribution::Lognormal { p50_ms: 250.0, p99_ms: 900.0 },
        per_token: Distribution::Fixed { ms: 4.0 },
        ..LatencyOptions::default()
    };
    // A provider that is never in trouble would not be believable.
    let faults = vec![
        FaultRule::at_rate(FaultKind::Status(429), 0.03),
        FaultRule::at_rate(FaultKind::Status(503), 0.02),
    ];
    let sim = Sim::new(SimOptions { latency, faults, ..SimOptions::default() }, env.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/v1", listener.local_addr()?);
    env.spawn(sim::serve(listener, sim.clone(), env.clone(), CancellationToken::new()));
    Ok((sim, url))
}

/// Everything that plays along.
struct Stage {
    server: ServerProcess,
    client: Client,
    show: Show,
    env: Env,
    kills: usize,
    wanted: usize,
    stays: bool,
}

impl Stage {
    async fn play(&mut self, chaos: bool, mut keys: Keys, stop: &mut Stop) -> anyhow::Result<Exit> {
        let mut jobs = FuturesUnordered::new();
        let mut submitted = 0;
        let mut trickle = tokio::time::interval(TRICKLE);
        let mut lightning = tokio::time::interval_at(tokio::time::Instant::now() + CHAOS, CHAOS);
        loop {
            let more = submitted < self.wanted;
            if !more && jobs.is_empty() && !self.stays {
                return Ok(Exit::Ok);
            }
            tokio::select! {
                _ = trickle.tick(), if more => {
                    jobs.push(one_job(self.client.clone(), self.show.clone(), submitted));
                    submitted += 1;
                    if submitted == self.wanted && self.stays {
                        self.show.stays(self.server.url());
                    }
                }
                Some(finished) = jobs.next(), if !jobs.is_empty() => self.show.finished(finished),
                _ = lightning.tick(), if chaos && (more || !jobs.is_empty()) => self.kill().await?,
                key = keys.next() => match key {
                    Key::Kill => self.kill().await?,
                    Key::More => self.wanted += 1,
                    Key::Quit => return Ok(Exit::Ok),
                },
                () = stop.wait() => return Ok(Exit::Interrupted),
                status = self.server.died() => {
                    anyhow::bail!("the server ended by itself ({status}); its log is {}", self.server.log().display());
                }
            }
        }
    }

    async fn kill(&mut self) -> anyhow::Result<()> {
        self.kills += 1;
        self.server.kill().await?;
        self.show.killed(self.kills);
        let began = self.env.monotonic();
        self.server.restart()?;
        self.client.ready(PATIENCE).await?;
        self.show.back(self.env.monotonic() - began);
        Ok(())
    }

    async fn curtain(&mut self, sim: &Sim) {
        let page = self.client.get("/v1/jobs?limit=500").await.unwrap_or_default();
        let mut steps = Vec::new();
        for job in page["jobs"].as_array().into_iter().flatten() {
            let id = job["id"].as_str().unwrap_or_default().to_owned();
            if let Ok(found) = self.client.get(&format!("/v1/jobs/{id}/steps")).await {
                steps.push((id, found["steps"].clone()));
            }
        }
        self.show.summary(&page["jobs"], &steps, &sim.ledger().page(), self.kills);
        self.server.stop().await;
    }
}

/// One of the example crews with a topic, so that a newcomer sees different things.
fn request(number: usize) -> Value {
    const TOPICS: [&str; 4] =
        ["heat pumps in old houses", "tidal power", "night trains in Europe", "growing mushrooms indoors"];
    const QUESTIONS: [&str; 3] = [
        "My order arrived without its power cable. What now?",
        "How do I change the delivery address?",
        "The invoice shows the wrong company name.",
    ];
    match number % 3 {
        0 => json!({"crew": "research", "input": {"topic": TOPICS[number / 3 % TOPICS.len()]}}),
        1 => {
            json!({"crew": "support", "conversation_id": "demo-customer", "input": {"message": QUESTIONS[number / 3 % QUESTIONS.len()]}})
        }
        _ => json!({"crew": "newsletter", "input": {"subject": TOPICS[number / 3 % TOPICS.len()]}}),
    }
}

/// Submits and follows one job; a server that is away is waited for, and the key makes submitting again harmless.
async fn one_job(client: Client, show: Show, number: usize) -> Result<Value, String> {
    let body = request(number);
    let key = format!("demo-{number}");
    let accepted = loop {
        match client.submit(&body, Some(&key)).await {
            Ok(accepted) => break accepted,
            Err(error) if crate::exit::of(&error) == Exit::Unreachable => {
                tokio::time::sleep(Duration::from_millis(100)).await
            }
            Err(error) => return Err(error.to_string()),
        }
    };
    show.accepted(&accepted);
    let id = accepted["id"].as_str().unwrap_or_default().to_owned();
    let crew = accepted["crew"].as_str().unwrap_or_default().to_owned();
    let followed = follow::to_the_end(&client, &id, |event| {
        show.event(&id, &crew, event);
        Ok(())
    });
    followed.await.map_err(|e| e.to_string())
}
