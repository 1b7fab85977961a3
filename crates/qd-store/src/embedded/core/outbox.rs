//! Deliveries: written with the transitions that they tell of, handed out to be tried, settled.
//!
//! What is being tried is known in memory alone: it is this process that tries, and after its end all of it is due again.

use std::collections::HashMap;
use std::sync::Arc;

use qd_types::{CrewName, DeliveryId, HookKind, Hooks, Job, JobId, JobStatus, Logged, TenantId, Timestamp};

use super::super::rows::{Rows, Tries};
use super::super::schedule::Hold;
use super::{Core, Notice};
use crate::{
    Delivery, DeliveryOutcome, DeliveryStatus, Destination, EndpointState, Error, Event, Settlement, Subject,
    Subscription, TakeDeliveries, TakenDeliveries, Tried,
};

/// Lanes looked at for one take; the next one goes on behind them.
const LANES_MAX: usize = 1_000;

/// What the core knows of deliveries beside their rows.
#[derive(Default)]
pub(super) struct Outbox {
    subscriptions: Arc<[Subscription]>,
    /// Deliveries in somebody's hands, with their lanes.
    taken: HashMap<DeliveryId, String>,
    /// The lane that was looked at last.
    turn: String,
}

impl Outbox {
    pub(super) fn new(subscriptions: Arc<[Subscription]>) -> Self {
        Self { subscriptions, ..Self::default() }
    }
}

/// A job, as far as its deliveries care.
pub(super) struct About<'a> {
    pub(super) tenant: &'a TenantId,
    pub(super) crew: &'a CrewName,
    pub(super) job: JobId,
    pub(super) webhook: Option<&'a str>,
    pub(super) hooks: Option<&'a Hooks>,
}

impl<'a> About<'a> {
    pub(super) fn of(job: &'a Job) -> Self {
        Self {
            tenant: &job.tenant,
            crew: &job.crew,
            job: job.id,
            webhook: job.webhook_url.as_deref(),
            hooks: job.hooks.as_deref(),
        }
    }

    /// Of a job in somebody's hands.
    pub(super) fn held(job: JobId, hold: &'a Hold) -> Self {
        let (tenant, crew) = &hold.account;
        Self { tenant, crew, job, webhook: hold.webhook.as_deref(), hooks: hold.hooks.as_deref() }
    }
}

impl<R: Rows> Core<R> {
    /// Writes a delivery for everybody who is to hear that a job came to this status.
    pub(super) fn announce(
        &mut self,
        about: &About<'_>,
        status: JobStatus,
        at: Timestamp,
    ) -> Result<(), Error> {
        let Some(event) = Event::of(status) else { return Ok(()) };
        let endpoints = self.endpoints_for(event, about.crew);
        // The URL of a job hears of its end alone.
        let url = about.webhook.filter(|_| status.is_terminal()).map(|url| Destination::Url(url.to_owned()));
        for destination in endpoints.into_iter().chain(url) {
            let (id, tenant) = (self.env.delivery_id(), about.tenant.clone());
            self.post(&Delivery::new(id, tenant, Some(about.job), event, destination, at))?;
        }
        Ok(())
    }

    /// Endpoints of the configuration that are told of something.
    pub(super) fn endpoints_for(&self, event: Event, crew: &CrewName) -> Vec<Destination> {
        let wanting = self.outbox.subscriptions.iter().filter(|subscription| subscription.wants(event, crew));
        wanting.map(|subscription| Destination::Endpoint(subscription.endpoint.clone())).collect()
    }

    /// Writes a delivery for the URL that is to hear of an item of the job's log, if there is one.
    pub(super) fn tell(&mut self, about: &About<'_>, logged: &Logged) -> Result<(), Error> {
        let Some(hooks) = about.hooks else { return Ok(()) };
        let Some(kind) = HookKind::of(&logged.item) else { return Ok(()) };
        let Some(url) = hooks.url(kind) else { return Ok(()) };
        let (id, tenant, to) =
            (self.env.delivery_id(), about.tenant.clone(), Destination::Url(url.to_owned()));
        let told = Delivery::new(id, tenant, Some(about.job), Event::Hook(kind), to, logged.at);
        self.post(&Delivery { about: Some(logged.seq), ..told })
    }

    /// Adds a delivery.
    pub(crate) fn post(&mut self, delivery: &Delivery) -> Result<(), Error> {
        self.rows.post(delivery)?;
        if self.notices.last() != Some(&Notice::Deliveries) {
            self.notices.push(Notice::Deliveries);
        }
        Ok(())
    }

    /// Hands out what is due.
    pub(crate) fn take_deliveries(&mut self, ask: &TakeDeliveries) -> Result<TakenDeliveries, Error> {
        let now = self.env.now();
        let mut taken = TakenDeliveries { deliveries: Vec::new(), next_due: self.rows.next_delivery(now)? };
        let mut lanes = self.rows.pending_lanes(&self.outbox.turn, LANES_MAX)?;
        if lanes.len() < LANES_MAX {
            // From the beginning again, up to where this look began.
            let first = self.rows.pending_lanes("", LANES_MAX - lanes.len())?;
            lanes.extend(first.into_iter().filter(|lane| *lane <= self.outbox.turn));
        }
        let mut under_way: HashMap<String, usize> = HashMap::new();
        for lane in self.outbox.taken.values() {
            *under_way.entry(lane.clone()).or_default() += 1;
        }
        for lane in lanes {
            let room = ask.max - taken.deliveries.len();
            if room == 0 {
                break;
            }
            let under_way = under_way.get(&lane).copied().unwrap_or(0);
            let wanted = ask.rooms.get(&lane).copied().unwrap_or(ask.per_lane).min(room);
            if wanted > 0 {
                // Those under way are still due by their rows.
                let due = self.rows.due_deliveries(&lane, now, wanted + under_way)?;
                self.take_of_lane(&lane, due, wanted, &mut taken)?;
            }
            self.outbox.turn = lane;
        }
        Ok(taken)
    }

    fn take_of_lane(
        &mut self,
        lane: &str,
        due: Vec<Delivery>,
        wanted: usize,
        taken: &mut TakenDeliveries,
    ) -> Result<(), Error> {
        let free = |due: &Delivery| !self.outbox.taken.contains_key(&due.id);
        let free: Vec<_> = due.into_iter().filter(free).take(wanted).collect();
        for delivery in free {
            let subject = self.subject(&delivery)?;
            self.outbox.taken.insert(delivery.id, lane.to_owned());
            taken.deliveries.push((delivery, subject));
        }
        Ok(())
    }

    /// What a delivery tells of, if it is still kept.
    fn subject(&mut self, delivery: &Delivery) -> Result<Option<Subject>, Error> {
        if let Some(id) = delivery.job {
            let Some(row) = self.rows.find(&delivery.tenant, id)? else { return Ok(None) };
            return Ok(Some(Subject::Job(Box::new(self.rows.load(row)?))));
        }
        let Some(id) = delivery.batch else { return Ok(None) };
        let kept = self.rows.batch(id)?.filter(|kept| kept.batch.tenant == delivery.tenant);
        Ok(kept.map(|kept| Subject::Batch(Box::new(kept.batch))))
    }

    /// Notes how a try went. Unknown deliveries are passed over: they may have been pruned.
    pub(crate) fn settle_delivery(&mut self, settlement: &Settlement) -> Result<(), Error> {
        let now = self.env.now();
        let Some(found) = self.rows.delivery(&settlement.tenant, settlement.delivery)? else {
            self.outbox.taken.remove(&settlement.delivery);
            return Ok(());
        };
        let (status, next_at) = match settlement.outcome {
            DeliveryOutcome::Delivered => (DeliveryStatus::Delivered, None),
            DeliveryOutcome::Again(after) => (DeliveryStatus::Pending, Some(now.plus(after))),
            DeliveryOutcome::Failed => (DeliveryStatus::Failed, None),
        };
        let last = Tried { at: now, http_status: settlement.http_status, error: settlement.error.clone() };
        let ended_at = next_at.is_none().then_some(now);
        let tries = Tries { status, tries: found.tries + 1, next_at, last: Some(last), ended_at };
        self.rows.settle_delivery(found.id, &tries)?;
        self.outbox.taken.remove(&found.id);
        if next_at.is_some() {
            self.notices.push(Notice::Deliveries);
        }
        Ok(())
    }

    /// Makes a delivery due at once, with all its tries before it. One that is being tried goes on.
    pub(crate) fn resend(&mut self, tenant: &TenantId, id: DeliveryId) -> Result<Option<Delivery>, Error> {
        let Some(found) = self.rows.delivery(tenant, id)? else { return Ok(None) };
        let next_at = Some(self.env.now());
        let (status, last) = (DeliveryStatus::Pending, found.last);
        let tries = Tries { status, tries: 0, next_at, last, ended_at: None };
        self.rows.settle_delivery(id, &tries)?;
        self.notices.push(Notice::Deliveries);
        self.rows.delivery(tenant, id)
    }

    /// Remembers how an endpoint stands.
    pub(crate) fn set_endpoint(&mut self, tenant: &TenantId, state: &EndpointState) -> Result<(), Error> {
        self.rows.set_endpoint(tenant, state)
    }
}
