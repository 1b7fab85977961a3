-- Failed jobs that somebody has run again or discarded. Goes with the job.
CREATE TABLE dealt (
    row INTEGER PRIMARY KEY
) STRICT;

CREATE INDEX jobs_dead ON jobs (tenant, crew, row) WHERE status = 6;
