//! Groups of commands of which one fails.

use std::sync::{Arc, Mutex, mpsc};

use futures::FutureExt;
use qd_env::Env;
use qd_types::WorkerId;
use rusqlite::Connection;

use super::{Checkpointer, FileLock, SqliteRows, Writer};
use crate::conformance::new_job;
use crate::embedded::Core;
use crate::live::{Live as _, LocalBus};
use crate::sqlite::schema;
use crate::{Claimed, Error, Incarnation, NewJob, Options, Room};

fn writer(folder: &std::path::Path, env: &Env, live: &Arc<LocalBus>) -> Writer {
    let database = folder.join("store.db");
    let mut connection = Connection::open(&database).unwrap();
    schema::migrate(&mut connection).unwrap();
    let core =
        Core::new(SqliteRows::new(connection), env.clone(), Options::default().limits(), Incarnation(1), 1);
    let lock = FileLock::take(&database).unwrap();
    let checkpointer = Checkpointer::start(&database, Connection::open(&database).unwrap()).unwrap();
    Writer::start(core, lock, checkpointer, live.clone(), env.clone(), false).unwrap()
}

#[tokio::test]
async fn a_command_that_fails_takes_nothing_of_its_group_with_it_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let env = Env::system();
    let writer = writer(folder.path(), &env, &Arc::default());
    // Whoever comes while the first group is at work forms the next one.
    let (go_on, held) = mpsc::channel::<()>();
    let (begun, begins) = mpsc::channel();
    let held = Mutex::new(held);
    let mut first = Box::pin(writer.call(move |_| {
        let _ = begun.send(());
        // Ends with an error once the test goes on.
        let _ = held.lock().unwrap().recv();
        Ok(())
    }));
    assert!((&mut first).now_or_never().is_none());
    begins.recv().unwrap();
    let jobs: Vec<NewJob> = (0..4).map(|_| new_job(&env)).collect();
    let mut calls: Vec<_> = jobs
        .iter()
        .enumerate()
        .map(|(n, job)| {
            let job = job.clone();
            let call = writer.call(move |core| {
                core.enqueue(&job)?;
                if n == 1 { Err(Error::Refused { reason: "a test".to_owned() }) } else { Ok(()) }
            });
            Box::pin(call)
        })
        .collect();
    for call in &mut calls {
        assert!(call.now_or_never().is_none());
    }
    drop(go_on);
    first.await.unwrap();
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.is_ok(), n != 1, "command {n}");
    }
    assert_eq!(writer.stats().unwrap().queued, 3);
    let worker = WorkerId::new("w");
    let claimed = writer.call(move |core| core.claim(&worker, 9.into())).await;
    let claimed: Vec<_> = claimed.map(|all: Vec<Claimed>| all.iter().map(|c| c.job.id).collect()).unwrap();
    assert_eq!(claimed, [jobs[0].id, jobs[2].id, jobs[3].id]);
}

#[tokio::test]
async fn a_command_that_fails_takes_no_hint_for_spare_slots_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (env, live) = (Env::system(), Arc::<LocalBus>::default());
    let writer = writer(folder.path(), &env, &live);
    let room = Room { any: 0, spare: 2 };
    let nothing = writer.call(move |core| core.claim(&WorkerId::new("w"), room)).await.unwrap();
    assert!(nothing.is_empty());
    let failed: Result<(), Error> =
        writer.call(|_| Err(Error::Refused { reason: "a test".to_owned() })).await;
    failed.unwrap_err();
    // What is left is looked at once, for the hint may have been lost with the command.
    let _ = live.spare_work().now_or_never();
    let job = new_job(&env);
    writer.call(move |core| core.enqueue(&job)).await.unwrap();
    assert!(live.spare_work().now_or_never().is_some());
}
