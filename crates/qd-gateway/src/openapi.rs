//! The OpenAPI 3.1 document of the API port, put together from the routes' own descriptions.
//!
//! A route, its handler and its description are one line of `router.rs`, so that none can be without the others. What
//! the answers look like stands next to the views, what requests may hold next to the code that checks it; here are
//! only the frame and what all routes share.

mod operation;
mod schema;
mod shared;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodRouter, delete, get, post, put};
use http::Method;
use serde_json::{Value, json};

pub(crate) use operation::{Answer, Operation};
pub(crate) use schema::{NO_CONTROLS, Schema};

use crate::access::Needs;
use crate::access::gate::NeedsOfRoutes;
use crate::context::Shared;

/// Routes with what they need and their descriptions.
#[derive(Default)]
pub(crate) struct Routes {
    router: Router<Shared>,
    needs: NeedsOfRoutes,
    described: Vec<Described>,
}

/// A route as callers see it.
pub(crate) struct Described {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) operation: Operation,
}

impl Routes {
    pub(crate) fn get<H, T>(
        self,
        path: &'static str,
        needs: Needs,
        handler: H,
        about: fn() -> Operation,
    ) -> Self
    where
        H: Handler<T, Shared>,
        T: 'static,
    {
        self.add(Method::GET, path, needs, get(handler), about())
    }

    pub(crate) fn post<H, T>(
        self,
        path: &'static str,
        needs: Needs,
        handler: H,
        about: fn() -> Operation,
    ) -> Self
    where
        H: Handler<T, Shared>,
        T: 'static,
    {
        self.add(Method::POST, path, needs, post(handler), about())
    }

    pub(crate) fn put<H, T>(
        self,
        path: &'static str,
        needs: Needs,
        handler: H,
        about: fn() -> Operation,
    ) -> Self
    where
        H: Handler<T, Shared>,
        T: 'static,
    {
        self.add(Method::PUT, path, needs, put(handler), about())
    }

    pub(crate) fn delete<H, T>(
        self,
        path: &'static str,
        needs: Needs,
        handler: H,
        about: fn() -> Operation,
    ) -> Self
    where
        H: Handler<T, Shared>,
        T: 'static,
    {
        self.add(Method::DELETE, path, needs, delete(handler), about())
    }

    fn add(
        mut self,
        method: Method,
        path: &'static str,
        needs: Needs,
        route: MethodRouter<Shared>,
        operation: Operation,
    ) -> Self {
        self.needs.add(method.clone(), path, needs);
        self.described.push(Described { method, path, operation: operation.needs(needs) });
        Self { router: self.router.route(path, route), ..self }
    }

    /// The router, and what its routes need.
    pub(crate) fn into_router(self) -> (Router<Shared>, NeedsOfRoutes) {
        (self.router, self.needs)
    }

    pub(crate) fn into_described(self) -> Vec<Described> {
        self.described
    }
}

/// The document.
#[must_use]
pub fn openapi() -> Value {
    let mut paths = json!({});
    for Described { method, path, operation } in crate::router::routes().into_described() {
        paths[path][method.as_str().to_ascii_lowercase()] = operation.into_value();
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Quarterdeck",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Runs LLM agent crews in production.",
            "description": shared::ABOUT,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "The server that answered this document" }],
        "tags": shared::tags(),
        "paths": paths,
        "components": shared::components(),
    })
}
