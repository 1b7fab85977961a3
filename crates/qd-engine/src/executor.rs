//! Carries one effect out in the world and says what happened, as a journal entry.
//!
//! Nothing else spends money or touches anything. Dropping the future ends the call; the journal is the caller's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use qd_crew::{Effect, EffectKind};
use qd_env::Env;
use qd_llm::{CallError, CallScope, Chosen, DeltaSink, Question};
use qd_store::{Claimed, Store};
use qd_types::{
    Billed, Call, ChatRequest, Class, Code, Delta, Entry, Failure, JobId, NanoDollars, Route, StepId,
};
use tokio_util::sync::CancellationToken;

use crate::cached::{self, Answered, Caching};
use crate::chain::{self, FailedTry};
use crate::engine::Shared;
use crate::observe::ModelSeries;
use crate::spend::{self, Admitted, Asking, Reservation, Slip};

/// How an effect is to be carried out.
pub(crate) struct Order {
    /// What.
    pub(crate) effect: Effect,
    /// How it will stand in the journal.
    pub(crate) call: Call,
    /// Tries of its step that failed.
    pub(crate) failed: Vec<FailedTry>,
    /// What is left of the job's running time.
    pub(crate) time_left: Duration,
    /// How long to wait before.
    pub(crate) wait: Duration,
    /// Whether its answer may be a kept one; for model calls.
    pub(crate) caching: Option<Caching>,
    /// Where a drop leaves what was set aside for it.
    pub(crate) slip: Slip,
}

/// How an effect stands in the journal: which try of its step it is, and how many calls of the step were under way
/// when a worker died.
pub(crate) fn call(effect: &Effect, number: u32, possibly_billed: u32) -> Call {
    let target = match &effect.kind {
        EffectKind::Model(request) => &request.model,
        EffectKind::Tool(asked) => &asked.name,
    };
    Call {
        agent: Some(effect.agent.clone()),
        target: target.clone(),
        route: None,
        deployment: None,
        number,
        duration_ms: 0,
        saved: None,
        possibly_billed,
        reserved: None,
    }
}

/// What came of an effect.
pub(crate) enum Done {
    /// It happened, or was tried: this goes into the journal.
    Entry(Box<Entry>),
    /// It was not tried, and there is nothing to journal.
    NotMade(StepId, Failure),
}

/// Does it.
pub(crate) async fn execute(shared: &Shared, claimed: &Claimed, order: Order) -> Done {
    let mut call = order.call.clone();
    let (step, task) = (order.effect.step.clone(), order.effect.task.clone());
    if !order.wait.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(order.wait) => {}
            () = shared.stopping.cancelled() => {
                let why = "the call was not made because its worker stopped";
                let failure = Failure::new(Code::Draining, Class::Cancelled, why).in_task(task);
                return Done::Entry(Box::new(Entry::CallFailed { step, failure, billed: Billed::No, call }));
            }
        }
    }
    let job = &claimed.job;
    if shared.store.is_revoked(job.id, claimed.lease.fence) {
        // Whoever revoked the lease may have its answer already. The attempt is about to be dropped.
        std::future::pending::<()>().await;
    }
    let began = shared.env.monotonic();
    let mut entry = match order.effect.kind {
        EffectKind::Model(ref request) => {
            let routed = routed(shared, claimed, &order.effect, request);
            call.route = routed.as_ref().map(|(route, _)| route.clone());
            let request = routed.as_ref().map_or(&**request, |(_, request)| request);
            match ask_chain(shared, claimed, request, &order, &mut call).await {
                Ok(answer) => {
                    let saved = match answer.saved {
                        None => saved_by_route(shared, &call, &answer).await,
                        saved => saved,
                    };
                    let Answered { reply, source, usage, cost, .. } = answer;
                    Entry::Model { step, reply, source, usage, cost, call: Call { saved, ..call } }
                }
                Err(error) if !error.was_made() || spend::is_parked(&error) => {
                    return Done::NotMade(step, error.into_failure().in_task(task));
                }
                Err(error) => {
                    let billed = error.billed;
                    Entry::CallFailed { step, failure: error.into_failure().in_task(task), billed, call }
                }
            }
        }
        EffectKind::Tool(ref asked) => {
            let is_wanted = || !shared.store.is_revoked(job.id, claimed.lease.fence);
            match shared.tools.call(asked, job.id, &order.effect.step, order.time_left, &is_wanted).await {
                Ok(result) => Entry::Tool { step, result, call },
                Err(why) => {
                    let failure = unknown_outcome(&asked.name, &why).in_task(task);
                    Entry::CallFailed { step, failure, billed: Billed::No, call }
                }
            }
        }
    };
    let took = shared.env.monotonic().saturating_sub(began);
    if let Entry::Model { call, .. } | Entry::Tool { call, .. } | Entry::CallFailed { call, .. } = &mut entry
    {
        call.duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    }
    shared.observer.step(&shared.models, job, &entry, took);
    Done::Entry(Box::new(entry))
}

/// The request for the model that the rules choose, where the crew leaves it open.
fn routed(
    shared: &Shared,
    claimed: &Claimed,
    effect: &Effect,
    request: &ChatRequest,
) -> Option<(Route, ChatRequest)> {
    let asked = effect.asked.as_deref()?;
    let (crew, agent) = (claimed.job.crew.as_str(), effect.agent.as_str());
    let question = Question { crew, agent, priority: claimed.job.priority.get(), asked, request };
    let Chosen { route, max_tokens } = shared.models.route(&question)?;
    shared.observer.routed(&route);
    let max_tokens = request.max_tokens.or(max_tokens);
    let request = ChatRequest { model: route.model.clone(), max_tokens, ..request.clone() };
    Some((route, request))
}

/// What an answer cost less than the standard model would have taken for it.
async fn saved_by_route(shared: &Shared, call: &Call, answer: &Answered) -> Option<NanoDollars> {
    let standard = shared.models.standard().filter(|_| call.route.is_some())?;
    let would_have_cost = shared.models.cost(standard, &answer.usage).await?;
    (would_have_cost > answer.cost).then(|| NanoDollars(would_have_cost.0 - answer.cost.0))
}

/// Asks the model whose turn it is; one that is left alone or busy is passed over. Notes in `call` who was asked.
async fn ask_chain(
    shared: &Shared,
    claimed: &Claimed,
    request: &ChatRequest,
    order: &Order,
    call: &mut Call,
) -> Result<Answered, CallError> {
    let chain = shared.models.chain(&request.model);
    let has_other = |name: &str, asked: &[Arc<str>]| shared.models.has_other_deployment(name, asked);
    let next = chain::next(&chain, &order.failed, has_other);
    let mut refusal: Option<CallError> = None;
    for link in chain.iter().cycle().skip(next.first).take(chain.len()) {
        if refusal.as_ref().is_some_and(|error| !link.helps_with(chain::refused_for(error.code))) {
            continue;
        }
        link.name.clone_into(&mut call.target);
        // What was set aside for a model that refused is free again; a known answer needs nothing.
        call.reserved = None;
        let made = ask(shared, claimed, link.name, request, order, &next.avoid, call);
        let answer = cached::known_or(shared, claimed, order, link.name, request, made).await;
        let asked = match &answer {
            Ok(answer) => &answer.deployment,
            Err(error) => &error.deployment,
        };
        call.deployment = asked.as_deref().map(str::to_owned);
        match answer {
            Err(error) if !error.was_made() => {
                // Whoever is free first decides when to come back.
                if refusal.as_ref().is_none_or(|known| error.retry_after < known.retry_after) {
                    refusal = Some(error);
                }
            }
            answer => return answer,
        }
    }
    Err(refusal.expect("a chain has a model, and each was passed over"))
}

async fn ask(
    shared: &Shared,
    claimed: &Claimed,
    name: &str,
    request: &ChatRequest,
    order: &Order,
    avoid: &[Arc<str>],
    call: &mut Call,
) -> Result<qd_llm::Answer, CallError> {
    let job = &claimed.job;
    let (in_doubt, slip, stopping) = (call.possibly_billed, &order.slip, &shared.stopping);
    let asking = Asking { claimed, name, request, in_doubt, slip, stopping };
    let Admitted { name, request, reservation } = shared.spend.admit(&asking).await?;
    call.target = name.clone().into_owned();
    call.reserved = reservation.as_ref().map(Reservation::reserved);
    let model = shared.models.get(&name)?;
    let deltas = Deltas {
        store: shared.store.clone(),
        job: job.id,
        step: order.effect.step.clone(),
        call: order.call.number,
        env: shared.env.clone(),
        began: shared.env.monotonic(),
        has_begun: AtomicBool::new(false),
        series: shared.observer.model(&shared.models, &name),
    };
    let (store, id, fence) = (shared.store.clone(), job.id, claimed.lease.fence);
    let scope = CallScope {
        tenant: job.tenant.clone(),
        job: Some(job.id),
        step: order.effect.step.clone(),
        number: order.call.number,
        timeout: Some(order.time_left),
        patience: shared.options.retry.wait_in_slot,
        avoid: avoid.to_vec(),
        cancel: CancellationToken::new(),
        wanted: Some(Arc::new(move || !store.is_revoked(id, fence))),
        deltas: Some(Arc::new(deltas)),
    };
    let answer = model.call(&request, &scope).await;
    if let Some(reservation) = reservation {
        reservation.settle(&answer);
    }
    answer
}

/// A call that may not be repeated may have been carried out, or not.
pub(crate) fn unknown_outcome(tool: &str, why: &str) -> Failure {
    let message = format!(
        "nobody knows whether tool `{tool}` did what it was asked for: {why}; it is declared `at_most_once` and was not \
         called again"
    );
    Failure::new(Code::ToolOutcomeUnknown, Class::Permanent, message)
}

/// Passes tokens on while somebody listens.
struct Deltas {
    store: Store,
    job: JobId,
    step: StepId,
    call: u32,
    env: Env,
    /// On the monotonic clock.
    began: Duration,
    has_begun: AtomicBool,
    series: Arc<ModelSeries>,
}

impl DeltaSink for Deltas {
    fn push(&self, offset: u64, text: &str) {
        if !self.has_begun.load(Ordering::Relaxed) && !self.has_begun.swap(true, Ordering::Relaxed) {
            self.series.first_token(self.env.monotonic().saturating_sub(self.began));
        }
        if !self.store.is_watched(self.job) {
            return;
        }
        let delta =
            Delta { job: self.job, step: self.step.clone(), call: self.call, offset, text: text.to_owned() };
        self.store.emit(delta);
    }
}
