//! `serve`: API, workers and background services in one process, until it is told to stop.

use serde_json::json;

use super::{configuration, flag, require_model, sim_flags};
use crate::cli::{Global, Serve};
use crate::config::LogFormat;
use crate::exit::{Exit, ended};
use crate::output::say;
use crate::wire;

pub(super) async fn run(global: &Global, args: Serve) -> anyhow::Result<Exit> {
    let mut flags: Vec<_> = [
        flag("--listen", "server.listen", args.listen.map(|v| json!(v))),
        flag("--admin-listen", "server.admin_listen", args.admin_listen.map(|v| json!(v))),
        flag("--store", "store.url", args.store.map(|v| json!(v))),
        flag("--slots", "worker.slots", args.slots.map(|v| json!(v))),
    ]
    .into_iter()
    .flatten()
    .collect();
    flags.extend(sim_flags(args.sim));
    let config = configuration(global, flags)?;
    require_model(&config)?;
    let format = match config.settings.log.format {
        LogFormat::Auto => qd_telemetry::LogFormat::Auto,
        LogFormat::Text => qd_telemetry::LogFormat::Text,
        LogFormat::Json => qd_telemetry::LogFormat::Json,
    };
    qd_telemetry::start_logs(&config.settings.log.level, format)
        .map_err(|e| ended(Exit::Configuration, e.to_string()))?;
    // Asked for before anything starts: a stop that comes early must not be missed.
    let mut stop = stop_signals()?;
    let server = wire::start(&config, Vec::new()).await?;
    for warning in &server.warnings {
        tracing::warn!("{warning}");
    }
    if !global.quiet {
        announce(&server, &config.profile, config.models.default_model.as_deref());
    }
    tokio::select! {
        () = stop.wait() => {}
        error = server.broken() => return Err(ended(Exit::Failed, error.to_string())),
    }
    tracing::info!("stopping: no new jobs are taken up, calls in flight are finished");
    tokio::select! {
        () = server.stop() => Ok(Exit::Ok),
        () = stop.wait() => {
            tracing::warn!("second signal: stopping at once");
            Ok(Exit::Interrupted)
        }
    }
}

fn announce(server: &wire::Server, profile: &str, model: Option<&str>) {
    let crews: Vec<_> = server.crews.iter().map(ToString::to_string).collect();
    say(&format!("Quarterdeck {} ({profile})", env!("CARGO_PKG_VERSION")));
    say(&format!("  API     {}", server.url()));
    if let Some(admin) = server.admin {
        say(&format!("  Health  http://{admin}/readyz"));
    }
    say(&format!("  Crews   {}", crews.join(", ")));
    say(&format!("  Model   {}", model.unwrap_or("as each agent names it")));
}

/// SIGTERM and Ctrl-C.
pub(super) struct Stop {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

pub(super) fn stop_signals() -> anyhow::Result<Stop> {
    use tokio::signal::unix::{SignalKind, signal};
    Ok(Stop { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
}

impl Stop {
    pub(super) async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
