//! Effects under way in one attempt. Dropping it drops every call.

use std::collections::HashMap;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use qd_crew::Effect;
use qd_store::{Claimed, Record};
use qd_types::{Billed, Call, Entry, Failure, LogItem, StepId, StepKind, TaskId};

use crate::cached::Caching;
use crate::chain::FailedTry;
use crate::engine::Shared;
use crate::executor::{self, Done, Order};
use crate::spend::Slip;

/// What came back.
enum Landed {
    /// An effect's entry.
    Entry(Box<Entry>),
    /// An effect that was not tried.
    NotMade(StepId, Failure),
    /// The store heard what nothing waits for.
    Announced,
}

/// What came back together.
#[derive(Default)]
pub(super) struct Landing {
    /// To be journaled.
    pub(super) entries: Vec<Entry>,
    /// Why effects were not tried; they are ready again.
    pub(super) not_made: Vec<Failure>,
}

/// See the module.
pub(super) struct Flight<'a> {
    shared: &'a Shared,
    claimed: &'a Claimed,
    /// Steps under way, each with its task, how it is called, and what a drop leaves of its money.
    steps: HashMap<StepId, (TaskId, Call, Slip)>,
    futures: FuturesUnordered<BoxFuture<'a, Landed>>,
    /// Calls that may have been sent by an attempt that died.
    doubt: u32,
}

impl<'a> Flight<'a> {
    pub(super) fn new(shared: &'a Shared, claimed: &'a Claimed) -> Self {
        let doubt = if claimed.in_doubt { claimed.job.crashes.max(1) } else { 0 };
        Self { shared, claimed, steps: HashMap::new(), futures: FuturesUnordered::new(), doubt }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.steps.len() >= self.shared.options.limits.parallel_effects
    }

    /// How many more may be started.
    pub(super) fn room(&self) -> usize {
        self.shared.options.limits.parallel_effects.saturating_sub(self.steps.len())
    }

    pub(super) fn has(&self, step: &StepId) -> bool {
        self.steps.contains_key(step)
    }

    pub(super) fn count(&self, kind: StepKind) -> u32 {
        let of_kind = self.steps.keys().filter(|step| step.kind() == kind).count();
        u32::try_from(of_kind).unwrap_or(u32::MAX)
    }

    /// Starts an effect whose step failed so far as told, after a wait.
    pub(super) fn start(
        &mut self,
        effect: Effect,
        failed: Vec<FailedTry>,
        time_left: Duration,
        wait: Duration,
        caching: Option<Caching>,
    ) {
        let number = u32::try_from(failed.len()).unwrap_or(u32::MAX).saturating_add(1);
        let possibly_billed = if effect.step.kind() == StepKind::Model { self.doubt } else { 0 };
        let call = executor::call(&effect, number, possibly_billed);
        let slip = Slip::default();
        self.steps.insert(effect.step.clone(), (effect.task.clone(), call.clone(), slip.clone()));
        let order = Order { effect, call, failed, time_left, wait, caching, slip };
        let (shared, claimed) = (self.shared, self.claimed);
        self.futures.push(
            async move {
                match executor::execute(shared, claimed, order).await {
                    Done::Entry(entry) => Landed::Entry(entry),
                    Done::NotMade(step, failure) => Landed::NotMade(step, failure),
                }
            }
            .boxed(),
        );
    }

    /// What was ready at the claim has been started.
    pub(super) fn settle_doubt(&mut self) {
        self.doubt = 0;
    }

    /// Sends a record without waiting for it. It keeps its place before later writes of this attempt, because it is
    /// handed to the store right here.
    pub(super) fn announce(&mut self, record: Record) {
        let store = &self.shared.store;
        let mut sent = async move {
            // A refusal is met again by the next write, which waits.
            let _ = store.record(record).await;
            Landed::Announced
        }
        .boxed();
        if (&mut sent).now_or_never().is_none() {
            self.futures.push(sent);
        }
    }

    /// Waits until something has come back and takes along whatever else has by then.
    pub(super) async fn next(&mut self) -> Landing {
        let mut landing = Landing::default();
        while landing.entries.is_empty() && landing.not_made.is_empty() {
            // Nothing under way at all would wait for ever; callers ask `is_empty` first.
            let Some(first) = self.futures.next().await else { break };
            self.land(first, &mut landing);
        }
        while let Some(Some(more)) = self.futures.next().now_or_never() {
            self.land(more, &mut landing);
        }
        landing
    }

    fn land(&mut self, landed: Landed, landing: &mut Landing) {
        match landed {
            Landed::Entry(entry) => {
                if let Some(step) = entry.step() {
                    self.steps.remove(step);
                }
                landing.entries.push(*entry);
            }
            Landed::NotMade(step, failure) => {
                if let Some((_, call, _)) = self.steps.remove(&step) {
                    // What an attempt that died may have sent is not accounted for yet: the call that was to say so was
                    // not made.
                    self.doubt = self.doubt.max(call.possibly_billed);
                }
                landing.not_made.push(failure);
            }
            Landed::Announced => {}
        }
    }

    /// Whether nothing is left of what was in doubt at the claim.
    pub(super) fn is_doubt_settled(&self) -> bool {
        self.doubt == 0
    }

    /// Drops every call and answers the entries that say so and why.
    pub(super) fn land_all_dropped(&mut self, why: &Failure) -> Vec<LogItem> {
        self.futures.clear();
        let models = self.steps.drain().filter(|(step, _)| step.kind() == StepKind::Model);
        let dropped = models.map(|(step, (task, mut call, slip))| {
            call.reserved = slip.take();
            let failure = why.clone().in_task(task);
            let entry = Entry::CallFailed { step, failure, billed: Billed::Possibly, call };
            LogItem::Entry { entry: Box::new(entry) }
        });
        dropped.collect()
    }
}
