-- Keys: never the secret, only a digest under a pepper that is kept elsewhere. `ends_at` is when a key is or was over.
CREATE TABLE keys (
    id         TEXT    NOT NULL PRIMARY KEY,
    tenant     TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    scopes     TEXT    NOT NULL,
    digest     BLOB    NOT NULL,
    pepper     BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    ends_at    INTEGER NOT NULL,
    replaces   TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX keys_end ON keys (ends_at);

-- Privileged acts, each chained to the one before by its hash. Rows are added and never changed; the head says how many
-- there must be.
CREATE TABLE audit (
    seq     INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    tenant  TEXT    NOT NULL,
    actor   TEXT    NOT NULL,
    deed    TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    v       INTEGER NOT NULL,
    detail  TEXT    NOT NULL,
    hash    BLOB    NOT NULL
) STRICT;

CREATE TABLE audit_head (
    seq  INTEGER NOT NULL,
    hash BLOB    NOT NULL
) STRICT;

INSERT INTO audit_head (seq, hash) VALUES (0, zeroblob(32));
