//! The two questions anyone asks of a failure: what do we do ([`Class`]), and what do we tell the user ([`Code`]).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::TaskId;

/// What to do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Try again after a backoff.
    Transient,
    /// Try again after a longer backoff.
    Overloaded,
    /// Try again when the provider's limit resets.
    RateLimited,
    /// Money or a day's quota is used up: trying again does not help.
    Quota,
    /// The same request will fail again.
    Permanent,
    /// One of our own limits is reached.
    Exhausted,
    /// Somebody asked for it.
    Cancelled,
    /// A mistake of ours.
    Bug,
}

impl Class {
    /// Every class; those that another try can help first.
    pub const ALL: [Self; 8] = [
        Self::Transient,
        Self::Overloaded,
        Self::RateLimited,
        Self::Quota,
        Self::Permanent,
        Self::Exhausted,
        Self::Cancelled,
        Self::Bug,
    ];

    /// Whether another try of the same call can help.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        match self {
            Self::Transient | Self::Overloaded | Self::RateLimited => true,
            Self::Quota | Self::Permanent | Self::Exhausted | Self::Cancelled | Self::Bug => false,
        }
    }

    /// The word used in the API and the logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Overloaded => "overloaded",
            Self::RateLimited => "rate_limited",
            Self::Quota => "quota",
            Self::Permanent => "permanent",
            Self::Exhausted => "exhausted",
            Self::Cancelled => "cancelled",
            Self::Bug => "bug",
        }
    }
}

/// A failure as it is stored and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable word with a page in docs/errors.
    pub code: Code,
    /// What to do.
    pub class: Class,
    /// For people: names the thing, says why.
    pub message: String,
    /// The task it happened in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskId>,
    /// How long whoever failed asked us to wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Tokens that the model holds, where a request was longer and its provider says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_tokens: Option<u32>,
}

impl Failure {
    /// A failure of no particular task.
    #[must_use]
    pub fn new(code: Code, class: Class, message: impl Into<String>) -> Self {
        Self { code, class, message: message.into(), task: None, retry_after_ms: None, window_tokens: None }
    }

    /// The same, in a task.
    #[must_use]
    pub fn in_task(mut self, task: TaskId) -> Self {
        self.task = Some(task);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.task {
            Some(task) => write!(f, "task `{task}`: {} ({})", self.message, self.code),
            None => write!(f, "{} ({})", self.message, self.code),
        }
    }
}

/// A word that is no error code of this version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownCode(pub String);

impl fmt::Display for UnknownCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no error code", self.0)
    }
}

impl std::error::Error for UnknownCode {}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $word:literal,)*) => {
        /// What to tell the user: a stable word, each with a page `docs/errors/<word>.md`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// Its page of docs/errors, in Markdown: symptom, likely causes, what to do.
            #[must_use]
            pub fn page(self) -> &'static str {
                match self {
                    $(Self::$name => include_str!(concat!("../../../docs/errors/", $word, ".md")),)*
                }
            }
        }
    };
}

codes! {
    /// The provider could not be reached; nothing was sent.
    ModelUnreachable = "model_unreachable",
    /// The provider did not answer in time.
    ModelTimeout = "model_timeout",
    /// The provider had an internal error.
    ModelServerError = "model_server_error",
    /// The provider is overloaded.
    ModelOverloaded = "model_overloaded",
    /// The provider's rate limit is reached.
    ModelRateLimited = "model_rate_limited",
    /// The provider's money or day limit is reached.
    ModelQuota = "model_quota",
    /// The provider refused the key.
    ModelAuth = "model_auth",
    /// The key may not do this.
    ModelPermission = "model_permission",
    /// The provider has no such model.
    ModelNotFound = "model_not_found",
    /// The prompt does not fit the model's window.
    ContextLength = "context_length",
    /// The provider refused the content.
    ContentFilter = "content_filter",
    /// The model failed too often of late: the call was not made.
    ModelCircuitOpen = "model_circuit_open",
    /// The model has as many calls under way as it may have: the call was not made.
    ModelBusy = "model_busy",
    /// The provider rejected the request.
    ModelInvalidRequest = "model_invalid_request",
    /// The provider answered something that is no answer.
    ModelBadOutput = "model_bad_output",
    /// The answer broke off.
    ModelStreamInterrupted = "model_stream_interrupted",
    /// The model kept answering nothing.
    EmptyAnswer = "empty_answer",
    /// The model kept making the same tool call.
    RepeatedToolCalls = "repeated_tool_calls",
    /// No task of the crew produced a text.
    NoOutput = "no_output",
    /// A job's bound of model calls is reached.
    TooManyModelCalls = "too_many_model_calls",
    /// A job's bound of tool calls is reached.
    TooManyToolCalls = "too_many_tool_calls",
    /// A tool that may not be repeated was called, and nobody knows what came of it.
    ToolOutcomeUnknown = "tool_outcome_unknown",
    /// A job's bound of tokens is reached.
    TooManyTokens = "too_many_tokens",
    /// A budget has no room for the call, which was not made.
    BudgetExceeded = "budget_exceeded",
    /// An agent's bound of model calls a minute is reached; the job goes on later.
    MaxRpmReached = "max_rpm_reached",
    /// A task ran longer than the `max_execution_time` of its agent.
    TaskTimeout = "task_timeout",
    /// The job ran longer than its `timeout_seconds`.
    JobTimeout = "job_timeout",
    /// The job was not finished before its `expires_at`.
    JobExpired = "job_expired",
    /// Nobody answered the job's question in time.
    HumanInputExpired = "human_input_expired",
    /// A person sent a task's answer back more often than it takes feedback.
    HumanInputRejected = "human_input_rejected",
    /// The job was cancelled.
    JobCancelled = "job_cancelled",
    /// The worker had a bug.
    WorkerPanic = "worker_panic",
    /// The job's worker crashed again and again without progress.
    WorkerCrashed = "worker_crashed",
    /// The crew version or its machine is not known to this release.
    CrewUnavailable = "crew_unavailable",
    /// The request is no well-formed JSON or HTTP.
    InvalidRequest = "invalid_request",
    /// A field has a value that it may not have.
    ValidationFailed = "validation_failed",
    /// A crew file or the configuration has mistakes.
    InvalidCrew = "invalid_crew",
    /// The crew is one of the configuration, which alone may change it.
    CrewConfigured = "crew_configured",
    /// The thing is not, or not any more, as the request expects it.
    PreconditionFailed = "precondition_failed",
    /// The capability is not there yet.
    NotSupported = "not_supported",
    /// The `Content-Type` is not JSON.
    UnsupportedMediaType = "unsupported_media_type",
    /// The body is too large.
    PayloadTooLarge = "payload_too_large",
    /// There is no such crew.
    UnknownCrew = "unknown_crew",
    /// The request has no key, or none that is good.
    Unauthorized = "unauthorized",
    /// The key may not do this.
    Forbidden = "forbidden",
    /// The key, its tenant or the address asked too often.
    RateLimited = "rate_limited",
    /// The tenant has as much as it may have.
    QuotaExceeded = "quota_exceeded",
    /// The key expired or was revoked.
    KeyOver = "key_over",
    /// There is no such thing.
    NotFound = "not_found",
    /// The route does not take this method.
    MethodNotAllowed = "method_not_allowed",
    /// The idempotency key was used with another body.
    IdempotencyConflict = "idempotency_conflict",
    /// The request took too long to arrive.
    RequestTimeout = "request_timeout",
    /// The requested events are no longer kept.
    EventsPruned = "events_pruned",
    /// The queue is full.
    QueueFull = "queue_full",
    /// The server has too much to do at once.
    Overloaded = "overloaded",
    /// The job is over, so that it cannot be changed any more.
    JobOver = "job_over",
    /// Something of that name is there already.
    AlreadyExists = "already_exists",
    /// The job does not wait for a person, or not with this step.
    JobNotWaiting = "job_not_waiting",
    /// The question was answered before, otherwise.
    AlreadyAnswered = "already_answered",
    /// Only a job that failed or was cancelled can be run again.
    JobNotFailed = "job_not_failed",
    /// The server is stopping.
    Draining = "draining",
    /// Whoever waits for a job is answered before it is over.
    StillRunning = "still_running",
    /// The store cannot answer.
    StoreUnavailable = "store_unavailable",
    /// A mistake of ours.
    Internal = "internal",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Code {
    type Err = UnknownCode;
    fn from_str(word: &str) -> Result<Self, UnknownCode> {
        Self::ALL.iter().copied().find(|c| c.as_str() == word).ok_or_else(|| UnknownCode(word.to_owned()))
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        // A job that failed under a newer release must still be readable by this one.
        Ok(word.parse().unwrap_or(Self::Internal))
    }
}
