//! The simulator inside this process: no sockets, the same decisions, the same errors.

use std::future::pending;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue};
use qd_types::{Billed, ChatRequest, NanoDollars};

use super::faults::WEB_PAGE;
use super::options::FaultBody;
use super::script::{DROP_PAUSE, Pace, exaggerated};
use super::visit::{Met, Visit};
use super::{Asked, Decision, FaultKind, Sim, pieces};
use crate::bounds::{Bounds, within};
use crate::error::Kind;
use crate::prices;
use crate::wires::{
    OpenAi, OpenAiServer, Refusal, ServeWire, decode_whole, seen_limits, simulated, status_kind,
    told_by_headers,
};
use crate::{
    Answer, CallError, CallScope, ChatModel, DeltaSink, ModelOptions, ProviderOptions, SeenLimits, Window,
};

/// Inside a process nobody shows a key: all calls to a model share its limits.
const NO_KEY: u64 = 0;

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

    async fn play(
        &self,
        mut decision: Decision,
        visit: &mut Visit,
        scope: &CallScope,
    ) -> Result<Answer, CallError> {
        let first = tokio::time::timeout(self.bounds.first(), self.first_token(&mut decision, visit)).await;
        match first {
            Ok(result) => result?,
            Err(_) => return Err(self.bounds.no_first_token()),
        }
        let Decision { fault, mut pace, reply, mut usage, .. } = decision;
        let kind = fault.map(|fault| fault.kind);
        let silence = fault.and_then(|fault| fault.silence);
        if kind == Some(FaultKind::Drip) {
            pace = Pace::every(silence.unwrap_or(DROP_PAUSE));
        }
        let half = reply.text.floor_char_boundary(reply.text.len() / 2);
        let (first, rest) = reply.text.split_at(half);
        let mut voice = Voice {
            // Without a listener the pieces are not worth cutting; the time they take is spent all the same.
            is_silent: scope.deltas.is_none() && pace.is_instant(),
            sink: scope.deltas.as_deref().filter(|_| self.bounds.streams()),
            pace,
            offset: 0,
            bounds: &self.bounds,
        };
        match kind {
            Some(kind) if kind.breaks_off() => {
                voice.speak(first).await?;
                return Err(self.broken_off(kind));
            }
            Some(FaultKind::Stall) => {
                voice.speak(first).await?;
                stay_silent(silence, &self.bounds).await?;
                voice.speak(rest).await?;
            }
            _ => voice.speak(&reply.text).await?,
        }
        let mut cost = prices::of_sim(&usage);
        match kind {
            Some(FaultKind::WrongUsage) => {
                usage = exaggerated(&usage);
                cost = prices::of_sim(&usage);
            }
            // A guess is no bill.
            Some(FaultKind::NoUsage) => (usage.unpriced_calls, cost) = (1, NanoDollars::default()),
            _ => {}
        }
        Ok(Answer { reply, usage, cost, limits: SeenLimits::default(), deployment: None })
    }

    /// Everything up to the first piece: the wait, and the faults that leave no piece.
    async fn first_token(&self, decision: &mut Decision, visit: &mut Visit) -> Result<(), CallError> {
        if let Err(refusal) = visit.enter(&self.sim, decision).await {
            return Err(self.refused(&refusal, visit));
        }
        if !decision.first_token.is_zero() {
            tokio::time::sleep(decision.first_token).await;
        }
        let Some(fault) = decision.fault else {
            visit.begun();
            return Ok(());
        };
        if let Some(refusal) = fault.refusal(&self.model, &decision.usage) {
            return Err(match fault.body {
                FaultBody::Json => self.refused(&refusal, visit),
                FaultBody::Html => disguised(&refusal, visit, WEB_PAGE),
                FaultBody::Empty => disguised(&refusal, visit, ""),
            });
        }
        match fault.kind {
            FaultKind::Reset => {
                let message = "the connection was closed without an answer";
                return Err(CallError::new(Kind::StreamInterrupted, message));
            }
            FaultKind::Refused => {
                return Err(CallError::new(Kind::Unreachable, "cannot be reached: connection refused"));
            }
            FaultKind::Hang => match fault.silence {
                Some(span) => tokio::time::sleep(span).await,
                None => pending().await,
            },
            _ => {}
        }
        visit.begun();
        if fault.kind == FaultKind::Silent {
            stay_silent(fault.silence, &self.bounds).await?;
        }
        match self.useless(fault.kind) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// An answer that is there and of no use.
    fn useless(&self, kind: FaultKind) -> Option<CallError> {
        Some(match kind {
            FaultKind::Html => {
                CallError::new(Kind::BadOutput, "answered a web page").billed(Billed::Possibly)
            }
            FaultKind::Garbage => {
                CallError::new(Kind::BadOutput, "answered no valid json").billed(Billed::Possibly)
            }
            FaultKind::Empty => CallError::new(Kind::BadOutput, "the answer is empty"),
            FaultKind::EmptyStream if self.bounds.streams() => self.broken_off(kind),
            FaultKind::EmptyStream => {
                CallError::new(Kind::BadOutput, "answered nothing").billed(Billed::Possibly)
            }
            FaultKind::Refusal => {
                CallError::new(Kind::AnswerRefused, "the model refused to answer: simulated")
            }
            _ => return None,
        })
    }

    fn broken_off(&self, kind: FaultKind) -> CallError {
        if kind == FaultKind::ErrorEvent {
            let refusal = Refusal { model: self.model.clone(), ..Refusal::said(529, simulated(529)) };
            return as_over_http(200, &self.server().error(&refusal), Vec::new());
        }
        CallError::new(Kind::StreamInterrupted, "the answer broke off before its end")
    }

    fn refused(&self, refusal: &Refusal, visit: &mut Visit) -> CallError {
        let server = self.server();
        let status = server.status(refusal);
        visit.refused(status, refusal.retry_after);
        as_over_http(status, &server.error(refusal), server.headers(Some(refusal), None))
    }

    fn server(&self) -> OpenAiServer {
        OpenAiServer { dialect: self.sim.options.dialect }
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
        let asked = Asked {
            request,
            model: &self.model,
            step: scope.step.as_str(),
            number: scope.number,
            max_tokens: request.max_tokens.or(self.max_tokens),
        };
        let Met { decision, standing, denied, mut visit } =
            self.sim.meet(&asked, Some(&scope.call_id()), NO_KEY);
        if let Some(refusal) = denied {
            return Err(self.named(self.refused(&refusal, &mut visit)));
        }
        let played = within(self.bounds.whole(), scope, self.play(decision, &mut visit, scope)).await;
        let mut answer = played.map_err(|error| self.named(error))?;
        visit.answered();
        if let Some(standing) = standing {
            let headers = header_map(self.server().headers(None, Some(&standing)));
            answer.limits = seen_limits(&headers, Window::Minute);
        }
        Ok(answer)
    }
}

/// A refusal of something that stands before the provider: nothing of it is the provider's but the status.
fn disguised(refusal: &Refusal, visit: &mut Visit, body: &str) -> CallError {
    visit.refused(refusal.status, refusal.retry_after);
    let wait = refusal.retry_after.map(|wait| ("retry-after", wait.as_secs_f64().ceil().to_string()));
    as_over_http(refusal.status, body, wait.into_iter().collect())
}

/// The error that this answer is on its way through the wire, so that both ways cannot differ.
fn as_over_http(status: u16, body: &str, headers: Vec<(&'static str, String)>) -> CallError {
    let headers = header_map(headers);
    let error = decode_whole(&OpenAi, status, &headers, body.as_bytes())
        .err()
        .unwrap_or_else(|| CallError::new(status_kind(status), "simulated refusal"));
    let limits = seen_limits(&headers, Window::Minute);
    told_by_headers(error, status, &headers, limits)
}

fn header_map(headers: Vec<(&'static str, String)>) -> HeaderMap {
    let headers = headers.into_iter().filter_map(|(name, value)| {
        Some((HeaderName::from_static(name), HeaderValue::from_str(&value).ok()?))
    });
    headers.collect()
}

/// Nothing comes for so long; for ever without. The bound of silence ends it.
async fn stay_silent(span: Option<Duration>, bounds: &Bounds) -> Result<(), CallError> {
    let span = span.unwrap_or(Duration::MAX);
    tokio::time::sleep(span.min(bounds.idle)).await;
    if span < bounds.idle { Ok(()) } else { Err(bounds.stood_still()) }
}

/// Speaks a text piece by piece.
struct Voice<'a> {
    is_silent: bool,
    sink: Option<&'a dyn DeltaSink>,
    pace: Pace,
    offset: u64,
    bounds: &'a Bounds,
}

impl Voice<'_> {
    async fn speak(&mut self, text: &str) -> Result<(), CallError> {
        if self.is_silent {
            return Ok(());
        }
        for piece in pieces(text) {
            if self.offset > 0 {
                let pause = self.pace.next();
                if pause >= self.bounds.idle {
                    return stay_silent(None, self.bounds).await;
                }
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
            }
            if let Some(sink) = self.sink {
                sink.push(self.offset, piece);
            }
            self.offset += piece.len() as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
