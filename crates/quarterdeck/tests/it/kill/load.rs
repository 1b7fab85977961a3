//! Clients that keep going whatever happens to the server, and write down what they were promised.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::process::http;

const SUBMITTERS: u64 = 4;
const TALKERS: u64 = 2;
const CANCELLERS: u64 = 2;
/// Jobs that are looked at while they go on.
const LOOKED_AT: usize = 40;

/// The pauses of clients are part of the load, not waits for anything.
pub(super) async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// What was promised to a client.
#[derive(Debug, Clone, Default)]
pub(super) struct Promise {
    pub(super) key: String,
    /// Milliseconds since 1970; it must not begin before.
    pub(super) run_at: Option<i64>,
    /// Its place among the jobs of a conversation.
    pub(super) conversation: Option<(String, usize)>,
    /// What a cancel was answered.
    pub(super) cancel: Option<u16>,
    /// Ids of the events that a follower saw, in order.
    pub(super) followed: Vec<u64>,
    /// Statuses that somebody saw, in order.
    pub(super) seen: Vec<String>,
}

/// The clients.
#[derive(Clone)]
pub(super) struct Load {
    url: String,
    seed: u64,
    promises: Arc<Mutex<HashMap<String, Promise>>>,
    /// The last jobs that were promised.
    newest: Arc<Mutex<VecDeque<String>>>,
    pub(super) stop: Arc<AtomicBool>,
}

impl Load {
    pub(super) fn new(url: String, seed: u64) -> Self {
        Self { url, seed, promises: Arc::default(), newest: Arc::default(), stop: Arc::default() }
    }

    pub(super) fn start(&self) -> Vec<JoinHandle<()>> {
        let submitters = (0..SUBMITTERS).map(|n| tokio::spawn(self.clone().submitter(n)));
        let talkers = (0..TALKERS).map(|n| tokio::spawn(self.clone().talker(n)));
        let cancellers = (0..CANCELLERS).map(|n| tokio::spawn(self.clone().canceller(n)));
        let watcher = tokio::spawn(self.clone().watcher());
        submitters.chain(talkers).chain(cancellers).chain([watcher]).collect()
    }

    /// By the id of the job.
    pub(super) fn promises(&self) -> HashMap<String, Promise> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Promise>> {
        self.promises.lock().unwrap()
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    fn rng(&self, client: &str, number: u64) -> fastrand::Rng {
        let salt: u64 = client.bytes().map(u64::from).sum();
        fastrand::Rng::with_seed(self.seed ^ (salt << 32) ^ number)
    }

    /// Jobs of all levels, some of them for later; every fourth is followed by its events.
    async fn submitter(self, number: u64) {
        let mut rng = self.rng("submitter", number);
        for n in 0.. {
            if self.stopped() {
                return;
            }
            let key = format!("submitter-{number}-{n}");
            let mut body = json!({
                "crew": "sums",
                "input": {"question": format!("what is {n} * {number}?")},
                "priority": rng.u8(1..=5),
            });
            let mut run_at = None;
            if n % 7 == 3 {
                let at = jiff::Timestamp::now() + jiff::SignedDuration::from_millis(rng.i64(200..2_000));
                body["run_at"] = at.to_string().into();
                run_at = Some(at.as_millisecond());
            }
            let promise = Promise { key: key.clone(), run_at, ..Promise::default() };
            let id = self.submit(&key, &body, promise).await;
            if n % 4 == 0 {
                let seen = self.follow(&id).await;
                self.change(&id, |promise| promise.followed = seen);
            } else {
                pause(60).await;
            }
        }
    }

    /// Says one thing after the other without waiting for answers.
    async fn talker(self, number: u64) {
        let name = format!("talk-{number}");
        for n in 0.. {
            if self.stopped() {
                return;
            }
            let key = format!("{name}-{n}");
            let body = json!({
                "crew": "talk", "input": {"message": format!("message {n}")}, "conversation_id": name,
            });
            let promise =
                Promise { key: key.clone(), conversation: Some((name.clone(), n)), ..Promise::default() };
            self.submit(&key, &body, promise).await;
            pause(250).await;
        }
    }

    /// Takes back what it asked for.
    async fn canceller(self, number: u64) {
        let mut rng = self.rng("canceller", number);
        for n in 0.. {
            if self.stopped() {
                return;
            }
            let key = format!("canceller-{number}-{n}");
            let body = json!({"crew": "sums", "input": {"question": n}, "priority": 5});
            let id = self.submit(&key, &body, Promise { key: key.clone(), ..Promise::default() }).await;
            pause(rng.u64(0..400)).await;
            let answer = loop {
                let sent = http().post(format!("{}/v1/jobs/{id}/cancel", self.url)).send().await;
                match sent.map(|answer| answer.status().as_u16()) {
                    Ok(status @ (202 | 409)) => break status,
                    Ok(503) | Err(_) => pause(20).await,
                    Ok(other) => panic!("cancel was answered with {other}"),
                }
            };
            self.change(&id, |promise| promise.cancel = Some(answer));
        }
    }

    /// Looks at jobs that were promised: they must always be there.
    async fn watcher(self) {
        let mut rng = self.rng("watcher", 0);
        while !self.stopped() {
            pause(5).await;
            // Of the newest: the old ones are over.
            let id = rng.choice(self.newest.lock().unwrap().iter()).cloned();
            let Some(id) = id else { continue };
            if let Ok(answer) = http().get(format!("{}/v1/jobs/{id}", self.url)).send().await {
                assert_eq!(answer.status(), 200, "job {id} was acknowledged");
                if let Ok(job) = answer.json::<Value>().await {
                    let status = job["status"].as_str().unwrap().to_owned();
                    self.change(&id, |promise| promise.seen.push(status));
                }
            }
        }
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Promise)) {
        change(self.lock().get_mut(id).expect("a promised job"));
    }

    /// Submits until there is an answer, under one key.
    async fn submit(&self, key: &str, body: &Value, promise: Promise) -> String {
        let mut known: Option<String> = None;
        loop {
            let request = http().post(format!("{}/v1/jobs", self.url)).header("idempotency-key", key);
            if let Ok(response) = request.json(body).send().await
                && response.status() == 202
                && let Ok(job) = response.json::<Value>().await
            {
                let id = job["id"].as_str().unwrap().to_owned();
                assert!(known.as_ref().is_none_or(|known| *known == id), "one key, one job");
                // Every third promise is asked for again, as a client does that lost the answer.
                if known.is_some() || !key.ends_with('3') {
                    let before = self.lock().insert(id.clone(), promise);
                    assert!(before.is_none(), "a job is promised under one key");
                    let mut newest = self.newest.lock().unwrap();
                    newest.push_back(id.clone());
                    if newest.len() > LOOKED_AT {
                        newest.pop_front();
                    }
                    return id;
                }
                known = Some(id);
            } else {
                pause(20).await;
            }
        }
    }

    /// Follows a job's events over kills by `Last-Event-ID`; answers the ids seen, in order.
    async fn follow(&self, id: &str) -> Vec<u64> {
        let mut seen: Vec<u64> = Vec::new();
        loop {
            let mut request = http().get(format!("{}/v1/jobs/{id}/events", self.url));
            if let Some(last) = seen.last() {
                request = request.header("last-event-id", last.to_string());
            }
            if let Ok(response) = request.send().await {
                let mut text = String::new();
                let mut bytes = response.bytes_stream();
                while let Some(Ok(piece)) = bytes.next().await {
                    text.push_str(&String::from_utf8_lossy(&piece));
                }
                // A frame that the kill cut is not an event; it comes again.
                let whole = text.rfind("\n\n").map_or("", |end| &text[..end]);
                for frame in whole.split("\n\n") {
                    seen.extend(
                        frame.lines().find_map(|line| line.strip_prefix("id: ")?.parse::<u64>().ok()),
                    );
                    if ["job.succeeded", "job.failed", "job.cancelled"]
                        .iter()
                        .any(|end| frame.contains(&format!("event: {end}")))
                    {
                        return seen;
                    }
                }
            }
            pause(20).await;
        }
    }
}
