//! What one tenant may take of the queue and of the workers.

use std::collections::BTreeMap;

use qd_types::TenantId;

/// Bounds of one tenant; `None` is no bound of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TenantShare {
    /// Queued jobs beyond which its new ones are refused. Retries, promotions and redrives never are.
    pub max_queued: Option<usize>,
    /// Its jobs in workers' hands at once; its others wait meanwhile and keep nobody from passing.
    pub max_running: Option<usize>,
}

/// Bounds of tenants.
#[derive(Debug, Clone, Default)]
pub struct TenantShares {
    /// Of each tenant that is not named.
    pub each: TenantShare,
    /// Of these; what is `None` is as for every tenant.
    pub named: BTreeMap<TenantId, TenantShare>,
}

impl TenantShares {
    /// What a tenant may take.
    #[must_use]
    pub fn of(&self, tenant: &TenantId) -> TenantShare {
        let own = self.named.get(tenant).copied().unwrap_or_default();
        TenantShare {
            max_queued: own.max_queued.or(self.each.max_queued),
            max_running: own.max_running.or(self.each.max_running),
        }
    }
}
