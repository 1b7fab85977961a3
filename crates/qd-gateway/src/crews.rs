//! The crews that jobs can be made of: the newest version of each, compiled once and looked up without the store.
//!
//! A crew that was published elsewhere is seen after [`FRESH`] at the latest. A job that is accepted in between is
//! pinned to the version before, which is as good as having arrived a moment earlier.

mod publish;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use qd_crew::{CrewSpec, Diagnostics, Plan};
use qd_env::Env;
use qd_store::{NewCrew, Store, StoredCrew};
use qd_types::{Catalog, CrewName, CrewVersion, TenantId};

pub(crate) use publish::PublishError;

/// How long the newest version of a crew is taken for the newest without asking.
const FRESH: Duration = Duration::from_secs(2);

/// The newest version of a crew, ready to check inputs against.
#[derive(Debug)]
pub struct Published {
    /// Its number.
    pub version: CrewVersion,
    /// It, compiled.
    pub plan: Plan,
    /// It, as it was published.
    pub stored: StoredCrew,
    /// Variables that carry the text of a facade's message; empty if the crew has no place for one.
    pub(crate) text_variables: Vec<String>,
}

/// Why a crew cannot be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CrewBookError {
    /// The store did not answer.
    #[error("the store cannot answer: {0}")]
    Store(Arc<qd_store::Error>),
    /// The stored crew does not fit this process.
    #[error(transparent)]
    Unusable(Arc<Unusable>),
}

/// A published crew that names models or tools which this process does not have.
#[derive(Debug, Clone)]
pub struct Unusable {
    name: CrewName,
    version: CrewVersion,
    reasons: Vec<String>,
}

impl Unusable {
    /// Each mistake, for a list.
    pub(crate) fn reasons(&self) -> &[String] {
        &self.reasons
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "crew `{}` (version {}) cannot be used with this server's models and tools: {}; mend the crew or the \
             configuration",
            self.name,
            self.version,
            self.reasons.join("; ")
        )
    }
}

impl std::error::Error for Unusable {}

pub(crate) type Compiled = Result<Arc<Published>, Arc<Unusable>>;

struct Entry {
    /// When the store last said that it is the newest.
    checked_at: Duration,
    version: CrewVersion,
    compiled: Compiled,
}

impl Entry {
    fn is_fresh(&self, now: Duration) -> bool {
        now.saturating_sub(self.checked_at) < FRESH
    }
}

/// The newest version of each crew. Bounded by the crews that are published: names that are none are not remembered.
pub struct CrewBook {
    store: Store,
    catalog: Arc<Catalog>,
    env: Env,
    /// What every tenant has: name, hash and spec.
    shared: Vec<(CrewName, String, String)>,
    // Tenants whose crews are known to be in the store. Held for a look-up or an insertion.
    provided: RwLock<HashSet<TenantId>>,
    // Held for a lookup or an insertion, never across a read of the store.
    entries: RwLock<HashMap<TenantId, HashMap<CrewName, Entry>>>,
}

impl CrewBook {
    /// A book of the crews in a store.
    #[must_use]
    pub fn new(store: Store, catalog: Arc<Catalog>, env: Env) -> Self {
        let (shared, provided, entries) = (Vec::new(), RwLock::default(), RwLock::default());
        Self { store, catalog, env, shared, provided, entries }
    }

    /// The same with crews that every tenant has, published when a tenant is first met by this process: by name, hash and
    /// spec.
    #[must_use]
    pub fn sharing(self, shared: Vec<(CrewName, String, String)>) -> Self {
        Self { shared, ..self }
    }

    /// Sees to it that a tenant has the crews that every tenant has.
    ///
    /// # Errors
    /// If the store cannot answer.
    pub async fn provide(&self, tenant: &TenantId) -> Result<(), qd_store::Error> {
        if self.provided.read().unwrap_or_else(PoisonError::into_inner).contains(tenant) {
            return Ok(());
        }
        // Two that come here at once both publish the same: harmless.
        for (name, hash, spec) in &self.shared {
            self.store.publish(NewCrew::new(tenant.clone(), name.clone(), hash, spec)).await?;
        }
        self.provided.write().unwrap_or_else(PoisonError::into_inner).insert(tenant.clone());
        Ok(())
    }

    /// The newest version of a crew; `None` if there is no such crew.
    ///
    /// # Errors
    /// If the store cannot answer, or the crew does not fit the catalog.
    pub async fn newest(
        &self,
        tenant: &TenantId,
        name: &CrewName,
    ) -> Result<Option<Arc<Published>>, CrewBookError> {
        let now = self.env.monotonic();
        if let Some(compiled) = self.fresh(tenant, name, now) {
            return compiled.map(Some).map_err(CrewBookError::Unusable);
        }
        let away = |error| CrewBookError::Store(Arc::new(error));
        self.provide(tenant).await.map_err(away)?;
        let stored = self.store.crew(tenant, name, None).await.map_err(away)?;
        let Some(stored) = stored else {
            self.forget(tenant, name);
            return Ok(None);
        };
        self.enter(tenant, stored, now).map(Some).map_err(CrewBookError::Unusable)
    }

    /// The newest version of every crew by name, with those that cannot be used.
    pub(crate) async fn all(
        &self,
        tenant: &TenantId,
    ) -> Result<Vec<(StoredCrew, Compiled)>, qd_store::Error> {
        let now = self.env.monotonic();
        self.provide(tenant).await?;
        let stored = self.store.crews(tenant).await?;
        Ok(stored.into_iter().map(|crew| (crew.clone(), self.enter(tenant, crew, now))).collect())
    }

    fn fresh(&self, tenant: &TenantId, name: &CrewName, now: Duration) -> Option<Compiled> {
        {
            let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
            let entry = entries.get(tenant)?.get(name)?;
            if entry.is_fresh(now) {
                return Some(entry.compiled.clone());
            }
        }
        // One caller asks the store; those who come meanwhile still take what is known.
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get_mut(tenant)?.get_mut(name)?;
        if entry.is_fresh(now) {
            return Some(entry.compiled.clone());
        }
        entry.checked_at = now;
        None
    }

    fn forget(&self, tenant: &TenantId, name: &CrewName) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(crews) = entries.get_mut(tenant) {
            crews.remove(name);
        }
    }

    /// Notes what the store said, compiling only what is new.
    fn enter(&self, tenant: &TenantId, stored: StoredCrew, now: Duration) -> Compiled {
        {
            let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
            if let Some(entry) = entries.get_mut(tenant).and_then(|crews| crews.get_mut(&stored.name))
                // Versions only grow: an answer that lost a race is not newer for coming later.
                && entry.version >= stored.version
            {
                entry.checked_at = now;
                return entry.compiled.clone();
            }
        }
        let (name, version) = (stored.name.clone(), stored.version);
        let compiled = self.compile(stored);
        let entry = Entry { checked_at: now, version, compiled: compiled.clone() };
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        entries.entry(tenant.clone()).or_default().insert(name, entry);
        compiled
    }

    fn compile(&self, stored: StoredCrew) -> Compiled {
        let unusable = |reasons: Vec<String>| {
            Arc::new(Unusable { name: stored.name.clone(), version: stored.version, reasons })
        };
        let spec: CrewSpec = serde_json::from_str(&stored.spec)
            .map_err(|error| unusable(vec![format!("the stored crew cannot be read: {error}")]))?;
        let plan = qd_crew::compile(&spec, &self.catalog)
            .map_err(|Diagnostics(found)| unusable(found.iter().map(reason).collect()))?;
        let text_variables = text_variables(&plan);
        Ok(Arc::new(Published { version: stored.version, plan, stored, text_variables }))
    }
}

fn reason(diagnostic: &qd_crew::Diagnostic) -> String {
    match &diagnostic.hint {
        Some(hint) => format!("{} ({hint})", diagnostic.message),
        None => diagnostic.message.clone(),
    }
}

/// Where a facade's text goes: `message` if the crew has that variable, and its only variable if it has one. A crew
/// whose other variables all have defaults has only one that can be meant.
fn text_variables(plan: &Plan) -> Vec<String> {
    let mut names: Vec<String> = plan.variables().iter().filter(|name| *name == "message").cloned().collect();
    if names.is_empty() {
        let required = plan.required_variables();
        let declared = plan.variables();
        let only = if declared.len() == 1 {
            declared.first()
        } else {
            required.first().filter(|_| required.len() == 1)
        };
        names.extend(only.cloned());
    }
    names
}
