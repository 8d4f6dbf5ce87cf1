-- +goose Up
-- The same as SQLite's, but for BYTEA, and for WITHOUT ROWID, which there is none of here.

CREATE TABLE usage (
	minute      BIGINT  NOT NULL, -- its beginning, in Unix seconds
	key_id      TEXT    NOT NULL,
	team        TEXT    NOT NULL,
	surface     TEXT    NOT NULL,
	provider    TEXT    NOT NULL,
	model       TEXT    NOT NULL,
	calls       BIGINT  NOT NULL,
	failures    BIGINT  NOT NULL,
	cache_hits  BIGINT  NOT NULL,
	input       BIGINT  NOT NULL, -- tokens, here and below
	cache_read  BIGINT  NOT NULL,
	cache_write BIGINT  NOT NULL,
	output      BIGINT  NOT NULL,
	reasoning   BIGINT  NOT NULL,
	estimated   BOOLEAN NOT NULL, -- whether any of them are
	PRIMARY KEY (minute, key_id, team, surface, provider, model) -- by time, for listing and pruning
);

CREATE TABLE calls (
	id          TEXT    NOT NULL PRIMARY KEY,
	at          BIGINT  NOT NULL, -- Unix milliseconds
	key_id      TEXT    NOT NULL,
	team        TEXT    NOT NULL,
	surface     TEXT    NOT NULL,
	provider    TEXT    NOT NULL,
	model       TEXT    NOT NULL,
	upstream    TEXT    NOT NULL,
	status      BIGINT  NOT NULL,
	error       TEXT    NOT NULL,
	cache       TEXT    NOT NULL,
	attempts    BIGINT  NOT NULL,
	input       BIGINT  NOT NULL,
	cache_read  BIGINT  NOT NULL,
	cache_write BIGINT  NOT NULL,
	output      BIGINT  NOT NULL,
	reasoning   BIGINT  NOT NULL,
	estimated   BOOLEAN NOT NULL,
	took        BIGINT  NOT NULL, -- microseconds
	prompt      BYTEA -- NULL where it is not kept
);

CREATE INDEX calls_by_time ON calls (at, id);
