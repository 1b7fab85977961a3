//! Why a call failed, in the two words that decide what happens next: code and class.
//!
//! What a provider's answer means is found out in `wires`; here stands only what each kind of failure amounts to.

use std::sync::Arc;
use std::time::Duration;

use qd_types::{Billed, Class, Code, Failure};

use crate::SeenLimits;

/// A call that gave no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message} ({code})")]
pub struct CallError {
    /// What to tell the user.
    pub code: Code,
    /// What to do.
    pub class: Class,
    /// For people: names the provider and says why.
    pub message: String,
    /// How long the provider asked to wait.
    pub retry_after: Option<Duration>,
    /// Whether the provider may charge for it.
    pub billed: Billed,
    /// HTTP status of the answer, if there was one.
    pub status: Option<u16>,
    /// The provider's id of the request, for its support.
    pub request_id: Option<String>,
    /// By how much the request was too long, if it was and the provider says so.
    pub oversize: Option<Oversize>,
    /// What the provider said of its limits with it; in a box, for most errors have none and all are moved about.
    pub limits: Box<SeenLimits>,
    /// Which deployment failed: see [`crate::Answer::deployment`].
    pub deployment: Option<Arc<str>>,
}

impl CallError {
    /// As it is stored and shown.
    #[must_use]
    pub fn into_failure(self) -> Failure {
        let mut failure = Failure::new(self.code, self.class, self.message);
        failure.retry_after_ms =
            self.retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX));
        failure.window_tokens = self.oversize.and_then(|oversize| oversize.limit);
        failure
    }

    /// Whether a call was made at all; if not, a guard of ours refused it and no try was spent.
    #[must_use]
    pub fn was_made(&self) -> bool {
        Blame::of(self.code) != Blame::Guard
    }

    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { billed: kind.billed(), ..Self::not_made(kind.code(), kind.class(), message) }
    }

    /// For a call that a guard kept from being made.
    #[must_use]
    pub fn not_made(code: Code, class: Class, message: impl Into<String>) -> Self {
        Self {
            code,
            class,
            message: message.into(),
            retry_after: None,
            billed: Billed::No,
            status: None,
            request_id: None,
            oversize: None,
            limits: Box::default(),
            deployment: None,
        }
    }

    pub(crate) fn billed(mut self, billed: Billed) -> Self {
        self.billed = billed;
        self
    }
}

/// Numbers of tokens of a request that was too long, as the provider counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Oversize {
    /// What it allows: the model's window, or a minute's tokens where those are fewer.
    pub limit: Option<u32>,
    /// What the request took: its prompt and, with most, the most that its answer may have. Some stop counting beyond
    /// the limit, so it may be more.
    pub got: Option<u32>,
}

/// What kept a call from its answer, as far as others can do better: for breakers and fallbacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The provider does not work.
    Provider,
    /// Its money or day limit is reached.
    Quota,
    /// Its rate limit is reached.
    RateLimit,
    /// The key or the name of the model.
    Access,
    /// The size of the model's window.
    Window,
    /// An answer that is of no use.
    Answer,
    /// What was asked; nobody would answer it.
    Request,
    /// A guard of ours: the call was not made.
    Guard,
    /// No provider: the job ended, or it was no call at all.
    NoCall,
}

impl Blame {
    /// Whether another model may do better: not if the request itself is refused, or nobody wants the answer any more.
    #[must_use]
    pub fn may_fall_back(self) -> bool {
        match self {
            Self::Provider | Self::Quota | Self::RateLimit | Self::Access | Self::Window | Self::Answer => {
                true
            }
            Self::Request | Self::Guard | Self::NoCall => false,
        }
    }

    /// What a code of a failed call puts the blame on. The one place where that is decided.
    #[must_use]
    pub fn of(code: Code) -> Self {
        match code {
            Code::ModelUnreachable
            | Code::ModelTimeout
            | Code::ModelServerError
            | Code::ModelOverloaded
            | Code::ModelStreamInterrupted => Self::Provider,
            Code::ModelQuota => Self::Quota,
            Code::ModelRateLimited => Self::RateLimit,
            Code::ModelAuth | Code::ModelPermission | Code::ModelNotFound => Self::Access,
            Code::ContextLength => Self::Window,
            Code::ModelBadOutput => Self::Answer,
            Code::ContentFilter | Code::ModelInvalidRequest => Self::Request,
            Code::ModelCircuitOpen | Code::ModelBusy => Self::Guard,
            Code::EmptyAnswer
            | Code::RepeatedToolCalls
            | Code::NoOutput
            | Code::TooManyModelCalls
            | Code::TooManyToolCalls
            | Code::TooManyTokens
            | Code::BudgetExceeded
            | Code::MaxRpmReached
            | Code::TaskTimeout
            | Code::JobTimeout
            | Code::JobExpired
            | Code::JobCancelled
            | Code::WorkerPanic
            | Code::WorkerCrashed
            | Code::CrewUnavailable
            | Code::InvalidRequest
            | Code::ValidationFailed
            | Code::InvalidCrew
            | Code::NotSupported
            | Code::UnsupportedMediaType
            | Code::PayloadTooLarge
            | Code::UnknownCrew
            | Code::Unauthorized
            | Code::Forbidden
            | Code::RateLimited
            | Code::QuotaExceeded
            | Code::KeyOver
            | Code::ToolOutcomeUnknown
            | Code::CrewConfigured
            | Code::PreconditionFailed
            | Code::NotFound
            | Code::MethodNotAllowed
            | Code::IdempotencyConflict
            | Code::RequestTimeout
            | Code::EventsPruned
            | Code::QueueFull
            | Code::Overloaded
            | Code::JobOver
            | Code::AlreadyExists
            | Code::HumanInputExpired
            | Code::HumanInputRejected
            | Code::JobNotWaiting
            | Code::AlreadyAnswered
            | Code::JobNotFailed
            | Code::Draining
            | Code::StillRunning
            | Code::StoreUnavailable
            | Code::Internal => Self::NoCall,
        }
    }
}

/// What went wrong, finer than [`Code`] where the same code calls for different acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No connection; nothing was sent.
    Unreachable,
    /// Sent, and no answer in time.
    Timeout,
    /// The caller's own deadline came first.
    OutOfTime,
    /// The provider had an error.
    ServerError,
    /// Something between us and the provider had an error: the provider may have done the work.
    GatewayError,
    Overloaded,
    RateLimited,
    Quota,
    Auth,
    Permission,
    ModelNotFound,
    ContextLength,
    /// The prompt was refused.
    PromptRefused,
    /// The answer was refused or withdrawn.
    AnswerRefused,
    InvalidRequest,
    /// An answer that is none; another try may give one.
    BadOutput,
    /// An answer that is none, and the next would be none either.
    HopelessOutput,
    StreamInterrupted,
    /// Not made: the breaker is open.
    CircuitOpen,
    /// Not made: too many calls are under way.
    Busy,
    Cancelled,
}

impl Kind {
    pub(crate) fn code(self) -> Code {
        match self {
            Self::Unreachable => Code::ModelUnreachable,
            Self::Timeout => Code::ModelTimeout,
            Self::OutOfTime => Code::JobTimeout,
            Self::ServerError | Self::GatewayError => Code::ModelServerError,
            Self::Overloaded => Code::ModelOverloaded,
            Self::RateLimited => Code::ModelRateLimited,
            Self::Quota => Code::ModelQuota,
            Self::Auth => Code::ModelAuth,
            Self::Permission => Code::ModelPermission,
            Self::ModelNotFound => Code::ModelNotFound,
            Self::ContextLength => Code::ContextLength,
            Self::PromptRefused | Self::AnswerRefused => Code::ContentFilter,
            Self::InvalidRequest => Code::ModelInvalidRequest,
            Self::BadOutput | Self::HopelessOutput => Code::ModelBadOutput,
            Self::StreamInterrupted => Code::ModelStreamInterrupted,
            Self::CircuitOpen => Code::ModelCircuitOpen,
            Self::Busy => Code::ModelBusy,
            Self::Cancelled => Code::JobCancelled,
        }
    }

    fn class(self) -> Class {
        match self {
            Self::Unreachable
            | Self::Timeout
            | Self::ServerError
            | Self::GatewayError
            | Self::BadOutput
            | Self::StreamInterrupted => Class::Transient,
            Self::Overloaded | Self::CircuitOpen | Self::Busy => Class::Overloaded,
            Self::RateLimited => Class::RateLimited,
            Self::Quota => Class::Quota,
            Self::OutOfTime => Class::Exhausted,
            Self::Auth
            | Self::Permission
            | Self::ModelNotFound
            | Self::ContextLength
            | Self::PromptRefused
            | Self::AnswerRefused
            | Self::InvalidRequest
            | Self::HopelessOutput => Class::Permanent,
            Self::Cancelled => Class::Cancelled,
        }
    }

    fn billed(self) -> Billed {
        match self {
            Self::Unreachable
            | Self::CircuitOpen
            | Self::Busy
            | Self::ServerError
            | Self::Overloaded
            | Self::RateLimited
            | Self::Quota
            | Self::Auth
            | Self::Permission
            | Self::ModelNotFound
            | Self::ContextLength
            | Self::PromptRefused
            | Self::InvalidRequest => Billed::No,
            Self::Timeout
            | Self::OutOfTime
            | Self::GatewayError
            | Self::StreamInterrupted
            | Self::Cancelled => Billed::Possibly,
            Self::AnswerRefused | Self::BadOutput | Self::HopelessOutput => Billed::Yes,
        }
    }
}
