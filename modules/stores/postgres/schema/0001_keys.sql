-- +goose Up
-- The same as SQLite's, but for two words: BYTEA for BLOB, and seq is an identity.
-- Times are Unix seconds; 0 stands for the zero time.

CREATE TABLE keys (
	seq       BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- tells apart keys that were created in the same second
	id        TEXT    NOT NULL UNIQUE,
	name      TEXT    NOT NULL,
	team      TEXT    NOT NULL,
	limits    TEXT    NOT NULL, -- JSON, see columns.go
	models    TEXT    NOT NULL, -- JSON array of strings
	active    BOOLEAN NOT NULL,
	created   BIGINT  NOT NULL,
	expires   BIGINT  NOT NULL,
	last_used BIGINT  NOT NULL
);

CREATE INDEX keys_by_creation ON keys (created, seq);

CREATE TABLE secrets (
	hash   BYTEA  NOT NULL PRIMARY KEY CHECK (length(hash) = 32), -- SHA-256; the secret itself is kept nowhere
	key_id TEXT   NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
	until  BIGINT -- NULL for the current secret, else when a former one stops working
);

CREATE UNIQUE INDEX secrets_current ON secrets (key_id) WHERE until IS NULL;
CREATE INDEX secrets_by_key ON secrets (key_id, until, hash);

CREATE TABLE settings (
	name  TEXT NOT NULL PRIMARY KEY,
	value BYTEA NOT NULL
);
