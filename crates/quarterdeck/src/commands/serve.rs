//! `serve`: API, workers and background services in one process, until it is told to stop.

use std::io::IsTerminal as _;
use std::time::Duration;

use qd_gateway::WantedKey;
use qd_store::Actor;
use qd_types::{Scope, TenantId};
use serde_json::json;

use super::{configuration, flag, require_model, sim_flags};
use crate::cli::{Global, Serve};
use crate::config::{AuthMode, Config, LogFormat};
use crate::exit::{Exit, ended};
use crate::output::say;
use crate::{supervisor, wire};

/// How long the first key is good: a year.
const FIRST_KEY: Duration = Duration::from_secs(365 * 86_400);

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
    let server = wire::start(&config, Vec::new(), supervisor::listeners()?).await?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    for warning in &server.warnings {
        tracing::warn!(reason = %warning, "a crew has a warning");
    }
    if !global.quiet {
        announce(&server, &config);
    }
    first_key(&server, &config).await?;
    supervisor::ready();
    tokio::select! {
        () = stop.wait() => {}
        () = stdin_ended(args.stop_with_stdin) => {}
        error = server.broken() => return Err(ended(Exit::Failed, error.to_string())),
    }
    supervisor::stopping();
    tracing::info!("stopping: no new jobs are taken up, calls in flight are finished");
    tokio::select! {
        () = server.stop() => Ok(Exit::Ok),
        () = stop.wait() => {
            tracing::warn!("second signal: stopping at once");
            Ok(Exit::Interrupted)
        }
    }
}

fn announce(server: &wire::Server, config: &Config) {
    let (profile, model) = (&config.profile, config.models.default_model.as_deref());
    let crews: Vec<_> = server.crews.iter().map(ToString::to_string).collect();
    say(&format!("Quarterdeck {} ({profile})", env!("CARGO_PKG_VERSION")));
    say(&format!("  API     {}", server.url()));
    if let Some(admin) = server.admin {
        say(&format!("  Health  http://{admin}/readyz"));
    }
    say(&format!("  Crews   {}", crews.join(", ")));
    if config.settings.auth.mode == AuthMode::Open {
        say("  Keys    none needed: whoever reaches the API may do everything");
    }
    say(&format!("  Model   {}", model.unwrap_or("as each agent names it")));
}

/// Where keys are needed and nobody has one that can make others: a person who watches gets one, shown this once; a log
/// gets none.
async fn first_key(server: &wire::Server, config: &Config) -> anyhow::Result<()> {
    if config.settings.auth.mode == AuthMode::Open || server.keys.has_admin().await? {
        return Ok(());
    }
    if !std::io::stderr().is_terminal() {
        tracing::warn!(
            "requests need an API key and there is none with the scope `admin`; stop the server and make one with \
             `quarterdeck keys create ops --scope admin`"
        );
        return Ok(());
    }
    let wanted = WantedKey {
        tenant: TenantId::default(),
        name: "first".to_owned(),
        scopes: [Scope::Admin].into_iter().collect(),
        lifetime: FIRST_KEY,
    };
    let issued = server.keys.issue(wanted, Actor::Console).await?;
    say(&format!("  Key     {}", issued.key.reveal()));
    say(
        "          The first one, for everything, for a year. It is shown this once: keep it where secrets are kept.",
    );
    Ok(())
}

/// Returns when standard input ends; never, if that is not watched.
async fn stdin_ended(watched: bool) {
    if !watched {
        return std::future::pending().await;
    }
    let _ = tokio::io::copy(&mut tokio::io::stdin(), &mut tokio::io::sink()).await;
}

/// SIGTERM, Ctrl-C, and a terminal that goes away.
pub(super) struct Stop {
    hangup: Option<tokio::signal::unix::Signal>,
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

pub(super) fn stop_signals() -> anyhow::Result<Stop> {
    use tokio::signal::unix::{SignalKind, signal};
    // `nohup` ignores it for us, which listening would undo.
    let hangup = if hangup_is_ignored() { None } else { Some(signal(SignalKind::hangup())?) };
    Ok(Stop {
        hangup,
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
    })
}

/// Whether this process was started with SIGHUP ignored, where the system tells (Linux).
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // One bit a signal, SIGHUP (1) first.
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

impl Stop {
    pub(super) async fn wait(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = hangup => {}
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
