//! What becomes of deliveries: by what a receiver answers, and over the days that they are tried. The clock is moved by hand;
//! the sockets are real.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use qd_egress::Guard;
use qd_env::ManualClock;
use qd_store::{Delivery, DeliveryStatus, Destination, EndpointState, Event};
use qd_types::{DeliveryId, TenantId};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{Engine, Env, Metrics, Options, Plans, Store, catalog, models};
use crate::{Endpoint, SigningSecret, Webhooks};

const HOUR: Duration = Duration::from_secs(3_600);
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// An engine that delivers, and a receiver that answers as it is told.
struct Office {
    clock: Arc<ManualClock>,
    env: Env,
    store: Store,
    engine: Engine,
    answer: Arc<Mutex<&'static str>>,
    url: String,
}

impl Office {
    async fn start() -> Self {
        qd_llm::install_crypto_provider();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let answer = Arc::new(Mutex::new("HTTP/1.1 204 -\r\n\r\n"));
        let clock = Arc::new(ManualClock::at(1_700_000_000_000));
        let env = Env::with(clock.clone(), 7);
        let told = Arc::clone(&answer);
        env.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let answer = *told.lock().unwrap();
                let _ = stream.read(&mut [0; 8_192]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        let store = qd_store::open(&qd_store::Options::default(), &env).unwrap();
        let models = models(&env);
        let reach = qd_egress::Options { loopback: true, ..qd_egress::Options::default() };
        let secrets = vec![SigningSecret::parse(SECRET).unwrap()];
        let endpoint = Endpoint { url: url.clone(), secrets: secrets.clone() };
        let webhooks = Webhooks {
            endpoints: BTreeMap::from([("shop".to_owned(), endpoint)]),
            job_secrets: secrets,
            guard: Guard::new(&reach, Duration::from_secs(5)).unwrap(),
            show: |job| json!({"id": job.id.to_string()}),
            show_batch: |batch| json!({"id": batch.id.to_string()}),
            tell: |_| json!({}),
            per_endpoint: 4,
            at_once: 16,
            timeout: Duration::from_secs(10),
            disable_after: HOUR * 120,
        };
        let options = Options { webhooks: Some(Arc::new(webhooks)), ..Options::default() };
        let plans = Plans::new(store.clone(), catalog(&env));
        let engine =
            Engine::start(options, store.clone(), models, plans, env.clone(), &Arc::new(Metrics::default()));
        Self { clock, env, store, engine, answer, url }
    }

    fn answers(&self, head: &'static str) {
        *self.answer.lock().unwrap() = head;
    }

    async fn post(&self, event: Event, to: Destination) -> DeliveryId {
        let (id, now) = (self.env.delivery_id(), self.env.now());
        let delivery = Delivery::new(id, TenantId::default(), None, event, to, now);
        self.store.post_delivery(delivery).await.unwrap();
        id
    }

    async fn read(&self, id: DeliveryId) -> Delivery {
        self.store.delivery(&TenantId::default(), id).await.unwrap().unwrap()
    }

    /// The delivery once it was tried so often, or is over.
    async fn tried(&self, id: DeliveryId, tries: u32) -> Delivery {
        let look = async {
            loop {
                let delivery = self.read(id).await;
                if delivery.tries >= tries || delivery.status != DeliveryStatus::Pending {
                    return delivery;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), look).await.expect("tried in time")
    }

    /// Time passes, and whoever delivers looks again.
    async fn later(&self, span: Duration) {
        self.clock.advance(span);
        self.post(Event::Test, Destination::Endpoint("nobody".to_owned())).await;
    }

    async fn shop(&self) -> EndpointState {
        self.store.endpoints(&TenantId::default()).await.unwrap().remove(0)
    }
}

fn shop() -> Destination {
    Destination::Endpoint("shop".to_owned())
}

#[tokio::test]
async fn an_answer_decides_whether_and_when_a_delivery_is_tried_again() {
    for (answer, status, wait, error) in [
        ("HTTP/1.1 200 -\r\ncontent-length: 2\r\n\r\nok", DeliveryStatus::Delivered, None, None),
        ("HTTP/1.1 204 -\r\n\r\n", DeliveryStatus::Delivered, None, None),
        (
            "HTTP/1.1 500 -\r\ncontent-length: 0\r\n\r\n",
            DeliveryStatus::Pending,
            Some(4..=6),
            Some("it answered 500"),
        ),
        (
            "HTTP/1.1 302 -\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\n\r\n",
            DeliveryStatus::Pending,
            Some(4..=6),
            Some("it answered 302"),
        ),
        (
            "HTTP/1.1 503 -\r\nretry-after: 600\r\ncontent-length: 0\r\n\r\n",
            DeliveryStatus::Pending,
            Some(600..=600),
            Some("it answered 503"),
        ),
        (
            "HTTP/1.1 429 -\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n",
            DeliveryStatus::Pending,
            Some(4..=6),
            Some("it answered 429"),
        ),
        (
            "HTTP/1.1 410 -\r\ncontent-length: 0\r\n\r\n",
            DeliveryStatus::Failed,
            None,
            Some("it answered 410"),
        ),
        ("", DeliveryStatus::Pending, Some(4..=6), Some("the connection broke off")),
    ] {
        let office = Office::start().await;
        office.answers(answer);
        let id = office.post(Event::Failed, Destination::Url(office.url.clone())).await;
        let delivery = office.tried(id, 1).await;
        assert_eq!((delivery.status, delivery.tries), (status, 1), "{answer}");
        let found = delivery.next_at.map(|at| at.since(office.env.now()).as_secs());
        assert!(
            match (&wait, found) {
                (Some(wait), Some(found)) => wait.contains(&found),
                (None, None) => true,
                _ => false,
            },
            "{answer}: {found:?}"
        );
        assert_eq!(delivery.last.unwrap().error.as_deref(), error, "{answer}");
        office.engine.stop().await;
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_given_up_at_once_with_the_reason() {
    let office = Office::start().await;
    for (to, why) in [
        (Destination::Url("http://10.0.0.1/".to_owned()), "its URL names a host that may not be reached"),
        (Destination::Url("ftp://a.example".to_owned()), "its URL must begin with https:// or http://"),
        (Destination::Endpoint("gone".to_owned()), "the configuration has no endpoint `gone` any more"),
    ] {
        let id = office.post(Event::Failed, to).await;
        let delivery = office.tried(id, 1).await;
        assert_eq!(delivery.status, DeliveryStatus::Failed);
        let error = delivery.last.unwrap().error.unwrap();
        assert!(error.contains(why), "{error}");
    }
    office.engine.stop().await;
}

#[tokio::test]
async fn a_test_is_tried_once() {
    let office = Office::start().await;
    office.answers("HTTP/1.1 500 -\r\ncontent-length: 0\r\n\r\n");
    let id = office.post(Event::Test, shop()).await;
    let delivery = office.tried(id, 1).await;
    assert_eq!((delivery.status, delivery.next_at), (DeliveryStatus::Failed, None));
    office.engine.stop().await;
}

#[tokio::test]
async fn a_delivery_that_nobody_takes_is_given_up_after_ten_tries() {
    let office = Office::start().await;
    office.answers("HTTP/1.1 500 -\r\ncontent-length: 0\r\n\r\n");
    let id = office.post(Event::Failed, Destination::Url(office.url.clone())).await;
    for tries in 1..10 {
        let delivery = office.tried(id, tries).await;
        assert_eq!((delivery.status, delivery.tries), (DeliveryStatus::Pending, tries));
        office.later(HOUR * 29).await;
    }
    let last = office.tried(id, 10).await;
    assert_eq!((last.status, last.tries, last.next_at), (DeliveryStatus::Failed, 10, None));
    // Sent again by hand, it has all its tries before it.
    office.answers("HTTP/1.1 204 -\r\n\r\n");
    office.store.resend(&TenantId::default(), id).await.unwrap();
    office.later(HOUR).await;
    assert_eq!(office.tried(id, 1).await.status, DeliveryStatus::Delivered);
    office.engine.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_takes_nothing_for_days_is_disabled_and_one_success_forgets_that_it_failed() {
    let office = Office::start().await;
    office.answers("HTTP/1.1 500 -\r\ncontent-length: 0\r\n\r\n");
    let first = office.post(Event::Failed, shop()).await;
    office.tried(first, 1).await;
    let failing = office.shop().await;
    assert_eq!((failing.failing_since, failing.disabled_at), (Some(office.env.now()), None));
    office.answers("HTTP/1.1 204 -\r\n\r\n");
    office.later(HOUR * 119).await;
    office.tried(first, 2).await;
    assert_eq!(office.shop().await.failing_since, None);
    office.answers("HTTP/1.1 500 -\r\ncontent-length: 0\r\n\r\n");
    let second = office.post(Event::Failed, shop()).await;
    office.tried(second, 1).await;
    office.later(HOUR * 120).await;
    office.tried(second, 2).await;
    let disabled = office.shop().await;
    assert_eq!(disabled.disabled_at, Some(office.env.now()));
    assert_eq!(disabled.reason.as_deref(), Some("it took nothing for too long"));
    office.engine.stop().await;
}
