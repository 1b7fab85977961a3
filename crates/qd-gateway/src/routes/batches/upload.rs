//! A batch that comes as lines, one input each, with everything else in the query of the address.

use axum::body::Body;
use axum::extract::Query;
use http::Request;
use qd_types::{Code, TenantId};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::intake::{self, Accepted, Intake};
use super::parameters;
use crate::body::{self, Fields, Lines, pointer};
use crate::context::Shared;
use crate::problem::{FieldError, Problem};

/// Takes it in, line by line.
pub(super) async fn take(
    context: &Shared,
    tenant: &TenantId,
    key: Option<&str>,
    request: Request<Body>,
) -> Result<Accepted, Problem> {
    let _place = context.uploads.take(tenant, 1).ok_or_else(too_many)?;
    let query = query(&request)?;
    let mut hash = Sha256::new_with_prefix(body::canonical_hash(&query));
    let mut intake = open(context, tenant, query).await;
    if key.is_none()
        && let Err(problem) = intake
    {
        return Err(problem);
    }
    let bounds = &context.options.batches;
    let mut lines = Lines::of(request, bounds.upload_bytes_max, context)?;
    let mut count = 0;
    while let Some(line) = lines.next().await? {
        count += 1;
        if count > bounds.upload_items_max {
            let detail = format!(
                "the upload has more than {} inputs; split it into several batches",
                bounds.upload_items_max
            );
            return Err(Problem::new(Code::PayloadTooLarge, detail));
        }
        let value = body::parse(&line, context.options.json_depth_max);
        match &value {
            Ok(value) => hash.update(body::canonical_hash(value)),
            Err(_) => hash.update(&line),
        }
        // What a known key stands for is only told to whoever repeats the whole body.
        if let Ok(intake) = &mut intake {
            add(intake, value, lines.number()).await?;
        }
    }
    let idempotency = key.map(|key| intake::idempotency(key, hash.finalize().into()));
    match intake {
        Ok(intake) => intake.accept(idempotency).await,
        Err(problem) => intake::replay_or(problem, tenant, context, idempotency).await,
    }
}

pub(super) fn too_many() -> Problem {
    let detail = "as many batches are being uploaded as the server takes at once of this tenant or in all; come back in a moment";
    Problem::new(Code::Overloaded, detail).retry_after(std::time::Duration::from_secs(5))
}

async fn add(intake: &mut Intake, value: Result<Value, Problem>, line: usize) -> Result<(), Problem> {
    match value {
        Ok(value) => intake.add(value).await,
        Err(problem) => {
            let message = format!("line {line}: {}", problem.detail);
            intake.add_invalid(vec![FieldError { path: String::new(), code: problem.code, message }]).await
        }
    }
}

async fn open(context: &Shared, tenant: &TenantId, query: Value) -> Result<Intake, Problem> {
    let mut fields = Fields::of(query)?;
    let template = parameters::read(&mut fields, tenant, context).await?;
    fields.finish()?;
    // Without it there was a mistake, which has been told.
    let template = template.ok_or_else(|| Problem::new(Code::Internal, "the batch got lost"))?;
    Intake::open(context, tenant, template).await
}

/// The query as the object that a JSON body would be: numbers as numbers, labels (`metadata.KEY`) as an object.
fn query(request: &Request<Body>) -> Result<Value, Problem> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(request.uri())
        .map_err(|_| Problem::new(Code::InvalidRequest, "the query of the address cannot be read"))?;
    let (mut map, mut metadata) = (Map::new(), Map::new());
    for (name, value) in pairs {
        let before = match name.strip_prefix("metadata.") {
            Some(key) => metadata.insert(key.to_owned(), value.into()),
            None => map.insert(name.clone(), parameters::typed(&name, &value)),
        };
        if before.is_some() {
            let message = "stands more than once; give it one value".to_owned();
            let error = FieldError { path: pointer("", &name), code: Code::ValidationFailed, message };
            return Err(Problem::of_fields(vec![error]));
        }
    }
    if map.contains_key("metadata") {
        let message = "is given key by key here: `metadata.KEY=value`".to_owned();
        let error = FieldError { path: pointer("", "metadata"), code: Code::ValidationFailed, message };
        return Err(Problem::of_fields(vec![error]));
    }
    if !metadata.is_empty() {
        map.insert("metadata".to_owned(), metadata.into());
    }
    Ok(Value::Object(map))
}
