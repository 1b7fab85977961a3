//! What crews used and spent, by day.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use qd_store::{DayUsage, UsageQuery};
use qd_types::{Code, CrewName, Day, NanoDollars, Usage};
use serde::Serialize;

use super::json;
use crate::access::Caller;
use crate::context::Shared;
use crate::openapi::{Answer, Operation, Schema};
use crate::problem::{Problem, shown};
use crate::query::Parameters;
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
    parameters: Parameters,
) -> Result<Response, Problem> {
    let query = read(parameters, context.env.now().day())?;
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

/// Reads the parameters.
fn read(mut parameters: Parameters, today: Day) -> Result<UsageQuery, Problem> {
    let day = |value: &str| value.parse::<Day>().map_err(|wrong| format!("`{}` {wrong}", shown(value)));
    let crew = parameters.read("crew", CrewName::parse);
    let from = parameters.read("from", day);
    let to = parameters.read("to", day).unwrap_or(today);
    let from = from.unwrap_or(Day(to.0 - DAYS_DEFAULT + 1));
    if from > to {
        parameters.error("from", format!("{from} is after the last day, {to}"));
    } else if to.0 - from.0 >= DAYS_MAX {
        let days = to.0 - from.0;
        parameters.error(
            "from",
            format!("{from} is {days} days before {to}; at most {DAYS_MAX} days are answered"),
        );
    }
    parameters.finish()?;
    // One more than may be tells whether there are too many.
    Ok(UsageQuery { crew, from, to, limit: ROWS_MAX + 1 })
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
