//! Whose fault a failed job is: what error budgets are counted by. Only `platform` is ours.

use qd_types::Code;

/// Whose fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing failed.
    None,
    /// The request or the crew asked for what cannot be had.
    User,
    /// A model or its provider.
    Model,
    /// A tool.
    Tool,
    /// Ours.
    Platform,
}

impl Fault {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::None, Self::User, Self::Model, Self::Tool, Self::Platform];

    /// The word in labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::User => "user",
            Self::Model => "model",
            Self::Tool => "tool",
            Self::Platform => "platform",
        }
    }
}

/// Whose fault a failure with this code is.
///
/// A job that ran out of running time has spent it waiting for models, almost always; one that expired was not served
/// in time, whatever the reason.
#[must_use]
pub fn fault(code: Code) -> Fault {
    match code {
        Code::ModelUnreachable
        | Code::ModelTimeout
        | Code::ModelServerError
        | Code::ModelOverloaded
        | Code::ModelCircuitOpen
        | Code::ModelBusy
        | Code::ModelRateLimited
        | Code::ModelQuota
        | Code::ModelAuth
        | Code::ModelPermission
        | Code::ModelNotFound
        | Code::ModelInvalidRequest
        | Code::ModelBadOutput
        | Code::ModelStreamInterrupted
        | Code::EmptyAnswer
        | Code::RepeatedToolCalls
        | Code::NoOutput
        | Code::TaskTimeout
        | Code::JobTimeout
        | Code::StillRunning => Fault::Model,
        Code::TooManyToolCalls | Code::ToolOutcomeUnknown => Fault::Tool,
        Code::ContextLength
        | Code::ContentFilter
        | Code::TooManyModelCalls
        | Code::TooManyTokens
        | Code::BudgetExceeded
        | Code::MaxRpmReached
        | Code::HumanInputExpired
        | Code::HumanInputRejected
        | Code::JobCancelled
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
        | Code::CrewConfigured
        | Code::PreconditionFailed
        | Code::NotFound
        | Code::MethodNotAllowed
        | Code::IdempotencyConflict
        | Code::EventsPruned
        | Code::JobOver
        | Code::AlreadyExists
        | Code::JobNotWaiting
        | Code::AlreadyAnswered
        | Code::JobNotFailed => Fault::User,
        Code::JobExpired
        | Code::WorkerPanic
        | Code::WorkerCrashed
        | Code::CrewUnavailable
        | Code::RequestTimeout
        | Code::QueueFull
        | Code::Overloaded
        | Code::Draining
        | Code::StoreUnavailable
        | Code::Internal => Fault::Platform,
    }
}
