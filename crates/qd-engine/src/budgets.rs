//! What may be spent, and what happens to a call that does not fit.

use std::collections::BTreeMap;

use qd_types::{CrewName, Job, NanoDollars};

/// Budgets. Without any, nothing is reserved and no call is held up.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Budgets {
    /// Of all crews of a tenant together, each day (UTC).
    pub tenant_day: Option<NanoDollars>,
    /// Of one job that has none of its own, whatever its crew.
    pub job: Option<NanoDollars>,
    /// By crew.
    pub crews: BTreeMap<String, CrewBudget>,
    /// What becomes of a call that does not fit.
    pub on_exceeded: OnExceeded,
    /// The model that is asked instead, for [`OnExceeded::Degrade`]: an alias or `provider/model`.
    pub degrade_to: Option<String>,
    /// What becomes of a call whose price is not known.
    pub unknown_price: UnknownPrice,
}

/// What the jobs of one crew may spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CrewBudget {
    /// All of them together, each day (UTC).
    pub day: Option<NanoDollars>,
    /// Each one that has none of its own.
    pub job: Option<NanoDollars>,
}

/// What becomes of a call that may cost more than is left of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnExceeded {
    /// Its job fails.
    #[default]
    Fail,
    /// Its job waits until the day is over or the budget was raised, without a try burnt. A job whose own budget is used up
    /// fails: no time heals that.
    Wait,
    /// A cheaper model is asked; if that does not fit either, the job fails.
    Degrade,
}

impl OnExceeded {
    /// The word used in the configuration and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Wait => "wait",
            Self::Degrade => "degrade",
        }
    }
}

/// What becomes of a call whose price is not known, where a budget applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownPrice {
    /// It counts as free; that is told once for each model.
    #[default]
    Warn,
    /// It does not fit.
    Deny,
}

impl Budgets {
    /// What a job may spend over its whole life.
    pub(crate) fn of_job(&self, job: &Job) -> Option<NanoDollars> {
        job.budget.or_else(|| self.of_crew(&job.crew).job).or(self.job)
    }

    /// What the jobs of a crew may spend.
    pub(crate) fn of_crew(&self, crew: &CrewName) -> CrewBudget {
        self.crews.get(crew.as_str()).copied().unwrap_or_default()
    }
}
