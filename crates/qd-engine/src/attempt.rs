//! One attempt: a job in one worker's hands, from its claim to its end.
//!
//! The machine says what is ready, the executor does it, the store journals it, and only then the machine's next wish
//! is looked at. What happened last travels with the end of the attempt in one transaction.

mod deadline;
mod flight;
mod human;
mod recourse;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use qd_crew::{Effect, EffectKind, MACHINE_VERSION, Machine, Plan, Ready, TaskEvent};
use qd_llm::Blame;
use qd_store::{Claimed, Finish, Outcome, Record};
use qd_types::{Ask, Class, Code, Entry, Failure, LogItem, StepId, StepKind};
use tokio_util::sync::CancellationToken;

use crate::cached::Caching;
use crate::chain;
use crate::engine::Shared;
use crate::executor;
use crate::facts;
use crate::pace::Turn;
use crate::plans::PlanError;
use crate::resume::Past;
use crate::retry::{self, Decision};
use crate::tools::ToolEffect;
use deadline::Deadline;
use flight::Flight;

/// Runs an attempt to its end. Returns without writing anything when the lease is gone.
pub(crate) async fn run(shared: Arc<Shared>, claimed: Arc<Claimed>, revoked: CancellationToken) {
    let began = shared.env.monotonic();
    if shared.store.is_revoked(claimed.job.id, claimed.lease.fence) {
        // Cancelled between the claim and here: the renewer looked before this lease was among the held ones.
        return;
    }
    tokio::select! {
        biased;
        () = revoked.cancelled() => tracing::debug!(job = %claimed.job.id, "lease revoked, attempt dropped"),
        end = work(&shared, &claimed) => {
            if let Some(finish) = end {
                conclude(&shared, &claimed, finish, began).await;
            }
        }
    }
}

/// Writes the end of an attempt.
async fn conclude(shared: &Shared, claimed: &Claimed, finish: Finish, began: Duration) {
    if write(shared, || shared.store.finish(finish.clone())).await.is_some() {
        shared.observer.ended(claimed, &finish, &shared.env, began);
    }
}

/// Ends a job whose attempt panicked.
pub(crate) async fn fail_after_panic(shared: &Shared, claimed: &Claimed) {
    tracing::error!(job = %claimed.job.id, crew = %claimed.job.crew, "an attempt panicked; its job fails");
    let failure = Failure::new(
        Code::WorkerPanic,
        Class::Bug,
        "the worker had a bug while it executed this job; its log has the details",
    );
    let finish = end(claimed, Vec::new(), claimed.job.progress.clone(), Outcome::Failed(failure));
    conclude(shared, claimed, finish, shared.env.monotonic()).await;
}

async fn work(shared: &Shared, claimed: &Claimed) -> Option<Finish> {
    let progress = claimed.job.progress.clone();
    let give_up = |outcome| Some(end(claimed, Vec::new(), progress.clone(), outcome));
    let plan = match plan(shared, claimed).await {
        Ok(plan) => plan,
        Err(PlanError::Unavailable(failure)) => {
            return give_up(Outcome::Failed(Past::read(&claimed.log, |_| {}).with_doubts(failure)));
        }
        Err(PlanError::Store(error)) => return give_up(store_trouble(&error)),
    };
    shared.observer.begun(claimed, shared.env.now());
    let mut machine = Machine::new(Arc::clone(&plan), claimed.job.input.clone());
    let mut past = Past::read(&claimed.log, |entry| machine.apply(entry));
    let mut items = Vec::new();
    match facts::missing(shared, &claimed.job, &plan, &past).await {
        Ok(facts) => {
            for entry in facts {
                machine.apply(&entry);
                past.note(&entry);
                items.push(LogItem::Entry { entry: Box::new(entry) });
            }
        }
        Err(error) => return give_up(store_trouble(&error)),
    }
    let deadline = Deadline::new(&claimed.job, past.ran, shared.env.monotonic());
    let doubt_settled = !claimed.in_doubt;
    Attempt {
        shared,
        claimed,
        plan,
        machine,
        past,
        items,
        deadline,
        retry: None,
        question: None,
        pauses: HashMap::new(),
        doubt_settled,
    }
    .drive()
    .await
}

async fn plan(shared: &Shared, claimed: &Claimed) -> Result<Arc<Plan>, PlanError> {
    let job = &claimed.job;
    if job.machine_version != MACHINE_VERSION {
        let message = format!(
            "the job needs version {} of the machine, this release has {MACHINE_VERSION}",
            job.machine_version
        );
        return Err(PlanError::Unavailable(Failure::new(Code::CrewUnavailable, Class::Permanent, message)));
    }
    shared.plans.plan((job.tenant.clone(), job.crew.clone(), job.crew_version)).await
}

/// The store could not be read: the job is not to blame and comes back soon.
fn store_trouble(error: &qd_store::Error) -> Outcome {
    let failure = Failure::new(Code::StoreUnavailable, Class::Transient, error.to_string());
    Outcome::Retry { after: Duration::from_secs(1), failure }
}

fn end(claimed: &Claimed, items: Vec<LogItem>, progress: qd_types::Progress, outcome: Outcome) -> Finish {
    let (job, fence) = (claimed.job.id, claimed.lease.fence);
    let history = match &outcome {
        Outcome::Succeeded(output) => facts::turns_of(&claimed.job, output),
        _ => Vec::new(),
    };
    Finish { job, fence, items, progress, outcome, history, doubt_settled: false }
}

/// An attempt under way.
struct Attempt<'a> {
    shared: &'a Shared,
    claimed: &'a Claimed,
    plan: Arc<Plan>,
    machine: Machine,
    past: Past,
    /// What happened and is not in the store yet.
    items: Vec<LogItem>,
    deadline: Deadline,
    /// A step failed and may be tried again: when, and why.
    retry: Option<(Duration, Failure)>,
    /// What a person is asked once nothing is under way any more.
    question: Option<Box<Ask>>,
    /// Steps that wait in this slot for their next try: until when, on the monotonic clock.
    pauses: HashMap<StepId, Duration>,
    /// Whether all that was in doubt at the claim has been started again.
    doubt_settled: bool,
}

impl<'a> Attempt<'a> {
    async fn drive(mut self) -> Option<Finish> {
        let mut flight = Flight::new(self.shared, self.claimed);
        loop {
            self.note_tasks();
            let effects = match self.machine.ready() {
                Ready::Done(output) => return Some(self.end(Outcome::Succeeded(output))),
                Ready::Fail(failure) => return Some(self.end(Outcome::Failed(failure))),
                Ready::Wait(question) => {
                    // What was in doubt came before the answer that a person is asked about.
                    self.doubt_settled = true;
                    return Some(self.end(Outcome::Wait(self.ask(*question))));
                }
                Ready::Run(effects) => effects,
            };
            if self.may_start()
                && let Some(failure) = self.start(&mut flight, effects).await?
            {
                return Some(self.end(Outcome::Failed(failure)));
            }
            if flight.is_empty() {
                return Some(self.pause());
            }
            tokio::select! {
                // What came back is taken in before the end of time is looked at.
                biased;
                landing = flight.next() => {
                    self.doubt_settled = flight.is_doubt_settled();
                    for failure in landing.not_made {
                        self.wait_for_model(failure);
                    }
                    if let Some(outcome) = self.absorb(landing.entries) {
                        return Some(self.end(outcome));
                    }
                }
                () = tokio::time::sleep(self.deadline.left(self.shared.env.monotonic())) => {
                    let failure = self.deadline.failure();
                    self.items.extend(flight.land_all_dropped(&failure));
                    return Some(self.end(Outcome::Failed(failure)));
                }
                () = self.shared.cut.cancelled() => {
                    let why = "the call was dropped because its worker stopped";
                    self.items.extend(flight.land_all_dropped(&Failure::new(Code::Draining, Class::Cancelled, why)));
                    self.doubt_settled = flight.is_doubt_settled();
                    return Some(self.end(Outcome::Release));
                }
            }
        }
    }

    fn may_start(&self) -> bool {
        self.retry.is_none() && self.question.is_none() && !self.shared.stopping.is_cancelled()
    }

    /// Journals what happened, then starts what is ready and not under way. Answers the failure of a bound.
    async fn start(&mut self, flight: &mut Flight<'a>, effects: Vec<Effect>) -> Option<Option<Failure>> {
        let fresh: Vec<_> = effects.into_iter().filter(|effect| !flight.has(&effect.step)).collect();
        if !self.intend(&fresh, flight.room()) {
            return Some(None);
        }
        if !self.items.is_empty() {
            let record = self.take_record();
            if record.items.iter().any(|item| matches!(item, LogItem::Entry { .. })) {
                let shared = self.shared;
                write(shared, || shared.store.record(record.clone())).await?;
            } else {
                // Only the news that a task starts: nothing depends on it, so nothing waits for it.
                flight.announce(record);
            }
        }
        for effect in fresh {
            if flight.is_full() {
                break;
            }
            if let Some(failure) = self.exceeded(flight, effect.step.kind()) {
                return Some(Some(failure.in_task(effect.task)));
            }
            match self.turn(&effect) {
                Turn::In(wait) => {
                    let now = self.shared.env.monotonic();
                    let pause = self
                        .pauses
                        .remove(&effect.step)
                        .map_or(Duration::ZERO, |until| until.saturating_sub(now));
                    let failed = self.past.failed_at(&effect.step).to_vec();
                    let caching = Caching::of(&self.plan, &effect);
                    flight.start(effect, failed, self.deadline.left(now), wait.max(pause), caching);
                }
                Turn::NotBefore(wait) => self.park(&effect, wait),
            }
        }
        if !flight.is_full() && self.retry.is_none() {
            // What was ready at the claim has been started: later steps are new to everybody.
            flight.settle_doubt();
        }
        Some(None)
    }

    /// Writes down which tools that may not be repeated are called next. False if one was about to be called before, and
    /// nobody knows what came of it: a person is asked first.
    fn intend(&mut self, fresh: &[Effect], room: usize) -> bool {
        for effect in fresh.iter().take(room) {
            let EffectKind::Tool(asked) = &effect.kind else { continue };
            // Whatever the tool is declared as by now: the call was announced as one that may happen once.
            if self.past.intended.contains(&effect.step) {
                let why = "its worker was gone before there was an answer";
                self.ask_about(effect, &executor::unknown_outcome(&asked.name, why));
                return false;
            }
            if self.shared.tools.effect(&asked.name) != ToolEffect::AtMostOnce {
                continue;
            }
            let entry = Entry::Intent { step: effect.step.clone(), call: executor::call(effect, 1, 0) };
            self.learn(&entry);
            self.items.push(LogItem::Entry { entry: Box::new(entry) });
        }
        true
    }

    /// When the pace of its agent lets an effect happen.
    fn turn(&self, effect: &Effect) -> Turn {
        let pace = self.plan.agent(&effect.agent).and_then(|agent| agent.pace);
        let Some(pace) = pace.filter(|_| effect.step.kind() == StepKind::Model) else {
            return Turn::In(Duration::ZERO);
        };
        let job = &self.claimed.job;
        let agent = (!pace.shared).then(|| effect.agent.clone());
        let key = (job.tenant.clone(), job.crew.clone(), agent);
        let patience = self.shared.options.retry.wait_in_slot;
        self.shared.paces.take(key, pace, patience, self.shared.env.monotonic())
    }

    /// A call may not be made for a while: the slot is given back meanwhile, and no try is burnt.
    fn park(&mut self, effect: &Effect, wait: Duration) {
        let message = format!(
            "the max_rpm of agent `{}` is reached; the next call may be made in {} s",
            effect.agent,
            wait.as_secs_f64().ceil()
        );
        let failure = Failure::new(Code::MaxRpmReached, Class::RateLimited, message);
        self.wait_out(wait, failure.in_task(effect.task.clone()));
    }

    /// A call was not made, because its model is left alone or busy: the slot is given back, and no try is burnt.
    fn wait_for_model(&mut self, failure: Failure) {
        self.wait_out(Duration::from_millis(failure.retry_after_ms.unwrap_or(1_000)), failure);
    }

    /// Comes back a little later than asked, so that those who wait do not all come back at the same moment.
    fn wait_out(&mut self, wait: Duration, failure: Failure) {
        let job = &self.claimed.job;
        let mut rng = self.shared.env.rng(&format!("wait/{}/{}", job.id, job.attempt));
        self.come_back(wait + rng.jitter(wait.mul_f64(0.1)), failure);
    }

    /// Effects that are still under way are awaited and journaled; the longest wait counts.
    fn come_back(&mut self, after: Duration, failure: Failure) {
        if self.retry.as_ref().is_none_or(|(longest, _)| after > *longest) {
            self.retry = Some((after, failure));
        }
    }

    fn exceeded(&self, flight: &Flight<'_>, kind: StepKind) -> Option<Failure> {
        let limits = &self.shared.options.limits;
        if kind == StepKind::Model && self.past.tokens >= limits.tokens {
            let message = format!(
                "the job used {} tokens; its limit is {}, and no further call is made beyond it",
                self.past.tokens, limits.tokens
            );
            return Some(Failure::new(Code::TooManyTokens, Class::Exhausted, message));
        }
        let (made, most, code, what) = match kind {
            StepKind::Model => {
                (self.past.model_calls, limits.model_calls, Code::TooManyModelCalls, "model calls")
            }
            StepKind::Human => return None,
            StepKind::Tool => (self.past.tool_calls, limits.tool_calls, Code::TooManyToolCalls, "tool calls"),
        };
        let under_way = flight.count(kind);
        (made + under_way >= most).then(|| {
            Failure::new(code, Class::Exhausted, format!("the job reached its limit of {most} {what}"))
        })
    }

    /// Takes in what came back. Answers the outcome if that ends the attempt.
    fn absorb(&mut self, entries: Vec<Entry>) -> Option<Outcome> {
        let mut outcome = None;
        for mut entry in entries {
            if let Entry::CallFailed { failure, .. } = &mut entry
                && failure.code == Code::JobTimeout
            {
                // The call was cut at the outer deadline; which one that was is known here.
                let task = failure.task.take();
                *failure = Failure { task, ..self.deadline.failure() };
            }
            self.learn(&entry);
            let ends = self.after(&entry);
            let resort = match (&entry, &ends) {
                (Entry::CallFailed { step, call, .. }, Some(Outcome::Failed(failure))) => {
                    self.recourse(step, failure, call)
                }
                _ => None,
            };
            self.items.push(LogItem::Entry { entry: Box::new(entry) });
            match resort {
                Some(resort) => {
                    self.learn(&resort);
                    self.items.push(LogItem::Entry { entry: Box::new(resort) });
                }
                None => outcome = outcome.or(ends),
            }
            self.note_tasks();
        }
        outcome
    }

    fn learn(&mut self, entry: &Entry) {
        self.machine.apply(entry);
        self.past.note(entry);
    }

    fn after(&mut self, entry: &Entry) -> Option<Outcome> {
        let Entry::CallFailed { step, failure, call, .. } = entry else { return None };
        if failure.code == Code::Draining {
            // The worker stops before the call was made: the job goes back to the queue.
            return None;
        }
        if failure.code == Code::ToolOutcomeUnknown {
            if let Ready::Run(effects) = self.machine.ready()
                && let Some(effect) = effects.iter().find(|effect| effect.step == *step)
            {
                self.ask_about(effect, failure);
            }
            return None;
        }
        let job = &self.claimed.job;
        let (failed, tries) = (self.past.failed_at(step), self.past.tries_of(step));
        let models = &self.shared.models;
        let agent = call.agent.as_ref().and_then(|agent| self.plan.agent(agent));
        let chosen = call.route.as_ref().map(|route| route.model.as_str());
        let named = chosen.or(agent.map(|agent| agent.model.as_str()));
        let chain = models.chain(named.unwrap_or(&call.target));
        let may_fall_back = Blame::of(failure.code).may_fall_back();
        let has_other = |name: &str, asked: &[Arc<str>]| models.has_other_deployment(name, asked);
        if tries < job.max_attempts && may_fall_back && chain::next(&chain, failed, has_other).is_fresh {
            // Somebody else is asked at once, in this slot.
            return None;
        }
        let judged =
            if may_fall_back { chain::most_hopeful(&chain, failed).unwrap_or(failure) } else { failure };
        let policy = &self.shared.options.retry;
        let mut rng = self.shared.env.rng(&format!("retry/{}/{step}/{tries}", job.id));
        match retry::decide(policy, judged, tries, job.max_attempts, &mut rng) {
            Decision::GiveUp(failure) => Some(Outcome::Failed(failure)),
            Decision::Again(after) if after <= policy.wait_in_slot => {
                self.pauses.insert(step.clone(), self.shared.env.monotonic() + after);
                None
            }
            Decision::Again(after) => {
                self.come_back(after, failure.clone());
                None
            }
        }
    }

    /// Nothing is under way and nothing may be started.
    fn pause(&mut self) -> Finish {
        match (self.question.take(), self.retry.take()) {
            (Some(ask), _) => self.end(Outcome::Wait(ask)),
            (None, Some((after, failure))) => self.end(Outcome::Retry { after, failure }),
            (None, None) => self.end(Outcome::Release),
        }
    }

    fn note_tasks(&mut self) {
        for event in self.machine.take_events() {
            match event {
                TaskEvent::Started { task, agent } => {
                    let ran = self.deadline.ran_at(self.shared.env.monotonic());
                    let is_new = !self.past.started.contains_key(&task);
                    self.past.started.entry(task.clone()).or_insert(ran);
                    let limit = self.plan.agent(&agent).and_then(|agent| agent.max_execution_time);
                    self.deadline.enter(&task, limit, &self.past.started);
                    if is_new {
                        self.items.push(LogItem::TaskStarted { task, agent });
                    }
                }
                TaskEvent::Finished { task, agent, raw } => {
                    if self.past.finished.insert(task.clone()) {
                        self.items.push(LogItem::TaskFinished { task, agent, raw });
                    }
                }
            }
        }
    }

    fn take_record(&mut self) -> Record {
        Record {
            job: self.claimed.job.id,
            fence: self.claimed.lease.fence,
            items: std::mem::take(&mut self.items),
            progress: self.machine.progress(),
        }
    }

    fn end(&mut self, outcome: Outcome) -> Finish {
        let items = std::mem::take(&mut self.items);
        Finish {
            doubt_settled: self.doubt_settled,
            ..end(self.claimed, items, self.machine.progress(), outcome)
        }
    }
}

/// Writes to the store, again and again while the disk refuses. `None` if the lease is gone or the store is closed:
/// then there is nothing left to do here.
async fn write<T, F>(shared: &Shared, attempt: impl Fn() -> F) -> Option<T>
where
    F: Future<Output = Result<Result<T, qd_store::Refused>, qd_store::Error>>,
{
    let mut pause = Duration::from_millis(100);
    loop {
        match attempt().await {
            Ok(Ok(written)) => return Some(written),
            Ok(Err(refused)) => {
                tracing::debug!(?refused, "write of an attempt refused");
                return None;
            }
            Err(qd_store::Error::Closed | qd_store::Error::Broken { .. }) => return None,
            Err(_) if shared.cut.is_cancelled() => return None,
            Err(_) => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(5));
            }
        }
    }
}
