//! Dead letters in SQL: failed jobs but for those in the table `dealt`.

use qd_types::{CrewName, Failure, Job, JobId, TaskId, TenantId, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::codec;
use super::rows::SqliteRows;
use crate::commands::dead::DEAD_GROUPS_MAX;
use crate::embedded::{DeadRows, PAGE_BYTES, RowId};
use crate::{DeadGroup, DeadQuery, Error};

const DEAD: &str = "status = 6 AND NOT EXISTS (SELECT 1 FROM dealt WHERE dealt.row = jobs.row)";

/// Place of the input among the columns of a job.
const INPUT: usize = 11;

/// The condition, and what stands for its question marks.
fn condition(tenant: &TenantId, query: &DeadQuery) -> (String, Vec<Value>) {
    let mut conditions = format!("tenant = ? AND {DEAD}");
    let mut values = vec![Value::from(tenant.as_str().to_owned())];
    let mut add = |condition: &str, value: Option<Value>| {
        if let Some(value) = value {
            conditions += condition;
            values.push(value);
        }
    };
    add(" AND crew = ?", query.crew.as_ref().map(|crew| Value::from(crew.as_str().to_owned())));
    add(" AND error ->> '$.code' = ?", query.code.map(|code| Value::from(code.as_str().to_owned())));
    add(" AND error ->> '$.task' = ?", query.task.as_ref().map(|task| Value::from(task.as_str().to_owned())));
    add(" AND finished_at > ?", query.failed_after.map(|at| Value::from(at.0)));
    add(" AND finished_at < ?", query.failed_before.map(|at| Value::from(at.0)));
    let after = query.after.map(|id| Value::from(id.0.as_bytes().to_vec()));
    add(" AND row > (SELECT row FROM jobs WHERE id = ?)", after);
    (conditions, values)
}

/// How many there are.
pub(super) fn count(connection: &Connection, tenant: &TenantId, query: &DeadQuery) -> Result<u64, Error> {
    let (condition, values) = condition(tenant, query);
    let mut statement = connection.prepare_cached(&format!("SELECT count(*) FROM jobs WHERE {condition}"))?;
    let count: i64 = statement.query_row(params_from_iter(values), |row| row.get(0))?;
    Ok(codec::unsigned(count))
}

/// Groups, the largest first.
pub(super) fn groups(
    connection: &Connection,
    tenant: &TenantId,
    query: &DeadQuery,
) -> Result<Vec<DeadGroup>, Error> {
    let (condition, values) = condition(tenant, query);
    // Bare columns beside one max() are those of its row.
    let sql = format!(
        "SELECT crew, error ->> '$.code' AS code, error ->> '$.task' AS task, count(*) AS number, min(finished_at), \
         max(finished_at), max(row), id, error FROM jobs WHERE {condition} GROUP BY crew, code, task \
         ORDER BY number DESC, crew, code, task LIMIT {DEAD_GROUPS_MAX}"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut groups = Vec::new();
    while let Some(row) = rows.next()? {
        let unreadable = || Error::Unreadable { what: "the error of a failed job".to_owned() };
        let error: Failure = serde_json::from_str(row.get_ref(8)?.as_str().map_err(rusqlite::Error::from)?)
            .map_err(|_| unreadable())?;
        groups.push(DeadGroup {
            crew: CrewName::new(row.get::<_, String>(0)?),
            code: error.code,
            task: row.get::<_, Option<String>>(2)?.map(TaskId::new),
            count: u64::try_from(row.get::<_, i64>(3)?).unwrap_or_default(),
            first_at: Timestamp(row.get(4)?),
            last_at: Timestamp(row.get(5)?),
            newest: JobId(row.get(7)?),
            message: error.message,
        });
    }
    Ok(groups)
}

/// Dead letters, oldest first.
pub(super) fn jobs(
    connection: &Connection,
    tenant: &TenantId,
    query: &DeadQuery,
    limit: usize,
) -> Result<Vec<Job>, Error> {
    let (condition, values) = condition(tenant, query);
    let sql = format!("SELECT {} FROM jobs WHERE {condition} ORDER BY row LIMIT {limit}", codec::JOB_COLUMNS);
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let (mut jobs, mut bytes) = (Vec::new(), 0);
    while bytes < PAGE_BYTES
        && let Some(row) = rows.next()?
    {
        bytes += row.get_ref(INPUT)?.as_str().map_err(rusqlite::Error::from)?.len();
        jobs.push(codec::job(row)?);
    }
    Ok(jobs)
}

impl DeadRows for SqliteRows {
    fn is_dead(&mut self, row: RowId) -> Result<bool, Error> {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM jobs WHERE row = ?1 AND {DEAD})");
        Ok(self.connection.prepare_cached(&sql)?.query_row([row], |found| found.get(0))?)
    }

    fn is_dealt_with(&mut self, row: RowId) -> Result<bool, Error> {
        let sql = "SELECT EXISTS (SELECT 1 FROM dealt WHERE row = ?1)";
        Ok(self.connection.prepare_cached(sql)?.query_row([row], |found| found.get(0))?)
    }

    fn deal_with(&mut self, row: RowId) -> Result<(), Error> {
        self.connection.prepare_cached("INSERT OR IGNORE INTO dealt (row) VALUES (?1)")?.execute([row])?;
        Ok(())
    }
}
