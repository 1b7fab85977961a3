//! A workload that a seed reproduces: every operation of the store, some at once, with what it acknowledged. Batches,
//! schedules and deliveries are in `workload/beside.rs`.

mod beside;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use futures::future::join_all;
use qd_env::{Env, ManualClock};
use qd_faultfs::FaultFs;
use qd_store::{
    Actor, Answer, Answered, Cancelled, Claimed, Durability, Enqueued, Error, Finish, Idempotency, KeyAdded,
    NewCrew, NewJob, NewKey, Options, OtherBody, Outcome, Published, Record, Store, Turn, TurnRole, open,
};
use qd_types::{
    AgentId, AnsweredBy, Ask, AskRules, Call, ChatReply, Class, Code, CrewName, CrewVersion, Entry, Failure,
    Input, JobId, JobOutput, JobStatus, KeyId, LogItem, NanoDollars, OnExpiry, Priority, Progress, Scope,
    Source, StepId, StopReason, TaskId, TenantId, Timestamp, Usage, Verdict, WorkerId,
};

use crate::around::Around;
use crate::ledger::{Change, Kept, Step, View, conversations, tenants};

/// When every workload begins.
pub(crate) const START: i64 = 1_700_000_000_000;

/// Who is told of ends.
const RECEIVER: &str = "https://receiver.example/ends";

/// What an operation that was not acknowledged may have changed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Doubt {
    pub(crate) jobs: BTreeSet<JobId>,
    /// Any job.
    pub(crate) all: bool,
    /// Crews, conversations, keys, and what stands around jobs.
    pub(crate) rest: bool,
}

impl Doubt {
    fn of(jobs: impl IntoIterator<Item = JobId>) -> Self {
        Self { jobs: jobs.into_iter().collect(), ..Self::default() }
    }
}

/// A store under work, and the account of it.
pub(crate) struct Workload {
    pub(crate) store: Store,
    pub(crate) steps: Vec<Step>,
    pub(crate) view: View,
    /// Of the turn that is being taken.
    pub(crate) doubt: Doubt,
    /// What was acknowledged of it, even if reading it back failed: jobs and the least length of their logs.
    pub(crate) promised: Vec<(JobId, usize)>,
    clock: Arc<ManualClock>,
    env: Env,
    fs: Arc<FaultFs>,
    folder: std::path::PathBuf,
    rng: Rng,
    held: Vec<Claimed>,
    keys: u32,
    texts: u32,
    /// The store's own checkpoints are what is looked at.
    leaves_checkpoints: bool,
}

/// Options of a store in a folder.
pub(crate) fn options(folder: &Path, durability: Durability) -> Options {
    Options {
        url: format!("sqlite:{}", folder.join("store.db").display()),
        durability,
        retention: Duration::from_secs(120),
        conversation_ttl: Duration::from_secs(150),
        ..Options::default()
    }
}

pub(crate) fn worker() -> WorkerId {
    WorkerId::new("worker")
}

/// A job without anything special.
pub(crate) fn plain(env: &Env) -> NewJob {
    NewJob {
        id: env.job_id(),
        tenant: tenants()[0].clone(),
        crew: CrewName::new("research"),
        crew_version: CrewVersion(1),
        machine_version: 1,
        total_tasks: 1,
        input: Input::new(),
        priority: Priority::NORMAL,
        conversation: None,
        run_at: None,
        expires_at: None,
        timeout_seconds: 300,
        max_attempts: 5,
        metadata: BTreeMap::new(),
        budget: None,
        webhook_url: None,
        hooks: None,
        redrive_of: None,
        idempotency: None,
    }
}

pub(crate) fn keyed(key: &str) -> Idempotency {
    let key = key.to_owned();
    Idempotency { scope: "jobs".into(), key, body_hash: [7; 32], on_other_body: OtherBody::Refuse }
}

/// Answers apart from the first error.
fn split<A, T>(answers: impl Iterator<Item = (A, Result<T, Error>)>) -> (Vec<(A, T)>, Result<(), Error>) {
    let (mut acked, mut failed) = (Vec::new(), Ok(()));
    for (asked, answer) in answers {
        match answer {
            Ok(answer) => acked.push((asked, answer)),
            Err(error) => failed = failed.and(Err(error)),
        }
    }
    (acked, failed)
}

fn progress() -> Progress {
    Progress { completed_tasks: 0, total_tasks: 1, current_task: None }
}

impl Workload {
    /// Opens a fresh store in a watched folder.
    pub(crate) fn start(
        fs: &Arc<FaultFs>,
        folder: &Path,
        durability: Durability,
        seed: u64,
    ) -> Result<Self, Error> {
        let clock = Arc::new(ManualClock::at(START));
        let env = Env::with(Arc::<ManualClock>::clone(&clock), seed);
        let store = open(&options(folder, durability), &env)?;
        Ok(Self {
            store,
            steps: Vec::new(),
            view: View::default(),
            doubt: Doubt::default(),
            promised: Vec::new(),
            clock,
            env,
            fs: Arc::clone(fs),
            folder: folder.to_owned(),
            rng: Rng::with_seed(seed),
            held: Vec::new(),
            keys: 0,
            texts: 0,
            leaves_checkpoints: false,
        })
    }

    /// One turn of it: one operation, or some at once.
    pub(crate) async fn turn(&mut self) -> Result<(), Error> {
        self.turn_among(0..126).await
    }

    /// The same with a batch, a schedule or deliveries.
    pub(crate) async fn turn_beside(&mut self) -> Result<(), Error> {
        self.turn_among(97..122).await
    }

    async fn turn_among(&mut self, acts: Range<u32>) -> Result<(), Error> {
        self.doubt = Doubt::default();
        self.promised.clear();
        let act = self.rng.u32(acts);
        self.act(act).await?;
        self.doubt = Doubt::default();
        Ok(())
    }

    async fn act(&mut self, act: u32) -> Result<(), Error> {
        match act {
            0..20 => self.accept().await,
            20..24 => self.repeat_a_key().await,
            24..44 => self.claim().await,
            44..62 => self.record().await,
            62..80 => self.finish().await,
            80..83 => self.cancel().await,
            83..86 => self.answer().await,
            86..91 => self.tick().await,
            91..93 => self.publish().await,
            93..95 => self.forget().await,
            95..97 => self.change_keys().await,
            97..100 => self.accept_batch().await,
            100..105 => self.feed_batches().await,
            105..106 => self.cancel_batch().await,
            106..108 => self.change_a_schedule().await,
            108..112 => self.tick_a_schedule().await,
            112..122 => self.deliver().await,
            _ => self.checkpoint(),
        }
    }

    /// Operations that were acknowledged.
    pub(crate) fn operations(&self) -> usize {
        self.steps.len()
    }

    fn now(&self) -> Timestamp {
        self.env.now()
    }

    fn note(&mut self, asked: usize, changes: Vec<Change>) {
        let step = Step { asked, acked: self.fs.position(), at: self.now(), changes };
        self.view.apply(&step);
        self.steps.push(step);
    }

    /// What stands around jobs, after an operation that may have changed it.
    async fn around(&self) -> Result<Change, Error> {
        Ok(Change::Around(Arc::new(Around::of(&self.store).await?)))
    }

    async fn kept(&self, tenant: &TenantId, id: JobId) -> Result<Option<Arc<Kept>>, Error> {
        let Some(job) = self.store.job(tenant, id).await? else { return Ok(None) };
        let log = self.store.log(tenant, id, 0, 10_000).await?.unwrap_or_default();
        Ok(Some(Arc::new(Kept { job, log })))
    }

    fn new_job(&mut self) -> NewJob {
        let now = self.now();
        let mut job = plain(&self.env);
        job.tenant = self.rng.choice(tenants()).expect("two");
        job.priority = Priority::new(self.rng.i64(1..=5)).expect("a level");
        if self.rng.u8(..10) < 4 {
            job.conversation = self.rng.choice(conversations());
        }
        if self.rng.u8(..10) < 4 {
            self.keys += 1;
            job.idempotency = Some(keyed(&format!("key-{}", self.keys)));
        }
        if self.rng.u8(..10) < 2 {
            job.run_at = Some(now.plus(Duration::from_secs(self.rng.u64(1..90))));
        }
        if self.rng.u8(..10) < 1 {
            job.expires_at = Some(now.plus(Duration::from_secs(self.rng.u64(10..200))));
        }
        if self.rng.u8(..10) < 1 {
            // Larger than a page of the database.
            job.input.insert("text".into(), "long ".repeat(self.rng.usize(1_000..3_000)).into());
        }
        if self.rng.u8(..10) < 5 {
            job.webhook_url = Some(RECEIVER.to_owned());
        }
        job
    }

    async fn accept(&mut self) -> Result<(), Error> {
        let count = self.rng.usize(1..3);
        let jobs: Vec<_> = (0..count).map(|_| self.new_job()).collect();
        self.doubt = Doubt::of(jobs.iter().map(|job| job.id));
        let asked = self.fs.position();
        let answers = join_all(jobs.iter().map(|job| self.store.enqueue(job.clone()))).await;
        let (acked, failed) = split(jobs.iter().zip(answers));
        self.promised.extend(acked.iter().map(|(job, _)| (job.id, 0)));
        for (job, answer) in acked {
            let Enqueued::Created(created) = answer else { panic!("a new job is created") };
            assert_eq!(created.id, job.id);
            let kept = self.kept(&job.tenant, job.id).await?.expect("an accepted job can be read");
            assert_eq!(kept.job, *created);
            let mut changes = vec![Change::Job(job.id, Some(kept))];
            if let Some(key) = &job.idempotency {
                changes.push(Change::Key((job.tenant.clone(), key.key.clone()), job.id));
            }
            self.note(asked, changes);
        }
        failed
    }

    /// Accepts jobs that are as large as many others together, so that the store makes a checkpoint by itself; the
    /// workload makes none then.
    pub(crate) async fn accept_large(&mut self, count: usize) -> Result<(), Error> {
        self.leaves_checkpoints = count > 0;
        for _ in 0..count {
            let mut job = plain(&self.env);
            job.input.insert("text".into(), "large".repeat(200_000).into());
            let asked = self.fs.position();
            self.store.enqueue(job.clone()).await?;
            let kept = self.kept(&job.tenant, job.id).await?;
            self.note(asked, vec![Change::Job(job.id, kept)]);
        }
        Ok(())
    }

    async fn repeat_a_key(&mut self) -> Result<(), Error> {
        let Some(((tenant, key), id)) = self.rng.choice(&self.view.keys).map(|(k, id)| (k.clone(), *id))
        else {
            return Ok(());
        };
        if !self.view.jobs.contains_key(&id) {
            return Ok(());
        }
        let mut job = plain(&self.env);
        job.tenant = tenant;
        job.idempotency = Some(keyed(&key));
        let asked = self.fs.position();
        let Enqueued::Replayed(known) = self.store.enqueue(job).await? else { panic!("{key} is known") };
        assert_eq!(known.id, id);
        self.note(asked, Vec::new());
        Ok(())
    }

    async fn claim(&mut self) -> Result<(), Error> {
        let asked = self.fs.position();
        let max = self.rng.usize(1..4);
        self.doubt.all = true;
        let claimed = self.store.claim(&worker(), max).await?;
        let mut changes = Vec::new();
        for claim in &claimed {
            let kept = self.kept(&claim.job.tenant, claim.job.id).await?.expect("claimed");
            assert_eq!((kept.job.status, &kept.log), (JobStatus::Running, &claim.log));
            changes.push(Change::Job(claim.job.id, Some(kept)));
        }
        self.held.extend(claimed);
        self.note(asked, changes);
        Ok(())
    }

    fn entry(&mut self) -> LogItem {
        self.texts += 1;
        let entry = Entry::Model {
            step: StepId::model(&TaskId::new("draft"), self.texts),
            reply: ChatReply {
                text: format!("answer {} ", self.texts).repeat(self.rng.usize(1..40)),
                tool_calls: Vec::new(),
                stop: StopReason::End,
                model: "sim".into(),
                response_id: None,
                blocks: None,
            },
            source: Source::Executed,
            usage: Usage { model_calls: 1, input_tokens: 10, output_tokens: 5, ..Usage::default() },
            cost: NanoDollars(1_000),
            call: Call { target: "sim".into(), number: 1, ..Call::default() },
        };
        LogItem::Entry { entry: Box::new(entry) }
    }

    async fn record(&mut self) -> Result<(), Error> {
        let count = self.rng.usize(1..4).min(self.held.len());
        let from = self.held.len() - count;
        let records: Vec<_> = (from..self.held.len())
            .map(|place| {
                let (job, fence) = (self.held[place].job.id, self.held[place].lease.fence);
                let items = (0..self.rng.usize(1..3)).map(|_| self.entry()).collect();
                Record { job, fence, items, progress: progress() }
            })
            .collect();
        self.doubt = Doubt::of(records.iter().map(|record| record.job));
        let asked = self.fs.position();
        let answers = join_all(records.iter().map(|record| self.store.record(record.clone()))).await;
        let (acked, failed) = split(records.iter().zip(answers));
        for (record, answer) in acked {
            let last = answer.expect("the lease holds");
            self.promised.push((record.job, usize::try_from(last).expect("a short log")));
            let tenant =
                self.held.iter().find(|held| held.job.id == record.job).expect("held").job.tenant.clone();
            let kept = self.kept(&tenant, record.job).await?.expect("held");
            assert_eq!(kept.log.last().expect("not empty").seq, last);
            self.note(asked, vec![Change::Job(record.job, Some(kept))]);
        }
        failed
    }

    fn outcome(&mut self) -> (Outcome, JobStatus) {
        let failure = || Failure::new(Code::ModelTimeout, Class::Transient, "slow");
        match self.rng.u8(..10) {
            8.. => (Outcome::Wait(Box::new(self.ask())), JobStatus::Waiting),
            0..3 => {
                let output = JobOutput { raw: "done".into(), json: None, tasks: Vec::new() };
                (Outcome::Succeeded(output), JobStatus::Succeeded)
            }
            3 => {
                let after = Duration::from_secs(self.rng.u64(1..60));
                (Outcome::Retry { after, failure: failure() }, JobStatus::Retrying)
            }
            4..6 => (Outcome::Release, JobStatus::Queued),
            6 => (Outcome::Failed(failure()), JobStatus::Failed),
            _ => (Outcome::Cancelled, JobStatus::Cancelled),
        }
    }

    async fn finish(&mut self) -> Result<(), Error> {
        if self.held.is_empty() {
            return Ok(());
        }
        let held = self.held.swap_remove(self.rng.usize(..self.held.len()));
        let (outcome, status) = self.outcome();
        self.texts += 1;
        let turn = |role, text| Turn { role, text };
        let history = vec![
            turn(TurnRole::User, format!("question {}", self.texts)),
            turn(TurnRole::Assistant, format!("answer {}", self.texts)),
        ];
        let items = if self.rng.bool() { vec![self.entry()] } else { Vec::new() };
        let finish = Finish {
            job: held.job.id,
            fence: held.lease.fence,
            items,
            progress: progress(),
            outcome,
            history,
            doubt_settled: true,
        };
        self.doubt = Doubt { rest: true, ..Doubt::of([held.job.id]) };
        let asked = self.fs.position();
        let answer = self.store.finish(finish).await?;
        assert_eq!(answer, Ok(status));
        let kept = self.kept(&held.job.tenant, held.job.id).await?.expect("finished");
        assert_eq!(kept.job.status, status);
        let mut changes = vec![Change::Job(held.job.id, Some(kept))];
        if let Some(name) = held.job.conversation {
            let conversation = self.store.conversation(&held.job.tenant, &name, 500).await?;
            changes.push(Change::Conversation((held.job.tenant, name), conversation));
        }
        changes.push(self.around().await?);
        self.note(asked, changes);
        Ok(())
    }

    /// A question; half of them are given up soon, in either way.
    fn ask(&mut self) -> Ask {
        self.texts += 1;
        let (task, turn) = (TaskId::new("draft"), self.texts);
        let on_expiry = if self.rng.bool() { OnExpiry::Fail } else { OnExpiry::Approve };
        let rules = AskRules {
            reminder_seconds: self.rng.u32(..30),
            reminders: 2,
            expires_seconds: if self.rng.bool() { self.rng.u32(1..60) } else { 0 },
            on_expiry,
            max_rounds: self.rng.u32(..2),
        };
        let (step, agent) = (StepId::human(&task, turn), AgentId::new("a"));
        Ask { step, task, agent, output: format!("answer {}", self.texts), round: 1, rules }
    }

    async fn answer(&mut self) -> Result<(), Error> {
        let waiting: Vec<_> =
            self.view.jobs.values().filter(|kept| kept.job.status == JobStatus::Waiting).cloned().collect();
        let Some(kept) = self.rng.choice(waiting) else { return Ok(()) };
        let (tenant, job) = (kept.job.tenant.clone(), kept.job.id);
        let verdict = if self.rng.bool() {
            Verdict::Approve { remark: None }
        } else {
            Verdict::Revise { feedback: "shorter".to_owned() }
        };
        let answer =
            Answer { job, step: None, verdict, by: AnsweredBy::Anyone, hooks: None, idempotency: None };
        self.doubt = Doubt { rest: true, ..Doubt::of([job]) };
        let asked = self.fs.position();
        let Answered::Taken(_) = self.store.answer(&tenant, answer).await? else { panic!("it waits") };
        let kept = self.kept(&tenant, job).await?.expect("answered");
        self.promised.push((job, kept.log.len()));
        // A word too many ends the job, of which its receiver is told.
        let changes = vec![Change::Job(job, Some(kept)), self.around().await?];
        self.note(asked, changes);
        Ok(())
    }

    async fn cancel(&mut self) -> Result<(), Error> {
        let open: Vec<_> = self.view.jobs.values().filter(|kept| !kept.job.status.is_terminal()).collect();
        let Some(kept) = self.rng.choice(open) else { return Ok(()) };
        let (tenant, id) = (kept.job.tenant.clone(), kept.job.id);
        self.doubt = Doubt { rest: true, ..Doubt::of([id]) };
        let asked = self.fs.position();
        let Cancelled::Now(job) = self.store.cancel(&tenant, id).await? else { panic!("it was not over") };
        assert_eq!(job.status, JobStatus::Cancelled);
        self.held.retain(|held| held.job.id != id);
        let kept = self.kept(&tenant, id).await?.expect("cancelled");
        let changes = vec![Change::Job(id, Some(kept)), self.around().await?];
        self.note(asked, changes);
        Ok(())
    }

    /// Lets time pass and what is due happen.
    async fn tick(&mut self) -> Result<(), Error> {
        self.clock.advance(Duration::from_millis(self.rng.u64(1..40_000)));
        self.doubt = Doubt { all: true, rest: true, ..Doubt::default() };
        let asked = self.fs.position();
        let tick = self.store.tick(1_000).await?;
        assert!(!tick.more);
        let found = View::of(&self.store).await?;
        let mut changes = Vec::new();
        let ids: BTreeSet<_> = self.view.jobs.keys().chain(found.jobs.keys()).copied().collect();
        for id in ids {
            if self.view.jobs.get(&id) != found.jobs.get(&id) {
                changes.push(Change::Job(id, found.jobs.get(&id).cloned()));
            }
        }
        for tenant in tenants() {
            for name in conversations() {
                let name = (tenant.clone(), name);
                if self.view.conversations.get(&name) != found.conversations.get(&name) {
                    changes.push(Change::Conversation(name.clone(), found.conversations.get(&name).cloned()));
                }
            }
        }
        self.held.retain(|held| {
            found.jobs.get(&held.job.id).is_some_and(|kept| kept.job.status == JobStatus::Running)
        });
        changes.push(Change::Around(found.around));
        self.note(asked, changes);
        Ok(())
    }

    async fn publish(&mut self) -> Result<(), Error> {
        self.texts += 1;
        let tenant = self.rng.choice(tenants()).expect("two");
        let (hash, spec) = (format!("hash-{}", self.texts), format!("{{\"n\":{}}}", self.texts));
        self.doubt.rest = true;
        let asked = self.fs.position();
        let crew = NewCrew::new(tenant.clone(), CrewName::new("research"), &hash, &spec);
        let Published::Created(version) = self.store.publish(crew).await? else {
            panic!("a new spec is a new version")
        };
        self.note(asked, vec![Change::Crew((tenant, "research".into()), (version.0, spec))]);
        Ok(())
    }

    async fn forget(&mut self) -> Result<(), Error> {
        let name = (self.rng.choice(tenants()).expect("two"), self.rng.choice(conversations()).expect("two"));
        self.doubt.rest = true;
        let asked = self.fs.position();
        let known = self.store.forget(&name.0, &name.1).await?;
        assert_eq!(known, self.view.conversations.contains_key(&name));
        self.note(asked, vec![Change::Conversation(name, None)]);
        Ok(())
    }

    async fn change_keys(&mut self) -> Result<(), Error> {
        let now = self.now();
        let known = self.rng.choice(&self.view.access.0).filter(|key| key.is_good(now)).map(|key| key.id);
        self.doubt.rest = true;
        let asked = self.fs.position();
        if let Some(id) = known.filter(|_| self.rng.bool()) {
            let revoked = self.store.revoke_key(None, id, Actor::Console).await?.expect("it is known");
            assert_eq!(revoked.revoked_at, Some(now));
        } else {
            let key = NewKey {
                id: KeyId::from_random(self.env.secret()),
                tenant: tenants()[0].clone(),
                name: "ci".into(),
                scopes: [Scope::JobsRead, Scope::JobsWrite].into_iter().collect(),
                digest: self.env.secret(),
                pepper: [1; 8],
                lifetime: Duration::from_secs(self.rng.u64(1..500)),
                replaces: known.map(|id| (id, Duration::from_secs(30))),
            };
            let added = self.store.add_key(key, Actor::Console).await?;
            assert!(matches!(added, KeyAdded::Added(_)), "{added:?}");
        }
        let access = self.store.keys().await?;
        self.note(asked, vec![Change::Access(access)]);
        Ok(())
    }

    /// As the store's own does, which begins at a size that this workload does not reach.
    fn checkpoint(&mut self) -> Result<(), Error> {
        if self.leaves_checkpoints {
            return Ok(());
        }
        let connection = rusqlite::Connection::open(self.folder.join("store.db"))?;
        let busy = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(0))?;
        assert_eq!(busy, 0);
        Ok(())
    }
}
