//! A process dies at every write of a batch, from its taking in to the end of its last job, before the write and after it:
//! the batch is there as a whole or not at all, and each of its inputs has one job.

use std::collections::BTreeSet;
use std::sync::Arc;

use qd_env::{Env, ManualClock};
use qd_llm::Models;
use qd_store::{
    BatchAccepted, BatchOpened, BatchQuery, BatchStatus, ItemInput, ItemQuery, ItemStatus, JobQuery,
    NewBatch, NewItem, Store,
};
use qd_testkit::{Crash, CrashPoint, When};
use qd_types::{BatchId, CrewName, CrewVersion, Input, JobStatus, Priority, TenantId};

use super::{Engine, PLAIN, Plans, catalog, live, models, open, publish, quick};

const INPUTS: u32 = 3;

fn start(store: &Store, env: &Env, models: &Arc<Models>) -> Engine {
    let plans = Plans::new(store.clone(), catalog(env));
    Engine::start(quick(), store.clone(), Arc::clone(models), plans, env.clone(), &Arc::default())
}

async fn take_in(store: &Store, id: BatchId) {
    let new = NewBatch {
        id,
        tenant: TenantId::default(),
        crew: CrewName::new("plain"),
        crew_version: CrewVersion(1),
        machine_version: qd_crew::MACHINE_VERSION,
        total_tasks: 1,
        priority: Priority::NORMAL,
        concurrency: 2,
        timeout_seconds: 60,
        max_attempts: 3,
        budget: None,
        metadata: Default::default(),
        webhook_url: None,
    };
    assert_eq!(store.open_batch(new).await.unwrap(), BatchOpened::Opened);
    let input = |n: u32| Input::from_iter([("message".to_owned(), format!("input {n}").into())]);
    let item = |n| NewItem::Valid(ItemInput { input: input(n), ..ItemInput::default() });
    assert!(store.add_items(id, (0..INPUTS).map(item).collect()).await.unwrap());
    assert!(matches!(store.accept_batch(id, None).await.unwrap(), BatchAccepted::Created(_)));
}

async fn over(store: &Store, id: BatchId) {
    let wait = async {
        while store.batch(&TenantId::default(), id).await.unwrap().unwrap().finished_at.is_none() {
            tokio::task::yield_now().await;
        }
    };
    if tokio::time::timeout(std::time::Duration::from_secs(30), wait).await.is_err() {
        let query = JobQuery { limit: 100, ..JobQuery::default() };
        let jobs = store.jobs(&TenantId::default(), query).await.unwrap().jobs;
        let batch = store.batch(&TenantId::default(), id).await.unwrap();
        panic!("the batch does not end: {batch:#?} {:#?} {jobs:#?}", store.stats().await.unwrap());
    }
}

/// One life of a process; answers the writes that it made.
fn first_life(folder: &std::path::Path, env: &Env, id: BatchId, point: Option<CrashPoint>) -> usize {
    live(async {
        let store = open(folder, env);
        publish(&store, &catalog(env), PLAIN).await;
        let mut crash = None;
        let store = store.wrapped(|inner| {
            let backend = Crash::new(inner, point);
            crash = Some(Arc::clone(&backend));
            backend
        });
        let crash = crash.unwrap();
        let _engine = start(&store, env, &models(env));
        let work = async {
            take_in(&store, id).await;
            over(&store, id).await;
        };
        let died = async {
            tokio::select! {
                () = crash.died() => {}
                // The last write may be seen done before its answer gets lost.
                () = work => {}
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(60), died).await.expect("it ends in time");
        crash.writes()
    })
}

/// What is left; whether the batch is there.
fn second_life(folder: &std::path::Path, env: &Env, id: BatchId) -> bool {
    live(async {
        let store = open(folder, env);
        let engine = start(&store, env, &models(env));
        let tenant = TenantId::default();
        let is_there = store.batch(&tenant, id).await.unwrap().is_some();
        if is_there {
            over(&store, id).await;
        }
        let query = JobQuery { limit: 100, ..JobQuery::default() };
        let jobs = store.jobs(&tenant, query).await.unwrap().jobs;
        let places: BTreeSet<u32> = jobs.iter().map(|job| job.batch.unwrap().index).collect();
        let wanted: BTreeSet<u32> = if is_there { (0..INPUTS).collect() } else { BTreeSet::new() };
        assert_eq!((jobs.len(), &places), (wanted.len(), &wanted), "one job for each input");
        if is_there {
            let batch = store.batch(&tenant, id).await.unwrap().unwrap();
            assert_eq!((batch.status, batch.counts.succeeded), (BatchStatus::Finished, INPUTS));
            let query = ItemQuery { limit: 100, ..ItemQuery::default() };
            let items = store.batch_items(&tenant, id, query).await.unwrap().unwrap().items;
            assert!(items.iter().all(|item| item.status == ItemStatus::Of(JobStatus::Succeeded)));
        } else {
            let query = BatchQuery { limit: 9, ..BatchQuery::default() };
            assert_eq!(store.batches(&tenant, query).await.unwrap().batches, []);
        }
        engine.stop().await;
        is_there
    })
}

#[test]
fn a_crash_at_any_write_of_a_batch_loses_and_doubles_no_input() {
    let trial = |point| {
        let env = Env::with(Arc::new(ManualClock::at(1_700_000_000_000)), 3);
        let folder = tempfile::tempdir().unwrap();
        let id = env.batch_id();
        let writes = first_life(folder.path(), &env, id, point);
        (writes, second_life(folder.path(), &env, id))
    };
    let (writes, is_there) = trial(None);
    assert!(is_there && writes > 8, "{writes}");
    // How jobs fall into rounds differs from run to run; every run makes at least these.
    let mut accepted = 0;
    for write in 0..8 {
        for when in [When::Before, When::After] {
            let (_, is_there) = trial(Some(CrashPoint { write, when }));
            // Opened, filled, accepted: the third write is where it becomes one.
            let wanted = write > 2 || (write == 2 && when == When::After);
            assert_eq!(is_there, wanted, "{write} {when:?}");
            accepted += usize::from(is_there);
        }
    }
    assert_eq!(accepted, 11);
}
