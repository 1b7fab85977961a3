//! What a simulated provider says when it turns a request away, and what its limits leave: the facts, which each wire
//! words in its own way.

use std::time::Duration;

use qd_types::Timestamp;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) why: Why,
    /// The model that was asked.
    pub(crate) model: String,
    pub(crate) retry_after: Option<Duration>,
}

/// The reason behind the status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    /// Whatever the status stands for, with this message.
    Said(String),
    /// A limit has not enough left for this request.
    Exceeded { measure: Measure, limit: u64, used: u64, requested: u64 },
    /// The request alone is larger than the limit: no wait helps.
    TooLarge { measure: Measure, limit: u64, requested: u64 },
    /// All places are taken, and so are those to wait for one.
    Overloaded,
    /// Requests grow too fast.
    Ramp,
    /// The money is spent: no wait helps.
    Spend,
    /// The prompt does not fit the model's window.
    Window { limit: u64, got: u64 },
}

impl Refusal {
    /// What stands behind the status.
    pub(crate) fn of(status: u16, why: Why, model: &str) -> Self {
        Self { status, why, model: model.to_owned(), retry_after: None }
    }

    /// A status with a message of its own.
    pub(crate) fn said(status: u16, message: impl Into<String>) -> Self {
        Self { status, why: Why::Said(message.into()), model: String::new(), retry_after: None }
    }
}

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measure {
    Requests,
    DailyRequests,
    InputTokens,
    OutputTokens,
    /// Input and output together.
    Tokens,
}

impl Measure {
    pub(crate) fn counts_tokens(self) -> bool {
        match self {
            Self::Requests | Self::DailyRequests => false,
            Self::InputTokens | Self::OutputTokens | Self::Tokens => true,
        }
    }
}

/// What one limit leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gauge {
    pub(crate) measure: Measure,
    pub(crate) limit: u64,
    pub(crate) remaining: u64,
    /// Until it is whole again.
    pub(crate) reset: Duration,
}

/// What all limits of a key and a model leave at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) now: Timestamp,
    pub(crate) gauges: Vec<Gauge>,
}

impl Standing {
    /// The gauge that leaves least among some, the one that takes longest to be whole among equals.
    pub(crate) fn tightest(&self, is_meant: impl Fn(Measure) -> bool) -> Option<Gauge> {
        let meant = self.gauges.iter().filter(|gauge| is_meant(gauge.measure));
        meant.copied().min_by_key(|gauge| (gauge.remaining, std::cmp::Reverse(gauge.reset)))
    }

    pub(crate) fn of(&self, measure: Measure) -> Option<Gauge> {
        self.tightest(|own| own == measure)
    }
}
