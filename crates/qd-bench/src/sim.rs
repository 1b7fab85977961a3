//! What the simulator itself can do, so that no figure of a server in front of it is its own: unary calls in this process,
//! and over HTTP on both wires as a process of its own, without and with limits that never refuse.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use qd_env::Env;
use qd_llm::sim::{LimitOptions, Sim, SimOptions};
use qd_llm::{CallScope, ChatModel, SimModel};
use qd_types::{ChatRequest, Message, StepId};

use crate::load::{Target, run as load};
use crate::process::Server;

const SPAN: Duration = Duration::from_secs(5);
/// More than anybody can ask for in a minute, so that every request is counted and none refused.
const PLENTY: u64 = 1_000_000_000;

pub(crate) async fn run() -> anyhow::Result<()> {
    println!("## the simulator's own ceiling");
    let limits = LimitOptions {
        requests_per_minute: Some(PLENTY),
        input_tokens_per_minute: Some(PLENTY),
        output_tokens_per_minute: Some(PLENTY),
        ..LimitOptions::default()
    };
    let limited = SimOptions { limits: vec![limits], ..SimOptions::default() };
    println!("in this process, 2 tasks: {:.0} calls/s", inside(SimOptions::default()).await?);
    println!("in this process, 2 tasks, with limits: {:.0} calls/s", inside(limited).await?);
    let scenario = tempfile::NamedTempFile::new()?;
    let text = format!(
        "[[limits]]\nrequests_per_minute = {PLENTY}\ninput_tokens_per_minute = {PLENTY}\noutput_tokens_per_minute = {PLENTY}\n"
    );
    std::fs::write(scenario.path(), text)?;
    let scenario = scenario.path().to_str().context("a path that is no text")?;
    for (name, arguments) in [("", &[][..]), (", with limits", &["--scenario", scenario][..])] {
        let sim = Server::sim(arguments).await?;
        for (wire, path) in [("OpenAI", "/v1/chat/completions"), ("Anthropic", "/v1/messages")] {
            let body = Arc::new(|n: u64| {
                let message = format!("{{\"role\":\"user\",\"content\":\"hello from {n}\"}}");
                format!("{{\"model\":\"standard\",\"max_tokens\":500,\"messages\":[{message}]}}")
            });
            let target = Target { address: sim.address.clone(), path, body, status: 200 };
            let outcome = load(target, 64, None, SPAN).await?;
            println!("{wire} wire over HTTP, 64 connections, closed loop{name}: {}", outcome.line());
        }
    }
    Ok(())
}

/// Calls a second of two tasks that do nothing else.
async fn inside(options: SimOptions) -> anyhow::Result<f64> {
    let model = Arc::new(SimModel::new(Sim::new(options, Env::system()), "standard"));
    let start = Instant::now();
    let tasks: Vec<_> = (0..2)
        .map(|task| {
            let model = Arc::clone(&model);
            tokio::spawn(async move {
                let mut calls = 0_u64;
                while start.elapsed() < SPAN {
                    let scope = CallScope::of_step(StepId::new(format!("task-{task}/turn-{calls}/model")));
                    model.call(&request(calls), &scope).await?;
                    calls += 1;
                }
                Ok::<u64, qd_llm::CallError>(calls)
            })
        })
        .collect();
    let mut calls = 0;
    for task in tasks {
        calls += task.await??;
    }
    Ok(calls as f64 / start.elapsed().as_secs_f64())
}

fn request(n: u64) -> ChatRequest {
    ChatRequest {
        system: Some("You are Writer.".to_owned()),
        max_tokens: Some(500),
        ..ChatRequest::new("sim/standard", vec![Message::user(format!("hello from {n}"))])
    }
}
