//! Which fault hits a call: what its prompt asks for, an outage that somebody switched on, or the first rule that applies.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use qd_env::{Env, Rng};
use qd_types::{ChatRequest, Message};
use tokio::sync::watch;

use super::marker::Wishes;
use super::options::{FaultKind, FaultRule};
use super::script::Asked;

/// A fault that hits a call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) retry_after: Option<Duration>,
}

/// The faults of one simulator.
#[derive(Clone)]
pub(crate) struct Faults {
    rules: Arc<[FaultRule]>,
    // Each use is a look or a replacement.
    outage: Arc<Mutex<Option<Outage>>>,
    changed: Arc<watch::Sender<()>>,
    env: Env,
}

/// A rule that was switched on while the simulator runs, and goes before all others.
#[derive(Debug, Clone)]
struct Outage {
    rule: FaultRule,
    /// When it ends by itself.
    until: Option<Duration>,
}

impl Faults {
    pub(crate) fn new(rules: &[FaultRule], env: Env) -> Self {
        let changed = Arc::new(watch::Sender::new(()));
        Self { rules: rules.into(), outage: Arc::default(), changed, env }
    }

    pub(crate) fn hit(&self, wishes: &Wishes, asked: &Asked<'_>, rng: &mut Rng) -> Option<Fault> {
        let of = |rule: &FaultRule| Fault { kind: rule.kind, retry_after: rule.retry_after() };
        if let Some((outage, _)) = self.outage()
            && applies(&outage, asked, rng)
        {
            return Some(of(&outage));
        }
        if let Some(kind) = wishes.fault
            && wishes.fault_times.is_none_or(|times| asked.number <= times)
        {
            return Some(Fault { kind, retry_after: wishes.retry_after });
        }
        self.rules.iter().find(|rule| applies(rule, asked, rng)).map(of)
    }

    /// Switches an outage on, in the place of one that is on.
    pub(crate) fn start_outage(&self, rule: FaultRule, span: Option<Duration>) {
        let until = span.map(|span| self.env.monotonic().saturating_add(span));
        *self.lock() = Some(Outage { rule, until });
        self.changed.send_replace(());
    }

    pub(crate) fn end_outage(&self) {
        *self.lock() = None;
        self.changed.send_replace(());
    }

    /// The outage that is on, and how long it will be if that is known.
    pub(crate) fn outage(&self) -> Option<(FaultRule, Option<Duration>)> {
        let outage = self.lock();
        let Outage { rule, until } = outage.as_ref()?;
        let Some(until) = until else { return Some((rule.clone(), None)) };
        let left = until.saturating_sub(self.env.monotonic());
        (!left.is_zero()).then(|| (rule.clone(), Some(left)))
    }

    /// Returns once the address is to be closed.
    pub(crate) async fn closed(&self) {
        let mut changed = self.changed.subscribe();
        while !self.outage().is_some_and(|(rule, _)| closes(&rule)) {
            // The sender lives as long as `self`.
            let _ = changed.changed().await;
        }
    }

    /// Returns once the address is to be open again.
    pub(crate) async fn open(&self) {
        let mut changed = self.changed.subscribe();
        while let Some((_, left)) = self.outage().filter(|(rule, _)| closes(rule)) {
            let _ = tokio::time::timeout(left.unwrap_or(Duration::MAX), changed.changed()).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Outage>> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether nobody gets a connection, whatever is asked.
fn closes(rule: &FaultRule) -> bool {
    *rule
        == FaultRule {
            retry_after_seconds: rule.retry_after_seconds,
            ..FaultRule::always(FaultKind::Refused)
        }
}

fn applies(rule: &FaultRule, asked: &Asked<'_>, rng: &mut Rng) -> bool {
    rule.first_tries.is_none_or(|tries| asked.number <= tries)
        && rule.model.as_ref().is_none_or(|part| asked.model.contains(part.as_str()))
        && rule.prompt.as_ref().is_none_or(|part| prompt_contains(asked.request, part))
        && (rule.rate >= 1.0 || rng.chance(rule.rate))
}

fn prompt_contains(request: &ChatRequest, part: &str) -> bool {
    request.system.as_ref().is_some_and(|system| system.contains(part))
        || request.messages.iter().any(|m| matches!(m, Message::User { text } if text.contains(part)))
}
