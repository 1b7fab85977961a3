//! `run CREW`: to the end and print the result, on a server of our own inside this process or on the one of `--url`.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::serve::stop_signals;
use super::{configuration, require_model, sim_flags};
use crate::cli::{Format, Global, Run};
use crate::client::Client;
use crate::config::{AuthMode, Flag, variable};
use crate::exit::{Exit, ended};
use crate::follow::{self, Teller};
use crate::{ask, crew_files, input, output, wire};

pub(super) async fn run(global: &Global, args: Run) -> anyhow::Result<Exit> {
    let input = input::read(&args.input)?;
    let remote = args.target.url.is_some() || (variable("QUARTERDECK_URL").is_some() && !args.sim);
    check_crew(&args.crew, remote)?;
    if remote {
        let client = Client::of(&args.target)?;
        return follow_one(global, &client, &json!({"crew": args.crew, "input": input}), Others::Some).await;
    }
    let mut config = configuration(global, flags(args.sim))?;
    for warning in &config.warnings {
        output::say(&format!("warning: {warning}"));
    }
    require_model(&config)?;
    // A process that serves the API alone is a setting of servers; here somebody has to do the work.
    config.settings.worker.slots = config.settings.worker.slots.max(1);
    let path = Path::new(&args.crew);
    let mut at_hand = crew_files::Found::default();
    if path.exists() {
        at_hand.add([crew_files::source(path)]);
    }
    crew_files::unless_wrong(at_hand.mistakes)?;
    if path.exists() {
        // The crew at hand is meant, whatever else the configuration has mistakes in.
        config.settings.crews.clear();
        config.settings.default_crew = "assistant".to_owned();
        config.settings.systems.clear();
    }
    // Nobody else knows where it is, and it is gone with this command.
    config.settings.auth.mode = AuthMode::Open;
    let server = wire::start(&config, at_hand.sources, qd_gateway::Listeners::default()).await?;
    for warning in &server.warnings {
        output::say(&warning.to_string());
    }
    let crew = if path.exists() {
        server.crews.first().map_or_else(|| args.crew.clone(), ToString::to_string)
    } else {
        args.crew
    };
    let client = Client::new(&server.url(), None)?;
    client.ready(Duration::from_secs(10)).await?;
    let outcome = follow_one(global, &client, &json!({"crew": crew, "input": input}), Others::None).await;
    server.stop().await;
    outcome
}

/// What looks like a path is one: taken for a name, it would be looked up among crews and not be found there.
fn check_crew(crew: &str, remote: bool) -> anyhow::Result<()> {
    let is_path =
        crew.contains('/') || [".yaml", ".yml", ".json"].iter().any(|ending| crew.ends_with(ending));
    match (is_path, Path::new(crew).exists()) {
        (false, _) => Ok(()),
        (true, false) => Err(ended(Exit::Usage, format!("there is no file {crew}"))),
        (true, true) if remote => Err(ended(
            Exit::Usage,
            format!(
                "{crew} is a path of this machine, and a server takes names of crews that it has; \
                 name one, or run the path without a URL"
            ),
        )),
        (true, true) => Ok(()),
    }
}

/// A server that nobody else sees: any free port, nothing kept.
fn flags(sim: bool) -> Vec<Flag> {
    let mut flags = vec![
        Flag { name: "run", path: "server.listen", value: json!("127.0.0.1:0") },
        Flag { name: "run", path: "server.admin_listen", value: json!("") },
        Flag { name: "run", path: "store.url", value: json!("memory:") },
        Flag { name: "run", path: "worker.drain_timeout_seconds", value: json!(1) },
    ];
    flags.extend(sim_flags(sim));
    flags
}

/// Whether somebody else could answer a job that waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Others {
    /// Whoever reaches the server.
    Some,
    /// Its server is gone with this command.
    None,
}

/// Questions that are heard and not asked yet: a job has one at a time.
const QUESTIONS_MAX: usize = 16;

/// Submits, follows, asks at the terminal what the job asks, prints; Ctrl-C ends the command, not the job.
pub(super) async fn follow_one(
    global: &Global,
    client: &Client,
    body: &Value,
    others: Others,
) -> anyhow::Result<Exit> {
    let accepted = client.submit(body, None).await?;
    let id = accepted["id"].as_str().unwrap_or_default().to_owned();
    let mut teller = Teller::new();
    let mut stop = stop_signals()?;
    let (questions, asked) = mpsc::channel(QUESTIONS_MAX);
    let job = tokio::select! {
        job = follow::to_the_end(client, &id, |event| {
            if !global.quiet {
                teller.hear(event);
            }
            // Reminders do not say what is asked.
            if event.name == "job.waiting" && event.data["output"].is_string() {
                let _ = questions.try_send(event.data.clone());
            }
            Ok(())
        }) => job?,
        Err(error) = answer_all(client, &id, asked, others) => return Err(error),
        () = stop.wait() => return Ok(Exit::Interrupted),
    };
    print_result(global, &job)?;
    follow::outcome(&job)
}

/// Has the person at this terminal answer what the job asks.
async fn answer_all(
    client: &Client,
    job: &str,
    mut asked: mpsc::Receiver<Value>,
    others: Others,
) -> anyhow::Result<()> {
    while let Some(question) = asked.recv().await {
        if ask::is_somebody_there() {
            ask::answer_unless_late(client, job, &question).await?;
        } else if others == Others::None {
            let step = question["step"].as_str().unwrap_or_default();
            let message = format!(
                "the job waits with `{step}` for a person, and there is no terminal to ask at; run it in one, or on a \
                 server, and answer it with `quarterdeck jobs resume`"
            );
            return Err(ended(Exit::Failed, message));
        } else {
            output::say(&format!("  answer it with: quarterdeck jobs resume {job}"));
        }
    }
    Ok(())
}

/// The job's result: its text for people, the whole job for programs.
pub(super) fn print_result(global: &Global, job: &Value) -> anyhow::Result<()> {
    if !global.quiet {
        let (calls, tokens) = (&job["usage"]["model_calls"], &job["usage"]["total_tokens"]);
        let (cost, ms) = (job["cost_usd"].as_str().unwrap_or_default(), &job["duration_ms"]);
        output::say(&format!("  {calls} model calls, {tokens} tokens, ${cost}, {ms} ms"));
    }
    match (global.output, job["output"]["raw"].as_str()) {
        (Format::Table, Some(text)) => output::print(&output::harmless(text)),
        (Format::Table, None) => Ok(()),
        (format, _) => output::show(format, job, |_| String::new()),
    }
}
