//! Looks at what is left of a store: does it open by itself, and is everything there that was acknowledged?

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use qd_env::{Env, ManualClock};
use qd_store::{BatchAccepted, Durability, Enqueued, Error, Store, open};
use qd_types::{LogItem, Timestamp, Usage};

use crate::ledger::{Kept, Step, View};
use crate::workload::{START, keyed, options, plain, worker};

/// What is wrong with a store that was opened again.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It needs somebody's hands.
    DoesNotOpen(String),
    /// This many acknowledged operations are gone, and nothing else is wrong.
    Lost(usize),
    /// It is what it never was.
    Torn(String),
    /// It opened and does not work.
    DoesNotWork(String),
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::DoesNotOpen(why) => write!(f, "it does not open by itself: {why}"),
            Self::Lost(count) => write!(f, "the last {count} acknowledged operations are lost"),
            Self::Torn(what) => write!(f, "it is what it never was: {what}"),
            Self::DoesNotWork(why) => write!(f, "it does not work: {why}"),
        }
    }
}

/// An account to compare with: at least the first `acked` steps are there, and none beyond the first `asked`.
pub(crate) struct Account<'a> {
    pub(crate) steps: &'a [Step],
    /// What the first `acked` steps made.
    pub(crate) view: &'a View,
    pub(crate) acked: usize,
    pub(crate) asked: usize,
}

impl Account<'_> {
    /// Opens what is in a folder and compares.
    pub(crate) async fn check(&self, folder: &Path, seed: u64) -> Result<(), Verdict> {
        let at = self.acked.checked_sub(1).map_or(Timestamp(START), |last| self.steps[last].at);
        let env = Env::with(Arc::new(ManualClock::at(at.0)), seed ^ 0x5eed);
        let store = reopen(folder, &env).await.map_err(|error| Verdict::DoesNotOpen(error.to_string()))?;
        intact(&folder.join("store.db"))?;
        let found = View::of(&store).await.map_err(|error| Verdict::Torn(error.to_string()))?;
        for kept in found.jobs.values() {
            sums(kept)?;
        }
        found.around.agrees(found.jobs.values().map(|kept| &kept.job)).map_err(Verdict::Torn)?;
        let view = self.matching(&found)?;
        keys(&view, &store).await?;
        works(&store, &env).await
    }

    /// The step after which the store was what it is.
    fn matching(&self, found: &View) -> Result<View, Verdict> {
        let mut view = self.view.clone();
        let Some(difference) = view.differs(found) else { return Ok(view) };
        let mut differences = vec![difference];
        for step in &self.steps[self.acked..self.asked] {
            view.apply(step);
            match view.differs(found) {
                None => return Ok(view),
                Some(difference) => differences.push(difference),
            }
        }
        let mut earlier = View::default();
        let mut last = earlier.differs(found).is_none().then_some(0);
        for (place, step) in (1..).zip(&self.steps[..self.acked]) {
            earlier.apply(step);
            if earlier.differs(found).is_none() {
                last = Some(place);
            }
        }
        Err(match last {
            Some(last) => Verdict::Lost(self.acked - last),
            // One for each step that may have been the last.
            None => Verdict::Torn(differences.join("; after the next: ")),
        })
    }
}

/// The file lock goes with the writer thread, which ends after the last handle: wait for it by trying.
pub(crate) async fn reopen(folder: &Path, env: &Env) -> Result<Store, Error> {
    loop {
        match open(&options(folder, Durability::Strict), env) {
            Err(Error::Locked { .. }) => tokio::task::yield_now().await,
            other => return other,
        }
    }
}

pub(crate) fn intact(database: &Path) -> Result<(), Verdict> {
    let check = || {
        let connection = rusqlite::Connection::open(database)?;
        connection.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0))
    };
    match check() {
        Ok(answer) if answer == "ok" => Ok(()),
        Ok(answer) => Err(Verdict::Torn(answer)),
        Err(error) => Err(Verdict::Torn(error.to_string())),
    }
}

/// The log has no gaps, and the job's sums are those of its entries.
pub(crate) fn sums(kept: &Kept) -> Result<(), Verdict> {
    let torn = |what: &str| Err(Verdict::Torn(format!("{what}: {kept:?}")));
    if !kept.log.iter().zip(1..).all(|(logged, seq)| logged.seq == seq) {
        return torn("a gap");
    }
    let (mut usage, mut cost) = (Usage::default(), 0);
    for logged in &kept.log {
        if matches!(&logged.item, LogItem::Entry { entry } if entry.call().is_some()) {
            usage.model_calls += 1;
            usage.input_tokens += 10;
            usage.output_tokens += 5;
            cost += 1_000;
        }
    }
    if kept.job.usage != usage || kept.job.cost.0 != cost {
        return torn("sums that are not those of the entries");
    }
    Ok(())
}

/// Every key leads to its job.
async fn keys(view: &View, store: &Store) -> Result<(), Verdict> {
    for ((tenant, key), id) in view.keys.iter().filter(|(_, id)| view.jobs.contains_key(*id)) {
        match store.replay(tenant, &keyed(key)).await {
            Ok(Some(Enqueued::Replayed(job))) if job.id == *id => {}
            other => return Err(Verdict::Torn(format!("{key} leads to {other:?} instead of {id}"))),
        }
    }
    for ((tenant, key), id) in &view.batch_keys {
        if !view.around.batches.contains_key(id) {
            continue;
        }
        match store.replay_batch(tenant, keyed(key)).await {
            Ok(Some(BatchAccepted::Replayed(batch))) if batch.id == *id => {}
            other => return Err(Verdict::Torn(format!("{key} leads to {other:?} instead of {id}"))),
        }
    }
    Ok(())
}

/// Jobs are accepted and made of batches, and handed out once each.
pub(crate) async fn works(store: &Store, env: &Env) -> Result<(), Verdict> {
    let broken = |error: Error| Verdict::DoesNotWork(error.to_string());
    let job = plain(env);
    store.enqueue(job.clone()).await.map_err(broken)?;
    store.tick(1_000).await.map_err(broken)?;
    store.feed_batches(1_000).await.map_err(broken)?;
    let claimed = store.claim(&worker(), 1_000).await.map_err(broken)?;
    let mut ids: Vec<_> = claimed.iter().map(|claim| claim.job.id).collect();
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    if count != ids.len() || ids.binary_search(&job.id).is_err() {
        return Err(Verdict::DoesNotWork(format!("{} is not among {ids:?}", job.id)));
    }
    Ok(())
}

/// Lets a future run here and now.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let answer = runtime.block_on(work);
    runtime.shutdown_timeout(Duration::from_secs(60));
    answer
}
