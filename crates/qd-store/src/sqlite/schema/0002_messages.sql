-- When a message was said and by which job. Messages of an older release have neither.
ALTER TABLE messages ADD COLUMN at INTEGER;
ALTER TABLE messages ADD COLUMN job BLOB;
