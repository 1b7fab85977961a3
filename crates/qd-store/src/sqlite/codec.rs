//! Jobs and log items to columns and back.

use qd_types::{
    BatchId, BatchPlace, ConversationId, CrewName, CrewVersion, JOURNAL_VERSION, Job, JobId, JobStatus,
    Logged, NanoDollars, Priority, TenantId, Timestamp,
};
use rusqlite::{Connection, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{hooks, human};
use crate::Error;
use crate::embedded::{OpenJob, RowId};

/// The columns that [`job`] reads, in its order.
pub(super) const JOB_COLUMNS: &str = "id, tenant, crew, crew_version, machine_version, status, priority, attempt, \
     max_attempts, crashes, conversation, input, output, error, usage, cost, progress, created_at, run_at, retry_at, \
     expires_at, started_at, finished_at, timeout_seconds, redrive_of, metadata, budget, webhook_url, waiting, hooks, \
     batch, batch_index";

/// A status as a number: its place in [`JobStatus::ALL`].
pub(super) fn status_number(status: JobStatus) -> i64 {
    let place = JobStatus::ALL.iter().position(|s| *s == status);
    place.and_then(|n| i64::try_from(n).ok()).expect("every status is in ALL")
}

/// The status of a number.
pub(super) fn status(number: i64) -> Result<JobStatus, Error> {
    let known = usize::try_from(number).ok().and_then(|n| JobStatus::ALL.get(n));
    known.copied().ok_or_else(|| Error::Unreadable { what: format!("job status {number}") })
}

/// JSON for a column.
pub(super) fn json(value: &impl Serialize) -> Result<String, Error> {
    serde_json::to_string(value)
        .map_err(|e| Error::Unreadable { what: format!("a value that is no JSON: {e}") })
}

pub(super) fn from_json<T: DeserializeOwned>(text: &str, column: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|e| Error::Unreadable {
        // Its own words may quote the value, which is nothing for a log.
        what: format!("column {column}: {:?} error at byte {}", e.classify(), e.column()),
    })
}

pub(super) fn optional<T: DeserializeOwned>(
    row: &Row<'_>,
    index: usize,
    column: &str,
) -> Result<Option<T>, Error> {
    match row.get_ref(index)?.as_str_or_null().map_err(rusqlite::Error::from)? {
        Some(text) => from_json(text, column).map(Some),
        None => Ok(None),
    }
}

pub(super) fn time(row: &Row<'_>, index: usize) -> Result<Option<Timestamp>, Error> {
    Ok(row.get::<_, Option<i64>>(index)?.map(Timestamp))
}

/// A job from the columns of [`JOB_COLUMNS`].
pub(super) fn job(row: &Row<'_>) -> Result<Job, Error> {
    let text = |index: usize| -> Result<&str, Error> {
        Ok(row.get_ref(index)?.as_str().map_err(rusqlite::Error::from)?)
    };
    let text_or_null = |index: usize| -> Result<Option<&str>, Error> {
        Ok(row.get_ref(index)?.as_str_or_null().map_err(rusqlite::Error::from)?)
    };
    Ok(Job {
        id: JobId(row.get(0)?),
        tenant: TenantId::new(text(1)?),
        crew: CrewName::new(text(2)?),
        crew_version: CrewVersion(row.get(3)?),
        machine_version: row.get(4)?,
        status: status(row.get(5)?)?,
        priority: priority(row.get(6)?)?,
        attempt: row.get(7)?,
        max_attempts: row.get(8)?,
        crashes: row.get(9)?,
        conversation: row.get::<_, Option<String>>(10)?.map(ConversationId::new),
        input: from_json(text(11)?, "input")?,
        output: optional(row, 12, "output")?,
        error: optional(row, 13, "error")?,
        usage: optional(row, 14, "usage")?.unwrap_or_default(),
        cost: NanoDollars(row.get(15)?),
        progress: from_json(text(16)?, "progress")?,
        created_at: Timestamp(row.get(17)?),
        run_at: time(row, 18)?,
        retry_at: time(row, 19)?,
        expires_at: time(row, 20)?,
        started_at: time(row, 21)?,
        finished_at: time(row, 22)?,
        timeout_seconds: row.get(23)?,
        redrive_of: row.get::<_, Option<uuid::Uuid>>(24)?.map(JobId),
        metadata: optional(row, 25, "metadata")?.unwrap_or_default(),
        budget: row.get::<_, Option<i64>>(26)?.map(NanoDollars),
        webhook_url: row.get(27)?,
        waiting: text_or_null(28)?.map(human::read).transpose()?,
        hooks: text_or_null(29)?.map(hooks::read).transpose()?,
        batch: batch_place(row)?,
    })
}

fn batch_place(row: &Row<'_>) -> Result<Option<BatchPlace>, Error> {
    let (batch, index) = (row.get::<_, Option<uuid::Uuid>>(30)?, row.get::<_, Option<u32>>(31)?);
    Ok(batch.map(BatchId).zip(index).map(|(batch, index)| BatchPlace { batch, index }))
}

pub(super) fn priority(number: i64) -> Result<Priority, Error> {
    Priority::new(number).map_err(|e| Error::Unreadable { what: e.to_string() })
}

/// Adds a job.
pub(super) fn insert_job(connection: &Connection, row: RowId, job: &Job) -> Result<(), Error> {
    let metadata = if job.metadata.is_empty() { None } else { Some(json(&job.metadata)?) };
    connection
        .prepare_cached(
            "INSERT INTO jobs (row, id, tenant, crew, crew_version, machine_version, status, priority, max_attempts, \
             conversation, input, progress, created_at, run_at, expires_at, timeout_seconds, redrive_of, metadata, budget, webhook_url, \
             hooks, batch, batch_index) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)",
        )?
        .execute(params![
            row,
            job.id.0,
            job.tenant.as_str(),
            job.crew.as_str(),
            job.crew_version.0,
            job.machine_version,
            status_number(job.status),
            job.priority.get(),
            job.max_attempts,
            job.conversation.as_ref().map(ConversationId::as_str),
            json(&job.input)?,
            json(&job.progress)?,
            job.created_at.0,
            job.run_at.map(|t| t.0),
            job.expires_at.map(|t| t.0),
            job.timeout_seconds,
            job.redrive_of.map(|id| id.0),
            metadata,
            job.budget.map(|budget| budget.0),
            job.webhook_url,
            job.hooks.as_deref().map(hooks::column).transpose()?,
            job.batch.map(|place| place.batch.0),
            job.batch.map(|place| place.index),
        ])?;
    Ok(())
}

/// Shows every job that is not over, as the schedule wants it. One status after the other: each is a walk along the
/// index, and nothing is sorted or kept.
pub(super) fn each_open(connection: &Connection, visit: &mut dyn FnMut(OpenJob)) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "SELECT row, id, tenant, priority, conversation, run_at, retry_at, expires_at, attempt, epoch, crashes, \
         in_doubt, CASE WHEN attempt = 0 AND run_at IS NULL THEN 0 ELSE (SELECT coalesce(max(seq), 0) FROM log WHERE job = row) END, \
         max(created_at, coalesce(run_at, 0)), waiting, crew \
         FROM jobs WHERE status = ?1 AND status < 5",
    )?;
    // Most jobs share these with the one before.
    let mut tenant = TenantId::default();
    let mut crew = CrewName::new("");
    for open in JobStatus::ALL.iter().copied().filter(|status| !status.is_terminal()) {
        let mut rows = statement.query([status_number(open)])?;
        while let Some(row) = rows.next()? {
            let name = row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?;
            if tenant.as_str() != name {
                tenant = TenantId::new(name);
            }
            let name = row.get_ref(15)?.as_str().map_err(rusqlite::Error::from)?;
            if crew.as_str() != name {
                crew = CrewName::new(name);
            }
            visit(open_job(row, open, tenant.clone(), crew.clone())?);
        }
    }
    Ok(())
}

fn open_job(row: &Row<'_>, status: JobStatus, tenant: TenantId, crew: CrewName) -> Result<OpenJob, Error> {
    let due = match status {
        JobStatus::Scheduled => time(row, 5)?,
        JobStatus::Retrying => time(row, 6)?,
        JobStatus::Waiting => {
            let text = row.get_ref(14)?.as_str_or_null().map_err(rusqlite::Error::from)?;
            text.map(human::read).transpose()?.and_then(|waiting| waiting.wake_at())
        }
        _ => None,
    };
    Ok(OpenJob {
        row: row.get(0)?,
        id: JobId(row.get(1)?),
        tenant,
        crew,
        priority: priority(row.get(3)?)?,
        conversation: row.get::<_, Option<String>>(4)?.map(ConversationId::new),
        status,
        due,
        expires_at: time(row, 7)?,
        attempt: row.get(8)?,
        epoch: unsigned(row.get(9)?),
        crashes: row.get(10)?,
        in_doubt: row.get(11)?,
        last_seq: unsigned(row.get(12)?),
        queued_since: Timestamp(row.get(13)?),
    })
}

/// Adds to a job's log.
pub(super) fn append(connection: &Connection, row: RowId, logged: &Logged) -> Result<(), Error> {
    connection
        .prepare_cached("INSERT INTO log (job, seq, at, attempt, v, item) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![
            row,
            signed(logged.seq),
            logged.at.0,
            logged.attempt,
            JOURNAL_VERSION,
            json(&logged.item)?
        ])?;
    Ok(())
}

/// Reads a job's log after a place.
pub(super) fn log(
    connection: &Connection,
    row: RowId,
    after: u64,
    limit: usize,
) -> Result<Vec<Logged>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, at, attempt, v, item FROM log WHERE job = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![row, signed(after), limit])?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        let version: u32 = row.get(3)?;
        if version > JOURNAL_VERSION {
            return Err(Error::Unreadable { what: format!("journal version {version} of a newer release") });
        }
        items.push(Logged {
            seq: unsigned(row.get(0)?),
            at: Timestamp(row.get(1)?),
            attempt: row.get(2)?,
            item: from_json(row.get_ref(4)?.as_str().map_err(rusqlite::Error::from)?, "item")?,
        });
    }
    Ok(items)
}

/// SQLite counts in `i64`; sequences and epochs never reach its end.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// And back.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
