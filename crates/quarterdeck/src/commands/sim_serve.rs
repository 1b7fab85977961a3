//! `sim serve`: the simulated provider over HTTP, for trying other clients and for tests.

use qd_env::Env;
use qd_llm::sim::{self, Distribution, FaultKind, FaultRule, Sim, SimOptions};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::serve::stop_signals;
use crate::cli::SimServe;
use crate::config;
use crate::exit::{Exit, ended};
use crate::output::say;

/// A simulator slower than a day for a token is a mistake.
const MS_MAX: f64 = 86_400_000.0;

pub(super) async fn run(args: SimServe) -> anyhow::Result<Exit> {
    let options = options(&args)?;
    let mut stop = stop_signals()?;
    let refused = |e| {
        ended(
            Exit::Conflict,
            format!("cannot listen on {}: {e}; choose another address with --listen", args.listen),
        )
    };
    let listener = TcpListener::bind(&args.listen).await.map_err(refused)?;
    let address = listener.local_addr()?;
    if !address.ip().is_loopback() {
        say("warning: other machines can reach this simulator");
    }
    say(&format!(
        "Simulated models at http://{address} (Anthropic wire) and http://{address}/v1 (OpenAI wire)"
    ));
    say(&format!("  try   OPENAI_BASE_URL=http://{address}/v1 OPENAI_MODEL=standard quarterdeck serve"));
    say(&format!("  paid  http://{address}/ledger"));
    say(&format!("  order http://{address}/control"));
    let shutdown = CancellationToken::new();
    let env = Env::system();
    let serving = sim::serve(listener, Sim::new(options, env.clone()), env.clone(), shutdown.clone());
    tokio::select! {
        served = serving => served?,
        () = stop.wait() => shutdown.cancel(),
    }
    Ok(Exit::Ok)
}

fn options(args: &SimServe) -> anyhow::Result<SimOptions> {
    let mut options = match &args.scenario {
        Some(path) => config::read_scenario(path)?,
        None => SimOptions::default(),
    };
    options.seed = args.seed.unwrap_or(options.seed);
    for (flag, ms, latency) in [
        ("--latency-ms", args.latency_ms, &mut options.latency.first_token),
        ("--token-ms", args.token_ms, &mut options.latency.per_token),
    ] {
        let Some(ms) = ms else { continue };
        if !(0.0..=MS_MAX).contains(&ms) {
            let message =
                format!("{flag} {ms}: is no time; it is a number of milliseconds from 0 to {MS_MAX}");
            return Err(ended(Exit::Usage, message));
        }
        *latency = if ms > 0.0 { Distribution::Fixed { ms } } else { Distribution::None };
    }
    // The first rule that applies wins.
    let faults = args.fault.iter().map(|text| fault(text)).collect::<anyhow::Result<Vec<_>>>()?;
    options.faults.splice(0..0, faults);
    Ok(options)
}

fn fault(text: &str) -> anyhow::Result<FaultRule> {
    let wrong =
        |why: &str| ended(Exit::Usage, format!("--fault {text}: {why}; it looks like 503:0.1 or hang:0.01"));
    let (kind, rate) = text.split_once(':').unwrap_or((text, "1"));
    let kind: FaultKind = kind.parse().map_err(|why: String| wrong(&why))?;
    let rate: f64 = rate.parse().map_err(|_| wrong("the rate is no number"))?;
    if !(0.0..=1.0).contains(&rate) {
        return Err(wrong("the rate is a probability, from 0 to 1"));
    }
    Ok(FaultRule::at_rate(kind, rate))
}
