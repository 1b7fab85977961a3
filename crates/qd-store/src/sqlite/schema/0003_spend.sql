-- The most that a job's calls may cost.
ALTER TABLE jobs ADD COLUMN budget INTEGER;

-- What was used and spent, by day (UTC, days since 1970), tenant and crew. `possible` is what failed calls may have cost
-- at most.
CREATE TABLE spend (
    day                INTEGER NOT NULL,
    tenant             TEXT    NOT NULL,
    crew               TEXT    NOT NULL,
    model_calls        INTEGER NOT NULL DEFAULT 0,
    tool_calls         INTEGER NOT NULL DEFAULT 0,
    input_tokens       INTEGER NOT NULL DEFAULT 0,
    cache_read_tokens  INTEGER NOT NULL DEFAULT 0,
    cache_write_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens      INTEGER NOT NULL DEFAULT 0,
    reasoning_tokens   INTEGER NOT NULL DEFAULT 0,
    unpriced_calls     INTEGER NOT NULL DEFAULT 0,
    cost               INTEGER NOT NULL DEFAULT 0,
    possible           INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (day, tenant, crew)
) STRICT, WITHOUT ROWID;

-- What of a day's budget is in the hands of workers and not recorded as spent, and what of that got lost: it may have
-- been spent. An empty crew stands for the tenant.
CREATE TABLE slices (
    day      INTEGER NOT NULL,
    tenant   TEXT    NOT NULL,
    crew     TEXT    NOT NULL,
    reserved INTEGER NOT NULL DEFAULT 0,
    lost     INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (day, tenant, crew)
) STRICT, WITHOUT ROWID;
