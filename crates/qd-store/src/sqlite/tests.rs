//! What is particular to the SQLite file: restarts, locks, schemas, damaged files.

use std::path::Path;
use std::sync::Arc;

use qd_env::{Env, ManualClock, SystemClock};
use qd_types::{JobStatus, TenantId, WorkerId};
use rusqlite::Connection;

use crate::conformance::{keyed, new_job};
use crate::{Enqueued, Error, Options, Outcome, Store, open};

fn options(folder: &Path) -> Options {
    Options { url: format!("sqlite:{}", folder.join("sub/store.db").display()), ..Options::default() }
}

fn env() -> Env {
    Env::with(Arc::new(SystemClock::default()), 1)
}

/// The lock goes with the writer thread, which ends after the last handle: wait for it by trying.
async fn reopen(options: &Options, env: &Env) -> Store {
    loop {
        match open(options, env) {
            Ok(store) => return store,
            Err(Error::Locked { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn restart_keeps_everything_and_queues_running_jobs_again() {
    let folder = tempfile::tempdir().unwrap();
    let (options, env, tenant) = (options(folder.path()), env(), TenantId::default());
    let store = open(&options, &env).unwrap();
    for _ in 0..3 {
        assert!(matches!(store.enqueue(new_job(&env)).await.unwrap(), Enqueued::Created(_)));
    }
    let worker = WorkerId::new("w");
    let mut claimed = store.claim(&worker, 2).await.unwrap();
    let done = claimed.remove(0);
    let output = Outcome::Succeeded(crate::conformance::output());
    store.finish(crate::conformance::finish(&done, output)).await.unwrap().unwrap();
    drop(store);

    let store = reopen(&options, &env).await;
    let status = |id| {
        let (store, tenant) = (store.clone(), tenant.clone());
        async move { store.job(&tenant, id).await.unwrap().unwrap().status }
    };
    assert_eq!(status(done.job.id).await, JobStatus::Succeeded);
    assert_eq!(status(claimed[0].job.id).await, JobStatus::Queued);
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.queued, stats.taken_over), (2, 1));
    assert!((claimed[0].job.created_at..=env.now()).contains(&stats.oldest().unwrap()));
    assert!(stats.bytes > 0);
    let again = store.claim(&worker, 9).await.unwrap();
    assert_eq!(again.len(), 2);
    assert_eq!(again[0].job.id, claimed[0].job.id, "the interrupted job is the older one");
    assert!(again[0].in_doubt && !again[1].in_doubt);
    let late = store.finish(crate::conformance::finish(&claimed[0], Outcome::Release)).await.unwrap();
    assert_eq!(late, Err(crate::Refused::Stale), "a lease of the process before is void");
}

#[tokio::test]
async fn kept_results_survive_a_restart_and_are_counted_on() {
    let folder = tempfile::tempdir().unwrap();
    let (mut options, env, tenant) = (options(folder.path()), env(), TenantId::default());
    options.cache = crate::CacheRoom { entries: 2, bytes: 1_000 };
    let hour = std::time::Duration::from_secs(3_600);
    let store = open(&options, &env).unwrap();
    store.cache(&tenant, &[1; 32], b"first".to_vec(), hour).await.unwrap();
    store.cache(&tenant, &[2; 32], b"second".to_vec(), hour * 2).await.unwrap();
    drop(store);
    let store = reopen(&options, &env).await;
    assert_eq!(store.cached(&tenant, &[1; 32]).await.unwrap(), Some(b"first".to_vec()));
    store.cache(&tenant, &[3; 32], b"third".to_vec(), hour).await.unwrap();
    assert_eq!(store.cached(&tenant, &[1; 32]).await.unwrap(), None, "the room holds two");
    assert_eq!(store.cached(&tenant, &[2; 32]).await.unwrap(), Some(b"second".to_vec()));
}

#[tokio::test]
async fn keys_whose_time_is_over_are_deleted_a_stretch_at_a_time_and_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let (options, env) = (options(folder.path()), Env::with(clock.clone(), 1));
    let store = open(&options, &env).unwrap();
    let worker = WorkerId::new("w");
    let accept = async |keys: std::ops::Range<u8>| {
        for key in keys {
            let job = keyed(new_job(&env), &format!("key-{key:03}"), key, crate::OtherBody::Refuse);
            assert!(matches!(store.enqueue(job).await.unwrap(), Enqueued::Created(_)));
        }
    };
    accept(0..40).await;
    for done in store.claim(&worker, 37).await.unwrap() {
        let output = Outcome::Succeeded(crate::conformance::output());
        store.finish(crate::conformance::finish(&done, output)).await.unwrap().unwrap();
    }
    clock.advance(std::time::Duration::from_secs(25 * 3_600));
    accept(100..105).await;
    let database = Connection::open(folder.path().join("sub/store.db")).unwrap();
    let keys =
        || -> i64 { database.query_row("SELECT count(*) FROM idempotency", [], |row| row.get(0)).unwrap() };
    assert_eq!(keys(), 45);
    store.tick(2).await.unwrap();
    assert_eq!(keys(), 45 - 16, "a stretch of eight for each that may be deleted");
    for _ in 0..2 {
        store.tick(2).await.unwrap();
    }
    assert_eq!(keys(), 3 + 5, "those of jobs that are not over, and those whose window is open");
    clock.advance(std::time::Duration::from_secs(25 * 3_600));
    for open in store.claim(&worker, 9).await.unwrap() {
        let output = Outcome::Succeeded(crate::conformance::output());
        store.finish(crate::conformance::finish(&open, output)).await.unwrap().unwrap();
    }
    for _ in 0..2 {
        store.tick(2).await.unwrap();
    }
    assert_eq!(keys(), 0, "the hand comes round again");
}

#[tokio::test]
async fn data_of_an_older_schema_is_carried_over() {
    let folder = tempfile::tempdir().unwrap();
    let (options, env, tenant) = (options(folder.path()), env(), TenantId::default());
    let store = open(&options, &env).unwrap();
    let new = keyed(new_job(&env), "key", 1, crate::OtherBody::Refuse);
    assert!(matches!(store.enqueue(new.clone()).await.unwrap(), Enqueued::Created(_)));
    let claimed = store.claim(&WorkerId::new("w"), 1).await.unwrap().remove(0);
    store
        .record(crate::conformance::record(&claimed, vec![crate::conformance::model_entry(1)]))
        .await
        .unwrap()
        .unwrap();
    let log = store.log(&tenant, new.id, 0, 99).await.unwrap().unwrap();
    assert_eq!(log.len(), 2);
    drop(store);
    // The file as the release before would have left it.
    drop(reopen(&options, &env).await);
    let database = Connection::open(folder.path().join("sub/store.db")).unwrap();
    database
        .execute_batch(
            "ALTER TABLE log RENAME TO newer; CREATE TABLE log (job INTEGER NOT NULL, seq INTEGER NOT NULL, \
             at INTEGER NOT NULL, attempt INTEGER NOT NULL, v INTEGER NOT NULL, item TEXT NOT NULL, \
             PRIMARY KEY (job, seq)) STRICT, WITHOUT ROWID; \
             INSERT INTO log SELECT job, seq, at, attempt, v, item FROM newer; DROP TABLE newer; \
             CREATE INDEX idempotency_expiry ON idempotency (expires_at); PRAGMA user_version = 11",
        )
        .unwrap();
    drop(database);
    let store = reopen(&options, &env).await;
    let kept = store.log(&tenant, new.id, 0, 99).await.unwrap().unwrap();
    assert!(kept.starts_with(&log), "{kept:?}");
    assert!(matches!(store.enqueue(new).await.unwrap(), Enqueued::Replayed(_)));
}

#[tokio::test]
async fn second_process_is_kept_out_with_a_message_that_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (options, env) = (options(folder.path()), env());
    let _first = open(&options, &env).unwrap();
    let Err(error) = open(&options, &env) else { panic!("opened twice") };
    assert!(matches!(error, Error::Locked { .. }));
    assert!(error.to_string().contains("store.db is in use by another process"), "{error}");
}

#[tokio::test]
async fn path_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let blocker = folder.path().join("file");
    std::fs::write(&blocker, "x").unwrap();
    let options =
        Options { url: format!("sqlite:{}", blocker.join("store.db").display()), ..Options::default() };
    let Err(error) = open(&options, &env()) else { panic!("opened") };
    assert!(
        error.to_string().contains("cannot open the store") && error.to_string().contains("file/store.db"),
        "{error}"
    );
}

#[tokio::test]
async fn newer_schema_and_other_programs_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    drop(open(&options, &env()).unwrap());
    let path = folder.path().join("sub/store.db");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = loop {
        match open(&options, &env()) {
            Err(Error::Locked { .. }) => tokio::task::yield_now().await,
            Err(error) => break error,
            Ok(_) => panic!("opened"),
        }
    };
    assert!(matches!(error, Error::NewerSchema { found: 99, .. }), "{error}");

    let foreign = folder.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE cats (name TEXT)").unwrap();
    let Err(error) =
        open(&Options { url: format!("sqlite:{}", foreign.display()), ..Options::default() }, &env())
    else {
        panic!("opened")
    };
    assert!(error.to_string().contains("another program"), "{error}");
}

#[tokio::test]
async fn file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    std::fs::write(&path, vec![b'x'; 8192]).unwrap();
    let Err(error) =
        open(&Options { url: format!("sqlite:{}", path.display()), ..Options::default() }, &env())
    else {
        panic!("opened")
    };
    assert!(error.to_string().contains("not a database"), "{error}");
}

#[test]
fn unknown_urls_are_named() {
    for url in ["", "sqlite:", "mysql://x", "memory:x", "store.db"] {
        let Err(error) = open(&Options { url: url.into(), ..Options::default() }, &env()) else {
            panic!("{url} opened")
        };
        assert!(error.to_string().contains(&format!("`{url}`")), "{error}");
    }
}
