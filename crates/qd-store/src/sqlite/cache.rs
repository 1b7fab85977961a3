//! Kept results in SQL.

use qd_types::{TenantId, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::codec::signed;
use crate::{CacheKey, CacheRoom, Error};

/// What is kept under a key, unless its time is up.
pub(super) fn get(
    connection: &Connection,
    tenant: &TenantId,
    key: &CacheKey,
    now: Timestamp,
) -> Result<Option<Vec<u8>>, Error> {
    let mut statement = connection
        .prepare_cached("SELECT value FROM cache WHERE tenant = ?1 AND key = ?2 AND expires_at > ?3")?;
    Ok(statement.query_row(params![tenant.as_str(), key, now.0], |row| row.get(0)).optional()?)
}

/// Keeps a result; what would go first anyway makes room.
pub(super) fn put(
    connection: &Connection,
    tenant: &TenantId,
    key: &CacheKey,
    value: &[u8],
    until: Timestamp,
    room: CacheRoom,
) -> Result<(), Error> {
    // Not `INSERT OR REPLACE`: the trigger that counts what goes would not hear of the row in the way.
    connection
        .prepare_cached("DELETE FROM cache WHERE tenant = ?1 AND key = ?2")?
        .execute(params![tenant.as_str(), key])?;
    if value.len() as u64 > room.bytes || room.entries == 0 {
        return Ok(());
    }
    while !has_room(connection, value.len() as u64, room)? {
        connection
            .prepare_cached(
                "DELETE FROM cache WHERE rowid = (SELECT rowid FROM cache ORDER BY expires_at LIMIT 1)",
            )?
            .execute([])?;
    }
    connection
        .prepare_cached("INSERT INTO cache (tenant, key, expires_at, value) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![tenant.as_str(), key, until.0, value])?;
    Ok(())
}

fn has_room(connection: &Connection, size: u64, room: CacheRoom) -> Result<bool, Error> {
    let mut statement = connection
        .prepare_cached("SELECT entries = 0 OR (entries < ?1 AND bytes + ?2 <= ?3) FROM cache_size")?;
    let asked = [signed(room.entries), signed(size), signed(room.bytes)];
    Ok(statement.query_row(asked, |row| row.get(0))?)
}

/// Deletes at most `limit` results whose time is up, and answers how many those were.
pub(super) fn prune(connection: &Connection, now: Timestamp, limit: i64) -> Result<usize, Error> {
    let sql = "DELETE FROM cache WHERE rowid IN (SELECT rowid FROM cache WHERE expires_at <= ?1 LIMIT ?2)";
    Ok(connection.prepare_cached(sql)?.execute([now.0, limit])?)
}
