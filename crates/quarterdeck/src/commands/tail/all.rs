//! All jobs of a server, by asking for its newest ones again and again and for those that are open.
//!
//! The API has no stream of all events, so what comes and goes between two looks is told by its end alone.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::{Format, Global};
use crate::client::Client;
use crate::exit::{self, Exit};
use crate::follow::is_over;
use crate::output::{self, excerpt};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// Jobs of one page.
const PAGE: usize = 100;
/// Pages read at one look; a server that takes more jobs than that in between is told about.
const PAGES_MAX: usize = 20;
/// Open jobs asked for one by one at each look, in turns.
const OPEN_LOOKS_MAX: usize = 50;
/// Open jobs that are remembered.
const OPEN_MAX: usize = 10_000;

/// What was last told about a job.
type Told = (String, Value);

/// Tells what happens until somebody stops it.
pub(super) async fn follow(global: &Global, client: &Client) -> anyhow::Result<Exit> {
    let mut watch = Watch { format: global.output, newest: String::new(), open: HashMap::new(), turn: 0 };
    let page = client.get(&format!("/v1/jobs?limit={PAGE}")).await?;
    for job in jobs(&page) {
        watch.know(job);
    }
    if !global.quiet {
        output::say("Following all jobs; Ctrl-C ends it.");
    }
    let mut away = false;
    loop {
        tokio::time::sleep(PAUSE).await;
        match watch.look(client).await {
            Ok(()) => {
                if std::mem::take(&mut away) {
                    output::say("The server is back.");
                }
            }
            Err(error) if exit::of(&error) == Exit::Unreachable => {
                if !std::mem::replace(&mut away, true) {
                    output::say(&format!("{error}; still trying"));
                }
            }
            Err(error) => return Err(error),
        }
    }
}

struct Watch {
    format: Format,
    /// Id of the newest job that was seen. Ids are in the order of creation.
    newest: String,
    open: HashMap<String, Told>,
    /// Where among the open jobs the next look begins.
    turn: usize,
}

impl Watch {
    /// Takes note of a job without telling it.
    fn know(&mut self, job: &Value) {
        let id = text(job, "id");
        if id > self.newest {
            self.newest.clone_from(&id);
        }
        if is_over(job) {
            self.open.remove(&id);
        } else if self.open.len() < OPEN_MAX {
            self.open.insert(id, told(job));
        }
    }

    async fn look(&mut self, client: &Client) -> anyhow::Result<()> {
        let mut seen = Vec::new();
        for job in self.new_jobs(client).await?.iter().rev() {
            seen.push(text(job, "id"));
            self.hear(job)?;
        }
        let mut open: Vec<String> = self.open.keys().filter(|id| !seen.contains(id)).cloned().collect();
        open.sort();
        let count = open.len().min(OPEN_LOOKS_MAX);
        let start = if open.is_empty() { 0 } else { self.turn % open.len() };
        self.turn = start + count;
        for id in open.iter().cycle().skip(start).take(count) {
            match client.get(&format!("/v1/jobs/{id}")).await {
                Ok(job) => self.hear(&job)?,
                Err(error) if exit::of(&error) == Exit::NotFound => {
                    self.open.remove(id);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Jobs that are newer than what was seen, newest first, and the older ones of their last page.
    async fn new_jobs(&self, client: &Client) -> anyhow::Result<Vec<Value>> {
        let mut found: Vec<Value> = Vec::new();
        let mut cursor = String::new();
        for _ in 0..PAGES_MAX {
            let page = client.get(&format!("/v1/jobs?limit={PAGE}{cursor}")).await?;
            found.extend(jobs(&page).iter().cloned());
            let reached = found.last().is_none_or(|job| text(job, "id") <= self.newest);
            match page["next_cursor"].as_str().filter(|_| !reached) {
                Some(next) => cursor = format!("&cursor={}", crate::commands::jobs::encoded(next)),
                None => break,
            }
        }
        Ok(found)
    }

    fn hear(&mut self, job: &Value) -> anyhow::Result<()> {
        let id = text(job, "id");
        let is_new = id > self.newest;
        let has_changed = match self.open.get(&id) {
            Some(known) => *known != told(job),
            // Over before we came, or forgotten.
            None => is_new,
        };
        self.know(job);
        if !has_changed {
            return Ok(());
        }
        output::print(&match self.format {
            Format::Table => line(job),
            Format::Json | Format::Jsonl => {
                json!({"event": format!("job.{}", text(job, "status")), "job": job}).to_string()
            }
        })
    }
}

fn jobs(page: &Value) -> &[Value] {
    page["jobs"].as_array().map_or(&[], Vec::as_slice)
}

fn text(job: &Value, key: &str) -> String {
    job[key].as_str().unwrap_or_default().to_owned()
}

fn told(job: &Value) -> Told {
    (text(job, "status"), job["progress"]["completed_tasks"].clone())
}

fn line(job: &Value) -> String {
    let progress = &job["progress"];
    let head = format!("{}  {:<10} {}", text(job, "id"), text(job, "status"), text(job, "crew"));
    let tasks = format!("{}/{}", progress["completed_tasks"], progress["total_tasks"]);
    let rest = match job["status"].as_str() {
        Some("succeeded") => format!("${} {} ms", text(job, "cost_usd"), job["duration_ms"]),
        Some("failed") => excerpt(job["error"]["message"].as_str().unwrap_or_default(), 100),
        Some("running") => progress["current_task"].as_str().unwrap_or_default().to_owned(),
        _ => String::new(),
    };
    format!("{head}  {tasks}  {rest}").trim_end().to_owned()
}
