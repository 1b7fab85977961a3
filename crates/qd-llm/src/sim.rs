//! A model provider that is none: deterministic answers, latency and faults on demand, and a ledger of what was paid.
//!
//! In this process it is [`SimModel`]; over HTTP it is [`serve`], which speaks both wires on one port. Every decision
//! (answer, latency, fault) depends on the seed, the content of the request, the step and the try alone; but for limits,
//! places and faults by time or count, which depend on when the calls before it came.
//!
//! A prompt can steer it, unless `markers = false`:
//!
//! | marker | effect |
//! |---|---|
//! | `[[sim: fault=503]]` | each try fails so; also `hang`, `reset`, and the other words of [`FaultKind`] |
//! | `[[sim: fault=429 retry_after=2s times=2]]` | the first two tries of each step fail, with `Retry-After` |
//! | `[[sim: fault=stall silence=2s]]` | half of the answer, a silence, the rest |
//! | `[[sim: latency=1000ms]]` | the first token comes after a second |
//! | `[[sim: tool=calculator times=3]]` | three turns call this tool, then comes the answer |
//! | `[[sim: answer=any text]]` | the answer, word for word |

mod brief;
mod clock;
mod faults;
mod latency;
mod ledger;
mod limits;
mod load;
mod marker;
mod model;
mod options;
mod prose;
mod schema;
mod script;
mod server;
mod visit;

use std::sync::Arc;
use std::time::Duration;

use qd_env::Env;

pub use ledger::{Bill, Counts, Ledger, LedgerCall, LedgerPage, Outcome, RateLimited, Summary};
pub use model::SimModel;
pub use options::{
    BurstOptions, Dialect, Distribution, FaultBody, FaultKind, FaultRule, LatencyOptions, LimitOptions,
    LoadOptions, Pattern, RampOptions, SimOptions, WarmUpOptions,
};
pub use server::serve;

use clock::SimClock;
use faults::Faults;
use limits::Limits;
use load::Load;
pub(crate) use script::{Asked, Decision, pieces};

/// One simulator. Clones share everything.
#[derive(Clone)]
pub struct Sim {
    options: Arc<SimOptions>,
    ledger: Ledger,
    limits: Limits,
    load: Load,
    clock: SimClock,
    faults: Faults,
}

impl Sim {
    /// A simulator with full limits and an empty ledger.
    #[must_use]
    pub fn new(options: SimOptions, env: Env) -> Self {
        let clock = SimClock::new(env.clone());
        Self {
            ledger: Ledger::new(options.ledger_calls, env.clone()),
            limits: Limits::new(&options.limits, env.clone()),
            load: Load::new(options.load.clone()),
            faults: Faults::new(&options, clock.clone(), env),
            clock,
            options: Arc::new(options),
        }
    }

    /// What it was asked and gave.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Lets this fault go before all others from now on: for a while, or until it is ended or replaced.
    pub fn start_outage(&self, rule: FaultRule, span: Option<Duration>) {
        self.faults.start_outage(rule, span);
    }

    /// Ends the outage that is on, if any.
    pub fn end_outage(&self) {
        self.faults.end_outage();
    }

    /// Makes every limit whole again and forgets what was spent.
    pub fn reset_limits(&self) {
        self.limits.clear();
    }

    /// Starts warm-up, windows, bursts and counted faults from their beginning.
    pub fn restart_clock(&self) {
        self.clock.restart();
        self.faults.restart();
    }

    fn decide(&self, asked: &Asked<'_>) -> Decision {
        script::decide(&self.options, &self.faults, asked)
    }
}
