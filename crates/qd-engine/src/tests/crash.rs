//! A worker dies at every write of a job, before it and after it: the next one finishes the job with the same output,
//! and no journaled call is made again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use qd_env::{Env, ManualClock};
use qd_llm::Models;
use qd_store::{Answer, Answered, Store};
use qd_testkit::{Crash, CrashPoint, When};
use qd_types::{AnsweredBy, Entry, Job, JobId, JobStatus, StepId, TenantId, Verdict};

use super::human::ASKING;
use super::recourse::{long, window};
use super::{CREW, accept, catalog, entries, job, live, models_with, open, publish, quick, until};
use crate::{Engine, Plans};

fn start(store: &Store, env: &Env, models: &Arc<Models>) -> Engine {
    let plans = Plans::new(store.clone(), catalog(env));
    Engine::start(quick(), store.clone(), Arc::clone(models), plans, env.clone(), &Arc::default())
}

/// A job to be interrupted.
struct Case {
    crew: String,
    /// The crew's name, its variable and what it is.
    asks: [&'static str; 3],
    /// Tokens that the model holds.
    window: u64,
    /// What a person says, question by question.
    verdicts: Vec<Verdict>,
    /// Tasks whose outputs are the same in every trial. How parts are cut depends on what was learned of the model before.
    alike: usize,
}

struct Trial<'a> {
    case: &'a Case,
    env: Env,
    models: Arc<Models>,
    folder: tempfile::TempDir,
}

impl<'a> Trial<'a> {
    fn new(case: &'a Case) -> Self {
        let env = Env::with(Arc::new(ManualClock::at(1_700_000_000_000)), 3);
        Self {
            case,
            models: models_with(&env, window(case.window)),
            env,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Accepts a job and runs it until the crash, or to its end. Answers the job's id and the writes made.
    fn first_life(&self, point: Option<CrashPoint>) -> (JobId, usize) {
        live(async {
            let store = open(self.folder.path(), &self.env);
            publish(&store, &catalog(&self.env), &self.case.crew).await;
            let [crew, variable, text] = self.case.asks;
            let id = accept(&store, job(&self.env, crew, variable, text)).await;
            let mut crash = None;
            let store = store.wrapped(|inner| {
                let backend = Crash::new(inner, point);
                crash = Some(Arc::clone(&backend));
                backend
            });
            let crash = crash.unwrap();
            let _engine = start(&store, &self.env, &self.models);
            if point.is_some() {
                let to_the_end = async {
                    self.answered(&store, id).await;
                    // Its last write dies in a moment. What nobody waits for may have been dropped with its attempt.
                    let _ = tokio::time::timeout(Duration::from_secs(1), crash.died()).await;
                };
                let life = async {
                    tokio::select! {
                        () = crash.died() => {}
                        () = to_the_end => {}
                    }
                };
                tokio::time::timeout(Duration::from_secs(30), life).await.expect("it dies, or ends");
            } else {
                self.answered(&store, id).await;
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
            let job = self.answered(&store, id).await;
            engine.stop().await;
            let made = journaled.iter().filter(|entry| entry.call().is_some());
            let journaled: Vec<_> = made.filter_map(|entry| entry.step().cloned()).collect();
            for step in &journaled {
                let key = format!("{id}/{step}/1");
                assert_eq!(before.get(&key), self.calls().get(&key), "journaled call {step} was made again");
            }
            (job, entries(&store, id).await, journaled)
        })
    }

    /// Answers every question, and then again, as somebody does who did not hear that it was taken; answers the job
    /// once it is over.
    async fn answered(&self, store: &Store, id: JobId) -> Job {
        loop {
            let is_still = |job: &Job| job.status.is_terminal() || job.status == JobStatus::Waiting;
            let job = until(store, id, is_still).await;
            let Some(waiting) = &job.waiting else { return job };
            let ask = &waiting.ask;
            let verdict = self.case.verdicts[ask.round as usize - 1].clone();
            for _ in 0..2 {
                let (step, verdict) = (Some(ask.step.clone()), verdict.clone());
                let by = AnsweredBy::Anyone;
                let answer = Answer { job: id, step, verdict, by, hooks: None, idempotency: None };
                let answered = store.answer(&TenantId::default(), answer).await.unwrap();
                assert!(matches!(answered, Answered::Taken(_) | Answered::Replayed(_)), "{answered:?}");
            }
        }
    }

    fn calls(&self) -> BTreeMap<String, u64> {
        let page = self.models.ledger("sim").unwrap().page();
        page.calls.into_iter().map(|(call, counts)| (call, counts.started)).collect()
    }
}

fn billed(entries: &[Entry]) -> BTreeMap<StepId, u32> {
    let doubtful = |entry: &Entry| match entry {
        Entry::Model { step, call, .. } | Entry::CallFailed { step, call, .. } => {
            Some((step.clone(), call.possibly_billed))
        }
        _ => None,
    };
    entries.iter().filter_map(doubtful).collect()
}

/// Runs a job to its end, then interrupts it at each of its writes. Answers its entries and how many writes it made.
fn interrupt_everywhere(case: &Case) -> (Vec<Entry>, usize) {
    let whole = Trial::new(case);
    let (id, writes) = whole.first_life(None);
    let (baseline, all, _) = whole.second_life(id);
    assert_eq!(baseline.status, JobStatus::Succeeded, "{:?}", baseline.error);
    let mut resumed = 0;
    for write in 0..writes {
        for when in [When::Before, When::After] {
            let trial = Trial::new(case);
            let (id, _) = trial.first_life(Some(CrashPoint { write, when }));
            let (job, entries, journaled) = trial.second_life(id);
            resumed += journaled.len();
            assert_eq!(job.status, JobStatus::Succeeded, "write {write} {when:?}");
            let alike = |job: &Job| job.output.as_ref().unwrap().tasks[..case.alike].to_vec();
            assert_eq!(alike(&job), alike(&baseline), "write {write} {when:?}");
            assert_eq!(job.tenant, TenantId::default());
            let doubts = billed(&entries);
            for (call, started) in trial.calls() {
                let step = call.strip_prefix(&format!("{id}/")).and_then(|c| c.rsplit_once('/')).unwrap().0;
                let doubt = doubts[&StepId::new(step)];
                assert!(started <= 1 + u64::from(doubt), "{call} was made {started} times, {doubt} in doubt");
            }
            let is_step = |entry: &&Entry| entry.call().is_some() || matches!(entry, Entry::Human { .. });
            let steps: Vec<_> = entries.iter().filter(is_step).filter_map(Entry::step).collect();
            let mut once = steps.clone();
            once.sort();
            once.dedup();
            assert_eq!(once.len(), steps.len(), "every step has one entry");
        }
    }
    assert!(resumed > 0, "no trial resumed from a journal");
    (all, writes)
}

#[test]
fn job_survives_a_crash_at_every_write_and_pays_no_journaled_call_twice() {
    let asks = ["sums", "question", "what is 6 * 7?"];
    let (all, writes) = interrupt_everywhere(&Case {
        crew: CREW.to_owned(),
        asks,
        window: 1_000_000,
        verdicts: vec![],
        alike: 2,
    });
    assert!(writes >= 6, "claim, task news, four model and three tool entries, finish: {writes}");
    let tools = all.iter().filter(|entry| matches!(entry, Entry::Tool { .. }));
    assert_eq!(tools.count(), 3, "one task called two tools at once, the other one");
}

#[test]
fn job_whose_words_were_put_into_fewer_survives_a_crash_at_every_write() {
    let asks = ["long", "message", "this"];
    let (all, _) =
        interrupt_everywhere(&Case { crew: long(""), asks, window: 900, verdicts: vec![], alike: 3 });
    let resorts = all.iter().filter(|entry| matches!(entry, Entry::Recourse { .. }));
    assert_eq!(resorts.count(), 1);
}

#[test]
fn job_that_asks_a_person_survives_a_crash_at_every_write_and_asks_nothing_twice() {
    let asks = ["asking", "message", "the tides"];
    let verdicts =
        vec![Verdict::Revise { feedback: "shorter".to_owned() }, Verdict::Approve { remark: None }];
    let case = Case { crew: ASKING.to_owned(), asks, window: 1_000_000, verdicts, alike: 2 };
    let (all, writes) = interrupt_everywhere(&case);
    let answers = all.iter().filter(|entry| matches!(entry, Entry::Human { .. }));
    assert_eq!(answers.count(), 2);
    assert!(writes >= 8, "three claims, three ends of attempts, two answers: {writes}");
}
