//! Which fault hits a call: an outage that somebody switched on, what the prompt asks for, or the first rule that applies.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use qd_env::{Env, Rng};
use qd_types::{ChatRequest, Message, Usage};
use tokio::sync::watch;

use super::brief::Brief;
use super::clock::{Bursts, SimClock};
use super::marker::Wishes;
use super::options::{FaultBody, FaultKind, FaultRule, SimOptions};
use super::script::Asked;
use crate::wires::{Refusal, Why, simulated};

/// What something between a client and its provider answers.
pub(crate) const WEB_PAGE: &str =
    "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>simulated</body></html>";

/// A fault that hits a call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) silence: Option<Duration>,
    pub(crate) body: FaultBody,
}

impl From<&FaultRule> for Fault {
    fn from(rule: &FaultRule) -> Self {
        Self { kind: rule.kind, retry_after: rule.retry_after(), silence: rule.silence(), body: rule.body }
    }
}

impl Fault {
    /// What the provider says, for faults that are refusals.
    pub(crate) fn refusal(&self, model: &str, usage: &Usage) -> Option<Refusal> {
        let (status, why) = match self.kind {
            FaultKind::Status(status) => (status, Why::Said(simulated(status))),
            FaultKind::SpendLimit => (429, Why::Spend),
            FaultKind::RampLimit => (429, Why::Ramp),
            FaultKind::ContextLength => {
                let got = usage.input_tokens;
                (400, Why::Window { limit: got.saturating_sub(1), got })
            }
            _ => return None,
        };
        Some(Refusal { retry_after: self.retry_after, ..Refusal::of(status, why, model) })
    }
}

/// The faults of one simulator. Clones share them.
#[derive(Clone)]
pub(crate) struct Faults {
    rules: Arc<[Rule]>,
    clock: SimClock,
    // Each use is a look or a replacement.
    outage: Arc<Mutex<Option<Outage>>>,
    changed: Arc<watch::Sender<()>>,
    env: Env,
    seed: u64,
}

/// A rule and what it remembers.
struct Rule {
    rule: FaultRule,
    bursts: Option<Bursts>,
    /// How often it has hit.
    hits: AtomicU64,
}

/// A rule that was switched on while the simulator runs, and goes before all others.
struct Outage {
    rule: Arc<Rule>,
    /// Its own time, beginning with it.
    clock: SimClock,
    /// When it ends by itself.
    until: Option<Duration>,
}

impl Faults {
    pub(crate) fn new(options: &SimOptions, clock: SimClock, env: Env) -> Self {
        let rules = options.faults.iter().enumerate();
        let rules = rules.map(|(index, rule)| Rule::new(rule.clone(), options.seed, &index.to_string()));
        let changed = Arc::new(watch::Sender::new(()));
        Self { rules: rules.collect(), clock, outage: Arc::default(), changed, env, seed: options.seed }
    }

    pub(crate) fn hit(&self, wishes: &Wishes, asked: &Asked<'_>, rng: &mut Rng) -> Option<Fault> {
        if let Some((outage, elapsed)) = self.outage_rule()
            && outage.hits(asked, elapsed, rng)
        {
            return Some(Fault::from(&outage.rule));
        }
        if let Some(kind) = wishes.fault
            && wishes.fault_times.is_none_or(|times| asked.number <= times)
        {
            let rule = FaultRule::always(kind);
            let Wishes { retry_after, silence, .. } = *wishes;
            return Some(Fault { retry_after, silence, ..Fault::from(&rule) });
        }
        if self.rules.is_empty() {
            return None;
        }
        let elapsed = self.clock.elapsed();
        self.rules.iter().find(|rule| rule.hits(asked, elapsed, rng)).map(|rule| Fault::from(&rule.rule))
    }

    /// Rules count their hits anew; with the clock that is everything they remember.
    pub(crate) fn restart(&self) {
        self.rules.iter().for_each(|rule| rule.hits.store(0, Ordering::Relaxed));
        self.changed.send_replace(());
    }

    /// Switches an outage on, in the place of one that is on.
    pub(crate) fn start_outage(&self, rule: FaultRule, span: Option<Duration>) {
        let until = span.map(|span| self.env.monotonic().saturating_add(span));
        let rule = Arc::new(Rule::new(rule, self.seed, "outage"));
        *self.lock() = Some(Outage { rule, clock: SimClock::new(self.env.clone()), until });
        self.changed.send_replace(());
    }

    pub(crate) fn end_outage(&self) {
        *self.lock() = None;
        self.changed.send_replace(());
    }

    /// The outage that is on, and how long it will be if that is known.
    pub(crate) fn outage(&self) -> Option<(FaultRule, Option<Duration>)> {
        let outage = self.lock();
        let outage = outage.as_ref()?;
        let left = outage.until.map(|until| until.saturating_sub(self.env.monotonic()));
        (left != Some(Duration::ZERO)).then(|| (outage.rule.rule.clone(), left))
    }

    fn outage_rule(&self) -> Option<(Arc<Rule>, Duration)> {
        let outage = self.lock();
        let outage = outage.as_ref()?;
        let is_over = outage.until.is_some_and(|until| until <= self.env.monotonic());
        (!is_over).then(|| (Arc::clone(&outage.rule), outage.clock.elapsed()))
    }

    /// Returns once the address is to be closed.
    pub(crate) async fn closed(&self) {
        self.door(true).await;
    }

    /// Returns once the address is to be open again.
    pub(crate) async fn open(&self) {
        self.door(false).await;
    }

    async fn door(&self, is_closed: bool) {
        let mut changed = self.changed.subscribe();
        loop {
            let (now_closed, next) = self.door_now();
            if now_closed == is_closed {
                return;
            }
            // The sender lives as long as `self`.
            let _ = tokio::time::timeout(next.unwrap_or(Duration::MAX), changed.changed()).await;
        }
    }

    /// Whether the address is closed, and when to look again.
    fn door_now(&self) -> (bool, Option<Duration>) {
        if let Some((_, left)) = self.outage().filter(|(rule, _)| closes(rule)) {
            return (true, left);
        }
        let elapsed = self.clock.elapsed();
        let windows = || self.rules.iter().map(|rule| &rule.rule).filter(|rule| closes(rule));
        let turns = windows().flat_map(|rule| [rule.from_seconds, rule.to_seconds]).flatten();
        let ahead = turns.filter_map(|seconds| {
            let turn = Duration::try_from_secs_f64(seconds).ok()?;
            turn.checked_sub(elapsed).filter(|left| !left.is_zero())
        });
        (windows().any(|rule| rule.is_at(elapsed)), ahead.min())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Outage>> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether nobody gets a connection while it holds, whatever is asked.
fn closes(rule: &FaultRule) -> bool {
    let FaultRule { from_seconds, to_seconds, .. } = *rule;
    *rule == FaultRule { from_seconds, to_seconds, ..FaultRule::always(FaultKind::Refused) }
}

impl Rule {
    fn new(rule: FaultRule, seed: u64, name: &str) -> Self {
        let bursts = rule.burst.map(|burst| Bursts::new(burst, seed, format!("burst/{name}")));
        Self { rule, bursts, hits: AtomicU64::new(0) }
    }

    /// What costs most, and what leaves a trace, is asked last.
    fn hits(&self, asked: &Asked<'_>, elapsed: Duration, rng: &mut Rng) -> bool {
        let rule = &self.rule;
        rule.first_tries.is_none_or(|tries| asked.number <= tries)
            && rule.model.as_ref().is_none_or(|part| asked.model.contains(part.as_str()))
            && rule.is_at(elapsed)
            && self.bursts.as_ref().is_none_or(|bursts| bursts.is_on(elapsed))
            && rule.agent.as_ref().is_none_or(|part| Brief::of(asked.request).role.contains(part.as_str()))
            && rule
                .prompt
                .as_ref()
                .is_none_or(|part| any_text(asked.request, |text| text.contains(part.as_str())))
            && rule
                .prompt_matches
                .as_ref()
                .is_none_or(|form| any_text(asked.request, |text| form.matches(text)))
            && (rule.rate >= 1.0 || rng.chance(rule.rate))
            && self.is_left()
    }

    fn is_left(&self) -> bool {
        let Some(times) = self.rule.times else { return true };
        self.hits.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < times).then_some(n + 1)).is_ok()
    }
}

fn any_text(request: &ChatRequest, fits: impl Fn(&str) -> bool) -> bool {
    request.system.as_ref().is_some_and(|system| fits(system))
        || request.messages.iter().any(|message| matches!(message, Message::User { text } if fits(text)))
}

#[cfg(test)]
mod tests;
