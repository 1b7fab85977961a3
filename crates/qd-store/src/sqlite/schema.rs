//! Tables and their versions. A migration is never edited once released; add the next one (expand first, contract later).

use rusqlite::{Connection, OptionalExtension};

use crate::Error;

/// `user_version` counts these.
const MIGRATIONS: &[&str] = &[
    include_str!("schema/0001_jobs.sql"),
    include_str!("schema/0002_messages.sql"),
    include_str!("schema/0003_spend.sql"),
    include_str!("schema/0004_cache.sql"),
    include_str!("schema/0005_webhooks.sql"),
    include_str!("schema/0006_access.sql"),
    include_str!("schema/0007_batches.sql"),
    include_str!("schema/0008_schedules.sql"),
    include_str!("schema/0009_human_input.sql"),
    include_str!("schema/0010_hooks.sql"),
    include_str!("schema/0011_dead_letters.sql"),
    include_str!("schema/0012_log.sql"),
    include_str!("schema/0013_keys.sql"),
];

/// Marks the file as ours (`qdk1`), so that another program's database is not taken for a store.
const APPLICATION_ID: i32 = 0x7164_6b31;

/// Brings a database to this release's schema.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), Error> {
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = u32::try_from(MIGRATIONS.len()).expect("few migrations");
    if found > known {
        return Err(Error::NewerSchema { found, known });
    }
    let application: i32 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION_ID && tables > 0 {
        let what = "the file is a database of another program".to_owned();
        return Err(Error::Unreadable { what });
    }
    for (version, migration) in (1_u32..).zip(MIGRATIONS).skip(found as usize) {
        let step = connection.transaction()?;
        step.execute_batch(migration)?;
        step.pragma_update(None, "user_version", version)?;
        step.pragma_update(None, "application_id", APPLICATION_ID)?;
        step.commit()?;
    }
    Ok(())
}

/// The incarnation of the data, made from `draw` at the first start.
pub(super) fn incarnation(connection: &Connection, draw: u64) -> Result<u64, Error> {
    let read = "SELECT value FROM meta WHERE key = 'incarnation'";
    let stored: Option<String> = connection.query_row(read, [], |row| row.get(0)).optional()?;
    let text = match stored {
        Some(text) => text,
        None => {
            let text = format!("{draw:016x}");
            connection.execute("INSERT INTO meta (key, value) VALUES ('incarnation', ?1)", [&text])?;
            text
        }
    };
    u64::from_str_radix(&text, 16).map_err(|_| Error::Unreadable { what: format!("incarnation `{text}`") })
}
