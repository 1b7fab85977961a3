//! A disk that takes its time to sync: commits are shared, and reads do not wait for them.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use qd_env::{Env, ManualClock};
use qd_faultfs::{Event, FaultFs};
use qd_store::{Enqueued, Error, JobQuery, NewJob, Store};
use qd_types::JobId;

use crate::check::{block_on, reopen};
use crate::ledger::tenants;
use crate::workload::{START, plain};

fn syncs(fs: &FaultFs) -> usize {
    fs.events().iter().filter(|event| matches!(event, Event::Sync { .. })).count()
}

/// Accepts jobs all at once and reads another until they are accepted; answers how often that was answered.
async fn accept_and_read(
    store: &Store,
    jobs: Vec<NewJob>,
    other: JobId,
) -> (Vec<Result<Enqueued, Error>>, u32) {
    let mut accepts = pin!(join_all(jobs.into_iter().map(|job| store.enqueue(job))));
    let (tenant, mut reads) = (&tenants()[0], 0);
    loop {
        tokio::select! {
            biased;
            answers = &mut accepts => return (answers, reads),
            job = store.job(tenant, other) => {
                assert!(job.unwrap().is_some());
                reads += 1;
            }
        }
    }
}

#[test]
fn slow_syncs_are_shared_and_hold_up_no_reader() {
    let folder = tempfile::tempdir().unwrap();
    let fs = FaultFs::watch(folder.path());
    let env = Env::with(Arc::new(ManualClock::at(START)), 1);
    block_on(async {
        let store = reopen(folder.path(), &env).await.unwrap();
        let first = plain(&env);
        store.enqueue(first.clone()).await.unwrap();
        fs.set_sync_delay(Duration::from_millis(500));
        let before = syncs(&fs);
        let jobs: Vec<_> = (0..200).map(|_| plain(&env)).collect();
        let (answers, reads) = accept_and_read(&store, jobs, first.id).await;
        assert!(answers.into_iter().all(|answer| matches!(answer, Ok(Enqueued::Created(_)))));
        let shared = syncs(&fs) - before;
        assert!(shared < 20, "{shared} syncs for 200 jobs");
        assert!(reads > 1, "{reads} reads were answered while the disk synced");
        drop(store);
        fs.set_sync_delay(Duration::ZERO);
        let store = reopen(folder.path(), &env).await.unwrap();
        let page = store.jobs(&tenants()[0], JobQuery { limit: 500, ..JobQuery::default() }).await.unwrap();
        assert_eq!(page.jobs.len(), 201);
    });
}
