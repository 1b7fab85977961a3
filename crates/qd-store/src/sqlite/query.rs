//! What readers ask: jobs, pages, logs, crews, history.

use std::time::Duration;

use qd_types::{ConversationId, CrewName, CrewVersion, Job, JobId, Logged, Seq, TenantId, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::codec;
use super::rows::select_job;
use crate::embedded::PAGE_BYTES;
use crate::{Cursor, Error, JobQuery, Page, StoredConversation, StoredCrew, StoredMessage, Turn};

/// One job.
pub(super) fn job(connection: &Connection, tenant: &TenantId, id: JobId) -> Result<Option<Job>, Error> {
    let sql = select_job("WHERE id = ?1 AND tenant = ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![id.0, tenant.as_str()])?;
    rows.next()?.map(codec::job).transpose()
}

/// A page of jobs, newest first.
pub(super) fn page(connection: &Connection, tenant: &TenantId, query: &JobQuery) -> Result<Page, Error> {
    let mut conditions = vec!["tenant = ?"];
    let mut values = vec![Value::from(tenant.as_str().to_owned())];
    let mut add = |condition, value: Option<Value>| {
        if let Some(value) = value {
            conditions.push(condition);
            values.push(value);
        }
    };
    add("row < ?", query.cursor.map(|c| Value::from(c.0)));
    add("status = ?", query.status.map(|s| Value::from(codec::status_number(s))));
    add("crew = ?", query.crew.as_ref().map(|c| Value::from(c.as_str().to_owned())));
    add("created_at > ?", query.created_after.map(|t| Value::from(t.0)));
    add("created_at < ?", query.created_before.map(|t| Value::from(t.0)));
    // One more than asked tells whether there is another page.
    let sql = format!(
        "SELECT {}, row FROM jobs WHERE {} ORDER BY row DESC LIMIT {}",
        codec::JOB_COLUMNS,
        conditions.join(" AND "),
        query.limit.saturating_add(1)
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut page = Page::default();
    let (mut last_row, mut bytes) = (0, 0);
    while let Some(row) = rows.next()? {
        if page.jobs.len() == query.limit || bytes >= PAGE_BYTES {
            page.next = Some(Cursor(last_row));
            break;
        }
        // Input, output and what is asked are the columns that can be large.
        for column in [11, 12, 28] {
            bytes += row
                .get_ref(column)?
                .as_bytes_or_null()
                .map_err(rusqlite::Error::from)?
                .map_or(0, <[u8]>::len);
        }
        page.jobs.push(codec::job(row)?);
        last_row = row.get("row")?;
    }
    Ok(page)
}

/// A part of a job's log.
pub(super) fn log(
    connection: &Connection,
    tenant: &TenantId,
    id: JobId,
    after: Seq,
    limit: usize,
) -> Result<Option<Vec<Logged>>, Error> {
    let mut statement = connection.prepare_cached("SELECT row FROM jobs WHERE id = ?1 AND tenant = ?2")?;
    let row: Option<i64> =
        statement.query_row(params![id.0, tenant.as_str()], |row| row.get(0)).optional()?;
    row.map(|row| codec::log(connection, row, after, limit)).transpose()
}

const CREW: &str = "SELECT name, version, hash, spec, created_at FROM crews";

fn stored_crew(row: &Row<'_>) -> rusqlite::Result<StoredCrew> {
    Ok(StoredCrew {
        name: CrewName::new(row.get::<_, String>(0)?),
        version: CrewVersion(row.get(1)?),
        hash: row.get(2)?,
        spec: row.get(3)?,
        created_at: Timestamp(row.get(4)?),
    })
}

/// One crew version, the newest without a number.
pub(super) fn crew(
    connection: &Connection,
    tenant: &TenantId,
    name: &CrewName,
    version: Option<CrewVersion>,
) -> Result<Option<StoredCrew>, Error> {
    let sql = format!(
        "{CREW} WHERE tenant = ?1 AND name = ?2 AND (?3 IS NULL OR version = ?3) ORDER BY version DESC LIMIT 1"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let found =
        statement.query_row(params![tenant.as_str(), name.as_str(), version.map(|v| v.0)], stored_crew);
    Ok(found.optional()?)
}

/// The newest version of each crew.
pub(super) fn crews(connection: &Connection, tenant: &TenantId) -> Result<Vec<StoredCrew>, Error> {
    let sql = format!(
        "{CREW} c WHERE tenant = ?1 AND version = (SELECT max(version) FROM crews WHERE tenant = c.tenant AND name = c.name) \
         ORDER BY name"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let found = statement.query_map([tenant.as_str()], stored_crew)?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// A conversation that is not forgotten, with its newest messages, oldest of them first.
pub(super) fn conversation(
    connection: &Connection,
    tenant: &TenantId,
    conversation: &ConversationId,
    ttl: Duration,
    now: Timestamp,
    limit: usize,
) -> Result<Option<StoredConversation>, Error> {
    let key = [tenant.as_str(), conversation.as_str()];
    let last_at: Option<i64> = connection
        .prepare_cached("SELECT last_at FROM conversations WHERE tenant = ?1 AND name = ?2")?
        .query_row(key, |row| row.get(0))
        .optional()?;
    let Some(last_at) = last_at.map(Timestamp) else { return Ok(None) };
    let expires_at = last_at.plus(ttl);
    if expires_at < now {
        return Ok(None);
    }
    let mut statement = connection.prepare_cached(
        "SELECT role, text, at, job FROM messages WHERE tenant = ?1 AND name = ?2 ORDER BY n DESC LIMIT ?3",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![key[0], key[1], limit])?;
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        let role = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
        let role = serde_json::from_str(role)
            .map_err(|e| Error::Unreadable { what: format!("column role: {e}") })?;
        messages.push(StoredMessage {
            turn: Turn { role, text: row.get(1)? },
            at: row.get::<_, Option<i64>>(2)?.map(Timestamp),
            job: row.get::<_, Option<uuid::Uuid>>(3)?.map(JobId),
        });
    }
    messages.reverse();
    Ok(Some(StoredConversation { messages, last_at, expires_at }))
}
