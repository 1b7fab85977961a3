//! The writer's rows: one SQL statement for each thing that a transition reads or writes.

mod idempotency;

use qd_types::{
    ConversationId, CrewName, Day, DeliveryId, Hooks, Job, JobId, JobStatus, Logged, NanoDollars, Seq,
    TenantId, Timestamp, Waiting,
};
use rusqlite::{Connection, OptionalExtension, params};

use idempotency::Sweep;

use super::{batches, cache, codec, hooks, human, outbox, spend};
use crate::embedded::{
    Charge, DurableRows, KEPT_SPEND, KEPT_TURNS, OpenJob, Remembered, RowId, Rows, Settled, Spent, Started,
    Tries,
};
use crate::{Delivery, EndpointState, Error, Idempotency, ScopeSpend, SpendScope, Turn};

/// The only connection that writes.
pub(super) struct SqliteRows {
    pub(super) connection: Connection,
    keys: Sweep,
}

impl SqliteRows {
    /// Rows of a database whose schema is up to date.
    pub(super) fn new(connection: Connection) -> Self {
        Self { connection, keys: Sweep::default() }
    }
}

impl Rows for SqliteRows {
    fn insert(&mut self, row: RowId, job: &Job) -> Result<(), Error> {
        codec::insert_job(&self.connection, row, job)
    }

    fn load(&mut self, row: RowId) -> Result<Job, Error> {
        let sql = select_job("WHERE row = ?1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([row])?;
        match rows.next()? {
            Some(found) => codec::job(found),
            None => Err(Error::Unreadable { what: format!("row {row} of the jobs is missing") }),
        }
    }

    fn find(&mut self, tenant: &TenantId, id: JobId) -> Result<Option<RowId>, Error> {
        let mut statement =
            self.connection.prepare_cached("SELECT row FROM jobs WHERE id = ?1 AND tenant = ?2")?;
        Ok(statement.query_row(params![id.0, tenant.as_str()], |row| row.get(0)).optional()?)
    }

    fn status_of(&mut self, id: JobId) -> Result<Option<JobStatus>, Error> {
        let mut statement = self.connection.prepare_cached("SELECT status FROM jobs WHERE id = ?1")?;
        let number: Option<i64> = statement.query_row(params![id.0], |row| row.get(0)).optional()?;
        number.map(codec::status).transpose()
    }

    fn start(&mut self, row: RowId, started: Started) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE jobs SET status = ?2, attempt = ?3, epoch = ?4, started_at = coalesce(started_at, ?5), \
                 retry_at = NULL, error = NULL WHERE row = ?1",
            )?
            .execute(params![
                row,
                codec::status_number(JobStatus::Running),
                started.attempt,
                codec::signed(started.epoch),
                started.started_at.0
            ])?;
        Ok(())
    }

    fn spend(&mut self, row: RowId, spent: &Spent) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE jobs SET usage = ?2, cost = ?3, progress = ?4, crashes = ?5 WHERE row = ?1",
            )?
            .execute(params![
                row,
                codec::json(&spent.usage)?,
                spent.cost.0,
                codec::json(&spent.progress)?,
                spent.crashes
            ])?;
        Ok(())
    }

    fn settle(&mut self, row: RowId, settled: &Settled) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE jobs SET status = ?2, retry_at = ?3, finished_at = ?4, output = ?5, error = ?6, crashes = ?7, \
                 in_doubt = ?8, waiting = ?9 WHERE row = ?1",
            )?
            .execute(params![
                row,
                codec::status_number(settled.status),
                settled.retry_at.map(|t| t.0),
                settled.finished_at.map(|t| t.0),
                settled.output.as_ref().map(codec::json).transpose()?,
                settled.error.as_ref().map(codec::json).transpose()?,
                settled.crashes,
                settled.in_doubt,
                settled.waiting.as_deref().map(human::column).transpose()?,
            ])?;
        Ok(())
    }

    fn wait(&mut self, row: RowId, waiting: &Waiting) -> Result<(), Error> {
        human::wait(&self.connection, row, waiting)
    }

    fn set_hooks(&mut self, row: RowId, told: &Hooks) -> Result<(), Error> {
        hooks::set(&self.connection, row, told)
    }

    fn append(&mut self, row: RowId, logged: &Logged) -> Result<(), Error> {
        codec::append(&self.connection, row, logged)
    }

    fn log(&mut self, row: RowId, after: Seq, limit: usize) -> Result<Vec<Logged>, Error> {
        codec::log(&self.connection, row, after, limit)
    }

    fn key(&mut self, tenant: &TenantId, idempotency: &Idempotency) -> Result<Option<Remembered>, Error> {
        idempotency::find(&self.connection, tenant, idempotency)
    }

    fn remember(
        &mut self,
        tenant: &TenantId,
        idempotency: &Idempotency,
        stored: Remembered,
    ) -> Result<bool, Error> {
        idempotency::remember(&self.connection, tenant, idempotency, stored)
    }

    fn forget_key(&mut self, tenant: &TenantId, idempotency: &Idempotency) -> Result<(), Error> {
        idempotency::forget(&self.connection, tenant, idempotency)
    }

    fn say(
        &mut self,
        tenant: &TenantId,
        conversation: &ConversationId,
        job: JobId,
        turns: &[Turn],
        now: Timestamp,
        forgotten_before: Timestamp,
    ) -> Result<(), Error> {
        let (tenant, name) = (tenant.as_str(), conversation.as_str());
        let mut read = self
            .connection
            .prepare_cached("SELECT last_n, last_at FROM conversations WHERE tenant = ?1 AND name = ?2")?;
        let kept: Option<(i64, i64)> =
            read.query_row([tenant, name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        if kept.is_some_and(|(_, at)| at < forgotten_before.0) {
            self.connection
                .prepare_cached("DELETE FROM messages WHERE tenant = ?1 AND name = ?2")?
                .execute([tenant, name])?;
        }
        let mut n = kept.map_or(0, |(n, _)| n);
        for turn in turns {
            n += 1;
            self.connection
                .prepare_cached(
                    "INSERT INTO messages (tenant, name, n, role, text, at, job) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![tenant, name, n, codec::json(&turn.role)?, turn.text, now.0, job.0])?;
        }
        let oldest = n - i64::try_from(KEPT_TURNS).unwrap_or(i64::MAX);
        self.connection
            .prepare_cached("DELETE FROM messages WHERE tenant = ?1 AND name = ?2 AND n <= ?3")?
            .execute(params![tenant, name, oldest])?;
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO conversations (tenant, name, last_n, last_at) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![tenant, name, n, now.0])?;
        Ok(())
    }

    fn forget(
        &mut self,
        tenant: &TenantId,
        conversation: &ConversationId,
        forgotten_before: Timestamp,
    ) -> Result<bool, Error> {
        let last_at: Option<i64> = self
            .connection
            .prepare_cached("SELECT last_at FROM conversations WHERE tenant = ?1 AND name = ?2")?
            .query_row([tenant.as_str(), conversation.as_str()], |row| row.get(0))
            .optional()?;
        self.delete_conversation(tenant.as_str(), conversation.as_str())?;
        Ok(last_at.is_some_and(|at| at >= forgotten_before.0))
    }

    fn charge(&mut self, tenant: &TenantId, crew: &CrewName, day: Day, charge: &Charge) -> Result<(), Error> {
        spend::charge(&self.connection, tenant, crew, day, charge)
    }

    fn scope_spend(&mut self, scope: &SpendScope) -> Result<ScopeSpend, Error> {
        spend::scope_spend(&self.connection, scope)
    }

    fn hold_slice(&mut self, scope: &SpendScope, held: NanoDollars, lost: NanoDollars) -> Result<(), Error> {
        spend::hold_slice(&self.connection, scope, held, lost)
    }

    fn post(&mut self, delivery: &Delivery) -> Result<(), Error> {
        outbox::post(&self.connection, delivery)
    }

    fn pending_lanes(&mut self, after: &str, limit: usize) -> Result<Vec<String>, Error> {
        outbox::pending_lanes(&self.connection, after, limit)
    }

    fn due_deliveries(&mut self, lane: &str, now: Timestamp, limit: usize) -> Result<Vec<Delivery>, Error> {
        outbox::due(&self.connection, lane, now, limit)
    }

    fn next_delivery(&mut self, now: Timestamp) -> Result<Option<Timestamp>, Error> {
        outbox::next(&self.connection, now)
    }

    fn delivery(&mut self, tenant: &TenantId, id: DeliveryId) -> Result<Option<Delivery>, Error> {
        outbox::delivery(&self.connection, tenant, id)
    }

    fn settle_delivery(&mut self, id: DeliveryId, tries: &Tries) -> Result<(), Error> {
        outbox::settle(&self.connection, id, tries)
    }

    fn set_endpoint(&mut self, tenant: &TenantId, state: &EndpointState) -> Result<(), Error> {
        outbox::set_endpoint(&self.connection, tenant, state)
    }

    fn prune(
        &mut self,
        now: Timestamp,
        finished_before: Timestamp,
        silent_before: Timestamp,
        limit: usize,
    ) -> Result<usize, Error> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let jobs = self.column(
            "SELECT row FROM jobs WHERE finished_at < ?1 AND NOT EXISTS \
             (SELECT 1 FROM deliveries WHERE job = jobs.id AND status = 0) AND NOT EXISTS \
             (SELECT 1 FROM batches WHERE id = jobs.batch AND stage = 1) ORDER BY finished_at LIMIT ?2",
            finished_before,
            limit,
        )?;
        for row in &jobs {
            self.connection.prepare_cached("DELETE FROM log WHERE job = ?1")?.execute([row])?;
            self.connection.prepare_cached("DELETE FROM dealt WHERE row = ?1")?.execute([row])?;
            self.connection.prepare_cached("DELETE FROM jobs WHERE row = ?1")?.execute([row])?;
        }
        self.keys.sweep(&self.connection, now, limit)?;
        let silent = self.silent(silent_before, limit)?;
        for (tenant, name) in &silent {
            self.delete_conversation(tenant, name)?;
        }
        spend::prune(&self.connection, Day(now.day().0 - KEPT_SPEND))?;
        let results = cache::prune(&self.connection, now, limit)?;
        let deliveries = outbox::prune(&self.connection, finished_before, limit)?;
        Ok(jobs.len() + silent.len() + results + deliveries)
    }
}

impl DurableRows for SqliteRows {
    fn each_open(&mut self, visit: &mut dyn FnMut(OpenJob)) -> Result<(), Error> {
        codec::each_open(&self.connection, visit)
    }

    fn leave_unaccepted(&mut self) -> Result<(), Error> {
        batches::leave_unaccepted(&self.connection)
    }

    fn lose_slices(&mut self) -> Result<(), Error> {
        spend::lose_slices(&self.connection)
    }
}

impl SqliteRows {
    fn delete_conversation(&self, tenant: &str, name: &str) -> Result<(), Error> {
        for sql in [
            "DELETE FROM messages WHERE tenant = ?1 AND name = ?2",
            "DELETE FROM conversations WHERE tenant = ?1 AND name = ?2",
        ] {
            self.connection.prepare_cached(sql)?.execute([tenant, name])?;
        }
        Ok(())
    }

    fn column(&self, sql: &str, at: Timestamp, limit: i64) -> Result<Vec<RowId>, Error> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([at.0, limit], |row| row.get(0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn silent(&self, before: Timestamp, limit: i64) -> Result<Vec<(String, String)>, Error> {
        let sql = "SELECT tenant, name FROM conversations WHERE last_at < ?1 ORDER BY last_at LIMIT ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map([before.0, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// `SELECT` of a whole job.
pub(super) fn select_job(condition: &str) -> String {
    format!("SELECT {} FROM jobs {condition}", codec::JOB_COLUMNS)
}
