//! Which route is where. A new route is one line here.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use http::{Method, Uri};
use qd_types::{Code, Scope};
use tower::util::MapRequestLayer;

use crate::access::Needs;
use crate::access::gate::{self, Gate, NeedsOfRoutes};
use crate::context::Shared;
use crate::facades::{amp, chat, openai, systems, tasks};
use crate::observe::Matched;
use crate::openapi::Routes;
use crate::problem::{Problem, shown};
use crate::routes::crews::publish;
use crate::routes::jobs::redrive::dead_letters;
use crate::routes::jobs::{cancel, redrive};
use crate::routes::schedules::run;
use crate::routes::webhooks::deliveries;
use crate::routes::{
    audit, batches, breakers, conversations, crews, docs, events, health, index, jobs, keys, metrics,
    schedules, stats, steps, usage, webhooks,
};

const OPEN: Needs = Needs::Nothing;
const JOBS_READ: Needs = Needs::Scope(Scope::JobsRead);
const JOBS_WRITE: Needs = Needs::Scope(Scope::JobsWrite);
const CREWS_READ: Needs = Needs::Scope(Scope::CrewsRead);
const CREWS_WRITE: Needs = Needs::Scope(Scope::CrewsWrite);
const CONVERSATIONS: Needs = Needs::Scope(Scope::Conversations);
const STATS: Needs = Needs::Scope(Scope::Stats);
const SERVER_STATS: Needs = Needs::Operator(Scope::Stats);
const ADMIN: Needs = Needs::Scope(Scope::Admin);
const SERVER_ADMIN: Needs = Needs::Operator(Scope::Admin);

/// The routes of the API port, each with what it needs, its handler and what the document says of it.
pub(crate) fn routes() -> Routes {
    Routes::default()
        .get("/", OPEN, index::index, index::about)
        .get("/docs", OPEN, docs::page, docs::about_page)
        .get("/openapi.json", OPEN, docs::document, docs::about_document)
        .get("/health", OPEN, health::health, health::about_health)
        .get("/ready", OPEN, health::ready, health::about_ready)
        .get("/v1/jobs", JOBS_READ, jobs::list, jobs::about_list)
        .post("/v1/jobs", JOBS_WRITE, jobs::create, jobs::about_create)
        .get("/v1/jobs/{id}", JOBS_READ, jobs::read, jobs::about_read)
        .get("/v1/jobs/{id}/events", JOBS_READ, events::events, events::about)
        .get("/v1/jobs/{id}/steps", JOBS_READ, steps::steps, steps::about)
        .post("/v1/jobs/{id}/cancel", JOBS_WRITE, cancel::cancel, cancel::about)
        .post("/v1/jobs/{id}/redrive", JOBS_WRITE, redrive::redrive, redrive::about)
        .post("/v1/jobs/{id}/resume", JOBS_WRITE, jobs::resume::resume, jobs::resume::about)
        .get("/v1/dead-letters", JOBS_READ, dead_letters::list, dead_letters::about_list)
        .post("/v1/dead-letters/redrive", JOBS_WRITE, dead_letters::redrive, dead_letters::about_redrive)
        .post("/v1/dead-letters/discard", JOBS_WRITE, dead_letters::discard, dead_letters::about_discard)
        .get("/v1/batches", JOBS_READ, batches::list, batches::about_list)
        .post("/v1/batches", JOBS_WRITE, batches::create, batches::about_create)
        .get("/v1/batches/{id}", JOBS_READ, batches::read, batches::about_read)
        .get("/v1/batches/{id}/results", JOBS_READ, batches::results, batches::about_results)
        .post("/v1/batches/{id}/cancel", JOBS_WRITE, batches::cancel, batches::about_cancel)
        .get("/v1/schedules", JOBS_READ, schedules::list, schedules::about_list)
        .post("/v1/schedules", JOBS_WRITE, schedules::create, schedules::about_create)
        .get("/v1/schedules/{name}", JOBS_READ, schedules::read, schedules::about_read)
        .put("/v1/schedules/{name}", JOBS_WRITE, schedules::replace, schedules::about_replace)
        .post("/v1/schedules/{name}/pause", JOBS_WRITE, schedules::pause, schedules::about_pause)
        .post("/v1/schedules/{name}/resume", JOBS_WRITE, schedules::resume, schedules::about_resume)
        .post("/v1/schedules/{name}/run", JOBS_WRITE, run::run, run::about)
        .delete("/v1/schedules/{name}", JOBS_WRITE, schedules::delete, schedules::about_delete)
        .get("/v1/conversations/{id}", CONVERSATIONS, conversations::read, conversations::about_read)
        .delete("/v1/conversations/{id}", CONVERSATIONS, conversations::forget, conversations::about_forget)
        .get("/v1/crews", CREWS_READ, crews::list, crews::about_list)
        .get("/v1/crews/{name}", CREWS_READ, crews::read, crews::about_read)
        .put("/v1/crews/{name}", CREWS_WRITE, publish::publish, publish::about)
        .get("/v1/stats", SERVER_STATS, stats::stats, stats::about)
        .get("/v1/breakers", SERVER_STATS, breakers::list, breakers::about_list)
        .post("/v1/breakers", SERVER_ADMIN, breakers::force, breakers::about_force)
        .get("/v1/usage", STATS, usage::usage, usage::about)
        .get("/v1/jobs/{id}/deliveries", JOBS_READ, deliveries::of_job, deliveries::about_of_job)
        .get("/v1/deliveries", JOBS_READ, deliveries::list, deliveries::about_list)
        .get("/v1/deliveries/{id}", JOBS_READ, deliveries::read, deliveries::about_read)
        .post("/v1/deliveries/{id}/resend", JOBS_WRITE, deliveries::resend, deliveries::about_resend)
        .get("/v1/webhooks", SERVER_STATS, webhooks::list, webhooks::about_list)
        .post("/v1/webhooks/{name}/test", SERVER_ADMIN, webhooks::test, webhooks::about_test)
        .get("/v1/keys", ADMIN, keys::list, keys::about_list)
        .post("/v1/keys", ADMIN, keys::create, keys::about_create)
        .get("/v1/keys/{id}", ADMIN, keys::read, keys::about_read)
        .delete("/v1/keys/{id}", ADMIN, keys::revoke, keys::about_revoke)
        .post("/v1/keys/{id}/rotate", ADMIN, keys::rotate, keys::about_rotate)
        .get("/v1/audit", SERVER_ADMIN, audit::list, audit::about_list)
        .get("/v1/audit/check", SERVER_ADMIN, audit::check, audit::about_check)
        .get("/v1/crews/{name}/inputs", CREWS_READ, amp::kickoff::inputs, amp::kickoff::about_inputs)
        .post("/v1/crews/{name}/kickoff", JOBS_WRITE, amp::kickoff::kickoff, amp::kickoff::about_kickoff)
        .get("/v1/crews/{name}/status/{id}", JOBS_READ, amp::status::status, amp::status::about)
        .get("/v1/crews/{name}/{id}/status", JOBS_READ, amp::status::status, amp::status::about_other)
        .post("/v1/crews/{name}/resume", JOBS_WRITE, amp::resume::resume, amp::resume::about)
        .post("/v1/crews/{name}/stop/{id}", JOBS_WRITE, amp::stop::stop, amp::stop::about)
        .post("/chat", JOBS_WRITE, chat::create, chat::about_create)
        .get("/chat/{id}", JOBS_READ, chat::read, chat::about_read)
        .post("/tasks", JOBS_WRITE, tasks::create, tasks::about_create)
        .get("/tasks/{id}", JOBS_READ, tasks::read, tasks::about_read)
        .post("/crews/{system}/tasks", JOBS_WRITE, systems::create, systems::about)
        .get("/crews/{system}/metrics", STATS, systems::metrics::metrics, systems::metrics::about)
        .get("/v1/models", CREWS_READ, openai::models, openai::about_models)
        .get("/v1/models/{name}", CREWS_READ, openai::model, openai::about_model)
        .post("/v1/chat/completions", JOBS_WRITE, openai::complete, openai::about_complete)
}

/// Everything that the API port answers, behind its gate.
pub(crate) fn api(routes: Router<Shared>, context: Shared, gate: Arc<Gate>) -> Router {
    finish(not_yet_routes(routes), context, gate).layer(MapRequestLayer::new(Matched::note::<Body>))
}

/// The routes of the admin port, behind its gate.
pub(crate) fn admin(context: Shared, gate: Arc<Gate>) -> Router {
    let router = Router::new()
        .route("/health", get(health::health))
        .route("/livez", get(health::live))
        .route("/metrics", get(metrics::metrics))
        .route("/ready", get(health::ready))
        .route("/readyz", get(health::ready))
        .route("/scale", get(metrics::scale))
        .route("/startupz", get(health::started));
    finish(router, context, gate)
}

/// Probes carry no keys; figures are the operator's.
pub(crate) fn needs_of_admin() -> NeedsOfRoutes {
    let mut needs = NeedsOfRoutes::default();
    for path in ["/health", "/livez", "/ready", "/readyz", "/startupz"] {
        needs.add(Method::GET, path, OPEN);
    }
    for path in ["/metrics", "/scale"] {
        needs.add(Method::GET, path, SERVER_STATS);
    }
    needs
}

/// Routes of the API whose capability is not built: a clear answer is better than "no such route".
pub(crate) fn not_yet_routes(router: Router<Shared>) -> Router<Shared> {
    router.route("/crews/{system}/scale", post(not_yet)).route("/crews/{system}/backup", post(not_yet))
}

fn finish(router: Router<Shared>, context: Shared, gate: Arc<Gate>) -> Router {
    // The layer comes last and so lies around the fallbacks as well.
    let router = router.fallback(no_route).method_not_allowed_fallback(no_method).with_state(context);
    router.layer(from_fn_with_state(gate, gate::pass))
}

async fn not_yet(method: http::Method, uri: Uri) -> Problem {
    Problem::not_supported(&format!("`{method} {}`", shown(uri.path())))
}

async fn no_route(uri: Uri) -> Problem {
    let detail = format!("there is no route `{}`; `GET /` lists those that there are", shown(uri.path()));
    Problem::new(Code::NotFound, detail)
}

async fn no_method(method: http::Method, uri: Uri) -> Problem {
    let detail = format!(
        "`{}` does not take {}; the header `Allow` says what it takes",
        shown(uri.path()),
        shown(method.as_str())
    );
    Problem::new(Code::MethodNotAllowed, detail)
}
