//! Money in SQL: what was spent by day, tenant and crew, and what workers hold of budgets.

use qd_types::{CrewName, Day, NanoDollars, TenantId, Usage};
use rusqlite::{Connection, params};

use super::codec::{signed, unsigned};
use crate::embedded::Charge;
use crate::{DayUsage, Error, ScopeSpend, SpendScope, UsageQuery};

/// Adds to what a crew spent on a day, and takes what was set aside off the slices.
pub(super) fn charge(
    connection: &Connection,
    tenant: &TenantId,
    crew: &CrewName,
    day: Day,
    charge: &Charge,
) -> Result<(), Error> {
    let Usage {
        model_calls,
        tool_calls,
        input_tokens,
        cache_read_tokens,
        cache_write_tokens,
        output_tokens,
        reasoning_tokens,
        unpriced_calls,
    } = charge.usage;
    connection
        .prepare_cached(
            "INSERT INTO spend (day, tenant, crew, model_calls, tool_calls, input_tokens, cache_read_tokens, \
             cache_write_tokens, output_tokens, reasoning_tokens, unpriced_calls, cost, possible) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13) ON CONFLICT DO UPDATE SET \
             model_calls = model_calls + ?4, tool_calls = tool_calls + ?5, input_tokens = input_tokens + ?6, \
             cache_read_tokens = cache_read_tokens + ?7, cache_write_tokens = cache_write_tokens + ?8, \
             output_tokens = output_tokens + ?9, reasoning_tokens = reasoning_tokens + ?10, \
             unpriced_calls = unpriced_calls + ?11, cost = cost + ?12, possible = possible + ?13",
        )?
        .execute(params![
            day.0,
            tenant.as_str(),
            crew.as_str(),
            model_calls,
            tool_calls,
            signed(input_tokens),
            signed(cache_read_tokens),
            signed(cache_write_tokens),
            signed(output_tokens),
            signed(reasoning_tokens),
            unpriced_calls,
            charge.cost.0,
            charge.possible.0
        ])?;
    if charge.from_slices > NanoDollars::default() {
        connection
            .prepare_cached(
                "UPDATE slices SET reserved = max(0, reserved - ?4) \
                 WHERE day = ?1 AND tenant = ?2 AND crew IN ('', ?3)",
            )?
            .execute(params![day.0, tenant.as_str(), crew.as_str(), charge.from_slices.0])?;
    }
    Ok(())
}

/// How a scope stands.
pub(super) fn scope_spend(connection: &Connection, scope: &SpendScope) -> Result<ScopeSpend, Error> {
    let (day, tenant, crew) = (scope.day.0, scope.tenant.as_str(), scope.crew.as_ref().map(CrewName::as_str));
    let mut statement = connection.prepare_cached(
        "SELECT (SELECT coalesce(sum(cost + possible), 0) FROM spend WHERE day = ?1 AND tenant = ?2 AND (?3 IS NULL OR crew = ?3)), \
         (SELECT coalesce(sum(lost), 0) FROM slices WHERE day = ?1 AND tenant = ?2 AND crew = coalesce(?3, '')), \
         (SELECT coalesce(sum(reserved), 0) FROM slices WHERE day = ?1 AND tenant = ?2 AND crew = coalesce(?3, ''))",
    )?;
    let found = statement.query_row(params![day, tenant, crew], |row| {
        Ok((NanoDollars(row.get(0)?), NanoDollars(row.get(1)?), NanoDollars(row.get(2)?)))
    });
    let (recorded, lost, reserved) = found?;
    Ok(ScopeSpend { spent: recorded + lost, reserved })
}

/// Adds to what workers hold of a scope's money, and to what of it got lost.
pub(super) fn hold_slice(
    connection: &Connection,
    scope: &SpendScope,
    held: NanoDollars,
    lost: NanoDollars,
) -> Result<(), Error> {
    connection
        .prepare_cached(
            "INSERT INTO slices (day, tenant, crew, reserved, lost) VALUES (?1, ?2, ?3, max(0, ?4), ?5) \
             ON CONFLICT DO UPDATE SET reserved = max(0, reserved + ?4), lost = lost + ?5",
        )?
        .execute(params![
            scope.day.0,
            scope.tenant.as_str(),
            scope.crew.as_ref().map_or("", CrewName::as_str),
            held.0,
            lost.0
        ])?;
    Ok(())
}

/// Counts what a process that is gone still held as lost.
pub(super) fn lose_slices(connection: &Connection) -> Result<(), Error> {
    connection.execute("UPDATE slices SET lost = lost + reserved, reserved = 0 WHERE reserved > 0", [])?;
    Ok(())
}

/// Deletes what was spent before a day.
pub(super) fn prune(connection: &Connection, before: Day) -> Result<(), Error> {
    for sql in ["DELETE FROM spend WHERE day < ?1", "DELETE FROM slices WHERE day < ?1"] {
        connection.prepare_cached(sql)?.execute([before.0])?;
    }
    Ok(())
}

/// What crews used by day.
pub(super) fn usage(
    connection: &Connection,
    tenant: &TenantId,
    query: &UsageQuery,
) -> Result<Vec<DayUsage>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT day, crew, model_calls, tool_calls, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, \
         reasoning_tokens, unpriced_calls, cost, possible FROM spend \
         WHERE day BETWEEN ?1 AND ?2 AND tenant = ?3 AND (?4 IS NULL OR crew = ?4) ORDER BY day DESC, crew LIMIT ?5",
    )?;
    let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
    let crew = query.crew.as_ref().map(CrewName::as_str);
    let asked = params![query.from.0, query.to.0, tenant.as_str(), crew, limit];
    let found = statement.query_map(asked, |row| {
        Ok(DayUsage {
            day: Day(row.get(0)?),
            crew: CrewName::new(row.get::<_, String>(1)?),
            usage: Usage {
                model_calls: row.get(2)?,
                tool_calls: row.get(3)?,
                input_tokens: unsigned(row.get(4)?),
                cache_read_tokens: unsigned(row.get(5)?),
                cache_write_tokens: unsigned(row.get(6)?),
                output_tokens: unsigned(row.get(7)?),
                reasoning_tokens: unsigned(row.get(8)?),
                unpriced_calls: row.get(9)?,
            },
            cost: NanoDollars(row.get(10)?),
            possible: NanoDollars(row.get(11)?),
        })
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}
