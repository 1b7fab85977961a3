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
use crate::problem::{Problem, shown};
use crate::routes::{
    cancel, conversations, crews, events, health, index, jobs, metrics, redrive, stats, steps,
};

/// The routes of the API port.
pub(crate) fn api(context: Shared) -> Router {
    let router = Router::new()
        .route("/", get(index::index))
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .route("/v1/jobs", get(jobs::list).post(jobs::create))
        .route("/v1/jobs/{id}", get(jobs::read))
        .route("/v1/jobs/{id}/events", get(events::events))
        .route("/v1/jobs/{id}/steps", get(steps::steps))
        .route("/v1/jobs/{id}/cancel", post(cancel::cancel))
        .route("/v1/jobs/{id}/redrive", post(redrive::redrive))
        .route("/v1/conversations/{id}", get(conversations::read).delete(conversations::forget))
        .route("/v1/crews", get(crews::list))
        .route("/v1/crews/{name}", get(crews::read).merge(put(not_yet)))
        .route("/v1/stats", get(stats::stats))
        .route("/chat", post(chat::create))
        .route("/chat/{id}", get(chat::read))
        .route("/tasks", post(tasks::create))
        .route("/tasks/{id}", get(tasks::read));
    finish(not_yet_routes(router), context).layer(MapRequestLayer::new(Matched::note::<Body>))
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
        .route("/v1/jobs/{id}/resume", writing.clone())
        .route("/v1/batches", writing.clone())
        .route("/v1/batches/{id}", reading.clone())
        .route("/v1/models", reading.clone())
        .route("/v1/chat/completions", writing)
        .route("/v1/crews/{name}/{*rest}", any(not_yet))
        .route("/crews/{system}/{*rest}", any(not_yet))
        .route("/openapi.json", reading)
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
