CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- `row` is the place in the order of acceptance. Times are milliseconds since 1970, money is in nano-dollars,
-- status is the index in JobStatus::ALL (5 and above are terminal).
CREATE TABLE jobs (
    row             INTEGER PRIMARY KEY,
    id              BLOB    NOT NULL UNIQUE,
    tenant          TEXT    NOT NULL,
    crew            TEXT    NOT NULL,
    crew_version    INTEGER NOT NULL,
    machine_version INTEGER NOT NULL,
    status          INTEGER NOT NULL,
    priority        INTEGER NOT NULL,
    attempt         INTEGER NOT NULL DEFAULT 0,
    max_attempts    INTEGER NOT NULL,
    crashes         INTEGER NOT NULL DEFAULT 0,
    in_doubt        INTEGER NOT NULL DEFAULT 0,
    epoch           INTEGER NOT NULL DEFAULT 0,
    conversation    TEXT,
    input           TEXT    NOT NULL,
    output          TEXT,
    error           TEXT,
    usage           TEXT,
    cost            INTEGER NOT NULL DEFAULT 0,
    progress        TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    run_at          INTEGER,
    retry_at        INTEGER,
    expires_at      INTEGER,
    started_at      INTEGER,
    finished_at     INTEGER,
    timeout_seconds INTEGER NOT NULL,
    redrive_of      BLOB,
    metadata        TEXT
) STRICT;

-- What a start loads, and lists of jobs that are not over.
CREATE INDEX jobs_open ON jobs (status, row) WHERE status < 5;
CREATE INDEX jobs_failed ON jobs (row) WHERE status = 6;
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE log (
    job     INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    v       INTEGER NOT NULL,
    item    TEXT    NOT NULL,
    PRIMARY KEY (job, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
    tenant     TEXT    NOT NULL,
    scope      TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    job        INTEGER NOT NULL,
    body_hash  BLOB    NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, scope, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_expiry ON idempotency (expires_at);

CREATE TABLE crews (
    tenant     TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    hash       TEXT    NOT NULL,
    spec       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, name, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE conversations (
    tenant  TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    last_n  INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX conversations_silence ON conversations (last_at);

CREATE TABLE messages (
    tenant TEXT    NOT NULL,
    name   TEXT    NOT NULL,
    n      INTEGER NOT NULL,
    role   TEXT    NOT NULL,
    text   TEXT    NOT NULL,
    PRIMARY KEY (tenant, name, n)
) STRICT, WITHOUT ROWID;
