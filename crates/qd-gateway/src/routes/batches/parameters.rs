//! What all jobs of a batch have in common, from a JSON body or from a query.

use std::collections::BTreeMap;
use std::sync::Arc;

use qd_types::{Input, NanoDollars, Priority, TenantId};
use serde_json::Value;

use super::super::new_job::{
    self, MAX_ATTEMPTS_MAX, PRIORITY_MAX, TIMEOUT_SECONDS_MAX, budget_schema, metadata_schema,
    priority_schema, webhook_schema,
};
use crate::body::Fields;
use crate::context::Context;
use crate::crews::Published;
use crate::openapi::{Operation, Schema};
use crate::options::{BatchBounds, Options};
use crate::problem::Problem;
use crate::routes::list_query;

/// Most jobs of one batch at once: a batch is cancelled with them in one transaction.
const CONCURRENCY_MAX: i64 = 1_000;
/// Jobs at once of a batch that does not say.
const CONCURRENCY_DEFAULT: u32 = 32;

/// See the module.
pub(super) struct Template {
    pub(super) crew: Arc<Published>,
    pub(super) priority: Priority,
    pub(super) concurrency: u32,
    pub(super) timeout_seconds: u32,
    pub(super) max_attempts: u32,
    pub(super) budget: Option<NanoDollars>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) webhook_url: Option<String>,
}

/// Reads the fields; mistakes are noted there, and without a crew there is one.
pub(super) async fn read(
    fields: &mut Fields,
    tenant: &TenantId,
    context: &Context,
) -> Result<Option<Template>, Problem> {
    let options = &context.options;
    let crew_name = fields.required_text("crew");
    let mut whole = |name, most| fields.integer(name, 1, most).and_then(|n| u32::try_from(n).ok());
    let concurrency = whole("concurrency", CONCURRENCY_MAX).unwrap_or(CONCURRENCY_DEFAULT);
    let timeout_seconds = whole("timeout_seconds", TIMEOUT_SECONDS_MAX);
    let max_attempts = whole("max_attempts", MAX_ATTEMPTS_MAX);
    let priority = fields.integer("priority", 1, PRIORITY_MAX);
    let budget = fields.dollars("budget_usd");
    let metadata = new_job::metadata(fields);
    let webhook_url = new_job::webhook_url(fields, context);
    let crew = match crew_name {
        Some(name) => new_job::find_crew(fields, &name, tenant, context).await?,
        None => None,
    };
    Ok(crew.map(|crew| Template {
        crew,
        priority: priority.and_then(|level| Priority::new(level).ok()).unwrap_or_default(),
        concurrency,
        timeout_seconds: timeout_seconds.unwrap_or(options.default_timeout_seconds),
        max_attempts: max_attempts.unwrap_or(options.default_max_attempts),
        budget,
        metadata,
        webhook_url,
    }))
}

/// A parameter of a query as it would stand in JSON.
pub(super) fn typed(name: &str, value: &str) -> Value {
    let is_number = matches!(name, "priority" | "concurrency" | "timeout_seconds" | "max_attempts");
    match value.parse::<i64>() {
        Ok(number) if is_number => number.into(),
        Ok(_) | Err(_) => value.into(),
    }
}

fn concurrency_schema() -> Schema {
    Schema::whole(1, CONCURRENCY_MAX)
        .by_default(CONCURRENCY_DEFAULT)
        .about("Most jobs of it at once that are not over.")
}

fn timeout_schema() -> Schema {
    Schema::whole(1, TIMEOUT_SECONDS_MAX)
        .by_default(Options::default().default_timeout_seconds)
        .about("Longest running time of each job.")
}

fn attempts_schema() -> Schema {
    Schema::whole(1, MAX_ATTEMPTS_MAX)
        .by_default(Options::default().default_max_attempts)
        .about("Most tries of one step.")
}

/// The query of an upload of lines.
pub(super) fn describe(operation: Operation) -> Operation {
    let of_lines = |what: &str| format!("Only with lines. {what}");
    operation
        .query("crew", &of_lines("Name of a published crew."), Schema::name())
        .query("priority", &of_lines("How urgent its jobs are that say nothing else."), priority_schema())
        .query("concurrency", &of_lines("Most jobs at once."), concurrency_schema())
        .query("timeout_seconds", &of_lines("Longest running time of each job."), timeout_schema())
        .query("max_attempts", &of_lines("Most tries of one step."), attempts_schema())
        .query("budget_usd", &of_lines("The most that the calls of each job may cost."), budget_schema())
        .query("webhook_url", &of_lines("Who is told of the batch's end."), webhook_schema())
        .query("metadata.KEY", &of_lines("A label, under any key."), Schema::text())
}

/// What the document says of bodies and lists.
pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let bounds = BatchBounds::default();
    let inside = Schema::object()
        .field("input", Schema::object().about("Values for the crew's variables."))
        .may("priority", priority_schema())
        .may("metadata", metadata_schema())
        .closed();
    let values =
        Schema::object().about("Values for the crew's variables.").example(Value::Object(Input::new()));
    let input = Schema::any()
        .with("anyOf", vec![inside.into_value(), values.into_value()])
        .about("The values alone, or under `input` with what the job is to have of its own.");
    let about = "What to execute for which inputs. Priority, bounds and budget are those of each job.";
    let body = Schema::object()
        .about(about)
        .field("crew", Schema::name().pattern(r"\S").about("Name of a published crew.").example("research"))
        .field(
            "inputs",
            Schema::list(Schema::named("BatchInput"))
                .with("minItems", 1)
                .with("maxItems", bounds.json_items_max),
        )
        .may("priority", priority_schema())
        .may("concurrency", concurrency_schema())
        .may("timeout_seconds", timeout_schema())
        .may("max_attempts", attempts_schema())
        .may("budget_usd", budget_schema())
        .may("webhook_url", webhook_schema())
        .may("metadata", metadata_schema())
        .closed();
    let list = Schema::object()
        .about("A page of batches.")
        .field("batches", Schema::list(Schema::named("Batch")))
        .field(
            "next_cursor",
            list_query::cursor_schema().nullable().about("Of the next page; null at the end."),
        );
    vec![("NewBatch", body), ("BatchInput", input), ("BatchList", list)]
}
