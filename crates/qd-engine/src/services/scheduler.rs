//! Looks after schedules: makes the job of each tick when it is due. The store sees to it that no tick makes two, whoever
//! else looks after them.
//!
//! A tick that cannot be run now, because the queue is full or its crew is not fit, is tried again for a while; one that
//! nobody was there for is what the schedule says of missed ticks.

use std::sync::Arc;
use std::time::Duration;

use qd_crew::MACHINE_VERSION;
use qd_cron::{Due, Timetable};
use qd_store::{Missed, NewJob, Schedule, ScheduleTick, TickAct, Ticked};
use qd_types::Timestamp;

use crate::engine::Shared;
use crate::plans::PlanError;

/// Schedules of one round.
const ROUND: usize = 100;
/// Between two looks: this late a tick of a schedule may be that was made just before.
const LOOK_MAX: Duration = Duration::from_secs(1);
/// A tick that is later than this was missed.
const ON_TIME: Duration = Duration::from_secs(60);
/// Missed ticks that run after each other, at most.
const CATCH_UP_MAX: usize = 100;
/// Tries of a tick that cannot be run, and the first and the longest wait between two of them: an hour and a half in all.
const TRIES_MAX: u32 = 20;
const FIRST_WAIT: Duration = Duration::from_secs(10);
const WAIT_MAX: Duration = Duration::from_secs(300);

/// Runs until the engine stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    while !shared.stopping.is_cancelled() {
        let pause = round(&shared).await;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shared.stopping.cancelled() => {}
        }
    }
}

/// One round; answers how long to wait for the next.
async fn round(shared: &Shared) -> Duration {
    let due = match shared.store.due_schedules(ROUND).await {
        Ok(due) => due,
        Err(error) => {
            tracing::error!(%error, "could not look at schedules");
            return LOOK_MAX;
        }
    };
    let (mut made, mut failed) = (0, false);
    for schedule in &due.schedules {
        match look_after(shared, schedule).await {
            Ok(was_made) => made += usize::from(was_made),
            Err(error) => {
                // The others are not to wait for it.
                tracing::error!(%error, schedule = %schedule.name, "could not carry out a tick");
                failed = true;
            }
        }
    }
    // One that has caught up with a tick may have others.
    let more = made > 0 || (due.schedules.len() == ROUND && !failed);
    if failed && made == 0 {
        return LOOK_MAX;
    }
    let next = due.next_due.map(|at| at.since(shared.env.now()));
    let pause = if more { Duration::ZERO } else { next.unwrap_or(LOOK_MAX) };
    pause.clamp(Duration::from_millis(5), LOOK_MAX)
}

/// Carries out what is due of a schedule; whether it made a job.
async fn look_after(shared: &Shared, schedule: &Schedule) -> Result<bool, qd_store::Error> {
    let Some(first) = schedule.next_at else { return Ok(false) };
    let now = shared.env.now();
    let timetable = match Timetable::parse(&schedule.spec.cron, &schedule.spec.zone) {
        Ok(timetable) => timetable,
        // It could be read when it was made: this machine's zones are others.
        Err(wrong) => {
            let error = format!("`{}` in `{}` {wrong}", schedule.spec.cron, schedule.spec.zone);
            return note(shared, schedule, TickAct::TryAgain { after: WAIT_MAX, error }, "failed").await;
        }
    };
    let plan = decide(schedule, &timetable.due(first, now, CATCH_UP_MAX), now);
    let Some(at) = plan.run else {
        let act = TickAct::LeaveOut { next_at: plan.next_at, error: None };
        return note(shared, schedule, act, "left_out").await;
    };
    let why = match job(shared, schedule).await? {
        Ok(job) => {
            let (job, next_at, leaves_out) = (Box::new(job), plan.next_at, plan.leaves_out);
            let act = TickAct::Run { at, job, next_at, leaves_out };
            match shared.store.tick_schedule(tick(schedule, act)).await? {
                Ticked::Made(job) => {
                    tracing::debug!(schedule = %schedule.name, job = %job.id, crew = %job.crew, "schedule ticked");
                    shared.observer.ticked("made");
                    return Ok(true);
                }
                // Somebody else did, or its tenant has changed it.
                Ticked::Stale | Ticked::Noted => return Ok(false),
                Ticked::NoRoom { is_quota: true } => {
                    "its tenant has as many jobs queued as it may have".to_owned()
                }
                Ticked::NoRoom { is_quota: false } => "the queue is full".to_owned(),
            }
        }
        Err(why) => why,
    };
    tracing::warn!(schedule = %schedule.name, why, tries = schedule.tries + 1, "a tick could not be run");
    if schedule.tries + 1 < TRIES_MAX {
        let after = FIRST_WAIT.saturating_mul(1 << schedule.tries.min(10)).min(WAIT_MAX);
        return note(shared, schedule, TickAct::TryAgain { after, error: why }, "failed").await;
    }
    let error = Some(format!("given up after {TRIES_MAX} tries: {why}"));
    note(shared, schedule, TickAct::LeaveOut { next_at: plan.next_at, error }, "given_up").await
}

fn tick(schedule: &Schedule, act: TickAct) -> ScheduleTick {
    ScheduleTick {
        tenant: schedule.tenant.clone(),
        name: schedule.name.clone(),
        revision: schedule.revision,
        seen: schedule.next_at.unwrap_or_default(),
        act,
    }
}

/// Notes what makes no job.
async fn note(
    shared: &Shared,
    schedule: &Schedule,
    act: TickAct,
    outcome: &'static str,
) -> Result<bool, qd_store::Error> {
    if let Ticked::Noted = shared.store.tick_schedule(tick(schedule, act)).await? {
        shared.observer.ticked(outcome);
    }
    Ok(false)
}

/// What is done about what is due.
#[derive(Debug, PartialEq, Eq)]
struct Decision {
    /// The tick to run, if any.
    run: Option<Timestamp>,
    /// Where to go on.
    next_at: Option<Timestamp>,
    /// Whether ticks before that one are left out.
    leaves_out: bool,
}

fn decide(schedule: &Schedule, due: &Due, now: Timestamp) -> Decision {
    let first = schedule.next_at;
    let newest = due.last.last().copied();
    let run = |at: Option<Timestamp>, next_at| Decision { run: at, next_at, leaves_out: at != first };
    // One that was there in time and found no room is not missed.
    let is_on_time = schedule.tries > 0 || newest.is_some_and(|at| now.since(at) <= ON_TIME);
    match schedule.spec.missed {
        Missed::Skip if !is_on_time => Decision { run: None, next_at: due.next, leaves_out: true },
        Missed::Skip | Missed::RunOnce => run(newest, due.next),
        Missed::RunAll => run(due.last.first().copied(), due.last.get(1).copied().or(due.next)),
    }
}

/// The job of a tick, for the newest version of its crew; or why there is none.
async fn job(shared: &Shared, schedule: &Schedule) -> Result<Result<NewJob, String>, qd_store::Error> {
    let (tenant, spec) = (&schedule.tenant, &schedule.spec);
    let Some(stored) = shared.store.crew(tenant, &spec.crew, None).await? else {
        return Ok(Err(format!("there is no crew `{}`", spec.crew)));
    };
    let key = (tenant.clone(), spec.crew.clone(), stored.version);
    let plan = match shared.plans.plan(key).await {
        Ok(plan) => plan,
        Err(PlanError::Store(error)) => return Err(error),
        Err(PlanError::Unavailable(failure)) => return Ok(Err(failure.message)),
    };
    if let Err(problems) = plan.check_input(&spec.input) {
        let told =
            problems.iter().map(|problem| format!("variable `{}`: {}", problem.variable, problem.message));
        let told: Vec<_> = told.collect();
        return Ok(Err(format!(
            "its input does not fit version {} of crew `{}`: {}",
            stored.version,
            spec.crew,
            told.join("; ")
        )));
    }
    Ok(Ok(NewJob {
        id: shared.env.job_id(),
        tenant: tenant.clone(),
        crew: spec.crew.clone(),
        crew_version: stored.version,
        machine_version: MACHINE_VERSION,
        total_tasks: u32::try_from(plan.tasks().len()).unwrap_or(u32::MAX),
        input: spec.input.clone(),
        priority: spec.priority,
        conversation: spec.conversation.clone(),
        run_at: None,
        expires_at: None,
        timeout_seconds: spec.timeout_seconds,
        max_attempts: spec.max_attempts,
        budget: spec.budget,
        metadata: spec.metadata.clone(),
        webhook_url: spec.webhook_url.clone(),
        hooks: None,
        redrive_of: None,
        idempotency: None,
    }))
}
