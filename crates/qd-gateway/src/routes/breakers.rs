//! The models that this process has called: which are left alone, how much they may be sent, and an operator's word about
//! it.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{Request, StatusCode};
use qd_store::Act;
use qd_types::{Code, TenantId};
use serde_json::{Value, json as value};

use super::json;
use crate::access::Caller;
use crate::body::{self, Fields};
use crate::context::{Deployment, Shared};
use crate::openapi::{Answer, Operation, Schema};
use crate::problem::{Problem, shown};

/// Longest name of a deployment.
const NAME_MAX: usize = 512;

/// `GET /v1/breakers`.
pub(crate) async fn list(State(context): State<Shared>) -> Response {
    let breakers: Vec<Value> = context.health.deployments().iter().map(view).collect();
    json(StatusCode::OK, &value!({ "breakers": breakers }))
}

/// `POST /v1/breakers`: an operator decides about one.
pub(crate) async fn force(
    State(context): State<Shared>,
    caller: Caller,
    request: Request<Body>,
) -> Result<Response, Problem> {
    let mut fields = Fields::of(body::json(request, &context).await?)?;
    let deployment = fields.required_text("deployment").unwrap_or_default();
    if deployment.len() > NAME_MAX {
        fields.error("/deployment".to_owned(), format!("is longer than {NAME_MAX} bytes"));
    }
    let state = fields.required_text("state").unwrap_or_default();
    let open = match state.as_str() {
        "open" => Some(true),
        "closed" => Some(false),
        // What is missing was told.
        "auto" | "" => None,
        other => {
            let message = format!("`{}` is none of open, closed, auto", shown(other));
            fields.error("/state".to_owned(), message);
            None
        }
    };
    fields.finish()?;
    let forced = context.health.force_breaker(&deployment, open);
    let found = context.health.deployments().into_iter().find(|one| one.name == deployment);
    match found.filter(|_| forced) {
        Some(one) => {
            let act = Act::new(TenantId::default(), caller.actor(), "breaker.forced", &deployment);
            if let Err(error) = context.store.audit(act.with("state", &state)).await {
                // What cannot be written down is not done.
                context.health.force_breaker(&deployment, None);
                return Err(error.into());
            }
            Ok(json(StatusCode::OK, &view(&one)))
        }
        None => {
            let detail = format!(
                "there is no provider for `{}`; name a model as `provider/model`, as `GET /v1/breakers` lists them",
                shown(&deployment)
            );
            Err(Problem::new(Code::NotFound, detail))
        }
    }
}

fn view(one: &Deployment) -> Value {
    let limits = one.limits.iter().map(|limit| {
        value!({ "of": limit.of, "per_seconds": limit.per_seconds, "limit": limit.limit, "left": limit.left })
    });
    value!({
        "deployment": one.name,
        "state": one.breaker,
        "forced": one.is_forced,
        "refused": one.is_out,
        "in_flight": one.in_flight,
        "max_in_flight": one.max_in_flight,
        "limits": limits.collect::<Vec<_>>(),
    })
}

pub(crate) fn about_list() -> Operation {
    Operation::new("server", "listBreakers", "the models that were called, and whether they are left alone")
        .about("Of the process that answers; each has its own view. May be asked for often.")
        .answers(200, Answer::json("The deployments.", "Breakers"))
}

pub(crate) fn about_force() -> Operation {
    let about = "`open`: no call is made; jobs wait, or their fallbacks are asked. `closed`: every call is made, whatever \
                 comes of it. `auto`: its calls decide again, from the beginning. Holds until the process ends.";
    Operation::new("server", "forceBreaker", "decide about a breaker, or leave it to its calls again")
        .about(about)
        .body("ForceBreaker", &[("open", value!({ "deployment": "groq/llama-3.3-70b", "state": "open" }))])
        .answers(200, Answer::json("The deployment as it is now.", "Breaker"))
        .fails(&[Code::NotFound, Code::StoreUnavailable])
}

pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let limit = Schema::object()
        .field("of", Schema::words(["requests", "tokens", "input_tokens", "output_tokens"]))
        .field("per_seconds", Schema::count())
        .field("limit", Schema::count())
        .field("left", Schema::count());
    let breaker = Schema::object()
        .field("deployment", Schema::text().about("`provider/model`."))
        .field("state", Schema::words(["closed", "open", "half_open"]))
        .field("forced", Schema::yes_or_no().about("Whether an operator decided so."))
        .field("refused", Schema::yes_or_no().about("Its key or name was refused; others are asked first."))
        .field("in_flight", Schema::count())
        .field("max_in_flight", Schema::count())
        .field("limits", Schema::list(limit).about("Rate limits, set or learned from its answers."));
    let force = Schema::object()
        .field("deployment", Schema::text().chars(1, NAME_MAX).example("groq/llama-3.3-70b"))
        .field("state", Schema::words(["open", "closed", "auto"]))
        .closed();
    let all = Schema::object().field("breakers", Schema::list(Schema::named("Breaker")));
    vec![("Breaker", breaker), ("Breakers", all), ("ForceBreaker", force)]
}
