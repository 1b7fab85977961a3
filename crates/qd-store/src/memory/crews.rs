//! Published crews as lists of versions.

use std::collections::BTreeMap;

use qd_types::{CrewName, CrewVersion, TenantId};

use super::rows::MemoryRows;
use crate::embedded::CrewRows;
use crate::{Error, StoredCrew};

/// All of them, oldest version first.
#[derive(Default)]
pub(super) struct MemoryCrews(BTreeMap<(TenantId, CrewName), Vec<StoredCrew>>);

impl MemoryCrews {
    /// One version, the newest without a number.
    pub(super) fn one(
        &self,
        tenant: &TenantId,
        name: &CrewName,
        version: Option<CrewVersion>,
    ) -> Option<StoredCrew> {
        let versions = self.0.get(&(tenant.clone(), name.clone()))?;
        match version {
            Some(wanted) => versions.iter().find(|crew| crew.version == wanted).cloned(),
            None => versions.last().cloned(),
        }
    }

    /// The newest version of each, by name.
    pub(super) fn newest(&self, tenant: &TenantId) -> Vec<StoredCrew> {
        let of_tenant = self.0.iter().filter(|((owner, _), _)| owner == tenant);
        of_tenant.filter_map(|(_, versions)| versions.last().cloned()).collect()
    }
}

impl CrewRows for MemoryRows {
    fn newest_crew(&mut self, tenant: &TenantId, name: &CrewName) -> Result<Option<StoredCrew>, Error> {
        Ok(self.crews.one(tenant, name, None))
    }

    fn count_crews(&mut self, tenant: &TenantId) -> Result<usize, Error> {
        Ok(self.crews.0.keys().filter(|(owner, _)| owner == tenant).count())
    }

    fn add_crew(&mut self, tenant: &TenantId, crew: &StoredCrew) -> Result<(), Error> {
        self.crews.0.entry((tenant.clone(), crew.name.clone())).or_default().push(crew.clone());
        Ok(())
    }
}
