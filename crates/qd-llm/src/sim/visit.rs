//! One request inside the simulator, from its arrival to its end: the same way whether it came over HTTP or not.

use qd_types::Usage;

use super::Sim;
use super::ledger::OpenCall;
use super::limits::{Need, Reservation};
use super::options::FaultKind;
use super::script::{Asked, Decision};
use crate::wires::{Refusal, Standing};

/// What a request meets.
pub(crate) struct Met {
    pub(crate) decision: Decision,
    /// What its limits leave, if there are any.
    pub(crate) standing: Option<Standing>,
    /// Set if its limits turn it away, which happens at once.
    pub(crate) denied: Option<Refusal>,
    pub(crate) visit: Visit,
}

/// A request under way. Dropped at its end, answered or not.
pub(crate) struct Visit {
    call: OpenCall,
    reservation: Option<Reservation>,
    usage: Usage,
}

impl Visit {
    /// The answer is out completely.
    pub(crate) fn answered(&self) {
        self.call.answered();
        if let Some(reservation) = &self.reservation {
            reservation.paid(&self.usage);
        }
    }
}

impl Sim {
    /// A request arrives. `call` is `job/step/try`, `key` the hash of its API key.
    pub(crate) fn meet(&self, asked: &Asked<'_>, call: Option<&str>, key: u64) -> Met {
        let call = self.ledger.start(call);
        let decision = self.decide(asked);
        let usage = decision.usage;
        let (standing, admitted) = if decision.fault.is_some_and(|fault| turns_away(fault.kind)) {
            (self.limits.standing(key, asked.model), Ok(None))
        } else {
            let output_max = asked.max_tokens.map_or(0, u64::from).max(usage.output_tokens);
            let need = Need { input: usage.input_tokens, output_max, output: usage.output_tokens };
            self.limits.admit(key, asked.model, need)
        };
        let (reservation, denied) = match admitted {
            Ok(reservation) => (reservation, None),
            Err(refusal) => (None, Some(refusal)),
        };
        if decision.fault.is_some() || denied.is_some() {
            call.faulted();
        }
        Met { decision, standing, denied, visit: Visit { call, reservation, usage } }
    }
}

/// Whether a fault strikes before a provider would look at its limits.
fn turns_away(kind: FaultKind) -> bool {
    match kind {
        FaultKind::Status(_) | FaultKind::Hang | FaultKind::Reset | FaultKind::Refused => true,
        FaultKind::Cut | FaultKind::Truncated | FaultKind::Html | FaultKind::Garbage | FaultKind::Empty => {
            false
        }
    }
}
