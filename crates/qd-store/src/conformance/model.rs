//! Random histories against a naive model: the oracle for every backend.
//!
//! The model knows nothing of indexes, timers or files: it is a list of jobs and the rules in plain words. A failing
//! history is shrunk to a small one by proptest.

use std::collections::HashMap;
use std::time::Duration;

use futures::FutureExt as _;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use qd_types::{
    AskRules, Class, Code, ConversationId, Failure, JobId, JobStatus, OnExpiry, Priority, TenantId,
    Timestamp, Verdict,
};

use super::human::{ask, said};
use super::{Fixture, Make, finish_under, lapsing, model_entry, record_under, worker};
use crate::{
    Answered, Cancelled, Claimed, Enqueued, Fence, Idempotency, OtherBody, Outcome, Refused, Room,
    TenantShare, open,
};

/// The tenant of which only so many jobs run at once.
const BOUNDED: u8 = 1;
const RUNNING_MAX: usize = 2;

#[derive(Debug, Clone)]
enum Act {
    Accept {
        tenant: u8,
        level: i64,
        conversation: Option<u8>,
        key: Option<(u8, u8)>,
        delay: Option<u64>,
        expires: Option<u64>,
    },
    Claim(Room),
    Record(usize),
    Finish(usize, End),
    Cancel(usize),
    /// Whether it is approved.
    Answer(usize, bool),
    Renew,
    Pass(u64),
    Reopen,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Succeed,
    Fail,
    Retry(u64),
    Release,
    /// For how long, and whether the job goes on then.
    Wait(u32, bool),
}

fn act() -> impl Strategy<Value = Act> {
    let accept = (
        0..2_u8,
        1..=5_i64,
        prop::option::weighted(0.4, 0..2_u8),
        prop::option::weighted(0.3, (0..3_u8, 0..2_u8)),
        prop::option::weighted(0.2, 1..40_u64),
        prop::option::weighted(0.1, 1..60_u64),
    );
    let end = prop_oneof![
        Just(End::Succeed),
        Just(End::Fail),
        (1..40_u64).prop_map(End::Retry),
        Just(End::Release),
        (0..40_u32, any::<bool>()).prop_map(|(patience, goes_on)| End::Wait(patience, goes_on)),
    ];
    prop_oneof![
        6 => accept.prop_map(|(tenant, level, conversation, key, delay, expires)| Act::Accept { tenant, level, conversation, key, delay, expires }),
        5 => (0..4_usize, 0..4_usize).prop_map(|(any, spare)| Act::Claim(Room { any, spare })),
        3 => (0..8_usize).prop_map(Act::Record),
        5 => (0..8_usize, end).prop_map(|(which, end)| Act::Finish(which, end)),
        1 => (0..20_usize).prop_map(Act::Cancel),
        2 => (0..20_usize, any::<bool>()).prop_map(|(which, approve)| Act::Answer(which, approve)),
        1 => Just(Act::Renew),
        2 => (1..25_u64).prop_map(Act::Pass),
        1 => Just(Act::Reopen),
    ]
}

struct ModelJob {
    id: JobId,
    tenant: u8,
    level: i64,
    conversation: Option<u8>,
    status: JobStatus,
    due: Option<Timestamp>,
    expires: Option<Timestamp>,
    until: Timestamp,
    epoch: u64,
    attempt: u32,
    crashes: u32,
    entries: u32,
    /// When nobody is waited for any more, and whether the job goes on then.
    patience: Option<(Timestamp, bool)>,
    /// Questions so far.
    asked: u32,
    /// What was said last.
    verdict: Option<bool>,
}

impl ModelJob {
    fn lose_worker(&mut self) {
        self.crashes += 1;
        self.status = if self.crashes == 3 { JobStatus::Failed } else { JobStatus::Queued };
    }
}

#[derive(Default)]
struct Model {
    jobs: Vec<ModelJob>,
    keys: HashMap<(u8, u8), (usize, u8)>,
    /// Every lease ever given, with the job's place and epoch.
    leases: Vec<(usize, Fence)>,
}

impl Model {
    /// A worker may take it: queued, and nobody of its conversation was taken up before it or stands before it.
    fn ready(&self, place: usize) -> bool {
        let job = &self.jobs[place];
        let blocked = |(other_place, other): (usize, &ModelJob)| {
            let same = other.conversation.is_some()
                && other.conversation == job.conversation
                && other.tenant == job.tenant;
            let in_line = !other.status.is_terminal() && other.status != JobStatus::Scheduled;
            same && in_line
                && other_place != place
                && (other.attempt > 0
                    || (job.attempt == 0 && other_place < place && other.status == JobStatus::Queued))
        };
        job.status == JobStatus::Queued && !self.jobs.iter().enumerate().any(blocked)
    }

    /// Its workers crashed twice in a row: it runs alone.
    fn suspect(&self, place: usize) -> bool {
        self.jobs[place].crashes >= 2
    }

    /// What the next claim may hand out: any ready job, unless a suspect is about.
    fn claimable(&self) -> Vec<usize> {
        let running: Vec<_> = self.places(|job| job.status == JobStatus::Running);
        if running.iter().any(|place| self.suspect(*place)) {
            return Vec::new();
        }
        let ready: Vec<_> = (0..self.jobs.len()).filter(|place| self.ready(*place)).collect();
        match ready.iter().find(|place| self.suspect(**place)) {
            Some(_) if !running.is_empty() => Vec::new(),
            Some(suspect) => vec![*suspect],
            None => ready.into_iter().filter(|place| !self.is_full(self.jobs[*place].tenant)).collect(),
        }
    }

    fn is_full(&self, tenant: u8) -> bool {
        tenant == BOUNDED && self.running(tenant) >= RUNNING_MAX
    }

    /// What a claim may hand out for a spare slot while this many are free. A suspect needs a slot of its own.
    fn spare_claimable(&self, free: usize) -> Vec<usize> {
        let mut claimable = self.claimable();
        claimable.retain(|place| !self.suspect(*place) && self.running(self.jobs[*place].tenant) < free);
        claimable
    }

    fn running(&self, tenant: u8) -> usize {
        self.places(|job| job.tenant == tenant && job.status == JobStatus::Running).len()
    }

    fn places(&self, wanted: impl Fn(&ModelJob) -> bool) -> Vec<usize> {
        (0..self.jobs.len()).filter(|place| wanted(&self.jobs[*place])).collect()
    }

    fn pass(&mut self, now: Timestamp) {
        for job in &mut self.jobs {
            if job.status.is_terminal() {
                continue;
            }
            if job.expires.is_some_and(|at| at <= now) {
                job.status = JobStatus::Failed;
            } else if matches!(job.status, JobStatus::Scheduled | JobStatus::Retrying)
                && job.due.is_some_and(|at| at <= now)
            {
                job.status = JobStatus::Queued;
            } else if job.status == JobStatus::Running && job.until <= now {
                job.lose_worker();
            } else if let (JobStatus::Waiting, Some((_, goes_on))) =
                (job.status, job.patience.filter(|(until, _)| *until <= now))
            {
                job.status = if goes_on { JobStatus::Queued } else { JobStatus::Failed };
                job.verdict = job.verdict.filter(|_| !goes_on).or(goes_on.then_some(true));
            }
        }
    }

    fn restart(&mut self) {
        for job in &mut self.jobs {
            if job.status == JobStatus::Running {
                job.lose_worker();
            }
        }
    }

    fn refusal(&self, place: usize, fence: Fence) -> Option<Refused> {
        let job = &self.jobs[place];
        match job.status {
            JobStatus::Running if fence.epoch == job.epoch => None,
            status if status.is_terminal() => Some(Refused::Terminal),
            _ => Some(Refused::Stale),
        }
    }
}

struct Run {
    fixture: Fixture,
    model: Model,
    persistent: bool,
    /// Spare slots that the last claim left free.
    spare_left: usize,
    /// There was a hint that one of them is for somebody, or a slot came back, which is as good.
    hinted: bool,
}

impl Run {
    /// Carries it out; a job that may have a spare slot that was left must not go unnoticed.
    async fn act(&mut self, act: &Act) {
        let running = |run: &Self| run.model.places(|job| job.status == JobStatus::Running).len();
        let before = running(self);
        self.carry_out(act).await;
        let is_claim = matches!(act, Act::Claim(_));
        self.hinted |= self.fixture.store.spare_work().now_or_never().is_some();
        self.hinted |= !is_claim && running(self) < before;
        if !self.hinted {
            let unnoticed = self.model.spare_claimable(self.spare_left);
            assert!(unnoticed.is_empty(), "{unnoticed:?} could have one of {} spare slots", self.spare_left);
        }
    }

    async fn carry_out(&mut self, act: &Act) {
        match act {
            Act::Accept { .. } => self.accept(act).await,
            Act::Claim(room) => self.claim(*room).await,
            Act::Record(which) => self.record(*which).await,
            Act::Finish(which, end) => self.finish(*which, *end).await,
            Act::Cancel(which) => self.cancel(*which).await,
            Act::Answer(which, approve) => self.answer(*which, *approve).await,
            Act::Renew => self.renew().await,
            Act::Pass(seconds) => {
                self.fixture.advance(*seconds);
                self.model.pass(self.fixture.env.now());
                while self.fixture.store.tick(3).await.unwrap().more {}
            }
            Act::Reopen if self.persistent => self.reopen().await,
            Act::Reopen => {}
        }
    }

    async fn accept(&mut self, act: &Act) {
        let Act::Accept { tenant, level, conversation, key, delay, expires } = act.clone() else { return };
        let now = self.fixture.env.now();
        let mut job = self.fixture.job();
        job.tenant = tenant_name(tenant);
        job.priority = Priority::new(level).unwrap();
        job.conversation = conversation.map(|c| ConversationId::new(format!("c{c}")));
        job.run_at = delay.map(|s| now.plus(Duration::from_secs(s)));
        job.expires_at = expires.map(|s| now.plus(Duration::from_secs(s)));
        job.idempotency = key.map(|(key, body)| Idempotency {
            scope: "jobs".into(),
            key: key.to_string(),
            body_hash: [body; 32],
            on_other_body: OtherBody::Refuse,
        });
        let expected = key.and_then(|(key, body)| {
            self.model.keys.get(&(tenant, key)).map(|(place, known)| (*place, *known == body))
        });
        let id = job.id;
        match (self.fixture.store.enqueue(job).await.unwrap(), expected) {
            (Enqueued::Created(job), None) => {
                assert_eq!(job.id, id);
                let place = self.model.jobs.len();
                if let Some((key, body)) = key {
                    self.model.keys.insert((tenant, key), (place, body));
                }
                let status = if delay.is_some() { JobStatus::Scheduled } else { JobStatus::Queued };
                let due = delay.map(|s| now.plus(Duration::from_secs(s)));
                let expires = expires.map(|s| now.plus(Duration::from_secs(s)));
                self.model.jobs.push(ModelJob {
                    id,
                    tenant,
                    level,
                    conversation,
                    status,
                    due,
                    expires,
                    until: now,
                    epoch: 0,
                    attempt: 0,
                    crashes: 0,
                    entries: 0,
                    patience: None,
                    asked: 0,
                    verdict: None,
                });
            }
            (Enqueued::Replayed(job), Some((place, true))) => assert_eq!(job.id, self.model.jobs[place].id),
            (Enqueued::Conflict { job }, Some((place, false))) => assert_eq!(job, self.model.jobs[place].id),
            (other, expected) => panic!("{other:?} where {expected:?} was expected"),
        }
    }

    async fn claim(&mut self, room: Room) {
        let claimed = self.fixture.store.claim(&worker(), room).await.unwrap();
        for (n, claim) in claimed.iter().enumerate() {
            if n >= room.any {
                self.entitled(claim, room.any + room.spare - n);
            }
            self.take(claim);
        }
        if claimed.len() < room.any {
            let left = self.model.claimable();
            assert!(left.is_empty(), "{left:?} were left although fewer than asked were handed out");
        }
        let free = (room.any + room.spare).saturating_sub(claimed.len()).min(room.spare);
        (self.spare_left, self.hinted) = (free, false);
        let left = self.model.spare_claimable(free);
        assert!(left.is_empty(), "{left:?} were left although {free} spare slots were");
    }

    /// A job that was handed out for a spare slot while this many were free.
    fn entitled(&self, claim: &Claimed, free: usize) {
        let place = self.model.jobs.iter().position(|job| job.id == claim.job.id).expect("an accepted job");
        let (model, job) = (&self.model, &self.model.jobs[place]);
        let entitled = model.spare_claimable(free);
        assert!(entitled.contains(&place), "a job that no spare slot is for was handed out");
        let fewest = entitled.iter().map(|p| model.running(model.jobs[*p].tenant)).min();
        assert_eq!(fewest, Some(model.running(job.tenant)), "a tenant of which fewer run was passed");
        let more_urgent = entitled
            .iter()
            .find(|p| model.jobs[**p].tenant == job.tenant && model.jobs[**p].level > job.level);
        assert_eq!(more_urgent, None, "a more urgent job of the same tenant was passed");
    }

    fn take(&mut self, claim: &Claimed) {
        let place = self.model.jobs.iter().position(|job| job.id == claim.job.id).expect("an accepted job");
        let claimable = self.model.claimable();
        assert!(claimable.contains(&place), "a job that is not ready, or not alone, was handed out");
        let (tenant, level) = (self.model.jobs[place].tenant, self.model.jobs[place].level);
        let jobs = &self.model.jobs;
        let older =
            claimable.iter().find(|p| **p < place && jobs[**p].tenant == tenant && jobs[**p].level == level);
        assert_eq!(older, None, "an older ready job of the same tenant and level was passed");
        let job = &mut self.model.jobs[place];
        job.status = JobStatus::Running;
        job.attempt += 1;
        assert!(claim.lease.fence.epoch > job.epoch, "epochs grow");
        job.epoch = claim.lease.fence.epoch;
        job.until = claim.lease.until.expect("leases lapse in this suite");
        assert_eq!((claim.job.attempt, claim.job.crashes), (job.attempt, job.crashes));
        self.model.leases.push((place, claim.lease.fence));
    }

    async fn record(&mut self, which: usize) {
        let Some((place, fence)) = self.lease(which) else { return };
        let refused = self.model.refusal(place, fence);
        let job = &mut self.model.jobs[place];
        let answer =
            self.fixture.store.record(record_under(job.id, fence, vec![model_entry(1)])).await.unwrap();
        assert_eq!(answer.err(), refused);
        if refused.is_none() {
            job.entries += 1;
            job.crashes = 0;
        }
    }

    async fn finish(&mut self, which: usize, end: End) {
        let Some((place, fence)) = self.lease(which) else { return };
        let refused = self.model.refusal(place, fence);
        let failure = || Failure::new(Code::ModelTimeout, Class::Transient, "slow");
        let now = self.fixture.env.now();
        let (outcome, status, due) = match end {
            End::Succeed => (Outcome::Succeeded(super::queries::output()), JobStatus::Succeeded, None),
            End::Fail => (Outcome::Failed(failure()), JobStatus::Failed, None),
            End::Retry(s) => {
                let after = Duration::from_secs(s);
                (Outcome::Retry { after, failure: failure() }, JobStatus::Retrying, Some(now.plus(after)))
            }
            End::Release => (Outcome::Release, JobStatus::Queued, None),
            End::Wait(patience, goes_on) => {
                let on_expiry = if goes_on { OnExpiry::Approve } else { OnExpiry::Fail };
                let rules = AskRules {
                    reminder_seconds: 3,
                    reminders: 2,
                    expires_seconds: patience,
                    on_expiry,
                    max_rounds: self.model.jobs[place].asked,
                };
                (ask(self.model.jobs[place].asked + 1, rules), JobStatus::Waiting, None)
            }
        };
        let job = &mut self.model.jobs[place];
        let answer = self.fixture.store.finish(finish_under(job.id, fence, outcome)).await.unwrap();
        assert_eq!(answer, refused.map_or(Ok(status), Err));
        if refused.is_none() {
            (job.status, job.due, job.crashes) = (status, due, 0);
            if let End::Wait(patience, goes_on) = end {
                let until = now.plus(Duration::from_secs(patience.into()));
                job.patience = (patience > 0).then_some((until, goes_on));
                job.asked += 1;
            }
        }
    }

    async fn cancel(&mut self, which: usize) {
        if self.model.jobs.is_empty() {
            return;
        }
        let place = which % self.model.jobs.len();
        let job = &mut self.model.jobs[place];
        let answer = self.fixture.store.cancel(&tenant_name(job.tenant), job.id).await.unwrap();
        assert_eq!(matches!(answer, Cancelled::Already(_)), job.status.is_terminal());
        if !job.status.is_terminal() {
            job.status = JobStatus::Cancelled;
        }
    }

    /// Feedback on a question of this suite is one too many: it fails the job.
    async fn answer(&mut self, which: usize, approve: bool) {
        if self.model.jobs.is_empty() {
            return;
        }
        let place = which % self.model.jobs.len();
        let job = &mut self.model.jobs[place];
        let verdict = if approve {
            Verdict::Approve { remark: None }
        } else {
            Verdict::Revise { feedback: "no".to_owned() }
        };
        let answered = self.fixture.store.answer(&tenant_name(job.tenant), said(job.id, None, verdict)).await;
        match (answered.unwrap(), job.status, job.verdict) {
            (Answered::Taken(_), JobStatus::Waiting, _) => {
                job.status = if approve { JobStatus::Queued } else { JobStatus::Failed };
                job.verdict = Some(approve);
            }
            (Answered::Replayed(_), _, Some(before)) => assert_eq!(before, approve),
            (Answered::Otherwise { .. }, _, Some(before)) => assert_ne!(before, approve),
            (Answered::NotWaiting(_), _, None) => {}
            (answered, status, verdict) => {
                panic!("{answered:?} of a job that is {status}, after {verdict:?}")
            }
        }
    }

    async fn renew(&mut self) {
        let held: Vec<_> =
            self.model.leases.iter().map(|(place, fence)| (self.model.jobs[*place].id, *fence)).collect();
        let expected = self
            .model
            .leases
            .iter()
            .filter(|(place, fence)| self.model.refusal(*place, *fence).is_some())
            .count();
        assert_eq!(self.fixture.store.renew(&worker(), held).await.unwrap().len(), expected);
        let until = self.fixture.env.now().plus(Duration::from_secs(30));
        for job in self.model.jobs.iter_mut().filter(|job| job.status == JobStatus::Running) {
            job.until = until;
        }
    }

    async fn reopen(&mut self) {
        // The file lock goes with the writer thread, which ends after the last handle: wait for it by trying.
        self.fixture.store = open(
            &crate::Options { url: "memory:".into(), ..self.fixture.options.clone() },
            &self.fixture.env,
        )
        .unwrap();
        self.fixture.store = loop {
            match open(&self.fixture.options, &self.fixture.env) {
                Ok(store) => break store,
                Err(crate::Error::Locked { .. }) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        };
        self.model.restart();
        self.spare_left = 0;
    }

    fn lease(&self, which: usize) -> Option<(usize, Fence)> {
        // Recent leases are the interesting ones; older ones are tried as well.
        let count = self.model.leases.len();
        if which < count { Some(self.model.leases[count - 1 - which]) } else { None }
    }

    async fn compare(&self) {
        for job in &self.model.jobs {
            let stored = self
                .fixture
                .store
                .job(&tenant_name(job.tenant), job.id)
                .await
                .unwrap()
                .expect("no job is lost");
            assert_eq!(
                (stored.status, stored.attempt, stored.usage.model_calls, stored.crashes),
                (job.status, job.attempt, job.entries, job.crashes)
            );
            let log =
                self.fixture.store.log(&tenant_name(job.tenant), job.id, 0, 1_000).await.unwrap().unwrap();
            assert!(log.iter().zip(1..).all(|(logged, seq)| logged.seq == seq), "the log has no gaps");
        }
        let count =
            |wanted: &[JobStatus]| self.model.jobs.iter().filter(|job| wanted.contains(&job.status)).count();
        let stats = self.fixture.store.stats().await.unwrap();
        assert_eq!(
            (stats.queued, stats.running, stats.delayed, stats.waiting),
            (
                count(&[JobStatus::Queued]),
                count(&[JobStatus::Running]),
                count(&[JobStatus::Scheduled, JobStatus::Retrying]),
                count(&[JobStatus::Waiting])
            )
        );
    }
}

fn tenant_name(tenant: u8) -> TenantId {
    TenantId::new(format!("tenant-{tenant}"))
}

pub(crate) async fn random_histories_agree_with_the_model(make: Make) {
    tokio::task::spawn_blocking(move || {
        let persistent = make(std::path::Path::new("x")).url.starts_with("sqlite:");
        let cases = if persistent { 48 } else { 256 };
        let config = Config { cases, failure_persistence: None, max_shrink_iters: 300, ..Config::default() };
        let history = prop::collection::vec(act(), 1..60);
        TestRunner::new(config)
            .run(&history, |acts| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let fixture = Fixture::new(make, |options| {
                        lapsing(options);
                        let share = TenantShare { max_running: Some(RUNNING_MAX), ..TenantShare::default() };
                        options.tenants.named.insert(tenant_name(BOUNDED), share);
                    });
                    let (model, spare_left) = (Model::default(), 0);
                    let mut run = Run { fixture, model, persistent, spare_left, hinted: false };
                    for act in &acts {
                        run.act(act).await;
                    }
                    run.compare().await;
                });
                Ok(())
            })
            .unwrap();
    })
    .await
    .unwrap();
}
