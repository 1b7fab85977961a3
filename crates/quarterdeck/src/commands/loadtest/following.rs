//! Follows accepted jobs to their end, and asks at the end whether the server still knows all of them.
//!
//! By default by the list of jobs: one request tells of up to 500 of them, and the times that count are the server's own, in
//! the job, so that looking twice a second costs no precision. A stream for each job costs the server a connection and a
//! subscription for each; that is what many clients do, so it can be asked for.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use qd_types::JobId;
use serde::Deserialize;

use super::seen::SeenJob;
use super::sending::Shared;
use crate::commands::jobs::encoded;
use crate::exit::{self, Exit};
use crate::follow;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(500);
/// Jobs of one page: what the API gives at most, and the least that is worth asking for.
const PAGE_MAX: usize = 500;
const PAGE_MIN: usize = 50;
/// Jobs asked for one by one at each look, in turns: those too old for the pages of a look.
const SINGLE_MAX: usize = 50;

#[derive(Deserialize)]
struct Page {
    jobs: Vec<SeenJob>,
    next_cursor: Option<String>,
}

/// Looks until no job is open and `sending` says that no more will come.
pub(super) async fn by_list(shared: &Shared, sending: impl Fn() -> bool) {
    let mut turn = 0;
    loop {
        tokio::time::sleep(PAUSE).await;
        // First whether there may be more: what is sent after the look is seen at the next one.
        let more = sending();
        if shared.plan.follow == crate::cli::Follow::Poll {
            // A server that does not answer is asked again; what it does not say before waiting ends is reported as not over.
            let _ = look(shared, &mut turn).await;
        }
        if !more && shared.ledger().open.is_empty() {
            return;
        }
    }
}

/// One look at all open jobs.
pub(super) async fn look(shared: &Shared, turn: &mut usize) -> anyhow::Result<()> {
    let (count, oldest) = {
        let ledger = shared.ledger();
        (ledger.open.len(), ledger.open.values().map(|open| open.created).min())
    };
    let Some(oldest) = oldest else { return Ok(()) };
    // In a load that flows, open jobs are the newest ones. One that stays behind must not make every look long.
    let pages = count / PAGE_MAX + 2;
    let mut looked = HashSet::new();
    each_page(shared, oldest, (count + PAGE_MIN).min(PAGE_MAX), pages, |jobs| {
        let mut ledger = shared.ledger();
        for job in jobs {
            ledger.seen(&job);
            looked.insert(job.id);
        }
    })
    .await?;
    let mut behind: Vec<_> = shared.ledger().open.keys().filter(|id| !looked.contains(id)).copied().collect();
    behind.sort_unstable();
    let begin = *turn % behind.len().max(1);
    behind.rotate_left(begin);
    for id in behind.iter().take(SINGLE_MAX) {
        ask(shared, *id).await;
    }
    *turn = begin + behind.len().min(SINGLE_MAX);
    Ok(())
}

/// Gives the jobs of the load's crew from the newest to those made at `oldest`, at most so many pages of them.
async fn each_page(
    shared: &Shared,
    oldest: i64,
    limit: usize,
    pages: usize,
    mut hear: impl FnMut(Vec<SeenJob>),
) -> anyhow::Result<()> {
    let after = jiff::Timestamp::from_millisecond(oldest - 1)?;
    let base = format!(
        "/v1/jobs?crew={}&created_after={}&limit={limit}",
        encoded(&shared.plan.crew),
        encoded(&after.to_string())
    );
    let mut path = base.clone();
    for _ in 0..pages {
        let page: Page = serde_json::from_value(shared.client.get(&path).await?)?;
        hear(page.jobs);
        match page.next_cursor {
            Some(cursor) => path = format!("{base}&cursor={}", encoded(&cursor)),
            None => break,
        }
    }
    Ok(())
}

async fn ask(shared: &Shared, id: JobId) {
    match shared.client.get(&format!("/v1/jobs/{id}")).await {
        Ok(job) => {
            if let Ok(job) = serde_json::from_value::<SeenJob>(job) {
                shared.ledger().seen(&job);
            }
        }
        Err(error) if exit::of(&error) == Exit::NotFound => shared.ledger().lost(id),
        Err(_) => {}
    }
}

/// Follows one job by its stream.
pub(super) async fn by_events(shared: Arc<Shared>, id: JobId) {
    match follow::to_the_end(&shared.client, &id.to_string(), |_| Ok(())).await {
        Ok(job) => {
            if let Ok(job) = serde_json::from_value::<SeenJob>(job) {
                shared.ledger().seen(&job);
            }
        }
        Err(error) if exit::of(&error) == Exit::NotFound => shared.ledger().lost(id),
        // It stays open, and is reported as not over.
        Err(_) => {}
    }
}

/// Compares what was accepted with all that the server has of this load.
pub(super) async fn check_all(shared: &Shared) -> anyhow::Result<()> {
    let Some(oldest) = shared.ledger().first_created() else { return Ok(()) };
    let mut found = Vec::new();
    // The first answer need not be that of the first job.
    each_page(shared, oldest - 60_000, PAGE_MAX, usize::MAX, |jobs| {
        found.extend(jobs.iter().filter_map(|job| Some((job.id, job.number_of(&shared.plan.load)?))));
    })
    .await?;
    let missing = shared.ledger().compare(&found);
    for id in missing {
        ask(shared, id).await;
    }
    Ok(())
}
