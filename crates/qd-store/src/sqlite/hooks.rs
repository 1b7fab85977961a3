//! Who is told of single steps of a job, as a column.

use std::sync::Arc;

use qd_types::Hooks;
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::codec;
use crate::Error;
use crate::embedded::RowId;

/// Version of the stored shape.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Written<'a> {
    v: u32,
    #[serde(flatten)]
    hooks: &'a Hooks,
}

#[derive(Deserialize)]
struct Read {
    v: u32,
    #[serde(flatten)]
    hooks: Hooks,
}

/// What stands in the column.
pub(super) fn column(hooks: &Hooks) -> Result<String, Error> {
    codec::json(&Written { v: VERSION, hooks })
}

/// And back.
pub(super) fn read(text: &str) -> Result<Arc<Hooks>, Error> {
    let read: Read = codec::from_json(text, "hooks")?;
    if read.v > VERSION {
        return Err(Error::Unreadable { what: format!("hooks in version {} of a newer release", read.v) });
    }
    Ok(Arc::new(read.hooks))
}

/// Writes who is told from now on.
pub(super) fn set(connection: &Connection, row: RowId, hooks: &Hooks) -> Result<(), Error> {
    connection
        .prepare_cached("UPDATE jobs SET hooks = ?2 WHERE row = ?1")?
        .execute(params![row, column(hooks)?])?;
    Ok(())
}
