//! A store that answers nothing: what clients and probes see then.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use qd_env::Env;
use qd_store::{
    Access, Act, Actor, Answer, Answered, AuditHead, Audited, Batch, BatchAccepted, BatchCancelled,
    BatchOpened, BatchPage, BatchQuery, Batches, Cache, CacheKey, Cancelled, Claimed, Conversations,
    CrewRecent, Crews, DayUsage, DeadGroup, DeadLetters, DeadQuery, Delivery, DeliveryPage, DeliveryQuery,
    Discard, DueSchedules, EndpointState, Enqueued, Error, Fed, Fence, Finish, Idempotency, ItemPage,
    ItemQuery, JobQuery, Jobs, KeyAdded, LocalBus, NewBatch, NewCrew, NewItem, NewJob, NewKey, NewSchedule,
    Outbox, Page, Published, Recent, Record, Refused, Revocation, Room, Schedule, SchedulePage, SchedulePut,
    ScheduleQuery, ScheduleTick, Schedules, ScopeSpend, Settlement, Slice, SliceAsk, SliceReturn, Spend,
    SpendScope, Stats, Store, StoredConversation, StoredCrew, StoredKey, TakeDeliveries, TakenDeliveries,
    Tick, Ticked, UsageQuery,
};
use qd_types::{
    BatchId, ConversationId, CrewName, CrewVersion, DeliveryId, Job, JobId, JobStatus, KeyId, Logged,
    ScheduleName, Seq, TenantId, Timestamp, WorkerId,
};
use serde_json::json;

use super::client::request;
use super::{Process, catalog, options, parts, soon};
use crate::{CrewBook, Gateway, Parts, Rates};

struct BrokenDisk;

fn broken<T>() -> Result<T, Error> {
    Err(Error::Broken { reason: "sector 17 of /dev/secret".into() })
}

#[async_trait]
impl Jobs for BrokenDisk {
    async fn enqueue(&self, _: Vec<NewJob>) -> Result<Vec<Enqueued>, Error> {
        broken()
    }
    async fn replay(&self, _: &TenantId, _: &qd_store::Idempotency) -> Result<Option<Enqueued>, Error> {
        broken()
    }
    async fn claim(&self, _: &WorkerId, _: Room) -> Result<Vec<Claimed>, Error> {
        broken()
    }
    async fn renew(&self, _: &WorkerId, _: Vec<(JobId, Fence)>) -> Result<Vec<Revocation>, Error> {
        broken()
    }
    async fn record(&self, _: Vec<Record>) -> Result<Vec<Result<Seq, Refused>>, Error> {
        broken()
    }
    async fn finish(&self, _: Vec<Finish>) -> Result<Vec<Result<JobStatus, Refused>>, Error> {
        broken()
    }
    async fn answer(&self, _: &TenantId, _: Answer) -> Result<Answered, Error> {
        broken()
    }
    async fn cancel(&self, _: &TenantId, _: JobId) -> Result<Cancelled, Error> {
        broken()
    }
    async fn tick(&self, _: usize) -> Result<Tick, Error> {
        broken()
    }
    async fn job(&self, _: &TenantId, _: JobId) -> Result<Option<Job>, Error> {
        broken()
    }
    async fn jobs(&self, _: &TenantId, _: JobQuery) -> Result<Page, Error> {
        broken()
    }
    async fn log(&self, _: &TenantId, _: JobId, _: Seq, _: usize) -> Result<Option<Vec<Logged>>, Error> {
        broken()
    }
    async fn stats(&self) -> Result<Stats, Error> {
        broken()
    }
    async fn recent(&self) -> Result<Recent, Error> {
        broken()
    }
    async fn recent_of(&self, _: &TenantId, _: Vec<CrewName>) -> Result<Vec<CrewRecent>, Error> {
        broken()
    }
}

#[async_trait]
impl Crews for BrokenDisk {
    async fn publish(&self, _: NewCrew) -> Result<Published, Error> {
        broken()
    }
    async fn crew(
        &self,
        _: &TenantId,
        name: &CrewName,
        _: Option<CrewVersion>,
    ) -> Result<Option<StoredCrew>, Error> {
        // Crews are still known, so that requests get as far as the queue.
        let spec = super::spec(name.as_str(), "Answer {message}", None).to_string();
        let created_at = qd_types::Timestamp(0);
        Ok(Some(StoredCrew {
            name: name.clone(),
            version: CrewVersion(1),
            hash: spec.clone(),
            spec,
            created_at,
        }))
    }
    async fn crews(&self, _: &TenantId) -> Result<Vec<StoredCrew>, Error> {
        broken()
    }
}

#[async_trait]
impl DeadLetters for BrokenDisk {
    async fn dead_groups(&self, _: &TenantId, _: DeadQuery) -> Result<Vec<DeadGroup>, Error> {
        broken()
    }
    async fn dead_count(&self, _: &TenantId, _: DeadQuery) -> Result<u64, Error> {
        broken()
    }
    async fn dead_jobs(&self, _: &TenantId, _: DeadQuery, _: usize) -> Result<Vec<Job>, Error> {
        broken()
    }
    async fn discard(&self, _: Discard) -> Result<Vec<JobId>, Error> {
        broken()
    }
}

#[async_trait]
impl Conversations for BrokenDisk {
    async fn conversation(
        &self,
        _: &TenantId,
        _: &ConversationId,
        _: usize,
    ) -> Result<Option<StoredConversation>, Error> {
        broken()
    }

    async fn forget(&self, _: &TenantId, _: &ConversationId) -> Result<bool, Error> {
        broken()
    }
}

#[async_trait]
impl Outbox for BrokenDisk {
    async fn post_delivery(&self, _: Delivery) -> Result<(), Error> {
        broken()
    }
    async fn take_deliveries(&self, _: TakeDeliveries) -> Result<TakenDeliveries, Error> {
        broken()
    }
    async fn settle_deliveries(&self, _: Vec<Settlement>) -> Result<(), Error> {
        broken()
    }
    async fn resend(&self, _: &TenantId, _: DeliveryId) -> Result<Option<Delivery>, Error> {
        broken()
    }
    async fn delivery(&self, _: &TenantId, _: DeliveryId) -> Result<Option<Delivery>, Error> {
        broken()
    }
    async fn deliveries(&self, _: &TenantId, _: DeliveryQuery) -> Result<DeliveryPage, Error> {
        broken()
    }
    async fn endpoints(&self, _: &TenantId) -> Result<Vec<EndpointState>, Error> {
        broken()
    }
    async fn set_endpoint(&self, _: &TenantId, _: EndpointState) -> Result<(), Error> {
        broken()
    }
}

#[async_trait]
impl Batches for BrokenDisk {
    async fn open_batch(&self, _: NewBatch) -> Result<BatchOpened, Error> {
        broken()
    }
    async fn add_items(&self, _: BatchId, _: Vec<NewItem>) -> Result<bool, Error> {
        broken()
    }
    async fn accept_batch(&self, _: BatchId, _: Option<Idempotency>) -> Result<BatchAccepted, Error> {
        broken()
    }
    async fn discard_batch(&self, _: BatchId) -> Result<(), Error> {
        broken()
    }
    async fn replay_batch(&self, _: &TenantId, _: Idempotency) -> Result<Option<BatchAccepted>, Error> {
        broken()
    }
    async fn feed_batches(&self, _: usize) -> Result<Fed, Error> {
        broken()
    }
    async fn cancel_batch(&self, _: &TenantId, _: BatchId) -> Result<BatchCancelled, Error> {
        broken()
    }
    async fn batch(&self, _: &TenantId, _: BatchId) -> Result<Option<Batch>, Error> {
        broken()
    }
    async fn batches(&self, _: &TenantId, _: BatchQuery) -> Result<BatchPage, Error> {
        broken()
    }
    async fn batch_items(&self, _: &TenantId, _: BatchId, _: ItemQuery) -> Result<Option<ItemPage>, Error> {
        broken()
    }
}

#[async_trait]
impl Schedules for BrokenDisk {
    async fn put_schedule(&self, _: NewSchedule, _: bool) -> Result<SchedulePut, Error> {
        broken()
    }
    async fn pause_schedule(
        &self,
        _: &TenantId,
        _: &ScheduleName,
        _: Option<Timestamp>,
    ) -> Result<Option<Schedule>, Error> {
        broken()
    }
    async fn delete_schedule(&self, _: &TenantId, _: &ScheduleName) -> Result<bool, Error> {
        broken()
    }
    async fn tick_schedule(&self, _: ScheduleTick) -> Result<Ticked, Error> {
        broken()
    }
    async fn due_schedules(&self, _: usize) -> Result<DueSchedules, Error> {
        broken()
    }
    async fn schedule(&self, _: &TenantId, _: &ScheduleName) -> Result<Option<Schedule>, Error> {
        broken()
    }
    async fn schedules(&self, _: &TenantId, _: ScheduleQuery) -> Result<SchedulePage, Error> {
        broken()
    }
}

#[async_trait]
impl Cache for BrokenDisk {
    async fn cached(&self, _: &TenantId, _: &CacheKey) -> Result<Option<Vec<u8>>, Error> {
        broken()
    }

    async fn cache(&self, _: &TenantId, _: &CacheKey, _: Vec<u8>, _: Duration) -> Result<(), Error> {
        broken()
    }
}

#[async_trait]
impl Spend for BrokenDisk {
    async fn lease_slice(&self, _: SliceAsk) -> Result<Slice, Error> {
        broken()
    }
    async fn return_slices(&self, _: Vec<SliceReturn>) -> Result<(), Error> {
        broken()
    }
    async fn scope_spend(&self, _: SpendScope) -> Result<ScopeSpend, Error> {
        broken()
    }
    async fn usage(&self, _: &TenantId, _: UsageQuery) -> Result<Vec<DayUsage>, Error> {
        broken()
    }
}

#[async_trait]
impl Access for BrokenDisk {
    async fn add_key(&self, _: NewKey, _: Actor) -> Result<KeyAdded, Error> {
        broken()
    }
    async fn revoke_key(&self, _: Option<&TenantId>, _: KeyId, _: Actor) -> Result<Option<StoredKey>, Error> {
        broken()
    }
    async fn keys(&self) -> Result<(Vec<StoredKey>, AuditHead), Error> {
        broken()
    }
    async fn audit(&self, _: Act) -> Result<Audited, Error> {
        broken()
    }
    async fn audited(&self, _: u64, _: usize) -> Result<Vec<Audited>, Error> {
        broken()
    }
    async fn audit_head(&self) -> Result<AuditHead, Error> {
        broken()
    }
}

#[tokio::test]
async fn every_route_says_that_the_store_is_away_and_liveness_does_not_depend_on_it() {
    let env = Env::system();
    let store = Store::new(Arc::new(BrokenDisk), Arc::new(LocalBus::default()));
    let parts = parts(&store, &env, Arc::new(Process::default()), Rates::default());
    // No crew is missing, so that requests get as far as the queue.
    let crews = Arc::new(CrewBook::new(store, catalog(), env));
    let gateway = Gateway::bind(options(), Parts { crews, ..parts }).await.unwrap();
    let (api, admin) = (gateway.local_addr(), gateway.admin_addr().unwrap());
    let running = gateway.start();
    let id = "018f0000-0000-7000-8000-000000000000";
    let job = json!({ "crew": "c", "input": { "message": "m" } }).to_string();
    let chat = json!({ "user_id": "u", "message": "m" }).to_string();
    let task = json!({ "task": "t", "idempotency_key": "k" }).to_string();
    let of_system = json!({ "description": "t", "crew_name": "c" }).to_string();
    for (method, path, body) in [
        ("POST", "/v1/jobs".to_owned(), job.as_str()),
        ("POST", "/chat".to_owned(), &chat),
        ("POST", "/tasks".to_owned(), &task),
        ("POST", "/crews/default/tasks".to_owned(), &of_system),
        ("GET", "/crews/default/metrics".to_owned(), ""),
        ("GET", "/v1/jobs".to_owned(), ""),
        ("GET", format!("/v1/jobs/{id}"), ""),
        ("GET", format!("/v1/jobs/{id}/events"), ""),
        ("GET", format!("/v1/jobs/{id}/steps"), ""),
        ("POST", format!("/v1/jobs/{id}/cancel"), ""),
        ("POST", format!("/v1/jobs/{id}/redrive"), ""),
        ("POST", format!("/v1/jobs/{id}/resume"), r#"{"approve":true}"#),
        ("GET", "/v1/conversations/ada".to_owned(), ""),
        ("DELETE", "/v1/conversations/ada".to_owned(), ""),
        ("GET", format!("/chat/{id}"), ""),
        ("GET", format!("/tasks/{id}"), ""),
        ("GET", "/v1/crews".to_owned(), ""),
        ("GET", "/v1/stats".to_owned(), ""),
        ("GET", "/v1/usage".to_owned(), ""),
        ("GET", "/v1/keys".to_owned(), ""),
        ("GET", "/v1/audit".to_owned(), ""),
        ("GET", "/v1/audit/check".to_owned(), ""),
    ] {
        let reply =
            request(api, method, &path, &[("content-type", "application/json")], body.as_bytes()).await;
        reply.problem(503, "store_unavailable");
        assert!(reply.header("retry-after").is_some());
        assert!(!reply.text().contains("secret"), "{path}: {}", reply.text());
    }
    for (path, status) in [("/health", 503), ("/readyz", 503), ("/livez", 200), ("/startupz", 200)] {
        assert_eq!(request(admin, "GET", path, &[], b"").await.status, status, "{path}");
    }
    request(admin, "GET", "/scale", &[], b"").await.problem(503, "store_unavailable");
    let metrics = request(admin, "GET", "/metrics", &[], b"").await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.text().contains("\nagent_queue_depth NaN\n"), "{}", metrics.text());
    assert!(!metrics.text().contains("\nquarterdeck_queue_"), "{}", metrics.text());
    soon("the stop", running.stop(Duration::from_secs(10))).await;
}
