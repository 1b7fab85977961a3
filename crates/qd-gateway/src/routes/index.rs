//! `GET /`: what there is, for people who look.

use std::sync::LazyLock;

use axum::response::Response;
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::openapi::{Answer, Operation, Schema};
use crate::router;

/// The routes of this release, from their own descriptions.
pub(crate) async fn index() -> Response {
    static VIEW: LazyLock<Value> = LazyLock::new(view);
    super::json(StatusCode::OK, &*VIEW)
}

fn view() -> Value {
    let described = router::routes().into_described();
    let routes: Map<String, Value> = described
        .into_iter()
        .map(|route| (format!("{} {}", route.method, route.path), route.operation.summary.into()))
        .collect();
    json!({
        "name": "quarterdeck",
        "version": env!("CARGO_PKG_VERSION"),
        "docs": "/docs",
        "openapi": "/openapi.json",
        "routes": routes,
    })
}

pub(crate) fn about() -> Operation {
    Operation::new("server", "readIndex", "what there is")
        .answers(200, Answer::json("Every route with what it is for.", "Index"))
}

pub(crate) fn schemas() -> Vec<(&'static str, Schema)> {
    let index = Schema::object()
        .field("name", Schema::words(["quarterdeck"]))
        .field("version", Schema::text().example(env!("CARGO_PKG_VERSION")))
        .field("docs", Schema::text().about("Path of a page about this API."))
        .field("openapi", Schema::text().about("Path of this document."))
        .field("routes", Schema::map(Schema::text()));
    vec![("Index", index)]
}
