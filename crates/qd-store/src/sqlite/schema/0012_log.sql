-- The log's rows lie in the order of writing. By job and seq, as they lay before, the rows that many jobs append at once
-- are each in another page, and rows of this size leave inner pages with a handful of children: one commit of sixteen
-- entries wrote thirty to forty pages. Here they share the last pages; only the small entries of the index are apart.
CREATE TABLE log_as_written (
    place   INTEGER PRIMARY KEY,
    job     INTEGER NOT NULL,
    seq     INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    v       INTEGER NOT NULL,
    item    TEXT    NOT NULL,
    UNIQUE (job, seq)
) STRICT;

INSERT INTO log_as_written (job, seq, at, attempt, v, item)
SELECT job, seq, at, attempt, v, item FROM log ORDER BY job, seq;

DROP TABLE log;
ALTER TABLE log_as_written RENAME TO log;
