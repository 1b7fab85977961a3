//! Compiled plans of crew versions. Versions are immutable, so a plan is compiled once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use qd_crew::{CrewSpec, Plan, compile};
use qd_store::Store;
use qd_types::{Catalog, Class, Code, CrewName, CrewVersion, Failure, TenantId};

/// Plans kept at once; beyond that all are dropped and compiled again when needed.
const KEPT: usize = 1_000;

type Key = (TenantId, CrewName, CrewVersion);

/// Plans by crew version.
pub struct Plans {
    store: Store,
    catalog: Arc<Catalog>,
    // Looked up for every claim; held for one look-up.
    kept: Mutex<HashMap<Key, Arc<Plan>>>,
}

impl Plans {
    /// No plan is compiled yet.
    #[must_use]
    pub fn new(store: Store, catalog: Arc<Catalog>) -> Self {
        Self { store, catalog, kept: Mutex::default() }
    }

    /// The plan of a version.
    pub(crate) async fn plan(&self, key: Key) -> Result<Arc<Plan>, PlanError> {
        if let Some(plan) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(Arc::clone(plan));
        }
        let (tenant, name, version) = &key;
        let stored = self.store.crew(tenant, name, Some(*version)).await?;
        let stored = stored.ok_or_else(|| unavailable(name, *version, "it is not in the store"))?;
        let spec: CrewSpec = serde_json::from_str(&stored.spec)
            .map_err(|e| unavailable(name, *version, &format!("this release cannot read it: {e}")))?;
        let plan = compile(&spec, &self.catalog).map_err(|e| unavailable(name, *version, &e.to_string()))?;
        let plan = Arc::new(plan);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(key, Arc::clone(&plan));
        Ok(plan)
    }
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlanError {
    /// The store could not be read: not the job's fault.
    #[error(transparent)]
    Store(#[from] qd_store::Error),
    /// The version cannot be executed here.
    #[error("{0}")]
    Unavailable(Failure),
}

fn unavailable(name: &CrewName, version: CrewVersion, why: &str) -> PlanError {
    let message = format!("crew `{name}` version {version} cannot be executed: {why}");
    PlanError::Unavailable(Failure::new(Code::CrewUnavailable, Class::Permanent, message))
}
