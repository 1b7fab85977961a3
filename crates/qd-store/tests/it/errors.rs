//! I/O errors and a full disk at every call: nothing acknowledged is lost, nothing breaks that was whole, and the store
//! goes on by itself or says that it does not.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use qd_env::{Env, ManualClock};
use qd_faultfs::{Fault, FaultFs, Kind};
use qd_store::{Durability, Enqueued, Error};
use qd_types::{JobStatus, TenantId, Timestamp};

use crate::check::{block_on, intact, reopen, sums, works};
use crate::ledger::{Kept, View, is_taken_over};
use crate::power::besides;
use crate::workload::{Doubt, START, Workload, plain};

const THREADS: u64 = 2;
const TURNS: usize = 13;
const SEED: u64 = 473;

/// How the store met a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Met {
    /// Nobody noticed.
    Nothing,
    /// It did not open.
    Closed,
    /// An operation was refused, and then it went on.
    Recovered,
    /// It said that it is broken and refused all that came.
    Broken,
}

/// What the workload left behind.
struct Account {
    view: View,
    doubt: Doubt,
    at: Timestamp,
}

/// Runs the workload into a fault; then again without, on what is left.
fn meet(fault: Fault) -> Met {
    let folder = tempfile::tempdir().unwrap();
    let fs = FaultFs::watch_without_record(folder.path());
    fs.set_fault(Some(fault));
    block_on(async {
        let (met, account) = match Workload::start(&fs, folder.path(), Durability::Strict, SEED) {
            Err(error) => {
                assert!(!matches!(error, Error::Closed), "{fault:?}");
                (
                    Met::Closed,
                    Account { view: View::default(), doubt: Doubt::default(), at: Timestamp(START) },
                )
            }
            Ok(workload) => under_way(&fs, fault, workload).await,
        };
        fs.set_fault(None);
        left(folder.path(), &account, fault).await;
        met
    })
}

/// Every other turn is about what stands around jobs.
async fn take(workload: &mut Workload, turn: usize) -> Result<(), Error> {
    if turn.is_multiple_of(2) { workload.turn().await } else { workload.turn_beside().await }
}

async fn under_way(fs: &FaultFs, fault: Fault, mut workload: Workload) -> (Met, Account) {
    let mut met = Met::Nothing;
    for turn in 0..TURNS {
        let Err(error) = take(&mut workload, turn).await else { continue };
        assert!(matches!(error, Error::Refused { .. } | Error::Broken { .. }), "{fault:?}: {error}");
        met = after(fs, fault, &mut workload).await;
        break;
    }
    let at = workload.steps.last().map_or(Timestamp(START), |step| step.at);
    let account = Account { view: workload.view.clone(), doubt: workload.doubt.clone(), at };
    (met, account)
}

/// An operation failed: the store says that it is broken and stays so, or goes on once the fault is over.
async fn after(fs: &FaultFs, fault: Fault, workload: &mut Workload) -> Met {
    if let Err(error) = workload.store.stats().await {
        assert!(matches!(error, Error::Broken { .. }), "{fault:?}: {error}");
        assert_eq!(fault.kind, Kind::Io, "a full disk breaks nothing: {error}");
        fs.set_fault(None);
        for _ in 0..2 {
            let error = workload.store.tick(10).await.expect_err("a broken store stays broken");
            assert!(matches!(error, Error::Broken { .. }), "{fault:?}: {error}");
        }
        return Met::Broken;
    }
    if fault.kind == Kind::Io {
        // A read failed, which has changed nothing. This only commits, so what the failed turn did stays in doubt.
        fs.set_fault(None);
        workload.store.tick(10).await.unwrap_or_else(|error| panic!("{fault:?}: it did not go on: {error}"));
        return Met::Recovered;
    }
    // Refused means that nothing of it happened.
    let found = View::of(&workload.store).await.unwrap();
    assert!(found.jobs == workload.view.jobs, "{fault:?}: a refused operation left something behind");
    assert_eq!(found.conversations, workload.view.conversations, "{fault:?}");
    assert_eq!(workload.view.around.differs(&found.around), None, "{fault:?}");
    if fault.sticky {
        let job = plain(&Env::with(Arc::new(ManualClock::at(START)), fault.at));
        workload.store.enqueue(job).await.expect_err("there is no room yet");
    }
    fs.set_fault(None);
    for _ in 0..6 {
        workload.turn().await.unwrap_or_else(|error| panic!("{fault:?}: it did not go on: {error}"));
    }
    Met::Recovered
}

/// What a restart finds.
async fn left(folder: &Path, account: &Account, fault: Fault) {
    let env = Env::with(Arc::new(ManualClock::at(account.at.0)), SEED ^ 1);
    let store = reopen(folder, &env).await.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
    if let Err(verdict) = intact(&folder.join("store.db")) {
        panic!("{fault:?}: {verdict}");
    }
    let found = View::of(&store).await.unwrap();
    for kept in found.jobs.values() {
        if let Err(verdict) = sums(kept) {
            panic!("{fault:?}: {verdict}");
        }
    }
    let Account { view, doubt, .. } = account;
    let doubted = |kept: &Kept| doubt.all || doubt.jobs.contains(&kept.job.id);
    for (id, kept) in &view.jobs {
        let now = found.jobs.get(id);
        let kept_well = match now {
            Some(now) if doubted(kept) => now.log.starts_with(&kept.log),
            Some(now) => is_taken_over(kept, now),
            // What is over may be deleted.
            None => doubt.all && kept.job.status.is_terminal(),
        };
        assert!(kept_well, "{fault:?}: {now:#?} instead of {kept:#?}");
    }
    for (id, kept) in &found.jobs {
        assert!(view.jobs.contains_key(id) || doubted(kept), "{fault:?}: {id} came from nowhere");
    }
    if !doubt.rest {
        assert_eq!((&view.conversations, &view.crews), (&found.conversations, &found.crews), "{fault:?}");
        assert_eq!(view.access, found.access, "{fault:?}");
        assert_eq!(view.around.differs(&found.around), None, "{fault:?}");
    }
    assert!(found.jobs.values().all(|kept| kept.job.status != JobStatus::Running));
    if let Err(verdict) = works(&store, &env).await {
        panic!("{fault:?}: {verdict}");
    }
}

/// Calls of the workload that a kind of fault can hit.
fn calls(kind: Kind) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let fs = FaultFs::watch_without_record(folder.path());
    fs.set_fault(Some(Fault { at: u64::MAX, kind, sticky: false }));
    block_on(async {
        let mut workload = Workload::start(&fs, folder.path(), Durability::Strict, SEED).unwrap();
        for turn in 0..TURNS {
            take(&mut workload, turn).await.unwrap();
        }
        let beside = besides(&workload.steps);
        println!("batches, those over, ticks, deliveries: {beside:?}");
        assert!(beside.iter().all(|seen| *seen > 0), "{beside:?}");
        fs.calls()
    })
}

/// A fault at each call in turn; how often each way of meeting it was seen.
fn at_every_call(kind: Kind, sticky: bool) -> std::collections::BTreeMap<Met, usize> {
    let calls = calls(kind);
    let met: Vec<Met> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let places = (thread..calls).step_by(usize::try_from(THREADS).unwrap());
                scope.spawn(move || places.map(|at| meet(Fault { at, kind, sticky })).collect::<Vec<_>>())
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let mut counts = std::collections::BTreeMap::new();
    for met in &met {
        *counts.entry(*met).or_default() += 1;
    }
    println!("{kind:?}, sticky {sticky}: {calls} calls, {counts:?}");
    assert!(calls > 50);
    counts
}

#[test]
fn io_error_at_any_call_stops_the_store_or_is_survived_and_loses_nothing() {
    for sticky in [false, true] {
        let counts = at_every_call(Kind::Io, sticky);
        assert!(counts[&Met::Closed] > 0 && counts[&Met::Broken] > 0, "{counts:?}");
    }
}

#[test]
fn full_disk_at_any_write_refuses_and_the_store_goes_on_when_there_is_room_again() {
    for (kind, sticky) in [(Kind::Full, false), (Kind::Full, true), (Kind::Short, false)] {
        let counts = at_every_call(kind, sticky);
        assert!(counts[&Met::Recovered] > 0 && !counts.contains_key(&Met::Broken), "{counts:?}");
    }
}

#[test]
fn read_error_in_a_transition_stops_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let fs = FaultFs::watch_without_record(folder.path());
    let env = Env::with(Arc::new(ManualClock::at(START)), 1);
    block_on(async {
        let store = reopen(folder.path(), &env).await.unwrap();
        let job = plain(&env);
        assert!(matches!(store.enqueue(job.clone()).await.unwrap(), Enqueued::Created(_)));
        drop(store);
        // A fresh cache: a job is looked for in an index that nobody has read since.
        let store = reopen(folder.path(), &env).await.unwrap();
        fs.set_fault(Some(Fault { at: 0, kind: Kind::Io, sticky: false }));
        let error = store.cancel(&TenantId::new("other"), job.id).await.unwrap_err();
        assert!(matches!(error, Error::Broken { .. }), "{error}");
        assert_eq!(fs.hits(), 1);
        assert!(matches!(store.stats().await, Err(Error::Broken { .. })), "and everybody is told");
    });
}

#[test]
fn disk_that_fills_up_in_the_middle_of_a_transaction_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let fs = FaultFs::watch_without_record(folder.path());
    let env = Env::with(Arc::new(ManualClock::at(START)), 1);
    block_on(async {
        let store = reopen(folder.path(), &env).await.unwrap();
        let large = || {
            let mut job = plain(&env);
            job.input.insert("text".into(), "x".repeat(1 << 20).into());
            job
        };
        // More than the writer's cache holds, so that it is written before the commit.
        let jobs: Vec<_> = (0..24).map(|_| large()).collect();
        fs.set_fault(Some(Fault { at: 0, kind: Kind::Full, sticky: true }));
        let error = store.enqueue_all(jobs.clone()).await.unwrap_err().to_string();
        assert_eq!(error, "the store refused the operation: database or disk is full");
        fs.set_fault(None);
        assert_eq!(store.stats().await.unwrap().queued, 0);
        assert_eq!(store.enqueue_all(jobs).await.unwrap().len(), 24);
        if let Err(verdict) = works(&store, &env).await {
            panic!("{verdict}");
        }
    });
}
