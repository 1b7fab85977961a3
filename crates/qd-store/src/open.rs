//! Opening a store by its URL. A new backend is one arm here.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use qd_env::Env;

use crate::embedded::Limits;
use crate::live::{Live, LocalBus};
use crate::memory::MemoryBackend;
use crate::policy::Sharing;
use crate::sqlite::SqliteBackend;
use crate::{Backend, CacheRoom, Error, Store, Subscription, TenantShares};

/// How a store behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// `sqlite:PATH` or `memory:`.
    pub url: String,
    /// What an acknowledgement means.
    pub durability: Durability,
    /// Queued jobs beyond which new ones are refused.
    pub max_depth: usize,
    /// How priority levels share the claims.
    pub sharing: Sharing,
    /// What each tenant may take of the queue and the workers.
    pub tenants: TenantShares,
    /// How long leases last.
    pub leases: Leases,
    /// How long an idempotency key is remembered at least.
    pub idempotency_window: Duration,
    /// How long finished jobs are kept.
    pub retention: Duration,
    /// How long a conversation may be silent before it is forgotten.
    pub conversation_ttl: Duration,
    /// How much the cache of results may hold.
    pub cache: CacheRoom,
    /// Which endpoints of webhooks are told of what.
    pub subscriptions: Arc<[Subscription]>,
    /// Batches of a tenant that are not over; more are refused.
    pub open_batches: usize,
    /// Schedules of a tenant; more are refused.
    pub schedules: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            url: "memory:".to_owned(),
            durability: Durability::Strict,
            max_depth: 10_000,
            sharing: Sharing::Weighted,
            tenants: TenantShares::default(),
            leases: Leases::OfProcess,
            idempotency_window: Duration::from_secs(24 * 3600),
            retention: Duration::from_secs(30 * 24 * 3600),
            conversation_ttl: Duration::from_secs(3600),
            cache: CacheRoom::default(),
            subscriptions: Arc::from([]),
            open_batches: 100,
            schedules: 1_000,
        }
    }
}

/// What an acknowledgement means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// It is on disk: power may fail.
    #[default]
    Strict,
    /// The process may be killed; after a power failure up to a second of acknowledged work may be missing.
    Relaxed,
}

/// How long leases last in an embedded store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leases {
    /// As long as the process: nobody else can hold the store meanwhile.
    OfProcess,
    /// Until this long after the last renewal, as in shared backends.
    For(Duration),
}

impl Options {
    /// What the transitions of a backend in this process obey.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            max_depth: self.max_depth,
            sharing: self.sharing,
            tenants: self.tenants.clone(),
            lease: match self.leases {
                Leases::OfProcess => None,
                Leases::For(span) => Some(span),
            },
            idempotency_window: self.idempotency_window,
            retention: self.retention,
            conversation_ttl: self.conversation_ttl,
            cache: self.cache,
            subscriptions: Arc::clone(&self.subscriptions),
            open_batches: self.open_batches,
            schedules: self.schedules,
        }
    }
}

/// Opens a store.
///
/// # Errors
/// If the URL names no backend, or the backend cannot be opened.
pub fn open(options: &Options, env: &Env) -> Result<Store, Error> {
    let live: Arc<dyn Live> = Arc::new(LocalBus::default());
    let limits = options.limits();
    let backend: Arc<dyn Backend> = match options.url.split_once(':') {
        Some(("memory", "")) => Arc::new(MemoryBackend::new(env.clone(), limits, Arc::clone(&live))),
        Some(("sqlite", path)) if !path.is_empty() => {
            let path = PathBuf::from(path);
            Arc::new(SqliteBackend::open(&path, env.clone(), limits, options.durability, Arc::clone(&live))?)
        }
        Some(_) | None => return Err(Error::UnknownUrl { url: options.url.clone() }),
    };
    Ok(Store::new(backend, live))
}
