//! What the demo says: a line for each thing that happens, and the sums at the end.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use qd_llm::sim::LedgerPage;
use qd_types::NanoDollars;
use serde_json::Value;

use crate::output::{excerpt, is_pretty, print, say};
use crate::sse::Event;

/// Cheap to clone; clones speak with one voice.
#[derive(Clone)]
pub(super) struct Show {
    pretty: bool,
    // Held for a look-up while a line is made.
    finished_calls: Arc<Mutex<HashMap<String, u32>>>,
}

impl Show {
    pub(super) fn new() -> Self {
        Self { pretty: is_pretty(), finished_calls: Arc::default() }
    }

    pub(super) fn welcome(&self, url: &str, folder: &Path, keys: bool) {
        self.line(&format!(
            "Quarterdeck {} demo: the real server, a simulated model; nothing leaves this machine",
            env!("CARGO_PKG_VERSION")
        ));
        self.line(&format!("  API   {url}    data {}", folder.display()));
        self.line(&format!("  Try   curl {url}/v1/jobs    curl {url}/chat -d '{{\"user_id\":\"me\",\"message\":\"hello\"}}' -H 'content-type: application/json'"));
        if keys {
            self.line("  Keys  k kills the server with -9    j adds a job    q ends");
        } else {
            self.line("  `--chaos` kills the server with -9 every few seconds");
        }
        self.line("");
    }

    pub(super) fn stays(&self, url: &str) {
        self.line(&format!("{} all jobs are queued; the server stays at {url} until q", self.colour("·", 2)));
    }

    pub(super) fn accepted(&self, job: &Value) {
        let (id, crew) = (text(job, "id"), text(job, "crew"));
        let input: Vec<&str> = job["input"]
            .as_object()
            .into_iter()
            .flat_map(|map| map.values())
            .filter_map(Value::as_str)
            .collect();
        self.job(id, crew, &format!("accepted: {}", excerpt(&input.join(", "), 60)));
    }

    pub(super) fn event(&self, id: &str, crew: &str, event: &Event) {
        let data = &event.data;
        match event.name.as_str() {
            "task.started" => self.job(
                id,
                crew,
                &format!("{} {} ({})", self.colour("▸", 36), text(data, "task"), text(data, "agent")),
            ),
            "task.finished" => {
                self.job(
                    id,
                    crew,
                    &format!(
                        "{} {}: {}",
                        self.colour("✓", 32),
                        text(data, "task"),
                        excerpt(text(data, "output"), 70)
                    ),
                );
            }
            "step.finished" => {
                let mut calls = self.finished_calls.lock().unwrap_or_else(PoisonError::into_inner);
                *calls.entry(id.to_owned()).or_default() += 1;
                drop(calls);
                if data["kind"] == "tool" {
                    self.job(
                        id,
                        crew,
                        &format!("  {} → {}", text(data, "tool"), excerpt(text(data, "text"), 60)),
                    );
                }
            }
            "step.failed" => {
                self.job(
                    id,
                    crew,
                    &format!("{} {}", self.colour("!", 33), excerpt(text(&data["error"], "message"), 90)),
                );
            }
            "job.started" if data["attempt"].as_u64() > Some(1) => {
                let kept = self
                    .finished_calls
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get(id)
                    .copied()
                    .unwrap_or(0);
                let line = format!(
                    "{} attempt {} goes on; {kept} finished calls are kept, not made again",
                    self.colour("↻", 35),
                    data["attempt"]
                );
                self.job(id, crew, &line);
            }
            _ => {}
        }
    }

    pub(super) fn finished(&self, job: Result<Value, String>) {
        match job {
            Ok(job) => {
                let (sign, colour) = if job["status"] == "succeeded" { ("■", 32) } else { ("■", 31) };
                let line = format!(
                    "{} {}: ${}, {} ms",
                    self.colour(sign, colour),
                    text(&job, "status"),
                    text(&job, "cost_usd"),
                    job["duration_ms"]
                );
                self.job(text(&job, "id"), text(&job, "crew"), &line);
            }
            Err(error) => self.line(&format!("{} {error}", self.colour("error:", 31))),
        }
    }

    pub(super) fn killed(&self, kills: usize) {
        self.line(&self.colour(&format!("⚡ kill -9 number {kills}: the server is gone"), 31));
    }

    pub(super) fn back(&self, after: Duration) {
        self.line(&self.colour(&format!("⚡ the server is back after {:.2} s", after.as_secs_f64()), 32));
    }

    /// Everything counted, from three independent witnesses: the clients, the store and the provider's ledger.
    pub(super) fn summary(&self, jobs: &Value, steps: &[(String, Value)], ledger: &LedgerPage, kills: usize) {
        let sums = Sums::of(jobs, steps, ledger);
        self.line("");
        for line in [
            format!(
                "  jobs      {} accepted, {} succeeded, {} failed, {} still open",
                sums.jobs, sums.succeeded, sums.failed, sums.open
            ),
            format!("  kills     {kills}"),
            format!(
                "  calls     {} made, {} finished and journaled; the provider failed {} of them",
                ledger.totals.started, sums.journaled, ledger.totals.faulted
            ),
            format!(
                "  replayed  {} finished calls were kept over a kill: ${} not paid again",
                sums.replayed, sums.saved
            ),
            format!("  in doubt  at most {} calls were in flight at a kill", sums.doubtful),
            format!("  journaled calls made again: {}", sums.repeated),
        ] {
            let _ = print(&line);
        }
    }

    fn job(&self, id: &str, crew: &str, what: &str) {
        // The end of a UUIDv7 tells neighbours apart; its beginning is the time.
        let short = id.get(id.len().saturating_sub(6)..).unwrap_or(id);
        self.line(&format!("{} {crew:<10} {what}", self.colour(short, 2)));
    }

    fn line(&self, line: &str) {
        say(line);
    }

    fn colour(&self, text: &str, code: u8) -> String {
        if self.pretty { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// What the summary counts.
#[derive(Default)]
struct Sums {
    jobs: usize,
    succeeded: usize,
    failed: usize,
    open: usize,
    journaled: usize,
    replayed: usize,
    saved: NanoDollars,
    doubtful: u64,
    repeated: usize,
}

impl Sums {
    fn of(jobs: &Value, steps: &[(String, Value)], ledger: &LedgerPage) -> Self {
        let mut sums = Self::default();
        for job in jobs.as_array().into_iter().flatten() {
            sums.jobs += 1;
            match text(job, "status") {
                "succeeded" => sums.succeeded += 1,
                "failed" | "cancelled" => sums.failed += 1,
                _ => sums.open += 1,
            }
        }
        let mut answers: HashMap<&str, u64> = HashMap::new();
        for (call, counts) in &ledger.calls {
            *answers.entry(call.rsplit_once('/').map_or(call.as_str(), |(step, _)| step)).or_default() +=
                counts.answered;
        }
        for (id, steps) in steps {
            for step in steps
                .as_array()
                .into_iter()
                .flatten()
                .filter(|step| step["kind"] == "model" && step["status"] == "finished")
            {
                sums.journaled += 1;
                let doubt = step["possibly_billed"].as_u64().unwrap_or(0);
                sums.doubtful += doubt;
                if step["replayed"] == true {
                    sums.replayed += 1;
                    sums.saved += NanoDollars::from_dollars(text(step, "cost_usd").parse().unwrap_or(0.0));
                }
                let key = format!("{id}/{}", text(step, "step"));
                if answers.get(key.as_str()).copied().unwrap_or(0) > 1 + doubt {
                    sums.repeated += 1;
                }
            }
        }
        sums
    }
}
