//! HTTP in: the native API, the facades, health, and the accept loop that serves them.
//!
//! Everything that happens here ends in the store: a request becomes a job, an answer renders one. What a job does is
//! the engine's business, which this crate never calls. Start at [`Gateway`] (ports and life), then `router.rs` (which
//! route is where and what it needs), `access.rs` (who may do what), `submit.rs` (how a request becomes a job) and
//! `problem.rs` (how errors are told).

mod access;
mod body;
mod context;
mod crews;
mod error;
mod facades;
mod gateway;
mod observe;
mod openapi;
mod options;
mod places;
mod problem;
mod query;
mod router;
mod routes;
mod serve;
mod submit;
#[cfg(test)]
mod tests;
mod view;

pub use access::{Auth, Issued, KeyBook, KeyError, Pace, Pepper, Rates, TenantPace, WantedKey};
pub use context::{Deployment, Health, RateLimit};
pub use crews::{CrewBook, CrewBookError, Published, Unusable};
pub use error::{Error, InvalidOptions};
pub use facades::amp::amp_json;
pub use gateway::{Gateway, Listeners, Parts, Running};
pub use openapi::openapi;
pub use options::{BatchBounds, Options, WebhookEndpoint};
pub use routes::audit::verify as verify_audit;
pub use view::batch::batch_json;
pub use view::job::job_json;
pub use view::key::{act_view, audit_view, issued_view, key_view};
