//! A model provider that is none: deterministic answers, latency and faults on demand, and a ledger of what was paid.
//!
//! In this process it is [`SimModel`]; over HTTP it is [`serve`], which speaks both wires on one port. Every decision
//! (answer, latency, fault) depends on the seed, the content of the request, the step and the try alone.
//!
//! A prompt can steer it, unless `markers = false`:
//!
//! | marker | effect |
//! |---|---|
//! | `[[sim: fault=503]]` | each try fails so; also `hang`, `reset`, `cut`, `truncated`, `html`, `garbage`, `empty` |
//! | `[[sim: fault=429 retry_after=2s times=2]]` | the first two tries of each step fail, with `Retry-After` |
//! | `[[sim: latency=1000ms]]` | the first token comes after a second |
//! | `[[sim: tool=calculator times=3]]` | three turns call this tool, then comes the answer |
//! | `[[sim: answer=any text]]` | the answer, word for word |

mod brief;
mod latency;
mod ledger;
mod marker;
mod model;
mod options;
mod prose;
mod schema;
mod script;
mod server;

use std::sync::Arc;

pub use ledger::{Counts, Ledger, LedgerPage};
pub use model::SimModel;
pub use options::{Distribution, FaultKind, FaultRule, LatencyOptions, SimOptions};
pub use server::serve;

pub(crate) use script::{Asked, Decision, Fault, pieces};

/// One simulator. Clones share options and ledger.
#[derive(Clone)]
pub struct Sim {
    options: Arc<SimOptions>,
    ledger: Ledger,
}

impl Sim {
    /// A simulator with an empty ledger.
    #[must_use]
    pub fn new(options: SimOptions) -> Self {
        let ledger = Ledger::new(options.ledger_calls);
        Self { options: Arc::new(options), ledger }
    }

    /// What it was asked and gave.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(crate) fn decide(&self, asked: &Asked<'_>) -> Decision {
        script::decide(&self.options, asked)
    }
}
