//! What is the same for every request: an id, a bound on the time, panics and problems as answers, safe headers.

use std::any::Any;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use hyper::body::Incoming;
use qd_env::Env;
use qd_types::Code;
use tower::Service;

use crate::body::are_lines;
use crate::observe::{Matched, Observer};
use crate::problem::Problem;
use crate::view::time::http_date;

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// Longest address of a request.
const URI_BYTES_MAX: usize = 8 * 1024;

/// Answers requests of one port. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Answer(Arc<Inner>);

struct Inner {
    router: Router,
    env: Env,
    handler: Duration,
    /// The same for what sends a long body on purpose.
    upload: Duration,
    /// Of the port whose requests are counted.
    observer: Option<Arc<Observer>>,
}

impl Answer {
    /// `spans` are those for an answer to be ready: as ever, and where the body is an upload.
    pub(crate) fn new(
        router: Router,
        env: Env,
        spans: [Duration; 2],
        observer: Option<Arc<Observer>>,
    ) -> Self {
        let [handler, upload] = spans;
        Self(Arc::new(Inner { router, env, handler, upload, observer }))
    }

    /// A connection was turned away before it could ask anything.
    pub(crate) fn connection_refused(&self) {
        if let Some(observer) = &self.0.observer {
            observer.connection_refused();
        }
    }

    /// The header `date` of an answer that hyper does not write.
    pub(crate) fn date(&self) -> HeaderValue {
        HeaderValue::try_from(http_date(self.0.env.now())).unwrap_or(HeaderValue::from_static(""))
    }

    /// Answers one request.
    pub(crate) async fn to(&self, request: Request<Incoming>) -> Result<Response, Infallible> {
        let id = request_id(request.headers(), &self.0.env);
        let mut response = match &self.0.observer {
            Some(observer) => self.observed(request, observer).await,
            None => self.checked(request).await,
        };
        if let Some(problem) = response.extensions_mut().remove::<Problem>() {
            write_problem(&mut response, &problem, &id);
        }
        let headers = response.headers_mut();
        headers.insert(&X_REQUEST_ID, id);
        headers.insert(header::CACHE_CONTROL, NO_STORE);
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
        Ok(response)
    }

    async fn observed(&self, mut request: Request<Incoming>, observer: &Observer) -> Response {
        let (began, _open) = (self.0.env.monotonic(), observer.in_flight());
        let (method, matched) = (request.method().clone(), Matched::default());
        request.extensions_mut().insert(matched.clone());
        let response = self.checked(request).await;
        let problem = response.extensions().get::<Problem>().map(|problem| problem.code);
        let took = self.0.env.monotonic().saturating_sub(began);
        observer.answered(matched.get(), &method, response.status(), problem, took);
        response
    }

    async fn checked(&self, request: Request<Incoming>) -> Response {
        match check(&request) {
            Ok(()) => self.routed(request.map(Body::new)).await,
            Err(problem) => problem.into_response(),
        }
    }

    async fn routed(&self, request: Request<Body>) -> Response {
        let patience = if are_lines(request.headers()) { self.0.upload } else { self.0.handler };
        let mut router = self.0.router.clone();
        let answered = AssertUnwindSafe(async move { router.call(request).await }).catch_unwind();
        match tokio::time::timeout(patience, answered).await {
            Ok(Ok(Ok(response))) => response,
            Ok(Ok(Err(never))) => match never {},
            Ok(Err(panic)) => {
                // What it said may quote the request; the process has printed it where it panicked.
                tracing::error!(reason = kind(&*panic), "a request made the server panic");
                let detail = "the server made a mistake; its log holds more under this request's id";
                Problem::new(Code::Internal, detail).into_response()
            }
            Err(_) => {
                let detail = format!(
                    "no answer was ready within {} s; what was asked for may still happen, so repeat it with the \
                     same idempotency key",
                    patience.as_secs_f32()
                );
                Problem::new(Code::StoreUnavailable, detail)
                    .retry_after(Duration::from_secs(2))
                    .into_response()
            }
        }
    }
}

fn check(request: &Request<Incoming>) -> Result<(), Problem> {
    let length = request.uri().path_and_query().map_or(0, |address| address.as_str().len());
    if length > URI_BYTES_MAX {
        let detail = format!("the address is {length} bytes long; at most {URI_BYTES_MAX} are read");
        return Err(Problem::new(Code::InvalidRequest, detail));
    }
    Ok(())
}

fn kind(panic: &(dyn Any + Send)) -> &str {
    // A constant text is ours; one that was put together may hold anything.
    panic.downcast_ref::<&'static str>().copied().unwrap_or("see standard error")
}

/// The client's id for the request if it is a sane one, else a new one.
fn request_id(headers: &HeaderMap, env: &Env) -> HeaderValue {
    let sane = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        (1..=128).contains(&bytes.len())
            && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte))
    };
    match headers.get(&X_REQUEST_ID).filter(sane) {
        Some(id) => id.clone(),
        None => {
            HeaderValue::try_from(env.job_id().to_string()).unwrap_or(HeaderValue::from_static("unknown"))
        }
    }
}

fn write_problem(response: &mut Response, problem: &Problem, id: &HeaderValue) {
    let id = id.to_str().unwrap_or_default();
    let status = response.status();
    if status.is_server_error() {
        tracing::warn!(request_id = id, code = %problem.code, status = status.as_u16(), "request failed");
    } else {
        tracing::debug!(request_id = id, code = %problem.code, status = status.as_u16(), "request refused");
    }
    let body = problem.to_json(id);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    if let Some(span) = problem.retry_after {
        // Rounded up: coming back too early only earns the same answer.
        let seconds = span.as_millis().div_ceil(1000).max(1);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX)));
    }
    *response.body_mut() = Body::from(body);
}
