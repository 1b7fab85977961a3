//! Publishing crews: the comparison with the newest version and the next one are one transaction.

use qd_types::CrewVersion;

use super::super::rows::{AccessRows, CrewRows};
use super::Core;
use crate::crews::{CREW_VERSIONS_MAX, CREWS_MAX};
use crate::{Act, Error, NewCrew, Published, StoredCrew};

impl<R: CrewRows + AccessRows> Core<R> {
    /// Stores a spec as the next version of its crew.
    pub(crate) fn publish(&mut self, new: &NewCrew) -> Result<Published, Error> {
        let newest = self.rows.newest_crew(&new.tenant, &new.name)?;
        let version = newest.as_ref().map(|newest| newest.version);
        if !new.only_if.holds(version) {
            return Ok(Published::Unexpected(version));
        }
        if let Some(newest) = newest.filter(|newest| newest.hash == new.hash) {
            return Ok(Published::Unchanged(newest.version));
        }
        let next = CrewVersion(version.map_or(1, |newest| newest.0 + 1));
        let full = match version {
            Some(newest) => newest.0 >= CREW_VERSIONS_MAX,
            None => self.rows.count_crews(&new.tenant)? >= CREWS_MAX,
        };
        if full && new.by.is_some() {
            return Ok(Published::Full);
        }
        let crew = StoredCrew {
            name: new.name.clone(),
            version: next,
            hash: new.hash.clone(),
            spec: new.spec.clone(),
            created_at: self.env.now(),
        };
        self.rows.add_crew(&new.tenant, &crew)?;
        if let Some(by) = new.by {
            let act = Act::new(new.tenant.clone(), by, "crew.published", new.name.as_str());
            self.audit(&act.with("version", next.to_string()))?;
        }
        Ok(Published::Created(next))
    }
}
