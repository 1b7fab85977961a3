//! Batches in SQL: what the writer reads and writes.

pub(super) mod read;

use qd_types::{BatchId, CrewName, CrewVersion, JobId, NanoDollars, TenantId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::codec::{self, json, optional, time};
use super::rows::SqliteRows;
use crate::embedded::{BatchKey, BatchRow, BatchRows, RowId, Stage};
use crate::{Batch, BatchCounts, BatchStatus, Error, Idempotency, ItemInput, NewBatch, NewItem};

const COLUMNS: &str = "row, stage, machine_version, total_tasks, id, tenant, crew, crew_version, status, priority, concurrency, \
     timeout_seconds, max_attempts, budget, metadata, webhook_url, total, pending, open, succeeded, failed, cancelled, invalid, \
     usage, cost, created_at, finished_at";

fn stage_number(stage: Stage) -> i64 {
    let place = Stage::ALL.iter().position(|known| *known == stage);
    place.and_then(|n| i64::try_from(n).ok()).expect("every stage is in ALL")
}

fn status_number(status: BatchStatus) -> i64 {
    let place = BatchStatus::ALL.iter().position(|known| *known == status);
    place.and_then(|n| i64::try_from(n).ok()).expect("every status is in ALL")
}

fn batch_row(row: &Row<'_>) -> Result<BatchRow, Error> {
    let unreadable = |what: &str| Error::Unreadable { what: format!("column {what} of the batches") };
    let stage = usize::try_from(row.get::<_, i64>(1)?).ok().and_then(|n| Stage::ALL.get(n).copied());
    let status = usize::try_from(row.get::<_, i64>(8)?).ok().and_then(|n| BatchStatus::ALL.get(n).copied());
    let batch = Batch {
        id: BatchId(row.get(4)?),
        tenant: TenantId::new(row.get::<_, String>(5)?),
        crew: CrewName::new(row.get::<_, String>(6)?),
        crew_version: CrewVersion(row.get(7)?),
        status: status.ok_or_else(|| unreadable("status"))?,
        priority: codec::priority(row.get(9)?)?,
        concurrency: row.get(10)?,
        timeout_seconds: row.get(11)?,
        max_attempts: row.get(12)?,
        budget: row.get::<_, Option<i64>>(13)?.map(NanoDollars),
        metadata: optional(row, 14, "metadata")?.unwrap_or_default(),
        webhook_url: row.get(15)?,
        counts: BatchCounts {
            total: row.get(16)?,
            pending: row.get(17)?,
            open: row.get(18)?,
            succeeded: row.get(19)?,
            failed: row.get(20)?,
            cancelled: row.get(21)?,
            invalid: row.get(22)?,
        },
        open: Vec::new(),
        usage: optional(row, 23, "usage")?.unwrap_or_default(),
        cost: NanoDollars(row.get(24)?),
        created_at: Timestamp(row.get(25)?),
        finished_at: time(row, 26)?,
    };
    let stage = stage.ok_or_else(|| unreadable("stage"))?;
    Ok(BatchRow { row: row.get(0)?, stage, machine_version: row.get(2)?, total_tasks: row.get(3)?, batch })
}

/// Leaves batches to be deleted that a process which is gone was taking in.
pub(super) fn leave_unaccepted(connection: &Connection) -> Result<(), Error> {
    connection.prepare_cached("UPDATE batches SET stage = 2 WHERE stage = 0")?.execute([])?;
    Ok(())
}

impl BatchRows for SqliteRows {
    fn insert_batch(&mut self, new: &NewBatch, now: Timestamp) -> Result<(), Error> {
        let metadata = if new.metadata.is_empty() { None } else { Some(json(&new.metadata)?) };
        self.connection
            .prepare_cached(
                "INSERT INTO batches (id, tenant, stage, status, crew, crew_version, machine_version, total_tasks, priority, \
                 concurrency, timeout_seconds, max_attempts, budget, metadata, webhook_url, created_at) \
                 VALUES (?1, ?2, 0, 0, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            )?
            .execute(params![
                new.id.0,
                new.tenant.as_str(),
                new.crew.as_str(),
                new.crew_version.0,
                new.machine_version,
                new.total_tasks,
                new.priority.get(),
                new.concurrency,
                new.timeout_seconds,
                new.max_attempts,
                new.budget.map(|budget| budget.0),
                metadata,
                new.webhook_url,
                now.0,
            ])?;
        Ok(())
    }

    fn count_open_batches(&mut self, tenant: &TenantId) -> Result<usize, Error> {
        let sql = "SELECT count(*) FROM batches WHERE tenant = ?1 AND stage < 2 AND finished_at IS NULL";
        let mut statement = self.connection.prepare_cached(sql)?;
        let count: i64 = statement.query_row([tenant.as_str()], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    fn batch(&mut self, id: BatchId) -> Result<Option<BatchRow>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM batches WHERE id = ?1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([id.0])?;
        rows.next()?.map(batch_row).transpose()
    }

    fn put_batch(&mut self, kept: &BatchRow) -> Result<(), Error> {
        let (batch, counts) = (&kept.batch, &kept.batch.counts);
        self.connection
            .prepare_cached(
                "UPDATE batches SET stage = ?2, status = ?3, total = ?4, pending = ?5, open = ?6, succeeded = ?7, \
                 failed = ?8, cancelled = ?9, invalid = ?10, usage = ?11, cost = ?12, created_at = ?13, finished_at = ?14 \
                 WHERE row = ?1",
            )?
            .execute(params![
                kept.row,
                stage_number(kept.stage),
                status_number(batch.status),
                counts.total,
                counts.pending,
                counts.open,
                counts.succeeded,
                counts.failed,
                counts.cancelled,
                counts.invalid,
                json(&batch.usage)?,
                batch.cost.0,
                batch.created_at.0,
                batch.finished_at.map(|at| at.0),
            ])?;
        Ok(())
    }

    fn batch_key(&mut self, tenant: &TenantId, key: &str) -> Result<Option<BatchKey>, Error> {
        let sql = "SELECT id, body_hash FROM batches WHERE tenant = ?1 AND key = ?2 AND key IS NOT NULL AND stage = 1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let found = statement.query_row([tenant.as_str(), key], |row| {
            Ok(BatchKey { batch: BatchId(row.get(0)?), body_hash: row.get(1)? })
        });
        Ok(found.optional()?)
    }

    fn put_batch_key(&mut self, row: RowId, idempotency: &Idempotency) -> Result<(), Error> {
        self.connection
            .prepare_cached("UPDATE batches SET key = ?2, body_hash = ?3 WHERE row = ?1")?
            .execute(params![row, idempotency.key, idempotency.body_hash])?;
        Ok(())
    }

    fn add_items(&mut self, batch: &BatchRow, from: u32, items: &[NewItem]) -> Result<(), Error> {
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO batch_items (batch, n, tenant, state, input, priority, metadata, error) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        for (n, item) in (from..).zip(items) {
            let tenant = batch.batch.tenant.as_str();
            match item {
                NewItem::Valid(ItemInput { input, priority, metadata }) => {
                    let metadata = if metadata.is_empty() { None } else { Some(json(metadata)?) };
                    let priority = priority.map(|level| level.get());
                    let nothing = None::<String>;
                    statement.execute(params![
                        batch.row,
                        n,
                        tenant,
                        0,
                        json(input)?,
                        priority,
                        metadata,
                        nothing
                    ])?
                }
                NewItem::Invalid(why) => {
                    let nothing = None::<String>;
                    statement.execute(params![batch.row, n, tenant, 3, nothing, nothing, nothing, why])?
                }
            };
        }
        Ok(())
    }

    fn hungry_batches(&mut self, after: RowId, limit: usize) -> Result<Vec<BatchRow>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM batches WHERE stage = 1 AND pending > 0 AND row > ?1 AND open < concurrency \
             ORDER BY row LIMIT ?2"
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params![after, i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(batch_row(row)?);
        }
        Ok(found)
    }

    fn waiting_items(&mut self, row: RowId, limit: usize) -> Result<Vec<(u32, ItemInput)>, Error> {
        let mut statement = self.connection.prepare_cached(
            "SELECT n, input, priority, metadata FROM batch_items WHERE batch = ?1 AND state = 0 ORDER BY n LIMIT ?2",
        )?;
        let mut rows = statement.query(params![row, i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let priority: Option<i64> = row.get(2)?;
            let input = ItemInput {
                input: optional(row, 1, "input")?.unwrap_or_default(),
                priority: priority.map(codec::priority).transpose()?,
                metadata: optional(row, 3, "metadata")?.unwrap_or_default(),
            };
            found.push((row.get(0)?, input));
        }
        Ok(found)
    }

    fn start_item(&mut self, row: RowId, index: u32, job: JobId) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE batch_items SET state = 1, job = ?3, input = NULL, priority = NULL, metadata = NULL \
                 WHERE batch = ?1 AND n = ?2",
            )?
            .execute(params![row, index, job.0])?;
        Ok(())
    }

    fn end_item(&mut self, row: RowId, index: u32) -> Result<(), Error> {
        self.connection
            .prepare_cached("UPDATE batch_items SET state = 2 WHERE batch = ?1 AND n = ?2")?
            .execute(params![row, index])?;
        Ok(())
    }

    fn open_jobs(&mut self, row: RowId) -> Result<Vec<JobId>, Error> {
        let sql = "SELECT job FROM batch_items WHERE batch = ?1 AND state = 1 ORDER BY n";
        let mut statement = self.connection.prepare_cached(sql)?;
        let found = statement.query_map([row], |row| row.get::<_, uuid::Uuid>(0))?;
        Ok(found.map(|id| id.map(JobId)).collect::<Result<_, _>>()?)
    }

    fn prune_batches(
        &mut self,
        finished_before: Timestamp,
        begun_before: Timestamp,
        limit: usize,
    ) -> Result<usize, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let old = "UPDATE batches SET stage = 2 WHERE row IN (SELECT row FROM batches WHERE stage = 1 AND finished_at < ?1 \
             AND NOT EXISTS (SELECT 1 FROM deliveries WHERE batch = batches.id AND status = 0) \
             ORDER BY finished_at LIMIT ?2)";
        self.connection.prepare_cached(old)?.execute([finished_before.0, limit])?;
        let stuck = "UPDATE batches SET stage = 2 WHERE stage = 0 AND created_at < ?1";
        self.connection.prepare_cached(stuck)?.execute([begun_before.0])?;
        let sql = "SELECT row FROM batches WHERE stage = 2 LIMIT 16";
        let left: Vec<RowId> = self
            .connection
            .prepare_cached(sql)?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut pruned = 0;
        for row in left {
            let items = "DELETE FROM batch_items WHERE batch = ?1 AND n IN \
                 (SELECT n FROM batch_items WHERE batch = ?1 ORDER BY n LIMIT ?2)";
            let room = limit - pruned;
            let deleted = self.connection.prepare_cached(items)?.execute([row, room])?;
            let deleted = i64::try_from(deleted).unwrap_or(room);
            pruned += deleted;
            if deleted < room {
                self.connection.prepare_cached("DELETE FROM batches WHERE row = ?1")?.execute([row])?;
            } else {
                break;
            }
        }
        Ok(usize::try_from(pruned).unwrap_or(0))
    }
}
