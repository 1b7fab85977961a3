//! The real binary under load, killed with -9 at random: what clients were promised, the provider's ledger and the
//! store must agree. Lost 0, double results 0, journaled calls repeated 0.
//!
//! More kills by `QUARTERDECK_TEST_KILLS=1000 cargo xtask test -- kill`; `QUARTERDECK_TEST_SEED` repeats a run.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::process::{PATIENCE, Project, SUMS, finished, get, http, sim, with_sim};

const CLIENTS: usize = 6;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What the clients were promised: the id of each key, and the events each follower saw.
#[derive(Default)]
struct Promises {
    ids: HashMap<String, String>,
    followed: HashMap<String, Vec<u64>>,
}

#[derive(Clone)]
struct Load {
    url: String,
    http: reqwest::Client,
    promises: Arc<Mutex<Promises>>,
    stop: Arc<AtomicBool>,
    accepted: Arc<AtomicUsize>,
}

impl Load {
    /// Submits job after job; a job is only given up once its promise is in hand.
    async fn client(self, number: usize) {
        for n in 0.. {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            let key = format!("client-{number}-{n}");
            let id = self.submit(&key, &format!("what is {n} * {number}?")).await;
            let before = self.promises.lock().await.ids.insert(key, id.clone());
            assert!(before.is_none(), "a key is promised once");
            self.accepted.fetch_add(1, Ordering::SeqCst);
            if n % 4 == 0 {
                let seen = self.follow(&id).await;
                self.promises.lock().await.followed.insert(id, seen);
            } else {
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
        }
    }

    async fn submit(&self, key: &str, question: &str) -> String {
        let body = json!({"crew": "sums", "input": {"question": question}});
        let mut known: Option<String> = None;
        loop {
            let sent = self
                .http
                .post(format!("{}/v1/jobs", self.url))
                .header("idempotency-key", key)
                .json(&body)
                .send()
                .await;
            if let Ok(response) = sent
                && response.status() == 202
                && let Ok(job) = response.json::<Value>().await
            {
                let id = job["id"].as_str().unwrap().to_owned();
                assert!(known.as_ref().is_none_or(|known| *known == id), "one key, one job");
                // Every third promise is asked for again, as a client does that lost the answer.
                if known.is_some() || !key.ends_with('3') {
                    return id;
                }
                known = Some(id);
            } else {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Follows a job's events over kills by `Last-Event-ID`; answers the ids seen, in order.
    async fn follow(&self, id: &str) -> Vec<u64> {
        let mut seen: Vec<u64> = Vec::new();
        loop {
            let mut request = self.http.get(format!("{}/v1/jobs/{id}/events", self.url));
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
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_server_loses_nothing_and_repeats_no_journaled_call() {
    let (kills, seed) =
        (number("QUARTERDECK_TEST_KILLS", 30), number("QUARTERDECK_TEST_SEED", fastrand::u64(..)));
    eprintln!("QUARTERDECK_TEST_SEED={seed} QUARTERDECK_TEST_KILLS={kills}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let sim = sim(&["--latency-ms", "60", "--fault", "503:0.03"]).await;
    let project = Project::new(
        &with_sim(&sim, "[worker]\nslots = 8\n[retry]\nbase_ms = 20\n[log]\nlevel = \"error\"\n"),
        &[("sums.yaml", SUMS)],
    );
    let mut server = project.serve("127.0.0.1:0").await;
    let address = server.address.clone();
    let load = Load {
        url: format!("http://{address}"),
        http: http(),
        promises: Arc::default(),
        stop: Arc::default(),
        accepted: Arc::default(),
    };
    let clients: Vec<_> = (0..CLIENTS).map(|n| tokio::spawn(load.clone().client(n))).collect();

    let mut in_mid_call = 0;
    for _ in 0..kills {
        tokio::time::sleep(Duration::from_millis(rng.u64(120..500))).await;
        let under_way = get(&sim.url("/ledger")).await["in_flight"].as_u64().unwrap();
        server.kill().await;
        in_mid_call += u64::from(under_way > 0);
        server = project.serve(&address).await;
    }
    load.stop.store(true, Ordering::SeqCst);
    for client in clients {
        tokio::time::timeout(PATIENCE, client).await.expect("clients end in time").unwrap();
    }

    let accepted = load.accepted.load(Ordering::SeqCst);
    assert!(accepted as u64 >= kills, "the load made progress: {accepted} jobs");
    assert!(in_mid_call >= kills / 3, "kills hit calls in flight: {in_mid_call} of {kills}");
    let promises = Arc::try_unwrap(load.promises).ok().unwrap().into_inner();
    check(&server.url(""), &sim.url("/ledger"), &promises).await;
}

async fn check(server: &str, ledger: &str, promises: &Promises) {
    let mut resumed = 0;
    let mut steps_of = BTreeMap::new();
    for (key, id) in &promises.ids {
        let job = finished(server, id).await;
        assert_eq!(job["status"], "succeeded", "{key}: {}", job["error"]);
        resumed += usize::from(job["attempt"].as_u64().unwrap() > 1);
        let steps = get(&format!("{server}/v1/jobs/{id}/steps")).await["steps"].as_array().unwrap().clone();
        let names: HashSet<_> = steps.iter().map(|step| step["step"].as_str().unwrap().to_owned()).collect();
        assert_eq!(names.len(), steps.len(), "every step stands in the journal once");
        steps_of.insert(id.clone(), steps);
        if let Some(seen) = promises.followed.get(id) {
            // This crew has no facts, whose places in the sequence are nobody's business: every id must have come.
            let all: Vec<u64> = (0..=*seen.last().unwrap()).collect();
            assert_eq!(*seen, all, "every event came once and in order");
        }
    }
    assert!(resumed > 0, "no job was resumed");
    assert_eq!(count_jobs(server).await, promises.ids.len(), "one job for each key, none lost, none doubled");
    check_calls(&get(ledger).await, &steps_of);
    eprintln!("{} jobs, {resumed} resumed", promises.ids.len());
}

async fn count_jobs(server: &str) -> usize {
    let (mut count, mut cursor) = (0, String::new());
    loop {
        let page = get(&format!("{server}/v1/jobs?limit=500{cursor}")).await;
        count += page["jobs"].as_array().unwrap().len();
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return count,
        }
    }
}

/// The provider saw each step at most as often as the journal accounts for: the answer, the failed tries, and calls in
/// doubt at a crash.
fn check_calls(ledger: &Value, steps_of: &BTreeMap<String, Vec<Value>>) {
    assert_eq!(ledger["forgotten"], 0, "the ledger is whole");
    let mut made: HashMap<String, u64> = HashMap::new();
    for (call, counts) in ledger["calls"].as_object().unwrap() {
        let step = call.rsplit_once('/').unwrap().0.to_owned();
        *made.entry(step).or_default() += counts["started"].as_u64().unwrap();
    }
    let mut journaled = 0;
    for (id, steps) in steps_of {
        for step in steps.iter().filter(|step| step["kind"] == "model") {
            let key = format!("{id}/{}", step["step"].as_str().unwrap());
            let tries = step["failed_tries"].as_array().unwrap().len() as u64;
            let accounted = 1 + tries + step["possibly_billed"].as_u64().unwrap();
            let seen = made.remove(&key).unwrap_or(0);
            assert!(
                (1..=accounted).contains(&seen),
                "{key}: the provider saw {seen} calls, the journal accounts for {accounted}"
            );
            journaled += 1;
        }
    }
    assert!(journaled > 0);
    assert!(made.is_empty(), "calls of steps that no journal knows: {made:?}");
}
