//! A wall clock that jumps by an hour and by a year while jobs are delayed, held and retrying.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use qd_env::{Env, ManualClock};
use qd_store::{
    Claimed, Durability, Fence, Finish, Leases, NewJob, Options, Outcome, Record, Refused, Store, open,
};
use qd_types::{Class, Code, Failure, JobId, JobOutput, JobStatus, Progress};

use crate::check::{block_on, reopen};
use crate::ledger::tenants;
use crate::workload::{START, options, plain, worker};

const HOUR: i64 = 3_600_000;
const YEAR: i64 = 365 * 24 * HOUR;

struct Fixture {
    store: Store,
    clock: Arc<ManualClock>,
    env: Env,
    /// Claims of each job.
    claims: HashMap<JobId, Vec<Claimed>>,
    folder: tempfile::TempDir,
}

impl Fixture {
    fn new(leases: Leases) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(START));
        let env = Env::with(Arc::<ManualClock>::clone(&clock), 5);
        let options = Options { leases, ..options(folder.path(), Durability::Strict) };
        let store = open(&options, &env).unwrap();
        Self { store, clock, env, claims: HashMap::new(), folder }
    }

    async fn accept(&self, adjust: impl FnOnce(&mut NewJob)) -> JobId {
        let mut job = plain(&self.env);
        adjust(&mut job);
        self.store.enqueue(job.clone()).await.unwrap();
        job.id
    }

    /// What a server does all the time: housekeeping, and claiming what is ready.
    async fn go_on(&mut self) {
        while self.store.tick(100).await.unwrap().more {}
        for claimed in self.store.claim(&worker(), 100).await.unwrap() {
            self.claims.entry(claimed.job.id).or_default().push(claimed);
        }
    }

    async fn jump(&mut self, millis: i64) {
        self.clock.jump(millis);
        self.go_on().await;
    }

    fn claims(&self, id: JobId) -> usize {
        self.claims.get(&id).map_or(0, Vec::len)
    }

    fn fence(&self, id: JobId, claim: usize) -> Fence {
        self.claims[&id][claim].lease.fence
    }

    async fn record(&self, job: JobId, fence: Fence) -> Result<u64, Refused> {
        let record = Record { job, fence, items: Vec::new(), progress: Progress::default() };
        self.store.record(record).await.unwrap()
    }

    async fn finish(&self, job: JobId, fence: Fence, outcome: Outcome) -> Result<JobStatus, Refused> {
        let (items, history) = (Vec::new(), Vec::new());
        let progress = Progress::default();
        let finish = Finish { job, fence, items, progress, outcome, history, doubt_settled: true };
        self.store.finish(finish).await.unwrap()
    }

    async fn status(&self, id: JobId) -> JobStatus {
        self.store.job(&tenants()[0], id).await.unwrap().expect("no job is lost").status
    }
}

fn succeeded() -> Outcome {
    Outcome::Succeeded(JobOutput::default())
}

fn retry() -> Outcome {
    let failure = Failure::new(Code::ModelTimeout, Class::Transient, "slow");
    Outcome::Retry { after: Duration::from_secs(60), failure }
}

#[test]
fn clock_that_jumps_takes_no_lease_and_loses_no_job() {
    for jump in [HOUR, -HOUR, YEAR, -YEAR] {
        block_on(async {
            let mut f = Fixture::new(Leases::OfProcess);
            let held = f.accept(|_| {}).await;
            let due = f.env.now().plus(Duration::from_secs(60));
            let delayed = f.accept(|job| job.run_at = Some(due)).await;
            f.go_on().await;
            assert_eq!((f.claims(held), f.claims(delayed)), (1, 0));
            f.jump(jump).await;
            assert_eq!(f.claims(held), 1, "{jump}: nobody else gets it");
            assert_eq!(f.record(held, f.fence(held, 0)).await, Ok(1), "{jump}: its worker goes on");
            assert_eq!(f.finish(held, f.fence(held, 0), retry()).await, Ok(JobStatus::Retrying));
            f.jump(jump).await;
            assert_eq!(f.finish(held, f.fence(held, 0), succeeded()).await, Err(Refused::Stale));
            // The clock is set right, and time passes.
            f.jump(-2 * jump).await;
            f.clock.advance(Duration::from_secs(121) + Duration::from_millis(jump.unsigned_abs()));
            f.go_on().await;
            assert_eq!((f.claims(held), f.claims(delayed)), (2, 1), "{jump}");
            for (job, claim) in [(held, 1), (delayed, 0)] {
                let fence = f.fence(job, claim);
                assert_eq!(f.finish(job, fence, succeeded()).await, Ok(JobStatus::Succeeded), "{jump}");
                assert_eq!(f.finish(job, fence, succeeded()).await, Err(Refused::Terminal), "{jump}");
            }
            f.store = open(&Options::default(), &f.env).unwrap();
            f.store = reopen(f.folder.path(), &f.env).await.unwrap();
            assert_eq!(f.status(held).await, JobStatus::Succeeded);
            assert_eq!(f.status(delayed).await, JobStatus::Succeeded);
        });
    }
}

#[test]
fn lease_that_a_clock_jump_ends_leaves_one_result() {
    for jump in [HOUR, -HOUR, YEAR, -YEAR] {
        block_on(async {
            let mut f = Fixture::new(Leases::For(Duration::from_secs(30)));
            let job = f.accept(|_| {}).await;
            f.go_on().await;
            f.jump(jump).await;
            let claims = if jump > 0 { 2 } else { 1 };
            assert_eq!(f.claims(job), claims, "{jump}");
            let mut succeeded_once = 0;
            for claim in 0..claims {
                succeeded_once += usize::from(f.finish(job, f.fence(job, claim), succeeded()).await.is_ok());
            }
            assert_eq!((succeeded_once, f.status(job).await), (1, JobStatus::Succeeded), "{jump}");
        });
    }
}
