//! What every route is given.

use std::sync::Arc;

use qd_env::Env;
use qd_store::Store;
use qd_types::TenantId;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::crews::CrewBook;
use crate::observe::Observer;
use crate::options::Options;

/// What the gateway asks the rest of the process, for probes.
pub trait Health: Send + Sync {
    /// Tasks of jobs that this process works on now.
    fn tasks_in_flight(&self) -> usize;
    /// Jobs that this process may work on at once.
    fn slots(&self) -> usize;
    /// Whether the process is about to stop and takes no new work.
    fn draining(&self) -> bool;
}

/// Shared by all requests.
pub(crate) struct Context {
    pub(crate) store: Store,
    pub(crate) crews: Arc<CrewBook>,
    pub(crate) health: Arc<dyn Health>,
    pub(crate) observer: Arc<Observer>,
    pub(crate) env: Env,
    pub(crate) options: Options,
    /// The one tenant, until keys say whose a request is.
    pub(crate) tenant: TenantId,
    /// Bytes that large bodies may take together.
    pub(crate) body_bytes: Semaphore,
    /// Places for those who watch a job.
    pub(crate) watchers: Arc<Semaphore>,
    /// The server stops: long answers end soon.
    pub(crate) closing: CancellationToken,
}

pub(crate) type Shared = Arc<Context>;
