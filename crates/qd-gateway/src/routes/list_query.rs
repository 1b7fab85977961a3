//! The query of `GET /v1/jobs`.

use qd_store::{Cursor, JobQuery};
use qd_types::{CrewName, JobStatus};

use crate::openapi::{Operation, Schema};
use crate::problem::Problem;
use crate::query::Parameters;
use crate::view::time;

/// Size of a page that asks for none.
const LIMIT_DEFAULT: usize = 50;
/// Largest page.
const LIMIT_MAX: usize = 500;

/// Reads the parameters.
pub(crate) fn read(mut parameters: Parameters) -> Result<JobQuery, Problem> {
    let query = JobQuery {
        status: parameters.word("status", "status", &JobStatus::ALL.map(|status| (status.as_str(), status))),
        crew: parameters.read("crew", CrewName::parse),
        created_after: parameters.read("created_after", time::parse),
        created_before: parameters.read("created_before", time::parse),
        limit: limit(&mut parameters),
        cursor: parameters.read("cursor", str::parse::<Cursor>),
    };
    parameters.finish()?;
    Ok(query)
}

/// The size of a page.
pub(crate) fn limit(parameters: &mut Parameters) -> usize {
    parameters.whole("limit", 1, LIMIT_MAX).unwrap_or(LIMIT_DEFAULT)
}

/// The same for the document.
pub(crate) fn limit_schema() -> Schema {
    Schema::whole(1, LIMIT_MAX as i64).by_default(LIMIT_DEFAULT)
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
