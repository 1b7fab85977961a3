//! Schedules in SQL.

use qd_types::{JobId, ScheduleName, TenantId, Timestamp};
use rusqlite::{Connection, Row, params};

use super::codec::{self, from_json, json, time};
use super::rows::SqliteRows;
use crate::commands::schedules::SPEC_VERSION;
use crate::embedded::{PAGE_BYTES, ScheduleRows};
use crate::{DueSchedules, Error, Schedule, SchedulePage, ScheduleQuery};

const COLUMNS: &str = "tenant, name, revision, v, spec, paused, created_at, updated_at, next_at, due_at, last_at, last_job, \
     missed, tries, error";

fn schedule_of(row: &Row<'_>) -> Result<Schedule, Error> {
    let version: u32 = row.get(3)?;
    if version > SPEC_VERSION {
        return Err(Error::Unreadable { what: format!("schedule version {version} of a newer release") });
    }
    Ok(Schedule {
        tenant: TenantId::new(row.get::<_, String>(0)?),
        name: ScheduleName::new(row.get::<_, String>(1)?),
        revision: codec::unsigned(row.get(2)?),
        spec: from_json(row.get_ref(4)?.as_str().map_err(rusqlite::Error::from)?, "spec")?,
        paused: row.get(5)?,
        created_at: Timestamp(row.get(6)?),
        updated_at: Timestamp(row.get(7)?),
        next_at: time(row, 8)?,
        due_at: time(row, 9)?,
        last_at: time(row, 10)?,
        last_job: row.get::<_, Option<uuid::Uuid>>(11)?.map(JobId),
        missed: codec::unsigned(row.get(12)?),
        tries: row.get(13)?,
        error: row.get(14)?,
    })
}

fn all(connection: &Connection, rest: &str, values: impl rusqlite::Params) -> Result<Vec<Schedule>, Error> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM schedules {rest}"))?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(schedule_of(row)?);
    }
    Ok(found)
}

/// One of them.
pub(super) fn get(
    connection: &Connection,
    tenant: &TenantId,
    name: &ScheduleName,
) -> Result<Option<Schedule>, Error> {
    Ok(all(connection, "WHERE tenant = ?1 AND name = ?2", [tenant.as_str(), name.as_str()])?.pop())
}

/// Those of a tenant, by name.
pub(super) fn page(
    connection: &Connection,
    tenant: &TenantId,
    query: &ScheduleQuery,
) -> Result<SchedulePage, Error> {
    let sql = format!(
        "SELECT {COLUMNS}, length(spec) FROM schedules WHERE tenant = ?1 AND name > ?2 ORDER BY name LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    // One more than asked tells whether there is another page.
    let limit = i64::try_from(query.limit.saturating_add(1)).unwrap_or(i64::MAX);
    let after = query.after.as_ref().map_or("", ScheduleName::as_str);
    let mut rows = statement.query(params![tenant.as_str(), after, limit])?;
    let (mut page, mut bytes) = (SchedulePage::default(), 0);
    while let Some(row) = rows.next()? {
        if page.schedules.len() == query.limit || bytes >= PAGE_BYTES {
            page.next = page.schedules.last().map(|last| last.name.clone());
            break;
        }
        bytes += usize::try_from(row.get::<_, i64>(15)?).unwrap_or(PAGE_BYTES);
        page.schedules.push(schedule_of(row)?);
    }
    Ok(page)
}

/// Those that somebody has to look at, the longest due first.
pub(super) fn due(connection: &Connection, now: Timestamp, limit: usize) -> Result<DueSchedules, Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let schedules = all(connection, "WHERE due_at <= ?1 ORDER BY due_at LIMIT ?2", [now.0, limit])?;
    let mut statement = connection.prepare_cached("SELECT min(due_at) FROM schedules WHERE due_at > ?1")?;
    let next: Option<i64> = statement.query_row([now.0], |row| row.get(0))?;
    Ok(DueSchedules { schedules, next_due: next.map(Timestamp) })
}

impl ScheduleRows for SqliteRows {
    fn schedule(&mut self, tenant: &TenantId, name: &ScheduleName) -> Result<Option<Schedule>, Error> {
        get(&self.connection, tenant, name)
    }

    fn count_schedules(&mut self, tenant: &TenantId) -> Result<usize, Error> {
        let sql = "SELECT count(*) FROM schedules WHERE tenant = ?1";
        let count: i64 =
            self.connection.prepare_cached(sql)?.query_row([tenant.as_str()], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    fn put_schedule(&mut self, schedule: &Schedule) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO schedules (tenant, name, revision, v, spec, paused, created_at, updated_at, next_at, \
                 due_at, last_at, last_job, missed, tries, error) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            )?
            .execute(params![
                schedule.tenant.as_str(),
                schedule.name.as_str(),
                codec::signed(schedule.revision),
                SPEC_VERSION,
                json(&schedule.spec)?,
                schedule.paused,
                schedule.created_at.0,
                schedule.updated_at.0,
                schedule.next_at.map(|at| at.0),
                schedule.due_at.map(|at| at.0),
                schedule.last_at.map(|at| at.0),
                schedule.last_job.map(|job| job.0),
                codec::signed(schedule.missed),
                schedule.tries,
                schedule.error,
            ])?;
        Ok(())
    }

    fn delete_schedule(&mut self, tenant: &TenantId, name: &ScheduleName) -> Result<bool, Error> {
        let sql = "DELETE FROM schedules WHERE tenant = ?1 AND name = ?2";
        Ok(self.connection.prepare_cached(sql)?.execute([tenant.as_str(), name.as_str()])? > 0)
    }
}
