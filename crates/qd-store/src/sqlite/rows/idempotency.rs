//! Idempotency keys in SQL.
//!
//! Nearly every key is new, so the common act is one statement that adds it or finds it known. There is no index of
//! their ends, which would cost as much again with each key: what is over is found by a hand that goes round.

use qd_types::{TenantId, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use crate::embedded::Remembered;
use crate::{Error, Idempotency};

/// Keys that the hand looks at for each one that may be deleted: most of them have not ended.
const LOOKS: i64 = 8;

/// Looks a key up.
pub(super) fn find(
    connection: &Connection,
    tenant: &TenantId,
    idempotency: &Idempotency,
) -> Result<Option<Remembered>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT job, body_hash, expires_at FROM idempotency WHERE tenant = ?1 AND scope = ?2 AND key = ?3",
    )?;
    let found = statement.query_row(params![tenant.as_str(), idempotency.scope, idempotency.key], |row| {
        Ok(Remembered { row: row.get(0)?, body_hash: row.get(1)?, expires_at: Timestamp(row.get(2)?) })
    });
    Ok(found.optional()?)
}

/// Adds a key; `false` if it is known.
pub(super) fn remember(
    connection: &Connection,
    tenant: &TenantId,
    idempotency: &Idempotency,
    stored: Remembered,
) -> Result<bool, Error> {
    let added = connection
        .prepare_cached(
            "INSERT INTO idempotency (tenant, scope, key, job, body_hash, expires_at) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            tenant.as_str(),
            idempotency.scope,
            idempotency.key,
            stored.row,
            stored.body_hash,
            stored.expires_at.0
        ])?;
    Ok(added > 0)
}

/// Deletes a key.
pub(super) fn forget(
    connection: &Connection,
    tenant: &TenantId,
    idempotency: &Idempotency,
) -> Result<(), Error> {
    delete(connection, [tenant.as_str(), &idempotency.scope, &idempotency.key])
}

fn delete(connection: &Connection, key: [&str; 3]) -> Result<(), Error> {
    connection
        .prepare_cached("DELETE FROM idempotency WHERE tenant = ?1 AND scope = ?2 AND key = ?3")?
        .execute(key)?;
    Ok(())
}

/// Where the hand stands that goes round the keys and deletes those that are over.
#[derive(Default)]
pub(super) struct Sweep {
    /// The last key that was looked at: tenant, scope, key.
    after: [String; 3],
}

impl Sweep {
    /// Goes on for a bounded stretch, and starts anew at the end. A key stays as long as its job is not over, whatever its
    /// window says.
    pub(super) fn sweep(&mut self, connection: &Connection, now: Timestamp, limit: i64) -> Result<(), Error> {
        let looks = limit.saturating_mul(LOOKS);
        let mut statement = connection.prepare_cached(
            "SELECT tenant, scope, key, expires_at <= ?4 AND NOT EXISTS (SELECT 1 FROM jobs WHERE row = i.job AND status < 5) \
             FROM idempotency i WHERE (tenant, scope, key) > (?1, ?2, ?3) ORDER BY tenant, scope, key LIMIT ?5",
        )?;
        let [tenant, scope, key] = &self.after;
        let mut rows = statement.query(params![tenant, scope, key, now.0, looks])?;
        let (mut seen, mut last, mut over) = (0, None, Vec::new());
        while let Some(row) = rows.next()? {
            let key: [String; 3] = [row.get(0)?, row.get(1)?, row.get(2)?];
            seen += 1;
            if row.get(3)? {
                over.push(key.clone());
            }
            last = Some(key);
        }
        self.after = last.filter(|_| seen == looks).unwrap_or_default();
        over.iter().try_for_each(|[tenant, scope, key]| delete(connection, [tenant, scope, key]))
    }
}
