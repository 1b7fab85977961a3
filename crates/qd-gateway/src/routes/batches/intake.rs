//! Taking a batch in: inputs go into the store piece by piece, and are nobody's business until all of them are there.
//! Whoever stops half-way leaves nothing.

use std::sync::Arc;

use axum::body::Body;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Request};
use qd_crew::MACHINE_VERSION;
use qd_store::{Batch, BatchAccepted, BatchOpened, Idempotency, ItemInput, NewBatch, NewItem, OtherBody};
use qd_types::{BatchId, Code, TenantId};
use serde_json::Value;

use super::parameters::{self, Template};
use super::{input, upload};
use crate::body::{self, Fields, pointer};
use crate::context::{Context, Shared};
use crate::crews::Published;
use crate::places::Place;
use crate::problem::{FieldError, Problem};
use crate::submit;

/// Inputs of one transaction: many enough to be quick, few enough to hold nobody up.
const PIECE: usize = 250;
/// Bytes of inputs after which a piece ends early.
const PIECE_BYTES: usize = 512 * 1024;
/// A document up to this size takes no place among the uploads; a larger one so many.
const SMALL: usize = 256 * 1024;
const PLACES: usize = 4;
/// Mistakes that are kept to be told if nothing else can be.
const ERRORS_MAX: usize = 50;
/// What is kept of the mistakes of one input.
const WHY_CHARS_MAX: usize = 1_000;

/// A batch that is durable.
pub(super) struct Accepted {
    pub(super) batch: Box<Batch>,
    /// An earlier request with the same key made it.
    pub(super) replayed: bool,
}

/// What the store needs of a key.
pub(super) fn idempotency(key: &str, body_hash: [u8; 32]) -> Idempotency {
    submit::idempotency("POST /v1/batches", key, body_hash, OtherBody::Refuse)
}

/// Takes a batch in that comes as one JSON document.
pub(super) async fn take(
    context: &Shared,
    tenant: &TenantId,
    key: Option<&str>,
    request: Request<Body>,
) -> Result<Accepted, Problem> {
    let options = &context.options;
    let _places = places(request.headers(), tenant, context)?;
    // What has no room beside others could never be read.
    let most = options.batches.json_bytes_max.min(options.body_bytes_in_flight_max);
    let body = body::json_within(request, context, most).await?;
    let idempotency = key.map(|key| idempotency(key, body::canonical_hash(&body)));
    match document(context, tenant, body).await {
        Ok(intake) => intake.accept(idempotency).await,
        Err(problem) => replay_or(problem, tenant, context, idempotency).await,
    }
}

/// A document stays in memory until all of it is taken in, and is many times larger there. Small ones always pass.
fn places(headers: &HeaderMap, tenant: &TenantId, context: &Context) -> Result<Option<Place>, Problem> {
    let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: usize| length <= SMALL) {
        return Ok(None);
    }
    context.uploads.take(tenant, PLACES).map(Some).ok_or_else(upload::too_many)
}

async fn document(context: &Shared, tenant: &TenantId, body: Value) -> Result<Intake, Problem> {
    let mut fields = Fields::of(body)?;
    let inputs = match fields.take("inputs") {
        Some(Value::Array(inputs)) => Some(inputs),
        Some(other) => {
            let message = format!("must be an array, not {}", body::kind(&other));
            fields.error(pointer("", "inputs"), message);
            None
        }
        None => {
            fields.error(pointer("", "inputs"), "is missing; it is required");
            None
        }
    };
    let most = context.options.batches.json_items_max;
    if let Some(inputs) = inputs.as_ref().filter(|inputs| inputs.is_empty() || inputs.len() > most) {
        let count = inputs.len();
        let message = format!(
            "has {count} inputs; one request takes 1 to {most}, and an upload of lines (`application/x-ndjson`) more"
        );
        fields.error(pointer("", "inputs"), message);
    }
    let template = parameters::read(&mut fields, tenant, context).await?;
    fields.finish()?;
    // Without them there was a mistake, which has been told.
    let (Some(template), Some(inputs)) = (template, inputs) else {
        return Err(Problem::new(Code::Internal, "the batch got lost"));
    };
    let mut intake = Intake::open(context, tenant, template).await?;
    for value in inputs {
        intake.add(value).await?;
    }
    Ok(intake)
}

/// The answer to a request that is not acceptable now, but may repeat one that was.
pub(super) async fn replay_or(
    problem: Problem,
    tenant: &TenantId,
    context: &Context,
    idempotency: Option<Idempotency>,
) -> Result<Accepted, Problem> {
    let Some(idempotency) = idempotency else { return Err(problem) };
    match context.store.replay_batch(tenant, idempotency).await? {
        Some(known) => accepted(known, Vec::new()),
        None => Err(problem),
    }
}

/// A batch that is being taken in. Dropped before it is accepted, it is given up.
pub(super) struct Intake {
    context: Shared,
    id: BatchId,
    crew: Arc<Published>,
    waiting: Vec<NewItem>,
    waiting_bytes: usize,
    count: usize,
    errors: Vec<FieldError>,
    is_settled: bool,
}

impl Intake {
    /// Begins.
    pub(super) async fn open(
        context: &Shared,
        tenant: &TenantId,
        template: Template,
    ) -> Result<Self, Problem> {
        let (id, plan) = (context.env.batch_id(), &template.crew.plan);
        let new = NewBatch {
            id,
            tenant: tenant.clone(),
            crew: plan.name().clone(),
            crew_version: template.crew.version,
            machine_version: MACHINE_VERSION,
            total_tasks: u32::try_from(plan.tasks().len()).unwrap_or(u32::MAX),
            priority: template.priority,
            concurrency: template.concurrency,
            timeout_seconds: template.timeout_seconds,
            max_attempts: template.max_attempts,
            budget: template.budget,
            metadata: template.metadata,
            webhook_url: template.webhook_url,
        };
        if let BatchOpened::Full { open } = context.store.open_batch(new).await? {
            let detail = format!(
                "{open} batches of this tenant are not over, which is as many as it may have; nothing was stored, so \
                 repeat the request once one of them is"
            );
            return Err(
                Problem::new(Code::QuotaExceeded, detail).retry_after(std::time::Duration::from_secs(30))
            );
        }
        Ok(Self {
            context: Arc::clone(context),
            id,
            crew: template.crew,
            waiting: Vec::new(),
            waiting_bytes: 0,
            count: 0,
            errors: Vec::new(),
            is_settled: false,
        })
    }

    /// Adds an input.
    pub(super) async fn add(&mut self, value: Value) -> Result<(), Problem> {
        match input::read(value, &self.crew) {
            Ok(input) => self.push(NewItem::Valid(input)).await,
            Err(errors) => self.add_invalid(errors).await,
        }
    }

    /// Adds an input that cannot be executed; paths of its mistakes begin at the input.
    pub(super) async fn add_invalid(&mut self, errors: Vec<FieldError>) -> Result<(), Problem> {
        let why = errors.iter().map(|error| match error.path.as_str() {
            "" => error.message.clone(),
            path => format!("`{path}`: {}", error.message),
        });
        let why: String = why.collect::<Vec<_>>().join("; ").chars().take(WHY_CHARS_MAX).collect();
        let place = pointer("/inputs", &self.count.to_string());
        let room = ERRORS_MAX - self.errors.len();
        let placed = errors
            .into_iter()
            .take(room)
            .map(|error| FieldError { path: format!("{place}{}", error.path), ..error });
        self.errors.extend(placed);
        self.push(NewItem::Invalid(why)).await
    }

    async fn push(&mut self, item: NewItem) -> Result<(), Problem> {
        self.count += 1;
        self.waiting_bytes += bytes_of(&item);
        self.waiting.push(item);
        if self.waiting.len() >= PIECE || self.waiting_bytes >= PIECE_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Problem> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.waiting_bytes = 0;
        let piece = std::mem::take(&mut self.waiting);
        if self.context.store.add_items(self.id, piece).await? { Ok(()) } else { Err(too_late()) }
    }

    /// All inputs are there.
    pub(super) async fn accept(mut self, idempotency: Option<Idempotency>) -> Result<Accepted, Problem> {
        self.flush().await?;
        let answer = self.context.store.accept_batch(self.id, idempotency).await?;
        self.is_settled = true;
        if let BatchAccepted::Created(batch) = &answer {
            tracing::info!(batch = %batch.id, crew = %batch.crew, inputs = batch.counts.total, "batch accepted");
        }
        accepted(answer, std::mem::take(&mut self.errors))
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        let (store, id) = (self.context.store.clone(), self.id);
        self.context.env.spawn(async move {
            // What cannot be given up now is given up by housekeeping.
            let _ = store.discard_batch(id).await;
        });
    }
}

/// Roughly what an input takes in memory: a number of two bytes takes as much as an empty list.
fn bytes_of(item: &NewItem) -> usize {
    match item {
        NewItem::Valid(ItemInput { input, .. }) => {
            input.iter().map(|(key, value)| key.len() + weight(value)).sum()
        }
        NewItem::Invalid(why) => why.len(),
    }
}

fn weight(value: &Value) -> usize {
    let inside = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(fields) => fields.iter().map(|(key, value)| key.len() + weight(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    std::mem::size_of::<Value>() + inside
}

fn too_late() -> Problem {
    let detail = "the batch took too long to arrive and was given up; send it again";
    Problem::new(Code::RequestTimeout, detail)
}

fn accepted(answer: BatchAccepted, errors: Vec<FieldError>) -> Result<Accepted, Problem> {
    match answer {
        BatchAccepted::Created(batch) => Ok(Accepted { batch, replayed: false }),
        BatchAccepted::Replayed(batch) => Ok(Accepted { batch, replayed: true }),
        BatchAccepted::Conflict { batch } => {
            let detail = format!(
                "the idempotency key was used before with another body, which made batch {batch}; send the same body \
                 again, or take a new key for a new batch"
            );
            Err(Problem::new(Code::IdempotencyConflict, detail))
        }
        BatchAccepted::Empty if errors.is_empty() => {
            let message = "there are no inputs; send one a line".to_owned();
            let error = FieldError { path: pointer("", "inputs"), code: Code::ValidationFailed, message };
            Err(Problem::of_fields(vec![error]))
        }
        BatchAccepted::Empty => {
            let mut problem = Problem::of_fields(errors);
            problem.code = Code::ValidationFailed;
            problem.detail =
                "none of the inputs can be executed, so nothing was accepted; see `errors`".to_owned();
            Err(problem)
        }
        BatchAccepted::Unknown => Err(too_late()),
    }
}

#[cfg(test)]
mod tests;
