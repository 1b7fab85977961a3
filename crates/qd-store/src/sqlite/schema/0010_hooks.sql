-- Who is told of single steps of a job, as JSON with a version; URLs and what requests to them carry are secrets.
ALTER TABLE jobs ADD COLUMN hooks TEXT;

-- The item of the job's log that a delivery tells of, where it is about one.
ALTER TABLE deliveries ADD COLUMN about INTEGER;
