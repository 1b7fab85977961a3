//! What every route is given.

use std::sync::Arc;

use qd_env::Env;
use qd_store::Store;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::access::KeyBook;
use crate::crews::CrewBook;
use crate::observe::Observer;
use crate::options::Options;
use crate::places::Places;

/// What the gateway asks the rest of the process, for probes.
pub trait Health: Send + Sync {
    /// Tasks of jobs that this process works on now.
    fn tasks_in_flight(&self) -> usize;
    /// Jobs that this process may work on at once.
    fn slots(&self) -> usize;
    /// Whether the process is about to stop and takes no new work.
    fn draining(&self) -> bool;
    /// The deployments of models that this process has called.
    fn deployments(&self) -> Vec<Deployment>;
    /// Opens (`Some(true)`) or closes the breaker of a deployment, or leaves it to its calls again. Whether there is one.
    fn force_breaker(&self, deployment: &str, open: Option<bool>) -> bool;
}

/// A model at one endpoint, as its callers in this process meet it.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployment {
    /// `provider/model`.
    pub name: String,
    /// `closed`, `open` or `half_open`.
    pub breaker: &'static str,
    /// Whether an operator has decided so.
    pub is_forced: bool,
    /// Whether its key or name was refused of late, so that others are asked first.
    pub is_out: bool,
    /// Calls under way.
    pub in_flight: usize,
    /// Calls that may be under way at once.
    pub max_in_flight: usize,
    /// Its rate limits, as far as they are known.
    pub limits: Vec<RateLimit>,
}

/// How much a deployment may be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct RateLimit {
    /// `requests`, `tokens`, `input_tokens` or `output_tokens`.
    pub of: &'static str,
    /// Within how many seconds.
    pub per_seconds: u64,
    /// How much.
    pub limit: u64,
    /// How much of that is left.
    pub left: u64,
}

/// Shared by all requests.
pub(crate) struct Context {
    pub(crate) store: Store,
    pub(crate) crews: Arc<CrewBook>,
    pub(crate) keys: Arc<KeyBook>,
    pub(crate) health: Arc<dyn Health>,
    pub(crate) observer: Arc<Observer>,
    pub(crate) env: Env,
    pub(crate) options: Options,
    /// Bytes that large bodies may take together.
    pub(crate) body_bytes: Semaphore,
    /// Places for those who upload a batch.
    pub(crate) uploads: Arc<Places>,
    /// Places for those who watch a job.
    pub(crate) watchers: Arc<Places>,
    /// The server stops: long answers end soon.
    pub(crate) closing: CancellationToken,
}

pub(crate) type Shared = Arc<Context>;
