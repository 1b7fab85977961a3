//! Sends jobs, each when it is meant to be sent, and says in the ledger what came of it.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use qd_env::Env;
use qd_load::{Sender, Shot};
use reqwest::{Method, Response, header};
use serde_json::Value;

use super::following;
use super::ledger::{Ledger, Sent};
use super::plan::Plan;
use super::seen::SeenJob;
use crate::cli::Follow;
use crate::client::Client;

/// A request without an answer after this is an error.
const REQUEST_MAX: Duration = Duration::from_secs(30);
/// A request that is so much later than intended is not sent any more: the load would go on long after its end.
const LATE_MAX: Duration = Duration::from_secs(10);
/// An answer longer than this is none.
const ANSWER_MAX: usize = 16 << 20;

/// What senders and followers share.
pub(super) struct Shared {
    pub(super) plan: Plan,
    pub(super) client: Client,
    pub(super) env: Env,
    ledger: Mutex<Ledger>,
}

impl Shared {
    pub(super) fn new(plan: Plan, client: Client, env: Env) -> Self {
        let ledger = Mutex::new(Ledger::new(plan.warm_up, plan.warm_up + plan.duration));
        Self { plan, client, env, ledger }
    }

    /// Held for as long as it takes to count something.
    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of many: sends one job after the other.
pub(super) struct JobSender(pub(super) Arc<Shared>);

impl Sender for JobSender {
    type Error = Infallible;

    async fn send(&mut self, shot: &Shot) -> Result<(), Infallible> {
        let shared = &self.0;
        if shot.late > LATE_MAX {
            shared.ledger().give_up(shot.intended);
            return Ok(());
        }
        if !shared.ledger().begin(shared.plan.in_flight) {
            shared.ledger().hold_back(shot.intended);
            return Ok(());
        }
        let answer = ask(shared, shot.number).await;
        let (number, intended, late) = (shot.number, shot.intended, shot.late);
        let sent = Sent { number, intended, late, took: shot.latency() };
        let mut ledger = shared.ledger();
        match answer {
            Answer::Accepted(job) => {
                ledger.accepted(sent, &job);
                drop(ledger);
                if shared.plan.follow == Follow::Events {
                    shared.env.spawn(following::by_events(Arc::clone(shared), job.id));
                }
            }
            Answer::Refused { status, retry_after } => ledger.refused(sent, status, retry_after),
            Answer::Failed { kind, doubtful } => ledger.failed(sent, &kind, doubtful),
        }
        Ok(())
    }
}

/// What came back for one job.
enum Answer {
    Accepted(Box<SeenJob>),
    Refused { status: u16, retry_after: Option<u64> },
    Failed { kind: String, doubtful: bool },
}

async fn ask(shared: &Shared, number: u64) -> Answer {
    let request = shared
        .client
        .request(Method::POST, "/v1/jobs")
        .header("idempotency-key", shared.plan.key(number))
        .json(&shared.plan.body(number))
        .timeout(REQUEST_MAX);
    let failed = |kind: &str, doubtful| Answer::Failed { kind: kind.to_owned(), doubtful };
    let response = match request.send().await {
        Ok(response) => response,
        // Nothing was sent.
        Err(error) if error.is_connect() => return failed("connect", false),
        Err(error) if error.is_timeout() => return failed("timeout", true),
        Err(_) => return failed("connection_lost", true),
    };
    let status = response.status().as_u16();
    let retry_after =
        response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    if matches!(status, 429 | 503) {
        // Read, so that the connection can be used again.
        let _ = whole(response).await;
        return Answer::Refused { status, retry_after };
    }
    match whole(response).await {
        None => failed("answer_broken_off", true),
        Some(body) if matches!(status, 200 | 202) => match serde_json::from_slice(&body) {
            Ok(job) => Answer::Accepted(job),
            Err(_) => failed("answer_is_no_job", true),
        },
        Some(body) => {
            let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
            let kind = problem["code"]
                .as_str()
                .map_or(format!("http_{status}"), |code| format!("http_{status}_{code}"));
            Answer::Failed { kind, doubtful: status >= 500 }
        }
    }
}

async fn whole(mut response: Response) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.ok()? {
        body.extend_from_slice(&piece);
        if body.len() > ANSWER_MAX {
            return None;
        }
    }
    Some(body)
}
