//! Which route is where. A new route is one line here.

use axum::Router;
use axum::body::Body;
use axum::routing::{MethodRouter, any, get, post, put};
use http::Uri;
use qd_types::Code;
use tower::util::MapRequestLayer;

use crate::context::Shared;
use crate::facades::{chat, tasks};
use crate::observe::Matched;
use crate::openapi::Routes;
use crate::problem::{Problem, shown};
use crate::routes::{
    breakers, cancel, conversations, crews, deliveries, docs, events, health, index, jobs, metrics, redrive,
    stats, steps, usage, webhooks,
};

/// The routes of the API port, each with its handler and what the document says of it.
pub(crate) fn routes() -> Routes {
    Routes::default()
        .get("/", index::index, index::about)
        .get("/docs", docs::page, docs::about_page)
        .get("/openapi.json", docs::document, docs::about_document)
        .get("/health", health::health, health::about_health)
        .get("/ready", health::ready, health::about_ready)
        .get("/v1/jobs", jobs::list, jobs::about_list)
        .post("/v1/jobs", jobs::create, jobs::about_create)
        .get("/v1/jobs/{id}", jobs::read, jobs::about_read)
        .get("/v1/jobs/{id}/events", events::events, events::about)
        .get("/v1/jobs/{id}/steps", steps::steps, steps::about)
        .post("/v1/jobs/{id}/cancel", cancel::cancel, cancel::about)
        .post("/v1/jobs/{id}/redrive", redrive::redrive, redrive::about)
        .get("/v1/conversations/{id}", conversations::read, conversations::about_read)
        .delete("/v1/conversations/{id}", conversations::forget, conversations::about_forget)
        .get("/v1/crews", crews::list, crews::about_list)
        .get("/v1/crews/{name}", crews::read, crews::about_read)
        .get("/v1/stats", stats::stats, stats::about)
        .get("/v1/breakers", breakers::list, breakers::about_list)
        .post("/v1/breakers", breakers::force, breakers::about_force)
        .get("/v1/usage", usage::usage, usage::about)
        .get("/v1/jobs/{id}/deliveries", deliveries::of_job, deliveries::about_of_job)
        .get("/v1/deliveries", deliveries::list, deliveries::about_list)
        .get("/v1/deliveries/{id}", deliveries::read, deliveries::about_read)
        .post("/v1/deliveries/{id}/resend", deliveries::resend, deliveries::about_resend)
        .get("/v1/webhooks", webhooks::list, webhooks::about_list)
        .post("/v1/webhooks/{name}/test", webhooks::test, webhooks::about_test)
        .post("/chat", chat::create, chat::about_create)
        .get("/chat/{id}", chat::read, chat::about_read)
        .post("/tasks", tasks::create, tasks::about_create)
        .get("/tasks/{id}", tasks::read, tasks::about_read)
}

/// Everything that the API port answers.
pub(crate) fn api(context: Shared) -> Router {
    finish(whole(), context).layer(MapRequestLayer::new(Matched::note::<Body>))
}

/// The routes, built or not.
pub(crate) fn whole() -> Router<Shared> {
    not_yet_routes(routes().into_router())
}

/// The routes of the admin port.
pub(crate) fn admin(context: Shared) -> Router {
    let router = Router::new()
        .route("/health", get(health::health))
        .route("/livez", get(health::live))
        .route("/metrics", get(metrics::metrics))
        .route("/ready", get(health::ready))
        .route("/readyz", get(health::ready))
        .route("/scale", get(metrics::scale))
        .route("/startupz", get(health::started));
    finish(router, context)
}

/// Routes of the API whose capability is not built: a clear answer is better than "no such route".
fn not_yet_routes(router: Router<Shared>) -> Router<Shared> {
    let reading: MethodRouter<Shared> = get(not_yet);
    let writing: MethodRouter<Shared> = post(not_yet);
    router
        .route("/v1/crews/{name}", put(not_yet))
        .route("/v1/jobs/{id}/resume", writing.clone())
        .route("/v1/batches", writing.clone())
        .route("/v1/batches/{id}", reading.clone())
        .route("/v1/models", reading)
        .route("/v1/chat/completions", writing)
        .route("/v1/crews/{name}/{*rest}", any(not_yet))
        .route("/crews/{system}/{*rest}", any(not_yet))
}

fn finish(router: Router<Shared>, context: Shared) -> Router {
    router.fallback(no_route).method_not_allowed_fallback(no_method).with_state(context)
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
