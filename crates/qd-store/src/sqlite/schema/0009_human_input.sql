-- What a job asks a person, as JSON with a version, while it waits.
ALTER TABLE jobs ADD COLUMN waiting TEXT;
