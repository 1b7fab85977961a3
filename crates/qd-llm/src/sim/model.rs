//! The simulator inside this process: no sockets, the same decisions, the same errors.

use std::future::pending;
use std::time::Duration;

use async_trait::async_trait;
use qd_types::{Billed, ChatRequest};

use super::{Asked, Decision, Fault, FaultKind, Sim, pieces};
use crate::bounds::{Bounds, within};
use crate::error::Kind;
use crate::prices;
use crate::wires::status_kind;
use crate::{Answer, CallError, CallScope, ChatModel, DeltaSink, ModelOptions, ProviderOptions, SeenLimits};

/// A [`ChatModel`] without a network behind it.
pub struct SimModel {
    sim: Sim,
    provider: String,
    model: String,
    max_tokens: Option<u32>,
    bounds: Bounds,
}

impl SimModel {
    /// The model `model` of a simulator, with the bounds that a real provider would have by default.
    #[must_use]
    pub fn new(sim: Sim, model: impl Into<String>) -> Self {
        let options =
            ModelOptions { provider: "sim".to_owned(), model: model.into(), ..ModelOptions::default() };
        Self::configured(sim, &ProviderOptions::new(crate::ProviderKind::Sim), &options)
    }

    pub(crate) fn configured(sim: Sim, provider: &ProviderOptions, model: &ModelOptions) -> Self {
        Self {
            sim,
            provider: model.provider.clone(),
            model: model.model.clone(),
            max_tokens: model.max_tokens,
            bounds: Bounds::of(provider, model),
        }
    }

    async fn play(&self, decision: Decision, scope: &CallScope) -> Result<Answer, CallError> {
        let first = tokio::time::timeout(self.bounds.first(), self.first_token(&decision)).await;
        match first {
            Ok(result) => result?,
            Err(_) => return Err(self.bounds.no_first_token()),
        }
        let Decision { fault, mut pace, reply, usage, .. } = decision;
        let breaks_off = fault.is_some();
        let shown = if breaks_off { half(&reply.text) } else { &reply.text };
        // Without a listener the pieces are not worth cutting; the time they take is spent all the same.
        if scope.deltas.is_some() || !pace.is_instant() {
            let sink = scope.deltas.as_deref().filter(|_| self.bounds.streams());
            speak(shown, sink, || pace.next()).await;
        }
        if breaks_off {
            return Err(CallError::new(Kind::StreamInterrupted, "the answer broke off before its end"));
        }
        let cost = prices::of_sim(&usage);
        Ok(Answer { reply, usage, cost, limits: SeenLimits::default() })
    }

    /// Everything up to the first piece: the wait, and the faults that leave no piece.
    async fn first_token(&self, decision: &Decision) -> Result<(), CallError> {
        if !decision.first_token.is_zero() {
            tokio::time::sleep(decision.first_token).await;
        }
        let Some(Fault { kind, retry_after }) = decision.fault else { return Ok(()) };
        Err(match kind {
            FaultKind::Status(status) => CallError {
                status: Some(status),
                retry_after,
                ..CallError::new(status_kind(status), format!("simulated status {status}"))
            },
            FaultKind::Hang => pending().await,
            FaultKind::Reset => {
                CallError::new(Kind::StreamInterrupted, "the connection was closed without an answer")
            }
            FaultKind::Cut | FaultKind::Truncated => return Ok(()),
            FaultKind::Html => {
                CallError::new(Kind::BadOutput, "answered a web page").billed(Billed::Possibly)
            }
            FaultKind::Garbage => {
                CallError::new(Kind::BadOutput, "answered no valid json").billed(Billed::Possibly)
            }
            FaultKind::Empty => CallError::new(Kind::BadOutput, "the answer is empty"),
        })
    }

    fn named(&self, mut error: CallError) -> CallError {
        error.message = format!("provider `{}`, model `{}`: {}", self.provider, self.model, error.message);
        error
    }
}

#[async_trait]
impl ChatModel for SimModel {
    async fn call(&self, request: &ChatRequest, scope: &CallScope) -> Result<Answer, CallError> {
        if scope.cancel.is_cancelled() {
            return Err(
                self.named(CallError::new(Kind::Cancelled, "the call was cancelled").billed(Billed::No))
            );
        }
        let open = self.sim.ledger().start(Some(&scope.call_id()));
        let decision = self.sim.decide(&Asked {
            request,
            model: &self.model,
            step: scope.step.as_str(),
            number: scope.number,
            max_tokens: request.max_tokens.or(self.max_tokens),
        });
        if !decision.is_refused() {
            open.bill(prices::of_sim(&decision.usage));
        }
        if decision.fault.is_some() {
            open.faulted();
        }
        let answer = within(self.bounds.whole(), scope, self.play(decision, scope))
            .await
            .map_err(|error| self.named(error))?;
        open.answered();
        Ok(answer)
    }
}

async fn speak(text: &str, sink: Option<&dyn DeltaSink>, mut pause: impl FnMut() -> Duration + Send) {
    let mut offset = 0;
    for piece in pieces(text) {
        if offset > 0 {
            let pause = pause();
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
        if let Some(sink) = sink {
            sink.push(offset, piece);
        }
        offset += piece.len() as u64;
    }
}

/// The first half of a text, at a character's border.
fn half(text: &str) -> &str {
    &text[..text.floor_char_boundary(text.len() / 2)]
}

#[cfg(test)]
mod tests;
