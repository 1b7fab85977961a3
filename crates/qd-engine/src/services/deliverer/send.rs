//! One try: the body, its signature, the request, and what its answer means.

use std::time::Duration;

use qd_store::{Delivery, Destination, Event, Subject};
use qd_types::{Authentication, HookKind, Hooks, Job};
use reqwest::{Method, RequestBuilder, Response, header};
use serde_json::{Value, json};

use super::news;
use super::signature::{SigningSecret, sign};
use super::webhooks::Webhooks;
use crate::engine::Shared;

const USER_AGENT: &str = concat!("quarterdeck/", env!("CARGO_PKG_VERSION"));
/// What of an answer is read, so that its connection can be used again. Nothing of it is kept.
const ANSWER_MAX: usize = 64 * 1_024;

/// What came of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// The receiver took it.
    Took(u16),
    /// The receiver answered something else, and perhaps when to come again.
    Refused { status: u16, retry_after: Option<Duration> },
    /// Nothing was answered.
    Failed(&'static str),
    /// It makes no sense to try.
    Never(String),
}

/// Tries once.
pub(super) async fn send(
    shared: &Shared,
    webhooks: &Webhooks,
    delivery: &Delivery,
    subject: Option<&Subject>,
) -> Answer {
    let Some((url, secrets)) = target(webhooks, delivery) else {
        return Answer::Never("the endpoint is gone from the configuration".to_owned());
    };
    if secrets.is_empty() {
        return Answer::Never("there is no secret to sign it with".to_owned());
    }
    let job = match subject {
        Some(Subject::Job(job)) => Some(&**job),
        Some(Subject::Batch(_)) | None => None,
    };
    let body = match (subject, delivery.about) {
        (Some(Subject::Job(job)), Some(place)) => match news::body(shared, webhooks, job, place).await {
            Ok(body) => body,
            Err(answer) => return answer,
        },
        (Some(Subject::Job(job)), None) => body(delivery, (webhooks.show)(job)),
        (Some(Subject::Batch(batch)), _) => body(delivery, (webhooks.show_batch)(batch)),
        (None, _) if delivery.job.is_none() && delivery.batch.is_none() => {
            body(delivery, json!({"message": "a test of this endpoint"}))
        }
        (None, _) => return Answer::Never("what it tells of is no longer kept".to_owned()),
    };
    let body = body.to_string();
    let (id, now) = (delivery.id.to_string(), shared.env.now().0.div_euclid(1_000));
    let signature = sign(secrets, &id, now, body.as_bytes());
    let request = match webhooks.guard.request(Method::POST, url) {
        Ok(request) => request,
        Err(refusal) => return Answer::Never(format!("its URL {refusal}")),
    };
    let request = introduced(request, delivery, job)
        .timeout(webhooks.timeout)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, USER_AGENT)
        .header("webhook-id", id)
        .header("webhook-timestamp", now.to_string())
        .header("webhook-signature", signature)
        .body(body);
    match request.send().await {
        Ok(response) => answered(response).await,
        // Its own words may name addresses that are nobody's business.
        Err(error) if error.is_timeout() => Answer::Failed("no answer in time"),
        Err(error) if qd_egress::is_kept_back(&error) => {
            Answer::Failed("its name stands for no address that may be reached")
        }
        Err(error) if error.is_connect() => Answer::Failed("could not connect"),
        Err(_) => Answer::Failed("the connection broke off"),
    }
}

/// With what the job says that its URL for questions is to be shown. A delivery to an earlier URL gets nothing of it.
fn introduced(request: RequestBuilder, delivery: &Delivery, job: Option<&Job>) -> RequestBuilder {
    let hooks = job.and_then(|job| job.hooks.as_deref());
    let is_meant = |hooks: &&Hooks| match &delivery.destination {
        Destination::Url(url) => {
            delivery.event == Event::Hook(HookKind::Human) && hooks.human.as_ref() == Some(url)
        }
        Destination::Endpoint(_) => false,
    };
    match hooks.filter(is_meant).and_then(|hooks| hooks.authentication.as_ref()) {
        Some(Authentication::Bearer { token }) => request.bearer_auth(token),
        Some(Authentication::Basic { username, password }) => request.basic_auth(username, Some(password)),
        None => request,
    }
}

fn target<'a>(webhooks: &'a Webhooks, delivery: &'a Delivery) -> Option<(&'a str, &'a [SigningSecret])> {
    match &delivery.destination {
        Destination::Endpoint(name) => {
            let endpoint = webhooks.endpoints.get(name)?;
            Some((&endpoint.url, &endpoint.secrets))
        }
        Destination::Url(url) => Some((url, &webhooks.job_secrets)),
    }
}

fn body(delivery: &Delivery, data: Value) -> Value {
    let at = jiff::Timestamp::from_millisecond(delivery.at.0).unwrap_or_default();
    json!({"type": delivery.event.as_str(), "timestamp": format!("{at:.3}"), "data": data})
}

async fn answered(mut response: Response) -> Answer {
    let status = response.status();
    let retry_after = response.headers().get(header::RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let mut read = 0;
    while let Ok(Some(piece)) = response.chunk().await {
        read += piece.len();
        if read > ANSWER_MAX {
            break;
        }
    }
    if status.is_success() {
        return Answer::Took(status.as_u16());
    }
    Answer::Refused { status: status.as_u16(), retry_after: retry_after.map(Duration::from_secs) }
}
