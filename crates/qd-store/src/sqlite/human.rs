//! Questions of jobs that wait, as a column.

use qd_types::Waiting;
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
    waiting: &'a Waiting,
}

#[derive(Deserialize)]
struct Read {
    v: u32,
    #[serde(flatten)]
    waiting: Waiting,
}

/// What stands in the column.
pub(super) fn column(waiting: &Waiting) -> Result<String, Error> {
    codec::json(&Written { v: VERSION, waiting })
}

/// And back.
pub(super) fn read(text: &str) -> Result<Box<Waiting>, Error> {
    let read: Read = codec::from_json(text, "waiting")?;
    if read.v > VERSION {
        return Err(Error::Unreadable {
            what: format!("a question in version {} of a newer release", read.v),
        });
    }
    Ok(Box::new(read.waiting))
}

/// Writes what a job asks.
pub(super) fn wait(connection: &Connection, row: RowId, waiting: &Waiting) -> Result<(), Error> {
    connection
        .prepare_cached("UPDATE jobs SET waiting = ?2 WHERE row = ?1")?
        .execute(params![row, column(waiting)?])?;
    Ok(())
}
