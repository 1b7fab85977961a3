//! Other APIs' shapes over the same job. A facade never invents state: it renders the job.

pub(crate) mod amp;
pub(crate) mod chat;
pub(crate) mod openai;
pub(crate) mod systems;
pub(crate) mod tasks;

use std::sync::Arc;

use qd_types::{Code, Input, Job, JobStatus, TenantId};

use crate::context::Context;
use crate::crews::{CrewBookError, Published};
use crate::problem::{FieldError, Problem};
use crate::submit::Submission;

/// The crew that facades without a crew's name execute, as a tenant has it.
async fn default_crew(tenant: &TenantId, context: &Context) -> Result<Arc<Published>, Problem> {
    let name = &context.options.default_crew;
    let unavailable = |detail: String| Problem::new(Code::CrewUnavailable, detail);
    match context.crews.newest(tenant, name).await {
        Ok(Some(crew)) => Ok(crew),
        Ok(None) => Err(unavailable(format!(
            "the default crew `{name}` is not published; publish it, or set `default_crew` to one that is"
        ))),
        Err(CrewBookError::Unusable(why)) => Err(unavailable(why.to_string())),
        Err(CrewBookError::Store(error)) => Err(CrewBookError::Store(error).into()),
    }
}

/// A job of that crew with a text for its input, as its defaults have it.
async fn asked_of_default_crew(
    tenant: &TenantId,
    context: &Context,
    field: &'static str,
    text: String,
) -> Result<Submission, Problem> {
    let crew = default_crew(tenant, context).await?;
    let input = text_input(&crew, field, text, ChosenBy::Configuration)?;
    Ok(Submission::of(crew, input))
}

/// Who is to choose another crew where one cannot be asked with a text.
#[derive(Debug, Clone, Copy)]
enum ChosenBy {
    Configuration,
    /// This field of the request.
    Field(&'static str),
}

impl ChosenBy {
    fn problem(self, detail: String) -> Problem {
        match self {
            Self::Configuration => Problem::new(Code::CrewUnavailable, detail),
            Self::Field(field) => Problem::of_fields(vec![FieldError {
                path: format!("/{field}"),
                code: Code::ValidationFailed,
                message: detail,
            }]),
        }
    }
}

/// An input that carries a text, checked.
fn text_input(
    crew: &Published,
    field: &'static str,
    text: String,
    chosen: ChosenBy,
) -> Result<Input, Problem> {
    let name = crew.plan.name();
    let Some((last, others)) = crew.text_variables.split_last() else {
        let detail = format!(
            "crew `{name}` has no place for a text: give it the variable `message`, or exactly one \
             variable that needs a value"
        );
        return Err(chosen.problem(detail));
    };
    let mut input = Input::new();
    for other in others {
        input.insert(other.clone(), text.clone().into());
    }
    input.insert(last.clone(), text.into());
    let Err(problems) = crew.plan.check_input(&input) else { return Ok(input) };
    let (of_text, of_crew): (Vec<_>, Vec<_>) =
        problems.into_iter().partition(|problem| crew.text_variables.contains(&problem.variable));
    if let Some(problem) = of_crew.first() {
        let detail = format!(
            "crew `{name}` needs more than a text: variable `{}`: {}; give it a default in the crew",
            problem.variable, problem.message
        );
        return Err(chosen.problem(detail));
    }
    let of_field = |problem: qd_crew::InputProblem| FieldError {
        path: format!("/{field}"),
        code: Code::ValidationFailed,
        message: problem.message,
    };
    Err(Problem::of_fields(of_text.into_iter().map(of_field).collect()))
}

/// Why a job did not succeed; nothing while it may still.
fn error_text(job: &Job) -> Option<&str> {
    match job.status {
        JobStatus::Failed => {
            Some(job.error.as_ref().map_or("the job failed", |failure| failure.message.as_str()))
        }
        JobStatus::Cancelled => Some("the job was cancelled"),
        JobStatus::Scheduled
        | JobStatus::Queued
        | JobStatus::Running
        | JobStatus::Retrying
        | JobStatus::Waiting
        | JobStatus::Succeeded => None,
    }
}
