//! Delivers webhooks: takes what is due, sends it signed, notes what came of it. At least once: what was under way when a
//! process dies is due again, with the same id.
//!
//! Nothing is asked of the store while nothing is due. An endpoint that fails again and again is left alone for a while, so
//! that its deliveries wait instead of using their tries up, and the others do not wait for it.

mod lanes;
mod news;
mod schedule;
mod send;
mod signature;
mod webhooks;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use qd_store::{
    Delivery, DeliveryOutcome, Destination, EndpointState, Event, Settlement, Subject, TakeDeliveries,
};
use qd_types::TenantId;
use tokio::task::JoinSet;

use crate::engine::Shared;
use lanes::Lanes;
use schedule::next_try;
use send::Answer;
pub use signature::{InvalidSecret, SigningSecret, Unverified, WebhookHeaders, verify};
pub use webhooks::{Endpoint, WebhookOptions, Webhooks};

/// Between two looks when a hint may have got lost.
const LOOK_MAX: Duration = Duration::from_secs(60);
/// After a store that could not answer.
const STORE_AWAY: Duration = Duration::from_secs(1);
/// Transactions that note tries, at once. Beyond it the store is slower than the receivers, and is waited for.
const NOTES_MAX: usize = 32;
/// How long tries under way may take when the process stops; what is cut is tried again by the next one.
const STOP_WAIT: Duration = Duration::from_secs(3);

/// Runs until the engine stops.
pub(crate) async fn run(shared: Arc<Shared>) {
    let Some(webhooks) = shared.options.webhooks.clone() else { return };
    let mut deliverer = Deliverer {
        webhooks,
        tries: JoinSet::new(),
        sending: HashMap::new(),
        noting: JoinSet::new(),
        lanes: Lanes::default(),
        endpoints: HashMap::new(),
        tenant: TenantId::default(),
        shared,
    };
    deliverer.remember_endpoints().await;
    let stopping = deliverer.shared.stopping.clone();
    while !stopping.is_cancelled() {
        let pause = deliverer.take().await;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = deliverer.shared.store.deliveries_changed(), if deliverer.has_room() => {}
            Some(tried) = deliverer.tries.join_next() => deliverer.settle(tried.ok()).await,
            Some(_) = deliverer.noting.join_next() => {}
            () = stopping.cancelled() => {}
        }
    }
    let _ = tokio::time::timeout(STOP_WAIT, async {
        while let Some(tried) = deliverer.tries.join_next().await {
            deliverer.settle(tried.ok()).await;
        }
        while deliverer.noting.join_next().await.is_some() {}
    })
    .await;
}

/// One try that came back.
struct Tried {
    delivery: Delivery,
    lane: String,
    answer: Answer,
}

struct Deliverer {
    shared: Arc<Shared>,
    webhooks: Arc<Webhooks>,
    tries: JoinSet<Tried>,
    /// Tries under way, by lane.
    sending: HashMap<String, usize>,
    /// What became of others is being written. Their places are free meanwhile: a commit may take longer than a try.
    noting: JoinSet<()>,
    lanes: Lanes,
    endpoints: HashMap<String, EndpointState>,
    tenant: TenantId,
}

impl Deliverer {
    async fn remember_endpoints(&mut self) {
        match self.shared.store.endpoints(&self.tenant).await {
            Ok(known) => self.endpoints.extend(known.into_iter().map(|state| (state.name.clone(), state))),
            Err(error) => tracing::error!(%error, "could not read what is known of webhook endpoints"),
        }
    }

    fn has_room(&self) -> bool {
        self.tries.len() < self.webhooks.at_once && self.noting.len() < NOTES_MAX
    }

    /// Starts what is due and has room; answers how long to wait for more.
    async fn take(&mut self) -> Duration {
        if !self.has_room() {
            return LOOK_MAX;
        }
        let now = self.shared.env.monotonic();
        let ask = TakeDeliveries {
            max: self.webhooks.at_once - self.tries.len(),
            per_lane: self.webhooks.per_endpoint,
            rooms: self.rooms(now),
        };
        match self.shared.store.take_deliveries(ask).await {
            Ok(taken) => {
                for (delivery, subject) in taken.deliveries {
                    self.start(delivery, subject);
                }
                let due = taken.next_due.map(|at| at.since(self.shared.env.now()));
                let pause = self.lanes.next(now).into_iter().chain(due).min().unwrap_or(LOOK_MAX);
                pause.clamp(Duration::from_millis(5), LOOK_MAX)
            }
            Err(error) => {
                tracing::error!(%error, "could not take deliveries");
                STORE_AWAY
            }
        }
    }

    /// How many more the lanes may have under way that are not idle and trusted.
    fn rooms(&self, now: Duration) -> HashMap<String, usize> {
        let mut rooms = self.lanes.bounds(now);
        for (lane, sending) in &self.sending {
            let room = rooms.entry(lane.clone()).or_insert(self.webhooks.per_endpoint);
            *room = room.saturating_sub(*sending);
        }
        rooms
    }

    fn start(&mut self, delivery: Delivery, subject: Option<Subject>) {
        let lane = delivery.destination.lane();
        *self.sending.entry(lane.clone()).or_default() += 1;
        let (shared, webhooks) = (Arc::clone(&self.shared), Arc::clone(&self.webhooks));
        if let Some(why) = self.refusal(&delivery) {
            let answer = Answer::Never(why);
            self.tries.spawn(async move { Tried { delivery, lane, answer } });
            return;
        }
        self.tries.spawn(async move {
            let began = shared.env.monotonic();
            let answer = send::send(&shared, &webhooks, &delivery, subject.as_ref()).await;
            shared.observer.webhook_took(shared.env.monotonic().saturating_sub(began));
            Tried { delivery, lane, answer }
        });
    }

    /// Why a delivery is not even tried.
    fn refusal(&self, delivery: &Delivery) -> Option<String> {
        let Destination::Endpoint(name) = &delivery.destination else { return None };
        if !self.webhooks.endpoints.contains_key(name) {
            return Some(format!("the configuration has no endpoint `{name}` any more"));
        }
        let state = self.endpoints.get(name).filter(|state| state.disabled_at.is_some())?;
        // A test is how somebody finds out whether it is back.
        (delivery.event != Event::Test).then(|| {
            let reason = state.reason.as_deref().unwrap_or("it was switched off");
            format!("the endpoint is disabled: {reason}; a test that succeeds enables it again")
        })
    }

    /// Notes a try, and whatever others have come back meanwhile, in one transaction.
    async fn settle(&mut self, first: Option<Tried>) {
        let mut tried: Vec<Tried> = first.into_iter().collect();
        while let Some(more) = self.tries.try_join_next() {
            tried.extend(more.ok());
        }
        let mut settlements = Vec::with_capacity(tried.len());
        for one in tried {
            if let Some(sending) = self.sending.get_mut(&one.lane) {
                *sending -= 1;
                if *sending == 0 {
                    self.sending.remove(&one.lane);
                }
            }
            settlements.push(self.judge(one).await);
        }
        self.noting.spawn(note(Arc::clone(&self.shared), settlements));
    }

    async fn judge(&mut self, tried: Tried) -> Settlement {
        let Tried { delivery, lane, answer } = tried;
        let (http_status, error, asked) = match answer {
            Answer::Took(status) => (Some(status), None, None),
            Answer::Refused { status, retry_after } => {
                (Some(status), Some(format!("it answered {status}")), retry_after)
            }
            Answer::Failed(why) => (None, Some(why.to_owned()), None),
            Answer::Never(why) => {
                return self.settlement(&delivery, None, Some(why), DeliveryOutcome::Failed);
            }
        };
        let now = self.shared.env.monotonic();
        self.lanes.note(&lane, error.is_none(), now);
        let is_gone = http_status == Some(410);
        self.note_endpoint(&delivery, error.as_deref(), is_gone).await;
        let outcome = match &error {
            None => DeliveryOutcome::Delivered,
            // A test tells at once.
            Some(_) if is_gone || delivery.event == Event::Test => DeliveryOutcome::Failed,
            Some(_) => {
                let draw = self.shared.env.draw() as f64 / u64::MAX as f64;
                next_try(delivery.tries + 1, asked, draw)
                    .map_or(DeliveryOutcome::Failed, DeliveryOutcome::Again)
            }
        };
        if outcome == DeliveryOutcome::Failed {
            let reason = error.as_deref().unwrap_or_default();
            tracing::warn!(delivery = %delivery.id, event = %delivery.event, reason, "a webhook is given up");
        }
        self.settlement(&delivery, http_status, error, outcome)
    }

    fn settlement(
        &self,
        delivery: &Delivery,
        http_status: Option<u16>,
        error: Option<String>,
        outcome: DeliveryOutcome,
    ) -> Settlement {
        self.shared.observer.delivered(outcome);
        Settlement { delivery: delivery.id, tenant: delivery.tenant.clone(), http_status, error, outcome }
    }

    /// Remembers since when an endpoint fails, and disables one that is gone or has failed for too long.
    async fn note_endpoint(&mut self, delivery: &Delivery, error: Option<&str>, is_gone: bool) {
        let Destination::Endpoint(name) = &delivery.destination else { return };
        let now = self.shared.env.now();
        let known = self.endpoints.get(name).cloned().unwrap_or_default();
        let mut state = EndpointState { name: name.clone(), ..known.clone() };
        match error {
            None => state = EndpointState { name: name.clone(), ..EndpointState::default() },
            Some(error) => {
                let since = *state.failing_since.get_or_insert(now);
                let too_long = now.since(since) >= self.webhooks.disable_after;
                if state.disabled_at.is_none() && (is_gone || too_long) {
                    let what = if is_gone { "it answered 410" } else { "it took nothing for too long" };
                    tracing::error!(endpoint = name, error, what, "webhook endpoint disabled");
                    (state.disabled_at, state.reason) = (Some(now), Some(what.to_owned()));
                }
            }
        }
        // An endpoint that is well and always was has nothing to remember.
        let plain = EndpointState { name: name.clone(), ..EndpointState::default() };
        if state == known || (state == plain && !self.endpoints.contains_key(name)) {
            return;
        }
        if let Err(error) = self.shared.store.set_endpoint(&delivery.tenant, state.clone()).await {
            tracing::error!(%error, endpoint = name, "could not remember how a webhook endpoint stands");
        }
        self.endpoints.insert(name.clone(), state);
    }
}

/// Writes what became of tries, as often as it takes. What a process that stops has not written is sent again.
async fn note(shared: Arc<Shared>, settlements: Vec<Settlement>) {
    while let Err(error) = shared.store.settle_deliveries(settlements.clone()).await {
        tracing::error!(%error, "could not note deliveries");
        if shared.stopping.is_cancelled() {
            return;
        }
        tokio::time::sleep(STORE_AWAY).await;
    }
}
