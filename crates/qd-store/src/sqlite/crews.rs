//! Published crews in SQL.

use qd_types::{CrewName, TenantId};
use rusqlite::params;

use super::query;
use super::rows::SqliteRows;
use crate::embedded::CrewRows;
use crate::{Error, StoredCrew};

impl CrewRows for SqliteRows {
    fn newest_crew(&mut self, tenant: &TenantId, name: &CrewName) -> Result<Option<StoredCrew>, Error> {
        query::crew(&self.connection, tenant, name, None)
    }

    fn count_crews(&mut self, tenant: &TenantId) -> Result<usize, Error> {
        let count = "SELECT count(DISTINCT name) FROM crews WHERE tenant = ?1";
        let count: i64 =
            self.connection.prepare_cached(count)?.query_row([tenant.as_str()], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    fn add_crew(&mut self, tenant: &TenantId, crew: &StoredCrew) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO crews (tenant, name, version, hash, spec, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                tenant.as_str(),
                crew.name.as_str(),
                crew.version.0,
                crew.hash,
                crew.spec,
                crew.created_at.0
            ])?;
        Ok(())
    }
}
