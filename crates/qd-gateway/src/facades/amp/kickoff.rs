//! What a crew takes, and starting it.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{Request, StatusCode};
use qd_store::OtherBody;
use qd_types::{Code, Input, TenantId};
use serde_json::{Value, json as value};

use super::{answered, crew, hooks};
use crate::access::Caller;
use crate::body::{self, Fields};
use crate::context::{Context, Shared};
use crate::openapi::{Answer, Operation, Schema};
use crate::problem::Problem;
use crate::routes::{Name, json};
use crate::submit::{self, Submission};

/// `GET /v1/crews/{name}/inputs`.
pub(crate) async fn inputs(State(context): State<Shared>, caller: Caller, Name(name): Name) -> Response {
    let crew = crew(&name, &caller.tenant, &context).await;
    answered(crew.map(|crew| json(StatusCode::OK, &value!({ "inputs": crew.plan.variables() }))))
}

/// `POST /v1/crews/{name}/kickoff`.
pub(crate) async fn kickoff(
    State(context): State<Shared>,
    caller: Caller,
    Name(name): Name,
    request: Request<Body>,
) -> Response {
    answered(start(&context, &caller, &name, request).await)
}

async fn start(
    context: &Context,
    caller: &Caller,
    name: &str,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let key = submit::header_key(request.headers())?.map(str::to_owned);
    let body = body::json(request, context).await?;
    let idempotency = key.map(|key| {
        // The same key for another crew is another body.
        let hash = body::canonical_hash(&value!([name, body]));
        submit::idempotency("POST /v1/crews/{name}/kickoff", &key, hash, OtherBody::Refuse)
    });
    let tenant = &caller.tenant;
    let asked = read(context, tenant, name, body).await;
    let made = submit::accept(context, tenant, idempotency, asked).await?;
    let response = json(StatusCode::OK, &value!({ "kickoff_id": made.job.id }));
    Ok(submit::marked(response, made.replayed))
}

async fn read(context: &Context, tenant: &TenantId, name: &str, body: Value) -> Result<Submission, Problem> {
    let crew = crew(name, tenant, context).await?;
    let mut fields = Fields::of(body)?;
    let input = fields.object("inputs").unwrap_or_else(Input::new);
    let hooks = hooks::read(&mut fields, context);
    hooks::refuse_event_streams(&mut fields);
    for error in submit::input_errors(&crew, &input) {
        fields.error_as(error.path.replacen("/input", "/inputs", 1), error.code, error.message);
    }
    let needed: BTreeSet<String> = crew.plan.required_variables();
    let missing: Vec<&String> = needed.iter().filter(|name| !input.contains_key(*name)).collect();
    let details = (!missing.is_empty()).then(|| value!({ "missing_inputs": missing }));
    fields.finish().map_err(|problem| problem.with_details(details))?;
    let hooks = (!hooks.is_empty()).then(|| hooks.into());
    Ok(Submission { hooks, ..Submission::of(crew, input) })
}

pub(crate) fn about_inputs() -> Operation {
    let inputs = Answer::json("Their names.", "AmpInputs").example(value!({ "inputs": ["topic"] }));
    Operation::new("facades", "readCrewInputs", "the variables of a crew, as CrewAI AMP tells them")
        .path("name", "The crew.", Schema::name())
        .answers(200, inputs)
        .fails(&[Code::NotFound, Code::InvalidCrew, Code::StoreUnavailable])
}

pub(crate) fn about_kickoff() -> Operation {
    let started = Answer::json("A job is queued.", "AmpKickoff").header("Idempotent-Replayed");
    Operation::new("facades", "kickoffCrew", "start a crew, as with CrewAI AMP")
        .about(
            "The kickoff is a job; the native API knows it by the same id. News go to the URLs that come with it, as webhooks \
             with AMP's bodies and the headers of Standard Webhooks.",
        )
        .path("name", "The crew.", Schema::name())
        .idempotent()
        .body("AmpNewKickoff", &[("kickoff", value!({ "inputs": { "topic": "tides" }, "meta": { "order": 4711 } }))])
        .answers(200, started)
        .fails(&[
            Code::NotFound,
            Code::InvalidCrew,
            Code::NotSupported,
            Code::QueueFull,
            Code::QuotaExceeded,
            Code::StoreUnavailable,
        ])
}

pub(super) fn schemas() -> Vec<(&'static str, Schema)> {
    let inputs = Schema::object().field("inputs", Schema::list(Schema::text()));
    let new = Schema::object().may("inputs", Schema::object().about("Values for the crew's variables."));
    let started = Schema::object().field("kickoff_id", Schema::job_id());
    vec![("AmpInputs", inputs), ("AmpNewKickoff", hooks::described(new).closed()), ("AmpKickoff", started)]
}
