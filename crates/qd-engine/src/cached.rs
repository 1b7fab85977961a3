//! Answers that are kept for whoever asks exactly the same, where a crew says `model_cache`.
//!
//! Of equal calls in this process only one is made at a time: the others wait for its answer. The store keeps answers for
//! later and for other processes; that it cannot be read or written is no failure of a step.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use qd_crew::{Effect, Plan};
use qd_llm::{Answer, CallError};
use qd_store::{CacheKey, Claimed};
use qd_types::{
    ChatReply, ChatRequest, Message, NanoDollars, Source, StopReason, TenantId, ToolChoice, ToolSpec, Usage,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::engine::Shared;
use crate::executor::Order;

/// Version of what is kept and of what a key is made of: another release asks anew.
const VERSION: u32 = 1;

/// How long a call waits for an equal one that is under way before it is made nevertheless.
const PATIENCE: Duration = Duration::from_secs(120);

/// Answers beyond this are not kept, in bytes of their JSON.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// How answers of an effect are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caching {
    /// For how long.
    ttl: Duration,
    /// Whether a kept one will do: not after output that was of no use.
    may_read: bool,
}

impl Caching {
    /// As the plan says for an effect.
    pub(crate) fn of(plan: &Plan, effect: &Effect) -> Option<Self> {
        let ttl = plan.task(&effect.task)?.model_cache?;
        Some(Self { ttl, may_read: !effect.begun_anew })
    }
}

/// An answer, made or known.
pub(crate) struct Answered {
    pub(crate) reply: ChatReply,
    pub(crate) usage: Usage,
    pub(crate) cost: NanoDollars,
    pub(crate) deployment: Option<Arc<str>>,
    pub(crate) source: Source,
    /// What a known one would have cost.
    pub(crate) saved: Option<NanoDollars>,
}

impl Answered {
    fn made(answer: Answer) -> Self {
        let Answer { reply, usage, cost, deployment, limits: _ } = answer;
        Self { reply, usage, cost, deployment, source: Source::Executed, saved: None }
    }

    fn known(kept: &Kept) -> Self {
        Self {
            reply: kept.reply.clone(),
            usage: Usage::default(),
            cost: NanoDollars::default(),
            deployment: kept.deployment.as_deref().map(Arc::from),
            source: Source::Cached,
            saved: Some(kept.cost),
        }
    }
}

/// What is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    v: u32,
    reply: ChatReply,
    cost: NanoDollars,
    deployment: Option<String>,
}

/// Equal calls under way in this process.
#[derive(Default)]
pub(crate) struct Answers {
    // Each use is one map operation. There are no more entries than effects in flight.
    under_way: Mutex<HashMap<Place, watch::Receiver<Shown>>>,
}

type Place = (TenantId, CacheKey);

/// What those who wait see of the call that is made.
#[derive(Debug, Clone)]
enum Shown {
    /// It goes on.
    Nothing,
    /// Its answer.
    Answer(Arc<Kept>),
    /// It failed, or its answer is for nobody else.
    NotForOthers,
}

/// One's part among equal calls.
enum Part<'a> {
    /// To make the call.
    First(Lead<'a>),
    /// To wait for it.
    Other(watch::Receiver<Shown>),
}

/// Makes the call for all who wait. Dropped without a word, as with a job that is cancelled, another one makes it.
struct Lead<'a> {
    answers: &'a Answers,
    place: Place,
    show: watch::Sender<Shown>,
}

impl Lead<'_> {
    fn show(&self, shown: Shown) {
        self.show.send_replace(shown);
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        self.answers.lock().remove(&self.place);
    }
}

impl Answers {
    fn lock(&self) -> MutexGuard<'_, HashMap<Place, watch::Receiver<Shown>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_part(&self, place: &Place) -> Part<'_> {
        let mut under_way = self.lock();
        if let Some(first) = under_way.get(place) {
            return Part::Other(first.clone());
        }
        let (show, shown) = watch::channel(Shown::Nothing);
        under_way.insert(place.clone(), shown);
        Part::First(Lead { answers: self, place: place.clone(), show })
    }

    /// The lead, or what the one who had it came to. Nobody waits longer than [`PATIENCE`].
    async fn join(&self, place: &Place) -> Result<Lead<'_>, Shown> {
        let joined = async {
            loop {
                let mut first = match self.take_part(place) {
                    Part::First(lead) => return Ok(lead),
                    Part::Other(first) => first,
                };
                if let Ok(shown) = first.wait_for(|shown| !matches!(shown, Shown::Nothing)).await {
                    return Err(shown.clone());
                }
            }
        };
        tokio::time::timeout(PATIENCE, joined).await.unwrap_or(Err(Shown::NotForOthers))
    }
}

/// The answer of a model: a kept one, that of an equal call under way, or the one of `call`, which is made only then.
pub(crate) async fn known_or(
    shared: &Shared,
    claimed: &Claimed,
    order: &Order,
    model: &str,
    request: &ChatRequest,
    call: impl Future<Output = Result<Answer, CallError>>,
) -> Result<Answered, CallError> {
    let Some(caching) = order.caching else { return call.await.map(Answered::made) };
    let Some(identity) = shared.models.identity(model) else { return call.await.map(Answered::made) };
    let place = (claimed.job.tenant.clone(), key(&identity, request));
    let mut lead = None;
    if caching.may_read {
        match shared.answers.join(&place).await {
            Err(Shown::Answer(kept)) => return Ok(Answered::known(&kept)),
            Err(Shown::Nothing | Shown::NotForOthers) => {}
            Ok(first) => {
                if let Some(kept) = look_up(shared, &place).await {
                    let answered = Answered::known(&kept);
                    first.show(Shown::Answer(Arc::new(kept)));
                    return Ok(answered);
                }
                lead = Some(first);
            }
        }
    }
    let answer = call.await;
    let kept = answer.as_ref().ok().and_then(|answer| worth_keeping(shared, model, answer)).map(Arc::new);
    if let Some(lead) = &lead {
        lead.show(kept.clone().map_or(Shown::NotForOthers, Shown::Answer));
    }
    if let Some(kept) = kept {
        keep(shared, &place, &kept, caching.ttl).await;
    }
    // Only now may the next equal call become the first one: it finds the answer in the store.
    drop(lead);
    answer.map(Answered::made)
}

async fn look_up(shared: &Shared, (tenant, key): &Place) -> Option<Kept> {
    // A store that fails has said so itself.
    let bytes = shared.store.cached(tenant, key).await.ok()??;
    serde_json::from_slice(&bytes).ok().filter(|kept: &Kept| kept.v == VERSION)
}

async fn keep(shared: &Shared, (tenant, key): &Place, kept: &Kept, ttl: Duration) {
    let Ok(bytes) = serde_json::to_vec(kept) else { return };
    if bytes.len() <= ANSWER_BYTES_MAX {
        let _ = shared.store.cache(tenant, key, bytes, ttl).await;
    }
}

/// What others may be given of an answer: one that is whole, says something, and comes from the model that was meant.
fn worth_keeping(shared: &Shared, model: &str, answer: &Answer) -> Option<Kept> {
    let Answer { reply, cost, deployment, .. } = answer;
    let is_whole = match reply.stop {
        StopReason::End | StopReason::StopText | StopReason::ToolCalls => true,
        StopReason::Length => false,
    };
    let says_something = !reply.text.trim().is_empty() || !reply.tool_calls.is_empty();
    let is_its_own = deployment.as_deref().is_none_or(|place| shared.models.has_deployment(model, place));
    (is_whole && says_something && is_its_own).then(|| Kept {
        v: VERSION,
        reply: reply.clone(),
        cost: *cost,
        deployment: deployment.as_deref().map(str::to_owned),
    })
}

/// Everything that decides an answer.
#[derive(Serialize)]
struct Question<'a> {
    v: u32,
    identity: &'a str,
    system: Option<&'a str>,
    messages: &'a [Message],
    tools: &'a [ToolSpec],
    tool_choice: ToolChoice,
    max_tokens: Option<u32>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    stop: &'a [String],
    seed: Option<i64>,
}

fn key(identity: &str, request: &ChatRequest) -> CacheKey {
    // Taken apart in full: a new part of a request is to be thought of here. The name of the model is in the identity.
    let ChatRequest {
        model: _,
        system,
        messages,
        tools,
        tool_choice,
        max_tokens,
        temperature,
        top_p,
        stop,
        seed,
    } = request;
    let question = Question {
        v: VERSION,
        identity,
        system: system.as_deref(),
        messages,
        tools,
        tool_choice: *tool_choice,
        max_tokens: *max_tokens,
        temperature: *temperature,
        top_p: *top_p,
        stop,
        seed: *seed,
    };
    let json = serde_json::to_vec(&question).expect("a request holds only text keys and numbers");
    Sha256::digest(json).into()
}

#[cfg(test)]
mod tests;
