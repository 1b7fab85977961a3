-- The input of a batch that a job was made for.
ALTER TABLE jobs ADD COLUMN batch BLOB;
ALTER TABLE jobs ADD COLUMN batch_index INTEGER;

-- The batch that a delivery tells of.
ALTER TABLE deliveries ADD COLUMN batch BLOB;
CREATE INDEX deliveries_batch ON deliveries (batch) WHERE batch IS NOT NULL;

-- Many inputs for one crew. `stage` is 0 while one is taken in, 1 once it is accepted, 2 when it is to be deleted; `status`
-- is the index in BatchStatus::ALL. The counts add up to `total`; `open` are jobs that are not over.
CREATE TABLE batches (
    row             INTEGER PRIMARY KEY,
    id              BLOB    NOT NULL UNIQUE,
    tenant          TEXT    NOT NULL,
    stage           INTEGER NOT NULL,
    status          INTEGER NOT NULL,
    crew            TEXT    NOT NULL,
    crew_version    INTEGER NOT NULL,
    machine_version INTEGER NOT NULL,
    total_tasks     INTEGER NOT NULL,
    priority        INTEGER NOT NULL,
    concurrency     INTEGER NOT NULL,
    timeout_seconds INTEGER NOT NULL,
    max_attempts    INTEGER NOT NULL,
    budget          INTEGER,
    webhook_url     TEXT,
    metadata        TEXT,
    key             TEXT,
    body_hash       BLOB,
    total           INTEGER NOT NULL DEFAULT 0,
    pending         INTEGER NOT NULL DEFAULT 0,
    open            INTEGER NOT NULL DEFAULT 0,
    succeeded       INTEGER NOT NULL DEFAULT 0,
    failed          INTEGER NOT NULL DEFAULT 0,
    cancelled       INTEGER NOT NULL DEFAULT 0,
    invalid         INTEGER NOT NULL DEFAULT 0,
    usage           TEXT,
    cost            INTEGER NOT NULL DEFAULT 0,
    created_at      INTEGER NOT NULL,
    finished_at     INTEGER
) STRICT;

CREATE UNIQUE INDEX batches_key ON batches (tenant, key) WHERE key IS NOT NULL AND stage = 1;
CREATE INDEX batches_open ON batches (tenant) WHERE stage < 2 AND finished_at IS NULL;
CREATE INDEX batches_taken_in ON batches (created_at) WHERE stage = 0;
CREATE INDEX batches_hungry ON batches (row) WHERE stage = 1 AND pending > 0;
CREATE INDEX batches_finished ON batches (finished_at) WHERE stage = 1 AND finished_at IS NOT NULL;
CREATE INDEX batches_left ON batches (row) WHERE stage = 2;

-- The inputs of a batch, in order. `state` is 0 while one waits, 1 while its job is not over, 2 after that, 3 if it is
-- invalid. What waits in a batch that was cancelled is cancelled.
CREATE TABLE batch_items (
    batch    INTEGER NOT NULL,
    n        INTEGER NOT NULL,
    tenant   TEXT    NOT NULL,
    state    INTEGER NOT NULL,
    input    TEXT,
    priority INTEGER,
    metadata TEXT,
    job      BLOB,
    error    TEXT,
    PRIMARY KEY (batch, n)
) STRICT, WITHOUT ROWID;

CREATE INDEX batch_items_state ON batch_items (batch, state, n);
