//! Background services. Each is one file with a `run`; a new one is one line in [`start`].

mod deliverer;
mod feeder;
mod housekeeper;
mod renewer;
mod scheduler;
mod slices;

use std::sync::Arc;

use tokio::task::JoinHandle;

use crate::engine::Shared;

pub use deliverer::{
    Endpoint, InvalidSecret, SigningSecret, Unverified, WebhookHeaders, WebhookOptions, Webhooks, verify,
};

/// Starts them all.
pub(crate) fn start(shared: &Arc<Shared>) -> Vec<JoinHandle<()>> {
    let env = &shared.env;
    vec![
        env.spawn(housekeeper::run(Arc::clone(shared))),
        env.spawn(renewer::run(Arc::clone(shared))),
        env.spawn(slices::run(Arc::clone(shared))),
        env.spawn(deliverer::run(Arc::clone(shared))),
        env.spawn(feeder::run(Arc::clone(shared))),
        env.spawn(scheduler::run(Arc::clone(shared))),
    ]
}
