//! One request inside the simulator, from its arrival to its end: the same way whether it came over HTTP or not.

use std::time::Duration;

use qd_types::Usage;

use super::Sim;
use super::clock::warm_up_factor;
use super::ledger::{Arrival, OpenCall, hash};
use super::limits::{Need, Reservation};
use super::load::{Full, Place};
use super::options::FaultKind;
use super::script::{Asked, Decision};
use crate::wires::{Refusal, Standing, Why};

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
    place: Option<Place>,
    usage: Usage,
}

impl Visit {
    /// Waits for a place to make the answer in, and for as long as the house is full or cold.
    pub(crate) async fn enter(&mut self, sim: &Sim, decision: &mut Decision) -> Result<(), Refusal> {
        if decision.fault.is_some_and(|fault| turns_away(fault.kind)) {
            return Ok(());
        }
        let place = sim.load.enter().await.map_err(|Full| Refusal::of(529, Why::Overloaded, ""))?;
        let warm_up = sim.options.latency.warm_up;
        decision.slow_down(place.factor * warm_up_factor(warm_up, sim.clock.elapsed()));
        self.place = Some(place);
        Ok(())
    }

    /// A refusal goes out instead of an answer.
    pub(crate) fn refused(&mut self, status: u16, wait: Option<Duration>) {
        self.call.refused(status, wait);
    }

    /// The answer begins; from now on it is charged for.
    pub(crate) fn begun(&mut self) {
        self.call.begun(&self.usage);
        if let Some(reservation) = &self.reservation {
            reservation.paid(&self.usage);
        }
    }

    /// The answer is out completely.
    pub(crate) fn answered(&mut self) {
        self.call.answered();
    }
}

impl Sim {
    /// A request arrives. `call` is `job/step/try`, `key` the hash of its API key.
    pub(crate) fn meet(&self, asked: &Asked<'_>, call: Option<&str>, key: u64) -> Met {
        let decision = self.decide(asked);
        let customer = hash((key, asked.model));
        let mut call = self.ledger.start(Arrival { call, content: decision.content, customer });
        let usage = decision.usage;
        let (standing, admitted) = if decision.fault.is_some_and(|fault| turns_away(fault.kind)) {
            (self.limits.standing(customer, asked.model), Ok(None))
        } else {
            let output_max = asked.max_tokens.map_or(0, u64::from).max(usage.output_tokens);
            let need = Need { input: usage.input_tokens, output_max, output: usage.output_tokens };
            self.limits.admit(customer, asked.model, need)
        };
        let (reservation, denied) = match admitted {
            Ok(reservation) => (reservation, None),
            Err(refusal) => (None, Some(refusal)),
        };
        if let Some(fault) = decision.fault.filter(|_| denied.is_none()) {
            call.faulted(fault.kind);
        }
        Met { decision, standing, denied, visit: Visit { call, reservation, place: None, usage } }
    }
}

/// Whether a fault strikes before a provider would look at its limits, and leaves no answer.
fn turns_away(kind: FaultKind) -> bool {
    match kind {
        FaultKind::Status(_)
        | FaultKind::Refused
        | FaultKind::Reset
        | FaultKind::ContextLength
        | FaultKind::SpendLimit
        | FaultKind::RampLimit => true,
        FaultKind::Hang
        | FaultKind::Silent
        | FaultKind::Stall
        | FaultKind::Drip
        | FaultKind::Cut
        | FaultKind::CutCharacter
        | FaultKind::CutToolCall
        | FaultKind::Truncated
        | FaultKind::ErrorEvent
        | FaultKind::Html
        | FaultKind::Garbage
        | FaultKind::Empty
        | FaultKind::EmptyStream
        | FaultKind::Refusal
        | FaultKind::DuplicateEvents
        | FaultKind::UnknownEvents
        | FaultKind::NoUsage
        | FaultKind::WrongUsage => false,
    }
}
