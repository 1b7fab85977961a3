//! Errors of requests as RFC 9457 answers: the one place that knows which code has which status and title.
//!
//! A [`Problem`] travels as an extension of an empty answer; `serve/answer.rs` writes the body, because only there
//! the request's id is known.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use qd_types::Code;
use serde::Serialize;

use crate::crews::CrewBookError;
use crate::openapi::Schema;

/// Mistakes in one request that are told; more of them help nobody.
const ERRORS_MAX: usize = 50;

/// Why a request is not carried out.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    pub(crate) detail: String,
    pub(crate) errors: Vec<FieldError>,
    pub(crate) retry_after: Option<Duration>,
    /// Whose clients read it.
    pub(crate) dialect: Dialect,
    /// More for those of CrewAI's platform.
    pub(crate) details: Option<Box<serde_json::Value>>,
}

/// Members that a problem carries besides, for clients of other APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// None.
    Native,
    /// `error`, as OpenAI has it.
    OpenAi,
    /// `error` and `message`, as CrewAI's platform has them.
    Amp,
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct FieldError {
    /// JSON pointer into the body; for queries the parameter's name after a slash.
    pub(crate) path: String,
    pub(crate) code: Code,
    pub(crate) message: String,
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            dialect: Dialect::Native,
            details: None,
        }
    }

    pub(crate) fn retry_after(mut self, span: Duration) -> Self {
        self.retry_after = Some(span);
        self
    }

    pub(crate) fn told_as_openai_does(mut self) -> Self {
        self.dialect = Dialect::OpenAi;
        self
    }

    pub(crate) fn told_as_amp_does(mut self) -> Self {
        self.dialect = Dialect::Amp;
        self
    }

    pub(crate) fn with_details(mut self, details: Option<serde_json::Value>) -> Self {
        self.details = details.map(Box::new);
        self
    }

    /// The word that CrewAI's platform has for it.
    fn amp_error(&self, title: &str) -> serde_json::Value {
        if self.code == Code::ValidationFailed { "Validation Error".into() } else { title.into() }
    }

    /// Several mistakes at once. If all are of one code, that is the code of the answer.
    pub(crate) fn of_fields(mut errors: Vec<FieldError>) -> Self {
        let first = errors.first().map_or(Code::ValidationFailed, |error| error.code);
        let code =
            if errors.iter().all(|error| error.code == first) { first } else { Code::ValidationFailed };
        let detail = match errors.as_slice() {
            [only] => format!("`{}`: {}", only.path, only.message),
            several => format!("{} fields have mistakes; see `errors`", several.len()),
        };
        errors.truncate(ERRORS_MAX);
        Self { errors, ..Self::new(code, detail) }
    }

    pub(crate) fn not_found(what: &str, name: &str) -> Self {
        Self::new(
            Code::NotFound,
            format!("there is no {what} `{}`; it may never have existed or be deleted by now", shown(name)),
        )
    }

    pub(crate) fn not_supported(what: &str) -> Self {
        Self::new(
            Code::NotSupported,
            format!("{what} is part of the API but not built into this release yet; nothing was done"),
        )
    }

    /// The body.
    pub(crate) fn to_json(&self, request_id: &str) -> Vec<u8> {
        let (status, title) = status_and_title(self.code);
        let body = Body {
            r#type: format_args!("urn:quarterdeck:error:{}", self.code).to_string(),
            title,
            status: status.as_u16(),
            detail: &self.detail,
            code: self.code,
            errors: &self.errors,
            error: match self.dialect {
                Dialect::Native => None,
                Dialect::OpenAi => Some(self.openai_error()),
                Dialect::Amp => Some(self.amp_error(title)),
            },
            message: (self.dialect == Dialect::Amp).then_some(self.detail.as_str()),
            details: self.details.as_deref(),
            request_id,
        };
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: Code,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<&'a serde_json::Value>,
    request_id: &'a str,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = status_and_title(self.code).0.into_response();
        if self.code == Code::Unauthorized {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, const { HeaderValue::from_static("Bearer") });
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<qd_store::Error> for Problem {
    fn from(_: qd_store::Error) -> Self {
        Self::store_unavailable()
    }
}

impl Problem {
    pub(crate) fn store_unavailable() -> Self {
        // What the disk said is for the log, where the store has written it, and not for callers.
        let detail = "the store cannot answer now; repeat the request in a moment, with the same idempotency key if it \
                      makes a job";
        Self::new(Code::StoreUnavailable, detail).retry_after(Duration::from_secs(2))
    }
}

impl From<CrewBookError> for Problem {
    fn from(error: CrewBookError) -> Self {
        match error {
            CrewBookError::Store(_) => Self::store_unavailable(),
            CrewBookError::Unusable(unusable) => Self::new(Code::InvalidCrew, unusable.to_string()),
        }
    }
}

/// A text of the caller's, fit to stand in a message: bounded and without control characters.
pub(crate) fn shown(text: &str) -> String {
    const KEPT: usize = 64;
    let mut shown: String = text.chars().take(KEPT).flat_map(char::escape_debug).collect();
    if text.chars().nth(KEPT).is_some() {
        shown.push('…');
    }
    shown
}

/// The only table from codes to HTTP. Codes of failed jobs are shown inside jobs; should a facade answer with one, it
/// speaks as a gateway to the provider.
pub(crate) fn status_and_title(code: Code) -> (StatusCode, &'static str) {
    match code {
        Code::ModelUnreachable => (StatusCode::BAD_GATEWAY, "Model provider unreachable"),
        Code::ModelTimeout => (StatusCode::GATEWAY_TIMEOUT, "Model provider timed out"),
        Code::ModelServerError => (StatusCode::BAD_GATEWAY, "Model provider failed"),
        Code::ModelOverloaded => (StatusCode::SERVICE_UNAVAILABLE, "Model provider overloaded"),
        Code::ModelRateLimited => (StatusCode::SERVICE_UNAVAILABLE, "Model provider's rate limit reached"),
        Code::ModelQuota => (StatusCode::SERVICE_UNAVAILABLE, "Model provider's quota used up"),
        Code::ModelAuth => (StatusCode::BAD_GATEWAY, "Model provider refused the key"),
        Code::ModelPermission => (StatusCode::BAD_GATEWAY, "Model provider forbids this"),
        Code::ModelNotFound => (StatusCode::BAD_GATEWAY, "Model not found"),
        Code::ContextLength => (StatusCode::UNPROCESSABLE_ENTITY, "Prompt too long for the model"),
        Code::ContentFilter => (StatusCode::UNPROCESSABLE_ENTITY, "Content refused by the model provider"),
        Code::ModelCircuitOpen => (StatusCode::SERVICE_UNAVAILABLE, "Model left alone after failures"),
        Code::ModelBusy => (StatusCode::SERVICE_UNAVAILABLE, "Model busy"),
        Code::ModelInvalidRequest => (StatusCode::BAD_GATEWAY, "Model provider rejected the request"),
        Code::ModelBadOutput => (StatusCode::BAD_GATEWAY, "Model answer unusable"),
        Code::ModelStreamInterrupted => (StatusCode::BAD_GATEWAY, "Model answer broke off"),
        Code::EmptyAnswer => (StatusCode::BAD_GATEWAY, "Model answered nothing"),
        Code::RepeatedToolCalls => (StatusCode::BAD_GATEWAY, "Model repeated itself"),
        Code::NoOutput => (StatusCode::BAD_GATEWAY, "Crew produced no output"),
        Code::TooManyModelCalls => (StatusCode::UNPROCESSABLE_ENTITY, "Too many model calls"),
        Code::TooManyToolCalls => (StatusCode::UNPROCESSABLE_ENTITY, "Too many tool calls"),
        Code::ToolOutcomeUnknown => (StatusCode::BAD_GATEWAY, "Outcome of a tool unknown"),
        Code::TooManyTokens => (StatusCode::UNPROCESSABLE_ENTITY, "Too many tokens"),
        Code::BudgetExceeded => (StatusCode::PAYMENT_REQUIRED, "Budget exceeded"),
        Code::MaxRpmReached => (StatusCode::SERVICE_UNAVAILABLE, "Agent's pace reached"),
        Code::TaskTimeout => (StatusCode::GATEWAY_TIMEOUT, "Task timed out"),
        Code::JobTimeout => (StatusCode::GATEWAY_TIMEOUT, "Job timed out"),
        Code::JobExpired => (StatusCode::GATEWAY_TIMEOUT, "Job expired"),
        Code::HumanInputExpired => (StatusCode::GATEWAY_TIMEOUT, "Nobody answered in time"),
        Code::HumanInputRejected => (StatusCode::UNPROCESSABLE_ENTITY, "Answer sent back too often"),
        Code::JobCancelled => (StatusCode::CONFLICT, "Job cancelled"),
        Code::WorkerPanic => (StatusCode::INTERNAL_SERVER_ERROR, "Worker failed"),
        Code::WorkerCrashed => (StatusCode::INTERNAL_SERVER_ERROR, "Worker crashed"),
        Code::CrewUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "Crew unavailable"),
        Code::InvalidRequest => (StatusCode::BAD_REQUEST, "Malformed request"),
        Code::ValidationFailed => (StatusCode::UNPROCESSABLE_ENTITY, "Validation failed"),
        Code::InvalidCrew => (StatusCode::UNPROCESSABLE_ENTITY, "Crew has mistakes"),
        Code::CrewConfigured => (StatusCode::CONFLICT, "Crew belongs to the configuration"),
        Code::PreconditionFailed => (StatusCode::PRECONDITION_FAILED, "Not as expected"),
        Code::NotSupported => (StatusCode::UNPROCESSABLE_ENTITY, "Not supported yet"),
        Code::UnsupportedMediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported media type"),
        Code::PayloadTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "Body too large"),
        Code::UnknownCrew => (StatusCode::UNPROCESSABLE_ENTITY, "Unknown crew"),
        Code::Unauthorized => (StatusCode::UNAUTHORIZED, "No good key"),
        Code::Forbidden => (StatusCode::FORBIDDEN, "Not allowed"),
        Code::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "Too many requests"),
        Code::QuotaExceeded => (StatusCode::TOO_MANY_REQUESTS, "Quota used up"),
        Code::KeyOver => (StatusCode::CONFLICT, "Key is over"),
        Code::NotFound => (StatusCode::NOT_FOUND, "Not found"),
        Code::MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "Method not allowed"),
        Code::IdempotencyConflict => {
            (StatusCode::UNPROCESSABLE_ENTITY, "Idempotency key used with another body")
        }
        Code::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "Request arrived too slowly"),
        Code::EventsPruned => (StatusCode::GONE, "Events no longer kept"),
        Code::QueueFull => (StatusCode::SERVICE_UNAVAILABLE, "Queue full"),
        Code::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "Server overloaded"),
        Code::AlreadyExists => (StatusCode::CONFLICT, "Already exists"),
        Code::JobOver => (StatusCode::CONFLICT, "Job is over"),
        Code::JobNotWaiting => (StatusCode::CONFLICT, "Job does not wait"),
        Code::AlreadyAnswered => (StatusCode::CONFLICT, "Answered already"),
        Code::JobNotFailed => (StatusCode::CONFLICT, "Job has not failed"),
        Code::StillRunning => (StatusCode::GATEWAY_TIMEOUT, "Job goes on"),
        Code::Draining => (StatusCode::SERVICE_UNAVAILABLE, "Server stopping"),
        Code::StoreUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "Store unavailable"),
        Code::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "Internal error"),
    }
}

/// What the document says of problems.
pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let openai = Schema::object()
        .about("The same in the words of OpenAI's API, where a request is one of that API's.")
        .field("message", Schema::text())
        .field("type", Schema::text())
        .field("param", Schema::text().nullable())
        .field("code", Schema::named("ErrorCode"));
    let problem = Schema::object()
        .about("Why a request is not carried out (RFC 9457).")
        .field("type", Schema::text().format("uri").example("urn:quarterdeck:error:queue_full"))
        .field("title", Schema::text().about("The code in words.").example("Queue full"))
        .field("status", Schema::whole(400, 599).about("The HTTP status."))
        .field("detail", Schema::text().about("For people: what is wrong and what to do."))
        .field("code", Schema::named("ErrorCode"))
        .optional("errors", Schema::list(Schema::named("FieldError")).with("maxItems", ERRORS_MAX))
        .optional(
            "error",
            Schema::one_of([openai, Schema::text().about("For clients of CrewAI's platform.")]),
        )
        .optional("message", Schema::text().about("The same as `detail`, for clients of CrewAI's platform."))
        .optional("details", Schema::object().about("Inputs that are missing, for those."))
        .optional("request_id", Schema::text().about("The same as `X-Request-Id`."));
    let of_field = Schema::object()
        .about("What is wrong with one field.")
        .field("path", Schema::text().about("JSON pointer into the body; for queries `/` and the parameter."))
        .field("code", Schema::named("ErrorCode"))
        .field("message", Schema::text());
    vec![("Problem", problem), ("FieldError", of_field)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_an_error_status_with_a_title() {
        for code in Code::ALL {
            let (status, title) = status_and_title(*code);
            assert!(status.is_client_error() || status.is_server_error(), "{code}");
            assert!(!title.is_empty() && !title.ends_with('.'), "{code}");
        }
    }

    #[test]
    fn mistakes_of_one_kind_give_that_code_and_mixed_ones_a_failed_validation() {
        let error = |path: &str, code| FieldError { path: path.into(), code, message: "m".into() };
        let same = vec![error("/a", Code::NotSupported), error("/b", Code::NotSupported)];
        assert_eq!(Problem::of_fields(same).code, Code::NotSupported);
        let mixed = vec![error("/a", Code::NotSupported), error("/b", Code::UnknownCrew)];
        assert_eq!(Problem::of_fields(mixed).code, Code::ValidationFailed);
        let many = Problem::of_fields((0..200).map(|_| error("/a", Code::ValidationFailed)).collect());
        assert_eq!(many.errors.len(), ERRORS_MAX);
        assert!(many.detail.contains("200"));
    }

    #[test]
    fn texts_of_callers_are_shown_bounded_and_harmless() {
        assert_eq!(shown("a\u{1b}[31m\u{0}"), "a\\u{1b}[31m\\0");
        assert_eq!(shown(&"x".repeat(1000)).chars().count(), 65);
    }
}
