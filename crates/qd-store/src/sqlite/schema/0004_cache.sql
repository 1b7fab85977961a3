-- Results of calls, for whoever asks the same again. `key` is a digest of everything that decides the result.
CREATE TABLE cache (
    tenant     TEXT    NOT NULL,
    key        BLOB    NOT NULL,
    expires_at INTEGER NOT NULL,
    value      BLOB    NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT;

CREATE INDEX cache_expiry ON cache (expires_at);

-- How much the cache holds: one row, kept by the triggers, so that nobody has to count.
CREATE TABLE cache_size (
    entries INTEGER NOT NULL,
    bytes   INTEGER NOT NULL
) STRICT;

INSERT INTO cache_size (entries, bytes) VALUES (0, 0);

CREATE TRIGGER cache_grows AFTER INSERT ON cache BEGIN
    UPDATE cache_size SET entries = entries + 1, bytes = bytes + length(new.value);
END;

CREATE TRIGGER cache_shrinks AFTER DELETE ON cache BEGIN
    UPDATE cache_size SET entries = entries - 1, bytes = bytes - length(old.value);
END;
