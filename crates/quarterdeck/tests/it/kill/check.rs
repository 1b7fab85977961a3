//! The history checker: the end state against the promises and the provider's ledger.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::load::Promise;
use crate::process::{finished, get, http, post, until};

/// Claims of one round over all levels, and the share of each: 1:2:4:8:16.
const ROUND: u64 = 31;

/// What is left after a run.
pub(super) struct Run {
    server: String,
    ledger: Value,
    promises: HashMap<String, Promise>,
    restarts: Vec<i64>,
    /// In order of acceptance.
    jobs: Vec<Value>,
    steps: BTreeMap<String, Vec<Value>>,
}

fn text<'a>(job: &'a Value, field: &str) -> &'a str {
    job[field].as_str().unwrap_or_else(|| panic!("`{field}` of {job}"))
}

fn moment(job: &Value, field: &str) -> Option<i64> {
    Some(job[field].as_str()?.parse::<jiff::Timestamp>().unwrap().as_millisecond())
}

fn level(job: &Value) -> u64 {
    job["priority"].as_u64().unwrap()
}

/// When jobs began, sorted: a long run has tens of thousands of them, and each is compared with all.
#[derive(Default)]
struct Starts {
    all: Vec<i64>,
    of_level: HashMap<u64, Vec<i64>>,
}

/// How many of the sorted moments are in `from..to`.
fn within(sorted: &[i64], from: i64, to: i64) -> u64 {
    let before = |bound: i64| sorted.partition_point(|at| *at < bound);
    before(to).saturating_sub(before(from)) as u64
}

fn is_over(status: &str) -> bool {
    matches!(status, "succeeded" | "failed" | "cancelled")
}

impl Run {
    /// Waits until every job is over, then reads everything.
    pub(super) async fn read(
        server: &str,
        ledger: &str,
        promises: HashMap<String, Promise>,
        restarts: Vec<i64>,
    ) -> Self {
        for status in ["scheduled", "queued", "running", "retrying", "waiting", "queued", "running"] {
            until("every job ends", || async {
                let page = get(&format!("{server}/v1/jobs?limit=1&status={status}")).await;
                page["jobs"].as_array().unwrap().is_empty().then_some(())
            })
            .await;
        }
        let mut jobs = all_jobs(server).await;
        jobs.reverse();
        let mut steps = BTreeMap::new();
        for job in &jobs {
            let id = text(job, "id");
            let page = get(&format!("{server}/v1/jobs/{id}/steps")).await;
            steps.insert(id.to_owned(), page["steps"].as_array().unwrap().clone());
        }
        Self { server: server.to_owned(), ledger: get(ledger).await, promises, restarts, jobs, steps }
    }

    pub(super) async fn check(&self, kills: u64) {
        let ids: HashSet<&str> = self.jobs.iter().map(|job| text(job, "id")).collect();
        assert_eq!(ids.len(), self.jobs.len());
        let lost: Vec<_> = self.promises.keys().filter(|id| !ids.contains(id.as_str())).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        assert_eq!(self.jobs.len(), self.promises.len(), "one job for each key, none doubled");
        self.outcomes().await;
        self.order();
        self.fairness();
        self.conversations().await;
        self.calls();
        self.happened(kills);
    }

    fn promise(&self, job: &Value) -> &Promise {
        &self.promises[text(job, "id")]
    }

    /// Every job ended as its client was told, and no status ever went back.
    async fn outcomes(&self) {
        for job in &self.jobs {
            let (id, status, promise) = (text(job, "id"), text(job, "status"), self.promise(job));
            match promise.cancel {
                Some(202) => assert_eq!(status, "cancelled", "{id}: its cancel was acknowledged"),
                Some(_) => assert_ne!(status, "cancelled", "{id}: its cancel was refused"),
                None if status == "failed" => self.crashed_its_workers(job).await,
                None => assert_eq!(status, "succeeded", "{}: {}", promise.key, job["error"]),
            }
            if let (Some(run_at), Some(started)) = (promise.run_at, moment(job, "started_at")) {
                assert!(started >= run_at, "{id} began {} ms early", run_at - started);
            }
            for pair in promise.seen.windows(2) {
                assert!(
                    !is_over(&pair[0]) || pair[0] == pair[1],
                    "{id} went from {} to {}",
                    pair[0],
                    pair[1]
                );
                assert!(pair[1] != "scheduled" || pair[0] == "scheduled", "{id} was scheduled again");
            }
            assert!(promise.seen.last().is_none_or(|last| !is_over(last) || last == status), "{id}");
            if let Some(last) = promise.followed.last() {
                // This crew has no facts, whose places in the sequence are nobody's business: every id must have come.
                let all: Vec<u64> = (0..=*last).collect();
                assert_eq!(promise.followed, all, "{id}: every event came once and in order");
            }
        }
    }

    /// Only a job whose worker was killed three times in a row within one step may fail; run again, it succeeds.
    async fn crashed_its_workers(&self, job: &Value) {
        let id = text(job, "id");
        assert_eq!(job["error"]["code"], "worker_crashed", "{job}");
        let events = http().get(format!("{}/v1/jobs/{id}/events", self.server)).send().await.unwrap();
        let events = events.text().await.unwrap();
        let kinds: Vec<&str> = events.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
        // The queued one that follows each crash, and the end that follows the third.
        let crashes = kinds.iter().rev().take_while(|kind| !kind.starts_with("step."));
        let crashes = crashes.filter(|kind| matches!(**kind, "job.queued" | "job.failed")).count();
        assert!(crashes >= 3, "{id} failed after fewer than three crashes without progress: {kinds:?}");
        let (status, again) = post(&format!("{}/v1/jobs/{id}/redrive", self.server), &Value::Null).await;
        assert_eq!((status, &again["redrive_of"]), (202, &job["id"]), "{again}");
        let again = finished(&self.server, text(&again, "id")).await;
        assert_eq!(again["status"], "succeeded", "{again}");
    }

    /// Jobs that could begin when they were accepted.
    fn prompt(&self) -> impl Iterator<Item = &Value> {
        self.jobs.iter().filter(|job| {
            let promise = self.promise(job);
            promise.run_at.is_none() && promise.conversation.is_none()
        })
    }

    /// First accepted, first begun, within a level.
    fn order(&self) {
        let mut last: HashMap<u64, i64> = HashMap::new();
        for job in self.prompt() {
            let Some(started) = moment(job, "started_at") else { continue };
            let last = last.entry(level(job)).or_insert(started);
            assert!(*last <= started, "{} began {} ms before an older job", text(job, "id"), *last - started);
            *last = started;
        }
    }

    /// While a job waits, the others get no more than their share: its level gets at least its part of every round of
    /// claims. A restart begins a new round.
    fn fairness(&self) {
        let mut starts = Starts::default();
        for job in &self.jobs {
            if let Some(at) = moment(job, "started_at") {
                starts.all.push(at);
                starts.of_level.entry(level(job)).or_default().push(at);
            }
        }
        starts.all.sort_unstable();
        starts.of_level.values_mut().for_each(|moments| moments.sort_unstable());
        for job in self.prompt() {
            let Some(started) = moment(job, "started_at") else { continue };
            let (created, level) = (moment(job, "created_at").unwrap(), level(job));
            let ahead = within(&starts.of_level[&level], created, started + 1);
            let restarts = within(&self.restarts, created + 1, started);
            let rounds = ahead.div_ceil(1 << (level - 1)) + restarts + 1;
            let passed = within(&starts.all, created + 1, started);
            assert!(
                passed <= rounds * ROUND,
                "{} of level {level} was passed by {passed} jobs in {rounds} rounds",
                text(job, "id")
            );
        }
    }

    /// One job of a conversation at a time, in order of acceptance, and the history says the same.
    async fn conversations(&self) {
        let mut talks: BTreeMap<&str, Vec<(usize, &Value)>> = BTreeMap::new();
        for job in &self.jobs {
            if let Some((name, place)) = &self.promise(job).conversation {
                talks.entry(name).or_default().push((*place, job));
            }
        }
        assert!(!talks.is_empty());
        for (name, jobs) in talks {
            assert!(jobs.is_sorted_by_key(|(place, _)| *place), "{name}: accepted in the order of asking");
            for pair in jobs.windows(2) {
                let (ended, began) = (moment(pair[0].1, "finished_at"), moment(pair[1].1, "started_at"));
                assert!(ended <= began, "{name}: {:?} began before {:?} ended", pair[1].0, pair[0].0);
            }
            let succeeded = jobs.iter().filter(|(_, job)| job["status"] == "succeeded");
            let expected: Vec<_> = succeeded
                .flat_map(|(place, job)| {
                    let answer = text(&job["output"], "raw").to_owned();
                    [(format!("message {place}"), job["id"].clone()), (answer, job["id"].clone())]
                })
                .collect();
            let kept = get(&format!("{}/v1/conversations/{name}", self.server)).await;
            let kept: Vec<_> = kept["messages"]
                .as_array()
                .unwrap()
                .iter()
                .map(|message| (text(message, "text").to_owned(), message["job_id"].clone()))
                .collect();
            assert!(!kept.is_empty() && expected.ends_with(&kept), "{name}: history and jobs agree");
            assert_eq!(kept.len(), expected.len().min(200), "{name}");
        }
    }

    /// The provider saw each step at most as often as the journal accounts for: the answer, the failed tries, and calls
    /// in doubt at a crash. Calls that were dropped with their job, at its cancel or its last crash, have no entry: there is
    /// at most one for each time that the job was begun.
    fn calls(&self) {
        assert_eq!(self.ledger["forgotten"], 0, "the ledger is whole");
        let mut made: HashMap<String, u64> = HashMap::new();
        for (call, counts) in self.ledger["calls"].as_object().unwrap() {
            let step = call.rsplit_once('/').unwrap().0.to_owned();
            *made.entry(step).or_default() += counts["started"].as_u64().unwrap();
        }
        let unsuccessful = self.jobs.iter().filter(|job| text(job, "status") != "succeeded");
        let begun: HashMap<&str, u64> =
            unsuccessful.map(|job| (text(job, "id"), job["attempt"].as_u64().unwrap())).collect();
        let (mut journaled, mut beyond) = (0, 0);
        for (id, steps) in &self.steps {
            let names: HashSet<_> = steps.iter().map(|step| text(step, "step")).collect();
            assert_eq!(names.len(), steps.len(), "{id}: every step stands in the journal once");
            for step in steps.iter().filter(|step| step["kind"] == "model") {
                let key = format!("{id}/{}", text(step, "step"));
                let tries = step["failed_tries"].as_array().unwrap().len() as u64
                    + step["possibly_billed"].as_u64().unwrap();
                let has_ended = step["status"] != "failed";
                let dropped = begun.get(id.as_str()).filter(|_| !has_ended);
                let accounted = tries + dropped.copied().unwrap_or(1).max(1);
                let seen = made.remove(&key).unwrap_or(0);
                assert!(
                    seen <= accounted && (seen >= 1 || !has_ended),
                    "{key}: the provider saw {seen} calls, the journal accounts for {accounted}: {step}"
                );
                beyond += u64::from(seen > tries + 1);
                journaled += 1;
            }
        }
        assert!(journaled > 0);
        eprintln!(
            "{journaled} steps in journals; {beyond} with several calls that were dropped with their job"
        );
        made.retain(|step, seen| {
            begun.get(step.split('/').next().unwrap()).is_none_or(|begun| *seen > *begun)
        });
        assert!(made.is_empty(), "calls of steps that no journal knows: {made:?}");
    }

    /// A run in which nothing happened proves nothing.
    fn happened(&self, kills: u64) {
        let count = |wanted: &dyn Fn(&&Value) -> bool| self.jobs.iter().filter(wanted).count();
        let taken_over = |job: &&Value| job["attempt"].as_u64().unwrap() > 1;
        let resumed = count(&taken_over);
        let retried = self
            .steps
            .values()
            .flatten()
            .filter(|step| step["failed_tries"].as_array().is_some_and(|tries| !tries.is_empty()));
        let retried = retried.count();
        let cancelled = count(&|job| job["status"] == "cancelled");
        let dropped = count(&|job| job["status"] == "cancelled" && !job["started_at"].is_null());
        let delayed = count(&|job| self.promise(job).run_at.is_some());
        let talked_over = count(&|job| self.promise(job).conversation.is_some() && taken_over(job));
        let failed = count(&|job| job["status"] == "failed");
        let followed = count(&|job| !self.promise(job).followed.is_empty());
        eprintln!(
            "{} jobs: {resumed} resumed, {retried} steps tried again, {cancelled} cancelled ({dropped} of them under \
             way), {delayed} delayed, {talked_over} resumed in conversations, {followed} followed, {failed} failed as \
             poison",
            self.jobs.len()
        );
        assert!(self.jobs.len() as u64 >= kills, "the load made progress");
        let all = [resumed, retried, cancelled, dropped, delayed, talked_over, followed];
        assert!(all.iter().all(|count| *count > 0), "something did not happen: {all:?}");
        assert!(failed as u64 <= kills / 5, "{failed} jobs were killed three times within one step");
    }
}

async fn all_jobs(server: &str) -> Vec<Value> {
    let (mut jobs, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = get(&format!("{server}/v1/jobs?limit=500{cursor}")).await;
        jobs.extend(page["jobs"].as_array().unwrap().iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return jobs,
        }
    }
}
