//! The workload's batches, schedules and deliveries.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use qd_store::{
    BatchAccepted, BatchCancelled, BatchOpened, BatchStatus, DeliveryOutcome, Error, ItemInput, Missed,
    NewBatch, NewItem, NewSchedule, Schedule, SchedulePut, ScheduleSpec, ScheduleTick, Settlement,
    TakeDeliveries, TickAct, Ticked,
};
use qd_types::{CrewName, CrewVersion, Input, JobId, Priority, ScheduleName, TenantId, Timestamp};

use super::{Doubt, RECEIVER, Workload, keyed, plain};
use crate::around::Around;
use crate::ledger::{Change, tenants};

/// Schedules of each tenant.
const SCHEDULES: [&str; 2] = ["nightly", "hourly"];

impl Workload {
    fn new_batch(&mut self) -> NewBatch {
        NewBatch {
            id: self.env.batch_id(),
            tenant: self.rng.choice(tenants()).expect("two"),
            crew: CrewName::new("research"),
            crew_version: CrewVersion(1),
            machine_version: 1,
            total_tasks: 1,
            // So that some come to their end.
            priority: Priority::new(5).expect("a level"),
            concurrency: self.rng.u32(1..6),
            timeout_seconds: 300,
            max_attempts: 5,
            budget: None,
            metadata: BTreeMap::new(),
            webhook_url: self.rng.bool().then(|| RECEIVER.to_owned()),
        }
    }

    fn items(&mut self) -> Vec<NewItem> {
        let count = self.rng.usize(1..4);
        let item = |n: usize| match self.rng.u8(..8) {
            0 => NewItem::Invalid("`topic` is missing".to_owned()),
            _ => {
                let topic = "tides ".repeat(self.rng.usize(1..200));
                let input =
                    Input::from_iter([("topic".to_owned(), topic.into()), ("n".to_owned(), n.into())]);
                NewItem::Valid(ItemInput { input, ..ItemInput::default() })
            }
        };
        (0..count).map(item).collect()
    }

    /// Takes a batch in; nobody sees it until it is whole, and some are given up before.
    pub(super) async fn accept_batch(&mut self) -> Result<(), Error> {
        let new = self.new_batch();
        let (id, tenant) = (new.id, new.tenant.clone());
        let opened = self.store.open_batch(new).await?;
        assert_eq!(opened, BatchOpened::Opened);
        for _ in 0..self.rng.usize(1..4) {
            let items = self.items();
            assert!(self.store.add_items(id, items).await?, "it is being taken in");
        }
        if self.rng.u8(..6) == 0 {
            return self.store.discard_batch(id).await;
        }
        let key = self.rng.bool().then(|| {
            self.keys += 1;
            format!("key-{}", self.keys)
        });
        self.doubt.rest = true;
        let asked = self.fs.position();
        let answer = self.store.accept_batch(id, key.as_deref().map(keyed)).await?;
        let mut changes = vec![self.around().await?];
        match answer {
            BatchAccepted::Created(batch) => assert_eq!((batch.id, &batch.tenant), (id, &tenant)),
            BatchAccepted::Empty => return Ok(()),
            other => panic!("a new batch is created: {other:?}"),
        }
        changes.extend(key.map(|key| Change::BatchKey((tenant, key), id)));
        self.note(asked, changes);
        Ok(())
    }

    pub(super) async fn feed_batches(&mut self) -> Result<(), Error> {
        let max = self.rng.usize(1..6);
        self.doubt = Doubt { all: true, rest: true, ..Doubt::default() };
        let asked = self.fs.position();
        let fed = self.store.feed_batches(max).await?;
        let around = Around::of(&self.store).await?;
        let made: Vec<(TenantId, JobId)> =
            jobs_of(&around).into_iter().filter(|(_, job)| !self.view.jobs.contains_key(job)).collect();
        assert_eq!(made.len(), fed.started.len(), "{fed:?}");
        let mut changes = vec![Change::Around(around.into())];
        for (tenant, id) in made {
            changes.push(Change::Job(id, self.kept(&tenant, id).await?));
        }
        self.note(asked, changes);
        Ok(())
    }

    pub(super) async fn cancel_batch(&mut self) -> Result<(), Error> {
        let running = self.view.around.batches.values().map(|kept| &kept.batch);
        let running: Vec<_> = running.filter(|batch| batch.status == BatchStatus::Running).collect();
        let Some((tenant, id)) = self.rng.choice(running).map(|batch| (batch.tenant.clone(), batch.id))
        else {
            return Ok(());
        };
        self.doubt = Doubt { all: true, rest: true, ..Doubt::default() };
        let asked = self.fs.position();
        let answer = self.store.cancel_batch(&tenant, id).await?;
        assert!(matches!(answer, BatchCancelled::Now { .. }), "{answer:?}");
        let around = Around::of(&self.store).await?;
        let jobs: BTreeSet<JobId> = around.batches[&id].items.iter().filter_map(|(_, job)| *job).collect();
        self.held.retain(|held| !jobs.contains(&held.job.id));
        let mut changes = vec![Change::Around(around.into())];
        for job in jobs {
            changes.push(Change::Job(job, self.kept(&tenant, job).await?));
        }
        self.note(asked, changes);
        Ok(())
    }

    /// A moment that no schedule had yet: the store knows ticks by it for longer than this workload's jobs are kept.
    fn soon(&mut self) -> Timestamp {
        self.texts += 1;
        let wait = Duration::from_secs(self.rng.u64(..60)) + Duration::from_millis(self.texts.into());
        self.now().plus(wait)
    }

    /// Makes one, or changes, pauses or deletes it.
    pub(super) async fn change_a_schedule(&mut self) -> Result<(), Error> {
        let tenant = self.rng.choice(tenants()).expect("two");
        let name = ScheduleName::new(self.rng.choice(SCHEDULES).expect("two"));
        let next_at = self.soon();
        self.doubt.rest = true;
        let is_known = self.view.around.schedules.contains_key(&(tenant.clone(), name.clone()));
        let asked = self.fs.position();
        match self.rng.u8(..6) {
            0 if is_known => assert!(self.store.delete_schedule(&tenant, &name).await?, "it was there"),
            1 if is_known => {
                let next_at = self.rng.bool().then_some(next_at);
                let kept = self.store.pause_schedule(&tenant, &name, next_at).await?;
                assert_eq!(kept.map(|kept| kept.paused), Some(next_at.is_none()));
            }
            _ => self.put_schedule(tenant, name, next_at).await?,
        }
        let changes = vec![self.around().await?];
        self.note(asked, changes);
        Ok(())
    }

    async fn put_schedule(
        &mut self,
        tenant: TenantId,
        name: ScheduleName,
        next_at: Timestamp,
    ) -> Result<(), Error> {
        self.texts += 1;
        let spec = ScheduleSpec {
            cron: "@hourly".into(),
            zone: "UTC".into(),
            crew: CrewName::new("research"),
            input: Input::from_iter([("n".to_owned(), self.texts.into())]),
            priority: Priority::NORMAL,
            conversation: None,
            timeout_seconds: 300,
            max_attempts: 5,
            budget: None,
            metadata: BTreeMap::new(),
            webhook_url: None,
            missed: Missed::RunAll,
        };
        let new = NewSchedule { tenant, name, spec, paused: false, next_at: Some(next_at) };
        let put = self.store.put_schedule(new, true).await?;
        assert!(matches!(put, SchedulePut::Created(_) | SchedulePut::Replaced(_)), "{put:?}");
        Ok(())
    }

    /// What is due is run, left out or put off; where nothing is, a schedule is made due.
    pub(super) async fn tick_a_schedule(&mut self) -> Result<(), Error> {
        let mut due = self.store.due_schedules(10).await?.schedules;
        if due.is_empty() {
            let tenant = self.rng.choice(tenants()).expect("two");
            self.texts += 1;
            let name = ScheduleName::new(SCHEDULES[0]);
            let overdue = Timestamp(self.now().0 - i64::from(self.texts));
            self.doubt.rest = true;
            let asked = self.fs.position();
            self.put_schedule(tenant, name, overdue).await?;
            let changes = vec![self.around().await?];
            self.note(asked, changes);
            due = self.store.due_schedules(10).await?.schedules;
        }
        let seen = self.rng.choice(due).expect("one is due");
        let next_at = Some(self.soon());
        let mut job = plain(&self.env);
        job.tenant = seen.tenant.clone();
        let (tenant, id) = (job.tenant.clone(), job.id);
        let act = match self.rng.u8(..6) {
            0 => TickAct::LeaveOut { next_at, error: None },
            1 => TickAct::TryAgain { after: Duration::from_secs(5), error: "the queue is full".to_owned() },
            _ => TickAct::Run { at: seen_at(&seen), job: Box::new(job), next_at, leaves_out: false },
        };
        let makes_job = matches!(act, TickAct::Run { .. });
        let tick = ScheduleTick {
            tenant: tenant.clone(),
            name: seen.name.clone(),
            revision: seen.revision,
            seen: seen_at(&seen),
            act,
        };
        self.doubt = Doubt { rest: true, ..Doubt::of([id]) };
        let asked = self.fs.position();
        let ticked = self.store.tick_schedule(tick).await?;
        let mut changes = vec![self.around().await?];
        match ticked {
            Ticked::Made(made) if makes_job => {
                assert_eq!(made.id, id);
                self.promised.push((id, 0));
                changes.push(Change::Job(id, self.kept(&tenant, id).await?));
            }
            Ticked::Noted if !makes_job => {}
            other => panic!("nobody else ticks: {other:?}"),
        }
        self.note(asked, changes);
        Ok(())
    }

    /// Takes a delivery and settles it, or has one sent again that is over.
    pub(super) async fn deliver(&mut self) -> Result<(), Error> {
        self.doubt.rest = true;
        let over = self.view.around.deliveries.values().filter(|one| one.ended_at.is_some());
        let over: Vec<_> = over.map(|one| (one.tenant.clone(), one.id)).collect();
        if let Some((tenant, id)) = self.rng.choice(over).filter(|_| self.rng.u8(..6) == 0) {
            let asked = self.fs.position();
            assert!(self.store.resend(&tenant, id).await?.is_some(), "it is known");
            let changes = vec![self.around().await?];
            self.note(asked, changes);
            return Ok(());
        }
        let ask = TakeDeliveries { max: 1, per_lane: 1, ..TakeDeliveries::default() };
        let taken = self.store.take_deliveries(ask).await?.deliveries;
        for (delivery, _) in taken {
            let (http_status, outcome) = match self.rng.u8(..6) {
                0 => (Some(500), DeliveryOutcome::Failed),
                1 => (None, DeliveryOutcome::Again(Duration::from_secs(self.rng.u64(1..60)))),
                _ => (Some(200), DeliveryOutcome::Delivered),
            };
            let error = (http_status != Some(200)).then(|| "the receiver did not take it".to_owned());
            let tenant = delivery.tenant.clone();
            let settlement = Settlement { delivery: delivery.id, tenant, http_status, error, outcome };
            let asked = self.fs.position();
            self.store.settle_deliveries(vec![settlement]).await?;
            let changes = vec![self.around().await?];
            self.note(asked, changes);
        }
        Ok(())
    }
}

fn seen_at(schedule: &Schedule) -> Timestamp {
    schedule.next_at.expect("what is due has a tick")
}

fn jobs_of(around: &Around) -> Vec<(TenantId, JobId)> {
    let batches = around.batches.values();
    let of = |kept: &crate::around::KeptBatch| {
        let tenant = kept.batch.tenant.clone();
        kept.items
            .iter()
            .filter_map(|(_, job)| *job)
            .map(move |job| (tenant.clone(), job))
            .collect::<Vec<_>>()
    };
    batches.flat_map(of).collect()
}
