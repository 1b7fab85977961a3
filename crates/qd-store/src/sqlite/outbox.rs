//! Deliveries in SQL.

use qd_types::{BatchId, DeliveryId, JobId, TenantId, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use super::codec;
use crate::embedded::Tries;
use crate::{
    Cursor, Delivery, DeliveryPage, DeliveryQuery, DeliveryStatus, Destination, EndpointState, Error, Event,
    Tried,
};

const COLUMNS: &str = "id, tenant, endpoint, url, event, at, job, status, tries, next_at, tried_at, http_status, error, \
     ended_at, about, batch, row";

fn status_number(status: DeliveryStatus) -> i64 {
    let place = DeliveryStatus::ALL.iter().position(|known| *known == status);
    place.and_then(|n| i64::try_from(n).ok()).expect("every status is in ALL")
}

fn delivery_of(row: &Row<'_>) -> Result<Delivery, Error> {
    let time = |index: usize| -> Result<Option<Timestamp>, Error> {
        Ok(row.get::<_, Option<i64>>(index)?.map(Timestamp))
    };
    let unreadable = |what: &str| Error::Unreadable { what: format!("column {what} of the deliveries") };
    let (endpoint, url): (Option<String>, Option<String>) = (row.get(2)?, row.get(3)?);
    let destination = endpoint.map(Destination::Endpoint).or(url.map(Destination::Url));
    let event: String = row.get(4)?;
    let status =
        usize::try_from(row.get::<_, i64>(7)?).ok().and_then(|n| DeliveryStatus::ALL.get(n).copied());
    let (http_status, error) = (row.get(11)?, row.get(12)?);
    Ok(Delivery {
        id: DeliveryId(row.get(0)?),
        tenant: TenantId::new(row.get::<_, String>(1)?),
        destination: destination.ok_or_else(|| unreadable("endpoint"))?,
        event: Event::parse(&event).ok_or_else(|| unreadable("event"))?,
        at: Timestamp(row.get(5)?),
        job: row.get::<_, Option<uuid::Uuid>>(6)?.map(JobId),
        status: status.ok_or_else(|| unreadable("status"))?,
        tries: row.get(8)?,
        next_at: time(9)?,
        last: time(10)?.map(|at| Tried { at, http_status, error }),
        ended_at: time(13)?,
        about: row.get::<_, Option<i64>>(14)?.map(codec::unsigned),
        batch: row.get::<_, Option<uuid::Uuid>>(15)?.map(BatchId),
    })
}

/// Adds one.
pub(super) fn post(connection: &Connection, delivery: &Delivery) -> Result<(), Error> {
    let (endpoint, url) = match &delivery.destination {
        Destination::Endpoint(name) => (Some(name), None),
        Destination::Url(url) => (None, Some(url)),
    };
    connection
        .prepare_cached(
            "INSERT INTO deliveries (id, tenant, lane, endpoint, url, event, at, job, status, next_at, about, batch) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            delivery.id.0,
            delivery.tenant.as_str(),
            delivery.destination.lane(),
            endpoint,
            url,
            delivery.event.as_str(),
            delivery.at.0,
            delivery.job.map(|job| job.0),
            status_number(delivery.status),
            delivery.next_at.map(|at| at.0),
            delivery.about.map(codec::signed),
            delivery.batch.map(|batch| batch.0),
        ])?;
    Ok(())
}

/// Lanes behind a place that have something pending, in order. It leaps from lane to lane instead of reading them.
pub(super) fn pending_lanes(
    connection: &Connection,
    after: &str,
    limit: usize,
) -> Result<Vec<String>, Error> {
    let mut statement = connection.prepare_cached(
        "WITH RECURSIVE lanes(lane) AS ( \
             SELECT min(lane) FROM deliveries WHERE status = 0 AND lane > ?1 \
             UNION ALL \
             SELECT (SELECT min(lane) FROM deliveries WHERE status = 0 AND lane > lanes.lane) FROM lanes \
             WHERE lanes.lane IS NOT NULL \
         ) SELECT lane FROM lanes WHERE lane IS NOT NULL LIMIT ?2",
    )?;
    let found =
        statement.query_map(params![after, i64::try_from(limit).unwrap_or(i64::MAX)], |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// What is due of a lane, the longest due first.
pub(super) fn due(
    connection: &Connection,
    lane: &str,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Delivery>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM deliveries WHERE status = 0 AND lane = ?1 AND next_at <= ?2 ORDER BY next_at, row LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![lane, now.0, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(delivery_of(row)?);
    }
    Ok(found)
}

/// When the next one that is not due yet will be.
pub(super) fn next(connection: &Connection, now: Timestamp) -> Result<Option<Timestamp>, Error> {
    let mut statement =
        connection.prepare_cached("SELECT min(next_at) FROM deliveries WHERE status = 0 AND next_at > ?1")?;
    let at: Option<i64> = statement.query_row([now.0], |row| row.get(0))?;
    Ok(at.map(Timestamp))
}

/// One of them.
pub(super) fn delivery(
    connection: &Connection,
    tenant: &TenantId,
    id: DeliveryId,
) -> Result<Option<Delivery>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM deliveries WHERE id = ?1 AND tenant = ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params![id.0, tenant.as_str()])?;
    rows.next()?.map(delivery_of).transpose()
}

/// Writes where one stands.
pub(super) fn settle(connection: &Connection, id: DeliveryId, tries: &Tries) -> Result<(), Error> {
    connection
        .prepare_cached(
            "UPDATE deliveries SET status = ?2, tries = ?3, next_at = ?4, tried_at = ?5, http_status = ?6, error = ?7, \
             ended_at = ?8 WHERE id = ?1",
        )?
        .execute(params![
            id.0,
            status_number(tries.status),
            tries.tries,
            tries.next_at.map(|at| at.0),
            tries.last.as_ref().map(|last| last.at.0),
            tries.last.as_ref().and_then(|last| last.http_status),
            tries.last.as_ref().and_then(|last| last.error.as_deref()),
            tries.ended_at.map(|at| at.0),
        ])?;
    Ok(())
}

/// A page, newest first.
pub(super) fn page(
    connection: &Connection,
    tenant: &TenantId,
    query: &DeliveryQuery,
) -> Result<DeliveryPage, Error> {
    let mut conditions = vec!["tenant = ?"];
    let mut values = vec![Value::from(tenant.as_str().to_owned())];
    let mut add = |condition, value: Option<Value>| {
        if let Some(value) = value {
            conditions.push(condition);
            values.push(value);
        }
    };
    add("row < ?", query.cursor.map(|cursor| Value::from(cursor.0)));
    add("status = ?", query.status.map(|status| Value::from(status_number(status))));
    add("job = ?", query.job.map(|job| Value::from(job.0.as_bytes().to_vec())));
    add("endpoint = ?", query.endpoint.clone().map(Value::from));
    add("event = ?", query.event.map(|event| Value::from(event.as_str().to_owned())));
    // One more than asked tells whether there is another page.
    let sql = format!(
        "SELECT {COLUMNS} FROM deliveries WHERE {} ORDER BY row DESC LIMIT {}",
        conditions.join(" AND "),
        query.limit.saturating_add(1)
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let (mut page, mut last_row) = (DeliveryPage::default(), 0);
    while let Some(row) = rows.next()? {
        if page.deliveries.len() == query.limit {
            page.next = Some(Cursor(last_row));
            break;
        }
        page.deliveries.push(delivery_of(row)?);
        last_row = row.get(16)?;
    }
    Ok(page)
}

/// Deletes at most `limit` that ended before, and answers how many those were.
pub(super) fn prune(connection: &Connection, ended_before: Timestamp, limit: i64) -> Result<usize, Error> {
    let sql = "DELETE FROM deliveries WHERE row IN \
         (SELECT row FROM deliveries WHERE ended_at < ?1 ORDER BY ended_at LIMIT ?2)";
    Ok(connection.prepare_cached(sql)?.execute([ended_before.0, limit])?)
}

/// What is remembered of endpoints, by name.
pub(super) fn endpoints(connection: &Connection, tenant: &TenantId) -> Result<Vec<EndpointState>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT name, failing_since, disabled_at, reason FROM endpoints WHERE tenant = ?1 ORDER BY name",
    )?;
    let found = statement.query_map([tenant.as_str()], |row| {
        Ok(EndpointState {
            name: row.get(0)?,
            failing_since: row.get::<_, Option<i64>>(1)?.map(Timestamp),
            disabled_at: row.get::<_, Option<i64>>(2)?.map(Timestamp),
            reason: row.get(3)?,
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Remembers how an endpoint stands.
pub(super) fn set_endpoint(
    connection: &Connection,
    tenant: &TenantId,
    state: &EndpointState,
) -> Result<(), Error> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO endpoints (tenant, name, failing_since, disabled_at, reason) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            tenant.as_str(),
            state.name,
            state.failing_since.map(|at| at.0),
            state.disabled_at.map(|at| at.0),
            state.reason,
        ])?;
    Ok(())
}
