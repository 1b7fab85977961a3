//! A worker dies at every write of a job, before it and after it: the next one finishes the job with the same output,
//! and no journaled call is made again.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use qd_env::{Env, ManualClock};
use qd_llm::Models;
use qd_store::Store;
use qd_testkit::{Crash, CrashPoint, When};
use qd_types::{Entry, Job, JobId, JobStatus, StepId, TenantId};

use super::{CREW, accept, catalog, entries, finished, job, models, publish, quick};
use crate::{Engine, Plans};

fn open(folder: &Path, env: &Env) -> Store {
    let url = format!("sqlite:{}", folder.join("store.db").display());
    let options = qd_store::Options { url, ..qd_store::Options::default() };
    loop {
        match qd_store::open(&options, env) {
            Ok(store) => return store,
            // The dead process's writer thread is about to let go of the file.
            Err(qd_store::Error::Locked { .. }) => std::thread::yield_now(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// One life of a process: everything in it ends with its runtime.
fn live<T>(life: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let result = runtime.block_on(life);
    runtime.shutdown_background();
    result
}

fn start(store: &Store, env: &Env, models: &Arc<Models>) -> Engine {
    let plans = Plans::new(store.clone(), catalog(env));
    Engine::start(quick(), store.clone(), Arc::clone(models), plans, env.clone(), &Arc::default())
}

struct Trial {
    env: Env,
    models: Arc<Models>,
    folder: tempfile::TempDir,
}

impl Trial {
    fn new() -> Self {
        let env = Env::with(Arc::new(ManualClock::at(1_700_000_000_000)), 3);
        Self { models: models(&env), env, folder: tempfile::tempdir().unwrap() }
    }

    /// Accepts a job and runs it until the crash, or to its end. Answers the job's id and the writes made.
    fn first_life(&self, point: Option<CrashPoint>) -> (JobId, usize) {
        live(async {
            let store = open(self.folder.path(), &self.env);
            publish(&store, &catalog(&self.env), CREW).await;
            let id = accept(&store, job(&self.env, "sums", "question", "what is 6 * 7?")).await;
            let mut crash = None;
            let store = store.wrapped(|inner| {
                let backend = Crash::new(inner, point);
                crash = Some(Arc::clone(&backend));
                backend
            });
            let crash = crash.unwrap();
            let _engine = start(&store, &self.env, &self.models);
            if point.is_some() {
                let died = tokio::time::timeout(std::time::Duration::from_secs(30), crash.died()).await;
                died.expect("the job makes as many writes as in the whole run");
            } else {
                finished(&store, id).await;
            }
            (id, crash.writes())
        })
    }

    /// Starts again and answers the finished job, its entries, and which steps were in the journal before.
    fn second_life(&self, id: JobId) -> (Job, Vec<Entry>, Vec<StepId>) {
        live(async {
            let store = open(self.folder.path(), &self.env);
            let journaled = entries(&store, id).await;
            let before = self.calls();
            let engine = start(&store, &self.env, &self.models);
            let job = finished(&store, id).await;
            engine.stop().await;
            let journaled: Vec<_> = journaled.iter().filter_map(|entry| entry.step().cloned()).collect();
            for step in &journaled {
                let key = format!("{id}/{step}/1");
                assert_eq!(before.get(&key), self.calls().get(&key), "journaled call {step} was made again");
            }
            (job, entries(&store, id).await, journaled)
        })
    }

    fn calls(&self) -> BTreeMap<String, u64> {
        let page = self.models.ledger("sim").unwrap().page();
        page.calls.into_iter().map(|(call, counts)| (call, counts.started)).collect()
    }
}

fn billed(entries: &[Entry]) -> BTreeMap<StepId, u32> {
    let doubtful = |entry: &Entry| match entry {
        Entry::Model { step, call, .. } => Some((step.clone(), call.possibly_billed)),
        _ => None,
    };
    entries.iter().filter_map(doubtful).collect()
}

#[test]
fn job_survives_a_crash_at_every_write_and_pays_no_journaled_call_twice() {
    let whole = Trial::new();
    let (id, writes) = whole.first_life(None);
    let (baseline, all, _) = whole.second_life(id);
    assert_eq!(baseline.status, JobStatus::Succeeded);
    assert!(writes >= 6, "claim, task news, four model and three tool entries, finish: {writes}");
    assert_eq!(
        all.iter().filter(|e| matches!(e, Entry::Tool { .. })).count(),
        3,
        "one task called two tools at once, the other one"
    );

    let mut resumed = 0;
    for write in 0..writes {
        for when in [When::Before, When::After] {
            let trial = Trial::new();
            let (id, _) = trial.first_life(Some(CrashPoint { write, when }));
            let (job, entries, journaled) = trial.second_life(id);
            resumed += journaled.len();
            assert_eq!(
                (job.status, &job.output),
                (JobStatus::Succeeded, &baseline.output),
                "write {write} {when:?}"
            );
            assert_eq!(job.tenant, TenantId::default());
            let doubts = billed(&entries);
            for (call, started) in trial.calls() {
                let step = call.strip_prefix(&format!("{id}/")).and_then(|c| c.rsplit_once('/')).unwrap().0;
                let doubt = doubts[&StepId::new(step)];
                assert!(started <= 1 + u64::from(doubt), "{call} was made {started} times, {doubt} in doubt");
            }
            let steps: Vec<_> = entries.iter().filter_map(Entry::step).collect();
            let mut once = steps.clone();
            once.sort();
            once.dedup();
            assert_eq!(once.len(), steps.len(), "every step has one entry");
        }
    }
    assert!(resumed > 0, "no trial resumed from a journal");
}
