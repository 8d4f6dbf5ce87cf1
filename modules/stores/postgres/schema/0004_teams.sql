-- +goose Up
-- The same as SQLite's.
-- A key names its team whether or not there is a row for it here.

CREATE TABLE teams (
	name    TEXT    NOT NULL PRIMARY KEY,
	limits  TEXT    NOT NULL, -- JSON, as a key's
	active  BOOLEAN NOT NULL,
	created BIGINT  NOT NULL -- Unix seconds
);

CREATE INDEX keys_by_team ON keys (team);
