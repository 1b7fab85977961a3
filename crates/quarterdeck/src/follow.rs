//! Follows a job on a server, over broken connections, and says what happens.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use futures::StreamExt;
use serde_json::Value;

use crate::client::Client;
use crate::exit::{self, Exit, ended};
use crate::output::{excerpt, harmless, is_pretty, say};
use crate::sse::Event;

/// How long a server may be away while a job is followed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Follows until the job is over or `hear` fails; it gets every event once, live pieces as they come. Answers the job.
pub(crate) async fn to_the_end(
    client: &Client,
    job: &str,
    mut hear: impl FnMut(&Event) -> anyhow::Result<()>,
) -> anyhow::Result<Value> {
    let mut last = None;
    let mut away = Duration::ZERO;
    loop {
        match client.events(job, last).await {
            Ok(events) => {
                away = Duration::ZERO;
                let mut events = std::pin::pin!(events);
                while let Some(event) = events.next().await {
                    hear(&event)?;
                    last = event.id.or(last);
                }
            }
            Err(error) if exit::of(&error) != Exit::Unreachable => return Err(error),
            Err(error) if away >= PATIENCE => return Err(error),
            Err(_) => {}
        }
        // The stream ended: the job is over, or the server is away.
        match client.get(&format!("/v1/jobs/{job}")).await {
            Ok(found) if is_over(&found) => return Ok(found),
            Ok(_) => {}
            Err(error) if exit::of(&error) == Exit::NotFound => return Err(error),
            Err(_) => {}
        }
        let pause = Duration::from_millis(200);
        tokio::time::sleep(pause).await;
        away += pause;
    }
}

/// Whether a job is in a terminal status.
pub(crate) fn is_over(job: &Value) -> bool {
    matches!(job["status"].as_str(), Some("succeeded" | "failed" | "cancelled"))
}

/// The exit code and the complaint of a finished job.
pub(crate) fn outcome(job: &Value) -> anyhow::Result<Exit> {
    if job["status"] == "succeeded" {
        return Ok(Exit::Ok);
    }
    if job["status"] == "cancelled" {
        return Err(ended(Exit::Failed, "the job was cancelled"));
    }
    let error = &job["error"];
    let task = error["task"].as_str().map_or(String::new(), |task| format!("task `{task}`: "));
    let message = harmless(error["message"].as_str().unwrap_or("no explanation"));
    let code = error["code"].as_str().unwrap_or("unknown");
    let word = job["status"].as_str().unwrap_or("over");
    Err(ended(Exit::Failed, format!("the job {word}: {task}{message} ({code})")))
}

/// Tells a person what a job does, on standard error.
pub(crate) struct Teller {
    pretty: bool,
    /// Live tokens are shown on a terminal only.
    live: bool,
    streaming: bool,
}

impl Teller {
    pub(crate) fn new() -> Self {
        Self { pretty: is_pretty(), live: std::io::stderr().is_terminal(), streaming: false }
    }

    /// Says one event.
    pub(crate) fn hear(&mut self, event: &Event) {
        if event.name == "delta" {
            self.token(&event.data);
            return;
        }
        if std::mem::take(&mut self.streaming) {
            let end = if self.pretty { "\u{1b}[0m" } else { "" };
            say(end);
        }
        if let Some(line) = self.line(event) {
            say(&line);
        }
    }

    fn token(&mut self, data: &Value) {
        let (true, Some(text)) = (self.live, data["text"].as_str()) else { return };
        let mut err = std::io::stderr();
        if !std::mem::replace(&mut self.streaming, true) && self.pretty {
            let _ = write!(err, "\u{1b}[2m");
        }
        let _ = write!(err, "{}", harmless(text));
        let _ = err.flush();
    }

    fn line(&self, event: &Event) -> Option<String> {
        let data = &event.data;
        let text = |key: &str| data[key].as_str().unwrap_or_default();
        let line = match event.name.as_str() {
            "job.started" if data["attempt"].as_u64() > Some(1) => {
                format!("{} attempt {} takes over", self.mark("↻", 33), data["attempt"])
            }
            "task.started" => format!("{} {} ({})", self.mark("▸", 36), text("task"), text("agent")),
            "task.finished" => format!("{} {} done", self.mark("✓", 32), text("task")),
            "step.finished" => self.step(data),
            "step.failed" => {
                format!("{} {}", self.mark("!", 33), harmless(data["error"]["message"].as_str()?))
            }
            "job.waiting" => {
                let reminder =
                    data["reminder"].as_u64().map_or(String::new(), |n| format!(" (reminder {n})"));
                format!("{} {} waits for a person{reminder}", self.mark("?", 35), text("task"))
            }
            "step.answered" => {
                let feedback = data["answer"]["feedback"].as_str().map(|text| excerpt(text, 80));
                match (data["answer"]["approved"].as_bool(), feedback) {
                    (Some(true), _) => format!("{} {} approved", self.mark("✓", 32), text("task")),
                    (_, feedback) => {
                        format!(
                            "{} {} sent back: {}",
                            self.mark("↺", 33),
                            text("task"),
                            feedback.unwrap_or_default()
                        )
                    }
                }
            }
            // Why was said with the step that failed.
            "job.retrying" => {
                format!("{} tries again at {}", self.mark("↻", 33), harmless(data["retry_at"].as_str()?))
            }
            _ => return None,
        };
        Some(line)
    }

    fn step(&self, data: &Value) -> String {
        let ms = &data["duration_ms"];
        if data["kind"] == "tool" {
            let (tool, result) =
                (data["tool"].as_str().unwrap_or_default(), data["text"].as_str().unwrap_or_default());
            return format!("  {tool} → {}", excerpt(result, 80));
        }
        let model = data["model"].as_str().unwrap_or_default();
        let (tokens, cost) = (&data["usage"]["total_tokens"], data["cost_usd"].as_str().unwrap_or_default());
        format!("  {model}: {tokens} tokens, ${cost}, {ms} ms")
    }

    fn mark(&self, sign: &str, colour: u8) -> String {
        if self.pretty { format!("\u{1b}[{colour}m{sign}\u{1b}[0m") } else { sign.to_owned() }
    }
}
