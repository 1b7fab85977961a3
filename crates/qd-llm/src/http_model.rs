//! A model behind HTTP: a wire, a transport, bounds and a price, put together to a [`ChatModel`].

use async_trait::async_trait;
use qd_env::Env;
use qd_types::{Billed, ChatReply, ChatRequest, NanoDollars, Usage};

use crate::bounds::{Bounds, within};
use crate::error::Kind;
use crate::prices::{self, Pricing};
use crate::transport::{Received, Transport};
use crate::wires::{Decoded, Endpoint, Wire};
use crate::{Answer, CallError, CallScope, ChatModel};

pub(crate) struct HttpModel {
    pub(crate) env: Env,
    pub(crate) provider: String,
    pub(crate) wire: &'static dyn Wire,
    pub(crate) transport: Transport,
    pub(crate) endpoint: Endpoint,
    pub(crate) bounds: Bounds,
    /// None for a simulator over HTTP, which has prices of its own.
    pub(crate) pricing: Option<Pricing>,
    pub(crate) trace_header: bool,
}

#[async_trait]
impl ChatModel for HttpModel {
    async fn call(&self, request: &ChatRequest, scope: &CallScope) -> Result<Answer, CallError> {
        if scope.cancel.is_cancelled() {
            return Err(
                self.named(CallError::new(Kind::Cancelled, "the call was cancelled").billed(Billed::No))
            );
        }
        let parts = self.wire.encode(request, &self.endpoint);
        let request_bytes = parts.body.len();
        let call_id = self.trace_header.then(|| scope.call_id());
        let sink = scope.deltas.as_deref();
        let work = self.transport.call(parts, call_id.as_deref(), self.wire, &self.bounds, sink);
        let received = within(self.bounds.whole(), scope, work).await.map_err(|error| self.named(error))?;
        Ok(self.answer(received, request_bytes).await)
    }
}

impl HttpModel {
    async fn answer(&self, received: Received, request_bytes: usize) -> Answer {
        let Received { decoded: Decoded { mut reply, mut usage }, limits } = received;
        if reply.model.is_empty() {
            reply.model.clone_from(&self.endpoint.model);
        }
        let cost = if usage.total_tokens() == 0 {
            estimate(&mut usage, request_bytes, &reply);
            None
        } else {
            self.cost(&usage, &reply.model).await
        };
        usage.unpriced_calls = u32::from(cost.is_none());
        Answer { reply, usage, cost: cost.unwrap_or_default(), limits, deployment: None }
    }

    async fn cost(&self, usage: &Usage, answered: &str) -> Option<NanoDollars> {
        match &self.pricing {
            Some(pricing) => pricing.cost(usage, answered, self.env.now()).await,
            None => Some(prices::of_sim(usage)),
        }
    }

    /// The error with the name of its deployment, and without the key if the provider repeats it.
    fn named(&self, mut error: CallError) -> CallError {
        if let Some(key) = &self.endpoint.api_key {
            error.message = key.scrub(&error.message);
            error.request_id = error.request_id.map(|id| key.scrub(&id));
        }
        error.message =
            format!("provider `{}`, model `{}`: {}", self.provider, self.endpoint.model, error.message);
        error
    }
}

/// Servers that tell no usage get the usual ratio of 3.5 bytes a token, and no price: a guess is no bill.
fn estimate(usage: &mut Usage, request_bytes: usize, reply: &ChatReply) {
    let said = reply.text.len() + reply.tool_calls.iter().map(|call| call.arguments.len()).sum::<usize>();
    usage.input_tokens = (request_bytes as u64 * 2).div_ceil(7);
    usage.output_tokens = (said as u64 * 2).div_ceil(7);
}
