-- What is to be executed again and again. `spec` is JSON with a version; `due_at` is when somebody has to look at it: its
-- next tick, or the next try of one that could not be run.
CREATE TABLE schedules (
    tenant     TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    revision   INTEGER NOT NULL,
    v          INTEGER NOT NULL,
    spec       TEXT    NOT NULL,
    paused     INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    next_at    INTEGER,
    due_at     INTEGER,
    last_at    INTEGER,
    last_job   BLOB,
    missed     INTEGER NOT NULL DEFAULT 0,
    tries      INTEGER NOT NULL DEFAULT 0,
    error      TEXT,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX schedules_due ON schedules (due_at) WHERE due_at IS NOT NULL;
