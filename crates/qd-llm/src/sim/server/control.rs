//! `/control`: what somebody changes while the simulator runs. An outage on and off; ledger, limits and clock
//! anew.
//!
//! ```json
//! { "outage": { "kind": "503", "rate": 0.5 }, "seconds": 60 }
//! { "outage": null }
//! { "reset": ["ledger", "limits", "clock"] }
//! ```

use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::StatusCode;
use hyper::body::Incoming;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use super::answer::{Answer, json_answer};
use crate::Problem;
use crate::sim::{FaultKind, FaultRule, Sim};

/// An order is small; a rule with a long prompt in it still fits.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// A day.
const SECONDS_MAX: f64 = 86_400.0;

/// What is to change.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    /// A rule to switch on, or `null` to switch it off; without the key it stays as it is.
    #[serde(default, deserialize_with = "present")]
    outage: Option<Option<FaultRule>>,
    /// How long the outage lasts; until it is ended without.
    #[serde(default)]
    seconds: Option<f64>,
    #[serde(default)]
    reset: Vec<Part>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Part {
    Ledger,
    Limits,
    Clock,
}

/// Tells `null` from a key that is not there.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<FaultRule>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Carries an order out and answers what holds then.
pub(super) async fn change(sim: &Sim, body: Incoming) -> Answer {
    let body = match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => {
            return refused(&format!("the order did not come, or has more than {BODY_BYTES_MAX} bytes"));
        }
    };
    let order = match serde_json::from_slice::<Order>(&body) {
        Ok(order) => order,
        Err(error) => return refused(&error.to_string()),
    };
    if let Err(message) = check(&order) {
        return refused(&message);
    }
    for part in order.reset {
        match part {
            Part::Ledger => sim.ledger().clear(),
            Part::Limits => sim.reset_limits(),
            Part::Clock => sim.restart_clock(),
        }
    }
    match order.outage {
        Some(Some(rule)) => {
            let span = order.seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            sim.start_outage(rule, span);
        }
        Some(None) => sim.end_outage(),
        None => {}
    }
    state(sim)
}

fn check(order: &Order) -> Result<(), String> {
    if let Some(seconds) = order.seconds {
        if !matches!(order.outage, Some(Some(_))) {
            return Err("seconds: say with them which outage is meant".to_owned());
        }
        if !(seconds > 0.0 && seconds <= SECONDS_MAX) {
            return Err(format!("seconds: must be above 0 and at most {SECONDS_MAX} (a day)"));
        }
    }
    let Some(Some(rule)) = &order.outage else { return Ok(()) };
    if rule.kind == FaultKind::Refused && order.seconds.is_none() {
        return Err("seconds: an address that takes no connections takes no order to end it either; \
                    say how long that is to last"
            .to_owned());
    }
    let mut problems = Vec::new();
    rule.check("outage", &mut problems);
    match problems.first() {
        Some(problem) => Err(Problem::to_string(problem)),
        None => Ok(()),
    }
}

/// What holds now.
pub(super) fn state(sim: &Sim) -> Answer {
    let outage = sim.faults.outage().map(|(rule, left)| {
        json!({ "kind": rule.kind.to_string(), "rate": rule.rate, "seconds_left": left.map(|left| left.as_secs_f64()) })
    });
    let elapsed = sim.clock.elapsed().as_secs_f64();
    let state = json!({ "outage": outage.unwrap_or(Value::Null), "seconds_since_start": elapsed });
    json_answer(StatusCode::OK, state.to_string())
}

fn refused(message: &str) -> Answer {
    json_answer(StatusCode::BAD_REQUEST, json!({ "error": { "message": message } }).to_string())
}
