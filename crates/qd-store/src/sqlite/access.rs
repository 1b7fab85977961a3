//! Keys and the audit log in SQL.

use std::collections::BTreeMap;

use qd_types::{KeyId, TenantId, Timestamp};
use rusqlite::{Connection, Row, params};

use super::codec::{json, signed, unsigned};
use super::rows::SqliteRows;
use crate::embedded::AccessRows;
use crate::{Act, AuditHead, Audited, Error, StoredKey};

const KEY: &str =
    "SELECT id, tenant, name, scopes, digest, pepper, created_at, expires_at, revoked_at, replaces FROM keys";

/// Shape of `detail`: names and values, both texts.
const DETAIL_VERSION: i64 = 1;

/// Every key and the end of the audit log, of one moment.
pub(super) fn keys(connection: &Connection) -> Result<(Vec<StoredKey>, AuditHead), Error> {
    let moment = connection.unchecked_transaction()?;
    let mut statement = moment.prepare_cached(&format!("{KEY} ORDER BY created_at, id"))?;
    let mut rows = statement.query([])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        keys.push(key(row)?);
    }
    Ok((keys, head(&moment)?))
}

/// The end of the audit log.
pub(super) fn head(connection: &Connection) -> Result<AuditHead, Error> {
    let mut statement = connection.prepare_cached("SELECT seq, hash FROM audit_head")?;
    Ok(statement.query_row([], |row| Ok(AuditHead { seq: unsigned(row.get(0)?), hash: row.get(1)? }))?)
}

/// Acts after a place.
pub(super) fn audited(connection: &Connection, after: u64, limit: usize) -> Result<Vec<Audited>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, at, tenant, actor, deed, subject, detail, hash, v FROM audit WHERE seq > ?1 ORDER BY seq LIMIT ?2",
    )?;
    let mut rows = statement.query([signed(after), i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let version: i64 = row.get(8)?;
        if version != DETAIL_VERSION {
            return Err(Error::Unreadable { what: format!("an act of the audit log in version {version}") });
        }
        let detail = row.get_ref(6)?.as_str().map_err(rusqlite::Error::from)?;
        let detail: BTreeMap<String, String> = serde_json::from_str(detail)
            .map_err(|_| Error::Unreadable { what: "column detail of the audit log".to_owned() })?;
        found.push(Audited {
            seq: unsigned(row.get(0)?),
            at: Timestamp(row.get(1)?),
            act: Act {
                tenant: TenantId::new(row.get::<_, String>(2)?),
                actor: row.get(3)?,
                deed: row.get(4)?,
                subject: row.get(5)?,
                detail,
            },
            hash: row.get(7)?,
        });
    }
    Ok(found)
}

fn key(row: &Row<'_>) -> Result<StoredKey, Error> {
    let unreadable = |column: &str| Error::Unreadable { what: format!("column {column} of a key") };
    let id = |text: String, column| KeyId::parse(&text).ok_or_else(|| unreadable(column));
    let scopes: String = row.get(3)?;
    // A scope of a newer release allows nothing here.
    let scopes = scopes.split(' ').filter_map(|word| word.parse().ok()).collect();
    Ok(StoredKey {
        id: id(row.get(0)?, "id")?,
        tenant: TenantId::new(row.get::<_, String>(1)?),
        name: row.get(2)?,
        scopes,
        digest: row.get(4)?,
        pepper: row.get(5)?,
        created_at: Timestamp(row.get(6)?),
        expires_at: Timestamp(row.get(7)?),
        revoked_at: row.get::<_, Option<i64>>(8)?.map(Timestamp),
        replaces: row.get::<_, Option<String>>(9)?.map(|text| id(text, "replaces")).transpose()?,
    })
}

impl AccessRows for SqliteRows {
    fn kept_key(&mut self, id: KeyId) -> Result<Option<StoredKey>, Error> {
        let mut statement = self.connection.prepare_cached(&format!("{KEY} WHERE id = ?1"))?;
        let mut rows = statement.query([id.as_str()])?;
        rows.next()?.map(key).transpose()
    }

    fn count_keys(&mut self) -> Result<usize, Error> {
        let mut statement = self.connection.prepare_cached("SELECT count(*) FROM keys")?;
        let count: i64 = statement.query_row([], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    fn put_key(&mut self, key: &StoredKey) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO keys (id, tenant, name, scopes, digest, pepper, created_at, expires_at, revoked_at, \
                 ends_at, replaces) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                key.id.as_str(),
                key.tenant.as_str(),
                key.name,
                key.scopes.to_string(),
                key.digest,
                key.pepper,
                key.created_at.0,
                key.expires_at.0,
                key.revoked_at.map(|at| at.0),
                key.ends_at().0,
                key.replaces.as_ref().map(KeyId::as_str),
            ])?;
        Ok(())
    }

    fn prune_keys(&mut self, over_before: Timestamp) -> Result<(), Error> {
        self.connection.prepare_cached("DELETE FROM keys WHERE ends_at < ?1")?.execute([over_before.0])?;
        Ok(())
    }

    fn audit_head(&mut self) -> Result<AuditHead, Error> {
        head(&self.connection)
    }

    fn append_audit(&mut self, row: &Audited) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "INSERT INTO audit (seq, at, tenant, actor, deed, subject, v, detail, hash) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                signed(row.seq),
                row.at.0,
                row.act.tenant.as_str(),
                row.act.actor,
                row.act.deed,
                row.act.subject,
                DETAIL_VERSION,
                json(&row.act.detail)?,
                row.hash,
            ])?;
        self.connection
            .prepare_cached("UPDATE audit_head SET seq = ?1, hash = ?2")?
            .execute(params![signed(row.seq), row.hash])?;
        Ok(())
    }
}
