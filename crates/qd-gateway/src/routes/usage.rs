//! What crews used and spent, by day.

use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use qd_store::{DayUsage, UsageQuery};
use qd_types::{Code, CrewName, Day, NanoDollars, Usage};
use serde::Serialize;

use super::json;
use crate::access::Caller;
use crate::body::pointer;
use crate::context::Shared;
use crate::openapi::{Answer, Operation, Schema};
use crate::problem::{FieldError, Problem, shown};
use crate::view::totals::{self, Totals, TotalsView};

/// Days of an answer that were not asked for otherwise: a week.
const DAYS_DEFAULT: i32 = 7;
/// Most days of an answer; older ones are not kept.
const DAYS_MAX: i32 = 400;
/// Most rows of an answer.
const ROWS_MAX: usize = 10_000;

#[derive(Serialize)]
struct UsagesView {
    from: String,
    to: String,
    days: Vec<DayView>,
    total: TotalsView,
}

#[derive(Serialize)]
struct DayView {
    day: String,
    crew: String,
    #[serde(flatten)]
    sum: TotalsView,
}

/// `GET /v1/usage`.
pub(crate) async fn usage(
    State(context): State<Shared>,
    caller: Caller,
    parameters: Result<Query<Vec<(String, String)>>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(parameters) = parameters
        .map_err(|_| Problem::new(Code::InvalidRequest, "the query of the address cannot be read"))?;
    let query = read(&parameters, context.env.now().day()).map_err(Problem::of_fields)?;
    let (from, to) = (query.from, query.to);
    let rows = context.store.usage(&caller.tenant, query).await?;
    if rows.len() > ROWS_MAX {
        let detail =
            format!("the answer would have more than {ROWS_MAX} rows; ask for fewer days or for one crew");
        return Err(Problem::new(Code::ValidationFailed, detail));
    }
    Ok(json(StatusCode::OK, &view(from, to, rows)))
}

fn view(from: Day, to: Day, rows: Vec<DayUsage>) -> UsagesView {
    let mut total = Totals::default();
    let sum_of = |usage: Usage, cost: NanoDollars, possible: NanoDollars| {
        let mut sum = Totals::default();
        sum.add(usage, cost, possible);
        sum.view()
    };
    let days = rows
        .into_iter()
        .map(|row| {
            total.add(row.usage, row.cost, row.possible);
            let sum = sum_of(row.usage, row.cost, row.possible);
            DayView { day: row.day.to_string(), crew: row.crew.to_string(), sum }
        })
        .collect();
    UsagesView { from: from.to_string(), to: to.to_string(), days, total: total.view() }
}

/// Reads the parameters; paths in errors are their names after a slash.
fn read(parameters: &[(String, String)], today: Day) -> Result<UsageQuery, Vec<FieldError>> {
    let (mut crew, mut from, mut to) = (None, None, None);
    let mut errors = Vec::new();
    let mut wrong = |name: &str, message: String| {
        errors.push(FieldError { path: pointer("", name), code: Code::ValidationFailed, message });
    };
    for (n, (name, value)) in parameters.iter().enumerate().take(32) {
        let day = || value.parse::<Day>().map_err(|wrong| format!("`{}` {wrong}", shown(value)));
        let taken = match name.as_str() {
            _ if parameters[..n].iter().any(|(known, _)| known == name) => {
                Err("stands more than once; give it one value".to_owned())
            }
            "crew" => CrewName::parse(value).map(|name| crew = Some(name)).map_err(|wrong| wrong.to_string()),
            "from" => day().map(|day| from = Some(day)),
            "to" => day().map(|day| to = Some(day)),
            _ => Err("is no parameter of this list; it takes crew, from, to".to_owned()),
        };
        if let Err(message) = taken {
            wrong(name, message);
        }
    }
    let to = to.unwrap_or(today);
    let from = from.unwrap_or(Day(to.0 - DAYS_DEFAULT + 1));
    if from > to {
        wrong("from", format!("{from} is after the last day, {to}"));
    } else if to.0 - from.0 >= DAYS_MAX {
        wrong(
            "from",
            format!("{from} is {} days before {to}; at most {DAYS_MAX} days are answered", to.0 - from.0),
        );
    }
    // One more than may be tells whether there are too many.
    if errors.is_empty() { Ok(UsageQuery { crew, from, to, limit: ROWS_MAX + 1 }) } else { Err(errors) }
}

pub(crate) fn about() -> Operation {
    Operation::new("server", "readUsage", "what crews used and spent, by day")
        .about("Days are those of UTC. A call counts for the day on which it was made.")
        .query("crew", "Only this crew.", Schema::name())
        .query("from", "The first day; six days before `to` without.", day_schema())
        .query("to", "The last day; today without.", day_schema())
        .answers(200, Answer::json("The sums, newest day first.", "UsageByDay"))
        .fails(&[Code::ValidationFailed, Code::InvalidRequest, Code::StoreUnavailable])
}

fn day_schema() -> Schema {
    Schema::text().format("date").example("2030-03-01")
}

pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let day = totals::fields(Schema::object().field("day", day_schema()).field("crew", Schema::text()));
    let sums = Schema::object()
        .about("What crews used and spent, by day.")
        .field("from", day_schema())
        .field("to", day_schema())
        .field("days", Schema::list(day))
        .field("total", totals::fields(Schema::object()));
    vec![("UsageByDay", sums)]
}
