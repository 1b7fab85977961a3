//! The query of `GET /v1/jobs`.

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use qd_store::{Cursor, JobQuery};
use qd_types::{Code, CrewName, JobStatus};

use crate::body::pointer;
use crate::openapi::{Operation, Schema};
use crate::problem::{FieldError, Problem, shown};
use crate::view::time;

/// Size of a page that asks for none.
pub(crate) const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 500;
/// Parameters of one query that are read.
const PARAMETERS_MAX: usize = 32;

/// The query of an address, if it can be read.
pub(crate) type Parameters = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// Reads the parameters; paths in errors are their names after a slash.
pub(crate) fn read(parameters: Vec<(String, String)>) -> Result<JobQuery, Problem> {
    let mut query = JobQuery { limit: LIMIT_DEFAULT, ..JobQuery::default() };
    let mut errors = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for (name, value) in &parameters {
        let taken = if seen.contains(&name.as_str()) {
            Err("stands more than once; give it one value".to_owned())
        } else {
            take(&mut query, name, value)
        };
        seen.push(name);
        if let Err(message) = taken {
            errors.push(FieldError { path: pointer("", name), code: Code::ValidationFailed, message });
        }
        // Thousands of parameters are no honest query.
        if seen.len() > PARAMETERS_MAX {
            break;
        }
    }
    if errors.is_empty() { Ok(query) } else { Err(Problem::of_fields(errors)) }
}

fn take(query: &mut JobQuery, name: &str, value: &str) -> Result<(), String> {
    match name {
        "status" => query.status = Some(value.parse::<JobStatus>().map_err(|_| unknown_status(value))?),
        "crew" => query.crew = Some(CrewName::parse(value).map_err(|wrong| wrong.to_string())?),
        "created_after" => query.created_after = Some(time::parse(value)?),
        "created_before" => query.created_before = Some(time::parse(value)?),
        "cursor" => query.cursor = Some(value.parse::<Cursor>().map_err(|wrong| wrong.to_string())?),
        "limit" => query.limit = limit(value)?,
        _ => {
            return Err(
                "is no parameter of this list; it takes status, crew, created_after, created_before, \
                        limit, cursor"
                    .to_owned(),
            );
        }
    }
    Ok(())
}

/// Reads the parameters of another list, one by one; `take` says what is wrong with one.
pub(crate) fn each(
    parameters: Parameters,
    mut take: impl FnMut(&str, &str) -> Result<(), String>,
) -> Result<(), Problem> {
    let Query(parameters) = parameters
        .map_err(|_| Problem::new(Code::InvalidRequest, "the query of the address cannot be read"))?;
    let mut errors = Vec::new();
    for (n, (name, value)) in parameters.iter().enumerate().take(PARAMETERS_MAX) {
        let taken = if parameters[..n].iter().any(|(known, _)| known == name) {
            Err("stands more than once; give it one value".to_owned())
        } else {
            take(name, value)
        };
        if let Err(message) = taken {
            errors.push(FieldError { path: pointer("", name), code: Code::ValidationFailed, message });
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Problem::of_fields(errors)) }
}

/// The size of a page.
pub(crate) fn limit(value: &str) -> Result<usize, String> {
    let limit = value.parse().ok().filter(|n| (1..=LIMIT_MAX).contains(n));
    limit.ok_or_else(|| format!("`{}` is not a whole number between 1 and {LIMIT_MAX}", shown(value)))
}

/// The same for the document.
pub(crate) fn limit_schema() -> Schema {
    Schema::whole(1, LIMIT_MAX as i64).by_default(LIMIT_DEFAULT)
}

fn unknown_status(value: &str) -> String {
    let known = JobStatus::ALL.map(JobStatus::as_str).join(", ");
    format!("`{}` is no status; there are {known}", shown(value))
}

/// The parameters as the document has them.
pub(crate) fn describe(operation: Operation) -> Operation {
    operation
        .query("status", "Only jobs that stand there.", Schema::named("JobStatus"))
        .query("crew", "Only jobs of this crew.", Schema::name())
        .query("created_after", "Only jobs accepted after this.", Schema::moment())
        .query("created_before", "Only jobs accepted before this.", Schema::moment())
        .query("limit", "Most jobs of the page.", limit_schema())
        .query("cursor", "Where the page before ended: its `next_cursor`.", cursor_schema())
}

/// A place in a list.
pub(crate) fn cursor_schema() -> Schema {
    Schema::text().pattern("^c[0-9a-f]{1,15}$")
}
