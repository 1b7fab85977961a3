//! What readers ask of batches.

use qd_types::{BatchId, Class, Code, Failure, JobId, JobStatus, NanoDollars, TenantId};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::super::codec::{self, optional};
use super::{COLUMNS, batch_row, status_number};
use crate::embedded::{BatchRow, PAGE_BYTES, RowId};
use crate::{
    Batch, BatchPage, BatchQuery, BatchStatus, Cursor, Error, ItemPage, ItemQuery, ItemResult, ItemStatus,
};

/// One of them.
pub(in super::super) fn batch(
    connection: &Connection,
    tenant: &TenantId,
    id: BatchId,
) -> Result<Option<Batch>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM batches WHERE id = ?1 AND tenant = ?2 AND stage = 1");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![id.0, tenant.as_str()])?;
    let found = rows.next()?.map(batch_row).transpose()?;
    found.map(|kept| shown(connection, kept)).transpose()
}

/// With its jobs that are not over by status: those are as many as run at once, at most.
fn shown(connection: &Connection, kept: BatchRow) -> Result<Batch, Error> {
    if kept.batch.counts.open == 0 {
        return Ok(kept.batch);
    }
    let mut statement = connection.prepare_cached(
        "SELECT jobs.status, count(*) FROM batch_items JOIN jobs ON jobs.id = batch_items.job \
         WHERE batch_items.batch = ?1 AND batch_items.state = 1 GROUP BY jobs.status ORDER BY jobs.status",
    )?;
    let mut rows = statement.query([kept.row])?;
    let mut open = Vec::new();
    while let Some(row) = rows.next()? {
        open.push((codec::status(row.get(0)?)?, row.get(1)?));
    }
    Ok(Batch { open, ..kept.batch })
}

/// A page, newest first.
pub(in super::super) fn page(
    connection: &Connection,
    tenant: &TenantId,
    query: &BatchQuery,
) -> Result<BatchPage, Error> {
    let mut conditions = vec!["stage = 1", "tenant = ?"];
    let mut values = vec![Value::from(tenant.as_str().to_owned())];
    let mut add = |condition, value: Option<Value>| {
        if let Some(value) = value {
            conditions.push(condition);
            values.push(value);
        }
    };
    add("row < ?", query.cursor.map(|cursor| Value::from(cursor.0)));
    add("status = ?", query.status.map(|status| Value::from(status_number(status))));
    add("crew = ?", query.crew.as_ref().map(|crew| Value::from(crew.as_str().to_owned())));
    // One more than asked tells whether there is another page.
    let sql = format!(
        "SELECT {COLUMNS} FROM batches WHERE {} ORDER BY row DESC LIMIT {}",
        conditions.join(" AND "),
        query.limit.saturating_add(1)
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let (mut page, mut last_row) = (BatchPage::default(), 0);
    while let Some(row) = rows.next()? {
        if page.batches.len() == query.limit {
            page.next = Some(Cursor(last_row));
            break;
        }
        let kept = batch_row(row)?;
        last_row = kept.row;
        page.batches.push(shown(connection, kept)?);
    }
    Ok(page)
}

/// What became of inputs.
pub(in super::super) fn items(
    connection: &Connection,
    tenant: &TenantId,
    id: BatchId,
    query: &ItemQuery,
) -> Result<Option<ItemPage>, Error> {
    let sql = "SELECT row, status FROM batches WHERE id = ?1 AND tenant = ?2 AND stage = 1";
    let found = connection
        .prepare_cached(sql)?
        .query_row(params![id.0, tenant.as_str()], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)));
    let Some((row, status)): Option<(RowId, i64)> = found.optional()? else { return Ok(None) };
    let is_cancelled = status == status_number(BatchStatus::Cancelled);
    let sql = format!(
        "SELECT n, state, job, batch_items.error, jobs.status, jobs.output, jobs.error, jobs.cost \
         FROM batch_items LEFT JOIN jobs ON jobs.id = batch_items.job \
         WHERE batch_items.batch = ?1 AND n >= ?2 {} ORDER BY n LIMIT ?3",
        condition(query.status, is_cancelled)
    );
    let mut statement = connection.prepare_cached(&sql)?;
    // One more than asked tells whether there are others.
    let limit = i64::try_from(query.limit.saturating_add(1)).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![row, query.from, limit])?;
    let (mut page, mut bytes) = (ItemPage::default(), 0);
    while let Some(row) = rows.next()? {
        if page.items.len() == query.limit || bytes >= PAGE_BYTES {
            page.next = Some(row.get(0)?);
            break;
        }
        bytes += row.get_ref(5)?.as_bytes_or_null().map_err(rusqlite::Error::from)?.map_or(0, <[u8]>::len);
        page.items.push(result(row, is_cancelled)?);
    }
    Ok(Some(page))
}

/// What selects inputs in a status. There is no text of a caller in it.
fn condition(status: Option<ItemStatus>, is_cancelled: bool) -> String {
    match status {
        None => String::new(),
        Some(ItemStatus::Pending) if is_cancelled => "AND 0".to_owned(),
        Some(ItemStatus::Pending) => "AND state = 0".to_owned(),
        Some(ItemStatus::Invalid) => "AND state = 3".to_owned(),
        Some(ItemStatus::Of(status)) => {
            let number = codec::status_number(status);
            let never_started =
                if is_cancelled && status == JobStatus::Cancelled { "OR state = 0" } else { "" };
            format!("AND (jobs.status = {number} {never_started})")
        }
    }
}

fn result(row: &Row<'_>, is_cancelled: bool) -> Result<ItemResult, Error> {
    let index: u32 = row.get(0)?;
    let number: Option<i64> = row.get(4)?;
    let why: Option<String> = row.get(3)?;
    let (status, error) = match (row.get::<_, i64>(1)?, number) {
        (0, _) if is_cancelled => (ItemStatus::Of(JobStatus::Cancelled), None),
        (0, _) => (ItemStatus::Pending, None),
        (3, _) => {
            let why = why.unwrap_or_default();
            (ItemStatus::Invalid, Some(Failure::new(Code::ValidationFailed, Class::Permanent, why)))
        }
        (_, Some(number)) => (ItemStatus::Of(codec::status(number)?), optional(row, 6, "error")?),
        (_, None) => {
            return Err(Error::Unreadable {
                what: format!("the job of input {index} of a batch is missing"),
            });
        }
    };
    Ok(ItemResult {
        index,
        status,
        job: row.get::<_, Option<uuid::Uuid>>(2)?.map(JobId),
        output: optional(row, 5, "output")?,
        error,
        cost: NanoDollars(row.get::<_, Option<i64>>(7)?.unwrap_or_default()),
    })
}
