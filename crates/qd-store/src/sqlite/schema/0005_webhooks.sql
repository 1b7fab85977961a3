-- The URL that is told of the job's end.
ALTER TABLE jobs ADD COLUMN webhook_url TEXT;

-- Who is to be told of what. `lane` is what a delivery waits in line with; `status` is the index in DeliveryStatus::ALL
-- (0 is pending). An endpoint of the configuration, or a URL, is where it goes.
CREATE TABLE deliveries (
    row         INTEGER PRIMARY KEY,
    id          BLOB    NOT NULL UNIQUE,
    tenant      TEXT    NOT NULL,
    lane        TEXT    NOT NULL,
    endpoint    TEXT,
    url         TEXT,
    event       TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    job         BLOB,
    status      INTEGER NOT NULL,
    tries       INTEGER NOT NULL DEFAULT 0,
    next_at     INTEGER,
    tried_at    INTEGER,
    http_status INTEGER,
    error       TEXT,
    ended_at    INTEGER
) STRICT;

CREATE INDEX deliveries_due ON deliveries (lane, next_at) WHERE status = 0;
CREATE INDEX deliveries_next ON deliveries (next_at) WHERE status = 0;
CREATE INDEX deliveries_job ON deliveries (job);
CREATE INDEX deliveries_ended ON deliveries (ended_at) WHERE ended_at IS NOT NULL;

-- What is remembered of endpoints of the configuration.
CREATE TABLE endpoints (
    tenant        TEXT NOT NULL,
    name          TEXT NOT NULL,
    failing_since INTEGER,
    disabled_at   INTEGER,
    reason        TEXT,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;
