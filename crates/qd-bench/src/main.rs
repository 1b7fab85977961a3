//! Measures what docs/benchmarks.md records: `cargo xtask bench [NAME…]`, all without a name.
//!
//! Load generator and server share the machine, so every figure stands beside baselines of the same run: an axum echo,
//! batched SQLite inserts, fdatasync. Nothing here asserts; a person reads and records.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the real clock and starts its own tasks")]

mod accept;
mod auth;
mod backlog;
mod baseline;
mod calls;
mod clients;
mod cycles;
mod idle;
mod latency;
mod layer;
mod load;
mod neighbour;
mod process;
mod refusals;
mod resilience;
mod sim;
mod slow;
mod webhooks;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let wants = |name: &str| wanted.is_empty() || wanted.iter().any(|w| w == name);
    the_server(&wants).await?;
    the_model_layer(&wants).await?;
    // Half an hour: only by name.
    if wanted.iter().any(|name| name == "soak") {
        clients::soak().await?;
    }
    Ok(())
}

async fn the_server(wants: &impl Fn(&str) -> bool) -> anyhow::Result<()> {
    if wants("baseline") {
        baseline::run().await?;
    }
    if wants("sim") {
        sim::run().await?;
    }
    if wants("accept") {
        accept::run().await?;
    }
    if wants("auth") {
        auth::run().await?;
    }
    if wants("neighbour") {
        neighbour::run().await?;
    }
    if wants("refusals") {
        refusals::run().await?;
    }
    if wants("cycles") {
        cycles::run().await?;
    }
    if wants("latency") {
        latency::run().await?;
    }
    if wants("calls") {
        calls::run().await?;
    }
    if wants("idle") {
        idle::run().await?;
    }
    if wants("backlog") {
        backlog::run().await?;
    }
    if wants("streams") {
        clients::idle_streams().await?;
    }
    if wants("clients") {
        clients::clients().await?;
    }
    if wants("slow") {
        slow::run().await?;
    }
    if wants("webhooks") {
        webhooks::run().await?;
    }
    Ok(())
}

async fn the_model_layer(wants: &impl Fn(&str) -> bool) -> anyhow::Result<()> {
    if wants("layer") {
        layer::run().await?;
    }
    if wants("faults") {
        resilience::faults().await?;
    }
    if wants("offered") {
        resilience::offered().await?;
    }
    if wants("hangs") {
        resilience::hangs().await?;
    }
    if wants("outage") {
        resilience::outage().await?;
    }
    if wants("overload") {
        resilience::overload().await?;
    }
    Ok(())
}
