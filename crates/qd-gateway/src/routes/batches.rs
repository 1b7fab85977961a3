//! Batches: many inputs for one crew, one progress, one end.

mod input;
mod intake;
mod parameters;
mod results;
mod upload;

use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::response::Response;
use http::request::Parts;
use http::{HeaderValue, Request, StatusCode, header};
use qd_store::{Batch, BatchCancelled, BatchQuery, BatchStatus, ItemQuery, ItemStatus};
use qd_types::{BatchId, Code, CrewName, TenantId};
use serde::Serialize;
use serde_json::json as value;

use super::{Name, json, list_query};
use crate::access::Caller;
use crate::body::are_lines;
use crate::context::{Context, Shared};
use crate::openapi::{Answer, Operation, Schema};
use crate::problem::Problem;
use crate::query::Parameters;
use crate::submit;
use crate::view::batch::{self, BatchView, InvalidInputView};
use intake::Accepted;

pub(crate) use parameters::schemas;
pub(crate) use results::{about_results, results};

/// Invalid inputs that the answer to a new batch tells of; the results tell of all.
const INVALID_TOLD: usize = 50;

/// The batch that the path names.
pub(crate) struct PathBatch(BatchId);

impl<S: Send + Sync> FromRequestParts<S> for PathBatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Name(text) = Name::from_request_parts(parts, state).await?;
        let id = Some(text.as_str()).filter(|text| text.len() == 36).and_then(BatchId::parse);
        id.map(Self).ok_or_else(|| unknown(&text))
    }
}

fn unknown(id: &str) -> Problem {
    Problem::not_found("batch", id)
}

#[derive(Serialize)]
struct MadeView<'a> {
    #[serde(flatten)]
    batch: BatchView<'a>,
    invalid_inputs: Vec<InvalidInputView<'a>>,
}

/// `POST /v1/batches`.
pub(crate) async fn create(
    State(context): State<Shared>,
    caller: Caller,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let key = submit::header_key(request.headers())?.map(str::to_owned);
    let accepted = if are_lines(request.headers()) {
        upload::take(&context, &caller.tenant, key.as_deref(), request).await?
    } else {
        intake::take(&context, &caller.tenant, key.as_deref(), request).await?
    };
    made_answer(&context, &caller.tenant, &accepted).await
}

async fn made_answer(context: &Context, tenant: &TenantId, accepted: &Accepted) -> Result<Response, Problem> {
    let batch = &accepted.batch;
    let mut invalid = Vec::new();
    if batch.counts.invalid > 0 {
        let query = ItemQuery { from: 0, status: Some(ItemStatus::Invalid), limit: INVALID_TOLD };
        let page = context.store.batch_items(tenant, batch.id, query).await?;
        invalid = page.unwrap_or_default().items;
    }
    let view = MadeView {
        batch: BatchView::from(&**batch),
        invalid_inputs: invalid.iter().map(InvalidInputView::from).collect(),
    };
    let mut response = json(StatusCode::ACCEPTED, &view);
    if let Ok(location) = HeaderValue::try_from(format!("/v1/batches/{}", batch.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(submit::marked(response, accepted.replayed))
}

impl Context {
    async fn batch(&self, tenant: &TenantId, id: BatchId) -> Result<Batch, Problem> {
        self.store.batch(tenant, id).await?.ok_or_else(|| unknown(&id.to_string()))
    }
}

/// `GET /v1/batches/{id}`.
pub(crate) async fn read(
    State(context): State<Shared>,
    caller: Caller,
    PathBatch(id): PathBatch,
) -> Result<Response, Problem> {
    let batch = context.batch(&caller.tenant, id).await?;
    Ok(json(StatusCode::OK, &BatchView::from(&batch)))
}

/// `POST /v1/batches/{id}/cancel`. Repeating it is harmless; a batch that is finished cannot be cancelled any more.
pub(crate) async fn cancel(
    State(context): State<Shared>,
    caller: Caller,
    PathBatch(id): PathBatch,
) -> Result<Response, Problem> {
    match context.store.cancel_batch(&caller.tenant, id).await? {
        BatchCancelled::Now { batch, .. } => Ok(json(StatusCode::ACCEPTED, &BatchView::from(&*batch))),
        BatchCancelled::Already(batch) if batch.status == BatchStatus::Cancelled => {
            Ok(json(StatusCode::ACCEPTED, &BatchView::from(&*batch)))
        }
        BatchCancelled::Already(_) => {
            let detail = format!("batch {id} is finished and cannot be cancelled any more; read its results");
            Err(Problem::new(Code::JobOver, detail))
        }
        BatchCancelled::Unknown => Err(unknown(&id.to_string())),
    }
}

#[derive(Serialize)]
struct ListView<'a> {
    batches: Vec<BatchView<'a>>,
    next_cursor: Option<String>,
}

/// `GET /v1/batches`.
pub(crate) async fn list(
    State(context): State<Shared>,
    caller: Caller,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let query = BatchQuery {
        status: parameters.word(
            "status",
            "status of a batch",
            &BatchStatus::ALL.map(|status| (status.as_str(), status)),
        ),
        crew: parameters.read("crew", CrewName::parse),
        limit: list_query::limit(&mut parameters),
        cursor: parameters.read("cursor", str::parse),
    };
    parameters.finish()?;
    let page = context.store.batches(&caller.tenant, query).await?;
    let batches = page.batches.iter().map(BatchView::from).collect();
    let view = ListView { batches, next_cursor: page.next.map(|cursor| cursor.to_string()) };
    Ok(json(StatusCode::OK, &view))
}

/// What can be done with a batch, as links.
const LINKS: &[&str] = &["readBatch", "readBatchResults", "cancelBatch"];

pub(crate) fn about_create() -> Operation {
    let examples = [
        (
            "plain inputs",
            value!({ "crew": "research", "inputs": [{ "topic": "tides" }, { "topic": "moons" }] }),
        ),
        (
            "with everything",
            value!({
                "crew": "research", "priority": 1, "concurrency": 8, "max_attempts": 3, "timeout_seconds": 600,
                "budget_usd": "0.25", "webhook_url": "https://example.com/hooks/batches", "metadata": { "run": "7" },
                "inputs": [{ "input": { "topic": "tides" }, "priority": 5, "metadata": { "row": "1" } }],
            }),
        ),
    ];
    let made = Answer::json("The batch was accepted, with the inputs that were not.", "MadeBatch");
    let operation = Operation::new("batches", "createBatch", "execute a crew for many inputs")
        .about(
            "Accepted means durable, as a whole. Inputs become jobs as there is room, at most `concurrency` at once. Invalid \
             inputs are told of and keep no other from running; without a valid one nothing is accepted. More inputs than \
             fit into one JSON document are sent as `application/x-ndjson`: one input a line, and everything else in the \
             query of the address.",
        )
        .idempotent()
        .body("NewBatch", &examples)
        .or_lines("BatchInput");
    parameters::describe(operation)
        .answers(202, made.header("Location").header("Idempotent-Replayed").links("id", LINKS))
        .fails(&[Code::NotSupported, Code::UnknownCrew, Code::InvalidCrew, Code::QuotaExceeded])
}

fn of_batch(operation: Operation) -> Operation {
    let named = operation.path("id", "Id of the batch.", Schema::job_id());
    named.fails(&[Code::NotFound, Code::StoreUnavailable])
}

pub(crate) fn about_read() -> Operation {
    let answer = Answer::json("The batch.", "Batch").example(batch::example()).links("id", LINKS);
    of_batch(Operation::new("batches", "readBatch", "a batch and how far it is")).answers(200, answer)
}

pub(crate) fn about_cancel() -> Operation {
    of_batch(Operation::new("batches", "cancelBatch", "stop it"))
        .about(
            "Repeating it is harmless. Inputs that wait never start; jobs that are not over are cancelled.",
        )
        .answers(
            202,
            Answer::json("The batch as it is now.", "Batch").links("id", &["readBatch", "readBatchResults"]),
        )
        .fails(&[Code::JobOver])
}

pub(crate) fn about_list() -> Operation {
    Operation::new("batches", "listBatches", "list batches, newest first")
        .query("status", "Only batches that stand there.", batch::status_schema())
        .query("crew", "Only batches of this crew.", Schema::name())
        .query("limit", "Most batches of the page.", list_query::limit_schema())
        .query("cursor", "Where the page before ended: its `next_cursor`.", list_query::cursor_schema())
        .answers(200, Answer::json("A page of batches.", "BatchList"))
        .fails(&[Code::ValidationFailed, Code::StoreUnavailable])
}
